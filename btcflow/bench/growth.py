"""Growth: what a set costs as there are more of them, and what a bar of a set costs on a longer market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from btcflow.bench.contestant import entry_named
from btcflow.bench.workload import case_named

__all__ = ["growth_plan"]

_CASE = "1h-z"
_ALONE, _TOGETHER = "kernel full, 1 thread", "kernel full, n threads"
_SETS = (1_000, 10_000, 100_000)
_MANY = 1_000_000
_HOURS = (60_000, 500_000)


def growth_plan(
    request: Callable[..., dict[str, Any]],
    ask: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    tell: Callable[[str], None],
    *,
    threads: int,
    long: bool,
) -> list[dict[str, Any]]:
    """Time the kernel, full summary, hourly z rule, over growing counts.

    Returns
    -------
    one row per run: ``threads``, ``sets``, ``clock_bars``, microseconds of CPU per set, nanoseconds per bar of
    a set, and the ``timing``
    """
    rows = []
    runs = [(sets, _HOURS[0]) for sets in (*_SETS, *([_MANY] if long else []))] + [(_SETS[0], _HOURS[1])]
    for sets, hours in runs:
        for name, count in ((_ALONE, 1), (_TOGETHER, threads)):
            asked = request(case_named(_CASE), entry_named(name), sets=sets, hours=hours, checked=2, threads=count)
            answer = ask(asked)
            timing = dict(answer["timing"])
            per_set = timing["cpu_s"] / timing["sets"]
            rows.append(
                {
                    "threads": count,
                    "sets": timing["sets"],
                    "clock_bars": answer["clock_bars"],
                    "us_per_set": 1e6 * per_set,
                    "ns_per_bar_set": 1e9 * per_set / answer["clock_bars"],
                    "timing": timing,
                }
            )
            size = f"{timing['sets']:,} sets x {answer['clock_bars']:,} bars"
            tell(f"growth {size}, threads: {count}: {1e6 * per_set:.1f} us of CPU per set")
    return rows
