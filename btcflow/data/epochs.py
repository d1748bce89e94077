"""Numbers since 1970 whose unit their size tells: no time from 2009 to 2100 is one in two units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from btcflow.errors import BadRecords

__all__ = ["EARLIEST", "LATEST", "NANOSECONDS", "common_unit", "epochs"]

NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in each unit."""
EARLIEST = pd.Timestamp("2009-01-03", tz="UTC").value
LATEST = pd.Timestamp("2100-01-01", tz="UTC").value


def common_unit(values: np.ndarray, at: Callable[[int], str]) -> str | None:
    """The one unit in which all values are times from 2009 to 2100; None where some value is in no unit.

    Parameters
    ----------
    values : (N,) int64
    at : names the place of a row, for messages

    Raises
    ------
    BadRecords
        for a column that holds two units, with a row of each.
    """
    units = np.full(len(values), "", dtype=object)
    for unit, factor in NANOSECONDS.items():
        units[(values >= EARLIEST // factor) & (values < LATEST // factor)] = unit
    known = np.flatnonzero(units != "")
    for row in known[units[known] != units[known[:1]]][:1]:
        first = int(known[0])
        raise BadRecords(
            f"{at(int(row))}: time units are mixed: {values[first]} in row {first + 1} is in {units[first]}, "
            f"{values[row]} in row {row + 1} in {units[row]}; write them all in one unit"
        )
    return str(units[0]) if len(known) == len(values) and len(values) else None


def epochs(texts: np.ndarray, name: str) -> np.ndarray:
    """Times since 1970 in seconds, milli-, micro- or nanoseconds, told apart by their size.

    Parameters
    ----------
    texts : (N,) whole numbers as text
    name : file and column, for messages

    Returns
    -------
    (N,) int64 nanoseconds UTC

    Raises
    ------
    BadRecords
        for a cell that is no whole number, one that is in no unit a time from 2009 to 2100, and two units in
        one column.

    Examples
    --------
    >>> epochs(np.array(["1735689600000000"]), "x").tolist() == epochs(np.array(["1735689600000"]), "x").tolist()
    True
    """
    if not len(texts):
        return np.zeros(0, dtype=np.int64)
    try:
        values = np.array([int(one) for one in texts], dtype=np.int64)
    except (ValueError, OverflowError):
        row = next(row for row, one in enumerate(texts) if not str(one).lstrip("-").isdigit() or len(str(one)) > 18)
        raise BadRecords(f"{name}, row {row + 1}: {texts[row]!r} is not a time since 1970") from None
    unit = common_unit(values, lambda row: f"{name}, row {row + 1}")
    if unit is None:
        row = next(row for row, one in enumerate(values) if _in_no_unit(int(one)))
        raise BadRecords(f"{name}, row {row + 1}: {texts[row]!r} is in no unit a time from 2009 to 2100")
    return values * np.int64(NANOSECONDS[unit])


def _in_no_unit(value: int) -> bool:
    return not any(EARLIEST // factor <= value < LATEST // factor for factor in NANOSECONDS.values())
