"""Timeframes: which bar an instant belongs to, and when that bar closes. UTC throughout.

A bar is ``[open, close)`` and is named by its open. ``1W`` opens on Monday, ``1M`` on the first of
the month. ``nD`` with n > 1 follows TradingView: calendar days are counted from 1 January and the
count restarts every year, so the last bar of a year is a stub (3D: 30 December opens a two-day bar
in a common year, 29 December a full one in a leap year). ``nW`` counts weeks from the year's first
Monday, ``nM`` months within the year. With ``anchor="epoch"`` an ``nD`` grid runs on from
1970-01-01 and never restarts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from btcflow.errors import ConfigError, nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["COMPARED", "KNOWN", "Anchor", "Timeframe", "bar_close", "bar_open", "bars_per_year", "parse"]

Anchor = Literal["tv_year_reset", "epoch"]
KNOWN = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1D", "2D", "3D", "5D", "1W", "2W", "1M", "3M")
"""The spellings offered in messages; any ``<n><unit>`` that divides a day or fits into a year is accepted."""
COMPARED = ("1D", "3D", "1W", "1M")

_UNIT_SECONDS = {"m": 60, "h": 3600, "D": 86_400, "W": 7 * 86_400}
_IN_A_DAY = {"m": 1440, "h": 24}
_IN_A_YEAR = {"D": 365, "W": 52, "M": 12}
_YEAR_DAYS = 365.0


@dataclass(frozen=True)
class Timeframe:
    """``count`` units of ``unit`` (m, h, D, W, M), for example 3 and ``"D"``."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def seconds(self) -> int:
        """Length of a nominal bar in seconds; a month counts 365/12 days."""
        if self.unit == "M":
            return int(self.count * _YEAR_DAYS / 12 * 86_400)
        return self.count * _UNIT_SECONDS[self.unit]

    @property
    def fixed(self) -> bool:
        """True where every bar has the same length (minutes, hours, one day, one week)."""
        return self.unit in "mh" or (self.count == 1 and self.unit in "DW")


@lru_cache(maxsize=64)
def parse(text: str) -> Timeframe:
    """Read ``"3D"``; raises :class:`ConfigError` for a spelling that is not a timeframe."""
    match = re.fullmatch(r"([1-9]\d*)([mhDWM])", text)
    if match:
        frame = Timeframe(int(match[1]), match[2])
        if frame.unit in _IN_A_DAY and _IN_A_DAY[frame.unit] % frame.count == 0:
            return frame
        if frame.unit in _IN_A_YEAR and frame.count <= _IN_A_YEAR[frame.unit]:
            return frame
    close = next((one for one in KNOWN if one.lower() == text.lower()), None) or nearest(text, KNOWN)
    hint = f"; did you mean {close!r}?" if close else f"; known: {', '.join(KNOWN)}"
    raise ConfigError(f"{text!r} is not a timeframe{hint}")


def bars_per_year(timeframe: str) -> float:
    """How many bars of ``timeframe`` a 365-day year holds."""
    return _YEAR_DAYS * 86_400 / parse(timeframe).seconds


def bar_open(index: pd.DatetimeIndex, timeframe: str, anchor: Anchor = "tv_year_reset") -> pd.DatetimeIndex:
    """The open of the bar each instant belongs to.

    Parameters
    ----------
    index : DatetimeIndex of shape (T,), tz-aware
    timeframe : for example ``"1h"``, ``"1D"``, ``"3D"``, ``"1W"``, ``"1M"``
    anchor : ``tv_year_reset`` (TradingView) or ``epoch``, for ``nD`` with n > 1

    Returns
    -------
    DatetimeIndex of shape (T,), UTC

    Raises
    ------
    ValueError
        for a naive index: a time without a zone is refused, never guessed.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.to_datetime(["2025-12-29", "2025-12-30", "2025-12-31", "2026-01-01"], utc=True)
    >>> [day.strftime("%m-%d") for day in bar_open(days, "3D")]
    ['12-27', '12-30', '12-30', '01-01']
    """
    import pandas as pd

    seconds = _seconds(index)
    return pd.DatetimeIndex(pd.to_datetime(_open_seconds(seconds, parse(timeframe), anchor), unit="s", utc=True))


