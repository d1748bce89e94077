"""Headline numbers of many columns at once, from daily equity alone: what a sweep ranks by."""

from __future__ import annotations

import numpy as np

from btcflow.engine.ledger import DailyEquity
from btcflow.stats.performance import DAYS_PER_YEAR, risk

__all__ = ["headline"]

_DAY = 86_400_000_000_000


def headline(daily: DailyEquity, segment: int) -> dict[str, np.ndarray]:
    """Total return, CAGR, volatility, Sharpe, Sortino, Calmar and drawdown of one segment.

    Returns
    -------
    name to (K,) float64; equal to :func:`btcflow.stats.performance.performance` of the same stretch.
    A column that never traded, or had no equity to start from, has NaN ratios.
    """
    first, last = daily.segments[segment]
    begin, end = int(daily.clock.opens[first]), int(daily.clock.closes_at[last - 1])
    inside = (daily.days >= begin) & (daily.days <= end)
    equity = daily.equity[inside]
    start = np.where(daily.start_equity[segment] > 0, daily.start_equity[segment], np.nan)
    growth = daily.end_equity[segment] / start
    with np.errstate(invalid="ignore", divide="ignore"):
        sound = growth > 0
        cagr = np.where(sound, np.abs(growth) ** (DAYS_PER_YEAR / ((end - begin) / _DAY)) - 1.0, np.nan)
        depth = daily.max_drawdown[segment]
        calmar = np.where(depth < 0, cagr / -depth, np.nan)
    columns = [risk(equity[:, k]) for k in range(equity.shape[1])]
    ratios = {name: np.array([one[name] for one in columns]) for name in ("volatility", "sharpe", "sortino")}
    return {"total_return": growth - 1.0, "cagr": cagr, "max_drawdown": depth, "calmar": calmar, **ratios}
