"""The laws every metric, strategy and alignment must keep, and the machine that tries to break them.

A *subject* is anything that turns a panel into one number per bar. Each law rebuilds the market in
some way that must not matter to the past, computes again, and compares bit for bit:

=============== ====================================================================================
truncation      records that were not yet known are taken away: decided rows stay as they were
closed bars     the same, cut inside a bar of the timeframe: a still-open bar has no row
future          everything after a moment is multiplied: rows decided before it stay as they were
holes           a hole is torn, and what follows it is changed: nothing flows back into the hole
availability    a series becomes known later: a row decided before that cannot hold it
needs           only the declared fields are there: the result is the same
purity          computed twice, and the panel compared before and after
shape           one float64 per bar, NaN allowed, infinity not
=============== ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd

from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset, Records
from btcflow.errors import ContractError
from btcflow.fields import FIELDS, KINDS
from btcflow.flow.bars import Bars
from btcflow.flow.metric import Metric
from btcflow.flow.options import FlowOptions
from btcflow.panel import Panel
from btcflow.rules.decide import decide
from btcflow.rules.rule import FreeForm, Rule

__all__ = ["LAWS", "Subject", "Trial", "Violation", "hold", "metric_subject", "strategy_subject", "violations"]

_HOUR = 3_600_000_000_000
Aligner = Callable[[Dataset, pd.Timestamp | None, tuple[str, ...]], Panel]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is tried: from a panel to (decided_at int64 (T,), values (T,))."""

    name: str
    needs: tuple[str, ...]
    compute: Callable[[Panel], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A law broken: where the world was changed, the first row that differs, and by how much."""

    law: str
    subject: str
    cut: str
    detail: str

    def error(self) -> ContractError:
        """The violation as an error."""
        return ContractError(self.law, self.subject, f"at {self.cut}: {self.detail}")


def metric_subject(metric: Metric, timeframe: str, *, window: int, options: FlowOptions | None = None) -> Subject:
    """A metric at one timeframe and window."""

    def compute(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        bars = Bars(panel, timeframe, options)
        return bars.decided_at, metric(bars, **({"window": window} if metric.windowed else {}))

    return Subject(name=f"{metric.name}@{timeframe}", needs=metric.needs, compute=compute)


def strategy_subject(
    strategy: Rule | FreeForm, timeframe: str, *, window: int, options: FlowOptions | None = None
) -> Subject:
    """A strategy's targets at one timeframe; ``window`` is given where it has such a parameter."""
    values = strategy.assign({"window": window} if "window" in strategy.tunable else {})

    def compute(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        bars = Bars(panel, timeframe, options)
        return bars.decided_at, decide(strategy, bars, [values])[:, 0]

    return Subject(name=f"{strategy.name}@{timeframe}", needs=(*strategy.needs,), compute=compute)


def _aligned(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    traded = next(
        one.instrument.id for one in dataset if one.key.kind == "funding" and one.instrument.margin == "linear"
    )
    return align(dataset, make_clock(dataset, traded, missing_funding="report"), needs=needs, as_of=as_of)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The market a subject is tried on, and how it is aligned (the planted leaks bring their own way)."""

    dataset: Dataset
    timeframe: str
    aligner: Aligner = _aligned

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Every field the data hold that a metric may read."""
        kinds = {one.key.kind for one in self.dataset}
        wanted = ("close", "open_interest", "funding_paid", "funding_hours")
        return tuple(name for name in wanted if FIELDS[name].kind in kinds)

    @cached_property
    def panel(self) -> Panel:
        """The whole market."""
        return self.aligner(self.dataset, None, self.needs)

    @cached_property
    def cuts(self) -> tuple[pd.Timestamp, ...]:
        """Decisions of bars spread over the sample, the last but one included."""
        decided = Bars(self.panel, self.timeframe).decided_at
        rows = sorted({int(share * (len(decided) - 1)) for share in (0.45, 0.7, 0.88)} | {len(decided) - 2})
        return tuple(pd.Timestamp(int(decided[row]), unit="ns", tz="UTC") for row in rows if row > 0)

    @cached_property
    def inner_cuts(self) -> tuple[pd.Timestamp, ...]:
        """Moments inside a bar: a third and two thirds into it, on the hour."""
        bars = Bars(self.panel, self.timeframe)
        moments = []
        for share, row in ((1 / 3, int(0.6 * len(bars))), (2 / 3, int(0.8 * len(bars)))):
            length = int(bars.closes[row] - bars.opens[row])
            moments.append(int(bars.opens[row]) + max(_HOUR, int(share * length) // _HOUR * _HOUR))
        return tuple(pd.Timestamp(one, unit="ns", tz="UTC") + self.panel.decision_lag for one in moments)

    @cached_property
    def truncated(self) -> dict[pd.Timestamp, Panel]:
        """The panels built from what was known at each cut."""
        return {cut: self.aligner(self.dataset.upto(cut), cut, self.needs) for cut in (*self.cuts, *self.inner_cuts)}

    @cached_property
    def perturbed(self) -> dict[pd.Timestamp, Panel]:
        """The panels after everything that ends later than a cut was multiplied."""
        return {
            cut: self.aligner(self.dataset.map(partial(_multiplied, cut=cut)), None, self.needs)
            for cut in self.cuts[:2]
        }

    @cached_property
    def torn(self) -> dict[pd.Timestamp, tuple[Panel, Panel]]:
        """Panels with a hole before a moment, as they are and with everything after the hole multiplied."""
        found = {}
        for cut in self.cuts[1:3]:
            length = pd.Timedelta(
                max(3 * _HOUR * 24, 4 * int(np.diff(Bars(self.panel, self.timeframe).opens).max())), unit="ns"
            )
            holed = self.dataset.map(partial(_without, start=cut - length, end=cut))
            later = holed.map(partial(_multiplied, cut=cut))
            found[cut] = (self.aligner(holed, None, self.needs), self.aligner(later, None, self.needs))
        return found

    @cached_property
    def delayed(self) -> tuple[pd.Timestamp, Panel, Panel]:
        """Every series known later by two and a half bars from a moment on: the whole, and what was known then."""
        cut = self.cuts[1]
        wait = pd.Timedelta(int(2.5 * np.diff(Bars(self.panel, self.timeframe).opens).max()), unit="ns")
        late = self.dataset.map(lambda one: _known_later(one, cut, wait))
        seen = cut + wait / 2
        return seen, self.aligner(late, None, self.needs), self.aligner(late.upto(seen), seen, self.needs)


def violations(subject: Subject, trial: Trial, laws: tuple[str, ...] | None = None) -> list[Violation]:
    """Every law the subject breaks on this market; none for an honest one."""
    return [one for law in (laws or tuple(LAWS)) for one in LAWS[law](subject, trial)]


def hold(subject: Subject, trial: Trial) -> None:
    """Raise :class:`ContractError` for the first law broken."""
    for one in violations(subject, trial):
        raise one.error()


def _truncation(subject: Subject, trial: Trial) -> Iterator[Violation]:
    yield from _same_before(subject, trial, "truncation", trial.cuts)


def _closed_bars(subject: Subject, trial: Trial) -> Iterator[Violation]:
    yield from _same_before(subject, trial, "closed bars", trial.inner_cuts)


def _same_before(subject: Subject, trial: Trial, law: str, cuts: tuple[pd.Timestamp, ...]) -> Iterator[Violation]:
    decided, whole = subject.compute(trial.panel)
    for cut in cuts:
        cut_decided, values = subject.compute(trial.truncated[cut])
        rows = int((decided <= cut.value).sum())
        if len(values) != rows or not np.array_equal(cut_decided, decided[:rows]):
            detail = f"{len(values)} rows from what was known, {rows} were decided by then"
            yield Violation(law=law, subject=subject.name, cut=str(cut), detail=detail)
            return
        difference = _first_difference(decided[:rows], whole[:rows], values)
        if difference is not None:
            yield Violation(law=law, subject=subject.name, cut=str(cut), detail=difference)
            return


def _future(subject: Subject, trial: Trial) -> Iterator[Violation]:
    decided, whole = subject.compute(trial.panel)
    for cut, panel in trial.perturbed.items():
        _, values = subject.compute(panel)
        rows = int((decided <= cut.value).sum())
        difference = _first_difference(decided[:rows], whole[:rows], values[:rows])
        if difference is not None:
            yield Violation(law="future", subject=subject.name, cut=str(cut), detail=difference)
            return


def _holes(subject: Subject, trial: Trial) -> Iterator[Violation]:
    for cut, (before, after) in trial.torn.items():
        decided, left = subject.compute(before)
        _, right = subject.compute(after)
        rows = int((decided <= cut.value).sum())
        difference = _first_difference(decided[:rows], left[:rows], right[:rows])
        if difference is not None:
            yield Violation(law="holes", subject=subject.name, cut=str(cut), detail=difference)
            return


def _availability(subject: Subject, trial: Trial) -> Iterator[Violation]:
    cut, late, seen = trial.delayed
    decided, whole = subject.compute(late)
    _, known = subject.compute(seen)
    rows = min(int((decided <= cut.value).sum()), len(known))
    difference = _first_difference(decided[:rows], whole[:rows], known[:rows])
    if difference is not None:
        yield Violation(law="availability", subject=subject.name, cut=str(cut), detail=difference)


def _needs(subject: Subject, trial: Trial) -> Iterator[Violation]:
    narrow = trial.panel.only(sorted({*subject.needs, "close"}))
    _, whole = subject.compute(trial.panel)
    try:
        decided, values = subject.compute(narrow)
    except LookupError as error:
        yield Violation(law="needs", subject=subject.name, cut="declared fields only", detail=str(error))
        return
    except ValueError as error:
        yield Violation(law="needs", subject=subject.name, cut="declared fields only", detail=str(error))
        return
    difference = _first_difference(decided, whole, values)
    if difference is not None:
        yield Violation(law="needs", subject=subject.name, cut="declared fields only", detail=difference)


def _purity(subject: Subject, trial: Trial) -> Iterator[Violation]:
    before = {name: values.copy() for name, values in trial.panel.fields.items()}
    decided, first = subject.compute(trial.panel)
    kept = first.copy()
    _, second = subject.compute(trial.panel)
    difference = _first_difference(decided, kept, second)
    if difference is not None:
        yield Violation(law="purity", subject=subject.name, cut="the second call", detail=difference)
    for name, values in before.items():
        if not np.array_equal(values, trial.panel.fields[name], equal_nan=True):
            yield Violation(
                law="purity", subject=subject.name, cut="the panel", detail=f"field {name} was changed in place"
            )


def _shape(subject: Subject, trial: Trial) -> Iterator[Violation]:
    decided, values = subject.compute(trial.panel)
    if not isinstance(values, np.ndarray) or values.shape != decided.shape or values.dtype != np.float64:
        found = f"{type(values).__name__} of {getattr(values, 'shape', '?')} {getattr(values, 'dtype', '')}"
        detail = f"{found}, expected float64 ({len(decided)},)"
        yield Violation(law="shape", subject=subject.name, cut="the whole market", detail=detail)
    elif np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        yield Violation(law="shape", subject=subject.name, cut="the whole market", detail=f"row {row} is {values[row]}")


LAWS: dict[str, Callable[[Subject, Trial], Iterator[Violation]]] = {
    "truncation": _truncation,
    "closed bars": _closed_bars,
    "future": _future,
    "holes": _holes,
    "availability": _availability,
    "needs": _needs,
    "purity": _purity,
    "shape": _shape,
}


def _first_difference(decided: np.ndarray, left: np.ndarray, right: np.ndarray) -> str | None:
    """The first row that is not the same to the bit (NaN equals NaN), in words."""
    if left.shape != right.shape:
        return f"shape {left.shape} against {right.shape}"
    differs = ~((left == right) | (np.isnan(left) & np.isnan(right)))
    if not differs.any():
        return None
    row = int(differs.argmax())
    when = pd.Timestamp(int(decided[row]), unit="ns", tz="UTC")
    changed = f"row {row} (decided {when}) was {left[row]!r} and is {right[row]!r}"
    return f"{changed}; {int(differs.sum())} of {len(left)} rows differ"


def _multiplied(one: Records, cut: pd.Timestamp) -> Records:
    """The values of rows known after a moment, times factors that keep bars sane."""
    later = one.known_at > cut.value
    frame = one.frame.copy()
    for name in KINDS[one.key.kind].columns:
        if name not in ("spacing_hours", "rate_hours"):
            frame.loc[later, name] = frame.loc[later, name] * (1.7 if one.key.kind != "funding" else 0.3)
    return replace(one, frame=frame)


def _without(one: Records, start: pd.Timestamp, end: pd.Timestamp) -> Records:
    """Without the rows that became known inside ``(start, end]``."""
    known = one.known_at
    return one.where((known <= start.value) | (known > end.value))


def _known_later(one: Records, start: pd.Timestamp, wait: pd.Timedelta) -> Records:
    """Rows known from a moment on become known later; stamps stay."""
    later = one.known_at > start.value
    frame = one.frame.copy()
    frame.loc[later, "known_at"] = frame.loc[later, "known_at"] + wait
    return replace(one, frame=frame)
