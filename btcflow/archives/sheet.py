"""A published CSV, with or without a header line, as numbers and UTC times."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from btcflow.data.epochs import epochs
from btcflow.errors import BadRecords

__all__ = ["Sheet", "read_sheet"]


@dataclass(frozen=True)
class Sheet:
    """The cells of one file as text, by column; rows count from 1 in messages."""

    name: str
    cells: pd.DataFrame

    def __len__(self) -> int:
        return len(self.cells)

    def has(self, column: str) -> bool:
        """True where the file has the column."""
        return column in self.cells.columns

    def text(self, column: str) -> np.ndarray:
        """A column as stripped text, blank cells as ``""``; shape (N,), object."""
        return self._column(column).str.strip().to_numpy(dtype=object)

    def _column(self, column: str) -> pd.Series[str]:
        if column not in self.cells.columns:
            raise BadRecords(
                f"{self.name}: no column {column!r}; it has: {', '.join(map(str, self.cells.columns))}. "
                "Did the publisher rename it?"
            )
        return self.cells[column]

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64, blank cells as NaN; shape (N,).

        Raises
        ------
        BadRecords
            for a column that is not there, or the first cell that is no number.
        """
        try:
            return np.asarray(self._column(column).astype(np.float64))
        except ValueError:
            cells = self.text(column)
        cells[cells == ""] = "nan"
        try:
            return cells.astype(np.float64)
        except ValueError:
            row = next(row for row, cell in enumerate(cells) if not _is_number(cell))
            raise BadRecords(f"{self.name}: column {column!r}, row {row + 1}: {cells[row]!r} is no number") from None

    def epochs(self, column: str) -> np.ndarray:
        """A column of times since 1970, in the unit their size says, as int64 nanoseconds UTC; shape (N,)."""
        return epochs(self.text(column), f"{self.name}: column {column!r}")

    def moments(self, column: str, written: str) -> np.ndarray:
        """A column of UTC times written as ``written`` says (strftime), as int64 nanoseconds; shape (N,)."""
        cells = self.text(column)
        found = pd.to_datetime(pd.Series(cells, dtype=object), format=written, utc=True, errors="coerce")
        for row in np.flatnonzero(found.isna())[:1]:
            raise BadRecords(
                f"{self.name}: column {column!r}, row {row + 1}: {cells[row]!r} is not a time; expected {written}"
            )
        return np.asarray(found.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64))


def read_sheet(body: bytes, name: str, columns: Sequence[str]) -> Sheet:
    """Cut a CSV into columns; a header line is one that does not begin with a digit.

    Parameters
    ----------
    body : the text of the file, UTF-8
    name : what messages call it
    columns : the names of a file without a header, in their order

    Raises
    ------
    BadRecords
        for text that is no CSV, or another number of columns where no header says which they are.
    """
    text = body.lstrip(b"\xef\xbb\xbf \r\n")
    if not text:
        raise BadRecords(f"{name}: empty; expected rows")
    headed = not text[:1].isdigit()
    try:
        cells = pd.read_csv(io.BytesIO(text), header=None, dtype=str, keep_default_na=False, na_filter=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRecords(f"{name}: not a CSV of one shape ({str(error).strip()})") from None
    if headed:
        names = [str(one).strip().lower() for one in cells.iloc[0]]
        return Sheet(name, cells.iloc[1:].set_axis(names, axis=1).reset_index(drop=True))
    if cells.shape[1] != len(columns):
        raise BadRecords(
            f"{name}: {cells.shape[1]} columns and no header; expected {len(columns)}: {', '.join(columns)}. "
            "Did the publisher change the format?"
        )
    return Sheet(name, cells.set_axis(list(columns), axis=1))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
