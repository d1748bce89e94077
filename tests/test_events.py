"""Signals against dated events: hits, lead, what was still to be had, luck, and replayed decisions."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btcflow import timeframes
from btcflow.cli import main
from btcflow.config.load import load_config
from btcflow.contracts import Trial
from btcflow.data.cycle_dates import COVERED_UNTIL, CycleDate, Kind, cycle_dates
from btcflow.data.simulate import simulate
from btcflow.data.store import Store
from btcflow.errors import ConfigError, MissingData
from btcflow.flow.options import CycleOptions, FlowOptions, ZscoreOptions
from btcflow.panel import Panel
from btcflow.runs.event_study import detector_bars, event_signals, event_study, repaint
from btcflow.stats.events import EventSignals, Tolerance, score_events
from btcflow.stats.shares import Share, clopper_pearson

NAN = math.nan
DAY = 86_400_000_000_000
DAYS = {"1D": 1, "1W": 7}


def day(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").value)


def text(instant: int) -> str:
    return str(pd.Timestamp(instant, tz="UTC").date())


# --- the table ----------------------------------------------------------------------------------------

BAR_OPENS = {
    1: ("2017-12-15", "2017-12-11", "2017-12-01"),
    2: ("2018-12-15", "2018-12-10", "2018-12-01"),
    5: ("2020-03-13", "2020-03-09", "2020-03-01"),
    8: ("2021-11-09", "2021-11-08", "2021-11-01"),
    13: ("2024-03-13", "2024-03-11", "2024-03-01"),
    14: ("2024-08-04", "2024-08-05", "2024-08-01"),
    18: ("2025-10-04", "2025-10-06", "2025-10-01"),
    23: ("2026-06-30", "2026-06-29", "2026-07-01"),
}
"""Opens of the 3D, 1W and 1M bar of some events, as the definitions list them."""


def test_the_table_has_its_23_rows_in_time_order() -> None:
    table = cycle_dates("scoring")
    assert [one.number for one in table] == list(range(1, 24))
    assert sorted(one.day for one in table) == [one.day for one in table]
    assert "".join(one.tier for one in table) == "AABCAABABACCBBBBCACCBCB"
    assert sum(one.kind == "top" for one in table) == 12
    assert [one.number for one in table if one.provisional] == [23]
    assert all(one.day < day(COVERED_UNTIL) for one in table)
    for one in table:
        better = one.price > one.close_price if one.kind == "top" else one.price < one.close_price
        assert better, f"{one.label}: no close lies beyond the intraday extreme"
        assert abs(one.close_day - one.day) <= 30 * DAY
    assert (text(table[6].day), table[6].price) == ("2021-06-22", 28805.0)
    assert (text(table[6].close_day), table[6].close_price) == ("2021-07-20", 29790.35)


def test_what_is_kept_for_scoring_is_not_given_to_choose_with() -> None:
    assert [one.number for one in cycle_dates("choosing")] == list(range(1, 15))
    assert [one.number for one in cycle_dates("scoring") if one.scoring_only] == list(range(15, 24))


@pytest.mark.parametrize("number", BAR_OPENS)
def test_the_bars_of_the_events_are_those_of_the_definitions(number: int) -> None:
    event = cycle_dates("scoring")[number - 1]
    at = pd.DatetimeIndex([pd.Timestamp(event.day, tz="UTC")])
    found = [str(timeframes.bar_open(at, frame)[0].date()) for frame in ("3D", "1W", "1M")]
    assert tuple(found) == BAR_OPENS[number]


# --- one hit by hand ----------------------------------------------------------------------------------


def event(at: str, kind: Kind = "top", price: float = 100.0, tier: str = "A", number: int = 1) -> CycleDate:
    return CycleDate(
        number=number,
        kind=kind,
        tier=tier,  # type: ignore[arg-type]
        label=f"{kind} of {at}",
        day=day(at),
        price=price,
        close_day=day(at),
        close_price=price,
    )


def signals(
    top: Sequence[float],
    bottom: Sequence[float] | None = None,
    *,
    start: str = "2024-01-01",
    price: Sequence[float] | float = 100.0,
    frame: str = "1W",
) -> EventSignals:
    """Weekly (daily) bars from a Monday on, decided at their close."""
    opens = day(start) + DAYS[frame] * DAY * np.arange(len(top), dtype=np.int64)
    return EventSignals(
        timeframe=frame,
        opens=opens,
        known_at=opens + DAYS[frame] * DAY,
        price=np.broadcast_to(np.asarray(price, dtype=float), len(top)),
        starts={
            "top": np.array(top, dtype=float),
            "bottom": np.zeros(len(top)) if bottom is None else np.array(bottom, dtype=float),
        },
    )


def test_a_hit_by_hand() -> None:
    """Weeks open on 1, 8, 15, 22, 29 January, 5, 12 and 19 February; the top is on Wednesday 31 January."""
    given = signals([0, 0, 0, 1, 0, 0, 0, 1], price=[80, 80, 80, 95, 99, 90, 85, 80])
    found = score_events(given, [event("2024-01-31")])
    (one,) = found.outcomes
    assert one.testable
    assert one.hit
    assert (text(one.signal or 0), text(one.known_at or 0)) == ("2024-01-22", "2024-01-29")
    assert (one.lead_bars, one.lead_days) == (1, 7.0), "positive: the signal's bar is before the event's"
    assert one.decided_days == -2.0, "decided two days before the day of the top"
    assert (one.price, one.distance, one.causal) == (95.0, pytest.approx(-0.05), True)
    assert (one.answered_bars, one.window_bars) == (5, 5)
    headline = found.headline
    assert (headline.recall.count, headline.recall.of) == (1, 1)
    assert (headline.precision.count, headline.precision.of) == (1, 2), "the signal of 19 February is a false alarm"
    assert (headline.lead_bars, headline.lead_days) == (1.0, 7.0)


def test_the_p_value_by_hand() -> None:
    """One signal on eight bars and a window of five: of the seven shifts four hit; (1 + 4) / (1 + 7)."""
    headline = score_events(signals([0, 0, 0, 1, 0, 0, 0, 0]), [event("2024-01-31")]).headline
    assert (headline.shifts, headline.expected) == (7, pytest.approx(4 / 7))
    assert headline.p_value == pytest.approx(5 / 8)
    missed = score_events(signals([1, 0, 0, 0, 0, 0, 0, 0]), [event("2024-01-31")]).headline
    assert missed.p_value == 1.0


@pytest.mark.parametrize(("row", "lead"), [(1, None), (2, 2), (3, 1), (4, 0), (5, -1), (6, -2), (7, None)])
def test_a_weekly_signal_counts_within_two_bars_of_the_event(row: int, lead: int | None) -> None:
    train = [float(row == at) for at in range(8)]
    assert score_events(signals(train), [event("2024-01-31")]).outcomes[0].lead_bars == lead


@pytest.mark.parametrize(("gap", "hit"), [(-11, False), (-10, True), (10, True), (11, False)])
def test_a_daily_signal_counts_within_ten_days_of_the_event(gap: int, hit: bool) -> None:
    train = [float(at == 30 + gap) for at in range(61)]
    (one,) = score_events(signals(train, frame="1D"), [event("2024-01-31")]).outcomes
    assert one.hit == hit
    assert one.lead_days == (-gap if hit else None)


def test_the_tolerance_follows_the_timeframe_and_may_be_set() -> None:
    told = {frame: str(Tolerance.of(frame)) for frame in ("4h", "1D", "3D", "1W", "1M")}
    assert told == {"4h": "10 days", "1D": "10 days", "3D": "10 days", "1W": "2 bars", "1M": "1 bars"}
    given = signals([0, 0, 1, 0, 0, 0, 0, 0])
    assert not score_events(given, [event("2024-01-31")], tolerance=Tolerance(bars=1)).outcomes[0].hit
    assert score_events(given, [event("2024-01-31")], tolerance=Tolerance(days=14)).outcomes[0].hit
    for wrong in ({}, {"bars": 1, "days": 1}, {"bars": -1}):
        with pytest.raises(ConfigError, match="either bars or days"):
            Tolerance(**wrong)


def test_windows_of_3d_bars_are_measured_in_days_over_the_short_bar_of_a_year_end() -> None:
    days = pd.date_range("2025-12-01", "2026-01-31", tz="UTC")
    opens = timeframes.bar_open(days, "3D").unique().as_unit("ns").asi8
    row = int(np.flatnonzero(opens == day("2026-01-01"))[0])
    first, past = Tolerance(days=10).window(opens, row)
    assert [text(one)[5:] for one in opens[first:past]] == [
        "12-24",
        "12-27",
        "12-30",
        "01-01",
        "01-04",
        "01-07",
        "01-10",
    ]


@pytest.mark.parametrize(("kind", "hits"), [("top", (True, False)), ("bottom", (False, True))])
def test_a_top_is_hit_by_a_top_and_a_bottom_by_a_bottom(kind: Kind, hits: tuple[bool, bool]) -> None:
    one = [0, 0, 0, 0, 1, 0, 0, 0]
    nothing = [0] * 8
    given = signals(one, nothing) if kind == "top" else signals(nothing, one)
    found = score_events(given, [event("2024-01-31"), event("2024-01-31", "bottom")])
    assert tuple(outcome.hit for outcome in found.outcomes) == hits
    assert (found.tops.recall.count, found.bottoms.recall.count) == hits


@pytest.mark.parametrize(
    ("price", "causal"), [(90.0, True), (89.9, False), (110.0, True), (110.1, False), (NAN, False)]
)
def test_a_causal_hit_could_be_traded_within_a_tenth_of_the_extreme(price: float, causal: bool) -> None:
    found = score_events(signals([0, 0, 0, 0, 1, 0, 0, 0], price=price), [event("2024-01-31")])
    assert found.outcomes[0].hit
    assert found.outcomes[0].causal == causal
    assert found.headline.causal_recall.count == found.headline.causal_precision.count == int(causal)


# --- what is counted ----------------------------------------------------------------------------------


def test_an_event_outside_the_data_is_not_testable() -> None:
    found = score_events(signals([1.0] * 8), [event("2023-12-31"), event("2024-01-01"), event("2024-02-26")])
    assert [one.why_not for one in found.outcomes] == ["before the data begin", "", "after the data end"]
    assert [one.hit for one in found.outcomes] == [False, True, False]
    assert (found.headline.events, found.headline.recall.of) == (3, 1)


def test_an_event_is_testable_where_the_detector_has_a_value_on_half_of_its_window() -> None:
    top = [NAN, NAN, NAN, NAN, 0, 1, 0, 0, NAN, NAN, NAN, 0]
    found = score_events(signals(top), [event("2024-01-24"), event("2024-01-31"), event("2024-03-06")])
    assert [one.answered_bars for one in found.outcomes] == [2, 3, 2]
    assert [one.why_not for one in found.outcomes] == ["the detector has no value yet", "", "the detector has no value"]
    assert [one.hit for one in found.outcomes] == [False, True, False], "the near signal of an untestable one is none"


def test_a_bar_counts_only_where_tops_and_bottoms_both_have_a_value() -> None:
    found = score_events(signals([1, 0, 0, 0, 1, 0, 0, 0], [NAN, *[0] * 7]), [event("2024-01-31")])
    assert (found.bars, found.unjudged, found.headline.precision.of) == (7, 1, 1)
    assert text(found.first or 0) == "2024-01-08"


def test_signals_outside_the_time_that_the_table_covers_are_not_judged() -> None:
    given = signals([1, 0, 0, 0, 1, 0, 0, 1])
    found = score_events(given, [event("2024-01-31")], covered=(day("2024-01-08"), day("2024-02-19")))
    assert (found.bars, found.unjudged, found.headline.precision.of) == (6, 2, 1)


def test_a_signal_at_a_local_extreme_is_a_false_alarm_of_the_headline_and_right_in_the_count_of_all() -> None:
    found = score_events(signals([0, 0, 0, 0, 1, 0, 0, 0]), [event("2024-01-31", tier="C")])
    assert found.outcomes[0].hit
    assert (found.headline.events, found.headline.precision.count, found.headline.precision.of) == (0, 0, 1)
    assert (found.every.recall.count, found.every.precision.count) == (1, 1)
    assert math.isnan(found.headline.p_value), "there is nothing to hit"


def test_a_silent_detector_has_no_precision_and_no_p_value() -> None:
    headline = score_events(signals([0.0] * 8), [event("2024-01-31")]).headline
    assert (headline.precision.of, headline.recall.count, headline.recall.of) == (0, 0, 1)
    assert math.isnan(headline.precision.value)
    assert math.isnan(headline.p_value)
    assert math.isnan(headline.lead_days)


def test_the_nearest_signal_is_the_hit() -> None:
    (one,) = score_events(signals([0, 0, 1, 0, 0, 1, 0, 0]), [event("2024-01-31")]).outcomes
    assert one.lead_bars == -1
    (tied,) = score_events(signals([0, 0, 0, 1, 0, 1, 0, 0]), [event("2024-01-31")]).outcomes
    assert tied.lead_bars == 1, "the earlier of two as near"


def test_too_few_shifts_are_refused() -> None:
    with pytest.raises(ConfigError, match="shifts is 999; expected at least 1000"):
        score_events(signals([0, 1.0]), [event("2024-01-03")], shifts=999)


# --- the slow way -------------------------------------------------------------------------------------


def slow_score(given: EventSignals, events: Sequence[CycleDate], reach: int) -> dict[str, float]:
    """Loops over every event, signal and shift; weekly or daily bars without stubs, all tiers A."""
    step = int(given.opens[1] - given.opens[0])
    rows = [t for t in range(len(given.opens)) if all(math.isfinite(given.starts[kind][t]) for kind in given.starts)]
    train = {kind: [t for t in rows if given.starts[kind][t] == 1] for kind in given.starts}
    targets = []
    for one in events:
        at = (one.day - int(given.opens[0])) // step
        window = [t for t in range(at - reach, at + reach + 1) if t in rows]
        if 0 <= at < len(given.opens) and len(window) >= 0.5 * (2 * reach + 1):
            targets.append((one, window))

    def count(moved: dict[str, list[int]]) -> int:
        return sum(any(t in window for t in moved[one.kind]) for one, window in targets)

    def moved(by: int) -> dict[str, list[int]]:
        return {kind: [rows[(rows.index(t) + by) % len(rows)] for t in train[kind]] for kind in train}

    hits = [count(moved(by)) for by in range(len(rows))]
    right = [
        (t, [one for one, window in targets if one.kind == kind and t in window]) for kind in train for t in train[kind]
    ]
    near = [any(abs(given.price[t] / one.price - 1) <= 0.1 for one in found) for t, found in right]
    return {
        "testable": len(targets),
        "hits": hits[0],
        "signals": len(right),
        "right": sum(bool(found) for _, found in right),
        "near": sum(near),
        "p": sum(one >= hits[0] for one in hits) / len(hits),
    }


@pytest.mark.parametrize(("frame", "reach"), [("1W", 2), ("1D", 10)])
@pytest.mark.parametrize("seed", range(4))
def test_the_score_equals_the_loops(frame: str, reach: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    length = 260
    known = random.random(length) > 0.08
    known[:20] = False
    train = [np.where(known, (random.random(length) < 0.07).astype(float), NAN) for _ in range(2)]
    given = signals(train[0], train[1], price=random.uniform(85, 120, length), frame=frame)
    places = sorted(random.choice(length + 20, 14, replace=False).tolist())
    events = [
        replace(
            event("2024-01-01", ("top", "bottom")[number % 2], float(random.uniform(90, 110)), number=number),
            day=day("2024-01-01") + (place * DAYS[frame] + int(random.integers(DAYS[frame]))) * DAY,
        )
        for number, place in enumerate(places)
    ]
    found = score_events(given, events).headline
    slow = slow_score(given, events, reach)
    fast = {
        "testable": found.recall.of,
        "hits": found.recall.count,
        "signals": found.precision.of,
        "right": found.precision.count,
        "near": found.causal_precision.count,
        "p": found.p_value,
    }
    assert slow["hits"] >= 1
    assert fast == pytest.approx(slow)


# --- luck ---------------------------------------------------------------------------------------------


def random_p_values(count: int, *, bars: int, shifts: int = 2000) -> np.ndarray:
    """p-values of trains that know nothing of the events: many events, so that p takes many values."""
    random = np.random.default_rng(11)
    places = np.sort(random.choice(bars, 24, replace=False))
    kinds: tuple[Kind, Kind] = ("top", "bottom")
    events = [
        replace(event("2024-01-01", kinds[number % 2]), day=day("2024-01-01") + int(place) * DAY)
        for number, place in enumerate(places)
    ]
    trains = (random.random((count, 2, bars)) < 0.04).astype(float)
    scored = (
        score_events(signals(top, bottom, frame="1D"), events, tolerance=Tolerance(bars=3), shifts=shifts)
        for top, bottom in trains
    )
    return np.array([one.headline.p_value for one in scored])


def test_p_values_of_random_signals_are_as_frequent_as_they_say() -> None:
    p = random_p_values(300, bars=400)
    for alpha in (0.05, 0.1, 0.25, 0.5):
        spread = 3.5 * math.sqrt(alpha * (1 - alpha) / len(p))
        assert alpha * 0.4 - 0.02 < (p <= alpha).mean() < alpha + spread, f"at most {alpha}, and not far below it"
    assert len(np.unique(p)) > 50


def test_a_draw_of_shifts_agrees_with_all_of_them_and_with_itself() -> None:
    drawn, all_of_them = (random_p_values(6, bars=1500, shifts=shifts) for shifts in (1000, 2000))
    assert not np.array_equal(drawn, all_of_them)
    np.testing.assert_allclose(drawn, all_of_them, atol=0.04)
    np.testing.assert_array_equal(drawn, random_p_values(6, bars=1500, shifts=1000))


def test_signals_that_know_the_events_have_a_small_p_value() -> None:
    train = np.zeros(400)
    train[[50, 120, 300]] = 1
    events = [replace(event("2024-01-01"), day=day("2024-01-01") + place * DAY) for place in (53, 118, 300)]
    headline = score_events(signals(train, frame="1D"), events, tolerance=Tolerance(bars=3)).headline
    assert headline.recall.count == 3
    assert headline.p_value < 0.02


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (3, 10, 0.0667, 0.6525),
        (0, 10, 0.0, 0.3085),
        (10, 10, 0.6915, 1.0),
        (1, 1, 0.025, 1.0),
        (5, 20, 0.0866, 0.4910),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_exact_interval_has_its_published_ends(count: int, of: int, low: float, high: float) -> None:
    assert clopper_pearson(count, of) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("count", "of"), [(1, 7), (3, 9), (6, 14)])
def test_at_an_end_of_the_interval_the_count_is_as_rare_as_the_tail(count: int, of: int) -> None:
    def at_least(share: float, least: int) -> float:
        return sum(math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(least, of + 1))

    found = Share.exact(count, of)
    assert at_least(found.low, count) == pytest.approx(0.025)
    assert 1 - at_least(found.high, count + 1) == pytest.approx(0.025)
    assert found.low < found.value < found.high


# --- a market -----------------------------------------------------------------------------------------

EASY = FlowOptions(zscore=ZscoreOptions(length={"1D": 40, "1W": 10}), cycle=CycleOptions(lev=0.7, oi_top=0.0))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Trial(dataset=simulate(seed=3, years=1.2), timeframe="1D").panel


def test_the_price_of_a_signal_is_the_first_one_that_could_be_traded(panel: Panel) -> None:
    found = event_signals(detector_bars(panel, "1D", EASY))
    clock = panel.clock
    for row in (0, 5, 200, len(found.opens) - 1):
        later = [at for at in range(len(clock)) if clock.opens[at] >= found.known_at[row]]
        assert found.price[row] == pytest.approx(clock.open[later[0]] if later else NAN, nan_ok=True)
    known = panel.upto(pd.Timestamp(int(found.known_at[50]), tz="UTC"))
    assert np.isnan(event_signals(detector_bars(known, "1D", EASY)).price[50]), "the clock ends with the decision"


@pytest.mark.parametrize("frame", ["1D", "1W"])
def test_no_decision_repaints(frame: str, panel: Panel) -> None:
    found = event_signals(detector_bars(panel, frame, EASY))
    fired = np.flatnonzero((found.starts["top"] == 1) | (found.starts["bottom"] == 1))
    assert len(fired)
    at = [int(found.known_at[row]) for row in (*fired[:3], len(found.opens) // 2)]
    replayed = repaint(panel, frame, options=EASY, at=at)
    assert all(one.same for one in replayed)
    assert all(1.0 in one.then.values() for one in replayed[:-1])
    assert all(one.then == pytest.approx(one.now, nan_ok=True) for one in replayed)


class Revised(Panel):
    """A panel whose past was told otherwise: open interest was a tenth of it on some days."""

    def upto(self, instant: pd.Timestamp) -> Panel:
        then = super().upto(instant)
        level = then["open_interest"].copy()
        level[-24 * 30 : -24 * 20] *= 0.1
        return replace(then, fields={**then.fields, "open_interest": level})


def test_a_past_that_was_revised_is_seen_as_a_repaint(panel: Panel) -> None:
    revised = Revised(**{name: getattr(panel, name) for name in Panel.__dataclass_fields__})
    decided = event_signals(detector_bars(panel, "1D", EASY)).known_at
    replayed = repaint(revised, "1D", options=EASY, at=[int(one) for one in decided[100::80]])
    assert not all(one.same for one in replayed)


# --- from a config to the terminal ---------------------------------------------------------------------

CONFIG = """\
name: dated
data: {{source: store, store: {store}}}
market: {{instrument: "{traded}", missing_funding: report}}
timeframes: [1W, 1D]
strategy: cycle_extremes
zscore: {{length: {{1D: 60, 1W: 20}}}}
cycle: {{lev: 0.6, oi_top: 0.0}}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated market in a store as if it were a real one, over the dates of events 6 to 9."""
    from btcflow.data.simulate import TRADED

    folder = tmp_path_factory.mktemp("dated")
    market = simulate(seed=5, start="2021-02-01", years=1.5)
    Store(folder / "store").write_all(replace(one, synthetic=False) for one in market)
    path = folder / "dated.yaml"
    path.write_text(CONFIG.format(store=folder / "store", traded=TRADED), encoding="utf-8")
    return path


def test_a_study_says_what_was_testable_and_why_not(config: Path) -> None:
    weekly, daily = event_study(load_config(config))
    assert (weekly.timeframe, weekly.window, weekly.mode) == ("1W", 20, "two_factor")
    testable = [one.event.number for one in weekly.score.outcomes if one.testable]
    assert testable == [8, 9]
    assert 7 in [one.event.number for one in daily.score.outcomes if one.testable]
    assert (
        "open interest starts in 2021-03 and the window is 20 bars of 1W, so the detector says nothing before"
        in weekly.notes[0]
    )
    assert "it cannot flag 2021-04 (2021 first top), 2021-06 (2021 mid-cycle low)" in weekly.notes[0]
    assert weekly.notes[1] == "before the data begin: events 1, 2, 3, 4, 5"
    assert any("every hit up to 2026 is in-sample" in note for note in weekly.notes)
    assert weekly.replayed
    assert all(one.same for study in (weekly, daily) for one in study.replayed)


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["btcflow", "events", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    out = capsys.readouterr()
    return int(stopped.value.code or 0), out.out, out.err


def test_the_terminal_shows_every_event_with_counts_intervals_and_hindsight(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = told(monkeypatch, capsys, config, "-s", "timeframes=[1W]")
    assert code == 0
    for one in cycle_dates("scoring"):
        assert one.label in out
    (row,) = [line for line in out.splitlines() if line.startswith("tier A and B  ")]
    assert "2 of 16" in row
    assert "of 2 (" in row
    assert "every one there is" in out
    assert "in-sample" in out
    assert "say the same today" in out


def test_the_answer_is_one_json_document(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = told(monkeypatch, capsys, config, "-s", "timeframes=[1D]", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["schema"] == "btcflow.events/1"
    (daily,) = document["timeframes"]
    assert len(daily["events"]) == 23
    assert daily["events"][4]["event"]["day"] == "2020-03-13"
    assert daily["headline"]["recall"]["of"] == sum(
        one["testable"] and one["event"]["tier"] in "AB" for one in daily["events"]
    )
    assert {"value", "low", "high", "count", "of"} == set(daily["headline"]["precision"])
    assert all(one["same"] for one in daily["replayed"])


def test_a_simulated_market_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(monkeypatch, capsys, "demo", "-s", "data.years=1")
    assert (code, out) == (78, "")
    assert "the dated tops and bottoms are those of the real market, and this one is simulated" in err
    assert "use data.source: store" in err


def test_a_timeframe_without_a_closed_bar_is_refused(panel: Panel) -> None:
    with pytest.raises(MissingData, match="no 1M bar has closed"):
        detector_bars(panel.upto(panel.index[0] + pd.Timedelta(days=9)), "1M", EASY)
