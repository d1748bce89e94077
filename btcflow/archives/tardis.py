"""Tardis: the free first day of a month of a derivative's ticker, to check a stored unit against.

Twelve days a year are no history, but an independent witness of units: the file passes on what the venue said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from btcflow.archives.download import Published, fetch_gzip, gunzip
from btcflow.archives.request import Get
from btcflow.archives.sheet import read_sheet
from btcflow.data.interest_units import UNIT_GAP, unit_in_btc
from btcflow.data.records import Records
from btcflow.errors import BadRecords, ConfigError, MissingData
from btcflow.instrument import Instrument

__all__ = ["Ticker", "UnitCheck", "cross_check", "ticker_day"]

COLUMNS = (
    "exchange",
    "symbol",
    "timestamp",
    "local_timestamp",
    "funding_timestamp",
    "funding_rate",
    "predicted_funding_rate",
    "open_interest",
    "last_price",
    "index_price",
    "mark_price",
)
"""As the published CSV format has them; a header line in another order is followed."""
_STALE = 15 * 60_000_000_000
_PLAUSIBLE = (100.0, 2_000_000.0)
_RATES = {100.0: "percent", 10_000.0: "basis points", 8.0: "per 8 hours", 1 / 8: "per hour", 3.0: "per day"}
_SIZES: tuple[tuple[float, Literal["BTC", "USD"]], ...] = (
    (100.0, "USD"),
    (10.0, "USD"),
    (0.01, "BTC"),
    (0.001, "BTC"),
    (0.0001, "BTC"),
)


@dataclass(frozen=True, kw_only=True)
class Ticker:
    """One day of a ticker, as the venue sent it; NaN where a message did not say.

    Attributes
    ----------
    name : the file
    time : (N,) int64 ns UTC, rising
    open_interest, funding_rate, price : (N,) float64; price is the mark, else the last
    funding_at : (N,) int64 ns, the settlement the rate is for; 0 where it is not said
    """

    name: str
    time: np.ndarray
    open_interest: np.ndarray
    funding_rate: np.ndarray
    funding_at: np.ndarray
    price: np.ndarray


@dataclass(frozen=True, kw_only=True)
class UnitCheck:
    """What became of a comparison of stored values with the ticker's.

    Attributes
    ----------
    pairs : how many stored rows were compared
    ratio : median of stored over ticker, both brought to BTC (open interest) or as they are (rates)
    agrees : within 5 %
    fits : the unit under which they would agree; empty where they do, or none does
    verdict : in words
    """

    pairs: int
    ratio: float
    agrees: bool
    fits: str
    verdict: str


def ticker_day(
    exchange: str, symbol: str, day: pd.Timestamp, get: Get, *, root: str = "https://datasets.tardis.dev/v1/"
) -> Ticker:
    """Get and read the ticker of one day.

    Parameters
    ----------
    exchange, symbol : as Tardis calls them, for example ``binance-futures`` and ``BTCUSDT``
    day : the first of a month: the others are not free
    get : see :mod:`btcflow.archives`

    Raises
    ------
    ConfigError
        for another day than the first of a month.
    MissingData
        where there is no such file.
    VenueUnavailable, BadRecords
        for a file that is not whole, or breaks a rule.
    """
    if day.day != 1:
        raise ConfigError(f"{day:%Y-%m-%d}: only the first day of a month is free; expected {day:%Y-%m}-01")
    url = f"{root}{exchange}/derivative_ticker/{day:%Y/%m/%d}/{symbol}.csv.gz"
    got = fetch_gzip(Published(url=url, start=day, end=day + pd.Timedelta(days=1)), get)
    if got is None:
        raise MissingData(f"{url}: no such file; are exchange, symbol and day right?")
    return _ticker(gunzip(got[0], url), url)


def _ticker(body: bytes, name: str) -> Ticker:
    sheet = read_sheet(body, name, COLUMNS)
    time = sheet.epochs("timestamp")
    mark, last = sheet.numbers("mark_price"), sheet.numbers("last_price")
    due = sheet.text("funding_timestamp")
    said = due != ""
    funding_at = np.zeros(len(sheet), dtype=np.int64)
    if said.any():
        funding_at[said] = (due[said].astype(np.float64) * 1_000).astype(np.int64)
    order = np.argsort(time, kind="stable")
    return Ticker(
        name=name,
        time=time[order],
        open_interest=sheet.numbers("open_interest")[order],
        funding_rate=sheet.numbers("funding_rate")[order],
        funding_at=funding_at[order],
        price=np.where(np.isfinite(mark), mark, last)[order],
    )


def cross_check(stored: Records, ticker: Ticker, *, native: Instrument | None = None) -> UnitCheck:
    """Compare stored open interest or funding with what the ticker said at the same instants.

    Each stored row is held against the last message before it that names the quantity, at most 15 minutes old
    (for a rate: that names the row's own settlement).

    Parameters
    ----------
    stored : open interest or funding of one instrument
    ticker : the same instrument's day
    native : the instrument in the unit that the venue itself counts in; by default the stored one's is taken

    Returns
    -------
    the ratio, and where it is not 1 which unit the stored values would have to be in

    Raises
    ------
    BadRecords
        where no stored row meets the day, or the kind is neither of the two.
    """
    if stored.key.kind == "open_interest":
        return _interest(stored, ticker, native or stored.instrument)
    if stored.key.kind == "funding":
        return _funding(stored, ticker)
    raise BadRecords(f"{stored.key}: expected open_interest or funding; the ticker states no other kind twice")


def _interest(stored: Records, ticker: Ticker, native: Instrument) -> UnitCheck:
    rows, at = _last_before(stored.stamp, ticker, np.isfinite(ticker.open_interest) & np.isfinite(ticker.price))
    _refuse_none(rows, stored, ticker)
    price, values = ticker.price[at], stored.column("value")[rows]
    told = ticker.open_interest[at] * unit_in_btc(native, price)
    found = values * unit_in_btc(stored.instrument, price)
    ratio = float(np.median(found / told))
    what = f"{stored.key} is {ratio:.4g} times the open interest of {ticker.name} ({len(rows)} pairs)"
    if abs(np.log(ratio)) < UNIT_GAP:
        return UnitCheck(pairs=len(rows), ratio=ratio, agrees=True, fits="", verdict=f"{what}: the units agree")
    level = float(np.median(told))
    if not _PLAUSIBLE[0] <= level <= _PLAUSIBLE[1]:
        why = f"{level:,.4g} BTC cannot be: the unit taken for the ticker, {native.oi_unit}, is wrong"
        return UnitCheck(pairs=len(rows), ratio=ratio, agrees=False, fits="", verdict=f"{what}: {why}")
    fits = [name for name, one in _readings(stored.instrument) if _equal(values * unit_in_btc(one, price), told)]
    wrong = f"oi_unit: {stored.instrument.oi_unit} of the stored values is wrong"
    why = f"{wrong}; they fit {' or '.join(fits)}" if fits else f"{wrong}, and no usual unit fits them"
    return UnitCheck(pairs=len(rows), ratio=ratio, agrees=False, fits=fits[0] if fits else "", verdict=f"{what}: {why}")


def _readings(what: Instrument) -> list[tuple[str, Instrument]]:
    """Units that stored values may be in, each with the instrument that says so."""
    plain: list[tuple[str, Instrument]] = [("btc", replace(what, oi_unit="btc")), ("usd", replace(what, oi_unit="usd"))]
    sized = [
        (f"contract of {size:g} {ccy}", replace(what, oi_unit="contract", contract_size=size, contract_ccy=ccy))
        for size, ccy in dict.fromkeys([(what.contract_size, what.contract_ccy), *_SIZES])
    ]
    both = [(f"{name}, both sides counted", replace(one, side_factor=one.side_factor / 2)) for name, one in plain]
    return [*plain, *sized, *both]


def _equal(found: np.ndarray, told: np.ndarray) -> bool:
    return bool(abs(np.log(float(np.median(found / told)))) < UNIT_GAP)


def _funding(stored: Records, ticker: Ticker) -> UnitCheck:
    rates = stored.column("rate")
    usable = np.isfinite(ticker.funding_rate) & (ticker.funding_rate != 0)
    rows, at = _last_before(stored.stamp, ticker, usable)
    named = (ticker.funding_at[at] == 0) | (np.abs(ticker.funding_at[at] - stored.stamp[rows]) < 60_000_000_000)
    rows, at = rows[named & (rates[rows] != 0)], at[named & (rates[rows] != 0)]
    _refuse_none(rows, stored, ticker)
    ratio = float(np.median(rates[rows] / ticker.funding_rate[at]))
    what = f"{stored.key} is {ratio:.4g} times the rate of {ticker.name} ({len(rows)} pairs)"
    if abs(ratio - 1) < UNIT_GAP:
        return UnitCheck(pairs=len(rows), ratio=ratio, agrees=True, fits="", verdict=f"{what}: the units agree")
    fits = next((unit for factor, unit in _RATES.items() if abs(ratio / factor - 1) < UNIT_GAP), "")
    why = f"the stored rates are {fits}" if fits else "no usual unit of the stored rates explains it"
    return UnitCheck(pairs=len(rows), ratio=ratio, agrees=False, fits=fits, verdict=f"{what}: {why}")


def _last_before(stamps: np.ndarray, ticker: Ticker, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stored rows that have a usable message before them, and the place of the last one."""
    places = np.flatnonzero(usable)
    at = np.searchsorted(ticker.time[places], stamps, side="left") - 1
    have = at >= 0
    rows, at = np.flatnonzero(have), places[at[have]]
    fresh = stamps[rows] - ticker.time[at] <= _STALE
    return rows[fresh], at[fresh]


def _refuse_none(rows: np.ndarray, stored: Records, ticker: Ticker) -> None:
    if not len(rows):
        raise BadRecords(
            f"{stored.key} has no row within 15 minutes after a message of {ticker.name}; is it the same day and "
            "instrument?"
        )
