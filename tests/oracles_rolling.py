"""Slow, obvious rolling statistics: plain loops over exact fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

NAN = math.nan


def last_values(x: Sequence[float], row: int, n: int, *, before: int = 0) -> list[int]:
    """Rows of the last ``n`` values up to ``row`` (leaving out the last ``before``); empty where there are fewer."""
    rows = [at for at in range(row + 1) if not math.isnan(x[at])]
    rows = rows[: len(rows) - before]
    return rows[-n:] if len(rows) >= n and not math.isnan(x[row]) else []


def mean(values: Sequence[float]) -> Fraction:
    return sum(map(Fraction, values), Fraction(0)) / len(values)


def variance(values: Sequence[float]) -> Fraction:
    middle = mean(values)
    return sum(((Fraction(one) - middle) ** 2 for one in values), Fraction(0)) / len(values)


def sma(x: Sequence[float], n: int) -> list[float]:
    windows = [last_values(x, row, n) for row in range(len(x))]
    return [float(mean([x[at] for at in rows])) if rows else NAN for rows in windows]


def ema(x: Sequence[float], n: int) -> list[float]:
    out: list[float] = []
    seen: list[float] = []
    level = NAN
    for value in x:
        if not math.isnan(value):
            seen.append(value)
            if len(seen) == n:
                level = float(mean(seen))
            elif len(seen) > n:
                level = level + 2 / (n + 1) * (value - level)
        out.append(NAN if math.isnan(value) else level)
    return out


def zscore(
    x: Sequence[float], n: int, *, floor: float = 0.0, before: int = 0, longest: float = math.inf
) -> list[float]:
    """``longest``: the most bars a window may span (its own, without the current bar where ``before`` is 1)."""
    out = []
    for row in range(len(x)):
        rows = last_values(x, row, n, before=before)
        if not rows or row - before - rows[0] + 1 > longest:
            out.append(NAN)
            continue
        window = [x[at] for at in rows]
        distance, square = Fraction(x[row]) - mean(window), variance(window)
        if float(square) <= floor * floor:
            out.append(float(distance) / floor if floor > 0 else NAN)
        else:
            out.append(math.copysign(math.sqrt(distance * distance / square), distance))
    return out
