"""HTX swaps (https://www.htx.com/en-us/opend) and Hyperliquid's info endpoint (https://hyperliquid.gitbook.io).

HTX days begin at 16:00 UTC; its daily bars are not served here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from venue_server.endpoint import Endpoint, Page, Reach
from venue_server.listings import listing

__all__ = ["ENDPOINTS"]

CODES = {"1min": "1m", "5min": "5m", "15min": "15m", "30min": "30m", "60min": "1h", "4hour": "4h"}
PERIODS = {"60min": "1h", "4hour": "4h", "12hour": "12h"}
INTERVALS = {code: code for code in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h")} | {"1d": "1D"}


def _fault(code: str, text: str) -> tuple[int, Any]:
    return 200, {"status": "error", "err-code": code, "err-msg": text, "ts": 0}


REFUSALS = {
    "symbol": _fault("invalid-parameter", "invalid symbol"),
    "interval": _fault("invalid-parameter", "invalid period"),
    "param": _fault("bad-request", "invalid from or to"),
    "limit": _fault("bad-request", "invalid size, valid range: [1,2000]"),
}
V5_REFUSALS = {
    "symbol": (200, {"code": 1332, "message": "The contract doesn't exist.", "data": None}),
    "limit": (200, {"code": 1067, "message": "The limit field is invalid.", "data": None}),
    "param": (200, {"code": 1067, "message": "The start_time field is invalid.", "data": None}),
}


def _told(page: Page, data: Any) -> dict[str, Any]:
    return {"status": "ok", "ts": page.ask.now, "data": data}


def _klines(page: Page) -> dict[str, Any]:
    what = page.ask.instrument
    rows = []
    for row in page.rows():
        coins, quote = row["volume"], row["volume"] * row["close"]
        contracts = (quote if what.margin == "inverse" else coins) / what.contract
        prices = {name: row[name] for name in ("open", "close", "high", "low")}
        volumes = {"amount": coins, "vol": round(contracts), "trade_turnover": quote, "count": row["count"]}
        rows.append({"id": row["t"] // 1000, **prices, **volumes})
    return _told(page, rows) | {"ch": f"market.{what.symbol}.kline"}


def _marks(page: Page) -> dict[str, Any]:
    rows = []
    for row in page.rows():
        prices = {name: f"{row[name]:.8f}" for name in ("open", "close", "high", "low")}
        rows.append({"id": row["t"] // 1000, **prices, "amount": "0", "vol": "0", "count": "0"})
    return _told(page, rows)


def _funding_v5(page: Page) -> dict[str, Any]:
    rows = []
    for row in page.rows():
        place = row["t"] // 28_800_000
        told = {"contract_code": page.ask.instrument.symbol, "funding_rate": f"{row['rate']:.10f}"}
        rows.append({"id": str(place), **told, "funding_time": str(row["t"])})
    return {"code": 200, "message": "Success", "data": rows, "ts": page.ask.now}


def _funding_pages(page: Page) -> dict[str, Any]:
    what, size = page.ask.instrument, page.ask.limit
    every = len(page.market.stamps(what, "funding", "8h", 0, page.ask.now))
    rows = []
    for row in page.rows():
        rate = f"{row['rate']:.18f}"
        told = {"avg_premium_index": rate, "funding_rate": rate, "realized_rate": None, "fee_asset": "BTC"}
        rows.append({**told, "funding_time": str(row["t"]), "contract_code": what.symbol, "symbol": "BTC"})
    current = int(page.ask.params.get("page_index", 1))
    head = {"total_page": -(-every // size), "current_page": current, "total_size": every}
    return _told(page, {**head, "data": rows})


def _interest(page: Page) -> dict[str, Any]:
    what = page.ask.instrument
    sort = page.ask.params.get("amount_type", "1")
    rows = []
    for row in page.rows():
        usd = row["value"] * what.contract * (1.0 if what.margin == "inverse" else row["price"])
        coins = usd / row["price"] if what.margin == "inverse" else row["value"] * what.contract
        volume = f"{row['value'] if sort == '1' else coins:.8f}"
        rows.append({"volume": volume, "amount_type": int(sort), "ts": row["t"], "value": f"{usd:.4f}"})
    return _told(page, {"symbol": "BTC", "contract_code": what.symbol, "tick": rows})


def _spot_time(page: Page) -> dict[str, Any]:
    return {"status": "ok", "data": page.ask.now}


def _contract_time(page: Page) -> dict[str, Any]:
    return {"status": "ok", "ts": page.ask.now}


def _snapshot(page: Page) -> list[dict[str, Any]]:
    names = {"o": "open", "c": "close", "h": "high", "l": "low", "v": "volume"}
    interval = page.ask.params.get("interval")
    return [
        {"t": row["t"], "T": row["t"] + page.ask.step - 1, "s": "BTC", "i": interval, "n": row["count"]}
        | {key: f"{row[name]:.3f}".rstrip("0").rstrip(".") for key, name in names.items()}
        for row in page.rows()
    ]


def _hourly(page: Page) -> list[dict[str, Any]]:
    return [
        {"coin": "BTC", "fundingRate": f"{row['rate']:.10f}", "premium": f"{row['rate'] * 8:.10f}", "time": row["t"]}
        for row in page.rows()
    ]


def _contexts(page: Page) -> list[Any]:
    what, now = listing("hyperliquid", "BTC"), np.array([page.ask.now])
    price = f"{page.market.bars(what, 'ohlcv', '1m', now)['open'][0]:.1f}"
    size = f"{page.market.interest(what, now)[0]:.2f}"
    context = {"funding": "0.0000125", "openInterest": size, "oraclePx": price, "markPx": price, "midPx": price}
    return [{"universe": [{"name": "BTC", "szDecimals": 5, "maxLeverage": 40}]}, [context]]


def _status(page: Page) -> dict[str, Any]:
    return {"time": page.ask.now, "specialStatuses": None}


# [unverified] that from and to beat size, and that more than 2000 bars keep the newest.
_LINEAR, _INVERSE = {"BTC-USDT": "BTC-USDT"}, {"BTC-USD": "BTC-USD"}
_KLINES = Endpoint(
    venue="htx", path="/linear-swap-ex/market/history/kline", kind="ohlcv", symbols=_LINEAR, intervals=CODES,
    symbol="contract_code", interval="period", start="from", end="to", limit="size", unit="s", cap=2000, default=150,
    over_cap="refuse", range_beats_limit=True, keep="newest", encode=_klines, refusals=REFUSALS,
)  # fmt: skip
_MARKS = _KLINES.but(kind="mark", start="-", end="-", reach=Reach(bars=2000), encode=_marks)
_PAGES = Endpoint(
    venue="htx", path="/swap-api/v1/swap_historical_funding_rate", kind="funding", symbols=_INVERSE, timeframe="8h",
    symbol="contract_code", start="-", end="-", limit="page_size", page_number="page_index", cap=50, default=20,
    order="desc", keep="newest", encode=_funding_pages, refusals=REFUSALS,
)  # fmt: skip
_INTEREST = _KLINES.but(
    path="/linear-swap-api/v1/swap_his_open_interest", kind="open_interest", intervals=PERIODS, start="-", end="-",
    cap=200, default=48, order="desc", reach=Reach(bars=200), encode=_interest,
)  # fmt: skip
_INFO = Endpoint(
    venue="hyperliquid", path="/info", method="POST", body_type="candleSnapshot", kind="ohlcv", symbols={"BTC": "BTC"},
    intervals=INTERVALS, symbol="coin", limit="-", cap=5000, default=5000, keep="newest", reach=Reach(bars=5000),
    encode=_snapshot, refusals={"symbol": (500, "null"), "param": (422, "Failed to deserialize the JSON body")},
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (
    _KLINES,
    _KLINES.but(path="/swap-ex/market/history/kline", symbols=_INVERSE),
    _MARKS.but(path="/index/market/history/linear_swap_mark_price_kline"),
    _MARKS.but(path="/index/market/history/linear_swap_premium_index_kline", kind="premium_index"),
    _MARKS.but(path="/index/market/history/swap_mark_price_kline", symbols=_INVERSE),
    _MARKS.but(path="/index/market/history/swap_premium_index_kline", kind="premium_index", symbols=_INVERSE),
    Endpoint(
        venue="htx", path="/v5/market/funding_rate_history", kind="funding", symbols=_LINEAR, timeframe="8h",
        symbol="contract_code", start="start_time", end="end_time", cap=100, default=100, over_cap="refuse",
        encode=_funding_v5, refusals=V5_REFUSALS,
    ),
    _PAGES,
    _PAGES.but(path="/linear-swap-api/v1/swap_historical_funding_rate", symbols=_LINEAR, cap=100),
    _INTEREST,
    _INTEREST.but(path="/swap-api/v1/swap_his_open_interest", symbols=_INVERSE),
    Endpoint(venue="htx", path="/v1/common/timestamp", encode=_spot_time),
    Endpoint(venue="htx", path="/api/v1/timestamp", encode=_contract_time),
    _INFO,
    _INFO.but(
        body_type="fundingHistory", kind="funding", timeframe="1h", cap=500, default=500, keep="oldest", reach=None,
        encode=_hourly,
    ),
    Endpoint(venue="hyperliquid", path="/info", method="POST", body_type="metaAndAssetCtxs", encode=_contexts),
    Endpoint(venue="hyperliquid", path="/info", method="POST", body_type="exchangeStatus", encode=_status),
)  # fmt: skip
