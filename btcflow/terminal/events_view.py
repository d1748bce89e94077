"""The text of `btcflow events`: each dated event, what the detector made of it, and the shares with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from btcflow.terminal.tables import number, percent, table

if TYPE_CHECKING:
    from btcflow.runs.event_study import EventStudy
    from btcflow.stats.events import EventOutcome, Tally
    from btcflow.stats.shares import Share

__all__ = ["events_view"]


def events_view(studies: Sequence[EventStudy]) -> str:
    """One block per timeframe."""
    return "\n\n".join(_block(one) for one in studies)


def _block(study: EventStudy) -> str:
    score = study.score
    exhausted = score.headline.shifts == score.bars - 1
    head = (
        f"{study.timeframe}  extreme-cycle detector (experimental), mode {study.mode}, window {study.window} bars\n"
        f"judged on {score.bars} bars"
        + (f" from {_day(score.first)} to {_day(score.last)}" if score.first and score.last else "")
        + f"; a hit starts within {score.tolerance} of the event's bar"
    )
    lines = [
        head,
        _events(score.outcomes),
        "lead: from the signal's bar to the event's, positive = before it; decided: days from the event's day to the\n"
        "decision; price: the first that could be traded then; causal: within 10 % of the extreme; * provisional",
        _summary((score.headline, score.tops, score.bottoms, score.every)),
        f"{score.headline.name}: a signal at another tier's event is a false alarm; p against "
        f"{score.headline.shifts} shifts of the same signals" + (", every one there is" if exhausted else ""),
        _replayed(study),
        "\n".join(f"note: {text}" for text in study.notes),
    ]
    return "\n\n".join(lines)


def _events(outcomes: Sequence[EventOutcome]) -> str:
    rows = [
        [
            f"{one.event.number:>2}  {_day(one.event.day)}  {one.event.kind:<6}  {one.event.tier}"
            f"{'*' if one.event.provisional else ' '} {one.event.label}",
            f"{one.event.price:,.0f}",
            "hit" if one.hit else "missed" if one.testable else "not testable",
            "-" if one.lead_bars is None else f"{one.lead_bars:+d} bars, {one.lead_days:+.0f} d",
            "-" if one.decided_days is None else f"{one.decided_days:+.1f} d",
            "-" if one.price is None else f"{one.price:,.0f}",
            percent(one.distance),
            "-" if not one.hit else "yes" if one.causal else "no",
        ]
        for one in outcomes
    ]
    return table(["event", "extreme", "detector", "lead", "decided", "price", "from extreme", "causal"], rows)


def _summary(tallies: Sequence[Tally]) -> str:
    rows = [
        [
            one.name,
            f"{one.recall.of} of {one.events}",
            _share(one.recall),
            _share(one.causal_recall),
            _share(one.precision),
            _share(one.causal_precision),
            number(one.lead_days, 1),
            f"{one.expected:.2f}" if one.shifts else "-",
            f"{one.p_value:.3f}" if one.shifts else "-",
        ]
        for one in tallies
    ]
    header = ["", "testable", "events hit", "hit causally", "signals right", "right causally", "lead days", "luck", "p"]
    return table(header, rows) + (
        "\nshares with their exact 95 % intervals; lead days: median; luck: events a shifted train hits on average"
    )


def _share(one: Share) -> str:
    if one.of == 0:
        return "0 of 0"
    return f"{one.count} of {one.of} ({100 * one.low:.0f}-{100 * one.high:.0f} %)"


def _replayed(study: EventStudy) -> str:
    if not study.replayed:
        return "repaint  nothing to replay: no signal"
    wrong = [_day(one.decided_at) for one in study.replayed if not one.same]
    if wrong:
        return f"repaint  BROKEN: what was said on {', '.join(wrong)} is not what is said today"
    return f"repaint  none: {len(study.replayed)} decisions replayed from what was known then say the same today"


def _day(instant: int | None) -> str:
    return "-" if instant is None else str(pd.Timestamp(instant, unit="ns", tz="UTC").date())
