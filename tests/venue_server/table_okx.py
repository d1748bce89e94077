"""OKX v5: https://www.okx.com/docs-v5 (candles, mark and index candles, funding, open-interest statistics)."""

from __future__ import annotations

from typing import Any

from venue_server.endpoint import Endpoint, Page, Reach

__all__ = ["ENDPOINTS"]

CODES = {"1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h"} | {
    "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1D"
}  # fmt: skip
PERIODS = {"5m": "5m", "1H": "1h", "4H": "4h", "1Dutc": "1D"}


def _fault(code: str, text: str) -> tuple[int, Any]:
    return 200, {"code": code, "msg": text, "data": []}


REFUSALS = {
    "symbol": _fault("51001", "Instrument ID doesn't exist."),
    "interval": _fault("51000", "Parameter bar error"),
    "param": _fault("51000", "Parameter error"),
    "limit": _fault("51000", "Parameter limit error"),
    "backwards": _fault("51000", "Parameter after error"),
}


def _told(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}


def _confirm(page: Page, row: dict[str, Any]) -> str:
    return "1" if row["t"] + page.ask.step <= page.ask.now else "0"


def _prices(row: dict[str, Any]) -> list[str]:
    return [f"{row[name]:.8f}".rstrip("0").rstrip(".") for name in ("open", "high", "low", "close")]


def _candles(page: Page) -> dict[str, Any]:
    what = page.ask.instrument
    rows = []
    for row in page.rows():
        base, quote = row["volume"], row["volume"] * row["close"]
        contracts = {"none": base, "linear": base / what.contract, "inverse": quote / what.contract}[what.margin]
        volumes = [f"{contracts:.3f}", f"{base:.3f}", f"{quote:.4f}"]
        rows.append([str(row["t"]), *_prices(row), *volumes, _confirm(page, row)])
    return _told(rows)


def _marks(page: Page) -> dict[str, Any]:
    return _told([[str(row["t"]), *_prices(row), _confirm(page, row)] for row in page.rows()])


def _funding(page: Page) -> dict[str, Any]:
    head = {"instType": "SWAP", "instId": page.ask.instrument.symbol, "method": "current_period"}
    rates = ((row["t"], f"{row['rate']:.10f}") for row in page.rows())
    return _told([{**head, "fundingRate": rate, "realizedRate": rate, "fundingTime": str(t)} for t, rate in rates])


def _interest(page: Page) -> dict[str, Any]:
    what = page.ask.instrument
    rows = []
    for row in page.rows():
        if what.margin == "linear":
            coins = row["value"]
            contracts, usd = f"{coins / what.contract:.0f}", coins * row["price"]
        else:
            usd = row["value"] * what.contract
            contracts, coins = f"{row['value']:.0f}", usd / row["price"]
        rows.append([str(row["t"]), contracts, f"{coins:.4f}", f"{usd:.4f}"])
    return _told(rows)


def _time(page: Page) -> dict[str, Any]:
    return _told([{"ts": str(page.ask.now)}])


_SWAPS = {"BTC-USDT-SWAP": "BTC-USDT-SWAP", "BTC-USD-SWAP": "BTC-USD-SWAP"}
_INDICES = {"BTC-USDT": "BTC-USDT-SWAP", "BTC-USD": "BTC-USD-SWAP"}
_RECENT = Reach(bars=1440)
_CANDLES = Endpoint(
    venue="okx", path="/api/v5/market/candles", kind="ohlcv", symbols=_SWAPS | {"BTC-USDT": "BTC/USDT"},
    intervals=CODES, symbol="instId", interval="bar", start="before", end="after", cap=300, default=100, order="desc",
    keep="newest", start_open=True, end_open=True, reach=_RECENT, encode=_candles, refusals=REFUSALS,
)  # fmt: skip
_HISTORY = _CANDLES.but(path="/api/v5/market/history-candles", reach=None, open_bar=False)
_MARK = _CANDLES.but(kind="mark", symbols=_SWAPS, cap=100, encode=_marks)
_INDEX = _MARK.but(kind="index", symbols=_INDICES)

ENDPOINTS: tuple[Endpoint, ...] = (
    _CANDLES,
    _HISTORY,
    _MARK.but(path="/api/v5/market/mark-price-candles"),
    _MARK.but(path="/api/v5/market/history-mark-price-candles", reach=None, open_bar=False),
    _INDEX.but(path="/api/v5/market/index-candles"),
    _INDEX.but(path="/api/v5/market/history-index-candles", reach=None, open_bar=False),
    Endpoint(
        venue="okx", path="/api/v5/public/funding-rate-history", kind="funding", symbols=_SWAPS, timeframe="8h",
        symbol="instId", start="before", end="after", cap=100, default=100, order="desc", keep="newest",
        start_open=True, end_open=True, reach=Reach(days=92), encode=_funding, refusals=REFUSALS,
    ),
    Endpoint(
        venue="okx", path="/api/v5/rubik/stat/contracts/open-interest-history", kind="open_interest", symbols=_SWAPS,
        intervals=PERIODS, symbol="instId", interval="period", start="begin", end="end", cap=100, default=100,
        order="desc", keep="newest", start_open=True, end_open=True, reach=Reach(bars=1440), encode=_interest,
        refusals=REFUSALS,
    ),
    Endpoint(venue="okx", path="/api/v5/public/time", encode=_time),
)  # fmt: skip
