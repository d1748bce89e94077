"""The Panel: an aligned market whose row t holds only what was known at t."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.clock import Clock
from btcflow.errors import MissingData, UnknownName
from btcflow.fields import FIELDS
from btcflow.instrument import Instrument

__all__ = ["Panel"]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """T sampling rows by V instruments, and the clock on which money moves.

    Row t is the stretch ``[opens[t], opens[t] + step)``. It was decided at ``close + decision_lag``
    and holds what had been published by then. A record that became known later stands in the first
    row that could have known it, so a panel cut at any time equals the panel built from records cut
    at that time.

    Attributes
    ----------
    opens : (T,) int64, nanoseconds UTC, one row per step without holes
    step : sampling timeframe, ``1h`` by default
    instruments : V instruments; column v of every field belongs to ``instruments[v]``
    fields : name to a read-only (T, V) float64 array, NaN where nothing was published
    sampling : name to (V,) int64: rows per native sample (1 = every row, 24 = daily closes on an
        hourly panel, 0 = the instrument has no such series)
    lags : name to the publication lag its sources declare
    clock : bars of the traded instrument
    synthetic : True where any number is simulated
    """

    opens: np.ndarray
    step: str
    instruments: tuple[Instrument, ...]
    fields: Mapping[str, np.ndarray]
    sampling: Mapping[str, np.ndarray]
    lags: Mapping[str, pd.Timedelta]
    clock: Clock
    synthetic: bool = False

    def __post_init__(self) -> None:
        for values in self.fields.values():
            values.setflags(write=False)
        self.opens.setflags(write=False)
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    def __len__(self) -> int:
        return len(self.opens)

    def __getitem__(self, name: str) -> np.ndarray:
        """One field as a read-only (T, V) array."""
        if name not in FIELDS:
            raise UnknownName("field", name, FIELDS)
        if name not in self.fields:
            raise MissingData(f"the panel holds no {name}; it was loaded with: {', '.join(self.fields) or 'nothing'}")
        return self.fields[name]

    @property
    def index(self) -> pd.DatetimeIndex:
        """Row opens, tz-aware UTC; shape (T,)."""
        return pd.DatetimeIndex(pd.to_datetime(self.opens, unit="ns", utc=True), name="open_time")

    @property
    def step_ns(self) -> int:
        """Length of a row in nanoseconds."""
        return timeframes.parse(self.step).seconds * 1_000_000_000

    @property
    def decision_lag(self) -> pd.Timedelta:
        """The largest publication lag among the fields it holds: how long after a close it decides."""
        return max(self.lags.values(), default=pd.Timedelta(0))

    @property
    def decided_at(self) -> np.ndarray:
        """When each row was decided, int64 nanoseconds UTC; shape (T,)."""
        return self.opens + self.step_ns + self.decision_lag.value

    def columns(self, role: str, quote: str | None = None) -> np.ndarray:
        """Column numbers of the instruments of one role (and quote currency)."""
        keep = [one.role == role and (quote is None or one.quote == quote) for one in self.instruments]
        return np.flatnonzero(keep)

    def closes_sample(self, every: int) -> np.ndarray:
        """Rows that close a sample of ``every`` rows (24 on an hourly panel: the last hour of a day); (T,) bool."""
        return np.asarray((self.opens // self.step_ns + 1) % every == 0)

    def upto(self, instant: pd.Timestamp) -> Panel:
        """What could have been known by ``instant``."""
        rows = int(np.searchsorted(self.decided_at, instant.value, side="right"))
        return replace(
            self,
            opens=self.opens[:rows],
            fields={name: values[:rows] for name, values in self.fields.items()},
            clock=self.clock.upto(instant),
        )

    def only(self, names: Iterable[str]) -> Panel:
        """The panel with no other fields than ``names``; it decides as early as those allow."""
        kept = tuple(names)
        return replace(
            self,
            fields={name: self[name] for name in kept},
            sampling={name: self.sampling[name] for name in kept},
            lags={name: self.lags[name] for name in kept},
        )
