"""Ways to make one number of many venues' open interest, each against a loop, and what each does when venues come."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import oracles_rolling as slow
import pandas as pd
import pytest
from markets import panel_of, perp, spot, vendor

from btcflow.contracts import Trial, aligned, hold, metric_subject, violations
from btcflow.data.interest_units import cross_check, refuse_unit_gap, unit_gap, unit_in_btc
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import simulate
from btcflow.errors import BadRecords, ConfigError
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.oi_aggregates import chain_link, fixed_panel, strict_sum, zero_filled_sum
from btcflow.flow.options import FlowOptions, OpenInterestOptions, ZscoreOptions
from btcflow.instrument import Instrument
from btcflow.panel import Panel
from btcflow.stack import carry

NAN = np.nan
SPOT = spot("s")
QUICK = {"min_age_days": 1, "min_venues": 1, "max_ffill_hours": 0}
"""Venues count from their second day on, one is enough, and nothing is held beyond its day."""
AGGREGATES = ("chain_link", "fixed_panel", "median_z", "mean_z", "sum_nz", "sum_strict")
TRANSFORMS = ("log_level", "level", "log_detrended", "log_change")
FLOOR = 0.01


def venues(count: int) -> list[Instrument]:
    return [perp(name) for name in "abcdefgh"[:count]]


def daily_market(levels: object, *, price: object = 100.0, perps: Sequence[Instrument] = ()) -> Panel:
    """Daily files: (days, V) open interest and a price per day, each in the day's last hour."""
    values = np.atleast_2d(np.array(levels, dtype=float).T).T
    days, count = values.shape
    legs = [SPOT, *(perps or venues(count))]
    own, close = np.full((24 * days, 1 + count), NAN), np.full((24 * days, 1 + count), NAN)
    own[23::24, 1:] = values
    close[23::24] = np.broadcast_to(np.asarray(price, dtype=float).reshape(-1, 1), (days, 1))
    sampling = {"open_interest": [0] + [24] * count, "close": [24] * (1 + count)}
    return panel_of(legs, sampling=sampling, close=close, open_interest=own)


def bars_of(panel: Panel, *, zscore: ZscoreOptions | None = None, **options: object) -> Bars:
    chosen = OpenInterestOptions(**{**QUICK, **options})  # type: ignore[arg-type]
    return Bars(panel, "1D", FlowOptions(oi=chosen, zscore=zscore or ZscoreOptions()))


def z_of(panel: Panel, window: int, **options: object) -> np.ndarray:
    return bars_of(panel, **options).score("oi_z", window=window)  # type: ignore[arg-type]


