"""What a trap is: a few lines as people write them, and the law that must see through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from btcflow.contracts import Aligner, Subject, aligned
from btcflow.flow.bars import Bars

__all__ = ["Trap", "closes", "collected", "control", "leak", "leak_with_memory", "logs", "timeline"]

Function = Callable[[Bars], Any]


@dataclass(frozen=True, kw_only=True)
class Trap:
    """A leak with the law that must catch it, or an honest control (``law`` None) that none may accuse.

    ``make`` gives the function afresh: values per bar, or (decided_at, values) where a trap makes
    rows of its own.
    """

    name: str
    law: str | None
    timeframe: str
    needs: tuple[str, ...]
    unit: str | None
    make: Callable[[], Function]
    aligner: Aligner
    about: str

    @property
    def subject(self) -> Subject:
        """What is tried."""
        function = self.make()

        def compute(bars: Bars) -> tuple[Any, Any]:
            found = function(bars)
            decided, values = found if isinstance(found, tuple) else (bars.decided_at, found)
            return decided, values.to_numpy(copy=True) if isinstance(values, pd.Series) else values

        name = f"{self.name}@{self.timeframe}"
        return Subject(name=name, needs=self.needs, compute=compute, unit=self.unit, function=function)


def leak(
    law: str,
    *,
    timeframe: str = "1D",
    needs: tuple[str, ...] = ("close",),
    unit: str | None = None,
    aligner: Aligner = aligned,
) -> Callable[[Function], Trap]:
    """Declare a function to be a leak that ``law`` must catch; its docstring says who writes it and why it leaks."""
    return lambda function: _trap(function, lambda: function, law, (timeframe, needs, unit, aligner))


def leak_with_memory(law: str) -> Callable[[Callable[[], Function]], Trap]:
    """The same for a function that makes the leaking one, with a memory of its own."""
    return lambda make: _trap(make, make, law, ("1D", ("close",), None, aligned))


def control(
    *, timeframe: str = "1D", needs: tuple[str, ...] = ("close",), unit: str | None = None
) -> Callable[[Function], Trap]:
    """Declare a function to be honest."""
    return lambda function: _trap(function, lambda: function, None, (timeframe, needs, unit, aligned))


def _trap(
    named: Callable[..., Any],
    make: Callable[[], Function],
    law: str | None,
    terms: tuple[str, tuple[str, ...], str | None, Aligner],
) -> Trap:
    timeframe, needs, unit, aligner = terms
    return Trap(
        name=named.__name__,
        law=law,
        timeframe=timeframe,
        needs=needs,
        unit=unit,
        make=make,
        aligner=aligner,
        about=" ".join((named.__doc__ or "").split()),
    )


def collected(*modules: ModuleType) -> tuple[Trap, ...]:
    """Every trap the modules define, in their order."""
    return tuple(one for module in modules for one in vars(module).values() if isinstance(one, Trap))


def closes(bars: Bars) -> pd.Series[float]:
    """Close of the traded instrument on a time index, as a person has it in a notebook."""
    return timeline(bars, bars["price"])


def logs(bars: Bars) -> pd.Series[float]:
    """Their natural logarithm."""
    return timeline(bars, np.log(bars["price"]))


def timeline(bars: Bars, values: Any) -> pd.Series[float]:
    """One value per bar on the index of bar opens."""
    return pd.Series(values, index=bars.index, dtype="float64").copy()
