"""Whether a series has a defect that is known of its source, and whether its rows still show it."""

from __future__ import annotations

from collections.abc import Iterator

from btcflow.audit.check import check
from btcflow.audit.checks.labels import interest_lead
from btcflow.audit.defects import Defect, defects_of
from btcflow.audit.examined import Examined, step_of
from btcflow.audit.findings import Found, Severity, moment
from btcflow.audit.rows import Rows
from btcflow.audit.symptoms import Shown, shown
from btcflow.data.records import Records

__all__ = ["known_defects"]

_MENDED = {
    "exclude": "a run leaves these rows out",
    "shift": "a run reads them later",
    "dedupe": "a run keeps one of each",
}


@check(severity="warning")
def known_defects(examined: Examined) -> Iterator[Found]:
    """Defects of public dumps that are known, and concern the times the store holds."""
    for one in examined.filled:
        rows, quiet = Rows.of_records(one), []
        for entry in defects_of(one.key) if not one.synthetic else ():
            start, end = entry.span
            if (start is not None and one.stamp[-1] < start) or (end is not None and one.stamp[0] >= end):
                continue
            what = shown(entry.symptom, rows, field=entry.field, start=start, end=end)
            if what.count:
                yield _shows(examined, one, entry, what)
            else:
                quiet.append(f"{entry.id}{'' if what.visible else ' (not visible in rows)'}")
        if quiet:
            yield Found(
                series=str(one.key),
                says=f"known of this source, and not seen in these rows: {', '.join(quiet)}",
                count=len(quiet),
                advice="docs/data.md says what each of them is",
                severity="note",
            )


def _shows(examined: Examined, one: Records, entry: Defect, what: Shown) -> Found:
    mended = entry.action == "shift" and entry.mended_in(one.source)
    state = f"{what.missing:,} steps missing" if what.missing else f"{what.count:,} row{'' if what.count == 1 else 's'}"
    if entry.action == "shift":
        state = f"{state}; {'mended where it was read' if mended else _shift_state(examined, one, entry, what)}"
    severity: Severity = {"refuse": "fault", "note": "note"}.get(entry.action, "warning")  # type: ignore[assignment]
    if mended:
        severity = "note"
    spans = [None if each is None else moment(each) for each in entry.span]
    return Found(
        series=str(one.key),
        says=f"{entry.id}: {entry.wrong}; {state} ({entry.source})",
        count=what.count,
        start=spans[0] or moment(one.stamp[0]),
        end=spans[1] or moment(one.stamp[-1]),
        advice=_advice(entry, severity),
        severity=severity,
    )


def _shift_state(examined: Examined, one: Records, entry: Defect, what: Shown) -> str:
    """What price says of the labels: whether they are still those of the dump."""
    inside = one.where(what.rows)
    lead = interest_lead(examined, inside) if len(inside) else None
    if lead is None or not lead.clear or entry.by is None or step_of(one) != entry.by.total_seconds():
        return "no price at this spacing shows whether they were mended before"
    if lead.steps > 0:
        return f"price moves {lead.steps} step later than the label ({lead})"
    return (
        f"price moves at the label ({lead}), so these rows look mended: have their reader mark its source with "
        f"[mended: {entry.id}], or they are moved twice"
    )


def _advice(entry: Defect, severity: Severity) -> str:
    done = _MENDED.get(entry.action)
    if done is None or severity == "note":
        return entry.advice
    return f"{done} and says so (data.defects: apply); {entry.advice}"
