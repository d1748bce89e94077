"""Binance spot, USD-M and COIN-M: https://developers.binance.com/docs (klines, funding, open-interest statistics)."""

from __future__ import annotations

from typing import Any

from venue_server.endpoint import Endpoint, Page, Reach

__all__ = ["ENDPOINTS"]

CODES = {code: code for code in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h")} | {"1d": "1D"}
PERIODS = {code: CODES[code] for code in ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")}


def _fault(code: int, text: str) -> tuple[int, Any]:
    return 400, {"code": code, "msg": text}


REFUSALS = {
    "symbol": _fault(-1121, "Invalid symbol."),
    "interval": _fault(-1120, "Invalid interval."),
    "param": _fault(-1100, "Illegal characters found in a parameter."),
    "limit": _fault(-1130, "Data sent for parameter 'limit' is not valid."),
    "backwards": _fault(-1023, "Start time is greater than end time."),
    "range": _fault(-4084, "Time interval is too long."),
    "old": _fault(-1130, "parameter 'startTime' is invalid."),
}


def _klines(page: Page) -> list[list[Any]]:
    inverse = page.ask.instrument.margin == "inverse"
    length = page.ask.step - 1
    rows = []
    for row in page.rows():
        typical = (row["open"] + row["close"]) / 2.0
        base, bought = f"{row['volume']:.8f}", f"{row['buy']:.8f}"
        quote, quote_bought = f"{row['volume'] * typical:.8f}", f"{row['buy'] * typical:.8f}"
        if inverse:  # volume in contracts of 100 USD; "quote" columns in BTC
            quote, quote_bought = base, bought
            base, bought = f"{row['volume'] * typical / 100:.0f}", f"{row['buy'] * typical / 100:.0f}"
        prices = [f"{row[name]:.8f}" for name in ("open", "high", "low", "close")]
        rows.append([row["t"], *prices, base, row["t"] + length, quote, row["count"], bought, quote_bought, "0"])
    return rows


def _prices(page: Page) -> list[list[Any]]:
    length = page.ask.step - 1
    return [
        [row["t"], *(f"{row[name]:.8f}" for name in ("open", "high", "low", "close")), "0", row["t"] + length, "0", 60,
         "0", "0", "0"]
        for row in page.rows()
    ]  # fmt: skip


def _funding(page: Page) -> list[dict[str, Any]]:
    symbol = page.ask.instrument.symbol
    return [
        {
            "symbol": symbol,
            "fundingTime": row["t"],
            "fundingRate": f"{row['rate']:.10f}",
            "markPrice": f"{row['price']:.8f}",
        }
        for row in page.rows()
    ]


def _interest(page: Page) -> list[dict[str, Any]]:
    what = page.ask.instrument
    rows = []
    for row in page.rows():
        if what.margin == "inverse":
            head = {"pair": "BTCUSD", "contractType": "PERPETUAL", "sumOpenInterest": f"{row['value']:.8f}"}
            value = row["value"] * what.contract / row["price"]  # in BTC
        else:
            head = {"symbol": what.symbol, "sumOpenInterest": f"{row['value']:.8f}"}
            value = row["value"] * row["price"]
        rows.append({**head, "sumOpenInterestValue": f"{value:.8f}", "timestamp": row["t"]})
    return rows


def _time(page: Page) -> dict[str, Any]:
    return {"serverTime": page.ask.now}


def _book(root: str, symbol: dict[str, str], pair: dict[str, str], longest: int | None) -> tuple[Endpoint, ...]:
    klines = Endpoint(
        venue="binance", path=f"{root}/klines", kind="ohlcv", also=("taker_volume",), symbols=symbol, intervals=CODES,
        cap=1500, over_cap="refuse", encode=_klines, refusals=REFUSALS, longest=longest,
    )  # fmt: skip
    prices = klines.but(encode=_prices, also=())
    return (
        klines,
        prices.but(path=f"{root}/markPriceKlines", kind="mark"),
        prices.but(path=f"{root}/indexPriceKlines", kind="index", symbols=pair, symbol="pair"),
        prices.but(path=f"{root}/premiumIndexKlines", kind="premium_index"),
        Endpoint(
            venue="binance", path=f"{root}/fundingRate", kind="funding", symbols=symbol, timeframe="8h", cap=1000,
            default=100, encode=_funding, refusals=REFUSALS,
        ),
        Endpoint(venue="binance", path=f"{root}/time", encode=_time),
    )  # fmt: skip


# [unverified] that a range with too many snapshots keeps the newest.
_INTEREST = Endpoint(
    venue="binance", path="/futures/data/openInterestHist", kind="open_interest", symbols={"BTCUSDT": "BTCUSDT"},
    intervals=PERIODS, interval="period", cap=500, default=30, over_cap="refuse", keep="newest",
    reach=Reach(days=30, refuse=True), encode=_interest, refusals=REFUSALS,
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        venue="binance", path="/api/v3/klines", kind="ohlcv", also=("taker_volume",),
        symbols={"BTCUSDT": "BTC/USDT"}, intervals=CODES, cap=1000, encode=_klines, refusals=REFUSALS,
    ),
    Endpoint(venue="binance", path="/api/v3/time", encode=_time),
    *_book("/fapi/v1", {"BTCUSDT": "BTCUSDT"}, {"BTCUSDT": "BTCUSDT"}, None),
    *_book("/dapi/v1", {"BTCUSD_PERP": "BTCUSD_PERP"}, {"BTCUSD": "BTCUSD_PERP"}, 200),
    _INTEREST,
    _INTEREST.but(symbols={"BTCUSD": "BTCUSD_PERP"}, symbol="pair"),
)  # fmt: skip
