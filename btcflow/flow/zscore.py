"""The z-score operator of the metrics: one way to standardize, with the options of the experiment."""

from __future__ import annotations

import numpy as np

from btcflow import rolling
from btcflow.flow.bars import Bars

__all__ = ["standardize"]


def standardize(bars: Bars, values: np.ndarray, *, window: int, floor: float) -> np.ndarray:
    """``(x - mean_n) / max(std_n, floor)`` with the experiment's window, NaN and gap policy; shape (T,)."""
    chosen = bars.options.zscore
    return rolling.zscore(
        values,
        window,
        floor=floor,
        window=chosen.window,
        na_policy=chosen.na_policy,
        max_gap=bars.options.max_gap(bars.timeframe, window),
    )
