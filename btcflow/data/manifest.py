"""The manifest of a store: what it holds, as one sorted JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from btcflow.data.records import Records, SeriesKey
from btcflow.errors import BadRecords
from btcflow.instrument import Instrument

__all__ = ["SCHEMA", "Manifest", "StoreEntry", "entry_of"]

SCHEMA = 1
"""Raised when a reader of the old form would misread the new one."""


@dataclass(frozen=True, kw_only=True)
class StoreEntry:
    """What the manifest says about one series.

    ``first`` and ``last`` are stamps. ``imported_at`` is when this content first came in: importing
    the same rows again does not move it.
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


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Entries by the path of their file; ``pending`` are files announced and perhaps not yet moved into place."""

    series: dict[str, StoreEntry] = field(default_factory=dict)
    pending: dict[str, StoreEntry] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read a manifest; one that is not there is empty.

        Raises
        ------
        BadRecords
            for a file that is not a manifest, or one of a newer btcflow.
        """
        if not path.exists():
            return cls()
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            schema = document["schema"]
            if schema != SCHEMA:
                raise BadRecords(
                    f"{path}: manifest schema {schema}, this btcflow reads {SCHEMA}; use the newer btcflow"
                )
            return cls(
                series={name: _entry(one) for name, one in document["series"].items()},
                pending={name: _entry(one) for name, one in document.get("pending", {}).items()},
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise BadRecords(
                f"{path}: not a readable manifest ({type(error).__name__}: {error}); move the store aside and import "
                "again: `btcflow data import FOLDER --as SPEC`"
            ) from error

    def dump(self) -> str:
        """The document as text: sorted keys, one line per fact, the same for the same content."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "series": {name: _plain(one) for name, one in self.series.items()},
        }
        if self.pending:
            document["pending"] = {name: _plain(one) for name, one in self.pending.items()}
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def entry_of(records: Records, *, imported_at: pd.Timestamp) -> StoreEntry:
    """The manifest's entry for a series with at least one row."""
    stamps = records.frame["stamp"]
    return StoreEntry(
        key=records.key,
        instrument=records.instrument,
        source=records.source,
        rows=len(records),
        first=stamps.iloc[0],
        last=stamps.iloc[-1],
        content_sha256=records.content_hash(),
        imported_at=imported_at,
        lag=records.lag,
        synthetic=records.synthetic,
    )


def _plain(entry: StoreEntry) -> dict[str, Any]:
    return {
        "key": asdict(entry.key),
        "instrument": asdict(entry.instrument),
        "source": entry.source,
        "rows": entry.rows,
        "first": entry.first.isoformat(),
        "last": entry.last.isoformat(),
        "content_sha256": entry.content_sha256,
        "imported_at": entry.imported_at.isoformat(),
        "lag_ns": entry.lag.value,
        "synthetic": entry.synthetic,
    }


def _entry(plain: dict[str, Any]) -> StoreEntry:
    return StoreEntry(
        key=SeriesKey(**plain["key"]),
        instrument=Instrument(**plain["instrument"]),
        source=plain["source"],
        rows=plain["rows"],
        first=pd.Timestamp(plain["first"]),
        last=pd.Timestamp(plain["last"]),
        content_sha256=plain["content_sha256"],
        imported_at=pd.Timestamp(plain["imported_at"]),
        lag=pd.Timedelta(plain["lag_ns"], unit="ns"),
        synthetic=plain["synthetic"],
    )
