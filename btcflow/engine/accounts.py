"""The accounting loop behind the ledger: one column of targets, one clock bar at a time, compiled.

Both the ledger and the daily summary of a sweep run this loop, so they cannot disagree. The rules
are written in :mod:`btcflow.engine.ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from btcflow.engine.execution import refuse_bad_targets
from btcflow.errors import BadRecords

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market

__all__ = ["ORDER_COLUMNS", "ROW_COLUMNS", "SUM_COLUMNS", "account", "checked", "inputs", "max_drawdown", "paths"]

ROW_COLUMNS = ("equity", "quantity", "price_pnl", "funding", "fees", "slippage")
"""What the loop writes for each bar."""
ORDER_COLUMNS = ("row", "size", "fill", "fees", "slippage", "equity")
"""What the loop writes for each order."""
SUM_COLUMNS = ("price_pnl", "funding", "fees", "slippage", "turnover", "entries", "held")
"""What the loop writes for each stretch of bars."""
_BLOCK = 8


def checked(targets: np.ndarray, clock: Clock) -> np.ndarray:
    """Targets as (N, K) float64, once targets, prices and funding have been found sound.

    Raises
    ------
    ContractError
        for a target that is not a number in [-1, 1], or a shape that does not fit the clock
    BadRecords
        for a price that is not positive, or a funding amount that is not a number
    """
    for name, prices in (("open", clock.open), ("close", clock.close)):
        for row in np.flatnonzero(~(np.isfinite(prices) & (prices > 0)))[:1]:
            raise BadRecords(
                f"{clock.instrument.id}: {name} is {prices[row]} at {clock.index[row]} (clock row {row}); expected a "
                "positive price; drop the bar in the source: a missing bar has no row"
            )
    for row in np.flatnonzero(~np.isfinite(clock.funding))[:1]:
        raise BadRecords(
            f"{clock.instrument.id}: funding is {clock.funding[row]} at {clock.index[row]} (clock row {row}); expected "
            "the quote currency one BTC long pays in the bar, 0 where nothing settles"
        )
    return refuse_bad_targets(targets, clock.opens, "clock bar")


def inputs(clock: Clock, market: Market) -> tuple[np.ndarray | float, ...]:
    """The clock and the market as :func:`account` reads them."""
    prices = tuple(
        np.ascontiguousarray(values, dtype=np.float64) for values in (clock.open, clock.close, clock.funding)
    )
    return *prices, float(market.capital), float(market.gross), float(market.fee), float(market.slippage)


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
def account(  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    targets, opens, closes, paid, capital, gross, fee, slippage, bounds, rows, sums, orders
):
    """Account for one column; returns the number of orders, and the bar of its ruin (-1: none).

    One loop on purpose: a bar costs a few nanoseconds, and split over functions it would cost tens.

    Parameters
    ----------
    targets, opens, closes, paid : (N,): target at each open, prices, funding one BTC long pays
    capital, gross, fee, slippage : the market
    bounds : (P + 1,) int64, from 0 to N: the stretches to sum over
    rows : written: (6, N) as ``ROW_COLUMNS``, or (1, N) or wider for the equity alone
    sums : written: (P, 7) as ``SUM_COLUMNS``
    orders : written: (M, 6) as ``ORDER_COLUMNS`` with room for every change of target, or (0, 6)
    """
    equity, quantity, wanted, ruined, used = capital, 0.0, 0.0, -1, 0
    last_close = 0.0  # multiplies a quantity of 0 before the first close
    for part in range(len(bounds) - 1):
        price_sum = funding_sum = fee_sum = slip_sum = turnover = 0.0
        entries = held = 0
        for i in range(bounds[part], bounds[part + 1]):
            charge = slip = 0.0
            if targets[i] != wanted and ruined < 0:
                wanted = targets[i]
                gap = quantity * (opens[i] - last_close)
                at_fill = equity + gap
                if at_fill <= 0.0:
                    ruined = i
                size, fill, charge, slip = _order(wanted, at_fill, quantity, opens[i], gross, fee, slippage)
                before = quantity
                quantity += size  # the sum of the orders, so that orders alone rebuild it exactly
                moved = gap + quantity * (closes[i] - opens[i])
                if quantity != 0.0 and (before == 0.0 or (before > 0.0) != (quantity > 0.0)):
                    entries += 1
                if size != 0.0:
                    if at_fill > 0.0:
                        turnover += abs(size) * fill / at_fill
                    if len(orders):
                        order = orders[used]
                        order[0], order[1], order[2] = i, size, fill
                        order[3], order[4], order[5] = charge, slip, at_fill
                    used += 1
            else:
                moved = quantity * (closes[i] - last_close)
            moved += 0.0  # the -0.0 of a flat bar becomes 0.0
            settled = 0.0 - quantity * paid[i]
            equity += (moved + settled) + (charge + slip)
            last_close = closes[i]
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
        total[4], total[5], total[6] = turnover, entries, held
    return used, ruined


@njit(cache=True, error_model="numpy")
def _order(target, equity, quantity, price, gross, fee, slippage):  # type: ignore[no-untyped-def]
    """Size, fill, fees and slippage of moving ``quantity`` to ``target``; to 0 where no equity is left."""
    goal = target * gross * equity / price if equity > 0.0 else 0.0
    size = goal - quantity
    fill = price * (1.0 + slippage) if size > 0.0 else price * (1.0 - slippage)
    return size, fill, 0.0 - fee * abs(size) * fill, 0.0 - abs(size) * abs(fill - price)


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
