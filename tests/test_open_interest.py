"""Open interest: in BTC, cleaned, and chained so that no venue's coming or going moves the index."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import oracles_rolling as slow
import pytest
from markets import HOUR, bars_series, idle_clock, interest, panel_of, perp, spot, vendor
from pydantic import ValidationError

from btcflow.data.align import align
from btcflow.data.records import Dataset
from btcflow.errors import ConfigError, MissingData
from btcflow.flow.bars import Bars
from btcflow.flow.open_interest import chain_link, reference_price
from btcflow.flow.options import FlowOptions, OpenInterestOptions
from btcflow.instrument import Instrument
from btcflow.panel import Panel
from btcflow.stack import carry

NAN = np.nan
SPOT = spot("s")
QUICK = {"min_age_days": 1 / 24, "min_venues": 1}
"""Venues count from their second hour on, and one is enough."""


def market(
    perps: Sequence[Instrument],
    levels: object,
    *,
    price: object = 100.0,
    every: int = 1,
) -> Panel:
    """One spot and some perpetuals at one price, with (T, V) open interest in each one's own unit."""
    values = np.array(levels, dtype=float)
    rows = len(values)
    close = np.broadcast_to(np.asarray(price, dtype=float).reshape(-1, 1), (rows, 1)) * np.ones(1 + len(perps))
    return panel_of(
        [SPOT, *perps],
        sampling={"open_interest": [0] + [every] * len(perps), "close": [1] * (1 + len(perps))},
        close=close,
        open_interest=np.column_stack([np.full(rows, NAN), values]),
    )


def index_of(panel: Panel, timeframe: str = "1h", name: str = "oi_index", **options: object) -> np.ndarray:
    chosen = OpenInterestOptions(**{**QUICK, **options})  # type: ignore[arg-type]
    return Bars(panel, timeframe, FlowOptions(oi=chosen))[name]


A, B, C = perp("a"), perp("b"), perp("c")


# --- golden -------------------------------------------------------------------------------------------


def test_the_golden_vector_of_the_definitions() -> None:
    a, b = [100, 110, 121, NAN, 133.1], [NAN, NAN, 50, 60, 66]
    panel = market([A, B], np.column_stack([a, b]))
    found = index_of(panel, max_ffill_hours=1, spike_log=9)
    assert found[1:].round(6).tolist() == [110, 121, 128.076023, 140.883626]
    assert index_of(panel, name="oi_venues", max_ffill_hours=1, spike_log=9).tolist() == [0, 1, 1, 2, 2]


def test_the_golden_vector_on_daily_files_is_the_same() -> None:
    """A day's level stands in the day's last hour; the grid is daily, so one missing day is held."""
    days = np.full((24 * 5, 2), NAN)
    days[23::24] = np.column_stack([[100, 110, 121, NAN, 133.1], [NAN, NAN, 50, 60, 66]])
    found = index_of(market([A, B], days, every=24), "1D", max_ffill_hours=24, min_age_days=1)
    assert found[1:].round(6).tolist() == [110, 121, 128.076023, 140.883626]


def test_the_growth_over_a_missing_day_of_a_daily_file_is_not_lost() -> None:
    days = np.full((24 * 5, 2), NAN)
    days[23::24] = np.column_stack([[100, 110, NAN, 150, 150], [100, 100, 100, 100, NAN]])
    found = index_of(market([A, B], days, every=24), "1D", min_age_days=1)
    assert found[1:] == pytest.approx([105, 105, 125, 125])
    gone = index_of(market([A], days[:, :1], every=24), "1D", min_age_days=1, max_ffill_hours=0)
    assert gone[1:] == pytest.approx([110, NAN, NAN, 110], nan_ok=True), "unless the level may not be held"


# --- the chain against a loop -------------------------------------------------------------------------


