"""The one door to vectorbt: a ledger as a vectorbt Portfolio whose cash flow includes funding.

Nothing is simulated again. The portfolio is built from the ledger's orders, and funding enters
through ``cash_flow`` and ``total_profit``; value, returns, Sharpe, drawdowns, stats and plots follow.
A liquidation is an order like any other, at its own price. Trade records (``pf.trades``, win rate,
profit factor) hold prices and fees only, as vectorbt keeps them: the funding of a trade is in
:func:`btcflow.engine.trades.trades`.

vectorbt gets a tz-naive UTC index: with a tz-aware one it is tens of times slower.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.errors import ConfigError

if TYPE_CHECKING:
    import vectorbt as vbt

    from btcflow.engine.ledger import Ledger

__all__ = ["FundedPortfolio", "funded_portfolio"]  # noqa: F822 (made by __getattr__ when first asked for)


def funded_portfolio(ledger: Ledger, columns: pd.Index | None = None) -> vbt.Portfolio:
    """The ledger as a vectorbt portfolio with funding inside.

    Parameters
    ----------
    ledger : N clock bars by K columns
    columns : K labels, for example a MultiIndex of parameters. Without them a ledger of one column
        makes a portfolio of Series, one of several columns makes frames with columns 0 to K - 1

    Returns
    -------
    ``FundedPortfolio``, a ``vbt.Portfolio``, on a tz-naive UTC index with the clock's step as frequency.
    ``value()`` is the ledger's equity to 1e-9; ``funding`` is the frame of funding received, and
    ``stats()`` ends with its total

    Raises
    ------
    ConfigError
        where ``columns`` does not hold one label per ledger column, the ledger has no bars or columns, or the
        traded contract is inverse
    """
    if ledger.inverse:
        raise ConfigError(
            f"{ledger.clock.instrument.id} is an inverse contract, settled in BTC, and vectorbt knows linear contracts "
            "only; use the ledger itself: its frame(), equity_usd, trades and performance"
        )
    if 0 in ledger.equity.shape:
        raise ConfigError(f"a ledger of {len(ledger)} bars and {ledger.columns} columns; expected at least one of each")
    if columns is not None and len(columns) != ledger.columns:
        raise ConfigError(f"{len(columns)} column labels for a ledger of {ledger.columns} columns; expected one each")
    kind = _funded_portfolio()
    wrapper = _wrapper(ledger, columns)
    close = np.repeat(ledger.clock.close[:, None], ledger.columns, axis=1)
    return kind(
        wrapper,
        wrapper.wrap(close),
        _order_records(ledger),
        _no_logs(),
        np.full(ledger.columns, ledger.capital),
        False,
        funding=np.ascontiguousarray(ledger.funding),
    )


def _wrapper(ledger: Ledger, columns: pd.Index | None) -> Any:
    from vectorbt.base.array_wrapper import ArrayWrapper

    single = columns is None and ledger.columns == 1
    return ArrayWrapper(
        index=ledger.clock.index.tz_localize(None),
        columns=pd.RangeIndex(ledger.columns) if columns is None else columns,
        ndim=1 if single else 2,
        freq=pd.Timedelta(seconds=timeframes.parse(ledger.clock.step).seconds),
    )


def _order_records(ledger: Ledger) -> np.ndarray:
    """The ledger's orders as vectorbt keeps them: sizes and fees positive, side 0 = buy, 1 = sell."""
    from vectorbt.portfolio.enums import OrderSide, order_dt

    orders = ledger.orders
    records = np.empty(len(orders), dtype=order_dt)
    records["id"] = np.arange(len(orders))
    records["col"], records["idx"] = orders.column, orders.row
    records["size"], records["price"], records["fees"] = np.abs(orders.size), orders.fill, 0.0 - orders.fees
    records["side"] = np.where(orders.size > 0, OrderSide.Buy, OrderSide.Sell)
    return records


def _no_logs() -> np.ndarray:
    from vectorbt.portfolio.enums import log_dt

    return np.empty(0, dtype=log_dt)


def __getattr__(name: str) -> type:
    if name == "FundedPortfolio":
        return _funded_portfolio()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@lru_cache(maxsize=1)
def _funded_portfolio() -> type:
    """Make the class ``FundedPortfolio`` when it is first needed: its parent costs seconds to import."""
    import vectorbt as vbt

    class FundedPortfolio(vbt.Portfolio):  # type: ignore[misc]
        """A vectorbt portfolio that carries a funding ledger (N, K) beside its orders.

        The overrides carry no cache of their own: vectorbt caches by method name, and a cached
        override would find itself instead of its parent.
        """

        _metrics = vbt.Portfolio._metrics.merge_with(
            {"total_funding": {"title": "Total Funding", "calc_func": "total_funding", "tags": ["portfolio"]}}
        )

        def __init__(self, *args: Any, funding: np.ndarray, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._funding = funding
            self.update_config(funding=funding)

        def indexing_func(self, pd_indexing_func: Any, **kwargs: Any) -> Any:
            """Select columns of the orders and of the funding ledger together."""
            chosen = self.wrapper.indexing_func_meta(pd_indexing_func, column_only_select=True, **kwargs)[3]
            columns = np.atleast_1d(chosen)
            return super().indexing_func(pd_indexing_func, **kwargs).replace(funding=self._funding[:, columns])

        @property
        def funding(self) -> Any:
            """Funding received in each bar, quote currency; negative = paid."""
            return self.wrapper.wrap(self._funding, group_by=False)

        def total_funding(self, group_by: Any = None) -> Any:
            """Funding received over all bars, quote currency; negative = paid."""
            total = self._funding.sum(axis=0)
            if self.wrapper.grouper.is_grouped(group_by=group_by):
                groups = self.wrapper.grouper.get_groups(group_by=group_by)
                total = np.bincount(groups, weights=total)
            return self.wrapper.wrap_reduced(total, group_by=group_by, name_or_index="total_funding")

        def cash_flow(self, group_by: Any = None, **kwargs: Any) -> Any:
            """Cash flow of the orders and of funding; groups are summed by the parent, funding inside."""
            flow = super().cash_flow(group_by=group_by, **kwargs)
            if self.wrapper.grouper.is_grouped(group_by=group_by):
                return flow
            return flow + self.wrapper.wrap(self._funding, group_by=False)

        def total_profit(self, group_by: Any = None, **kwargs: Any) -> Any:
            """Profit of the orders and funding; groups are summed by the parent, funding inside."""
            profit = super().total_profit(group_by=group_by, **kwargs)
            if self.wrapper.grouper.is_grouped(group_by=group_by):
                return profit
            return profit + self._funding.sum(axis=0) if np.ndim(profit) else profit + self._funding.sum()

    FundedPortfolio.__qualname__ = "FundedPortfolio"
    return FundedPortfolio
