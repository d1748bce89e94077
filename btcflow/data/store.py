"""The store: one parquet file per series and a manifest, written so that a reader never sees half a series.

    <store>/manifest.json                        what is here, with the content hash of each series
    <store>/<venue>/<symbol>/<kind>-<timeframe>.parquet

A write makes new files beside the old ones, announces them in the manifest, moves them into place
and then closes the announcement. A writer that dies between two of these steps leaves every series
either old or new and always whole: a reader that finds an announcement looks at the hash inside the
file to know which of the two it is. Writers take turns under a lock on ``<store>/.lock``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from btcflow.data.manifest import Manifest, StoreEntry, entry_of
from btcflow.data.records import Dataset, Records, SeriesKey
from btcflow.errors import BadRecords, MissingData, StoreError, nearest
from btcflow.fields import KINDS

__all__ = ["Store", "StoreEntry", "default_store_path", "series_path"]

_HASH = b"btcflow.content_sha256"
_FILL = "fill it with `btcflow data import FOLDER --as SPEC`"
_AGAIN = "import it again: `btcflow data import FOLDER --as SPEC`"


def default_store_path() -> Path:
    """The folder named by ``BTCFLOW_STORE``, else ``store`` in the working folder."""
    return Path(os.environ.get("BTCFLOW_STORE") or "store")


def series_path(key: SeriesKey) -> str:
    """Where a series lies inside a store; two keys never share a path.

    Examples
    --------
    >>> series_path(SeriesKey("binance", "BTC/USDT", "ohlcv", "1h"))
    'binance/BTC%2FUSDT/ohlcv-1h.parquet'
    """
    return f"{_name(key.venue)}/{_name(key.symbol)}/{_name(key.kind)}-{_name(key.timeframe)}.parquet"


class Store:
    """Series on disk.

    Parameters
    ----------
    path : the store's folder; it need not exist before the first write
    now : the time put into ``imported_at``; the system clock by default
    """

    def __init__(self, path: Path, *, now: Callable[[], pd.Timestamp] | None = None) -> None:
        self.path = Path(path)
        self._now = now or (lambda: pd.Timestamp.now("UTC").floor("s"))

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def write(self, records: Records) -> None:
        """Put one series into the store in place of what was there under its key.

        Writing what is there already changes no byte.

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
            if len(one) == 0:
                raise BadRecords(f"{one.key}: a series without rows; nothing to store")
        with self._disk(), self._locked(exclusive=True):
            self._remove_leftovers()
            before = self._settled()
            imported = pd.Timestamp(self._now())
            fresh = {series_path(one.key): entry_of(one, imported_at=imported) for one in ordered}
            fresh = {path: _keep_first_import(entry, before.series.get(path)) for path, entry in fresh.items()}
            _refuse_two_truths(before.series | fresh)
            changed = [one for one in ordered if not self._holds(one, before.series.get(series_path(one.key)))]
            try:
                self._commit(before, fresh, self._stage(changed))
            finally:
                self._remove_leftovers()

    def entries(self) -> tuple[StoreEntry, ...]:
        """What the store holds, sorted by key.

        Raises
        ------
        MissingData
            where the store is empty or is not there.
        """
        with self._reading() as manifest:
            return tuple(sorted(manifest.series.values(), key=lambda one: one.key))

    def read(self, key: SeriesKey) -> Records:
        """One series, checked against the content hash of the manifest.

        Raises
        ------
        MissingData
            where the store has no such series, or its file is gone.
        BadRecords
            where the file is not what was written.
        """
        with self._reading() as manifest:
            return self._read(manifest, key)

    def dataset(self, keep: Callable[[StoreEntry], bool] | None = None) -> Dataset:
        """The series for which ``keep`` is true, all of them by default.

        Raises
        ------
        MissingData
            where the store is empty or no series is kept.
        BadRecords
            where a file is not what was written.
        """
        with self._reading() as manifest:
            chosen = [one.key for one in manifest.series.values() if keep is None or keep(one)]
            if not chosen:
                raise MissingData(f"{self.path}: none of the {len(manifest.series)} series here was asked for; {_FILL}")
            return Dataset.of(self._read(manifest, key) for key in chosen)

    # -- reading ---------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Manifest]:
        with self._disk():
            if not self._manifest_path.exists():
                raise MissingData(f"{self.path}: no store here yet; {_FILL}")
            with self._locked(exclusive=False):
                manifest = self._settled()
                if not manifest.series:
                    raise MissingData(f"{self.path}: the store is empty; {_FILL}")
                yield manifest

    def _read(self, manifest: Manifest, key: SeriesKey) -> Records:
        entry = manifest.series.get(series_path(key))
        if entry is None:
            have = sorted(str(one.key) for one in manifest.series.values())
            close = nearest(str(key), have)
            hint = f"did you mean {close!r}?" if close else f"it holds: {', '.join(have)}"
            raise MissingData(f"{self.path}: no series {key}; {hint}")
        path = self.path / series_path(key)
        if not path.exists():
            raise MissingData(f"{path}: the manifest names this file and it is gone; {_AGAIN}")
        records = _decode(path.read_bytes(), entry, path)
        found = records.content_hash()
        if found != entry.content_sha256:
            raise BadRecords(
                f"{path}: the content hash is {found[:12]} and the manifest says {entry.content_sha256[:12]}: "
                f"the file is not what was written; {_AGAIN}"
            )
        return records

    def _settled(self) -> Manifest:
        """The manifest with every open announcement decided by what lies on the disk."""
        manifest = Manifest.load(self._manifest_path)
        for path, entry in manifest.pending.items():
            if _stated_hash(self.path / path) == entry.content_sha256:
                manifest.series[path] = entry
        return replace(manifest, pending={})

    def _holds(self, records: Records, entry: StoreEntry | None) -> bool:
        """True where the file on disk has exactly these rows."""
        path = self.path / series_path(records.key)
        if entry is None or entry.content_sha256 != records.content_hash() or not path.exists():
            return False
        try:
            return _decode(path.read_bytes(), entry, path).content_hash() == entry.content_sha256
        except BadRecords:
            return False

    # -- writing ---------------------------------------------------------------------------------

    def _stage(self, series: Iterable[Records]) -> list[tuple[Path, Path]]:
        """Write new files beside their places."""
        staged: list[tuple[Path, Path]] = []
        for one in series:
            final = self.path / series_path(one.key)
            final.parent.mkdir(parents=True, exist_ok=True)
            staged.append((final.with_name(f".{final.name}.tmp"), final))
            _write_bytes(staged[-1][0], _encode(one))
        return staged

    def _commit(self, before: Manifest, fresh: dict[str, StoreEntry], staged: list[tuple[Path, Path]]) -> None:
        if staged:
            moving = {final.relative_to(self.path).as_posix() for _, final in staged}
            announced = {path: entry for path, entry in fresh.items() if path in moving}
            self._save(replace(before, pending=announced))
        for temporary, final in staged:
            os.replace(temporary, final)  # noqa: PTH105
        self._save(Manifest(series=before.series | fresh))

    def _save(self, manifest: Manifest) -> None:
        text = manifest.dump().encode()
        if self._manifest_path.exists() and self._manifest_path.read_bytes() == text:
            return
        temporary = self._manifest_path.with_name(".manifest.json.tmp")
        _write_bytes(temporary, text)
        os.replace(temporary, self._manifest_path)  # noqa: PTH105

    def _remove_leftovers(self) -> None:
        """Remove what a writer left when it died or the disk refused; nobody else writes under the lock."""
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    @property
    def _manifest_path(self) -> Path:
        return self.path / "manifest.json"

    @contextmanager
    def _locked(self, *, exclusive: bool) -> Iterator[None]:
        import fcntl

        lock = self.path / ".lock"
        if exclusive:
            self.path.mkdir(parents=True, exist_ok=True)
        elif not lock.exists():
            yield  # a store copied without its lock file: there is no writer to wait for
            return
        handle = os.open(lock, os.O_RDWR | os.O_CREAT if exclusive else os.O_RDONLY, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

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


def _name(part: str) -> str:
    safe = quote(part, safe="")
    return f"%2E{safe[1:]}" if safe.startswith(".") else safe


def _keep_first_import(entry: StoreEntry, before: StoreEntry | None) -> StoreEntry:
    if before is not None and before.content_sha256 == entry.content_sha256:
        return replace(entry, imported_at=before.imported_at)
    return entry


def _refuse_two_truths(entries: dict[str, StoreEntry]) -> None:
    """One instrument id has one set of facts, whichever series it comes with."""
    seen: dict[str, StoreEntry] = {}
    for entry in entries.values():
        first = seen.setdefault(entry.instrument.id, entry)
        if first.instrument != entry.instrument:
            raise BadRecords(
                f"{entry.instrument.id} would have two sets of facts: {first.instrument} with {first.key.kind}, and "
                f"{entry.instrument} with {entry.key.kind}; give its series the same role, quote, margin and "
                "open-interest unit and write them together, or use another store"
            )


def _write_bytes(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _encode(records: Records) -> bytes:
    """The same records always give the same bytes (for one version of pyarrow)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    instant = pa.timestamp("ns", tz="UTC")
    columns: dict[str, Any] = {
        "stamp": pa.array(records.stamp).cast(instant),
        "known_at": pa.array(records.known_at).cast(instant),
    }
    for name in KINDS[records.key.kind].columns:
        columns[name] = pa.array(records.column(name), type=pa.float64())
    table = pa.table(columns).replace_schema_metadata({_HASH: records.content_hash().encode()})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _decode(content: bytes, entry: StoreEntry, path: Path) -> Records:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(content)).read()
        times = {name: table[name].cast(pa.int64()).to_numpy() for name in ("stamp", "known_at")}
        columns = {name: np.asarray(table[name].to_numpy()) for name in KINDS[entry.key.kind].columns}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise BadRecords(f"{path}: not a series of this store ({error}); {_AGAIN}") from error
    frame = pd.DataFrame({name: pd.to_datetime(value, unit="ns", utc=True) for name, value in times.items()} | columns)
    return Records(
        key=entry.key,
        instrument=entry.instrument,
        frame=frame,
        source=entry.source,
        lag=entry.lag,
        synthetic=entry.synthetic,
    )


def _stated_hash(path: Path) -> str | None:
    """The content hash a file carries in its footer; None where there is no such file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        return None
    try:
        stated = (pq.read_schema(path).metadata or {}).get(_HASH)
    except (pa.ArrowException, OSError):
        return None
    return stated.decode() if stated else None
