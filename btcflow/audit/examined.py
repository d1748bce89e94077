"""The data under examination: every series, and prices to hold them against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.audit.findings import Found, Severity, moment, told
from btcflow.data.records import Dataset, Records

__all__ = ["Examined", "changes", "rows_found", "step_of"]


@dataclass(frozen=True)
class Examined:
    """A dataset and the moment of its examination.

    Attributes
    ----------
    dataset : every series; a check may hold each against the others
    now : UTC; what is stamped later is from the future
    """

    dataset: Dataset
    now: pd.Timestamp
    _closes: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def kind(self, *kinds: str) -> Iterator[Records]:
        """The series of these kinds that have rows."""
        return (one for one in self.dataset if one.key.kind in kinds and len(one))

    @property
    def filled(self) -> Iterator[Records]:
        """Every series that has rows."""
        return (one for one in self.dataset if len(one))

    def closes(self, timeframe: str) -> pd.DataFrame:
        """Traded closes by the end of their bar, one column per instrument id; NaN where there is no bar.

        Instruments that trade at this timeframe, and those that have finer bars whose closes fall on its ends.
        """
        if timeframe not in self._closes:
            step = timeframes.parse(timeframe).seconds
            best: dict[str, Records] = {}
            for one in self.kind("ohlcv"):
                own = step_of(one)
                known = best.get(one.instrument.id)
                if own <= step and step % own == 0 and (known is None or own > step_of(known)):
                    best[one.instrument.id] = one
            columns = {name: pd.Series(one.column("close"), index=one.ends) for name, one in sorted(best.items())}
            table = pd.DataFrame(columns)
            self._closes[timeframe] = table[table.index % (step * 1_000_000_000) == 0] if len(table) else table
        return self._closes[timeframe]

    def price_at(self, instants: np.ndarray, one: Records) -> np.ndarray:
        """A close that ends at each instant: its own, else a dollar spot's, else any; NaN for none; (N,)."""
        own, dollars, others = [], [], []
        for each in self.kind("ohlcv"):
            if each.instrument.id == one.instrument.id:
                own.append(each)
            elif each.instrument.role == "spot" and each.instrument.quote == "USD":
                dollars.append(each)
            else:
                others.append(each)
        price = np.full(len(instants), np.nan)
        for each in (*own, *dollars, *others):
            ends = each.ends
            row = np.minimum(np.searchsorted(ends, instants), len(ends) - 1)
            found = np.isnan(price) & (ends[row] == instants)
            price[found] = each.column("close")[row[found]]
        return price


def step_of(one: Records) -> int:
    """Nominal seconds between two rows."""
    return timeframes.parse(one.key.timeframe).seconds


def changes(stamp: np.ndarray, values: np.ndarray, step_ns: int) -> pd.Series:
    """Change of ln value over one step, indexed by the later stamp; NaN across a hole and where it is undefined."""
    if len(values) < 2:
        return pd.Series(dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.diff(np.log(values))
    regular = np.diff(stamp) == step_ns
    return pd.Series(np.where(regular & np.isfinite(change), change, np.nan), index=stamp[1:])


def rows_found(
    one: Records, bad: np.ndarray, says: str, example: str, advice: str, *, severity: Severity | None = None
) -> Found:
    """A finding about single rows of a series: their count, their span and the first of them."""
    stamps = one.stamp[bad]
    first = told(moment(stamps[0]))
    return Found(
        series=str(one.key),
        says=says,
        count=int(bad.sum()),
        start=moment(stamps.min()),
        end=moment(stamps.max()),
        example=f"{first}: {example}" if example else first,
        advice=advice,
        severity=severity,
    )
