"""Running the traps: which law catches which leak, and whether an honest control is accused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from btcflow.contracts import FIELDS_OF_METRICS, LAWS, Judgement, Trial, judge
from btcflow.data.records import Dataset
from btcflow.traps import CONTROLS, LEAKS
from btcflow.traps.trap import Trap

__all__ = ["Tried", "only_caught_by", "tried"]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trap and what came of it."""

    trap: Trap
    judgement: Judgement

    @property
    def caught_by(self) -> tuple[str, ...]:
        """The laws it breaks."""
        return tuple(one.law for one in self.judgement.broken)

    @property
    def right(self) -> bool:
        """A leak is caught by the law it names, a control by none."""
        return self.trap.law in self.caught_by if self.trap.law is not None else not self.caught_by


def tried(market: Dataset, traps: Iterable[Trap] = (*LEAKS, *CONTROLS)) -> Iterator[Tried]:
    """Every law tried on every trap; those that share a timeframe and a way of aligning come together."""
    ordered = sorted(traps, key=lambda one: (one.aligner.__name__, one.timeframe))
    for (_, timeframe), group in groupby(ordered, key=lambda one: (one.aligner.__name__, one.timeframe)):
        together = tuple(group)
        fields = sorted({*FIELDS_OF_METRICS, *(name for one in together for name in one.needs)})
        trial = Trial(
            dataset=market, timeframe=timeframe, aligner=together[0].aligner, fields=tuple(fields), only_listed=True
        )
        for one in together:
            yield Tried(trap=one, judgement=judge(one.subject, trial))


def only_caught_by(results: Iterable[Tried]) -> dict[str, tuple[str, ...]]:
    """For each law the leaks that would get through without it."""
    found = [(one.trap.name, one.caught_by) for one in results if one.trap.law is not None]
    return {law: tuple(name for name, caught in found if caught == (law,)) for law in LAWS}
