"""Bitmaps: where a score passes a threshold, 64 bars to a word; bit b of word w is bar 64 w + b."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["levels_of", "pack", "words_of"]

_GATHER = np.uint64(0x0102040810204080)
"""Times a word of eight bytes that are 0 or 1: its highest byte then holds the eight as bits (little endian)."""
_BARS = 1 << 12
"""Bars that are packed at a time, whole words."""


def words_of(bars: int) -> int:
    """Words that hold one bit per bar."""
    return -(-bars // 64)


def levels_of(op: str, thresholds: np.ndarray) -> np.ndarray:
    """Levels so that ``score > threshold`` is ``score >= level`` and ``<`` is ``<=``; NaN holds nowhere."""
    if op in {">=", "<="}:
        return thresholds
    away = np.inf if op == ">" else -np.inf
    return np.where(thresholds == away, np.nan, np.nextafter(thresholds, away))


@njit(cache=True, nogil=True)
def pack(values, above, levels, rows, out):  # type: ignore[no-untyped-def]
    """Write where values (T,) are at or beyond each level: ``>=`` where ``above``, else ``<=``.

    ``above``, ``levels`` and ``rows`` are (M,); bitmap i goes to ``out[rows[i]]`` (words,), last bits zero.
    Two plain loops, so that both become vector instructions: a byte per bar, then eight bytes to a byte.
    Bars are taken a few at a time, and stay in the cache for all levels.
    """
    held = np.zeros(_BARS, dtype=np.uint8)
    eights = held.view(np.uint64)
    for first in range(0, 64 * out.shape[1], _BARS):
        part = values[first : first + _BARS]
        held[len(part) :] = 0
        for i in range(len(levels)):
            level, row = levels[i], out[rows[i], first >> 6 : (first + _BARS) >> 6].view(np.uint8)
            if above[i]:
                for t in range(len(part)):
                    held[t] = part[t] >= level
            else:
                for t in range(len(part)):
                    held[t] = part[t] <= level
            for g in range(len(row)):
                row[g] = (eights[g] * _GATHER) >> np.uint64(56)
