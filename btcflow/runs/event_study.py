"""The cycle detector against the dated tops and bottoms of the market, one answer per timeframe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from btcflow.config.experiment import Experiment
from btcflow.config.market_data import load_dataset, panel_of
from btcflow.data.cycle_dates import COVERED_UNTIL, Kind, cycle_dates
from btcflow.engine.execution import fill_rows
from btcflow.errors import ConfigError, MissingData
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.options import FlowOptions
from btcflow.panel import Panel
from btcflow.runs.summary import plain
from btcflow.stats.events import KINDS, EventOutcome, EventScore, EventSignals, Tally, score_events
from btcflow.stats.shares import Share

__all__ = ["EventStudy", "Repaint", "detector_bars", "event_signals", "event_study", "repaint"]

_METRIC: dict[Kind, str] = {"top": "cycle_top", "bottom": "cycle_bottom"}
_INPUTS = {
    "open interest": ("oi_index", "oi_z"),
    "premium": ("perp_premium", "prem_z"),
    "funding": ("funding_8h", "fund_z"),
}
_REPLAYED = 6
"""How many decisions of a timeframe are replayed from what was known then."""


@dataclass(frozen=True, kw_only=True)
class Repaint:
    """One decision replayed: the signals up to it from what was known then, against those of today.

    Attributes
    ----------
    decided_at : int64 ns
    then, now : 1, 0 or NaN by kind, on the bar decided at that time
    same : True where that bar and every bar before it say the same, bit for bit
    """

    decided_at: int
    then: dict[Kind, float]
    now: dict[Kind, float]
    same: bool


@dataclass(frozen=True, kw_only=True)
class EventStudy:
    """One timeframe: its score, the replayed decisions, and what a reader must know."""

    timeframe: str
    mode: str
    window: int
    score: EventScore
    replayed: tuple[Repaint, ...]
    notes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Plain JSON data; times as ISO text, undefined numbers as None."""
        score = self.score
        found: dict[str, Any] = plain(
            {
                "timeframe": self.timeframe,
                "mode": self.mode,
                "window": self.window,
                "tolerance": str(score.tolerance),
                "tiers": score.tiers,
                "judged": {"first_bar": _say(score.first), "last_bar": _say(score.last), "bars": score.bars},
                "unjudged_signals": score.unjudged,
                "events": [_outcome(one) for one in score.outcomes],
                **{name: _tally(getattr(score, name)) for name in ("headline", "tops", "bottoms", "every")},
                "replayed": [
                    {"decided_at": _say(one.decided_at), "then": one.then, "now": one.now, "same": one.same}
                    for one in self.replayed
                ],
                "notes": self.notes,
            }
        )
        return found


def event_study(experiment: Experiment, *, shifts: int = 2000) -> tuple[EventStudy, ...]:
    """Score the cycle detector of an experiment on each of its timeframes.

    Raises
    ------
    ConfigError
        for a simulated market: it has no such dates
    MissingData
        where the data lack a field of the detector, or no bar has closed
    """
    dataset = load_dataset(experiment)
    if dataset.synthetic:
        raise ConfigError(
            experiment.problem(
                ("data", "source"),
                "the dated tops and bottoms are those of the real market, and this one is simulated",
                "use data.source: store",
            )
        )
    panel = panel_of(experiment, dataset)
    return tuple(_study(panel, frame, experiment, shifts) for frame in experiment.frames)


def _study(panel: Panel, frame: str, experiment: Experiment, shifts: int) -> EventStudy:
    bars = detector_bars(panel, frame, experiment.flow)
    delay = experiment.market.market.delay
    signals = event_signals(bars, delay=delay)
    events = cycle_dates("scoring")
    until = int(pd.Timestamp(COVERED_UNTIL, tz="UTC").value)
    score = score_events(signals, events, covered=(events[0].day, until), shifts=shifts, seed=experiment.seed)
    return EventStudy(
        timeframe=frame,
        mode=experiment.cycle.mode,
        window=bars.window(),
        score=score,
        replayed=repaint(panel, frame, options=experiment.flow, at=_decisions(signals, score)),
        notes=(*_notes(bars, signals, score), *_vendor(experiment)),
    )


def detector_bars(panel: Panel, timeframe: str, options: FlowOptions) -> Bars:
    """The bars the detector decides on, from no other fields than it reads.

    Raises
    ------
    MissingData
        where the panel lacks one of them, or no bar has closed
    """
    bars = Bars(panel.only(options.widen(METRICS.get("cycle_top").needs)), timeframe, options)
    if len(bars) == 0:
        raise MissingData(f"no {timeframe} bar has closed in the data; load more of them or use a finer timeframe")
    return bars


def event_signals(bars: Bars, *, delay: int = 0) -> EventSignals:
    """What the detector says, with the first tradable price of each decision (the open it would fill at)."""
    clock = bars.panel.clock
    rows = fill_rows(bars.decided_at, clock, delay=delay)
    return EventSignals(
        timeframe=bars.timeframe,
        opens=bars.opens,
        known_at=bars.decided_at,
        price=np.append(clock.open, np.nan)[rows],
        starts={kind: bars[_METRIC[kind]] for kind in KINDS},
        anchor=bars.options.bars.nday_anchor,
    )


