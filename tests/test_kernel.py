"""The sweep kernel equals the ledger and ``performance`` on every number they share."""

from __future__ import annotations

import ast
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_draws import (
    BASIC,
    FRAMES,
    FULL,
    OPTIONS,
    daily,
    differences,
    on_another_clock,
    random_clock,
    random_market,
    random_rule,
    random_segments,
    random_sets,
    shortest,
    slowly,
    written_case,
)
from toys import clock_of, toy_market

import btcflow
from btcflow.clock import Clock
from btcflow.config.load import load_config
from btcflow.config.market_data import load_dataset, panel_of
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.import_spec import load_spec
from btcflow.data.imports import import_files
from btcflow.data.records import Dataset
from btcflow.data.simulate import TRADED
from btcflow.data.store import Store
from btcflow.engine import kernel
from btcflow.engine.kernel.bits import levels_of, pack, words_of
from btcflow.engine.kernel.result import KernelResult
from btcflow.engine.kernel.sweep import SweepKernel, sweep_kernel
from btcflow.engine.kernel.walk import next_set
from btcflow.engine.market import Market
from btcflow.errors import BadRecords, ConfigError
from btcflow.flow.bars import Bars
from btcflow.registry import shipped
from btcflow.rules.rule import Rule, number
from btcflow.rules.strategies import STRATEGIES

law = settings(derandomize=True, max_examples=200, deadline=None)
few = settings(derandomize=True, max_examples=40, deadline=None)
seeds = st.integers(0, 2**31)


class Simulated:
    """Bars of the simulated market per timeframe, on an hourly and a daily clock."""

    def __init__(self, dataset: Dataset) -> None:
        hourly = make_clock(dataset, TRADED)
        self.clocks = {"1h": hourly, "1D": daily(hourly)}
        needs = ("close", "funding_hours", "funding_paid", "open_interest")
        panel = align(dataset, self.clocks["1h"], needs=needs)
        self.bars = {frame: Bars(panel, frame, OPTIONS) for frame in FRAMES}


@pytest.fixture(scope="module")
def simulated(dataset: Dataset) -> Simulated:
    return Simulated(dataset)


def same_bits(left: KernelResult, right: KernelResult, column: int | None = None) -> bool:
    """Whether all numbers are equal to the last bit; ``column`` of the right against a left of one set."""
    for name in (*FULL, "ruined"):
        one, other = getattr(left, name), getattr(right, name)
        other = other if column is None else other[..., column : column + 1]
        if np.ascontiguousarray(one).tobytes() != np.ascontiguousarray(other).tobytes():
            return False
    return True


# ---------------------------------------------------------------- laws


