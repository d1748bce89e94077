"""The loops of :mod:`btcflow.rolling`, compiled on first use and cached on disk."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["averages", "medians", "moments", "packed", "ranks", "scores", "spread_out"]

Array = np.ndarray


@njit(cache=True)
def moments(values: Array, n: int) -> tuple[Array, Array, Array]:
    """Mean and sum of squared deviations of every window of ``n`` values, in O(T).

    The values are cut into blocks of ``n``. A window is the tail of one block and the head of the
    next; moments of all tails and heads are built up one value at a time and merged in pairs, so
    nothing is ever subtracted back out. Each tail is measured from its block's last value and each
    head from its block's first: the window holds that value, so no digits are spent on an offset.

    Returns
    -------
    anchors, means, squares : (T,) arrays; the mean is ``anchors + means``; NaN before ``n`` values
    """
    count = len(values)
    anchors = np.full(count, np.nan)
    means = np.full(count, np.nan)
    squares = np.full(count, np.nan)
    if n > count:
        return anchors, means, squares
    share = 1.0 / np.arange(1, n + 1)  # a division inside the chain of means would double the time
    weight = np.arange(1, n + 1) / n
    tail_mean = np.empty(n)
    tail_square = np.empty(n)
    tail_anchor = 0.0
    for start in range(0, count, n):
        stop = min(start + n, count)
        anchor = values[start]
        mean = 0.0
        square = 0.0
        for row in range(start, stop):
            size = row - start + 1
            value = values[row] - anchor
            step = value - mean
            mean += step * share[size - 1]
            square += step * (value - mean)
            if size == n:
                anchors[row], means[row], squares[row] = anchor, mean, square
            elif start > 0:
                apart = (mean - tail_mean[size]) + (anchor - tail_anchor)
                anchors[row] = anchor
                means[row] = mean - apart * weight[n - size - 1]
                squares[row] = tail_square[size] + square + apart * apart * ((n - size) * weight[size - 1])
        if stop - start == n:
            tail_anchor = values[stop - 1]
            mean = 0.0
            square = 0.0
            for back in range(1, n + 1):
                value = values[stop - back] - tail_anchor
                step = value - mean
                mean += step * share[back - 1]
                square += step * (value - mean)
                tail_mean[n - back] = mean
                tail_square[n - back] = square
    return anchors, means, squares


@njit(cache=True)
def packed(series: Array) -> tuple[Array, Array]:
    """The rows of the values that are not NaN, and those values; (N,) int64 and (N,) float64."""
    rows, values = np.empty(len(series), dtype=np.int64), np.empty(len(series))
    place = 0
    for row in range(len(series)):  # without a branch: every value is written, and stays if the next one moves on
        rows[place], values[place] = row, series[row]
        place += int(series[row] == series[row])
    return rows[:place], values[:place]


@njit(cache=True)
def spread_out(length: int, rows: Array, found: Array, reach: int, longest: float) -> Array:
    """Results back on their rows; NaN elsewhere, and where ``reach`` values reach back more than ``longest`` bars."""
    out = np.full(length, np.nan)
    for place in range(reach, len(rows)):
        if rows[place] - rows[place - reach] <= longest:
            out[rows[place]] = found[place]
    return out


@njit(cache=True, error_model="numpy")
def scores(values: Array, n: int, floor: float, before: int) -> Array:
    """Distance of every value from its window's mean in deviations, ``floor`` at least, in O(T).

    The blocks of :func:`moments`, with plain sums: each tail and each head is summed from a value of
    its own, so what cancels is of the size of the window's spread, not of its offset (n roundings at
    worst, usually a few). The sums run as four chains side by side, all else row by row.

    Returns
    -------
    (T,) z-scores; ``before`` 1 = of the value after the window; NaN before ``n`` values, and where the
    deviation is 0 and there is no floor
    """
    count = len(values)
    out = np.full(count, np.nan)
    if n > count:
        return out
    share = 1.0 / np.arange(1, n + 1)
    left = np.arange(n - 1, -1, -1) / n  # the part of a window that lies in the block before
    pairs = np.arange(1, n + 1) * left
    head_sum, head_square = np.zeros(n), np.zeros(n)
    own_sum, own_square = np.zeros(n), np.zeros(n)
    tail_mean, tail_square = np.zeros(n + 1), np.zeros(n + 1)  # of the block before, by how many values it leaves out
    tail_anchor = values[0]
    for start in range(0, count, n):
        length = min(n, count - start)
        head_anchor, own_anchor = values[start], values[start + length - 1]
        up, up_square, down, down_square = 0.0, 0.0, 0.0, 0.0
        block = values[start : start + length]
        for k in range(length):
            ahead, back = block[k] - head_anchor, block[length - 1 - k] - own_anchor
            up += ahead
            up_square += ahead * ahead
            down += back
            down_square += back * back
            head_sum[k], head_square[k] = up, up_square
            own_sum[n - 1 - k], own_square[n - 1 - k] = down, down_square
        between = head_anchor - tail_anchor
        judged, result = values[start + before : start + length + before], out[start + before : start + length + before]
        for k in range(len(judged)):
            mean = head_sum[k] * share[k]
            apart = (mean - tail_mean[k + 1]) + between
            square = (head_square[k] - head_sum[k] * mean) + tail_square[k + 1] + apart * apart * pairs[k]
            spread = np.sqrt(max(square, 0.0) * share[n - 1])
            scale = spread if spread > floor else floor
            distance = (judged[k] - head_anchor) - (mean - apart * left[k])
            result[k] = distance / scale if scale > 0.0 else np.nan
        tail_anchor = own_anchor
        for k in range(n):
            mean = own_sum[k] * share[n - 1 - k]
            tail_mean[k], tail_square[k] = mean, own_square[k] - own_sum[k] * mean
    out[: n - 1 + before] = np.nan  # the first block had no tail before it
    return out


@njit(cache=True)
def averages(values: Array, n: int) -> Array:
    """Exponential average with alpha = 2 / (n + 1), seeded by the mean of the first ``n`` values; (T,)."""
    count = len(values)
    out = np.full(count, np.nan)
    if n > count:
        return out
    mean = 0.0
    for row in range(n):
        mean += (values[row] - values[0] - mean) / (row + 1)
    level = values[0] + mean
    out[n - 1] = level
    alpha = 2.0 / (n + 1)
    for row in range(n, count):
        level += alpha * (values[row] - level)
        out[row] = level
    return out


@njit(cache=True)
def medians(values: Array, n: int) -> tuple[Array, Array]:
    """Median and median absolute deviation of every window of ``n`` values; (T,) each."""
    count = len(values)
    middle = np.full(count, np.nan)
    spread = np.full(count, np.nan)
    for row in range(n - 1, count):
        window = values[row - n + 1 : row + 1]
        middle[row] = np.median(window)
        spread[row] = np.median(np.abs(window - middle[row]))
    return middle, spread


@njit(cache=True)
def ranks(values: Array, n: int) -> Array:
    """Share of the other ``n - 1`` values of the window below the last one, ties counted half; (T,)."""
    count = len(values)
    out = np.full(count, np.nan)
    for row in range(n - 1, count):
        below = 0.0
        for other in range(row - n + 1, row):
            if values[other] < values[row]:
                below += 1.0
            elif values[other] == values[row]:
                below += 0.5
        out[row] = below / (n - 1)
    return out