def rough(days: int, count: int, seed: int, *, holes: float = 0.02) -> np.ndarray:
    """Random walks of different size; all but the first two list later, the last one is gone again."""
    random = np.random.default_rng(seed)
    levels = np.exp(np.cumsum(0.05 * random.normal(size=(days, count)), axis=0)) * random.uniform(10, 1000, count)
    levels[random.random((days, count)) < holes] = NAN
    for v in range(2, count):
        levels[: random.integers(days // 5, days // 2), v] = NAN
    if count > 2:
        levels[3 * days // 4 :, count - 1] = NAN
    return levels


# --- slow references -----------------------------------------------------------------------------------


def slow_transform(levels: Sequence[float], transform: str, window: int, change: int) -> list[float]:
    logs = [NAN if math.isnan(one) else math.log(one) for one in levels]
    if transform == "level":
        return list(levels)
    if transform == "log_level":
        return logs
    if transform == "log_detrended":
        return [one - mean for one, mean in zip(logs, slow.ema(logs, 2 * window), strict=True)]
    return [NAN if at < change else one - logs[at - change] for at, one in enumerate(logs)]


def slow_z(levels: Sequence[float], transform: str, window: int, change: int = 1) -> list[float]:
    floor = 0.0 if transform == "level" else FLOOR
    return slow.zscore(slow_transform(levels, transform, window, change), window, floor=floor)


def slow_fixed_panel(levels: np.ndarray, transform: str, window: int, change: int, least: int) -> list[float]:
    """Bar by bar: who was there in every bar the score reads, what they add up to, and the z of that."""
    further = {"log_detrended": 2 * window - 1, "log_change": change}.get(transform, 0)
    out = []
    for t in range(len(levels)):
        start = t - window - further + 1
        there = [v for v in range(levels.shape[1]) if start >= 0 and np.isfinite(levels[start : t + 1, v]).all()]
        if len(there) < least:
            out.append(NAN)
            continue
        total = [math.fsum(row[there]) if np.isfinite(row[there]).all() else NAN for row in levels[: t + 1]]
        out.append(slow_z(total, transform, window, change)[-1])
    return out


def slow_middle(levels: np.ndarray, how: str, transform: str, window: int, change: int) -> list[float]:
    scores = [slow_z(levels[:, v].tolist(), transform, window, change) for v in range(levels.shape[1])]
    out = []
    for row in zip(*scores, strict=True):
        known = [one for one in row if not math.isnan(one)]
        take = statistics.median if how == "median_z" else statistics.fmean
        out.append(take(known) if len(known) >= 2 else NAN)
    return out


def slow_sum(levels: np.ndarray, how: str) -> list[float]:
    out = []
    for row in levels.tolist():
        known = [one for one in row if not math.isnan(one)]
        complete = len(known) == len(row) if how == "sum_strict" else len(known) > 0
        out.append(math.fsum(known) if complete else NAN)
    return out


def slow_chain(levels: np.ndarray) -> list[float]:
    """The index of venues of two days or older, NaN where none is matched."""
    level, out = 100.0, []
    for t, row in enumerate(levels):
        known = [v for v in range(len(row)) if t and np.isfinite(levels[t - 1 : t + 1, v]).all()]
        if known:
            level *= math.fsum(row[known]) / math.fsum(levels[t - 1][known])
        out.append(level if known else NAN)
    return out


# --- each aggregate against its loop ------------------------------------------------------------------


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_every_aggregate_and_transform_equals_the_loop(aggregate: str, transform: str) -> None:
    window, change, days = 12, 3, 110
    levels = rough(days, 4, seed=21)
    found = z_of(daily_market(levels), window, aggregate=aggregate, transform=transform, change_bars=change)
    if aggregate == "fixed_panel":
        expected = slow_fixed_panel(levels, transform, window, change, least=1)
    elif aggregate in ("median_z", "mean_z"):
        expected = slow_middle(levels, aggregate, transform, window, change)
    else:
        index = slow_chain(levels) if aggregate == "chain_link" else slow_sum(levels, aggregate)
        expected = slow_z(index, transform, window, change)
    least = {"sum_strict": 0 if transform == "log_detrended" else 3, "fixed_panel": 8}.get(aggregate, 25)
    assert np.isfinite(expected).sum() >= least
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


def test_the_golden_vector_of_the_definitions_for_the_chain() -> None:
    held = carry(np.array([[100, 110, 121, NAN, 133.1], [NAN, NAN, 50, 60, 66]]).T, 1)
    index, count = chain_link(held, np.ones((5, 2)), min_age=1)
    assert index.round(6).tolist() == [100, 110, 121, 128.076023, 140.883626]
    assert count.tolist() == [0, 1, 1, 2, 2]
    assert zero_filled_sum(held).tolist() == [100, 110, 171, 181, 199.1], "the sum beside it jumps"
    assert strict_sum(held)[2:].tolist() == [171, 181, 199.1]
    assert np.isnan(strict_sum(held)[:2]).all()


def test_the_sum_is_published_as_an_index_with_the_venues_in_it() -> None:
    panel = daily_market([[100, NAN], [110, NAN], [110, 55], [NAN, 66]])
    sums = bars_of(panel, aggregate="sum_nz")
    assert sums["oi_index"] == pytest.approx([100, 110, 165, 66])
    assert sums["oi_venues"].tolist() == [1, 1, 2, 1]
    assert bars_of(panel, aggregate="sum_strict")["oi_index"] == pytest.approx([NAN, NAN, 100, NAN], nan_ok=True)
    for other in ("fixed_panel", "median_z", "mean_z"):
        chain = bars_of(panel)["oi_index"]
        np.testing.assert_array_equal(bars_of(panel, aggregate=other)["oi_index"], chain)


def test_the_middle_of_two_venues_and_never_of_one() -> None:
    levels = rough(60, 2, seed=4, holes=0.0)
    levels[:20, 1] = NAN
    for how in ("median_z", "mean_z"):
        known = np.flatnonzero(np.isfinite(z_of(daily_market(levels), 10, aggregate=how, min_venues=1)))
        assert known.tolist() == list(range(29, 60)), "from the younger one's tenth day on"
    assert not np.isfinite(z_of(daily_market(levels), 10, aggregate="mean_z", min_venues=3)).any()


def test_small_venues_count_as_much_as_large_ones_in_a_middle_and_not_in_a_sum() -> None:
    random = np.random.default_rng(2)
    large, small = (1000.0 * np.exp(0.05 * random.normal(size=40).cumsum()) for _ in range(2))
    plain, tiny = np.column_stack([large, small]), np.column_stack([large, small / 1000])
    for how in ("median_z", "mean_z"):
        one, other = (z_of(daily_market(levels), 15, aggregate=how) for levels in (plain, tiny))
        np.testing.assert_allclose(one, other, atol=1e-9)
    alone = z_of(daily_market(large), 15, aggregate="fixed_panel")
    np.testing.assert_allclose(z_of(daily_market(tiny), 15, aggregate="fixed_panel"), alone, atol=0.02)


def test_the_panel_needs_the_least_number_of_venues_over_the_whole_window() -> None:
    levels = rough(60, 3, seed=8, holes=0.0)[:, :3]
    levels[:, 2] = 50.0
    levels[30, 0] = NAN
    known = np.flatnonzero(np.isfinite(z_of(daily_market(levels), 10, aggregate="fixed_panel", min_venues=3)))
    assert known.tolist() == [*range(9, 30), *range(40, 60)], "one missing day costs the days whose window holds it"
    exclusive = bars_of(
        daily_market(levels), zscore=ZscoreOptions(window="exclusive"), aggregate="fixed_panel", min_venues=3
    ).score("oi_z", window=10)
    assert np.flatnonzero(np.isfinite(exclusive)).tolist() == [*range(10, 30), *range(41, 60)]


def test_a_panel_of_nothing_and_a_market_shorter_than_the_window_have_no_score() -> None:
    assert np.isnan(fixed_panel(np.full((4, 2), NAN), lambda one: one, reach=2, least=1)).all()
    assert np.isnan(fixed_panel(np.ones((1, 2)), lambda one: one, reach=2, least=1)).all()
    assert fixed_panel(np.ones((3, 2)), lambda one: one, reach=2, least=1).tolist()[1:] == [2.0, 2.0]


# --- venues come and go ---------------------------------------------------------------------------------


def test_a_zero_filled_sum_fakes_four_sigma_where_a_venue_worth_thirty_percent_lists() -> None:
    """Fact 2: open interest is at its low (z -2.4); the naive sum reads +4.7, and the others what is true."""
    days, entry = 60, 30
    wave = 0.05 * np.sin(np.arange(days) / 8) + 0.005 * np.random.default_rng(0).normal(size=days)
    old, new = 1000 * np.exp(wave), np.full(days, NAN)
    new[entry:] = 0.3 * old[entry:]
    both = daily_market(np.column_stack([old, new]))
    true = z_of(daily_market(old), 30)[entry]
    assert true < -2
    assert z_of(both, 30, aggregate="sum_nz")[entry] > 4
    for honest in ("chain_link", "fixed_panel"):
        assert z_of(both, 30, aggregate=honest)[entry] == pytest.approx(true, abs=1e-9)
    assert np.isnan(z_of(both, 30, aggregate="sum_strict")[:entry]).all()


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("aggregate", ["chain_link", "fixed_panel"])
@pytest.mark.parametrize("size", [0.3, 1000.0])
def test_the_z_of_the_entry_bar_does_not_know_that_a_venue_listed(aggregate: str, transform: str, size: float) -> None:
    levels = rough(90, 2, seed=13, holes=0.0)
    joined = np.column_stack([levels, np.full(90, NAN)])
    joined[60:, 2] = size * 1000
    chosen = {"aggregate": aggregate, "transform": transform, "min_age_days": 5}
    alone, with_it = (z_of(daily_market(one), 12, **chosen) for one in (levels, joined))
    assert np.isfinite(alone[60])
    assert with_it[:65].tobytes() == alone[:65].tobytes()


def test_a_middle_changes_only_when_the_new_venue_has_a_full_window() -> None:
    levels = rough(90, 2, seed=13, holes=0.0)
    joined = np.column_stack([levels, np.full(90, NAN)])
    joined[60:, 2] = np.linspace(1e6, 2e6, 30)
    for how in ("median_z", "mean_z"):
        alone, with_it = (z_of(daily_market(one), 12, aggregate=how) for one in (levels, joined))
        assert with_it[:71].tobytes() == alone[:71].tobytes()
        assert with_it[71] != alone[71]


# --- units ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregate", "denom"),
    [
        *((aggregate, denom) for aggregate in AGGREGATES for denom in ("BTC", "USD")),
        *((aggregate, "native") for aggregate in ("chain_link", "median_z", "mean_z")),
    ],
)
def test_the_size_of_contracts_does_not_matter(aggregate: str, denom: str) -> None:
    """Contracts eight times as large, and an eighth of them."""
    levels, price = rough(80, 3, seed=17), 30_000 * np.exp(0.03 * np.random.default_rng(1).normal(size=80).cumsum())
    small = [perp("a"), perp("b", oi_unit="contract", contract_size=100.0, contract_ccy="USD", margin="inverse")]
    large = [replace(small[0], oi_unit="contract", contract_size=8.0), replace(small[1], contract_size=800.0)]
    one, other = (
        z_of(daily_market(native, price=price, perps=[*legs, perp("c")]), 12, aggregate=aggregate, denom=denom)
        for legs, native in ((small, levels), (large, levels / [8.0, 8.0, 1.0]))
    )
    assert np.isfinite(one).any()
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_dollars_and_btc_give_one_z_at_a_constant_price(aggregate: str, transform: str) -> None:
    panel = daily_market(rough(110, 3, seed=19), price=43_210.0)
    btc, usd = (z_of(panel, 12, aggregate=aggregate, transform=transform, denom=denom) for denom in ("BTC", "USD"))
    assert np.isfinite(btc).any() or (aggregate, transform) == ("sum_strict", "log_detrended")
    np.testing.assert_allclose(btc, usd, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("aggregate", ["chain_link", "fixed_panel", "median_z", "mean_z", "sum_nz", "sum_strict"])
def test_dollars_of_constant_btc_are_the_price_and_nothing_else(aggregate: str) -> None:
    """Fact 1: with open interest in BTC pinned, the z of dollars is the z of ln price."""
    price = 30_000 * np.exp(0.03 * np.random.default_rng(3).normal(size=80).cumsum())
    panel = daily_market(np.full((80, 2), 500.0), price=price)
    expected = slow.zscore([NAN, *np.log(price[1:])] if aggregate == "chain_link" else np.log(price).tolist(), 20)
    np.testing.assert_allclose(z_of(panel, 20, aggregate=aggregate, denom="USD"), expected, atol=1e-9)
    assert np.nanmax(np.abs(z_of(panel, 20, aggregate=aggregate))) < 1e-9


@pytest.mark.parametrize("aggregate", ["chain_link", "median_z", "mean_z"])
def test_contracts_that_stand_still_have_a_z_of_zero_natively_whatever_the_price_does(aggregate: str) -> None:
    price = np.geomspace(10_000, 60_000, 60)
    legs = [perp("i", margin="inverse", oi_unit="usd"), perp("l")]
    panel = daily_market(np.tile([5e6, 300.0], (60, 1)), price=price, perps=legs)
    assert np.nanmax(np.abs(z_of(panel, 20, aggregate=aggregate, denom="native"))) < 1e-9
    assert np.isfinite(z_of(panel, 20, aggregate=aggregate, denom="native")[25:]).all()
    assert z_of(panel, 20, aggregate="sum_nz")[-1] < -1.5, "in BTC the inverse ones fall with the price"


@pytest.mark.parametrize("aggregate", ["fixed_panel", "sum_nz", "sum_strict"])
def test_unlike_contracts_are_not_added(aggregate: str) -> None:
    with pytest.raises(ConfigError, match=rf"denom is native and oi\.aggregate is {aggregate}.*chain_link, median_z"):
        z_of(daily_market(np.ones((30, 2))), 10, aggregate=aggregate, denom="native")


def test_native_growth_equals_the_loop_with_weights_of_one_sample_ago() -> None:
    """A4: g_t = sum N_t c_{t-1} / sum N_{t-1} c_{t-1}."""
    random = np.random.default_rng(23)
    native, price = rough(50, 2, seed=23, holes=0.0), 1000 * np.exp(0.05 * random.normal(size=50).cumsum())
    legs = [perp("i", margin="inverse", oi_unit="contract", contract_size=100.0, contract_ccy="USD"), perp("l")]
    level, expected = 100.0, [NAN]
    for t in range(1, 50):
        c = [100.0 / price[t - 1], 1.0]
        level *= (native[t] @ c) / (native[t - 1] @ c)
        expected.append(level)
    found = bars_of(daily_market(native, price=price, perps=legs), denom="native")["oi_index"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_contracts_keep_growing_natively_while_no_price_is_known() -> None:
    """Two days without any price: BTC stands still, contracts are weighed at the last price."""
    price = np.full(10, 100.0)
    price[4:6] = NAN
    native = np.array([10.0, 10, 10, 10, 12, 15, 15, 15, 15, 15])
    panel = daily_market(native, price=price, perps=[perp("i", margin="inverse", oi_unit="usd")])
    found = bars_of(panel, denom="native", max_ffill_hours=72)["oi_index"]
    assert found[1:] == pytest.approx([100, 100, 100, 120, 150, 150, 150, 150, 150])


# --- transforms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [24, 52, 180])
def test_a_linear_trend_ends_on_the_z_that_its_length_alone_decides(n: int) -> None:
    """Fact 1: sqrt(3 (n - 1) / (n + 1)): 1.66 for 24, 1.70 for 52, 1.72 for 180."""
    z = z_of(daily_market(np.linspace(100, 400, n + 20)), n, transform="level", aggregate="sum_nz")
    assert z[-1] == pytest.approx(math.sqrt(3 * (n - 1) / (n + 1)), abs=1e-9)
    growing = z_of(daily_market(np.geomspace(100, 4000, n + 20)), n)
    assert growing[-1] == pytest.approx(math.sqrt(3 * (n - 1) / (n + 1)), abs=1e-9)


def test_a_steady_trend_is_nothing_unusual_once_it_is_taken_out() -> None:
    """Growth at one rate: the detrended level settles at a constant, its deviation is below the floor."""
    z = z_of(daily_market(np.geomspace(100, 4000, 400)), 20, transform="log_detrended")
    assert np.flatnonzero(np.isfinite(z))[0] == 1 + (2 * 20 - 1) + (20 - 1), (
        "the index, its EMA of 40, the window of 20"
    )
    assert np.abs(z[200:]).max() < 1e-6
    assert z_of(daily_market(np.geomspace(100, 4000, 400)), 20)[-1] > 1.6


def test_the_level_has_no_floor_and_the_logarithm_has() -> None:
    """A wiggle of a tenth of a percent: far below the floor of one percent, and a full z without it."""
    levels = 1000.0 + np.tile([1.0, -1.0], 30)
    chosen = {"aggregate": "sum_nz"}
    assert np.nanmax(np.abs(z_of(daily_market(levels), 10, transform="level", **chosen))) == pytest.approx(1.0)
    assert np.nanmax(np.abs(z_of(daily_market(levels), 10, **chosen))) == pytest.approx(0.1, rel=1e-3)
    pinned = z_of(daily_market(np.full(60, 1000.0)), 10, transform="level", **chosen)
    assert np.isnan(pinned).all(), "a pinned level has no deviation to divide by"


def test_the_change_z_is_of_one_bar_whatever_the_transform() -> None:
    panel = daily_market(rough(80, 2, seed=31))
    plain = bars_of(panel).score("oi_change_z", window=15)
    index = bars_of(panel)["oi_index"]
    expected = slow.zscore([NAN, *np.diff(np.log(index))], 15, floor=FLOOR)
    np.testing.assert_allclose(plain, expected, atol=1e-9)
    for transform in TRANSFORMS:
        other = bars_of(panel, transform=transform, change_bars=4).score("oi_change_z", window=15)
        assert other.tobytes() == plain.tobytes()
    change = z_of(panel, 15, transform="log_change", change_bars=1)
    np.testing.assert_array_equal(change, plain)


# --- a vendor's total, and the grid -----------------------------------------------------------------------


def test_a_vendor_total_is_scored_by_the_transform_and_knows_no_aggregate() -> None:
    random = np.random.default_rng(41)
    price = 20_000 * np.exp(0.03 * random.normal(size=90).cumsum())
    usd = 1e9 * np.exp(0.03 * random.normal(size=90).cumsum())
    panel = daily_market(usd, price=price, perps=[vendor("acme")])
    for transform in TRANSFORMS:
        expected = slow_z((usd / price).tolist(), transform, 12, 2)
        for aggregate in ("chain_link", "sum_nz", "median_z"):
            chosen = {"source": "vendor:acme", "aggregate": aggregate, "transform": transform, "change_bars": 2}
            np.testing.assert_allclose(z_of(panel, 12, **chosen), expected, rtol=1e-7, atol=1e-8)
    dollars = z_of(panel, 12, source="vendor:acme", denom="USD")
    np.testing.assert_allclose(dollars, slow_z(usd.tolist(), "log_level", 12), atol=1e-9)


def test_a_vendor_week_without_its_last_day_is_in_dollars_of_the_day_it_has() -> None:
    price = np.linspace(100, 113, 14)
    usd = np.full(14, 1000.0)
    usd[13] = NAN
    chosen = OpenInterestOptions(source="vendor:acme", denom="USD")
    found = Bars(daily_market(usd, price=price, perps=[vendor("acme")]), "1W", FlowOptions(oi=chosen))["oi_index"]
    assert found == pytest.approx([100, 100])


def test_what_is_sampled_finer_than_an_hour_counts_as_its_last_of_the_hour() -> None:
    """Five-minute snapshots and the hour's last of them give the same hourly index, spikes filtered alike."""
    random = np.random.default_rng(43)
    fine = 1000 * np.exp(0.002 * random.normal(size=(12 * 24 * 4, 2)).cumsum(axis=0))
    fine[12 * 40 + 11, 0] *= 2
    fine[12 * 50 + 5, 0] *= 2
    fine[11::36] = NAN  # every third hour ends on the snapshot before its last
    last = np.where(np.isnan(fine[11::12]), fine[10::12], fine[11::12])
    chosen = OpenInterestOptions(min_age_days=0.1, min_venues=1)

    def panel(step: str, every: int, values: np.ndarray) -> Panel:
        rows = len(values)
        made = panel_of(
            [SPOT, *venues(2)],
            sampling={"open_interest": [0, every, every], "close": [1, 1, 1]},
            close=np.full((rows, 3), 100.0),
            open_interest=np.column_stack([np.full(rows, NAN), values]),
        )
        length = {"5m": 5, "1h": 60}[step] * 60_000_000_000
        return replace(made, step=step, opens=made.opens[0] + length * np.arange(rows, dtype=np.int64))

    hourly = Bars(panel("1h", 1, last), "4h", FlowOptions(oi=chosen))["oi_index"]
    assert Bars(panel("5m", 1, fine), "4h", FlowOptions(oi=chosen))["oi_index"].tobytes() == hourly.tobytes()
    assert np.nanmax(np.abs(np.diff(np.log(hourly)))) < 0.1, "the spike of the hour's last is gone"
    sparse = np.full_like(fine, NAN)
    sparse[11::12] = last
    assert Bars(panel("5m", 12, sparse), "4h", FlowOptions(oi=chosen))["oi_index"].tobytes() == hourly.tobytes()


# --- the laws -------------------------------------------------------------------------------------------


def as_listed(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    """A panel that knows of no venue before its first row."""
    return aligned(dataset.select(lambda one: len(one) > 0), as_of, needs)


@cache
def trial(*, declared: bool = False) -> Trial:
    """The simulated market by the day; ``declared``: venues that list later are known by name from the start."""
    return Trial(dataset=simulate(seed=3, years=1.6), timeframe="1D", aligner=aligned if declared else as_listed)


CHOICES = [
    *({"aggregate": one} for one in AGGREGATES if one != "sum_strict"),
    *({"aggregate": one, "transform": "log_detrended"} for one in ("chain_link", "fixed_panel", "median_z")),
    *({"aggregate": one, "transform": "level"} for one in ("chain_link", "fixed_panel")),
    {"transform": "log_change", "change_bars": 5},
    {"denom": "USD"},
    {"denom": "native"},
    {"denom": "native", "aggregate": "median_z"},
    {"denom": "USD", "aggregate": "sum_nz", "transform": "level"},
    {"denom": "USD", "aggregate": "fixed_panel"},
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda one: "-".join(map(str, one.values())))
def test_every_choice_keeps_every_law(choice: dict[str, object]) -> None:
    options = FlowOptions(oi=OpenInterestOptions(**choice))  # type: ignore[arg-type]
    hold(metric_subject(METRICS.get("oi_z"), "1D", window=40, options=options), trial())


@pytest.mark.parametrize("name", ["oi_index", "oi_venues", "oi_change_z"])
@pytest.mark.parametrize("choice", [{"denom": "USD"}, {"denom": "native"}, {"aggregate": "sum_nz"}], ids=str)
def test_the_index_and_its_change_keep_every_law(name: str, choice: dict[str, object]) -> None:
    options = FlowOptions(oi=OpenInterestOptions(**choice))  # type: ignore[arg-type]
    hold(metric_subject(METRICS.get(name), "1D", window=40, options=options), trial())


@pytest.mark.parametrize("name", ["oi_index", "oi_z"])
def test_a_strict_sum_keeps_every_law_in_a_declared_universe_and_only_there(name: str) -> None:
    """It is empty because of a venue that lists later, so the list of venues has to be part of the question."""
    options = FlowOptions(oi=OpenInterestOptions(aggregate="sum_strict"))
    subject = metric_subject(METRICS.get(name), "1D", window=40, options=options)
    hold(subject, trial(declared=True))
    assert {one.law for one in violations(subject, trial())} == {"truncation"}


# --- the cross-check of units ---------------------------------------------------------------------------


@cache
def simulated() -> Dataset:
    return simulate(seed=5, years=2.0)


def in_dollars(one: Records, price: Records, *, factor: float = 1.0) -> Records:
    """What the venue would report in dollars once a day: its own open interest times its own close."""
    daily = one.where(one.stamp % 86_400_000_000_000 == 0)
    close = dict(zip(price.ends.tolist(), price.column("close").tolist(), strict=True))
    at = np.array([close[stamp] for stamp in daily.stamp.tolist()])
    size = one.instrument.contract_size if one.instrument.oi_unit == "contract" else 1.0
    worth = size if one.instrument.contract_ccy == "USD" or one.instrument.oi_unit == "usd" else size * at
    frame = daily.frame.assign(value=daily.column("value") * worth * factor)
    told = replace(one.instrument, oi_unit="usd", contract_size=1.0, contract_ccy="USD")
    return replace(daily, key=replace(one.key, timeframe="1D"), instrument=told, frame=frame)


def stated_twice(*, wrong: str | None = None, factor: float = 1.0) -> Dataset:
    perps = [one for one in simulated() if one.key.kind == "open_interest"]
    twins = [
        in_dollars(
            one, simulated().find(one.instrument.id, "ohlcv"), factor=factor if one.instrument.id == wrong else 1.0
        )
        for one in perps
    ]
    return Dataset.of([*simulated(), *twins])


def test_what_the_simulated_venues_report_in_dollars_agrees_with_their_contracts_on_every_day() -> None:
    assert cross_check(simulated()) == 0, "nothing is stated twice"
    dataset = stated_twice()
    found = cross_check(dataset)
    assert found == sum(len(one) for one in dataset if one.key.kind == "open_interest" and one.key.timeframe == "1D")
    assert found > 4 * 300


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.06, 100.0])
@pytest.mark.parametrize("venue", ["sim_alpha:BTCUSDT", "sim_delta:BTCUSD"])
def test_a_unit_that_is_wrong_is_refused_with_venue_day_and_factor(venue: str, factor: float) -> None:
    with pytest.raises(BadRecords, match=rf"{venue} open interest at 20.* USD: {factor:.4g} times that .*oi_unit"):
        cross_check(stated_twice(wrong=venue, factor=factor))


def test_a_difference_of_four_percent_is_that_of_two_prices() -> None:
    assert cross_check(stated_twice(wrong="sim_alpha:BTCUSDT", factor=1.04)) > 0


def test_each_unit_of_the_table_is_worth_its_btc() -> None:
    price = np.array([50_000.0])
    table = {
        1.0: perp("a"),
        1 / 50_000: perp("a", oi_unit="usd"),
        100 / 50_000: perp("a", oi_unit="contract", contract_size=100.0, contract_ccy="USD"),
        0.01: perp("a", oi_unit="contract", contract_size=0.01),
        1e-6: perp("a", oi_unit="contract", contract_size=1e-6),
        0.5: perp("a", side_factor=0.5),
    }
    for worth, what in table.items():
        assert unit_in_btc(what, price)[0] == pytest.approx(worth)
        gap = unit_gap(what, np.array([10.0]), np.array([10 * worth * 50_000 / what.side_factor]), price)
        assert gap[0] == pytest.approx(0, abs=1e-12)


def test_values_without_a_price_or_a_report_are_not_compared() -> None:
    none = np.array([NAN, 7.0])
    refuse_unit_gap(perp("a"), np.array([7.0, NAN]), none, np.array([1.0, 1.0]), stamps=np.zeros(2, np.int64))
    with pytest.raises(BadRecords, match="1 of 1 values"):
        refuse_unit_gap(perp("a"), np.full(2, 7.0), none * 2, np.ones(2), stamps=np.zeros(2, np.int64))
