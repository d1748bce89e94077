"""Orders: what was bought and sold, by the strategy and by the venue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from btcflow.engine.accounts import LIQUIDATED, ORDER_COLUMNS, SKIPPED

__all__ = ["Orders", "read_orders"]


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Orders of a ledger, by column and then by time. Money is in the ledger's settlement currency.

    Attributes
    ----------
    column, row : (M,) int64: ledger column, and the clock bar at whose open the order fills (in which a
        liquidation happens)
    size : (M,) float64: BTC (USD of an inverse contract), positive when buying
    fill : (M,) float64: fill price
    fees, slippage : (M,) float64: negative or zero
    equity : (M,) float64: equity at the fill, before costs
    liquidation : (M,) bool: the venue closed the position
    """

    column: np.ndarray
    row: np.ndarray
    size: np.ndarray
    fill: np.ndarray
    fees: np.ndarray
    slippage: np.ndarray
    equity: np.ndarray
    liquidation: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def where(self, keep: np.ndarray) -> Orders:
        """The orders where ``keep`` is true."""
        return Orders(**{name: values[keep] for name, values in vars(self).items()})

    def counts(self, columns: int) -> np.ndarray:
        """How many each of ``columns`` ledger columns has; (columns,) int64."""
        return np.bincount(self.column, minlength=columns)


def read_orders(made: list[np.ndarray]) -> tuple[Orders, Orders]:
    """What the accounting loop wrote for each column, (M_k, 7) each: the orders filled, and those skipped."""
    table = np.concatenate([np.empty((0, len(ORDER_COLUMNS))), *made])
    named = {name: table[:, at].copy() for at, name in enumerate(ORDER_COLUMNS)}
    kind, row = named.pop("kind"), named.pop("row").astype(np.int64)
    column = np.repeat(np.arange(len(made), dtype=np.int64), [len(one) for one in made])
    every = Orders(column=column, row=row, liquidation=kind == LIQUIDATED, **named)
    skipped = kind == SKIPPED
    return every.where(~skipped) if skipped.any() else every, every.where(skipped)
