"""An independent simulation on vectorbt's own order engine: the referee of ledger and kernel.

``Portfolio.from_order_func`` is called bar by bar: it looks for the newest decision that may fill at
the open, sizes the order on the equity there, and has vectorbt fill it; what a long owes in funding is
taken out of vectorbt's cash after the bar. Nothing of ``btcflow.engine`` or ``btcflow.stats`` is used.

vectorbt knows neither margin nor liquidation. So that its cash limit cuts no order, the account is lent
money for the length of each bar; and only markets in which no position comes near its maintenance
margin may be compared (:attr:`Simulation.calm`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio.enums import NoOrder
from vectorbt.portfolio.nb import order_nb

from btcflow.clock import Clock
from btcflow.engine.market import Market

DAY = 86_400_000_000_000
LENT = 64.0
"""Loan during a bar, as a multiple of the capital."""
CALM = 0.1
"""Equity over notional that a position must never fall below."""
FLAT = 1e-12
"""Returns that differ by less have no Sharpe ratio, by our own rule."""


@njit
def _lend(c, loan):
    for col in range(c.from_col, c.to_col):
        c.last_cash[col] += loan
    return ()


@njit
def _order(c, opened, open_, decided_at, wanted, terms, next_decision, in_force, at_fill):  # noqa: PLR0917
    """The newest decision whose first open lies ``delay`` bars back, and an order where it is another one."""
    delay, gross, fee, slippage, loan = terms
    k, due = next_decision[c.col], c.i - int(delay)
    target = in_force[c.col]
    while due >= 0 and k < len(decided_at) and decided_at[k] <= opened[due]:
        target = wanted[k, c.col]
        k += 1
    next_decision[c.col] = k
    if target == in_force[c.col]:
        return NoOrder
    in_force[c.col] = target
    price = open_[c.i]
    equity = c.cash_now - loan + c.position_now * price
    at_fill[c.i, c.col] = equity
    return order_nb(size=target * gross * equity / price - c.position_now, price=price, fees=fee, slippage=slippage)


@njit
def _settle(c, close, worst, paid, loan, equity, received, stress):
    """Take the loan back, mark to the close, pay funding; ``stress`` is equity over notional at the bar's extreme."""
    for col in range(c.from_col, c.to_col):
        c.last_cash[col] -= loan
        held = c.last_position[col]
        price = worst[c.i, 0] if held > 0 else worst[c.i, 1]
        if held != 0.0:
            stress[c.i, col] = (c.last_cash[col] + held * price) / (abs(held) * price)
        received[c.i, col] = -held * paid[c.i]
        c.last_cash[col] += received[c.i, col]
        equity[c.i, col] = c.last_cash[col] + held * close[c.i]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What vectorbt made of K columns of decisions on N clock bars.

    ``portfolio`` holds the orders and knows no funding; ``value`` is its value and the funding received so
    far, (N, K), on the bars' closes; ``at_fill`` the equity at each order, before costs; ``stress`` the
    least equity over notional a position ever had, (K,).
    """

    portfolio: vbt.Portfolio
    value: pd.DataFrame
    received: np.ndarray
    at_fill: np.ndarray
    stress: np.ndarray
    clock: Clock
    market: Market

    def calm(self, column: int) -> bool:
        """Whether no position came near the loss of all its equity."""
        return bool(self.stress[column] > CALM)


def simulate(wanted: np.ndarray, decided_at: np.ndarray, clock: Clock, market: Market) -> Simulation:
    """Trade decisions (T, K) made at ``decided_at`` (T,)."""
    count, columns = len(clock), wanted.shape[1]
    index = pd.to_datetime(clock.opens)
    loan = LENT * market.capital * max(1.0, market.gross)
    terms = (float(market.delay), float(market.gross), float(market.fee), float(market.slippage), loan)
    equity, received = np.zeros((count, columns)), np.zeros((count, columns))
    at_fill, stress = np.full((count, columns), np.nan), np.full((count, columns), np.inf)
    close = np.ascontiguousarray(clock.close)
    portfolio = vbt.Portfolio.from_order_func(
        pd.DataFrame(np.repeat(close[:, None], columns, axis=1), index=index),
        _order,
        clock.opens.copy(),
        clock.open.copy(),
        np.asarray(decided_at, dtype=np.int64).copy(),
        np.ascontiguousarray(wanted, dtype=np.float64),
        terms,
        np.zeros(columns, dtype=np.int64),
        np.zeros(columns),
        at_fill,
        pre_segment_func_nb=_lend,
        pre_segment_args=(loan,),
        post_segment_func_nb=_settle,
        post_segment_args=(
            close,
            np.column_stack([clock.worst_low, clock.worst_high]),
            clock.funding.copy(),
            loan,
            equity,
            received,
            stress,
        ),
        init_cash=market.capital,
        freq=pd.Timedelta(clock.closes_at[0] - clock.opens[0]),
    )
    value = portfolio.value() + np.cumsum(received, axis=0)
    assert len(portfolio.orders.records) == np.isfinite(at_fill).sum(), "vectorbt left an order out"
    calm = stress.min(axis=0) > CALM
    np.testing.assert_allclose(value.loc[:, calm], equity[:, calm], rtol=1e-10)  # its own cash and coins, bar by bar
    return Simulation(
        portfolio=portfolio,
        value=value.set_axis(pd.to_datetime(clock.closes_at)),
        received=received,
        at_fill=at_fill,
        stress=stress.min(axis=0),
        clock=clock,
        market=market,
    )


def numbers(found: Simulation, column: int, first: int = 0, last: int | None = None) -> dict[str, float]:
    """The summary numbers of one column over the clock rows [first, last), by vectorbt's own definitions."""
    last = len(found.clock) if last is None else last
    path = found.value.iloc[first:last, column]
    before = float(found.value.iat[first - 1, column]) if first else found.market.capital
    hourly = _ratios(path, before, found.portfolio.wrapper.freq)
    daily = _daily(found, column, first, last)
    by_day = _ratios(daily.iloc[1:], float(daily.iloc[0]), pd.Timedelta(days=1)) if len(daily) > 1 else {}
    flat_day = {"max_drawdown": 0.0 if len(daily) else np.nan}
    return {
        "start_equity": before,
        "end_equity": float(path.iloc[-1]),
        "total_return": hourly["total"],
        "max_drawdown": hourly["max_drawdown"],
        "clock_sharpe": hourly["sharpe"],
        "sharpe": by_day.get("sharpe", np.nan),
        "sortino": by_day.get("sortino", np.nan),
        "volatility": by_day.get("volatility", np.nan),
        "max_drawdown_daily": by_day.get("max_drawdown", flat_day["max_drawdown"]),
        **_money(found, column, first, last, float(path.iloc[-1]) - before),
        **_trades(found, column, first, last),
    }


