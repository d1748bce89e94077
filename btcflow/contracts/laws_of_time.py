"""The laws that find a look ahead: the world after a moment is taken away, changed or published late."""

from __future__ import annotations

import numpy as np
import pandas as pd

from btcflow.contracts.case import Case, Fault, NotApplicable, Outcome, difference, moment

__all__ = ["availability", "closed_bars", "future", "holes", "truncation"]

_PICKED = 12


def truncation(case: Case) -> Fault | None:
    """What was not yet known is taken away: decided rows stay as they were.

    First the records, aligned again; then rows of the panel, at more moments, and at those where a
    subject that rarely changes its value does: a rare look ahead shows itself there.
    """
    for cut, panel in (*case.trial.truncated.items(), *case.trial.shortened.items()):
        fault = _cut_short(case, cut, case.on(panel, moment(cut)))
        if fault is not None:
            return fault
    for cut in _rare_changes(case.whole):
        fault = _cut_short(case, cut, case.afresh(case.trial.panel.upto(cut), moment(cut)))
        if fault is not None:
            return fault
    return None


def _cut_short(case: Case, cut: pd.Timestamp, known: Outcome) -> Fault | None:
    rows = _decided_by(case.whole, cut)
    if not np.array_equal(known.decided, case.whole.decided[:rows]):
        return Fault(moment(cut), f"{len(known)} rows from what was known, {rows} were decided by then")
    found = difference(case.whole, known, rows)
    return None if found is None else Fault(moment(cut), found)


def _rare_changes(whole: Outcome) -> list[pd.Timestamp]:
    """Decisions at which the value becomes another one, evenly picked; none where most rows change it."""
    values = whole.values
    changed = np.flatnonzero((values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))) + 1
    if len(changed) > len(values) // 2:
        return []
    picked = changed[np.unique(np.linspace(0, len(changed) - 1, min(_PICKED, len(changed))).astype(int))]
    return [pd.Timestamp(int(whole.decided[row]), unit="ns", tz="UTC") for row in picked]


def closed_bars(case: Case) -> Fault | NotApplicable | None:
    """What came after the last close, inside a bar that is still open, changes no row and adds none."""
    if not case.trial.inside:
        return NotApplicable("a bar is one row of the data: no moment lies inside")
    for at, closed, panel in case.trial.inside:
        before, inside = case.on(closed, moment(at)), case.on(panel, moment(at))
        if not np.array_equal(before.decided, inside.decided):
            detail = f"{len(inside)} rows inside a bar, {len(before)} when the last one had closed"
            return Fault(moment(at), f"{detail}: a bar that is still open has no row")
        found = difference(before, inside)
        if found is not None:
            return Fault(moment(at), found)
    return None


def future(case: Case) -> Fault | None:
    """Everything after a moment is multiplied, up or down: rows decided before stay as they were."""
    for cut, direction, panel in case.trial.perturbed:
        at = f"{moment(cut)}, what follows moved {direction}"
        found = difference(case.whole, case.on(panel, at), _decided_by(case.whole, cut))
        if found is not None:
            return Fault(at, found)
    return None


def holes(case: Case) -> Fault | None:
    """A hole is torn, and what follows it is changed: nothing flows back into the hole."""
    for cut, (left, changed) in case.trial.torn.items():
        at = f"{moment(cut)}, the end of a hole"
        before = case.on(left, at)
        found = difference(before, case.on(changed, at), _decided_by(before, cut))
        if found is not None:
            return Fault(at, found)
    return None


def availability(case: Case) -> Fault | NotApplicable | None:
    """Where rows are published late, unevenly, a bar decided before a row was known does not hold it."""
    for seen, whole, without in case.trial.late:
        at = f"{moment(seen)}, without what was published later"
        before = case.on(whole, at)
        found = difference(before, case.on(without, at), _decided_by(before, seen))
        if found is not None:
            return Fault(at, found)
    return None if case.trial.late else NotApplicable("the market is too short to publish anything late")


def _decided_by(outcome: Outcome, instant: pd.Timestamp) -> int:
    return int((outcome.decided <= instant.value).sum())
