"""The clock: bars of the traded instrument, and which bar pays which settlement at which price."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markets import bars_series, perp, settlements, spot, time, vendor

from btcflow.clock import Clock
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import TRADED
from btcflow.errors import BadRecords, ConfigError, MissingData

NAN = np.nan
A = perp("a", "USDT")
DAY = [100.0 + hour for hour in range(24)]


def clock_of(*series: Records, **choices: object) -> Clock:
    return make_clock(Dataset.of(series), series[0].instrument.id, **choices)  # type: ignore[arg-type]


# --- which bar pays -----------------------------------------------------------------------------------


def test_a_settlement_is_paid_by_the_bar_that_ends_there_at_its_close() -> None:
    clock = clock_of(bars_series(A, DAY), settlements(A, {8: 0.001, 16: -0.002, 24: 0.003}))
    assert np.flatnonzero(clock.settlements).tolist() == [7, 15, 23]
    assert clock.funding[[7, 15, 23]] == pytest.approx([0.107, -0.230, 0.369])
    assert clock.funding.sum() == pytest.approx(0.246)


def test_a_settlement_at_the_first_open_belongs_to_nobody() -> None:
    clock = clock_of(bars_series(A, DAY), settlements(A, {0: 0.9, 8: 0.001, 16: 0.001, 24: 0.001}))
    assert clock.settlements.sum() == 3


def test_the_mark_prices_a_settlement_where_there_is_one() -> None:
    marks = bars_series(A, [50.0] * 8 + [NAN] * 16, kind="mark")
    clock = clock_of(bars_series(A, DAY), settlements(A, {8: 0.001, 16: 0.001, 24: 0.001}), marks)
    assert clock.funding[[7, 15, 23]] == pytest.approx([0.05, 0.115, 0.123])
    assert "mark price at 1 of 3 settlements, else on the close" in " ".join(clock.notes)


def test_a_mark_at_another_time_prices_nothing() -> None:
    marks = bars_series(A, [50.0], kind="mark", start="2024-01-01 08:00")
    clock = clock_of(bars_series(A, DAY), settlements(A, {8: 0.001, 16: 0.001, 24: 0.001}), marks)
    assert clock.funding[7] == pytest.approx(0.107)


def test_settlements_inside_a_daily_bar_are_summed_and_said() -> None:
    clock = clock_of(
        bars_series(A, [200.0, 300.0], timeframe="1D"), settlements(A, dict.fromkeys(range(8, 49, 8), 0.001))
    )
    assert clock.settlements.tolist() == [3, 3]
    assert clock.funding == pytest.approx([0.6, 0.9])
    assert "4 settlements fall inside a clock bar: charged on that bar's opening quantity and close" in clock.notes


def test_a_settlement_inside_a_daily_bar_takes_the_mark_of_its_instant() -> None:
    marks = bars_series(A, [50.0] * 24, kind="mark")
    clock = clock_of(bars_series(A, [200.0], timeframe="1D"), settlements(A, {8: 0.001, 16: 0.002, 24: 0.004}), marks)
    assert clock.funding == pytest.approx([0.35])


def test_a_settlement_in_a_missing_hour_is_paid_by_the_bar_before_it() -> None:
    holed = [*DAY[:6], NAN, NAN, *DAY[8:]]
    clock = clock_of(bars_series(A, holed), settlements(A, {8: 0.001, 16: 0.001, 24: 0.001}))
    assert len(clock) == 22
    assert clock.settlements[5] == 1, "the bar of 05:00 is the last that opened before 08:00"
    assert clock.funding[5] == pytest.approx(0.105)


def test_a_rate_per_hour_that_settles_every_four_pays_for_four() -> None:
    rates = dict.fromkeys(range(4, 25, 4), 0.0001)
    clock = clock_of(bars_series(A, DAY), settlements(A, rates, spacing=4, rate_hours=1))
    assert clock.funding[3] == pytest.approx(4 * 0.0001 * 103)


def test_the_simulated_clock_pays_what_a_loop_over_its_settlements_pays(dataset: Dataset) -> None:
    clock = make_clock(dataset, TRADED)
    events, marks = dataset.find(TRADED, "funding"), dataset.find(TRADED, "mark")
    at = dict(zip(marks.ends.tolist(), marks.column("close").tolist(), strict=True))
    bar = {int(open_): row for row, open_ in enumerate(clock.opens)}
    paid = np.zeros(len(clock))
    for stamp, rate, spacing, hours in zip(
        events.stamp, *(events.column(name) for name in ("rate", "spacing_hours", "rate_hours")), strict=True
    ):
        paid[bar[int(stamp) - 3_600_000_000_000]] += rate * spacing / hours * at[int(stamp)]
    assert clock.settlements.sum() == len(events) > 1000
    np.testing.assert_allclose(clock.funding, paid, rtol=1e-12, atol=0)


# --- marks that decide over liquidation -----------------------------------------------------------------


def with_wicks(series: Records, low: list[float], high: list[float]) -> Records:
    return replace(series, frame=series.frame.assign(low=low, high=high))


def test_bars_covered_by_marks_carry_their_extremes_and_the_others_their_own() -> None:
    daily = with_wicks(bars_series(A, [100.0, 100.0], timeframe="1D"), [80.0, 81.0], [120.0, 121.0])
    hours = [100.0] * 24 + [NAN] + [100.0] * 23
    low, high = [95.0] * 47, [105.0] * 47
    low[7], high[11] = 90.0, 110.0
    marks = with_wicks(bars_series(A, hours, kind="mark"), low, high)
    clock = clock_of(daily, settlements(A, dict.fromkeys(range(8, 49, 8), 0.001)), marks)
    assert (clock.worst_low.tolist(), clock.worst_high.tolist()) == ([90.0, 81.0], [110.0, 121.0])
    assert any("lowest and highest mark price in 1 of 2 clock bars, else against" in note for note in clock.notes)
    assert clock.rows(np.array([False, True])).worst_low.tolist() == [81.0]


def test_marks_coarser_than_the_clock_or_without_extremes_decide_nothing() -> None:
    events = settlements(A, {8: 0.001, 16: 0.001, 24: 0.001})
    coarse = clock_of(bars_series(A, DAY), events, bars_series(A, [100.0], kind="mark", timeframe="1D"))
    assert coarse.mark_low is None
    assert coarse.worst_high.tolist() == coarse.high.tolist()
    assert not any("liquidation" in note for note in coarse.notes)
    bare = with_wicks(bars_series(A, [50.0] * 24, kind="mark"), [NAN] * 24, [NAN] * 24)
    clock = clock_of(bars_series(A, DAY), events, bare)
    assert clock.worst_low.tolist() == clock.low.tolist()
    assert any("in 0 of 24 clock bars" in note for note in clock.notes)


def test_the_extremes_of_marks_equal_a_loop_over_them(dataset: Dataset) -> None:
    clock = make_clock(dataset, TRADED)
    marks = dataset.find(TRADED, "mark")
    at = dict(zip(marks.stamp.tolist(), zip(marks.column("low"), marks.column("high"), strict=True), strict=True))
    pairs = [
        at.get(int(open_), (low, high)) for open_, low, high in zip(clock.opens, clock.low, clock.high, strict=True)
    ]
    assert clock.worst_low.tolist() == [low for low, _ in pairs]
    assert clock.worst_high.tolist() == [high for _, high in pairs]
    assert any("tested against the lowest and highest mark price" in note for note in clock.notes)


# --- what is missing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "count", "hole"),
    [
        ([8, 24], 1, "2024-01-01 08:00 to 2024-01-02 00:00"),
        ([8, 16], 1, "2024-01-01 16:00 to 2024-01-02 00:00"),
        ([16, 24], 1, "2024-01-01 00:00 to 2024-01-01 16:00"),
        ([24], 2, "2024-01-01 00:00 to 2024-01-02 00:00"),
    ],
)
def test_a_missing_settlement_is_refused_wherever_it_is(kept: list[int], count: int, hole: str) -> None:
    with pytest.raises(
        BadRecords, match=f"about {count} settlements? missing, first hole {hole}; .*missing_funding: report"
    ):
        clock_of(bars_series(A, DAY), settlements(A, dict.fromkeys(kept, 0.001)))


def test_a_missing_settlement_is_reported_where_the_config_asks_for_it() -> None:
    clock = clock_of(bars_series(A, DAY), settlements(A, {8: 0.001, 24: 0.001}), missing_funding="report")
    assert clock.settlements.sum() == 2
    assert any("about 1 funding settlement of a:BTCUSDT-PERP is missing (first hole" in note for note in clock.notes)


def test_a_first_settlement_that_is_overdue_is_missing_though_the_next_is_near() -> None:
    """From an open at 04:00 the settlement of 08:00 is due; with 16:00 first, one is lost."""
    with pytest.raises(BadRecords, match="about 1 settlement missing"):
        clock_of(bars_series(A, DAY[:20], start="2024-01-01 04:00"), settlements(A, {16: 0.001, 24: 0.001}))


def test_a_settlement_two_hours_late_has_lost_none() -> None:
    clock = clock_of(bars_series(A, DAY), settlements(A, {8: 0.001, 18: 0.001, 24: 0.001}))
    assert clock.settlements.sum() == 3
    assert not any("missing" in note for note in clock.notes)


def test_a_change_of_spacing_loses_nothing() -> None:
    """Eight hours, then hourly, then eight hours again."""
    eight = settlements(A, {8: 0.001, 24: 0.001})
    hourly = settlements(A, dict.fromkeys(range(9, 17), 0.0001), spacing=1)
    frame = pd.concat([eight.frame, hourly.frame], ignore_index=True).sort_values("stamp", ignore_index=True)
    clock = clock_of(bars_series(A, DAY), Records(key=eight.key, instrument=A, frame=frame, source="by hand"))
    assert clock.settlements.sum() == 10


def test_a_perpetual_without_any_settlement_is_refused_even_if_holes_are_reported() -> None:
    with pytest.raises(MissingData, match="no funding series of a:BTCUSDT-PERP"):
        clock_of(bars_series(A, DAY))
    with pytest.raises(MissingData, match="no settlement between 2024-01-01 00:00 and 2024-01-02 00:00"):
        clock_of(bars_series(A, DAY), settlements(A, {48: 0.001}), missing_funding="report")


# --- what is traded -----------------------------------------------------------------------------------


def test_a_dollar_of_an_inverse_contract_pays_its_funding_in_btc() -> None:
    inverse = perp("bitmex", margin="inverse", oi_unit="usd")
    marks = bars_series(inverse, [50.0] * 8 + [NAN] * 16, kind="mark")
    events = settlements(inverse, {8: 0.001, 16: -0.002, 24: 0.003}, rate_hours=4)
    clock = clock_of(bars_series(inverse, DAY), events, marks)
    assert clock.funding[[7, 15, 23]] == pytest.approx([2 * 0.001 / 50, 2 * -0.002 / 115, 2 * 0.003 / 123])
    assert clock.settlements.sum() == 3


def test_a_vendors_aggregate_is_refused_as_the_traded_one() -> None:
    with pytest.raises(ConfigError, match="acme:BTC is a vendor's aggregate"):
        clock_of(bars_series(vendor("acme"), DAY))


def test_spot_is_traded_without_funding() -> None:
    clock = clock_of(bars_series(spot("s"), DAY))
    assert not clock.funding.any()
    assert not clock.settlements.any()
    assert clock.notes == ()


def test_the_clock_takes_the_finest_prices_unless_told_otherwise() -> None:
    series = (bars_series(spot("s"), DAY), bars_series(spot("s"), [7.0], timeframe="1D"))
    assert (len(clock_of(*series)), clock_of(*series).step) == (24, "1h")
    daily = clock_of(*series, step="1D")
    assert (daily.step, daily.close.tolist(), daily.bars_per_year) == ("1D", [7.0], 365)
    with pytest.raises(ConfigError, match=r"market\.clock is 4h, and s:BTCUSD has no 4h prices; its finest are 1h"):
        clock_of(*series, step="4h")


def test_prices_that_are_not_there_are_refused() -> None:
    with pytest.raises(MissingData, match="no ohlcv series of a:BTCUSDT-PERP; the data hold: a:BTCUSDT-PERP funding"):
        clock_of(settlements(A, {8: 0.001}))


# --- the clock itself ---------------------------------------------------------------------------------


def test_a_clock_is_cut_at_closes_and_between_opens() -> None:
    clock = clock_of(bars_series(spot("s"), DAY))
    assert len(clock.upto(time("2024-01-01 05:59"))) == 5
    assert len(clock.upto(time("2024-01-01 06:00"))) == 6
    assert clock.between(time("2024-01-01 02:00"), time("2024-01-01 04:00")).close.tolist() == [102, 103]
    assert len(clock.between(None, None)) == 24
    assert clock.frame.loc[time("2024-01-01 02:00"), "close"] == 102
