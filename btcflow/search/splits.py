"""Splits of time: what a search may learn from, and the later time it is judged on."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from btcflow.errors import ConfigError

__all__ = ["MIN_TEST_DAYS", "MIN_TRAIN_DAYS", "Fold", "Split", "make_folds"]

MIN_TRAIN_DAYS = 90
"""A training span shorter than this chooses parameters by luck."""
MIN_TEST_DAYS = 30
"""A test span shorter than this says nothing about them."""

_DAY_NS = 86_400_000_000_000


class Split(BaseModel):
    """How time is cut into training and test spans.

    ``train`` is the fraction of all days before the first cut. The days after it are shared evenly by
    ``folds`` tests, one after the other. With ``anchored`` every training span begins on the first
    day; with ``rolling`` it keeps the length of the first and moves on. ``gap_days`` are taken from
    the end of every training span, so that what a trade earns after the cut is never trained on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    train: float = Field(default=0.7, gt=0.0, lt=1.0)
    folds: int = Field(default=1, ge=1)
    scheme: Literal["anchored", "rolling"] = "anchored"
    gap_days: int = Field(default=0, ge=0)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One training span and the test span after it; half open, int64 nanoseconds UTC at 00:00."""

    train_start: int
    train_end: int
    test_start: int
    test_end: int


def make_folds(start_ns: int, end_ns: int, split: Split) -> tuple[Fold, ...]:
    """Cut ``[start_ns, end_ns)`` into folds at UTC day borders.

    Parameters
    ----------
    start_ns, end_ns : nanoseconds since 1970, UTC; only whole days inside are used
    split : how to cut

    Returns
    -------
    ``split.folds`` folds in time order. Their tests follow each other without hole or overlap and
    cover everything from the first cut to the last whole day.

    Raises
    ------
    ConfigError
        where a training span would be shorter than 90 days or a test shorter than 30; says how long
        the data are and what would fit.

    Examples
    --------
    >>> day = 86_400_000_000_000
    >>> folds = make_folds(0, 400 * day, Split(train=0.7, folds=2, scheme="rolling"))
    >>> [(f.train_start // day, f.train_end // day, f.test_end // day) for f in folds]
    [(0, 280, 340), (60, 340, 400)]
    """
    first, last = -(-start_ns // _DAY_NS), end_ns // _DAY_NS
    days = max(0, last - first)
    _refuse_short(days, split)
    cut = _cut(days, split)
    borders = [cut + (days - cut) * k // split.folds for k in range(split.folds + 1)]
    folds = []
    for test_start, test_end in itertools.pairwise(borders):
        train_start = test_start - cut if split.scheme == "rolling" else 0
        spans = (train_start, test_start - split.gap_days, test_start, test_end)
        a, b, c, d = ((first + day) * _DAY_NS for day in spans)
        folds.append(Fold(train_start=a, train_end=b, test_start=c, test_end=d))
    return tuple(folds)


def _cut(days: int, split: Split) -> int:
    """Day number of the first cut."""
    return round(days * split.train)


def _fits(days: int, split: Split) -> bool:
    cut = _cut(days, split)
    return cut - split.gap_days >= MIN_TRAIN_DAYS and (days - cut) // split.folds >= MIN_TEST_DAYS


def _refuse_short(days: int, split: Split) -> None:
    if _fits(days, split):
        return
    cut = _cut(days, split)
    gap = f" less a gap of {split.gap_days}" if split.gap_days else ""
    raise ConfigError(
        f"split: the data hold {days} whole days; train {split.train:g} is {cut} days{gap} and "
        f"{split.folds} test fold(s) share {days - cut}; expected at least {MIN_TRAIN_DAYS} days of training "
        f"and {MIN_TEST_DAYS} days per test; {_advice(days, split)}"
    )


def _advice(days: int, split: Split) -> str:
    """Say what would fit: fewer folds, an earlier or later cut, or more data."""
    cut = _cut(days, split)
    folds = (days - cut) // MIN_TEST_DAYS
    if cut - split.gap_days >= MIN_TRAIN_DAYS and folds >= 1:
        return f"with this train at most {folds} fold(s) fit; as written it takes {_needed(split)} days"
    lowest, highest = MIN_TRAIN_DAYS + split.gap_days, days - MIN_TEST_DAYS * split.folds
    if lowest <= highest:
        bounds = math.ceil(100 * lowest / days) / 100, math.floor(100 * highest / days) / 100
        if bounds[0] <= bounds[1]:
            return f"a train from {bounds[0]:g} to {bounds[1]:g} fits; as written it takes {_needed(split)} days"
    return f"as written it takes {_needed(split)} days of data"


def _needed(split: Split) -> int:
    """Find the smallest number of days that this split fits into."""
    # a cut is rounded to a whole day, so half a day less may do
    days = max(
        math.floor((MIN_TRAIN_DAYS + split.gap_days - 0.5) / split.train),
        math.floor((MIN_TEST_DAYS * split.folds - 0.5) / (1.0 - split.train)),
    )
    while not _fits(days, split):
        days += 1
    return days