def slow_index(levels: Sequence[Sequence[float]], min_age: int, min_venues: int) -> list[float]:
    """Row by row: which venues are matched, and how much they grew together."""
    level, out = 100.0, []
    for t, row in enumerate(levels):
        matched = []
        for v, now in enumerate(row):
            born = [at for at in range(t + 1) if not math.isnan(levels[at][v])]
            if t and born and t - born[0] >= min_age and not math.isnan(now) and not math.isnan(levels[t - 1][v]):
                matched.append(v)
        if matched:
            level *= sum(row[v] for v in matched) / sum(levels[t - 1][v] for v in matched)
        out.append(level if len(matched) >= min_venues else NAN)
    return out


def rough(rows: int, venues: int, seed: int) -> np.ndarray:
    """Random walks with holes; each venue is listed and gone at its own time."""
    random = np.random.default_rng(seed)
    levels = np.exp(np.cumsum(0.02 * random.normal(size=(rows, venues)), axis=0)) * random.uniform(10, 1000, venues)
    levels[random.random((rows, venues)) < 0.1] = NAN
    for v in range(1, venues):
        born, gone = np.sort(random.integers(0, rows, 2))
        levels[:born, v] = NAN
        levels[gone:, v] = NAN
    return levels


@pytest.mark.parametrize("seed", range(4))
def test_the_index_equals_the_loop_on_a_rough_market(seed: int) -> None:
    levels = rough(24 * 30, 5, seed)
    held = carry(levels, 5)
    expected = slow_index(held.tolist(), 48, 2)
    found = index_of(
        market([A, B, C, perp("d"), perp("e")], levels), max_ffill_hours=5, min_age_days=2, min_venues=2, spike_log=9
    )
    assert np.isfinite(expected).sum() > 200
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_bar_takes_the_last_sample_and_nothing_is_summed_over_time() -> None:
    levels = np.linspace(100, 195, 96)[:, None]
    hourly, daily = index_of(market([A], levels)), index_of(market([A], levels), "1D")
    assert daily.tolist() == hourly[23::24].tolist()


# --- venues come and go -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.3, 1.0, 1000.0])
def test_a_venue_that_enters_does_not_move_the_index(size: float) -> None:
    levels = rough(24 * 20, 2, seed=9)
    levels[:, 1] = np.linspace(80, 120, len(levels))
    enters = np.full(len(levels), NAN)
    enters[200:] = size * 100
    alone = index_of(market([A, B], levels), min_age_days=2, spike_log=9)
    joined = index_of(market([A, B, C], np.column_stack([levels, enters])), min_age_days=2, spike_log=9)
    assert joined[: 200 + 48].tobytes() == alone[: 200 + 48].tobytes(), "not on entry, and not before it is of age"
    still = index_of(market([B, C], np.column_stack([np.full(480, 50.0), enters])), min_age_days=2)
    assert np.nanmax(np.abs(still - 100)) < 1e-9


def test_a_venue_that_leaves_does_not_move_the_index() -> None:
    levels = np.column_stack([np.linspace(100, 120, 240), np.r_[np.full(120, 1000.0), np.full(120, NAN)]])
    found = index_of(market([A, B], levels))
    growth = found[1:] / found[:-1]
    assert growth[1:].max() < 1.001
    assert found[-1] / found[150] == pytest.approx(levels[-1, 0] / levels[150, 0])


def test_a_venue_counts_from_the_age_of_thirty_days() -> None:
    levels = np.full((24 * 40, 2), 100.0)
    levels[: 24 * 5, 1] = NAN
    venues = index_of(market([A, B], levels), "1D", name="oi_venues", min_age_days=30)
    assert venues.tolist() == [0] * 30 + [1] * 5 + [2] * 5
    index = index_of(market([A, B], levels), "1D", min_age_days=30, min_venues=2)
    assert np.flatnonzero(np.isfinite(index)).tolist() == list(range(35, 40))


def test_without_any_venue_the_index_is_empty_and_then_goes_on_from_its_level() -> None:
    levels = np.r_[np.linspace(100, 150, 50), np.full(40, NAN), np.linspace(700, 770, 50)][:, None]
    found = index_of(market([A], levels), spike_log=9)
    assert np.isnan(found[49 + 25 : 91]).all()
    assert found[49 + 24] == pytest.approx(150), "held for 24 hours"
    assert found[91] == pytest.approx(150 * levels[91, 0] / levels[90, 0]), "goes on from 150 with the growth since"


