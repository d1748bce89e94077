"""The experiment: everything a run needs to know, as frozen values; the YAML names are these names."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from btcflow.config.market_terms import MarketTerms
from btcflow.fetch.wish import DatasetWish, Day
from btcflow.flow.options import (
    BarOptions,
    ConfluenceOptions,
    CycleOptions,
    FlowOptions,
    FundingOptions,
    OpenInterestOptions,
    PremiumOptions,
    ZscoreOptions,
)
from btcflow.rules.rule import Parameter
from btcflow.search.space import Space
from btcflow.search.splits import Split
from btcflow.yaml_model import Source

__all__ = ["Experiment", "InlineRule", "MarketTerms", "SimulatedData", "Span", "StoreData", "Sweep", "Universe"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SimulatedData(_Part):
    """The embedded simulated market. ``edge`` 0 = no edge exists to be found."""

    source: Literal["simulated"]
    seed: Annotated[int, Field(ge=0)] = 7
    start: Day = "2018-01-01"
    years: Annotated[float, Field(gt=0.25, le=20)] = 7.0
    edge: Annotated[float, Field(ge=0, le=1)] = 0.0


class StoreData(_Part):
    """Records that were imported or fetched; ``start`` and ``end`` cut them (half open, UTC).

    ``datasets`` is what ``btcflow data fetch`` asks for, from ``start`` on; ``end`` may be ``now``. A fetch asks for
    the last ``overlap_bars`` bars again, since exchanges still correct them.
    """

    source: Literal["store"]
    store: str | None = None
    start: Day | None = None
    end: Day | Literal["now"] | None = None
    datasets: tuple[DatasetWish, ...] = ()
    overlap_bars: Annotated[int, Field(ge=3)] = 3
    defects: Literal["apply", "report", "off"] = "apply"
    defects_skip: tuple[str, ...] = ()


class Universe(_Part):
    """Which instruments the metrics read, by ``venue:symbol``; None = all the data hold."""

    spot: tuple[str, ...] | None = None
    perp: tuple[str, ...] | None = None
    vendors: tuple[str, ...] = ()


class ParameterForm(_Part):
    """A parameter of an inline rule; a default of null means the option of the timeframe (windows)."""

    default: float | int | None
    low: float = -1e9
    high: float = 1e9
    whole: bool = False
    meaning: str = "parameter of the inline rule"

    @property
    def parameter(self) -> Parameter:
        """The parameter the rule language knows."""
        kind: Literal["int", "float"] = "int" if self.whole or self.default is None else "float"
        return Parameter(kind=kind, default=self.default, low=self.low, high=self.high, meaning=self.meaning)


Side = str | tuple[str, ...]


class InlineRule(_Part):
    """A rule written in YAML; each side is a condition text or a list of them (OR)."""

    claim: str = "An inline rule."
    long_entry: Side = ()
    long_exit: Side = ()
    short_entry: Side = ()
    short_exit: Side = ()
    parameters: dict[str, ParameterForm] = {}
    min_hold: Annotated[int, Field(ge=0)] = 0
    cooldown: Annotated[int, Field(ge=0)] = 0
    hysteresis: Annotated[float, Field(gt=0, le=1)] | None = None


class Sweep(_Part):
    """A search over parameters: ``space`` by axis, ``trials`` per fold, ``batch`` sets evaluated as one block.

    ``by_timeframe`` replaces axes of the space on one timeframe (a weekly window is not a daily one).
    """

    space: Space
    by_timeframe: dict[str, Space] = {}
    trials: Annotated[int, Field(ge=1)] = 200
    batch: Annotated[int, Field(ge=1, le=1024)] = 32
    sampler: Literal["tpe", "random", "grid", "nsga2"] = "tpe"
    objective: Literal["sharpe", "sortino", "calmar", "cagr", "total_return"] = "sharpe"

    def space_on(self, timeframe: str) -> Space:
        """The space on one timeframe."""
        return (
            Space(root={**self.space.root, **self.by_timeframe[timeframe].root})
            if timeframe in self.by_timeframe
            else self.space
        )


class Span(_Part):
    """When money is at work (half open, UTC); None = as early as every score is ready, to the end."""

    start: Day | None = None
    end: Day | None = None


class Experiment(_Part):
    """One question: data, signal, market, search and split.

    Give ``timeframe`` for one signal timeframe or ``timeframes`` to compare several on one clock,
    and ``strategy`` for a registered rule or ``rule`` for one written here.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    question: str = ""
    profile: Literal["recommended", "tv_parity"] = "recommended"
    data: Annotated[SimulatedData | StoreData, Field(discriminator="source")]
    universe: Universe = Universe()
    market: MarketTerms = MarketTerms()
    timeframe: str | None = None
    timeframes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    strategy: str | None = None
    rule: InlineRule | None = None
    params: dict[str, float | int | None] = {}
    sweep: Sweep | None = None
    split: Split = Split()
    span: Span = Span()
    seed: Annotated[int, Field(ge=0)] = 7
    bars: BarOptions = BarOptions()
    premium: PremiumOptions = PremiumOptions()
    oi: OpenInterestOptions = OpenInterestOptions()
    funding: FundingOptions = FundingOptions()
    zscore: ZscoreOptions = ZscoreOptions()
    confluence: ConfluenceOptions = ConfluenceOptions()
    cycle: CycleOptions = CycleOptions()

    _source: Source | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.timeframe is None) == (self.timeframes is None):
            raise ValueError("expected exactly one of 'timeframe' (one) and 'timeframes' (a list to compare)")
        if (self.strategy is None) == (self.rule is None):
            raise ValueError("expected exactly one of 'strategy' (a registered name) and 'rule' (written here)")
        return self

    @property
    def frames(self) -> tuple[str, ...]:
        """The signal timeframes, one or several."""
        return self.timeframes if self.timeframes is not None else (str(self.timeframe),)

    @property
    def flow(self) -> FlowOptions:
        """The metric options."""
        return FlowOptions(**{name: getattr(self, name) for name in FlowOptions.model_fields})

    @property
    def source(self) -> Source | None:
        """The YAML it was read from, for messages that point into it."""
        return self._source

    def problem(self, loc: tuple[str | int, ...], message: str, hint: str | None = None, *, key: bool = False) -> str:
        """A problem at a key path, with its place in the file where it came from one; ``key``: the name is wrong."""
        if self._source is not None:
            return self._source.problem(loc, message, hint, key=key)
        path = ".".join(str(part) for part in loc)
        return f"{path}: {message}" + (f"; {hint}" if hint else "")

    def read_from(self, source: Source) -> Experiment:
        """The same experiment, remembering its YAML."""
        self._source = source
        return self

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults written out, as plain data."""
        plain: dict[str, Any] = json.loads(self.model_dump_json())
        return {name: value for name, value in plain.items() if value is not None}
