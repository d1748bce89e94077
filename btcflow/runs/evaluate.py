"""Evaluate one timeframe: choose parameters on each training span, trade the stitched path once.

The path that is traded uses the first fold's choice up to the first cut (in sample) and each fold's
choice in its own test span (out of sample), so one ledger holds both, and no number out of sample
comes from parameters that saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from btcflow.clock import Clock
from btcflow.config.experiment import Experiment
from btcflow.engine.ledger import Ledger, daily_equity, settle
from btcflow.engine.signals import clock_targets
from btcflow.errors import ConfigError
from btcflow.flow.bars import Bars
from btcflow.rules.decide import decide, first_decidable
from btcflow.rules.rule import Assignment, FreeForm, Rule
from btcflow.search.progress import Progress
from btcflow.search.space import Axis
from btcflow.search.splits import Fold
from btcflow.search.study import optimize
from btcflow.search.trials import Score
from btcflow.stats.headline import headline
from btcflow.stats.performance import Performance, performance

__all__ = ["Chosen", "TimeframeAnswer", "Work", "answer", "bars_of", "ready_at", "segment_rows", "slow_because"]

Measure = Callable[[Sequence[Assignment]], list[dict[str, np.ndarray]]]
"""Numbers of K parameter sets on the training span and on the test span, each name to (K,)."""
ProgressBar = Callable[[str], AbstractContextManager[Callable[[Progress], None] | None]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """How a run is carried out; nothing here changes its result.

    Attributes
    ----------
    journal : a file that survives an interrupt; None keeps nothing
    progress : makes a progress bar for a search
    jobs : threads of the sweep kernel
    """

    journal: Path | None = None
    progress: ProgressBar | None = None
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigError(f"jobs is {self.jobs}; expected a number of threads, 1 or more")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What one fold chose on its training span, and how that did on both."""

    fold: Fold
    values: Assignment
    searched: tuple[str, ...]
    train: Performance
    test: Performance


@dataclass(frozen=True, kw_only=True)
class TimeframeAnswer:
    """The answer on one timeframe.

    Attributes
    ----------
    bars : the signal bars
    folds : what each fold chose
    path : (N, 1) target in force at each clock bar's open
    ledger : the stitched path, one column, over the whole span
    targets : (T,) target decided at each signal bar, by the parameters in force
    in_sample, out_of_sample : before and after the first cut
    signals_per_year : entries decided per year of the span
    trials : every trial of every fold, or None without a search
    """

    timeframe: str
    bars: Bars
    folds: tuple[Chosen, ...]
    path: np.ndarray
    ledger: Ledger
    targets: np.ndarray
    in_sample: Performance
    out_of_sample: Performance
    signals_per_year: float
    trials: pd.DataFrame | None

    @property
    def cut(self) -> int:
        """The first moment out of sample, int64 nanoseconds UTC."""
        return self.folds[0].fold.test_start


def bars_of(experiment: Experiment, strategy: Rule | FreeForm, panel_bars: Bars) -> Bars:
    """The bars a strategy decides on: only the fields it reads, so that it decides as early as they allow."""
    needs = experiment.flow.widen({*strategy.needs, "close"})
    return Bars(panel_bars.panel.only(needs), panel_bars.timeframe, experiment.flow)


def ready_at(experiment: Experiment, strategy: Rule | FreeForm, bars: Bars) -> int:
    """When the longest window of the question has its first value; int64 ns.

    Raises
    ------
    ConfigError
        where that never happens: a window longer than the data.
    """
    widest = {name: max(axis.values) for name, axis in _axes(experiment, bars.timeframe).items()}
    values = strategy.assign({**experiment.params, **widest})
    first = first_decidable(strategy, bars, [values])
    if first < len(bars):
        return int(bars.decided_at[first])
    spans = (
        ", ".join(f"{name} {value}" for name, value in values.items() if name == "window" and value)
        or f"window {bars.window()}"
    )
    message = (
        f"{strategy.name} on {bars.timeframe} has no bar on which all its scores have a value: {spans} against "
        f"{len(bars)} bars from {_day(bars.opens, 0)} to {_day(bars.closes, -1)}"
    )
    hint = "shorten the window, use a finer timeframe, or load more data (open interest may start later than prices)"
    raise ConfigError(experiment.problem(_window_loc(experiment), message, hint))


