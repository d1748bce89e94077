"""Open interest: cleaned per venue, made one index that venue entry cannot move, and scored."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from btcflow.errors import ConfigError
from btcflow.flow.metric import metric
from btcflow.flow.oi_aggregates import (
    chain_link,
    fixed_panel,
    further_bars,
    middle,
    rebased,
    strict_sum,
    transformed,
    zero_filled_sum,
)
from btcflow.flow.oi_levels import reference_price, rows_of, vendor_btc, venue_interest, venue_levels
from btcflow.flow.zscore import standardize
from btcflow.stack import row_mean, row_median

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars
    from btcflow.flow.options import OpenInterestOptions
    from btcflow.panel import Panel

__all__ = [
    "chain_link",
    "oi_change_z",
    "oi_index",
    "oi_venues",
    "oi_z",
    "reference_price",
    "venue_interest",
]

_SUMS = ("sum_nz", "sum_strict")


@metric(unit="index", needs=("close", "open_interest"))
def oi_index(bars: Bars) -> np.ndarray:
    """Aggregated open interest of perpetuals in BTC, as an index that starts at 100.

    ``oi.source: venues``: chain-linked over the venues of age ``min_age_days`` or more that are valid
    now and one sample ago, ``I_t = I_{t-1} * sum OI_t / sum OI_{t-1}``, on the native sampling grid
    (hourly; daily where only days exist); the bar takes the last sample. ``oi.aggregate: sum_nz`` and
    ``sum_strict`` put the plain sum in its place; the other aggregates differ in ``oi_z`` only.
    ``oi.source: vendor:<name>``: one vendor's total, in BTC at the spot close of the same day, alone.
    ``oi.denom: native`` compares the venues' own contracts, weighed in BTC one sample ago, so that price
    does not move the index of inverse contracts; ``USD`` is the BTC index times price over the first price.

    Returns
    -------
    (T,) float64, 100 at the first valid sample

    Notes
    -----
    NaN while fewer than ``oi.min_venues`` venues are matched (no such minimum for the sums and for a
    vendor). When none is left the index is NaN and goes on from its last level once venues return. A
    vendor's sample counts only inside its own bar. A native ``sum_*`` or ``fixed_panel`` is refused.
    """
    options = bars.options.oi
    if options.source != "venues":
        return _vendor_index(bars, options)
    values = bars.last(_venue_index(bars.panel, options)[0])
    return _in_dollars(values, bars.last_sample(reference_price(bars.panel))) if options.denom == "USD" else values


@metric(unit="z", needs=("close", "open_interest"), windowed=True)
def oi_z(bars: Bars, *, window: int) -> np.ndarray:
    """The z-score of ln open interest; positive = more leverage outstanding than usual.

    ``oi.transform`` says what is scored: ``log_level``, ``level``, ``log_detrended`` (less its EMA of twice
    the window) or ``log_change`` over ``oi.change_bars``. ``oi.aggregate: fixed_panel`` scores the sum over
    the venues that are valid in every bar the score reads; ``median_z`` and ``mean_z`` take the middle of
    the z-scores of the venues that have a full window, two at least.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    Population std, floor ``zscore.floor.log_oi`` (none for ``level``, which is no logarithm). NaN until
    ``window`` valid bars, ``change_bars`` or ``2 window - 1`` more where the transform reads further back.
    """
    options = bars.options.oi
    score = partial(_score, bars, window=window)
    if options.source != "venues" or options.aggregate in ("chain_link", *_SUMS):
        return score(bars["oi_index"])
    _refuse_unlike(options)
    levels = _venue_bars(bars)
    if options.aggregate == "fixed_panel":
        ahead = int(bars.options.zscore.window == "exclusive")
        reach = window + ahead + further_bars(options, window=window)
        return fixed_panel(levels, score, reach=reach, least=options.min_venues)
    scores = np.column_stack([score(levels[:, v]) for v in range(levels.shape[1])])
    return middle(scores, row_median if options.aggregate == "median_z" else row_mean, least=max(2, options.min_venues))


@metric(unit="z", needs=("close", "open_interest"), windowed=True)
def oi_change_z(bars: Bars, *, window: int) -> np.ndarray:
    """The z-score of the bar's change in ln open interest; strongly negative = a flush of leverage.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    ``ln I_t - ln I_{t-1}`` of ``oi_index`` whatever ``oi.transform`` is, floor ``zscore.floor.log_oi``. NaN
    until ``window + 1`` valid bars.
    """
    change = np.diff(np.log(bars["oi_index"]), prepend=np.nan)
    return standardize(bars, change, window=window, floor=bars.options.zscore.floor_of("log_oi"))


@metric(unit="venues", needs=("close", "open_interest"))
def oi_venues(bars: Bars) -> np.ndarray:
    """How many sources stand behind the open-interest index at each bar (1 for a vendor's total).

    Returns
    -------
    (T,) float64, a count; 0 where there is none

    Notes
    -----
    Matched venues, or the venues that have a level where ``oi.aggregate`` is a sum. Never NaN; no warm-up.
    """
    if bars.options.oi.source != "venues":
        return np.asarray(np.isfinite(bars["oi_index"]), dtype=np.float64)
    return bars.last(_venue_index(bars.panel, bars.options.oi)[1])


def _score(bars: Bars, levels: np.ndarray, *, window: int) -> np.ndarray:
    """The z-score of one series of levels by the options' transform; (T,)."""
    options = bars.options.oi
    floor = 0.0 if options.transform == "level" else bars.options.zscore.floor_of("log_oi")
    return standardize(bars, transformed(levels, options, window=window), window=window, floor=floor)


def _venue_bars(bars: Bars) -> np.ndarray:
    """Each venue's level at the bars' last sample, in the denomination of the options; (T, V)."""
    venues = venue_levels(bars.panel, bars.options.oi)
    levels = bars.last(venues.on_rows(venues.levels))
    if bars.options.oi.denom == "USD":
        levels = levels * bars.last_sample(reference_price(bars.panel))[:, None]
    return levels


def _venue_index(panel: Panel, options: OpenInterestOptions) -> tuple[np.ndarray, np.ndarray]:
    """The venues' index and the count of venues behind it on the panel rows; (rows,) each."""
    _refuse_unlike(options)
    venues = venue_levels(panel, options)
    if options.aggregate in _SUMS:
        add = zero_filled_sum if options.aggregate == "sum_nz" else strict_sum
        index, count = rebased(add(venues.levels)), np.isfinite(venues.levels).sum(axis=1)
    else:
        min_age = rows_of(panel, 24 * options.min_age_days) // venues.every
        index, count = chain_link(venues.levels, venues.weights, min_age=min_age)
        index = np.where(count >= options.min_venues, index, np.nan)
    on_rows = venues.on_rows(np.column_stack([index, count]))
    return on_rows[:, 0], np.nan_to_num(on_rows[:, 1])


def _vendor_index(bars: Bars, options: OpenInterestOptions) -> np.ndarray:
    """One vendor's last total inside each bar, 100 in the first bar that has one; (T,)."""
    btc = vendor_btc(bars.panel, options.source.removeprefix("vendor:"))
    index = rebased(bars.last_sample(btc))
    if options.denom == "BTC":
        return index
    price = np.where(np.isfinite(btc), reference_price(bars.panel), np.nan)  # of the sample's own row
    return _in_dollars(index, bars.last_sample(price))


def _in_dollars(index: np.ndarray, price: np.ndarray) -> np.ndarray:
    """A BTC index times price, both (T,), equal to the BTC index in the first bar that has both."""
    dollars = index * price
    first = np.flatnonzero(np.isfinite(dollars))[:1]
    return np.asarray(dollars / price[first[0]] if len(first) else dollars)


def _refuse_unlike(options: OpenInterestOptions) -> None:
    """Contracts of different sizes cannot be added."""
    if options.denom == "native" and options.aggregate in ("fixed_panel", *_SUMS):
        raise ConfigError(
            f"oi.denom is native and oi.aggregate is {options.aggregate}, which adds the venues' unlike contracts; "
            "set oi.denom to BTC or USD, or oi.aggregate to chain_link, median_z or mean_z"
        )
