"""Causal cleaning of hourly open interest: drop lone spikes, keep real moves."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["accept"]

_HISTORY, _PERSISTS = 24, 6


def accept(values: np.ndarray, limit: float) -> np.ndarray:
    """(T, V) levels with the spikes of each column set to NaN, using earlier rows only.

    A sample is dropped where its log is further than ``limit`` from the median of the 24 samples
    accepted before it, unless at least two venues move that far the same way in that row (a real
    deleveraging). A shift that persists on one side is accepted from its 6th consecutive sample on. An
    accepted shift begins a new history.
    """
    return np.asarray(_accept(np.log(values), np.ascontiguousarray(values, dtype=np.float64), limit))


@numba.njit(cache=True)
def _accept(logs: np.ndarray, values: np.ndarray, limit: float) -> np.ndarray:
    rows, venues = logs.shape
    out = values.copy()
    history = np.full((venues, _HISTORY), np.nan)
    filled = np.zeros(venues, dtype=np.int64)
    suspect = np.zeros(venues, dtype=np.int64)  # samples in a row on one side, counted with its sign
    side = np.zeros(venues, dtype=np.int64)
    for t in range(rows):
        up = down = 0
        for v in range(venues):
            side[v] = 0
            if np.isfinite(logs[t, v]) and filled[v] > 0:
                recent = history[v, : min(filled[v], _HISTORY)]
                if logs[t, v] - recent.min() <= limit and recent.max() - logs[t, v] <= limit:
                    continue  # near every recent one, so near their median
                middle = np.median(recent)
                if abs(logs[t, v] - middle) > limit:
                    side[v] = 1 if logs[t, v] > middle else -1
                    up += side[v] == 1
                    down += side[v] == -1
        for v in range(venues):
            if not np.isfinite(logs[t, v]):
                continue
            together = (side[v] == 1 and up >= 2) or (side[v] == -1 and down >= 2)
            suspect[v] = suspect[v] + side[v] if suspect[v] * side[v] > 0 else side[v]
            if side[v] != 0 and not together and abs(suspect[v]) < _PERSISTS:
                out[t, v] = np.nan
                continue
            if side[v] != 0:
                filled[v] = 0  # a new level: its history starts here
                suspect[v] = 0
            history[v, filled[v] % _HISTORY] = logs[t, v]
            filled[v] += 1
    return out