def test_a_level_is_held_for_its_age_limit_and_no_longer() -> None:
    levels = np.r_[100.0, 100.0, np.full(30, NAN)][:, None]
    venues = index_of(market([A], levels), name="oi_venues", max_ffill_hours=6)
    assert venues.tolist() == [0] + [1] * 7 + [0] * 24


# --- units --------------------------------------------------------------------------------------------


def test_units_and_contract_sizes_do_not_matter() -> None:
    """The same position said in BTC, USD, contracts of 0.01 BTC, of 100 USD, and twice by a two-sided venue."""
    random = np.random.default_rng(11)
    btc = 1000 * np.exp(np.cumsum(0.01 * random.normal(size=200)))
    price = 30_000 * np.exp(np.cumsum(0.01 * random.normal(size=200)))
    ways = {
        "btc": (perp("a"), btc),
        "usd": (perp("a", oi_unit="usd", margin="inverse"), btc * price),
        "coin contracts": (perp("a", oi_unit="contract", contract_size=0.01, contract_ccy="BTC"), btc / 0.01),
        "dollar contracts": (perp("a", oi_unit="contract", contract_size=100.0, contract_ccy="USD"), btc * price / 100),
        "both sides": (perp("a", side_factor=0.5), 2 * btc),
    }
    other = np.full(200, 500.0)
    found = {
        name: index_of(market([one, B], np.column_stack([native, other]), price=price))
        for name, (one, native) in ways.items()
    }
    for name, values in found.items():
        np.testing.assert_allclose(values, found["btc"], rtol=1e-12, err_msg=name)


def test_a_venue_without_a_price_of_its_own_is_converted_at_spot() -> None:
    usd = perp("a", oi_unit="usd")
    levels = np.full((10, 1), 5e6)
    panel = panel_of(
        [SPOT, usd],
        close=np.column_stack([np.linspace(100, 109, 10), np.full(10, NAN)]),
        open_interest=np.column_stack([np.full(10, NAN), levels]),
    )
    assert index_of(panel)[-1] == pytest.approx(100 * 100 / 109)


def test_usd_and_btc_give_the_same_z_at_a_constant_price() -> None:
    panel = market([A, B], rough(24 * 60, 2, seed=3)[:, :1] * [1.0, 2.0], price=30_000)
    z = [
        Bars(panel, "1D", FlowOptions(oi=OpenInterestOptions(**QUICK, denom=denom))).score("oi_z", window=20)  # type: ignore[arg-type]
        for denom in ("BTC", "USD", "native")
    ]
    assert np.isfinite(z[0]).sum() > 30
    for other in z[1:]:
        np.testing.assert_allclose(z[0], other, rtol=1e-9, atol=1e-9)


def test_usd_holds_the_price_and_native_does_not() -> None:
    """Contracts stand still while price doubles: BTC falls for the inverse venue, USD rises for the linear one."""
    price = np.geomspace(100, 200, 50)
    inverse, linear = perp("i", margin="inverse", oi_unit="usd"), perp("l")
    still = np.full((50, 1), 1000.0)
    assert index_of(market([inverse], still, price=price))[-1] == pytest.approx(50)
    assert index_of(market([linear], still, price=price), denom="USD")[[1, -1]] == pytest.approx(
        [100, 100 * 200 / price[1]]
    )
    for one in (inverse, linear):
        assert index_of(market([one], still, price=price), denom="native")[1:] == pytest.approx([100.0] * 49)


def test_native_weighs_the_growth_of_contracts_in_btc_one_sample_ago() -> None:
    inverse, linear = perp("i", margin="inverse", oi_unit="usd"), perp("l")
    panel = market([inverse, linear], [[1000, 10], [1200, 13]], price=[100, 160])
    assert index_of(panel, denom="native")[-1] == pytest.approx(100 * (1200 / 100 + 13) / (1000 / 100 + 10))


