"""btcflow tells whether a Bitcoin derivative-flow signal makes money, with which thresholds, on which timeframe.

The public names load on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from btcflow.api import load_config, load_panel, metrics, portfolio, run, signals_matrix, sweep
    from btcflow.engine.market import Market
    from btcflow.panel import Panel
    from btcflow.rules.rule import Rule

_HOMES = {
    "Market": "btcflow.engine.market",
    "Panel": "btcflow.panel",
    "Rule": "btcflow.rules.rule",
    "load_config": "btcflow.api",
    "load_panel": "btcflow.api",
    "metrics": "btcflow.api",
    "portfolio": "btcflow.api",
    "run": "btcflow.api",
    "signals_matrix": "btcflow.api",
    "sweep": "btcflow.api",
}

__all__ = [
    "Market",
    "Panel",
    "Rule",
    "__version__",
    "load_config",
    "load_panel",
    "metrics",
    "portfolio",
    "run",
    "signals_matrix",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in ("rolling", "timeframes"):
        return import_module(f"btcflow.{name}")
    raise AttributeError(f"module 'btcflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
