"""Perp premium and spot premium of a basket, quote group by quote group.

Sign: *perp premium* is positive where perpetuals trade above spot (leverage pays up). *Spot
premium* is the same fact seen from spot: positive where spot trades above the perpetuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow import rolling
from btcflow.errors import MissingData
from btcflow.flow.metric import metric
from btcflow.flow.options import PremiumOptions, by_timeframe
from btcflow.flow.zscore import standardize
from btcflow.stack import row_mean, row_median

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars
    from btcflow.panel import Panel

__all__ = ["group_premium", "perp_premium", "perp_premium_raw", "prem_z", "premium_legs", "spot_premium"]


@metric(unit="%", needs=("close",))
def perp_premium_raw(bars: Bars) -> np.ndarray:
    """How far perpetuals trade above spot, before smoothing.

    At every sample h and in every quote group g (USD with USD, USDT with USDT)
    ``x_g = 100 (median perps / median spots - 1)``; ``x`` is the median over groups, and the bar's
    value is the mean of ``x`` over the bar.

    Returns
    -------
    (T,) float64, percent; positive = perps above spot

    Notes
    -----
    A group is sampled on the coarsest native bar of its legs (hourly, or daily closes); groups of
    different sampling meet on the coarsest of them. A leg without a price in the sample is absent,
    never carried forward. A sample with fewer live legs in all groups than ``premium.min_spot`` or
    ``premium.min_perp`` is not valid; NaN where fewer than ``bars.min_coverage`` of the samples are. No
    warm-up.

    References
    ----------
    definitions of the "BTC Flow Dashboard" script, public description.
    """
    options, panel = bars.options.premium, bars.panel
    groups = _groups(panel, options)
    every = max(_sampling(panel, quote) for quote in groups)
    samples, spots, perps = zip(*(group_premium(panel, quote, options) for quote in groups), strict=True)
    enough = (sum(spots) >= options.min_spot) & (sum(perps) >= options.min_perp)
    premium = np.where(enough, row_median(np.column_stack(samples)), np.nan)
    if every > 1:
        premium = np.where(panel.closes_sample(every), premium, np.nan)
    if options.bar_agg == "close":
        return bars.last(premium)
    reduce = bars.mean if options.bar_agg == "mean" else bars.median
    return reduce(premium, every=every)


@metric(unit="%", needs=("close",))
def perp_premium(bars: Bars) -> np.ndarray:
    """How far perpetuals trade above spot, smoothed by an EMA of ``premium.smooth`` bars.

    ``Y = EMA(X, k)``. Positive = perps rich: leverage leads.

    Returns
    -------
    (T,) float64, percent

    Notes
    -----
    NaN where the raw premium is NaN; warm-up k - 1 bars, again after a hole longer than k bars.
    """
    length = by_timeframe(bars.options.premium.smooth, bars.timeframe, "premium.smooth")
    return rolling.ema(bars["perp_premium_raw"], length, max_hole=length)


@metric(unit="%", needs=("close",))
def spot_premium(bars: Bars) -> np.ndarray:
    """How far spot trades above perpetuals: ``100 (1 / (1 + Y/100) - 1)``.

    The displayed series of the script. Positive = spot rich: spot buyers lead.

    Returns
    -------
    (T,) float64, percent

    Notes
    -----
    NaN and warm-up as ``perp_premium``; the sign is opposite to it.
    """
    return np.asarray(100.0 * (1.0 / (1.0 + bars["perp_premium"] / 100.0) - 1.0))


@metric(unit="z", needs=("close",), windowed=True)
def prem_z(bars: Bars, *, window: int) -> np.ndarray:
    """The z-score of the smoothed perp premium; positive = perps richer than usual.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    Population std, floor ``zscore.floor.premium_pct`` percentage points. NaN until ``window`` valid
    bars, and where the premium is NaN.
    """
    floor = bars.options.zscore.floor_of("premium_pct")
    return standardize(bars, bars["perp_premium"], window=window, floor=floor)


@metric(unit="legs", needs=("close",))
def premium_legs(bars: Bars) -> np.ndarray:
    """How many spot and perpetual prices stand behind the premium at the bar's last sample.

    Returns
    -------
    (T,) float64, a count over the quote groups in use

    Notes
    -----
    Never NaN; no warm-up. Legs dropped for their distance from the median are counted out.
    """
    options, panel = bars.options.premium, bars.panel
    groups = _groups(panel, options)
    counts = [group_premium(panel, quote, options)[1:] for quote in groups]
    live = np.sum([spot + perp for spot, perp in counts], axis=0)
    every = max(_sampling(panel, quote) for quote in groups)
    count = np.where(panel.closes_sample(every), live, np.nan)
    return np.asarray(np.nan_to_num(bars.last_sample(count), nan=0.0))


def group_premium(panel: Panel, quote: str, options: PremiumOptions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``100 (P / S - 1)`` of one quote group at every panel row, and its live spot and perp legs.

    Returns
    -------
    (rows,) percent, NaN where a side has no live leg; (rows,) spot legs; (rows,) perp legs, 0 beside a NaN
    """
    spot, perp = _legs(panel, quote, options)
    centre = row_median if options.agg == "median" else row_mean
    premium = 100.0 * (centre(perp) / centre(spot) - 1.0)
    known = np.isfinite(premium)
    return premium, known * np.isfinite(spot).sum(axis=1), known * np.isfinite(perp).sum(axis=1)