# --- spikes -------------------------------------------------------------------------------------------


def test_a_lone_spike_does_not_move_the_index_and_a_shift_counts_from_its_sixth_sample() -> None:
    spike, shift = np.full((30, 2), 100.0), np.full((30, 2), 100.0)
    spike[10, 0] = 160
    shift[10:, 0] = 160
    assert index_of(market([A, B], spike))[1:] == pytest.approx([100.0] * 29)
    assert index_of(market([A, B], shift))[1:] == pytest.approx([100.0] * 14 + [130.0] * 15)


def test_daily_files_are_not_filtered_and_hourly_ones_beside_them_are() -> None:
    days = np.full((24 * 4, 1), NAN)
    days[23::24, 0] = [100, 160, 100, 100]
    assert index_of(market([A], days, every=24), "1D", min_age_days=1)[1:] == pytest.approx([160, 100, 100])
    hourly = np.full((24 * 4, 1), 100.0)
    hourly[40] = 160
    panel = panel_of(
        [SPOT, A, B],
        sampling={"open_interest": [0, 24, 1], "close": [1, 1, 1]},
        close=np.full((96, 3), 100.0),
        open_interest=np.column_stack([np.full(96, NAN), days, hourly]),
    )
    found = index_of(panel)
    assert found[40] == pytest.approx(100), "the spike of the hourly venue is gone"
    assert found[47] == pytest.approx(130), "the day of the daily one is not"


# --- a vendor's aggregate -----------------------------------------------------------------------------


def test_a_vendor_stands_alone_in_btc_without_age_or_minimum_of_venues() -> None:
    total, close = vendor("acme"), np.repeat([100.0, 110, 120, 130], 24)
    usd = np.full(96, NAN)
    usd[23::24] = [1000, 2200, NAN, 1300]
    panel = panel_of(
        [SPOT, A, total],
        sampling={"open_interest": [0, 1, 24], "close": [1, 1, 0]},
        close=np.column_stack([close, close, np.full(96, NAN)]),
        open_interest=np.column_stack([np.full(96, NAN), np.full(96, 7.0), usd]),
    )
    chosen = {"source": "vendor:acme", "min_age_days": 30, "min_venues": 2}
    assert index_of(panel, "1D", **chosen) == pytest.approx([100, 200, NAN, 100], nan_ok=True)
    assert index_of(panel, "1D", name="oi_venues", **chosen).tolist() == [1, 1, 0, 1]
    assert index_of(panel, "1D", **chosen, denom="USD") == pytest.approx([100, 220, NAN, 130], nan_ok=True)
    assert index_of(panel, "3D", **chosen) == pytest.approx([100]), "the last sample inside the bar, of its second day"


def test_a_vendor_is_never_added_to_its_venues() -> None:
    levels = np.full((50, 1), 10.0)
    panel = panel_of(
        [SPOT, A, vendor("acme", "btc")],
        close=np.full((50, 3), 1.0),
        open_interest=np.c_[levels * NAN, levels, np.geomspace(1, 9, 50)],
    )
    assert index_of(panel)[1:] == pytest.approx([100.0] * 49)


def test_a_vendor_that_is_not_there_is_refused_with_those_that_are() -> None:
    panel = market([A], np.full((24, 1), 1.0))
    with pytest.raises(MissingData, match=r"oi\.source is vendor:acme, and the panel holds the aggregates: none"):
        index_of(panel, "1D", source="vendor:acme")
    only = panel_of([SPOT, vendor("acme")], close=np.full((24, 2), 1.0), open_interest=np.full((24, 2), [NAN, 1.0]))
    with pytest.raises(MissingData, match=r"no perpetual of the panel has open interest.*oi.source: vendor:<name>"):
        index_of(only, "1D")
    with pytest.raises(ValidationError, match="denom: native compares venues' contracts, and source is vendor:acme"):
        OpenInterestOptions(source="vendor:acme", denom="native")


