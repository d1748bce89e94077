"""Around the sweep kernel: liquidation by hand, paths of sets, tables of sets, the floor, and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_draws import FULL, WrittenBars, differences, random_market, random_rule, random_sets, slowly, written_case
from toys import clock_of, toy_market

from btcflow.clock import Clock
from btcflow.engine.kernel import money, numbers
from btcflow.engine.kernel.floor import FLOOR, mark_to_market_floor
from btcflow.engine.kernel.result import KernelResult
from btcflow.engine.kernel.sweep import SweepKernel, compiled, sweep_kernel
from btcflow.engine.kernel.table import ParameterTable
from btcflow.engine.ledger import daily_equity, settle
from btcflow.engine.market import Market
from btcflow.engine.signals import assignments, clock_targets
from btcflow.errors import ConfigError, ContractError
from btcflow.flow.catalog import METRICS
from btcflow.rules.rule import Condition, Rule, number

few = settings(derandomize=True, max_examples=40, deadline=None)
seeds = st.integers(0, 2**31)
FREE = Market(fee=0.0, slippage=0.0, capital=100.0)


def up_and_down() -> Rule:
    """Long while the score is positive, short while it is negative; flat at 0."""
    return Rule.of(
        "turn",
        "Up, then down.",
        long_entry="bar_return > 0",
        long_exit="bar_return <= 0",
        short_entry="bar_return < 0",
        short_exit="bar_return >= 0",
    )


def by_hand(
    opens: list[float], lows: list[float], highs: list[float], closes: list[float], scores: dict[int, float]
) -> tuple[Any, Clock]:
    """Bars decided at the opens of some clock bars, with their scores."""
    toy = clock_of(toy_market(0, 60))
    assert (np.diff(toy.opens[: len(opens)]) > 0).all()
    cut = toy.rows(np.arange(len(toy)) < len(opens))
    prices = {"open": opens, "low": lows, "high": highs, "close": closes, "funding": [0.0] * len(opens)}
    clock = dataclasses.replace(cut, **{name: np.array(values) for name, values in prices.items()})
    bars = WrittenBars(0, clock, 1)
    bars.decided_at = clock.opens[list(scores)]
    bars._scores = {("bar_return", None): np.array(list(scores.values()))}
    return bars, clock


# ---------------------------------------------------------------- liquidation


def run_by_hand(market: Market, closes: list[float], lows: list[float], scores: dict[int, float]) -> KernelResult:
    opens = [100.0, *closes[:-1]]
    highs = [max(pair) for pair in zip(opens, closes, strict=True)]
    bars, _ = by_hand(opens, lows, highs, closes, scores)
    return sweep_kernel(up_and_down(), bars, [{}], market)


def test_a_long_is_liquidated_where_its_equity_meets_the_margin_and_stays_flat() -> None:
    market = dataclasses.replace(FREE, leverage=5.0, maintenance=((0.0, 0.01),), liquidation_fee=0.005)
    found = run_by_hand(market, [100.0, 95.0, 100.0, 200.0], [100.0, 80.0, 95.0, 100.0], {0: 1.0})
    # 5 BTC for 500 on 100: equity at L is 100 + 5 (L - 100) = 0.01 * 5 L, so L = 400 / 4.95; the fee takes half of it.
    stop = 400.0 / 4.95
    assert found.liquidations[0, 0] == found.trades[0, 0] == 1
    assert found.end_equity[0, 0] == pytest.approx(0.005 * 5.0 * stop, rel=1e-12)
    assert found.price[0, 0] == pytest.approx(5.0 * (stop - 100.0), rel=1e-12)
    assert found.exposure[0, 0] == 0.25  # the first bar of four; not the one it ended in
    assert not found.ruined[0]


def test_a_low_that_stops_short_of_the_margin_liquidates_nothing() -> None:
    market = dataclasses.replace(FREE, leverage=5.0, maintenance=((0.0, 0.01),))
    found = run_by_hand(market, [100.0, 95.0, 100.0, 200.0], [100.0, 80.81, 95.0, 100.0], {0: 1.0})
    assert found.liquidations[0, 0] == 0
    assert found.end_equity[0, 0] == pytest.approx(600.0)


def test_a_gap_beyond_all_equity_ruins_and_later_signals_are_not_traded() -> None:
    market = dataclasses.replace(FREE, leverage=5.0)
    bars, _ = by_hand(
        [100.0, 70.0, 70.0, 70.0], [100.0, 70.0, 70.0, 70.0], [100.0] * 4, [100.0, 70.0, 70.0, 90.0], {0: 1.0, 2: -1.0}
    )
    found = sweep_kernel(up_and_down(), bars, [{}], market)
    assert found.ruined[0]
    assert (found.end_equity[0, 0], found.price[0, 0], found.fees[0, 0]) == (0.0, -100.0, 0.0)
    assert (found.trades[0, 0], found.liquidations[0, 0], found.max_drawdown[0, 0]) == (1, 1, -1.0)


def test_the_mark_decides_over_a_liquidation_where_the_clock_has_it() -> None:
    market = dataclasses.replace(FREE, leverage=5.0)
    bars, clock = by_hand([100.0] * 3, [50.0] * 3, [150.0] * 3, [100.0] * 3, {0: 1.0})
    assert sweep_kernel(up_and_down(), bars, [{}], market).liquidations[0, 0] == 1
    bars.panel.clock = dataclasses.replace(clock, mark_low=np.full(3, 90.0), mark_high=np.full(3, 110.0))
    assert sweep_kernel(up_and_down(), bars, [{}], market).liquidations[0, 0] == 0


@few
@given(seed=seeds, hours=st.integers(48, 300))
def test_a_higher_maintenance_margin_never_liquidates_later(seed: int, hours: int) -> None:
    random = np.random.default_rng(seed)
    bars, clock = written_case(seed, hours)
    rule = random_rule(random, spread=1.0)
    sets = random_sets(random, rule, 3)
    first = []
    for rate in (0.001, 0.01, 0.03):
        market = Market(leverage=25.0, maintenance=((0.0, rate),))
        ledger = settle(clock_targets(rule, bars, sets, delay=0), clock, market)  # type: ignore[arg-type]
        found = sweep_kernel(rule, bars, sets, market)  # type: ignore[arg-type]
        assert found.liquidations[0].tolist() == ledger.liquidations.tolist()
        own = ledger.orders.where(ledger.orders.liquidation)
        first.append([min([len(clock), *own.row[own.column == k].tolist()]) for k in range(3)])
    assert (np.diff(first, axis=0) <= 0).all()


# ---------------------------------------------------------------- what sets share, and holes


@few
@given(seed=seeds)
def test_sets_that_share_spans_equal_the_ledger_and_each_alone(seed: int) -> None:
    """Two decisions a day and few signals: many sets hold the same trades, entered from flat or by reversal."""
    clock = clock_of(toy_market(seed, 900))
    bars: Any = WrittenBars(seed, clock, 60)
    rule = Rule.of(
        "shared",
        "Many sets see the same.",
        long_entry="fund_z >= z0",
        long_exit="fund_z <= -z1",
        short_entry="fund_z <= -z0",
        short_exit="fund_z >= z1",
        parameters={name: number(0.5, -10.0, 10.0, "sigma") for name in ("z0", "z1")},
    )
    sets = ParameterTable.product(rule, {"z0": [0.1, 0.4, 0.7, 1.0, 1.3, 1.6], "z1": [-1.0, -0.3, 0.0, 0.5, 1.0]})
    span = (0, len(clock))
    segments = np.array([span, [len(clock) // 2, len(clock)]])
    kernel = SweepKernel(rule, bars, Market(), segments)
    assert kernel._memo > 1
    found = kernel.run(sets)
    kernel._memo = 2  # what is kept is pushed out all the time
    again = kernel.run(sets)
    assert all(getattr(again, name).tobytes() == getattr(found, name).tobytes() for name in FULL)
    for k in (0, 7, 14, 21, 28):
        assert differences(found, k, slowly(rule, bars, sets[k], Market(), segments, span)) == []
        alone = kernel.run([sets[k]])
        assert all(getattr(alone, name)[:, 0].tobytes() == getattr(found, name)[:, k].tobytes() for name in FULL)


@few
@given(seed=seeds)
def test_a_midnight_in_a_hole_behind_a_segment_is_not_its_own(seed: int) -> None:
    random = np.random.default_rng(seed)
    clock = clock_of(toy_market(seed, 400))
    hour = clock.opens // 3_600_000_000_000 % 24
    clock = clock.rows((hour < 20) | (random.random(len(clock)) < 0.3))
    bars: Any = WrittenBars(seed, clock, 150)
    ends = np.flatnonzero(np.diff(clock.opens // 86_400_000_000_000)) + 1
    segments = np.array([[ends[i], ends[i + 5]] for i in range(0, len(ends) - 5, 3)])
    rule, market = random_rule(random, spread=1.0), Market(exposure=0.3)
    sets = random_sets(random, rule, 2)
    found = sweep_kernel(rule, bars, sets, market, segments, span=(0, len(clock)))
    for k in range(2):
        assert differences(found, k, slowly(rule, bars, sets[k], market, segments, (0, len(clock)))) == []


# ---------------------------------------------------------------- paths


@few
@given(seed=seeds, hours=st.integers(2, 300), chunk=st.integers(1, 9))
def test_paths_are_the_positions_and_daily_returns_of_the_ledger(seed: int, hours: int, chunk: int) -> None:
    random = np.random.default_rng(seed)
    bars, clock = written_case(seed, hours, spot=seed % 3 == 0)
    rule, market = random_rule(random, spread=1.0), random_market(random)
    sets = random_sets(random, rule, 7)
    found = list(SweepKernel(rule, bars, market).paths(sets, chunk=chunk))  # type: ignore[arg-type]
    targets = clock_targets(rule, bars, sets, delay=market.delay)  # type: ignore[arg-type]
    ledger, daily = settle(targets, clock, market), daily_equity(targets, clock, market)
    assert [one.positions.shape[1] for one in found] == [min(chunk, 7 - at) for at in range(0, 7, chunk)]
    assert np.array_equal(np.hstack([one.positions for one in found]), np.sign(ledger.quantity))
    before = np.where(daily.equity[:-1] > 0, daily.equity[:-1], np.nan)
    np.testing.assert_allclose(
        np.hstack([one.returns for one in found]), daily.equity[1:] / before - 1.0, rtol=1e-9, atol=1e-9
    )
    assert np.array_equal(found[0].days, daily.days)


# ---------------------------------------------------------------- tables of sets

GRID = {"w0": [10, 24], "z0": [-0.5, 0.0, 0.5], "z1": [1.0]}


def gridded() -> Rule:
    parameters = {name: number(0.5, -10.0, 100.0, "sigma") for name in ("w0", "z0", "z1", "z2")}
    return Rule.of(
        "gridded",
        "It is a grid.",
        long_entry="fund_z[w0] >= z0 and prem_z >= -z1",
        long_exit="fund_z[w0] <= -z2",
        parameters=parameters,
    )


def test_a_product_table_is_the_list_of_its_combinations() -> None:
    rule, (bars, _) = gridded(), written_case(5, 200)
    listed, _ = assignments(rule, GRID)
    table = ParameterTable.product(rule, GRID)
    assert list(table) == listed
    assert table[-1] == listed[-1]
    assert table[1:3] == listed[1:3]
    one, other = (sweep_kernel(rule, bars, sets, Market()) for sets in (listed, table))  # type: ignore[arg-type]
    assert all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in FULL)


def test_a_table_of_columns_is_the_list_of_its_rows() -> None:
    rule, (bars, _) = gridded(), written_case(5, 200)
    columns = {"w0": np.array([24, 10, 24]), "z0": np.array([0.1, 0.2, 0.1])}
    table = ParameterTable.columns(rule, columns)
    listed = [rule.assign({"w0": w, "z0": z}) for w, z in zip(*(own.tolist() for own in columns.values()), strict=True)]
    assert list(table) == listed
    one, other = (sweep_kernel(rule, bars, sets, Market()) for sets in (listed, table))  # type: ignore[arg-type]
    assert all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in FULL)


def test_a_table_with_unknown_bad_or_ragged_values_is_refused() -> None:
    rule = gridded()
    for grid, text in (({"z9": [1.0]}, "no parameter"), ({"z0": [1e6]}, "expected"), ({"z0": []}, "empty list")):
        with pytest.raises(ConfigError, match=text):
            ParameterTable.product(rule, grid)
    with pytest.raises(ConfigError, match="of lengths"):
        ParameterTable.columns(rule, {"z0": np.zeros(2), "z1": np.zeros(3)})


# ---------------------------------------------------------------- the floor


@few
@given(seed=seeds, hours=st.integers(2, 300))
def test_the_floor_tells_the_ledgers_equity_and_drawdown(seed: int, hours: int) -> None:
    random = np.random.default_rng(seed)
    _, clock = written_case(seed, hours, spot=True)
    targets = np.repeat(random.integers(-1, 2, (3, 40)), 8, axis=1)[:, : len(clock)].astype(np.int8)
    market = Market(exposure=0.3)
    found = dict(zip(FLOOR, mark_to_market_floor(targets, clock, market).T, strict=True))
    ledger = settle(targets.T.astype(np.float64), clock, market)
    np.testing.assert_allclose(found["end"], ledger.equity[-1], rtol=1e-9)
    np.testing.assert_allclose(found["funding"], ledger.funding.sum(axis=0), rtol=1e-9, atol=1e-6)
    path = np.vstack([np.full(3, market.capital), ledger.equity])
    np.testing.assert_allclose(found["worst"], (path / np.maximum.accumulate(path)).min(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found["mean"], (path[1:] / path[:-1] - 1.0).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found["peak"], path.max(axis=0), rtol=1e-9)


def test_the_floor_refuses_targets_of_another_kind() -> None:
    _, clock = written_case(1, 20)
    with pytest.raises(ContractError, match="a row per set"):
        mark_to_market_floor(np.zeros((len(clock), 2)), clock, Market())


# ---------------------------------------------------------------- what it refuses, and how it is built


def test_more_than_eight_scores_are_refused() -> None:
    names = [name for name in METRICS.names() if METRICS.get(name).unit != "0/1"][:9]
    conditions = tuple(Condition(score=name, op=">=", threshold=0.0) for name in names)
    bars, _ = written_case(3, 100)
    Rule(name="eight", claim="Many.", long_entry=(conditions[:8],))
    rule = Rule(name="nine", claim="Too many.", long_entry=(conditions,))
    with pytest.raises(ConfigError, match=r"compares 9 scores.*at most 8"):
        SweepKernel(rule, bars, Market())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "text"),
    [({"twap": 3}, "market.twap"), ({"impact": 0.1}, "impact"), ({"min_notional": 5.0}, "min_notional")],
)
def test_what_only_the_ledger_can_settle_is_refused(how: dict[str, Any], text: str) -> None:
    bars, _ = written_case(3, 100)
    with pytest.raises(ConfigError, match=f"{text}.*ledger"):
        SweepKernel(up_and_down(), bars, Market(**how))  # type: ignore[arg-type]


def test_an_inverse_contract_is_refused() -> None:
    bars, clock = written_case(3, 100)
    inverse = dataclasses.replace(clock.instrument, margin="inverse")
    bars.panel.clock = dataclasses.replace(clock, instrument=inverse)
    with pytest.raises(ConfigError, match=r"inverse.*ledger"):
        SweepKernel(up_and_down(), bars, Market())  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [-1, 0.5, True])
def test_a_delay_that_is_no_number_of_bars_is_refused(delay: Any) -> None:
    with pytest.raises(ConfigError, match=r"market\.delay"):
        Market(delay=delay)


def test_a_chunk_of_no_sets_is_refused() -> None:
    bars, _ = written_case(3, 100)
    with pytest.raises(ConfigError, match="chunk"):
        next(SweepKernel(up_and_down(), bars, Market()).paths([{}], chunk=0))  # type: ignore[arg-type]


def test_the_two_compiled_files_agree_on_their_columns() -> None:
    assert (numbers._OPEN_VALUE, numbers._VALUE_BEFORE) == (money.OPEN_VALUE, money.VALUE_BEFORE)
    assert (numbers._ROW, numbers._MARK) == (money.ROW, money.MARK)
    named = {"start": 0, "end": 1, "high": 2, "low": 3, "worst": 4, "price": 5, "hold_ns": 15, "liquidations": 16}
    named |= {"first": 17, "last": 18, "returns": 19, "squares": 20, "cubes": 21, "fourths": 22, "losses": 23}
    assert {name: money.PIECE.index(name) for name in named} == named
    assert money.PIECE[5:16] == numbers.RAW[3:14]
    assert money.PIECE[24] == "record"
    assert money.RECORD == ("row", "mark", "base", "quantity", "low", "high")
    assert money.TRADE == ("entry", "exit", "quantity", "entry_cost", "net", "until")


@pytest.mark.parametrize("hours", [30, 333, 2000])
def test_a_cell_lies_in_one_line_of_the_cache(hours: int) -> None:
    bars, _ = written_case(5, hours)
    cells = SweepKernel(gridded(), bars, Market())._tape.cells
    assert cells.flags.c_contiguous
    assert cells.strides[0] == 64
    assert cells.ctypes.data % 64 == 0


def test_after_a_sweep_the_kernel_is_compiled() -> None:
    bars, _ = written_case(3, 100)
    sweep_kernel(up_and_down(), bars, [{}], Market())  # type: ignore[arg-type]
    assert compiled()
