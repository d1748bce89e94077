"""What a fetch tells while it runs, and what it has to say at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from btcflow.data.records import SeriesKey
from btcflow.errors import VenueUnavailable

__all__ = ["FetchEvent", "FetchReport", "OnEvent", "SeriesReport"]


@dataclass(frozen=True, kw_only=True)
class FetchEvent:
    """How far one job has come.

    Attributes
    ----------
    venue, job : who is asked, and for what
    done : part of the job's time that is through, 0 to 1
    rows, missing, requests : rows read so far, steps that are missing between them, and requests made
    state : ``asking``, ``done`` or ``failed``
    """

    venue: str
    job: str
    done: float
    rows: int
    missing: int
    requests: int
    state: Literal["asking", "done", "failed"] = "asking"


OnEvent = Callable[[FetchEvent], None]
"""Called from the venues' threads, one call at a time."""


@dataclass(frozen=True, kw_only=True)
class SeriesReport:
    """What became of one series.

    Attributes
    ----------
    rows : in the store now; 0 where it has none
    added, revised : rows that are new, and rows that the source says differently now
    missing : steps without a row between the first and the last in the store
    requests : made for it; series told by the same requests share them, and the first of them counts them
    failed : why it is not complete; None where it is
    notes : what a reader should know
    """

    key: SeriesKey
    rows: int
    added: int
    revised: int
    missing: int
    requests: int
    failed: str | None = None
    notes: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "series": str(self.key),
            "rows": self.rows,
            "added": self.added,
            "revised": self.revised,
            "missing": self.missing,
            "requests": self.requests,
            "failed": self.failed,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class FetchReport:
    """What became of a fetch."""

    series: tuple[SeriesReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[SeriesReport, ...]:
        """The series that are not complete."""
        return tuple(one for one in self.series if one.failed is not None)

    def raise_failures(self) -> None:
        """Raise :class:`VenueUnavailable` with all that is not complete, and how to go on; nothing where all is."""
        if self.failed:
            lines = [f"{one.key}: {one.failed}" for one in self.failed]
            raise VenueUnavailable(
                f"{len(lines)} of {len(self.series)} series are not complete; what came is kept, and the same command "
                "goes on from there:\n" + "\n".join(lines)
            )
