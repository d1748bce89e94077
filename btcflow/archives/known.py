"""Which files of an archive a store has merged, read from the manifest of the series."""

from __future__ import annotations

from btcflow.data.records import SeriesKey
from btcflow.data.store import Store
from btcflow.errors import MissingData

__all__ = ["known_files"]


def known_files(store: Store, key: SeriesKey) -> dict[str, str]:
    """Endpoint to upstream of every file that was merged into a series, the newest version of each.

    Empty for a series the store does not have. A file that made a vintage stands in its provenance, one whose rows
    were all there already among the files the manifest has seen.
    """
    try:
        manifest, vintages = store.manifest(key), store.vintages(key)
    except MissingData:
        return {}
    told = [manifest.provenance(one.fetch) for one in vintages if one.fetch is not None]
    return {one.endpoint: one.upstream for one in told if one.upstream} | dict(manifest.seen)
