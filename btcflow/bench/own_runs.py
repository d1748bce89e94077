"""Our own contestants: the sweep kernel, the exact ledger, and the floor no kernel can pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from btcflow.bench.contestant import Numbers
    from btcflow.bench.workload import Workload
    from btcflow.rules.rule import Assignment

__all__ = ["FloorRun", "KernelRun", "LedgerRun"]


class KernelRun:
    """The sweep kernel, all-in: z-scores, bitmaps and tables are made anew in every run."""

    def __init__(self, *, summary: Literal["full", "basic"], threads: int) -> None:
        self.summary, self.threads = summary, threads

    def prepare(self, work: Workload) -> None:
        """Keep the workload."""
        self._work = work

    def fresh(self) -> None:
        """Forget the z-scores."""
        self._work.fresh()

    def run(self, sets: Sequence[Assignment]) -> Numbers:
        """Prepare the clock and run all sets."""
        from btcflow.engine.kernel.sweep import sweep_kernel

        work = self._work
        found = sweep_kernel(work.rule, work.bars, sets, work.market, summary=self.summary, threads=self.threads)
        return {name: getattr(found, name)[0] for name in ("total_return", "sharpe", "max_drawdown", "trades")}


class LedgerRun:
    """The exact ledger and its summary: slow, and right by definition."""

    def prepare(self, work: Workload) -> None:
        """Keep the workload."""
        self._work = work

    def fresh(self) -> None:
        """Nothing to forget: its z-scores are shared, as those of the other engines."""

    def run(self, sets: Sequence[Assignment]) -> Numbers:
        """Every number another engine may have."""
        from btcflow.bench.gate import growth_of
        from btcflow.engine.ledger import settle
        from btcflow.engine.signals import clock_targets
        from btcflow.stats.performance import performance

        work, rows = self._work, []
        ledger = settle(clock_targets(work.rule, work.bars, sets, delay=work.market.delay), work.clock, work.market)
        for column in range(len(sets)):
            told = performance(ledger, column=column)
            orders = ledger.orders.where(ledger.orders.column == column)
            growth = growth_of(*_sides(orders.row, ledger.quantity[:, column]), work.clock.open)
            rows.append(
                (told.total_return, told.sharpe, told.clock_sharpe, told.max_drawdown, float(told.trades), growth)
            )
        names = ("total_return", "sharpe", "clock_sharpe", "max_drawdown", "trades", "growth")
        return dict(zip(names, np.array(rows).reshape(-1, len(names)).T, strict=True))


def _sides(rows: np.ndarray, quantity: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First row, last row + 1 and side of each closed trade, from the rows of the orders."""
    held = np.sign(quantity[rows])
    begins = np.flatnonzero(held[:-1] != 0)
    return rows[begins], rows[begins + 1], held[begins]


class FloorRun:
    """Marking precomputed targets to the market: equity, funding, moments and drawdown, no conditions."""

    def prepare(self, work: Workload) -> None:
        """Precompute the targets of 64 sets."""
        from btcflow.engine.kernel.floor import mark_to_market_floor
        from btcflow.engine.signals import clock_targets

        self._floor: Any = mark_to_market_floor
        self._work = work
        targets = clock_targets(work.rule, work.bars, work.sample(64), delay=work.market.delay)
        self._targets = np.ascontiguousarray(targets.T, dtype=np.int8)

    def fresh(self) -> None:
        """Nothing to forget."""

    def run(self, sets: Sequence[Assignment]) -> Numbers:
        """Mark as many of the precomputed columns as there are sets; it has no numbers to compare."""
        self._floor(self._targets[: len(sets)], self._work.clock, self._work.market)
        return {}
