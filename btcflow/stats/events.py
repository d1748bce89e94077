"""Score rare signals against dated events: hits, lead, what a trader could still have had, and luck.

There are a handful of events, so every share is shown with its counts and its exact interval, and
the p-value asks how often the same signals, moved in time as one train, hit as many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.cycle_dates import CycleDate, Kind
from btcflow.data.records import utc_ns
from btcflow.errors import ConfigError
from btcflow.stats.shares import Share

__all__ = [
    "CAUSAL_DISTANCE",
    "KINDS",
    "EventOutcome",
    "EventScore",
    "EventSignals",
    "Tally",
    "Tolerance",
    "score_events",
]

CAUSAL_DISTANCE = 0.10
"""A hit is causal where the first tradable price lies within this share of the extreme."""

KINDS: tuple[Kind, ...] = ("top", "bottom")
_ENOUGH = 0.5
"""The detector must have a value on this share of an event's window for the event to be testable."""
_FEWEST_SHIFTS = 1000
_DAY = 86_400_000_000_000


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a signal's bar may open from the open of the event's bar: in bars, or in days."""

    bars: int | None = None
    days: int | None = None

    def __post_init__(self) -> None:
        if (self.bars is None) == (self.days is None) or (self.bars or self.days or 0) < 0:
            raise ConfigError(f"tolerance {self}: expected either bars or days, 0 or more")

    @classmethod
    def of(cls, timeframe: str) -> Tolerance:
        """10 days below a week, 2 weekly bars, 1 monthly bar."""
        unit = timeframes.parse(timeframe).unit
        return cls(bars=2) if unit == "W" else cls(bars=1) if unit == "M" else cls(days=10)

    def __str__(self) -> str:
        return f"{self.bars} bars" if self.bars is not None else f"{self.days} days"

    def window(self, opens: np.ndarray, row: int) -> tuple[int, int]:
        """Rows ``[first, past)`` that are near enough to ``row``."""
        if self.bars is not None:
            return max(0, row - self.bars), min(len(opens), row + self.bars + 1)
        reach = int(self.days or 0) * _DAY
        first = np.searchsorted(opens, opens[row] - reach, side="left")
        return int(first), int(np.searchsorted(opens, opens[row] + reach, side="right"))

    def nominal(self, timeframe: str) -> int:
        """Bars a whole window has."""
        length = timeframes.parse(timeframe).seconds * 1_000_000_000
        each = self.bars if self.bars is not None else int(self.days or 0) * _DAY // length
        return 2 * each + 1


@dataclass(frozen=True, kw_only=True)
class EventSignals:
    """What a detector said, on the bars of one timeframe.

    Attributes
    ----------
    opens, known_at : (T,) int64 ns: bar open, and when the bar was decided
    price : (T,) float64: open of the first clock bar at or after ``known_at``; NaN where the clock ends
    starts : by kind (T,) float64: 1 where a signal starts, 0 where not, NaN where nothing can be said
    """

    timeframe: str
    opens: np.ndarray
    known_at: np.ndarray
    price: np.ndarray
    starts: Mapping[Kind, np.ndarray]
    anchor: timeframes.Anchor = "tv_year_reset"

    @cached_property
    def answered(self) -> np.ndarray:
        """Bars on which every kind has a value; (T,) bool."""
        return np.asarray(np.isfinite(np.vstack([self.starts[kind] for kind in KINDS])).all(axis=0))

    def rows_of(self, days: Sequence[int]) -> dict[int, int]:
        """By day (ns) the row of the bar that contains it; -1 before the data, T after them."""
        at = pd.DatetimeIndex(pd.to_datetime(np.array(days, dtype=np.int64), unit="ns", utc=True))
        bars = utc_ns(timeframes.bar_open(at, self.timeframe, self.anchor))
        rows = np.searchsorted(self.opens, bars, side="right") - 1  # -1: before the first bar
        past = bars > (self.opens[-1] if len(self.opens) else 0)
        return dict(zip(days, np.where(past, len(self.opens), rows).tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class EventOutcome:
    """One dated event, and what the detector made of it.

    Attributes
    ----------
    testable, why_not : whether it could be flagged at all; else the reason
    answered_bars, window_bars : bars of its window with a value, and bars a whole window has
    signal, known_at : open of the nearest signal's bar and its decision, int64 ns; None without a hit
    lead_bars, lead_days : from the signal's bar open to that of the event's bar; positive = before it
    decided_days : from the start of the event's day to the decision; positive = after it
    price, distance : first tradable price, and ``price / extreme - 1``
    causal : ``|distance| <= 10 %``
    """

    event: CycleDate
    testable: bool
    why_not: str
    answered_bars: int
    window_bars: int
    signal: int | None = None
    known_at: int | None = None
    lead_bars: int | None = None
    lead_days: float | None = None
    decided_days: float | None = None
    price: float | None = None
    distance: float | None = None
    causal: bool = False

    @property
    def hit(self) -> bool:
        """A testable event with a signal of its kind in its window."""
        return self.signal is not None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Some of the events, summed up.

    Attributes
    ----------
    events : how many there are, testable or not
    recall, causal_recall : hits (causal hits) of the testable events
    precision, causal_precision : signals in the window of one (that are causal) of all signals of these kinds
    lead_bars, lead_days : medians over the hits; NaN without one
    p_value : share of the shifted trains, the real one counted too, that hit at least as many events;
        NaN without a signal or a testable event
    expected : events hit by a shifted train on average
    shifts : how many shifts were tried
    """

    name: str
    events: int
    recall: Share
    causal_recall: Share
    precision: Share
    causal_precision: Share
    lead_bars: float
    lead_days: float
    p_value: float
    expected: float
    shifts: int


