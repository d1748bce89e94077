"""Signal matrices: a strategy's decisions as the boolean frames vectorbt takes, on the clock."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from btcflow.engine.execution import on_clock
from btcflow.errors import ConfigError
from btcflow.flow.bars import Bars
from btcflow.rules.decide import decide
from btcflow.rules.rule import Assignment, FreeForm, Rule

__all__ = ["Signals", "assignments", "clock_targets", "is_list", "signal_frames"]

Value = float | int | None
ParameterGrid = Mapping[str, Value | Sequence[Value]]


class Signals(NamedTuple):
    """Four (T, K) boolean frames on the clock, in the order ``vbt.Portfolio.from_signals`` takes them.

    A True stands in the clock bar at whose open the order fills, so they go with ``price=open``.
    """

    entries: pd.DataFrame
    exits: pd.DataFrame
    short_entries: pd.DataFrame
    short_exits: pd.DataFrame


def assignments(strategy: Rule | FreeForm, grid: ParameterGrid) -> tuple[list[Assignment], pd.Index]:
    """Every combination of the listed values, checked, and the column labels that tell them apart.

    Returns
    -------
    K assignments, and a MultiIndex over the parameters that were given (or the strategy's name)
    """
    lists = {name: values_of(value) for name, value in grid.items()}
    empty = [name for name, values in lists.items() if not values]
    if empty:
        raise ConfigError(
            f"{strategy.name}: parameter {empty[0]!r} was given an empty list; expected at least one value"
        )
    rows: list[dict[str, Value]] = [
        dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())
    ]
    checked = [strategy.assign(row) for row in rows]
    if not lists:
        return checked, pd.Index([strategy.name], name="strategy")
    return checked, pd.MultiIndex.from_tuples([tuple(row.values()) for row in rows], names=list(lists))


def clock_targets(strategy: Rule | FreeForm, bars: Bars, sets: Sequence[Assignment], *, delay: int) -> np.ndarray:
    """Target exposure in force at each clock bar's open; (N, K) float64."""
    return on_clock(decide(strategy, bars, sets), bars.decided_at, bars.panel.clock, delay=delay)


def signal_frames(targets: np.ndarray, index: pd.DatetimeIndex, columns: pd.Index) -> Signals:
    """Boolean frames from (N, K) targets that are -1, 0 or 1.

    A reversal is one entry on the other side and no exit, since vectorbt turns an opposite entry into
    one reversing order.
    """
    if not np.isin(targets, (-1.0, 0.0, 1.0)).all():
        raise ConfigError("signal matrices hold positions of -1, 0 or 1; a fractional target needs btcflow.portfolio")
    before = np.vstack([np.zeros((1, targets.shape[1])), targets[:-1]])
    changed = targets != before
    parts = (
        changed & (targets == 1),
        changed & (targets == 0) & (before == 1),
        changed & (targets == -1),
        changed & (targets == 0) & (before == -1),
    )
    return Signals(*(pd.DataFrame(part, index=index, columns=columns) for part in parts))


def values_of(value: Value | Sequence[Value]) -> list[Value]:
    """The values of one parameter: those of a list, or the one."""
    if value is None or isinstance(value, int | float | np.number):
        return [value]
    return list(value)


def is_list(value: object) -> bool:
    """True for several values of a parameter, False for one."""
    return value is not None and not isinstance(value, int | float | np.number)
