"""Row-wise reductions of (T, V) arrays that skip NaN without warnings: one value per row."""

from __future__ import annotations

import numpy as np

__all__ = ["carry", "row_mean", "row_median"]


def row_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the non-NaN values of each row; NaN where a row has none; (T, V) -> (T,)."""
    valid = np.isfinite(values)
    count = valid.sum(axis=1)
    total = np.where(valid, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def row_median(values: np.ndarray) -> np.ndarray:
    """Median of the non-NaN values of each row; NaN where a row has none; (T, V) -> (T,)."""
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    count = np.isfinite(values).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN sorts last
    rows = np.arange(len(values))
    low = ordered[rows, np.maximum(count - 1, 0) // 2]
    high = ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    return np.where(count > 0, 0.5 * (low + high), np.nan)


def carry(values: np.ndarray, rows: int) -> np.ndarray:
    """Hold each value for at most ``rows`` rows after its own, column by column; (T, V) -> (T, V)."""
    at = np.where(np.isfinite(values), np.arange(len(values))[:, None], -1)
    newest = np.maximum.accumulate(at, axis=0)
    age = np.arange(len(values))[:, None] - newest
    held = np.take_along_axis(values, np.maximum(newest, 0), axis=0)
    return np.where((newest >= 0) & (age <= rows), held, np.nan)
