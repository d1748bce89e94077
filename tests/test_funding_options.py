"""Every option of the composite funding: weights, boundary, anchors, implied rates, published rates, APR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from markets import HOUR, bars_series, idle_clock, interest, perp, settlements, spot, time

from btcflow.config.experiment import Experiment
from btcflow.config.market_data import panel_of, shift_prepublished
from btcflow.contracts import Trial, hold, metric_subject
from btcflow.data.align import align
from btcflow.data.records import Dataset, Records, SeriesKey
from btcflow.data.simulate import simulate
from btcflow.errors import ConfigError, MissingData
from btcflow.fields import FIELDS
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.funding import venue_funding
from btcflow.flow.options import FlowOptions
from btcflow.instrument import Instrument

NAN = np.nan
A, B, C = perp("a"), perp("b"), perp("c")
ALL = ("close", "volume", "open_interest", "funding_paid", "funding_hours")


def every(hours: int, rate: float, *, days: int = 1) -> dict[int, float]:
    return dict.fromkeys(range(hours, 24 * days + 1, hours), rate)


def bars_of(series: Sequence[Records], *, days: int, start: str = "2024-01-01", **options: object) -> Bars:
    """Daily bars of some venues, with an hourly spot that spans them."""
    dataset = Dataset.of([bars_series(spot("s"), [100.0] * 24 * days, start=start), *series])
    kinds = {one.key.kind for one in dataset}
    needs = [name for name in ALL if FIELDS[name].kind in kinds]
    chosen = FlowOptions.model_validate({"funding": {"smooth": {"1D": 1}, **options}})
    return Bars(align(dataset, idle_clock(A), needs=needs), "1D", chosen)


# --- yearly rates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hours", "rate"), [(8, 1e-4), (1, 1.25e-5), (4, 5e-5)])
def test_one_basis_point_per_eight_hours_is_10_95_percent_simple_and_11_57_compounded(hours: int, rate: float) -> None:
    series = [settlements(A, every(hours, rate), spacing=hours)]
    assert bars_of(series, days=1, apr="simple")["funding_apr"] == pytest.approx([0.1095])
    assert bars_of(series, days=1, apr="compounded")["funding_apr"] == pytest.approx([0.11571], abs=5e-6)
    assert bars_of(series, days=1, apr="compounded")["funding_apr"] == pytest.approx([1.0001**1095 - 1], rel=1e-12)


def test_the_cap_of_bitmex_is_410_percent_simple() -> None:
    assert bars_of([settlements(A, every(8, 0.00375))], days=1)["funding_apr"] == pytest.approx([4.10625])


def test_the_worked_example_of_the_definitions_under_every_composite() -> None:
    """8 h equivalents 1 and 1.6 bp: 1.3 bp with equal weights, 1.45 bp where the second weighs three times as much."""
    day_one = [
        settlements(A, {8: 0.0001, 16: 0.0003, 24: -0.0001, 32: 0.0001, 40: 0.0003, 48: -0.0001}),
        settlements(B, every(1, 0.00002, days=2), spacing=1),
    ]
    held = [interest(A, dict.fromkeys(range(1, 49), 10.0)), interest(B, dict.fromkeys(range(1, 49), 30.0))]
    for composite, expected in (("median", 1.3e-4), ("mean", 1.3e-4), ("oi_weighted", 1.45e-4)):
        found = bars_of([*day_one, *held], days=2, composite=composite)
        assert found["funding_8h"][1] == pytest.approx(expected, rel=1e-12), composite
        assert found["funding_apr"][1] == pytest.approx(expected * 1095, rel=1e-12)


# --- weights ------------------------------------------------------------------------------------------


def weighed(second_day: float, **options: object) -> Bars:
    """Three days; A holds 10 BTC and B 10, then ``second_day`` from the first hour of the second day on."""
    rates = [settlements(A, every(8, 1e-4, days=3)), settlements(B, every(8, 5e-4, days=3))]
    mine = interest(A, dict.fromkeys(range(1, 73), 10.0))
    other = interest(B, {hour: 10.0 if hour <= 24 else second_day for hour in range(1, 73)})
    return bars_of([*rates, mine, other], days=3, composite="oi_weighted", **options)


def test_the_weight_is_the_open_interest_at_the_close_of_the_bar_before() -> None:
    assert weighed(10.0)["funding_8h"] == pytest.approx([NAN, 3e-4, 3e-4], nan_ok=True)
    assert weighed(12.0)["funding_8h"] == pytest.approx([NAN, 3e-4, (10 + 12 * 5) / 22 * 1e-4], nan_ok=True)
    assert weighed(12.0)["funding_venues"].tolist() == [0, 2, 2]


def test_contracts_weigh_what_they_are_worth_in_btc() -> None:
    """1,000 contracts of 1 USD at 100 USD are 10 BTC."""
    inverse = perp("b", margin="inverse", oi_unit="usd")
    rates = [settlements(A, every(8, 1e-4, days=2)), settlements(inverse, every(8, 5e-4, days=2))]
    held = [interest(A, dict.fromkeys(range(1, 49), 30.0)), interest(inverse, dict.fromkeys(range(1, 49), 1000.0))]
    bars = bars_of([*rates, *held], days=2, composite="oi_weighted")
    assert bars["funding_8h"][1] == pytest.approx(2e-4)


def test_a_venue_without_a_weight_does_not_count() -> None:
    rates = [settlements(one, every(8, rate, days=2)) for one, rate in ((A, 1e-4), (B, 5e-4))]
    only_a = interest(A, dict.fromkeys(range(1, 49), 10.0))
    bars = bars_of([*rates, only_a], days=2, composite="oi_weighted")
    assert bars["funding_8h"] == pytest.approx([NAN, 1e-4], nan_ok=True)
    assert bars["funding_venues"].tolist() == [0, 1]
    two = bars_of([*rates, only_a], days=2, composite="oi_weighted", min_venues=2)
    assert np.isnan(two["funding_8h"]).all()


def test_open_interest_weighs_for_a_day_after_its_last_snapshot_and_no_longer() -> None:
    rates = [settlements(one, every(8, rate, days=4)) for one, rate in ((A, 1e-4), (B, 5e-4))]
    stopped, lasting = (
        interest(A, dict.fromkeys(range(1, 25), 10.0)),
        interest(B, dict.fromkeys(range(1, 97), 10.0)),
    )
    bars = bars_of([*rates, stopped, lasting], days=4, composite="oi_weighted")
    assert bars["funding_venues"].tolist() == [0, 2, 2, 1]
    assert bars["funding_8h"] == pytest.approx([NAN, 3e-4, 3e-4, 5e-4], nan_ok=True)


def test_volume_weights_equal_a_loop_over_the_records(dataset: Dataset) -> None:
    panel = align(dataset, idle_clock(A), needs=ALL)
    options = FlowOptions.model_validate({"funding": {"composite": "volume_weighted"}})
    for timeframe in ("1D", "1W"):
        bars = Bars(panel, timeframe, options)
        venues = venue_funding(bars)
        names = [one.id for one in panel.instruments if one.role == "perp"]
        names = [
            name for name in names if any(one.instrument.id == name and one.key.kind == "funding" for one in dataset)
        ]
        expected = [NAN]
        for t in range(1, len(bars)):
            start, end, pairs = bars.opens[t - 1], bars.closes[t - 1], []
            for place, name in enumerate(names):
                prices = dataset.find(name, "ohlcv")
                weight = prices.column("volume")[(prices.stamp >= start) & (prices.stamp < end)].sum()
                if weight > 0 and np.isfinite(venues[t, place]):
                    pairs.append((weight, venues[t, place]))
            expected.append(sum(w * f for w, f in pairs) / sum(w for w, _ in pairs) if pairs else NAN)
        assert len({int(count) for count in bars["funding_venues"]} - {0}) >= 2, "venues are listed on the way"
        np.testing.assert_allclose(bars["funding_8h_raw"], expected, rtol=1e-12)


def test_equal_weights_make_the_mean_and_a_composite_without_anything_to_weigh_by_is_refused() -> None:
    rates = [settlements(one, every(8, rate, days=2)) for one, rate in ((A, 1e-4), (B, 2e-4), (C, 9e-4))]
    held = [interest(one, dict.fromkeys(range(1, 49), 7.0)) for one in (A, B, C)]
    mean = bars_of(rates, days=2, composite="mean")["funding_8h"]
    assert mean == pytest.approx([4e-4, 4e-4])
    assert bars_of([*rates, *held], days=2, composite="oi_weighted")["funding_8h"][1] == pytest.approx(mean[1])
    with pytest.raises(MissingData, match="no perpetual with funding has volume"):
        assert bars_of(rates, days=2, composite="volume_weighted")["funding_8h"]


# --- boundary -----------------------------------------------------------------------------------------


def test_on_tradingview_the_settlement_on_the_close_opens_the_next_bar() -> None:
    rates = {0: 9e-4, 8: 1e-4, 16: 2e-4, 24: 3e-4, 32: 4e-4, 40: 5e-4, 48: 6e-4}
    for boundary, expected in (("accrual_end", [2e-4, 5e-4]), ("tv_open", [4e-4, 4e-4])):
        assert bars_of([settlements(A, rates)], days=2, boundary=boundary)["funding_8h"][-2:] == pytest.approx(expected)


def test_a_settlement_inside_the_bar_is_the_same_by_both_boundaries() -> None:
    rates = {hour: 1e-4 * hour for hour in (4, 12, 20, 28, 36, 44)}
    one, other = (
        bars_of([settlements(A, rates)], days=2, boundary=way)["funding_8h"] for way in ("accrual_end", "tv_open")
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("timeframe", ["1D", "3D", "1W", "8h"])
def test_the_bar_of_tradingview_equals_a_loop_over_half_open_bars(dataset: Dataset, timeframe: str) -> None:
    events = [one for one in dataset if one.key.kind == "funding"]
    options = FlowOptions.model_validate({"funding": {"boundary": "tv_open"}})
    bars = Bars(align(dataset, idle_clock(A), needs=ALL), timeframe, options)
    expected = []
    for start, end in zip(bars.opens.tolist(), bars.closes.tolist(), strict=True):
        found = []
        for one in events:
            rows = np.flatnonzero((one.stamp >= start) & (one.stamp < end))
            hours = one.column("spacing_hours")[rows]
            if len(rows) and hours.sum() >= 0.8 * (end - start) / HOUR:
                found.append(
                    float(np.average(8 * one.column("rate")[rows] / one.column("rate_hours")[rows], weights=hours))
                )
        expected.append(np.median(found) if found else NAN)
    np.testing.assert_allclose(bars["funding_8h_raw"], expected, rtol=1e-9, atol=1e-15)


# --- anchors ------------------------------------------------------------------------------------------


def known_perp(venue: str, symbol: str, margin: str = "linear") -> Instrument:
    return replace(perp(venue, "USDT", margin=margin), symbol=symbol)


def test_each_venue_is_measured_from_the_interest_of_its_own_rules() -> None:
    """Binance rests at 1 bp, Deribit at none: both 0.5 bp above is 0.5 bp."""
    binance, deribit = known_perp("binance", "BTCUSDT"), known_perp("deribit", "BTC-PERPETUAL", "inverse")
    series = [settlements(binance, every(8, 1.5e-4)), settlements(deribit, every(1, 0.5e-4 / 8), spacing=1)]
    assert bars_of(series, days=1)["funding_8h"] == pytest.approx([1e-4])
    assert venue_funding(bars_of(series, days=1, anchor_adjust=True))[0] == pytest.approx([0.5e-4, 0.5e-4])
    assert bars_of(series, days=1, anchor_adjust=True)["funding_8h"] == pytest.approx([0.5e-4])


def test_the_interest_is_that_of_the_era() -> None:
    """OKX had none until April 2025 and 1 bp since; the settlement at the change is of the old kind."""
    swap = settlements(known_perp("okx", "BTC-USDT-SWAP"), every(8, 1e-4, days=3), start="2025-04-23")
    adjusted = bars_of([swap], days=3, start="2025-04-23", anchor_adjust=True)["funding_8h"]
    assert adjusted == pytest.approx([1e-4, 0.0, 0.0], abs=1e-18)


def test_a_venue_whose_rules_are_not_known_has_no_adjusted_funding() -> None:
    """MEXC in 2021: the rates pile up, but at what nobody says."""
    series = [
        settlements(known_perp("mexc", "BTC_USDT"), every(8, 9e-4), start="2021-05-03"),
        settlements(known_perp("binance", "BTCUSDT"), every(8, 3e-4), start="2021-05-03"),
    ]
    bars = bars_of(series, days=1, start="2021-05-03", anchor_adjust=True)
    assert bars["funding_8h"] == pytest.approx([2e-4])
    assert bars["funding_venues"].tolist() == [1]


def test_a_venue_that_no_file_lists_is_refused_unless_it_is_simulated() -> None:
    made = bars_of([settlements(A, every(8, 3e-4))], days=1, anchor_adjust=True)
    assert made["funding_8h"] == pytest.approx([2e-4]), "the simulated market rests at 1 bp"
    real = Bars(replace(made.panel, synthetic=False), "1D", made.options)
    with pytest.raises(ConfigError, match=r"anchor of a:BTCUSD-PERP, and no venue file lists it"):
        assert real["funding_8h"]


# --- implied rates ------------------------------------------------------------------------------------


def implied(premium: Sequence[float], *, start: str = "2024-01-01", **options: object) -> Bars:
    """One perpetual at so much over a spot of 100, hour by hour; no funding is read."""
    prices = bars_series(A, [100.0 * (1 + one) for one in premium], start=start)
    hours = [bars_series(spot("s"), [100.0] * len(premium), start=start), prices]
    chosen = {"source": "implied", "smooth": {"1D": 1, "8h": 1}, **options}
    return Bars(
        align(Dataset.of(hours), idle_clock(A), needs=["close"]), "8h", FlowOptions.model_validate({"funding": chosen})
    )


@pytest.mark.parametrize(
    ("premium", "rate"),
    [(0.0, 1e-4), (-4e-4, 1e-4), (6e-4, 1e-4), (10e-4, 5e-4), (-10e-4, -5e-4), (-4.1e-4, 0.9e-4), (6.1e-4, 1.1e-4)],
)
def test_inside_the_dead_zone_the_premium_does_not_show(premium: float, rate: float) -> None:
    found = implied([premium] * 8)["funding_8h"]
    assert found == pytest.approx([rate], abs=1e-15)
    if -4e-4 < premium < 6e-4:
        assert found[0] == 1e-4


def test_the_premium_is_the_mean_of_the_eight_hours_that_end_at_the_settlement() -> None:
    premium = [8e-4, 12e-4] * 4 + [0.0] * 7 + [40e-4]
    assert implied(premium)["funding_8h"] == pytest.approx([5e-4, 1e-4])


def test_an_interval_needs_seven_of_its_eight_hours() -> None:
    assert implied([NAN, *[10e-4] * 7])["funding_8h"] == pytest.approx([5e-4])
    assert np.isnan(implied([NAN, NAN, *[10e-4] * 6, *[0.0] * 8])["funding_8h"]).tolist() == [True, False]


def test_adjusted_for_the_anchor_an_implied_rate_is_zero_in_the_dead_zone() -> None:
    assert implied([0.0] * 8 + [10e-4] * 8, anchor_adjust=True)["funding_8h"] == pytest.approx([0.0, 4e-4])


def test_a_perpetual_is_compared_with_spots_of_its_own_currency() -> None:
    dollars, tether = spot("s"), spot("t", "USDT")
    own, other = perp("a"), perp("b", "USDT")
    hours = [
        bars_series(what, [price] * 8)
        for what, price in ((dollars, 100), (tether, 104), (own, 100.1), (other, 104.104))
    ]
    panel = align(Dataset.of(hours), idle_clock(A), needs=["close"])
    options = FlowOptions.model_validate({"funding": {"source": "implied"}})
    assert venue_funding(Bars(panel, "8h", options))[0] == pytest.approx([5e-4, 5e-4])
    lone = Bars(align(Dataset.of([hours[1], hours[2]]), idle_clock(A), needs=["close"]), "8h", options)
    with pytest.raises(MissingData, match="no perpetual has prices and a spot in its quote currency"):
        venue_funding(lone)


def test_daily_closes_imply_no_rate_of_eight_hours() -> None:
    days = [bars_series(spot("s"), [100.0] * 3, timeframe="1D"), bars_series(A, [101.0] * 3, timeframe="1D")]
    panel = align(Dataset.of(days), idle_clock(A), needs=["close"])
    with pytest.raises(MissingData, match="sampled every 8 hours or finer"):
        venue_funding(Bars(panel, "1D", FlowOptions.model_validate({"funding": {"source": "implied"}})))


@pytest.mark.parametrize("timeframe", ["1D", "1W"])
def test_implied_funding_equals_a_loop_over_prices(dataset: Dataset, timeframe: str) -> None:
    panel = align(dataset, idle_clock(A), needs=ALL)
    bars = Bars(panel, timeframe, FlowOptions.model_validate({"funding": {"source": "implied"}}))
    closes = {
        one.instrument: dict(zip(one.ends.tolist(), one.column("close").tolist(), strict=True))
        for one in dataset
        if one.key.kind == "ohlcv"
    }
    rates: dict[Instrument, dict[int, float]] = {}
    for what in (one for one in closes if one.role == "perp"):
        spots = [closes[one] for one in closes if one.role == "spot" and one.quote == what.quote]
        rates[what] = {}
        for end in range(8 * HOUR * (min(closes[what]) // (8 * HOUR)), max(closes[what]) + 1, 8 * HOUR):
            hours = [end - k * HOUR for k in range(8) if end - k * HOUR in closes[what]]
            found = [closes[what][h] / float(np.median([one[h] for one in spots if h in one])) - 1 for h in hours]
            if len(found) >= 7:
                mean = sum(found) / len(found)
                rates[what][end] = mean + min(max(1e-4 - mean, -5e-4), 5e-4)
    expected = []
    for start, end in zip(bars.opens.tolist(), bars.closes.tolist(), strict=True):
        venues = [[rate for at, rate in one.items() if start < at <= end] for one in rates.values()]
        whole = [sum(one) / len(one) for one in venues if len(one) * 8 * HOUR >= 0.8 * (end - start)]
        expected.append(np.median(whole) if whole else NAN)
    assert len(rates) >= 2
    np.testing.assert_allclose(bars["funding_8h_raw"], expected, rtol=1e-7, atol=1e-13)
    reported = Bars(panel, timeframe)["funding_8h_raw"]
    both = np.isfinite(reported) & np.isfinite(bars["funding_8h_raw"])
    alike = np.corrcoef(reported[both], bars["funding_8h_raw"][both])[0, 1]
    assert alike > 0.8, "the simulated venues pay by the same formula"


# --- rates that were published before they were paid --------------------------------------------------

BITMEX = known_perp("bitmex", "XBTUSD")


def test_bitmex_is_known_one_interval_before_it_is_paid() -> None:
    before = settlements(BITMEX, {4: 1e-4, 12: 2e-4, 20: 3e-4})
    after = shift_prepublished(before)
    assert after.stamp.tolist() == (before.stamp - 8 * HOUR).tolist()
    assert after.known_at.tolist() == after.stamp.tolist()
    assert after.column("rate").tolist() == before.column("rate").tolist()
    assert before.stamp[0] == time("2024-01-01 04:00").value, "the records themselves are left alone"


def test_other_venues_and_other_series_stay_where_they_are() -> None:
    for one in (
        settlements(known_perp("binance", "BTCUSDT"), every(8, 1e-4)),
        settlements(A, every(8, 1e-4)),
        bars_series(BITMEX, [100.0] * 4),
        interest(BITMEX, {1: 5.0}),
        settlements(BITMEX, {}),
    ):
        assert shift_prepublished(one) is one


def test_one_that_became_known_late_is_not_claimed_to_have_been_known_early() -> None:
    after = shift_prepublished(settlements(BITMEX, {12: 2e-4}, late=3))
    assert after.stamp[0] == time("2024-01-01 04:00").value
    assert after.known_at[0] == time("2024-01-01 15:00").value


def test_where_a_venue_changes_its_way_no_interval_has_two_rates() -> None:
    """OKX BTC-USD-SWAP from 18 July 2019 04:00 on charged the rate of the interval before, until 4 January 2024."""
    swap = known_perp("okx", "BTC-USD-SWAP", "inverse")
    began = shift_prepublished(settlements(swap, {h: h * 1e-5 for h in (4, 12, 20, 28, 36)}, start="2019-07-17 16:00"))
    hours = (began.stamp - time("2019-07-17 16:00").value) // HOUR
    assert dict(zip(hours.tolist(), began.column("rate").round(6).tolist(), strict=True)) == {
        4: 4e-5,
        12: 12e-5,
        20: 28e-5,
        28: 36e-5,
    }
    ended = shift_prepublished(settlements(swap, {h: h * 1e-5 for h in (8, 16, 24, 32)}, start="2024-01-03"))
    assert ((ended.stamp - time("2024-01-03").value) // HOUR).tolist() == [0, 8, 16, 32]


def test_signals_read_the_shifted_copy_and_cash_flows_never_move() -> None:
    hours, stamps = 24 * 4, {h: h * 1e-6 for h in range(4, 24 * 4, 8)}
    data = Dataset.of(
        [bars_series(spot("s"), [100.0] * hours), bars_series(BITMEX, [100.0] * hours), settlements(BITMEX, stamps)]
    )
    plain, shifted = (panel_of(_experiment(move), data, needs=["close", "funding_paid"]) for move in (False, True))
    np.testing.assert_array_equal(plain.clock.funding, shifted.clock.funding)
    assert plain.clock.funding.any()
    was = dict(zip(plain.opens.tolist(), plain["funding_paid"][:, 1].tolist(), strict=True))
    now = dict(zip(shifted.opens.tolist(), shifted["funding_paid"][:, 1].tolist(), strict=True))
    moved = {at - 8 * HOUR: rate for at, rate in was.items() if np.isfinite(rate)}
    assert moved == {at: rate for at, rate in now.items() if np.isfinite(rate)}
    assert len(moved) == 12


def _experiment(move: bool) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "paid",
            "data": {"source": "store"},
            "timeframe": "1D",
            "strategy": "funding_fade",
            "market": {"instrument": BITMEX.id, "missing_funding": "report"},
            "funding": {"shift_prepublished": move},
        }
    )


# --- laws ---------------------------------------------------------------------------------------------

CHOICES: dict[str, dict[str, object]] = {
    "mean": {"composite": "mean"},
    "oi_weighted": {"composite": "oi_weighted"},
    "volume_weighted": {"composite": "volume_weighted", "min_venues": 2},
    "tv_open": {"boundary": "tv_open"},
    "anchor_adjust": {"anchor_adjust": True},
    "implied": {"source": "implied"},
    "compounded": {"apr": "compounded"},
    "all at once": {
        "source": "implied",
        "composite": "oi_weighted",
        "boundary": "tv_open",
        "anchor_adjust": True,
        "apr": "compounded",
    },
}


@pytest.fixture(scope="module")
def market() -> Dataset:
    return simulate(seed=3, years=0.8)


@pytest.fixture(scope="module")
def trials(market: Dataset) -> dict[str, Trial]:
    return {frame: Trial(dataset=market, timeframe=frame, fields=ALL) for frame in ("1D", "1W")}


@pytest.mark.parametrize("frame", ["1D", "1W"])
@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_keeps_every_law(choice: str, frame: str, trials: dict[str, Trial]) -> None:
    options = FlowOptions.model_validate({"funding": CHOICES[choice]})
    for name in ("funding_apr", "funding_venues", "fund_z"):
        subject = metric_subject(METRICS.get(name), frame, window=12, options=options)
        hold(replace(subject, needs=options.widen(subject.needs)), trials[frame])
    bars = trials[frame].bars(trials[frame].panel, options)
    assert np.isfinite(bars["funding_apr"]).sum() > 0.8 * len(bars)


def test_rates_published_before_they_are_paid_keep_every_law(market: Dataset) -> None:
    """The simulated venue that settles at 04, 12 and 20 UTC, under the name of BitMEX."""
    renamed = Dataset.of(market.map(_as_bitmex))
    moved = renamed.map(shift_prepublished)
    assert any(not np.array_equal(x.stamp, y.stamp) for x, y in zip(renamed, moved, strict=True))
    trial = Trial(dataset=moved, timeframe="1D")
    for name in ("funding_8h_raw", "funding_venues", "fund_z"):
        hold(metric_subject(METRICS.get(name), "1D", window=30), trial)


def _as_bitmex(one: Records) -> Records:
    if one.instrument.venue != "sim_bravo":
        return one
    what = replace(one.instrument, venue="bitmex", symbol="XBTUSD")
    return replace(one, instrument=what, key=SeriesKey("bitmex", "XBTUSD", one.key.kind, one.key.timeframe))
