"""The manifest of one series: its chunks, every state it ever had, and where its rows came from.

A *vintage* is a state: number 1 is the first. A chunk is part of the vintages from ``born`` on, until
``retired``; of those only the rows between a vintage's first and last stamp are its own, so that a
chunk that only grew at the ends of the series serves the older vintages too.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from btcflow.data.grids import Holes
from btcflow.data.merging import Revision
from btcflow.data.provenance import Provenance
from btcflow.data.records import SeriesKey
from btcflow.errors import BadRecords
from btcflow.instrument import Instrument

__all__ = [
    "SCHEMA",
    "Chunk",
    "Fetch",
    "Head",
    "Segment",
    "SeriesManifest",
    "StoreEntry",
    "Vintage",
    "iso",
    "ns",
    "plain_vintage",
    "segment_text",
    "segment_vintages",
    "sha256",
    "vintage_of",
]

SCHEMA = 2
"""Raised when a reader of the old form would misread the new one."""
_SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """What the store says about one series.

    ``first`` and ``last`` are stamps. ``imported_at`` is when this content came in: writing the same
    rows again does not move it. ``revised`` counts numbers that a source later said differently.
    """

    key: SeriesKey
    instrument: Instrument
    source: str
    rows: int
    first: pd.Timestamp
    last: pd.Timestamp
    content_sha256: str
    imported_at: pd.Timestamp
    lag: pd.Timedelta
    synthetic: bool
    gaps: Holes
    vintages: int
    revised: int


@dataclass(frozen=True, kw_only=True)
class Head:
    """What belongs to a series as a whole in one vintage."""

    instrument: Instrument
    lag_ns: int
    source: str
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One file: the rows of one period."""

    period: str
    file: str
    content_sha256: str
    file_sha256: str
    rows: int
    born: int
    retired: int | None = None

    def in_vintage(self, number: int) -> bool:
        """Whether the vintage of this number has rows in the file."""
        return self.born <= number and (self.retired is None or number < self.retired)


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """The rows that were fetched and made a vintage, and from where; ``origin`` is a place in the list of origins."""

    origin: int
    first: str
    last: str
    rows: int
    fetched_at: str
    raw_sha256: tuple[str, ...]
    upstream: str


@dataclass(frozen=True, kw_only=True)
class Vintage:
    """One state of the series; ``head`` is a place in the list of heads, and times are ISO 8601 in UTC."""

    number: int
    content_sha256: str
    written_at: str
    rows: int
    first: str
    last: str
    head: int
    fetch: Fetch | None = None


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A file of older vintages, those numbered ``first`` to ``last``, which the manifest no longer repeats."""

    file: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class SeriesManifest:
    """All that is known of one series but its rows.

    ``reach`` is the widest span any vintage had. ``seen`` has the files whose rows were all there already: they made
    no vintage, and what their publisher said of their version stands here, by endpoint.
    """

    key: SeriesKey
    heads: tuple[Head, ...] = ()
    origins: tuple[Mapping[str, Any], ...] = ()
    chunks: tuple[Chunk, ...] = ()
    vintages: tuple[Vintage, ...] = ()
    history: tuple[Segment, ...] = ()
    revised: int = 0
    revisions: tuple[Revision, ...] = ()
    gaps: Holes = field(default_factory=lambda: Holes(0, 0))
    reach: tuple[str, str] | None = None
    seen: Mapping[str, str] = field(default_factory=dict)

    @property
    def latest(self) -> Vintage:
        """The state of today."""
        return self.vintages[-1]

    @property
    def head(self) -> Head:
        """What belongs to the series as a whole today."""
        return self.heads[self.latest.head]

    def chunks_of(self, number: int) -> tuple[Chunk, ...]:
        """The files of one vintage, oldest period first."""
        return tuple(sorted((one for one in self.chunks if one.in_vintage(number)), key=lambda one: one.period))

    @property
    def files(self) -> frozenset[str]:
        """Every file the manifest needs."""
        return frozenset([*(one.file for one in self.chunks), *(one.file for one in self.history)])

    def entry(self) -> StoreEntry:
        """The short form."""
        now, head = self.latest, self.head
        return StoreEntry(
            key=self.key,
            instrument=head.instrument,
            source=head.source,
            rows=now.rows,
            first=_time(now.first),
            last=_time(now.last),
            content_sha256=now.content_sha256,
            imported_at=_time(now.written_at),
            lag=pd.Timedelta(head.lag_ns, unit="ns"),
            synthetic=head.synthetic,
            gaps=self.gaps,
            vintages=now.number,
            revised=self.revised,
        )

    def provenance(self, fetch: Fetch) -> Provenance:
        """Where the rows of one fetch came from."""
        origin = self.origins[fetch.origin]
        return Provenance(
            **origin, fetched_at=_time(fetch.fetched_at), raw_sha256=fetch.raw_sha256, upstream=fetch.upstream
        )

    def noting(self, said: Provenance) -> SeriesManifest:
        """The same, with a file among those whose rows are all here; itself where there is nothing to note."""
        if not said.upstream or self.seen.get(said.endpoint) == said.upstream:
            return self
        return replace(self, seen={**self.seen, said.endpoint: said.upstream})

    def dump(self) -> str:
        """The document as text, one chunk, vintage or revision a line; the same for the same content."""
        facts: dict[str, Any] = {
            "schema": SCHEMA,
            "key": vars(self.key),
            "gaps": vars(self.gaps),
            "reach": self.reach,
            "revised": self.revised,
        } | ({"seen": dict(self.seen)} if self.seen else {})
        lists: dict[str, Iterable[Any]] = {
            "heads": (vars(one) | {"instrument": vars(one.instrument)} for one in self.heads),
            "origins": self.origins,
            "chunks": map(vars, self.chunks),
            "history": map(vars, self.history),
            "vintages": map(plain_vintage, self.vintages),
            "revisions": map(_plain_revision, self.revisions),
        }
        lines = [f'"{name}": {_line(value)}' for name, value in facts.items()]
        for name, values in lists.items():
            inner = ",\n  ".join(map(_line, values))
            lines.append(f'"{name}": [' + (f"\n  {inner}\n ]" if inner else "]"))
        return "{\n " + ",\n ".join(lines) + "\n}\n"

    @classmethod
    def load(cls, path: Path) -> SeriesManifest:
        """Read a manifest.

        Raises
        ------
        BadRecords
            for a file that is not a manifest, or one of another form.
        FileNotFoundError
            where there is none.
        """
        try:
            return _manifest(json.loads(path.read_text(encoding="utf-8")), path)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            if isinstance(error, BadRecords):
                raise
            raise BadRecords(
                f"{path}: not a readable manifest ({type(error).__name__}: {error}); move the folder of this series "
                "aside and fetch or import it again"
            ) from error


def plain_vintage(one: Vintage) -> dict[str, Any]:
    """A vintage as plain data."""
    return vars(one) | {"fetch": vars(one.fetch) if one.fetch else None}


def vintage_of(plain: dict[str, Any]) -> Vintage:
    """The inverse of :func:`plain_vintage`."""
    fetch = plain["fetch"]
    made = Fetch(**fetch | {"raw_sha256": tuple(fetch["raw_sha256"])}) if fetch else None
    return Vintage(**plain | {"fetch": made})


def segment_text(vintages: Iterable[Vintage]) -> str:
    """Older vintages as the text of one file, a line each."""
    return "".join(f"{_line(plain_vintage(one))}\n" for one in vintages)


def segment_vintages(text: str) -> tuple[Vintage, ...]:
    """The inverse of :func:`segment_text`."""
    return tuple(vintage_of(json.loads(line)) for line in text.splitlines())


def sha256(content: bytes) -> str:
    """The hex digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def iso(instant: int) -> str:
    """Nanoseconds since 1970 as ISO 8601 in UTC.

    Examples
    --------
    >>> iso(1_700_000_000_000_000_000), iso(1_700_000_000_000_000_007)
    ('2023-11-14T22:13:20Z', '2023-11-14T22:13:20.000000007Z')
    """
    return f"{np.datetime64(instant, 'ns').astype('datetime64[s]' if instant % _SECOND == 0 else 'datetime64[ns]')}Z"


