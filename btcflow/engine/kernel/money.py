"""The money of one parameter set: from its orders to sums per piece, midnight equities and trades.

The rules are those of :mod:`btcflow.engine.ledger`, ruin included.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["RAW", "settle_sets"]

PADDING = 3
"""Midnights are marked by fours, the last of them past the end."""
OPEN, OPEN_VALUE, PER_OPEN, CLOSE_BEFORE, VALUE_BEFORE, PAID, ROW, MARK = range(8)
"""Columns of ``Tape.cells``: one cache line holds what an order at a cell's open needs."""

PIECE = (
    *("start", "end", "high", "low", "worst"),
    *("price", "funding", "fees", "slippage", "turnover", "entries", "held", "wins", "gains", "pains", "hold_ns"),
)
"""What is kept of each piece. ``worst`` is the lowest equity / earlier peak, the start included; the last
four are of the trades that begin and end in the piece: those with a positive net, the sums of positive
and of negative nets, and of their lengths."""
TRADE = ("entry", "exit", "quantity", "entry_cost", "net")
"""What is kept of each trade that outlives its piece: cells of entry and exit (C = open), signed BTC,
quote currency."""

STRETCH = ("first", "base", "quantity")
"""What is kept of each stretch between orders: its first cell, and its equity as base + quantity * value."""


RAW = (
    *("start", "end", "worst", "price", "funding", "fees", "slippage", "turnover", "entries", "held"),
    *("wins", "gains", "pains", "hold_ns"),
    *("returns", "mean", "squares", "losses", "spread", "daily_depth"),
)
"""What is known of each segment before it is made annual.

``worst``: lowest equity / earlier peak. ``returns`` daily returns with their ``mean``, sum of squared
deviations, sum of squared negative ones and range. ``wins`` trades with a positive net, ``gains`` and
``pains`` the sums of positive and of negative nets, ``hold_ns`` the sum of their lengths.
"""


