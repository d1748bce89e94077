"""The rows of one entry of an import spec: read from its files, cut, dropped and put in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.import_spec import SeriesSpec
from btcflow.data.records import utc_ns
from btcflow.data.tables import Table, read_table
from btcflow.errors import BadRecords

__all__ = ["Rows", "cut_and_drop", "read_rows", "refuse_disorder"]

_MINUTE = 60_000_000_000


@dataclass(frozen=True)
class Rows:
    """Rows of all files of an entry, each with the place it came from.

    Attributes
    ----------
    files : names of the files, oldest name first
    file, row : (N,) int64: number of the file, and row in it counted from 0
    time : (N,) int64 nanoseconds UTC, as the file names the row
    values, flags : (N,) float64 and bool arrays by the file's column names
    foreign : (N,) bool by column: rows of another series than the entry's, by its ``only``
    """

    files: list[str]
    file: np.ndarray
    row: np.ndarray
    time: np.ndarray
    values: dict[str, np.ndarray]
    flags: dict[str, np.ndarray]
    foreign: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.time)

    def where(self, mask: np.ndarray) -> Rows:
        """Keep the rows where ``mask`` is true."""
        return replace(
            self,
            file=self.file[mask],
            row=self.row[mask],
            time=self.time[mask],
            values={name: one[mask] for name, one in self.values.items()},
            flags={name: one[mask] for name, one in self.flags.items()},
            foreign={name: one[mask] for name, one in self.foreign.items()},
        )

    def at(self, row: int, column: str) -> str:
        """Name the place of a cell: file, column, row counted from 1, and time."""
        when = pd.Timestamp(self.time[row], tz="UTC")
        return f"{self.files[self.file[row]]}: column {column!r}, row {self.row[row] + 1} ({when})"


def read_rows(folder: Path, files: list[str], spec: SeriesSpec) -> Rows:
    """Read what the entry asks for from its files, one after the other.

    Raises
    ------
    BadRecords
        for a file that cannot be read, a missing column, or a cell that is no number, flag or time.
    """
    flagged = {rule.column for rule in spec.drop if rule.when == "flagged"}
    numbers = {*spec.needed.values(), *(rule.column for rule in spec.drop if rule.when != "flagged")}
    wanted = [spec.time.column, *sorted(numbers | flagged | set(spec.only))]
    tables = [read_table(folder / name, name, columns=wanted, layout=spec.csv) for name in files]
    turn = slice(None, None, -1 if spec.order == "newest_first" else 1)

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([part[turn] for part in parts])

    times = [_times(table, spec) for table in tables]
    return Rows(
        files=files,
        file=joined([np.full(len(table), number) for number, table in enumerate(tables)]),
        row=joined([np.arange(len(table)) for table in tables]),
        time=joined(times),
        values={name: joined([table.numbers(name) for table in tables]) for name in sorted(numbers)},
        flags={name: joined([table.flags(name) for table in tables]) for name in sorted(flagged)},
        foreign={name: joined([_foreign(table, name, text) for table in tables]) for name, text in spec.only.items()},
    )


def _foreign(table: Table, column: str, text: str) -> np.ndarray:
    return np.array([one != text for one in table.texts(column)], dtype=bool)


def _times(table: Table, spec: SeriesSpec) -> np.ndarray:
    """Times of the file; settlements are rounded to the minute, since venues stamp them with jitter."""
    times = table.times(spec.time)
    return (times + _MINUTE // 2) // _MINUTE * _MINUTE if spec.kind == "funding" else times


def cut_and_drop(rows: Rows, spec: SeriesSpec) -> tuple[Rows, Counter[str]]:
    """Leave out rows by the rules of the entry.

    ``from`` and ``until`` look at the time a row is named by: a bar's open, also where the file
    stamps closes, or the instant itself.

    Returns
    -------
    the rows that stay, and how many went for which reason (a row counts under its first reason)
    """
    dropped: Counter[str] = Counter()
    day = _opens(rows.time, spec) if spec.stamp == "bar_close" else rows.time
    reasons = [(f"{name} is not {text}", rows.foreign[name]) for name, text in spec.only.items()]
    if spec.start:
        reasons.append((f"before {spec.start}", day < pd.Timestamp(spec.start, tz="UTC").value))
    if spec.end:
        reasons.append((f"from {spec.end} on", day >= pd.Timestamp(spec.end, tz="UTC").value))
    for rule in spec.drop:
        if rule.when == "flagged":
            hit = rows.flags[rule.column]
        else:
            values = rows.values[rule.column]
            hit = np.isnan(values) if rule.when == "missing" else values <= 0
        reasons.append((rule.reason, hit))
    gone = np.zeros(len(rows), dtype=bool)
    for reason, hit in reasons:
        count = int((hit & ~gone).sum())
        if count:
            dropped[reason] += count
        gone |= hit
    return rows.where(~gone), dropped


def _opens(closes: np.ndarray, spec: SeriesSpec) -> np.ndarray:
    inside = pd.DatetimeIndex(pd.to_datetime(closes - 1, unit="ns", utc=True))
    return utc_ns(timeframes.bar_open(inside, spec.timeframe))


def refuse_disorder(rows: Rows) -> None:
    """Refuse a time that is not after the one before it, with both places named."""
    for before in np.flatnonzero(np.diff(rows.time) <= 0)[:1]:
        row = int(before) + 1
        same = rows.time[row] == rows.time[before]
        fault = "the same time as" if same else "earlier than"
        step = "keep one row per time" if same else "sort the source, or say order: newest_first if it runs backward"
        here, there = (pd.Timestamp(rows.time[one], tz="UTC") for one in (row, before))
        raise BadRecords(
            f"{rows.files[rows.file[row]]}: {'duplicate' if same else 'unsorted'} time {here} in row "
            f"{rows.row[row] + 1}, {fault} row {rows.row[before] + 1} of {rows.files[rows.file[before]]} ({there}); "
            f"{step}"
        )