@dataclass(frozen=True, kw_only=True)
class EventScore:
    """A detector on one timeframe against the dated events.

    ``headline`` counts the tiers asked for (a signal at another tier's event is then a false alarm);
    ``every`` counts all tiers. ``first``, ``last``: opens of the first and last judged bar (None: there is
    none); ``bars``: how many bars were judged; ``unjudged``: signals outside them.
    """

    timeframe: str
    tolerance: Tolerance
    tiers: tuple[str, ...]
    outcomes: tuple[EventOutcome, ...]
    headline: Tally
    tops: Tally
    bottoms: Tally
    every: Tally
    first: int | None
    last: int | None
    bars: int
    unjudged: int


def score_events(
    signals: EventSignals,
    events: Sequence[CycleDate],
    *,
    tolerance: Tolerance | None = None,
    covered: tuple[int, int] | None = None,
    tiers: tuple[str, ...] = ("A", "B"),
    shifts: int = 2000,
    seed: int = 7,
) -> EventScore:
    """Score the starts of a signal against dated events.

    A hit: a signal of the event's kind whose bar opens within ``tolerance`` of the open of the bar that
    contains the event's day. An event is testable where the detector has a value on at least half of
    that window. The p-value shifts the signals as one train (tops and bottoms together, round the end)
    over the judged bars: all shifts where there are at most ``shifts``, else that many drawn with ``seed``.

    Parameters
    ----------
    tolerance : default: 10 days below a week, 2 weekly bars, 1 monthly bar
    covered : ``[from, to)`` in ns, the time the events are complete for; signals outside are not judged
    tiers : those of the headline

    Raises
    ------
    ConfigError
        for fewer than 1,000 shifts
    """
    if shifts < _FEWEST_SHIFTS:
        raise ConfigError(f"shifts is {shifts}; expected at least {_FEWEST_SHIFTS}")
    allowed = tolerance or Tolerance.of(signals.timeframe)
    judged = signals.answered.copy()
    if covered is not None:
        judged &= (signals.opens >= covered[0]) & (signals.opens < covered[1])
    places = signals.rows_of([one.day for one in events])
    trial = _Trial(signals, allowed, judged, places, shifts, seed)
    outcomes = tuple(trial.outcome(one) for one in events)
    chosen = [one for one in outcomes if one.event.tier in tiers]
    rows = np.flatnonzero(judged)
    return EventScore(
        timeframe=signals.timeframe,
        tolerance=allowed,
        tiers=tiers,
        outcomes=outcomes,
        headline=trial.tally(f"tier {' and '.join(tiers)}", chosen, KINDS),
        tops=trial.tally("tops", [one for one in chosen if one.event.kind == "top"], ("top",)),
        bottoms=trial.tally("bottoms", [one for one in chosen if one.event.kind == "bottom"], ("bottom",)),
        every=trial.tally("every tier", outcomes, KINDS),
        first=int(signals.opens[rows[0]]) if len(rows) else None,
        last=int(signals.opens[rows[-1]]) if len(rows) else None,
        bars=len(rows),
        unjudged=sum(int(((signals.starts[kind] == 1) & ~judged).sum()) for kind in KINDS),
    )


