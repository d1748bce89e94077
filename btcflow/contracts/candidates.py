"""What `btcflow check` tries: everything registered, by name, or what a file or folder of your own defines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from btcflow.contracts.subject import Subject, metric_subject, strategy_subject
from btcflow.contracts.trial import FIELDS_OF_METRICS, Trial
from btcflow.contracts.verdict import Judgement, judge
from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate
from btcflow.errors import ConfigError, UnknownName
from btcflow.fields import FIELDS
from btcflow.flow.catalog import METRICS
from btcflow.flow.metric import Metric
from btcflow.flow.options import FlowOptions
from btcflow.registry import Registry
from btcflow.rules.rule import FreeForm, Rule
from btcflow.rules.strategies import STRATEGIES
from btcflow.timeframes import parse

__all__ = ["SEED", "TIMEFRAMES", "YEARS", "Candidate", "candidates", "check", "market_of_the_check", "options_on"]

Thing = Metric | Rule | FreeForm
SEED, YEARS = 3, 1.6
"""The market of the check: short, with venues that list at day 240 and 430."""
TIMEFRAMES = ("1D", "1W")
_WINDOWS = {"1D": 40, "3D": 20, "1W": 8, "1M": 4}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A metric or a strategy, and the file it was found in (None = registered)."""

    kind: Literal["metric", "strategy"]
    thing: Thing
    file: Path | None = None

    def subject(self, timeframe: str) -> Subject:
        """What is tried on a timeframe, at a window that fits the market of the check."""
        window, options = _WINDOWS.get(timeframe, 40), options_on(timeframe)
        if isinstance(self.thing, Metric):
            return metric_subject(self.thing, timeframe, window=window, options=options)
        return strategy_subject(self.thing, timeframe, window=window, options=options)


def market_of_the_check() -> Dataset:
    """The simulated market on which metrics and strategies are checked."""
    return simulate(seed=SEED, years=YEARS)


def candidates(named: Sequence[str] = ()) -> tuple[Candidate, ...]:
    """What was asked for; without a name everything registered.

    Parameters
    ----------
    named : names of metrics or strategies, ``.py`` files, folders of such files

    Raises
    ------
    UnknownName
        for what is neither registered nor a file.
    ConfigError
        for a file that cannot be imported (with its line), or that defines nothing to check.
    """
    if not named:
        return (*_registered(METRICS, "metric"), *_registered(STRATEGIES, "strategy"))
    return tuple(one for text in named for one in _asked_for(text))


def check(
    asked: Iterable[Candidate], timeframes: Sequence[str], market: Dataset
) -> Iterator[tuple[Candidate, str, Judgement]]:
    """Try every law on every candidate and timeframe, one after the other."""
    everything = tuple(asked)
    fields = {*FIELDS_OF_METRICS, *(name for one in everything for name in one.thing.needs if name in FIELDS)}
    for timeframe in timeframes:
        parse(timeframe)
        trial = Trial(dataset=market, timeframe=timeframe, fields=tuple(sorted(fields)), only_listed=True)
        for one in everything:
            yield one, timeframe, judge(one.subject(timeframe), trial)


def options_on(timeframe: str) -> FlowOptions | None:
    """The default options with an entry for ``timeframe`` in every table by timeframe; None where they have one."""
    changes = {}
    for part, values in FlowOptions():
        tables = {name: one for name, one in values if isinstance(one, dict) and "1D" in one and timeframe not in one}
        if tables:
            changes[part] = values.model_copy(
                update={name: {**table, timeframe: table["1D"]} for name, table in tables.items()}
            )
    return FlowOptions().model_copy(update=changes) if changes else None


def _asked_for(text: str) -> tuple[Candidate, ...]:
    found = [
        *(one for one in _registered(METRICS, "metric") if one.thing.name == text),
        *(one for one in _registered(STRATEGIES, "strategy") if one.thing.name == text),
    ]
    if found:
        return tuple(found)
    path = Path(text)
    if path.suffix == ".py" or path.is_dir() or len(path.parts) > 1:
        return _defined_in(path)
    known = [*METRICS.names(), *STRATEGIES.names()]
    raise UnknownName("metric or strategy", text, known, hint="A file or folder of your own is named by its path.")


def _registered(
    registry: Registry[Metric] | Registry[Rule | FreeForm], kind: Literal["metric", "strategy"]
) -> Iterator[Candidate]:
    for name in registry:
        yield Candidate(kind=kind, thing=registry.get(name))


def _defined_in(path: Path) -> tuple[Candidate, ...]:
    """What a file or folder defines; what it imports from elsewhere is not its own."""
    own: Registry[Thing] = Registry("metric or strategy", collect=_collect)
    own.add_folder(path)
    found = tuple(
        Candidate(kind="metric" if isinstance(thing, Metric) else "strategy", thing=thing, file=own.file_of(name))
        for name, thing in own.items()
    )
    if not found:
        raise ConfigError(
            f"{path}: defines nothing to check; expected a function with @metric, a Rule or a FreeForm at the top "
            "of a .py file; `btcflow new metric NAME` writes one to begin with"
        )
    return found


def _collect(module: ModuleType) -> dict[str, Thing]:
    return {
        one.name: one
        for one in vars(module).values()
        if isinstance(one, Rule)
        or (isinstance(one, Metric | FreeForm) and getattr(one.function, "__module__", None) == module.__name__)
    }
