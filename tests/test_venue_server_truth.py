"""The generated truth of the loopback venues: one market, the same however it is asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from venue_server import NOW, Gap, Market, assert_same
from venue_server.listings import LISTINGS
from venue_server.truth import COLUMNS, ms

from btcflow.data.records import Records, SeriesKey
from btcflow.data.venue_facts import VENUES, facts
from btcflow.fields import KINDS
from btcflow.instrument import Instrument

MARKET = Market()
EVERY = [(one.venue, one.symbol, kind) for one in LISTINGS.values() for kind in one.kinds]


def hourly(venue: str, symbol: str, kind: str, **more: str) -> pd.DataFrame:
    return MARKET.truth(venue, symbol, kind, "1h", **{"since": "2024-05-25", **more})


@pytest.mark.parametrize(("venue", "symbol", "kind"), EVERY)
def test_every_series_is_what_btcflow_calls_records(venue: str, symbol: str, kind: str) -> None:
    frame = hourly(venue, symbol, kind)
    assert tuple(COLUMNS[kind]) == KINDS[kind].columns
    instrument = Instrument(venue=venue, symbol=symbol, role="perp")
    records = Records(key=SeriesKey(venue, symbol, kind, "1h"), instrument=instrument, frame=frame, source="made")
    assert len(records) > 50
    assert (records.known_at <= NOW.value).all()


@pytest.mark.parametrize(("venue", "symbol", "kind"), EVERY)
def test_a_part_of_the_truth_is_that_part_of_the_whole(venue: str, symbol: str, kind: str) -> None:
    whole = hourly(venue, symbol, kind)
    part = hourly(venue, symbol, kind, since="2024-06-01T05:00", until="2024-06-03")
    inside = (whole["stamp"] >= "2024-06-01T05:00Z") & (whole["stamp"] < "2024-06-03T00:00Z")
    pd.testing.assert_frame_equal(part, whole[inside].reset_index(drop=True))


def test_another_seed_is_another_market() -> None:
    ours = hourly("binance", "BTCUSDT", "ohlcv")
    other = Market(seed=2).truth("binance", "BTCUSDT", "ohlcv", "1h", since="2024-05-25")
    with pytest.raises(AssertionError, match="open at 2024-05-25"):
        assert_same(other, ours)


@pytest.mark.parametrize("kind", ["ohlcv", "mark", "index", "premium_index"])
@pytest.mark.parametrize("timeframe", ["5m", "1h", "1D"])
def test_a_bar_is_its_minutes(kind: str, timeframe: str) -> None:
    span = {"since": "2024-05-20", "until": "2024-05-23"}
    minutes = MARKET.truth("binance", "BTCUSDT", kind, "1m", **span).set_index("stamp")
    bars = MARKET.truth("binance", "BTCUSDT", kind, timeframe, **span).set_index("stamp")
    group = minutes.resample({"5m": "5min", "1h": "1h", "1D": "1D"}[timeframe])
    assert np.array_equal(bars["open"], group["open"].first())
    assert np.array_equal(bars["high"], group["high"].max())
    assert np.array_equal(bars["low"], group["low"].min())
    assert np.array_equal(bars["close"], group["close"].last())
    if kind == "ohlcv":
        assert np.allclose(bars["volume"], group["volume"].sum(), rtol=1e-12, atol=0)
    assert np.array_equal(minutes["close"].to_numpy()[:-1], minutes["open"].to_numpy()[1:])


def test_prices_are_one_market_and_every_venue_a_little_apart() -> None:
    spot = hourly("coinbase", "BTC/USD", "ohlcv")["close"]
    perp = hourly("deribit", "BTC-PERPETUAL", "ohlcv")["close"]
    gap = np.abs(perp / spot - 1.0)
    assert 0 < gap.max() < 0.01
    assert spot.std() / spot.mean() > 0.005


def test_a_maintenance_leaves_no_row() -> None:
    market = Market(gaps=(Gap("bybit", "2024-06-01T02:00", "2024-06-01T05:00"),))
    for kind, missing in (("ohlcv", [2, 3, 4]), ("mark", [2, 3, 4]), ("open_interest", [2, 3, 4])):
        stamps = market.truth("bybit", "BTCUSDT", kind, "1h", since="2024-06-01", until="2024-06-01T08:00")["stamp"]
        assert sorted(set(range(8)) - set(stamps.dt.hour)) == missing
    kraken = Market(gaps=(Gap("kraken", "2024-06-01T02:00", "2024-06-01T05:00"),))
    ends = kraken.truth("kraken", "PF_XBTUSD", "open_interest", "1h", since="2024-06-01", until="2024-06-01T08:00")
    assert sorted(set(range(8)) - set(ends["stamp"].dt.hour)) == [3, 4, 5]  # the ends of the buckets that are missing
    whole = market.truth("okx", "BTC-USDT-SWAP", "ohlcv", "1h", since="2024-06-01", until="2024-06-01T08:00")
    assert len(whole) == 8


def test_an_instrument_lives_from_listing_to_delisting() -> None:
    market = Market(listed={"gate:BTC_USDT": "2024-06-01T03:00"}, delisted={"gate:BTC_USDT": "2024-06-02T10:00"})
    for kind, count in (("ohlcv", 31), ("open_interest", 31), ("funding", 4)):
        frame = market.truth("gate", "BTC_USDT", kind, "1h", since="2024-01-01")
        assert len(frame) == count
        assert frame["stamp"].iloc[0] >= pd.Timestamp("2024-06-01T03:00Z")
        assert frame["stamp"].iloc[-1] < pd.Timestamp("2024-06-02T10:00Z")


def test_an_interval_change_says_for_how_long_each_rate_was() -> None:
    frame = MARKET.truth("bybit", "BTCUSDT", "funding", since="2024-05-09", until="2024-05-12")
    apart = frame["stamp"].diff().dt.total_seconds().to_numpy()[1:] / 3600
    assert np.array_equal(apart, frame["spacing_hours"].to_numpy()[1:])
    assert frame["spacing_hours"].tolist()[:6] == [8, 8, 8, 8, 8, 4]
    assert frame["rate_hours"].tolist() == frame["spacing_hours"].tolist()


def test_kraken_settled_every_four_hours_once() -> None:
    frame = MARKET.truth("kraken", "PF_XBTUSD", "funding", since="2022-09-29", until="2022-09-30")
    assert frame["spacing_hours"].tolist() == [4] * 4 + [1] * 11
    assert set(frame["rate_hours"]) == {1.0}


def test_only_what_is_over_is_known() -> None:
    bars = MARKET.truth("okx", "BTC/USDT", "ohlcv", "1h", since="2024-06-15", now="2024-06-15T05:59:59")
    assert bars["stamp"].iloc[-1] == pd.Timestamp("2024-06-15T04:00Z")
    levels = MARKET.truth("okx", "BTC-USDT-SWAP", "open_interest", "1h", since="2024-06-15", now="2024-06-15T05:00")
    assert levels["stamp"].iloc[-1] == pd.Timestamp("2024-06-15T05:00Z")


def test_a_kind_that_an_instrument_has_not_is_an_error() -> None:
    with pytest.raises(KeyError, match="bitget:BTCUSDT has no premium_index"):
        MARKET.truth("bitget", "BTCUSDT", "premium_index", since="2024-06-01")


@pytest.mark.parametrize("listing_id", [one for one in LISTINGS if facts(one) is not None])
def test_the_listings_agree_with_the_venue_files(listing_id: str) -> None:
    ours, known = LISTINGS[listing_id], facts(listing_id)
    assert known is not None
    told = known.listing
    assert (ours.margin, ours.quote) == (told.margin, told.quote)
    if "open_interest" in ours.kinds:
        assert ours.oi_unit == told.oi_unit
    if told.oi_unit == "contract":
        assert (ours.contract, ours.contract_ccy) == (told.contract_size, told.contract_ccy)
    if told.valid_from is not None:
        assert ms(ours.listed) >= ms(pd.Timestamp(told.valid_from).normalize())
    spacings = [(era.spacing, era.rate_hours) for era in ours.eras]
    assert set(spacings) == {(era.spacing_hours, era.rate_hours) for era in told.funding}


def test_every_live_venue_of_the_fetcher_is_here() -> None:
    live = {"binance", "bybit", "okx", "kraken", "deribit", "coinbase", "bitstamp", "bitfinex", "gate", "bitget", "htx"}
    assert {one.venue for one in LISTINGS.values()} == live | {"hyperliquid"}
    assert live < set(VENUES.names())
