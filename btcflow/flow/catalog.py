"""Every metric there is: found by folder, named by function."""

from __future__ import annotations

from types import ModuleType

import btcflow.flow
from btcflow.flow.metric import Metric
from btcflow.registry import Registry

__all__ = ["METRICS"]


def _collect(module: ModuleType) -> dict[str, Metric]:
    return {one.name: one for one in vars(module).values() if isinstance(one, Metric)}


METRICS: Registry[Metric] = Registry("metric", package=btcflow.flow, collect=_collect)
"""One file in ``btcflow/flow`` adds a metric; nothing else is edited."""
