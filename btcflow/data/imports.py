"""Real files into the store: read them all, check every row, and only then write.

Nothing is filled, clipped or lost in silence: a row is kept, or dropped by a rule of the spec and
counted, or the import stops and says which file, column, row and time broke which rule.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.grids import holes, spacings
from btcflow.data.import_rows import Rows, cut_and_drop, read_rows, refuse_disorder
from btcflow.data.import_spec import ImportSpec, SeriesSpec
from btcflow.data.records import Records, SeriesKey, utc_ns
from btcflow.data.store import Store
from btcflow.errors import BadRecords, ConfigError, DataError, MissingData, nearest
from btcflow.fields import KINDS

__all__ = ["FileReport", "ImportReport", "build_records", "import_files"]

_RATE_UNITS = {"fraction": 1.0, "percent": 100.0, "bps": 10_000.0}
_COARSER = 1.5
_HIGH_RATE = 0.003
"""A typical rate above this (30 bp; the usual one is 1 bp) is worth a note about its unit."""


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What became of one entry of the spec.

    ``read == kept + sum of dropped``. ``first`` and ``last`` are stamps as stored. ``missing`` counts
    the steps of the series' own grid between them that have no row (dropped rows are among them), and
    ``holes`` the stretches they form.
    """

    file: str
    files: tuple[str, ...]
    key: SeriesKey
    read: int
    kept: int
    dropped: tuple[tuple[str, int], ...]
    first: pd.Timestamp
    last: pd.Timestamp
    missing: int
    holes: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of every entry of the spec, in the spec's order."""

    files: tuple[FileReport, ...]

    def __iter__(self) -> Iterator[FileReport]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def import_files(folder: Path, spec: ImportSpec, store: Store) -> ImportReport:
    """Bring the files of a folder into the store, as the spec says.

    All files are read and checked before the first is written; what is already there with the same
    content keeps its bytes.

    Parameters
    ----------
    folder : the folder that the spec's names are in; or one file, then only its entry is imported
    spec : what the rows mean
    store : where they go

    Raises
    ------
    MissingData
        for a file the spec names and the folder has not; where other entries have bad rows as well,
        all are named together.
    BadRecords
        for rows that break a rule, one message for each entry.
    ConfigError
        for one file that no entry of the spec names.
    StoreError
        where the disk refuses; the store is then as it was.
    """
    root, entries = _entries(folder, spec)
    built: list[tuple[Records, FileReport]] = []
    faults: list[DataError] = []
    for entry in entries:
        try:
            built.append(build_records(root, entry))
        except DataError as fault:
            faults.append(fault)
    if faults:
        raise _all_in_one(faults, len(entries))
    store.write_all(records for records, _ in built)
    return ImportReport(files=tuple(report for _, report in built))


def build_records(folder: Path, spec: SeriesSpec) -> tuple[Records, FileReport]:
    """One entry of a spec as checked records, and what became of its rows; see :func:`import_files`."""
    files = _matches(folder, spec)
    rows = read_rows(folder, files, spec)
    read = len(rows)
    if spec.kind != "funding":
        _refuse_coarser(rows, spec)
    rows, dropped = cut_and_drop(rows, spec)
    if not len(rows):
        said = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "the file has no rows"
        raise BadRecords(f"{spec.file}: no row is left of {read} ({said}); is from, until or drop too wide?")
    refuse_disorder(rows)
    stamp, ends = _stamps(rows, spec)
    columns, notes = _values(rows, spec, stamp)
    records = Records(
        key=spec.key,
        instrument=spec.instrument,
        frame=_frame(stamp, ends + pd.Timedelta(spec.known_after).value, columns),
        source=spec.source or f"imported from {spec.file}",
        lag=pd.Timedelta(spec.lag),
        synthetic=spec.synthetic,
    )
    lacking = holes(records)
    report = FileReport(
        file=spec.file,
        files=tuple(files),
        key=spec.key,
        read=read,
        kept=len(records),
        dropped=tuple(dropped.items()),
        first=records.frame["stamp"].iloc[0],
        last=records.frame["stamp"].iloc[-1],
        missing=lacking.missing,
        holes=lacking.stretches,
        notes=tuple(notes),
    )
    return records, report


# -- which files ---------------------------------------------------------------------------------


