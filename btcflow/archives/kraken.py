"""Kraken's OHLCVT archive: a ZIP that the user has downloaded, one CSV per pair and timeframe.

Rows are there only for bars in which something was traded. Nothing is filled in: a bar without a trade has no row,
and the note says how many there are.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from btcflow.archives.delivery import nobody, utc_now
from btcflow.archives.download import Published
from btcflow.archives.request import Get, Note, Report, Request
from btcflow.archives.rows import Rows, refuse_off_grid, to_records, without_duplicates
from btcflow.archives.sheet import read_sheet
from btcflow.data.grids import bar_holes
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records
from btcflow.errors import BadRecords, MissingData, NotOffered, nearest

__all__ = ["KrakenZip"]

COLUMNS = ("time", "open", "high", "low", "close", "volume", "trades")
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "12h": 720, "1D": 1440}
_KNOWN: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class KrakenZip:
    """One OHLCVT ZIP of Kraken (the full one or a quarter's).

    Attributes
    ----------
    path : where the ZIP lies
    now : the time put into ``fetched_at``
    """

    path: Path
    now: Callable[[], pd.Timestamp] = utc_now
    name: str = "Kraken OHLCVT"

    def offers(self, request: Request) -> bool:
        """True for bars of Kraken's spot pairs."""
        instrument = request.instrument
        spot = instrument.venue == "kraken" and instrument.role == "spot"
        return spot and request.kind == "ohlcv" and request.timeframe in MINUTES

    def series(
        self,
        request: Request,
        get: Get | None = None,
        *,
        known: Mapping[str, str] = _KNOWN,
        report: Report = nobody,
    ) -> Iterator[tuple[Records, Provenance]]:
        """The traded bars of the stretch, at once; ``get`` and ``known`` are not needed.

        Raises
        ------
        NotOffered
            for anything but bars of Kraken's spot pairs.
        MissingData
            for no such ZIP, or none such pair or timeframe inside it.
        BadRecords
            for a ZIP that is not whole, and rows that break a rule.
        """
        if not self.offers(request):
            raise NotOffered(f"{self.name} has no {request.key}; it has ohlcv of spot at {', '.join(MINUTES)}")
        member = f"{_pair(request)}_{MINUTES[request.timeframe]}.csv"
        body = self._read(member)
        file = Published(url=f"{self.path.name}#{member}", start=request.start, end=request.end)
        sheet = read_sheet(body, file.url, COLUMNS)
        rows = Rows(stamp=sheet.epochs("time"), columns={name: sheet.numbers(name) for name in request.columns})
        refuse_off_grid(rows, request.timeframe, file.url)
        rows = rows.take((rows.stamp >= request.start.value) & (rows.stamp < request.end.value))
        rows = without_duplicates(rows, file, report)
        if not len(rows):
            report(Note(what="missing_rows", start=file.start, end=file.end, why="no trades", endpoint=file.url))
            return
        holes = bar_holes(rows.stamp, request.timeframe)
        if holes.missing:
            why = f"{holes.missing} bars in {holes.stretches} stretches without a trade have no row"
            ends = (pd.Timestamp(int(one), tz="UTC") for one in rows.stamp[[0, -1]])
            first, last = ends
            report(Note(what="missing_rows", start=first, end=last, why=why, rows=holes.missing, endpoint=file.url))
        sha256 = hashlib.sha256(body).hexdigest()
        yield (
            to_records(rows, request, self.name),
            Provenance(
                source=self.name,
                endpoint=file.url,
                params={"from": f"{request.start:%Y-%m-%d}", "until": f"{request.end:%Y-%m-%d}"},
                fetched_at=self.now(),
                raw_sha256=(sha256,),
                upstream=file.upstream(sha256),
            ),
        )

    def _read(self, member: str) -> bytes:
        if not self.path.is_file():
            raise MissingData(f"{self.path}: no such file; expected an OHLCVT ZIP that was downloaded from Kraken")
        try:
            with zipfile.ZipFile(self.path) as packed:
                inside = {one.rsplit("/", maxsplit=1)[-1]: one for one in packed.namelist()}
                if member not in inside:
                    close = nearest(member, inside)
                    hint = f"; did you mean {close!r}?" if close else f"; it holds {len(inside)} files"
                    raise MissingData(f"{self.path.name}: no {member} inside{hint}")
                return packed.read(inside[member])
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise BadRecords(f"{self.path.name}: not a whole ZIP ({error}); download it again") from None


def _pair(request: Request) -> str:
    return request.instrument.symbol.replace("/", "").replace("BTC", "XBT")
