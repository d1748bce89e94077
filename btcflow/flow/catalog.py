"""Every metric there is: found by folder, named by function."""

from __future__ import annotations

from types import ModuleType

import btcflow.flow
from btcflow.flow.metric import Metric
from btcflow.registry import Registry

__all__ = ["DASHBOARD", "METRICS"]

DASHBOARD = (
    "spot_premium",
    "perp_premium",
    "prem_z",
    "oi_index",
    "oi_z",
    "oi_change_z",
    "funding_8h",
    "funding_apr",
    "fund_z",
)
"""The metrics that signals, run folders and reports show, in this order."""


def _collect(module: ModuleType) -> dict[str, Metric]:
    return {one.name: one for one in vars(module).values() if isinstance(one, Metric)}


METRICS: Registry[Metric] = Registry("metric", package=btcflow.flow, collect=_collect)
"""One file in ``btcflow/flow`` adds a metric; nothing else is edited."""
