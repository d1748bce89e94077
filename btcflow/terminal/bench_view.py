"""The text of `btcflow bench`: one table per case, and how the kernel grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from btcflow.terminal.tables import table

__all__ = ["bench_document", "bench_markdown", "bench_text"]

_HEADER = ("", "sets per CPU-s", "x vectorbt", "x floor time", "per wall s", "sets", "chunk", "peak MB", "load")
_GROWTH = ("sets", "bars", "threads", "us CPU per set", "ns per bar-set", "CPU s", "wall s", "peak MB", "load")


def bench_document(
    *, quick: bool, growth: bool, long: bool, threads: int | None, cases: str | None, tell: Any
) -> dict[str, Any]:
    """Race what the options of the command ask for.

    Parameters
    ----------
    quick : two cases, 2,000 sets, two chunks, best of two
    growth, long : also growing counts, up to a million sets
    threads : n; default: the machine's
    cases : names with commas between; default: all
    tell : is given one line per row

    Raises
    ------
    ConfigError
        for fewer threads than one
    UnknownName
        for a case there is not
    """
    import os

    from btcflow.bench.race import Plan, race
    from btcflow.bench.workload import CASES, case_named
    from btcflow.errors import ConfigError

    if threads is not None and threads < 1:
        raise ConfigError(f"--threads {threads}; expected 1 or more")
    named = [case_named(one.strip()) for one in cases.split(",") if one.strip()] if cases else None
    count = threads or os.cpu_count() or 1
    if quick:
        few = [one for one in CASES if one.name in {"1h-z", "day-z"}]
        plan = Plan(cases=named or few, sets=2_000, repeats=2, threads=count, chunks=(16, 64), growth=growth, long=long)
    else:
        plan = Plan(cases=named or CASES, threads=count, growth=growth, long=long)
    return race(plan, tell=tell)


def bench_text(document: Mapping[str, Any]) -> str:
    """The document as plain text."""
    parts = [_about(document)]
    for case in document["cases"]:
        parts.append(f"{case['name']}  {case['title']}; {case['sets']:,} sets\n{table(_HEADER, _timed(case))}")
        parts += _untimed(case)
    if document["growth"]:
        parts.append(f"growth of the kernel, full summary, hourly z rule\n{table(_GROWTH, _growth(document))}")
    return "\n\n".join([*parts, _verdict(document)])


def bench_markdown(document: Mapping[str, Any]) -> str:
    """The document as Markdown, for ``docs/benchmarks.md``."""
    parts = [_about(document)]
    for case in document["cases"]:
        parts.append(f"### {case['title']}\n\n{case['sets']:,} sets\n\n{_markdown(_HEADER, _timed(case))}")
        parts += [f"* {line}" for line in _untimed(case)]
    if document["growth"]:
        parts.append(f"### Growth\n\nHourly z rule, full summary\n\n{_markdown(_GROWTH, _growth(document))}")
    return "\n\n".join([*parts, _verdict(document)])


def _about(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version)
    memory = "" if machine["memory_gb"] is None else f", {machine['memory_gb']:g} GB"
    return (
        f"{document['at']}; {machine['cpu']}, {machine['cores']} cores{memory}, {machine['system']}; Python "
        f"{machine['python']}, {packages}; load at the end {machine['load']:.1f}; n = "
        f"{document['threads']} threads, best of {document['repeats']}"
    )


def _timed(case: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for row in case["rows"]:
        timing = row.get("timing")
        if timing is None:
            continue
        cells = [f"{timing['sets']:,}", f"{timing['chunk']:,}", f"{timing['peak_mb']:,.0f}", f"{timing['load']:.1f}"]
        speeds = [_count(timing["per_cpu_s"]), _times(row["over_vectorbt"]), _times(row["time_over_floor"])]
        rows.append([row["name"], *speeds, _count(timing["per_wall_s"]), *cells])
    return rows


def _untimed(case: Mapping[str, Any]) -> list[str]:
    words = {"skipped": "skipped", "failed": "failed", "wrong": "WRONG, so not timed"}
    return [
        f"{row['name']}: {said}: {row[word]}" for row in case["rows"] for word, said in words.items() if word in row
    ]


def _growth(document: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            f"{row['sets']:,}",
            f"{row['clock_bars']:,}",
            str(row["threads"]),
            f"{row['us_per_set']:.1f}",
            f"{row['ns_per_bar_set']:.3f}",
            f"{row['timing']['cpu_s']:.2f}",
            f"{row['timing']['wall_s']:.2f}",
            f"{row['timing']['peak_mb']:,.0f}",
            f"{row['timing']['load']:.1f}",
        ]
        for row in document["growth"]
    ]


def _verdict(document: Mapping[str, Any]) -> str:
    if document["equal"]:
        return "every contestant that was timed first gave the exact ledger's numbers, to 1e-9"
    return "NOT EQUAL: see the rows marked WRONG"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _times(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