@law
@given(seed=seeds, frame=st.sampled_from(FRAMES), step=st.sampled_from(["1h", "1h", "1D"]))
def test_on_the_simulated_market_every_number_is_that_of_the_ledger(
    simulated: Simulated, seed: int, frame: str, step: str
) -> None:
    random = np.random.default_rng(seed)
    clock = random_clock(random, simulated.clocks[step])
    bars = on_another_clock(simulated.bars[frame], clock)
    rule, market = random_rule(random), random_market(random)
    sets = random_sets(random, rule, 2)
    span = (0, len(clock)) if random.random() < 0.5 else (len(clock) // 5, len(clock) - 3)
    segments = random_segments(random, *span, shortest(clock, market))
    found = sweep_kernel(rule, bars, sets, market, segments, span=span)
    for k, values in enumerate(sets):
        expected = slowly(rule, bars, values, market, segments, span)
        assert differences(found, k, expected) == []
        assert found.ruined[k] == expected[0]["ruined"]


@law
@given(seed=seeds, hours=st.integers(1, 400))
def test_with_made_up_scores_and_times_every_number_is_that_of_the_ledger(seed: int, hours: int) -> None:
    """NaN, infinite and tied scores; several decisions before one fill; clocks with holes; spot and perpetuals."""
    random = np.random.default_rng(seed)
    bars, clock = written_case(seed, hours, spot=seed % 3 == 0)
    rule, market = random_rule(random, spread=1.0), random_market(random, calm=hours < 48)
    sets = random_sets(random, rule, 3)
    segments = random_segments(random, 0, len(clock), shortest(clock, market))
    found = sweep_kernel(rule, bars, sets, market, segments)  # type: ignore[arg-type]
    for k, values in enumerate(sets):
        expected = slowly(rule, bars, values, market, segments, (0, len(clock)))
        assert differences(found, k, expected) == []
        assert found.ruined[k] == expected[0]["ruined"]


def test_the_draws_reach_what_they_are_for() -> None:
    """Some sets trade often, some are liquidated, ruined or owe money for a while, some never trade."""
    trades, under, ruined, taken = [], [], [], []
    for seed in range(150):
        random = np.random.default_rng(seed)
        bars, _ = written_case(seed, 300, spot=seed % 2 == 0)
        rule = random_rule(random, spread=1.0)
        found = sweep_kernel(rule, bars, random_sets(random, rule, 1), random_market(random))  # type: ignore[arg-type]
        trades.append(int(found.trades[0, 0]))
        under.append(bool(found.max_drawdown[0, 0] < -1.0))
        ruined.append(bool(found.ruined[0]))
        taken.append(bool(found.liquidations[0, 0] > 0))
    assert max(trades) > 15
    assert sum(one > 5 for one in trades) > 30
    assert 10 < trades.count(0) < 100
    assert 2 <= sum(ruined) <= 50
    assert 2 <= sum(under) <= 50
    assert 5 <= sum(taken) <= 50


@few
@given(seed=seeds, hours=st.integers(2, 300))
def test_each_set_alone_equals_the_batch_bit_for_bit(seed: int, hours: int) -> None:
    random = np.random.default_rng(seed)
    bars, clock = written_case(seed, hours)
    rule, market = random_rule(random, spread=1.0), random_market(random)
    sets = random_sets(random, rule, 24)  # enough of them to share spans
    segments = random_segments(random, 0, len(clock))

    run = SweepKernel(rule, bars, market, segments).run  # type: ignore[arg-type]

    batch = run(sets)
    assert all(same_bits(run([one]), batch, k) for k, one in enumerate(sets))
    assert same_bits(run(sets, threads=3), batch)
    assert same_bits(run(sets, bitmap_bytes=1), batch)
    order = random.permutation(24)
    mixed = run([sets[k] for k in order])
    assert all(same_bits(run([sets[k]]), mixed, at) for at, k in enumerate(order))


@few
@given(seed=seeds, hours=st.integers(2, 300))
def test_segments_asked_for_together_equal_each_asked_alone(seed: int, hours: int) -> None:
    random = np.random.default_rng(seed)
    bars, clock = written_case(seed, hours)
    rule, market = random_rule(random, spread=1.0), random_market(random)
    sets = random_sets(random, rule, 3)
    segments = random_segments(random, 0, len(clock))
    together = sweep_kernel(rule, bars, sets, market, segments)  # type: ignore[arg-type]
    for s, one in enumerate(segments):
        alone = sweep_kernel(rule, bars, sets, market, one[None], span=(0, len(clock)))  # type: ignore[arg-type]
        for k in range(3):
            assert differences(alone, k, [{name: getattr(together, name)[s, k] for name in FULL}]) == []


@few
@given(seed=seeds, hours=st.integers(2, 300))
def test_the_basic_summary_is_the_full_one_with_less(seed: int, hours: int) -> None:
    random = np.random.default_rng(seed)
    bars, _ = written_case(seed, hours)
    rule, market = random_rule(random, spread=1.0), random_market(random)
    sets = random_sets(random, rule, 2)
    full = sweep_kernel(rule, bars, sets, market)  # type: ignore[arg-type]
    basic = sweep_kernel(rule, bars, sets, market, summary="basic")  # type: ignore[arg-type]
    assert all(getattr(basic, name).tobytes() == getattr(full, name).tobytes() for name in BASIC)
    assert all(getattr(basic, name) is None for name in FULL[len(BASIC) :])


@few
@given(seed=seeds, hours=st.integers(2, 300))
def test_the_money_of_a_segment_adds_up_to_its_change_in_equity(seed: int, hours: int) -> None:
    random = np.random.default_rng(seed)
    bars, clock = written_case(seed, hours)
    rule = random_rule(random, spread=1.0)
    segments = random_segments(random, 0, len(clock))
    found = sweep_kernel(rule, bars, random_sets(random, rule, 3), Market(), segments)  # type: ignore[arg-type]
    parts = found.price + found.funding + found.fees + found.slippage
    np.testing.assert_allclose(parts, found.end_equity - found.start_equity, rtol=0, atol=1e-9 * 100_000)


@few
@given(seed=seeds, bars=st.integers(1, 300), op=st.sampled_from([">=", "<=", ">", "<"]))
def test_a_bitmap_holds_the_comparison_of_every_bar_and_finds_the_next_one(seed: int, bars: int, op: str) -> None:
    random = np.random.default_rng(seed)
    values = random.choice([-1.0, 0.0, 0.5, 1.0, np.nan, np.inf, -np.inf], size=bars)
    thresholds = np.array([-np.inf, -1.0, -0.5, 0.0, 0.5, 1.0, np.inf])
    out = np.full((len(thresholds), words_of(bars)), 7, dtype=np.uint64)
    above = np.full(len(thresholds), op in {">", ">="})
    pack(values, above, levels_of(op, thresholds), np.arange(len(thresholds)), out)
    compare = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}[op]
    for row, threshold in zip(out, thresholds, strict=True):
        held = compare(values, threshold)
        bits = np.unpackbits(row.view(np.uint8), bitorder="little").astype(bool)
        assert bits[:bars].tolist() == held.tolist()
        assert not bits[bars:].any()
        for start in range(bars):
            after = np.flatnonzero(held[start:])
            assert next_set(row, start) == (start + after[0] if len(after) else 64 * len(row))


