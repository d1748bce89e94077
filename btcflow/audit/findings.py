"""What an audit says: findings, each with its series, its span, one example and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

__all__ = ["SEVERITIES", "AuditReport", "Finding", "Found", "Severity", "Stretch", "moment", "told"]

Severity = Literal["note", "warning", "fault"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")
"""Worst first. A fault is wrong data; a warning may be a real event and has to be looked at; a note is good to know."""


@dataclass(frozen=True)
class Stretch:
    """One stretch of time, half open, and how many rows it concerns."""

    start: pd.Timestamp
    end: pd.Timestamp
    count: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a check saw in one series.

    Attributes
    ----------
    series : the series' key as text, or two of them
    says : what is wrong, in one sentence with its numbers
    count : rows, steps or settlements concerned
    start, end : the span of all of them, UTC; absent where the finding is about no time
    example : the first of them
    advice : what to do
    stretches : the single stretches, in order, where a check tells them apart
    severity : another than the check's own
    """

    series: str
    says: str
    count: int = 1
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None
    example: str = ""
    advice: str = ""
    stretches: tuple[Stretch, ...] = ()
    severity: Severity | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A :class:`Found` with the name of its check and its severity."""

    check: str
    severity: Severity
    found: Found

    @property
    def series(self) -> str:
        """The series it is about."""
        return self.found.series

    def plain(self) -> dict[str, Any]:
        """As JSON takes it; stretches are the ten longest."""
        one = self.found
        longest = sorted(one.stretches, key=lambda each: (-each.count, each.start))[:10]
        return {
            "check": self.check,
            "severity": self.severity,
            "series": one.series,
            "says": one.says,
            "count": one.count,
            "start": one.start.isoformat() if one.start is not None else None,
            "end": one.end.isoformat() if one.end is not None else None,
            "example": one.example,
            "advice": one.advice,
            "stretches": [[each.start.isoformat(), each.end.isoformat(), each.count] for each in longest],
        }


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """Everything an audit found, worst first.

    Attributes
    ----------
    series : the keys that were examined, as text
    checks : the names of the checks that ran
    findings : sorted by severity, then check, then series
    """

    series: tuple[str, ...]
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, series: Iterable[str], checks: Iterable[str], findings: Iterable[Finding]) -> AuditReport:
        """The report with its findings in order."""
        ordered = sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.check, one.series))
        return cls(series=tuple(series), checks=tuple(checks), findings=tuple(ordered))

    def count(self, severity: Severity) -> int:
        """How many findings of one severity."""
        return sum(one.severity == severity for one in self.findings)

    @property
    def passed(self) -> bool:
        """True where no fault was found."""
        return self.count("fault") == 0

    @property
    def verdict(self) -> str:
        """One sentence."""
        series = f"{len(self.series)} series"
        counts = ", ".join(f"{self.count(one)} {one}{'' if self.count(one) == 1 else 's'}" for one in SEVERITIES)
        if not self.findings:
            return f"{series}: nothing to report"
        return f"{series}: {'no fault found' if self.passed else 'NOT FIT FOR USE as they are'} ({counts})"

    def of_check(self, check: str) -> tuple[Finding, ...]:
        """The findings of one check."""
        return tuple(one for one in self.findings if one.check == check)

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "schema": "btcflow.audit/1",
            "verdict": self.verdict,
            "passed": self.passed,
            "counts": {one: self.count(one) for one in SEVERITIES},
            "series": list(self.series),
            "checks": list(self.checks),
            "findings": [one.plain() for one in self.findings],
        }


def moment(ns: int | np.int64) -> pd.Timestamp:
    """An int64 of nanoseconds since 1970 as a UTC time."""
    return pd.Timestamp(int(ns), unit="ns", tz="UTC")


def told(when: pd.Timestamp | None) -> str:
    """A time as people write it: ``2020-03-12``, or with the minute where it is not midnight."""
    if when is None or pd.isna(when):
        return "no time"
    return f"{when:%Y-%m-%d}" if when == when.normalize() else f"{when:%Y-%m-%d %H:%M}"
