"""Make the clock of the traded instrument from its records: prices, marks, and the funding in each bar."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.clock import Clock
from btcflow.data.records import Dataset, Records
from btcflow.errors import BadRecords, ConfigError, MissingData

__all__ = ["MissingFunding", "make_clock"]

MissingFunding = Literal["refuse", "report"]
_HOUR = 3_600_000_000_000


def make_clock(
    dataset: Dataset,
    instrument: str,
    *,
    step: str | None = None,
    missing_funding: MissingFunding = "refuse",
) -> Clock:
    """The bars of ``instrument`` with the funding that falls into each.

    A settlement at s belongs to the last bar that opens before s, so the position held just before
    s pays it and an order filled at s does not. Its price is the mark at s where the data hold one,
    else the close of that bar. A long of one BTC pays rate * spacing / rate_hours * price; a long of one
    USD of an inverse contract pays rate * spacing / rate_hours / price, in BTC.

    Where the data hold marks of the clock's step or finer, a bar that they cover carries their extremes,
    on which liquidation is decided; a bar that they do not cover carries its own.

    Parameters
    ----------
    dataset : holds the instrument's ohlcv and, for a perpetual, its funding
    instrument : ``venue:symbol``
    step : clock timeframe; default: the finest price series
    missing_funding : ``refuse`` a missing settlement, or ``report`` it in the clock's notes

    Raises
    ------
    ConfigError
        for an aggregate, which nobody can trade.
    MissingData, BadRecords
        where prices or settlements are missing.
    """
    prices = dataset.find(instrument, "ohlcv")
    what = prices.instrument
    if what.role == "aggregate":
        raise ConfigError(
            f"market.instrument {instrument} is a vendor's aggregate; expected a perpetual or a spot pair "
            "as the traded one"
        )
    prices = _at_step(dataset, prices, step)
    opens = prices.stamp
    bars = {name: prices.column(name) for name in ("open", "high", "low", "close", "volume")}
    funding, settlements = np.zeros(len(opens)), np.zeros(len(opens), dtype=np.int64)
    notes: list[str] = []
    extremes: dict[str, np.ndarray] = {}
    if what.role == "perp":
        events, mark = dataset.find(instrument, "funding"), _mark(dataset, instrument)
        notes += _missing(events, opens, prices.ends, missing_funding)
        funding, settlements, priced = _charge(events, opens, prices, mark)
        extremes, marked = _extremes(prices, mark)
        notes += priced + marked
    return Clock(
        instrument=what,
        step=prices.key.timeframe,
        opens=opens,
        **bars,
        funding=funding,
        settlements=settlements,
        notes=tuple(notes),
        **extremes,
    )


def _at_step(dataset: Dataset, finest: Records, step: str | None) -> Records:
    if step is None or step == finest.key.timeframe:
        return finest
    for one in dataset:
        if one.instrument.id == finest.instrument.id and one.key.kind == "ohlcv" and one.key.timeframe == step:
            return one
    raise ConfigError(
        f"market.clock is {step}, and {finest.instrument.id} has no {step} prices; its finest are "
        f"{finest.key.timeframe}"
    )


def _mark(dataset: Dataset, instrument: str) -> Records | None:
    try:
        mark = dataset.find(instrument, "mark")
    except MissingData:
        return None
    return mark if len(mark) else None


def _charge(
    events: Records, opens: np.ndarray, prices: Records, mark: Records | None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What one unit long pays in each bar, the count of settlements, and notes."""
    stamps = events.stamp
    closes_at, close = prices.ends, prices.column("close")
    paid = events.column("rate") * events.column("spacing_hours") / events.column("rate_hours")
    rows = np.searchsorted(opens, stamps, side="left") - 1
    inside = (rows >= 0) & (stamps <= (closes_at[-1] if len(closes_at) else 0))
    stamps, paid, rows = stamps[inside], paid[inside], rows[inside]
    price = close[rows]
    notes: list[str] = []
    early = int((stamps < closes_at[rows]).sum())
    if early:
        notes.append(f"{early} settlements fall inside a clock bar: charged on that bar's opening quantity and close")
    if mark is not None:
        price, hits = _at_mark(mark, stamps, price)
        notes.append(f"funding is charged on the mark price at {hits} of {len(stamps)} settlements, else on the close")
    inverse = prices.instrument.margin == "inverse"
    funding = np.bincount(rows, weights=paid / price if inverse else paid * price, minlength=len(opens))
    settlements = np.bincount(rows, minlength=len(opens)).astype(np.int64)
    return funding, settlements, notes


