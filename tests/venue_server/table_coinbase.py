"""Coinbase (Advanced Trade public candles, and the Exchange API), Bitstamp OHLC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from venue_server.endpoint import Endpoint, Page

__all__ = ["ENDPOINTS"]

NAMES = {
    "ONE_MINUTE": "1m", "FIVE_MINUTE": "5m", "FIFTEEN_MINUTE": "15m", "THIRTY_MINUTE": "30m", "ONE_HOUR": "1h",
    "TWO_HOUR": "2h", "SIX_HOUR": "6h", "ONE_DAY": "1D",
}  # fmt: skip
SECONDS = {"60": "1m", "300": "5m", "900": "15m", "3600": "1h", "21600": "6h", "86400": "1D"}
STEPS = {
    "60": "1m", "180": "3m", "300": "5m", "900": "15m", "1800": "30m", "3600": "1h", "7200": "2h", "14400": "4h",
    "21600": "6h", "43200": "12h", "86400": "1D",
}  # fmt: skip


def _advanced_fault(text: str) -> tuple[int, Any]:
    return 400, {"error": "INVALID_ARGUMENT", "error_details": text, "message": text}


ADVANCED_REFUSALS = {
    "symbol": (404, {"error": "NOT_FOUND", "error_details": "product not found", "message": "product not found"}),
    "interval": _advanced_fault("invalid granularity"),
    "param": _advanced_fault("start and end must be unix seconds"),
    "range": _advanced_fault("number of candles requested should be less than 350 "),
}
EXCHANGE_REFUSALS = {
    "symbol": (404, {"message": "NotFound"}),
    "interval": (400, {"message": "Unsupported granularity"}),
    "param": (400, {"message": "Invalid start"}),
    "backwards": (400, {"message": "end must be after start"}),
    "range": (
        400,
        {"message": "granularity too small for the requested time range. Count of aggregations requested exceeds 300"},
    ),
}
STAMP_REFUSALS = {
    "symbol": (404, {"status": "error", "reason": "Not found", "code": "404.002"}),
    "interval": (400, {"code": "400.014", "errors": [{"field": "step", "message": "Invalid step", "code": "400.014"}]}),
    "param": (400, {"code": "400.013", "errors": [{"field": "start", "message": "Invalid", "code": "400.013"}]}),
    "limit": (400, {"code": "400.012", "errors": [{"field": "limit", "message": "1 to 1000", "code": "400.012"}]}),
}


def _advanced(page: Page) -> dict[str, Any]:
    rows = []
    for row in page.rows():
        prices = {name: f"{row[name]:.2f}" for name in ("low", "high", "open", "close")}
        rows.append({"start": str(row["t"] // 1000), **prices, "volume": f"{row['volume']:.8f}"})
    return {"candles": rows}


def _exchange(page: Page) -> list[list[float]]:
    names = ("low", "high", "open", "close", "volume")
    return [[row["t"] // 1000, *(row[name] for name in names)] for row in page.rows()]


def _bitstamp(page: Page) -> dict[str, Any]:
    rows = []
    for row in page.rows():
        prices = {name: f"{row[name]:.2f}" for name in ("open", "high", "low", "close")}
        rows.append({"timestamp": str(row["t"] // 1000), **prices, "volume": f"{row['volume']:.8f}"})
    return {"data": {"ohlc": rows, "pair": "BTC/USD"}}


def _iso(now: int) -> str:
    return datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time_v2(page: Page) -> dict[str, Any]:
    return {"data": {"iso": _iso(page.ask.now), "epoch": page.ask.now // 1000}}


def _time_v3(page: Page) -> dict[str, Any]:
    now = page.ask.now
    return {"iso": _iso(now), "epochSeconds": str(now // 1000), "epochMillis": str(now)}


def _time_exchange(page: Page) -> dict[str, Any]:
    return {"iso": _iso(page.ask.now), "epoch": page.ask.now / 1000}


# [unverified] that Bitstamp goes forward from a start where an end is given too.
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        venue="coinbase", path="/api/v3/brokerage/market/products/{symbol}/candles", kind="ohlcv",
        symbols={"BTC-USD": "BTC/USD"}, intervals=NAMES, interval="granularity", start="start", end="end", unit="s",
        cap=350, default=350, spread=349, order="desc", keep="newest", encode=_advanced, refusals=ADVANCED_REFUSALS,
    ),
    Endpoint(
        venue="coinbase", path="/products/{symbol}/candles", kind="ohlcv", symbols={"BTC-USD": "BTC/USD"},
        intervals=SECONDS, interval="granularity", start="start", end="end", limit="-", unit="iso", cap=300,
        default=300, spread=300, order="desc", keep="newest", encode=_exchange, refusals=EXCHANGE_REFUSALS,
    ),
    Endpoint(venue="coinbase", path="/v2/time", encode=_time_v2),
    Endpoint(venue="coinbase", path="/api/v3/brokerage/time", encode=_time_v3),
    Endpoint(venue="coinbase", path="/time", encode=_time_exchange),
    Endpoint(
        venue="bitstamp", path="/api/v2/ohlc/{symbol}", kind="ohlcv", symbols={"btcusd": "BTC/USD"}, intervals=STEPS,
        interval="step", start="start", end="end", unit="s", cap=1000, default=1000, over_cap="refuse",
        encode=_bitstamp, refusals=STAMP_REFUSALS,
    ),
)  # fmt: skip
