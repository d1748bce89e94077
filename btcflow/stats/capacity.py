"""Capacity: how much money a strategy carries before its own orders eat its edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from btcflow.engine.ledger import daily_equity
from btcflow.errors import ConfigError, ContractError
from btcflow.stats.performance import sharpe

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market

__all__ = ["capacity"]


def capacity(targets: np.ndarray, clock: Clock, market: Market, capitals: Sequence[float]) -> pd.DataFrame:
    """The same target path traded with one capital after another.

    With ``market.impact`` each order slips by ``impact * sqrt(order / volume of its bar)`` on top of the
    constant slippage, so a larger account pays a larger share of its equity; with ``market.min_notional``
    a small account cannot place all of its orders. Without both, and with one maintenance tier, every
    row has the same return.

    Parameters
    ----------
    targets : (N,), or (N, 1), numbers in [-1, 1]: the target in force at each bar's open
    clock : N bars of the traded instrument
    market : costs, exposure and leverage; its own capital is not used
    capitals : equities at the start, in the quote currency

    Returns
    -------
    DataFrame with one row per capital, in the order asked:

    ``capital`` : quote currency
    ``total_return`` : end / start - 1, in the settlement currency
    ``sharpe`` : of daily returns, annual; NaN where undefined
    ``max_drawdown`` : most negative equity / earlier peak - 1 on the clock's closes
    ``slippage`` : what slippage and impact cost, as a fraction of the capital; negative or zero
    ``skipped_orders``, ``liquidations`` : counts
    ``refused`` : empty, or why the capital cannot be traded at all (an order's impact would take its
        whole price); every number beside it is then NaN, every count 0

    Raises
    ------
    ConfigError
        for no capitals, or a capital that is not positive
    ContractError, BadRecords
        as :func:`btcflow.engine.ledger.settle`, and for more than one column of targets
    """
    wide = np.asarray(targets, dtype=np.float64)
    if wide.ndim > 1 and wide.shape[1:] != (1,):
        raise ContractError("one column of targets", "targets", f"shape {wide.shape}, expected ({len(clock)},)")
    if len(capitals) == 0:
        raise ConfigError("capacity: no capitals; expected one amount in the quote currency or more")
    markets = [replace(market, capital=float(one)) for one in capitals]
    return pd.DataFrame([_tried(wide, clock, one) for one in markets])


def _tried(targets: np.ndarray, clock: Clock, market: Market) -> dict[str, float | int | str]:
    try:
        return {**_with_capital(targets, clock, market), "refused": ""}
    except ConfigError as fault:
        unknown = dict.fromkeys(("total_return", "sharpe", "max_drawdown", "slippage"), float("nan"))
        none = dict.fromkeys(("skipped_orders", "liquidations"), 0)
        return {"capital": market.capital, **unknown, **none, "refused": str(fault)}


def _with_capital(targets: np.ndarray, clock: Clock, market: Market) -> dict[str, float | int]:
    daily = daily_equity(targets, clock, market)
    start, end = float(daily.start_equity[0, 0]), float(daily.end_equity[0, 0])
    base = np.where(daily.equity[:-1, 0] > 0, daily.equity[:-1, 0], np.nan)
    return {
        "capital": market.capital,
        "total_return": end / start - 1.0,
        "sharpe": sharpe(daily.equity[1:, 0] / base - 1.0),
        "max_drawdown": float(daily.max_drawdown[0, 0]),
        "slippage": float(daily.slippage[0, 0]) / start,
        "skipped_orders": int(daily.skipped[0, 0]),
        "liquidations": int(daily.liquidations[0, 0]),
    }
