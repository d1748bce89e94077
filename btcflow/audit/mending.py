"""Mending: the catalogue's repairs and exclusions, each one reported, none in silence.

    mended, applied = apply_defects(dataset)                    # checked records, on their way out of a store
    frame, applied = mend_rows(key, frame, source="a CSV")      # raw rows, on their way in

Nothing in a store is changed by this: what was imported stays, and what a run reads is mended. A series
whose labels were shifted says so in its ``source`` (``[mended: ID]``), so that it is never shifted twice.
A reader of a dump that gives every row its true time writes that same mark (:func:`btcflow.audit.defects.mark`),
or is named in the entry's ``right_in``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from btcflow.audit.defects import Action, Defect, defects_of, mark
from btcflow.audit.findings import moment, told
from btcflow.audit.rows import Rows
from btcflow.audit.symptoms import shown
from btcflow.data.records import Dataset, Records, SeriesKey, utc_ns
from btcflow.errors import BadRecords

__all__ = ["Applied", "Mode", "apply_defects", "defects_on_load", "mend", "mend_rows"]

Mode = Literal["apply", "report", "off"]


@dataclass(frozen=True, kw_only=True)
class Applied:
    """One entry of the catalogue as it was carried out on one series.

    Attributes
    ----------
    defect : the entry's id
    series : the series' key
    action : what was done
    rows : how many rows were excluded or moved
    start, end : stamps of the first and the last of them, before the repair
    wrong, source : from the entry
    """

    defect: str
    series: SeriesKey
    action: Action
    rows: int
    start: pd.Timestamp
    end: pd.Timestamp
    wrong: str
    source: str

    def __str__(self) -> str:
        done = {"exclude": "left out", "shift": "moved later", "dedupe": "left out as duplicates"}[self.action]
        return (
            f"{self.series}: {self.rows:,} rows {done}, {told(self.start)} to {told(self.end)} "
            f"({self.defect}: {self.wrong}; {self.source})"
        )


def apply_defects(dataset: Dataset, *, skip: Iterable[str] = ()) -> tuple[Dataset, tuple[Applied, ...]]:
    """Mend every series as the catalogue says. Applied twice it does what it does once.

    Series that are simulated, or that no entry concerns, come back as they are, the same objects.

    Parameters
    ----------
    skip : ids of the catalogue to leave out

    Returns
    -------
    the dataset, and what was done, in the order of the series

    Raises
    ------
    BadRecords
        for a series that shows a defect which cannot be mended and must not be used.
    UnknownName
        for an id to skip that the catalogue does not have.
    """
    left_out = tuple(skip)
    mended = [mend(one, skip=left_out) for one in dataset]
    return replace(dataset, series=tuple(one for one, _ in mended)), tuple(each for _, done in mended for each in done)


def defects_on_load(
    dataset: Dataset, *, mode: Mode = "apply", skip: Iterable[str] = ()
) -> tuple[Dataset, tuple[str, ...]]:
    """What a run does about known defects in the series it reads, and what it says of it.

    Parameters
    ----------
    mode : ``apply`` mends; ``report`` tells what would be mended or refused and leaves every row as it is;
        ``off`` does not look
    skip : ids of the catalogue to leave out

    Returns
    -------
    the dataset, and one note for each entry that concerned a series

    Raises
    ------
    BadRecords, UnknownName
        as :func:`apply_defects`; with ``report`` a refusal is a note.
    """
    if mode == "off":
        return dataset, ()
    left_out = tuple(skip)
    if mode == "apply":
        mended, applied = apply_defects(dataset, skip=left_out)
        return mended, tuple(f"known defect mended: {one}" for one in applied)
    return dataset, tuple(note for one in dataset for note in _unmended(one, left_out))


def _unmended(records: Records, skip: tuple[str, ...]) -> list[str]:
    try:
        return [f"known defect NOT mended (data.defects: report): {one}" for one in mend(records, skip=skip)[1]]
    except BadRecords as error:
        return [f"known defect NOT refused (data.defects: report): {error}"]


def mend(records: Records, *, skip: Iterable[str] = ()) -> tuple[Records, tuple[Applied, ...]]:
    """One series of :func:`apply_defects`."""
    entries = defects_of(records.key, skip=skip)
    if records.synthetic or not entries:
        return records, ()
    frame, applied = _carry_out(entries, records.key, records.frame, records.source)
    if not applied:
        return records, ()
    shifts = [one.defect for one in applied if one.action == "shift"]
    return replace(records, frame=frame, source=mark(records.source, *shifts)), applied


def mend_rows(
    key: SeriesKey, frame: pd.DataFrame, *, source: str = "", skip: Iterable[str] = ()
) -> tuple[pd.DataFrame, tuple[Applied, ...]]:
    """Raw rows of a dump, before they are records: zeros, duplicates and rows without a time may be among them.

    Parameters
    ----------
    frame : ``stamp`` and ``known_at`` (UTC) and the columns of the kind, in the order of the dump
    source : as :class:`btcflow.data.records.Records` has it; entries it is marked with are left alone. Whoever
        keeps the rows puts ``mark(source, ...)`` into it for every shift that was applied

    Returns
    -------
    the rows, sorted by stamp where one was moved, and what was done

    Raises
    ------
    BadRecords
        as :func:`apply_defects`.
    """
    return _carry_out(defects_of(key, skip=skip), key, frame, source)


def _carry_out(
    entries: Iterable[Defect], key: SeriesKey, frame: pd.DataFrame, source: str
) -> tuple[pd.DataFrame, tuple[Applied, ...]]:
    applied: list[Applied] = []
    for entry in entries:
        if entry.action == "note" or entry.mended_in(source):
            continue
        rows = Rows.of(key, frame)
        where = shown(entry.symptom, rows, field=entry.field, start=entry.span[0], end=entry.span[1]).rows
        if entry.action == "shift":
            where = where & ~_first_of_border_pair(entry, rows.stamp)
        if not where.any():
            continue
        if entry.action == "refuse":
            raise BadRecords(_refusal(entry, key, rows, where))
        applied.append(_told(entry, key, rows, where))
        frame = _shifted(frame, where, pd.Timedelta(entry.by)) if entry.by else _without(entry, frame, rows, where)
    return frame, tuple(applied)


def _first_of_border_pair(entry: Defect, stamp: np.ndarray) -> np.ndarray:
    """Where the label changed its meaning the dump has it twice; the first row still has the old meaning; (N,)."""
    at = np.flatnonzero(stamp == entry.span[0])
    first = np.zeros(len(stamp), dtype=bool)
    first[at[:-1]] = True
    return first


def _shifted(frame: pd.DataFrame, where: np.ndarray, by: pd.Timedelta) -> pd.DataFrame:
    moved = frame.assign(**{name: frame[name].where(~where, frame[name] + by) for name in ("stamp", "known_at")})
    order = np.argsort(utc_ns(moved["stamp"]), kind="stable")
    return moved.iloc[order].reset_index(drop=True)


def _without(entry: Defect, frame: pd.DataFrame, rows: Rows, where: np.ndarray) -> pd.DataFrame:
    """Without the marked rows; of duplicates the last one of the dump is kept, which republished the first."""
    if entry.action == "dedupe":
        doubled = np.isin(rows.stamp, rows.stamp[where])
        where = doubled & pd.Series(rows.stamp).duplicated(keep="last").to_numpy()
    return frame[~where].reset_index(drop=True)


def _told(entry: Defect, key: SeriesKey, rows: Rows, where: np.ndarray) -> Applied:
    stamps = rows.stamp[where]
    return Applied(
        defect=entry.id,
        series=key,
        action=entry.action,
        rows=int(where.sum()),
        start=moment(stamps.min()),
        end=moment(stamps.max()),
        wrong=entry.wrong,
        source=entry.source,
    )


def _refusal(entry: Defect, key: SeriesKey, rows: Rows, where: np.ndarray) -> str:
    row = int(np.flatnonzero(where)[0])
    first = told(moment(rows.stamp[row]))
    return (
        f"{key}: {entry.wrong} ({int(where.sum()):,} rows, the first at {first}, row {row}; {entry.source}); "
        f"{entry.advice}; or leave {entry.id} out of the check with data.defects_skip"
    )
