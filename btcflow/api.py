"""The public functions: from a config to a panel, metrics, signal matrices, a portfolio, a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from btcflow.config.experiment import Experiment
from btcflow.config.load import experiment_of, load_config
from btcflow.config.market_data import load_dataset, panel_of
from btcflow.engine.ledger import Ledger, settle
from btcflow.engine.market import Market
from btcflow.engine.signals import ParameterGrid, Signals, assignments, clock_targets, is_list, signal_frames
from btcflow.flow.bars import Bars
from btcflow.flow.options import FlowOptions
from btcflow.panel import Panel
from btcflow.rules.rule import FreeForm, Rule
from btcflow.rules.strategies import STRATEGIES
from btcflow.runs.evaluate import ProgressBar, Work
from btcflow.runs.execute import execute
from btcflow.runs.folder import write_run
from btcflow.runs.lock import run_id
from btcflow.runs.shown_metrics import shown_metrics
from btcflow.runs.summary import summarize

if TYPE_CHECKING:
    import vectorbt as vbt

__all__ = ["Result", "load_config", "load_panel", "metrics", "portfolio", "run", "signals_matrix", "sweep"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer: the run folder, its summary and its report."""

    folder: Path
    summary: dict[str, Any]
    report: Path


def load_panel(config: str | Path | Experiment) -> Panel:
    """The aligned market of an experiment, with every metric field its data hold.

    Parameters
    ----------
    config : a YAML file, the name of a shipped config, or an :class:`Experiment`

    Returns
    -------
    Panel; ``panel.clock.frame`` holds the traded instrument's prices and funding
    """
    experiment = _experiment(config)
    return panel_of(experiment, load_dataset(experiment))


def metrics(panel: Panel, timeframe: str = "1D", *, options: FlowOptions | None = None) -> pd.DataFrame:
    """The flow metrics on the closed bars of one timeframe.

    Returns
    -------
    DataFrame of shape (T, metrics), indexed by bar open (UTC), with ``decided_at``: the row may be
    acted on from then. Premiums in percent, funding as fractions, z in standard deviations; NaN in
    warm-up. ``frame.attrs["market"]`` says ``SIMULATED`` or ``real``.
    """
    return _labelled(shown_metrics(Bars(panel, timeframe, options)).frame, synthetic=panel.synthetic)


def signals_matrix(
    strategy: str | Rule | FreeForm,
    panel: Panel,
    timeframe: str = "1D",
    *,
    params: ParameterGrid | None = None,
    market: Market | None = None,
    options: FlowOptions | None = None,
) -> Signals:
    """Entries, exits, short entries and short exits that plug into ``vbt.Portfolio.from_signals``.

    Parameters
    ----------
    strategy : a registered name, or a rule
    panel : from :func:`load_panel`
    timeframe : where the signal is computed; orders fill on the panel's clock
    params : parameter values; a list makes one column per value, several lists every combination
    market : its ``delay`` moves the fills
    options : metric options; default: the recommended profile

    Returns
    -------
    four (T, K) boolean frames on the clock (UTC); a True stands in the bar at whose *open* the order
    fills: pass ``price=panel.clock.frame["open"]``
    """
    _, targets, columns = _targets(strategy, panel, timeframe, params, market or Market(), options)
    return signal_frames(targets, panel.clock.index, columns)


def portfolio(
    strategy: str | Rule | FreeForm,
    panel: Panel,
    timeframe: str = "1D",
    *,
    params: ParameterGrid | None = None,
    market: Market | None = None,
    options: FlowOptions | None = None,
) -> vbt.Portfolio:
    """A vectorbt Portfolio of the strategy, with funding in its cash flow.

    Parameters are those of :func:`signals_matrix`. Value, returns, Sharpe, drawdowns, stats and
    plots include funding; the index is tz-naive UTC, as vectorbt wants it. Without lists in
    ``params`` it is a portfolio of one column and its statistics are numbers, else series.
    """
    from btcflow.engine.portfolio import funded_portfolio

    ledger, columns = _ledger(strategy, panel, timeframe, params, market or Market(), options)
    whole = funded_portfolio(ledger, columns)
    return whole if any(is_list(value) for value in (params or {}).values()) else whole.iloc[0]


