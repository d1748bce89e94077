"""Decide: from a rule and the bars to the target position of every bar, for many parameter sets."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np

from btcflow.errors import ConfigError
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.rules.rule import Assignment, Condition, FreeForm, Rule, Side

__all__ = ["condition_score", "decide", "first_decidable", "side_holds", "threshold_of"]


def decide(strategy: Rule | FreeForm, bars: Bars, assignments: Sequence[Assignment]) -> np.ndarray:
    """Target exposure of each bar for K parameter sets.

    Returns
    -------
    (T, K) float64 in [-1, 1]: the position wanted after the bar is decided; 1 long, -1 short, 0 flat
    """
    if isinstance(strategy, FreeForm):
        columns = [_free(strategy, bars, values) for values in assignments]
    else:
        columns = [_ruled(strategy, bars, values) for values in assignments]
    return np.column_stack(columns) if columns else np.empty((len(bars), 0))


def first_decidable(strategy: Rule | FreeForm, bars: Bars, assignments: Sequence[Assignment]) -> int:
    """The first bar at which every score of every parameter set has a value; T where there is none."""
    if isinstance(strategy, FreeForm):
        return 0
    ready = np.ones(len(bars), dtype=bool)
    for values in assignments:
        for one in strategy.conditions():
            ready &= np.isfinite(condition_score(one, bars, values))
    return int(ready.argmax()) if ready.any() else len(bars)


def condition_score(condition: Condition, bars: Bars, values: Assignment) -> np.ndarray:
    """The score a condition compares, at the window and parameters of a set; shape (T,)."""
    chosen = METRICS.get(condition.score)
    span = values[condition.window] if isinstance(condition.window, str) else condition.window
    own = {name: values.get(name) for name in chosen.parameters}
    return bars.score(condition.score, window=None if span is None else int(span), **own)


def threshold_of(condition: Condition, values: Assignment) -> float:
    """The number a condition compares with."""
    if not isinstance(condition.threshold, str):
        return condition.threshold
    found = values[condition.threshold.lstrip("-")]
    if found is None:
        raise ConfigError(f"parameter {condition.threshold.lstrip('-')!r} has no value; set it under params")
    return 0.0 - float(found) if condition.threshold.startswith("-") else float(found)


def side_holds(side: Side, bars: Bars, values: Assignment, *, scale: float = 1.0) -> np.ndarray:
    """Whether an OR of ANDs holds at each bar, thresholds times ``scale``; (T,) bool, False on NaN."""
    held = np.zeros(len(bars), dtype=bool)
    for group in side:
        every = np.ones(len(bars), dtype=bool)
        for one in group:
            every &= _compare(condition_score(one, bars, values), one, threshold_of(one, values) * scale)
        held |= every
    return held


def _compare(score: np.ndarray, condition: Condition, threshold: float) -> np.ndarray:
    compare = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}[condition.op]
    return np.asarray(compare(score, threshold))


def _ruled(rule: Rule, bars: Bars, values: Assignment) -> np.ndarray:
    long_entry, short_entry = (side_holds(side, bars, values) for side in (rule.long_entry, rule.short_entry))
    long_exit, short_exit = _exit(rule, "long", bars, values), _exit(rule, "short", bars, values)
    return np.asarray(_walk(long_entry, long_exit, short_entry, short_exit, rule.min_hold, rule.cooldown))


def _exit(rule: Rule, which: str, bars: Bars, values: Assignment) -> np.ndarray:
    entry, leave = getattr(rule, f"{which}_entry"), getattr(rule, f"{which}_exit")
    if leave or rule.hysteresis is None or not entry:
        return side_holds(leave, bars, values)
    known = np.ones(len(bars), dtype=bool)
    for one in (one for group in entry for one in group):
        known &= np.isfinite(condition_score(one, bars, values))
    return np.asarray(known & ~side_holds(entry, bars, values, scale=rule.hysteresis))


def _free(strategy: FreeForm, bars: Bars, values: Assignment) -> np.ndarray:
    target = np.asarray(strategy.function(bars, values), dtype=np.float64)
    if target.shape != (len(bars),):
        raise ConfigError(f"{strategy.name} returned shape {target.shape}; expected one target per bar, ({len(bars)},)")
    for row in np.flatnonzero(~(np.abs(target) <= 1.0))[:1]:
        raise ConfigError(f"{strategy.name} returned target {target[row]} at {bars.index[row]}; expected -1 to 1")
    return target


@numba.njit(cache=True)
def _walk(
    long_entry: np.ndarray,
    long_exit: np.ndarray,
    short_entry: np.ndarray,
    short_exit: np.ndarray,
    min_hold: int,
    cooldown: int,
) -> np.ndarray:
    """The position after each bar. Exits beat entries of the same side; opposite entries cancel."""
    out = np.zeros(len(long_entry))
    position, held, rested = 0, 0, cooldown
    for t in range(len(out)):
        enter_long = long_entry[t] and not long_exit[t]
        enter_short = short_entry[t] and not short_exit[t]
        if enter_long and enter_short:
            enter_long = enter_short = False
        wanted = position
        if position == 0:
            if rested >= cooldown:
                wanted = 1 if enter_long else (-1 if enter_short else 0)
        elif held >= min_hold:
            leaves = long_exit[t] if position == 1 else short_exit[t]
            reverses = enter_short if position == 1 else enter_long
            wanted = -position if reverses else (0 if leaves else position)
        rested = rested + 1 if position == 0 and wanted == 0 else 0
        held = held + 1 if wanted == position else 1
        position = wanted
        out[t] = position
    return out
