"""The money of one parameter set: from its orders to sums per piece, daily returns and trades.

The rules are those of :mod:`btcflow.engine.ledger`, ruin included. While one position is held, equity is
``|quantity| * (kappa + side * value)``, and all that is scale-free in that depends on the cells where it
begins and ends, on its side and on kappa alone. Sets share such *spans*: they are kept in ``memo`` and
looked up. What is looked up is what would be computed, so a set alone gives the same bits.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

__all__ = ["PIECE", "RECORD", "RUINED", "SPAN", "TRADE", "settle_sets"]

OPEN, OPEN_VALUE, BEGIN, CLOSE_BEFORE, VALUE_BEFORE, PAID, ROW, MARK = range(8)
"""Columns of ``Tape.cells``: one cache line holds what an order at a cell's open needs."""
BAR_OPEN, BAR_LOW, BAR_HIGH, BAR_PAID, BAR_TIME = range(5)
"""Columns of ``Tape.bars``."""
BLOCK = 5
"""A block, of ``Tape.blocks``, is 2 ** 5 cells."""
SOLVENT, UNDER, RUINED = range(3)
"""States of a set: never without equity; equity was not positive at a close; it ran out, and trading ended."""

PIECE = (
    *("start", "end", "high", "low", "worst"),
    *("price", "funding", "fees", "slippage", "turnover", "entries", "held", "wins", "gains", "pains", "hold_ns"),
    *("liquidations", "first", "last", "returns", "squares", "cubes", "fourths", "losses", "record"),
)
"""What is kept of each piece. ``worst`` is the lowest equity / earlier peak, the start included. ``wins`` to
``hold_ns`` are of the trades that begin and end in the piece: those with a positive net, the sums of
positive and of negative nets, and of their lengths. ``first`` and ``last`` are the equities at its midnights,
NaN where it has none, then the sums of the powers of the returns between them, and of the squares of the
negative ones. ``record`` is the first of its records."""
TRADE = ("entry", "exit", "quantity", "entry_cost", "net", "until")
"""What is kept of each trade that outlives its piece: cells of entry and exit (C = open), signed BTC,
quote currency, and the time of its exit."""
RECORD = ("row", "mark", "base", "quantity", "low", "high")
"""What is kept of each stretch between orders, pieces and liquidations: its first clock row and midnight, its
equity as base + quantity * value, and the lowest and highest equity at its midnights, if it has any."""

_KEY, _KAPPA, _LOW, _HIGH, _INNER, _MARGIN, _FIRST, _LAST, _S1, _S2, _S3, _S4, _LOSS, _MARK_LOW, _MARK_HIGH = range(15)
SPAN = 16
"""Columns of the memo, all in units of |quantity|: which span; equity's low and high at the closes; the lowest
close / earlier high inside it, NaN until somebody needs it; what is left over the margin at its worst; the
first and last midnight and the powers of the returns between, as in ``PIECE``; low and high at midnights."""
_AHEAD = 8
"""So many orders ahead, what they need is fetched."""


@intrinsic
def _leading_zeros(typing_context, word):  # type: ignore[no-untyped-def]
    """How many bits stand above the highest set bit of a word that is not 0."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, 0))

    return types.uint64(types.uint64), build


@intrinsic
def _fetch(typing_context, table, at):  # type: ignore[no-untyped-def]
    """Have the machine bring an element of a contiguous array near: orders to come are known, the cache is small."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(table, types.int64), build


@njit(cache=True, nogil=True)
def _highest_bit(number):  # type: ignore[no-untyped-def]
    """The largest k with 2 ** k <= ``number``, which is 1 or more."""
    return 63 - np.int64(_leading_zeros(np.uint64(number)))


