"""Composite funding: what a long pays per eight hours, across venues. Positive = longs pay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow import rolling
from btcflow.flow.funding_by_venue import venue_funding, venue_weights
from btcflow.flow.metric import metric
from btcflow.flow.options import by_timeframe
from btcflow.flow.zscore import standardize
from btcflow.stack import row_median

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["fund_z", "funding_8h", "funding_8h_raw", "funding_apr", "funding_venues", "venue_funding"]

_NEEDS = ("funding_hours", "funding_paid")
_PER_YEAR = 3 * 365
"""Intervals of eight hours in a year."""


@metric(unit="fraction per 8h", needs=_NEEDS)
def funding_8h_raw(bars: Bars) -> np.ndarray:
    """Composite funding of the bar per eight hours, before smoothing.

    Per venue the time-weighted mean of the settlements that end in the bar,
    ``F_v = 8 * sum(rate * spacing / rate_hours) / sum(spacing)``; then over venues the median, the
    mean, or ``sum(w_v F_v) / sum(w_v)`` with w the venue's open interest in BTC at the close of the
    bar before (``oi_weighted``), or its volume in that bar (``volume_weighted``). A settlement on
    the bar's close belongs to the bar, for it pays for the hours before it; under
    ``funding.boundary: tv_open`` it belongs to the next one.

    Returns
    -------
    (T,) float64, fraction of notional per 8 h; positive = longs pay shorts

    Notes
    -----
    A venue counts where its settlements cover ``bars.min_coverage`` of the bar's hours and, in a
    weighted composite, where it had a weight; NaN with fewer than ``funding.min_venues`` venues. No
    warm-up but the first bar of a weighted composite.
    """
    values, weights = _counted(bars)
    chosen = bars.options.funding
    composite = row_median(values) if chosen.composite == "median" else _weighted_mean(values, weights)
    enough = np.isfinite(values).sum(axis=1) >= chosen.min_venues
    return np.where(enough, composite, np.nan)


@metric(unit="fraction per 8h", needs=_NEEDS)
def funding_8h(bars: Bars) -> np.ndarray:
    """Composite funding per eight hours, smoothed by an SMA of ``funding.smooth`` bars.

    Returns
    -------
    (T,) float64, fraction of notional per 8 h; positive = longs pay shorts

    Notes
    -----
    NaN where the raw composite is NaN; warm-up k - 1 bars, again after a hole longer than k bars.
    """
    length = by_timeframe(bars.options.funding.smooth, bars.timeframe, "funding.smooth")
    return rolling.sma(bars["funding_8h_raw"], length, max_hole=length)


@metric(unit="fraction p.a.", needs=_NEEDS)
def funding_apr(bars: Bars) -> np.ndarray:
    """Composite funding as a yearly rate: ``funding_8h * 3 * 365``.

    Under ``funding.apr: compounded`` what a long pays who lets it grow: ``(1 + funding_8h)^1095 - 1``.

    Returns
    -------
    (T,) float64, fraction per year; 0.01 % per 8 h is 0.1095 simple and 0.1157 compounded; positive =
    longs pay

    Notes
    -----
    NaN and warm-up as ``funding_8h``.
    """
    per_8h = bars["funding_8h"]
    if bars.options.funding.apr == "compounded":
        return np.asarray(np.expm1(_PER_YEAR * np.log1p(per_8h)))
    return np.asarray(per_8h * 3.0 * 365.0)


@metric(unit="z", needs=_NEEDS, windowed=True)
def fund_z(bars: Bars, *, window: int) -> np.ndarray:
    """The z-score of the smoothed composite funding; positive = longs pay more than usual.

    Returns
    -------
    (T,) float64, standard deviations; 0 to 1 under ``zscore.mode: percentile``

    Notes
    -----
    Population std, floor ``zscore.floor.funding_8h`` because funding is often pinned at its anchor.
    NaN until ``window`` valid bars.
    """
    return standardize(bars, bars["funding_8h"], window=window, floor=bars.options.zscore.floor_of("funding_8h"))


@metric(unit="venues", needs=_NEEDS)
def funding_venues(bars: Bars) -> np.ndarray:
    """How many venues stand behind the composite funding of each bar; fewer than 2 is thin.

    Returns
    -------
    (T,) float64, a count

    Notes
    -----
    Never NaN; no warm-up.
    """
    return np.asarray(np.isfinite(_counted(bars)[0]).sum(axis=1), dtype=np.float64)


def _counted(bars: Bars) -> tuple[np.ndarray, np.ndarray]:
    """Venues' funding per 8 h, NaN where one does not count, and their weights, 0 there; (T, V) each."""
    values, weights = venue_funding(bars), venue_weights(bars)
    counts = np.isfinite(values) & (weights > 0)
    return np.where(counts, values, np.nan), np.where(counts, weights, 0.0)


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``sum(w x) / sum(w)`` of each row; NaN where all weights are 0.

    Venue by venue: a venue that is not listed yet must not change the order of addition.
    """
    total, weight = np.zeros(len(values)), np.zeros(len(values))
    for value, share in zip(values.T, weights.T, strict=True):
        total += np.where(share > 0, share * value, 0.0)
        weight += share
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
