"""The tape: the clock as the kernel reads it, prepared once and shared by all parameter sets.

Inside a trade equity is affine in ``value = close - what one BTC long has paid so far``:
``equity = base + quantity * value``. The clock is cut into *cells*: between the edges of a cell no
order of any set can fill and no segment begins, so a cell is all a trade ever sees. On a clock of
hours a weekly rule has cells of 168 bars, an hourly rule has cells of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from btcflow.engine.kernel.money import (
    CLOSE_BEFORE,
    MARK,
    OPEN,
    OPEN_VALUE,
    PADDING,
    PAID,
    PER_OPEN,
    ROW,
    VALUE_BEFORE,
)
from btcflow.engine.ledger import midnights

if TYPE_CHECKING:
    from btcflow.clock import Clock

__all__ = ["Tape", "tape_of"]

_LEVELS = 13
"""Spans of up to 2 ** 12 cells have a table of their lowest and highest value; longer ones are walked."""


class Tape(NamedTuple):
    """N clock bars in C cells, D midnights, P pieces between neighbouring segment bounds, S segments.

    Attributes
    ----------
    cells : (C + 1, 8): price at the open of each cell, its value (the open less what one BTC long has
        paid before it), 1 / open, the close before and its value, what one BTC long has paid before, the
        first clock row, and the midnights marked before; the last line knows only what was before it
    spans : (L, C, 2): lowest and highest value at a close over the cells c to c + 2 ** level - 1
    values : (N,) value of each bar's close
    begins, ends : (C,) nanoseconds since the first open: open and last close of each cell
    marks : (D + PADDING,) value at each midnight, NaN before the first close; then padding
    pieces : (P + 1,) int64 cells
    segments : (S, 6) int64: first and last + 1 piece, cell, and midnight
    """

    cells: np.ndarray
    spans: np.ndarray
    values: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    marks: np.ndarray
    pieces: np.ndarray
    segments: np.ndarray


def tape_of(clock: Clock, fills: np.ndarray, segments: np.ndarray) -> Tape:
    """Prepare a clock.

    Parameters
    ----------
    clock : N bars, sound prices and funding
    fills : clock rows at which an order may fill; those outside 0 to N are left out
    segments : (S, 2) int64 clock rows, first and one past the last
    """
    count = len(clock)
    bounds = np.unique(np.append(segments, [0, count]))
    rows = np.unique(np.concatenate([fills[(fills >= 0) & (fills < count)], bounds])).astype(np.int64)
    paid = np.concatenate([[0.0], np.cumsum(clock.funding)])
    values, first, last = clock.close - paid[1:], rows[:-1], rows[1:] - 1
    days, mark_rows = midnights(clock, 0, count)
    return Tape(
        cells=_cells(clock, rows, paid, values, mark_rows),
        spans=_spans(np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)),
        values=values,
        begins=(clock.opens[first] - clock.opens[0]).astype(np.float64),
        ends=(clock.closes_at[last] - clock.opens[0]).astype(np.float64),
        marks=np.append(np.where(mark_rows >= 0, values[mark_rows], np.nan), np.zeros(PADDING)),
        pieces=np.searchsorted(rows, bounds).astype(np.int64),
        segments=_segments(clock, segments, rows, bounds, days),
    )


def _cells(clock: Clock, rows: np.ndarray, paid: np.ndarray, values: np.ndarray, mark_rows: np.ndarray) -> np.ndarray:
    first = rows[:-1]
    cells = np.full((len(rows), 8), np.nan)
    cells[:-1, OPEN] = clock.open[first]
    cells[:-1, OPEN_VALUE] = clock.open[first] - paid[first]
    cells[:-1, PER_OPEN] = 1.0 / clock.open[first]
    cells[1:, CLOSE_BEFORE] = clock.close[rows[1:] - 1]
    cells[1:, VALUE_BEFORE] = values[rows[1:] - 1]
    cells[:, PAID] = paid[rows]
    cells[:, ROW] = rows
    cells[:, MARK] = np.searchsorted(mark_rows, rows)
    return cells


def _spans(lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Level k holds low and high over 2 ** k cells from each on, and NaN where they would run out."""
    levels = min(_LEVELS, len(lows).bit_length())
    table = np.full((levels, len(lows), 2), np.nan)
    table[0, :, 0], table[0, :, 1] = lows, highs
    for level in range(1, levels):
        half = 1 << (level - 1)
        room = len(lows) - 2 * half + 1
        below = table[level - 1]
        np.minimum(below[:room, 0], below[half : half + room, 0], out=table[level, :room, 0])
        np.maximum(below[:room, 1], below[half : half + room, 1], out=table[level, :room, 1])
    return table


def _segments(clock: Clock, segments: np.ndarray, rows: np.ndarray, bounds: np.ndarray, days: np.ndarray) -> np.ndarray:
    first, last = segments[:, 0], segments[:, 1]
    columns = (
        *(np.searchsorted(bounds, one) for one in (first, last)),
        *(np.searchsorted(rows, one) for one in (first, last)),
        np.searchsorted(days, clock.opens[first], side="left"),
        np.searchsorted(days, clock.closes_at[last - 1], side="right"),
    )
    return np.column_stack(columns).astype(np.int64)
