"""raptorbt as a contestant: one direction a run, so each set is a long and a short backtest of one batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from btcflow.bench.gate import growth_of
from btcflow.bench.signal_matrix import SignalMatrix

if TYPE_CHECKING:
    from btcflow.bench.contestant import Numbers
    from btcflow.bench.workload import Workload
    from btcflow.rules.rule import Assignment

__all__ = ["RaptorbtRun"]


class RaptorbtRun:
    """``batch_single_backtest``, orders at the next open, threads of its own choosing.

    Long and short are two accounts, so what is held against the ledger is what does not depend on size:
    the bars and sides of the closed trades. It looks for a newer version of itself on the network unless
    told not to; it is told.
    """

    def prepare(self, work: Workload) -> None:
        """Lay out prices and z-scores."""
        os.environ["RAPTORBT_NO_VERSION_CHECK"] = "1"
        import raptorbt  # type: ignore[import-not-found, unused-ignore]

        clock, market = work.clock, work.market
        self._raptorbt: Any = raptorbt
        self._work, self._matrix = work, SignalMatrix(work)
        self._prices = [
            np.ascontiguousarray(one) for one in (clock.open, clock.high, clock.low, clock.close, clock.volume)
        ]
        self._config = raptorbt.BacktestConfig(
            initial_capital=market.capital,
            fees=market.fee,
            slippage=market.slippage,
            fill_timing="next_bar_open",
        )

    def fresh(self) -> None:
        """Nothing to forget: the z-scores are shared."""

    def run(self, sets: Sequence[Assignment]) -> Numbers:
        """A long and a short backtest of each set, all in one batch."""
        never = np.zeros((1, len(sets)), dtype=np.bool_)
        ahead = [np.vstack([side[1:], never]) for side in self._matrix.sides(sets)]
        directions = (("long", ahead[0], ahead[1], 1), ("short", ahead[2], ahead[3], -1))
        items = [
            self._raptorbt.BatchSingleItem(
                f"{k}{name}",
                np.ascontiguousarray(entry[:, k]),
                np.ascontiguousarray(leave[:, k]),
                direction=direction,
                weight=self._work.market.gross,
            )
            for k in range(len(sets))
            for name, entry, leave, direction in directions
        ]
        told = dict(self._raptorbt.batch_single_backtest(self._work.clock.opens, *self._prices, items, self._config))
        growth = [self._growth(told[f"{k}long"], told[f"{k}short"]) for k in range(len(sets))]
        return {"growth": np.array(growth)}

    def _growth(self, *both: Any) -> float:
        """Of both directions; a trade that only the end of the data closed is left out."""
        total = 0.0
        for side, result in zip((1.0, -1.0), both, strict=True):
            trades = [one for one in result.trades() if one.exit_reason != "EndOfData"]
            begin = np.array([one.entry_idx for one in trades], dtype=np.int64)
            end = np.array([one.exit_idx for one in trades], dtype=np.int64)
            total += growth_of(begin, end, np.full(len(trades), side), self._work.clock.open)
        return total