def repaint(panel: Panel, timeframe: str, *, options: FlowOptions, at: Sequence[int]) -> tuple[Repaint, ...]:
    """What the signals said at decisions in the past, from what was known then, against what they say now.

    Parameters
    ----------
    at : times (int64 ns), each the ``decided_at`` of a bar; anything between counts as the bar before

    Notes
    -----
    The detector must not repaint: ``same`` is True for every time. Each time costs one pass over the
    panel up to it.
    """
    now = event_signals(detector_bars(panel, timeframe, options))
    replayed = []
    for instant in at:
        then = event_signals(
            detector_bars(panel.upto(pd.Timestamp(int(instant), unit="ns", tz="UTC")), timeframe, options)
        )
        count = len(then.opens)
        pairs = [(then.starts[kind], now.starts[kind][:count]) for kind in KINDS]
        decided = int(np.searchsorted(now.known_at, instant, side="right")) == count
        replayed.append(
            Repaint(
                decided_at=int(instant),
                then={kind: float(then.starts[kind][-1]) for kind in KINDS},
                now={kind: float(now.starts[kind][count - 1]) for kind in KINDS},
                same=decided and all(np.array_equal(old, new, equal_nan=True) for old, new in pairs),
            )
        )
    return tuple(replayed)


def _decisions(signals: EventSignals, score: EventScore) -> list[int]:
    """A handful of decisions to replay: those behind the hits first, then other signals, spread over time."""
    hits = {one.known_at for one in score.outcomes if one.known_at is not None}
    started = np.flatnonzero(np.vstack([signals.starts[kind] == 1 for kind in KINDS]).any(axis=0))
    others = [int(one) for one in signals.known_at[started] if int(one) not in hits]
    spread = [others[place] for place in np.linspace(0, len(others) - 1, min(len(others), _REPLAYED)).astype(int)]
    return sorted([*sorted(hits), *spread][:_REPLAYED])


def _notes(bars: Bars, signals: EventSignals, score: EventScore) -> list[str]:
    """Why what could not be flagged could not, and how far the numbers carry."""
    notes = []
    late = [one for one in score.outcomes if one.why_not == "the detector has no value yet"]
    if late:
        names = ", ".join(f"{_month(one.event.day)} ({one.event.label})" for one in late)
        notes.append(f"{_last_to_begin(bars, signals)}; it cannot flag {names}")
    for why in ("before the data begin", "after the data end", "the detector has no value"):
        numbers = [str(one.event.number) for one in score.outcomes if one.why_not == why]
        if numbers:
            notes.append(f"{why}: events {', '.join(numbers)}")
    notes.append(
        "the thresholds were chosen with hindsight, after seeing 2019 to 2026: every hit up to 2026 is in-sample and "
        "proves nothing; p says only how often the same signals, moved in time, hit as many, and is not corrected "
        "for the timeframes, modes and sources that were looked at"
    )
    first = _first(np.where(signals.answered, 1.0, np.nan))
    censored = [one for one in score.outcomes if one.hit and one.signal == int(signals.opens[first])]
    if censored:
        names = ", ".join(f"{_month(one.event.day)} ({one.event.label})" for one in censored)
        notes.append(
            f"{names} was flagged on the detector's first bar with a value: the extreme may have begun earlier"
        )
    scoring = [str(one.event.number) for one in score.outcomes if one.event.scoring_only and one.testable]
    if scoring:
        notes.append(f"for scoring only, choose no threshold with them: events {', '.join(scoring)}")
    provisional = [str(one.event.number) for one in score.outcomes if one.event.provisional and one.testable]
    if provisional:
        notes.append(f"provisional, a later price may replace it: events {', '.join(provisional)}")
    return notes


def _vendor(experiment: Experiment) -> list[str]:
    source = experiment.oi.source
    if source == "venues":
        return []
    return [f"open interest is one vendor's ({source}), and vendors disagree, at times in sign: compare with another"]


def _last_to_begin(bars: Bars, signals: EventSignals) -> str:
    """The input whose z comes last, when it starts, and what that means for the detector."""
    first = {name: _first(bars[score]) for name, (_, score) in _INPUTS.items()}
    name = max(first, key=lambda one: first[one])
    begun, answers = _first(bars[_INPUTS[name][0]]), _first(np.where(signals.answered, 1.0, np.nan))
    length = f"the window is {bars.window()} bars of {bars.timeframe}"
    if begun >= len(bars):
        return f"{name} has no value anywhere in the data"
    start = f"{name} starts in {_month(int(bars.opens[begun]))} and {length}"
    if answers >= len(bars):
        return f"{start}, which the data do not fill: the detector says nothing"
    return f"{start}, so the detector says nothing before {_month(int(bars.opens[answers]))}"


def _first(values: np.ndarray) -> int:
    known = np.flatnonzero(np.isfinite(values))
    return int(known[0]) if len(known) else len(values)


def _month(instant: int) -> str:
    return str(pd.Timestamp(instant, unit="ns", tz="UTC").strftime("%Y-%m"))


def _say(instant: int | None) -> str | None:
    return None if instant is None else str(pd.Timestamp(instant, unit="ns", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ"))


def _outcome(one: EventOutcome) -> dict[str, Any]:
    day, close_day = ((_say(when) or "")[:10] for when in (one.event.day, one.event.close_day))
    return {
        **asdict(one),
        "event": {**asdict(one.event), "day": day, "close_day": close_day},
        "hit": one.hit,
        "signal": _say(one.signal),
        "known_at": _say(one.known_at),
    }


def _tally(one: Tally) -> dict[str, Any]:
    shares = {name: value for name, value in vars(one).items() if isinstance(value, Share)}
    return {**asdict(one), **{name: {**asdict(share), "value": share.value} for name, share in shares.items()}}
