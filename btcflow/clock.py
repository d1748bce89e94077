"""The clock: the bars of the traded instrument on which money moves.

Positions are filled, funding is paid and equity is marked on the clock, whatever the timeframe a
signal was computed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from btcflow import timeframes

if TYPE_CHECKING:
    from btcflow.instrument import Instrument

__all__ = ["Clock"]

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Bars of the traded instrument with the funding that falls into each.

    Attributes
    ----------
    instrument : the traded instrument
    step : timeframe of a bar (``1h`` by default, ``1D`` where only days exist)
    opens : (N,) int64, nanoseconds UTC: bar opens, strictly rising; a missing bar has no row
    open, high, low, close, volume : (N,) float64, quote currency; volume in BTC
    funding : (N,) float64: quote currency that one BTC long pays for the settlements with
        ``open < settlement <= close`` of the bar: sum of rate * spacing / rate_hours * price, where
        price is the mark at the settlement if a mark series is configured, else the bar's close.
        On an inverse contract: BTC that one USD long pays, sum of rate * spacing / rate_hours / price
    settlements : (N,) int64: how many settlements fell into the bar
    notes : what a reader must know (missing settlements reported, settlements inside coarse bars)
    mark_low, mark_high : (N,) float64: extremes of the venue's mark price in each bar, which decide over
        liquidation; None where the data hold no marks
    """

    instrument: Instrument
    step: str
    opens: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    funding: Array
    settlements: Array
    notes: tuple[str, ...] = field(default=())
    mark_low: Array | None = None
    mark_high: Array | None = None

    def __post_init__(self) -> None:
        for values in self._columns().values():
            values.setflags(write=False)

    def __len__(self) -> int:
        return len(self.opens)

    @property
    def index(self) -> pd.DatetimeIndex:
        """Bar opens, tz-aware UTC; shape (N,)."""
        return pd.DatetimeIndex(pd.to_datetime(self.opens, unit="ns", utc=True), name="open_time")

    @property
    def worst_low(self) -> Array:
        """The price that decides over a long in each bar: the mark's low where known, else the bar's; (N,)."""
        return self.low if self.mark_low is None else self.mark_low

    @property
    def worst_high(self) -> Array:
        """The price that decides over a short in each bar: the mark's high where known, else the bar's; (N,)."""
        return self.high if self.mark_high is None else self.mark_high

    @property
    def closes_at(self) -> Array:
        """Bar closes as int64 nanoseconds UTC; shape (N,)."""
        return self.opens + timeframes.parse(self.step).seconds * 1_000_000_000

    @property
    def bars_per_year(self) -> float:
        """Clock bars in a 365-day year."""
        return timeframes.bars_per_year(self.step)

    @property
    def frame(self) -> pd.DataFrame:
        """open, high, low, close, volume and funding as a frame on a tz-aware UTC index."""
        names = ("open", "high", "low", "close", "volume", "funding")
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=self.index)

    def upto(self, instant: pd.Timestamp) -> Clock:
        """The bars that had closed by ``instant``."""
        return self.rows(self.closes_at <= instant.value)

    def between(self, start: pd.Timestamp | None, end: pd.Timestamp | None) -> Clock:
        """The bars that open at or after ``start`` and before ``end``."""
        keep = np.ones(len(self), dtype=bool)
        if start is not None:
            keep &= self.opens >= start.value
        if end is not None:
            keep &= self.opens < end.value
        return self.rows(keep)

    def rows(self, keep: Array) -> Clock:
        """The bars where ``keep`` is true."""
        cut: dict[str, Any] = {name: values[keep] for name, values in self._columns().items()}
        return replace(self, **cut)

    def _columns(self) -> dict[str, Array]:
        """Every column the clock carries."""
        named = {name: getattr(self, name) for name in _COLUMNS}
        return {name: values for name, values in named.items() if values is not None}


_COLUMNS = ("opens", "open", "high", "low", "close", "volume", "funding", "settlements", "mark_low", "mark_high")
