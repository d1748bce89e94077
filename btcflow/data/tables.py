"""Columns of a CSV, parquet or feather file as numbers and UTC times; a fault names file, column, row and time.

Rows count from 1 at the first row of data, in either format.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from btcflow.data.epochs import EARLIEST, LATEST, NANOSECONDS, common_unit
from btcflow.data.records import utc_ns
from btcflow.errors import BadRecords, ConfigError, nearest

if TYPE_CHECKING:
    from btcflow.data.import_spec import CsvLayout, TimeSpec

__all__ = ["Table", "read_table"]

_ZONED = re.compile(r":\d\d(\.\d+)?\s?(Z|UTC|[+-]\d\d(:?\d\d)?)$")
_BLANK = ("", "nan", "NaN", "NA", "N/A", "null", "NULL", "None")
_FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


@dataclass(frozen=True)
class Table:
    """The columns of one file that a spec asks for."""

    name: str
    columns: Any
    """A pyarrow table."""

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64, NaN where the cell is empty; shape (N,).

        Raises
        ------
        BadRecords
            for the first cell that is no number.
        """
        import pyarrow as pa

        cells = self.columns[column]
        try:
            return np.asarray(cells.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        except pa.ArrowException:
            return np.array([self._number(column, row, cell) for row, cell in enumerate(cells.to_pylist())])

    def flags(self, column: str) -> np.ndarray:
        """A column of ``true`` and ``false`` (or 1 and 0) as booleans; shape (N,).

        Raises
        ------
        BadRecords
            for the first cell that is neither, or is empty.
        """
        cells = self.columns[column].to_pylist()
        for row, cell in enumerate(cells):
            if str(cell).strip().lower() not in _FLAGS:
                raise BadRecords(f"{self.at(column, row)}: {cell!r} is neither true nor false")
        return np.array([_FLAGS[str(cell).strip().lower()] for cell in cells], dtype=bool)

    def texts(self, column: str) -> list[str]:
        """A column as text without blanks around it, an empty cell as ``""``."""
        return ["" if cell is None else str(cell).strip() for cell in self.columns[column].to_pylist()]

    def times(self, spec: TimeSpec) -> np.ndarray:
        """The time column as int64 nanoseconds UTC; shape (N,).

        Raises
        ------
        BadRecords
            for an empty cell, a time without a zone, one that cannot be read, or one outside 2009 to 2100.
        ConfigError
            for a zone that does not exist.
        """
        import pyarrow as pa

        cells = self.columns[spec.column]
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        for row in np.flatnonzero(cells.is_null().to_numpy())[:1]:
            raise BadRecords(f"{self.at(spec.column, row)}: no time; drop the row in the source")
        if spec.unit != "datetime":
            found = self._epochs(spec)
        elif pa.types.is_timestamp(cells.type) and cells.type.tz is not None:
            found = utc_ns(self._aware(pd.DatetimeIndex(cells.to_pandas()), spec))
        elif pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
            found = utc_ns(self._localized(pd.DatetimeIndex(pd.to_datetime(cells.to_pandas())), spec))
        elif pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
            found = self._texts([text.strip() for text in cells.to_pylist()], spec)
        else:
            raise BadRecords(
                f"{self.name}: column {spec.column!r} holds {cells.type} and not times; expected "
                "time.unit: s, ms, us or ns"
            )
        for row in np.flatnonzero((found < EARLIEST) | (found >= LATEST))[:1]:
            raise BadRecords(
                f"{self.at(spec.column, row)}: {cells[int(row)].as_py()!r} read as {spec.unit} is "
                f"{pd.Timestamp(found[row], tz='UTC')}; expected a time from 2009 to 2100: is time.unit right?"
            )
        return found

    def at(self, column: str, row: int) -> str:
        """The place of a cell in words; ``row`` counts from 0."""
        return f"{self.name}: column {column!r}, row {row + 1}"

    def _number(self, column: str, row: int, cell: object) -> float:
        if cell is None:
            return float("nan")
        text = str(cell).strip()
        try:
            return float(text.replace("_", "?"))
        except ValueError:
            raise BadRecords(f"{self.at(column, row)}: {text!r} is no number; mend the source") from None

    def _epochs(self, spec: TimeSpec) -> np.ndarray:
        """Numbers since 1970 in integer arithmetic; only a fraction is rounded (to the nanosecond)."""
        import pyarrow as pa

        cells = self.columns[spec.column]
        try:
            whole = np.asarray(cells.cast(pa.int64()).to_numpy(), dtype=np.int64)
            fraction = np.zeros(len(whole))
        except pa.ArrowException:
            values = self.numbers(spec.column)
            floor = np.clip(np.floor(np.nan_to_num(values)), -(2.0**62), 2.0**62)
            whole = floor.astype(np.int64)
            fraction = np.where(np.isfinite(values), values - floor, 0.0)
        factor = NANOSECONDS[self._unit(whole, spec)]
        limit = LATEST // factor
        for row in np.flatnonzero(np.abs(whole) > limit)[:1]:
            raise BadRecords(
                f"{self.at(spec.column, row)}: {cells[int(row)].as_py()!r} read as {spec.unit} is after 2100; "
                "expected a time from 2009 to 2100: is time.unit right?"
            )
        return whole * factor + np.rint(fraction * factor).astype(np.int64)

    def _unit(self, whole: np.ndarray, spec: TimeSpec) -> str:
        """The unit the spec says, or the size of the numbers tells; two units in one column are refused."""
        unit = common_unit(whole, lambda row: self.at(spec.column, row))
        if spec.unit != "epoch":
            return spec.unit
        if unit is None:
            raise BadRecords(
                f"{self.name}: column {spec.column!r}: a number is in no unit a time from 2009 to 2100; is it the "
                "right column?"
            )
        return unit

    def _texts(self, texts: list[str], spec: TimeSpec) -> np.ndarray:
        zoned = np.array([bool(_ZONED.search(text)) for text in texts], dtype=bool)
        if zoned.any() and not zoned.all():
            row = int(np.flatnonzero(zoned != zoned[0])[0])
            raise BadRecords(
                f"{self.at(spec.column, row)}: times with and without a zone are mixed ({texts[0]!r} in row 1, "
                f"{texts[row]!r} here); write them all one way"
            )
        iso = pd.Series([re.sub(r"\s?UTC$", "Z", text) for text in texts], dtype=object)
        aware = bool(zoned.all()) and len(texts) > 0
        try:
            index = pd.DatetimeIndex(pd.to_datetime(iso, format="ISO8601", utc=aware))
        except (ValueError, OverflowError):
            raise self._unreadable(iso, texts, spec, aware=aware) from None
        return utc_ns(self._aware(index, spec) if aware else self._localized(index, spec))

    def _unreadable(self, iso: pd.Series[Any], texts: list[str], spec: TimeSpec, *, aware: bool) -> BadRecords:
        parsed = pd.to_datetime(iso, format="ISO8601", utc=aware, errors="coerce")
        row = int(np.flatnonzero(parsed.isna())[0])
        hint = "; if it is a number since 1970, set time.unit" if re.fullmatch(r"\d{9,}", texts[row]) else ""
        return BadRecords(
            f"{self.at(spec.column, row)}: {texts[row]!r} is not a time; expected ISO 8601 such as "
            f"2020-01-01T00:00:00Z{hint}"
        )

    def _aware(self, index: pd.DatetimeIndex, spec: TimeSpec) -> pd.DatetimeIndex:
        if spec.zone not in {None, "UTC"}:
            raise BadRecords(
                f"{self.name}: column {spec.column!r} carries its own zone, and the spec says {spec.zone}; "
                "remove time.zone"
            )
        return index

    def _localized(self, index: pd.DatetimeIndex, spec: TimeSpec) -> pd.DatetimeIndex:
        if spec.zone is None:
            raise BadRecords(
                f"{self.name}: column {spec.column!r} holds times without a zone (row 1 is {index[0]}); say which it "
                "is in the spec, time: {zone: UTC}"
            )
        try:
            zone = ZoneInfo(spec.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigError(
                f"time.zone {spec.zone!r} for {self.name} is not a zone; such as UTC or Asia/Tokyo"
            ) from None
        try:
            return index.tz_localize(zone, ambiguous="raise", nonexistent="raise")
        except ValueError as error:
            raise BadRecords(
                f"{self.name}: column {spec.column!r}: a time does not exist once in {spec.zone} ({error}); export "
                "the file in UTC"
            ) from None


def read_table(path: Path, name: str, *, columns: Iterable[str], layout: CsvLayout) -> Table:
    """Read some columns of a file.

    Parameters
    ----------
    path, name : the file, and how messages call it
    columns : the file's columns to read
    layout : how a text file is cut

    Raises
    ------
    BadRecords
        for a file that cannot be read, is empty or lacks a column.
    """
    wanted = list(dict.fromkeys(columns))
    with _readable(name):
        if path.name.endswith(".parquet"):
            return Table(name, _parquet(path, name, wanted))
        if path.name.endswith(".feather"):
            return Table(name, _feather(path, name, wanted))
        return Table(name, _text(path, name, wanted, layout))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        said = str(error).split("\n", maxsplit=1)[0]
        raise BadRecords(f"{name}: cannot be read ({said}); is it whole, and what its name says?") from error


def _parquet(path: Path, name: str, wanted: list[str]) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        _refuse_absent(name, wanted, file.schema_arrow.names)
        return file.read(columns=wanted)


def _feather(path: Path, name: str, wanted: list[str]) -> Any:
    import pyarrow as pa

    with pa.OSFile(str(path)) as raw, pa.ipc.open_file(raw) as file:
        _refuse_absent(name, wanted, file.schema.names)
        return file.read_all().select(wanted)


def _text(path: Path, name: str, wanted: list[str], layout: CsvLayout) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = list(layout.names) if layout.names else _header(path, name, layout)
    _refuse_absent(name, wanted, names)
    return arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(
            skip_rows=layout.skip_lines + (0 if layout.names else 1), column_names=names, encoding="utf8"
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=layout.separator),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=wanted,
            null_values=list(_BLANK),
            strings_can_be_null=True,
        ),
    )


def _header(path: Path, name: str, layout: CsvLayout) -> list[str]:
    import pyarrow as pa

    with pa.input_stream(str(path), compression="detect") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as text:
        for _ in range(layout.skip_lines):
            next(text, None)
        names = [one.strip() for one in next(csv.reader(text, delimiter=layout.separator), [])]
    twice = sorted({one for one in names if names.count(one) > 1})
    if not names or twice:
        fault = f"column {twice[0]!r} is there twice" if twice else "no header line"
        raise BadRecords(f"{name}: {fault}; expected one header line with unlike names, or csv.names in the spec")
    return names


def _refuse_absent(name: str, wanted: list[str], have: list[str]) -> None:
    for one in wanted:
        if one not in have:
            close = nearest(one, have)
            guess = f"did you mean {close!r}" if close else f"it has: {', '.join(have)}"
            raise BadRecords(f"{name}: no column {one!r}; {guess}; name the file's columns under columns: in the spec")
