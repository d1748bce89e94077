"""Ways to make one number of many venues' open interest, and what is done to it before the z-score.

All take (T, V) levels, NaN where a venue has none, and are causal: row t reads rows 0..t only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from btcflow import rolling

if TYPE_CHECKING:
    from btcflow.flow.options import OpenInterestOptions

__all__ = [
    "chain_link",
    "fixed_panel",
    "further_bars",
    "middle",
    "rebased",
    "strict_sum",
    "transformed",
    "zero_filled_sum",
]

Score = Callable[[np.ndarray], np.ndarray]


def chain_link(values: np.ndarray, weights: np.ndarray, *, min_age: int) -> tuple[np.ndarray, np.ndarray]:
    """Chain the matched-venue growth of (T, V) levels into an index; returns (T,) index and matched count.

    A venue is matched at t if it is valid at t - 1 and t and was first valid at least ``min_age``
    rows before t; both its levels are weighed by its weight at t - 1. Entry and exit add no jump. The
    index starts at 100 with the first valid value.

    Examples
    --------
    >>> import numpy as np
    >>> from btcflow.stack import carry
    >>> a, b = [100, 110, 121, np.nan, 133.1], [np.nan, np.nan, 50, 60, 66]
    >>> held = carry(np.column_stack([a, b]).astype(float), 1)
    >>> chain_link(held, np.ones((5, 2)), min_age=1)[0].round(6).tolist()
    [100.0, 110.0, 121.0, 128.076023, 140.883626]
    """
    valid = np.isfinite(values)
    any_valid = valid.any(axis=1)
    if not any_valid.any():
        return np.full(len(values), np.nan), np.zeros(len(values), dtype=np.int64)
    age = np.arange(len(values))[:, None] - np.where(valid.any(axis=0), valid.argmax(axis=0), len(values))
    before, weights = _previous(values), _previous(weights)
    matched = valid & np.isfinite(before * weights) & (age >= min_age)
    count = matched.sum(axis=1)
    now = np.where(matched, values * weights, 0.0).sum(axis=1)
    then = np.where(matched, before * weights, 0.0).sum(axis=1)
    growth = np.where(count > 0, now / np.where(count > 0, then, 1.0), 1.0)
    index = np.where(count > 0, 100.0 * np.cumprod(growth), np.nan)
    index[any_valid.argmax()] = 100.0
    return index, count


def _previous(values: np.ndarray) -> np.ndarray:
    """The row before, NaN in the first."""
    return np.vstack([np.full((1, values.shape[1]), np.nan), values[:-1]])


def zero_filled_sum(values: np.ndarray) -> np.ndarray:
    """Add up the levels with 0 for a venue that has none (Pine ``nz(x, 0)``): jumps when one enters or leaves.

    For comparison only. NaN where no venue has a level; (T, V) -> (T,).

    Examples
    --------
    >>> zero_filled_sum(np.array([[np.nan, np.nan], [1.0, np.nan], [1.0, 2.0]])).tolist()
    [nan, 1.0, 3.0]
    """
    valid = np.isfinite(values)
    return np.where(valid.any(axis=1), np.where(valid, values, 0.0).sum(axis=1), np.nan)


def strict_sum(values: np.ndarray) -> np.ndarray:
    """Add up the levels, NaN wherever any venue has none: until the youngest lists; (T, V) -> (T,).

    Examples
    --------
    >>> strict_sum(np.array([[np.nan, np.nan], [1.0, np.nan], [1.0, 2.0]])).tolist()
    [nan, nan, 3.0]
    """
    return np.where(np.isfinite(values).all(axis=1), zero_filled_sum(values), np.nan)


def rebased(values: np.ndarray) -> np.ndarray:
    """The series times what makes its first value 100; (T,) -> (T,)."""
    first = np.flatnonzero(np.isfinite(values))[:1]
    return 100.0 * values / values[first[0]] if len(first) else values


def fixed_panel(levels: np.ndarray, score: Score, *, reach: int, least: int) -> np.ndarray:
    """Score at each row the sum of just those venues that are valid in every one of the last ``reach`` rows.

    Parameters
    ----------
    levels : (T, V) in one unit
    score : (T,) -> (T,), the score of a sum; it reads the last ``reach`` values
    least : venues the panel needs

    Returns
    -------
    (T,) float64; NaN where fewer than ``least`` venues are valid throughout

    Notes
    -----
    The panel of row t is fixed over t's whole window, so a venue that enters or leaves makes no jump
    inside it; it counts from ``reach`` rows after its entry on.
    """
    out = np.full(len(levels), np.nan)
    if len(levels) < reach:
        return out
    valid = np.isfinite(levels)
    count = np.vstack([np.zeros((1, levels.shape[1]), dtype=np.int64), np.cumsum(valid, axis=0)])
    members = np.zeros_like(valid)
    members[reach - 1 :] = count[reach:] - count[:-reach] == reach
    panels, which = np.unique(members, axis=0, return_inverse=True)
    for number, panel in enumerate(panels):
        if panel.sum() >= least:
            rows = which.ravel() == number
            out[rows] = score(strict_sum(levels[:, panel]))[rows]
    return out


def middle(scores: np.ndarray, reduce: Score, *, least: int) -> np.ndarray:
    """Middle of the venues' own z-scores, each venue counting the same; (T, V) -> (T,).

    ``reduce`` is :func:`btcflow.stack.row_median` or :func:`btcflow.stack.row_mean`. NaN where fewer than
    ``least`` venues have a score (a full window).
    """
    return np.where(np.isfinite(scores).sum(axis=1) >= least, reduce(scores), np.nan)


def transformed(levels: np.ndarray, options: OpenInterestOptions, *, window: int) -> np.ndarray:
    """What the z-score is taken of; (T,) levels -> (T,).

    ``log_level``: ln I. ``level``: I. ``log_detrended``: ln I less its EMA of twice the window (NaN
    until 2 window values exist, and again after a hole longer than that). ``log_change``: ln I less ln I
    of ``change_bars`` before.
    """
    if options.transform == "level":
        return levels
    logs = np.log(levels)
    if options.transform == "log_level":
        return np.asarray(logs)
    if options.transform == "log_detrended":
        return np.asarray(logs - rolling.ema(logs, 2 * window, max_hole=2 * window))
    bars = options.change_bars
    before = np.r_[np.full(min(bars, len(logs)), np.nan), logs[: max(0, len(logs) - bars)]]
    return np.asarray(logs - before)


def further_bars(options: OpenInterestOptions, *, window: int) -> int:
    """Bars before its window that a z-score of the transformed level reads."""
    return {"log_detrended": 2 * window - 1, "log_change": options.change_bars}.get(options.transform, 0)
