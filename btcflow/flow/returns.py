"""The traded instrument's own price on signal bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow.flow.metric import metric

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["bar_return", "price"]


@metric(unit="quote", needs=("close",))
def price(bars: Bars) -> np.ndarray:
    """Close of the traded instrument: the last trade of the bar.

    Returns
    -------
    (T,) float64, quote currency per BTC

    Notes
    -----
    NaN where the instrument did not trade in the bar. No warm-up.
    """
    ids = [one.id for one in bars.panel.instruments]
    return bars.last_sample(bars.panel["close"][:, ids.index(bars.panel.clock.instrument.id)])


@metric(unit="fraction", needs=("close",))
def bar_return(bars: Bars) -> np.ndarray:
    """Return of the traded instrument over the bar: ``close / previous close - 1``.

    Returns
    -------
    (T,) float64, fraction

    Notes
    -----
    NaN on the first bar and next to a bar without a price.
    """
    close = bars["price"]
    return np.asarray(close / np.r_[np.nan, close[:-1]] - 1.0) if len(close) else close
