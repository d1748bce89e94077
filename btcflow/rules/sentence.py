"""A rule as an English sentence, with its numbers filled in."""

from __future__ import annotations

from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.options import ConfluenceOptions, CycleOptions
from btcflow.rules.decide import threshold_of
from btcflow.rules.rule import Assignment, Condition, FreeForm, Rule, Side

__all__ = ["condition_words", "sentence", "spelled"]

_WORDS = {">=": "is at least", "<=": "is at most", ">": "is above", "<": "is below"}


def sentence(strategy: Rule | FreeForm, values: Assignment, bars: Bars) -> str:
    """What the strategy does, for a reader who has never seen its code."""
    if isinstance(strategy, FreeForm):
        return strategy.claim
    parts = [_side(strategy, "long", "Go long", values, bars), _side(strategy, "short", "Go short", values, bars)]
    limits = [f"A position is kept at least {strategy.min_hold} bars."] if strategy.min_hold else []
    if strategy.cooldown:
        limits.append(f"After an exit it rests {strategy.cooldown} bars.")
    return " ".join([part for part in parts if part] + limits)


def condition_words(condition: Condition, values: Assignment, bars: Bars) -> str:
    """One condition in words, such as ``fund_z over 90 bars is at least 2``."""
    chosen = METRICS.get(condition.score)
    span = values[condition.window] if isinstance(condition.window, str) else condition.window
    over = f" over {int(span) if span is not None else bars.window()} bars" if chosen.windowed else ""
    if condition.flag:
        return f"{condition.score}{over} holds"
    return f"{condition.score}{over} {_WORDS[condition.op]} {threshold_of(condition, values):g}"


def spelled(values: Assignment, bars: Bars) -> dict[str, float | int]:
    """The parameters with the experiment's options where they were left open."""
    options = bars.options
    found: dict[str, float | int] = {}
    for name, value in values.items():
        left_open = bars.window() if name not in _OPTIONED else getattr(options, _OPTIONED[name]).model_dump()[name]
        found[name] = left_open if value is None else value
    return found


_OPTIONED = dict.fromkeys(CycleOptions.model_fields, "cycle") | dict.fromkeys(
    ConfluenceOptions.model_fields, "confluence"
)
"""The options that the parameters of the states fall back to; any other open parameter is a window."""


def _side(rule: Rule, which: str, opening: str, values: Assignment, bars: Bars) -> str:
    entry, leave = getattr(rule, f"{which}_entry"), getattr(rule, f"{which}_exit")
    if not entry:
        return ""
    start = f"{opening} at once" if entry == ((),) else f"{opening} when {_either(entry, values, bars)}"
    if leave:
        return f"{start}; leave when {_either(leave, values, bars)}."
    if rule.hysteresis is not None:
        return f"{start}; leave when that no longer holds at {rule.hysteresis:g} of the thresholds."
    return (
        f"{start}; hold to the end."
        if rule.short_entry == () or rule.long_entry == ()
        else f"{start}; hold until the other side."
    )


def _either(side: Side, values: Assignment, bars: Bars) -> str:
    return " or ".join(" and ".join(condition_words(one, values, bars) for one in group) for group in side)
