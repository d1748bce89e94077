"""Compile a rule for the kernel: which bitmaps exist, and which of them each parameter set reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from btcflow.engine.kernel.bits import levels_of, pack, words_of
from btcflow.engine.kernel.table import ParameterTable
from btcflow.engine.kernel.walk import KNOWN
from btcflow.errors import ConfigError
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.rules.decide import condition_score, threshold_of
from btcflow.rules.rule import SIDES, Assignment, Condition, Rule, Side

__all__ = ["Program", "Selection", "compile_rule", "draw", "select"]


MOST_SCORES = 8


@dataclass(frozen=True)
class Term:
    """One comparison: a condition with its threshold times ``scale``, or only that its score is finite."""

    condition: Condition
    scale: float = 1.0
    finite: bool = False


@dataclass(frozen=True, kw_only=True)
class Program:
    """A rule as the kernel reads it.

    Attributes
    ----------
    terms : C comparisons
    groups : (G, 3) int64: side (index into ``SIDES``, or ``KNOWN``), first term, one past the last
    negated : (4,) bool: the sides that hold where everything is known and their groups do not hold
    min_hold, cooldown : signal bars
    """

    terms: tuple[Term, ...]
    groups: np.ndarray
    negated: np.ndarray
    min_hold: int
    cooldown: int


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The bitmaps K sets need, each once; M of them.

    Attributes
    ----------
    terms : (M,) int64: which term of the program a bitmap belongs to
    series : (M,) int64: number of the score and window it compares
    samples : (M,) int64: a set that has this score and window
    thresholds : (M,) what it compares with
    chosen : (K, C) int32: the bitmap of each term of each set
    """

    terms: np.ndarray
    series: np.ndarray
    samples: np.ndarray
    thresholds: np.ndarray
    chosen: np.ndarray


def compile_rule(rule: Rule) -> Program:
    """Lay the sides of a rule out as groups of terms; an exit by hysteresis is the entry, scaled and negated.

    Raises
    ------
    ConfigError
        for a rule over more than 8 scores
    """
    if len(rule.scores) > MOST_SCORES:
        raise ConfigError(
            f"rule {rule.name} compares {len(rule.scores)} scores ({', '.join(rule.scores)}); the sweep kernel takes "
            f"at most {MOST_SCORES}, each with any windows and thresholds: drop some, or make two of them one metric"
        )
    terms: list[Term] = []
    groups: list[tuple[int, int, int]] = []
    negated = np.zeros(len(SIDES), dtype=np.bool_)

    def add(side: int, group: Sequence[Term]) -> None:
        groups.append((side, len(terms), len(terms) + len(group)))
        terms.extend(group)

    for at, name in enumerate(SIDES):
        side: Side = getattr(rule, name)
        scale = 1.0
        entry: Side = getattr(rule, name.replace("exit", "entry"))
        if name in KNOWN and not side and rule.hysteresis is not None and entry:
            side, scale, negated[at] = entry, rule.hysteresis, True
            seen = {(one.score, one.window): Term(one, finite=True) for group in entry for one in group}
            add(KNOWN[name], tuple(seen.values()))
        for group in side:
            add(at, [Term(one, scale) for one in group])
    return Program(
        terms=tuple(terms),
        groups=np.array(groups, dtype=np.int64).reshape(-1, 3),
        negated=negated,
        min_hold=rule.min_hold,
        cooldown=rule.cooldown,
    )


