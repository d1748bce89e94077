"""Whether values move as values do: zeros, stale repeats, spikes that nobody else saw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from btcflow.audit.check import check
from btcflow.audit.examined import Examined, changes, rows_found, step_of
from btcflow.audit.findings import Found, Severity
from btcflow.data.records import Records
from btcflow.data.venue_facts import facts

__all__ = ["spikes", "stale", "zeros"]

_VALUE = {"ohlcv": "close", "mark": "close", "index": "close", "premium_index": "close", "open_interest": "value"}
_JUMP = {"ohlcv": 0.04, "mark": 0.04, "index": 0.04, "open_interest": 0.25}
_SCALES = 8.0
_SHARED = 0.4
_RESTING, _MANY = 0.05, 200


@check(severity="warning")
def zeros(examined: Examined) -> Iterator[Found]:
    """Bars without any volume are rare."""
    for one in examined.kind("ohlcv"):
        zero = one.column("volume") == 0
        if zero.any():
            share = zero.mean()
            yield rows_found(
                one,
                zero,
                f"volume is exactly zero in {zero.sum():,} of {len(one):,} bars ({100 * share:.2g} %)",
                "",
                "a halted or dead market, or a gap that the source filled; leave the stretch out",
                severity=None if share > 0.001 else "note",
            )


@check(severity="warning")
def stale(examined: Examined) -> Iterator[Found]:
    """No value stands still for many rows: a source that repeats the last one it had."""
    for one in examined.kind(*_VALUE, "funding"):
        values = _moving(one)
        run = _run_lengths(values)
        least = _patience(one)
        held = run >= least
        if held.any():
            longest = int(run.max())
            starts = int(np.sum(held & np.r_[True, ~held[:-1] | (np.diff(values) != 0)]))
            yield rows_found(
                one,
                held,
                f"the same value {least} times in a row or more, {starts} time{'' if starts == 1 else 's'}; "
                f"the longest run is {longest:,} rows",
                f"{values[held][0]:g}",
                "a feed that hung; the repeats are no news and their known_at is wrong: leave the stretch out",
            )


def _moving(one: Records) -> np.ndarray:
    """The value that should move; NaN, which equals nothing, where it may rightly stand still; (N,)."""
    if one.key.kind != "funding":
        values = one.column(_VALUE[one.key.kind])
        if one.key.kind == "ohlcv":
            return np.where(one.column("volume") > 0, values, np.nan)
        return values
    rate, what = one.column("rate"), facts(one.instrument.id)
    usual, count = np.unique(rate, return_counts=True)
    rate = np.where(np.isin(rate, usual[count > _RESTING * len(rate)]) & (len(rate) > _MANY), np.nan, rate)
    if what is None:
        return np.where(rate == 0, np.nan, rate)
    scale = one.column("rate_hours") / 8.0
    resting = np.isclose(rate, what.anchor(one.stamp) * scale, rtol=1e-6, atol=1e-12) | (rate == 0)
    caps = np.array([era.cap for era in what.listing.funding if era.cap is not None])
    bounded = (
        np.isclose(np.abs(rate)[:, None], caps[None, :], rtol=1e-6).any(axis=1)
        if len(caps)
        else np.zeros(len(rate), bool)
    )
    return np.where(resting | bounded, np.nan, rate)


def _patience(one: Records) -> int:
    """How many equal values in a row are too many."""
    if one.key.kind == "funding":
        return 9
    seconds = step_of(one)
    return 36 if seconds <= 300 else 12 if seconds < 3600 else 6 if seconds < 86_400 else 3


def _run_lengths(values: np.ndarray) -> np.ndarray:
    """Length of the run of equal values each row belongs to; NaN is a run of one; (N,)."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        begins = np.r_[True, ~(values[1:] == values[:-1])]
    run = np.cumsum(begins) - 1
    return np.asarray(np.bincount(run)[run])


@check(severity="warning")
def spikes(examined: Examined) -> Iterator[Found]:
    """No value jumps away from both its neighbours and back, unless another venue saw the same."""
    for one in examined.kind(*_JUMP):
        step = step_of(one) * 1_000_000_000
        change = changes(one.ends, one.column(_VALUE[one.key.kind]), step)
        away, back = change.to_numpy()[:-1], change.to_numpy()[1:]
        if len(away) < 30:
            continue
        with np.errstate(invalid="ignore"):
            size = np.minimum(np.abs(away), np.abs(back))
            scale = 1.4826 * np.nanmedian(np.abs(change))
            jump = (away * back < 0) & (size > max(_JUMP[one.key.kind], _SCALES * scale))
        rows = np.flatnonzero(jump) + 1
        compared, seen = _elsewhere(examined, one, rows, away[jump])
        alone, unknown = rows[compared & ~seen], rows[~compared]
        if len(alone):
            says = "values that jump away from both neighbours, and no other series shows it"
            yield _spike(one, alone, change, says, None)
        if len(unknown):
            says = "values that jump away from both neighbours, at times when no other series is there to compare"
            yield _spike(one, unknown, change, says, "note")


def _spike(one: Records, rows: np.ndarray, change: pd.Series, says: str, severity: Severity | None) -> Found:
    bad = np.zeros(len(one), dtype=bool)
    bad[rows] = True
    return rows_found(
        one,
        bad,
        says,
        f"{100 * np.expm1(change.iloc[rows[0] - 1]):+.1f} % and back",
        "look at the row at the source; drop it where the venue shows another number",
        severity=severity,
    )


def _peers(examined: Examined, one: Records) -> list[Records]:
    """Other instruments' series of the same sort and spacing."""
    kinds = ("open_interest",) if one.key.kind == "open_interest" else ("ohlcv", "mark", "index")
    same = (each for each in examined.kind(*kinds) if each.key.timeframe == one.key.timeframe)
    return [each for each in same if each.instrument.id != one.instrument.id]


def _elsewhere(examined: Examined, one: Records, rows: np.ndarray, away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether another series has the moment, and whether it moved the same way by at least 0.4 of it; (rows,) bool."""
    compared, seen = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    ends, step = one.ends[rows], step_of(one) * 1_000_000_000
    for other in _peers(examined, one) if len(rows) else []:
        moves = changes(other.ends, other.column(_VALUE[other.key.kind]), step).reindex(ends).to_numpy()
        compared |= np.isfinite(moves)
        with np.errstate(invalid="ignore"):
            seen |= moves * np.sign(away) >= _SHARED * np.abs(away)
    return compared, seen
