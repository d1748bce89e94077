"""Whether rows are what rows have to be: columns, order, times, grid, prices in their own bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.audit.check import check
from btcflow.audit.examined import Examined, rows_found
from btcflow.audit.findings import Found
from btcflow.audit.symptoms import GENESIS
from btcflow.data.records import Records, utc_ns
from btcflow.fields import KINDS

__all__ = ["future", "grid", "known", "ohlc", "order", "schema"]

_MINUTE = 60_000_000_000
_DAY = pd.Timedelta(days=1)
_RARE = 0.01


@check(severity="fault")
def schema(examined: Examined) -> Iterator[Found]:
    """Every column of the kind is there, and every value is a finite number; volume is not negative."""
    for one in examined.filled:
        expected = ["stamp", "known_at", *KINDS[one.key.kind].columns]
        if list(one.frame.columns) != expected:
            yield Found(
                series=str(one.key),
                says=f"columns are {', '.join(one.frame.columns)}; expected {', '.join(expected)}",
                advice="import the series again",
            )
            continue
        for name in KINDS[one.key.kind].columns:
            values = one.column(name)
            bad = ~np.isfinite(values) | ((values < 0) & (name in ("volume", "buy")))
            if bad.any():
                yield rows_found(
                    one, bad, f"{name} is no number, or negative", f"{name} = {values[bad][0]}", "drop these rows"
                )


@check(severity="fault")
def order(examined: Examined) -> Iterator[Found]:
    """Stamps rise strictly: no row twice, none out of order."""
    for one in examined.filled:
        steps = np.diff(one.stamp)
        for says, bad in (("duplicate stamps", steps == 0), ("stamps out of order", steps < 0)):
            if bad.any():
                yield rows_found(one, np.r_[False, bad], says, "", "sort the source and keep one row per stamp")


@check(severity="fault")
def future(examined: Examined) -> Iterator[Found]:
    """No time lies before the first block or more than a day ahead of now."""
    for one in examined.filled:
        bad = (one.stamp < GENESIS.value) | (one.stamp > (examined.now + _DAY).value)
        if bad.any():
            yield rows_found(
                one,
                bad,
                "times no Bitcoin market can have",
                "",
                "wrong unit of the file's times (s, ms and us differ by 1000), or a wrong clock of this machine",
            )


@check(severity="fault")
def known(examined: Examined) -> Iterator[Found]:
    """Nothing is known before what it describes is over."""
    for one in examined.filled:
        early = one.known_at < one.ends
        if early.any():
            worst = pd.Timedelta(int((one.ends - one.known_at)[early].max()), unit="ns")
            yield rows_found(
                one,
                early,
                f"rows known up to {worst} before what they describe is over: a look-ahead",
                "",
                "import the series again; known_at is the end of the bar, or the instant itself, at the earliest",
            )


@check(severity="warning")
def grid(examined: Examined) -> Iterator[Found]:
    """Bars open where their timeframe opens bars; snapshots and settlements stand on the minute of their grid."""
    for one in examined.filled:
        if KINDS[one.key.kind].stamps == "bar_open":
            opens = pd.DatetimeIndex(one.frame["stamp"])
            off = utc_ns(timeframes.bar_open(opens, one.key.timeframe)) != one.stamp
            advice = (
                "a bar off the grid describes another time than its neighbours: drop it, or import with the right stamp"
            )
        else:
            off, advice = _off_step(one), "look at the source: late settlements are real at some venues, jitter is not"
        if off.any():
            late = one.key.kind == "funding" and off.mean() < _RARE
            says = "rows off the grid of the timeframe"
            yield rows_found(one, off, says, "", advice, severity="note" if late else None)


def _off_step(one: Records) -> np.ndarray:
    """Instants further than a minute from the grid that most of them stand on; (N,) bool."""
    step = timeframes.parse(one.key.timeframe).seconds * 1_000_000_000
    rounded = (one.stamp + _MINUTE // 2) // _MINUTE * _MINUTE
    phase = rounded % step
    usual, count = np.unique(phase, return_counts=True)
    return np.asarray(phase != usual[np.argmax(count)])


@check(severity="fault")
def ohlc(examined: Examined) -> Iterator[Found]:
    """High is the highest and low the lowest of a bar; a bar whose open alone lies outside is only noted."""
    for one in examined.kind("ohlcv", "mark", "index", "premium_index"):
        open_, high, low, close = (one.column(name) for name in ("open", "high", "low", "close"))
        wrong = (high < low) | (close > high) | (close < low)
        if wrong.any():
            yield rows_found(
                one, wrong, "bars whose close is outside high and low", "", "drop these bars, or fetch them again"
            )
        outside = ((open_ > high) | (open_ < low)) & ~wrong
        if outside.any():
            yield rows_found(
                one,
                outside,
                "bars whose open is outside high and low",
                "",
                "usual where a venue takes the previous close for the open (BitMEX); fills are at the open, as stated",
                severity="note",
            )
