"""The simulated market: a past only, venues that follow their own rules, and a label on everything."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from btcflow.data.clocks import make_clock
from btcflow.data.crowd import funding_rate, world
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import LISTINGS, TRADED, Listing, simulate
from btcflow.errors import ConfigError

HOUR = 1 / 24
PERPS = [one for one in LISTINGS if one.instrument.role == "perp"]


@pytest.fixture(scope="module")
def market() -> Dataset:
    return simulate(seed=7, years=3.0)


# --- a past only --------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [0.0, 0.3])
def test_two_years_equal_three_years_cut_by_known_at(edge: float) -> None:
    short, long = simulate(years=2, edge=edge), simulate(years=3, edge=edge)
    cut = long.upto(pd.Timestamp("2020-01-01", tz="UTC"))
    assert [one.key for one in short] == [one.key for one in cut]
    for left, right in zip(short, cut, strict=True):
        assert left.content_hash() == right.content_hash(), left.key
        pd.testing.assert_frame_equal(left.frame, right.frame, check_exact=True)
        assert (left.source, left.lag, left.instrument) == (right.source, right.lag, right.instrument)


@pytest.mark.parametrize("days", [1, 2, 97, 245, 431])
def test_any_shorter_market_is_the_beginning_of_a_longer_one(market: Dataset, days: int) -> None:
    short = simulate(seed=7, years=days / 365.25)
    cut = market.upto(pd.Timestamp("2018-01-01", tz="UTC") + pd.Timedelta(days=days))
    expected = {one.key: one.content_hash() for one in cut if len(one)}
    assert {one.key: one.content_hash() for one in short} == expected


def digest(data: Dataset) -> str:
    return hashlib.sha256("".join(one.content_hash() for one in data).encode()).hexdigest()


def test_another_process_with_other_hashes_and_threads_writes_the_same_bytes() -> None:
    code = (
        "import hashlib; from btcflow.data.simulate import simulate; d = simulate(seed=11, years=1.5, edge=0.1);"
        "print(hashlib.sha256(''.join(one.content_hash() for one in d).encode()).hexdigest())"
    )
    expected = digest(simulate(seed=11, years=1.5, edge=0.1))
    for hashes, threads in (("1", "1"), ("4242", "2")):
        settings = {"PYTHONHASHSEED": hashes, "NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


def test_another_seed_or_edge_is_another_market() -> None:
    kept = {digest(simulate(seed=seed, years=0.1, edge=edge)) for seed, edge in ((1, 0.0), (2, 0.0), (1, 0.1))}
    assert len(kept) == 3


def test_the_true_crowd_behind_a_market_can_be_had(market: Dataset) -> None:
    rows = len(market.find(TRADED, "premium_index"))
    truth = world(seed=7, bars=rows, step_days=HOUR, venues=5)
    assert np.array_equal(np.round(truth.premium[:, 0], 8), market.find(TRADED, "premium_index").column("close"))


def test_a_row_is_known_when_its_bar_closes_and_open_interest_five_minutes_late(market: Dataset) -> None:
    for one in market:
        late = pd.Timedelta(minutes=5) if one.key.kind == "open_interest" else pd.Timedelta(0)
        assert one.lag == late
        assert np.array_equal(one.known_at, one.ends + late.value), one.key
        assert one.known_at[-1] <= pd.Timestamp("2021-01-01", tz="UTC").value


# --- venues -------------------------------------------------------------------------------------


def test_everything_says_that_it_is_simulated(market: Dataset) -> None:
    assert market.synthetic
    for one in market:
        assert one.synthetic
        assert "SIMULATED" in one.source
        assert one.key.venue.startswith("sim_")


def test_each_series_lives_from_its_listing_to_its_delisting_without_a_hole() -> None:
    data, start, end = simulate(years=6.0), pd.Timestamp("2018-01-01", tz="UTC"), pd.Timestamp("2024-01-01", tz="UTC")
    for listing in LISTINGS:
        born = start + pd.Timedelta(days=listing.from_day)
        dead = end if listing.until_day is None else start + pd.Timedelta(days=listing.until_day)
        bars = data.find(listing.instrument.id, "ohlcv")
        assert bars.frame["stamp"].iloc[0] == born
        assert bars.frame["known_at"].iloc[-1] == dead
        for one in (series for series in data if series.instrument == listing.instrument):
            step = pd.Timedelta(one.key.timeframe).value
            assert (np.diff(one.stamp) == step).all(), one.key
            assert one.stamp[0] >= born.value
            assert one.ends[-1] <= dead.value
    assert any(one.until_day is not None for one in LISTINGS)
    kinds = {(one.instrument.role, one.instrument.quote) for one in LISTINGS if one.from_day == 0}
    assert kinds == {("spot", "USD"), ("spot", "USDT"), ("perp", "USD"), ("perp", "USDT")}


def test_a_venue_that_is_not_listed_yet_has_no_series() -> None:
    venues = {one.venue for one in simulate(years=1.0).instruments}
    assert venues == {one.instrument.venue for one in LISTINGS if one.from_day < 365}


def test_the_cast_of_instruments_covers_quotes_margins_and_units() -> None:
    traded = next(one for one in PERPS if one.instrument.id == TRADED)
    assert (traded.instrument.margin, traded.instrument.quote, traded.from_day) == ("linear", "USDT", 0)
    forms = sorted((one.instrument.margin, one.instrument.quote) for one in PERPS)
    assert forms == [("inverse", "USD")] * 2 + [("linear", "USD")] + [("linear", "USDT")] * 2
    units = {(one.instrument.oi_unit, *((one.instrument.contract_size, one.instrument.contract_ccy),)) for one in PERPS}
    assert {unit[0] for unit in units} == {"btc", "usd", "contract"}
    assert {("contract", (100.0, "USD")), ("contract", (0.01, "BTC"))} <= units
    assert {one.spacing for one in PERPS} == {1, 8}


def test_bars_are_consistent_and_open_where_the_last_one_closed(market: Dataset) -> None:
    for one in market:
        if one.key.kind not in ("ohlcv", "mark"):
            continue
        opened, high, low, close = (one.column(name) for name in ("open", "high", "low", "close"))
        assert (low <= np.minimum(opened, close)).all(), one.key
        assert (high >= np.maximum(opened, close)).all(), one.key
        assert np.array_equal(opened[1:], close[:-1])
        if one.key.kind == "ohlcv":
            assert (one.column("volume") > 0).all()
            wide, moved = np.log(high / low).mean(), np.abs(np.log(close / opened)).mean()
            assert 1.7 < wide / moved < 2.6


def paid(premium: list[float]) -> float:
    """The exchanges' rule, spelled out: 8-hour rate for the mean of the hourly premiums."""
    average = sum(premium) / len(premium)
    pull = sorted([-0.0005, 0.0001 - average, 0.0005])[1]
    return sorted([-0.003, average + pull, 0.003])[1]


