"""What one unit of open interest is worth in BTC, and the check that units were declared right."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from btcflow.data.records import Dataset, Records
from btcflow.errors import BadRecords, ConfigError
from btcflow.instrument import Instrument

__all__ = ["UNIT_GAP", "cross_check", "refuse_unit_gap", "unit_gap", "unit_in_btc"]

UNIT_GAP = 0.05
"""How far (in log) two statements of one open interest may lie apart: prices differ by less, units by far more."""


def unit_in_btc(what: Instrument, price: np.ndarray) -> np.ndarray:
    """BTC behind one unit of an instrument's open interest.

    Parameters
    ----------
    price : (N,) dollars per BTC at the moment of each value; read only where the unit is worth dollars

    Returns
    -------
    (N,) float64, the side factor included: 1 for a unit of one BTC, ``1 / price`` for a dollar,
    ``contract_size`` BTC or dollars for a contract

    Raises
    ------
    ConfigError
        where the instrument's facts name no unit.
    """
    size = what.side_factor * (what.contract_size if what.oi_unit == "contract" else 1.0)
    if what.oi_unit == "btc" or (what.oi_unit == "contract" and what.contract_ccy == "BTC"):
        return np.full(len(price), size)
    if what.oi_unit in ("usd", "contract"):
        return np.asarray(size / price)
    raise ConfigError(
        f"{what.id} has open interest and no oi_unit; expected btc, usd or contract in its instrument facts"
    )


def unit_gap(what: Instrument, values: np.ndarray, reported_usd: np.ndarray, price: np.ndarray) -> np.ndarray:
    """How far the dollars a venue reports are from its own open interest times price: ``ln(USD / (OI_btc * P))``.

    Parameters
    ----------
    values : (N,) open interest in the instrument's own unit
    reported_usd : (N,) the same as the venue states it in dollars (both sides, where it counts both)
    price : (N,) dollars per BTC

    Returns
    -------
    (N,) float64; about 0 where the declared unit is right, ``ln 100`` where contracts of 100 dollars
    were taken for dollars; NaN where any of the three is NaN
    """
    return np.asarray(np.log(what.side_factor * reported_usd / (values * unit_in_btc(what, price) * price)))


def refuse_unit_gap(
    what: Instrument, values: np.ndarray, reported_usd: np.ndarray, price: np.ndarray, *, stamps: np.ndarray
) -> None:
    """Refuse open interest whose declared unit contradicts the dollars reported beside it.

    Parameters
    ----------
    values, reported_usd, price : as :func:`unit_gap`
    stamps : (N,) int64 nanoseconds UTC

    Raises
    ------
    BadRecords
        for the first value more than :data:`UNIT_GAP` apart (in log), with its time and both numbers.
    """
    gap = unit_gap(what, values, reported_usd, price)
    off = np.abs(gap) >= UNIT_GAP
    for row in np.flatnonzero(off)[:1]:
        btc = float(values[row] * unit_in_btc(what, price)[row])
        when = pd.Timestamp(int(stamps[row]), unit="ns", tz="UTC")
        raise BadRecords(
            f"{what.id} open interest at {when}: {values[row]:g} ({what.oi_unit}) makes {btc:,.0f} BTC or "
            f"{btc * price[row]:,.0f} USD at {price[row]:g}, and the venue reports {reported_usd[row]:,.0f} USD: "
            f"{np.exp(gap[row]):.4g} times that ({int(off.sum())} of {int(np.isfinite(gap).sum())} values are 5 % "
            "apart or more); are oi_unit, contract_size, contract_ccy and side_factor right?"
        )


def cross_check(dataset: Dataset) -> int:
    """Compare the open interest of every instrument that states it twice, in different units.

    An instrument that has several open-interest series (an hourly one in BTC, say, and a daily one in
    dollars) states one quantity twice. Each is brought to BTC by its own declared unit at the close that
    ends at the stamp, of the instrument itself or, where it has none, of a spot in dollars; where stamps are
    equal they must agree within 5 %.

    Returns
    -------
    how many pairs of values were compared; 0 where nothing is stated twice

    Raises
    ------
    BadRecords
        for the first pair that does not agree.
    """
    stated: dict[str, list[Records]] = {}
    for one in dataset:
        if one.key.kind == "open_interest":
            stated.setdefault(one.instrument.id, []).append(one)
    pairs = [pair for several in stated.values() for pair in itertools.combinations(several, 2)]
    return sum(_compare(dataset, left, right) for left, right in pairs)


def _compare(dataset: Dataset, one: Records, other: Records) -> int:
    """Hold the series that is told in dollars (the second, where neither or both are) against the other."""
    own, told = (other, one) if one.instrument.oi_unit == "usd" else (one, other)
    stamps, of_own, of_told = np.intersect1d(own.stamp, told.stamp, assume_unique=True, return_indices=True)
    price = _closes_at(dataset, own.instrument, stamps)
    values, reported = own.column("value")[of_own], told.column("value")[of_told]
    dollars = reported * unit_in_btc(told.instrument, price) * price / own.instrument.side_factor
    refuse_unit_gap(own.instrument, values, dollars, price, stamps=stamps)
    return int(np.isfinite(price).sum())


def _closes_at(dataset: Dataset, what: Instrument, stamps: np.ndarray) -> np.ndarray:
    """The close of a bar that ends at each stamp; NaN where there is none; (N,)."""
    bars = [one for one in dataset if one.key.kind == "ohlcv"]
    own = [one for one in bars if one.instrument.id == what.id]
    spot = [one for one in bars if one.instrument.role == "spot" and one.instrument.quote == "USD"]
    price = np.full(len(stamps), np.nan)
    for one in (*own, *spot):
        ends, missing = one.ends, np.isnan(price)
        row = np.minimum(np.searchsorted(ends, stamps), max(len(ends) - 1, 0))
        if len(ends):
            found = missing & (ends[row] == stamps)
            price[found] = one.column("close")[row[found]]
    return price
