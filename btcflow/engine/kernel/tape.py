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
    BAR_HIGH,
    BAR_LOW,
    BAR_OPEN,
    BAR_PAID,
    BAR_TIME,
    BEGIN,
    BLOCK,
    CLOSE_BEFORE,
    MARK,
    OPEN,
    OPEN_VALUE,
    PAID,
    ROW,
    VALUE_BEFORE,
)
from btcflow.engine.ledger import midnights

if TYPE_CHECKING:
    from btcflow.clock import Clock

__all__ = ["Tape", "tape_of"]

_DAY = 86_400_000_000_000
_ROUNDING = 1e-9
_CACHE_LINE = 64


class Tape(NamedTuple):
    """N clock bars in C cells, D midnights, P pieces between neighbouring segment bounds, S segments.

    Attributes
    ----------
    cells : (C + 1, 8): price at the open of each cell, its value (the open less what one BTC long has
        paid before it), when it opens, the close before and its value, what one BTC long has paid before, the
        first clock row, and the midnights marked before; the last line knows only what was before it
    spans : (L, C, 2): lowest and highest value at a close over the cells c to c + 2 ** level - 1
    limits : (C, 2): least value for the margin of a long, greatest for that of a short (see :func:`_limits`)
    blocks : (L, B, 2): the same over blocks of 2 ** BLOCK cells, b to b + 2 ** level - 1
    bars : (N + 1, 5): open, the low and high that decide over a liquidation, what one BTC long has paid before,
        and when it opens; the last line knows only what was paid
    values : (N,) value of each bar's close
    begins, ends : (C,) nanoseconds since the first open: open and last close of each cell
    marks, mark_rows : (D,) value at each midnight, NaN before the first close, and its bar
    pieces : (P + 1,) int64 cells
    segments : (S, 6) int64: first and last + 1 piece, cell, and midnight
    ends_at : (S, 2): open and last close of each segment, in days since the first midnight
    margined : True for a perpetual, whose positions can be liquidated
    """

    cells: np.ndarray
    spans: np.ndarray
    limits: np.ndarray
    blocks: np.ndarray
    bars: np.ndarray
    values: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    marks: np.ndarray
    mark_rows: np.ndarray
    pieces: np.ndarray
    segments: np.ndarray
    ends_at: np.ndarray
    margined: bool


def tape_of(clock: Clock, fills: np.ndarray, segments: np.ndarray, rate: float) -> Tape:
    """Prepare a clock.

    Parameters
    ----------
    clock : N bars, sound prices and funding
    fills : clock rows at which an order may fill; those outside 0 to N are left out
    segments : (S, 2) int64 clock rows, first and one past the last
    rate : the largest maintenance rate
    """
    count, margined = len(clock), clock.instrument.role == "perp"
    bounds = np.unique(np.append(segments, [0, count]))
    edges = np.zeros(count + 1, dtype=np.bool_)
    edges[fills[(fills >= 0) & (fills < count)]] = edges[bounds] = True
    rows = np.flatnonzero(edges)
    paid = np.concatenate([[0.0], np.cumsum(clock.funding)])
    values, first, last = clock.close - paid[1:], rows[:-1], rows[1:] - 1
    days, mark_rows = midnights(clock, 0, count)
    least, most = _limits(clock, paid, rate) if margined else (np.full(count, np.inf), np.full(count, -np.inf))
    limits = np.column_stack([np.minimum.reduceat(least, first), np.maximum.reduceat(most, first)])
    blocks = np.arange(0, len(first), 1 << BLOCK)
    opened = (clock.opens - clock.opens[0]).astype(np.float64)
    return Tape(
        cells=_cells(clock, opened, rows, paid, values, mark_rows),
        spans=_spans(np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)),
        limits=limits,
        blocks=_spans(np.minimum.reduceat(limits[:, 0], blocks), np.maximum.reduceat(limits[:, 1], blocks)),
        bars=_bars(clock, paid, opened),
        values=values,
        begins=opened[first],
        ends=(clock.closes_at[last] - clock.opens[0]).astype(np.float64),
        marks=np.where(mark_rows >= 0, values[mark_rows], np.nan),
        mark_rows=mark_rows,
        pieces=np.searchsorted(rows, bounds).astype(np.int64),
        segments=_segments(clock, segments, rows, bounds, days),
        ends_at=_ends_at(clock, segments, days),
        margined=margined,
    )