# ---------------------------------------------------------------- by hand


def flat_clock(opens: list[float], closes: list[float], paid: list[float]) -> Clock:
    toy = clock_of(toy_market(0, 60))
    columns = {"open": opens, "high": closes, "low": closes, "close": closes, "funding": paid}
    cut = toy.rows(np.arange(len(toy)) < len(opens))
    return dataclasses.replace(cut, **{name: np.array(values) for name, values in columns.items()})


def test_a_long_then_a_reversal_by_hand() -> None:
    bars, _ = written_case(0, 10)
    clock = flat_clock([100.0, 100.0, 110.0, 120.0], [100.0, 110.0, 120.0, 90.0], [0.0, 1.0, 0.0, 0.0])
    bars.panel.clock, bars.decided_at = clock, clock.opens[[1, 3]]
    bars._scores = {("bar_return", None): np.array([1.0, -1.0])}
    rule = Rule.of("turn", "Up, then down.", long_entry="bar_return > 0", short_entry="bar_return < 0")
    found = sweep_kernel(rule, bars, [{}], Market(fee=0.0, slippage=0.0, capital=100.0))  # type: ignore[arg-type]
    # 1 BTC long from 100, pays 1; worth 119 at the open of 120; short 119/120 BTC to 90.
    assert found.end_equity[0, 0] == pytest.approx(119.0 * (1.0 + 30.0 / 120.0))
    assert found.trades[0, 0] == 2
    assert found.funding[0, 0] == -1.0
    assert found.price[0, 0] == pytest.approx(20.0 + 119.0 * 0.25)
    assert found.exposure[0, 0] == 0.75
    assert found.win_rate[0, 0] == 1.0
    assert found.max_drawdown[0, 0] == 0.0


def test_a_rule_that_never_trades_has_no_ratios() -> None:
    bars, _ = written_case(3, 100)
    rule = Rule.of("never", "Never.", long_entry="bar_return > 1e6")
    found = sweep_kernel(rule, bars, [{}], Market())  # type: ignore[arg-type]
    assert found.total_return[0, 0] == found.max_drawdown[0, 0] == found.volatility[0, 0] == 0.0
    assert np.isnan([found.sharpe[0, 0], found.sortino[0, 0], found.calmar[0, 0], found.win_rate[0, 0]]).all()


def test_no_parameter_sets_give_no_columns() -> None:
    bars, _ = written_case(3, 100)
    rule = Rule.of("never", "Never.", long_entry="bar_return > 1e6")
    assert sweep_kernel(rule, bars, [], Market()).sharpe.shape == (1, 0)  # type: ignore[arg-type]


