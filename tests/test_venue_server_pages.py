"""Every loopback venue speaks as the real one: ccxt reads it, and each page rule cuts as it should."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest
from venue_server import Market, VenueServer, assert_same, exchange
from venue_server.truth import ms

H = 3_600_000
DAY = 24 * H
START = ms("2024-06-01")


@pytest.fixture(scope="module")
def venues() -> Iterator[VenueServer]:
    with VenueServer() as server:
        yield server
        assert not server.errors
        assert not server.strays


def get(venues: VenueServer, prefix: str, path: str, **params: Any) -> Any:
    query = f"?{urlencode(params)}" if params else ""
    try:
        with urllib.request.urlopen(venues.base(prefix) + path + query, timeout=10) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def info(venues: VenueServer, **question: Any) -> Any:
    request = urllib.request.Request(
        venues.base("hyperliquid") + "/info", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def frame(rows: list[Any], names: tuple[str, ...]) -> pd.DataFrame:
    stamps = pd.to_datetime([row[0] // 60_000 * 60_000 for row in rows], unit="ms", utc=True)
    found = pd.DataFrame({"stamp": pd.DatetimeIndex(stamps).as_unit("ns")})
    for place, name in enumerate(names, start=1):
        found[name] = [float(row[place]) for row in rows]
    return found


# -- ccxt's unified calls ------------------------------------------------------------------------

CANDLES = [
    ("binance", "BTC/USDT", "binance", "BTC/USDT"),
    ("binance", "BTC/USDT:USDT", "binance", "BTCUSDT"),
    ("binance", "BTC/USD:BTC", "binance", "BTCUSD_PERP"),
    ("bybit", "BTC/USDT", "bybit", "BTC/USDT"),
    ("bybit", "BTC/USDT:USDT", "bybit", "BTCUSDT"),
    ("bybit", "BTC/USD:BTC", "bybit", "BTCUSD"),
    ("okx", "BTC/USDT", "okx", "BTC/USDT"),
    ("okx", "BTC/USDT:USDT", "okx", "BTC-USDT-SWAP"),
    ("okx", "BTC/USD:BTC", "okx", "BTC-USD-SWAP"),
    ("kraken", "BTC/USD", "kraken", "BTC/USD"),
    ("krakenfutures", "BTC/USD:USD", "kraken", "PF_XBTUSD"),
    ("deribit", "BTC/USD:BTC", "deribit", "BTC-PERPETUAL"),
    ("coinbase", "BTC/USD", "coinbase", "BTC/USD"),
    ("coinbaseexchange", "BTC/USD", "coinbase", "BTC/USD"),
    ("bitstamp", "BTC/USD", "bitstamp", "BTC/USD"),
    ("bitfinex", "BTC/USD", "bitfinex", "BTC/USD"),
    ("bitfinex", "BTC/USDT:USDT", "bitfinex", "tBTCF0:USTF0"),
    ("gate", "BTC/USDT", "gate", "BTC/USDT"),
    ("bitget", "BTC/USDT:USDT", "bitget", "BTCUSDT"),
    ("htx", "BTC/USDT:USDT", "htx", "BTC-USDT"),
    ("htx", "BTC/USD:BTC", "htx", "BTC-USD"),
    ("hyperliquid", "BTC/USDC:USDC", "hyperliquid", "BTC"),
]


@pytest.mark.parametrize(("ccxt_id", "unified", "venue", "symbol"), CANDLES)
def test_ccxt_reads_the_true_candles(venues: VenueServer, ccxt_id: str, unified: str, venue: str, symbol: str) -> None:
    ex = exchange(ccxt_id, venues.base(ccxt_id))
    rows = ex.fetch_ohlcv(unified, "1h", START, 50)
    ex.session.close()
    want = venues.truth(venue, symbol, "ohlcv", "1h", since="2024-06-01", until="2024-06-03T02:00")
    assert_same(frame(rows, ("open", "high", "low", "close", "volume")), want)


@pytest.mark.parametrize(
    ("ccxt_id", "unified", "venue", "symbol", "price", "kind"),
    [
        ("binance", "BTC/USDT:USDT", "binance", "BTCUSDT", "mark", "mark"),
        ("binance", "BTC/USD:BTC", "binance", "BTCUSD_PERP", "index", "index"),
        ("binance", "BTC/USDT:USDT", "binance", "BTCUSDT", "premiumIndex", "premium_index"),
        ("bybit", "BTC/USDT:USDT", "bybit", "BTCUSDT", "mark", "mark"),
        ("bybit", "BTC/USDT:USDT", "bybit", "BTCUSDT", "index", "index"),
        ("bybit", "BTC/USD:BTC", "bybit", "BTCUSD", "premiumIndex", "premium_index"),
        ("okx", "BTC/USDT:USDT", "okx", "BTC-USDT-SWAP", "mark", "mark"),
        ("okx", "BTC/USD:BTC", "okx", "BTC-USD-SWAP", "index", "index"),
        ("krakenfutures", "BTC/USD:USD", "kraken", "PF_XBTUSD", "mark", "mark"),
        ("krakenfutures", "BTC/USD:BTC", "kraken", "PI_XBTUSD", "index", "index"),
        ("gate", "BTC/USDT:USDT", "gate", "BTC_USDT", "mark", "mark"),
        ("gate", "BTC/USDT:USDT", "gate", "BTC_USDT", "index", "index"),
        ("bitget", "BTC/USDT:USDT", "bitget", "BTCUSDT", "mark", "mark"),
        ("bitget", "BTC/USDT:USDT", "bitget", "BTCUSDT", "index", "index"),
    ],
)
def test_ccxt_reads_the_true_marks(
    venues: VenueServer, ccxt_id: str, unified: str, venue: str, symbol: str, price: str, kind: str
) -> None:
    ex = exchange(ccxt_id, venues.base(ccxt_id))
    rows = ex.fetch_ohlcv(unified, "1h", START, 40, {"price": price})
    ex.session.close()
    want = venues.truth(venue, symbol, kind, "1h", since="2024-06-01", until="2024-06-02T16:00")
    assert_same(frame(rows, ("open", "high", "low", "close")), want)


@pytest.mark.parametrize(
    ("ccxt_id", "unified", "venue", "symbol"),
    [
        ("binance", "BTC/USDT:USDT", "binance", "BTCUSDT"),
        ("binance", "BTC/USD:BTC", "binance", "BTCUSD_PERP"),
        ("bybit", "BTC/USD:BTC", "bybit", "BTCUSD"),
        ("okx", "BTC/USDT:USDT", "okx", "BTC-USDT-SWAP"),
        ("krakenfutures", "BTC/USD:USD", "kraken", "PF_XBTUSD"),
        ("gate", "BTC/USDT:USDT", "gate", "BTC_USDT"),
        ("bitget", "BTC/USDT:USDT", "bitget", "BTCUSDT"),
        ("htx", "BTC/USDT:USDT", "htx", "BTC-USDT"),
        ("htx", "BTC/USD:BTC", "htx", "BTC-USD"),
        ("hyperliquid", "BTC/USDC:USDC", "hyperliquid", "BTC"),
    ],
)
def test_ccxt_reads_the_true_funding(venues: VenueServer, ccxt_id: str, unified: str, venue: str, symbol: str) -> None:
    ex = exchange(ccxt_id, venues.base(ccxt_id))
    rows = ex.fetch_funding_rate_history(unified, START, 50)
    ex.session.close()
    want = venues.truth(venue, symbol, "funding", since="2024-06-01").head(50)
    got = frame([(row["timestamp"], row["fundingRate"]) for row in rows], ("rate",))
    assert_same(got, want, columns=("rate",))


@pytest.mark.parametrize(
    ("ccxt_id", "unified", "venue", "symbol", "part"),
    [
        ("binance", "BTC/USDT:USDT", "binance", "BTCUSDT", "openInterestAmount"),
        ("binance", "BTC/USD:BTC", "binance", "BTCUSD_PERP", "openInterestAmount"),
        ("bybit", "BTC/USDT:USDT", "bybit", "BTCUSDT", "openInterestAmount"),
        ("bybit", "BTC/USD:BTC", "bybit", "BTCUSD", "openInterestValue"),
        ("okx", "BTC/USDT:USDT", "okx", "BTC-USDT-SWAP", "baseVolume"),
        ("okx", "BTC/USD:BTC", "okx", "BTC-USD-SWAP", "openInterestAmount"),
        ("gate", "BTC/USDT:USDT", "gate", "BTC_USDT", "openInterestAmount"),
    ],
)
def test_ccxt_reads_the_true_open_interest(
    venues: VenueServer, ccxt_id: str, unified: str, venue: str, symbol: str, part: str
) -> None:
    ex = exchange(ccxt_id, venues.base(ccxt_id))
    rows = ex.fetch_open_interest_history(unified, "1h", START, 30, {"until": START + 29 * H})
    ex.session.close()
    want = venues.truth(venue, symbol, "open_interest", "1h", since="2024-06-01", until="2024-06-02T05:30")
    assert_same(frame(sorted((row["timestamp"], row[part]) for row in rows), ("value",)), want)


@pytest.mark.parametrize(
    "ccxt_id", ["binance", "bybit", "okx", "kraken", "deribit", "coinbase", "coinbaseexchange", "gate", "bitget", "htx",
                "hyperliquid"],
)  # fmt: skip
def test_a_venue_tells_its_time(venues: VenueServer, ccxt_id: str) -> None:
    ex = exchange(ccxt_id, venues.base(ccxt_id))
    told = ex.fetch_time()
    ex.session.close()
    assert abs(told - ms(venues.now)) < 1000


# -- what ccxt does not read, or reads wrongly -----------------------------------------------------


def test_binance_tells_what_takers_bought(venues: VenueServer) -> None:
    rows = get(venues, "binance", "/fapi/v1/klines", symbol="BTCUSDT", interval="1h", startTime=START, limit=48)
    want = venues.truth("binance", "BTCUSDT", "taker_volume", "1h", since="2024-06-01", until="2024-06-03")
    assert_same(frame([(row[0], row[9]) for row in rows], ("buy",)), want)


def test_deribit_pays_one_hour_and_tells_eight(venues: VenueServer) -> None:
    told = get(
        venues, "deribit", "/api/v2/public/get_funding_rate_history", instrument_name="BTC-PERPETUAL",
        start_timestamp=START, end_timestamp=START + 47 * H,
    )["result"]  # fmt: skip
    want = venues.truth("deribit", "BTC-PERPETUAL", "funding", since="2024-06-01", until="2024-06-03")
    assert_same(frame([(row["timestamp"], row["interest_1h"]) for row in told], ("rate",)), want, columns=("rate",))
    one, eight = (np.array([row[name] for row in told]) for name in ("interest_1h", "interest_8h"))
    assert np.allclose(eight[7:], np.convolve(one, np.ones(8), "valid"))


def test_bitfinex_samples_open_interest_and_the_running_funding(venues: VenueServer) -> None:
    path = "/v2/status/deriv/tBTCF0:USTF0/hist"
    rows = get(venues, "bitfinex", path, start=START, end=START + DAY - 1, sort=1, limit=5000)
    want = venues.truth("bitfinex", "tBTCF0:USTF0", "open_interest", "1m", since="2024-06-01", until="2024-06-02")
    assert_same(frame([(row[0], row[17]) for row in rows], ("value",)), want)
    settled = {row[7]: row[11] for row in rows}
    funding = venues.truth("bitfinex", "tBTCF0:USTF0", "funding", since="2024-06-01T01:00", until="2024-06-02T01:00")
    assert list(settled.values()) == funding["rate"].tolist()
    assert list(settled) == [ms(one) for one in funding["stamp"]]
    assert next(row[7] for row in rows if row[0] >= START + 8 * H) == START + 16 * H


def test_kraken_open_interest_closes_where_the_next_bucket_opens(venues: VenueServer) -> None:
    told = get(
        venues, "krakenfutures", "/api/charts/v1/analytics/PF_XBTUSD/open-interest", since=START // 1000,
        to=START // 1000 + 23 * 3600, interval=3600,
    )["result"]  # fmt: skip
    opens, closes = ([float(row[place]) for row in told["data"]] for place in (0, 3))
    assert opens[1:] == closes[:-1]
    want = venues.truth("kraken", "PF_XBTUSD", "open_interest", "1h", since="2024-06-01", until="2024-06-02")
    stamps = [second * 1000 for second in told["timestamp"]]
    assert_same(frame(list(zip(stamps, opens, strict=True)), ("value",)), want)


@pytest.mark.parametrize(("amount_type", "size"), [(1, 1.0), (2, 0.001)])
def test_htx_counts_open_interest_in_contracts_or_coins(venues: VenueServer, amount_type: int, size: float) -> None:
    path = "/linear-swap-api/v1/swap_his_open_interest"
    told = get(venues, "htx", path, contract_code="BTC-USDT", period="60min", size=30, amount_type=amount_type)
    rows = sorted((row["ts"], float(row["volume"]) / size) for row in told["data"]["tick"])
    want = venues.truth("htx", "BTC-USDT", "open_interest", "1h", since="2024-06-14").tail(30)
    assert_same(frame(rows, ("value",)), want.reset_index(drop=True))


def test_snapshots_of_venues_without_history_tell_the_present(venues: VenueServer) -> None:
    now = ms(venues.now) // 60_000 * 60_000
    context = info(venues, type="metaAndAssetCtxs")[1][0]
    summary = get(venues, "deribit", "/api/v2/public/get_book_summary_by_instrument", instrument_name="BTC-PERPETUAL")
    size = get(venues, "bitget", "/api/v2/mix/market/open-interest", symbol="BTCUSDT", productType="USDT-FUTURES")
    told = {
        ("hyperliquid", "BTC"): context["openInterest"],
        ("deribit", "BTC-PERPETUAL"): summary["result"][0]["open_interest"],
        ("bitget", "BTCUSDT"): size["data"]["openInterestList"][0]["size"],
    }
    for (venue, symbol), value in told.items():
        want = venues.truth(venue, symbol, "open_interest", "1m", since=pd.Timestamp(now, unit="ms", tz="UTC"))
        assert float(value) == want["value"].iloc[0]


def test_jitter_is_in_the_stamp_and_nowhere_else(venues: VenueServer) -> None:
    rows = get(venues, "binance", "/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=START, limit=30)
    late = np.array([row["fundingTime"] % 60_000 for row in rows])
    assert late.max() <= 12
    assert late.max() > 0
    assert get(venues, "binance", "/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=START, limit=30) == rows


# -- page rules ----------------------------------------------------------------------------------


def opens(rows: list[Any]) -> list[int]:
    return [int(row[0]) for row in rows]


def test_binance_keeps_the_oldest_from_a_start_and_the_newest_before_an_end(venues: VenueServer) -> None:
    ask = {"symbol": "BTCUSDT", "interval": "1h", "limit": 3}
    assert opens(get(venues, "binance", "/api/v3/klines", startTime=START, endTime=START + DAY, **ask)) == [
        START, START + H, START + 2 * H
    ]  # fmt: skip
    assert opens(get(venues, "binance", "/api/v3/klines", endTime=START, **ask)) == [START - 2 * H, START - H, START]
    assert (
        len(get(venues, "binance", "/api/v3/klines", symbol="BTCUSDT", interval="1h", startTime=START - 60 * DAY))
        == 500
    )
    assert len(get(venues, "binance", "/api/v3/klines", **{**ask, "limit": 5000}, startTime=START - 60 * DAY)) == 1000


def test_binance_open_interest_is_refused_beyond_thirty_days(venues: VenueServer) -> None:
    ask = {"symbol": "BTCUSDT", "period": "1h", "limit": 500}
    path = "/futures/data/openInterestHist"
    status, body = get(venues, "binance", path, startTime=ms(venues.now) - 31 * DAY, **ask)
    assert (status, body["code"]) == (400, -1130)
    assert len(get(venues, "binance", path, startTime=ms(venues.now) - 30 * DAY + 1, **ask)) == 500


def test_binance_coin_margined_ranges_are_at_most_200_days(venues: VenueServer) -> None:
    ask = {"symbol": "BTCUSD_PERP", "interval": "1d", "startTime": START - 300 * DAY}
    assert get(venues, "binance", "/dapi/v1/klines", endTime=START - 99 * DAY, **ask)[0] == 400
    assert len(get(venues, "binance", "/dapi/v1/klines", endTime=START - 100 * DAY, **ask)) == 201


def test_bybit_with_both_ends_keeps_the_newest_and_with_a_start_alone_the_oldest(venues: VenueServer) -> None:
    ask = {"category": "linear", "symbol": "BTCUSDT", "interval": "60", "limit": 3}
    rows = get(venues, "bybit", "/v5/market/kline", start=START, end=START + 3 * H, **ask)["result"]["list"]
    assert opens(rows) == [START + 3 * H, START + 2 * H, START + H]
    rows = get(venues, "bybit", "/v5/market/kline", start=START, **ask)["result"]["list"]
    assert opens(rows) == [START + 2 * H, START + H, START]


def test_bybit_funding_needs_an_end_with_a_start(venues: VenueServer) -> None:
    ask = {"category": "linear", "symbol": "BTCUSDT"}
    assert get(venues, "bybit", "/v5/market/funding/history", startTime=START, **ask)["retCode"] == 10001
    rows = get(venues, "bybit", "/v5/market/funding/history", endTime=START, **ask)["result"]["list"]
    assert len(rows) == 200
    assert int(rows[0]["fundingRateTimestamp"]) == START


def test_ccxt_asks_bybit_for_one_settlement_too_many_and_loses_the_first(venues: VenueServer) -> None:
    ex = exchange("bybit", venues.base("bybit"))
    rows = ex.fetch_funding_rate_history("BTC/USD:BTC", START, 20)
    ex.session.close()
    want = venues.truth("bybit", "BTCUSD", "funding", since="2024-06-01", until="2024-06-07T16:01")
    assert len(want) == 21
    assert [row["timestamp"] for row in rows] == [ms(one) for one in want["stamp"][1:]]


def test_bybit_open_interest_turns_pages_by_cursor(venues: VenueServer) -> None:
    ask = {"category": "linear", "symbol": "BTCUSDT", "intervalTime": "1h", "startTime": START, "limit": 20}
    stamps: list[int] = []
    cursor = ""
    for _ in range(10):
        told = get(venues, "bybit", "/v5/market/open-interest", endTime=START + 49 * H, cursor=cursor, **ask)["result"]
        stamps += [int(row["timestamp"]) for row in told["list"]]
        cursor = told["nextPageCursor"]
        if not cursor:
            break
    assert stamps == [START + step * H for step in reversed(range(50))]


def test_okx_bounds_are_exclusive_and_before_alone_is_the_newest_page(venues: VenueServer) -> None:
    ask = {"instId": "BTC-USDT-SWAP", "bar": "1H"}
    path = "/api/v5/market/history-candles"
    rows = get(venues, "okx", path, before=START, after=START + 4 * H, **ask)["data"]
    assert opens(rows) == [START + 3 * H, START + 2 * H, START + H]
    newest = get(venues, "okx", "/api/v5/public/funding-rate-history", instId="BTC-USDT-SWAP", limit=5)["data"]
    alone = get(
        venues, "okx", "/api/v5/public/funding-rate-history", instId="BTC-USDT-SWAP", limit=5, before=START - 30 * DAY
    )["data"]
    assert alone == newest


def test_okx_candles_hold_1440_bars_and_history_all_but_the_open_one(venues: VenueServer) -> None:
    ask = {"instId": "BTC-USDT-SWAP", "bar": "1H", "limit": 300}
    old = ms(venues.now) - 1500 * H
    assert get(venues, "okx", "/api/v5/market/candles", after=old, **ask)["data"] == []
    assert len(get(venues, "okx", "/api/v5/market/history-candles", after=old, **ask)["data"]) == 300
    assert get(venues, "okx", "/api/v5/market/candles", **ask)["data"][0][-1] == "0"
    assert get(venues, "okx", "/api/v5/market/history-candles", **ask)["data"][0][-1] == "1"


def test_okx_funding_reaches_three_months_and_is_silent_beyond(venues: VenueServer) -> None:
    path, ask = "/api/v5/public/funding-rate-history", {"instId": "BTC-USDT-SWAP", "limit": 100}
    assert get(venues, "okx", path, after=ms(venues.now) - 93 * DAY, **ask)["data"] == []
    assert len(get(venues, "okx", path, after=ms(venues.now) - 60 * DAY, **ask)["data"]) == 96


def test_kraken_spot_knows_the_latest_720_rows_whatever_is_asked(venues: VenueServer) -> None:
    told = get(venues, "kraken", "/0/public/OHLC", pair="XBTUSD", interval=60, since=START // 1000 - 400 * 86_400)
    rows = told["result"]["XXBTZUSD"]
    assert rows[-1][0] * 1000 == ms(venues.now) // H * H
    assert 700 < len(rows) <= 720
    assert rows[0][0] * 1000 == ms(venues.now) // H * H - 719 * H


def test_kraken_futures_charts_say_that_there_is_more(venues: VenueServer) -> None:
    path = "/api/charts/v1/trade/PF_XBTUSD/1h"
    first = START - 100 * DAY
    told = get(venues, "krakenfutures", path, **{"from": first // 1000, "to": START // 1000})
    assert (len(told["candles"]), told["more_candles"], told["candles"][0]["time"]) == (2000, True, first)
    told = get(venues, "krakenfutures", path, **{"from": START // 1000 - 7200, "to": START // 1000})
    assert (len(told["candles"]), told["more_candles"]) == (3, False)


def test_kraken_futures_funding_comes_whole_and_a_year_long(venues: VenueServer) -> None:
    rates = get(venues, "krakenfutures", "/derivatives/api/v4/historicalfundingrates", symbol="PF_XBTUSD")["rates"]
    assert len(rates) == 8770
    assert ms(rates[0]["timestamp"]) == ms(venues.reach("kraken", "PF_XBTUSD", "funding").ceil("h"))


def test_deribit_keeps_the_newest_744_hours(venues: VenueServer) -> None:
    rows = get(
        venues, "deribit", "/api/v2/public/get_funding_rate_history", instrument_name="BTC-PERPETUAL",
        start_timestamp=START - 60 * DAY, end_timestamp=START,
    )["result"]  # fmt: skip
    assert len(rows) == 744
    assert (rows[0]["timestamp"], rows[-1]["timestamp"]) == (START - 743 * H, START)


def test_coinbase_refuses_a_range_of_350_bars(venues: VenueServer) -> None:
    path = "/api/v3/brokerage/market/products/BTC-USD/candles"
    ask = {"granularity": "ONE_HOUR", "start": START // 1000}
    assert get(venues, "coinbase", path, end=START // 1000 + 350 * 3600, **ask)[0] == 400
    assert len(get(venues, "coinbase", path, end=START // 1000 + 300 * 3600, **ask)["candles"]) == 301


def test_coinbase_exchange_keeps_the_newest_300_and_refuses_more(venues: VenueServer) -> None:
    path = "/products/BTC-USD/candles"
    rows = get(
        venues, "coinbaseexchange", path, granularity=3600, start="2024-06-01T00:00:00Z", end="2024-06-13T12:00:00Z"
    )
    assert len(rows) == 300
    assert rows[-1][0] * 1000 == START + H
    over = get(
        venues, "coinbaseexchange", path, granularity=3600, start="2024-06-01T00:00:00Z", end="2024-06-13T13:00:00Z"
    )
    assert over[0] == 400


def test_bitstamp_goes_forward_from_a_start_and_refuses_a_large_limit(venues: VenueServer) -> None:
    ask = {"step": 3600, "start": START // 1000}
    rows = get(venues, "bitstamp", "/api/v2/ohlc/btcusd/", limit=5, **ask)["data"]["ohlc"]
    assert [int(row["timestamp"]) * 1000 for row in rows] == [START + step * H for step in range(5)]
    assert get(venues, "bitstamp", "/api/v2/ohlc/btcusd/", limit=1001, **ask)[0] == 400


def test_bitfinex_tells_a_hundred_newest_first_unless_asked_otherwise(venues: VenueServer) -> None:
    path = "/v2/candles/trade:1h:tBTCUSD/hist"
    rows = get(venues, "bitfinex", path, start=START)
    assert len(rows) == 100
    assert rows[0][0] == ms(venues.now) // H * H
    assert rows[0][0] > rows[1][0]
    rows = get(venues, "bitfinex", path, start=START, sort=1, limit=300)
    assert len(rows) == 300
    assert rows[0][0] == START
    assert get(venues, "bitfinex", path, start=START, limit=10_001)[0] == 500


def test_gate_refuses_what_is_too_long_ago_too_broad_or_said_twice(venues: VenueServer) -> None:
    path, now = "/api/v4/spot/candlesticks", ms(venues.now) // 1000
    ask = {"currency_pair": "BTC_USDT", "interval": "1h"}
    assert (
        "too long ago"
        in get(venues, "gate", path, **{"from": now - 10_001 * 3600, "to": now - 9_500 * 3600}, **ask)[1]["message"]
    )
    assert "too broad" in get(venues, "gate", path, **{"from": now - 1100 * 3600}, **ask)[1]["message"]
    assert "conflicts" in get(venues, "gate", path, **{"from": now - 10 * 3600, "limit": 5}, **ask)[1]["message"]
    assert len(get(venues, "gate", path, **{"from": now - 1100 * 3600, "to": now - 200 * 3600}, **ask)) == 900


def test_gate_futures_count_volume_in_contracts(venues: VenueServer) -> None:
    seconds = START // 1000
    rows = get(
        venues, "gate", "/api/v4/futures/usdt/candlesticks", contract="BTC_USDT", interval="1h",
        **{"from": seconds, "to": seconds + 23 * 3600},
    )  # fmt: skip
    want = venues.truth("gate", "BTC_USDT", "ohlcv", "1h", since="2024-06-01", until="2024-06-02")
    assert_same(frame([(row["t"] * 1000, row["v"] * 0.0001) for row in rows], ("volume",)), want, columns=("volume",))


def test_bitget_history_ends_before_its_end_and_holds_200(venues: VenueServer) -> None:
    ask = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "granularity": "1H", "limit": 1000}
    rows = get(venues, "bitget", "/api/v2/mix/market/history-candles", endTime=START, **ask)["data"]
    assert (len(rows), int(rows[-1][0])) == (200, START - H)
    rows = get(venues, "bitget", "/api/v2/mix/market/candles", endTime=START, **ask)["data"]
    assert (len(rows), int(rows[-1][0])) == (1000, START)
    assert (
        get(venues, "bitget", "/api/v2/mix/market/candles", startTime=START - 95 * DAY, endTime=START, **ask)[0] == 400
    )
    old = ms(venues.now) - 84 * DAY
    assert get(venues, "bitget", "/api/v2/mix/market/candles", endTime=old, **ask)["data"] == []


def test_bitget_and_htx_number_their_pages_from_the_newest(venues: VenueServer) -> None:
    want = [ms(one) for one in venues.truth("bitget", "BTCUSDT", "funding", since="2024-01-01")["stamp"]][::-1]
    path, ask = (
        "/api/v2/mix/market/history-fund-rate",
        {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "pageSize": 100},
    )
    rows = [row for page in (1, 2, 3) for row in get(venues, "bitget", path, pageNo=page, **ask)["data"]]
    assert [int(row["fundingTime"]) for row in rows] == want[:300]
    path = "/swap-api/v1/swap_historical_funding_rate"
    pages = [
        get(venues, "htx", path, contract_code="BTC-USD", page_index=page, page_size=50)["data"] for page in (1, 2)
    ]
    assert [int(row["funding_time"]) for page in pages for row in page["data"]] == want[:100]
    assert (
        pages[1]["current_page"],
        len(get(venues, "htx", path, contract_code="BTC-USD", page_size=99)["data"]["data"]),
    ) == (2, 50)


def test_htx_funding_goes_forward_and_refuses_a_large_limit(venues: VenueServer) -> None:
    path = "/v5/market/funding_rate_history"
    rows = get(venues, "htx", path, contract_code="BTC-USDT", start_time=START, limit=3)["data"]
    assert [int(row["funding_time"]) for row in rows] == [START, START + 8 * H, START + 16 * H]
    assert get(venues, "htx", path, contract_code="BTC-USDT", limit=200)["code"] == 1067


def test_hyperliquid_knows_5000_bars_and_500_rates_a_page(venues: VenueServer) -> None:
    now = ms(venues.now)
    rows = info(venues, type="candleSnapshot", req={"coin": "BTC", "interval": "1h", "startTime": 0, "endTime": now})
    assert len(rows) == 5000
    assert rows[-1]["t"] == now // H * H
    old = {"coin": "BTC", "interval": "1h", "startTime": now - 5200 * H, "endTime": now - 5000 * H}
    assert info(venues, type="candleSnapshot", req=old) == []
    rates = info(venues, type="fundingHistory", coin="BTC", startTime=START - 60 * DAY)
    assert len(rates) == 500
    assert rates[0]["time"] // H * H == START - 60 * DAY
    assert any(row["time"] % H for row in rates)


def test_an_unknown_symbol_or_interval_is_refused_as_each_venue_does(venues: VenueServer) -> None:
    assert get(venues, "binance", "/api/v3/klines", symbol="NOPE", interval="1h") == (
        400, {"code": -1121, "msg": "Invalid symbol."}
    )  # fmt: skip
    assert get(venues, "binance", "/api/v3/klines", symbol="BTCUSDT", interval="7h")[1]["code"] == -1120
    assert get(venues, "bybit", "/v5/market/kline", symbol="NOPE", interval="60")["retCode"] == 10001
    assert get(venues, "okx", "/api/v5/market/candles", instId="NOPE", bar="1H")["code"] == "51001"
    assert get(venues, "kraken", "/0/public/OHLC", pair="NOPE", interval=60)["error"] == ["EQuery:Unknown asset pair"]


def test_a_delisted_instrument_ends_and_later_is_unknown() -> None:
    market = Market(delisted={"binance:BTCUSDT": "2024-06-02"})
    ask = {"symbol": "BTCUSDT", "interval": "1h", "startTime": START}
    with VenueServer(market=market) as venues:
        assert len(get(venues, "binance", "/fapi/v1/klines", **ask)) == 24
    with VenueServer(market=market, gone={"binance:BTCUSDT"}) as venues:
        assert get(venues, "binance", "/fapi/v1/klines", **ask)[1]["code"] == -1121


def test_a_kraken_bucket_that_was_lost_takes_the_snapshot_at_its_end_with_it(venues: VenueServer) -> None:
    gap = ms("2024-06-04T06:00")
    told = get(
        venues,
        "krakenfutures",
        "/api/charts/v1/analytics/PF_XBTUSD/open-interest",
        since=gap // 1000 - 7200,
        to=gap // 1000 + 3 * 3600,
        interval=3600,
    )["result"]
    assert [second * 1000 - gap for second in told["timestamp"]] == [-2 * H, -H, 2 * H, 3 * H]
    ends = [(second * 1000 + H, float(row[3])) for second, row in zip(told["timestamp"], told["data"], strict=True)]
    want = venues.truth("kraken", "PF_XBTUSD", "open_interest", since="2024-06-04T05:00", until="2024-06-04T10:30")
    assert_same(frame(ends, ("value",)), want)
