"""Funding: what a long pays per eight hours, time-weighted in the bar, across venues."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import oracles_rolling as slow
import pytest
from markets import HOUR, bars_series, idle_clock, perp, settlements, spot

from btcflow.data.align import align
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import simulate
from btcflow.errors import MissingData
from btcflow.flow.bars import Bars
from btcflow.flow.funding import venue_funding
from btcflow.flow.options import FlowOptions, FundingOptions

NAN = np.nan
A, B, C = perp("a"), perp("b"), perp("c")
PLAIN = {"smooth": {"1D": 1, "4h": 1, "1W": 1}}


def bars_of(series: Sequence[Records], timeframe: str = "1D", *, days: int = 1, **options: object) -> Bars:
    """The bars of some venues' funding over whole days (hourly prices span them)."""
    clock = bars_series(spot("s"), [100.0] * 24 * days)
    panel = align(Dataset.of([clock, *series]), idle_clock(A), needs=["close", "funding_paid", "funding_hours"])
    return Bars(panel, timeframe, FlowOptions(funding=FundingOptions(**{**PLAIN, **options})))  # type: ignore[arg-type]


def every(hours: int, rate: float, *, days: int = 1, first: int | None = None) -> dict[int, float]:
    return dict.fromkeys(range(first or hours, 24 * days + 1, hours), rate)


# --- golden -------------------------------------------------------------------------------------------


def test_the_worked_example_of_the_definitions() -> None:
    bars = bars_of([settlements(A, {8: 0.0001, 16: 0.0003, 24: -0.0001}), settlements(B, every(1, 0.00002), spacing=1)])
    assert venue_funding(bars)[0] == pytest.approx([0.0001, 0.00016])
    assert bars["funding_8h"] == pytest.approx([0.00013])
    assert bars["funding_apr"] == pytest.approx([0.14235])
    assert bars["funding_venues"].tolist() == [2]


@pytest.mark.parametrize(("rate", "hours"), [(0.0001, 8), (0.0000125, 1), (0.00005, 4), (0.0003, 24)])
def test_one_basis_point_per_eight_hours_is_10_95_percent_a_year(rate: float, hours: int) -> None:
    bars = bars_of([settlements(A, every(hours, rate), spacing=hours)])
    assert bars["funding_apr"] == pytest.approx([0.1095])


def test_the_cap_of_bitmex_is_410_percent_a_year() -> None:
    assert bars_of([settlements(A, every(8, 0.00375))])["funding_apr"] == pytest.approx([4.10625])


# --- invariance ---------------------------------------------------------------------------------------


def test_one_rate_of_eight_hours_equals_its_parts() -> None:
    """r per 8 h = two of r/2 per 4 h = eight of r/8 per hour; and an hourly rate settled every four hours."""
    random = np.random.default_rng(1)
    rates = random.normal(1e-4, 3e-4, 3 * 40)
    at = [8 * (i + 1) for i in range(120)]
    ways = [
        settlements(A, dict(zip(at, rates, strict=True))),
        settlements(A, {h - 4 * k: r / 2 for h, r in zip(at, rates, strict=True) for k in (1, 0)}, spacing=4),
        settlements(A, {h - k: r / 8 for h, r in zip(at, rates, strict=True) for k in range(7, -1, -1)}, spacing=1),
        settlements(
            A, {h - 4 * k: r / 8 for h, r in zip(at, rates, strict=True) for k in (1, 0)}, spacing=4, rate_hours=1
        ),
    ]
    found = [bars_of([one], days=40)["funding_8h_raw"] for one in ways]
    assert len(found[0]) == 40
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(found[0], rates.reshape(40, 3).mean(axis=1), rtol=1e-12)


def test_a_change_of_spacing_inside_the_bar_is_weighed_by_time() -> None:
    """8 h at 1 bp per 8 h, then 16 hours at 4 bp per 8 h, paid hourly: (8 * 1 + 16 * 4) / 24 = 3 bp."""
    eight, hourly = settlements(A, {8: 1e-4}), settlements(A, every(1, 0.5e-4, first=9), spacing=1)
    frame = eight.frame.merge(hourly.frame, how="outer")
    bars = bars_of([Records(key=eight.key, instrument=A, frame=frame, source="by hand")])
    assert bars["funding_8h"] == pytest.approx([3e-4])


# --- which settlements belong to the bar --------------------------------------------------------------


def test_the_settlement_on_the_close_belongs_to_the_bar_and_the_one_on_the_open_does_not() -> None:
    rates = {0: 9e-3, 8: 1e-4, 16: 2e-4, 24: 3e-4, 32: 4e-4, 40: 5e-4, 48: 6e-4}
    bars = bars_of([settlements(A, rates)], days=2)
    assert bars["funding_8h"][-2:] == pytest.approx([2e-4, 5e-4])


def test_a_settlement_is_never_split_over_bars() -> None:
    """BitMEX pays at 04, 12 and 20: the rate of 04:00 belongs to its day alone, though it accrued from 20:00."""
    rates = {4: 1e-4, 12: 1e-4, 20: 1e-4, 28: 7e-4, 36: 7e-4, 44: 7e-4}
    assert bars_of([settlements(A, rates)], days=2)["funding_8h"] == pytest.approx([1e-4, 7e-4])


