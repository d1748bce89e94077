"""Perp premium and spot premium of a basket, quote group by quote group.

Sign: *perp premium* is positive where perpetuals trade above spot (leverage pays up). *Spot
premium* is the same fact seen from spot: positive where spot trades above the perpetuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow import rolling
from btcflow.flow.metric import metric
from btcflow.flow.options import PremiumOptions, by_timeframe
from btcflow.flow.premium_basket import Samples, premium_samples
from btcflow.flow.zscore import standardize

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["perp_premium", "perp_premium_raw", "prem_z", "premium_legs", "shown", "spot_premium"]


def shown(options: PremiumOptions) -> tuple[str, ...]:
    """The two displayed series, the one that ``premium.display`` names first; logic never depends on it."""
    names = ("spot_premium", "perp_premium")
    return names if options.display == "spot_over_perp" else names[::-1]


@metric(unit="%", needs=("close",))
def perp_premium_raw(bars: Bars) -> np.ndarray:
    """How far perpetuals trade above spot, before smoothing.

    At every sample h and in every quote group g (USD with USD, USDT with USDT)
    ``x_g = 100 (P / S - 1)``, with P and S the middle (``premium.agg``) of its perps and of its spots;
    ``x`` is the median over groups, and the bar's value is the mean of ``x`` over the bar
    (``premium.bar_agg``).

    Returns
    -------
    (T,) float64, percent; positive = perps above spot

    Notes
    -----
    ``premium.quote_mode``: ``matched`` is the above. A group without a spot leg is compared in dollars
    with every spot that can be brought to dollars. ``convert`` brings all legs to dollars and makes one
    basket of them; a currency's worth is the median of the instruments called so (``USDT/USD``) where the
    data hold one, else the ratio of the median USD spot to its median spot at the same sample, held at most 6
    hours; without it the legs are left out. ``raw`` makes one basket of the prices as they are.

    ``volume_weighted`` weighs each leg by its own volume in the sample *before* (hour, or day), so no
    volume of the sample itself is read; a leg without volume there is left out.

    ``premium.source: exchange_index`` is a different object, from impact prices against the venue's own index:
    100 times the middle of the perpetuals' premium indices, without ``min_spot`` and ``max_dev``.

    A group is sampled on the coarsest native bar of its legs (hourly, or daily closes); groups that count at
    the same time meet on the coarsest of them. A group counts only for samples inside its dates. A leg
    without a price in the sample is absent, never carried forward; one further than ``premium.max_dev`` (log)
    from the median of the live legs it is compared with (``raw``: those of its own currency) is left out,
    where there are three. A sample with fewer live legs in all groups than ``premium.min_spot`` or
    ``premium.min_perp`` is not valid; NaN where valid samples cover less than ``bars.min_coverage`` of the bar.
    No warm-up.

    References
    ----------
    definitions of the "BTC Flow Dashboard" script, public description.
    """
    return _reduced(bars, premium_samples(bars.panel, bars.options.premium))


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
    found = premium_samples(bars.panel, bars.options.premium)
    return np.asarray(np.nan_to_num(bars.last_sample(found.legs), nan=0.0))


def _reduced(bars: Bars, found: Samples) -> np.ndarray:
    """The bar's value from its samples, each of which stands for as many rows as it spans; (T,)."""
    if bars.options.premium.bar_agg == "close":
        return bars.last(found.premium)
    rows = bars.sum(np.where(np.isfinite(found.premium), found.every, np.nan))
    covered = rows / ((bars.closes - bars.opens) // bars.panel.step_ns) >= bars.options.bars.min_coverage
    any_number = len(bars.panel) + 1  # as many rows per sample as this ask for one sample only
    if bars.options.premium.bar_agg == "median":
        return np.where(covered, bars.median(found.premium, every=any_number), np.nan)
    value = np.zeros(len(bars))
    for every in np.unique(found.every):
        one = np.where(found.every == every, found.premium, np.nan)
        share = bars.sum(np.where(np.isfinite(one), every, np.nan)) / rows
        value += np.where(share > 0, share * bars.mean(one, every=any_number), 0.0)
    return np.where(covered, value, np.nan)