def _entries(folder: Path, spec: ImportSpec) -> tuple[Path, tuple[SeriesSpec, ...]]:
    if not folder.exists():
        raise MissingData(f"{folder}: no such file or folder; expected the folder that holds the spec's files")
    if folder.is_dir():
        return folder, spec.files
    chosen = tuple(one.model_copy(update={"file": folder.name}) for one in spec.files if _names(one.file, folder.name))
    if not chosen:
        known = sorted({one.file for one in spec.files})
        close = nearest(folder.name, known)
        hint = f"did you mean {close!r}?" if close else f"it names: {', '.join(known)}"
        raise ConfigError(f"{folder.name}: no entry of the spec names this file; {hint}")
    return folder.parent, chosen


def _names(pattern: str, name: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern.rsplit("/", maxsplit=1)[-1])


def _matches(folder: Path, spec: SeriesSpec) -> list[str]:
    """The files of an entry, oldest name first."""
    if (folder / spec.file).is_file():
        return [spec.file]
    found = sorted(one.relative_to(folder).as_posix() for one in folder.glob(spec.file) if one.is_file())
    if not found:
        close = nearest(spec.file, [one.name for one in folder.iterdir()])
        hint = f"; did you mean {close!r}?" if close else ""
        raise MissingData(
            f"{spec.file}: no such file in {folder}{hint}; put it there, or take its entry out of the spec"
        )
    return found


def _all_in_one(faults: list[DataError], entries: int) -> DataError:
    if len(faults) == 1:
        return faults[0]
    kind = MissingData if all(isinstance(one, MissingData) for one in faults) else BadRecords
    text = "\n".join(str(one) for one in faults)
    return kind(f"{len(faults)} of {entries} series cannot be imported, and nothing was written:\n{text}")


# -- times ---------------------------------------------------------------------------------------


def _stamps(rows: Rows, spec: SeriesSpec) -> tuple[np.ndarray, np.ndarray]:
    """Stamps as :class:`Records` wants them, and the end of the time each row describes; int64 ns, (N,)."""
    if spec.stamp in {"instant", "settlement"}:
        return rows.time, rows.time
    named = pd.DatetimeIndex(pd.to_datetime(rows.time, unit="ns", utc=True))
    inside = named - pd.Timedelta(1, unit="ns") if spec.stamp == "bar_close" else named
    opens = timeframes.bar_open(inside, spec.timeframe)
    closes = utc_ns(timeframes.bar_close(opens, spec.timeframe))
    edge = closes if spec.stamp == "bar_close" else utc_ns(opens)
    for row in np.flatnonzero(edge != rows.time)[:1]:
        what = "close" if spec.stamp == "bar_close" else "open"
        raise BadRecords(
            f"{rows.at(int(row), spec.time.column)}: not the {what} of a {spec.timeframe} bar in UTC; are stamp, "
            "timeframe and time.zone right?"
        )
    return (closes, closes) if spec.stamp == "value_at_close" else (utc_ns(opens), closes)


def _refuse_coarser(rows: Rows, spec: SeriesSpec) -> None:
    """Refuse a file whose rows are all further apart than the bars it is said to hold."""
    apart = np.diff(rows.time)
    apart = apart[apart > 0]
    if len(apart) > 1 and apart.min() > _COARSER * timeframes.parse(spec.timeframe).seconds * 1_000_000_000:
        raise BadRecords(
            f"{spec.file}: no two rows are one {spec.timeframe} apart (the nearest two are "
            f"{pd.Timedelta(int(apart.min()), unit='ns')} apart); is timeframe right?"
        )


