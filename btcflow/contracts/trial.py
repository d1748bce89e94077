"""The market a subject is tried on, rebuilt in every way that must not matter to the past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from btcflow.contracts.changes import late_days, later_known, multiplied, regauged, repriced, still_unknown, without
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.grids import holes
from btcflow.data.records import Dataset, Records
from btcflow.fields import FIELDS
from btcflow.flow.bars import Bars
from btcflow.flow.options import FlowOptions
from btcflow.panel import Panel

__all__ = ["FIELDS_OF_METRICS", "Aligner", "Trial", "aligned"]

_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
_CUTS = (0.1, 0.2, 0.33, 0.45, 0.57, 0.7, 0.8, 0.88)
_SHORTENED = 14
_DIRECTIONS = {"up": (1.7, 0.3), "down": (0.5, -1.0)}
"""What the future is multiplied by: prices and amounts, and funding rates."""
_CLOCK_ARRAYS = ("opens", "open", "high", "low", "close", "volume", "funding", "settlements")
FIELDS_OF_METRICS = ("close", "open_interest", "funding_paid", "funding_hours")
Aligner = Callable[[Dataset, pd.Timestamp | None, tuple[str, ...]], Panel]


def aligned(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    """The panel as btcflow makes it, on the clock of the first linear perpetual with funding."""
    traded = next(
        one.instrument.id for one in dataset if one.key.kind == "funding" and one.instrument.margin == "linear"
    )
    return align(dataset, make_clock(dataset, traded, missing_funding="report"), needs=needs, as_of=as_of)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A market, the timeframe it is seen on, and how it is aligned (planted leaks bring their own way).

    The changed panels are made when they are first asked for, and kept: trying many subjects costs
    little more than computing them. Their arrays cannot be written to, whatever a subject tries.

    ``only_listed``: a market cut before an instrument was listed does not hold it at all; else it
    holds it empty, as a config that names it asks for.
    """

    dataset: Dataset
    timeframe: str
    aligner: Aligner = aligned
    fields: tuple[str, ...] = FIELDS_OF_METRICS
    only_listed: bool = False
    _bars: dict[tuple[int, str], Bars] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Those of the fields that the data hold."""
        kinds = {one.key.kind for one in self.dataset}
        return tuple(name for name in self.fields if FIELDS[name].kind in kinds)

    @cached_property
    def panel(self) -> Panel:
        """The whole market."""
        return self._panel(self.dataset)

    def bars(self, panel: Panel, options: FlowOptions | None) -> Bars:
        """The bars of one of this trial's panels, with the scores that other subjects have asked for."""
        key = (id(panel), "" if options is None else options.model_dump_json())
        if key not in self._bars:
            self._bars[key] = Bars(panel, self.timeframe, options)
        return self._bars[key]

    @cached_property
    def complete(self) -> bool:
        """True where no series has a hole between its first row and its last."""
        return not any(holes(one).missing > 0 for one in self.dataset)

    @cached_property
    def cuts(self) -> tuple[pd.Timestamp, ...]:
        """Decisions of bars spread over the sample, the last but one included."""
        decided = self._own.decided_at
        rows = sorted({int(share * (len(decided) - 1)) for share in _CUTS} | {len(decided) - 2})
        return tuple(_utc(decided[row]) for row in rows if row > 0)

    @cached_property
    def truncated(self) -> dict[pd.Timestamp, Panel]:
        """The panels made from the records known at each cut."""
        return {cut: self._known_at(cut) for cut in self.cuts}

    @cached_property
    def shortened(self) -> dict[pd.Timestamp, Panel]:
        """The whole panel up to further decisions, evenly spread: cheap, where only the subject is in doubt."""
        decided = self._own.decided_at
        rows = np.unique(np.linspace(0.05, 0.97, _SHORTENED) * (len(decided) - 1)).astype(int)
        return {_utc(decided[row]): self.panel.upto(_utc(decided[row])) for row in rows if row > 0}

    @cached_property
    def inside(self) -> list[tuple[pd.Timestamp, Panel, Panel]]:
        """Moments inside a bar: what was known when the last bar had closed, and what at the moment."""
        bars, found = self._own, []
        if int((bars.closes - bars.opens).max(initial=0)) <= self.panel.step_ns:
            return []
        for share, row in ((1 / 3, int(0.6 * len(bars))), (2 / 3, int(0.8 * len(bars)))):
            length = int(bars.closes[row] - bars.opens[row])
            moment = int(bars.opens[row]) + max(_HOUR, int(share * length) // _HOUR * _HOUR)
            at = _utc(moment + self.panel.decision_lag.value)
            before = _utc(bars.decided_at[np.searchsorted(bars.decided_at, at.value, side="right") - 1])
            found.append((at, self._known_at(before), self._known_at(at)))
        return found

    @cached_property
    def perturbed(self) -> list[tuple[pd.Timestamp, str, Panel]]:
        """The panels after all that became known later than a cut was multiplied, up or down."""
        return [
            (cut, direction, self._panel(self.dataset.map(partial(multiplied, cut=cut, factor=all_, rate_factor=rate))))
            for cut in self._some_cuts(1, 3, 5)
            for direction, (all_, rate) in _DIRECTIONS.items()
        ]

    @cached_property
    def torn(self) -> dict[pd.Timestamp, tuple[Panel, Panel]]:
        """Panels with a hole before a moment, as they are and with everything after the hole multiplied."""
        found = {}
        length = pd.Timedelta(max(3 * _DAY, 4 * self._longest), unit="ns")
        for cut in self._some_cuts(3, 5):
            holed = self.dataset.map(partial(without, start=cut - length, end=cut))
            after = holed.map(partial(multiplied, cut=cut, factor=1.7, rate_factor=0.3))
            found[cut] = (self._panel(holed), self._panel(after))
        return found

    @cached_property
    def late(self) -> list[tuple[pd.Timestamp, Panel, Panel]]:
        """Published unevenly: the whole, and without the rows that describe the past of a moment and came after it."""
        wait = pd.Timedelta(int(2.5 * self._longest), unit="ns")
        unevenly = self.dataset.map(partial(later_known, start=self.cuts[0], wait=wait))
        whole = self._panel(unevenly)
        return [
            (seen, whole, self._panel(unevenly.map(partial(_without_unknown, instant=seen))))
            for seen in self._late_moments()
        ]

    @cached_property
    def repriced(self) -> Panel:
        """Every price in a currency worth a quarter."""
        return self._panel(self.dataset.map(repriced))

    @cached_property
    def regauged(self) -> Panel:
        """Open interest of every venue told in contracts of another size."""
        order = [one.id for one in self.dataset.instruments]
        return self._panel(self.dataset.map(lambda one: regauged(one, order.index(one.instrument.id))))

    @cached_property
    def _own(self) -> Bars:
        return self.bars(self.panel, None)

    @property
    def _longest(self) -> int:
        """The longest bar, in nanoseconds."""
        return int((self._own.closes - self._own.opens).max())

    def _some_cuts(self, *places: int) -> list[pd.Timestamp]:
        return [self.cuts[min(place, len(self.cuts) - 1)] for place in places]

    def _late_moments(self) -> list[pd.Timestamp]:
        """Decisions whose newest rows are late: their bars close on a day whose afternoon is known late."""
        decided, late_close = self._own.decided_at, late_days(self._own.closes - 1)
        found = []
        for share in (0.55, 0.8):
            late = np.flatnonzero(late_close[: int(share * len(late_close))])
            found += [_utc(decided[row]) for row in late[-1:] if decided[row] > self.cuts[0].value + _DAY]
        return found

    def _known_at(self, cut: pd.Timestamp) -> Panel:
        known = self.dataset.upto(cut)
        return self._panel(known.select(lambda one: len(one) > 0) if self.only_listed else known, cut)

    def _panel(self, dataset: Dataset, as_of: pd.Timestamp | None = None) -> Panel:
        panel = self.aligner(dataset, as_of, self.needs)
        arrays: dict[str, Any] = {name: _guarded(getattr(panel.clock, name)) for name in _CLOCK_ARRAYS}
        clock = replace(panel.clock, **arrays)
        fields = {name: _guarded(values) for name, values in panel.fields.items()}
        return replace(panel, opens=_guarded(panel.opens), clock=clock, fields=fields)


def _guarded(values: np.ndarray) -> np.ndarray:
    """A view of a protected array: an array's flag can be taken off again, that of such a view cannot."""
    owner = values if values.base is None else values.copy()
    owner.setflags(write=False)
    return owner.view()


def _without_unknown(one: Records, instant: pd.Timestamp) -> Records:
    return one.where(~still_unknown(one, instant))


def _utc(instant: int) -> pd.Timestamp:
    return pd.Timestamp(int(instant), unit="ns", tz="UTC")
