"""Symptoms: how a known defect shows in the rows themselves. Each looks at one series and marks rows.

A symptom that marks rows decides each from itself, its neighbours of the same time, and nothing later:
what is excluded today is what would have been excluded then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.audit.rows import NO_TIME, Rows
from btcflow.data.records import utc_ns

__all__ = ["GENESIS", "SYMPTOMS", "Shown", "missing_between", "shown"]

GENESIS = pd.Timestamp("2009-01-03", tz="UTC")
"""The first block: no Bitcoin market has an earlier time."""
_FAR = pd.Timestamp("2100-01-01", tz="UTC")
_HOUR = 3_600_000_000_000
_EIGHT = 8
_OPPOSED, _OPPOSED_AND_SMOOTH, _SMOOTH = -0.3, -0.1, 0.3
_LEAST = 200


@dataclass(frozen=True)
class Shown:
    """Where a defect shows.

    Attributes
    ----------
    rows : (N,) bool, the rows that show it
    missing : steps of the grid that should be there and are not
    visible : False where rows alone cannot tell
    """

    rows: np.ndarray
    missing: int = 0
    visible: bool = True

    @property
    def count(self) -> int:
        """Rows that show it, plus rows that are not there."""
        return int(self.rows.sum()) + self.missing


Symptom = Callable[[Rows, np.ndarray, str | None, tuple[int | None, int | None]], Shown]


def _zero(rows: Rows, inside: np.ndarray, field: str | None, _: object) -> Shown:
    """A value of exactly zero where none can be."""
    names = [field] if field else [name for name in rows.values if name not in ("volume", "buy")]
    return Shown(inside & np.any([rows.values[name] == 0 for name in names], axis=0))


def _duplicate(rows: Rows, inside: np.ndarray, _: str | None, __: object) -> Shown:
    """A stamp that an earlier row of the source has already."""
    again = pd.Series(rows.stamp).duplicated(keep="first").to_numpy()
    return Shown(inside & again & (rows.stamp != NO_TIME))


def _hole(rows: Rows, inside: np.ndarray, _: str | None, span: tuple[int | None, int | None]) -> Shown:
    """Steps missing in the span, between the first row of the series and the last."""
    return Shown(np.zeros(len(rows), dtype=bool), missing_between(rows, inside, *span))


def _impossible_time(rows: Rows, inside: np.ndarray, _: str | None, __: object) -> Shown:
    """No time at all, a time before the first block, or one in the far future."""
    return Shown(inside & ((rows.stamp < GENESIS.value) | (rows.stamp > _FAR.value)))


def _off_grid(rows: Rows, inside: np.ndarray, _: str | None, __: object) -> Shown:
    """A bar that does not open where its timeframe opens bars."""
    known = rows.stamp > GENESIS.value
    opens = pd.DatetimeIndex(pd.to_datetime(np.where(known, rows.stamp, 0), unit="ns", utc=True))
    on = utc_ns(timeframes.bar_open(opens, rows.key.timeframe)) == utc_ns(opens)
    return Shown(inside & known & ~on)


def _halted(rows: Rows, inside: np.ndarray, _: str | None, span: tuple[int | None, int | None]) -> Shown:
    """A bar in which nothing traded, or at one price only, or that is not there at all."""
    still = np.zeros(len(rows), dtype=bool)
    if "volume" in rows.values:
        still = (rows.values["volume"] == 0) | (rows.values["high"] == rows.values["low"])
    return Shown(inside & still, missing_between(rows, inside, *span))


def _overlapping_8h(rows: Rows, inside: np.ndarray, _: str | None, __: object) -> Shown:
    """Hourly rates that are sums over the eight hours before.

    The change of such a sum from hour to hour is the newest hour less the one that left eight hours ago,
    so changes eight hours apart go against each other: their correlation is -1/2 for independent hours, and
    weaker where hours resemble each other, but then neighbouring changes go together, which those of hourly
    rates do not. A series that states its rates are for eight hours is not concerned.
    """
    hourly = inside.copy()
    if {"rate", "rate_hours", "spacing_hours"} <= set(rows.values):
        hourly &= (rows.values["spacing_hours"] == 1) & (rows.values["rate_hours"] == 1)
    none = np.zeros(len(rows), dtype=bool)
    if int(hourly.sum()) < _LEAST:
        return Shown(none, visible=False)
    change = _hourly_changes(rows.stamp[hourly], rows.values["rate"][hourly])
    smooth, opposed = (_rank_correlation(change, change.shift(lag)) for lag in (1, _EIGHT))
    if smooth is None or opposed is None:
        return Shown(none, visible=False)
    sums = opposed < _OPPOSED or (opposed < _OPPOSED_AND_SMOOTH and smooth > _SMOOTH)
    return Shown(hourly if sums else none)


def _hourly_changes(stamp: np.ndarray, rate: np.ndarray) -> pd.Series:
    """Change of the rate over each hour of an unbroken hourly index; NaN next to a missing hour."""
    hours = pd.Series(rate, index=np.rint(stamp / _HOUR).astype(np.int64)).groupby(level=0).last()
    return hours.reindex(range(int(hours.index[0]), int(hours.index[-1]) + 1)).diff()


def _rank_correlation(one: pd.Series, other: pd.Series) -> float | None:
    """Spearman's correlation; None for too few pairs, or values that stand still."""
    both = one.notna() & other.notna()
    ranks = [series[both].rank() for series in (one, other)]
    if both.sum() < _LEAST or any(series.std() == 0 for series in ranks):
        return None
    return float(ranks[0].corr(ranks[1]))


def _any_row(rows: Rows, inside: np.ndarray, _: str | None, __: object) -> Shown:
    """Every row of the span is concerned; rows alone do not show whether it was mended before."""
    return Shown(inside.copy())


def _unseen(rows: Rows, _: np.ndarray, __: str | None, ___: object) -> Shown:
    """Leaves no trace in single rows."""
    return Shown(np.zeros(len(rows), dtype=bool), visible=False)


SYMPTOMS: dict[str, Symptom] = {
    "zero": _zero,
    "duplicate": _duplicate,
    "hole": _hole,
    "impossible_time": _impossible_time,
    "off_grid": _off_grid,
    "halted": _halted,
    "overlapping_8h": _overlapping_8h,
    "any_row": _any_row,
    "unseen": _unseen,
}
"""By the name the catalogue uses."""


def shown(symptom: str, rows: Rows, *, field: str | None, start: int | None, end: int | None) -> Shown:
    """Where a symptom shows in the rows stamped in ``[start, end)``."""
    return SYMPTOMS[symptom](rows, rows.between(start, end), field, (start, end))


def missing_between(rows: Rows, inside: np.ndarray, start: int | None, end: int | None) -> int:
    """Grid steps of ``[start, end)`` without a row, between the first row of the series and the last.

    The grid is that of the timeframe from midnight on; a row counts for the step it is nearest to.
    """
    known = rows.stamp[rows.stamp > GENESIS.value]
    if not len(known):
        return 0
    step = rows.step_ns
    low = max(int(known.min()), start if start is not None else int(known.min()))
    high = min(int(known.max()) + 1, end if end is not None else int(known.max()) + 1)
    if high <= low:
        return 0
    offset = int(pd.Series(known % step).mode().iloc[0])
    first, last = -(-(low - offset) // step), -(-(high - offset) // step)
    stamps = rows.stamp[inside & (rows.stamp >= low)]
    have = np.unique(np.rint((stamps - offset) / step).astype(np.int64))
    return max(0, int(last - first) - int(((have >= first) & (have < last)).sum()))