@pytest.mark.parametrize(
    ("premium", "rate"),
    [(0.0, 1e-4), (-4e-4, 1e-4), (6e-4, 1e-4), (-5e-4, 0.0), (-9e-4, -4e-4), (10e-4, 5e-4), (0.5, 3e-3), (-0.5, -3e-3)],
)
def test_funding_is_premium_plus_a_clamped_pull_to_one_basis_point(premium: float, rate: float) -> None:
    assert funding_rate(premium) == pytest.approx(rate, abs=1e-15)
    assert paid([premium]) == pytest.approx(rate, abs=1e-15)


@pytest.mark.parametrize("listing", PERPS, ids=lambda one: one.instrument.id)
def test_each_settlement_follows_from_the_venue_s_own_premium_of_the_hours_before(
    market: Dataset, listing: Listing
) -> None:
    premium = market.find(listing.instrument.id, "premium_index")
    funding = market.find(listing.instrument.id, "funding")
    at_hour_end = dict(zip(premium.ends.tolist(), premium.column("close").tolist(), strict=True))
    hour, spacing, seen = pd.Timedelta(hours=1).value, listing.spacing, set()
    rates = funding.column("rate")
    for stamp, rate in list(zip(funding.stamp.tolist(), rates.tolist(), strict=True))[:900]:
        hours = [at_hour_end[end] for back in range(spacing) if (end := stamp - back * hour) in at_hour_end]
        assert len(hours) == spacing or stamp == funding.stamp[0], "only the first interval may be a short one"
        assert rate == pytest.approx(paid(hours) * spacing / 8, abs=1e-10)
        seen.add(int(np.sign(round(rate * 8 / spacing - 1e-4, 12))))
    assert seen == {-1, 0, 1}, "the sample must reach below, inside and above the dead zone"
    assert set(pd.DatetimeIndex(funding.frame["stamp"]).hour % spacing) == {listing.settles_at % spacing}
    assert set(funding.column("spacing_hours")) == set(funding.column("rate_hours")) == {float(spacing)}
    assert (rates == 1e-4 * spacing / 8).mean() > 0.2, "a rate in the dead zone is exactly 1 bp, not almost"