@njit(cache=True, nogil=True, error_model="numpy")
def settle_sets(counts, cells, wanted, tape, costs, memo, pieces, trades, records, made):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    """Settle set after set.

    Parameters
    ----------
    counts, cells, wanted : the orders, as :func:`btcflow.engine.kernel.walk.walk_sets` writes them
    tape : the clock
    costs : capital, gross exposure, fee, slippage, liquidation fee; rates and offsets of the margin tiers
    memo : (2 ** b, 16) read and written, as ``SPAN``; zeros in the beginning
    pieces, trades : (K, P, 25), (K, P, 6) written, as ``PIECE`` and ``TRADE``
    records : written, as ``RECORD``, one set behind the other; room for three per order and one per piece
    made : (K, 3) written: how many trades and records there are, and the state
    """
    used = room = 0
    for k in range(len(counts)):
        own, positions = cells[used : used + counts[k]], wanted[used : used + counts[k]]
        used += counts[k]
        kept, count, state = _settle_orders(own, positions, tape, costs, memo, pieces[k], trades[k], records[room:])
        made[k, 0], made[k, 1], made[k, 2] = kept, count, state
        room += count


@njit(cache=True, nogil=True, error_model="numpy")
def _settle_orders(cells, wanted, tape, costs, memo, pieces, trades, records):  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0915
    """Settle the orders of one set; returns how many trades and records were written, and the state.

    One loop on purpose, as the ledger's: a trade costs tens of nanoseconds, and split over functions
    that are handed a dozen arrays it would cost twice that.
    """
    capital, gross, fee, slippage, penalty_rate = costs[:5]
    count, per_gross, mask = len(cells), 1.0 / gross, np.uint64(len(memo) - 1)
    line, spans, blocks, marks = tape.cells, tape.spans, tape.blocks, tape.marks
    bounds, end, margined = tape.pieces, len(tape.cells) - 1, tape.margined
    base, quantity, size, side, kappa = capital, 0.0, 0.0, 0.0, 0.0
    kept, made, state, piece, record = 0, 0, SOLVENT, 0, 0
    start, high, low, worst = capital, capital, capital, 1.0
    price = funding = fees = slips = turnover = gains = pains = hold = 0.0
    entries = held = wins = liquidations = 0.0
    first = last = np.nan
    s1 = s2 = s3 = s4 = losses = 0.0
    at, last_price, entry_cost = 0, 0.0, 0.0
    entry, entry_piece, piece_end, i = -1, 0, bounds[1], 0
    while True:
        goal_stop = cells[i] if i < count else end
        if mask == 0 and i + _AHEAD + 1 < count:
            soon, then = cells[i + _AHEAD], cells[i + _AHEAD + 1]
            depth = _highest_bit(then - soon)
            _fetch(line, soon * 8)
            if wanted[i + _AHEAD] != 0:
                _fetch(spans, 2 * (depth * end + soon))
                _fetch(spans, 2 * (depth * end + then - (1 << depth)))
        stop = goal_stop
        while at < goal_stop:
            until, row, hit = min(stop, piece_end), np.uint64(0), -1
            marked = line[until, MARK] > line[at, MARK]
            bottom = top = mark_first = mark_last = mark_low = mark_high = base
            if quantity != 0.0:
                key = side * (at * 67108864.0 + until)
                word = np.float64(kappa).view(np.uint64) ^ ((np.uint64(at) << np.uint64(32)) | np.uint64(until))
                row = ((word * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & mask
                if memo[row, _KEY] != key or memo[row, _KAPPA] != kappa:
                    memo[row, _KEY], memo[row, _KAPPA], memo[row, _INNER] = key, kappa, np.nan
                    level = _highest_bit(until - at)
                    other = until - (1 << level)
                    less = min(spans[level, at, 0], spans[level, other, 0])
                    more = max(spans[level, at, 1], spans[level, other, 1])
                    memo[row, _LOW] = kappa + (less if side > 0.0 else -more)
                    memo[row, _HIGH] = kappa + (more if side > 0.0 else -less)
                    block, other = at >> BLOCK, ((until - 1) >> BLOCK) + 1
                    level = _highest_bit(other - block)
                    other -= 1 << level
                    least = min(blocks[level, block, 0], blocks[level, other, 0])
                    most = max(blocks[level, block, 1], blocks[level, other, 1])
                    if not kappa + (least if side > 0.0 else -most) > 0.0:  # blocks hold more than these cells
                        least, most = tape.limits[at:until, 0].min(), tape.limits[at:until, 1].max()
                    memo[row, _MARGIN] = kappa + (least if side > 0.0 else -most)
                    if marked:
                        j, stop_mark = int(line[at, MARK]), int(line[until, MARK])
                        less = more = before = kappa + side * marks[j]
                        one = two = three = four = loss = 0.0
                        memo[row, _FIRST] = before
                        for k in range(j + 1, stop_mark):
                            now = kappa + side * marks[k]
                            one, two, three, four, loss = _add_return(now, before, one, two, three, four, loss)
                            less, more, before = min(less, now), max(more, now), now
                        memo[row, _LAST], memo[row, _MARK_LOW], memo[row, _MARK_HIGH] = before, less, more
                        memo[row, _S1], memo[row, _S2], memo[row, _S3], memo[row, _S4] = one, two, three, four
                        memo[row, _LOSS] = loss
                if not memo[row, _MARGIN] > 0.0:
                    hit, bar, exit_price, paid, left = _stopped(tape, costs, at, until, entry, size, side, kappa)
                    if hit > at:
                        stop = hit
                        continue
            if hit >= 0:
                charge = penalty_rate * size * exit_price
                if left - charge <= 1e-9 * size * exit_price:
                    charge, state, count, goal_stop = left, RUINED, i, end
                turnover += size * exit_price / left if left > 0.0 else 0.0
                price += quantity * (exit_price - last_price)
                funding -= quantity * (paid - line[at, PAID])
                fees, held, liquidations = fees - charge, held + (bar - line[at, ROW]), liquidations + 1.0
                net = quantity * (exit_price - paid - line[entry, OPEN_VALUE]) - entry_cost - charge
                if entry_piece == piece:
                    wins += 1.0 if net > 0.0 else 0.0
                    gains, pains = gains + max(net, 0.0), pains + min(net, 0.0)
                    hold += tape.bars[bar, BAR_TIME] - line[entry, BEGIN]
                else:
                    trades[kept - 1, 1], trades[kept - 1, 4], trades[kept - 1, 5] = at, net, tape.bars[bar, BAR_TIME]
                base, until, mark = left - charge, at + 1, line[at, MARK]
                less, more = np.inf, -np.inf
                for r in range(int(line[at, ROW]), bar + 1):
                    now = size * (kappa + side * tape.values[r]) if r < bar else base
                    worst, high, low = min(worst, now / high), max(high, now), min(low, now)
                for k in range(int(line[at, MARK]), int(line[until, MARK])):
                    now = base
                    if tape.mark_rows[k] < bar:
                        now = size * (kappa + side * marks[k])
                        less, more, mark = min(less, now), max(more, now), k + 1.0
                    if np.isnan(first):
                        first = now
                    else:
                        s1, s2, s3, s4, losses = _add_return(now, last, s1, s2, s3, s4, losses)
                    last = now
                _six(records, made, line[at, ROW], line[at, MARK], size * kappa, quantity, less, more)
                _six(records, made + 1, bar, mark, base, 0.0, base, base)
                made += 2
                quantity = size = side = 0.0
            else:
                origin = base
                if quantity != 0.0:
                    bottom, top, origin = size * memo[row, _LOW], size * memo[row, _HIGH], size * kappa
                    funding -= quantity * (line[until, PAID] - line[at, PAID])
                    held += line[until, ROW] - line[at, ROW]
                    if marked:
                        mark_first, mark_last = size * memo[row, _FIRST], size * memo[row, _LAST]
                        mark_low, mark_high = size * memo[row, _MARK_LOW], size * memo[row, _MARK_HIGH]
                        s1, s2, s3 = s1 + memo[row, _S1], s2 + memo[row, _S2], s3 + memo[row, _S3]
                        s4, losses = s4 + memo[row, _S4], losses + memo[row, _LOSS]
                _six(records, made, line[at, ROW], line[at, MARK], origin, quantity, mark_low, mark_high)
                made += 1
                if marked:
                    if not base > 0.0 and quantity == 0.0 and line[until, MARK] > line[at, MARK] + 1.0:
                        s1 = np.nan  # a return on nothing
                    if np.isnan(first):
                        first = mark_first
                    else:
                        s1, s2, s3, s4, losses = _add_return(mark_first, last, s1, s2, s3, s4, losses)
                    last = mark_last
                if bottom < worst * max(high, top):
                    if top > high:
                        if memo[row, _INNER] != memo[row, _INNER]:
                            memo[row, _INNER] = _inside(tape, at, until, kappa, side, memo[row, _LOW])
                        worst = min(worst, memo[row, _INNER])
                    worst = min(worst, bottom / high)
                if not bottom > 0.0:
                    state = max(state, UNDER)
                high, low = max(high, top), min(low, bottom)
            at = until
            if at == stop:
                stop = goal_stop
            if at == piece_end:
                closing = base
                if quantity != 0.0:
                    closing = size * (kappa + side * line[at, VALUE_BEFORE])
                    price += quantity * (line[at, CLOSE_BEFORE] - last_price)
                    last_price = line[at, CLOSE_BEFORE]
                    if entry_piece == piece:
                        _six(trades, kept, entry, end, quantity, entry_cost, np.nan, np.nan)
                        kept += 1
                own = pieces[piece : piece + 1]
                _six(own, 0, start, closing, high, low, worst, price)
                _six(own[:, 6:], 0, funding, fees, slips, turnover, entries, held)
                _six(own[:, 12:], 0, wins, gains, pains, hold, liquidations, first)
                _six(own[:, 18:], 0, last, s1, s2, s3, s4, losses)
                own[0, 24] = record
                start = high = low = closing
                worst, first, last, record = 1.0, np.nan, np.nan, made
                price = funding = fees = slips = turnover = gains = pains = hold = 0.0
                entries = held = wins = liquidations = 0.0
                s1 = s2 = s3 = s4 = losses = 0.0
                piece += 1
                piece_end = bounds[piece + 1] if piece + 1 < len(bounds) else end
        i += 1
        if i > count:
            break
        value, opened, goal = line[at, OPEN_VALUE], line[at, OPEN], float(wanted[i - 1])
        at_fill, unit = base, 0.0
        if quantity != 0.0:
            unit = kappa + side * value
            at_fill = size * unit
        target, taken = at_fill * (gross * (1.0 / opened)), False
        if not at_fill > 0.0:
            goal, count, state, taken = 0.0, i, RUINED, margined
        if goal == 0.0:
            target = 0.0
        buys = goal > side  # the position moves by whole steps: up means a purchase
        fill = opened * (1.0 + slippage) if buys else opened * (1.0 - slippage)
        charge, slip = fee * fill, abs(fill - opened)
        each, traded = charge + slip, size + target
        charge, slip = charge * traded, slip * traded
        if taken:  # the open leaves nothing: the venue takes the position over where its equity is 0
            liquidations += 1.0
            value, charge, slip, at_fill, traded = -side * kappa, 0.0, 0.0, 0.0, 0.0
        elif margined and goal == 0.0 and at_fill <= charge + slip:  # what it costs beyond that is not collected
            fill = max(fill, opened - side * unit) if side > 0.0 else min(fill, opened - side * unit)
            count, state, slip = i, RUINED, min(slip, at_fill)
            charge = at_fill - slip
        kappa = opened * per_gross - each - goal * value
        if quantity != 0.0:
            price += quantity * (value + line[at, PAID] - last_price)
            net = quantity * (value - line[entry, OPEN_VALUE]) - entry_cost
            if goal == 0.0:
                net -= charge + slip
            else:  # in units that know no scale, so that all sets with these two trades share the span
                net -= size * each
                kappa -= each * (opened * per_gross / unit)
            if entry_piece == piece:
                wins += 1.0 if net > 0.0 else 0.0
                gains, pains = gains + max(net, 0.0), pains + min(net, 0.0)
                hold += line[at, BEGIN] - line[entry, BEGIN]
            else:
                trades[kept - 1, 1], trades[kept - 1, 4], trades[kept - 1, 5] = at, net, line[at, BEGIN]
        fees -= charge
        slips -= slip
        turnover += traded * fill / at_fill if at_fill > 0.0 else 0.0
        base = 0.0 if state == RUINED and margined else at_fill - (charge + slip)
        quantity, size, side, last_price = goal * target, target, goal, opened
        if goal != 0.0:
            entries += 1.0
            entry, entry_piece, entry_cost = at, piece, target * each
    return kept, made, state


@njit(inline="always")
def _add_return(now, before, one, two, three, four, loss):  # type: ignore[no-untyped-def]
    """Add one return to the sums of the powers; a return on nothing is NaN."""
    change = now / (before if before > 0.0 else np.nan) - 1.0
    square = change * change
    loss += square if change < 0.0 else 0.0
    return one + change, two + square, three + square * change, four + square * square, loss


@njit(inline="always")
def _six(table, row, one, two, three, four, five, six):  # type: ignore[no-untyped-def]
    """Write the first six columns of a row."""
    table[row, 0], table[row, 1], table[row, 2] = one, two, three
    table[row, 3], table[row, 4], table[row, 5] = four, five, six


@njit(cache=True, nogil=True, error_model="numpy")
def _stopped(tape, costs, first, last, entry, size, side, kappa):  # type: ignore[no-untyped-def]
    """Where the venue closes a position held over the cells [first, last), as the ledger says.

    Returns
    -------
    cell (-1: nowhere) and clock row, the price, what one BTC long has paid by then, and the equity left
    """
    rates, offsets = costs[5], costs[6]
    for cell in range(first, last):
        if (kappa + tape.limits[cell, 0] if side > 0.0 else kappa - tape.limits[cell, 1]) > 0.0:
            continue
        begin = int(tape.cells[cell, ROW])
        for bar in range(begin, int(tape.cells[cell + 1, ROW])):
            paid, opened = tape.bars[bar, BAR_PAID], tape.bars[bar, BAR_OPEN]
            worst = tape.bars[bar, BAR_LOW] if side > 0.0 else tape.bars[bar, BAR_HIGH]
            bankrupt, equity = paid - side * kappa, size * (kappa + side * (opened - paid))
            if equity <= 0.0 and not (cell == entry and bar == begin):
                return cell, bar, bankrupt, paid, 0.0
            if size * (kappa + side * (worst - paid)) <= _needed(size * worst, rates, offsets):
                if equity <= 0.0:
                    return cell, bar, bankrupt, paid, 0.0
                if equity <= _needed(size * opened, rates, offsets):
                    return cell, bar, opened, paid, equity
                price = bankrupt / (1.0 - side * rates[0])
                for k in range(1, len(rates)):
                    other = (bankrupt - side * offsets[k] / size) / (1.0 - side * rates[k])
                    price = max(price, other) if side > 0.0 else min(price, other)
                return cell, bar, price, paid, _needed(size * price, rates, offsets)
            if size * (kappa + side * tape.values[bar]) <= 0.0:
                paid = tape.bars[bar + 1, BAR_PAID]
                return cell, bar, paid - side * kappa, paid, 0.0
    return -1, -1, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _needed(notional, rates, offsets):  # type: ignore[no-untyped-def]
    """The maintenance margin of a position."""
    most = rates[0] * notional
    for k in range(1, len(rates)):
        most = max(most, rates[k] * notional - offsets[k])
    return most


@njit(cache=True, nogil=True, error_model="numpy")
def _inside(tape, first, last, kappa, side, peak):  # type: ignore[no-untyped-def]
    """The lowest equity / earlier peak in the cells [first, last); ``peak`` is positive, and below all equity there."""
    worst, at, level = 1.0, first, 0
    while at < last:
        one, two = kappa + side * tape.spans[level, at, 0], kappa + side * tape.spans[level, at, 1]
        bottom, top = min(one, two), max(one, two)
        if top <= peak or bottom >= worst * top:  # the order of its closes does not matter
            worst, peak = min(worst, bottom / peak if top <= peak else worst), max(peak, top)
            at += 1 << level
            level = min(level + 1, _highest_bit(last - at)) if at < last else 0
        elif level > 0:
            level -= 1
        else:
            for row in range(int(tape.cells[at, ROW]), int(tape.cells[at + 1, ROW])):
                equity = kappa + side * tape.values[row]
                peak = max(peak, equity)
                worst = min(worst, equity / peak)
            at += 1
    return worst
