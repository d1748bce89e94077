"""A series' own grid: how many of its steps are missing, and how many hours a settlement covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.records import Records, utc_ns
from btcflow.errors import BadRecords

__all__ = ["SPACINGS", "Holes", "bar_holes", "event_holes", "holes", "spacings"]

SPACINGS = (1.0, 2.0, 4.0, 8.0, 24.0)
"""Hours between settlements that venues use."""
_HOUR = 3_600_000_000_000
_MEMORY = 10
_TOO_FAR = 1.5


@dataclass(frozen=True)
class Holes:
    """``missing`` steps between the first row and the last, in so many ``stretches``."""

    missing: int
    stretches: int


def holes(records: Records) -> Holes:
    """What a series lacks of its own grid between its first row and its last."""
    kind, stamp = records.key.kind, records.stamp
    if kind == "funding":
        return event_holes(stamp, records.column("spacing_hours"))
    if kind == "open_interest":
        return event_holes(stamp, np.full(len(stamp), timeframes.parse(records.key.timeframe).seconds / 3600))
    return bar_holes(stamp, records.key.timeframe)


def bar_holes(opens: np.ndarray, timeframe: str) -> Holes:
    """Bars that are missing between the first and the last.

    Parameters
    ----------
    opens : (N,) int64 nanoseconds UTC on the grid of ``timeframe``, strictly rising
    """
    missing = stretches = 0
    index = pd.DatetimeIndex(pd.to_datetime(opens, unit="ns", utc=True))
    closes = utc_ns(timeframes.bar_close(index, timeframe))
    frame = timeframes.parse(timeframe)
    for row in np.flatnonzero(opens[1:] != closes[:-1]):
        stretches += 1
        missing += _bars_between(int(closes[row]), int(opens[row + 1]), timeframe, frame)
    return Holes(missing, stretches)


def _bars_between(start: int, end: int, timeframe: str, frame: timeframes.Timeframe) -> int:
    if frame.fixed:
        return (end - start) // (frame.seconds * 1_000_000_000)
    count, at = 0, pd.DatetimeIndex([pd.Timestamp(start, tz="UTC")])
    while utc_ns(at)[0] < end:
        at, count = timeframes.bar_close(at, timeframe), count + 1
    return count


def event_holes(stamp: np.ndarray, spacing_hours: np.ndarray) -> Holes:
    """Settlements or snapshots that are missing.

    An event further than 1.5 spacings from the one before has lost ``round(distance / spacing) - 1``
    others. A late one (10 hours after the one before instead of 8) has lost none.

    Parameters
    ----------
    stamp : (N,) int64 nanoseconds UTC, strictly rising
    spacing_hours : (N,) hours each event covers

    Examples
    --------
    >>> hours = np.array([0, 8, 18, 24, 48]) * 3_600_000_000_000
    >>> event_holes(hours, np.full(5, 8.0))
    Holes(missing=2, stretches=1)
    """
    ratio = np.diff(stamp) / _HOUR / spacing_hours[1:]
    far = ratio > _TOO_FAR
    return Holes(int(np.rint(ratio[far] - 1).sum()), int(far.sum()))


def spacings(stamp: np.ndarray, stated: float | Literal["auto"], *, name: str) -> np.ndarray:
    """Hours each settlement covers.

    With ``auto`` a settlement covers the time since the one before it, rounded to 1, 2, 4, 8 or 24
    hours (the nearest by ratio). Where that time is more than 1.5 times the running spacing (the
    rounded median of the last ten distances before it), a settlement is missing in between, and the
    running spacing holds. The first settlement covers what the second does.

    Parameters
    ----------
    stamp : (N,) int64 nanoseconds UTC, strictly rising
    stated : hours, or ``auto``
    name : the file, for messages

    Returns
    -------
    (N,) float64 hours

    Raises
    ------
    BadRecords
        where ``auto`` has fewer than two rows or a first distance that is no usual one, or the stated
        hours are not what lies between the rows.

    Examples
    --------
    >>> hours = np.array([0, 8, 16, 40, 44, 48]) * 3_600_000_000_000
    >>> spacings(hours, "auto", name="x.csv")
    array([8., 8., 8., 8., 4., 4.])
    """
    gaps = np.diff(stamp) / _HOUR
    if stated != "auto":
        _refuse_other_spacing(gaps, stated, name)
        return np.full(len(stamp), stated, dtype=np.float64)
    if not len(gaps):
        raise BadRecords(f"{name}: one row gives no distance to infer spacing_hours from; state it as a number")
    first = _rounded(float(gaps[0]))
    if not first / _TOO_FAR < gaps[0] < first * _TOO_FAR:
        raise BadRecords(
            f"{name}: the first two settlements are {gaps[0]:g} hours apart, which is no usual spacing "
            f"({', '.join(f'{one:g}' for one in SPACINGS)}); state spacing_hours as a number, or begin later with from:"
        )
    found = [first, first]
    for row in range(1, len(gaps)):
        running = _rounded(float(np.median(gaps[max(0, row - _MEMORY) : row])))
        found.append(running if gaps[row] > _TOO_FAR * running else _rounded(float(gaps[row])))
    return np.array(found)


def _rounded(hours: float) -> float:
    return min(SPACINGS, key=lambda one: max(one / hours, hours / one))


def _refuse_other_spacing(gaps: np.ndarray, stated: float, name: str) -> None:
    if not len(gaps):
        return
    typical = float(np.median(gaps))
    if not stated / _TOO_FAR <= typical <= stated * _TOO_FAR:
        raise BadRecords(
            f"{name}: spacing_hours is {stated:g} and the settlements are typically {typical:g} hours apart; state "
            "what the file has, or `auto`"
        )
