"""Bitfinex v2: https://docs.bitfinex.com (candles; status of derivatives, sampled about every minute)."""

from __future__ import annotations

from typing import Any

import numpy as np

from venue_server import noise
from venue_server.endpoint import Endpoint, Page

__all__ = ["ENDPOINTS"]

CODES = {code: code for code in ("1m", "5m", "15m", "30m", "1h", "4h", "6h", "12h")} | {"1D": "1D"}
_EIGHT = 8 * 3_600_000


def _fault(code: int, text: str) -> tuple[int, Any]:
    return 500, ["error", code, text]


REFUSALS = {
    "symbol": _fault(10020, "symbol: invalid"),
    "interval": _fault(10020, "timeframe: invalid"),
    "param": _fault(10020, "time_interval: invalid"),
    "limit": _fault(10020, "limit: invalid"),
    "backwards": _fault(10020, "time_interval: invalid"),
}


def _candles(page: Page) -> list[list[float]]:
    names = ("open", "close", "high", "low", "volume")
    return [[row["t"], *(row[name] for name in names)] for row in page.rows()]


def _status(page: Page) -> list[list[Any]]:
    """The funding of the running period (index 11, settled at index 7) and open interest (index 17)."""
    what, market = page.ask.instrument, page.market
    if not len(page.stamps):
        return []
    low, high = int(page.stamps.min()), int(page.stamps.max())
    settled = market.stamps(what, "funding", "8h", low + 1, high + _EIGHT)
    rates = market.values(what, "funding", "8h", settled)["rate"].tolist()
    places = np.searchsorted(settled, page.stamps, side="right").tolist()
    late = noise.integers(f"{market.seed}/{what.id}/late", page.stamps, 1500).tolist()
    rows = []
    for row, place, delay in zip(page.rows(), places, late, strict=True):
        status: list[Any] = [None] * 23
        status[0], status[2], status[3] = row["t"] + delay, row["price"], row["price"]
        status[7], status[8], status[9] = int(settled[place]), rates[place] / 2, 60
        status[11], status[14], status[17] = rates[place], row["price"], row["value"]
        rows.append(status)
    return rows


# [unverified] that the funding of the running period is the one settled at the next event.
_HIST = Endpoint(
    venue="bitfinex", path="/v2/candles/trade:{interval}:{symbol}/hist", kind="ohlcv",
    symbols={"tBTCUSD": "BTC/USD", "tBTCF0:USTF0": "tBTCF0:USTF0"}, intervals=CODES, start="start", end="end",
    cap=10_000, default=100, over_cap="refuse", sort="sort", encode=_candles, refusals=REFUSALS,
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (
    _HIST,
    _HIST.but(
        path="/v2/status/deriv/{symbol}/hist", kind="open_interest", also=("funding",),
        symbols={"tBTCF0:USTF0": "tBTCF0:USTF0"}, timeframe="1m", cap=5000, default=100, encode=_status,
    ),
    Endpoint(venue="bitfinex", path="/v2/platform/status", encode=lambda page: [1]),
)  # fmt: skip