@dataclass(frozen=True)
class _Trial:
    """Signals on the bars that are judged, and the trains they are compared with."""

    signals: EventSignals
    tolerance: Tolerance
    judged: np.ndarray
    places: Mapping[int, int]
    shifts: int
    seed: int

    def starts(self, kind: Kind) -> np.ndarray:
        """Rows of the judged signals of one kind."""
        return np.flatnonzero((self.signals.starts[kind] == 1) & self.judged)

    def outcome(self, event: CycleDate) -> EventOutcome:
        row, opens = self.places[event.day], self.signals.opens
        whole = self.tolerance.nominal(self.signals.timeframe)
        if not 0 <= row < len(opens):
            why = "before the data begin" if row < 0 else "after the data end"
            return EventOutcome(event=event, testable=False, why_not=why, answered_bars=0, window_bars=whole)
        first, past = self.tolerance.window(opens, row)
        answered = int(self.judged[first:past].sum())
        if answered < _ENOUGH * whole:
            why = "the detector has no value yet" if not self.judged[:first].any() else "the detector has no value"
            return EventOutcome(event=event, testable=False, why_not=why, answered_bars=answered, window_bars=whole)
        near = [int(one) for one in self.starts(event.kind) if first <= one < past]
        found = EventOutcome(event=event, testable=True, why_not="", answered_bars=answered, window_bars=whole)
        return self._hit(found, row, min(near, key=lambda one: (abs(one - row), one))) if near else found

    def _hit(self, missed: EventOutcome, row: int, signal: int) -> EventOutcome:
        given, event = self.signals, missed.event
        price = float(given.price[signal])
        distance = price / event.price - 1.0
        return EventOutcome(
            event=event,
            testable=True,
            why_not="",
            answered_bars=missed.answered_bars,
            window_bars=missed.window_bars,
            signal=int(given.opens[signal]),
            known_at=int(given.known_at[signal]),
            lead_bars=row - signal,
            lead_days=float((given.opens[row] - given.opens[signal]) / _DAY),
            decided_days=float((given.known_at[signal] - event.day) / _DAY),
            price=price,
            distance=distance,
            causal=bool(_near(given.price[signal], event)),
        )

    def tally(self, name: str, outcomes: Sequence[EventOutcome], kinds: tuple[Kind, ...]) -> Tally:
        testable = [one for one in outcomes if one.testable]
        hits = [one for one in testable if one.hit]
        causal = [one for one in hits if one.causal]
        count = sum(len(self.starts(kind)) for kind in kinds)
        p_value, expected, shifts = self._luck(testable, len(hits), count)
        leads = [(one.lead_bars, one.lead_days) for one in hits]
        return Tally(
            name=name,
            events=len(outcomes),
            recall=Share.exact(len(hits), len(testable)),
            causal_recall=Share.exact(len(causal), len(testable)),
            precision=Share.exact(self._true(testable, kinds, causal=False), count),
            causal_precision=Share.exact(self._true(testable, kinds, causal=True), count),
            lead_bars=float(np.median([bars for bars, _ in leads])) if leads else float("nan"),
            lead_days=float(np.median([days for _, days in leads])) if leads else float("nan"),
            p_value=p_value,
            expected=expected,
            shifts=shifts,
        )

    def _true(self, testable: Sequence[EventOutcome], kinds: tuple[Kind, ...], *, causal: bool) -> int:
        """Signals inside the window of at least one testable event (and near its price)."""
        found = 0
        for kind in kinds:
            rows = self.starts(kind)
            inside = np.zeros(len(rows), dtype=bool)
            for one in testable:
                if one.event.kind == kind:
                    first, past = self._window(one.event)
                    near = _near(self.signals.price[rows], one.event) if causal else True
                    inside |= (rows >= first) & (rows < past) & near
            found += int(inside.sum())
        return found

    def _window(self, event: CycleDate) -> tuple[int, int]:
        return self.tolerance.window(self.signals.opens, self.places[event.day])

    def _luck(self, testable: Sequence[EventOutcome], hits: int, count: int) -> tuple[float, float, int]:
        """(p-value, mean hits of a shifted train, shifts tried)."""
        circle = np.flatnonzero(self.judged)
        steps = self._steps(len(circle))
        if count == 0 or not testable or len(steps) == 0:
            return float("nan"), float("nan"), 0
        total = np.zeros(len(steps), dtype=np.int64)
        for kind in KINDS:
            places = np.searchsorted(circle, self.starts(kind))
            moved = circle[(places[None, :] + steps[:, None]) % len(circle)]
            for one in testable:
                if one.event.kind == kind:
                    first, past = self._window(one.event)
                    total += ((moved >= first) & (moved < past)).any(axis=1)
        p_value = (1 + int((total >= hits).sum())) / (1 + len(steps))
        return p_value, float(total.mean()), len(steps)

    def _steps(self, bars: int) -> np.ndarray:
        """How far the trains are moved: every step where there are few, else a seeded draw without repeats."""
        if bars - 1 <= self.shifts:
            return np.arange(1, max(bars, 1))
        return np.random.default_rng(self.seed).choice(bars - 1, size=self.shifts, replace=False) + 1


def _near(price: np.ndarray, event: CycleDate) -> np.ndarray:
    """Where a price is close enough to the extreme; False where there is none."""
    return np.asarray(np.abs(price - event.price) <= CAUSAL_DISTANCE * event.price)