def _frame(stamp: np.ndarray, known_at: np.ndarray, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    times = {
        "stamp": pd.to_datetime(stamp, unit="ns", utc=True),
        "known_at": pd.to_datetime(known_at, unit="ns", utc=True),
    }
    return pd.DataFrame(times | columns)


# -- values --------------------------------------------------------------------------------------


def _values(rows: Rows, spec: SeriesSpec, stamp: np.ndarray) -> tuple[dict[str, np.ndarray], list[str]]:
    """The kind's columns in its own units, and what a reader of them should know."""
    columns = {name: rows.values[theirs] * spec.scale.get(name, 1.0) for name, theirs in spec.needed.items()}
    for name, values in columns.items():
        _refuse(rows, spec, name, ~np.isfinite(values), "expected a number", columns)
    if spec.kind == "funding":
        notes = _funding(rows, spec, stamp, columns)
    elif spec.kind == "open_interest":
        _refuse(rows, spec, "value", columns["value"] <= 0, "open interest is never zero or negative", columns)
        notes = []
    else:
        notes = _bars(rows, spec, columns)
    return {name: columns[name] for name in KINDS[spec.kind].columns}, notes


def _bars(rows: Rows, spec: SeriesSpec, columns: dict[str, np.ndarray]) -> list[str]:
    if spec.kind == "taker_volume":
        _refuse(rows, spec, "buy", columns["buy"] < 0, "expected a volume of zero or more", columns)
        return []
    if spec.kind == "premium_index":
        for name in KINDS[spec.kind].columns:
            columns[name] = columns[name] / _RATE_UNITS[spec.rate_unit]
            _refuse(rows, spec, name, np.abs(columns[name]) >= 1, "expected a fraction of the price", columns)
    else:
        for name in ("open", "high", "low", "close"):
            _refuse(rows, spec, name, columns[name] <= 0, "expected a positive price", columns)
    notes = _refuse_outside(rows, spec, columns)
    if spec.kind == "ohlcv":
        notes += _volume(rows, spec, columns)
    return notes


def _refuse_outside(rows: Rows, spec: SeriesSpec, columns: dict[str, np.ndarray]) -> list[str]:
    high, low = columns["high"], columns["low"]
    _refuse(rows, spec, "high", high < low, "expected high at or above low", columns)
    inside = "expected a price between the bar's low and high"
    _refuse(rows, spec, "close", (columns["close"] > high) | (columns["close"] < low), inside, columns)
    outside = (columns["open"] > high) | (columns["open"] < low)
    if not spec.open_is_previous_close:
        hint = f"{inside}; if the venue writes the previous close there, say open_is_previous_close: true"
        _refuse(rows, spec, "open", outside, hint, columns)
        return []
    return [f"{int(outside.sum())} bars open outside their high and low: open is the previous close"]


def _volume(rows: Rows, spec: SeriesSpec, columns: dict[str, np.ndarray]) -> list[str]:
    if spec.volume_unit == "none":
        columns["volume"] = np.full(len(rows), np.nan)
        return ["the file holds no volume"]
    _refuse(rows, spec, "volume", columns["volume"] < 0, "expected a volume of zero or more", columns)
    if spec.volume_unit == "btc":
        return []
    columns["volume"] = columns["volume"] / columns["close"]
    return [f"volume in {spec.volume_unit} made BTC by division by the bar's own close"]


def _funding(rows: Rows, spec: SeriesSpec, stamp: np.ndarray, columns: dict[str, np.ndarray]) -> list[str]:
    columns["rate"] = columns["rate"] / _RATE_UNITS[spec.rate_unit]
    hint = "expected a fraction of notional inside (-1, 1); is rate_unit percent or bps?"
    _refuse(rows, spec, "rate", np.abs(columns["rate"]) >= 1, hint, columns)
    notes = []
    if "spacing_hours" not in columns:
        columns["spacing_hours"] = spacings(stamp, spec.spacing_hours, name=spec.file)
    if "rate_hours" not in columns:
        hours = columns["spacing_hours"] if spec.rate_hours == "spacing" else spec.rate_hours
        columns["rate_hours"] = np.full(len(rows), hours, dtype=np.float64)
    for name in ("spacing_hours", "rate_hours"):
        _refuse(rows, spec, name, columns[name] <= 0, "expected hours above zero", columns)
    typical = float(np.median(np.abs(columns["rate"])))
    if typical > _HIGH_RATE:
        notes.append(f"the typical rate is {typical:.3%}, thirty times the usual or more; is rate_unit right?")
    return notes


def _refuse(
    rows: Rows, spec: SeriesSpec, name: str, bad: np.ndarray, expected: str, columns: dict[str, np.ndarray]
) -> None:
    for row in np.flatnonzero(bad)[:1]:
        theirs = spec.columns.get(name, name)
        raise BadRecords(
            f"{rows.at(int(row), theirs)}: {name} is {columns[name][row]:g}; {expected}. Mend the source, or leave "
            f"such rows out in words, drop: [{{column: {theirs}, when: ..., reason: ...}}]"
        )
