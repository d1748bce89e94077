"""Rows as a source gave them: duplicates, zeros and rows without a time included, which Records refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.records import Records, SeriesKey, utc_ns
from btcflow.fields import KINDS

__all__ = ["NO_TIME", "Rows"]

NO_TIME = int(np.iinfo(np.int64).min)
"""The stamp of a row that has no time."""


@dataclass(frozen=True)
class Rows:
    """N rows of one series, unchecked.

    Attributes
    ----------
    key : which series
    stamp : (N,) int64 nanoseconds UTC, in the order of the source; :data:`NO_TIME` where there is none
    values : (N,) float64 each, by column name
    """

    key: SeriesKey
    stamp: np.ndarray
    values: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, key: SeriesKey, frame: pd.DataFrame) -> Rows:
        """The rows of a frame with ``stamp`` (UTC) and the columns of the kind."""
        names = KINDS[key.kind].columns
        return cls(key, utc_ns(frame["stamp"]), {name: frame[name].to_numpy(dtype=np.float64) for name in names})

    @classmethod
    def of_records(cls, records: Records) -> Rows:
        """The rows of checked records."""
        return cls.of(records.key, records.frame)

    def __len__(self) -> int:
        return len(self.stamp)

    @property
    def step_ns(self) -> int:
        """Nominal distance of two rows, nanoseconds."""
        return timeframes.parse(self.key.timeframe).seconds * 1_000_000_000

    def between(self, start: int | None, end: int | None) -> np.ndarray:
        """Rows stamped in ``[start, end)``; an absent bound is none; a row without a time is in an open span; (N,)."""
        inside = np.ones(len(self), dtype=bool)
        if start is not None:
            inside &= self.stamp >= start
        if end is not None:
            inside &= self.stamp < end
        return inside
