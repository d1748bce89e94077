"""From bitmaps to orders: the state machine of a rule, jumping from event to event.

It takes the same decisions as the bar-by-bar walk of :mod:`btcflow.rules.decide`: an entry counts
only while its own exit does not hold, opposite entries that hold together cancel, a position is left
or reversed after ``min_hold`` bars at the earliest, and flat lasts ``cooldown`` bars at least.

Compiled functions of this folder call none of another file: numba's disk cache knows a function by
its own file, and would go on using what another file no longer says.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["KNOWN", "next_set", "walk_sets"]

KNOWN = {"long_exit": 4, "short_exit": 5}
"""Pseudo sides: where all scores of the entry are known, for an exit by hysteresis."""

_KNOWN_LONG, _KNOWN_SHORT = KNOWN["long_exit"], KNOWN["short_exit"]
_NONE = np.uint64(0)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@intrinsic
def _trailing_zeros(typing_context, word):  # type: ignore[no-untyped-def]
    """Index of the lowest set bit of a word that is not 0: one machine instruction."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], context.get_constant(types.boolean, 0))

    return types.uint64(types.uint64), build


@njit(cache=True, nogil=True)
def next_set(words, start):  # type: ignore[no-untyped-def]
    """The first bar at or after ``start`` whose bit is set; 64 * len(words) where there is none."""
    w = start >> 6
    if w >= len(words):
        return 64 * len(words)
    word = words[w] & (_ALL << np.uint64(start & 63))
    while word == 0:
        w += 1
        if w >= len(words):
            return 64 * len(words)
        word = words[w]
    return 64 * w + np.int64(_trailing_zeros(word))


@njit(cache=True, nogil=True)
def walk_sets(bitmaps, chosen, program, fill_cell, cell_count, counts, cells, wanted):  # type: ignore[no-untyped-def]
    """The orders of set after set, one behind the other, until all are done or the room may not do.

    Parameters
    ----------
    bitmaps : (M, words) uint64
    chosen : (K, C) row of ``bitmaps`` for each term of the rule
    program : groups (G, 3) and negated (4,) of the rule; bars, min_hold, cooldown
    fill_cell : (T,) cell at whose open the decision of a bar fills, ``cell_count`` = never
    counts : (K,) written: orders of each set
    cells, wanted : written: cells of the tape, rising, and the position each order moves to; the room

    Returns
    -------
    how many sets were done
    """
    groups, negated, bars, min_hold, cooldown = program
    sides = np.empty((4, bitmaps.shape[1]), np.uint64)
    scratch, eased = np.empty(bitmaps.shape[1], np.uint64), np.empty(bitmaps.shape[1], np.uint64)
    used = 0
    for k in range(len(chosen)):
        if used + bars > len(cells):
            return k
        for side in range(4):
            _side_words(bitmaps, chosen[k], groups, side, sides[side], scratch)
            if negated[side]:  # an exit by hysteresis: all is known, and the eased entry no longer holds
                eased[:] = sides[side]
                known = _KNOWN_LONG if side == 1 else _KNOWN_SHORT
                _side_words(bitmaps, chosen[k], groups, known, sides[side], scratch)
                for w in range(len(eased)):
                    sides[side, w] &= ~eased[w]
        _combine(sides, bars)
        counts[k] = _orders(sides, bars, min_hold, cooldown, fill_cell, cell_count, cells[used:], wanted[used:])
        used += counts[k]
    return len(chosen)


@njit(cache=True, nogil=True)
def _side_words(bitmaps, chosen, groups, side, out, scratch):  # type: ignore[no-untyped-def]
    """OR of ANDs of one side into ``out``.

    Parameters
    ----------
    bitmaps : (M, words) uint64
    chosen : (C,) row of ``bitmaps`` for each term of the rule
    groups : (G, 3): side, first term, one past the last term; a group without terms always holds
    out, scratch : (words,) written
    """
    out[:] = _NONE
    for g in range(len(groups)):
        if groups[g, 0] != side:
            continue
        first, last = groups[g, 1], groups[g, 2]
        if last == first:
            out[:] = _ALL
        elif last == first + 1:
            one = bitmaps[chosen[first]]
            for w in range(len(out)):
                out[w] |= one[w]
        else:
            one, two = bitmaps[chosen[first]], bitmaps[chosen[first + 1]]
            for w in range(len(out)):
                scratch[w] = one[w] & two[w]
            for c in range(first + 2, last):
                more = bitmaps[chosen[c]]
                for w in range(len(out)):
                    scratch[w] &= more[w]
            for w in range(len(out)):
                out[w] |= scratch[w]


@njit(cache=True, nogil=True)
def _combine(sides, bars):  # type: ignore[no-untyped-def]
    """Turn the four sides (4, words) into: any entry, long entry, leave long, leave short; in place."""
    long_entry, long_exit, short_entry, short_exit = sides[0], sides[1], sides[2], sides[3]
    for w in range(sides.shape[1]):
        up = long_entry[w] & ~long_exit[w]
        down = short_entry[w] & ~short_exit[w]
        both = up & down
        up, down = up ^ both, down ^ both
        leave_long, leave_short = long_exit[w] | down, short_exit[w] | up
        long_entry[w] = up | down
        long_exit[w] = up
        short_entry[w] = leave_long
        short_exit[w] = leave_short
    if bars & 63:
        inside = ~(_ALL << np.uint64(bars & 63))
        for i in range(4):
            sides[i, -1] &= inside


@njit(cache=True, nogil=True)
def _orders(events, bars, min_hold, cooldown, fill_cell, cell_count, cells, wanted):  # type: ignore[no-untyped-def]
    """The orders of one set: cells of the tape, rising, and the position each one moves to.

    Parameters
    ----------
    events : (4, words) from :func:`_combine`
    bars : T
    fill_cell : (T,) cell at whose open the decision of a bar fills, ``cell_count`` = never
    cells, wanted : (T,) written

    Returns
    -------
    how many orders; several decisions that fill in one cell are one order to the last position, or none
    """
    entry, up, leave_long, leave_short = events[0], events[1], events[2], events[3]
    count, position, traded, pending, cell, start = 0, 0, 0, 0, -1, 0
    while True:
        if position == 0:
            t = next_set(entry, start)
        elif position == 1:
            t = next_set(leave_long, start)
        else:
            t = next_set(leave_short, start)
        if t >= bars or fill_cell[t] >= cell_count:
            break
        word, bit = t >> 6, np.uint64(t & 63)
        if (entry[word] >> bit) & np.uint64(1):  # from flat, or against the position: its own side's entry is excluded
            position = 1 if (up[word] >> bit) & np.uint64(1) else -1
            start = t + max(min_hold, 1)
        else:
            position = 0
            start = t + 1 + cooldown
        if fill_cell[t] != cell:
            if cell >= 0 and pending != traded:
                cells[count], wanted[count] = cell, pending
                traded = pending
                count += 1
            cell = fill_cell[t]
        pending = position
    if cell >= 0 and pending != traded:
        cells[count], wanted[count] = cell, pending
        count += 1
    return count
