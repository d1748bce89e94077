"""The ledger: the one place where a target exposure becomes money.

At the open of clock bar i, where the target differs from the bar before (else there is no order):

    quantity  = target * exposure * leverage * equity at the fill / open     equity before costs
    fill      = open * (1 + slippage) when buying, open * (1 - slippage) when selling
    fees      = -fee * |order| * fill                                        on the notional traded
    slippage  = -|order| * |fill - open|

and in every bar

    price_pnl = quantity before * (open - last close) + quantity after * (close - open)
    funding   = -quantity after * clock.funding        a long pays where the rate is positive
    equity    = equity before + price_pnl + funding + fees + slippage        at the close

Costs are negative numbers, so the four sum to the change in equity. A reversal is one order. Fees
come out of cash and never shrink an order. There is no liquidation: a column whose equity is not
positive at a fill is closed there, stays flat for good and is marked ``ruined``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from btcflow.engine.accounts import (
    ORDER_COLUMNS,
    ROW_COLUMNS,
    SUM_COLUMNS,
    account,
    checked,
    inputs,
    max_drawdown,
    paths,
)
from btcflow.errors import ConfigError

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market

__all__ = ["DailyEquity", "Ledger", "Orders", "daily_equity", "midnights", "settle"]

_DAY = 86_400_000_000_000
_ORDERS = ("column", *ORDER_COLUMNS)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Every order of a ledger, by column and then by time.

    Attributes
    ----------
    column, row : (M,) int64: ledger column, and the clock bar at whose open the order fills
    size : (M,) float64: BTC, positive when buying
    fill : (M,) float64: fill price
    fees, slippage : (M,) float64: quote currency, negative or zero
    equity : (M,) float64: equity at the fill, before costs
    """

    column: np.ndarray
    row: np.ndarray
    size: np.ndarray
    fill: np.ndarray
    fees: np.ndarray
    slippage: np.ndarray
    equity: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def where(self, keep: np.ndarray) -> Orders:
        """The orders where ``keep`` is true."""
        return Orders(**{name: getattr(self, name)[keep] for name in _ORDERS})


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Where the money went, bar by bar; N clock bars by K columns, read-only.

    Attributes
    ----------
    quantity : (N, K) BTC held during the bar, after the order at its open; negative = short
    price_pnl, funding, fees, slippage : (N, K) quote currency; what was paid is negative. Their sum is
        the bar's change in equity
    equity : (N, K) quote currency, at the bar's close
    orders : every order
    ruined_at : (K,) int64: row of the fill that found no positive equity and closed the column; -1 = none
    clock, market : what was traded, and what trading cost
    """

    quantity: np.ndarray
    price_pnl: np.ndarray
    funding: np.ndarray
    fees: np.ndarray
    slippage: np.ndarray
    equity: np.ndarray
    orders: Orders
    ruined_at: np.ndarray
    clock: Clock
    market: Market

    def __post_init__(self) -> None:
        for name in ROW_COLUMNS:
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.equity)

    @property
    def columns(self) -> int:
        """K, the number of columns."""
        return int(self.equity.shape[1])

    @property
    def ruined(self) -> np.ndarray:
        """True for the columns that ran out of equity; shape (K,)."""
        return self.ruined_at >= 0

    @property
    def net(self) -> np.ndarray:
        """Price, funding, fees and slippage together: the change in equity per bar; shape (N, K)."""
        return np.asarray(self.price_pnl + self.funding + (self.fees + self.slippage))

    def equity_before(self, row: int) -> np.ndarray:
        """Equity carried into clock bar ``row`` (the capital for row 0); shape (K,)."""
        return self.equity[row - 1] if row > 0 else np.full(self.columns, self.market.capital)

    def column(self, column: int) -> Ledger:
        """One column as a ledger of its own, (N, 1)."""
        own = self.orders.where(self.orders.column == column)
        rows = {name: getattr(self, name)[:, column : column + 1] for name in ROW_COLUMNS}
        orders = replace(own, column=np.zeros(len(own), dtype=np.int64))
        return replace(self, **rows, orders=orders, ruined_at=self.ruined_at[column : column + 1])

    def head(self, rows: int) -> Ledger:
        """The first ``rows`` clock bars, positions still open."""
        cut = {name: getattr(self, name)[:rows] for name in ROW_COLUMNS}
        ruined_at = np.where(self.ruined_at < rows, self.ruined_at, -1)
        clock = self.clock.rows(np.arange(len(self)) < rows)
        orders = self.orders.where(self.orders.row < rows)
        return replace(self, **cut, orders=orders, ruined_at=ruined_at, clock=clock)

    def frame(self, column: int = 0) -> pd.DataFrame:
        """One column with its prices on a tz-aware UTC index of bar opens."""
        own = {name: getattr(self, name)[:, column] for name in ROW_COLUMNS}
        prices = {"open": self.clock.open, "close": self.clock.close}
        return pd.DataFrame(prices | own, index=self.clock.index)


@dataclass(frozen=True, kw_only=True)
class DailyEquity:
    """What a sweep keeps of K columns: equity at 00:00 UTC, and sums over S stretches of clock bars.

    Attributes
    ----------
    days : (D,) int64, nanoseconds UTC: every midnight from the clock's first open to its last close
    equity : (D, K): equity at the close of the last bar closed by that midnight; the capital where
        none had closed yet
    segments : (S, 2) int64: clock rows, first and one past the last
    start_equity, end_equity : (S, K): equity carried in, and at the last bar's close
    price_pnl, funding, fees, slippage : (S, K) quote currency; what was paid is negative
    entries : (S, K) int64: positions opened, from flat or by reversal
    exposure : (S, K): share of the bars with a position
    turnover : (S, K): sum of |order| * fill / equity at the fill over all orders but the one of a ruin
    max_drawdown : (S, K): most negative equity / earlier peak - 1 on the clock's closes, starting equity
        included
    ruined_at : (K,) int64: as in :class:`Ledger`
    clock, market : what was traded, and what trading cost
    """

    days: np.ndarray
    equity: np.ndarray
    segments: np.ndarray
    start_equity: np.ndarray
    end_equity: np.ndarray
    price_pnl: np.ndarray
    funding: np.ndarray
    fees: np.ndarray
    slippage: np.ndarray
    entries: np.ndarray
    exposure: np.ndarray
    turnover: np.ndarray
    max_drawdown: np.ndarray
    ruined_at: np.ndarray
    clock: Clock
    market: Market

    @property
    def returns(self) -> np.ndarray:
        """Equity at 00:00 over equity one day before, minus 1; shape (D - 1, K)."""
        return np.asarray(self.equity[1:] / self.equity[:-1] - 1.0)


def settle(targets: np.ndarray, clock: Clock, market: Market) -> Ledger:
    """Trade a target path and account for every bar.

    Parameters
    ----------
    targets : (N, K), or (N,) for one column, numbers in [-1, 1]: the target in force at each bar's open
    clock : N bars of the traded instrument
    market : costs, exposure, leverage and capital; ``market.delay`` is already inside ``targets``

    Returns
    -------
    Ledger of (N, K); a column alone equals the same column of a batch bit for bit

    Raises
    ------
    ContractError
        for a target that is not a number in [-1, 1], or a shape that does not fit the clock
    BadRecords
        for a price that is not positive or a funding amount that is not a number
    """
    wide = checked(targets, clock)
    count, columns = wide.shape
    market_and_prices, bounds = inputs(clock, market), np.array([0, count], dtype=np.int64)
    rows, sums = np.empty((columns, len(ROW_COLUMNS), count)), np.empty((1, len(SUM_COLUMNS)))
    ruined_at, made = np.empty(columns, dtype=np.int64), []
    for column, path in paths(wide):
        orders = np.empty((np.count_nonzero(np.diff(path, prepend=0.0)), len(ORDER_COLUMNS)))
        used, ruined_at[column] = account(path, *market_and_prices, bounds, rows[column], sums, orders)
        made.append(orders[:used])
    views = {name: rows[:, at, :].T for at, name in enumerate(ROW_COLUMNS)}
    return Ledger(**views, orders=_orders(made), ruined_at=ruined_at, clock=clock, market=market)


def daily_equity(
    targets: np.ndarray, clock: Clock, market: Market, *, segments: np.ndarray | None = None
) -> DailyEquity:
    """The same accounting as :func:`settle`, keeping only daily equity and sums per stretch.

    Runs the ledger's own code, so it equals the ledger bit for bit (sums to rounding); memory is
    D * K instead of 6 * N * K numbers.

    Parameters
    ----------
    targets, clock, market : as in :func:`settle`
    segments : (S, 2) clock rows, first and one past the last; they may overlap. Default: all rows

    Raises
    ------
    ContractError, BadRecords
        as :func:`settle`
    ConfigError
        for a segment outside the clock or without rows
    """
    wide = checked(targets, clock)
    count, columns = wide.shape
    cuts = np.array([[0, count]]) if segments is None else _checked_segments(segments, count)
    bounds = np.unique(np.append(cuts, [0, count])).astype(np.int64)
    days, marks = midnights(clock, 0, count)
    market_and_prices, no_orders = inputs(clock, market), np.empty((0, len(ORDER_COLUMNS)))
    rows, sums = np.full((1, count + 1), market.capital), np.empty((columns, len(bounds) - 1, len(SUM_COLUMNS)))
    marked = rows[0]  # the equity of the column in work; at -1, before the first close, the capital
    equity, ruined_at = np.empty((len(days), columns)), np.empty(columns, dtype=np.int64)
    start, end, depth = (np.full((len(cuts), columns), np.nan) for _ in range(3))
    for column, path in paths(wide):
        _, ruined_at[column] = account(path, *market_and_prices, bounds, rows, sums[column], no_orders)
        equity[:, column] = marked[marks]
        start[:, column], end[:, column] = marked[cuts[:, 0] - 1], marked[cuts[:, 1] - 1]
        depth[:, column] = [max_drawdown(marked[first:last], marked[first - 1]) for first, last in cuts]
    return DailyEquity(
        days=days,
        equity=equity,
        segments=cuts,
        start_equity=start,
        end_equity=end,
        **_per_segment(sums, bounds, cuts),
        max_drawdown=depth,
        ruined_at=ruined_at,
        clock=clock,
        market=market,
    )


def midnights(clock: Clock, start_row: int, end_row: int) -> tuple[np.ndarray, np.ndarray]:
    """Every 00:00 UTC in a stretch of clock bars, and the bar whose close marks equity there.

    Returns
    -------
    days : (D,) int64, nanoseconds UTC, from the open of ``start_row`` to the close of ``end_row - 1``
    rows : (D,) int64: the last bar closed by that midnight, ``start_row - 1`` where none of the stretch is
    """
    if end_row <= start_row:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    closes_at = clock.closes_at
    first = -(-int(clock.opens[start_row]) // _DAY) * _DAY
    count = (int(closes_at[end_row - 1]) - first) // _DAY + 1  # np.arange(first, last, step) would count in floats
    days = first + _DAY * np.arange(count, dtype=np.int64)
    return days, np.searchsorted(closes_at, days, side="right").astype(np.int64) - 1


def _orders(made: list[np.ndarray]) -> Orders:
    """The orders of all columns, (M_k, 6) each, as one table of arrays."""
    table = np.concatenate([np.empty((0, len(ORDER_COLUMNS))), *made])
    named = {name: table[:, at].copy() for at, name in enumerate(ORDER_COLUMNS)}
    named["row"] = named["row"].astype(np.int64)
    column = np.repeat(np.arange(len(made), dtype=np.int64), [len(one) for one in made])
    return Orders(column=column, **named)


def _checked_segments(segments: np.ndarray, count: int) -> np.ndarray:
    cuts = np.asarray(segments, dtype=np.int64).reshape(-1, 2)
    sound = (cuts[:, 0] >= 0) & (cuts[:, 0] < cuts[:, 1]) & (cuts[:, 1] <= count)
    for start, end in cuts[~sound][:1]:
        raise ConfigError(f"segment of clock rows [{start}, {end}): expected 0 <= first < end <= {count}")
    return cuts


def _per_segment(sums: np.ndarray, bounds: np.ndarray, cuts: np.ndarray) -> dict[str, np.ndarray]:
    """Add the stretches between neighbouring bounds, (K, P, 7), up to the asked segments, (S, K)."""
    spans = [slice(*np.searchsorted(bounds, cut)) for cut in cuts]
    table = np.array([sums[:, span].sum(axis=1) for span in spans]).reshape(len(cuts), *sums.shape[::2])
    total = {name: table[:, :, at] for at, name in enumerate(SUM_COLUMNS)}
    total["exposure"] = total.pop("held") / np.maximum(cuts[:, 1] - cuts[:, 0], 1)[:, None]
    return total | {"entries": total["entries"].astype(np.int64)}
