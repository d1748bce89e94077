"""Merging: what a fetch adds to the rows that are already there, and what it says differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from btcflow.data.records import Records, SeriesKey
from btcflow.errors import BadRecords
from btcflow.fields import KINDS

__all__ = ["MergeReport", "Revision", "merge_rows"]


@dataclass(frozen=True)
class Revision:
    """One number that a source said differently the second time.

    ``column`` is ``known_at`` or a column of the kind; a ``known_at`` stands as nanoseconds since
    1970. ``before`` and ``after`` may be NaN.
    """

    stamp: pd.Timestamp
    column: str
    before: float
    after: float
    noticed_at: pd.Timestamp


@dataclass(frozen=True, kw_only=True)
class MergeReport:
    """What became of fetched rows.

    Attributes
    ----------
    added : rows with a stamp that was not there
    same : rows that were there, bit for bit
    revised : stamps of rows that were there with other numbers; the fetched numbers are the current ones now
    late : those of ``revised`` that lie further before the old end than the overlap a fetch asks for again
    rows : of the whole series now
    content_sha256 : of the whole series now
    """

    key: SeriesKey
    added: int
    same: int
    revised: tuple[pd.Timestamp, ...]
    late: tuple[pd.Timestamp, ...]
    rows: int
    content_sha256: str

    @property
    def changed(self) -> bool:
        """True where a row is not what it was."""
        return bool(self.added or self.revised)

    @classmethod
    def first(cls, records: Records, content_sha256: str) -> MergeReport:
        """Of rows that begin a series."""
        rows = len(records)
        return cls(key=records.key, added=rows, same=0, revised=(), late=(), rows=rows, content_sha256=content_sha256)


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Old and fetched rows as one series; ``revised`` has the stamps of rows with other numbers, int64 ns."""

    records: Records
    changed: bool
    added: int
    same: int
    revised: np.ndarray
    changes: tuple[Revision, ...]

    def report(self, old: Records, *, overlap: pd.Timedelta | None, content_sha256: str) -> MergeReport:
        """In words for the caller; ``old`` is the series before."""
        revised = tuple(pd.Timestamp(int(one), tz="UTC") for one in self.revised)
        late = () if overlap is None else tuple(one for one in revised if one < old.frame["stamp"].iloc[-1] - overlap)
        return MergeReport(
            key=old.key,
            added=self.added,
            same=self.same,
            revised=revised,
            late=late,
            rows=len(self.records),
            content_sha256=content_sha256,
        )


def merge_rows(old: Records, new: Records, *, noticed_at: pd.Timestamp) -> Merged:
    """Put fetched rows into a series by their stamp; of two rows with one stamp the fetched one is current.

    The publication lag of the two is the larger one: a lag that is too small would look ahead.

    Raises
    ------
    BadRecords
        where the two are of different series or instruments, or one is simulated and the other is not.
    """
    _refuse_strangers(old, new)
    names = ("known_at", *KINDS[new.key.kind].columns)
    stamp, fetched = old.stamp, new.stamp
    place = np.searchsorted(stamp, fetched)
    known = np.zeros(len(new), dtype=bool)
    inside = place < len(old)
    known[inside] = stamp[place[inside]] == fetched[inside]
    before, after = _bits(old, names, place[known]), _bits(new, names, np.flatnonzero(known))
    differs = (before != after).any(axis=1)
    keep, take = np.ones(len(old), dtype=bool), ~known
    keep[place[known][differs]] = False
    take[np.flatnonzero(known)[differs]] = True
    revised = fetched[known][differs]
    return Merged(
        records=_joined(old, new, keep, take),
        changed=bool(take.any()) or new.lag > old.lag,
        added=int((~known).sum()),
        same=int((~differs).sum()),
        revised=revised,
        changes=_changes(names, revised, before[differs], after[differs], noticed_at),
    )


def _joined(old: Records, new: Records, keep: np.ndarray, take: np.ndarray) -> Records:
    sources = list(dict.fromkeys([*old.source.split("; "), *new.source.split("; ")]))
    lag = max(old.lag, new.lag)
    if not take.any():
        return replace(old, source="; ".join(sources), lag=lag)
    parts = [one for one in (old.frame[keep], new.frame[take]) if len(one)]
    frame = pd.concat(parts, ignore_index=True)
    if not frame["stamp"].is_monotonic_increasing:
        frame = frame.sort_values("stamp", kind="stable", ignore_index=True)
    return replace(old, frame=frame, source="; ".join(sources), lag=lag)


def _bits(records: Records, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """The bits of some rows, so that NaN equals NaN and -0.0 is not 0.0; (rows, names) int64."""
    columns = [records.known_at if name == "known_at" else records.column(name).view(np.int64) for name in names]
    return np.stack([one[rows] for one in columns], axis=1)


def _changes(
    names: Sequence[str], stamps: np.ndarray, before: np.ndarray, after: np.ndarray, noticed_at: pd.Timestamp
) -> tuple[Revision, ...]:
    def number(bits: np.int64, name: str) -> float:
        return float(bits) if name == "known_at" else float(bits.view(np.float64))

    return tuple(
        Revision(
            stamp=pd.Timestamp(int(stamps[row]), tz="UTC"),
            column=names[column],
            before=number(before[row, column], names[column]),
            after=number(after[row, column], names[column]),
            noticed_at=noticed_at,
        )
        for row, column in np.argwhere(before != after)
    )


def _refuse_strangers(old: Records, new: Records) -> None:
    if old.key != new.key:
        raise BadRecords(f"{new.key}: cannot be merged into {old.key}; give both the same key")
    if old.instrument != new.instrument:
        raise BadRecords(
            f"{new.key}: {new.instrument.id} would have two sets of facts: the store has {old.instrument}, and now "
            f"comes {new.instrument}; correct the facts or use another store"
        )
    if old.synthetic != new.synthetic:
        raise BadRecords(f"{new.key}: simulated and real rows in one series; use another store for one of them")
