"""Numbers that look random and depend on nothing but a name and a place: the same in every process."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from scipy.signal import lfilter

__all__ = ["HOURS", "ORIGIN_HOUR", "bridge", "integers", "normals", "units", "walk"]

ORIGIN_HOUR = 376_944
"""2013-01-01, hours since 1970: where every walk begins."""

HOURS = 130_000
"""Hours a walk is drawn for: 2013 until late 2027."""

_PATTERNS = 64


@lru_cache(maxsize=512)
def _key(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def _mixed(name: str, places: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        z = places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + _key(name)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def units(name: str, places: np.ndarray) -> np.ndarray:
    """Uniform in [0, 1), one per place."""
    return np.asarray((_mixed(name, np.asarray(places)) >> np.uint64(11)).astype(np.float64) / 2.0**53)


def integers(name: str, places: np.ndarray, below: int) -> np.ndarray:
    """Integers in [0, below), one per place."""
    return np.asarray((_mixed(name, np.asarray(places)) % np.uint64(below)).astype(np.int64))


def normals(name: str, places: np.ndarray) -> np.ndarray:
    """Standard normal, one per place."""
    radius = np.sqrt(-2.0 * np.log1p(-units(name + "/r", places)))
    return np.asarray(radius * np.cos(2.0 * np.pi * units(name + "/a", places)))


@lru_cache(maxsize=256)
def walk(name: str, step: float, memory: float) -> np.ndarray:
    """A mean-reverting hourly walk from :data:`ORIGIN_HOUR` on: ``x = memory * x + step * noise``; (HOURS,)."""
    return np.asarray(lfilter([step], [1.0, -memory], normals(name, np.arange(HOURS))))


@lru_cache(maxsize=64)
def _bridges(name: str) -> np.ndarray:
    steps = normals(name, np.arange(_PATTERNS * 60)).reshape(_PATTERNS, 60)
    path = np.concatenate([np.zeros((_PATTERNS, 1)), np.cumsum(steps, axis=1)], axis=1)
    return np.asarray((path - path[:, -1:] * np.arange(61) / 60.0)[:, :60] / np.sqrt(60.0))


def bridge(name: str, minutes: np.ndarray) -> np.ndarray:
    """What a walk does between its hours: zero on the hour, about one in the middle."""
    pattern = integers(name + "/which", minutes // 60, _PATTERNS)
    return np.asarray(_bridges(name)[pattern, minutes % 60])
