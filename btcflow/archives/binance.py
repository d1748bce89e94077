"""Binance Vision: bars, mark, index and premium by month and day, funding by month, open interest by day.

A month that is over comes as one file where it is published, else as its days; what is not published yet is the
venue's own interface's to give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pandas as pd

from btcflow.archives.binance_files import folder, offered, parser, stem, step
from btcflow.archives.delivery import Delivery, nobody, utc_now
from btcflow.archives.download import Published, changed, fetch_verified, unzip
from btcflow.archives.listing import first_key, listed
from btcflow.archives.periods import Period, days_of, months_of, with_holes
from btcflow.archives.request import Get, Note, Report, Request
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records
from btcflow.errors import NotOffered

__all__ = ["BinanceVision"]

Span = Literal["daily", "monthly"]
_KNOWN: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class BinanceVision:
    """The public archive of Binance.

    Attributes
    ----------
    root : address that the files are below
    bucket : address of the listing of the same files
    now : the time; a day is asked for when it is over
    workers : files asked for at once; more than 1 needs a ``get`` that threads may share
    """

    root: str = "https://data.binance.vision/"
    bucket: str = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"
    now: Callable[[], pd.Timestamp] = utc_now
    workers: int = 1
    name: str = "Binance Vision"

    def offers(self, request: Request) -> bool:
        """True for what the archive holds: spot bars, and all kinds of USD-M and COIN-M perpetuals."""
        return offered(request)

    def series(
        self,
        request: Request,
        get: Get,
        *,
        known: Mapping[str, str] = _KNOWN,
        report: Report = nobody,
    ) -> Iterator[tuple[Records, Provenance]]:
        """The rows of one file after the other, oldest first; see :mod:`btcflow.archives`.

        Raises
        ------
        NotOffered
            for a series the archive does not have.
        VenueUnavailable
            at once where the host does not answer; after the last file, for all that came broken.
        BadRecords
            after the last file, for all whose rows break a rule.
        """
        if not self.offers(request):
            raise NotOffered(
                f"{self.name} has no {request.key}; it has ohlcv and taker_volume of spot, and of perpetuals mark, "
                "index, premium_index, funding and open_interest as well, at 1m to 1D"
            )
        delivery = Delivery(
            source=self.name,
            request=request,
            get=get,
            report=report,
            is_new=lambda file: changed(file, known, get),
            fetch=fetch_verified,
            unpack=unzip,
            parse=parser(request),
            step=step,
            now=self.now,
            workers=self.workers,
        )
        yield from delivery.pairs(self.files(request, get, known=known))

    def files(self, request: Request, get: Get, *, known: Mapping[str, str] = _KNOWN) -> list[Published | Note]:
        """The files that hold the stretch, oldest first, and a note for every stretch without one.

        A month whose days were all merged before stays its days: its own file would tell the same again.
        """
        end = min(request.end, self.now().floor("D"))
        months: dict[Period, Published] = {}
        if request.kind != "open_interest":
            months = self._published(request, "monthly", months_of(request.start, end), get)
        wanted: list[Period] = []
        for month in months_of(request.start, end):
            if request.kind == "funding" or (month in months and not self._by_days(month, request, known)):
                wanted.append(month)
            else:
                wanted += days_of(max(month.start, request.start), min(month.end, end))
        days: dict[Period, Published] = {}
        missing = [one for one in wanted if one not in months]
        if missing and request.kind != "funding":
            days = self._published(request, "daily", missing, get)
        found = months | days
        span: Span = "monthly" if request.kind == "funding" else "daily"
        return with_holes(wanted, found, lambda: self._begins(request, span, get), self.name)

    def _by_days(self, month: Period, request: Request, known: Mapping[str, str]) -> bool:
        """Whether every day of a month was merged from its own file."""
        begin = f"{self.root}{folder(request, 'daily')}{stem(request)}"
        return all(f"{begin}{day.text}.zip" in known for day in days_of(month.start, month.end))

    def _published(self, request: Request, span: Span, periods: list[Period], get: Get) -> dict[Period, Published]:
        """What is listed from the first of some periods on."""
        if not periods:
            return {}
        place, begin = folder(request, span), stem(request)
        keys = listed(self.bucket, place, get, after=f"{place}{begin}{periods[0].text}")
        found = {}
        for key, modified in keys.items():
            period = self._period(key, place + begin)
            if period is not None:
                found[period] = Published(
                    url=f"{self.root}{key}", start=period.start, end=period.end, modified=modified
                )
        return found

    def _begins(self, request: Request, span: Span, get: Get) -> pd.Timestamp | None:
        """The start of the first file there is of the series."""
        place = folder(request, span)
        first = self._period(first_key(self.bucket, place, get) or "", place + stem(request))
        return None if first is None else first.start

    def _period(self, key: str, begin: str) -> Period | None:
        text = key.removeprefix(begin).removesuffix(".zip")
        return Period.of(text) if key == f"{begin}{text}.zip" else None
