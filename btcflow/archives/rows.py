"""Rows of one published file on their way to records: put in order, told apart, measured for gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.archives.download import Published
from btcflow.archives.request import Note, Report, Request
from btcflow.data.records import Records, utc_ns
from btcflow.errors import BadRecords
from btcflow.fields import KINDS

__all__ = ["Rows", "Seam", "refuse_off_grid", "refuse_outside", "to_records", "usable", "without_duplicates"]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Stamps as records want them, int64 ns UTC (N,), and the value columns, float64 (N,) each."""

    stamp: np.ndarray
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.stamp)

    def take(self, which: np.ndarray) -> Rows:
        """The rows of a mask, or at positions."""
        return Rows(stamp=self.stamp[which], columns={name: one[which] for name, one in self.columns.items()})


def without_duplicates(rows: Rows, file: Published, report: Report) -> Rows:
    """The rows by time, one per stamp; of several the last in the file stays, and the note counts them."""
    order = np.argsort(rows.stamp, kind="stable")
    rows = rows.take(order)
    if not len(rows):
        return rows
    last = np.r_[rows.stamp[1:] != rows.stamp[:-1], True]
    group = np.cumsum(np.r_[0, last[:-1]])
    kept = rows.take(last)
    if len(kept) == len(rows):
        return rows
    unlike = np.zeros(len(rows), dtype=bool)
    for name, values in rows.columns.items():
        final = kept.columns[name][group]
        unlike |= ~((values == final) | (np.isnan(values) & np.isnan(final)))
    doubled = len(rows) - len(kept)
    why = f"{doubled} rows have a stamp that the file holds twice, {int(unlike.sum())} of them with other values"
    report(_note("duplicate_rows", file, why, rows=doubled))
    return kept


def usable(rows: Rows, good: np.ndarray, why: str, file: Published, report: Report) -> Rows:
    """The rows where ``good`` is true; the others are told in one note."""
    bad = int((~good).sum())
    if bad:
        stamps = rows.stamp[~good]
        report(
            Note(
                what="dropped_rows",
                start=pd.Timestamp(int(stamps.min()), tz="UTC"),
                end=pd.Timestamp(int(stamps.max()) + 1, tz="UTC"),
                why=f"{bad} rows: {why}",
                rows=bad,
                endpoint=file.url,
            )
        )
    return rows.take(good)


def refuse_off_grid(rows: Rows, timeframe: str, name: str) -> None:
    """Refuse a bar whose open is not on the grid of its timeframe."""
    opens = timeframes.bar_open(pd.DatetimeIndex(pd.to_datetime(rows.stamp, unit="ns", utc=True)), timeframe)
    for row in np.flatnonzero(utc_ns(opens) != rows.stamp)[:1]:
        when = pd.Timestamp(int(rows.stamp[row]), tz="UTC")
        raise BadRecords(f"{name}: {when} is not the open of a {timeframe} bar in UTC; is this the right file?")


def refuse_outside(rows: Rows, file: Published, *, closed_end: bool = False) -> None:
    """Refuse a stamp outside the period that the file's name says; ``closed_end`` counts its end in."""
    first, last = file.start.value, file.end.value
    inside = (rows.stamp >= first) & ((rows.stamp < last) | (closed_end & (rows.stamp == last)))
    for row in np.flatnonzero(~inside)[:1]:
        when = pd.Timestamp(int(rows.stamp[row]), tz="UTC")
        raise BadRecords(f"{file.url}: a row of {when}; by its name the file holds {file.start} to {file.end}")


def to_records(rows: Rows, request: Request, source: str) -> Records:
    """Records of the request's series: bars are known at their close, instants at their stamp plus the lag."""
    stamp = pd.DatetimeIndex(pd.to_datetime(rows.stamp, unit="ns", utc=True))
    bars = KINDS[request.kind].stamps == "bar_open"
    known = timeframes.bar_close(stamp, request.timeframe) if bars else stamp + request.lag
    times = {"stamp": stamp, "known_at": pd.DatetimeIndex(pd.to_datetime(utc_ns(known), unit="ns", utc=True))}
    return Records(
        key=request.key,
        instrument=request.instrument,
        frame=pd.DataFrame(times | {name: rows.columns[name] for name in request.columns}),
        source=source,
        lag=request.lag,
    )


@dataclass(frozen=True)
class Seam:
    """Where the rows so far end, to see what is missing before the next ones.

    Attributes
    ----------
    last : stamp of the last row, int64 ns; None at the beginning and after a missing or untouched file
    """

    last: int | None = None

    def onward(self, rows: Rows, step: np.ndarray, file: Published, report: Report) -> Seam:
        """Tell every gap up to and between the rows, and stand behind them.

        Parameters
        ----------
        step : (N,) int64 ns, how far each row may be from the one before
        """
        if not len(rows):
            return self
        stamps = rows.stamp if self.last is None else np.r_[self.last, rows.stamp]
        steps = step[1:] if self.last is None else step
        far = np.diff(stamps) > 1.5 * steps
        for row in np.flatnonzero(far):
            missing = round((stamps[row + 1] - stamps[row]) / steps[row]) - 1
            start, end = (
                pd.Timestamp(int(stamps[row] + steps[row]), tz="UTC"),
                pd.Timestamp(int(stamps[row + 1]), tz="UTC"),
            )
            why = f"{missing} rows are missing"
            report(Note(what="missing_rows", start=start, end=end, why=why, rows=missing, endpoint=file.url))
        return replace(self, last=int(rows.stamp[-1]))


def _note(what: str, file: Published, why: str, *, rows: int = 0) -> Note:
    return Note(what=what, start=file.start, end=file.end, why=why, rows=rows, endpoint=file.url)  # type: ignore[arg-type]
