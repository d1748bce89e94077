"""What is tried: anything that turns the bars of one timeframe into one number per bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from btcflow.flow.bars import Bars
from btcflow.flow.metric import Metric
from btcflow.flow.options import FlowOptions
from btcflow.rules.decide import decide
from btcflow.rules.rule import FreeForm, Parameter, Rule

__all__ = ["Compute", "Subject", "metric_subject", "strategy_subject"]

Compute = Callable[[Bars], tuple[np.ndarray, np.ndarray]]
EXPOSURE = "exposure"
"""The unit of a strategy's target."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is tried: from bars to (decided_at int64 (T,), values float64 (T,)).

    Attributes
    ----------
    name : as messages call it, ``oi_z@1W``
    needs : the panel fields it says it reads
    compute : gives what it decides, and when
    unit : of its values, as a metric declares it; None = not known
    options : metric options of its bars; None = the defaults
    function : the Python that a person wrote, where there is one: its file and line stand in
        messages, and the data of its module are watched
    """

    name: str
    needs: tuple[str, ...]
    compute: Compute
    unit: str | None = None
    options: FlowOptions | None = None
    function: Callable[..., Any] | None = None


def metric_subject(metric: Metric, timeframe: str, *, window: int, options: FlowOptions | None = None) -> Subject:
    """A metric at one timeframe and window."""
    arguments = {"window": window} if metric.windowed else {}
    return Subject(
        name=f"{metric.name}@{timeframe}",
        needs=metric.needs,
        compute=lambda bars: (bars.decided_at, metric(bars, **arguments)),
        unit=metric.unit,
        options=options,
        function=metric.function,
    )


def strategy_subject(
    strategy: Rule | FreeForm, timeframe: str, *, window: int, options: FlowOptions | None = None
) -> Subject:
    """A strategy's targets at one timeframe; its windows that have no default are set to ``window``."""
    tunable = strategy.tunable
    values = strategy.assign({name: _within(one, window) for name, one in tunable.items() if _is_window(name, one)})
    return Subject(
        name=f"{strategy.name}@{timeframe}",
        needs=(*strategy.needs,),
        compute=lambda bars: (bars.decided_at, decide(strategy, bars, [values])[:, 0]),
        unit=EXPOSURE,
        options=options,
        function=strategy.function if isinstance(strategy, FreeForm) else None,
    )


def _is_window(name: str, one: Parameter) -> bool:
    return one.kind == "int" and (name == "window" or one.default is None)


def _within(one: Parameter, window: int) -> int:
    return int(min(max(window, one.low), one.high))