def sweep(
    config: str | Path | Experiment, *, journal: Path | None = None, progress: ProgressBar | None = None
) -> pd.DataFrame:
    """Search the experiment's space: one row per trial, in-sample beside out-of-sample.

    A ``journal`` file survives an interrupt: the same call goes on where it stopped.
    """
    found = execute(_experiment(config), work=Work(journal=journal, progress=progress))
    tables = [one.trials.assign(timeframe=one.timeframe) for one in found.answers if one.trials is not None]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return _labelled(whole, synthetic=found.dataset.synthetic)


def run(
    config: str | Path | Experiment,
    *,
    overrides: Sequence[str] = (),
    out: str | Path = "runs",
    progress: ProgressBar | None = None,
    jobs: int = 1,
    command: str = "btcflow.run",
) -> Result:
    """Answer an experiment and leave a run folder with a report.

    Parameters
    ----------
    config : a YAML file, the name of a shipped config, or an :class:`Experiment`
    overrides : ``key.path=value`` texts
    out : the folder that holds runs; the run is ``out/<name>/<id>``
    jobs : threads of the sweep kernel; the result is the same for any number
    """
    from btcflow.report.page import render

    experiment = _experiment(config, overrides)
    dataset = load_dataset(experiment)
    identity = run_id(experiment, dataset)
    folder = Path(out) / experiment.name / identity
    journal = folder.parent / f".{identity}.journal"
    journal.parent.mkdir(parents=True, exist_ok=True)
    found = execute(
        experiment,
        dataset=dataset,
        work=Work(journal=journal if experiment.sweep else None, progress=progress, jobs=jobs),
    )
    summary = summarize(found, command=command)
    write_run(found, summary, folder)
    report = render(folder)
    for left in journal.parent.glob(f"{journal.name}*"):
        left.unlink()
    return Result(folder=folder, summary=summary, report=report)


def _labelled(frame: pd.DataFrame, *, synthetic: bool) -> pd.DataFrame:
    """The frame, marked in ``frame.attrs`` where its numbers are simulated."""
    frame.attrs["market"] = "SIMULATED" if synthetic else "real"
    return frame


def _experiment(config: str | Path | Experiment, overrides: Sequence[str] = ()) -> Experiment:
    return experiment_of(config) if isinstance(config, Experiment) else load_config(config, overrides=overrides)


def _strategy(strategy: str | Rule | FreeForm) -> Rule | FreeForm:
    return STRATEGIES.get(strategy) if isinstance(strategy, str) else strategy


def _targets(
    strategy: str | Rule | FreeForm,
    panel: Panel,
    timeframe: str,
    params: ParameterGrid | None,
    market: Market,
    options: FlowOptions | None,
) -> tuple[Rule | FreeForm, Any, pd.Index]:
    """The strategy, its (N, K) targets on the clock, and the labels of the columns."""
    chosen = _strategy(strategy)
    wide = (options or FlowOptions()).widen({*chosen.needs, "close"})
    bars = Bars(panel.only(wide), timeframe, options)
    sets, columns = assignments(chosen, params or {})
    return chosen, clock_targets(chosen, bars, sets, delay=market.delay), columns


def _ledger(
    strategy: str | Rule | FreeForm,
    panel: Panel,
    timeframe: str,
    params: ParameterGrid | None,
    market: Market,
    options: FlowOptions | None,
) -> tuple[Ledger, pd.Index]:
    _, targets, columns = _targets(strategy, panel, timeframe, params, market, options)
    return settle(targets, panel.clock, market), columns
