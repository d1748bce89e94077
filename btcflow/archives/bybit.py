"""Bybit's public files: MetaTrader bars whose clock is checked, and two index series that ended early.

``kline_for_metatrader4`` has no header and a clock that is in dispute: one reader measured UTC+3, another says
UTC [unverified]. So each file is laid against bars whose times are certain, and the one whole hour at which their
closes agree is taken; a file that fits no hour, or that no such bars cover, is not used. ``premium_index`` and
``spot_index`` hold minutes of the inverse contracts, from 2019-10-01; when they end is in dispute [unverified].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.archives.delivery import Delivery, known_or_new, nobody, utc_now
from btcflow.archives.download import Published, fetch_gzip, gunzip
from btcflow.archives.periods import days_of, months_of
from btcflow.archives.request import Get, Note, Report, Request
from btcflow.archives.rows import Rows, refuse_off_grid, refuse_outside
from btcflow.archives.sheet import Sheet, read_sheet
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records
from btcflow.errors import BadRecords, NotOffered

__all__ = ["BybitPublic", "clock_ahead"]

MT4 = ("time", "open", "high", "low", "close", "volume")
INDEX = ("start_at", "symbol", "period", "open", "high", "low", "close")
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60}
ENDINGS = {"premium_index": ("premium_index", "_premium_index"), "index": ("spot_index", "_index_price")}
_HOUR = 3_600_000_000_000
_OFFSETS = range(-12, 15)
_FEWEST = 24
_AGREE, _OTHERS = 0.9, 0.5
_KNOWN: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class BybitPublic:
    """The public files of Bybit.

    Attributes
    ----------
    reference : bars of the same instrument whose times are certain (from the venue's own interface), of any
        timeframe; needed for ``ohlcv`` alone
    root : address that the files are below
    now : the time; a day or month is asked for when it is over
    """

    reference: Records | None = None
    root: str = "https://public.bybit.com/"
    now: Callable[[], pd.Timestamp] = utc_now
    name: str = "Bybit public files"

    def offers(self, request: Request) -> bool:
        """True for bars of linear perpetuals, with a reference, and minutes of two index series of inverse ones."""
        instrument = request.instrument
        if instrument.venue != "bybit" or instrument.role != "perp":
            return False
        if request.kind == "ohlcv":
            return instrument.margin == "linear" and request.timeframe in MINUTES and self.reference is not None
        return request.kind in ENDINGS and instrument.margin == "inverse" and request.timeframe == "1m"

    def series(
        self, request: Request, get: Get, *, known: Mapping[str, str] = _KNOWN, report: Report = nobody
    ) -> Iterator[tuple[Records, Provenance]]:
        """The rows of one file after the other, oldest first; see :mod:`btcflow.archives`.

        No checksums are published, so a file merged once is not asked for again.

        Raises
        ------
        NotOffered
            for a series that is not there, and for bars without a reference.
        VenueUnavailable, BadRecords
            as :meth:`btcflow.archives.binance.BinanceVision.series`.
        """
        if not self.offers(request):
            raise NotOffered(
                f"{self.name} has no {request.key}; it has ohlcv of linear perpetuals at {', '.join(MINUTES)}, for "
                "which bars of the venue's own interface are needed as a reference of the clock, and premium_index and "
                "index of inverse ones at 1m"
            )
        delivery = Delivery(
            source=self.name,
            request=request,
            get=get,
            report=report,
            is_new=known_or_new(known),
            fetch=fetch_gzip,
            unpack=gunzip,
            parse=self._bars if request.kind == "ohlcv" else _index,
            step=lambda rows, one: np.full(len(rows), timeframes.parse(one.timeframe).seconds * 1_000_000_000),
            now=self.now,
        )
        yield from delivery.pairs(self.files(request))

    def files(self, request: Request) -> list[Published | Note]:
        """The files that would hold the stretch; whether they exist shows when they are asked for."""
        today = self.now().floor("D")
        symbol, end = request.instrument.symbol, min(request.end, today)
        if request.kind == "ohlcv":
            whole = [one for one in months_of(request.start, end) if one.end <= today]
            begin = f"{self.root}kline_for_metatrader4/{symbol}/"
            names = [f"{one.start:%Y}/{symbol}_{MINUTES[request.timeframe]}_{one.start:%Y-%m-%d}_" for one in whole]
            last = [f"{one.end - pd.Timedelta(days=1):%Y-%m-%d}.csv.gz" for one in whole]
            return [
                Published(url=f"{begin}{name}{day}", start=one.start, end=one.end)
                for one, name, day in zip(whole, names, last, strict=True)
            ]
        tree, ending = ENDINGS[request.kind]
        return [
            Published(url=f"{self.root}{tree}/{symbol}/{symbol}{one.text}{ending}.csv.gz", start=one.start, end=one.end)
            for one in days_of(request.start, end)
        ]

    def _bars(self, body: bytes, file: Published, request: Request, report: Report) -> Rows:
        sheet = read_sheet(body, file.url, MT4)
        rows = Rows(stamp=sheet.moments("time", "%Y.%m.%d %H:%M"), columns=_numbers(sheet, MT4[1:]))
        if self.reference is None:
            raise NotOffered(f"{file.url}: no bars to check its clock against")
        length = timeframes.parse(request.timeframe).seconds * 1_000_000_000
        ahead = clock_ahead(rows.stamp + length, rows.columns["close"], self.reference, name=file.url)
        rows = Rows(stamp=rows.stamp - ahead * _HOUR, columns=rows.columns)
        refuse_off_grid(rows, request.timeframe, file.url)
        return rows


def clock_ahead(closes_at: np.ndarray, close: np.ndarray, reference: Records, *, name: str) -> int:
    """How many hours a file's clock is ahead of UTC: the one shift at which its closes are the reference's.

    Parameters
    ----------
    closes_at : (N,) int64 ns, when each bar closes by the file's own clock
    close : (N,) closing prices
    reference : bars of the same instrument with certain times
    name : the file, for messages

    Raises
    ------
    BadRecords
        where fewer than 24 closes can be compared, no whole hour makes 9 in 10 of them equal, or more than one
        makes half of them so.
    """
    shares: dict[int, float] = {}
    ends, prices = reference.ends, reference.column("close")
    for hours in _OFFSETS:
        _, mine, theirs = np.intersect1d(closes_at - hours * _HOUR, ends, return_indices=True)
        if len(mine) >= _FEWEST:
            shares[hours] = float(np.mean(np.isclose(close[mine], prices[theirs], rtol=1e-9, atol=0.0)))
    if not shares:
        raise BadRecords(
            f"{name}: its clock cannot be checked: {reference.key} has fewer than {_FEWEST} closes of the same time; "
            "fetch those bars from the venue first"
        )
    fits = [hours for hours, share in shares.items() if share >= _AGREE]
    near = [hours for hours, share in shares.items() if share >= _OTHERS]
    if len(fits) != 1 or len(near) != 1:
        best = max(shares, key=lambda one: shares[one])
        raise BadRecords(
            f"{name}: no one clock fits {reference.key}: UTC{best:+d} makes {shares[best]:.0%} of the closes equal, "
            f"and {len(near)} clocks make half of them so; expected one that makes {_AGREE:.0%}"
        )
    return fits[0]


def _index(body: bytes, file: Published, request: Request, report: Report) -> Rows:
    """Minutes of an index; columns are taken by their names, since nobody has checked their order [unverified]."""
    sheet = read_sheet(body, file.url, INDEX)
    rows = Rows(stamp=sheet.epochs("start_at"), columns=_numbers(sheet, INDEX[3:]))
    periods = set(sheet.text("period"))
    if not periods <= {"1"}:
        raise BadRecords(f"{file.url}: periods {', '.join(sorted(periods))}; expected minutes (1)")
    refuse_outside(rows, file)
    refuse_off_grid(rows, request.timeframe, file.url)
    if request.kind == "premium_index" and (np.abs(rows.columns["close"]) >= 1).any():
        raise BadRecords(f"{file.url}: a premium index of 1 or more; expected a fraction of the index price")
    return rows


def _numbers(sheet: Sheet, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    found = {name: sheet.numbers(name) for name in names}
    for name, values in found.items():
        for row in np.flatnonzero(~np.isfinite(values))[:1]:
            raise BadRecords(f"{sheet.name}: no {name} in row {row + 1}; expected a number")
    return found
