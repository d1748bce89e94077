"""One series on disk: its manifest, its chunks, and the one step in which both become the next state."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from btcflow.data import chunks, disk
from btcflow.data.manifest import Chunk, SeriesManifest, Vintage, segment_vintages
from btcflow.data.records import Records, SeriesKey
from btcflow.data.vintages import Step, StoredRecords, next_state, rows_of
from btcflow.errors import BadRecords, MissingData

__all__ = ["MANIFEST", "SeriesFolder", "path_part", "series_path"]

MANIFEST = "manifest.json"
_AGAIN = "import it again: `btcflow data import FOLDER --as SPEC`, or move its folder aside and fetch it again"
_OURS = {".parquet", ".jsonl"}


def series_path(key: SeriesKey) -> str:
    """The folder of a series inside a store; two keys never share one.

    Examples
    --------
    >>> series_path(SeriesKey("binance", "BTC/USDT", "ohlcv", "1h"))
    'binance/BTC%2FUSDT/ohlcv-1h'
    """
    return f"{path_part(key.venue)}/{path_part(key.symbol)}/{path_part(key.kind)}-{path_part(key.timeframe)}"


def path_part(name: str) -> str:
    """A name as one part of a path, on any file system."""
    safe = quote(name, safe="")
    return f"%2E{safe[1:]}" if safe.startswith(".") else safe


class SeriesFolder:
    """The folder of one series.

    Writing is :meth:`clean`, :meth:`stage`, :meth:`commit`, all under the store's lock. Reading needs no lock.
    """

    def __init__(self, store: Path, key: SeriesKey) -> None:
        self.store, self.path = store, store / series_path(key)

    # -- reading ---------------------------------------------------------------------------------

    def manifest(self) -> SeriesManifest | None:
        """What is here now; None where nothing was ever written."""
        try:
            return SeriesManifest.load(self.path / MANIFEST)
        except FileNotFoundError:
            return None

    def read(self, manifest: SeriesManifest, content_sha256: str | None = None) -> StoredRecords:
        """The rows of one vintage, today's by default; a writer may go on meanwhile."""
        while True:
            try:
                return self.rows(manifest, self._vintage(manifest, content_sha256))
            except FileNotFoundError as gone:
                newer = self.manifest()
                if newer is None or newer == manifest:
                    raise MissingData(
                        f"{gone.filename}: the manifest names this file and it is gone; {_AGAIN}"
                    ) from gone
                manifest = newer

    def rows(self, manifest: SeriesManifest, vintage: Vintage) -> StoredRecords:
        """The rows of one vintage, checked against its content hash."""

        def read(one: Chunk) -> chunks.Columns:
            return self._decoded(one, manifest.key)

        try:
            records = rows_of(manifest, vintage, read)
        except BadRecords as error:
            raise BadRecords(f"{error}; {_AGAIN}") from error
        found = records.content_hash()
        if found != vintage.content_sha256:
            wanted = manifest.chunks_of(vintage.number)
            bad = [one.file for one in wanted if not self._intact(one, manifest.key)]
            raise BadRecords(
                f"{self.path / (bad or [MANIFEST])[0]}: the content hash is {found[:12]} and the manifest says "
                f"{vintage.content_sha256[:12]}: the file is not what was written; {_AGAIN}"
            )
        return records

    def vintages(self, manifest: SeriesManifest) -> tuple[Vintage, ...]:
        """Every state the series had, oldest first."""
        texts = ((self.path / part.file).read_text("utf-8") for part in manifest.history)
        return (*(one for text in texts for one in segment_vintages(text)), *manifest.vintages)

    def _vintage(self, manifest: SeriesManifest, content_sha256: str | None) -> Vintage:
        if content_sha256 in {None, manifest.latest.content_sha256}:
            return manifest.latest
        for one in reversed(self.vintages(manifest)):
            if one.content_sha256 == content_sha256:
                return one
        raise MissingData(
            f"{self.path}: {manifest.key} never had the content {str(content_sha256)[:12]}; it had "
            f"{manifest.latest.number} states, today's is {manifest.latest.content_sha256[:12]}"
        )

    def _decoded(self, one: Chunk, key: SeriesKey) -> chunks.Columns:
        path = self.path / one.file
        return chunks.decode(path.read_bytes(), key.kind, path)

    def _intact(self, one: Chunk, key: SeriesKey) -> bool:
        try:
            return chunks.digest(self._decoded(one, key)) == one.content_sha256
        except (BadRecords, FileNotFoundError):
            return False

    # -- writing ---------------------------------------------------------------------------------

    def stage(self, step: Step) -> None:
        """Put the new chunks into place, and the manifest that names them beside its own."""
        disk.make_folder(self.path, self.store)
        for name, content in step.files.items():
            disk.put(self.path / name, content)
        disk.stage(self.path / MANIFEST, step.manifest.dump().encode())
        disk.settle(self.path)

    def commit(self) -> None:
        """The one step: from here on the series is the new one."""
        disk.place(self.path / MANIFEST)
        disk.settle(self.path)

    def clean(self) -> SeriesManifest | None:
        """Remove unfinished files and chunks that no vintage needs; what is left is the manifest that comes back."""
        manifest = self.manifest()
        if self.path.is_dir():
            named = manifest.files if manifest else frozenset()
            for one in self.path.iterdir():
                if one.match(disk.LEFTOVERS) or (one.suffix in _OURS and one.name not in named):
                    one.unlink(missing_ok=True)
        return manifest

    def holds(self, manifest: SeriesManifest, records: Records) -> bool:
        """True where these rows are today's; a damaged file of theirs is mended."""
        now, head = manifest.latest, manifest.head
        same = (head.source, head.synthetic) == (records.source, records.synthetic)
        if not same or now.content_sha256 != records.content_hash():
            return False
        bad = [one for one in manifest.chunks_of(now.number) if not self._intact(one, records.key)]
        if bad:
            fresh = next_state(None, records, written_at=records.frame["stamp"].iloc[0]).files
            for one in bad:
                disk.put(self.path / one.file, fresh[one.file])
        return True
