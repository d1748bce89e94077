"""The sweep kernel, the exact ledger and an independent vectorbt simulation agree on every common number.

vectorbt has no liquidation, so the markets are calm: little exposure, and a maintenance margin so small that
no position reaches it. ``Simulation.calm`` says of each column whether that was so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_draws import FRAMES, OPTIONS, SCORES, daily, on_another_clock, random_clock, random_rule, random_sets

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
from btcflow.engine.kernel.sweep import sweep_kernel
from btcflow.engine.ledger import settle
from btcflow.engine.market import Market
from btcflow.engine.signals import clock_targets
from btcflow.flow.bars import Bars
from btcflow.registry import shipped
from btcflow.rules.decide import decide
from btcflow.rules.rule import Rule, number
from btcflow.stats.performance import performance

pytestmark = pytest.mark.vectorbt
REAL = "BTCFLOW_REAL_DATA"
Z = number(1.0, 0.0, 10.0, "sigma")
ON_REAL = ("fund_z", "prem_z", "bar_return", "funding_apr")
KERNEL = (
    *("start_equity", "end_equity", "total_return", "max_drawdown", "max_drawdown_daily", "volatility", "sharpe"),
    *("sortino", "price", "funding", "fees", "slippage", "turnover", "exposure", "trades", "win_rate"),
    *("profit_factor", "average_hold_hours"),
)
"""What the kernel has in common with the simulation; the ledger also has the Sharpe of clock bars, and the orders."""


@dataclass(frozen=True)
class Case:
    """One draw: bars and clock, a rule with two parameter sets, a market, and two stretches of the clock."""

    bars: Bars
    rule: Rule
    sets: list[Any]
    market: Market
    segments: np.ndarray


def calm_market(random: np.random.Generator) -> Market:
    return Market(
        fee=float(random.choice([0.0, 0.0005, 0.002])),
        slippage=float(random.choice([0.0, 0.0002, 0.002])),
        delay=int(random.integers(0, 4)),
        exposure=float(random.choice([0.02, 0.1, 0.3])),
        leverage=float(random.choice([1.0, 1.0, 2.0])),
        capital=float(random.choice([5_000.0, 100_000.0])),
        maintenance=((0.0, 1e-6),),
        liquidation_fee=0.0,
    )


def drawn(seed: int, bars: Bars, clock: Clock, scores: Sequence[str] = SCORES) -> Case:
    random = np.random.default_rng(seed)
    clock = random_clock(random, clock)
    if random.random() < 0.2:
        clock = replace(clock, funding=np.zeros(len(clock)))
    rule = random_rule(random, scores)
    begin, end = sorted(random.choice(len(clock) + 1, 2, replace=False).tolist())
    segments = np.array([[0, len(clock)], [begin, end]])
    return Case(on_another_clock(bars, clock), rule, random_sets(random, rule, 2), calm_market(random), segments)


@dataclass
class Tally:
    """What a number of draws compared, and where the three were not equal to 1e-9."""

    columns: int = 0
    trades: int = 0
    funded: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, name: str, case: Case, theirs: Case | None = None) -> None:
        """Run the kernel and the ledger on a case, vectorbt on ``theirs`` (default: the same), and compare."""
        import oracle_vectorbt

        clock, market, told = case.bars.panel.clock, case.market, theirs or case
        kernel = sweep_kernel(case.rule, case.bars, case.sets, market, case.segments)
        ledger = settle(clock_targets(case.rule, case.bars, case.sets, delay=market.delay), clock, market)
        decided = decide(told.rule, told.bars, told.sets)
        referee = oracle_vectorbt.simulate(decided, told.bars.decided_at, told.bars.panel.clock, told.market)
        for k in filter(referee.calm, range(len(case.sets))):
            for s, (first, last) in enumerate(case.segments.tolist()):
                expected = oracle_vectorbt.numbers(referee, k, first, last)
                exact = vars(performance(ledger, first, last, k)) | {"orders": _orders(ledger.orders, k, first, last)}
                fast = {one: getattr(kernel, one)[s, k] for one in KERNEL}
                self.wrong += differing(f"{name}[{s}, {k}] kernel", fast, expected, KERNEL)
                self.wrong += differing(f"{name}[{s}, {k}] ledger", exact, expected, expected)
            self.columns += 1
            self.trades += int(kernel.trades[0, k])
            self.funded += bool(abs(kernel.funding[0, k]) > 1.0)


def unequal(ours: Case, theirs: Case) -> list[str]:
    """Where kernel and ledger on ``ours`` differ from vectorbt on ``theirs``."""
    tally = Tally()
    tally.add("bent", ours, theirs)
    assert tally.trades > 5
    return tally.wrong


def _orders(orders: Any, column: int, first: int, last: int) -> int:
    return int(((orders.column == column) & (orders.row >= first) & (orders.row < last)).sum())


def differing(who: str, ours: Mapping[str, Any], theirs: Mapping[str, float], names: Iterable[str]) -> list[str]:
    """The names whose two numbers are not equal to 1e-9, NaN for NaN."""
    wrong = []
    for name in names:
        one, other = float(ours[name]), theirs[name]
        same = np.isnan(one) and np.isnan(other)
        if not same and not abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other)):
            wrong.append(f"{who} {name}: {one!r}, vectorbt {other!r}")
    return wrong


# ---------------------------------------------------------------- the simulated market


class Simulated:
    """Bars of the simulated market per timeframe, on an hourly and a daily clock."""

    def __init__(self, dataset: Dataset) -> None:
        hourly = make_clock(dataset, TRADED)
        self.clocks = {"1h": hourly, "1D": daily(replace(hourly, mark_low=None, mark_high=None))}
        panel = align(dataset, hourly, needs=("close", "funding_hours", "funding_paid", "open_interest"))
        self.bars = {frame: Bars(panel, frame, OPTIONS) for frame in FRAMES}


@pytest.fixture(scope="module")
def simulated(dataset: Dataset) -> Simulated:
    return Simulated(dataset)


def on_the_simulated_market(simulated: Simulated, draws: Iterable[int]) -> Tally:
    tally = Tally()
    for seed in draws:
        frame, step = FRAMES[seed % len(FRAMES)], "1D" if seed % 3 == 2 else "1h"
        tally.add(f"seed {seed}, {frame} on {step}", drawn(seed, simulated.bars[frame], simulated.clocks[step]))
    return tally


def test_kernel_ledger_and_vectorbt_agree(simulated: Simulated) -> None:
    tally = on_the_simulated_market(simulated, range(20))
    assert tally.wrong == []
    assert tally.columns >= 38
    assert tally.trades > 1_000
    assert tally.funded > 15


@pytest.mark.full
def test_kernel_ledger_and_vectorbt_agree_on_many_draws(simulated: Simulated) -> None:
    tally = on_the_simulated_market(simulated, range(20, 220))
    assert tally.wrong == []
    assert tally.columns >= 380
    assert tally.trades > 10_000


def test_a_wrong_simulation_would_be_noticed(simulated: Simulated) -> None:
    """Each rule of the Money paragraph matters: bend it on our side only, and the three no longer agree."""
    rule = Rule.of("turn", "z.", long_entry="fund_z <= -z", short_entry="fund_z >= z", parameters={"z": Z})
    segments = np.array([[0, len(simulated.clocks["1h"])]])
    case = Case(simulated.bars["1h"], rule, [{"z": 1.0}, {"z": 1.5}], Market(exposure=0.1, delay=1), segments)
    bent = {
        "delay": replace(case.market, delay=case.market.delay + 1),
        "fee": replace(case.market, fee=case.market.fee + 1e-8),
        "slippage": replace(case.market, slippage=case.market.slippage + 1e-8),
        "exposure": replace(case.market, exposure=case.market.exposure * (1 + 1e-6)),
    }
    assert unequal(case, case) == []
    for name, market in bent.items():
        assert unequal(replace(case, market=market), case), name
    clock = case.bars.panel.clock
    late = replace(clock, funding=np.roll(clock.funding, 1))
    assert unequal(replace(case, bars=on_another_clock(case.bars, late)), case)


# ---------------------------------------------------------------- real series


@pytest.mark.real
@pytest.mark.skipif(REAL not in os.environ, reason=f"{REAL} names no folder of real series")
@pytest.mark.parametrize("draws", [6, pytest.param(66, marks=pytest.mark.full)])
def test_kernel_ledger_and_vectorbt_agree_on_the_real_series(draws: int, store: Path) -> None:
    experiment = load_config("real_1d", overrides=[f"data.store={store}"])
    panel = panel_of(experiment, load_dataset(experiment))
    bars = {frame: Bars(panel, frame, OPTIONS) for frame in ("4h", "1D", "3D", "1W")}
    tally = Tally()
    for seed in range(draws):
        frame = list(bars)[seed % len(bars)]
        tally.add(f"seed {seed}, {frame}", drawn(seed, bars[frame], panel.clock, ON_REAL))
    assert tally.wrong == []
    assert tally.columns >= 1.5 * draws
    assert tally.trades > 3 * draws


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    import_files(Path(os.environ[REAL]), load_spec(shipped("configs") / "import" / "catalog.yaml"), Store(path))
    return path
