"""What a metric is: a causal function from the bars of one timeframe to one number per bar."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["Metric", "metric"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A registered metric.

    A metric is also a *score*: a rule may compare it with a threshold. ``windowed`` metrics take a
    ``window`` in bars; ``parameters`` are further numbers a rule may set, with their defaults (None
    = taken from the options of the experiment).
    """

    name: str
    unit: str
    needs: tuple[str, ...]
    windowed: bool
    parameters: Mapping[str, float | None]
    function: Callable[..., np.ndarray]
    about: str

    def __call__(self, bars: Bars, **arguments: Any) -> np.ndarray:
        """One float64 per bar; shape (T,)."""
        return self.function(bars, **arguments)


def metric(
    *, unit: str, needs: tuple[str, ...], windowed: bool = False
) -> Callable[[Callable[..., np.ndarray]], Metric]:
    """Declare a function ``(bars, *, window=..., parameter=...) -> (T,)`` to be a metric.

    Parameters
    ----------
    unit : ``%``, ``z``, ``fraction per 8h``, ``fraction p.a.``, ``index``, ``0/1``, ...
    needs : the panel fields it reads, itself or through other metrics
    windowed : True where it takes ``window``
    """

    def declare(function: Callable[..., np.ndarray]) -> Metric:
        arguments = inspect.signature(function).parameters.values()
        keywords = {one.name: one.default for one in arguments if one.kind is one.KEYWORD_ONLY and one.name != "window"}
        return Metric(
            name=function.__name__,
            unit=unit,
            needs=needs,
            windowed=windowed,
            parameters=MappingProxyType(keywords),
            function=function,
            about=inspect.getdoc(function) or "",
        )

    return declare
