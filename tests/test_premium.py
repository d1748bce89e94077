"""Premium: perpetuals against spot, quote group by quote group; positive = perps rich."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import oracles_rolling as slow
import pytest
from markets import panel_of, perp, spot

from btcflow.errors import ConfigError, MissingData
from btcflow.flow.bars import Bars
from btcflow.flow.options import FlowOptions, PremiumOptions, ZscoreOptions
from btcflow.instrument import Instrument

NAN = np.nan
PLAIN = {"smooth": {"1h": 1, "1D": 1, "1W": 1}}
SPOTS, PERPS = [spot(f"s{i}") for i in range(3)], [perp(f"p{i}") for i in range(4)]


def bars_of(
    instruments: Sequence[Instrument],
    close: object,
    timeframe: str = "1D",
    *,
    sampling: Sequence[int] | None = None,
    **options: object,
) -> Bars:
    given = {"close": sampling} if sampling is not None else None
    chosen = FlowOptions(premium=PremiumOptions(**{**PLAIN, **options}))  # type: ignore[arg-type]
    return Bars(panel_of(instruments, sampling=given, close=close), timeframe, chosen)


def one_day(*prices: float) -> list[list[float]]:
    return [list(prices)] * 24


# --- golden -------------------------------------------------------------------------------------------


def test_the_worked_example_of_the_definitions() -> None:
    bars = bars_of([*SPOTS, *PERPS], one_day(100_000, 100_020, 99_990, 100_050, 100_040, 100_080, 100_500))
    assert bars["perp_premium"].round(6).tolist() == [0.065]
    assert bars["spot_premium"].round(6).tolist() == [-0.064958]


def test_a_mean_basket_follows_the_one_venue_that_is_off() -> None:
    bars = bars_of([SPOTS[0], *PERPS], one_day(100_000, 100_050, 100_040, 100_080, 100_500), agg="mean")
    assert bars["perp_premium"].round(6).tolist() == [0.1675]


def test_perps_a_tenth_of_a_percent_up_are_a_positive_perp_premium_and_a_negative_spot_premium() -> None:
    before = bars_of([SPOTS[0], PERPS[0]], one_day(100, 100))
    after = bars_of([SPOTS[0], PERPS[0]], one_day(100, 100.1))
    assert (before["perp_premium"], before["spot_premium"]) == (0, 0)
    assert after["perp_premium"] == pytest.approx([0.1])
    assert after["spot_premium"] == pytest.approx([-0.0999], abs=1e-4)


def test_a_bar_in_which_perps_rise_against_spot_raises_the_z() -> None:
    random = np.random.default_rng(2)
    ratio = 1 + 1e-4 * random.normal(size=24 * 60)
    close = np.column_stack([np.full(24 * 60, 100.0), 100 * ratio])
    richer = close.copy()
    richer[-24:, 1] *= 1.001
    chosen = ZscoreOptions(length={"1D": 30})
    z = [
        Bars(panel_of([SPOTS[0], PERPS[0]], close=one), "1D", FlowOptions(zscore=chosen))["prem_z"]
        for one in (close, richer)
    ]
    assert z[1][-1] > z[0][-1] + 1
    assert z[1][:-1].tobytes() == z[0][:-1].tobytes()


# --- quote groups -------------------------------------------------------------------------------------


def test_a_tether_that_breaks_does_not_look_like_a_premium() -> None:
    """USDT at 0.93: every USDT price reads 7.5 % high, on spot and perp alike."""
    legs = [spot("a"), spot("b", "USDT"), perp("c"), perp("d", "USDT")]
    calm = bars_of(legs, one_day(100, 100, 100.1, 100.1))
    broken = bars_of(legs, one_day(100, 100 / 0.93, 100.1, 100.1 / 0.93))
    assert calm["perp_premium"] == pytest.approx([0.1], abs=1e-12)
    assert broken["perp_premium"] == pytest.approx([0.1], abs=1e-9)


def test_the_premium_of_two_groups_is_their_median() -> None:
    legs = [spot("a"), spot("b", "USDT"), perp("c"), perp("d", "USDT")]
    close = one_day(100, 200, 100.1, 200.6)
    assert bars_of(legs, close)["perp_premium"] == pytest.approx([0.2])
    assert bars_of(legs, close, groups=["USD"])["perp_premium"] == pytest.approx([0.1])
    assert bars_of(legs, close, groups=["USDT"])["perp_premium"] == pytest.approx([0.3])


def test_perps_without_a_spot_in_their_quote_are_not_compared() -> None:
    legs = [spot("a"), perp("c"), perp("d", "USDT")]
    assert bars_of(legs, one_day(100, 100.1, 107))["perp_premium"] == pytest.approx([0.1])
    with pytest.raises(MissingData, match="a spot and a perpetual with prices in the same quote currency"):
        _ = bars_of(legs[::2], one_day(100, 107))["perp_premium"]
    with pytest.raises(MissingData, match=r"premium\.groups names USDT, .*groups with both sides: USD"):
        _ = bars_of(legs, one_day(100, 100.1, 107), groups=["USD", "USDT"])["perp_premium"]


# --- legs ---------------------------------------------------------------------------------------------


def test_a_leg_five_percent_off_the_live_legs_is_dropped_where_there_are_three() -> None:
    """12 March 2020: one perpetual closed 8.8 % below the others."""
    assert bars_of([*SPOTS[:2], *PERPS[:2]], one_day(100, 100, 91.2, 100.1))["perp_premium"] == pytest.approx([0.1])
    assert bars_of([SPOTS[0], *PERPS[:2]], one_day(100, 91.2, 100.1))["perp_premium"] == pytest.approx([0.1])


def test_with_two_legs_nobody_can_say_which_is_off() -> None:
    assert bars_of([SPOTS[0], PERPS[0]], one_day(100, 91.2))["perp_premium"] == pytest.approx([-8.8])


def test_a_leg_is_judged_by_all_legs_of_its_group_spot_and_perp_together() -> None:
    """Two perps 6 % off and three spots: the median of all five is a spot's, so both perps go."""
    bars = bars_of([*SPOTS, *PERPS[:2]], one_day(100, 100, 100, 106, 106.1))
    assert np.isnan(bars["perp_premium"]).all()
    wider = bars_of([*SPOTS, *PERPS[:2]], one_day(100, 100, 100, 106, 106.1), max_dev=0.07)
    assert wider["perp_premium"] == pytest.approx([6.05])


