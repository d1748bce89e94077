"""The ledger: the one place where a target exposure becomes money.

At the open of clock bar i, where the target differs from the bar before (else there is no order):

    quantity  = target * exposure * leverage * equity at the fill / open     equity before costs
    fill      = open * (1 + slip) when buying, open * (1 - slip) when selling
    slip      = slippage + impact * sqrt(|order| / volume of the bar)
    fees      = -fee * |order| * fill                                        on the notional traded
    slippage  = -|order| * |fill - open|

and in every bar

    price_pnl = quantity before * (open - last close) + quantity after * (close - open)
    funding   = -quantity after * clock.funding        a long pays where the rate is positive
    equity    = equity before + price_pnl + funding + fees + slippage        at the close

Costs are negative numbers, so the four sum to the change in equity. A reversal is one order. Fees
come out of cash and never shrink an order. With ``twap`` = n the way to the goal is made in n equal
orders at n opens, the last exactly to it; a new target cancels the rest. An order that opens, enlarges
or reverses a position and is (each part of it) smaller than ``min_notional`` is not placed, and its
target counts as dealt with.

Liquidation, of a perpetual. A position of notional n needs the margin ``M(n) = max(rate * n - c)`` over
the tiers, with c so that it is continuous. In each bar, in this order:

1. Where the open leaves no equity, the venue takes the position over at the price at which equity is 0.
2. The order, if there is one. What closing a position costs beyond the equity is not collected.
3. ``E(p)`` is the equity at price p after the order's costs, and p the bar's low for a long, its high for
   a short: the mark's where the clock has marks. If ``E(p) <= M`` there, the position is liquidated at the
   price L where ``E(L) = M``: the open, if that is so already, and where the costs of the order left no
   equity the price at which it is 0. The venue keeps ``liquidation_fee * |quantity| * L``, at most what is
   left. There is no slippage, no funding in this bar, and no position until the target next changes.
4. Else funding and the close. Where they leave no equity, the venue takes over as in 1.

So equity is never negative, and once it is 0 there is no order ever after: the column is ``ruined``. A
spot position is never liquidated: if its equity is not positive at a fill, it is closed and ruined there.

An inverse contract is settled in BTC, and its position counted in USD. The capital becomes BTC at the
first open, and all the above holds in BTC with -1 / price instead of the price:

    quantity  = target * exposure * leverage * equity in BTC * open
    price_pnl = quantity * (1 / entry - 1 / exit)      fees = -fee * |order| / fill
    E(L)      = M(n) / L, so for a position of n USD from price o, with side = +1 or -1:
    L         = (n + side * M(n)) / (n / o + side * E(o))
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
    bars_of,
    checked,
    max_drawdown,
    paths,
    refuse,
    terms_of,
)
from btcflow.engine.orders import Orders, read_orders
from btcflow.errors import ConfigError

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market

__all__ = ["DailyEquity", "Ledger", "Orders", "daily_equity", "midnights", "settle"]

_DAY = 86_400_000_000_000
_WHOLE = ("entries", "liquidations", "skipped")


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Where the money went, bar by bar; N clock bars by K columns, read-only.

    Money is in ``settlement``: the quote currency, or BTC for an inverse contract.

    Attributes
    ----------
    quantity : (N, K) BTC (USD of an inverse contract) held from the order at the bar's open to its close;
        negative = short, 0 in the bar of a liquidation
    price_pnl, funding, fees, slippage : (N, K) what was paid is negative. Their sum is the bar's change in
        equity
    equity : (N, K) at the bar's close
    orders : every order, liquidations among them
    skipped : the orders too small to be placed, their fill the open
    ruined_at : (K,) int64: row of the bar in which the equity ran out; -1 = none
    capital : equity at the start
    clock, market : what was traded, and what trading cost
    """

    quantity: np.ndarray
    price_pnl: np.ndarray
    funding: np.ndarray
    fees: np.ndarray
    slippage: np.ndarray
    equity: np.ndarray
    orders: Orders
    skipped: Orders
    ruined_at: np.ndarray
    capital: float
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
    def liquidations(self) -> np.ndarray:
        """How many positions the venue closed; shape (K,) int64."""
        return self.orders.where(self.orders.liquidation).counts(self.columns)

    @property
    def skipped_orders(self) -> np.ndarray:
        """How many orders were too small to be placed; shape (K,) int64."""
        return self.skipped.counts(self.columns)

    @property
    def inverse(self) -> bool:
        """True where the traded contract is settled in BTC."""
        return self.clock.instrument.margin == "inverse"

    @property
    def settlement(self) -> str:
        """The currency of all money in here: the quote currency, or BTC for an inverse contract."""
        return "BTC" if self.inverse else self.clock.instrument.quote

    @property
    def equity_usd(self) -> np.ndarray:
        """Equity in the quote currency, at the close; shape (N, K)."""
        return np.asarray(self.equity * self.clock.close[:, None]) if self.inverse else self.equity

    @property
    def traded(self) -> np.ndarray:
        """Notional of each order in the settlement currency, positive; shape (M,)."""
        size, fill = np.abs(self.orders.size), self.orders.fill
        return np.asarray(size / fill if self.inverse else size * fill)

    @property
    def net(self) -> np.ndarray:
        """Price, funding, fees and slippage together: the change in equity per bar; shape (N, K)."""
        return np.asarray(self.price_pnl + self.funding + (self.fees + self.slippage))

    def equity_before(self, row: int) -> np.ndarray:
        """Equity carried into clock bar ``row`` (the capital for row 0); shape (K,)."""
        return self.equity[row - 1] if row > 0 else np.full(self.columns, self.capital)

    def column(self, column: int) -> Ledger:
        """One column as a ledger of its own, (N, 1)."""
        rows = {name: getattr(self, name)[:, column : column + 1] for name in ROW_COLUMNS}
        orders, skipped = (
            replace(own, column=np.zeros(len(own), dtype=np.int64))
            for own in (one.where(one.column == column) for one in (self.orders, self.skipped))
        )
        ruined_at = self.ruined_at[column : column + 1]
        return replace(self, **rows, orders=orders, skipped=skipped, ruined_at=ruined_at)

    def head(self, rows: int) -> Ledger:
        """The first ``rows`` clock bars, positions still open."""
        cut = {name: getattr(self, name)[:rows] for name in ROW_COLUMNS}
        ruined_at = np.where(self.ruined_at < rows, self.ruined_at, -1)
        clock = self.clock.rows(np.arange(len(self)) < rows)
        orders, skipped = (one.where(one.row < rows) for one in (self.orders, self.skipped))
        return replace(self, **cut, orders=orders, skipped=skipped, ruined_at=ruined_at, clock=clock)

    def frame(self, column: int = 0) -> pd.DataFrame:
        """One column with its prices on a tz-aware UTC index of bar opens; inverse: ``equity_usd`` too."""
        own = {name: getattr(self, name)[:, column] for name in ROW_COLUMNS}
        prices = {"open": self.clock.open, "close": self.clock.close}
        usd = {"equity_usd": self.equity_usd[:, column]} if self.inverse else {}
        return pd.DataFrame(prices | own | usd, index=self.clock.index)