def _cells(
    clock: Clock, opened: np.ndarray, rows: np.ndarray, paid: np.ndarray, values: np.ndarray, mark_rows: np.ndarray
) -> np.ndarray:
    first = rows[:-1]
    room = np.empty(8 * len(rows) + 7)
    skipped = -room.ctypes.data % _CACHE_LINE // room.itemsize
    cells = room[skipped : skipped + 8 * len(rows)].reshape(-1, 8)  # each line of the table in one line of the cache
    cells[0] = cells[-1] = np.nan
    cells[:-1, OPEN] = clock.open[first]
    cells[:-1, OPEN_VALUE] = clock.open[first] - paid[first]
    cells[:-1, BEGIN] = opened[first]
    cells[1:, CLOSE_BEFORE] = clock.close[rows[1:] - 1]
    cells[1:, VALUE_BEFORE] = values[rows[1:] - 1]
    cells[:, PAID] = paid[rows]
    cells[:, ROW] = rows
    cells[:, MARK] = np.searchsorted(mark_rows, rows)
    return cells


def _bars(clock: Clock, paid: np.ndarray, opened: np.ndarray) -> np.ndarray:
    bars = np.empty((len(clock) + 1, 5))
    bars[-1] = np.nan
    bars[:-1, BAR_OPEN], bars[:-1, BAR_LOW], bars[:-1, BAR_HIGH] = clock.open, clock.worst_low, clock.worst_high
    bars[:, BAR_PAID], bars[:-1, BAR_TIME] = paid, opened
    return bars


def _limits(clock: Clock, paid: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Per bar, the value at which a long and a short touch the largest margin at the bar's worst, or worse; (N,).

    Never too late: a position of one BTC whose equity is ``kappa + value`` keeps more than its margin through
    the bar where ``kappa + least > 0``, a short where ``kappa - most > 0``. The true margin of a position in a lower
    tier is smaller, so a position may only seem near it.
    """
    low = np.minimum(np.minimum(clock.worst_low, clock.open), clock.close)
    high = np.maximum(np.maximum(clock.worst_high, clock.open), clock.close)
    below, above = 1.0 - rate - _ROUNDING, 1.0 + rate + _ROUNDING
    least = np.minimum(low * below - paid[:-1], clock.close * (1.0 - _ROUNDING) - paid[1:])
    most = np.maximum(high * above - paid[:-1], clock.close * (1.0 + _ROUNDING) - paid[1:])
    return least, most


def _spans(lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Level k holds low and high over 2 ** k cells from each on, and nothing where they would run out."""
    table = np.empty((len(lows).bit_length(), len(lows), 2))
    for level in range(len(table)):
        if level:
            half = 1 << (level - 1)
            lows, highs = np.minimum(lows[:-half], lows[half:]), np.maximum(highs[:-half], highs[half:])
        table[level, : len(lows), 0], table[level, : len(lows), 1] = lows, highs
    return table


def _ends_at(clock: Clock, segments: np.ndarray, days: np.ndarray) -> np.ndarray:
    zero = days[0] if len(days) else clock.opens[0]
    ends = np.column_stack([clock.opens[segments[:, 0]] - zero, clock.closes_at[segments[:, 1] - 1] - zero])
    return ends / _DAY


def _segments(clock: Clock, segments: np.ndarray, rows: np.ndarray, bounds: np.ndarray, days: np.ndarray) -> np.ndarray:
    first, last = segments[:, 0], segments[:, 1]
    columns = (
        *(np.searchsorted(bounds, one) for one in (first, last)),
        *(np.searchsorted(rows, one) for one in (first, last)),
        np.searchsorted(days, clock.opens[first], side="left"),
        np.searchsorted(days, clock.closes_at[last - 1], side="right"),
    )
    return np.column_stack(columns).astype(np.int64)
