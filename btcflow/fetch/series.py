"""From a venue's rows to records: stamps, first knowledge, units, and the hours a settlement covers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.grids import spacings
from btcflow.data.records import NO_LAG, Records, utc_ns
from btcflow.errors import BadRecords
from btcflow.fetch.plan import Job
from btcflow.fetch.rows import Rows
from btcflow.fetch.venue_api import ApiSeries
from btcflow.fields import KINDS

__all__ = ["CONTEXT", "label_shift", "records_of"]

CONTEXT = 12
"""Settlements before the first new one that decide how many hours it covers."""
_MINUTE = 60_000_000_000
_RATE_UNITS = {"fraction": 1.0, "percent": 100.0, "bps": 10_000.0}
_HOUR = 3_600_000_000_000


def label_shift(job: Job) -> int:
    """Nanoseconds from the time a venue labels a row with to our stamp of it."""
    names, step = job.endpoint.time.names, _step_ns(job)
    if job.bars:
        return -step if names == "close" else 0
    return step if names == "open" else 0


def records_of(
    job: Job, kind: str, rows: Rows, *, source: str, context: np.ndarray | None = None, known_at: int | None = None
) -> tuple[Records | None, int]:
    """One kind of a job's rows as records.

    Parameters
    ----------
    rows : of one stretch, complete
    source : in words, for :class:`Records`
    context : (C,) int64 ns, stamps of settlements just before the rows
    known_at : when a snapshot was taken down; None = by the rules of the kind

    Returns
    -------
    (Records, dropped)
        None where no row is left; ``dropped`` counts rows in which the venue has no number (open interest of zero, an
        empty rate): a missing value has no row, and the gap is told.

    Raises
    ------
    BadRecords
        where the numbers break a rule of the kind.
    """
    api = job.series[kind]
    columns = {name: rows.values[f"{kind}.{name}"] for name in api.columns} if len(rows) else {}
    stamp = rows.time + label_shift(job)
    if kind == "funding":
        stamp = (stamp + _MINUTE // 2) // _MINUTE * _MINUTE
    keep = _told(kind, columns, len(rows))
    keep &= np.r_[stamp[1:] != stamp[:-1], True] if len(stamp) else np.zeros(0, dtype=bool)
    stamp, columns = stamp[keep], {name: one[keep] for name, one in columns.items()}
    dropped = int((~keep).sum())
    if not len(stamp):
        return None, dropped
    values = _CONVERT.get(kind, _as_they_are)(job, api, stamp, columns, context)
    lag = pd.Timedelta(api.lag)
    known = _known_at(job, kind, stamp, lag) if known_at is None else np.maximum(stamp, known_at)
    frame = pd.DataFrame(
        {
            "stamp": pd.to_datetime(stamp, unit="ns", utc=True),
            "known_at": pd.to_datetime(known, unit="ns", utc=True),
            **{name: values[name] for name in KINDS[kind].columns},
        }
    )
    made = Records(
        key=job.keys[kind], instrument=job.instrument.instrument, frame=frame, source=source, lag=lag or NO_LAG
    )
    return made, dropped


def _told(kind: str, columns: dict[str, np.ndarray], count: int) -> np.ndarray:
    """The rows in which every column has a number; (N,) bool."""
    told = np.ones(count, dtype=bool)
    for name, one in columns.items():
        told &= np.isfinite(one)
        if kind == "open_interest" or (kind in ("ohlcv", "mark", "index") and name != "volume"):
            told &= one != 0
    return told


def _known_at(job: Job, kind: str, stamp: np.ndarray, lag: pd.Timedelta) -> np.ndarray:
    """When each row was first known: a bar at its close, an instant at once; later where the facts say so."""
    if job.bars:
        opens = pd.DatetimeIndex(pd.to_datetime(stamp, unit="ns", utc=True))
        return utc_ns(timeframes.bar_close(opens, job.timeframe)) + lag.value
    known = stamp + lag.value
    if kind == "funding":
        eras = [job.instrument.funding_era(pd.Timestamp(int(one), tz="UTC")) for one in stamp]
        known = known + np.array([0 if era is None else pd.Timedelta(era.known_after).value for era in eras])
    return np.asarray(known)


def _as_they_are(
    job: Job, api: ApiSeries, stamp: np.ndarray, columns: dict[str, np.ndarray], context: np.ndarray | None
) -> dict[str, np.ndarray]:
    return columns


def _ohlcv(
    job: Job, api: ApiSeries, stamp: np.ndarray, columns: dict[str, np.ndarray], context: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Volume in BTC: dollars are divided by the bar's own close, contracts by their size."""
    volume, close = columns["volume"], columns["close"]
    if api.volume_unit == "contract":
        facts = job.instrument.listing
        if facts.contract_size is None:
            raise BadRecords(f"{job.name}: volume in contracts, and the facts of {job.instrument.id} name no size")
        volume = volume * facts.contract_size
    if api.volume_unit == "usd" or (api.volume_unit == "contract" and job.instrument.listing.contract_ccy == "USD"):
        volume = volume / close
    return {**columns, "volume": volume}


def _rates(
    job: Job, api: ApiSeries, stamp: np.ndarray, columns: dict[str, np.ndarray], context: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The rate, the hours each settlement covers (the time since the one before), and those it is quoted for."""
    before = context[context < stamp[0]][-CONTEXT:] if context is not None else np.zeros(0, dtype=np.int64)
    whole = np.concatenate([before, stamp])
    hours = _spacings(job, whole)[len(before) :]
    quoted = hours if api.rate_hours == "spacing" else np.full(len(stamp), float(api.rate_hours))
    return {"rate": columns["rate"] / _RATE_UNITS[api.rate_unit], "spacing_hours": hours, "rate_hours": quoted}


def _spacings(job: Job, stamp: np.ndarray) -> np.ndarray:
    """Observed hours; by the rules of the instrument where there is no distance to go by, or an unusual first one."""
    era = job.instrument.funding_era(pd.Timestamp(int(stamp[0]), tz="UTC"))
    ruled = float((era or job.instrument.listing.funding[-1]).spacing_hours)
    if len(stamp) > 1:
        first = (stamp[1] - stamp[0]) / _HOUR
        if first > 1.5 * ruled:
            return np.concatenate([[ruled], _spacings(job, stamp[1:])])
        return spacings(stamp, "auto", name=job.name)
    return np.array([ruled])


_Convert = Callable[[Job, ApiSeries, np.ndarray, dict[str, np.ndarray], "np.ndarray | None"], "dict[str, np.ndarray]"]
_CONVERT: dict[str, _Convert] = {"ohlcv": _ohlcv, "funding": _rates}


def _step_ns(job: Job) -> int:
    return int(pd.Timedelta(job.step).value)
