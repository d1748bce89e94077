"""Carry an experiment out: data, panel, one answer per timeframe on one clock and span."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from btcflow.clock import Clock
from btcflow.config.experiment import Experiment
from btcflow.config.load import strategy_of
from btcflow.config.market_data import load_dataset, panel_of
from btcflow.data.records import Dataset
from btcflow.engine.ledger import Ledger, settle
from btcflow.engine.market import Market
from btcflow.errors import ConfigError
from btcflow.flow.bars import Bars
from btcflow.flow.open_interest import reference_price
from btcflow.panel import Panel
from btcflow.rules.rule import FreeForm, Rule
from btcflow.runs.evaluate import TimeframeAnswer, Work, answer, bars_of, ready_at, slow_because
from btcflow.runs.shown_metrics import ShownMetrics, shown_metrics
from btcflow.search.splits import make_folds
from btcflow.stats.capacity import capacity
from btcflow.stats.performance import Performance, performance

__all__ = ["Benchmark", "Execution", "execute"]

_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A path without skill beside the strategy's: its equity on the clock, and both segments."""

    equity: np.ndarray
    in_sample: Performance
    out_of_sample: Performance


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Everything a run found out, before anything is written."""

    experiment: Experiment
    strategy: Rule | FreeForm
    dataset: Dataset
    panel: Panel
    answers: tuple[TimeframeAnswer, ...]
    buy_and_hold: Benchmark
    spot: Benchmark | None
    capacity: pd.DataFrame | None
    ledger_because: str | None

    @property
    def main(self) -> TimeframeAnswer:
        """The first timeframe named, whose ledger the run folder holds."""
        return self.answers[0]

    @cached_property
    def shown(self) -> ShownMetrics:
        """The metrics on the bars of the first timeframe, with the windows of the last choice."""
        bars = Bars(self.panel, self.main.timeframe, self.experiment.flow)
        return shown_metrics(bars, self.main.folds[-1].values)

    @property
    def trials(self) -> int:
        """Parameter sets tried over all timeframes and folds; at least one."""
        return sum(1 if one.trials is None else len(one.trials) for one in self.answers)


def execute(
    experiment: Experiment,
    *,
    dataset: Dataset | None = None,
    work: Work | None = None,
) -> Execution:
    """Answer the experiment on each of its timeframes, all on one clock, span and cost model."""
    strategy = strategy_of(experiment)
    records = load_dataset(experiment) if dataset is None else dataset
    panel = panel_of(experiment, records)
    _refuse_borrowed_spot(experiment, panel.clock)
    wide = {frame: Bars(panel, frame, experiment.flow) for frame in experiment.frames}
    own = {frame: bars_of(experiment, strategy, bars) for frame, bars in wide.items()}
    folds = make_folds(*_span(experiment, strategy, own, panel.clock), experiment.split)
    answers = tuple(answer(experiment, strategy, bars, folds, work=work or Work()) for bars in own.values())
    ledger, cut = answers[0].ledger, int(np.searchsorted(answers[0].ledger.clock.opens, folds[0].test_start))
    return Execution(
        experiment=experiment,
        strategy=strategy,
        dataset=records,
        panel=panel,
        answers=answers,
        buy_and_hold=_held(ledger, experiment.market.market, cut),
        spot=None if ledger.inverse else _spot(panel, ledger, cut),
        capacity=_capacity(experiment, answers[0]),
        ledger_because=slow_because(experiment, strategy, panel.clock),
    )


def _refuse_borrowed_spot(experiment: Experiment, clock: Clock) -> None:
    """Spot is paid in full: nobody lends what a leveraged position in it costs, and nothing liquidates it."""
    leverage = experiment.market.leverage
    if clock.instrument.role == "spot" and leverage > 1:
        message = f"is {leverage:g}, and {clock.instrument.id} is a spot pair; expected 1"
        raise ConfigError(experiment.problem(("market", "leverage"), message, "trade a perpetual to use leverage"))


def _capacity(experiment: Experiment, main: TimeframeAnswer) -> pd.DataFrame | None:
    """The path of the first timeframe traded with each capital of ``market.capacity``."""
    terms = experiment.market
    return capacity(main.path, main.ledger.clock, terms.market, terms.capacity) if terms.capacity else None


def _span(experiment: Experiment, strategy: Rule | FreeForm, bars: dict[str, Bars], clock: Clock) -> tuple[int, int]:
    """From the day on which every timeframe's longest window is ready, to the clock's last whole day."""
    ready = max(ready_at(experiment, strategy, one) for one in bars.values())
    start, end = max(ready, int(clock.opens[0])), int(clock.closes_at[-1])
    if experiment.span.start is not None:
        wanted = pd.Timestamp(experiment.span.start, tz="UTC").value
        if wanted < start:
            message = (
                f"starts {experiment.span.start}, before every score is ready on {pd.Timestamp(start, tz='UTC').date()}"
            )
            raise ConfigError(
                experiment.problem(("span", "start"), message, "start later, load earlier data, or shorten the windows")
            )
        start = wanted
    if experiment.span.end is not None:
        end = min(end, pd.Timestamp(experiment.span.end, tz="UTC").value)
    return start, end // _DAY_NS * _DAY_NS


def _held(like: Ledger, market: Market, cut: int) -> Benchmark:
    """The traded instrument bought at the first open and held, with the same costs and funding."""
    ledger = settle(np.ones(len(like)), like.clock, market)
    return _benchmark(ledger, cut)


def _spot(panel: Panel, like: Ledger, cut: int) -> Benchmark | None:
    """Spot bought at the first close and held, without costs; None where the panel has no spot."""
    if len(panel.columns("spot")) == 0:
        return None
    row = np.searchsorted(panel.opens, like.clock.closes_at - panel.step_ns)
    price = reference_price(panel)[np.minimum(row, len(panel) - 1)]
    if not np.isfinite(price).all():
        return None
    clock = like.clock
    flat = np.zeros(len(clock))
    before = np.r_[price[0], price[:-1]]
    own = type(clock)(
        instrument=clock.instrument,
        step=clock.step,
        opens=clock.opens,
        open=before,
        high=np.maximum(before, price),
        low=np.minimum(before, price),
        close=price,
        volume=flat,
        funding=flat,
        settlements=np.zeros(len(clock), dtype=np.int64),
    )
    free = Market(fee=0.0, slippage=0.0, capital=like.market.capital)
    return _benchmark(settle(np.ones(len(own)), own, free), cut)


def _benchmark(ledger: Ledger, cut: int) -> Benchmark:
    return Benchmark(
        equity=ledger.equity[:, 0],
        in_sample=performance(ledger, 0, cut),
        out_of_sample=performance(ledger, cut, len(ledger)),
    )