def bar_close(opens: pd.DatetimeIndex, timeframe: str, anchor: Anchor = "tv_year_reset") -> pd.DatetimeIndex:
    """The close (= the next bar's open) of the bars that open at ``opens``; UTC, shape (T,).

    Raises
    ------
    ValueError
        for a naive index.
    """
    import pandas as pd

    seconds = _close_seconds(_seconds(opens), parse(timeframe), anchor)
    return pd.DatetimeIndex(pd.to_datetime(seconds, unit="s", utc=True))


def _seconds(index: pd.DatetimeIndex) -> np.ndarray:
    """Whole seconds since 1970, rounded down; shape (T,), int64."""
    import numpy as np

    if index.tz is None:
        raise ValueError("bars need tz-aware times, got a naive index: localize it to UTC first")
    return np.asarray(index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64))


def _open_seconds(seconds: np.ndarray, frame: Timeframe, anchor: Anchor) -> np.ndarray:
    import numpy as np

    if frame.unit in "mh":
        return np.asarray(seconds - seconds % frame.seconds)
    days = seconds // 86_400
    if frame.unit == "D":
        start = _day_slot(days, frame.count, anchor)
    elif frame.unit == "W":
        start = _week_slot(days, frame.count)
    else:
        start = _month_slot(days, frame.count)
    return np.asarray(start * 86_400)


def _close_seconds(opens: np.ndarray, frame: Timeframe, anchor: Anchor) -> np.ndarray:
    """Step a nominal bar on; a stub ends early, where the next grid starts."""
    import numpy as np

    if frame.unit in "mh":
        return opens + frame.seconds
    days = opens // 86_400
    if frame.unit == "M":
        months = days.astype("datetime64[D]").astype("datetime64[M]") + frame.count
        nominal = months.astype("datetime64[D]").astype(np.int64)
        return np.asarray(np.minimum(nominal, _next_year(days)) * 86_400)
    nominal = days + frame.count * (7 if frame.unit == "W" else 1)
    if frame.count > 1 and frame.unit == "D" and anchor == "tv_year_reset":
        nominal = np.minimum(nominal, _next_year(days))
    if frame.count > 1 and frame.unit == "W":
        nominal = np.minimum(nominal, _first_monday(_next_year(days)))
    return np.asarray(nominal * 86_400)


def _year_start(days: np.ndarray) -> np.ndarray:
    import numpy as np

    return days.astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)


def _next_year(days: np.ndarray) -> np.ndarray:
    import numpy as np

    years = days.astype("datetime64[D]").astype("datetime64[Y]") + 1
    return years.astype("datetime64[D]").astype(np.int64)


def _day_slot(days: np.ndarray, count: int, anchor: Anchor) -> np.ndarray:
    start: np.ndarray | int = _year_start(days) if anchor == "tv_year_reset" and count > 1 else 0
    slot: np.ndarray = start + (days - start) // count * count
    return slot


def _first_monday(year_start: np.ndarray) -> np.ndarray:
    """Day number of the first Monday on or after a year's first day (day 4 of 1970 was a Monday)."""
    monday: np.ndarray = year_start + (4 - year_start) % 7
    return monday


def _week_slot(days: np.ndarray, count: int) -> np.ndarray:
    monday: np.ndarray = days - (days - 4) % 7
    if count == 1:
        return monday
    first = _first_monday(_year_start(monday))
    slot: np.ndarray = first + (monday - first) // (7 * count) * (7 * count)
    return slot


def _month_slot(days: np.ndarray, count: int) -> np.ndarray:
    import numpy as np

    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    slot = months // 12 * 12 + months % 12 // count * count
    return slot.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
