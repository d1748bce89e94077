"""Extreme-cycle detector (experimental): rare tops and bottoms of leverage.

The thresholds of the two-factor rule were chosen after seeing 2019 to 2026: hits inside those years
are in-sample and prove nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from btcflow.errors import ConfigError
from btcflow.flow.metric import metric
from btcflow.flow.options import by_timeframe
from btcflow.stack import carry

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["cycle_bottom", "cycle_expansion", "cycle_score", "cycle_top"]

_NEEDS = ("close", "funding_hours", "funding_paid", "open_interest")


@metric(unit="z", needs=_NEEDS, windowed=True)
def cycle_score(bars: Bars, *, window: int) -> np.ndarray:
    """What the detector compares with its level; high = leveraged longs pay up.

    By ``cycle.mode``: ``two_factor`` the leverage factor ``lev = (prem_z + fund_z) / 2``;
    ``composite_mean`` the mean of prem_z, oi_z and fund_z weighted by ``cycle.weights``; ``k_of_3`` the
    k-th strongest of the three on the side where it is stronger, 0 where fewer than k are on one side.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    NaN where a z it uses is NaN; warm-up of the slowest one.

    Raises
    ------
    ConfigError
        where all weights are zero.
    """
    mode = bars.options.cycle.mode
    if mode == "two_factor":
        return _leverage(bars, window)
    return _weighted_mean(bars, window) if mode == "composite_mean" else _agreement(bars, window)


@metric(unit="z", needs=_NEEDS, windowed=True)
def cycle_expansion(bars: Bars, *, window: int) -> np.ndarray:
    """Leverage and open interest together, ``(lev + oi_z) / 2``: high = paid for and expanded.

    ``lev`` is the leverage factor ``(prem_z + fund_z) / 2`` in every mode. It is reported, no rule uses it.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    NaN where one of the three z is NaN; warm-up of the slowest one.
    """
    return np.asarray(0.5 * (_leverage(bars, window) + bars.score("oi_z", window=window)))


@metric(unit="0/1", needs=_NEEDS, windowed=True)
def cycle_top(bars: Bars, *, window: int, lev: float | None = None) -> np.ndarray:
    """An extreme of leveraged longs begins.

    By ``cycle.mode``: ``two_factor`` ``cycle_score >= lev and oi_z >= oi_top``; ``composite_mean``
    ``cycle_score >= threshold``, and all three z above 0 with ``same_sign``; ``k_of_3`` at least ``k`` of
    the three z ``>= k_threshold``. ``lev`` is a parameter of the first mode only.

    Returns
    -------
    (T,) float64: 1 on the first bar of an extreme, 0 elsewhere

    Notes
    -----
    Fires on the bar where the condition becomes true and re-arms only after it was false for more
    than ``cycle.cooldown`` bars. NaN where a z is NaN; such a bar is neither true nor false.
    """
    options = bars.options.cycle
    if options.mode != "two_factor":
        return _three_scores(bars, window, lev, side=1.0)
    score, oi = bars.score("cycle_score", window=window), bars.score("oi_z", window=window)
    held = (score >= (options.lev if lev is None else lev)) & (oi >= options.oi_top)
    return _events(bars, held, np.isfinite(score) & np.isfinite(oi))


@metric(unit="0/1", needs=_NEEDS, windowed=True)
def cycle_bottom(bars: Bars, *, window: int, lev: float | None = None) -> np.ndarray:
    """An extreme of fear begins.

    By ``cycle.mode``: ``two_factor`` ``cycle_score <= -lev`` and open interest is low (``oi_z <=
    oi_bottom``) or was flushed (``oi_change_z <= oi_flush`` in one of the last ``flush_bars`` bars);
    the other modes mirror ``cycle_top``. ``lev`` is a parameter of the first mode only.

    Returns
    -------
    (T,) float64: 1 on the first bar of an extreme, 0 elsewhere

    Notes
    -----
    Fires and re-arms as ``cycle_top``. NaN where a z is NaN, in ``two_factor`` that of the change included.
    """
    options = bars.options.cycle
    if options.mode != "two_factor":
        return _three_scores(bars, window, lev, side=-1.0)
    score, oi = bars.score("cycle_score", window=window), bars.score("oi_z", window=window)
    change = bars.score("oi_change_z", window=window)
    flush = np.where(change <= options.oi_flush, 1.0, np.nan)
    recent = np.isfinite(carry(flush[:, None], options.flush_bars - 1)[:, 0])
    held = (score <= -(options.lev if lev is None else lev)) & ((oi <= options.oi_bottom) | recent)
    return _events(bars, held, np.isfinite(score) & np.isfinite(oi) & np.isfinite(change))


def _leverage(bars: Bars, window: int) -> np.ndarray:
    return np.asarray(0.5 * (bars.score("prem_z", window=window) + bars.score("fund_z", window=window)))


def _stacked(bars: Bars, window: int) -> np.ndarray:
    """prem_z, oi_z and fund_z, in the order of ``cycle.weights``; (3, T)."""
    return np.vstack([bars.score(name, window=window) for name in ("prem_z", "oi_z", "fund_z")])


def _weighted_mean(bars: Bars, window: int) -> np.ndarray:
    weights = bars.options.cycle.weights
    if sum(weights) == 0:
        raise ConfigError("cycle.weights are all 0; expected at least one above 0, for example [1, 1, 1]")
    prem, oi, fund = _stacked(bars, window)
    return np.asarray((weights[0] * prem + weights[1] * oi + weights[2] * fund) / sum(weights))


def _agreement(bars: Bars, window: int) -> np.ndarray:
    """At least its own k of the three z are beyond it: above where it is positive, below where negative."""
    scores, k = _stacked(bars, window), bars.options.cycle.k
    ordered = np.sort(scores, axis=0)
    high, low = np.maximum(ordered[3 - k], 0.0), np.minimum(ordered[k - 1], 0.0)
    return np.where(np.isfinite(scores).all(axis=0), np.where(high >= -low, high, low), np.nan)


def _three_scores(bars: Bars, window: int, lev: float | None, *, side: float) -> np.ndarray:
    """Events of the modes that use all three z; ``side`` +1 for tops, -1 for bottoms."""
    options = bars.options.cycle
    if lev is not None:
        raise ConfigError(
            f"lev = {lev:g} is the level of cycle.mode two_factor, and the mode is {options.mode}; "
            f"set cycle.{'threshold' if options.mode == 'composite_mean' else 'k_threshold'} instead"
        )
    scores = side * _stacked(bars, window)
    known = np.asarray(np.isfinite(scores).all(axis=0))
    if options.mode == "k_of_3":
        return _events(bars, (scores >= options.k_threshold).sum(axis=0) >= options.k, known)
    held = side * bars.score("cycle_score", window=window) >= options.threshold
    return _events(bars, held & (scores > 0).all(axis=0) if options.same_sign else held, known)


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
