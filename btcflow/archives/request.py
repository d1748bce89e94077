"""What is asked of an archive, what it is given to ask with, and what it says besides the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import pandas as pd

from btcflow.data.provenance import Provenance
from btcflow.data.records import Records, SeriesKey
from btcflow.fields import KINDS
from btcflow.instrument import Instrument

__all__ = ["Answer", "Archive", "Get", "Note", "Report", "Request"]


class Answer(Protocol):
    """One HTTP answer."""

    @property
    def status(self) -> int:
        """HTTP status: 200, 404, ..."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields."""

    @property
    def body(self) -> bytes:
        """The whole body."""


Get = Callable[[str], Answer]
"""Asks for one address. It retries and waits by itself, and raises where that does not help."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One series over one stretch of time.

    Attributes
    ----------
    instrument : whose series, with the unit its open interest is wanted in
    kind, timeframe : which series, for example ``funding`` and ``8h``
    start, end : the first instant wanted and the first one no longer wanted, UTC
    lag : publication lag to declare; it is added to ``known_at`` of instants (open interest)
    """

    instrument: Instrument
    kind: str
    timeframe: str
    start: pd.Timestamp
    end: pd.Timestamp
    lag: pd.Timedelta

    @property
    def key(self) -> SeriesKey:
        """The key of the series."""
        return SeriesKey(self.instrument.venue, self.instrument.symbol, self.kind, self.timeframe)

    @property
    def columns(self) -> tuple[str, ...]:
        """The value columns of its kind."""
        return KINDS[self.kind].columns


@dataclass(frozen=True, kw_only=True)
class Note:
    """What a reader of the rows should know of one file or stretch.

    Attributes
    ----------
    what : ``before_archive``: nothing was published yet; ``not_published``: not yet, ask the venue itself;
        ``missing_file``: published around it, but not it; ``missing_rows``: a gap between rows;
        ``dropped_rows``: rows that hold no value; ``duplicate_rows``; ``unchanged``: got before, not asked
        for again; ``relabelled``: the file names its rows otherwise than is known of its day;
        ``broken``: came, and is not used
    start, end : the stretch, UTC, end excluded
    rows : how many rows are missing, dropped or doubled; 0 where that is not the point
    endpoint : the file, empty for a stretch of files
    why : in words
    """

    what: Literal[
        "before_archive",
        "not_published",
        "missing_file",
        "missing_rows",
        "dropped_rows",
        "duplicate_rows",
        "unchanged",
        "relabelled",
        "broken",
    ]
    start: pd.Timestamp
    end: pd.Timestamp
    why: str
    rows: int = 0
    endpoint: str = ""


Report = Callable[[Note], object]


class Archive(Protocol):
    """Anything that publishes series as files."""

    @property
    def name(self) -> str:
        """What it is called in provenance and messages."""

    def offers(self, request: Request) -> bool:
        """True where it publishes this kind of this instrument at this timeframe."""

    def series(
        self, request: Request, get: Get, *, known: Mapping[str, str] = ..., report: Report = ...
    ) -> Iterator[tuple[Records, Provenance]]:
        """The rows of one file after the other, oldest first; see :mod:`btcflow.archives`."""
