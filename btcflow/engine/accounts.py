"""The accounting loop behind the ledger: one column of targets, one clock bar at a time, compiled.

Both the ledger and the daily summary of a sweep run this loop, so they cannot disagree. The rules
are written in :mod:`btcflow.engine.ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from btcflow.engine.execution import refuse_bad_targets
from btcflow.errors import BadRecords, ConfigError

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market

__all__ = [
    "LIQUIDATED",
    "ORDER_COLUMNS",
    "ROW_COLUMNS",
    "SKIPPED",
    "SUM_COLUMNS",
    "Bars",
    "Terms",
    "account",
    "bars_of",
    "checked",
    "max_drawdown",
    "paths",
    "refuse",
    "terms_of",
]

ROW_COLUMNS = ("equity", "quantity", "price_pnl", "funding", "fees", "slippage")
"""What the loop writes for each bar."""
ORDER_COLUMNS = ("row", "size", "fill", "fees", "slippage", "equity", "kind")
"""What the loop writes for each order."""
PLACED, LIQUIDATED, SKIPPED = 0, 1, 2
"""Kinds of order: the strategy's own; the venue's, closing the position; one too small to be placed."""
SUM_COLUMNS = (*("price_pnl", "funding", "fees", "slippage", "turnover", "entries", "held", "liquidations", "skipped"),)
"""What the loop writes for each stretch of bars."""
_BLOCK = 8
_NOTHING = 1e-9
"""A liquidation that would leave less of the position's notional than this leaves nothing: where the
maintenance rate is the liquidation fee, rounding must not decide who is ruined."""


class Bars(NamedTuple):
    """The clock as the loop reads it, (N,) float64 each.

    Prices are *values* of one unit of the position in the currency of settlement: the price of one BTC,
    or ``-1 / price`` for one USD of an inverse contract. In both, profit is quantity times the change in
    value, and notional is quantity times the value's size.
    """

    open: np.ndarray
    close: np.ndarray
    low: np.ndarray
    high: np.ndarray
    volume: np.ndarray
    paid: np.ndarray


class Terms(NamedTuple):
    """The market as the loop reads it: numbers in the currency of settlement, tiers as rate and offset."""

    capital: float
    gross: float
    fee: float
    slippage: float
    impact: float
    smallest: float
    slices: int
    rates: np.ndarray
    offsets: np.ndarray
    penalty: float
    margined: bool
    inverse: bool


def checked(targets: np.ndarray, clock: Clock) -> np.ndarray:
    """Targets as (N, K) float64, once targets, prices and funding have been found sound.

    Raises
    ------
    ContractError
        for a target that is not a number in [-1, 1], or a shape that does not fit the clock
    BadRecords
        for a price that is not positive, or a funding amount that is not a number
    """
    prices = {"open": clock.open, "close": clock.close}
    if clock.instrument.role == "perp":
        prices |= {"lowest price": clock.worst_low, "highest price": clock.worst_high}
    for name, values in prices.items():
        for row in np.flatnonzero(~(np.isfinite(values) & (values > 0)))[:1]:
            raise BadRecords(
                f"{clock.instrument.id}: {name} is {values[row]} at {clock.index[row]} (clock row {row}); expected a "
                "positive price; drop the bar in the source: a missing bar has no row"
            )
    for row in np.flatnonzero(~np.isfinite(clock.funding))[:1]:
        raise BadRecords(
            f"{clock.instrument.id}: funding is {clock.funding[row]} at {clock.index[row]} (clock row {row}); expected "
            "the amount one unit long pays in the bar, 0 where nothing settles"
        )
    return refuse_bad_targets(targets, clock.opens, "clock bar")


def bars_of(clock: Clock) -> Bars:
    """The clock as :func:`account` reads it."""
    prices = [clock.open, clock.close, clock.worst_low, clock.worst_high]
    if clock.instrument.margin == "inverse":
        prices = [-1.0 / values for values in prices]
    columns = (*prices, clock.volume, clock.funding)
    return Bars._make(np.ascontiguousarray(values, dtype=np.float64) for values in columns)


def terms_of(clock: Clock, market: Market) -> Terms:
    """The market as :func:`account` reads it; capital becomes BTC at the first open of an inverse clock."""
    inverse = clock.instrument.margin == "inverse"
    tiers = np.array(market.maintenance, dtype=np.float64)
    steps = tiers[:, 0] * np.diff(tiers[:, 1], prepend=tiers[0, 1])
    return Terms(
        capital=float(market.capital / clock.open[0]) if inverse and len(clock) else float(market.capital),
        gross=float(market.gross),
        fee=float(market.fee),
        slippage=float(market.slippage),
        impact=float(market.impact),
        smallest=float(market.min_notional),
        slices=int(market.twap),
        rates=np.ascontiguousarray(tiers[:, 1]),
        offsets=np.cumsum(steps),
        penalty=float(market.liquidation_fee),
        margined=clock.instrument.role == "perp",
        inverse=inverse,
    )


def refuse(clock: Clock, market: Market, row: int) -> None:
    """Say why the loop stopped at clock bar ``row``; -1 = it did not.

    Raises
    ------
    BadRecords
        where an order needs the volume of a bar that has none
    ConfigError
        where an order is so large that its slippage would be the whole price
    """
    if row < 0:
        return
    volume, where = clock.volume[row], f"{clock.index[row]} (clock row {row})"
    if not (np.isfinite(volume) and volume > 0):
        raise BadRecords(
            f"{clock.instrument.id}: volume is {volume} at {where}, where an order fills; expected a positive number "
            "of BTC, on which market.impact depends; mend the bar in the source, or set market.impact: 0"
        )
    raise ConfigError(
        f"market.impact is {market.impact!r}: the order at {where} would slip by its whole price, against a volume of "
        f"{volume:g} BTC; expected less than 1; lower market.capital, market.leverage or market.impact, or raise "
        "market.twap"
    )


def paths(targets: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each column of (N, K) targets as a contiguous (N,) array, copied a few columns at a time."""
    count, columns = targets.shape
    for first in range(0, columns, _BLOCK):
        block = np.empty((min(_BLOCK, columns - first), count))
        _transpose(targets, first, block)
        yield from enumerate(block, start=first)


