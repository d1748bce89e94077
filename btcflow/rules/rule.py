"""Rules: for each of long entry, long exit, short entry, short exit an OR of ANDs of conditions.

A condition compares a score with a threshold: ``fund_z[window] >= entry_z``. Window and threshold
are numbers or named parameters (``-entry_z`` is the mirrored threshold). A bare 0/1 score such as
``bullish[window]`` is a condition too; ``always`` is the empty AND.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from btcflow.errors import ConfigError, nearest
from btcflow.flow.catalog import METRICS

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["SIDES", "Assignment", "Condition", "FreeForm", "Parameter", "Rule", "integer", "number", "window"]

Assignment = Mapping[str, float | int | None]
Op = Literal[">=", "<=", ">", "<"]
Side = tuple[tuple["Condition", ...], ...]
SIDES = ("long_entry", "long_exit", "short_entry", "short_exit")

_CONDITION = re.compile(
    r"\s*(?P<score>[a-z][a-z0-9_]*)\s*(?:\[\s*(?P<window>[a-z][a-z0-9_]*|\d+)\s*\])?"
    r"\s*(?:(?P<op>>=|<=|>|<)\s*(?P<threshold>-?\s*(?:[a-z][a-z0-9_]*|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)))?\s*"
)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One number of a rule that a config may set and a sweep may search.

    ``default`` None means: the experiment's option for the timeframe. ``low`` and ``high`` bound
    what makes sense, ``meaning`` says what it is in market terms, with its unit.
    """

    kind: Literal["int", "float"]
    default: float | int | None
    low: float
    high: float
    meaning: str

    def problem(self, name: str, value: object) -> str | None:
        """What is wrong with ``value`` for this parameter, or None."""
        if value is None and self.default is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            return f"{name} is {value!r}; expected a number ({self.meaning})"
        if self.kind == "int" and value != int(value):
            return f"{name} is {value!r}; expected a whole number ({self.meaning})"
        if not self.low <= value <= self.high:
            return f"{name} is {value!r}; expected {self.low:g} to {self.high:g} ({self.meaning})"
        return None


def number(default: float, low: float, high: float, meaning: str) -> Parameter:
    """A real-valued parameter."""
    return Parameter(kind="float", default=default, low=low, high=high, meaning=meaning)


def integer(default: int, low: int, high: int, meaning: str) -> Parameter:
    """A whole-numbered parameter."""
    return Parameter(kind="int", default=default, low=low, high=high, meaning=meaning)


