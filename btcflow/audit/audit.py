"""The audit: every check over every series, and one verdict.

report = audit(dataset)                            # data in hand
report = audit_store(Store(path), pattern="gate")  # a store, unreadable series told as well
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from types import ModuleType
from typing import TYPE_CHECKING

import pandas as pd

import btcflow.audit.checks
from btcflow.audit.check import Check
from btcflow.audit.examined import Examined
from btcflow.audit.findings import AuditReport, Finding, Found
from btcflow.data.records import Dataset
from btcflow.errors import BadRecords, MissingData
from btcflow.registry import Registry

if TYPE_CHECKING:
    from btcflow.data.store import Store

__all__ = ["CHECKS", "audit", "audit_store"]


def _collect(module: ModuleType) -> dict[str, Check]:
    return {one.name: one for one in vars(module).values() if isinstance(one, Check)}


CHECKS: Registry[Check] = Registry("check", package=btcflow.audit.checks, collect=_collect)
"""One file in ``btcflow/audit/checks`` adds checks; nothing else is edited."""


def audit(dataset: Dataset, *, now: pd.Timestamp | None = None, checks: Iterable[str] | None = None) -> AuditReport:
    """Hold every check against every series.

    Parameters
    ----------
    now : UTC, the moment of the audit; default: the system clock
    checks : names of the checks to run; default: all

    Raises
    ------
    UnknownName
        for a check that is not registered.
    """
    examined = Examined(dataset, now if now is not None else pd.Timestamp.now("UTC"))
    chosen = [CHECKS.get(name) for name in (checks if checks is not None else CHECKS.names())]
    findings = [finding for one in chosen for finding in one(examined)]
    return AuditReport.of([str(one.key) for one in dataset], [one.name for one in chosen], findings)


def audit_store(
    store: Store,
    *,
    pattern: str | None = None,
    now: pd.Timestamp | None = None,
    progress: Callable[[str], None] | None = None,
) -> AuditReport:
    """Audit what a store holds.

    Every series is read, since each is held against the others; ``pattern`` chooses what is told.

    Parameters
    ----------
    pattern : part of a series' name (``gate``, ``binance:BTCUSDT``), or one with ``*`` and ``?``
    progress : is told the name of each series before it is read

    Raises
    ------
    MissingData
        where the store is empty, or no series has such a name.
    """
    keys = [entry.key for entry in store.entries()]
    named = [str(key) for key in keys if _matches(str(key), pattern)]
    if not named:
        raise MissingData(f"{store.path}: no series is called like {pattern!r}; it holds: {', '.join(map(str, keys))}")
    readable, unreadable = [], []
    for key in keys:
        if progress is not None:
            progress(str(key))
        try:
            readable.append(store.read(key))
        except (BadRecords, MissingData) as error:
            found = Found(series=str(key), says=str(error), advice="import or fetch the series again")
            unreadable.append(Finding(check="readable", severity="fault", found=found))
    whole = audit(Dataset.of(readable), now=now)
    told = [one for one in (*unreadable, *whole.findings) if any(name in one.series for name in named)]
    return AuditReport.of(named, ["readable", *whole.checks], told)


def _matches(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    wild = any(one in pattern for one in "*?[")
    return fnmatch(name, pattern) if wild else pattern.casefold() in name.casefold()
