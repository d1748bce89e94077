"""Execution: when a decision becomes an order on the clock.

A decision made at ``decided_at`` fills at the open of the first clock bar that opens at or after it,
plus ``delay`` clock bars. A fill at the deciding bar's own close cannot be expressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from btcflow.errors import ConfigError, ContractError

if TYPE_CHECKING:
    from btcflow.clock import Clock

__all__ = ["fill_rows", "on_clock", "refuse_bad_targets"]


def fill_rows(decided_at: np.ndarray, clock: Clock, *, delay: int) -> np.ndarray:
    """The clock bar at whose open each decision fills.

    Parameters
    ----------
    decided_at : (T,) int64, nanoseconds UTC, in time order
    clock : the bars of the traded instrument
    delay : whole clock bars between the first possible fill and the fill, 0 or more

    Returns
    -------
    (T,) int64: row of the first clock bar with ``open >= decided_at``, plus ``delay``; ``len(clock)``
    where the clock ends before that bar (the order is never filled)

    Raises
    ------
    ConfigError
        for a negative or fractional delay
    ContractError
        for decisions out of time order
    """
    if isinstance(delay, bool) or not isinstance(delay, int | np.integer) or delay < 0:
        raise ConfigError(f"delay is {delay!r}; expected a whole number of clock bars, 0 or more")
    for row in np.flatnonzero(np.diff(decided_at) < 0)[:1]:
        detail = f"decision {row + 1} ({_at(decided_at[row + 1])}) comes before decision {row}; sort them by time"
        raise ContractError("decisions in time order", "decided_at", detail)
    first = np.searchsorted(clock.opens, decided_at, side="left")
    return np.minimum(first + int(delay), len(clock)).astype(np.int64)


def on_clock(targets: np.ndarray, decided_at: np.ndarray, clock: Clock, *, delay: int) -> np.ndarray:
    """The target exposure in force at each clock bar's open.

    A target holds from its fill to the next one; before the first fill it is 0 (flat). Where several
    decisions fill at one clock bar the last one wins.

    Parameters
    ----------
    targets : (T,) or (T, K) numbers in [-1, 1], one row per decision
    decided_at : (T,) int64, nanoseconds UTC, in time order
    clock : the bars of the traded instrument, N of them
    delay : whole clock bars between the first possible fill and the fill

    Returns
    -------
    (N, K) float64

    Raises
    ------
    ContractError
        for a target that is not a number in [-1, 1], or one row too many or too few
    """
    wide = refuse_bad_targets(targets, decided_at, "decision")
    rows = fill_rows(decided_at, clock, delay=delay)
    ruling = np.searchsorted(rows, np.arange(len(clock)), side="right")  # 0: nothing decided yet
    return np.concatenate([np.zeros((1, wide.shape[1])), wide])[ruling]


def refuse_bad_targets(targets: np.ndarray, times: np.ndarray, row_name: str) -> np.ndarray:
    """Targets as (T, K) float64 after checking them; ``times`` (T,) int64 ns name the faulty row.

    Raises
    ------
    ContractError
        naming the first row and column that is not a number in [-1, 1]
    """
    wide = np.asarray(targets, dtype=np.float64)
    wide = wide[:, None] if wide.ndim == 1 else wide
    if wide.ndim != 2 or len(wide) != len(times):
        shape = np.shape(targets)
        detail = f"shape {shape}, expected ({len(times)},) or ({len(times)}, K): one row per {row_name}"
        raise ContractError("one target per row", "targets", detail)
    if wide.size and not (wide.min() >= -1.0 and wide.max() <= 1.0):  # NaN is neither
        row, column = np.argwhere(~(np.abs(wide) <= 1.0))[0]
        detail = (
            f"{wide[row, column]} at {_at(times[row])} ({row_name} {row}, column {column}), expected a number from "
            "-1 (short) to 1 (long), 0 where the strategy has no view"
        )
        raise ContractError("targets in [-1, 1]", "targets", detail)
    return wide


def _at(instant: int) -> str:
    return str(pd.Timestamp(int(instant), unit="ns", tz="UTC"))