@njit(cache=True, nogil=True)
def _transpose(targets, first, block):  # type: ignore[no-untyped-def]
    """Row by row: numpy's own transposed copy reads every cache line once per column."""
    for i in range(block.shape[1]):
        for j in range(block.shape[0]):
            block[j, i] = targets[i, first + j]


@njit(cache=True, nogil=True, error_model="numpy")
def account(targets, bars, terms, bounds, rows, sums, orders):  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0915
    """Account for one column.

    One loop on purpose: a bar costs a few nanoseconds, and split over functions it would cost tens.

    Parameters
    ----------
    targets : (N,) target at each open
    bars, terms : the clock and the market
    bounds : (P + 1,) int64, from 0 to N: the stretches to sum over
    rows : written: (6, N) as ``ROW_COLUMNS``, or (1, N) or wider for the equity alone
    sums : written: (P, 9) as ``SUM_COLUMNS``
    orders : written: (M, 7) as ``ORDER_COLUMNS`` with room for all, or (0, 7)

    Returns
    -------
    used : how many orders there were
    ruined : the bar in which equity ran out, -1 = never
    refused : the bar whose order cannot be filled, -1 = none
    """
    opens, closes, lows, highs, paid = bars.open, bars.close, bars.low, bars.high, bars.paid
    margined, steepest = terms.margined, terms.rates[-1]  # no margin is above the steepest rate on all of it
    equity, quantity, wanted, last = terms.capital, 0.0, 0.0, 0.0  # last: multiplies 0 before the first close
    goal, piece, slices = 0.0, 0.0, 0
    used, ruined = 0, -1
    for part in range(len(bounds) - 1):
        price_sum = funding_sum = fee_sum = slip_sum = turnover = 0.0
        entries = held = liquidations = skipped = 0
        for i in range(bounds[part], bounds[part + 1]):
            charge = slip = 0.0
            moved = quantity * (closes[i] - last) + 0.0  # the -0.0 of a flat bar becomes 0.0
            settled = 0.0 - quantity * paid[i]
            after = equity + (moved + settled)
            quiet = targets[i] == wanted and slices == 0
            if quiet and margined and quantity != 0.0:
                worst = lows[i] if quantity > 0.0 else highs[i]
                enough = equity + quantity * (worst - last) > steepest * abs(quantity * worst)
                quiet = enough and after > 0.0 and equity + quantity * (opens[i] - last) > 0.0
            if not quiet:
                value, gap, settled = opens[i], 0.0, 0.0
                left, exit_value = -1.0, 0.0  # left >= 0: the venue takes the position over, and what it leaves
                ordered = spent = False
                if margined and quantity != 0.0:
                    gap = quantity * (value - last)
                    if equity + gap <= 0.0:
                        left, exit_value = 0.0, last - equity / quantity
                if (targets[i] != wanted or slices > 0) and ruined < 0 and left < 0.0:
                    ordered, gap, before = True, quantity * (value - last), quantity
                    at_fill = equity + gap
                    if targets[i] != wanted:
                        wanted, slices = targets[i], terms.slices
                        goal = wanted * terms.gross * at_fill / abs(value)
                        if at_fill <= 0.0:
                            goal, slices, ruined = 0.0, 1, i
                        piece = (goal - quantity) / slices
                        if _too_small(piece, goal, quantity, value, terms):
                            if len(orders):
                                _write(orders[used], i, piece, value, 0.0, 0.0, at_fill, SKIPPED, terms.inverse)
                            used, skipped, slices = used + 1, skipped + 1, 0
                    if slices > 0:
                        size = goal - quantity if slices == 1 else piece
                        slices -= 1
                        quantity += size  # the sum of the orders, so that orders alone rebuild it exactly
                        if size != 0.0:
                            fill = _fill(size, value, bars.volume[i], terms)
                            if not 0.0 < abs(fill) < np.inf:
                                return used, ruined, i
                            charge, slip = 0.0 - terms.fee * abs(size) * abs(fill), 0.0 - abs(size) * abs(fill - value)
                            if margined and quantity == 0.0 and at_fill + (charge + slip) <= 0.0:
                                spent = True
                                if at_fill + slip < 0.0:
                                    slip, fill = -at_fill, value - at_fill / before
                                charge = 0.0 - (at_fill + slip)
                            if at_fill > 0.0:
                                turnover += abs(size) * abs(fill) / at_fill
                            if len(orders):
                                _write(orders[used], i, size, fill, charge, slip, at_fill, PLACED, terms.inverse)
                            used += 1
                        if quantity != 0.0 and (before == 0.0 or (before > 0.0) != (quantity > 0.0)):
                            entries += 1
                if margined and quantity != 0.0 and left < 0.0:
                    at_open = equity + gap + (charge + slip)
                    worst = lows[i] if quantity > 0.0 else highs[i]
                    if at_open + quantity * (worst - value) <= _margin(quantity, worst, terms):
                        left, exit_value = _stopped(at_open, quantity, value, terms)
                if left < 0.0:
                    moved = gap + quantity * (closes[i] - value) if ordered else quantity * (closes[i] - last)
                    moved += 0.0
                    settled = 0.0 - quantity * paid[i]
                    after = equity + ((moved + settled) + (charge + slip))
                    if spent:
                        after, ruined = 0.0, i
                    elif margined and quantity != 0.0 and after <= 0.0:
                        left, exit_value = 0.0, closes[i] - after / quantity
                if left >= 0.0:
                    moved = left - equity - (charge + slip) - settled
                    notional = abs(quantity * exit_value)
                    penalty = terms.penalty * notional
                    if left - penalty <= _NOTHING * notional:
                        penalty, ruined = left, i
                    if left > 0.0:
                        turnover += notional / left
                    if len(orders):
                        _write(
                            orders[used], i, -quantity, exit_value, 0.0 - penalty, 0.0, left, LIQUIDATED, terms.inverse
                        )
                    used, liquidations, quantity, slices = used + 1, liquidations + 1, 0.0, 0
                    charge -= penalty
                    after = left - penalty
            equity, last = after, closes[i]
            rows[0, i] = equity
            if len(rows) > 1:
                rows[1, i], rows[2, i], rows[3, i], rows[4, i], rows[5, i] = quantity, moved, settled, charge, slip
            price_sum += moved
            funding_sum += settled
            fee_sum += charge
            slip_sum += slip
            if quantity != 0.0:
                held += 1
        total = sums[part]
        total[0], total[1], total[2], total[3] = price_sum, funding_sum, fee_sum, slip_sum
        total[4], total[5], total[6], total[7], total[8] = turnover, entries, held, liquidations, skipped
    return used, ruined, -1


