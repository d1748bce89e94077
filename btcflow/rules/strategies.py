"""Every strategy there is: one file each in ``strategies/``, and in a folder of your own."""

from __future__ import annotations

from types import ModuleType

from btcflow.registry import Registry, shipped
from btcflow.rules.rule import FreeForm, Rule

__all__ = ["STRATEGIES"]


def _collect(module: ModuleType) -> dict[str, Rule | FreeForm]:
    return {one.name: one for one in vars(module).values() if isinstance(one, Rule | FreeForm)}


STRATEGIES: Registry[Rule | FreeForm] = Registry("strategy", folders=(shipped("strategies"),), collect=_collect)
"""One file in ``strategies/`` adds a strategy; nothing else is edited."""
