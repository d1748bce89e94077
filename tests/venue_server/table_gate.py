"""Gate API v4 (https://www.gate.com/docs/developers/apiv4) and Bitget API v2 (https://www.bitget.com/api-doc)."""

from __future__ import annotations

from typing import Any

import numpy as np

from venue_server.endpoint import Endpoint, Page, Reach
from venue_server.listings import listing

__all__ = ["ENDPOINTS"]

CODES = {code: code for code in ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h")} | {"1d": "1D"}
PERIODS = {code: CODES[code] for code in ("5m", "15m", "30m", "1h", "4h", "1d")}
GRAINS = {code: code for code in ("1m", "3m", "5m", "15m", "30m")} | {
    "1H": "1h", "2H": "2h", "4H": "4h", "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1D"
}  # fmt: skip
DAYS = {
    "1m": 30,
    "3m": 30,
    "5m": 30,
    "15m": 52,
    "30m": 62,
    "1h": 83,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "12h": 360,
    "1D": 360,
}


def _gate_fault(text: str) -> tuple[int, Any]:
    return 400, {"label": "INVALID_PARAM_VALUE", "message": text}


GATE_REFUSALS = {
    "symbol": (400, {"label": "CONTRACT_NOT_FOUND", "message": "CONTRACT_NOT_FOUND"}),
    "interval": _gate_fault("invalid interval"),
    "param": _gate_fault("invalid argument"),
    "limit": _gate_fault("limit out of range"),
    "conflict": _gate_fault("limit conflicts with from and to"),
    "range": _gate_fault("Candlestick range too broad. Maximum 1000 data points are allowed per query"),
    "old": _gate_fault("Candlestick too long ago. Maximum 10000 points ago are allowed"),
}


def _bitget_fault(code: str, text: str) -> tuple[int, Any]:
    return 400, {"code": code, "msg": text, "requestTime": 0, "data": None}


BITGET_REFUSALS = {
    "symbol": _bitget_fault("40034", "Parameter BTC does not exist"),
    "interval": _bitget_fault("400171", "Parameter verification failed granularity"),
    "param": _bitget_fault("40017", "Parameter verification failed"),
    "limit": _bitget_fault("40017", "Parameter verification failed limit"),
    "backwards": _bitget_fault("40054", "startTime must be less than endTime"),
    "range": _bitget_fault("40017", "startTime and endTime interval cannot be greater than 90 days"),
}


def _spot(page: Page) -> list[list[str]]:
    rows = []
    for row in page.rows():
        prices = [f"{row[name]:.1f}" for name in ("close", "high", "low", "open")]
        closed = "true" if row["t"] + page.ask.step <= page.ask.now else "false"
        quote = f"{row['volume'] * row['close']:.4f}"
        rows.append([str(row["t"] // 1000), quote, *prices, f"{row['volume']:.8f}", closed])
    return rows


def _futures(page: Page) -> list[dict[str, Any]]:
    contract, traded = page.ask.instrument.contract, page.ask.endpoint.kind == "ohlcv"
    rows = []
    for row in page.rows():
        names = {"o": "open", "h": "high", "l": "low", "c": "close"}
        told: dict[str, Any] = {"t": row["t"] // 1000} | {key: f"{row[name]:.2f}" for key, name in names.items()}
        if traded:
            told |= {"v": round(row["volume"] / contract), "sum": f"{row['volume'] * row['close']:.4f}"}
        rows.append(told)
    return rows


def _gate_funding(page: Page) -> list[dict[str, Any]]:
    return [{"r": f"{row['rate']:.10f}", "t": row["t"] // 1000} for row in page.rows()]


def _stats(page: Page) -> list[dict[str, Any]]:
    contract = page.ask.instrument.contract
    return [
        {
            "time": row["t"] // 1000, "open_interest": f"{row['value']:.0f}", "mark_price": row["price"],
            "open_interest_usd": f"{row['value'] * contract * row['price']:.4f}", "lsr_taker": 1.0,
        }
        for row in page.rows()
    ]  # fmt: skip


def _gate_time(page: Page) -> dict[str, Any]:
    return {"server_time": page.ask.now}


def _told(page: Page, data: Any) -> dict[str, Any]:
    return {"code": "00000", "msg": "success", "requestTime": page.ask.now, "data": data}


def _bitget_candles(page: Page) -> dict[str, Any]:
    traded = page.ask.endpoint.kind == "ohlcv"
    rows = []
    for row in page.rows():
        prices = [f"{row[name]:.2f}" for name in ("open", "high", "low", "close")]
        volumes = [f"{row['volume']:.4f}", f"{row['volume'] * row['close']:.4f}"] if traded else ["0", "0"]
        rows.append([str(row["t"]), *prices, *volumes])
    return _told(page, rows)


def _bitget_funding(page: Page) -> dict[str, Any]:
    rates = ((row["t"], f"{row['rate']:.10f}") for row in page.rows())
    return _told(page, [{"symbol": "BTCUSDT", "fundingRate": rate, "fundingTime": str(t)} for t, rate in rates])


def _bitget_interest(page: Page) -> dict[str, Any]:
    size = page.market.interest(listing("bitget", "BTCUSDT"), np.array([page.ask.now]))[0]
    return _told(page, {"openInterestList": [{"symbol": "BTCUSDT", "size": f"{size:.2f}"}], "ts": str(page.ask.now)})


def _bitget_time(page: Page) -> dict[str, Any]:
    return _told(page, {"serverTime": str(page.ask.now)})


# [unverified] that Bitget's history leaves out its end, and that its pages keep the newest.
_BARS = Endpoint(
    venue="gate", path="/api/v4/futures/usdt/candlesticks", kind="ohlcv", symbols={"BTC_USDT": "BTC_USDT"},
    intervals=CODES, symbol="contract", start="from", end="to", unit="s", cap=2000, default=100, over_cap="refuse",
    spread=1999, limit_alone=True, reach=Reach(bars=10_000, refuse=True), encode=_futures, refusals=GATE_REFUSALS,
)  # fmt: skip
_CANDLES = Endpoint(
    venue="bitget", path="/api/v2/mix/market/candles", kind="ohlcv", symbols={"BTCUSDT": "BTCUSDT"}, intervals=GRAINS,
    interval="granularity", cap=1000, default=100, longest=90, keep="newest", reach=Reach(days_of=DAYS, days=83),
    encode=_bitget_candles, refusals=BITGET_REFUSALS,
)  # fmt: skip
_HISTORY = _CANDLES.but(cap=200, reach=None, end_open=True, open_bar=False)

ENDPOINTS: tuple[Endpoint, ...] = (
    _BARS.but(
        path="/api/v4/spot/candlesticks", symbols={"BTC_USDT": "BTC/USDT"}, symbol="currency_pair", cap=1000,
        spread=999, encode=_spot,
    ),
    _BARS,
    _BARS.but(kind="mark", symbols={"mark_BTC_USDT": "BTC_USDT"}),
    _BARS.but(kind="index", symbols={"index_BTC_USDT": "BTC_USDT"}),
    _BARS.but(
        path="/api/v4/futures/usdt/funding_rate", kind="funding", timeframe="8h", cap=1000, order="desc", keep="newest",
        limit_alone=False, spread=None, reach=None, encode=_gate_funding,
    ),
    _BARS.but(
        path="/api/v4/futures/usdt/contract_stats", kind="open_interest", intervals=PERIODS, end="-", cap=100,
        default=30, limit_alone=False, spread=None, reach=None, encode=_stats,
    ),
    Endpoint(venue="gate", path="/api/v4/spot/time", encode=_gate_time),
    _CANDLES,
    _CANDLES.but(kind="mark", where={"kLineType": "mark"}),
    _CANDLES.but(kind="index", where={"kLineType": "index"}),
    _HISTORY.but(path="/api/v2/mix/market/history-candles"),
    _HISTORY.but(path="/api/v2/mix/market/history-mark-candles", kind="mark"),
    _HISTORY.but(path="/api/v2/mix/market/history-index-candles", kind="index"),
    Endpoint(
        venue="bitget", path="/api/v2/mix/market/history-fund-rate", kind="funding", symbols={"BTCUSDT": "BTCUSDT"},
        timeframe="8h", start="-", end="-", limit="pageSize", page_number="pageNo", cap=100, default=20, order="desc",
        keep="newest", encode=_bitget_funding, refusals=BITGET_REFUSALS,
    ),
    Endpoint(venue="bitget", path="/api/v2/mix/market/open-interest", encode=_bitget_interest),
    Endpoint(venue="bitget", path="/api/v2/public/time", encode=_bitget_time),
)  # fmt: skip
