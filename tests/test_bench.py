"""The bench: equality before speed, one document, and contestants that run the same rule."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from btcflow.bench.contestant import ENTRIES, Entry, entry_named
from btcflow.bench.gate import differences, growth_of
from btcflow.bench.measure import take_numbers
from btcflow.bench.own_runs import LedgerRun
from btcflow.bench.race import Plan, ask_worker, race
from btcflow.bench.signal_matrix import SignalMatrix
from btcflow.bench.vectorbt_run import _position
from btcflow.bench.worker import COLD, answer
from btcflow.bench.workload import CASES, Workload, case_named, workload
from btcflow.engine.signals import clock_targets
from btcflow.errors import ConfigError, UnknownName
from btcflow.terminal.bench_view import bench_document, bench_markdown, bench_text

HOURS = 6_000
OWN = tuple(one for one in ENTRIES if one.kind in {"ledger", "kernel"})
TINY = Plan(cases=(case_named("1h-z"), case_named("day-8")), entries=OWN, sets=24, checked=4, repeats=1, hours=HOURS)


@lru_cache
def answered(request: str) -> dict[str, Any]:
    """A request carried out in this process, once."""
    return answer(json.loads(request))


def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return answered(json.dumps(request))


@lru_cache
def small(name: str) -> Workload:
    return workload(case_named(name), 24, hours=HOURS)


def numbers_of(entry: Entry, work: Workload) -> tuple[tuple[str, ...], list[str]]:
    """What a contestant has in common with the ledger, and where it differs."""
    runs = [LedgerRun(), entry.make(1)]
    for one in runs:
        one.prepare(work)
    right, told = (take_numbers(one, work.sample(6), 3) for one in runs)
    assert sum(right["trades"]) > 20
    return differences(right, told)


# ---------------------------------------------------------------- the document


def test_a_tiny_race_gives_a_finite_and_complete_document() -> None:
    lines: list[str] = []
    document = race(TINY, ask=ask, tell=lines.append)
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert document["schema"] == "btcflow.bench/1"
    assert document["equal"] is True
    assert document["machine"]["cores"] >= 1
    assert [case["name"] for case in document["cases"]] == ["1h-z", "day-8"]
    assert [case["clock_bars"] for case in document["cases"]] == [HOURS, HOURS // 24]
    for case in document["cases"]:
        assert [row["name"] for row in case["rows"]] == [one.name for one in OWN]
        for row in case["rows"]:
            timing = row["timing"]
            assert all(np.isfinite(value) and value >= 0 for value in timing.values())
            assert timing["per_cpu_s"] == pytest.approx(timing["sets"] / timing["cpu_s"])
            assert timing["peak_mb"] >= timing["before_mb"] > 10
            assert {"total_return", "sharpe", "max_drawdown", "trades"} <= set(row["checked"])
    assert len(lines) == 2 * len(OWN)


def test_a_contestant_that_is_wrong_gets_no_speed_and_the_race_says_so() -> None:
    """By a millionth of the return of one set."""

    def bent(request: Mapping[str, Any]) -> Mapping[str, Any]:
        found = ask(request)
        if request["contestant"] != "kernel full, 1 thread":
            return found
        changed = [*found["numbers"]["total_return"][:-1], found["numbers"]["total_return"][-1] + 1e-6]
        return {**found, "numbers": {**found["numbers"], "total_return": changed}}

    document = race(TINY, ask=bent)
    assert document["equal"] is False
    for case in document["cases"]:
        rows = {row["name"]: row for row in case["rows"]}
        assert "timing" not in rows["kernel full, 1 thread"]
        assert rows["kernel full, 1 thread"]["wrong"].startswith("total_return: 1 of 4 sets differ")
        assert "timing" in rows["kernel basic, 1 thread"]
    for text in (bench_text(document), bench_markdown(document)):
        assert "NOT EQUAL" in text
        assert "kernel full, 1 thread: WRONG" in text


def test_nobody_is_timed_without_the_ledgers_numbers() -> None:
    alone = replace(TINY, entries=tuple(one for one in OWN if one.kind == "kernel"))
    document = race(alone, ask=ask)
    assert document["equal"] is False
    assert all("timing" not in row for case in document["cases"] for row in case["rows"])


def test_a_contestant_that_is_absent_or_fails_says_why_and_the_others_go_on() -> None:
    absent = Entry(name="away", make=lambda _: LedgerRun(), kind="peer", needs=("no_such_engine",))
    broken = Entry(name="broken", make=lambda _: LedgerRun(), kind="peer")

    def fails(request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request["contestant"] == "broken":
            raise subprocess.CalledProcessError(1, ["worker"])
        return ask(request)

    document = race(replace(TINY, entries=(absent, broken, *OWN)), ask=fails)
    text = bench_text(document)
    assert document["equal"] is True
    assert "away: skipped: no_such_engine is not installed; pip install 'btcflow[peers]'" in text
    assert "broken: failed: its process ended with code 1" in text


def test_growth_rows_are_per_set_and_per_bar() -> None:
    def instant(request: Mapping[str, Any]) -> Mapping[str, Any]:
        cpu = request["sets"] * request["hours"] * 2e-9
        timing = {"sets": request["sets"], "cpu_s": cpu, "wall_s": cpu, "peak_mb": 1.0, "load": 0.0}
        return {"timing": timing, "clock_bars": request["hours"]}

    plan = Plan(cases=(), entries=(), growth=True, long=True, threads=2)
    document = race(plan, ask=instant)
    rows = document["growth"]
    assert [(one["sets"], one["clock_bars"], one["threads"]) for one in rows] == [
        (sets, bars, threads)
        for sets, bars in ((10**3, 60_000), (10**4, 60_000), (10**5, 60_000), (10**6, 60_000), (10**3, 500_000))
        for threads in (1, 2)
    ]
    assert [one["ns_per_bar_set"] for one in rows] == pytest.approx([2.0] * len(rows))
    assert "1,000,000" in bench_text(document)


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head() -> None:
    lines = [line for line in bench_markdown(race(TINY, ask=ask)).splitlines() if line.startswith("|")]
    assert len(lines) == 2 * (2 + len(OWN))
    assert {line.count("|") for line in lines} == {10}


def test_a_contestant_runs_in_a_process_of_its_own() -> None:
    document = race(replace(TINY, cases=(case_named("day-z"),), entries=OWN[:2]), ask=ask_worker)
    rows = document["cases"][0]["rows"]
    assert document["equal"] is True
    assert all(30 < row["timing"]["peak_mb"] < 1_000 for row in rows)
    assert {row["timing"]["sets"] for row in rows if row["kind"] == "kernel"} == {document["cases"][0]["sets"]}


# ---------------------------------------------------------------- the gate


def test_the_gate_compares_to_a_billionth_and_knows_what_is_not_defined() -> None:
    right = {"total_return": [1.0, np.nan, 2e6], "trades": [3.0, 4.0, 5.0]}
    same = {"total_return": [1.0 + 5e-10, np.nan, 2e6 + 1e-3], "sharpe": [0.0, 0.0, 0.0]}
    assert differences(right, same) == (("total_return",), [])
    for row, value in ((0, 1.0 + 2e-9), (0, np.nan), (1, 0.0), (2, 2e6 + 3e-3)):
        told = {"total_return": list(same["total_return"])}
        told["total_return"][row] = value
        assert len(differences(right, told)[1]) == 1, (row, value)
    assert differences(right, {"trades": [3.0, 4.0]})[1] == ["trades: (2,) values, expected (3,)"]


def test_growth_of_two_trades_by_hand() -> None:
    opens = np.array([100.0, 110.0, 121.0, 60.5])
    got = growth_of(np.array([0, 2]), np.array([1, 3]), np.array([1.0, -1.0]), opens)
    assert got == pytest.approx(np.log(1.1) + np.log(2.0))


# ---------------------------------------------------------------- the workload and the peers


@pytest.mark.parametrize("name", [one.name for one in CASES])
def test_the_signals_handed_to_other_engines_are_the_rules(name: str) -> None:
    work = small(name)
    made = _position(*SignalMatrix(work).sides(work.sets))
    assert np.array_equal(made, clock_targets(work.rule, work.bars, work.sets, delay=work.market.delay))
    assert set(np.unique(made)) == {-1.0, 0.0, 1.0}
    assert sum(1 for _ in work.rule.conditions()) == work.case.conditions


def test_a_longer_market_repeats_the_first_sixty_thousand_hours() -> None:
    longer, first = (workload(case_named("1h-z"), 10, hours=hours).clock for hours in (60_100, 60_000))
    assert (len(longer), len(first)) == (60_100, 60_000)
    assert set(np.diff(longer.opens)) == {3_600_000_000_000}
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(longer, name)[:60_000], getattr(first, name))
        assert np.array_equal(getattr(longer, name)[60_000:], getattr(first, name)[:100])


def test_a_daily_clock_holds_the_hours_of_each_day() -> None:
    hours, days = small("1d-z").clock, small("day-z").clock
    assert len(days) == len(hours) // 24
    own = hours.rows(np.arange(24, 48))
    assert (days.opens[1], days.open[1], days.close[1]) == (own.opens[0], own.open[0], own.close[-1])
    assert (days.high[1], days.low[1]) == (own.high.max(), own.low.min())
    assert days.closes_at[1] == own.closes_at[-1]


@pytest.mark.parametrize("count", [10, 1_000, 10_000])
def test_the_grid_has_about_as_many_sets_as_asked_for(count: int) -> None:
    for case in CASES[:2]:
        made = workload(case, count, hours=3_000).sets
        assert 0.8 * count <= len(made) <= 1.2 * count
        assert len({tuple(one.items()) for one in made}) == len(made)


def test_the_kernel_makes_its_own_scores_in_every_run() -> None:
    work = small("1h-z")
    work.bars.score("prem_z", window=77)
    kernel = entry_named("kernel full, 1 thread").make(1)
    kernel.prepare(work)
    kernel.fresh()
    assert not [key for key in work.bars._scores if key[0].endswith("_z")]


@pytest.mark.vectorbt
def test_vectorbt_from_orders_has_the_ledgers_numbers() -> None:
    names, wrong = numbers_of(entry_named("vectorbt numba, from_orders, matrix"), small("1h-z"))
    assert wrong == []
    assert set(names) == {"total_return", "clock_sharpe", "max_drawdown", "trades"}


@pytest.mark.vectorbt
@pytest.mark.full
@pytest.mark.parametrize("name", [one.name for one in CASES])
@pytest.mark.parametrize("engine", ["numba", "rust"])
def test_every_way_to_run_vectorbt_makes_the_ledgers_trades(engine: str, name: str) -> None:
    if engine == "rust" and importlib.util.find_spec("vectorbt_rust") is None:
        pytest.skip("vectorbt_rust is not installed; the extra `peers` has it")
    for how in ("from_signals", "from_orders"):
        names, wrong = numbers_of(entry_named(f"vectorbt {engine}, {how}, matrix"), small(name))
        assert wrong == []
        assert "trades" in names


@pytest.mark.parametrize("name", [one.name for one in CASES])
@pytest.mark.parametrize(
    ("entry", "module"), [("backtesting.py, one at a time", "backtesting"), ("raptorbt, batch", "raptorbt")]
)
def test_a_peer_makes_the_ledgers_trades(entry: str, module: str, name: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; the extra `peers` has it")
    names, wrong = numbers_of(entry_named(entry), small(name))
    assert wrong == []
    assert names == ("growth",)


# ---------------------------------------------------------------- bad input, and the first run


def test_a_case_there_is_not_and_no_threads_are_refused() -> None:
    told: dict[str, Any] = {"quick": True, "growth": False, "long": False, "tell": lambda _: None}
    with pytest.raises(UnknownName, match="did you mean '1h-z'"):
        bench_document(**told, threads=None, cases="1h-zz")
    with pytest.raises(ConfigError, match="--threads 0; expected 1 or more"):
        bench_document(**told, threads=0, cases=None)


def test_the_command_line_refuses_a_case_there_is_not() -> None:
    command = [sys.executable, "-m", "btcflow", "bench", "--cases", "day-zz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == "error: no bench case is called 'day-zz': did you mean 'day-z'?\n"


@pytest.mark.full
def test_the_first_run_in_a_fresh_environment_says_that_it_compiles(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    request = json.dumps(TINY.request(case_named("day-z"), entry_named("kernel full, 1 thread")))
    said = [
        subprocess.run(
            [sys.executable, "-m", "btcflow.bench.worker"], input=request, text=True, check=True, capture_output=True
        ).stderr
        for _ in range(2)
    ]
    assert said == [f"{COLD}\n", ""]