def _at_mark(mark: Records, stamps: np.ndarray, price: np.ndarray) -> tuple[np.ndarray, int]:
    found = np.searchsorted(mark.ends, stamps)
    exact = (found < len(mark)) & (mark.ends[np.minimum(found, len(mark) - 1)] == stamps)
    marked = mark.column("close")[np.minimum(found, len(mark) - 1)]
    return np.where(exact, marked, price), int(exact.sum())


def _extremes(prices: Records, mark: Records | None) -> tuple[dict[str, np.ndarray], list[str]]:
    """The mark's lowest and highest price in each clock bar, the bar's own where marks do not cover it; notes."""
    step = timeframes.parse(prices.key.timeframe).seconds
    finer = timeframes.parse(mark.key.timeframe).seconds if mark is not None else 0
    if mark is None or len(prices) == 0 or finer > step or step % finer:
        return {}, []
    low, high = mark.column("low"), mark.column("high")
    rows = np.searchsorted(prices.stamp, mark.stamp, side="right") - 1
    inside = (rows >= 0) & (mark.ends <= prices.ends[rows]) & np.isfinite(low) & np.isfinite(high) & (low > 0)
    rows = rows[inside]
    covered = np.bincount(rows, minlength=len(prices)) == step // finer
    lowest, highest = np.full(len(prices), np.inf), np.full(len(prices), -np.inf)
    np.minimum.at(lowest, rows, low[inside])
    np.maximum.at(highest, rows, high[inside])
    marks = {
        "mark_low": np.where(covered, lowest, prices.column("low")),
        "mark_high": np.where(covered, highest, prices.column("high")),
    }
    whole = "" if covered.all() else f" in {int(covered.sum())} of {len(prices)} clock bars, else against the bar's own"
    return marks, [f"liquidation is tested against the lowest and highest mark price{whole}"]


def _missing(events: Records, opens: np.ndarray, ends: np.ndarray, policy: MissingFunding) -> list[str]:
    """Settlements that should be there and are not, between the clock's first open and last close."""
    if len(opens) == 0:
        return []
    spacing = (events.column("spacing_hours") * _HOUR).astype(np.int64)
    inside = (events.stamp > opens[0]) & (events.stamp <= ends[-1])
    stamps, spacing = events.stamp[inside], spacing[inside]
    if len(stamps) == 0:
        between = f"between {_say(opens[0])} and {_say(ends[-1])}"
        raise MissingData(f"{events.key}: no settlement {between}; import its funding")
    edges = np.concatenate([[opens[0]], stamps, [ends[-1]]])
    ratio = np.diff(edges) / np.concatenate([spacing[:1], np.maximum(spacing[:-1], spacing[1:]), spacing[-1:]])
    lost = np.ceil(ratio - 1.5)  # one that comes late, by up to half a spacing, has lost none before it
    lost[0], lost[-1] = np.ceil(ratio[0]) - 1, np.floor(ratio[-1])  # one is due a spacing after the first open
    late = np.flatnonzero(lost >= 1)
    if len(late) == 0:
        return []
    count = int(lost[late].sum())
    where = f"first hole {_say(edges[late[0]])} to {_say(edges[late[0] + 1])}"
    if policy == "refuse":
        raise BadRecords(
            f"{events.key}: about {count} settlement{'s' if count > 1 else ''} missing, {where}; start the data after "
            "it, or set market.missing_funding: report to charge only those that are there"
        )
    what = "funding settlements of {} are" if count > 1 else "funding settlement of {} is"
    return [f"about {count} {what.format(events.instrument.id)} missing ({where}): not charged"]


def _say(instant: int) -> str:
    return str(pd.Timestamp(instant, tz="UTC").strftime("%Y-%m-%d %H:%M"))
