"""Vintages: how a series goes from one state to the next without losing any it had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from btcflow.data import chunks
from btcflow.data.chunks import Columns
from btcflow.data.grids import holes
from btcflow.data.manifest import (
    Chunk,
    Fetch,
    Head,
    Segment,
    SeriesManifest,
    Vintage,
    iso,
    ns,
    segment_text,
    sha256,
)
from btcflow.data.merging import Revision
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records

__all__ = ["Step", "StoredRecords", "next_state", "rows_of"]

_REVISIONS_KEPT = 500
_VINTAGES_KEPT = 32


@dataclass(frozen=True, kw_only=True)
class StoredRecords(Records):
    """Records read from a store; ``vintage`` is the content hash of the whole series they are rows of."""

    vintage: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """The next manifest, and the files it names that are not there yet."""

    manifest: SeriesManifest
    files: dict[str, bytes]


def next_state(
    before: SeriesManifest | None,
    now: Records,
    *,
    written_at: pd.Timestamp,
    revisions: Sequence[Revision] = (),
    fetched: tuple[Records, Provenance] | None = None,
) -> Step:
    """The series as ``now`` has it, as one vintage more.

    Parameters
    ----------
    before : None for a series that is new
    revisions : the numbers that changed
    fetched : the rows that made the difference and where they came from; only their periods are looked at
    """
    was = before or SeriesManifest(key=now.key)
    number = was.vintages[-1].number + 1 if was.vintages else 1
    files: dict[str, bytes] = {}
    heads, head = _listed(
        was.heads, Head(instrument=now.instrument, lag_ns=now.lag.value, source=now.source, synthetic=now.synthetic)
    )
    origins, fetch = _fetch(was, fetched)
    first, last = int(now.stamp[0]), int(now.stamp[-1])
    vintage = Vintage(
        number=number,
        content_sha256=now.content_hash(),
        written_at=iso(written_at.value),
        rows=len(now),
        first=iso(first),
        last=iso(last),
        head=head,
        fetch=fetch,
    )
    kept, history = _packed((*was.vintages, vintage), was.history, files)
    low, high = map(ns, was.reach) if was.reach else (first, last)
    manifest = replace(
        was,
        heads=heads,
        origins=origins,
        chunks=_next_chunks(was, now, number, fetched[0] if fetched else now, files),
        vintages=kept,
        history=history,
        revised=was.revised + len(revisions),
        revisions=(*was.revisions, *revisions)[-_REVISIONS_KEPT:],
        gaps=holes(now),
        reach=(iso(min(low, first)), iso(max(high, last))),
        seen={name: said for name, said in was.seen.items() if fetched and name != fetched[1].endpoint},
    )
    return Step(manifest=manifest, files=files)


def rows_of(manifest: SeriesManifest, vintage: Vintage, read: Callable[[Chunk], Columns]) -> StoredRecords:
    """The series as it was in one vintage; ``read`` gives the rows of a chunk."""
    rows = chunks.joined([read(one) for one in manifest.chunks_of(vintage.number)])
    first, last = np.searchsorted(rows["stamp"], [ns(vintage.first), ns(vintage.last) + 1])
    head = manifest.heads[vintage.head]
    return StoredRecords(
        key=manifest.key,
        instrument=head.instrument,
        frame=chunks.frame_of(chunks.cut(rows, slice(int(first), int(last)))),
        source=head.source,
        lag=pd.Timedelta(head.lag_ns, unit="ns"),
        synthetic=head.synthetic,
        vintage=vintage.content_sha256,
    )


def _next_chunks(
    was: SeriesManifest, now: Records, number: int, changed: Records, files: dict[str, bytes]
) -> tuple[Chunk, ...]:
    """The chunks of all vintages; periods outside the span of ``changed`` stay as they are."""
    unit, rows = chunks.unit_of(now.key), chunks.columns_of(now)
    touched = {name for name, _ in chunks.pieces(changed.stamp, unit)}
    current = {one.period: one for one in was.chunks if one.retired is None}
    past = [one for one in was.chunks if one.retired is not None]
    found: list[Chunk] = []
    for period, piece in chunks.pieces(rows["stamp"], unit):
        old = current.pop(period, None)
        if old is not None and period not in touched:
            found.append(old)
            continue
        part = chunks.cut(rows, piece)
        content = chunks.digest(part)
        if old is not None and old.content_sha256 == content:
            found.append(old)
            continue
        born = number
        if old is not None and _contains(part, old, was.reach):
            born = old.born
        elif old is not None:
            past.append(replace(old, retired=number))
        found.append(_chunk(was, period, part, content, born, files))
    past.extend(replace(one, retired=number) for one in current.values())
    return tuple(sorted((*past, *found), key=lambda one: (one.period, one.born)))


def _contains(part: Columns, old: Chunk, reach: tuple[str, str] | None) -> bool:
    """Whether the old chunk is what the new one has inside the widest span any vintage had."""
    if reach is None:
        return False
    inside = (part["stamp"] >= ns(reach[0])) & (part["stamp"] <= ns(reach[1]))
    return int(inside.sum()) == old.rows and chunks.digest(chunks.cut(part, inside)) == old.content_sha256


def _chunk(was: SeriesManifest, period: str, part: Columns, content: str, born: int, files: dict[str, bytes]) -> Chunk:
    name = f"{period}-{content[:12]}.parquet"
    known = next((one for one in was.chunks if one.file == name), None)
    if known is not None:
        return replace(known, born=born, retired=None)
    files[name] = chunks.encode(part)
    return Chunk(
        period=period,
        file=name,
        content_sha256=content,
        file_sha256=sha256(files[name]),
        rows=len(part["stamp"]),
        born=born,
    )


def _fetch(was: SeriesManifest, fetched: tuple[Records, Provenance] | None) -> tuple[tuple[Any, ...], Fetch | None]:
    if fetched is None:
        return was.origins, None
    rows, said = fetched
    origin = {"source": said.source, "endpoint": said.endpoint, "params": dict(said.params), "tool": said.tool}
    origins, place = _listed(was.origins, origin)
    return origins, Fetch(
        origin=place,
        first=iso(int(rows.stamp[0])),
        last=iso(int(rows.stamp[-1])),
        rows=len(rows),
        fetched_at=iso(said.fetched_at.value),
        raw_sha256=tuple(said.raw_sha256),
        upstream=said.upstream,
    )


def _listed(values: tuple[Any, ...], one: Any) -> tuple[tuple[Any, ...], int]:
    """The values with ``one`` among them, and its place."""
    return (values, values.index(one)) if one in values else ((*values, one), len(values))


def _packed(
    vintages: tuple[Vintage, ...], history: tuple[Segment, ...], files: dict[str, bytes]
) -> tuple[tuple[Vintage, ...], tuple[Segment, ...]]:
    """Older vintages go into a file of their own, so that a manifest of many fetches stays short."""
    if len(vintages) <= 2 * _VINTAGES_KEPT:
        return vintages, history
    older, newer = vintages[:_VINTAGES_KEPT], vintages[_VINTAGES_KEPT:]
    content = segment_text(older).encode()
    name = f"history-{older[0].number:06d}-{sha256(content)[:12]}.jsonl"
    files[name] = content
    return newer, (*history, Segment(file=name, first=older[0].number, last=older[-1].number))