def test_a_sample_counts_the_legs_of_all_groups() -> None:
    legs = [spot("a"), spot("b", "USDT"), perp("c"), perp("d", "USDT"), perp("e", "EUR")]
    close = one_day(100, 200, 100.1, 200.2, 90)
    assert bars_of(legs, close, min_perp=2)["perp_premium"] == pytest.approx([0.1])
    assert np.isnan(bars_of(legs, close, min_perp=3)["perp_premium"]).all(), "the one in euro has no spot to compare"
    assert bars_of(legs, close, min_spot=2)["perp_premium"] == pytest.approx([0.1])
    assert np.isnan(bars_of(legs, close, min_spot=3)["perp_premium"]).all()


def test_legs_without_a_counterpart_in_their_hour_do_not_count() -> None:
    """While one side of USDT is out, the two legs of its other side cannot make up for a thin USD group."""
    legs = [spot("a"), spot("b", "USDT"), spot("c", "USDT"), perp("d"), perp("e", "USDT"), perp("f", "USDT")]
    close = np.tile([100.0, 200.0, 200.0, 100.1, 200.2, 200.2], (24, 1))
    no_spot, no_perp = close.copy(), close.copy()
    no_spot[:5, [1, 2]] = NAN
    no_perp[:5, [4, 5]] = NAN
    for holed, least in ((no_spot, "min_perp"), (no_perp, "min_spot")):
        assert bars_of(legs, holed, **{least: 1})["perp_premium"] == pytest.approx([0.1])
        assert np.isnan(bars_of(legs, holed, **{least: 2})["perp_premium"]).all()
        assert bars_of(legs, close, **{least: 2})["perp_premium"] == pytest.approx([0.1])


def test_the_legs_behind_a_bar_are_counted_at_its_last_sample() -> None:
    legs = [spot("a"), spot("b", "USDT"), perp("c"), perp("d"), perp("e", "EUR"), perp("f", "USDT")]
    close = np.tile([100.0, 200.0, 100.1, 100.2, 90.0, 200.2], (72, 1))
    close[40:48, 2] = NAN
    close[71, 3] = 120.0
    assert bars_of(legs, close)["premium_legs"].tolist() == [5, 4, 4], "one out, then one too far off"
    close[48:] = NAN
    assert bars_of(legs, close)["premium_legs"].tolist() == [5, 4, 0]