def answer(
    experiment: Experiment,
    strategy: Rule | FreeForm,
    bars: Bars,
    folds: Sequence[Fold],
    *,
    work: Work,
) -> TimeframeAnswer:
    """Choose on every training span, stitch, trade once, and measure."""
    chosen, tables = [], []
    for number, fold in enumerate(folds, start=1):
        values, table = _choose(experiment, strategy, bars, fold, number, work)
        chosen.append(_judge(experiment, strategy, bars, fold, values))
        if table is not None:
            tables.append(table.assign(fold=number))
    clock, path = _stitched(experiment, strategy, bars, chosen)
    ledger = settle(path, clock, experiment.market.market)
    cut = segment_rows(clock, folds[0].test_start, folds[-1].test_end)[0]
    targets = _decided(strategy, bars, chosen)
    return TimeframeAnswer(
        timeframe=bars.timeframe,
        bars=bars,
        folds=tuple(chosen),
        path=path,
        ledger=ledger,
        targets=targets,
        in_sample=performance(ledger, 0, cut),
        out_of_sample=performance(ledger, cut, len(clock)),
        signals_per_year=_signals_per_year(targets, bars, folds),
        trials=pd.concat(tables, ignore_index=True) if tables else None,
    )


def segment_rows(clock: Clock, start: int, end: int) -> tuple[int, int]:
    """Clock rows that open in ``[start, end)`` ns."""
    first, last = np.searchsorted(clock.opens, [start, end])
    return int(first), int(last)


def _axes(experiment: Experiment, timeframe: str) -> Mapping[str, Axis]:
    return experiment.sweep.space_on(timeframe).root if experiment.sweep is not None else {}


def _choose(
    experiment: Experiment,
    strategy: Rule | FreeForm,
    bars: Bars,
    fold: Fold,
    number: int,
    work: Work,
) -> tuple[Assignment, pd.DataFrame | None]:
    """The parameters a fold uses: the config's, or the best of a search on its training span."""
    sweep = experiment.sweep
    if sweep is None:
        return strategy.assign(experiment.params), None
    name = f"{experiment.name} {bars.timeframe} fold {number}"
    space = sweep.space_on(bars.timeframe)
    with _bar(work.progress, f"{bars.timeframe} fold {number}") as report:
        trials = optimize(
            space,
            _scorer(experiment, strategy, bars, fold, work.jobs),
            trials=None if sweep.sampler == "grid" else sweep.trials,
            batch=sweep.batch,
            sampler=sweep.sampler,
            seed=experiment.seed + number - 1,
            storage=work.journal,
            study_name=name,
            progress=report,
        )
    best = {axis: trials.best[axis] for axis in space.root}
    return strategy.assign({**experiment.params, **best}), trials.table


def slow_because(experiment: Experiment, strategy: Rule | FreeForm, clock: Clock) -> str | None:
    """Why a search runs through the exact ledger, set by set; None where the sweep kernel carries it."""
    market = experiment.market.market
    if not isinstance(strategy, Rule):
        return "the strategy is free-form code"
    if clock.instrument.margin == "inverse":
        return f"{clock.instrument.id} is an inverse contract, settled in BTC"
    told = {"twap": market.twap > 1, "impact": market.impact > 0, "min_notional": market.min_notional > 0}
    named = [f"market.{name}" for name, used in told.items() if used]
    return f"of {', '.join(named)}" if named else None


def _scorer(
    experiment: Experiment, strategy: Rule | FreeForm, bars: Bars, fold: Fold, jobs: int
) -> Callable[[list[dict[str, int | float]]], list[Score]]:
    """Score a block of parameter sets on the training and the test span of a fold."""
    objective = experiment.sweep.objective if experiment.sweep is not None else "sharpe"
    if isinstance(strategy, Rule) and slow_because(experiment, strategy, bars.panel.clock) is None:
        measure = _by_kernel(experiment, strategy, bars, fold, jobs)
    else:
        measure = _by_ledger(experiment, strategy, bars, fold)

    def score(sets: list[dict[str, int | float]]) -> list[Score]:
        values = [strategy.assign({**experiment.params, **one}) for one in sets]
        train, test = measure(values)
        return [
            Score(
                value=float(train[objective][k]),
                attrs={
                    "in_sample_sharpe": float(train["sharpe"][k]),
                    "out_of_sample_sharpe": float(test["sharpe"][k]),
                    "in_sample_return": float(train["total_return"][k]),
                    "out_of_sample_return": float(test["total_return"][k]),
                    "in_sample_entries": float(train["entries"][k]),
                },
                reason=None if np.isfinite(train[objective][k]) else _undefined(objective, train["entries"][k]),
            )
            for k in range(len(sets))
        ]

    return score


def _undefined(objective: str, entries: float) -> str:
    why = "the equity ran out" if entries > 0 else "the set never traded"
    return f"{objective} is undefined: {why}"


def _by_kernel(experiment: Experiment, strategy: Rule, bars: Bars, fold: Fold, jobs: int) -> Measure:
    """A rule's numbers by the sweep kernel, which is prepared once for all batches of a fold."""
    from btcflow.engine.kernel.sweep import SweepKernel

    clock = bars.panel.clock
    span = segment_rows(clock, fold.train_start, fold.test_end)
    segments = np.array(_segments(clock, fold))
    kernel = SweepKernel(strategy, bars, experiment.market.market, segments, span=span)

    def measure(values: Sequence[Assignment]) -> list[dict[str, np.ndarray]]:
        found = kernel.run(values, summary="basic", threads=jobs)
        names = ("sharpe", "sortino", "calmar", "cagr", "total_return")
        return [{name: getattr(found, name)[s] for name in names} | {"entries": found.trades[s]} for s in (0, 1)]

    return measure


