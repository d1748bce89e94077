"""The numbers of a segment of one parameter set: its pieces joined, daily returns, and time under water."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["RAW", "segment_numbers", "write_paths"]

RAW = (
    *("start", "end", "worst", "price", "funding", "fees", "slippage", "turnover", "entries", "held"),
    *("wins", "gains", "pains", "hold_ns"),
    *("returns", "mean", "squares", "losses", "spread", "cubes", "fourths", "daily_depth", "longest", "liquidations"),
)
"""What is known of each segment before it is made annual.

``worst``: lowest equity / earlier peak. ``returns`` daily returns with their ``mean``, sums of powers of the
deviations (``squares``, ``cubes``, ``fourths``), sum of squared negative ones and range. ``wins`` trades with a
positive net, ``gains`` and ``pains`` the sums of positive and of negative nets, ``hold_ns`` the sum of their
lengths. ``longest`` days under water.
"""

_OPEN_VALUE, _VALUE_BEFORE, _ROW, _MARK = 1, 4, 6, 7
"""Columns of ``Tape.cells``, as :mod:`btcflow.engine.kernel.money` names them; a test holds them together."""
_AT_PEAK = 1.0 - 1e-10
"""As :mod:`btcflow.stats.performance`: equity above this fraction of its peak is at the peak."""


@njit(cache=True, nogil=True, error_model="numpy")
def segment_numbers(tape, pieces, trades, records, made, full, out):  # type: ignore[no-untyped-def]
    """Raw numbers of set after set.

    Parameters
    ----------
    tape : the clock
    pieces, trades, records, made : as :func:`btcflow.engine.kernel.money.settle_sets` writes them
    full : with what comes from the path of daily equity
    out : (K, S, 24) written, as ``RAW``
    """
    room, parts, marks = 0, len(tape.pieces) - 1, np.empty(len(tape.marks))
    for k in range(len(made)):
        kept, count, state = made[k]
        own = records[room : room + count]
        room += count
        for s in range(len(tape.segments)):
            row, segment = out[k, s], tape.segments[s]
            until = int(pieces[k, segment[1], 24]) if segment[1] < parts else count
            inside = own[int(pieces[k, segment[0], 24]) : until]
            _merge(tape, segment, pieces[k], inside, marks, row)
            _add_trades(tape, trades[k, :kept], segment, row)
            if full:
                row[21], row[22] = _under_water(tape, segment, tape.ends_at[s], inside, row[0])
            if not row[0] > 0.0:
                row[2] = np.nan
            elif state > 0 and not tape.margined:
                row[2] = _deepest(tape, inside, segment[3], row[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _merge(tape, segment, pieces, records, marks, row):  # type: ignore[no-untyped-def]
    """Join neighbouring pieces: sums add, the drawdown composes through the running peak."""
    start = peak = carried = pieces[segment[0], 0]
    worst, s1, s2, s3, s4, losses = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    known = segment[4] < tape.cells[segment[2], _MARK]  # the segment has a midnight before its first close
    row[3:14], row[23] = 0.0, 0.0
    for p in range(segment[0], segment[1]):
        worst = min(worst, pieces[p, 4], pieces[p, 3] / peak)
        peak = max(peak, pieces[p, 2])
        for column in range(11):
            row[3 + column] += pieces[p, 5 + column]
        row[23] += pieces[p, 16]
        if pieces[p, 17] == pieces[p, 17]:
            if known:
                change = pieces[p, 17] / (carried if carried > 0.0 else np.nan) - 1.0
                square = change * change
                s1, s2, s3, s4 = s1 + change, s2 + square, s3 + square * change, s4 + square * square
                losses += square if change < 0.0 else 0.0
            s1, s2, s3, s4 = s1 + pieces[p, 19], s2 + pieces[p, 20], s3 + pieces[p, 21], s4 + pieces[p, 22]
            carried, known, losses = pieces[p, 18], True, losses + pieces[p, 23]
    count = max(segment[5] - segment[4] - 1, 0)
    if tape.margined and not start > 0.0:
        s1 = np.nan  # returns on nothing
    mean = s1 / count if count else np.nan
    square = s2 - s1 * mean
    row[0], row[1], row[2], row[21], row[22] = start, pieces[segment[1] - 1, 1], worst, np.nan, np.nan
    row[14], row[15], row[16], row[17], row[18] = count, mean, square, losses, np.inf
    row[19] = s3 - mean * (3.0 * s2 - 2.0 * mean * s1)
    row[20] = s4 - mean * (4.0 * s3 - mean * (6.0 * s2 - 3.0 * mean * s1))
    beyond = segment[5] < tape.cells[segment[3], _MARK]  # a midnight in a hole behind the segment
    if beyond or not (s2 == 0.0 or (square > 0.1 * s2 and square > 1e-20 * count)):
        _exact_moments(tape, segment, records, start, marks, row)
    elif s2 == 0.0:
        row[18] = 0.0 if count and s1 == 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _exact_moments(tape, segment, records, start, marks, row):  # type: ignore[no-untyped-def]
    """The same moments in two passes, where sums of powers would not tell them from rounding."""
    count = segment[5] - segment[4]
    marks[:count] = start
    for i in range(len(records)):
        after = records[i + 1, 1] if i + 1 < len(records) else tape.cells[segment[3], _MARK]
        for j in range(int(records[i, 1]), min(int(after), segment[5])):
            held = records[i, 3] * tape.marks[j] if records[i, 3] != 0.0 else 0.0
            marks[j - segment[4]] = records[i, 2] + held
    for j in range(1, count):
        marks[j - 1] = marks[j] / (marks[j - 1] if marks[j - 1] > 0.0 else np.nan) - 1.0
    returns = marks[: max(count - 1, 0)]
    mean = returns.mean() if len(returns) else np.nan
    square = cube = fourth = loss = 0.0
    for change in returns:
        away = change - mean
        square, cube, fourth = square + away**2, cube + away**3, fourth + away**4
        loss += min(change, 0.0) ** 2
    row[15], row[16], row[17], row[19], row[20] = mean, square, loss, cube, fourth
    row[18] = returns.max() - returns.min() if len(returns) else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _under_water(tape, segment, ends, records, start):  # type: ignore[no-untyped-def]
    """Most negative equity / earlier peak - 1 at the midnights of a segment, and the longest time under water.

    ``ends`` are open and close of the segment in days since the first midnight. The first counts from the
    first midnight on, the second from the equity at the open on; both are NaN without equity to start from.
    """
    first, crest, worst, opening = int(tape.cells[segment[2], _MARK]), -np.inf, 1.0, np.nan
    peak, edge, since, longest, under = start, start * _AT_PEAK, ends[0], 0.0, False
    if segment[4] < first:
        crest = opening = start
        since = float(first - 1)
    for i in range(len(records)):
        begin = int(records[i, 1])
        end = int(records[i + 1, 1] if i + 1 < len(records) else tape.cells[segment[3], _MARK])
        if begin >= min(end, segment[5]):
            continue
        if records[i, 5] < edge and not records[i, 5] > crest and end <= segment[5]:
            under, worst = True, min(worst, records[i, 4] / crest)
            continue
        for j in range(begin, min(end, segment[5])):
            equity = records[i, 2] + records[i, 3] * tape.marks[j] if records[i, 3] != 0.0 else records[i, 2]
            if crest == -np.inf:
                opening = equity
            elif equity < worst * crest:
                worst = equity / crest
            crest = max(crest, equity)
            if equity < edge:
                under = True
                continue
            if under:
                longest, under = max(longest, j - since), False
            since, peak = float(j), max(peak, equity)
            edge = peak * _AT_PEAK
    if under:
        longest = max(longest, ends[1] - since)
    return worst - 1.0 if opening > 0.0 else np.nan, longest if start > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _add_trades(tape, trades, segment, row):  # type: ignore[no-untyped-def]
    """Add the trades that outlive their piece to the segment they were entered in.

    One still open at the end is valued at the last close, without exit costs.
    """
    first, last = segment[2], segment[3]
    for i in range(len(trades)):
        entry, leave = int(trades[i, 0]), int(trades[i, 1])
        if entry < first or entry >= last:
            continue
        net, until = trades[i, 4], tape.ends[last - 1]
        if leave >= last:
            change = tape.cells[last, _VALUE_BEFORE] - tape.cells[entry, _OPEN_VALUE]
            net = trades[i, 2] * change - trades[i, 3]
        else:
            until = trades[i, 5]
        row[10] += net > 0.0
        row[11] += max(net, 0.0)
        row[12] += min(net, 0.0)
        row[13] += until - tape.begins[entry]


@njit(cache=True, nogil=True, error_model="numpy")
def _deepest(tape, records, end, start):  # type: ignore[no-untyped-def]
    """The lowest equity / earlier peak at the closes, the equity ``start`` before them included, bar by bar.

    For any equity, negative too, as a spot position can leave it.
    """
    peak, worst = start, 1.0
    for i in range(len(records)):
        stop = records[i + 1, 0] if i + 1 < len(records) else tape.cells[end, _ROW]
        base, quantity = records[i, 2], records[i, 3]
        for row in range(int(records[i, 0]), int(stop)):
            equity = base + quantity * tape.values[row]
            peak = max(peak, equity)
            worst = min(worst, equity / peak)
    return worst


@njit(cache=True, nogil=True, error_model="numpy")
def write_paths(tape, records, made, positions, equity):  # type: ignore[no-untyped-def]
    """Write set after set out bar by bar: positions (K, N) int8, and equity at the midnights (K, D)."""
    room = 0
    for k in range(len(made)):
        for i in range(room, room + made[k, 1]):
            further = i + 1 < room + made[k, 1]
            until, after = (records[i + 1, 0], records[i + 1, 1]) if further else (len(tape.values), len(tape.marks))
            quantity = records[i, 3]
            positions[k, int(records[i, 0]) : int(until)] = 1 if quantity > 0.0 else (-1 if quantity < 0.0 else 0)
            for j in range(int(records[i, 1]), int(after)):
                equity[k, j] = records[i, 2] + (quantity * tape.marks[j] if quantity != 0.0 else 0.0)
        room += made[k, 1]
