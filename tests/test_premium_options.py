"""The options of the premium: quote modes, currencies, weights, dated groups, the exchanges' own index."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from markets import HOUR, bars_series, panel_of, perp, spot

from btcflow.contracts import LAWS, Trial, metric_subject, violations
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import simulate
from btcflow.errors import ConfigError, MissingData
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.options import FlowOptions, PremiumOptions
from btcflow.flow.premium import shown
from btcflow.instrument import Instrument

NAN = np.nan
PLAIN = {"smooth": {"1h": 1, "4h": 1, "1D": 1, "3D": 1, "1W": 1}}
MODES, AGGREGATES = ("matched", "convert", "raw"), ("median", "mean", "volume_weighted")
TETHER = Instrument(venue="fx", symbol="USDT/USD", role="spot", quote="USD")
PAIR = [spot("a"), perp("b")]
FOUR = [spot("a"), spot("b", "USDT"), perp("c"), perp("d", "USDT")]


def bars_of(
    instruments: Sequence[Instrument],
    close: object,
    timeframe: str = "1D",
    *,
    sampling: Sequence[int] | None = None,
    fields: Mapping[str, object] | None = None,
    **options: object,
) -> Bars:
    given = {"close": sampling} if sampling is not None else None
    chosen = FlowOptions(premium=PremiumOptions(**{**PLAIN, **options}))  # type: ignore[arg-type]
    return Bars(panel_of(instruments, sampling=given, close=close, **(fields or {})), timeframe, chosen)


def one_day(*prices: float) -> np.ndarray:
    return np.tile(np.array(prices, dtype=float), (24, 1))


def daily(values: Sequence[float]) -> np.ndarray:
    """Daily closes on hourly rows."""
    out = np.full(24 * len(values), NAN)
    out[23::24] = values
    return out


# --- golden -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("quote", ["USD", "USDT"])
def test_the_worked_example_of_the_definitions_in_every_quote_mode(mode: str, quote: str) -> None:
    legs = [*(spot(f"s{i}", quote) for i in range(3)), *(perp(f"p{i}", quote) for i in range(4)), TETHER]
    prices = (100_000, 100_020, 99_990, 100_050, 100_040, 100_080, 100_500, 0.95)
    bars = bars_of(legs, one_day(*prices), quote_mode=mode)
    assert bars["perp_premium"].round(6).tolist() == [0.065]
    assert bars["spot_premium"].round(6).tolist() == [-0.064958]
    assert bars["premium_legs"].tolist() == [7]
    mean = bars_of(legs, one_day(*prices[:1], NAN, NAN, *prices[3:]), quote_mode=mode, agg="mean")
    assert mean["perp_premium"].round(6).tolist() == [0.1675]


# --- against slow loops -------------------------------------------------------------------------------

LEGS = [
    spot("a"),
    spot("b"),
    spot("c", "USDT"),
    spot("d", "USDT"),
    perp("e"),
    perp("f"),
    perp("g", "USDT"),
    perp("h", "USDT"),
    perp("i", "USDT"),
]


def rough_market(rows: int = 24 * 15) -> tuple[np.ndarray, np.ndarray]:
    """Prices with holes, outliers and a wandering tether; volumes of which some are 0 or absent."""
    random = np.random.default_rng(6)
    common = np.cumsum(0.01 * random.normal(size=(rows, 1)), axis=0)
    close = 100 * np.exp(common + 0.002 * random.normal(size=(rows, len(LEGS))))
    tether = np.exp(0.04 * np.sin(np.arange(rows) / 50))
    close[:, [one.quote == "USDT" for one in LEGS]] /= tether[:, None]
    close *= np.where(random.random(close.shape) < 0.04, np.exp(random.normal(0, 0.1, close.shape)), 1)
    close[random.random(close.shape) < 0.25] = NAN
    close[100:112, :2] = NAN  # no dollar spot, so no tether, for longer than it is held
    volume = random.exponential(size=close.shape)
    volume[random.random(close.shape) < 0.1] = NAN
    volume[random.random(close.shape) < 0.1] = 0.0
    return close, volume


def near(prices: dict[int, float]) -> dict[int, float]:
    if len(prices) < 3:
        return prices
    middle = statistics.median(prices.values())
    return {v: price for v, price in prices.items() if abs(math.log(price / middle)) <= 0.05}


def middle_of(prices: dict[int, float], agg: str, weights: dict[int, float]) -> float:
    if not prices:
        return NAN
    if agg == "volume_weighted":
        return sum(weights[v] * price for v, price in prices.items()) / sum(weights[v] for v in prices)
    return statistics.median(prices.values()) if agg == "median" else statistics.fmean(prices.values())


def side(prices: dict[int, float], role: str) -> dict[int, float]:
    return {v: price for v, price in prices.items() if LEGS[v].role == role}


def slow_premium(close: np.ndarray, volume: np.ndarray, mode: str, agg: str) -> list[float]:
    """Hour by hour and leg by leg."""
    found, rate, age = [], NAN, 0
    for hour, row in enumerate(close.tolist()):
        live = {v: price for v, price in enumerate(row) if not math.isnan(price)}
        before = volume[hour - 1].tolist() if hour else [0.0] * len(row)
        weights = {v: one for v, one in enumerate(before) if one > 0}
        by_quote = {
            quote: near({v: price for v, price in live.items() if LEGS[v].quote == quote}) for quote in ("USD", "USDT")
        }
        dollar, tether = (list(side(by_quote[quote], "spot").values()) for quote in ("USD", "USDT"))
        age += 1
        if dollar and tether:
            rate, age = statistics.median(dollar) / statistics.median(tether), 0
        if mode == "convert":
            known = age <= 6 and not math.isnan(rate)
            worth = {v: 1.0 if LEGS[v].quote == "USD" else rate for v in live}
            baskets = [near({v: p * worth[v] for v, p in live.items() if LEGS[v].quote == "USD" or known})]
        else:
            baskets = list(by_quote.values()) if mode == "matched" else [by_quote["USD"] | by_quote["USDT"]]
        if agg == "volume_weighted":
            baskets = [{v: price for v, price in one.items() if v in weights} for one in baskets]
        values = [
            100 * (middle_of(side(one, "perp"), agg, weights) / middle_of(side(one, "spot"), agg, weights) - 1)
            for one in baskets
            if side(one, "perp") and side(one, "spot")
        ]
        found.append(statistics.median(values) if values else NAN)
    return found


@pytest.mark.parametrize(("mode", "agg"), list(itertools.product(MODES, AGGREGATES)))
def test_every_mode_and_aggregate_equals_the_loop_on_a_rough_market(mode: str, agg: str) -> None:
    close, volume = rough_market()
    expected = slow_premium(close, volume, mode, agg)
    found = bars_of(LEGS, close, "1h", fields={"volume": volume}, quote_mode=mode, agg=agg)["perp_premium_raw"]
    assert 0.01 < np.isnan(expected).mean() < 0.4
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


# --- tether -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tether", [0.92, 0.96])
def test_raw_reads_a_broken_tether_as_a_premium_and_the_other_modes_do_not(tether: float) -> None:
    """15 October 2018: a spot in dollars against a perpetual in USDT reads 4 to 8 % rich."""
    random = np.random.default_rng(7)
    close = one_day(100, 100, 100.05, 100.05) * np.exp(1e-4 * random.normal(size=(24, 4)))
    broken = close / np.where([one.quote == "USDT" for one in FOUR], tether, 1)
    for mode in MODES:
        calm, after = (bars_of(FOUR, one, quote_mode=mode, max_dev=9)["perp_premium"][0] for one in (close, broken))
        if mode != "raw":
            assert after == pytest.approx(calm, abs=1e-9)
    bare = [FOUR[0], FOUR[3]]
    raw = bars_of(bare, broken[:, [0, 3]], quote_mode="raw")["perp_premium"]
    assert raw == pytest.approx([100 * (1.0005 / tether - 1)], abs=0.02)
    assert 4 < raw[0] < 8.8
    rated = bars_of([*bare, TETHER], np.column_stack([broken[:, [0, 3]], np.full(24, tether)]), quote_mode="convert")
    assert rated["perp_premium"] == pytest.approx([0.05], abs=0.02)


def test_with_tether_at_par_convert_equals_matched_on_the_same_legs_in_dollars() -> None:
    close, _ = rough_market()
    par = np.column_stack([close, np.ones(len(close))])
    in_dollars = [replace(one, quote="USD") for one in LEGS]
    convert = bars_of([*LEGS, TETHER], par, "1h", quote_mode="convert")["perp_premium_raw"]
    matched = bars_of([*in_dollars, TETHER], par, "1h")["perp_premium_raw"]
    assert convert.tobytes() == matched.tobytes()
    assert np.isfinite(convert).mean() > 0.9


def test_the_rate_is_read_from_the_instrument_called_so_and_else_from_the_spots() -> None:
    close = one_day(100, 125, 100.1, 125.5)
    by_spots = bars_of(FOUR, close, quote_mode="convert")
    assert by_spots["perp_premium"] == pytest.approx([100 * ((100.1 + 100.4) / 2 / 100 - 1)])
    quoted = bars_of([*FOUR, TETHER], np.column_stack([close, np.full(24, 0.81)]), quote_mode="convert")
    spots, perps = (100 + 125 * 0.81) / 2, (100.1 + 125.5 * 0.81) / 2
    assert quoted["perp_premium"] == pytest.approx([100 * (perps / spots - 1)])


@pytest.mark.parametrize("symbol", ["USDT/USD", "USDT-USD", "usdtusd"])
@pytest.mark.parametrize("mode", MODES)
def test_a_pair_of_currencies_is_never_taken_for_a_bitcoin_price(mode: str, symbol: str) -> None:
    close = np.column_stack([one_day(100, 100.1), np.ones(24)])
    bars = bars_of([*PAIR, replace(TETHER, symbol=symbol)], close, quote_mode=mode)
    assert bars["perp_premium"] == pytest.approx([0.1])
    assert bars["premium_legs"].tolist() == [2]


def test_a_rate_is_held_for_six_hours_and_then_its_legs_are_left_out() -> None:
    close = np.column_stack([one_day(100, NAN, 100.2, 125.5), np.full(24, NAN)])
    close[2, 4] = 0.8
    bars = bars_of([*FOUR, TETHER], close, "1h", quote_mode="convert")
    expected = [0.2] * 2 + [100 * ((100.2 + 100.4) / 200 - 1)] * 7 + [0.2] * 15
    assert bars["perp_premium_raw"] == pytest.approx(expected)
    assert bars["premium_legs"].tolist() == [2] * 2 + [3] * 7 + [2] * 15


def test_a_currency_without_a_rate_has_no_place_in_a_basket_of_dollars() -> None:
    legs = [*PAIR, perp("c", "EUR")]
    assert bars_of(legs, one_day(100, 100.1, 90), quote_mode="convert")["perp_premium"] == pytest.approx([0.1])
    with pytest.raises(
        MissingData, match="names EUR, and the panel has no prices in it that can be brought to dollars"
    ):
        _ = bars_of(legs, one_day(100, 100.1, 90), quote_mode="convert", groups=["EUR"])["perp_premium"]


def test_a_matched_group_without_a_spot_leg_falls_back_to_dollars() -> None:
    legs = [spot("a"), perp("c"), perp("d", "USDT"), TETHER]
    close = one_day(100, 100.1, 125.5, 0.8)
    bars = bars_of(legs, close)
    assert bars["perp_premium"] == pytest.approx([(0.1 + 0.4) / 2])
    assert bars["premium_legs"].tolist() == [3], "the one spot stands in both groups, and is one leg"
    assert np.isnan(bars_of(legs, close, min_spot=2)["perp_premium"]).all()
    assert bars_of(legs, close, groups=["USDT"])["perp_premium"] == pytest.approx([0.4])
    with pytest.raises(MissingData, match="groups with both sides: USD"):
        _ = bars_of(legs[:3], close[:, :3], groups=["USDT"])["perp_premium"]


def test_inverse_perpetuals_fall_back_to_the_spots_in_tether() -> None:
    """No dollar spot at all: the quoted rate brings the tether spots to dollars."""
    legs = [spot("b", "USDT"), perp("c"), TETHER]
    assert bars_of(legs, one_day(125, 100.1, 0.8))["perp_premium"] == pytest.approx([0.1])


def test_a_group_falls_back_until_its_first_spot_price_and_never_again() -> None:
    """Its spot lists in hour 6 and is out from hour 12 on: an outage is a hole, not another comparison."""
    close = np.column_stack([one_day(100, 125, 100.1, 125.5), np.full(24, 0.8)])
    close[:6, 1] = close[12:, 1] = NAN
    close[6:, 4] = 0.9
    bars = bars_of([*FOUR, TETHER], close, "1h")
    assert bars["perp_premium_raw"] == pytest.approx([(0.1 + 0.4) / 2] * 12 + [0.1] * 12)
    assert bars["premium_legs"].tolist() == [3] * 6 + [4] * 6 + [2] * 12


def test_before_a_quoted_rate_begins_the_spots_tell_the_rate() -> None:
    close = np.column_stack([one_day(100, 125, 100.1, 125.5), np.full(24, 0.81)])
    close[:10, 4] = NAN
    bars = bars_of([*FOUR, TETHER], close, "1h", quote_mode="convert")["perp_premium_raw"]
    by_spots, quoted = (100.1 + 100.4) / 200, (100.1 + 125.5 * 0.81) / (100 + 125 * 0.81)
    assert bars == pytest.approx([100 * (by_spots - 1)] * 10 + [100 * (quoted - 1)] * 14)


# --- weights ------------------------------------------------------------------------------------------


def test_weights_are_the_volumes_of_the_hour_before() -> None:
    legs = [spot("a"), perp("b"), perp("c")]
    close = np.tile([100.0, 100.1, 100.4], (4, 1))
    volume = np.array([[1, 1, 2], [1, 3, 0], [1, NAN, 5], [9, 9, 9]])
    bars = bars_of(legs, close, "1h", fields={"volume": volume}, agg="volume_weighted")
    assert bars["perp_premium_raw"] == pytest.approx([NAN, 0.3, 0.1, 0.4], nan_ok=True)
    assert bars["premium_legs"].tolist() == [0, 3, 2, 2]


def test_the_volume_of_an_hour_never_moves_its_own_premium() -> None:
    random = np.random.default_rng(9)
    close, volume = 100 * np.exp(1e-3 * random.normal(size=(48, 9))), random.exponential(size=(48, 9))
    other = volume.copy()
    other[30] *= np.arange(1, 10)
    fields = ({"volume": volume}, {"volume": other})
    before, after = (
        bars_of(LEGS, close, "1h", fields=one, agg="volume_weighted")["perp_premium_raw"] for one in fields
    )
    assert np.flatnonzero(before[1:] != after[1:]).tolist() == [30], "the hour after, rows counted from the second"


def test_the_weight_of_a_daily_sample_is_the_volume_of_the_day_before() -> None:
    """An hourly perpetual and a daily one: one BTC an hour weighs as much as 24 a day."""
    legs = [spot("a"), perp("b"), perp("c")]
    close = np.column_stack([daily([100] * 3), np.full(72, 100.1), daily([100.4] * 3)])
    volume = np.column_stack(
        [daily([1] * 3), np.r_[np.ones(24), np.full(24, 2.0), np.full(24, 99)], daily([24, 24, 7])]
    )
    bars = bars_of(legs, close, sampling=[24, 1, 24], fields={"volume": volume}, agg="volume_weighted")
    assert bars["perp_premium_raw"] == pytest.approx([NAN, 0.25, 0.2], nan_ok=True)


# --- dated groups -------------------------------------------------------------------------------------


def test_a_dated_group_counts_inside_its_dates_and_touches_no_other_sample() -> None:
    close, _ = rough_market()
    both, usd = ["USD", "USDT"], ["USD"]
    dated = ["USD", {"quote": "USDT", "since": "2024-01-04", "until": "2024-01-09"}]
    whole, plain, found = (
        bars_of(LEGS, close, "1h", groups=groups)["perp_premium_raw"] for groups in (both, usd, dated)
    )
    inside = np.zeros(len(close), dtype=bool)
    inside[24 * 3 : 24 * 8] = True
    np.testing.assert_array_equal(found, np.where(inside, whole, plain))
    assert (whole[inside] != plain[inside]).mean() > 0.5


def test_a_group_named_twice_counts_in_either_stretch_and_an_open_end_has_no_limit() -> None:
    close = np.repeat([[100.0, 100.1]], 24 * 6, axis=0)
    dates = [{"quote": "USD", "until": "2024-01-02"}, {"quote": "USD", "since": "2024-01-05"}]
    found = bars_of(PAIR, close, groups=dates)["perp_premium_raw"]
    assert found == pytest.approx([0.1, NAN, NAN, NAN, 0.1, 0.1], nan_ok=True)
    assert bars_of(PAIR, close, groups=dates)["premium_legs"].tolist() == [2, 0, 0, 0, 2, 2]


@pytest.mark.parametrize("mode", ["convert", "raw"])
def test_dates_hold_in_a_joint_basket_too(mode: str) -> None:
    close = np.repeat([[100.0, 100.0, 100.1, 100.3]], 72, axis=0)
    dated = ["USD", {"quote": "USDT", "since": "2024-01-03"}]
    assert bars_of(FOUR, close, groups=dated, quote_mode=mode)["perp_premium_raw"] == pytest.approx([0.1, 0.1, 0.2])


def test_a_daily_group_that_leaves_gives_way_to_hourly_samples() -> None:
    """Daily closes while the daily group counts; every hour after; a bar over both weighs them by their hours."""
    hourly = np.full((24 * 7, 2), [100.0, 104.0])
    hourly[23::24, 1] = 100.1
    close = np.column_stack([daily([100] * 7), hourly[:, 0], daily([100.3] * 7), hourly[:, 1]])
    groups = [{"quote": "USD", "until": "2024-01-03"}, "USDT"]
    days, week = (bars_of(FOUR, close, one, sampling=[24, 1, 24, 1], groups=groups) for one in ("1D", "1W"))
    by_hour = (23 * 4 + 0.1) / 24
    assert days["perp_premium_raw"] == pytest.approx([0.2, 0.2] + [by_hour] * 5)
    assert week["perp_premium_raw"] == pytest.approx([(2 * 0.2 + 5 * by_hour) / 7])
    alone = bars_of(FOUR, close, "1D", sampling=[24, 1, 24, 1], groups=["USDT"])["perp_premium_raw"]
    assert days["perp_premium_raw"][2:].tobytes() == alone[2:].tobytes()


def test_the_hours_of_a_bar_that_no_group_covers_count_as_missing() -> None:
    close = np.repeat([[100.0, 100.1]], 24 * 7, axis=0)
    for until, expected in (("2024-01-07", 0.1), ("2024-01-06", NAN)):
        found = bars_of(PAIR, close, "1W", groups=[{"quote": "USD", "until": until}])["perp_premium_raw"]
        assert found == pytest.approx([expected], nan_ok=True)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ({"since": "2024-13-01"}, "since of USD is 2024-13-01, which is no day"),
        ({"since": "2024-01-02", "until": "2024-01-02"}, "which is no time at all"),
    ],
)
def test_dates_that_make_no_sense_are_refused(dates: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _ = bars_of(PAIR, one_day(100, 100.1), groups=[{"quote": "USD", **dates}])["perp_premium"]


# --- the exchanges' own index ---------------------------------------------------------------------------


def test_the_exchange_index_is_the_median_over_perpetuals_in_percent() -> None:
    legs = [spot("a"), perp("b"), perp("c", "USDT"), perp("d")]
    index = np.tile([NAN, 2e-4, 4e-4, 9e-4], (48, 1))
    index[24:, 3] = NAN
    bars = bars_of(legs, np.full((48, 4), 100.0), fields={"premium_index": index}, source="exchange_index")
    assert bars["perp_premium_raw"] == pytest.approx([0.04, 0.03])
    assert bars["premium_legs"].tolist() == [3, 2]
    chosen = {"source": "exchange_index", "fields": {"premium_index": index}}
    close = np.full((48, 4), 100.0)
    assert bars_of(legs, close, agg="mean", **chosen)["perp_premium_raw"] == pytest.approx([0.05, 0.03])
    assert bars_of(legs, close, groups=["USDT"], **chosen)["perp_premium_raw"] == pytest.approx([0.04, 0.04])
    assert bars_of(legs, close, min_perp=3, min_spot=9, **chosen)["perp_premium_raw"] == pytest.approx(
        [0.04, NAN], nan_ok=True
    )


def test_without_an_index_the_message_says_what_is_missing() -> None:
    with pytest.raises(MissingData, match="the panel holds no premium_index"):
        _ = bars_of(PAIR, one_day(100, 100.1), source="exchange_index")["perp_premium"]
    nothing = {"premium_index": np.full((24, 2), NAN)}
    with pytest.raises(MissingData, match="no perpetual has a premium index"):
        _ = bars_of(PAIR, one_day(100, 100.1), fields=nothing, source="exchange_index")["perp_premium"]


# --- defaults, bars, display ------------------------------------------------------------------------------


def test_a_joint_basket_needs_one_spot_and_one_perpetual_whatever_their_currencies() -> None:
    legs = [spot("a"), perp("b", "USDT")]
    assert bars_of(legs, one_day(100, 100.1), quote_mode="raw")["perp_premium"] == pytest.approx([0.1])
    with pytest.raises(MissingData, match=r"a spot and a perpetual with prices among premium\.groups"):
        _ = bars_of(legs, one_day(100, 100.1), quote_mode="raw", groups=["USD"])["perp_premium"]


@pytest.mark.parametrize("mode", MODES)
def test_by_default_hourly_groups_stand_alone_and_daily_ones_only_where_none_is_hourly(mode: str) -> None:
    hourly = np.full((48, 2), [100.0, 100.1])
    close = np.column_stack([daily([100, 100]), hourly[:, 0], daily([103, 103]), hourly[:, 1], np.ones(48)])
    legs, sampling = [*FOUR, TETHER], [24, 1, 24, 1, 1]
    assert bars_of(legs, close, quote_mode=mode, sampling=sampling)["perp_premium_raw"] == pytest.approx([0.1, 0.1])
    sides = np.column_stack([close[:, 0], daily([100.2, 100.2]), close[:, 2], hourly[:, 1], np.ones(48)])
    mixed = bars_of(legs, sides, quote_mode=mode, sampling=[24, 24, 24, 1, 1])["premium_legs"]
    assert mixed.tolist() == [4, 4]


@pytest.mark.parametrize("how", ["mean", "median", "close"])
@pytest.mark.parametrize("mode", MODES)
def test_the_value_of_a_bar_is_made_of_its_samples(how: str, mode: str) -> None:
    close, _ = rough_market()
    hours = bars_of(LEGS, close, "1h", quote_mode=mode)["perp_premium_raw"].reshape(-1, 24)
    days = bars_of(LEGS, close, quote_mode=mode, bar_agg=how)["perp_premium_raw"]
    enough = np.isfinite(hours).sum(axis=1) >= 0.8 * 24
    assert enough.any()
    if how == "close":
        np.testing.assert_array_equal(days, hours[:, -1])
    else:
        middle = {"mean": np.nanmean, "median": np.nanmedian}[how]
        expected = [middle(day) if ok else NAN for day, ok in zip(hours, enough, strict=True)]
        np.testing.assert_allclose(days, expected, rtol=1e-12, atol=1e-12)


def test_a_leg_that_is_off_is_judged_by_those_it_is_compared_with() -> None:
    """Together in dollars the lone perpetual is 9 % off three others; raw it is only judged in its own currency."""
    legs = [spot("a"), spot("b"), perp("c"), perp("d", "USDT"), TETHER]
    close = one_day(100, 100, 100.1, 109, 1.0)
    assert bars_of(legs, close, quote_mode="convert")["perp_premium"] == pytest.approx([0.1])
    assert bars_of(legs, close, quote_mode="raw")["perp_premium"] == pytest.approx([(100.1 + 109) / 2 - 100])


def test_the_display_option_only_says_which_premium_is_shown_first() -> None:
    first, second = (PremiumOptions(display=one) for one in ("spot_over_perp", "perp_over_spot"))
    assert shown(first) == ("spot_premium", "perp_premium")
    assert shown(second) == ("perp_premium", "spot_premium")
    values = [bars_of(PAIR, one_day(100, 100.1), display=one.display)["perp_premium"] for one in (first, second)]
    assert values[0].tobytes() == values[1].tobytes()


# --- laws -------------------------------------------------------------------------------------------------


FIELDS_READ = ("close", "volume", "premium_index")


@pytest.fixture(scope="module")
def trial() -> Trial:
    """The simulated market, with a quoted tether that has holes and begins after ten days, and its spots after 60."""
    market = simulate(seed=3, years=0.7)
    kept = market.select(lambda one: one.key.kind in ("ohlcv", "premium_index", "funding"))
    first = next(one for one in kept if one.key.kind == "ohlcv")
    random = np.random.default_rng(8)
    rate = 1 + 0.01 * np.sin(np.arange(len(first)) / 100)
    rate[random.random(len(rate)) < 0.4] = NAN
    rate[1000:1020] = rate[: 10 * 24] = NAN
    begin = int(first.stamp[0])
    later = kept.map(lambda one: one.where(one.stamp >= begin + 60 * 24 * HOUR) if _spot_in_tether(one) else one)
    quoted = bars_series(TETHER, rate.tolist(), start=str(np.datetime64(begin, "ns"))[:19])
    return Trial(dataset=Dataset.of([*later, quoted]), timeframe="1D", fields=FIELDS_READ)


def _spot_in_tether(one: Records) -> bool:
    return one.instrument.role == "spot" and one.instrument.quote == "USDT"


COMBINATIONS: list[dict[str, object]] = [
    *({"quote_mode": mode, "agg": agg} for mode, agg in itertools.product(MODES, AGGREGATES)),
    {"quote_mode": "convert", "bar_agg": "close"},
    {"quote_mode": "raw", "agg": "mean", "bar_agg": "median", "groups": ("USD", "USDT")},
    {"groups": ("USD", {"quote": "USDT", "since": "2018-03-01", "until": "2018-06-10"})},
    {"agg": "volume_weighted", "groups": ({"quote": "USD", "until": "2018-06-10"}, "USDT"), "min_perp": 2},
    {"source": "exchange_index"},
    {"source": "exchange_index", "agg": "volume_weighted", "bar_agg": "median"},
]


@pytest.mark.parametrize("chosen", COMBINATIONS, ids=str)
@pytest.mark.parametrize("name", ["perp_premium_raw", "prem_z", "premium_legs"])
def test_every_combination_of_options_keeps_every_law(name: str, chosen: dict[str, object], trial: Trial) -> None:
    options = FlowOptions(premium=PremiumOptions.model_validate(chosen))
    metric = METRICS.get(name)
    subject = metric_subject(metric, "1D", window=20, options=options)
    wide = replace(subject, needs=options.widen(metric.needs))
    laws = [law for law in LAWS if law != "unit"]  # it would multiply the tether's worth too; see the next test
    assert violations(wide, trial, laws) == []
    values = METRICS.get(name)(Bars(trial.panel, "1D", options), **({"window": 20} if metric.windowed else {}))
    assert np.isfinite(values).sum() > 50


@pytest.mark.parametrize("mode", MODES)
def test_the_unit_of_price_does_not_matter(mode: str) -> None:
    """Every price in a currency worth a quarter; the tether's worth follows from the spots."""
    close, _ = rough_market()
    one, four = (bars_of(LEGS, factor * close, quote_mode=mode)["perp_premium"] for factor in (1.0, 4.0))
    assert one.tobytes() == four.tobytes()