def test_open_interest_without_a_unit_is_refused() -> None:
    with pytest.raises(ConfigError, match="a:BTCUSD-PERP has open interest and no oi_unit"):
        index_of(market([perp("a", oi_unit="none")], np.full((24, 1), 1.0)))


# --- the reference price ------------------------------------------------------------------------------


def test_dollars_are_converted_at_dollar_spots_of_the_finest_sampling() -> None:
    """A tether spot at another price must not move the conversion, in hourly and in daily data alike."""
    legs = [SPOT, spot("t", "USDT"), perp("a", oi_unit="usd")]
    hourly = np.tile([100.0, 150.0, NAN], (48, 1))
    own = np.column_stack([np.full((48, 2), NAN), np.full(48, 500.0)])
    panel = panel_of(legs, close=hourly, open_interest=own, sampling={"close": [1, 1, 0]})
    assert reference_price(panel)[-1] == 100
    daily = np.full((48, 3), NAN)
    daily[23::24] = [100.0, 150.0, NAN]
    panel = panel_of(legs, close=daily, open_interest=own, sampling={"close": [24, 24, 0]})
    assert reference_price(panel)[-1] == 100
    mixed = hourly.copy()
    mixed[:, 0] = daily[:, 0]
    panel = panel_of(legs, close=mixed, open_interest=own, sampling={"close": [24, 1, 0]})
    assert reference_price(panel)[-2] == 150, "the daily dollar spot is too coarse for hours"


# --- scores -------------------------------------------------------------------------------------------


def test_the_z_is_that_of_the_log_and_the_change_z_that_of_its_difference() -> None:
    levels = np.exp(np.cumsum(0.03 * np.random.default_rng(6).normal(size=120)))
    levels[50] = NAN
    hourly = np.repeat(levels, 24)[:, None]
    bars = Bars(market([A], hourly), "1D", FlowOptions(oi=OpenInterestOptions(**QUICK, max_ffill_hours=2, spike_log=9)))  # type: ignore[arg-type]
    logs = np.log(bars["oi_index"])
    assert np.flatnonzero(np.isnan(logs)).tolist() == [50]
    np.testing.assert_allclose(
        bars.score("oi_z", window=30), slow.zscore(logs.tolist(), 30, floor=0.01), rtol=1e-9, atol=1e-9
    )
    change = [NAN, *np.diff(logs).tolist()]
    np.testing.assert_allclose(
        bars.score("oi_change_z", window=30), slow.zscore(change, 30, floor=0.01), rtol=1e-9, atol=1e-9
    )


def test_constant_open_interest_has_a_z_of_zero_and_not_of_noise() -> None:
    bars = Bars(market([A], np.full((24 * 40, 1), 77.0)), "1D", FlowOptions(oi=OpenInterestOptions(**QUICK)))  # type: ignore[arg-type]
    assert np.abs(bars.score("oi_z", window=20)[20:]).max() < 1e-9


def test_a_snapshot_published_after_the_close_decides_the_bar_five_minutes_late() -> None:
    series = [
        bars_series(SPOT, [100.0] * 49),
        interest(A, {hour: 100.0 + hour for hour in range(1, 50)}, lag="5min"),
        interest(B, dict.fromkeys(range(1, 50), 100.0), lag="5min"),
    ]
    bars = Bars(
        align(Dataset.of(series), idle_clock(SPOT), needs=["close", "open_interest"]),
        "1D",
        FlowOptions(oi=OpenInterestOptions(**QUICK)),
    )  # type: ignore[arg-type]
    assert bars.decided_at[0] - bars.closes[0] == HOUR // 12
    assert bars["oi_index"][0] == pytest.approx(100 * (124 + 100) / (101 + 100))


def test_the_index_of_nothing_is_nothing() -> None:
    index, matched = chain_link(np.full((5, 2), NAN), np.ones((5, 2)), min_age=1)
    assert np.isnan(index).all()
    assert not matched.any()
