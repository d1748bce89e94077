"""The z-score operator of the metrics: one way to standardize, with the options of the experiment."""

from __future__ import annotations

import numpy as np

from btcflow import rolling
from btcflow.flow.bars import Bars

__all__ = ["standardize"]


def standardize(bars: Bars, values: np.ndarray, *, window: int, floor: float) -> np.ndarray:
    """How unusual each value is among those of its window, by ``zscore.mode``.

    ``classic``: ``(x - mean_n) / max(std_n, floor)`` with the population deviation; ``robust``:
    ``(x - median_n) / max(1.4826 MAD_n, floor)``; ``percentile``: the rank of x in the window, from 0
    (lowest) to 1 (highest), ties counted half, without a floor.

    Parameters
    ----------
    bars : give the options: mode, inclusive or exclusive window, NaN policy, longest gap
    values : (T,) one value per bar, in any unit
    window : n, in bars
    floor : least deviation, in the unit of ``values``; 0 = none

    Returns
    -------
    (T,) float64: deviations, or a rank

    Notes
    -----
    NaN where the value is, before n valid bars (n + 1 where exclusive), where the deviation is 0 and
    there is no floor, and where the window spans too many bars (any hole, under ``na_policy:
    strict``). Thresholds written in deviations do not carry over to ``percentile``: half of all values
    lie above 0.5, none above 1 or below 0.
    """
    chosen = bars.options.zscore
    gap = 0 if chosen.na_policy == "strict" else bars.options.max_gap(bars.timeframe, window)
    if chosen.mode == "robust":
        return rolling.robust_zscore(values, window, floor=floor, window=chosen.window, max_gap=gap)
    if chosen.mode == "percentile":
        return rolling.percentile(values, window, window=chosen.window, max_gap=gap)
    return rolling.zscore(values, window, floor=floor, window=chosen.window, max_gap=gap)
