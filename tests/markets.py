"""Hand-made markets of a few rows: every number a test argues from stands in the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from btcflow.clock import Clock
from btcflow.data.records import Records, SeriesKey
from btcflow.fields import KINDS
from btcflow.instrument import Instrument
from btcflow.panel import Panel

HOUR = 3_600_000_000_000
MONDAY = "2024-01-01"
"""The first hour of the hand-made markets: a Monday, the first of a month and of a (leap) year."""


def time(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def spot(venue: str, quote: str = "USD") -> Instrument:
    return Instrument(venue=venue, symbol=f"BTC{quote}", role="spot", quote=quote)


def perp(venue: str, quote: str = "USD", **facts: object) -> Instrument:
    """A linear perpetual with its open interest in BTC, unless ``facts`` say otherwise."""
    known = {"margin": "linear", "oi_unit": "btc", **facts}
    return Instrument(venue=venue, symbol=f"BTC{quote}-PERP", role="perp", quote=quote, **known)  # type: ignore[arg-type]


def vendor(name: str, unit: str = "usd") -> Instrument:
    return Instrument(venue=name, symbol="BTC", role="aggregate", oi_unit=unit)  # type: ignore[arg-type]


def bars_series(
    what: Instrument,
    close: Sequence[float],
    *,
    kind: str = "ohlcv",
    timeframe: str = "1h",
    start: str = MONDAY,
    late: Mapping[int, int] | None = None,
) -> Records:
    """Bars that open at ``start`` and every ``timeframe`` after it; NaN = no row; ``late``: row -> hours."""
    hours = {"1h": 1, "4h": 4, "8h": 8, "1D": 24}[timeframe]
    close_ = np.asarray(close, dtype=float)
    rows = np.flatnonzero(np.isfinite(close_))
    stamp = time(start).value + rows * hours * HOUR
    known = stamp + hours * HOUR + np.array([(late or {}).get(int(row), 0) for row in rows]) * HOUR
    columns = {name: np.ones(len(rows)) if name == "volume" else close_[rows] for name in KINDS[kind].columns}
    return _records(what, kind, timeframe, stamp, known, columns)


def settlements(
    what: Instrument,
    rates: Mapping[int, float],
    *,
    spacing: float = 8.0,
    rate_hours: float | None = None,
    start: str = MONDAY,
    late: int = 0,
) -> Records:
    """Funding paid so many hours after ``start``: hour -> rate; each known ``late`` hours after its stamp."""
    stamp = time(start).value + np.array(list(rates), dtype=np.int64) * HOUR
    hours = np.full(len(rates), spacing)
    columns = {
        "rate": np.array(list(rates.values()), dtype=float),
        "spacing_hours": hours,
        "rate_hours": hours if rate_hours is None else np.full(len(rates), rate_hours),
    }
    return _records(what, "funding", f"{spacing:g}h" if spacing < 24 else "1D", stamp, stamp + late * HOUR, columns)


def interest(
    what: Instrument,
    values: Mapping[int, float],
    *,
    timeframe: str = "1h",
    lag: str = "0min",
    start: str = MONDAY,
    late: Mapping[int, int] | None = None,
) -> Records:
    """Open interest at so many hours after ``start``, known ``lag`` later; ``late``: hour -> further hours."""
    hours = np.array(list(values), dtype=np.int64)
    stamp = time(start).value + hours * HOUR
    known = stamp + pd.Timedelta(lag).value + np.array([(late or {}).get(int(hour), 0) for hour in hours]) * HOUR
    columns = {"value": np.array(list(values.values()), dtype=float)}
    return _records(what, "open_interest", timeframe, stamp, known, columns, lag=pd.Timedelta(lag))


def idle_clock(what: Instrument) -> Clock:
    """A clock without bars, for panels on which no money moves."""
    names = ("open", "high", "low", "close", "volume", "funding")
    none = {name: np.empty(0) for name in names}
    return Clock(instrument=what, step="1h", opens=np.empty(0, np.int64), settlements=np.empty(0, np.int64), **none)


def panel_of(
    instruments: Sequence[Instrument],
    *,
    start: str = MONDAY,
    sampling: Mapping[str, Sequence[int]] | None = None,
    **fields: object,
) -> Panel:
    """An hourly panel of (T, V) fields as they are given; sampled every row unless ``sampling`` says otherwise."""
    arrays = {name: np.array(values, dtype=float) for name, values in fields.items()}
    rows = len(next(iter(arrays.values())))
    every = {
        name: np.array((sampling or {}).get(name, np.isfinite(values).any(axis=0)), dtype=np.int64)
        for name, values in arrays.items()
    }
    return Panel(
        opens=time(start).value + HOUR * np.arange(rows, dtype=np.int64),
        step="1h",
        instruments=tuple(instruments),
        fields=arrays,
        sampling=every,
        lags=dict.fromkeys(arrays, pd.Timedelta(0)),
        clock=idle_clock(instruments[0]),
    )


def _records(
    what: Instrument,
    kind: str,
    timeframe: str,
    stamp: np.ndarray,
    known: np.ndarray,
    columns: Mapping[str, np.ndarray],
    lag: pd.Timedelta = pd.Timedelta(0),  # noqa: B008
) -> Records:
    times = {
        "stamp": pd.to_datetime(stamp, unit="ns", utc=True),
        "known_at": pd.to_datetime(known, unit="ns", utc=True),
    }
    return Records(
        key=SeriesKey(what.venue, what.symbol, kind, timeframe),
        instrument=what,
        frame=pd.DataFrame({**times, **columns}),
        source="made by hand for a test",
        lag=lag,
        synthetic=True,
    )
