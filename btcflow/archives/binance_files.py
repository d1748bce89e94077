"""Which files of Binance Vision hold a series, and what their rows mean.

Facts: the paths and column names are those of github.com/binance/binance-public-data; header since about 2022-05
(#246) and never on spot (#283); microseconds on spot from 2025-01-01 (#386, #387); ``quote_volume`` of COIN-M is
the base volume (#267); the label change of the metrics is #491, doubled metrics rows #484.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.archives.download import Published
from btcflow.archives.request import Note, Report, Request
from btcflow.archives.rows import Rows, refuse_off_grid, refuse_outside, usable
from btcflow.archives.sheet import Sheet, read_sheet
from btcflow.errors import BadRecords
from btcflow.instrument import Instrument

__all__ = ["FLIP", "folder", "market", "offered", "parser", "stem", "step"]

KLINE = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
FUNDING = ("calc_time", "funding_interval_hours", "last_funding_rate")
METRICS = (
    "create_time",
    "symbol",
    "sum_open_interest",
    "sum_open_interest_value",
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
)
INTERVALS = {one: one for one in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h")} | {"1D": "1d"}
FOLDERS = {
    "ohlcv": "klines",
    "taker_volume": "klines",
    "mark": "markPriceKlines",
    "index": "indexPriceKlines",
    "premium_index": "premiumIndexKlines",
    "funding": "fundingRate",
    "open_interest": "metrics",
}
OI_COLUMN = {
    ("um", "btc"): "sum_open_interest",
    ("um", "usd"): "sum_open_interest_value",
    ("cm", "contract"): "sum_open_interest",
    ("cm", "btc"): "sum_open_interest_value",
}
"""Amount and value of the metrics by market: BTC and USDT for USD-M, contracts and BTC for COIN-M (API doc)."""
FLIP = pd.Timestamp("2026-06-25", tz="UTC")
"""First day whose USD-M metrics are labelled by the start of their five minutes (#491)."""
_FIVE = 5 * 60_000_000_000
_MINUTE = 60_000_000_000
_HOUR = 60 * _MINUTE
_UNIT_OFF = 1.25

Market = Literal["spot", "um", "cm"]
Parser = Callable[[bytes, Published, Request, Report], Rows]


def market(instrument: Instrument) -> Market | None:
    """``spot``, ``um`` (margined in dollars) or ``cm`` (in coins); None for another venue's, and aggregates."""
    if instrument.venue != "binance":
        return None
    found: dict[str, Market] = {"linear": "um", "inverse": "cm"}
    return "spot" if instrument.role == "spot" else found.get(instrument.margin)


def offered(request: Request) -> bool:
    """True where the archive has this kind of this instrument, at this timeframe and in this unit."""
    where = market(request.instrument)
    if where is None or request.kind not in FOLDERS:
        return False
    if request.kind == "funding":
        return where != "spot"
    if request.kind == "open_interest":
        frame = timeframes.parse(request.timeframe)
        whole = frame.seconds <= 86_400 and frame.seconds % 300 == 0
        return (where, request.instrument.oi_unit) in OI_COLUMN and whole
    if where == "spot" and request.kind not in {"ohlcv", "taker_volume"}:
        return False
    return request.timeframe in INTERVALS


def folder(request: Request, span: Literal["daily", "monthly"]) -> str:
    """The folder of the files, ending in ``/``."""
    where = market(request.instrument)
    place = "spot" if where == "spot" else f"futures/{where}"
    inner = "" if request.kind in {"funding", "open_interest"} else f"{INTERVALS[request.timeframe]}/"
    return f"data/{place}/{span}/{FOLDERS[request.kind]}/{_symbol(request)}/{inner}"


def stem(request: Request) -> str:
    """The name of a file up to its date."""
    kind = FOLDERS[request.kind]
    middle = kind if request.kind in {"funding", "open_interest"} else INTERVALS[request.timeframe]
    return f"{_symbol(request)}-{middle}-"


def _symbol(request: Request) -> str:
    """The archive's name: without the slash of spot, and of COIN-M's index the pair."""
    symbol = request.instrument.symbol.replace("/", "")
    return symbol.split("_")[0] if request.kind == "index" else symbol


def parser(request: Request) -> Parser:
    """What makes rows of the files of a series."""
    return {"funding": _funding, "open_interest": _metrics}.get(request.kind, _klines)


def step(rows: Rows, request: Request) -> np.ndarray:
    """How far each row may be from the one before; (N,) int64 ns."""
    if request.kind == "funding":
        return np.asarray(np.rint(rows.columns["spacing_hours"] * _HOUR).astype(np.int64))
    return np.full(len(rows), timeframes.parse(request.timeframe).seconds * 1_000_000_000, dtype=np.int64)


# -- klines --------------------------------------------------------------------------------------


def _klines(body: bytes, file: Published, request: Request, report: Report) -> Rows:
    sheet = read_sheet(body, file.url, KLINE)
    rows = Rows(stamp=sheet.epochs("open_time"), columns=_kline_values(sheet, request))
    refuse_outside(rows, file)
    refuse_off_grid(rows, request.timeframe, file.url)
    for name, values in rows.columns.items():
        for row in np.flatnonzero(~np.isfinite(values))[:1]:
            when = pd.Timestamp(int(rows.stamp[row]), tz="UTC")
            raise BadRecords(f"{file.url}: no {name} at {when} (row {row + 1}); expected a number")
    return rows


def _kline_values(sheet: Sheet, request: Request) -> dict[str, np.ndarray]:
    inverse = market(request.instrument) == "cm"
    if request.kind == "taker_volume":
        return {"buy": sheet.numbers("taker_buy_quote_volume" if inverse else "taker_buy_volume")}
    found = {name: sheet.numbers(name) for name in ("open", "high", "low", "close")}
    if request.kind == "ohlcv":
        found["volume"] = sheet.numbers("quote_volume" if inverse else "volume")
        _refuse_volume_unit(sheet, request, found)
    return found


def _refuse_volume_unit(sheet: Sheet, request: Request, found: dict[str, np.ndarray]) -> None:
    """Refuse a file whose two volumes are not BTC and what the venue's facts say the other is."""
    inverse = market(request.instrument) == "cm"
    other = sheet.numbers("volume" if inverse else "quote_volume")
    worth = other * request.instrument.contract_size if inverse else other
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = worth / found["volume"] / found["close"]
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return
    ratio = float(np.median(ratios))
    if not 1 / _UNIT_OFF < ratio < _UNIT_OFF:
        raise BadRecords(
            f"{sheet.name}: the two volumes of a bar are {ratio:.4g} times its close apart; expected BTC and "
            f"{'contracts of ' + format(request.instrument.contract_size, 'g') + ' USD' if inverse else 'the quote'}. "
            "Has the publisher changed a column?"
        )


# -- funding -------------------------------------------------------------------------------------


def _funding(body: bytes, file: Published, request: Request, report: Report) -> Rows:
    """Settlements on the minute; the venue stamps them with milliseconds of jitter."""
    sheet = read_sheet(body, file.url, FUNDING)
    stamp = (sheet.epochs("calc_time") + _MINUTE // 2) // _MINUTE * _MINUTE
    hours = sheet.numbers("funding_interval_hours")
    rows = Rows(
        stamp=stamp,
        columns={"rate": sheet.numbers("last_funding_rate"), "spacing_hours": hours, "rate_hours": hours},
    )
    refuse_outside(rows, file)
    for row in np.flatnonzero(~(hours > 0))[:1]:
        raise BadRecords(f"{file.url}: funding_interval_hours is {hours[row]} in row {row + 1}; expected hours above 0")
    return usable(rows, np.isfinite(rows.columns["rate"]), "no rate", file, report)


# -- open interest -------------------------------------------------------------------------------


def _metrics(body: bytes, file: Published, request: Request, report: Report) -> Rows:
    """Snapshots of open interest, each stamped with the instant it was taken at."""
    sheet = read_sheet(body, file.url, METRICS)
    where = market(request.instrument)
    label = sheet.moments("create_time", "%Y-%m-%d %H:%M:%S")
    stamp = label + (_FIVE if _start_labelled(label, file, where == "cm", report) else 0)
    amount, value = sheet.numbers("sum_open_interest"), sheet.numbers("sum_open_interest_value")
    if where == "um":
        _refuse_value(amount, value, file)
    column = OI_COLUMN[(str(where), request.instrument.oi_unit)]
    rows = Rows(stamp=stamp, columns={"value": amount if column == "sum_open_interest" else value})
    rows = usable(rows, stamp % _FIVE == 0, "the time is not on the five-minute grid", file, report)
    refuse_outside(rows, file, closed_end=True)
    good = np.isfinite(rows.columns["value"]) & (rows.columns["value"] > 0)
    rows = usable(rows, good, "no open interest, or zero", file, report)
    every = timeframes.parse(request.timeframe).seconds * 1_000_000_000
    return rows.take(rows.stamp % every == 0)


def _start_labelled(label: np.ndarray, file: Published, coin: bool, report: Report) -> bool:
    """Whether a label names the start of five minutes, so that the snapshot is of their end.

    COIN-M always, USD-M from :data:`FLIP` on. A file that holds the midnight of only one of its ends shows which
    it does; where that is not what is known of its day, the file is believed and the note says so.
    """
    known = coin or file.start >= FLIP
    opens, closes = bool((label == file.start.value).any()), bool((label == file.end.value).any())
    shown = known if opens == closes else opens
    if shown and not known:
        shown = bool((label == file.end.value - _FIVE).any())
    if shown != known:
        word = {True: "start", False: "end"}
        why = f"rows are labelled by the {word[shown]} of their five minutes; known of this day is the {word[known]}"
        report(Note(what="relabelled", start=file.start, end=file.end, why=why, endpoint=file.url))
    return shown


def _refuse_value(amount: np.ndarray, value: np.ndarray, file: Published) -> None:
    """Refuse amount and value that do not give a price of a BTC in dollars."""
    with np.errstate(divide="ignore", invalid="ignore"):
        price = value / amount
    price = price[np.isfinite(price) & (price > 0)]
    if len(price) and not 100 < float(np.median(price)) < 10_000_000:
        raise BadRecords(
            f"{file.url}: sum_open_interest_value / sum_open_interest is {float(np.median(price)):.4g}; expected a "
            "price of BTC in dollars. Has the publisher changed a unit?"
        )