@njit(cache=True, error_model="numpy")
def _write(order, row, size, value, fees, slippage, equity, kind, inverse):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    """One line of the orders; its fill is a price again."""
    order[0], order[1], order[2] = row, size, -1.0 / value if inverse else value
    order[3], order[4], order[5], order[6] = fees, slippage, equity, kind


@njit(cache=True, error_model="numpy")
def _fill(size, value, volume, terms):  # type: ignore[no-untyped-def]
    """The value at which an order fills; 0, infinite or NaN where it cannot."""
    slippage = terms.slippage
    if terms.impact > 0.0:
        traded = abs(size * value) if terms.inverse else abs(size)
        slippage += terms.impact * np.sqrt(traded / volume)
        if not (0.0 < volume < np.inf and slippage < 1.0):
            return np.nan
    factor = 1.0 + slippage if size > 0.0 else 1.0 - slippage
    return value / factor if terms.inverse else value * factor


@njit(cache=True, error_model="numpy")
def _too_small(piece, goal, quantity, value, terms):  # type: ignore[no-untyped-def]
    """Whether the parts of an order that opens, enlarges or reverses a position are too small to be placed."""
    grows = goal != 0.0 and piece != 0.0 and (abs(goal) > abs(quantity) or (goal > 0.0) != (quantity > 0.0))
    return grows and abs(piece if terms.inverse else piece * value) < terms.smallest