def ns(text: str) -> int:
    """The inverse of :func:`iso`.

    Examples
    --------
    >>> ns("2023-11-14T22:13:20.000000007Z")
    1700000000000000007
    """
    if not text.endswith("Z"):
        raise ValueError(f"{text!r} is not a UTC time that ends in Z")
    return int(np.datetime64(text[:-1], "ns").astype(np.int64))


def _time(text: str) -> pd.Timestamp:
    return pd.Timestamp(ns(text), tz="UTC")


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _plain_revision(one: Revision) -> dict[str, Any]:
    """NaN becomes null: JSON knows no NaN."""
    numbers = {
        name: None if math.isnan(value) else value for name, value in (("before", one.before), ("after", one.after))
    }
    return vars(one) | numbers | {"stamp": iso(one.stamp.value), "noticed_at": iso(one.noticed_at.value)}


def _revision(plain: dict[str, Any]) -> Revision:
    numbers = {name: math.nan if plain[name] is None else plain[name] for name in ("before", "after")}
    times = {name: _time(plain[name]) for name in ("stamp", "noticed_at")}
    return Revision(**plain | numbers | times)


def _manifest(document: dict[str, Any], path: Path) -> SeriesManifest:
    if document["schema"] != SCHEMA:
        raise BadRecords(
            f"{path}: manifest schema {document['schema']}, this btcflow reads {SCHEMA}; use the btcflow that wrote "
            "it, or import into another store"
        )
    return SeriesManifest(
        key=SeriesKey(**document["key"]),
        heads=tuple(Head(**one | {"instrument": Instrument(**one["instrument"])}) for one in document["heads"]),
        origins=tuple(document["origins"]),
        chunks=tuple(Chunk(**one) for one in document["chunks"]),
        vintages=_some(tuple(map(vintage_of, document["vintages"]))),
        history=tuple(Segment(**one) for one in document["history"]),
        revised=document["revised"],
        revisions=tuple(map(_revision, document["revisions"])),
        gaps=Holes(**document["gaps"]),
        reach=tuple(document["reach"]),
        seen=document.get("seen", {}),
    )


def _some(vintages: tuple[Vintage, ...]) -> tuple[Vintage, ...]:
    if not vintages:
        raise ValueError("no vintage")
    return vintages
