"""Judging: every law tried on a subject, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from btcflow.contracts import laws_of_form, laws_of_time
from btcflow.contracts.case import Case, Failed, Fault, NotApplicable
from btcflow.contracts.subject import Subject
from btcflow.contracts.trial import Trial
from btcflow.errors import ContractError

__all__ = ["LAWS", "Finding", "Judgement", "Law", "Violation", "hold", "judge", "violations"]

Finding = Fault | NotApplicable | None
"""What came of a law: broken, not applicable, or (None) kept."""
Law = Callable[[Case], Finding]

LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "truncation": laws_of_time.truncation,
        "closed bars": laws_of_time.closed_bars,
        "future": laws_of_time.future,
        "holes": laws_of_time.holes,
        "availability": laws_of_time.availability,
        "needs": laws_of_form.needs,
        "purity": laws_of_form.purity,
        "determinism": laws_of_form.determinism,
        "shape": laws_of_form.shape,
        "warm-up": laws_of_form.warm_up,
        "unit": laws_of_form.unit,
        "scale": laws_of_form.scale,
    }
)


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


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What came of every law tried on a subject, and what a reader must know about it."""

    subject: Subject
    findings: Mapping[str, Finding]
    note: str = ""

    @property
    def broken(self) -> tuple[Violation, ...]:
        """The laws broken, in the order of ``LAWS``."""
        return tuple(
            Violation(law=law, subject=self.subject.name, cut=one.at, detail=one.detail)
            for law, one in self.findings.items()
            if isinstance(one, Fault)
        )

    @property
    def kept(self) -> tuple[str, ...]:
        """The laws kept."""
        return tuple(law for law, one in self.findings.items() if one is None)

    @property
    def not_applicable(self) -> Mapping[str, str]:
        """The laws that could not be tried, and why."""
        return {law: one.reason for law, one in self.findings.items() if isinstance(one, NotApplicable)}


def judge(subject: Subject, trial: Trial, laws: Iterable[str] | None = None) -> Judgement:
    """Try laws (default: all) on a subject.

    A subject that raises on the whole market, or gives no number per bar, breaks the law that speaks
    about that, whichever laws were asked for; no other law applies to it.
    """
    names = tuple(LAWS) if laws is None else tuple(laws)
    try:
        case = Case(subject, trial)
    except Failed as failed:
        others = dict.fromkeys(names, NotApplicable(f"it breaks the law of {failed.law} first"))
        return Judgement(subject=subject, findings={**others, failed.law: Fault(failed.at, str(failed))})
    return Judgement(subject=subject, findings={law: _tried(law, case) for law in names}, note=_note(case))


def violations(subject: Subject, trial: Trial, laws: Iterable[str] | None = None) -> list[Violation]:
    """Every law the subject breaks on this market; none for an honest one."""
    return list(judge(subject, trial, laws).broken)


def hold(subject: Subject, trial: Trial) -> None:
    """Raise :class:`ContractError` for the first law broken."""
    for one in violations(subject, trial):
        raise one.error()


def _tried(law: str, case: Case) -> Finding:
    try:
        return LAWS[law](case)
    except Failed as failed:
        return Fault(failed.at, str(failed))


def _note(case: Case) -> str:
    values = case.whole.values[np.isfinite(case.whole.values)]
    if len(values) and (values == values[0]).all():
        return f"always {values[0]:g} on this market: little is proved"
    return ""
