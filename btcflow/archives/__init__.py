"""Bulk files that venues and vendors publish, made into records.

The protocol, for whoever fills a store::

    archive = BinanceVision()
    request = Request(
        instrument=facts("binance:BTCUSDT").instrument, kind="funding", timeframe="8h",
        start=..., end=..., lag=pd.Timedelta(0),
    )
    if archive.offers(request):
        known = known_files(store, request.key)
        for records, provenance in archive.series(request, get, known=known, report=notes.append):
            store.merge(records, provenance=provenance)

* ``get(url)`` answers with ``status``, ``headers`` and ``body`` (:class:`Answer`), as
  ``StaticFiles(...).get`` of ``btcflow.wire.static`` does; it retries and waits, and raises what is fatal.
* ``known`` maps the ``endpoint`` of each file merged before to its ``Provenance.upstream``: a file the
  publisher has not touched since is not asked for again, one that was published anew is, and its rows
  come as a further vintage.
* One pair comes per file, oldest first, all its rows: they may begin before ``start`` and end after ``end``.
* ``report`` takes a :class:`Note` for every missing file, gap, dropped row and untouched file.
* A file that came but cannot be trusted or read is never used: the others still come, and after the last of
  them one :class:`~btcflow.errors.VenueUnavailable` or :class:`~btcflow.errors.BadRecords` names them all.
"""

from btcflow.archives.binance import BinanceVision
from btcflow.archives.bybit import BybitPublic
from btcflow.archives.known import known_files
from btcflow.archives.kraken import KrakenZip
from btcflow.archives.request import Answer, Archive, Get, Note, Request
from btcflow.archives.tardis import UnitCheck, cross_check, ticker_day

__all__ = [
    "Answer",
    "Archive",
    "BinanceVision",
    "BybitPublic",
    "Get",
    "KrakenZip",
    "Note",
    "Request",
    "UnitCheck",
    "cross_check",
    "known_files",
    "ticker_day",
]
