"""Signals for engines that take boolean matrices: z-scores shared, conditions by numpy broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from btcflow.rules.decide import condition_score, threshold_of

if TYPE_CHECKING:
    from btcflow.bench.workload import Workload
    from btcflow.rules.rule import Assignment, Condition, Side

__all__ = ["SignalMatrix"]

_COMPARE = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}


class SignalMatrix:
    """The four sides of a workload's rule as (N, K) boolean matrices on the clock.

    A True stands in the clock bar at whose open the order fills. Each z-score is laid out on the clock
    once, NaN where nothing fills, and kept: only the comparisons are made anew for each chunk of sets.
    """

    def __init__(self, work: Workload) -> None:
        self._work = work
        rows = work.fill_rows
        self._inside = rows < len(work.clock)
        self._rows = rows[self._inside]
        self._on_clock: dict[tuple[str, object], np.ndarray] = {}
        for values in work.sets:
            for one in work.rule.conditions():
                self._score(one, values)

    def sides(self, sets: Sequence[Assignment]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Long entries, long exits, short entries, short exits."""
        rule = self._work.rule
        long_entry, long_exit, short_entry, short_exit = (
            self._side(one, sets) for one in (rule.long_entry, rule.long_exit, rule.short_entry, rule.short_exit)
        )
        return long_entry, long_exit, short_entry, short_exit

    def _side(self, side: Side, sets: Sequence[Assignment]) -> np.ndarray:
        held = np.zeros((len(self._work.clock), len(sets)), dtype=np.bool_)
        for group in side:
            every = np.ones_like(held)
            for one in group:
                thresholds = np.array([threshold_of(one, values) for values in sets])
                scores = np.column_stack([self._score(one, values) for values in sets])
                every &= _COMPARE[one.op](scores, thresholds)
            held |= every
        return held

    def _score(self, condition: Condition, values: Assignment) -> np.ndarray:
        window = values[condition.window] if isinstance(condition.window, str) else condition.window
        key = (condition.score, window)
        if key not in self._on_clock:
            laid = np.full(len(self._work.clock), np.nan)
            laid[self._rows] = condition_score(condition, self._work.bars, values)[self._inside]
            self._on_clock[key] = laid
        return self._on_clock[key]
