"""Rows from a venue's public files: what its interface no longer tells, and years of it in few requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from btcflow.archives import Archive, BinanceVision, BybitPublic, Note, Request, known_files
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records
from btcflow.data.store import Store
from btcflow.errors import NotOffered
from btcflow.fetch.asking import Asked, VenueTurn
from btcflow.fetch.plan import Job
from btcflow.wire.outcome import Answer
from btcflow.wire.static import StaticFiles

__all__ = ["archive_rows"]

_WHO = "binance tells every kind it has in files, bybit:BTCUSD the minutes of premium_index and index"
_SAID = {"missing_file", "missing_rows", "dropped_rows", "duplicate_rows", "broken", "before_archive"}


def archive_rows(
    job: Job, kind: str, store: Store, *, turn: VenueTurn, asked: Asked, noted: Callable[[str], object]
) -> Iterator[tuple[Records, Provenance]]:
    """One kind of a job, file after file; files merged before are asked for again only where they were replaced.

    Parameters
    ----------
    turn : of the venue: its time, its retry rules
    asked : counts the requests
    noted : hears what a reader should know

    Raises
    ------
    NotOffered
        where no archive has the series.
    VenueUnavailable, BadRecords
        as the archive does: after the last file that could be read.
    """
    present = pd.Timestamp(turn.present, tz="UTC")
    request = Request(
        instrument=job.instrument.instrument,
        kind=kind,
        timeframe=job.timeframe,
        start=job.start,
        end=present if job.end is None else job.end,
        lag=pd.Timedelta(job.series[kind].lag),
    )
    archive = next((one for one in _archives(present) if one.offers(request)), None)
    if archive is None:
        raise NotOffered(f"{request.key}: no public archive that is read here has it ({_WHO}); expected source: rest")

    def report(note: Note) -> None:
        if note.what in _SAID:
            noted(f"{archive.name}: {note.why}")

    count = turn.about_to_send(asked)
    with StaticFiles(turn.patience_of(archive.name), base=turn.base) as files:

        def get(url: str) -> Answer:
            count()
            return files.get(url)

        yield from archive.series(request, get, known=known_files(store, request.key), report=report)


def _archives(present: pd.Timestamp) -> tuple[Archive, ...]:
    def now() -> pd.Timestamp:
        return present

    return BinanceVision(now=now), BybitPublic(now=now)
