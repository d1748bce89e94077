"""Rolling means, deviations and z-scores of one series, causal and exact to rounding.

All functions take a (T,) float64 array and a window of ``n`` bars and give a (T,) float64 array.
They follow Pine: the window is the last ``n`` values that are *not* NaN, a NaN bar gives NaN and
leaves the window alone, and nothing is given before ``n`` values exist. Row t reads rows 0..t only
and does not depend on what follows, to the last bit.

Holes: ``max_gap`` limits how far back the window of a statistic may reach (it gives NaN where its
``n`` values lie more than ``n + max_gap`` bars apart); ``max_hole`` makes a smoother start afresh
after more than that many NaN bars in a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ema", "percentile", "robust_zscore", "sma", "stdev", "zscore"]

Array = np.ndarray
_MAD_TO_SIGMA = 1.4826


def sma(x: ArrayLike, n: int, *, max_hole: int | None = None) -> Array:
    """Simple moving average: the level a series has kept over its last ``n`` values.

    Parameters
    ----------
    x : (T,) series in any unit
    n : window in bars, 1 or more
    max_hole : after more NaN bars in a row than this, NaN until ``n`` new values; None = no limit

    Returns
    -------
    (T,) in the unit of ``x``

    Raises
    ------
    ValueError
        for a window that is no whole number of 1 or more, or a series that is not 1-D.

    Notes
    -----
    Warm-up: n - 1 values. As Pine ``ta.sma``.

    Examples
    --------
    >>> nan = float("nan")
    >>> sma([1, 2, nan, 4, 8, 16], 3).round(6).tolist()
    [nan, nan, nan, 2.333333, 4.666667, 9.333333]
    """
    return _smoothed(x, n, max_hole, _means)


def ema(x: ArrayLike, n: int, *, max_hole: int | None = None) -> Array:
    """Exponential moving average with ``alpha = 2 / (n + 1)``.

    The first value is the mean of the first ``n`` values, then ``previous + alpha * (x - previous)``;
    NaN bars are skipped. Parameters, returns and errors as :func:`sma`.

    Notes
    -----
    Warm-up: n - 1 values. As Pine ``ta.ema`` was measured to be (SMA seed), not as pandas ``ewm``.
    After a hole longer than ``max_hole`` the average forgets what was before it.

    Examples
    --------
    >>> nan = float("nan")
    >>> ema([1, 2, nan, 4, 8, 16], 3).round(6).tolist()
    [nan, nan, nan, 2.333333, 5.166667, 10.583333]
    """
    from btcflow.rolling_kernels import averages

    return _smoothed(x, n, max_hole, averages)


def stdev(x: ArrayLike, n: int, *, ddof: Literal[0, 1] = 0, max_gap: float | None = None) -> Array:
    """Standard deviation of the last ``n`` values; ``ddof`` 0 = population (Pine), 1 = sample.

    Parameters
    ----------
    x : (T,) series in any unit
    n : window in bars, more than ``ddof``
    max_gap : NaN where the window spans more than ``n + max_gap`` bars; None = no limit

    Returns
    -------
    (T,) in the unit of ``x``, 0 or more; exactly 0 for a window of equal values

    Examples
    --------
    >>> stdev([1, 2, 3, 5], 2).tolist()
    [nan, 0.5, 0.5, 1.0]
    """
    from btcflow.rolling_kernels import moments

    series, n = _checked(x, n, at_least=1 + ddof)
    rows = np.flatnonzero(~np.isnan(series))
    _, _, squares = moments(series[rows], n)
    return _spread(len(series), rows, np.sqrt(squares / (n - ddof)), _too_long(rows, n, max_gap, 0))


def zscore(
    x: ArrayLike,
    n: int,
    *,
    floor: float = 0.0,
    window: Literal["inclusive", "exclusive"] = "inclusive",
    na_policy: Literal["compact", "strict"] = "compact",
    max_gap: float | None = None,
) -> Array:
    """How unusual the latest value is: its distance from the mean of the window, in deviations.

    ``z = (x - mean_n) / max(std_n, floor)`` with the population deviation.

    Parameters
    ----------
    x : (T,) series in any unit
    n : window in bars
    floor : least deviation to divide by, in the unit of ``x``; it only makes z smaller. 0 = none, then
        a window of equal values gives NaN
    window : ``inclusive``: the window ends with the current value (Pine idiom; z stays within sqrt(n - 1));
        ``exclusive``: it is the ``n`` values before it
    na_policy : ``compact``: the last ``n`` values that are not NaN; ``strict``: NaN where any of the
        last ``n`` bars is NaN
    max_gap : ``compact`` only: NaN where the window spans more than ``n + max_gap`` bars; None = no limit

    Returns
    -------
    (T,) in standard deviations

    Raises
    ------
    ValueError
        for a bad window, floor, gap or option.

    Notes
    -----
    Warm-up: n - 1 values, one more where exclusive. Blocks of moments are merged, never subtracted:
    an offset of 1e10 costs no digits.

    Examples
    --------
    >>> nan = float("nan")
    >>> zscore([1, 2, nan, 4, 8, 16], 3).round(6).tolist()
    [nan, nan, nan, 1.336306, 1.336306, 1.336306]
    """
    from btcflow.rolling_kernels import packed, scores, spread_out

    series, n = _checked(x, n)
    floor = _limit("floor", floor)
    _one_of("window", window, ("inclusive", "exclusive"))
    _one_of("na_policy", na_policy, ("compact", "strict"))
    gap = math.inf if max_gap is None else _limit("max_gap", max_gap)
    before = int(window == "exclusive")
    rows, values = packed(series)
    found = scores(values, n, floor, before)
    if len(rows) == len(series):
        return np.asarray(found)
    longest = n - 1 + before + (0.0 if na_policy == "strict" else gap)
    return np.asarray(spread_out(len(series), rows, found, n - 1 + before, longest))


def robust_zscore(
    x: ArrayLike,
    n: int,
    *,
    floor: float = 0.0,
    window: Literal["inclusive", "exclusive"] = "inclusive",
    max_gap: float | None = None,
) -> Array:
    """The z-score that a few extremes cannot bend: ``(x - median_n) / max(1.4826 * MAD_n, floor)``.

    MAD is the median distance from the median; 1.4826 makes it the deviation of a normal series.
    Parameters, returns and errors as :func:`zscore` (compact; ``max_gap=0`` is strict). NaN where MAD
    is 0 and there is no floor. O(T n).

    Examples
    --------
    >>> robust_zscore([1, 2, 3, 4, 9], 5).round(6).tolist()
    [nan, nan, nan, nan, 4.046945]
    """
    from btcflow.rolling_kernels import medians

    series, n = _checked(x, n)
    floor = _limit("floor", floor)
    _one_of("window", window, ("inclusive", "exclusive"))
    before = int(window == "exclusive")
    rows = np.flatnonzero(~np.isnan(series))
    middle, spread = (_later(one, before) for one in medians(series[rows], n))
    score = _ratio(series[rows] - middle, _MAD_TO_SIGMA * spread, floor)
    return _spread(len(series), rows, score, _too_long(rows, n, max_gap, before))


def percentile(
    x: ArrayLike,
    n: int,
    *,
    window: Literal["inclusive", "exclusive"] = "inclusive",
    max_gap: float | None = None,
) -> Array:
    """Rank of the latest value among the last ``n``, from 0 (lowest) to 1 (highest).

    The share of the other ``n - 1`` values that lie below it, ties counted half; with an
    ``exclusive`` window, of the ``n`` values before it.
    Parameters and errors as :func:`zscore`; ``n`` is 2 or more. O(T n).

    Returns
    -------
    (T,) in [0, 1]; 0.5 for a window of equal values

    Examples
    --------
    >>> percentile([1, 3, 2, 2], 3).tolist()
    [nan, nan, 0.5, 0.25]
    """
    from btcflow.rolling_kernels import ranks

    series, n = _checked(x, n, at_least=2)
    _one_of("window", window, ("inclusive", "exclusive"))
    before = int(window == "exclusive")
    rows = np.flatnonzero(~np.isnan(series))
    rank = ranks(series[rows], n + before)  # the others in a window one longer are the n before it
    return _spread(len(series), rows, rank, _too_long(rows, n, max_gap, before))


def _means(values: Array, n: int) -> Array:
    from btcflow.rolling_kernels import moments

    anchors, means, _ = moments(values, n)
    return np.asarray(anchors + means)


def _smoothed(x: ArrayLike, n: int, max_hole: int | None, smooth: Callable[[Array, int], Array]) -> Array:
    """``smooth`` applied to the values between holes longer than ``max_hole``, put back on their bars."""
    series, n = _checked(x, n)
    hole = _limit("max_hole", math.inf if max_hole is None else max_hole)
    rows = np.flatnonzero(~np.isnan(series))
    out = np.full(len(series), np.nan)
    for stretch in np.split(rows, np.flatnonzero(np.diff(rows) - 1 > hole) + 1):
        out[stretch] = smooth(series[stretch], n)
    return out


def _ratio(distance: Array, spread: Array, floor: float) -> Array:
    """``distance / max(spread, floor)``; NaN where that is 0."""
    scale = np.maximum(spread, floor)
    score = np.full(len(scale), np.nan)
    np.divide(distance, scale, out=score, where=scale > 0)
    return score


def _later(values: Array, by: int) -> Array:
    """The values ``by`` rows later, NaN where there were none."""
    return np.concatenate((np.full(min(by, len(values)), np.nan), values[: len(values) - by])) if by else values


def _too_long(rows: Array, n: int, max_gap: float | None, before: int) -> Array:
    """Where the ``n`` values (ending ``before`` values ago) reach back more than ``n + max_gap`` bars."""
    out = np.zeros(len(rows), dtype=bool)
    if max_gap is None:
        return out
    gap = _limit("max_gap", max_gap)
    first = n - 1 + before
    if first < len(rows):
        out[first:] = rows[first:] - rows[: len(rows) - first] + 1 - before > n + gap
    return out


def _spread(length: int, rows: Array, values: Array, refused: Array) -> Array:
    """The values on their bars, NaN elsewhere and where refused."""
    out = np.full(length, np.nan)
    out[rows] = values
    out[rows[refused]] = np.nan
    return out


def _checked(x: ArrayLike, n: int, *, at_least: int = 1) -> tuple[Array, int]:
    if isinstance(n, bool | np.bool_) or not isinstance(n, int | np.integer) or n < at_least:
        raise ValueError(f"the window is {n!r}; expected a whole number of bars, {at_least} or more")
    series = np.asarray(x, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"the series has shape {series.shape}; expected one dimension: pass one column at a time")
    infinite = np.isinf(series)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(f"the series is {series[row]} at row {row}; expected numbers, and NaN where there is none")
    return series, int(n)


def _limit(name: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{name} is {value!r}; expected a number of 0 or more")
    return float(value)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; expected {' or '.join(map(repr, known))}")
