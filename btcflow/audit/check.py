"""What a check is: one small function, registered by its name, with the severity of what it finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcflow.audit.findings import Finding, Found, Severity

if TYPE_CHECKING:
    from btcflow.audit.examined import Examined

__all__ = ["Check", "check"]

Looks = Callable[["Examined"], Iterator[Found]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A registered check.

    Attributes
    ----------
    name : as in the report
    severity : of its findings, unless one says otherwise
    about : what it holds against the data, the first line of its docstring
    looks : the function
    """

    name: str
    severity: Severity
    about: str
    looks: Looks

    def __call__(self, examined: Examined) -> Iterator[Finding]:
        """Every finding of this check."""
        for found in self.looks(examined):
            yield Finding(check=self.name, severity=found.severity or self.severity, found=found)


def check(*, severity: Severity) -> Callable[[Looks], Check]:
    """Declare a function ``Examined -> Iterator[Found]`` to be the check of its name."""

    def declare(function: Looks) -> Check:
        about = (inspect.getdoc(function) or "").splitlines()[0]
        return Check(name=function.__name__, severity=severity, about=about, looks=function)

    return declare