def window(meaning: str = "bars in the z-score window; default: zscore.length of the timeframe") -> Parameter:
    """A window length in bars."""
    return Parameter(kind="int", default=None, low=2, high=100_000, meaning=meaning)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """``score[window] op threshold``; window and threshold may name a parameter (``-name`` mirrors it)."""

    score: str
    op: Op
    threshold: float | str
    window: int | str | None = None

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read ``"fund_z[window] >= -entry_z"`` or a bare 0/1 score."""
        match = _CONDITION.fullmatch(text)
        if not match:
            raise ConfigError(
                f"{text.strip()!r} is not a condition; expected `score[window] >= threshold` such as "
                "`fund_z[90] >= 2` or `oi_z <= -entry_z`, or a 0/1 score such as `bullish`"
            )
        chosen = METRICS.get(match["score"])
        span = match["window"]
        if span is not None and not chosen.windowed:
            raise ConfigError(f"{text.strip()!r}: {chosen.name} has no window; write {chosen.name} alone")
        if match["op"] is None and chosen.unit != "0/1":
            raise ConfigError(
                f"{text.strip()!r}: {chosen.name} is measured in {chosen.unit}; compare it, as in `{chosen.name} >= 2`"
            )
        return cls(
            score=chosen.name,
            op=match["op"] or ">=",  # type: ignore[arg-type]
            threshold=_number_or_name(match["threshold"]) if match["op"] else 0.5,
            window=int(span) if span and span.isdigit() else span,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters it names."""
        named = [str(self.threshold).lstrip("-")] if isinstance(self.threshold, str) else []
        return (*named, *([self.window] if isinstance(self.window, str) else []))

    @property
    def flag(self) -> bool:
        """True for a bare 0/1 score."""
        return METRICS.get(self.score).unit == "0/1" and self.op == ">=" and self.threshold == 0.5

    def __str__(self) -> str:
        span = f"[{self.window}]" if self.window is not None else ""
        return f"{self.score}{span}" if self.flag else f"{self.score}{span} {self.op} {_plain(self.threshold)}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A strategy as data.

    Each side is an OR of ANDs; the empty OR never holds, the empty AND always does. An entry counts
    only while its own exit does not hold; opposite entries that hold together cancel. A NaN score
    makes no condition true, so it makes no decision: the position stays. ``hysteresis`` r, for a
    side without exit conditions, leaves once the entry no longer holds at r times its thresholds.
    ``min_hold`` and ``cooldown`` count signal bars.
    """

    name: str
    claim: str
    long_entry: Side = ()
    long_exit: Side = ()
    short_entry: Side = ()
    short_exit: Side = ()
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    min_hold: int = 0
    cooldown: int = 0
    hysteresis: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        problems = [*self._unnamed(), *self._unused()]
        if not self.long_entry and not self.short_entry:
            problems.append(f"rule {self.name}: it never enters; give it a long_entry or a short_entry")
        if problems:
            raise ConfigError(problems)

    @classmethod
    def of(
        cls,
        name: str,
        claim: str,
        *,
        parameters: Mapping[str, Parameter] | None = None,
        min_hold: int = 0,
        cooldown: int = 0,
        hysteresis: float | None = None,
        **sides: str | Sequence[str],
    ) -> Rule:
        """Build a rule from text: a side is one string, or several that are OR-ed.

        Examples
        --------
        >>> fade = Rule.of("fade", "Crowded longs pay.", short_entry="fund_z[90] >= 2", short_exit="fund_z[90] <= 0")
        >>> print(fade.short_entry[0][0])
        fund_z[90] >= 2
        """
        for side in sides:
            if side not in SIDES:
                close = nearest(side, SIDES)
                raise ConfigError(
                    f"rule {name}: no side is called {side!r}; did you mean {close or 'one of ' + ', '.join(SIDES)}?"
                )
        parsed = {side: parse_side(text) for side, text in sides.items()}
        return cls(
            name=name,
            claim=claim,
            parameters=dict(parameters or {}),
            min_hold=min_hold,
            cooldown=cooldown,
            hysteresis=hysteresis,
            **parsed,
        )

    def conditions(self) -> Iterator[Condition]:
        """Every condition, side by side."""
        for side in SIDES:
            for group in getattr(self, side):
                yield from group

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores it compares, sorted."""
        return tuple(sorted({one.score for one in self.conditions()}))

    @property
    def needs(self) -> tuple[str, ...]:
        """The panel fields its scores read."""
        return tuple(sorted({name for score in self.scores for name in METRICS.get(score).needs}))

    @property
    def tunable(self) -> Mapping[str, Parameter]:
        """Its own parameters and those of its scores."""
        scored = {
            name: Parameter(kind="float", default=None, low=-1e9, high=1e9, meaning=f"threshold of {score}")
            for score in self.scores
            for name in METRICS.get(score).parameters
        }
        return MappingProxyType({**scored, **self.parameters})

    def assign(self, values: Assignment) -> Assignment:
        """All parameters with ``values`` over the defaults; unknown names and bad values are refused."""
        return assign(self.name, self.tunable, values)

    def _unnamed(self) -> list[str]:
        known = self.parameters
        missing = {name for one in self.conditions() for name in one.names if name not in known}
        return [
            f"rule {self.name}: {name!r} is no parameter of it"
            + (
                f"; did you mean {nearest(name, known)!r}?"
                if nearest(name, known)
                else f"; declare it, it has: {', '.join(known) or 'none'}"
            )
            for name in sorted(missing)
        ]

    def _unused(self) -> list[str]:
        used = {name for one in self.conditions() for name in one.names}
        return [f"rule {self.name}: parameter {name!r} is not used" for name in self.parameters if name not in used]


@dataclass(frozen=True, kw_only=True)
class FreeForm:
    """The escape hatch: any causal function from bars to a target exposure in [-1, 1] per bar."""

    name: str
    claim: str
    function: Callable[[Bars, Assignment], np.ndarray]
    needs: tuple[str, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def tunable(self) -> Mapping[str, Parameter]:
        """Its parameters."""
        return self.parameters

    def assign(self, values: Assignment) -> Assignment:
        """All parameters with ``values`` over the defaults; unknown names and bad values are refused."""
        return assign(self.name, self.parameters, values)

    @property
    def about(self) -> str:
        """Its docstring."""
        return inspect.getdoc(self.function) or self.claim


def assign(owner: str, parameters: Mapping[str, Parameter], values: Assignment) -> Assignment:
    """``values`` over the defaults, checked against each parameter's bounds."""
    problems = []
    for name, value in values.items():
        if name not in parameters:
            close = nearest(name, parameters)
            guess = f"did you mean {close!r}?" if close else f"it has: {', '.join(parameters) or 'none'}"
            problems.append(f"{owner} has no parameter {name!r}; {guess}")
        elif (fault := parameters[name].problem(name, value)) is not None:
            problems.append(f"{owner}: {fault}")
    if problems:
        raise ConfigError(problems)
    return {name: values.get(name, one.default) for name, one in parameters.items()}


def parse_side(text: str | Sequence[str]) -> Side:
    """One side of a rule from text: `` or `` between alternatives, `` and `` within one."""
    lines = [text] if isinstance(text, str) else list(text)
    groups = [group for line in lines for group in re.split(r"\s+or\s+", line.strip())]
    return tuple(
        () if group == "always" else tuple(Condition.parse(one) for one in re.split(r"\s+and\s+", group))
        for group in groups
    )


def _number_or_name(text: str) -> float | str:
    compact = text.replace(" ", "")
    try:
        return float(compact)
    except ValueError:
        return compact


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
