"""What is raced: a simulated market on a clock, a rule, and a grid of parameter sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from btcflow.errors import UnknownName

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market
    from btcflow.flow.bars import Bars
    from btcflow.panel import Panel
    from btcflow.rules.rule import Assignment, Rule

__all__ = ["CASES", "Case", "Workload", "case_named", "workload"]

_HOURS = 60_000
_SERIES = ("perp_premium", "oi_index", "funding_8h")
"""What the z-scores are taken of: prepared before the clock of the bench starts."""
_FRAMES = ("1h", "1D")
_SEED = 7


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table: the timeframe of the signals, the step of the clock, and how many conditions."""

    name: str
    title: str
    timeframe: str
    step: str
    conditions: int


CASES = (
    Case(name="1h-z", title="60,000 bars, 1h signals, z rule", timeframe="1h", step="1h", conditions=4),
    Case(name="1h-8", title="60,000 bars, 1h, 3 scores and 8 conditions", timeframe="1h", step="1h", conditions=8),
    Case(name="1d-z", title="1D signals on the 60,000-bar clock, z rule", timeframe="1D", step="1h", conditions=4),
    Case(name="1d-8", title="1D on the 60,000-bar clock, 8 conditions", timeframe="1D", step="1h", conditions=8),
    Case(name="day-z", title="2,500 daily bars, z rule", timeframe="1D", step="1D", conditions=4),
    Case(name="day-8", title="2,500 daily bars, 8 conditions", timeframe="1D", step="1D", conditions=8),
)


def case_named(name: str) -> Case:
    """The case of that name.

    Raises
    ------
    UnknownName
        with the nearest name there is
    """
    for one in CASES:
        if one.name == name:
            return one
    raise UnknownName("bench case", name, [one.name for one in CASES])


@dataclass(frozen=True)
class Workload:
    """A case with its market, ready to run.

    Attributes
    ----------
    case, rule, market : what is asked
    bars : the signal bars; the clock of their panel pays no funding, since the other engines have none
    sets : K parameter sets, a grid of windows and thresholds
    """

    case: Case
    rule: Rule
    market: Market
    bars: Bars
    sets: list[Assignment]

    @property
    def clock(self) -> Clock:
        """The bars on which money moves."""
        return self.bars.panel.clock

    @cached_property
    def fill_rows(self) -> np.ndarray:
        """The clock row at whose open each signal bar's order fills; (T,) int64, ``len(clock)`` = never."""
        from btcflow.engine.execution import fill_rows

        return fill_rows(self.bars.decided_at, self.clock, delay=self.market.delay)

    def fresh(self) -> Bars:
        """The bars without a z-score: premium, open interest and funding are data, their z-scores are work."""
        self.bars.forget_beyond(0)
        for name in _SERIES:
            self.bars.score(name)
        return self.bars

    def sample(self, count: int) -> list[Assignment]:
        """About ``count`` sets, spread evenly over the grid."""
        rows = np.unique(np.linspace(0, len(self.sets) - 1, min(count, len(self.sets))).astype(int))
        return [self.sets[row] for row in rows]


def workload(case: Case, sets: int, *, hours: int = _HOURS) -> Workload:
    """Simulate the market of a case and lay out its parameter sets.

    Parameters
    ----------
    case : one of ``CASES``
    sets : how many parameter sets, rounded to a full grid (10,000 = 100 windows, 20 entries, 5 exits)
    hours : length of the market; one longer than 60,000 hours repeats the first 60,000

    Notes
    -----
    An exposure of a quarter keeps every set far from liquidation, which the other engines do not have, and
    from their limit on cash.
    """
    from btcflow.engine.market import Market
    from btcflow.flow.bars import Bars
    from btcflow.flow.options import FlowOptions

    options = FlowOptions.model_validate(
        {
            "zscore": {"length": {"1h": 200, "1D": 90}},
            "premium": {"smooth": {"1h": 6, "1D": 7}},
            "funding": {"smooth": {"1h": 24, "1D": 7}},
            "cycle": {"cooldown": dict.fromkeys(_FRAMES, 3)},
        }
    )
    panel = _panel(case, hours)
    rule = _rule(case.conditions)
    made = Workload(
        case=case,
        rule=rule,
        market=Market(exposure=0.25),
        bars=Bars(panel, case.timeframe, options),
        sets=_sets(rule, case, sets),
    )
    made.fresh()
    return made


