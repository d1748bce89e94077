"""Read an experiment from YAML and check what the parser cannot: names, parameters, spaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from btcflow import timeframes
from btcflow.config.experiment import Experiment
from btcflow.errors import BtcflowError, ConfigError, UnknownName, nearest
from btcflow.flow.profiles import PROFILES, under
from btcflow.rules.rule import FreeForm, Rule, parse_side
from btcflow.rules.strategies import STRATEGIES
from btcflow.search.space import Space
from btcflow.yaml_model import load_source

__all__ = ["experiment_of", "load_config", "read_config", "strategy_of"]


def load_config(path: str | Path, *, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment; every problem at once, each with file, line and column.

    Parameters
    ----------
    path : a YAML file, or the name of a shipped config (``demo``)
    overrides : ``key.path=value`` texts that win over the file

    Raises
    ------
    ConfigError, MissingData
    """
    return experiment_of(read_config(path, overrides=overrides))


def read_config(path: str | Path, *, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment as far as the file alone tells; strategies and metrics are not looked up, or even loaded.

    Enough for what only wants the ``data:`` section. Parameters and errors are those of :func:`load_config`.
    """
    source = load_source(_find(path), overrides)
    if source.data.get("profile") in PROFILES:
        source = replace(source, text=replace(source.text, data=under(source.data)))
    return source.validate(Experiment).read_from(source)


def experiment_of(experiment: Experiment) -> Experiment:
    """The experiment after the checks that need the registries; raises :class:`ConfigError`."""
    problems = list(_problems(experiment))
    if problems:
        raise ConfigError(problems)
    return experiment


def strategy_of(experiment: Experiment) -> Rule | FreeForm:
    """The strategy an experiment names, or the rule it writes."""
    if experiment.strategy is not None:
        return STRATEGIES.get(experiment.strategy)
    inline = experiment.rule
    if inline is None:
        raise ConfigError("the experiment has neither a strategy nor a rule")
    return Rule(
        name=experiment.name,
        claim=inline.claim,
        long_entry=parse_side(inline.long_entry),
        long_exit=parse_side(inline.long_exit),
        short_entry=parse_side(inline.short_entry),
        short_exit=parse_side(inline.short_exit),
        parameters={name: form.parameter for name, form in inline.parameters.items()},
        min_hold=inline.min_hold,
        cooldown=inline.cooldown,
        hysteresis=inline.hysteresis,
    )


def _find(path: str | Path) -> Path:
    """The file, or the shipped config of that name."""
    from btcflow.registry import shipped

    given = Path(path)
    if given.exists() or given.suffix or len(given.parts) > 1:
        return given
    shipped_file = shipped("configs") / f"{given}.yaml"
    if shipped_file.exists():
        return shipped_file
    raise UnknownName("config", str(path), [one.stem for one in shipped("configs").glob("*.yaml")])


def _problems(experiment: Experiment) -> Iterator[str]:
    yield from _timeframe_problems(experiment)
    yield from _market_problems(experiment)
    try:
        strategy = strategy_of(experiment)
    except BtcflowError as error:
        yield from _strategy_problem(experiment, error)
        return
    yield from _param_problems(experiment, strategy)
    yield from _space_problems(experiment, strategy)


def _timeframe_problems(experiment: Experiment) -> Iterator[str]:
    single = experiment.timeframe is not None
    for place, text in enumerate(experiment.frames):
        loc: tuple[str | int, ...] = ("timeframe",) if single else ("timeframes", place)
        try:
            timeframes.parse(text)
        except ConfigError as error:
            yield experiment.problem(loc, str(error))
    if len(set(experiment.frames)) < len(experiment.frames):
        yield experiment.problem(("timeframes",), "a timeframe is named twice; expected each once")


def _market_problems(experiment: Experiment) -> Iterator[str]:
    try:
        _ = experiment.market.market
    except ConfigError as error:
        for text in error.problems:
            name = text.removeprefix("market.").split(" ", 1)[0]
            yield experiment.problem(("market", name), text.split(" ", 1)[1])


def _strategy_problem(experiment: Experiment, error: BtcflowError) -> Iterator[str]:
    if isinstance(error, UnknownName) and experiment.strategy is not None and error.kind == "strategy":
        close = nearest(error.name, error.known)
        hint = f"did you mean {close!r}?" if close else f"known: {', '.join(error.known)}"
        yield experiment.problem(("strategy",), f"no strategy is called {error.name!r}", hint)
        return
    for text in error.problems if isinstance(error, ConfigError) else [str(error)]:
        yield experiment.problem(("rule" if experiment.rule is not None else "strategy",), text)


def _param_problems(experiment: Experiment, strategy: Rule | FreeForm) -> Iterator[str]:
    for name, value in experiment.params.items():
        if name not in strategy.tunable:
            yield _unknown_param(experiment, ("params", name), strategy, name)
        elif (fault := strategy.tunable[name].problem(name, value)) is not None:
            yield experiment.problem(("params", name), fault)


def _space_problems(experiment: Experiment, strategy: Rule | FreeForm) -> Iterator[str]:
    if experiment.sweep is None:
        return
    spaces: Mapping[tuple[str, ...], Space] = {
        ("sweep", "space"): experiment.sweep.space,
        **{("sweep", "by_timeframe", frame): space for frame, space in experiment.sweep.by_timeframe.items()},
    }
    for frame in experiment.sweep.by_timeframe:
        if frame not in experiment.frames:
            yield experiment.problem(
                ("sweep", "by_timeframe", frame), f"{frame} is not among the timeframes of the experiment"
            )
    for loc, space in spaces.items():
        for name in space.root:
            if name not in strategy.tunable:
                yield _unknown_param(experiment, (*loc, name), strategy, name)
                continue
            faults = (strategy.tunable[name].problem(name, value) for value in space.values(name))
            first = next((fault for fault in faults if fault is not None), None)
            if first is not None:
                yield experiment.problem((*loc, name), first)
            if name in experiment.params:
                yield experiment.problem(
                    ("params", name), f"{name} is searched in sweep.space too; expected it in one place"
                )


def _unknown_param(experiment: Experiment, loc: tuple[str, ...], strategy: Rule | FreeForm, name: str) -> str:
    close = nearest(name, strategy.tunable)
    hint = f"did you mean {close!r}?" if close else f"it has: {', '.join(strategy.tunable) or 'none'}"
    return experiment.problem(loc, f"{strategy.name} has no parameter {name!r}", hint, key=True)