def _legs(panel: Panel, quote: str, options: PremiumOptions) -> tuple[np.ndarray, np.ndarray]:
    """Spot and perpetual prices of a group, NaN where a leg is absent or too far off; (rows, legs) each."""
    close = panel["close"]
    spot, perp = close[:, panel.columns("spot", quote)], close[:, panel.columns("perp", quote)]
    live = _near_the_median(np.column_stack([spot, perp]), options.max_dev)
    spot, perp = np.where(live[:, : spot.shape[1]], spot, np.nan), np.where(live[:, spot.shape[1] :], perp, np.nan)
    return spot, perp


def _near_the_median(legs: np.ndarray, limit: float) -> np.ndarray:
    """Legs within ``limit`` (log) of the median of all live legs; tested where at least three are live."""
    count = np.isfinite(legs).sum(axis=1)
    distance = np.abs(np.log(legs / row_median(legs)[:, None]))
    return np.asarray(np.isfinite(legs) & ((distance <= limit) | (count < 3)[:, None]))


def _groups(panel: Panel, options: PremiumOptions) -> tuple[str, ...]:
    """Quote groups with both sides: those the options name, else the hourly ones, else all."""
    both = sorted(_quotes(panel, "spot") & _quotes(panel, "perp"))
    if options.groups is not None:
        absent = [quote for quote in options.groups if quote not in both]
        if absent:
            raise MissingData(
                f"premium.groups names {', '.join(absent)}, and the panel has no spot and perp prices in it; "
                f"groups with both sides: {', '.join(both) or 'none'}"
            )
        return options.groups
    if not both:
        raise MissingData(
            "the premium needs a spot and a perpetual with prices in the same quote currency; add one to the universe"
        )
    hourly = tuple(quote for quote in both if _sampling(panel, quote) == 1)
    return hourly or tuple(both)


def _quotes(panel: Panel, role: str) -> set[str]:
    """Quote currencies in which instruments of a role have prices."""
    return {panel.instruments[v].quote for v in panel.columns(role) if panel.sampling["close"][v] > 0}


def _sampling(panel: Panel, quote: str) -> int:
    """Panel rows per sample of a group: the coarsest of its legs."""
    legs = [v for role in ("spot", "perp") for v in panel.columns(role, quote)]
    return int(max(panel.sampling["close"][legs]))
