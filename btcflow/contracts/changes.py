"""Ways to change what was said about a market: each takes one series and gives another."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from btcflow.data.records import Records
from btcflow.fields import KINDS
from btcflow.instrument import Instrument

__all__ = ["PRICE_FACTOR", "late_days", "later_known", "multiplied", "regauged", "repriced", "still_unknown", "without"]

_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
PRICE_FACTOR = 4.0
"""A power of two: multiplying by it is exact."""


def multiplied(one: Records, cut: pd.Timestamp, factor: float, rate_factor: float) -> Records:
    """The values of rows known after ``cut`` times ``factor``, funding rates times ``rate_factor``."""
    later = one.known_at > cut.value
    frame = one.frame.copy()
    for name in KINDS[one.key.kind].columns:
        if name not in ("spacing_hours", "rate_hours"):
            frame.loc[later, name] = frame.loc[later, name] * (rate_factor if one.key.kind == "funding" else factor)
    return replace(one, frame=frame)


def without(one: Records, start: pd.Timestamp, end: pd.Timestamp) -> Records:
    """Without the rows that became known inside ``(start, end]``."""
    known = one.known_at
    return one.where((known <= start.value) | (known > end.value))


def late_days(instants: np.ndarray) -> np.ndarray:
    """Whether each instant (int64 ns) lies in a day that publishes late: 4 of 11, a cycle no timeframe shares."""
    return np.isin(instants // _DAY % 11, (0, 3, 6, 8))


def later_known(one: Records, start: pd.Timestamp, wait: pd.Timedelta) -> Records:
    """Published unevenly: what describes the afternoon of a late day is known ``wait`` later, from ``start`` on.

    Stamps stay, so a join on the stamp sees nothing of it. Most bars keep other rows, so that a late
    row is a late row and not a hole.
    """
    inside = one.ends - 1  # the last nanosecond described
    late = (one.known_at > start.value) & late_days(inside) & (inside % _DAY >= 12 * _HOUR)
    frame = one.frame.copy()
    frame.loc[late, "known_at"] = frame.loc[late, "known_at"] + wait
    return replace(one, frame=frame)


def still_unknown(one: Records, instant: pd.Timestamp) -> np.ndarray:
    """Rows that describe time up to ``instant`` and were published after it; (N,) bool."""
    return np.asarray((one.ends <= instant.value) & (one.known_at > instant.value))


def repriced(one: Records) -> Records:
    """Every price times four: Bitcoin quoted in a currency worth a quarter.

    Open interest counted in that currency grows with it: the same BTC stand behind it.
    """
    frame = one.frame.copy()
    if one.key.kind in ("ohlcv", "mark"):
        for name in ("open", "high", "low", "close"):
            frame[name] = frame[name] * PRICE_FACTOR
    if one.key.kind == "open_interest" and _currency(one.instrument) == "USD":
        frame["value"] = frame["value"] * PRICE_FACTOR
    return replace(one, frame=frame)


def regauged(one: Records, position: int) -> Records:
    """Open interest told in contracts 2, 4 or 8 times as large (by ``position``), so in fewer of them."""
    what = one.instrument
    if what.oi_unit == "none":
        return one
    factor = 2.0 ** (1 + position % 3)
    size = factor * (what.contract_size if what.oi_unit == "contract" else 1.0)
    told = replace(what, oi_unit="contract", contract_size=size, contract_ccy=_currency(what))
    frame = one.frame.copy()
    if one.key.kind == "open_interest":
        frame["value"] = frame["value"] / factor
    return replace(one, instrument=told, frame=frame)


def _currency(what: Instrument) -> Literal["BTC", "USD"]:
    """What one unit of an instrument's open interest is an amount of: BTC, or the quote currency."""
    if what.oi_unit == "contract":
        return what.contract_ccy
    return "USD" if what.oi_unit == "usd" else "BTC"