@dataclass(frozen=True, kw_only=True)
class DailyEquity:
    """What a sweep keeps of K columns: equity at 00:00 UTC, and sums over S stretches of clock bars.

    Money is in the currency of settlement, as in :class:`Ledger`.

    Attributes
    ----------
    days : (D,) int64, nanoseconds UTC: every midnight from the clock's first open to its last close
    equity : (D, K): equity at the close of the last bar closed by that midnight; the capital where
        none had closed yet
    segments : (S, 2) int64: clock rows, first and one past the last
    start_equity, end_equity : (S, K): equity carried in, and at the last bar's close
    price_pnl, funding, fees, slippage : (S, K); what was paid is negative
    entries : (S, K) int64: positions opened, from flat or by reversal
    liquidations, skipped : (S, K) int64: positions the venue closed, orders too small to be placed
    exposure : (S, K): share of the bars with a position
    turnover : (S, K): sum of traded notional / equity at the fill over all orders that found equity
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
    liquidations: np.ndarray
    skipped: np.ndarray
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
        for a price that is not positive or a funding amount that is not a number; with ``market.impact``,
        for an order in a bar without volume
    ConfigError
        for an order whose impact would take its whole price
    """
    wide = checked(targets, clock)
    count, columns = wide.shape
    bars, terms, bounds = bars_of(clock), terms_of(clock, market), np.array([0, count], dtype=np.int64)
    rows, sums = np.empty((columns, len(ROW_COLUMNS), count)), np.empty((1, len(SUM_COLUMNS)))
    ruined_at, made = np.empty(columns, dtype=np.int64), []
    for column, path in paths(wide):
        changes = np.count_nonzero(np.diff(path, prepend=0.0))
        written = np.empty((min(changes * market.twap, count) + changes, len(ORDER_COLUMNS)))
        used, ruined_at[column], refused = account(path, bars, terms, bounds, rows[column], sums, written)
        refuse(clock, market, refused)
        made.append(written[:used])
    views = {name: rows[:, at, :].T for at, name in enumerate(ROW_COLUMNS)}
    orders, skipped = read_orders(made)
    return Ledger(
        **views,
        orders=orders,
        skipped=skipped,
        ruined_at=ruined_at,
        capital=terms.capital,
        clock=clock,
        market=market,
    )


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
    bars, terms, no_orders = bars_of(clock), terms_of(clock, market), np.empty((0, len(ORDER_COLUMNS)))
    rows, sums = np.full((1, count + 1), terms.capital), np.empty((columns, len(bounds) - 1, len(SUM_COLUMNS)))
    marked = rows[0]  # the equity of the column in work; at -1, before the first close, the capital
    equity, ruined_at = np.empty((len(days), columns)), np.empty(columns, dtype=np.int64)
    start, end, depth = (np.full((len(cuts), columns), np.nan) for _ in range(3))
    for column, path in paths(wide):
        _, ruined_at[column], refused = account(path, bars, terms, bounds, rows, sums[column], no_orders)
        refuse(clock, market, refused)
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


def _checked_segments(segments: np.ndarray, count: int) -> np.ndarray:
    cuts = np.asarray(segments, dtype=np.int64).reshape(-1, 2)
    sound = (cuts[:, 0] >= 0) & (cuts[:, 0] < cuts[:, 1]) & (cuts[:, 1] <= count)
    for start, end in cuts[~sound][:1]:
        raise ConfigError(f"segment of clock rows [{start}, {end}): expected 0 <= first < end <= {count}")
    return cuts


def _per_segment(sums: np.ndarray, bounds: np.ndarray, cuts: np.ndarray) -> dict[str, np.ndarray]:
    """Add the stretches between neighbouring bounds, (K, P, 9), up to the asked segments, (S, K)."""
    spans = [slice(*np.searchsorted(bounds, cut)) for cut in cuts]
    table = np.array([sums[:, span].sum(axis=1) for span in spans]).reshape(len(cuts), *sums.shape[::2])
    total = {name: table[:, :, at] for at, name in enumerate(SUM_COLUMNS)}
    total["exposure"] = total.pop("held") / np.maximum(cuts[:, 1] - cuts[:, 0], 1)[:, None]
    return total | {name: total[name].astype(np.int64) for name in _WHOLE}
