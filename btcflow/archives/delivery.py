"""Files of one series, one after the other: got if new, verified, read, and handed out with where they came from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from btcflow.archives.download import Broken, Got, Published
from btcflow.archives.request import Get, Note, Report, Request
from btcflow.archives.rows import Rows, Seam, to_records, without_duplicates
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records
from btcflow.errors import BadRecords, DataError, VenueUnavailable

__all__ = ["Delivery", "known_or_new", "nobody", "utc_now"]


def nobody(note: Note) -> None:
    """Hears a note and does nothing."""


def utc_now() -> pd.Timestamp:
    """The time of the system clock, to the second."""
    return pd.Timestamp.now("UTC").floor("s")


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How the files of one series become records.

    Attributes
    ----------
    source : where the rows come from, in words
    request : the series
    get, report : see :mod:`btcflow.archives`
    is_new : whether a file has to be asked for
    fetch : its bytes and their sha256, None where there is no such file
    unpack : the text inside
    parse : the rows of the text
    step : how far each row may be from the one before
    now : the time put into ``fetched_at``
    workers : files asked for at once; ``get`` has to allow it
    """

    source: str
    request: Request
    get: Get
    report: Report
    is_new: Callable[[Published], bool]
    fetch: Callable[[Published, Get], Got | None]
    unpack: Callable[[bytes, str], bytes]
    parse: Callable[[bytes, Published, Request, Report], Rows]
    step: Callable[[Rows, Request], np.ndarray]
    now: Callable[[], pd.Timestamp] = utc_now
    workers: int = 1
    _faults: list[Exception] = field(default_factory=list, init=False)

    def pairs(self, files: Iterable[Published | Note]) -> Iterator[tuple[Records, Provenance]]:
        """The rows of each file; a note in its place is told and stands for a hole.

        Raises
        ------
        VenueUnavailable, BadRecords
            after the last file, for all that came and could not be used.
        """
        seam = Seam()
        for file, got in self._asked(files):
            rows = None if got is None else self._rows(file, got)
            if got is None or rows is None:
                seam = Seam()
                continue
            seam = seam.onward(rows, self.step(rows, self.request), file, self.report)
            if len(rows):
                yield to_records(rows, self.request, self.source), self._provenance(file, got[1])
        self._raise_faults()

    def _asked(self, files: Iterable[Published | Note]) -> Iterator[tuple[Published, Got | None]]:
        """Every file with its bytes, in order; None where there are none to use."""
        several = iter(files)
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            while batch := list(itertools.islice(several, self.workers)):
                for one, got in zip(batch, pool.map(self._ask, batch), strict=True):
                    if isinstance(one, Note):
                        self.report(one)
                        yield Published(url=one.endpoint, start=one.start, end=one.end), None
                    else:
                        yield one, self._told(one, got)

    def _ask(self, file: Published | Note) -> Got | Broken | bool | None:
        """Bytes; None: no such file; False: unchanged; or why it cannot be used."""
        if isinstance(file, Note):
            return None
        try:
            return self.fetch(file, self.get) if self.is_new(file) else False
        except Broken as fault:
            return fault

    def _told(self, file: Published, got: Got | Broken | bool | None) -> Got | None:
        if isinstance(got, tuple):
            return got
        if isinstance(got, Broken):
            self._fault(file, got)
        elif got is None:
            self._note("missing_file", file, "no such file")
        else:
            self._note("unchanged", file, "the publisher has not changed it since it was merged")
        return None

    def _rows(self, file: Published, got: Got) -> Rows | None:
        try:
            rows = self.parse(self.unpack(got[0], file.url), file, self.request, self.report)
            rows = without_duplicates(rows, file, self.report)
            if len(rows):
                to_records(rows, self.request, self.source)
        except (Broken, DataError) as fault:
            self._fault(file, fault)
            return None
        return rows

    def _provenance(self, file: Published, sha256: str) -> Provenance:
        return Provenance(
            source=self.source,
            endpoint=file.url,
            fetched_at=self.now(),
            raw_sha256=(sha256,),
            upstream=file.upstream(sha256),
        )

    def _fault(self, file: Published, fault: Exception) -> None:
        self._faults.append(fault)
        self._note("broken", file, str(fault))

    def _note(self, what: str, file: Published, why: str) -> None:
        self.report(Note(what=what, start=file.start, end=file.end, why=why, endpoint=file.url))  # type: ignore[arg-type]

    def _raise_faults(self) -> None:
        if not self._faults:
            return
        kind = VenueUnavailable if all(isinstance(one, Broken) for one in self._faults) else BadRecords
        text = "\n".join(str(one) for one in self._faults)
        raise kind(
            f"{self.request.key}: {len(self._faults)} files of {self.source} came and were not used; the others were:\n"
            f"{text}"
        )


def known_or_new(known: Mapping[str, str]) -> Callable[[Published], bool]:
    """For archives without checksums: a file is new until it has been merged once."""
    return lambda file: file.url not in known
