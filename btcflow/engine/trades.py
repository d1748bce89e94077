"""Trades: the ledger's money told as stories with a beginning and an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from btcflow.engine.ledger import Ledger

__all__ = ["TRADE_COLUMNS", "trades"]

TRADE_COLUMNS = (
    "entry_time",
    "exit_time",
    "side",
    "quantity",
    "entry_open",
    "exit_open",
    "entry_fill",
    "exit_fill",
    "bars",
    "price_pnl",
    "funding",
    "fees",
    "slippage",
    "net",
    "return",
    "open",
    "liquidated",
)


def trades(ledger: Ledger, column: int = 0) -> pd.DataFrame:
    """One row per trade of one column, in time order.

    A trade lasts from the order that opens a position on one side to the order that closes or
    reverses it, or to its liquidation. A reversing order belongs to both trades: its fee and slippage
    are split by the quantity that closes and the quantity that opens. Orders that resize a position on
    the same side stay inside the trade. A trade that is still open is valued at the last close, without
    exit costs.

    Returns
    -------
    DataFrame with, per trade,

    ``entry_time``, ``exit_time`` : opens of the clock bars that filled, UTC; NaT while open
    ``side`` : ``long`` or ``short``
    ``quantity`` : BTC (USD of an inverse contract) bought (long) or sold (short) to open and enlarge it,
        positive
    ``entry_open``, ``entry_fill`` : open and fill price of the orders that opened and enlarged it, weighted
        by quantity (of an inverse contract their harmonic mean, at which profit is what it was)
    ``exit_open``, ``exit_fill`` : the same of the orders that reduced and closed it, a liquidation at its
        own price; NaN while open
    ``bars`` : clock bars at whose close it was held
    ``price_pnl``, ``funding``, ``fees``, ``slippage`` : the ledger's settlement currency; what was paid is
        negative
    ``net`` : their sum; ``return`` : net / equity at the entry, before costs
    ``open`` : True while open; ``liquidated`` : True where the venue closed it
    ``net_usd`` : of an inverse contract only: ``net`` in USD at the exit's fill, or at the last close

    Each money column sums to the ledger's.
    """
    own = ledger.column(column)
    orders, quantity = own.orders, own.quantity[:, 0]
    after = np.cumsum(orders.size)
    before = np.concatenate([[0.0], after])[: len(after)]
    turned = np.sign(after) != np.sign(before)
    begins, ends = turned & (after != 0), turned & (before != 0)
    first, last = orders.row[begins], orders.row[ends]
    side, is_open = np.sign(after[begins]), np.arange(len(first)) >= len(last)
    value_left = np.where(is_open, quantity[-1] * _value(own, own.clock.close[-1]), 0.0) if len(own) else np.empty(0)
    part = _split(own, before, begins, ends)
    entered, left = part["entry_quantity"], np.where(is_open, np.nan, part["exit_quantity"])
    columns = {
        "entry_time": own.clock.index[first],
        "exit_time": own.clock.index[last].append(pd.DatetimeIndex([pd.NaT] * int(is_open.sum()), tz="UTC")),
        "side": np.where(side > 0, "long", "short"),
        "quantity": entered,
        "entry_open": _price(own, part["entry_open"] / entered),
        "exit_open": _price(own, part["exit_open"] / left),
        "entry_fill": _price(own, part["entry_fill"] / entered),
        "exit_fill": _price(own, part["exit_fill"] / left),
        "bars": np.concatenate([last, np.full(int(is_open.sum()), len(own))]) - first,
        "price_pnl": side * (part["exit_open"] - part["entry_open"]) + value_left,
        "funding": _funding(own, first),
        "fees": part["fees"],
        "slippage": part["slippage"],
    }
    columns["net"] = columns["price_pnl"] + columns["funding"] + (columns["fees"] + columns["slippage"])
    columns["return"] = columns["net"] / orders.equity[begins]
    stopped = np.zeros(len(first), dtype=bool)
    stopped[: len(last)] = orders.liquidation[ends]
    table = pd.DataFrame(columns | {"open": is_open, "liquidated": stopped}, columns=list(TRADE_COLUMNS))
    if own.inverse:
        table["net_usd"] = table["net"] * (table["exit_fill"].fillna(own.clock.close[-1]) if len(own) else np.nan)
    return table


def _value(own: Ledger, price: np.ndarray) -> np.ndarray:
    """What one unit of the position is worth in the settlement currency, as the accounting loop counts it."""
    return np.asarray(-1.0 / price) if own.inverse else price


def _price(own: Ledger, value: np.ndarray) -> np.ndarray:
    return _value(own, value)  # -1 / (-1 / price)


def _split(own: Ledger, before: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> dict[str, np.ndarray]:
    """Quantities, notionals and costs per trade, a reversing order split over its two trades."""
    orders = own.orders
    size = np.abs(orders.size)
    reduces = np.sign(orders.size) == -np.sign(before)
    closing = np.where(ends, np.abs(before), np.where(reduces, size, 0.0))
    opening = size - closing
    number = np.cumsum(begins) - 1
    closed = np.maximum(number - begins, 0)  # a reversal closes the trade before the one it opens

    def total(entry: np.ndarray | float, leave: np.ndarray | float) -> np.ndarray:
        count = int(begins.sum())
        entries = np.bincount(number, weights=opening * entry, minlength=count)
        leaves = np.bincount(closed, weights=closing * leave, minlength=count)
        return np.asarray(entries + leaves, dtype=np.float64)

    fills = _value(own, orders.fill)
    opens = np.where(orders.liquidation, fills, _value(own, own.clock.open[orders.row]))
    fee, slip = orders.fees / size, orders.slippage / size
    return {
        "entry_quantity": total(1.0, 0.0),
        "exit_quantity": total(0.0, 1.0),
        "entry_open": total(opens, 0.0),
        "exit_open": total(0.0, opens),
        "entry_fill": total(fills, 0.0),
        "exit_fill": total(0.0, fills),
        "fees": total(fee, fee),
        "slippage": total(slip, slip),
    }


def _funding(own: Ledger, first: np.ndarray) -> np.ndarray:
    """Funding of each trade: a bar with funding belongs to the trade that began last."""
    paid = np.flatnonzero(own.funding[:, 0])
    number = np.searchsorted(first, paid, side="right") - 1
    return np.bincount(number, weights=own.funding[paid, 0], minlength=len(first)).astype(np.float64)
