"""How a number is written on a page: one minus sign, fixed decimals, commas, UTC, a dash for none."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

__all__ = ["NONE", "count", "money", "money_digits", "number", "percent", "plain", "stamp", "tone"]

NONE = "–"
_MINUS = "−"


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """A number with fixed decimals, thousands commas and a true minus.

    Examples
    --------
    >>> number(-1234.5, 1), number(0.41, signed=True), number(None)
    ('−1,234.5', '+0.41', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    text = f"{abs(value):,.{digits}f}"
    zero = not any(digit in "123456789" for digit in text)
    if value < 0 and not zero:
        return _MINUS + text
    return f"+{text}" if signed and not zero else text


def percent(value: float | None, digits: int = 1, *, signed: bool = True) -> str:
    """A fraction as per cent: 0.121 is ``+12.1%``."""
    if value is None or not math.isfinite(value):
        return number(value)
    return number(100.0 * value, digits, signed=signed) + "%"


def money_digits(capital: float) -> int:
    """Decimals that amounts of an account need: none from 1,000 units on, else five digits of the capital.

    Examples
    --------
    >>> money_digits(100_000.0), money_digits(6.8578), money_digits(0.005)
    (0, 4, 7)
    """
    return 0 if capital >= 1_000 else min(8, 4 - math.floor(math.log10(capital)))


def money(value: float | None, digits: int = 0) -> str:
    """A signed amount of the settlement currency."""
    return number(value, digits, signed=True)


def count(value: float | None) -> str:
    """A whole number with thousands commas."""
    return number(value, 0)


def stamp(value: Any, *, day: bool = False) -> str:
    """An instant as ``2024-03-01 14:00`` (UTC), or its day alone; a dash where there is none.

    A naive time in a run folder is UTC by contract.
    """
    if value is None:
        return NONE
    time = pd.Timestamp(value)
    if pd.isna(time):
        return NONE
    time = time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")
    return time.strftime("%Y-%m-%d" if day else "%Y-%m-%d %H:%M")


def plain(value: Any) -> str:
    """A parameter as a reader would write it: 2.0 is ``2``, a list is joined by commas."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}".replace("-", _MINUS) if math.isfinite(value) else number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(one)}" for key, one in value.items())
    return str(value)


def tone(value: float | None) -> str:
    """``gain``, ``loss`` or nothing: the class that colors a signed amount."""
    if value is None or math.isnan(value) or value == 0.0:
        return ""
    return "gain" if value > 0 else "loss"
