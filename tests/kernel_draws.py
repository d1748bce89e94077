"""Random rules, bars and clocks for the kernel's tests, all from a seed, and the slow way to the same numbers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from oracles import HOUR
from toys import START, clock_of, toy_market

from btcflow.clock import Clock
from btcflow.engine.kernel.result import KernelResult
from btcflow.engine.ledger import settle
from btcflow.engine.market import Market
from btcflow.engine.signals import clock_targets
from btcflow.flow.bars import Bars
from btcflow.flow.options import FlowOptions
from btcflow.instrument import Instrument
from btcflow.rules.rule import SIDES, Assignment, Condition, Parameter, Rule, integer, number
from btcflow.stats.performance import performance

FRAMES = ("1h", "2h", "4h", "8h", "12h", "1D", "3D", "1W")
OPTIONS = FlowOptions.model_validate(
    {
        "zscore": {"length": dict.fromkeys(FRAMES, 30)},
        "premium": {"smooth": dict.fromkeys(FRAMES, 2)},
        "funding": {"smooth": dict.fromkeys(FRAMES, 2)},
        "cycle": {"cooldown": dict.fromkeys(FRAMES, 3)},
    }
)
SCORES = ("fund_z", "oi_z", "prem_z", "oi_change_z", "bar_return", "funding_apr", "bullish", "state_code")
FULL = (
    *("start_equity", "end_equity", "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar"),
    *("max_drawdown", "trades", "turnover", "exposure", "price", "funding", "fees", "slippage"),
    *("win_rate", "profit_factor", "average_hold_hours", "daily_skew", "daily_kurtosis", "liquidations"),
    *("max_drawdown_daily", "max_drawdown_days"),
)
"""Every number the kernel shares with ``performance``."""
TIERS = (
    ((0.0, 0.005),),
    ((0.0, 0.0001),),
    ((0.0, 0.004), (50_000.0, 0.01), (300_000.0, 0.05)),
    ((0.0, 0.0213), (100_000.0, 0.5)),
)
"""Maintenance margins: common, hardly any, in steps, and prohibitive for the large."""
BASIC = FULL[:-2]


class WrittenBars:
    """Bars of any times whose scores are made up: NaN, infinities and ties included."""

    timeframe = "made up"

    def __init__(self, seed: int, clock: Clock, bars: int) -> None:
        random = np.random.default_rng(seed)
        hours = int((clock.closes_at[-1] - clock.opens[0]) // HOUR)
        self.decided_at = np.sort(clock.opens[0] + random.integers(-3 * HOUR, (hours + 3) * HOUR, bars))
        self.panel: Any = type("P", (), {"clock": clock})()
        self._random = random
        self._scores: dict[tuple[str, int | None], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.decided_at)

    def window(self) -> int:
        return 30

    def forget_beyond(self, count: int) -> None:
        """These scores are made up once and kept."""

    def score(self, name: str, *, window: int | None = None, **_: Any) -> np.ndarray:
        key = (name, window)
        if key not in self._scores:
            values = (
                np.round(np.cumsum(self._random.normal(0.0, self._random.choice([0.2, 1.0]), len(self))), 1) % 4.0 - 2.0
            )
            values[self._random.random(len(self)) < 0.05] = np.nan
            values[self._random.random(len(self)) < 0.01] = np.inf
            self._scores[key] = values
        return self._scores[key]


def on_another_clock(bars: Bars, clock: Clock) -> Bars:
    """The same bars and scores, with money moving on ``clock``."""
    other = copy.copy(bars)
    other.panel = replace(bars.panel, clock=clock)
    return other


def daily(clock: Clock) -> Clock:
    """An hourly clock without holes that begins at midnight, as a clock of days."""
    first = np.arange(0, len(clock) - 23, 24)
    last = first + 23
    return replace(
        clock,
        step="1D",
        opens=clock.opens[first],
        open=clock.open[first],
        high=np.maximum.reduceat(clock.high, first)[: len(first)],
        low=np.minimum.reduceat(clock.low, first)[: len(first)],
        mark_high=None if clock.mark_high is None else np.maximum.reduceat(clock.mark_high, first)[: len(first)],
        mark_low=None if clock.mark_low is None else np.minimum.reduceat(clock.mark_low, first)[: len(first)],
        close=clock.close[last],
        volume=clock.volume[first],
        funding=np.add.reduceat(clock.funding, first)[: len(first)],
        settlements=clock.settlements[first],
    )


def random_clock(random: np.random.Generator, clock: Clock) -> Clock:
    """The clock with rows missing here and there, cut at both ends at any hour."""
    keep = random.random(len(clock)) >= random.choice([0.0, 0.0, 0.02, 0.3])
    cut = np.sort(random.choice(len(clock), 2, replace=False))
    if cut[1] - cut[0] > 300:
        keep[: cut[0]] = keep[cut[1] :] = False
    return clock.rows(keep)


def random_market(random: np.random.Generator, *, calm: bool = False) -> Market:
    """Any market; a calm one is not levered."""
    if calm:
        return Market(exposure=0.3, fee=float(random.choice([0.0, 0.01])), delay=int(random.integers(0, 3)))
    return Market(
        fee=float(random.choice([0.0, 0.0005, 0.01])),
        slippage=float(random.choice([0.0, 0.0002, 0.02])),
        delay=int(random.integers(0, 4)),
        exposure=float(random.choice([0.0, 0.3, 1.0, 1.0, 1.0])),
        leverage=float(random.choice([1.0, 1.0, 3.0, 25.0])),
        capital=float(random.choice([5_000.0, 100_000.0])),
        maintenance=TIERS[random.integers(len(TIERS))],
        liquidation_fee=float(random.choice([0.0, 0.005, 0.02])),
    )


def random_rule(random: np.random.Generator, scores: Sequence[str] = SCORES, *, spread: float = 1.5) -> Rule:
    """One to four sides, each an OR of up to three ANDs of up to four conditions on up to eight scores."""
    parameters: dict[str, Parameter] = {}

    def condition() -> Condition:
        score = str(random.choice(scores))
        window: int | str | None = None
        if score not in {"bar_return", "funding_apr"}:
            window = [None, 20, "w0", "w1", "w2"][random.integers(5)]
        if isinstance(window, str):
            parameters[window] = integer(30, 2, 500, "bars")
        threshold: float | str = float(np.round(random.normal(0.0, spread), 1))
        if random.random() < 0.6:
            name = f"z{random.integers(3)}"
            parameters[name] = number(0.5, -10.0, 10.0, "sigma")
            threshold = str(random.choice(["", "-"])) + name
        return Condition(score=score, op=random.choice([">=", "<=", ">", "<"]), threshold=threshold, window=window)

    sides: dict[str, Any] = {}
    for side in SIDES:
        groups = random.choice([0, 1, 1, 2, 3])
        sides[side] = tuple(tuple(condition() for _ in range(random.choice([1, 1, 2, 4]))) for _ in range(groups))
        if groups and random.random() < 0.03:
            sides[side] += ((),)
    if not sides["long_entry"] and not sides["short_entry"]:
        sides["long_entry"] = ((condition(),),)
    return Rule(
        name="drawn",
        claim="It is random.",
        parameters=parameters,
        min_hold=int(random.choice([0, 0, 1, 5])),
        cooldown=int(random.choice([0, 0, 1, 4])),
        hysteresis=None if random.random() < 0.6 else float(random.choice([0.0, 0.5, 1.0])),
        **sides,
    )


def random_sets(random: np.random.Generator, rule: Rule, count: int) -> list[Assignment]:
    return [
        rule.assign(
            {
                name: int(random.choice([10, 24, 60]))
                if one.kind == "int"
                else float(np.round(random.normal(0.3, 1.0), 1))
                for name, one in rule.parameters.items()
            }
        )
        for _ in range(count)
    ]


def random_segments(random: np.random.Generator, first: int, last: int, shortest: int = 1) -> np.ndarray:
    """The span and a few stretches inside it, which may overlap; none shorter than ``shortest`` but the span."""
    found = [[first, last]]
    for _ in range(4):
        begin, end = np.sort(random.choice(np.arange(first, last + 1), 2, replace=False)).tolist()
        end = begin + 1 if random.random() < 0.2 else end
        if end - begin >= shortest:
            found.append([begin, end])
    return np.array(found)


def shortest(clock: Clock, market: Market) -> int:
    """How short a segment may be before its annual growth leaves the floating numbers."""
    moves = np.abs(np.diff(np.log(clock.close), prepend=np.log(clock.open[0])))
    return 1 if market.gross * float(moves.max()) < 0.03 else 48


def written_case(seed: int, hours: int, *, spot: bool = False) -> tuple[WrittenBars, Clock]:
    """A small clock with gaps, and a few dozen decisions at any time around it."""
    random = np.random.default_rng(seed)
    step = 0.002 if hours < 48 else float(random.choice([0.002, 0.02]))
    clock = clock_of(toy_market(seed, hours, step=step))
    assert clock.opens[0] == START
    if spot:
        clock = replace(clock, instrument=Instrument(venue="toy", symbol="SPOT", role="spot"))
    return WrittenBars(seed + 1, clock, int(random.integers(1, 200))), clock


def slowly(
    rule: Rule, bars: Any, values: Assignment, market: Market, segments: np.ndarray, span: tuple[int, int]
) -> list[Mapping[str, Any]]:
    """The ledger and ``performance``: what the kernel must equal, one mapping per segment."""
    first, last = span
    clock = bars.panel.clock
    targets = clock_targets(rule, bars, [values], delay=market.delay)[first:last]
    ledger = settle(targets, clock.rows(np.arange(first, last)), market)
    return [
        vars(performance(ledger, int(begin) - first, int(end) - first)) | {"ruined": bool(ledger.ruined[0])}
        for begin, end in segments
    ]


def differences(
    result: KernelResult, k: int, expected: Sequence[Mapping[str, Any]], names: Sequence[str] = FULL
) -> list[str]:
    """Where set k is not equal to what was expected, to 1e-9, NaN for NaN."""
    found = []
    for s, wanted in enumerate(expected):
        for name in names:
            one, other = float(getattr(result, name)[s, k]), float(wanted[name])
            if name == "calmar" and wanted["max_drawdown"] > -1e-12:
                continue  # a drawdown of rounding alone
            if np.isnan(one) and np.isnan(other):
                continue
            if not abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other)):
                found.append(f"{name}[{s}, {k}]: {one!r}, expected {other!r}")
    return found