def _ratios(value: pd.Series, before: float, freq: pd.Timedelta) -> dict[str, float]:
    """vectorbt's ratios; its drawdown leaves the equity at the start out, so that goes in as a row of its own."""
    of = vbt.returns.accessors.ReturnsSRAccessor.from_value
    returns, path = of(value, init_value=before, freq=freq), pd.Series([before, *value])
    spread = float(np.ptp(returns.obj)) if len(value) > 1 else np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        losses = returns.obj.min() < 0
        return {
            "total": float(returns.total()),
            "max_drawdown": float(of(path, init_value=before, freq=freq).max_drawdown()),
            "sharpe": float(returns.sharpe_ratio()) if spread > FLAT else np.nan,
            "sortino": float(returns.sortino_ratio()) if losses and len(value) > 1 else np.nan,
            "volatility": float(returns.annualized_volatility()) if spread > FLAT else 0.0 * spread,
        }


def _daily(found: Simulation, column: int, first: int, last: int) -> pd.Series:
    """Equity at each midnight from the first open to the last close; the capital before the first close."""
    opened, closed = pd.Timestamp(found.clock.opens[first]), pd.Timestamp(found.clock.closes_at[last - 1])
    days = pd.date_range(opened.ceil("D"), closed.floor("D"), freq="D")
    return found.value.iloc[:last, column].reindex(days, method="ffill").fillna(found.market.capital)


def _money(found: Simulation, column: int, first: int, last: int, change: float) -> dict[str, float]:
    orders = found.portfolio.orders.records
    orders = orders[(orders["col"] == column) & (orders["idx"] >= first) & (orders["idx"] < last)]
    rows, years = orders["idx"].to_numpy(), (found.clock.closes_at[last - 1] - found.clock.opens[first]) / DAY / 365
    fees = -float(orders["fees"].sum())
    slippage = -float((orders["size"] * (orders["price"] - found.clock.open[rows]).abs()).sum())
    funding = float(found.received[first:last, column].sum())
    held = found.portfolio.assets().iloc[first:last, column] != 0
    return {
        "orders": float(len(orders)),
        "fees": fees,
        "slippage": slippage,
        "funding": funding,
        "price": change - fees - slippage - funding,
        "turnover": float((orders["size"] * orders["price"] / found.at_fill[rows, column]).sum()) / years,
        "exposure": float(held.mean()),
    }


def _trades(found: Simulation, column: int, first: int, last: int) -> dict[str, float]:
    """Of the trades entered in the stretch, funding included; one that goes on is valued at its last close."""
    table = found.portfolio.trades.records
    table = table[(table["col"] == column) & (table["entry_idx"] >= first) & (table["entry_idx"] < last)]
    nets, hours = [], []
    for one in table.itertuples():
        over = one.status == 1 and one.exit_idx < last
        until = one.exit_idx if over else last
        side = 1.0 if one.direction == 0 else -1.0
        marked = side * one.size * (found.clock.close[last - 1] - one.entry_price) - one.entry_fees
        nets.append((one.pnl if over else marked) + found.received[one.entry_idx : until, column].sum())
        leaves = found.clock.opens[until] if over else found.clock.closes_at[last - 1]
        hours.append((leaves - found.clock.opens[one.entry_idx]) / 3.6e12)
    net = np.array(nets)
    lost = -float(net[net < 0].sum())
    return {
        "trades": float(len(net)),
        "win_rate": float(np.mean(net > 0)) if len(net) else np.nan,
        "profit_factor": float(net[net > 0].sum()) / lost if lost > 0 else np.nan,
        "average_hold_hours": float(np.mean(hours)) if hours else np.nan,
    }
