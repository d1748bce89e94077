"""Strategies as data: conditions over scores, with thresholds and windows as named parameters."""

from btcflow.rules.rule import Condition, FreeForm, Parameter, Rule, integer, number, window

__all__ = ["Condition", "FreeForm", "Parameter", "Rule", "integer", "number", "window"]
