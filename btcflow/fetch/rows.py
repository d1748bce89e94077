"""Rows of a venue's answer: times and numbers, sorted, one row per time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from btcflow.fetch.venue_api import Endpoint, TimeColumn
from btcflow.wire.outcome import value_at

__all__ = ["BrokenPage", "Rows", "read_rows"]


class BrokenPage(Exception):
    """A body that is JSON and yet not what the endpoint says it gives; never an empty page. Asked again."""


@dataclass(frozen=True)
class Rows:
    """Rows by time.

    Attributes
    ----------
    time : (N,) int64 nanoseconds UTC as the venue labels the row, strictly rising
    values : (N,) float64 by ``kind.column``; NaN where the venue has no number
    conflicts : rows that came twice with different numbers; the later one was kept
    told : rows on the fullest page, doubled ones and those outside of the stretch included
    """

    time: np.ndarray
    values: Mapping[str, np.ndarray]
    conflicts: int = 0
    told: int = 0

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, time: np.ndarray, values: Mapping[str, np.ndarray], *, conflicts: int = 0, told: int = 0) -> Rows:
        """Sort by time; of rows with one time the last one given is kept."""
        told = told or len(time)
        order = np.argsort(time, kind="stable")
        time, values = time[order], {name: one[order] for name, one in values.items()}
        last = np.r_[time[1:] != time[:-1], True] if len(time) else np.zeros(0, dtype=bool)
        if not last.all():
            twice = np.flatnonzero(~last)
            differs = [~_same(one[twice], one[twice + 1]) for one in values.values()]
            conflicts += int(np.logical_or.reduce(differs).sum()) if differs else 0
        return cls(time[last], {name: one[last] for name, one in values.items()}, conflicts, told)

    @classmethod
    def joined(cls, parts: Iterable[Rows]) -> Rows:
        """All rows of all parts; where two parts have a time, the later part wins."""
        found = [one for one in parts if len(one)]
        if not found:
            return cls(np.zeros(0, dtype=np.int64), {})
        names = found[0].values
        return cls.of(
            np.concatenate([one.time for one in found]),
            {name: np.concatenate([one.values[name] for one in found]) for name in names},
            conflicts=sum(one.conflicts for one in found),
            told=max(one.told for one in found),
        )

    def within(self, start: int, end: int) -> Rows:
        """The rows in ``[start, end)``."""
        first, last = np.searchsorted(self.time, [start, end])
        values = {name: one[first:last] for name, one in self.values.items()}
        return Rows(self.time[first:last], values, self.conflicts, self.told)


def read_rows(document: Any, endpoint: Endpoint, columns: Mapping[str, str]) -> Rows:
    """The rows of a body.

    Parameters
    ----------
    columns : name of ours and the way to it inside a row

    Raises
    ------
    BrokenPage
        where the body is not as the endpoint says: no list at its place, a row without a time, text for a number.
    """
    found = value_at(document, endpoint.rows.split(".")) if endpoint.rows else document
    try:
        if endpoint.layout == "columns":
            return _by_column(found, endpoint.time, columns)
        if isinstance(found, dict):
            found = [found] if endpoint.pager == "now" else list(found.values())
        if not isinstance(found, list):
            raise BrokenPage(f"no list of rows at {endpoint.rows or 'the top'}")
        way_to_time = endpoint.time.at.split(".")
        ways = {name: way.split(".") for name, way in columns.items()}
        stated = bool(endpoint.time.at)
        time = [endpoint.time.instant(value_at(row, way_to_time)) if stated else 0 for row in found]
        values = {name: [_number(value_at(row, way)) for row in found] for name, way in ways.items()}
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise BrokenPage(f"a row cannot be read ({type(error).__name__}: {error})") from error
    return Rows.of(np.array(time, dtype=np.int64), {name: np.array(one, dtype=float) for name, one in values.items()})


def _by_column(found: Any, time: TimeColumn, columns: Mapping[str, str]) -> Rows:
    if not isinstance(found, dict):
        raise BrokenPage("no object of columns")
    stamps = [time.instant(one) for one in found[time.at]]
    values = {}
    for name, way in columns.items():
        head, *inner = way.split(".")
        listed = found[head]
        if isinstance(listed, dict) and inner:
            listed, inner = listed[inner[0]], inner[1:]
        if len(listed) != len(stamps):
            raise BrokenPage(f"{len(listed)} values of {head} for {len(stamps)} times")
        values[name] = np.array([_number(value_at(one, inner) if inner else one) for one in listed], dtype=float)
    return Rows.of(np.array(stamps, dtype=np.int64), values)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    return float("nan") if value is None or value == "" else float(value)


def _same(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray((left == right) | (np.isnan(left) & np.isnan(right)))