def _by_ledger(experiment: Experiment, strategy: Rule | FreeForm, bars: Bars, fold: Fold) -> Measure:
    """Any strategy's numbers by the ledger: one column of targets each, trained and tested in one pass."""
    market = experiment.market.market

    def measure(values: Sequence[Assignment]) -> list[dict[str, np.ndarray]]:
        clock, targets = _path(strategy, bars, values, market.delay, fold.train_start, fold.test_end)
        daily = daily_equity(targets, clock, market, segments=np.array(_segments(clock, fold)))
        bars.forget_beyond(_KEPT_SCORES)
        return [headline(daily, s) | {"entries": daily.entries[s]} for s in (0, 1)]

    return measure


_KEPT_SCORES = 256
"""Scores kept between batches; beyond it the oldest go."""


def _judge(experiment: Experiment, strategy: Rule | FreeForm, bars: Bars, fold: Fold, values: Assignment) -> Chosen:
    """One fold's choice on its own span: trained, and tested on what came after."""
    market = experiment.market.market
    clock, path = _path(strategy, bars, [values], market.delay, fold.train_start, fold.test_end)
    ledger = settle(path, clock, market)
    train, test = _segments(clock, fold)
    return Chosen(
        fold=fold,
        values=values,
        searched=tuple(_axes(experiment, bars.timeframe)),
        train=performance(ledger, *train),
        test=performance(ledger, *test),
    )


def _path(
    strategy: Rule | FreeForm, bars: Bars, sets: Sequence[Assignment], delay: int, start: int, end: int
) -> tuple[Clock, np.ndarray]:
    """The clock bars that open in ``[start, end)`` and the targets on them; what was in force before goes on."""
    clock = bars.panel.clock
    first, last = segment_rows(clock, start, end)
    targets = clock_targets(strategy, bars, sets, delay=delay)[first:last]
    return clock.rows(np.arange(first, last)), targets


def _segments(clock: Clock, fold: Fold) -> tuple[tuple[int, int], tuple[int, int]]:
    """Clock rows of a fold's training and test span."""
    train = segment_rows(clock, fold.train_start, fold.train_end)
    return train, segment_rows(clock, fold.test_start, fold.test_end)


def _stitched(
    experiment: Experiment, strategy: Rule | FreeForm, bars: Bars, chosen: Sequence[Chosen]
) -> tuple[Clock, np.ndarray]:
    """Each fold's path in its own test span; the first fold's also before the first cut."""
    start, end = chosen[0].fold.train_start, chosen[-1].fold.test_end
    sets = [one.values for one in chosen]
    clock, paths = _path(strategy, bars, sets, experiment.market.market.delay, start, end)
    column = np.zeros(len(clock), dtype=np.int64)
    for number, one in enumerate(chosen):
        column[clock.opens >= one.fold.test_start] = number
    return clock, np.take_along_axis(paths, column[:, None], axis=1)


def _decided(strategy: Rule | FreeForm, bars: Bars, chosen: Sequence[Chosen]) -> np.ndarray:
    """The target decided at each bar by the parameters in force; (T,)."""
    every = decide(strategy, bars, [one.values for one in chosen])
    column = np.zeros(len(bars), dtype=np.int64)
    for number, one in enumerate(chosen):
        column[bars.decided_at >= one.fold.test_start] = number
    return np.take_along_axis(every, column[:, None], axis=1)[:, 0]


def _signals_per_year(targets: np.ndarray, bars: Bars, folds: Sequence[Fold]) -> float:
    """Entries decided inside the span, per 365 days."""
    before = np.r_[0.0, targets[:-1]]
    entries = (targets != before) & (targets != 0)
    start, end = folds[0].train_start, folds[-1].test_end
    inside = (bars.decided_at >= start) & (bars.decided_at < end)
    return float((entries & inside).sum() / ((end - start) / (365 * 86_400e9)))


def _bar(progress: ProgressBar | None, label: str) -> AbstractContextManager[Callable[[Progress], None] | None]:
    from contextlib import nullcontext

    return progress(label) if progress is not None else nullcontext(None)


def _window_loc(experiment: Experiment) -> tuple[str | int, ...]:
    if experiment.sweep is not None and "window" in experiment.sweep.space.root:
        return ("sweep", "space", "window")
    return ("params", "window") if "window" in experiment.params else ("zscore", "length")


def _time(instant: int) -> pd.Timestamp:
    return pd.Timestamp(instant, unit="ns", tz="UTC")


def _day(times: np.ndarray, at: int) -> str:
    return str(_time(int(times[at])).date()) if len(times) else "none"
