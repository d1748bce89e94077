"""Days and months that files are named by, and the stretches that no file covers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from btcflow.archives.download import Published
from btcflow.archives.request import Note

__all__ = ["Period", "days_of", "months_of", "with_holes"]

_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, order=True)
class Period:
    """One UTC day or month, end excluded."""

    start: pd.Timestamp
    end: pd.Timestamp

    @classmethod
    def of(cls, text: str) -> Period | None:
        """Read ``2024-01`` or ``2024-01-31``; None for anything else."""
        if not re.fullmatch(r"\d{4}-\d\d(-\d\d)?", text):
            return None
        try:
            start = pd.Timestamp(text, tz="UTC")
        except ValueError:
            return None
        return cls(start, start + (_DAY if len(text) > 7 else pd.offsets.MonthBegin(1)))

    @property
    def text(self) -> str:
        """``2024-01`` or ``2024-01-31``."""
        return f"{self.start:%Y-%m-%d}" if self.end - self.start == _DAY else f"{self.start:%Y-%m}"


def months_of(start: pd.Timestamp, end: pd.Timestamp) -> list[Period]:
    """Every month that a stretch touches."""
    if start >= end:
        return []
    first = start.normalize().replace(day=1)
    return [
        Period(one, one + pd.offsets.MonthBegin(1)) for one in pd.date_range(first, end, freq="MS", inclusive="left")
    ]


def days_of(start: pd.Timestamp, end: pd.Timestamp) -> list[Period]:
    """Every day that a stretch touches."""
    if start >= end:
        return []
    return [Period(one, one + _DAY) for one in pd.date_range(start.normalize(), end, freq="D", inclusive="left")]


def with_holes(
    wanted: list[Period],
    found: Mapping[Period, Published],
    begins: Callable[[], pd.Timestamp | None],
    name: str,
) -> list[Published | Note]:
    """The files of the periods in order, and one note for each stretch of periods without a file.

    Parameters
    ----------
    wanted : periods in order
    found : the files there are, later ones than wanted included
    begins : the start of the first file there is at all; asked only where the first period has none
    name : the archive, for the notes
    """
    if not wanted:
        return []
    last = max((one.start for one in found), default=wanted[0].start)
    first = begins() if wanted[0] not in found else wanted[0].start
    result: list[Published | Note] = []
    run: list[Period] = []
    for period in wanted:
        if period in found:
            result += [*_hole(run, first, last, name), found[period]]
            run = []
        else:
            run.append(period)
    return [*result, *_hole(run, first, last, name)]


def _hole(run: list[Period], first: pd.Timestamp | None, last: pd.Timestamp, name: str) -> list[Note]:
    if not run:
        return []
    start, end = run[0].start, run[-1].end
    if first is None or end <= first:
        begins = "publishes nothing of it" if first is None else f"begins {first:%Y-%m-%d}"
        return [Note(what="before_archive", start=start, end=end, why=f"{name} {begins}")]
    if start < first:
        cut = [one for one in run if one.end <= first]
        return [*_hole(cut, first, last, name), *_hole(run[len(cut) :], first, last, name)]
    if start > last:
        why = f"{name} has published nothing after {last:%Y-%m-%d} yet"
        return [Note(what="not_published", start=start, end=end, why=why)]
    files = "one file" if len(run) == 1 else f"{len(run)} files"
    return [
        Note(what="missing_file", start=start, end=end, why=f"{name} has files before and after, and lacks {files}")
    ]
