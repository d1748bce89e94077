"""The dated tops and bottoms of the market that cycle signals are scored against.

A small table written by hand (``cycle_dates.csv``), dollars, UTC days: the day of the intraday
extreme is the reference; the extreme daily close may lie weeks apart. Tier A = cycle points, B = major
swings, C = local extremes (reported, not in the headline).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

__all__ = ["COVERED_UNTIL", "CycleDate", "Kind", "Tier", "cycle_dates"]

Kind = Literal["top", "bottom"]
Tier = Literal["A", "B", "C"]

COVERED_UNTIL = "2026-08-14"
"""The first day whose prices the table has not seen: a signal from then on cannot be judged by it."""


@dataclass(frozen=True, kw_only=True)
class CycleDate:
    """One top or bottom.

    Attributes
    ----------
    number, kind, tier, label : its row, and what it was
    day, price : UTC day (int64 ns of its midnight) and dollars of the intraday extreme, the reference
    close_day, close_price : the same of the extreme daily close
    scoring_only : True where nothing (default, threshold, study) may be chosen with it
    provisional : True where a later price may still replace it
    """

    number: int
    kind: Kind
    tier: Tier
    label: str
    day: int
    price: float
    close_day: int
    close_price: float
    scoring_only: bool = False
    provisional: bool = False


def cycle_dates(purpose: Literal["scoring", "choosing"]) -> tuple[CycleDate, ...]:
    """The dated tops and bottoms, in time order.

    Parameters
    ----------
    purpose : ``scoring`` gives every row; ``choosing`` (a default, a threshold, a study) only those that
        are not kept for scoring
    """
    with Path(__file__).with_name("cycle_dates.csv").open(encoding="utf-8", newline="") as file:
        rows = [_read(row) for row in csv.DictReader(file)]
    return tuple(row for row in rows if purpose == "scoring" or not row.scoring_only)


def _read(row: dict[str, str]) -> CycleDate:
    return CycleDate(
        number=int(row["number"]),
        kind=cast(Kind, row["kind"]),
        tier=cast(Tier, row["tier"]),
        label=row["label"],
        day=_midnight(row["intraday_day"]),
        price=float(row["intraday_price"]),
        close_day=_midnight(row["close_day"]),
        close_price=float(row["close_price"]),
        scoring_only=row["scoring_only"] == "yes",
        provisional=row["provisional"] == "yes",
    )


def _midnight(day: str) -> int:
    return int(np.datetime64(day, "ns").astype(np.int64))
