"""vectorbt as a contestant: tz-naive, z-scores shared, only the numbers both sides have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.bench.gate import growth_of
from btcflow.bench.signal_matrix import SignalMatrix

if TYPE_CHECKING:
    from btcflow.bench.contestant import Numbers
    from btcflow.bench.workload import Workload
    from btcflow.rules.rule import Assignment

__all__ = ["VectorbtRun"]

_NEVER_SHORT_OF_CASH = 1000.0
"""Fixed orders of an account that lost much would not be filled."""


class VectorbtRun:
    """``Portfolio.from_signals`` or ``from_orders`` over a matrix of sets.

    ``from_orders`` sizes by target percent of equity at the open and equals the ledger in every number.
    ``from_signals``, the faster, cannot: it buys for a fixed amount of money, without compounding. So of
    its numbers only those are held against the ledger that do not depend on size: the count of trades,
    and the bars and sides of all of them.

    Parameters
    ----------
    engine : ``numba`` or ``rust``
    how : ``from_signals`` or ``from_orders``
    """

    def __init__(self, *, engine: str, how: str) -> None:
        self._engine, self._how = engine, how

    def prepare(self, work: Workload) -> None:
        """Lay the z-scores out on the clock; choose the engine."""
        import vectorbt as vbt

        vbt.settings["engine"] = self._engine
        self._vbt: Any = vbt
        self._work, self._matrix = work, SignalMatrix(work)
        self._index = work.clock.index.tz_localize(None)
        self._freq = pd.Timedelta(seconds=timeframes.parse(work.clock.step).seconds)

    def fresh(self) -> None:
        """Nothing to forget: the z-scores are shared."""

    def run(self, sets: Sequence[Assignment]) -> Numbers:
        """Simulate all sets as one matrix, and take the numbers both sides have."""
        made = self._signals(sets) if self._how == "from_signals" else self._orders(sets)
        numbers = {
            "total_return": made.total_return(),
            "clock_sharpe": made.sharpe_ratio(),
            "max_drawdown": made.max_drawdown(),
            "trades": made.trades.count(),
        }
        plain = {name: np.atleast_1d(np.asarray(values, dtype=np.float64)) for name, values in numbers.items()}
        ratio = plain["clock_sharpe"]
        plain["clock_sharpe"] = np.where(np.isinf(ratio), np.nan, ratio)  # its word for a path without variance
        if self._how == "from_orders":
            return plain
        growth = self._growth(made.trades.records, len(sets))
        return {"trades": plain["trades"], "growth": growth}

    def _signals(self, sets: Sequence[Assignment]) -> Any:
        long_entry, long_exit, short_entry, short_exit = self._matrix.sides(sets)
        market = self._work.market
        return self._vbt.Portfolio.from_signals(
            self._closes(len(sets)),
            long_entry,
            long_exit,
            short_entry,
            short_exit,
            price=self._work.clock.open[:, None],
            size=market.capital * market.gross,
            size_type="value",
            upon_opposite_entry="reverse",
            **self._terms() | {"init_cash": _NEVER_SHORT_OF_CASH * market.capital},
        )

    def _orders(self, sets: Sequence[Assignment]) -> Any:
        position = _position(*self._matrix.sides(sets))
        before = np.vstack([np.zeros((1, position.shape[1])), position[:-1]])
        opens = self._work.clock.open[:, None]
        return self._vbt.Portfolio.from_orders(
            self._closes(len(sets)),
            size=np.where(position != before, position * self._work.market.gross, np.nan),
            size_type="targetpercent",
            price=opens,
            val_price=opens,
            **self._terms(),
        )

    def _closes(self, columns: int) -> pd.DataFrame:
        close = self._work.clock.close[:, None]
        return pd.DataFrame(np.broadcast_to(close, (len(close), columns)), index=self._index)

    def _terms(self) -> dict[str, Any]:
        market = self._work.market
        return {
            "fees": market.fee,
            "slippage": market.slippage,
            "init_cash": market.capital,
            "freq": self._freq,
        }

    def _growth(self, records: pd.DataFrame, columns: int) -> np.ndarray:
        closed = records[records["status"] == 1]
        side = np.where(closed["direction"] == 0, 1.0, -1.0)
        column, begin, end = (closed[name].to_numpy() for name in ("col", "entry_idx", "exit_idx"))
        opens = self._work.clock.open
        return np.array(
            [growth_of(begin[own], end[own], side[own], opens) for own in (column == k for k in range(columns))]
        )


def _position(
    long_entry: np.ndarray, long_exit: np.ndarray, short_entry: np.ndarray, short_exit: np.ndarray
) -> np.ndarray:
    """1, -1 or 0 in each clock bar.

    Right for the bench's rules: an entry is an exit of the other side, and never comes with its own exit.
    """
    return np.asarray(_held(long_entry, long_exit) - _held(short_entry, short_exit))


def _held(entry: np.ndarray, leave: np.ndarray) -> np.ndarray:
    """1 from an entry to the next exit, 0 elsewhere."""
    event = entry | leave
    newest = np.maximum.accumulate(np.where(event, np.arange(len(event))[:, None], -1), axis=0)
    return np.asarray((newest >= 0) & np.take_along_axis(entry, newest, axis=0), dtype=np.float64)
