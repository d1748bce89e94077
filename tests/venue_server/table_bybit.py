"""Bybit v5, linear and inverse: https://bybit-exchange.github.io/docs/v5/market."""

from __future__ import annotations

from typing import Any

from venue_server.endpoint import Endpoint, Page

__all__ = ["ENDPOINTS"]

CODES = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h", "360": "6h",
    "720": "12h", "D": "1D",
}  # fmt: skip
PERIODS = {"5min": "5m", "15min": "15m", "30min": "30m", "1h": "1h", "4h": "4h", "1d": "1D"}


def _fault(code: int, text: str) -> tuple[int, Any]:
    return 200, {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}}


REFUSALS = {
    "symbol": _fault(10001, "params error: Symbol Is Invalid"),
    "interval": _fault(10001, "Invalid period!"),
    "param": _fault(10001, "params error"),
    "limit": _fault(10001, "params error: Limit Invalid"),
    "backwards": _fault(10001, "startTime must be less than endTime"),
    "needs_end": _fault(10001, "params error: endTime is required with startTime"),
}


def _told(page: Page, rows: list[Any], **more: Any) -> dict[str, Any]:
    what = page.ask.instrument
    category = {"none": "spot", "linear": "linear", "inverse": "inverse"}[what.margin]
    symbol = page.ask.params.get("symbol")
    result = {"symbol": symbol, "category": category, "list": rows, **more}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": page.ask.now}


def _klines(page: Page) -> dict[str, Any]:
    inverse = page.ask.instrument.margin == "inverse"
    rows = []
    for row in page.rows():
        base, quote = f"{row['volume']:.3f}", f"{row['volume'] * row['close']:.4f}"
        both = [f"{row['volume'] * row['close']:.0f}", base] if inverse else [base, quote]
        rows.append([str(row["t"]), *_prices(row), *both])
    return _told(page, rows)


def _prices(row: dict[str, Any]) -> list[str]:
    return [f"{row[name]:.8f}".rstrip("0").rstrip(".") for name in ("open", "high", "low", "close")]


def _marks(page: Page) -> dict[str, Any]:
    return _told(page, [[str(row["t"]), *_prices(row)] for row in page.rows()])


def _funding(page: Page) -> dict[str, Any]:
    symbol = page.ask.instrument.symbol
    return _told(
        page,
        [
            {"symbol": symbol, "fundingRate": f"{row['rate']:.10f}", "fundingRateTimestamp": str(row["t"])}
            for row in page.rows()
        ],
    )


def _interest(page: Page) -> dict[str, Any]:
    rows = [{"openInterest": f"{row['value']:.8f}", "timestamp": str(row["t"])} for row in page.rows()]
    cursor = f"lastid-{rows[-1]['timestamp']}" if rows and page.more else ""
    return _told(page, rows, nextPageCursor=cursor)


def _time(page: Page) -> dict[str, Any]:
    now = page.ask.now
    result = {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now}


_DERIVATIVES = {"BTCUSDT": "BTCUSDT", "BTCUSD": "BTCUSD"}
_KLINES = Endpoint(
    venue="bybit", path="/v5/market/kline", kind="ohlcv", symbols=_DERIVATIVES, intervals=CODES, start="start",
    end="end", cap=1000, default=200, order="desc", keep="from_start_alone", encode=_klines, refusals=REFUSALS,
)  # fmt: skip
_MARKS = _KLINES.but(encode=_marks)

ENDPOINTS: tuple[Endpoint, ...] = (
    _KLINES,
    _KLINES.but(symbols={"BTCUSDT": "BTC/USDT"}, where={"category": "spot"}),
    _MARKS.but(path="/v5/market/mark-price-kline", kind="mark"),
    _MARKS.but(path="/v5/market/index-price-kline", kind="index"),
    _MARKS.but(path="/v5/market/premium-index-price-kline", kind="premium_index"),
    Endpoint(
        venue="bybit", path="/v5/market/funding/history", kind="funding", symbols=_DERIVATIVES, timeframe="8h", cap=200,
        default=200, order="desc", keep="newest", needs_end=True, encode=_funding, refusals=REFUSALS,
    ),
    Endpoint(
        venue="bybit", path="/v5/market/open-interest", kind="open_interest", symbols=_DERIVATIVES, intervals=PERIODS,
        interval="intervalTime", cap=200, default=50, order="desc", keep="newest", cursor="cursor", encode=_interest,
        refusals=REFUSALS,
    ),
    Endpoint(venue="bybit", path="/v5/market/time", encode=_time),
)  # fmt: skip