def _panel(case: Case, hours: int) -> Panel:
    from btcflow.data.align import align
    from btcflow.data.clocks import make_clock
    from btcflow.data.simulate import TRADED, simulate

    years = round((min(hours, _HOURS) + 48) / 8766.0 + 0.01, 4)
    dataset = simulate(seed=_SEED, years=years)
    clock = make_clock(dataset, TRADED)
    clock = clock.rows(np.arange(len(clock)) < min(hours, _HOURS))
    panel = align(dataset, clock, needs=("close", "funding_hours", "funding_paid", "open_interest"))
    funding = np.zeros(len(clock))
    panel = replace(
        panel,
        opens=panel.opens[: len(clock)],
        fields={name: values[: len(clock)] for name, values in panel.fields.items()},
        clock=replace(clock, funding=funding, settlements=funding.astype(np.int64), mark_low=None, mark_high=None),
    )
    panel = _repeated(panel, hours) if hours > _HOURS else panel
    return replace(panel, clock=_days(panel.clock)) if case.step == "1D" else panel


def _repeated(panel: Panel, hours: int) -> Panel:
    """The same rows again and again, up to ``hours``; the price jumps back where they begin again."""
    count = len(panel)
    rows, clock = np.arange(hours) % count, panel.clock
    opens = panel.opens[0] + panel.step_ns * np.arange(hours, dtype=np.int64)
    longer = replace(clock.rows(rows), opens=opens)
    return replace(panel, opens=opens, fields={name: one[rows] for name, one in panel.fields.items()}, clock=longer)


def _days(clock: Clock) -> Clock:
    """A clock of hours that begins at midnight, as a clock of whole days."""
    days = len(clock) // 24
    last = np.arange(24 * days).reshape(days, 24)[:, -1]
    first = last - 23
    return replace(
        clock,
        step="1D",
        opens=clock.opens[first],
        open=clock.open[first],
        high=np.maximum.reduceat(clock.high, first),
        low=np.minimum.reduceat(clock.low, first),
        close=clock.close[last],
        volume=np.add.reduceat(clock.volume, first),
        funding=np.zeros(days),
        settlements=np.zeros(days, dtype=np.int64),
    )


def _rule(conditions: int) -> Rule:
    """Fade the premium: four conditions on one score, or eight on three.

    An entry on one side always implies the exit of the other, so both sides can be told apart: that is
    what engines without a state machine need.
    """
    from btcflow.rules.rule import Rule, number, window

    long_entry, short_entry = "prem_z[window] <= -entry_z", "prem_z[window] >= entry_z"
    parameters = {
        "window": window(),
        "entry_z": number(2.0, 0.0, 10.0, "premium z-score that counts as rich, sigma"),
        "exit_z": number(0.0, -10.0, 10.0, "premium z-score that ends the trade, sigma"),
    }
    if conditions == 8:
        long_entry += " and oi_z[window] >= oi_z and fund_z[window] <= -fund_z"
        short_entry += " and oi_z[window] >= oi_z and fund_z[window] >= fund_z"
        parameters["oi_z"] = number(0.0, -10.0, 10.0, "open-interest z-score, sigma")
        parameters["fund_z"] = number(0.0, -10.0, 10.0, "funding z-score, sigma")
    return Rule.of(
        f"premium_fade_{conditions}",
        "A rich premium unwinds.",
        long_entry=long_entry,
        long_exit="prem_z[window] >= -exit_z",
        short_entry=short_entry,
        short_exit="prem_z[window] <= exit_z",
        parameters=parameters,
    )


def _sets(rule: Rule, case: Case, count: int) -> list[Assignment]:
    from btcflow.engine.signals import assignments

    low, high = (24, 2000) if case.timeframe == "1h" else (10, 300)
    windows = min(100, max(2, round((count / 10) ** 0.6)))
    extra = 4 if case.conditions == 8 and count >= 1000 else 1
    exits = 5 if count >= 1000 else 2
    entries = max(1, round(count / (windows * exits * extra)))
    grid = {
        "window": [int(one) for one in np.linspace(low, high, windows)],
        "entry_z": np.linspace(0.5, 2.5, entries).tolist() if entries > 1 else [1.5],
        "exit_z": np.linspace(-0.45, 0.45, exits).tolist(),
    }
    if case.conditions == 8:
        grid |= {"oi_z": [-1.0, -0.5][:extra], "fund_z": [-1.0, -0.5][: max(1, extra // 2)]}
    return assignments(rule, grid)[0]