def test_six_hours_without_one_venue_change_nothing_elsewhere() -> None:
    random = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(1e-3 * random.normal(size=(96, 1)), axis=0) + 1e-4 * random.normal(size=(96, 7)))
    holed = close.copy()
    holed[30:36, 4] = NAN
    for timeframe, changed in (("1h", list(range(30, 36))), ("1D", [1])):
        whole, rest = (bars_of([*SPOTS, *PERPS], one, timeframe)["perp_premium_raw"] for one in (close, holed))
        assert np.flatnonzero(whole != rest).tolist() == changed
        assert np.abs(whole - rest).max() < 0.05
        assert np.isfinite(rest).all(), "three more perps are there"


def test_an_outage_of_all_perps_leaves_the_hours_empty_and_the_bar_if_they_are_too_many() -> None:
    close = np.full((72, 2), 100.0)
    close[26:30, 1] = NAN
    close[50:55, 1] = NAN
    assert bars_of([SPOTS[0], PERPS[0]], close)["perp_premium_raw"] == pytest.approx([0, 0, NAN], nan_ok=True)


# --- sampling -----------------------------------------------------------------------------------------


def daily(values: Sequence[float]) -> np.ndarray:
    """Daily closes on hourly rows."""
    out = np.full(24 * len(values), NAN)
    out[23::24] = values
    return out


def test_a_group_with_a_daily_leg_is_compared_at_daily_closes_only() -> None:
    """The hourly perp is 5 % away all day long; what counts is where it closes."""
    hourly = np.full(72, 105.0)
    hourly[23::24] = [100.1, 100.2, 100.3]
    bars = bars_of([SPOTS[0], PERPS[0]], np.column_stack([daily([100, 100, 100]), hourly]), sampling=[24, 1])
    assert bars["perp_premium_raw"] == pytest.approx([0.1, 0.2, 0.3])


def test_hourly_groups_stand_for_the_premium_and_daily_ones_are_left_out_by_default() -> None:
    legs = [spot("a"), spot("b", "USDT"), perp("c"), perp("d", "USDT")]
    hourly = np.full((48, 2), [100.0, 100.1])
    close = np.column_stack([daily([100, 100]), hourly[:, 0], daily([103, 103]), hourly[:, 1]])
    assert bars_of(legs, close, sampling=[24, 1, 24, 1])["perp_premium_raw"] == pytest.approx([0.1, 0.1])


def test_named_groups_of_different_sampling_meet_on_the_coarsest() -> None:
    legs = [spot("a"), spot("b", "USDT"), perp("c"), perp("d", "USDT")]
    hourly = np.full((48, 2), [100.0, 104.0])
    hourly[23::24, 1] = 100.1
    close = np.column_stack([daily([100, 100]), hourly[:, 0], daily([100.3, 100.5]), hourly[:, 1]])
    bars = bars_of(legs, close, sampling=[24, 1, 24, 1], groups=["USD", "USDT"])
    assert bars["perp_premium_raw"] == pytest.approx([0.2, 0.3]), "closes only: (0.3 + 0.1)/2 and (0.5 + 0.1)/2"


def test_a_week_of_daily_closes_is_their_mean_and_needs_six_of_seven() -> None:
    perps = np.array([100.1, 100.2, 100.3, 100.4, 100.5, 100.6, 100.7])
    for gone, expected in ((0, 0.4), (1, 0.45), (2, NAN)):
        kept = perps.copy()
        kept[:gone] = NAN
        bars = bars_of([SPOTS[0], PERPS[0]], np.column_stack([daily([100] * 7), daily(kept)]), "1W", sampling=[24, 24])
        assert bars["perp_premium_raw"] == pytest.approx([expected], nan_ok=True)


# --- the bar's value ----------------------------------------------------------------------------------


def test_the_bar_takes_the_mean_of_its_hours_or_the_close_or_the_median() -> None:
    perps = np.r_[np.full(12, 100.1), np.full(11, 100.2), 100.9]
    close = np.column_stack([np.full(24, 100.0), perps])
    values = {
        one: bars_of([SPOTS[0], PERPS[0]], close, bar_agg=one)["perp_premium"][0] for one in ("mean", "close", "median")
    }
    assert values["mean"] == pytest.approx((12 * 0.1 + 11 * 0.2 + 0.9) / 24)
    assert values["close"] == pytest.approx(0.9)
    assert values["median"] == pytest.approx(0.15)


