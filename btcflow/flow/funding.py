"""Composite funding: what a long pays per eight hours, across venues. Positive = longs pay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow import rolling
from btcflow.errors import MissingData
from btcflow.flow.metric import metric
from btcflow.flow.options import by_timeframe
from btcflow.flow.zscore import standardize
from btcflow.stack import row_mean, row_median

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["fund_z", "funding_8h", "funding_8h_raw", "funding_apr", "funding_venues", "venue_funding"]

_NEEDS = ("funding_hours", "funding_paid")
_HOUR = 3_600_000_000_000


@metric(unit="fraction per 8h", needs=_NEEDS)
def funding_8h_raw(bars: Bars) -> np.ndarray:
    """Composite funding of the bar per eight hours, before smoothing.

    Per venue the time-weighted mean of the settlements that end in the bar,
    ``F_v = 8 * sum(rate * spacing / rate_hours) / sum(spacing)``; then the median (or mean) over
    venues. A settlement on the bar's close belongs to the bar: it pays for the hours before it.

    Returns
    -------
    (T,) float64, fraction of notional per 8 h; positive = longs pay shorts

    Notes
    -----
    A venue counts where its settlements cover ``bars.min_coverage`` of the bar's hours; NaN with
    fewer than ``funding.min_venues`` venues. No warm-up.
    """
    venues = venue_funding(bars)
    centre = row_median if bars.options.funding.composite == "median" else row_mean
    enough = np.isfinite(venues).sum(axis=1) >= bars.options.funding.min_venues
    return np.where(enough, centre(venues), np.nan)


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
    """Composite funding as a simple yearly rate: ``funding_8h * 3 * 365``.

    Returns
    -------
    (T,) float64, fraction per year; 0.1095 = 0.01 % per 8 h; positive = longs pay

    Notes
    -----
    NaN and warm-up as ``funding_8h``.
    """
    return np.asarray(bars["funding_8h"] * 3.0 * 365.0)


@metric(unit="z", needs=_NEEDS, windowed=True)
def fund_z(bars: Bars, *, window: int) -> np.ndarray:
    """The z-score of the smoothed composite funding; positive = longs pay more than usual.

    Returns
    -------
    (T,) float64, standard deviations

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
    return np.asarray(np.isfinite(venue_funding(bars)).sum(axis=1), dtype=np.float64)


def venue_funding(bars: Bars) -> np.ndarray:
    """Time-weighted funding per 8 h of each perpetual in each bar; NaN below the coverage; (T, V)."""
    panel = bars.panel
    perps = [v for v in panel.columns("perp") if panel.sampling["funding_hours"][v] > 0]
    if not perps:
        raise MissingData("no perpetual of the panel has funding; import some, or add such a venue to the universe")
    hours_in_bar = (bars.closes - bars.opens) / _HOUR
    out = np.full((len(bars), len(perps)), np.nan)
    for place, v in enumerate(perps):
        paid, hours = bars.sum(panel["funding_paid"][:, v]), bars.sum(panel["funding_hours"][:, v])
        covered = hours / hours_in_bar >= bars.options.bars.min_coverage
        out[covered, place] = 8.0 * paid[covered] / hours[covered]
    return out