def select(program: Program, assignments: Sequence[Assignment]) -> Selection:
    """Find the distinct bitmaps of K complete assignments, in time linear in K."""
    count = len(assignments)
    chosen = np.zeros((count, len(program.terms)), dtype=np.int32)
    tables: list[tuple[np.ndarray, ...]] = [(*(np.empty(0, np.int64) for _ in range(3)), np.empty(0))]
    columns, made = _Columns(assignments), 0
    for place, term in enumerate(program.terms if count else ()):
        series = columns.series(term.condition)
        levels, level = (np.zeros(1), np.zeros(count, np.int64)) if term.finite else columns.levels(term)
        distinct, sample, inverse = _unique(series * len(levels) + level)
        chosen[:, place] = inverse + made
        made += len(distinct)
        own = np.full(len(distinct), place)
        tables.append((own, distinct // len(levels), sample, levels[distinct % len(levels)]))
    terms, numbers, samples, thresholds = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    return Selection(terms=terms, series=numbers, samples=samples, thresholds=thresholds, chosen=chosen)


def draw(
    program: Program, selection: Selection, rows: np.ndarray, bars: Bars, assignments: Sequence[Assignment]
) -> np.ndarray:
    """The bitmaps ``rows`` of a selection as (M, words) uint64; each score is read once."""
    out = np.empty((len(rows), words_of(len(bars))), dtype=np.uint64)
    levels, above = np.empty(len(rows)), np.ones(len(rows), dtype=np.bool_)
    terms, sources = selection.terms[rows], np.empty(len(rows), dtype=np.int64)
    kinds: dict[tuple[object, ...], int] = {}
    for place, term in enumerate(program.terms):
        own, op = terms == place, ">=" if term.finite else term.condition.op
        levels[own] = levels_of(op, selection.thresholds[rows[own]])
        above[own] = op in {">=", ">"}
        sources[own] = kinds.setdefault((term.condition.score, term.condition.window, term.finite), len(kinds))
    keys = sources * (int(selection.series.max(initial=0)) + 1) + selection.series[rows]
    order = np.argsort(keys, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1) if len(rows) else ():
        head = rows[part[0]]
        term = program.terms[selection.terms[head]]
        score = condition_score(term.condition, bars, assignments[int(selection.samples[head])])
        score = np.where(np.isfinite(score), 0.0, np.nan) if term.finite else score
        pack(np.ascontiguousarray(score, dtype=np.float64), above[part], levels[part], part, out)
    return out


class _Columns:
    """The parameters of K sets as arrays, read once per name."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        self._sets = assignments
        self._series: dict[tuple[str, object], np.ndarray] = {}
        self._read: dict[str, tuple[list[float | int | None], np.ndarray]] = {}

    def series(self, condition: Condition) -> np.ndarray:
        """Number of the series (score, window, score parameters) each set reads, within the condition; (K,) int64."""
        spec = (condition.score, condition.window)
        if spec not in self._series:
            names = [*METRICS.get(condition.score).parameters]
            if isinstance(condition.window, str):
                names.append(condition.window)
            code = np.zeros(len(self._sets), dtype=np.int64)
            for name in names:
                values, numbers = self._values(name)
                if len(values) > 1:
                    code = _unique(code * len(values) + numbers)[2]
            self._series[spec] = code
        return self._series[spec]

    def levels(self, term: Term) -> tuple[np.ndarray, np.ndarray]:
        """Distinct thresholds of a term, and which of them each set uses; (L,) and (K,)."""
        threshold = term.condition.threshold
        if not isinstance(threshold, str):
            return np.array([threshold * term.scale]), np.zeros(len(self._sets), dtype=np.int64)
        name = threshold.lstrip("-")
        values, numbers = self._values(name)
        if None in values:
            threshold_of(term.condition, {name: None})
        distinct = np.array(values, dtype=np.float64)
        return (0.0 - distinct if threshold.startswith("-") else distinct) * term.scale, numbers

    def _values(self, name: str) -> tuple[list[float | int | None], np.ndarray]:
        """The distinct values of a parameter, and which of them each set has, (K,) int64."""
        if name not in self._read:
            if isinstance(self._sets, ParameterTable):
                known = list(self._sets.values.get(name, (None,)))
                numbers = np.broadcast_to(self._sets.numbers(name), len(self._sets))
            else:
                values = [one.get(name) for one in self._sets]
                number = {value: at for at, value in enumerate(dict.fromkeys(values))}
                known = list(number)
                numbers = np.fromiter(map(number.__getitem__, values), np.int64, len(values))
            self._read[name] = known, numbers
        return self._read[name]


def _unique(code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``np.unique`` with first index and inverse, without a sort where the codes are dense."""
    size = int(code.max()) + 1 if len(code) else 0
    if size > 8 * len(code) + 1000:
        distinct, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        return distinct, first, inverse
    first_of = np.full(size, -1, dtype=np.int64)
    first_of[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    distinct = np.flatnonzero(first_of >= 0)
    place = np.cumsum(first_of >= 0) - 1
    return distinct, first_of[distinct], place[code]