@pytest.mark.parametrize("listing", PERPS, ids=lambda one: one.instrument.id)
def test_every_perpetual_can_be_traded_with_no_settlement_missing(market: Dataset, listing: Listing) -> None:
    clock = make_clock(market, listing.instrument.id, missing_funding="refuse")
    hours = pd.DatetimeIndex(pd.to_datetime(clock.closes_at[clock.settlements > 0], utc=True)).hour
    assert set(hours % listing.spacing) == {listing.settles_at % listing.spacing}
    assert np.flatnonzero(clock.settlements)[0] < listing.spacing


def btc_interest(data: Dataset, one: Records) -> pd.Series:
    """Open interest in BTC, converted by the instrument's own declaration."""
    bars = data.find(one.instrument.id, "ohlcv")
    price = pd.Series(bars.column("close"), index=bars.ends).reindex(one.stamp)
    value = pd.Series(one.column("value"), index=one.stamp)
    if one.instrument.oi_unit == "btc":
        return value
    if one.instrument.oi_unit == "usd":
        return value / price
    in_btc = one.instrument.contract_ccy == "BTC"
    return value * one.instrument.contract_size / (1.0 if in_btc else price)


def test_open_interest_in_btc_is_of_one_order_across_venues_whatever_the_native_unit() -> None:
    data = simulate(years=4.5)
    series = [one for one in data if one.key.kind == "open_interest"]
    native = [one.column("value")[-1] for one in series]
    assert max(native) / min(native) > 1000
    frame = pd.DataFrame({one.instrument.id: btc_interest(data, one) for one in series}).iloc[1000 * 24 :: 24]
    assert frame.notna().all().all()
    assert (frame.max(axis=1) / frame.min(axis=1)).max() < 12
    assert frame.sum(axis=1).between(5e3, 1e6).all()


def test_btc_interest_follows_price_on_linear_contracts_and_runs_against_it_on_inverse_ones() -> None:
    data = simulate(years=5.0)
    bars = data.find(TRADED, "ohlcv")
    move = np.log(pd.Series(bars.column("close"), index=bars.ends)).iloc[23::24].diff()
    for one in (series for series in data if series.key.kind == "open_interest"):
        change = np.log(btc_interest(data, one)).reindex(move.index).diff()
        both = pd.DataFrame({"x": move, "y": change}).dropna().iloc[200:]
        beta = both.cov().loc["x", "y"] / both["x"].var()
        low, high = (-0.95, -0.4) if one.instrument.margin == "inverse" else (0.0, 0.5)
        assert low < beta < high, one.key


def test_quotes_matter_while_venues_of_one_quote_agree(market: Dataset) -> None:
    close = {
        one.instrument.id: pd.Series(one.column("close"), index=one.stamp) for one in market if one.key.kind == "ohlcv"
    }
    across = (close["sim_east:BTCUSDT"] / close["sim_north:BTCUSD"] - 1).abs()
    within = (close["sim_south:BTCUSD"] / close["sim_north:BTCUSD"] - 1).abs()
    assert across.max() > 30e-4
    assert across.median() < 10e-4
    assert within.max() < 15e-4
    basis = close[TRADED] / close["sim_east:BTCUSDT"] - 1
    index = market.find(TRADED, "premium_index")
    published = pd.Series(index.column("close"), index=index.stamp)
    assert basis.corr(published) > 0.85
    assert abs((basis - published).median()) < 0.2e-4


# --- speed and refusals -------------------------------------------------------------------------


def test_seven_years_take_seconds() -> None:
    simulate(years=0.1)
    begun = time.perf_counter()
    data = simulate(years=7.0)
    assert time.perf_counter() - begun < 5.0
    assert len(data.find(TRADED, "ohlcv")) == 2557 * 24


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: simulate(start="soon"), "start is 'soon'"),
        (lambda: simulate(start="2018-01-01 05:00"), "expected a day"),
        (lambda: simulate(years=0.0), r"years is 0\.0"),
        (lambda: simulate(years=float("nan")), "years is nan"),
        (lambda: simulate(seed=-1, years=0.1), "seed is -1"),
        (lambda: simulate(edge=float("inf"), years=0.1), "edge is inf"),
    ],
)
def test_a_bad_question_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()
