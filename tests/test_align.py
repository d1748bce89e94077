"""Alignment: each record stands in the first row that could have known it, and no earlier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markets import HOUR, MONDAY, bars_series, idle_clock, interest, perp, settlements, spot, time

from btcflow.clock import Clock
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import TRADED
from btcflow.errors import MissingData, UnknownName
from btcflow.panel import Panel

NAN = np.nan
FIELDS = ("close", "funding_hours", "funding_paid", "open_interest", "volume")
A, B, S = perp("a"), perp("b"), spot("s")


def aligned(*series: Records, needs: Sequence[str], as_of: pd.Timestamp | None = None) -> Panel:
    return align(Dataset.of(series), idle_clock(series[0].instrument), needs=needs, as_of=as_of)


def column(panel: Panel, name: str, what: str = "") -> list[float]:
    ids = [one.venue for one in panel.instruments]
    return panel[name][:, ids.index(what) if what else 0].tolist()


def hours_of(panel: Panel) -> list[int]:
    return ((panel.opens - time(MONDAY).value) // HOUR).tolist()


# --- where a record stands ----------------------------------------------------------------------------


def test_a_bar_stands_in_the_row_in_which_it_ends() -> None:
    panel = aligned(bars_series(A, [10, 11, 12]), needs=["close"])
    assert hours_of(panel) == [0, 1, 2]
    assert column(panel, "close") == [10, 11, 12]


def test_a_daily_series_stands_in_the_last_hour_of_its_day() -> None:
    panel = aligned(
        bars_series(A, [1.0] * 48),
        bars_series(B, [70, 71], timeframe="1D"),
        bars_series(S, [5.0] * 6, timeframe="8h"),
        needs=["close"],
    )
    daily, eight = np.array(column(panel, "close", "b")), np.array(column(panel, "close", "s"))
    assert np.flatnonzero(np.isfinite(daily)).tolist() == [23, 47]
    assert daily[[23, 47]].tolist() == [70, 71]
    assert np.flatnonzero(np.isfinite(eight)).tolist() == [7, 15, 23, 31, 39, 47]
    assert panel.sampling["close"].tolist() == [8, 1, 24], "spot first, then the perpetuals"


def test_a_snapshot_at_the_close_belongs_to_the_bar_that_ends_there() -> None:
    panel = aligned(interest(A, {1: 50, 2: 51, 3: 52}), needs=["open_interest"])
    assert hours_of(panel) == [0, 1, 2]
    assert column(panel, "open_interest") == [50, 51, 52]


def test_a_settlement_at_the_close_belongs_to_the_bar_that_ends_there() -> None:
    panel = aligned(
        bars_series(A, [1.0] * 18),
        settlements(A, {8: 0.001, 16: -0.002}),
        needs=["close", "funding_paid", "funding_hours"],
    )
    paid = np.array(column(panel, "funding_paid"))
    assert np.flatnonzero(np.isfinite(paid)).tolist() == [7, 15]
    assert paid[[7, 15]].tolist() == [0.001, -0.002]
    assert np.array(column(panel, "funding_hours"))[[7, 15]].tolist() == [8, 8]


def test_a_rate_per_hour_that_is_paid_every_four_is_paid_four_times() -> None:
    panel = aligned(settlements(A, {4: 0.001}, spacing=4, rate_hours=1), needs=["funding_paid", "funding_hours"])
    assert column(panel, "funding_paid") == [0.004]
    assert column(panel, "funding_hours") == [4]


def test_flows_of_one_row_add_up_and_are_never_carried() -> None:
    early, later = (
        settlements(A, {1: 0.001, 2: 0.002}, spacing=1),
        settlements(A, {1: 0.001, 2: 0.002}, spacing=1, late=1),
    )
    on_time = aligned(early, bars_series(A, [1.0] * 4), needs=["funding_paid", "close"])
    assert column(on_time, "funding_paid") == pytest.approx([0.001, 0.002, NAN, NAN], nan_ok=True)
    both_late = replace(later, frame=later.frame.assign(known_at=[time("2024-01-01 03:00")] * 2))
    together = aligned(both_late, bars_series(A, [1.0] * 4), needs=["funding_paid", "funding_hours", "close"])
    assert column(together, "funding_paid") == pytest.approx([NAN, NAN, 0.003, NAN], nan_ok=True)
    assert column(together, "funding_hours") == pytest.approx([NAN, NAN, 2, NAN], nan_ok=True)


def test_a_late_record_stands_in_the_row_that_could_first_know_it() -> None:
    panel = aligned(
        bars_series(A, [1.0] * 6), bars_series(B, [10, NAN, NAN, NAN, 14, 15], late={0: 2}), needs=["close"]
    )
    assert column(panel, "close", "b") == pytest.approx([NAN, NAN, 10, NAN, 14, 15], nan_ok=True)


def test_a_record_known_a_moment_after_the_close_waits_for_the_next_row() -> None:
    series = bars_series(A, [10, 11, 12])
    known = series.frame["known_at"] + pd.to_timedelta([0, 1, 0], unit="ns")
    panel = aligned(
        replace(series, frame=series.frame.assign(known_at=known)), bars_series(B, [1.0] * 3), needs=["close"]
    )
    assert column(panel, "close", "a") == pytest.approx([10, NAN, 12], nan_ok=True), "and 12 is the newer one there"


def test_a_late_record_is_left_out_once_a_newer_one_has_stood() -> None:
    panel = aligned(
        interest(A, {1: 50, 2: 51, 4: 53}, late={1: 2}), bars_series(A, [1.0] * 4), needs=["open_interest", "close"]
    )
    assert column(panel, "open_interest") == pytest.approx([NAN, 51, NAN, 53], nan_ok=True)


def test_a_declared_lag_moves_the_decision_and_not_the_row() -> None:
    panel = aligned(
        interest(A, {1: 50, 2: 51}, lag="5min"), bars_series(A, [1.0] * 3), needs=["open_interest", "close"]
    )
    assert column(panel, "open_interest") == [50, 51]
    assert panel.decision_lag == pd.Timedelta("5min")
    assert panel.decided_at[0] == time("2024-01-01 01:05").value
    assert len(panel) == 2, "the third hour closes at the newest known_at less 5 minutes: it is not decided"


def test_without_the_lagging_field_a_panel_decides_at_the_close() -> None:
    panel = aligned(
        interest(A, {1: 50, 2: 51}, lag="5min"), bars_series(A, [1.0, 2.0]), needs=["open_interest", "close"]
    )
    assert panel.only(["close"]).decided_at[0] == time("2024-01-01 01:00").value


def test_of_two_timeframes_of_one_kind_the_finest_is_read() -> None:
    panel = aligned(bars_series(A, [1, 2, 3, 4] * 6), bars_series(A, [99], timeframe="1D"), needs=["close"])
    assert column(panel, "close")[-1] == 4
    assert panel.sampling["close"].tolist() == [1]


def test_rows_have_no_holes_and_begin_with_the_first_record() -> None:
    panel = aligned(bars_series(A, [1, NAN, NAN, 4], start="2024-01-01 05:00"), needs=["close"])
    assert hours_of(panel) == [5, 6, 7, 8]
    assert column(panel, "close") == pytest.approx([1, NAN, NAN, 4], nan_ok=True)


def test_nothing_known_gives_a_panel_without_rows() -> None:
    panel = aligned(bars_series(A, [1.0, 2.0]).upto(time("2024-01-01")), needs=["close"])
    assert len(panel) == 0
    assert panel["close"].shape == (0, 1)


# --- the law ------------------------------------------------------------------------------------------


def same(left: Panel, right: Panel) -> None:
    assert np.array_equal(left.opens, right.opens)
    assert left.instruments == right.instruments
    assert left.lags == right.lags
    assert sorted(left.fields) == sorted(right.fields)
    for name in left.fields:
        assert left[name].tobytes() == right[name].tobytes(), name
        assert np.array_equal(left.sampling[name], right.sampling[name]), name
    for name in ("opens", "open", "close", "volume"):
        assert np.array_equal(getattr(left.clock, name), getattr(right.clock, name)), name


def money(market: Dataset) -> Clock:
    return make_clock(market, TRADED, missing_funding="report")


def hold_truncation(market: Dataset, moments: list[pd.Timestamp], clock: Callable[[Dataset], Clock] = money) -> None:
    whole = align(market, clock(market), needs=FIELDS)
    for moment in moments:
        known = market.upto(moment)
        same(align(known, clock(known), needs=FIELDS, as_of=moment), whole.upto(moment))


def moments_in(market: Dataset, count: int, seed: int) -> list[pd.Timestamp]:
    """Random minutes, half of them on the hour or within the five minutes in which open interest is awaited."""
    random = np.random.default_rng(seed)
    first, last = time("2018-01-03").value, max(int(one.known_at.max()) for one in market)
    minutes = random.integers(first, last, count) // (HOUR // 60) * (HOUR // 60)
    near = minutes // HOUR * HOUR + random.integers(0, 7, count) * (HOUR // 60)
    chosen = np.where(random.random(count) < 0.5, near, minutes)
    return [pd.Timestamp(int(one), unit="ns", tz="UTC") for one in chosen]


def test_a_panel_of_what_was_known_equals_the_panel_cut_at_that_time(dataset: Dataset) -> None:
    hold_truncation(dataset, moments_in(dataset, 25, seed=1))


def test_the_law_holds_between_a_close_and_the_publication_of_open_interest(dataset: Dataset) -> None:
    whole = align(dataset, make_clock(dataset, TRADED), needs=FIELDS)
    rows = [len(whole.upto(time(f"2018-06-01 12:{minute:02}"))) for minute in (0, 4, 5, 6)]
    assert rows == [rows[0], rows[0], rows[0] + 1, rows[0] + 1]
    hold_truncation(dataset, [time(f"2018-06-01 12:{minute:02}") for minute in (0, 4, 5, 6)])


def delayed(one: Records, seed: int) -> Records:
    """A third of the rows known up to two days late, and five in a hundred up to 40."""
    random = np.random.default_rng(seed)
    hours = np.where(random.random(len(one)) < 0.33, random.exponential(12, len(one)), 0)
    hours = np.where(random.random(len(one)) < 0.05, random.uniform(0, 960, len(one)), hours)
    known = one.frame["known_at"] + pd.to_timedelta((hours * 60).round(), unit="min")
    return replace(one, frame=one.frame.assign(known_at=known))


def test_the_law_holds_where_records_come_late_and_series_begin_at_different_times(dataset: Dataset) -> None:
    start, end = time("2018-08-01"), time("2018-10-15")
    cut = dataset.map(lambda one: one.where((one.stamp >= start.value) & (one.stamp < end.value)))
    late = Dataset(tuple(delayed(one, seed) for seed, one in enumerate(cut)))
    random = np.random.default_rng(5)
    minutes = random.integers(start.value, end.value, 40) // (HOUR // 60) * (HOUR // 60)
    early = [start + pd.Timedelta(minutes=int(one)) for one in (1, 59, 60, 61, 65, 479, 480, 1440)]
    known = [pd.Timestamp(int(one), unit="ns", tz="UTC") for one in minutes]
    hold_truncation(late, [*early, *known], clock=lambda _: idle_clock(A))


def test_the_law_holds_at_the_very_beginning_where_a_coarse_series_describes_more_than_is_known() -> None:
    fine, coarse = bars_series(A, [1.0] * 60, start="2024-01-01 12:00"), bars_series(B, [70, 71, 72], timeframe="1D")
    whole = aligned(fine, coarse, needs=["close"])
    for hour in range(1, 60, 7):
        moment = time("2024-01-01 12:30") + pd.Timedelta(hours=hour)
        part = aligned(fine.upto(moment), coarse.upto(moment), needs=["close"], as_of=moment)
        same(part, whole.upto(moment))


# --- what a panel refuses -----------------------------------------------------------------------------


def test_a_field_that_no_series_holds_is_refused() -> None:
    with pytest.raises(
        MissingData, match=r"no series holds open_interest .*among a:BTCUSD-PERP; .*btcflow data import"
    ):
        aligned(bars_series(A, [1.0, 2.0]), needs=["close", "open_interest"])


def test_a_field_that_was_not_loaded_is_refused_by_the_panel() -> None:
    panel = aligned(bars_series(A, [1.0, 2.0]), needs=["close"])
    with pytest.raises(MissingData, match="holds no volume; it was loaded with: close"):
        panel["volume"]


def test_a_field_that_does_not_exist_gets_the_nearest_name() -> None:
    panel = aligned(bars_series(A, [1.0, 2.0]), needs=["close"])
    for ask in (lambda: panel["closee"], lambda: aligned(bars_series(A, [1.0]), needs=["closee"])):
        with pytest.raises(UnknownName, match="did you mean 'close'"):
            ask()


def test_a_panel_cannot_be_written_to() -> None:
    panel = aligned(bars_series(A, [1.0, 2.0]), needs=["close"])
    for values in (panel["close"], panel.opens, panel.upto(time("2024-01-01 01:00"))["close"]):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 7
