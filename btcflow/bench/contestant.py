"""What an engine must be able to do to take part, and who takes part."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from btcflow.errors import UnknownName

if TYPE_CHECKING:
    from btcflow.bench.workload import Workload
    from btcflow.rules.rule import Assignment

__all__ = ["ENTRIES", "Contestant", "Entry", "Numbers", "entry_named"]

Numbers = Mapping[str, np.ndarray]
"""Name of a summary number to (K,) values, in the order of the sets."""


class Contestant(Protocol):
    """One engine on one workload."""

    def prepare(self, work: Workload) -> None:
        """Get ready once; not timed. Other engines are handed the z-scores they need here."""

    def fresh(self) -> None:
        """Forget what a run must do itself; called before each timed run, not timed."""

    def run(self, sets: Sequence[Assignment]) -> Numbers:
        """Run the sets; timed."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contestant on the list.

    Attributes
    ----------
    name : its row in the table
    make : makes it, for a number of threads
    kind : ``ledger`` (what all must equal), ``kernel``, ``floor`` or ``peer``
    chunks : how many sets it is given at a time, each tried; empty: all of them
    needs : modules that must be installed
    slow : takes part with few sets, since each costs it tenths of a second
    """

    name: str
    make: Callable[[int], Contestant]
    kind: str
    chunks: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()
    slow: bool = False

    @property
    def absent(self) -> str | None:
        """Why it cannot take part on this machine, or None."""
        for module in self.needs:
            if _missing(module):
                if module.startswith("btcflow."):
                    return f"{module} is not part of this version"
                return f"{module} is not installed; pip install 'btcflow[peers]'"
        return None


def _missing(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        return True


def _ledger(_: int) -> Contestant:
    from btcflow.bench.own_runs import LedgerRun

    return LedgerRun()


def _floor(_: int) -> Contestant:
    from btcflow.bench.own_runs import FloorRun

    return FloorRun()


def _kernel(summary: Literal["full", "basic"], *, alone: bool) -> Callable[[int], Contestant]:
    def make(threads: int) -> Contestant:
        from btcflow.bench.own_runs import KernelRun

        return KernelRun(summary=summary, threads=1 if alone else threads)

    return make


def _vectorbt(engine: str, how: str) -> Callable[[int], Contestant]:
    def make(_: int) -> Contestant:
        from btcflow.bench.vectorbt_run import VectorbtRun

        return VectorbtRun(engine=engine, how=how)

    return make


def _backtesting(_: int) -> Contestant:
    from btcflow.bench.backtesting_run import BacktestingRun

    return BacktestingRun()


def _raptorbt(_: int) -> Contestant:
    from btcflow.bench.raptorbt_run import RaptorbtRun

    return RaptorbtRun()


_MATRIX = (8, 16, 32, 64, 128)
_RUST = ("vectorbt", "vectorbt_rust")

ENTRIES = (
    Entry(name="exact ledger", make=_ledger, kind="ledger", chunks=(8,), slow=True),
    Entry(name="kernel basic, 1 thread", make=_kernel("basic", alone=True), kind="kernel"),
    Entry(name="kernel full, 1 thread", make=_kernel("full", alone=True), kind="kernel"),
    Entry(name="kernel basic, n threads", make=_kernel("basic", alone=False), kind="kernel"),
    Entry(name="kernel full, n threads", make=_kernel("full", alone=False), kind="kernel"),
    Entry(
        name="mark-to-market floor",
        make=_floor,
        kind="floor",
        chunks=(64,),
        needs=("btcflow.engine.kernel.floor",),
        slow=True,
    ),
    *(
        Entry(
            name=f"vectorbt {engine}, {how}, {shape}",
            make=_vectorbt(engine, how),
            kind="peer",
            chunks=chunks,
            needs=_RUST if engine == "rust" else ("vectorbt",),
            slow=True,
        )
        for engine in ("numba", "rust")
        for how, shape, chunks in (
            ("from_signals", "one at a time", (1,)),
            ("from_signals", "matrix", _MATRIX),
            ("from_orders", "matrix", _MATRIX),
        )
    ),
    Entry(
        name="backtesting.py, one at a time",
        make=_backtesting,
        kind="peer",
        chunks=(1,),
        needs=("backtesting",),
        slow=True,
    ),
    Entry(name="raptorbt, batch", make=_raptorbt, kind="peer", chunks=(8, 32), needs=("raptorbt",), slow=True),
)
"""Who takes part, the ledger first: it says what is right."""


def entry_named(name: str) -> Entry:
    """The contestant of that name.

    Raises
    ------
    UnknownName
        with the nearest name there is
    """
    for one in ENTRIES:
        if one.name == name:
            return one
    raise UnknownName("contestant", name, [one.name for one in ENTRIES])
