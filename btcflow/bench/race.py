"""The race: every contestant on every case in a process of its own, and one document of what came out."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from btcflow.bench.contestant import ENTRIES, Entry
from btcflow.bench.gate import differences
from btcflow.bench.growth import growth_plan
from btcflow.bench.measure import load
from btcflow.bench.workload import CASES, Case

__all__ = ["Ask", "Plan", "ask_worker", "race"]

Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Carries out one request of :func:`btcflow.bench.worker.answer` and returns its answer."""
_PACKAGES = ("numpy", "numba", "pandas", "vectorbt", "vectorbt-rust", "backtesting", "raptorbt")
_HOURS = 60_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to race.

    Attributes
    ----------
    cases, entries : who runs what
    sets : parameter sets of the kernel's grid
    checked : how many of them each contestant must get right first
    repeats : timed runs, of which the best counts
    threads : n of the rows with n threads
    chunks : chunks of sets to try instead of the contestants' own; empty: their own
    hours : length of the market
    growth : also time the kernel over growing counts of sets and bars; ``long``: up to a million sets
    """

    cases: Sequence[Case] = CASES
    entries: Sequence[Entry] = ENTRIES
    sets: int = 10_000
    checked: int = 12
    repeats: int = 3
    threads: int = 2
    chunks: tuple[int, ...] = ()
    hours: int = _HOURS
    growth: bool = False
    long: bool = False

    def request(self, case: Case, entry: Entry, **changed: Any) -> dict[str, Any]:
        """What a worker is asked."""
        asked = {
            "case": case.name,
            "contestant": entry.name,
            "sets": self.sets,
            "checked": self.checked,
            "repeats": self.repeats,
            "threads": self.threads,
            "hours": self.hours,
            "chunks": list(self.chunks),
        }
        return asked | changed


def race(plan: Plan, *, ask: Ask | None = None, tell: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Run the plan.

    Parameters
    ----------
    plan : what to race
    ask : carries out a request; default: a process of its own for each
    tell : is given one line per row as it is measured

    Returns
    -------
    the document ``btcflow.bench/1``: machine, one entry per case with its rows, and ``equal``: False where a
    contestant's numbers were not the ledger's. A row has either ``timing``, or one of ``skipped``,
    ``failed`` and ``wrong`` with the reason in words; no number in it is NaN or infinite
    """
    inquire, told = ask or ask_worker, tell or _silent
    cases = [_case(plan, case, inquire, told) for case in plan.cases]
    return {
        "schema": "btcflow.bench/1",
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": _machine(),
        "threads": plan.threads,
        "sets": plan.sets,
        "repeats": plan.repeats,
        "cases": cases,
        "growth": growth_plan(plan.request, inquire, told, threads=plan.threads, long=plan.long) if plan.growth else [],
        "equal": not any("wrong" in row for case in cases for row in case["rows"]),
    }


def ask_worker(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Carry out one request in a fresh process, whose stderr is ours.

    Raises
    ------
    subprocess.CalledProcessError
        where the process failed; it has said why on stderr
    """
    done = subprocess.run(
        [sys.executable, "-m", "btcflow.bench.worker"],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _case(plan: Plan, case: Case, ask: Ask, tell: Callable[[str], None]) -> dict[str, Any]:
    rows, reference = [], None
    grid = bars = 0
    for entry in sorted(plan.entries, key=lambda one: one.kind != "ledger"):
        row, answer = _row(plan, case, entry, ask)
        if answer is not None:
            grid, bars = max(grid, answer["grid"]), answer["clock_bars"]
            reference = answer["numbers"] if entry.kind == "ledger" else reference
            _judge(row, entry, answer["numbers"], reference)
        rows.append(row)
        tell(f"{case.name:<6} {_line(row)}")
    _rank(rows)
    return {"name": case.name, "title": case.title, "sets": grid, "clock_bars": bars, "rows": rows}


def _row(plan: Plan, case: Case, entry: Entry, ask: Ask) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    row: dict[str, Any] = {"name": entry.name, "kind": entry.kind}
    if entry.absent is not None:
        return row | {"skipped": entry.absent}, None
    try:
        answer = ask(plan.request(case, entry))
    except subprocess.CalledProcessError as error:
        return row | {"failed": f"its process ended with code {error.returncode}; see stderr"}, None
    return row | {"timing": dict(answer["timing"])}, answer


def _judge(row: dict[str, Any], entry: Entry, numbers: Mapping[str, Any], reference: Any) -> None:
    """Strike the timing of a contestant whose numbers are not the ledger's, or could not be compared."""
    if entry.kind == "floor":
        return
    if reference is None:
        wrong = ["the exact ledger gave no numbers to compare with"]
        names: tuple[str, ...] = ()
    else:
        names, wrong = differences(reference, numbers)
        wrong = wrong or ([] if names else ["it has no number in common with the exact ledger"])
    row["checked"] = list(names)
    if wrong:
        del row["timing"]
        row["wrong"] = "; ".join(wrong)


def _rank(rows: list[dict[str, Any]]) -> None:
    """Add each row's speed over vectorbt's best matrix, and over the mark-to-market floor."""
    timed = [row for row in rows if "timing" in row]
    best = max(
        (_speed(row) for row in timed if row["name"].startswith("vectorbt") and "matrix" in row["name"]), default=0
    )
    floor = next((_speed(row) for row in timed if row["kind"] == "floor"), 0.0)
    for row in timed:
        row["over_vectorbt"] = _speed(row) / best if best else None
        row["time_over_floor"] = floor / _speed(row) if floor else None


def _speed(row: Mapping[str, Any]) -> float:
    return float(row["timing"]["per_cpu_s"])


def _line(row: Mapping[str, Any]) -> str:
    for word in ("skipped", "failed", "wrong"):
        if word in row:
            return f"{row['name']}: {word.upper() if word == 'wrong' else word}: {row[word]}"
    return f"{row['name']}: {_speed(row):,.0f} sets per CPU-second"


def _machine() -> dict[str, Any]:
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": versions,
        "load": load(),
    }


def _cpu() -> str:
    """The processor's name where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return round(total, 1) if math.isfinite(total) and total > 0 else None


def _silent(_: str) -> None:
    pass
