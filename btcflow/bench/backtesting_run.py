"""backtesting.py as a contestant: one set at a time, its own event loop."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from btcflow.bench.gate import growth_of
from btcflow.bench.signal_matrix import SignalMatrix

if TYPE_CHECKING:
    from btcflow.bench.contestant import Numbers
    from btcflow.bench.workload import Workload
    from btcflow.rules.rule import Assignment

__all__ = ["BacktestingRun"]

_CASH = 1e9
"""So much that one whole coin is always affordable: the library trades whole units only."""


class BacktestingRun:
    """``Backtest.run`` with orders of one coin that fill at the next open, fee and slippage as commission.

    It trades whole units and sizes by them, so what is held against the ledger is what does not depend
    on size: the count of closed trades' bars and sides.
    """

    def prepare(self, work: Workload) -> None:
        """Lay out prices and z-scores."""
        os.environ["TQDM_DISABLE"] = "1"  # its progress bar
        clock = work.clock
        self._work, self._matrix = work, SignalMatrix(work)
        names = {"Open": clock.open, "High": clock.high, "Low": clock.low, "Close": clock.close}
        self._prices = pd.DataFrame(names | {"Volume": clock.volume}, index=clock.index.tz_localize(None))
        self._strategy = _strategy()

    def fresh(self) -> None:
        """Nothing to forget: the z-scores are shared."""

    def run(self, sets: Sequence[Assignment]) -> Numbers:
        """One backtest after the other."""
        growth = [self._one(values) for values in sets]
        return {"growth": np.array(growth)}

    def _one(self, values: Assignment) -> float:
        from backtesting import Backtest  # type: ignore[import-not-found, unused-ignore]

        market = self._work.market
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a trade open at the end, and of prices above its cash
            test = Backtest(
                self._prices,
                self._strategy,
                cash=_CASH,
                commission=market.fee + market.slippage,
                exclusive_orders=True,
            )
            sides = [side[:, 0] for side in self._matrix.sides([values])]
            trades = test.run(sides=sides)["_trades"]
        begin, end = (trades[name].to_numpy(dtype=np.int64) for name in ("EntryBar", "ExitBar"))
        side = np.sign(trades["Size"].to_numpy(dtype=np.float64))
        return growth_of(begin, end, side, self._work.clock.open)


def _strategy() -> Any:
    from backtesting import Strategy  # type: ignore[import-not-found, unused-ignore]

    class Signals(Strategy):  # type: ignore[misc, unused-ignore]
        """Reads at a bar's close what its decision is for the next bar's open."""

        sides: Any = ()

        def init(self) -> None:
            """Shift each side by one bar: row i holds what fills at the open of i + 1."""
            self.ahead = [np.append(side[1:], False) for side in self.sides]

        def next(self) -> None:
            """Enter, reverse or leave."""
            row = len(self.data) - 1
            long_entry, long_exit, short_entry, short_exit = (side[row] for side in self.ahead)
            if long_entry and not self.position.is_long:
                self.buy(size=1)
            elif short_entry and not self.position.is_short:
                self.sell(size=1)
            elif (long_exit and self.position.is_long) or (short_exit and self.position.is_short):
                self.position.close()

    return Signals
