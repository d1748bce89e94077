"""The store: immutable chunk files and one manifest per series, and every state a series ever had.

    <store>/<venue>/<symbol>/<kind>-<timeframe>/manifest.json              what is here now, and what was
    <store>/<venue>/<symbol>/<kind>-<timeframe>/2024-03-1f0c2a….parquet    the rows of one period

A write puts new chunks beside the old ones under names made from their content and then replaces the
manifest, in one step. A writer that dies before that step leaves the old series, after it the new
one; what it left lying about is removed by the next write of that series. Writers take turns under a
lock on ``<store>/.lock``; readers wait for nobody: where a file has gone since they read the
manifest, they read the new manifest. Each series is whole by itself; a reader beside a
:meth:`Store.write_all` may see some of its series new and others still old.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from btcflow.data import disk
from btcflow.data.manifest import SCHEMA, SeriesManifest, StoreEntry, Vintage
from btcflow.data.merging import MergeReport, merge_rows
from btcflow.data.provenance import Provenance
from btcflow.data.records import Dataset, Records, SeriesKey
from btcflow.data.series_folder import MANIFEST, SeriesFolder, path_part, series_path
from btcflow.data.vintages import Step, StoredRecords, next_state
from btcflow.errors import BadRecords, MissingData, StoreError, nearest

__all__ = ["Store", "StoreEntry", "default_store_path", "series_path"]

_FILL = "fill it with `btcflow data fetch CONFIG` or `btcflow data import FOLDER --as SPEC`"
_ROWS_AT_HAND = 400_000
"""About 25 MB."""


def default_store_path() -> Path:
    """The folder named by ``BTCFLOW_STORE``, else ``store`` in the working folder."""
    return Path(os.environ.get("BTCFLOW_STORE") or "store")


class Store:
    """Series on disk.

    Parameters
    ----------
    path : the store's folder; it need not exist before the first write
    now : the time put into the manifest; the system clock by default
    """

    def __init__(self, path: Path, *, now: Callable[[], pd.Timestamp] | None = None) -> None:
        self.path = Path(path)
        self._now = now or (lambda: pd.Timestamp.now("UTC").floor("s"))
        self._recent = _Recent()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    # -- writing ---------------------------------------------------------------------------------

    def merge(self, records: Records, *, provenance: Provenance, overlap: pd.Timedelta | None = None) -> MergeReport:
        """Add fetched rows to a series by their stamp.

        A row that is there with other numbers is revised: the fetched one is current from now on, and
        the old one stays readable in the older vintage. Rows that the fetch does not have stay.
        Merging what is there already changes no byte of them; the manifest only notes a file that told nothing new.

        Parameters
        ----------
        provenance : where the rows came from; kept with the vintage they make
        overlap : how far before the end a fetch asks again; a revised row further back is reported as late.
            None: no revision counts as late.

        Raises
        ------
        BadRecords
            for no rows, an instrument with other facts than in the store, simulated rows among real ones,
            or a damaged chunk.
        StoreError
            where the disk refuses (full, read-only, not a folder); the store is as it was before.
        """
        _refuse_unfit(records)
        with self._writing():
            folder = SeriesFolder(self.path, records.key)
            before = folder.clean()
            if before is None:
                self._refuse_two_truths({records.key: records})
                step = next_state(None, records, written_at=self._now(), fetched=(records, provenance))
                self._commit([step])
                return MergeReport.first(records, step.manifest.latest.content_sha256)
            old = self._recent.get(before) or folder.rows(before, before.latest)
            written_at = self._now()
            merged = merge_rows(old, records, noticed_at=written_at)
            if merged.changed:
                step = next_state(
                    before,
                    merged.records,
                    written_at=written_at,
                    revisions=merged.changes,
                    fetched=(records, provenance),
                )
                self._commit([step])
                before = step.manifest
            elif (noted := before.noting(provenance)) is not before:
                self._commit([Step(manifest=noted, files={})])
                before = noted
            self._recent.keep(merged.records, before)
            return merged.report(old, overlap=overlap, content_sha256=before.latest.content_sha256)

    def write(self, records: Records) -> None:
        """Put one series into the store in place of what was there under its key.

        What was there stays readable as a vintage. Writing what is there already changes no byte, and
        mends a file that is damaged.

        Raises
        ------
        BadRecords
            for a series without rows, or one whose instrument has other facts than the instrument
            of the same id in the store.
        StoreError
            where the disk refuses (full, read-only, not a folder); the store is as it was before.
        """
        self.write_all((records,))

    def write_all(self, series: Iterable[Records]) -> None:
        """Put several series into the store: all of them, or none where the disk refuses. See :meth:`write`."""
        ordered = Dataset.of(series).series
        for one in ordered:
            _refuse_unfit(one)
        with self._writing():
            self._refuse_two_truths({one.key: one for one in ordered})
            steps = []
            for one in ordered:
                folder = SeriesFolder(self.path, one.key)
                before = folder.clean()
                if before is None or not folder.holds(before, one):
                    steps.append(next_state(before, one, written_at=self._now()))
            self._commit(steps)

    def _commit(self, steps: list[Step]) -> None:
        """Files first, then the manifests; the disk may refuse anything up to the first manifest."""
        folders = [SeriesFolder(self.path, one.manifest.key) for one in steps]
        try:
            for step, folder in zip(steps, folders, strict=True):
                folder.stage(step)
            for folder in folders:
                folder.commit()
        finally:
            for folder in folders:
                folder.clean()

    def _refuse_two_truths(self, series: Mapping[SeriesKey, Records]) -> None:
        """One instrument id has one set of facts, whichever series it comes with."""
        for key, records in series.items():
            others = {
                one.key: one.head.instrument for one in self._manifests(path_part(key.venue), path_part(key.symbol))
            }
            others |= {one.key: one.instrument for one in series.values()}
            for other, instrument in sorted(others.items()):
                if instrument.id == records.instrument.id and instrument != records.instrument:
                    raise BadRecords(
                        f"{instrument.id} would have two sets of facts: {instrument} with {other.kind}, and "
                        f"{records.instrument} with {key.kind}; give its series the same role, quote, margin and "
                        "open-interest unit and write them together, or use another store"
                    )

    # -- reading ---------------------------------------------------------------------------------

    def entries(self) -> tuple[StoreEntry, ...]:
        """What the store holds, sorted by key.

        Raises
        ------
        MissingData
            where the store is empty or is not there.
        """
        with self._reading():
            return tuple(sorted((one.entry() for one in self._filled()), key=lambda one: one.key))

    def read(self, key: SeriesKey, *, content_sha256: str | None = None) -> StoredRecords:
        """One series, checked against its content hash.

        Parameters
        ----------
        content_sha256 : of the vintage to read; today's by default

        Raises
        ------
        MissingData
            where the store has no such series or vintage, or a file is gone.
        BadRecords
            where a file is not what was written.
        """
        with self._reading():
            return SeriesFolder(self.path, key).read(self._known(key), content_sha256)

    def dataset(
        self,
        keep: Callable[[StoreEntry], bool] | None = None,
        *,
        as_of: Mapping[SeriesKey, str] | None = None,
    ) -> Dataset:
        """The series for which ``keep`` is true, all of them by default.

        Parameters
        ----------
        as_of : content hashes of the vintages to read; a series that is not in it comes as it is today

        Raises
        ------
        MissingData
            where the store is empty, no series is kept, or a vintage is not there.
        BadRecords
            where a file is not what was written.
        """
        with self._reading():
            manifests = self._filled()
            chosen = [one for one in manifests if keep is None or keep(one.entry())]
            if not chosen:
                raise MissingData(f"{self.path}: none of the {len(manifests)} series here was asked for; {_FILL}")
            wanted = as_of or {}
            return Dataset.of(SeriesFolder(self.path, one.key).read(one, wanted.get(one.key)) for one in chosen)

    def held(self, named: Mapping[str, str]) -> dict[SeriesKey, str]:
        """Of series named as their keys print, those that are here, with the content hash to read.

        That is the named one where the store has such a vintage, else today's.
        """
        with self._reading():
            found = {}
            for one in self._filled():
                wanted = named.get(str(one.key))
                if wanted is not None:
                    past = (each.content_sha256 for each in SeriesFolder(self.path, one.key).vintages(one))
                    found[one.key] = wanted if wanted in past else one.latest.content_sha256
            return found

    def manifest(self, key: SeriesKey) -> SeriesManifest:
        """The manifest of one series: its chunks, gaps, revisions and origins; raises :class:`MissingData`."""
        with self._reading():
            return self._known(key)

    def vintages(self, key: SeriesKey) -> tuple[Vintage, ...]:
        """Every state a series had, oldest first; raises :class:`MissingData`."""
        with self._reading():
            return SeriesFolder(self.path, key).vintages(self._known(key))

    def _known(self, key: SeriesKey) -> SeriesManifest:
        manifest = SeriesFolder(self.path, key).manifest()
        if manifest is None:
            have = sorted(str(one.key) for one in self._filled())
            close = nearest(str(key), have)
            hint = f"did you mean {close!r}?" if close else f"it holds: {', '.join(have)}"
            raise MissingData(f"{self.path}: no series {key}; {hint}")
        return manifest

    def _filled(self) -> list[SeriesManifest]:
        manifests = list(self._manifests())
        if not manifests:
            raise MissingData(f"{self.path}: the store is empty; {_FILL}")
        return manifests

    def _manifests(self, venue: str = "*", symbol: str = "*") -> Iterator[SeriesManifest]:
        for path in sorted(self.path.glob(f"{venue}/{symbol}/*/{MANIFEST}")):
            yield SeriesManifest.load(path)

    # -- the disk --------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._disk():
            if not self.path.exists():
                raise MissingData(f"{self.path}: no store here yet; {_FILL}")
            if not self.path.is_dir():
                raise StoreError(f"{self.path}: not a folder; expected the store's, or name another with BTCFLOW_STORE")
            self._refuse_old_form()
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._disk(), disk.turn(self.path / ".lock"):
            self._refuse_old_form()
            yield

    def _refuse_old_form(self) -> None:
        if (self.path / MANIFEST).exists():
            raise BadRecords(
                f"{self.path / MANIFEST}: a store of schema 1, one file per series, which this btcflow does not read "
                f"(it reads schema {SCHEMA}); move the folder aside, then {_FILL}"
            )

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            where = error.filename or self.path
            raise StoreError(
                f"{where}: {error.strerror or error}; the store at {self.path} keeps what it had: check the free "
                "space and the rights of the folder, or name another with BTCFLOW_STORE"
            ) from error


class _Recent:
    """The rows of series that were merged a moment ago, so that a fetch in many parts reads each series once."""

    def __init__(self) -> None:
        self._rows: dict[SeriesKey, tuple[str, Records]] = {}

    def get(self, manifest: SeriesManifest) -> Records | None:
        """The rows of today's vintage, where they are at hand."""
        digest, records = self._rows.get(manifest.key, ("", None))
        return records if digest == manifest.latest.content_sha256 else None

    def keep(self, records: Records, manifest: SeriesManifest) -> None:
        """Keep the rows, and the latest others as long as all are few."""
        self._rows.pop(records.key, None)
        self._rows[records.key] = (manifest.latest.content_sha256, records)
        while sum(len(rows) for _, rows in self._rows.values()) > _ROWS_AT_HAND:
            del self._rows[next(iter(self._rows))]


def _refuse_unfit(records: Records) -> None:
    if len(records) == 0:
        raise BadRecords(f"{records.key}: a series without rows; nothing to store")
    if (records.key.venue, records.key.symbol) != (records.instrument.venue, records.instrument.symbol):
        raise BadRecords(
            f"{records.key}: its instrument is {records.instrument.id}; expected the same venue and symbol"
        )
