"""Extreme-cycle detector (experimental): rare tops and bottoms of leverage.

The thresholds of the two-factor rule were chosen after seeing 2019 to 2026: hits inside those years
are in-sample and prove nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from btcflow.flow.metric import metric
from btcflow.flow.options import by_timeframe
from btcflow.stack import carry

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["cycle_bottom", "cycle_score", "cycle_top"]

_NEEDS = ("close", "funding_hours", "funding_paid", "open_interest")


@metric(unit="z", needs=_NEEDS, windowed=True)
def cycle_score(bars: Bars, *, window: int) -> np.ndarray:
    """The leverage factor ``lev = (prem_z + fund_z) / 2``; high = leveraged longs pay up.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    NaN where either z is NaN; warm-up of the slower one.
    """
    return np.asarray(0.5 * (bars.score("prem_z", window=window) + bars.score("fund_z", window=window)))


@metric(unit="0/1", needs=_NEEDS, windowed=True)
def cycle_top(bars: Bars, *, window: int, lev: float | None = None) -> np.ndarray:
    """An extreme of leveraged longs begins: ``cycle_score >= lev and oi_z >= oi_top``.

    Returns
    -------
    (T,) float64: 1 on the first bar of an extreme, 0 elsewhere

    Notes
    -----
    Fires on the bar where the condition becomes true and re-arms only after it was false for more
    than ``cycle.cooldown`` bars. NaN where a z is NaN; such a bar is neither true nor false.
    """
    options = bars.options.cycle
    score, oi = bars.score("cycle_score", window=window), bars.score("oi_z", window=window)
    held = (score >= (options.lev if lev is None else lev)) & (oi >= options.oi_top)
    return _events(bars, held, np.isfinite(score) & np.isfinite(oi))


@metric(unit="0/1", needs=_NEEDS, windowed=True)
def cycle_bottom(bars: Bars, *, window: int, lev: float | None = None) -> np.ndarray:
    """An extreme of fear begins: ``cycle_score <= -lev`` and open interest is low or was just flushed.

    Low: ``oi_z <= oi_bottom``. Flushed: ``oi_change_z <= oi_flush`` in one of the last ``flush_bars`` bars.

    Returns
    -------
    (T,) float64: 1 on the first bar of an extreme, 0 elsewhere

    Notes
    -----
    Fires and re-arms as ``cycle_top``. NaN where a z is NaN, that of the change included.
    """
    options = bars.options.cycle
    score, oi = bars.score("cycle_score", window=window), bars.score("oi_z", window=window)
    change = bars.score("oi_change_z", window=window)
    flush = np.where(change <= options.oi_flush, 1.0, np.nan)
    recent = np.isfinite(carry(flush[:, None], options.flush_bars - 1)[:, 0])
    held = (score <= -(options.lev if lev is None else lev)) & ((oi <= options.oi_bottom) | recent)
    return _events(bars, held, np.isfinite(score) & np.isfinite(oi) & np.isfinite(change))


def _events(bars: Bars, held: np.ndarray, known: np.ndarray) -> np.ndarray:
    cooldown = by_timeframe(bars.options.cycle.cooldown, bars.timeframe, "cycle.cooldown")
    return np.asarray(_first_bars(held, known, cooldown))


@numba.njit(cache=True)
def _first_bars(held: np.ndarray, known: np.ndarray, cooldown: int) -> np.ndarray:
    out = np.full(len(held), np.nan)
    quiet = cooldown + 1
    for t in range(len(held)):
        if not known[t]:
            continue
        if held[t]:
            out[t] = 1.0 if quiet > cooldown else 0.0
            quiet = 0
        else:
            out[t] = 0.0
            quiet += 1
    return out
