"""Take the time of one contestant, after its numbers have been taken."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from btcflow.bench.contestant import Contestant, Entry
    from btcflow.bench.workload import Workload
    from btcflow.rules.rule import Assignment

__all__ = ["Timing", "load", "peak_mb", "take_numbers", "take_time"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The best of some runs.

    Attributes
    ----------
    sets : parameter sets of the run, ``chunk`` of them at a time
    cpu_s, wall_s : user and system seconds of all threads, and of the clock on the wall, of the run that used
        least CPU
    per_cpu_s, per_wall_s : sets per second
    peak_mb : most memory the process ever had, its imports included; ``before_mb``: before the timed runs
    load : load average of the last minute, afterwards
    """

    sets: int
    chunk: int
    cpu_s: float
    wall_s: float
    per_cpu_s: float
    per_wall_s: float
    peak_mb: float
    before_mb: float
    load: float

    def plain(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)


def take_numbers(contestant: Contestant, sets: Sequence[Assignment], chunk: int) -> dict[str, list[float]]:
    """Numbers of the sets, in chunks as they are timed."""
    parts = [contestant.run(sets[at : at + chunk]) for at in range(0, len(sets), chunk)]
    return {name: np.concatenate([np.asarray(one[name], dtype=float) for one in parts]).tolist() for name in parts[0]}


def take_time(contestant: Contestant, entry: Entry, work: Workload, *, repeats: int) -> Timing:
    """Sets per second at the best chunk, best of ``repeats``.

    Parameters
    ----------
    contestant : prepared, and warmed up by :func:`take_numbers`
    entry : says which chunks to try
    work : a slow contestant runs one chunk of its sets at a time, the others all of them
    repeats : timed runs of each chunk, over other sets each time where there are enough
    """
    before, best = peak_mb(), None
    for chunk in entry.chunks or (len(work.sets),):
        spread = work.sample(chunk * repeats) if entry.slow else work.sets
        for turn in range(repeats):
            part = spread[turn::repeats] if entry.slow else spread
            cpu, wall = _once(contestant, part, chunk)
            if best is None or len(part) / cpu > best[0] / best[2]:
                best = (len(part), chunk, cpu, wall)
    assert best is not None
    sets, chunk, cpu, wall = best
    return Timing(
        sets=sets,
        chunk=min(chunk, sets),
        cpu_s=cpu,
        wall_s=wall,
        per_cpu_s=sets / cpu,
        per_wall_s=sets / wall,
        peak_mb=peak_mb(),
        before_mb=before,
        load=load(),
    )


def _once(contestant: Contestant, sets: Sequence[Assignment], chunk: int) -> tuple[float, float]:
    contestant.fresh()
    cpu, wall = time.process_time(), time.perf_counter()
    for at in range(0, len(sets), chunk):
        contestant.run(sets[at : at + chunk])
    return max(time.process_time() - cpu, 1e-9), max(time.perf_counter() - wall, 1e-9)


def peak_mb() -> float:
    """Largest resident size of this process so far, in millions of bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def load() -> float:
    """Load average of the last minute."""
    return os.getloadavg()[0]
