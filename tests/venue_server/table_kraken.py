"""Kraken spot (https://docs.kraken.com/api, OHLC) and Kraken Futures (charts, historical funding rates, analytics)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from venue_server.endpoint import Endpoint, Page, Reach

__all__ = ["ENDPOINTS"]

SPOT = {"1": "1m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h", "1440": "1D"}
CHARTS = {code: code for code in ("1m", "5m", "15m", "30m", "1h", "4h", "12h")} | {"1d": "1D"}
BUCKETS = {
    "60": "1m",
    "300": "5m",
    "900": "15m",
    "1800": "30m",
    "3600": "1h",
    "14400": "4h",
    "43200": "12h",
    "86400": "1D",
}


def _spot_fault(text: str) -> tuple[int, Any]:
    return 200, {"error": [text]}


SPOT_REFUSALS = {
    "symbol": _spot_fault("EQuery:Unknown asset pair"),
    "interval": _spot_fault("EGeneral:Invalid arguments"),
    "param": _spot_fault("EGeneral:Invalid arguments"),
}


def _futures_fault(text: str) -> tuple[int, Any]:
    return 400, {"errors": [{"severity": "error", "error_class": "Api", "type": "invalidArgument", "msg": text}]}


FUTURES_REFUSALS = {
    "symbol": (404, {"result": "error", "error": "contractNotFound"}),
    "interval": _futures_fault("resolution"),
    "param": _futures_fault("from"),
    "backwards": _futures_fault("to"),
    "old": _futures_fault("since"),
}


def _written(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ohlc(page: Page) -> dict[str, Any]:
    rows = []
    for row in page.rows():
        typical = f"{(row['open'] + row['close']) / 2:.1f}"
        prices = [f"{row[name]:.1f}" for name in ("open", "high", "low", "close")]
        rows.append([row["t"] // 1000, *prices, typical, f"{row['volume']:.8f}", row["count"]])
    last = rows[-2][0] if len(rows) > 1 else 0
    return {"error": [], "result": {"XXBTZUSD": rows, "last": last}}


def _spot_time(page: Page) -> dict[str, Any]:
    now = page.ask.now // 1000
    return {"error": [], "result": {"unixtime": now, "rfc1123": _written(now * 1000)}}


def _charts(page: Page) -> dict[str, Any]:
    inverse = page.ask.instrument.margin == "inverse"
    traded = page.ask.endpoint.kind == "ohlcv"
    rows = []
    for row in page.rows():
        prices = {name: f"{row[name]:.10f}".rstrip("0").rstrip(".") for name in ("open", "high", "low", "close")}
        volume = row["volume"] * (row["close"] if inverse else 1.0) if traded else 0.0
        rows.append({"time": row["t"], **prices, "volume": f"{volume:.0f}" if inverse else f"{volume:.3f}"})
    return {"candles": rows, "more_candles": page.more}


def _funding(page: Page) -> dict[str, Any]:
    rates = [
        {"timestamp": _written(row["t"]), "fundingRate": row["rate"] * row["price"], "relativeFundingRate": row["rate"]}
        for row in page.rows()
    ]
    return {"rates": rates, "result": "success", "serverTime": _written(page.ask.now)}


def _analytics(page: Page) -> dict[str, Any]:
    """Open, high, low, close of each bucket; the bucket at t closes with the snapshot of t + interval."""
    what, step = page.ask.instrument, page.ask.step
    ends = np.minimum(page.stamps + step, page.ask.now)
    closes = page.market.interest(what, ends).tolist()
    rows = []
    for row, close in zip(page.rows(), closes, strict=True):
        both = (row["value"], close)
        rows.append([f"{value:.4f}" for value in (row["value"], max(both), min(both), close)])
    stamps = [int(t) // 1000 for t in page.stamps]
    return {"result": {"timestamp": stamps, "data": rows, "more": page.more}, "errors": []}


# [unverified] that analytics hold 2000 buckets a page, and that a rate is stamped when it settles.
_PERPS = {"PF_XBTUSD": "PF_XBTUSD", "PI_XBTUSD": "PI_XBTUSD"}
_TRADE = Endpoint(
    venue="kraken", path="/api/charts/v1/trade/{symbol}/{interval}", kind="ohlcv", symbols=_PERPS, intervals=CHARTS,
    start="from", end="to", limit="count", unit="s", cap=2000, default=2000, encode=_charts, refusals=FUTURES_REFUSALS,
)  # fmt: skip
_FUNDING = Endpoint(
    venue="kraken", path="/derivatives/api/v4/historicalfundingrates", kind="funding", symbols=_PERPS, timeframe="1h",
    start="-", end="-", limit="-", cap=100_000, default=100_000, keep="oldest", reach=Reach(days=365.4),
    encode=_funding, refusals=FUTURES_REFUSALS,
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        venue="kraken", path="/0/public/OHLC", kind="ohlcv", symbols={"XXBTZUSD": "BTC/USD", "XBTUSD": "BTC/USD"},
        intervals=SPOT, symbol="pair", start="since", end="-", limit="-", unit="s", cap=720, default=720, keep="newest",
        start_open=True, reach=Reach(bars=720), encode=_ohlc, refusals=SPOT_REFUSALS,
    ),
    Endpoint(venue="kraken", path="/0/public/Time", encode=_spot_time),
    _TRADE,
    _TRADE.but(path="/api/charts/v1/mark/{symbol}/{interval}", kind="mark"),
    _TRADE.but(path="/api/charts/v1/spot/{symbol}/{interval}", kind="index"),
    _FUNDING,
    _FUNDING.but(path="/derivatives/api/v3/historical-funding-rates"),
    Endpoint(
        venue="kraken", path="/api/charts/v1/analytics/{symbol}/open-interest", kind="open_interest", symbols=_PERPS,
        intervals=BUCKETS, start="since", end="to", limit="-", unit="s", cap=2000, default=2000, keep="oldest",
        buckets=True, encode=_analytics, refusals=FUTURES_REFUSALS,
    ),
)  # fmt: skip
