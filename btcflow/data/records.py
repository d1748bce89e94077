"""Records: what one source said about one series, each row with two times.

``stamp`` is the time a row is about (a bar's open, a settlement, a snapshot). ``known_at`` is the
first moment anyone could have known it. Truncation in time is by ``known_at`` and by nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.errors import BadRecords, MissingData
from btcflow.fields import KINDS
from btcflow.instrument import Instrument

__all__ = ["NO_LAG", "Dataset", "Records", "SeriesKey", "utc_ns"]

NO_LAG = pd.Timedelta(0)
"""Known the moment it is over."""


@dataclass(frozen=True, order=True)
class SeriesKey:
    """Which series: venue, symbol, kind and sampling timeframe (``8h``, ``1h``, ``1D``, ...)."""

    venue: str
    symbol: str
    kind: str
    timeframe: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol} {self.kind} {self.timeframe}"


@dataclass(frozen=True, kw_only=True)
class Records:
    """One series as a source published it.

    ``frame`` has the columns ``stamp`` and ``known_at`` (UTC, nanoseconds) and then the columns of
    its kind as float64. Rows are sorted by ``stamp`` without duplicates. ``lag`` is the publication
    lag the source declares: it moves the decision of every bar that reads this series. ``source``
    says in words where the rows come from.
    """

    key: SeriesKey
    instrument: Instrument
    frame: pd.DataFrame
    source: str
    lag: pd.Timedelta = NO_LAG
    synthetic: bool = False

    def __post_init__(self) -> None:
        _refuse_bad_rows(self.key, self.frame)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def stamp(self) -> np.ndarray:
        """Stamps as int64 nanoseconds since 1970; shape (N,)."""
        return utc_ns(self.frame["stamp"])

    @property
    def known_at(self) -> np.ndarray:
        """First moments of knowledge as int64 nanoseconds since 1970; shape (N,)."""
        return utc_ns(self.frame["known_at"])

    @property
    def ends(self) -> np.ndarray:
        """The end of the time each row describes: a bar's close, or the instant itself; int64 ns, (N,)."""
        if KINDS[self.key.kind].stamps == "instant":
            return self.stamp
        opens = pd.DatetimeIndex(self.frame["stamp"])
        return utc_ns(timeframes.bar_close(opens, self.key.timeframe))

    def column(self, name: str) -> np.ndarray:
        """One value column as float64; shape (N,)."""
        return self.frame[name].to_numpy(dtype=np.float64)

    def where(self, mask: np.ndarray) -> Records:
        """The rows where ``mask`` is true."""
        return replace(self, frame=self.frame[mask].reset_index(drop=True))

    def upto(self, instant: pd.Timestamp) -> Records:
        """What had been said by ``instant``: the rows with ``known_at <= instant``."""
        return self.where(self.known_at <= instant.value)

    def content_hash(self) -> str:
        """sha256 over both times and every value column, independent of how the rows are stored."""
        digest = hashlib.sha256(f"{self.key}|{self.instrument}|{self.lag}".encode())
        digest.update(self.stamp.astype("<i8").tobytes())
        digest.update(self.known_at.astype("<i8").tobytes())
        for name in KINDS[self.key.kind].columns:
            digest.update(self.column(name).astype("<f8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """All the series an experiment reads, sorted by key; ``notes`` say what was done to them on the way."""

    series: tuple[Records, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, series: Iterable[Records]) -> Dataset:
        """Collect series, sorted by key; the same series twice is refused."""
        ordered = tuple(sorted(series, key=lambda one: one.key))
        for left, right in itertools.pairwise(ordered):
            if left.key == right.key:
                raise BadRecords(f"{left.key}: two series with this name; keep one of them")
        return cls(ordered)

    def __iter__(self) -> Iterator[Records]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument once, sorted by role, then id."""
        roles = {"spot": 0, "perp": 1, "aggregate": 2}
        unique = {one.instrument.id: one.instrument for one in self.series}
        return tuple(sorted(unique.values(), key=lambda one: (roles[one.role], one.id)))

    @property
    def synthetic(self) -> bool:
        """True where any number comes from a simulation."""
        return any(one.synthetic for one in self.series)

    def upto(self, instant: pd.Timestamp) -> Dataset:
        """What had been said by ``instant``."""
        return self.map(lambda one: one.upto(instant))

    def map(self, change: Callable[[Records], Records]) -> Dataset:
        """The dataset with ``change`` applied to every series."""
        return replace(self, series=tuple(change(one) for one in self.series))

    def select(self, keep: Callable[[Records], bool]) -> Dataset:
        """The series for which ``keep`` is true."""
        return replace(self, series=tuple(one for one in self.series if keep(one)))

    def find(self, instrument_id: str, kind: str) -> Records:
        """The finest series of one instrument and kind; raises :class:`MissingData` where none is."""
        found = [one for one in self.series if one.instrument.id == instrument_id and one.key.kind == kind]
        if not found:
            have = sorted({f"{one.instrument.id} {one.key.kind}" for one in self.series})
            raise MissingData(f"no {kind} series of {instrument_id}; the data hold: {', '.join(have) or 'nothing'}")
        return min(found, key=lambda one: timeframes.parse(one.key.timeframe).seconds)


def utc_ns(times: pd.Series | pd.DatetimeIndex) -> np.ndarray:
    """Times as int64 nanoseconds since 1970, UTC; naive times are refused."""
    index = pd.DatetimeIndex(times)
    if index.tz is None:
        raise ValueError("naive times: every time in btcflow carries its zone; localize to UTC")
    return index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)


def _refuse_bad_rows(key: SeriesKey, frame: pd.DataFrame) -> None:
    expected = ["stamp", "known_at", *KINDS[key.kind].columns]
    if list(frame.columns) != expected:
        raise BadRecords(f"{key}: columns {list(frame.columns)}, expected {expected}")
    stamps = utc_ns(frame["stamp"])
    for row in np.flatnonzero(np.diff(stamps) <= 0)[:1]:
        at = frame["stamp"].iloc[row + 1]
        fault = "duplicate" if stamps[row + 1] == stamps[row] else "unsorted"
        raise BadRecords(f"{key}: {fault} stamp {at} in row {row + 1}; sort the source and keep one row per stamp")
    _refuse_values(key, frame)


def _refuse_values(key: SeriesKey, frame: pd.DataFrame) -> None:
    prices = ("open", "high", "low", "close")
    positive = {"ohlcv": prices, "index": prices, "mark": ("close",), "open_interest": ("value",)}
    for name in positive.get(key.kind, ()):
        values = frame[name].to_numpy(dtype=np.float64)
        for row in np.flatnonzero(~(values > 0) | ~np.isfinite(values))[:1]:
            raise BadRecords(
                f"{key}: {name} is {values[row]} at {frame['stamp'].iloc[row]} (row {row}); expected a positive "
                "number; a missing value has no row: drop it in the source or declare it missing in the spec"
            )
    if key.kind == "funding":
        rates = frame["rate"].to_numpy(dtype=np.float64)
        for row in np.flatnonzero(~(np.abs(rates) < 1.0))[:1]:
            raise BadRecords(
                f"{key}: funding rate {rates[row]} at {frame['stamp'].iloc[row]} (row {row}); expected a fraction "
                "of notional well inside (-1, 1); are the rates in percent or basis points?"
            )
