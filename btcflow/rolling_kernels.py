"""The loops of :mod:`btcflow.rolling`, compiled on first use and cached on disk."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["averages", "medians", "moments", "ranks"]

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
