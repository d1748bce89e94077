"""What the laws found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from btcflow.terminal.tables import left_table

if TYPE_CHECKING:
    from btcflow.contracts import Judgement
    from btcflow.contracts.candidates import Candidate
    from btcflow.traps.suite import Tried

__all__ = ["check_document", "checked", "judged_lines", "traps_document", "traps_tried", "traps_view"]

Tell = Callable[[str], None]


def checked(named: Sequence[str], timeframes: Sequence[str], tell: Tell | None) -> tuple[dict[str, Any], str]:
    """Check what is named on each timeframe, telling each subject as it is done.

    Returns
    -------
    the document, and what is wrong in one sentence (empty: every law is kept)
    """
    from btcflow.contracts import candidates as asked

    frames = tuple(dict.fromkeys(timeframes)) or asked.TIMEFRAMES
    found = asked.candidates(named)
    market = f"SIMULATED market, {asked.YEARS:g} years, seed {asked.SEED}; timeframes {', '.join(frames)}"
    if tell is not None:
        tell(market)
    width = max(len(f"{one.thing.name}@{frame}") for one in found for frame in frames)
    results = []
    for result in asked.check(found, frames, asked.market_of_the_check()):
        results.append(result)
        if tell is not None:
            tell("\n".join(judged_lines(result[2], width)))
    document = check_document(market, results)
    wrong = f"a law is broken by {document['broken']} of {_subjects(results)}" if document["broken"] else ""
    if tell is not None and not wrong:
        tell(f"{_subjects(results)}, every law kept")
    return document, wrong


def traps_tried(tell: Tell | None) -> tuple[dict[str, Any], str]:
    """Try the laws on every trap; the document, and what is wrong (empty: all caught, none accused)."""
    from btcflow.contracts.candidates import market_of_the_check
    from btcflow.traps.suite import only_caught_by, tried

    results = list(tried(market_of_the_check()))
    only = only_caught_by(results)
    if tell is not None:
        tell(traps_view(results, only))
    document = traps_document(results, only)
    return document, f"{document['wrong']} of {len(results)} traps are judged wrongly" if document["wrong"] else ""


def _subjects(results: Sequence[object]) -> str:
    return f"{len(results)} subject" + ("" if len(results) == 1 else "s")


def judged_lines(judgement: Judgement, width: int = 0) -> list[str]:
    """One line for a subject that keeps the laws, else one for each law it breaks."""
    name = judgement.subject.name.ljust(width)
    if judgement.broken:
        return [f"{name}  {one.law}  FAIL at {one.cut}: {one.detail}" for one in judgement.broken]
    left_out = ", ".join(f"{law} ({reason})" for law, reason in judgement.not_applicable.items())
    rest = [f"not applicable: {left_out}"] if left_out else []
    notes = [f"note: {judgement.note}"] if judgement.note else []
    return [f"{name}  ok  " + "; ".join([f"{len(judgement.kept)} laws kept", *rest, *notes])]


def check_document(market: str, results: Iterable[tuple[Candidate, str, Judgement]]) -> dict[str, Any]:
    """Everything that was tried, as one document."""
    subjects = [
        {
            "name": one.thing.name,
            "kind": one.kind,
            "file": None if one.file is None else str(one.file),
            "timeframe": timeframe,
            "kept": list(judgement.kept),
            "broken": [{"law": fault.law, "at": fault.cut, "detail": fault.detail} for fault in judgement.broken],
            "not_applicable": dict(judgement.not_applicable),
            "note": judgement.note,
        }
        for one, timeframe, judgement in results
    ]
    broken = sum(bool(one["broken"]) for one in subjects)
    return {"schema": "btcflow.check/1", "market": market, "subjects": subjects, "broken": broken}


def traps_view(results: Sequence[Tried], only: dict[str, tuple[str, ...]]) -> str:
    """The table of traps: what each is, the law that must catch it, and the laws that do."""
    rows = [
        [
            one.trap.name,
            one.trap.timeframe,
            one.trap.law or "none (honest)",
            ", ".join(one.caught_by) or "-",
            "" if one.right else "WRONG",
        ]
        for one in results
    ]
    alone = [[law, str(sum(law in one.caught_by for one in results)), ", ".join(names)] for law, names in only.items()]
    return "\n\n".join(
        [
            left_table(["trap", "on", "must be caught by", "is caught by", ""], rows),
            left_table(["law", "catches", "and alone catches"], alone),
            _score(results),
        ]
    )


def traps_document(results: Sequence[Tried], only: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """The same as one document, with what each trap is."""
    traps = [
        {
            "name": one.trap.name,
            "about": one.trap.about,
            "timeframe": one.trap.timeframe,
            "law": one.trap.law,
            "caught_by": list(one.caught_by),
            "right": one.right,
        }
        for one in results
    ]
    alone = {law: list(names) for law, names in only.items()}
    return {"schema": "btcflow.traps/1", "traps": traps, "alone": alone, "wrong": sum(not one.right for one in results)}


def _score(results: Sequence[Tried]) -> str:
    leaks = [one for one in results if one.trap.law is not None]
    honest = [one for one in results if one.trap.law is None]
    caught, accused = sum(one.right for one in leaks), sum(not one.right for one in honest)
    return f"{caught} of {len(leaks)} leaks caught by the law they name; {accused} of {len(honest)} controls accused"
