"""Deribit: https://docs.deribit.com (chart data, funding rate history, book summary)."""

from __future__ import annotations

from typing import Any

import numpy as np

from venue_server.endpoint import Endpoint, Page
from venue_server.listings import listing

__all__ = ["ENDPOINTS"]

CODES = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "360": "6h", "720": "12h",
    "1D": "1D",
}  # fmt: skip


def _fault(text: str) -> tuple[int, Any]:
    error = {"code": -32602, "message": "Invalid params", "data": {"reason": text}}
    return 400, {"jsonrpc": "2.0", "error": error, "testnet": False}


REFUSALS = {"symbol": _fault("wrong instrument"), "interval": _fault("wrong resolution"), "param": _fault("wrong time")}


def _told(page: Page, result: Any) -> dict[str, Any]:
    now = page.ask.now * 1000
    return {"jsonrpc": "2.0", "result": result, "usIn": now, "usOut": now + 90, "usDiff": 90, "testnet": False}


def _chart(page: Page) -> dict[str, Any]:
    if not len(page.stamps):
        return _told(
            page, {"status": "no_data", "ticks": [], "volume": [], "cost": []} | {name: [] for name in _PRICES}
        )
    cost = np.rint(page.columns["volume"] * page.columns["close"])
    prices = {name: page.columns[name].tolist() for name in _PRICES}
    volume = page.columns["volume"].tolist()
    return _told(
        page, {"status": "ok", "ticks": page.stamps.tolist(), **prices, "volume": volume, "cost": cost.tolist()}
    )


_PRICES: tuple[str, ...] = ("open", "high", "low", "close")


def _funding(page: Page) -> dict[str, Any]:
    """Hourly rows; ``interest_8h`` is the sum of the last eight ``interest_1h``, not what the hour paid."""
    what = page.ask.instrument
    back = page.stamps[:, None] - np.arange(8) * 3_600_000
    eight = page.market.values(what, "funding", "1h", back.ravel())["rate"].reshape(back.shape).sum(axis=1)
    rows = []
    for row, total in zip(page.rows(), eight.tolist(), strict=True):
        times = {"timestamp": row["t"], "index_price": row["price"], "prev_index_price": row["price"]}
        rows.append({**times, "interest_8h": total, "interest_1h": row["rate"]})
    return _told(page, rows)


def _summary(page: Page) -> dict[str, Any]:
    what = listing("deribit", "BTC-PERPETUAL")
    now = np.array([page.ask.now])
    price = float(page.market.bars(what, "ohlcv", "1m", now)["open"][0])
    found = {
        "instrument_name": what.symbol, "open_interest": float(page.market.interest(what, now)[0]), "mark_price": price,
        "creation_timestamp": page.ask.now, "base_currency": "BTC",
    }  # fmt: skip
    return _told(page, [found])


def _time(page: Page) -> dict[str, Any]:
    return _told(page, page.ask.now)


# [unverified] that a chart of more than 5000 bars keeps the newest.
_CHART = Endpoint(
    venue="deribit", path="/api/v2/public/get_tradingview_chart_data", kind="ohlcv",
    symbols={"BTC-PERPETUAL": "BTC-PERPETUAL"}, intervals=CODES, symbol="instrument_name", interval="resolution",
    start="start_timestamp", end="end_timestamp", limit="-", cap=5000, default=5000, keep="newest", encode=_chart,
    refusals=REFUSALS,
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (
    _CHART,
    _CHART.but(
        path="/api/v2/public/get_funding_rate_history", kind="funding", timeframe="1h", cap=744, default=744,
        encode=_funding,
    ),
    Endpoint(venue="deribit", path="/api/v2/public/get_book_summary_by_instrument", encode=_summary),
    Endpoint(venue="deribit", path="/api/v2/public/get_time", encode=_time),
)  # fmt: skip