def slow_hour(prices: dict[Instrument, float], limit: float) -> float:
    """One hour's premium, counted leg by leg."""
    groups = []
    for quote in ("USD", "USDT"):
        legs = [(one, price) for one, price in prices.items() if one.quote == quote and not math.isnan(price)]
        if len(legs) >= 3:
            middle = statistics.median(price for _, price in legs)
            legs = [(one, price) for one, price in legs if abs(math.log(price / middle)) <= limit]
        sides = {role: [price for one, price in legs if one.role == role] for role in ("spot", "perp")}
        if sides["spot"] and sides["perp"]:
            groups.append(100 * (statistics.median(sides["perp"]) / statistics.median(sides["spot"]) - 1))
    return statistics.median(groups) if groups else NAN


def test_the_premium_equals_the_loop_on_a_rough_market() -> None:
    """Eight legs in two quotes, a third of the hours missing somewhere, one price in twenty far off."""
    legs = [
        spot("a"),
        spot("b"),
        spot("c", "USDT"),
        perp("d"),
        perp("e"),
        perp("f", "USDT"),
        perp("g", "USDT"),
        perp("h", "USDT"),
    ]
    random = np.random.default_rng(4)
    rows = 24 * 40
    close = 100 * np.exp(
        np.cumsum(0.01 * random.normal(size=(rows, 1)), axis=0) + 0.002 * random.normal(size=(rows, 8))
    )
    close *= np.where(random.random((rows, 8)) < 0.05, np.exp(random.normal(0, 0.1, (rows, 8))), 1)
    close[random.random((rows, 8)) < 0.3] = NAN
    expected = [slow_hour(dict(zip(legs, row, strict=True)), 0.05) for row in close.tolist()]
    found = bars_of(legs, close, "1h")["perp_premium_raw"]
    assert 0.01 < np.isnan(expected).mean() < 0.3
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    days = np.array(expected).reshape(-1, 24)
    by_day = [np.nanmean(day) if np.isfinite(day).sum() >= 0.8 * 24 else NAN for day in days]
    np.testing.assert_allclose(bars_of(legs, close)["perp_premium_raw"], by_day, rtol=1e-9, atol=1e-9)


def test_the_smoothed_premium_and_its_z_are_those_of_the_loops() -> None:
    random = np.random.default_rng(5)
    premium = np.cumsum(1e-4 * random.normal(size=90)) + 1e-4 * random.normal(size=90)
    premium[[12, 13, 40]] = NAN
    close = np.repeat(np.column_stack([np.full(90, 100.0), 100 * (1 + premium)]), 24, axis=0)
    bars = Bars(panel_of([SPOTS[0], PERPS[0]], close=close), "1D")
    smooth = slow.ema((100 * premium).tolist(), 5)
    np.testing.assert_allclose(bars["perp_premium"], smooth, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        bars.score("prem_z", window=20),
        slow.zscore(bars["perp_premium"].tolist(), 20, floor=0.01),
        rtol=1e-9,
        atol=1e-9,
    )


def test_after_a_hole_longer_than_its_length_the_smoother_starts_afresh() -> None:
    premium = np.r_[np.full(10, 1e-3), np.full(6, NAN), np.full(10, 3e-3)]
    close = np.repeat(np.column_stack([np.full(26, 100.0), 100 * (1 + premium)]), 24, axis=0)
    smooth = Bars(panel_of([SPOTS[0], PERPS[0]], close=close), "1D")["perp_premium"]
    assert np.flatnonzero(np.isfinite(smooth)).tolist() == [4, 5, 6, 7, 8, 9, 20, 21, 22, 23, 24, 25]
    assert smooth[20:] == pytest.approx([0.3] * 6), "nothing of the level before the hole is left"


def test_the_floor_keeps_a_still_premium_from_exploding() -> None:
    premium = np.r_[np.full(39, 0.0), 1e-5]
    close = np.repeat(np.column_stack([np.full(40, 100.0), 100 * (1 + premium)]), 24, axis=0)
    bars = Bars(panel_of([SPOTS[0], PERPS[0]], close=close), "1D", FlowOptions(premium=PremiumOptions(**PLAIN)))
    assert bars.score("prem_z", window=30)[-1] == pytest.approx((1e-3 - 1e-3 / 30) / 0.01)


def test_a_timeframe_without_a_smoothing_length_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"premium\.smooth has no entry for 4h"):
        _ = Bars(panel_of([SPOTS[0], PERPS[0]], close=one_day(100, 100)), "4h")["perp_premium"]