def test_a_settlement_known_an_hour_late_counts_in_the_bar_that_could_know_it() -> None:
    prompt = bars_of([settlements(A, every(1, 1e-5, days=2), spacing=1)], days=2)
    late = bars_of([settlements(A, {**every(1, 1e-5, days=2), 24: 9e-5}, spacing=1, late=1)], days=2)
    assert prompt["funding_8h"] == pytest.approx([8e-5, 8e-5])
    assert late["funding_8h"][0] == pytest.approx(8e-5), "23 of 24 hours were known"
    assert late["funding_8h"][1] == pytest.approx(8 * (9e-5 + 23e-5) / 24)


# --- coverage -----------------------------------------------------------------------------------------


def test_a_day_needs_all_three_settlements_of_an_eight_hour_venue() -> None:
    full, two = bars_of([settlements(A, every(8, 1e-4))]), bars_of([settlements(A, {8: 1e-4, 24: 1e-4})])
    assert full["funding_venues"].tolist() == [1]
    assert two["funding_venues"].tolist() == [0]
    assert np.isnan(two["funding_8h"]).all()


def test_a_day_needs_20_of_24_hourly_settlements() -> None:
    for paid, counted in ((24, 1), (20, 1), (19, 0)):
        rates = dict.fromkeys(range(1, paid + 1), 1e-05)
        bars = bars_of([settlements(A, rates, spacing=1)])
        assert bars["funding_venues"].tolist() == [counted], paid


def test_a_week_needs_17_of_21_settlements() -> None:
    for paid, counted in ((21, 1), (17, 1), (16, 0)):
        rates = {8 * n: 1e-4 for n in range(1, paid + 1)}
        assert bars_of([settlements(A, rates)], "1W", days=7)["funding_venues"].tolist() == [counted], paid


def test_a_venue_below_its_coverage_does_not_enter_the_composite() -> None:
    good, thin = settlements(A, every(8, 1e-4)), settlements(B, {8: 9e-3})
    assert bars_of([good, thin])["funding_8h"] == pytest.approx([1e-4])
    assert np.isnan(bars_of([good, thin], min_venues=2)["funding_8h"]).all()


def test_one_venue_is_enough_unless_more_are_asked_for() -> None:
    one, two = settlements(A, every(8, 1e-4)), settlements(B, every(8, 3e-4))
    assert bars_of([one])["funding_8h"] == pytest.approx([1e-4])
    assert np.isnan(bars_of([one], min_venues=2)["funding_8h"]).all()
    assert bars_of([one, two], min_venues=2)["funding_8h"] == pytest.approx([2e-4])


def test_the_composite_is_the_median_or_the_mean() -> None:
    series = [settlements(one, every(8, rate)) for one, rate in ((A, 1e-4), (B, 2e-4), (C, 9e-4))]
    assert bars_of(series)["funding_8h"] == pytest.approx([2e-4])
    assert bars_of(series, composite="mean")["funding_8h"] == pytest.approx([4e-4])


def test_without_any_funding_there_is_one_clear_error() -> None:
    with pytest.raises(MissingData, match="no series holds funding_hours"):
        bars_of([])


# --- against a loop, and scores -----------------------------------------------------------------------


@pytest.mark.parametrize("timeframe", ["1D", "3D", "1W"])
def test_the_composite_equals_a_loop_over_the_settlements(dataset: Dataset, timeframe: str) -> None:
    events = [one for one in dataset if one.key.kind == "funding"]
    panel = align(dataset, idle_clock(A), needs=["close", "funding_paid", "funding_hours"])
    bars = Bars(panel, timeframe)
    expected = []
    for start, end in zip(bars.opens.tolist(), bars.closes.tolist(), strict=True):
        found = []
        for one in events:
            rows = [row for row, stamp in enumerate(one.stamp.tolist()) if start < stamp <= end]
            hours = sum(one.column("spacing_hours")[row] for row in rows)
            if hours >= 0.8 * (end - start) / HOUR:
                eights = [8 * one.column("rate")[row] / one.column("rate_hours")[row] for row in rows]
                weights = [one.column("spacing_hours")[row] for row in rows]
                found.append(float(np.average(eights, weights=weights)))
        expected.append(np.median(found) if found else NAN)
    assert len({int(count) for count in bars["funding_venues"]} - {0}) >= 2, "venues are listed on the way"
    np.testing.assert_allclose(bars["funding_8h_raw"], expected, rtol=1e-9, atol=1e-15)


def test_smoothing_and_z_are_those_of_the_loops() -> None:
    market = simulate(seed=4, years=0.5)
    panel = align(market, idle_clock(A), needs=["close", "funding_paid", "funding_hours"])
    bars = Bars(panel, "1D")
    smooth = slow.sma(bars["funding_8h_raw"].tolist(), 7)
    np.testing.assert_allclose(bars["funding_8h"], smooth, rtol=1e-9, atol=1e-15)
    z = slow.zscore(bars["funding_8h"].tolist(), 40, floor=1e-5)
    np.testing.assert_allclose(bars.score("fund_z", window=40), z, rtol=1e-9, atol=1e-9)


def test_a_pinned_rate_that_moves_a_little_gives_a_small_z() -> None:
    """0.0001 for 39 days, then 0.00011: without a floor the z would be 6.2, with it one."""
    rates = {**every(8, 1e-4, days=39), **{8 * n: 1.1e-4 for n in range(118, 121)}}
    bars = bars_of([settlements(A, rates)], days=40)
    z = bars.score("fund_z", window=40)
    assert z[-1] == pytest.approx((1e-5 - 1e-5 / 40) / 1e-5)
    assert np.abs(z[np.isfinite(z)]).max() < 1