@njit(cache=True, error_model="numpy")
def _margin(quantity, value, terms):  # type: ignore[no-untyped-def]
    """The maintenance margin of a position, in the currency of settlement."""
    notional = abs(quantity if terms.inverse else quantity * value)
    need = terms.rates[0] * notional
    for k in range(1, len(terms.rates)):
        need = max(need, terms.rates[k] * notional - terms.offsets[k])
    return need * abs(value) if terms.inverse else need


@njit(cache=True, error_model="numpy")
def _stopped(equity, quantity, value, terms):  # type: ignore[no-untyped-def]
    """What a liquidation leaves before its fee, and the value at which it fills.

    With ``bankrupt`` the value at which no equity is left, and ``n`` the USD of an inverse position, margin
    and equity meet at ``(bankrupt - c / quantity) / (1 - side * rate)``, the nearest over all tiers, or at
    ``bankrupt / (1 + margin in USD / quantity)``.
    """
    bankrupt = value - equity / quantity
    if equity <= 0.0:
        return 0.0, bankrupt
    if equity <= _margin(quantity, value, terms):
        return equity, value
    if terms.inverse:
        stop = bankrupt / (1.0 + _margin(quantity, 1.0, terms) / quantity)
        return _margin(quantity, stop, terms), stop
    side = 1.0 if quantity > 0.0 else -1.0
    stop = bankrupt / (1.0 - side * terms.rates[0])
    for k in range(1, len(terms.rates)):
        other = (bankrupt - terms.offsets[k] / quantity) / (1.0 - side * terms.rates[k])
        stop = max(stop, other) if quantity > 0.0 else min(stop, other)
    return _margin(quantity, stop, terms), stop


@njit(cache=True, nogil=True, error_model="numpy")
def max_drawdown(equity, before):  # type: ignore[no-untyped-def]
    """Most negative equity / earlier peak - 1 over (N,) equities, the one ``before`` them included; NaN if <= 0."""
    if not before > 0.0:
        return np.nan
    peak, valley, worst = before, before, 1.0
    for i in range(len(equity)):
        if equity[i] > peak:
            worst = min(worst, valley / peak)
            peak = valley = equity[i]
        valley = min(valley, equity[i])
    return min(worst, valley / peak) - 1.0
