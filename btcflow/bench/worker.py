"""One contestant in one process: ``python -m btcflow.bench.worker``, a request on stdin, the answer on stdout."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from btcflow.bench.contestant import entry_named
from btcflow.bench.measure import take_numbers, take_time
from btcflow.bench.workload import case_named, workload

__all__ = ["COLD", "answer"]

COLD = "compiling the sweep kernel (first time, about 15 s)"


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Numbers of the checked sets, and the timing.

    Parameters
    ----------
    request : ``case`` and ``contestant`` by name, ``sets`` on the grid, ``checked`` sets for the numbers,
        ``repeats``, ``hours`` of the market, ``threads``, and ``chunks`` to
        try instead of the contestant's own (empty: its own)
    """
    entry = entry_named(request["contestant"])
    if request["chunks"] and len(entry.chunks) > 1:
        entry = replace(entry, chunks=tuple(request["chunks"]))
    if entry.kind == "kernel":
        from btcflow.engine.kernel.sweep import compiled

        if not compiled():
            sys.stderr.write(f"{COLD}\n")
            sys.stderr.flush()
    work = workload(case_named(request["case"]), request["sets"], hours=request["hours"])
    contestant = entry.make(request["threads"])
    contestant.prepare(work)
    checked = work.sample(request["checked"])
    numbers = take_numbers(contestant, checked, min(entry.chunks[-1:] or (len(checked),)))
    timed = take_time(contestant, entry, work, repeats=request["repeats"])
    return {"numbers": numbers, "timing": timed.plain(), "grid": len(work.sets), "clock_bars": len(work.clock)}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