@intrinsic
def _leading_zeros(typing_context, word):  # type: ignore[no-untyped-def]
    """How many bits stand above the highest set bit of a word that is not 0."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, 0))

    return types.uint64(types.uint64), build


@njit(cache=True, nogil=True)
def _highest_bit(number):  # type: ignore[no-untyped-def]
    """The largest k with 2 ** k <= ``number``, which is 1 or more."""
    return 63 - np.int64(_leading_zeros(np.uint64(number)))


@njit(cache=True, nogil=True, error_model="numpy")
def settle_sets(counts, cells, wanted, tape, costs, full, out, state):  # type: ignore[no-untyped-def]
    """Settle set after set.

    Parameters
    ----------
    counts, cells, wanted : the orders, as :func:`btcflow.engine.kernel.walk.walk_sets` writes them
    tape : the clock
    costs : capital, gross exposure, fee, slippage
    full : with the drawdown of daily equity
    out : (K, S, 20) written, as ``RAW``
    state : (K,) written: 0; 1 where equity was not positive at a close; 2 where a fill found none and
        closed the position for good (the ledger's ``ruined``)
    """
    longest, parts = counts.max() if len(counts) else 0, len(tape.pieces) - 1
    marks, returns = np.empty(len(tape.marks)), np.zeros(len(tape.marks) - PADDING)
    pieces, trades = np.empty((parts, len(PIECE))), np.empty((parts, len(TRADE)))
    stretches, used = np.empty((longest + 1, len(STRETCH))), 0
    for k in range(len(counts)):
        own, positions = cells[used : used + counts[k]], wanted[used : used + counts[k]]
        used += counts[k]
        kept, made, state[k] = _settle_orders(own, positions, tape, costs, marks, pieces, trades, stretches)
        _segment_numbers(tape, marks[:-PADDING], returns, pieces, trades[:kept], full, out[k])
        if state[k] > 0:
            for s in range(len(tape.segments)):
                first, last = tape.segments[s, 2], tape.segments[s, 3]
                out[k, s, 2] = _deepest(tape, stretches[:made], first, last, out[k, s, 0])


@njit(cache=True, nogil=True, error_model="numpy")
def _settle_orders(cells, wanted, tape, costs, marks, pieces, trades, stretches):  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0915
    """Settle the orders of one set.

    One loop on purpose, as the ledger's: a trade costs tens of nanoseconds, and split over functions
    that are handed a dozen arrays it would cost twice that.

    Parameters
    ----------
    cells, wanted : (count,) orders
    tape : the clock
    costs : capital, gross exposure, fee, slippage
    marks : (D + PADDING,) written: equity at each midnight, then padding
    pieces : (P, 16) written, as ``PIECE``
    trades : (P, 5) written, as ``TRADE``
    stretches : (count + 1, 3) or longer, written, as ``STRETCH``

    Returns
    -------
    kept : how many trades were written
    made : how many stretches were written
    state : 0; 1 where equity was not positive at a close, and drawdowns need :func:`_deepest`; 2 where a fill
        found none and closed the position for good (the ledger's ``ruined``)
    """
    capital, gross, fee, slippage = costs
    count = len(cells)
    line, end = tape.cells, len(tape.cells) - 1
    base, quantity, kept, state = capital, 0.0, 0, 0
    piece, start, high, low, worst = 0, capital, capital, capital, 1.0
    price = funding = fees = slips = turnover = gains = pains = hold = 0.0
    entries = held = wins = 0
    at, last_price, entry_cost = 0, 0.0, 0.0
    entry, entry_piece = 0, 0
    piece_end = tape.pieces[1]
    marks[: int(line[0, MARK])] = capital
    i = 0
    while True:
        stop = cells[i] if i < count else end
        stretches[i, 0], stretches[i, 1], stretches[i, 2] = at, base, quantity
        while at < stop:
            until = min(stop, piece_end)
            bottom = top = base
            if quantity != 0.0:
                level = _highest_bit(until - at)
                if level < len(tape.spans):
                    head, tail = tape.spans[level, at], tape.spans[level, until - (1 << level)]
                    one = base + quantity * min(head[0], tail[0])
                    two = base + quantity * max(head[1], tail[1])
                else:
                    one, two = _long_span(tape.spans, at, until, base, quantity)
                bottom, top = min(one, two), max(one, two)
                price += quantity * (line[until, CLOSE_BEFORE] - last_price)
                funding -= quantity * (line[until, PAID] - line[at, PAID])
                held += line[until, ROW] - line[at, ROW]
                last_price = line[until, CLOSE_BEFORE]
            # By fours: what is written too far is overwritten by the next stretch, or is padding.
            j, last_mark = np.uint64(line[at, MARK]), np.uint64(line[until, MARK])
            while j < last_mark:
                a, b = tape.marks[j], tape.marks[j + np.uint64(1)]
                c, d = tape.marks[j + np.uint64(2)], tape.marks[j + np.uint64(3)]
                marks[j], marks[j + np.uint64(1)] = base + quantity * a, base + quantity * b
                marks[j + np.uint64(2)], marks[j + np.uint64(3)] = base + quantity * c, base + quantity * d
                j += np.uint64(4)
            if not bottom > 0.0:
                state = max(state, 1)
            if bottom < worst * max(high, top):
                inside = top > high
                worst = _inside(tape, at, until, base, quantity, high, worst)[1] if inside else bottom / high
            high, low = max(high, top), min(low, bottom)
            at = until
            if at == piece_end:
                row = pieces[piece]
                row[0], row[1], row[2], row[3], row[4] = start, base, high, low, worst
                if quantity != 0.0:
                    row[1] = base + quantity * line[at, VALUE_BEFORE]
                row[5], row[6], row[7], row[8] = price, funding, fees, slips
                row[9], row[10], row[11] = turnover, entries, held
                row[12], row[13], row[14], row[15] = wins, gains, pains, hold
                if quantity != 0.0 and entry_piece == piece:
                    trade = trades[kept]
                    trade[0], trade[1], trade[2], trade[3], trade[4] = entry, end, quantity, entry_cost, np.nan
                    kept += 1
                start = high = low = row[1]
                worst = 1.0
                price = funding = fees = slips = turnover = gains = pains = hold = 0.0
                entries = held = wins = 0
                piece += 1
                piece_end = tape.pieces[piece + 1] if piece + 1 < len(tape.pieces) else end
        i += 1
        if i > count:
            break
        value, opened = line[at, OPEN_VALUE], line[at, OPEN]
        at_fill = base + quantity * value
        target = wanted[i - 1] * gross * at_fill * line[at, PER_OPEN]
        if not at_fill > 0.0:
            target, count, state = 0.0, i, 2
        fill = opened * (1.0 + slippage) if target > quantity else opened * (1.0 - slippage)
        charge, slip = fee * fill, abs(fill - opened)
        size = abs(quantity) + abs(target)
        if quantity != 0.0:
            price += quantity * (opened - last_price)
            net = quantity * (value - line[entry, OPEN_VALUE]) - (entry_cost + abs(quantity) * (charge + slip))
            if entry_piece == piece:
                wins += net > 0.0
                gains += max(net, 0.0)
                pains += min(net, 0.0)
                hold += tape.begins[at] - tape.begins[entry]
            else:
                trades[kept - 1, 1], trades[kept - 1, 4] = at, net
        fees -= charge * size
        slips -= slip * size
        turnover += size * fill / at_fill if at_fill > 0.0 else 0.0
        base = at_fill - (charge + slip) * size
        quantity, last_price = target, opened
        if target != 0.0:
            entries += 1
            entry, entry_piece, entry_cost = at, piece, abs(target) * (charge + slip)
            base -= target * value
    return kept, i, state


@njit(cache=True, nogil=True, error_model="numpy")
def _long_span(spans, first, last, base, quantity):  # type: ignore[no-untyped-def]
    """Equity at the lowest and at the highest value of the cells [first, last), more than the widest table holds."""
    level = len(spans) - 1
    size, least, most = 1 << level, np.inf, -np.inf
    for at in range(first, last, size):
        begin = min(at, last - size)
        least, most = min(least, spans[level, begin, 0]), max(most, spans[level, begin, 1])
    return base + quantity * least, base + quantity * most


@njit(cache=True, nogil=True, error_model="numpy")
def _deepest(tape, stretches, first, last, start):  # type: ignore[no-untyped-def]
    """The lowest equity / earlier peak over the cells [first, last), the equity ``start`` before them included.

    For any equity, negative too; NaN where the start is not positive.
    """
    if not start > 0.0:
        return np.nan
    peak, worst = start, 1.0
    for i in range(len(stretches)):
        stop = int(stretches[i + 1, 0]) if i + 1 < len(stretches) else len(tape.begins)
        begin, end = max(int(stretches[i, 0]), first), min(stop, last)
        if begin < end:
            peak, worst = _inside(tape, begin, end, stretches[i, 1], stretches[i, 2], peak, worst)
    return worst


@njit(cache=True, nogil=True, error_model="numpy")
def _inside(tape, first, last, base, quantity, peak, worst):  # type: ignore[no-untyped-def]
    """Peak and lowest equity / earlier peak after the cells [first, last); what cannot lower it is skipped."""
    at = first
    while at < last:
        size = 0
        for level in (9, 6, 3, 0):
            if level >= len(tape.spans) or at + (1 << level) > last:
                continue
            one, two = base + quantity * tape.spans[level, at, 0], base + quantity * tape.spans[level, at, 1]
            bottom, top = min(one, two), max(one, two)
            if top <= peak:
                size, worst = 1 << level, min(worst, bottom / peak)
                break
            if bottom > 0.0 and bottom >= worst * top:
                size, peak = 1 << level, top
                break
        if size == 0:
            for row in range(int(tape.cells[at, ROW]), int(tape.cells[at + 1, ROW])):
                equity = base + quantity * tape.values[row]
                peak = max(peak, equity)
                worst = min(worst, equity / peak)
            size = 1
        at += size
    return peak, worst


@njit(cache=True, nogil=True, error_model="numpy")
def _segment_numbers(tape, marks, returns, pieces, trades, full, out):  # type: ignore[no-untyped-def]
    """Write the raw numbers of one set; ``returns`` (D,) is scratch, ``out`` (S, 20) as ``RAW``."""
    now, before, change = marks[1:], marks[:-1], returns[1:]
    for j in range(len(now)):
        change[j] = now[j] / (before[j] if before[j] > 0.0 else np.nan) - 1.0
    for s in range(len(tape.segments)):
        segment, row = tape.segments[s], out[s]
        row[:] = np.nan
        _merge(pieces[segment[0] : segment[1]], row)
        _add_trades(tape, trades, segment[2], segment[3], row)
        _daily_moments(returns[min(segment[4] + 1, segment[5]) : segment[5]], row)
        if full and segment[5] > segment[4]:
            row[19] = _daily_depth(marks[segment[4] : segment[5]])


@njit(cache=True, nogil=True, error_model="numpy")
def _merge(pieces, row):  # type: ignore[no-untyped-def]
    """Join neighbouring pieces: sums add, the drawdown composes through the running peak."""
    row[0], row[1] = pieces[0, 0], pieces[-1, 1]
    row[3:14] = 0.0
    peak, worst = pieces[0, 0], 1.0
    for p in range(len(pieces)):
        one = pieces[p]
        worst = min(worst, one[4], one[3] / peak)
        peak = max(peak, one[2])
        for column in range(11):
            row[3 + column] += one[5 + column]
    row[2] = worst


@njit(cache=True, nogil=True, error_model="numpy")
def _add_trades(tape, trades, first, last, row):  # type: ignore[no-untyped-def]
    """Add the trades that outlive their piece to the cells [first, last) they were entered in.

    One still open at the end is valued at the last close, without exit costs.
    """
    for i in range(len(trades)):
        entry, leave = int(trades[i, 0]), int(trades[i, 1])
        if entry < first or entry >= last:
            continue
        net, until = trades[i, 4], tape.ends[last - 1]
        if leave >= last:
            change = tape.cells[last, VALUE_BEFORE] - tape.cells[entry, OPEN_VALUE]
            net = trades[i, 2] * change - trades[i, 3]
        else:
            until = tape.begins[leave]
        row[10] += net > 0.0
        row[11] += max(net, 0.0)
        row[12] += min(net, 0.0)
        row[13] += until - tape.begins[entry]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _daily_moments(returns, row):  # type: ignore[no-untyped-def]
    """Mean, sum of squared deviations, sum of squared losses and range of daily returns (D,), in two passes."""
    total = loss = square = 0.0
    for j in range(len(returns)):
        total += returns[j]
    mean = total / len(returns) if len(returns) else np.nan
    for j in range(len(returns)):
        away = returns[j] - mean
        below = returns[j] if returns[j] < 0.0 else 0.0
        square += away * away
        loss += below * below
    row[14], row[15], row[16], row[17] = len(returns), mean, square, loss
    row[18] = np.inf
    if not square > 1e-20 * len(returns):  # the range matters where returns differ by rounding only
        row[18] = returns.max() - returns.min() if len(returns) else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _daily_depth(marks):  # type: ignore[no-untyped-def]
    """Most negative equity / earlier peak - 1 over (D,) equities; NaN where the first is not positive."""
    peak, worst = marks[0], 1.0
    if not peak > 0.0:
        return np.nan
    for first in range(0, len(marks), 32):
        block = marks[first : first + 32]
        low, high = _low_high(block)
        if high <= peak:
            worst = min(worst, low / peak)
        elif not (low > 0.0 and low >= worst * high):
            for equity in block:
                peak = max(peak, equity)
                worst = min(worst, equity / peak)
        peak = max(peak, high)
    return worst - 1.0


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc"})
def _low_high(values):  # type: ignore[no-untyped-def]
    low, high = values[0], values[0]
    for value in values:
        low = value if value < low else low
        high = value if value > high else high
    return low, high