def test_a_shipped_strategy_over_a_grid_of_windows_and_thresholds(simulated: Simulated) -> None:
    for name in ("funding_fade", "confluence", "buy_and_hold"):
        rule, bars = STRATEGIES.get(name), simulated.bars["1D"]
        assert isinstance(rule, Rule)
        own = {"window": [10, 30]} if "window" in rule.parameters else {}
        sets = [rule.assign({key: value[i] for key, value in own.items()}) for i in range(2)]
        count = len(bars.panel.clock)
        segments = np.array([[0, count], [count // 2, count]])
        found = sweep_kernel(rule, bars, sets, Market(), segments)
        for k, values in enumerate(sets):
            assert differences(found, k, slowly(rule, bars, values, Market(), segments, (0, count))) == []


def test_compiled_functions_call_none_of_another_file() -> None:
    """Numba's disk cache would go on using what the other file no longer says."""
    folder = Path(kernel.__file__).parent
    compiled = [path for path in sorted(folder.glob("*.py")) if "@njit" in path.read_text(encoding="utf-8")]
    assert [path.name for path in compiled] == ["bits.py", "floor.py", "money.py", "numbers.py", "walk.py"]
    assert [path.name for path in compiled if any("njit" in source for source in _imported_sources(path))] == []


def _imported_sources(path: Path) -> list[str]:
    """The source of every file of the package that a file imports."""
    names = [
        str(node.module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    root = Path(btcflow.__file__).parent.parent
    files = [root / (name.replace(".", "/") + ".py") for name in names if name.startswith("btcflow.")]
    return [file.read_text(encoding="utf-8") for file in files]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"segments": np.array([[5, 5]])}, "segment of clock rows"),
        ({"segments": np.array([[0, 10**6]])}, "segment of clock rows"),
        ({"span": (3, 3)}, "span of clock rows"),
        ({"span": (5, 20), "segments": np.array([[4, 10]])}, "segment of clock rows"),
        ({"threads": 0}, "threads"),
        ({"summary": "all"}, "summary"),
    ],
)
def test_bad_spans_segments_and_choices_are_refused(how: dict[str, Any], text: str) -> None:
    bars, _ = written_case(3, 100)
    rule = Rule.of("up", "Up.", long_entry="bar_return > 0")
    with pytest.raises(ConfigError, match=text):
        sweep_kernel(rule, bars, [{}], Market(), **how)  # type: ignore[arg-type]


def test_a_parameter_without_a_value_is_refused() -> None:
    bars, _ = written_case(3, 100)
    rule = Rule.of("up", "Up.", long_entry="bar_return > z", parameters={"z": number(0.0, -1.0, 1.0, "fraction")})
    with pytest.raises(ConfigError, match="'z' has no value"):
        sweep_kernel(rule, bars, [{"z": None}], Market())  # type: ignore[arg-type]


def test_a_price_that_is_not_positive_is_refused() -> None:
    bars, _ = written_case(3, 100)
    bars.panel.clock = flat_clock([100.0, 0.0], [100.0, 100.0], [0.0, 0.0])
    with pytest.raises(BadRecords, match="open is 0"):
        sweep_kernel(Rule.of("up", "Up.", long_entry="bar_return > 0"), bars, [{}], Market())  # type: ignore[arg-type]


# ---------------------------------------------------------------- the long tier


@pytest.mark.full
@settings(derandomize=True, max_examples=1500, deadline=None)
@given(seed=seeds, hours=st.integers(1, 900))
def test_many_more_draws_equal_the_ledger(seed: int, hours: int) -> None:
    random = np.random.default_rng(seed)
    bars, clock = written_case(seed, hours, spot=seed % 3 == 0)
    rule, market = random_rule(random, spread=1.0), random_market(random, calm=hours < 48)
    sets = random_sets(random, rule, 2)
    segments = random_segments(random, 0, len(clock), shortest(clock, market))
    found = sweep_kernel(rule, bars, sets, market, segments)  # type: ignore[arg-type]
    for k, values in enumerate(sets):
        assert differences(found, k, slowly(rule, bars, values, market, segments, (0, len(clock)))) == []


@pytest.mark.real
@pytest.mark.full
@pytest.mark.skipif("BTCFLOW_REAL_DATA" not in os.environ, reason="BTCFLOW_REAL_DATA names no folder of real series")
def test_on_the_real_series_every_number_is_that_of_the_ledger(tmp_path: Path) -> None:
    spec = load_spec(shipped("configs") / "import" / "catalog.yaml")
    import_files(Path(os.environ["BTCFLOW_REAL_DATA"]), spec, Store(tmp_path))
    experiment = load_config("real_1d", overrides=[f"data.store={tmp_path}"])
    panel = panel_of(experiment, load_dataset(experiment))
    clock, compared = panel.clock, 0
    for frame in ("1D", "3D", "1W"):
        bars = Bars(panel, frame, OPTIONS)
        for seed in range(12):
            random = np.random.default_rng(seed)
            rule = random_rule(random, ("fund_z", "prem_z", "bar_return", "funding_apr"))
            market = random_market(random)
            sets = random_sets(random, rule, 3)
            segments = random_segments(random, 0, len(clock), shortest(clock, market))
            found = sweep_kernel(rule, bars, sets, market, segments)
            for k, values in enumerate(sets):
                assert differences(found, k, slowly(rule, bars, values, market, segments, (0, len(clock)))) == []
            compared += int((found.trades[0] > 0).sum())
    assert compared > 30
