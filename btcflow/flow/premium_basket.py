"""The premium sample by sample: live legs, their prices, and the middle of each side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from btcflow.flow.options import PremiumOptions
from btcflow.flow.premium_groups import DOLLAR, Group, begun, legs_of, premium_groups, rate_pairs
from btcflow.stack import carry, row_mean, row_median

if TYPE_CHECKING:
    from btcflow.panel import Panel

__all__ = ["Samples", "premium_samples"]

_HOLD = 6 * 3_600_000_000_000
"""How long a currency's worth in dollars is held: 6 hours."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The premium of the basket on the rows of a panel.

    Attributes
    ----------
    premium : (rows,) percent; NaN where it is not known, and on rows that close no sample
    legs : (rows,) spot and perpetual legs behind it; NaN on rows that close no sample
    every : (rows,) panel rows per sample of the groups that count there: the coarsest of them
    """

    premium: np.ndarray
    legs: np.ndarray
    every: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Basket:
    """Prices (rows, legs) of the panel's ``columns``, the first ``spots`` of them spot; NaN = not live."""

    columns: np.ndarray
    spots: int
    price: np.ndarray


def premium_samples(panel: Panel, options: PremiumOptions) -> Samples:
    """``100 (P / S - 1)`` at every sample, and the legs behind it."""
    groups = premium_groups(panel, options)
    every = np.max([np.where(group.active, group.every, 1) for group in groups], axis=0)
    closes = np.any([group.active for group in groups], axis=0) & ((panel.opens // panel.step_ns + 1) % every == 0)
    weight = _volume_before(panel, every) if options.agg == "volume_weighted" else None
    used = np.zeros((len(panel), len(panel.instruments)), dtype=bool)
    premiums = []
    for basket in _baskets(panel, groups, options):
        premium, live = _compared(basket, options, weight)
        used[:, basket.columns] |= live
        premiums.append(premium)
    spots, perps = (used[:, panel.columns(role)].sum(axis=1) for role in ("spot", "perp"))
    enough = closes & (perps >= options.min_perp) & ((spots >= options.min_spot) | (options.source != "prices"))
    return Samples(
        premium=np.where(enough, row_median(np.column_stack(premiums)), np.nan),
        legs=np.where(closes, spots + perps, np.nan),
        every=every,
    )


# -- baskets -----------------------------------------------------------------------------------------------


def _baskets(panel: Panel, groups: Sequence[Group], options: PremiumOptions) -> list[_Basket]:
    """What is compared: each group by itself (matched), or all legs together."""
    if options.source == "exchange_index":
        return [_joined([_basket(panel, group, 100.0 * panel["premium_index"]) for group in groups])]
    close = panel["close"]
    dollars = _dollars(panel, options) if any(group.in_dollars for group in groups) else close
    baskets = [_basket(panel, group, dollars if group.in_dollars else close) for group in groups]
    if options.quote_mode == "convert":
        return [_near(_joined(baskets), options.max_dev)]
    tested = [_near(basket, options.max_dev) for basket in baskets]
    return [_joined(tested)] if options.quote_mode == "raw" else tested


def _basket(panel: Panel, group: Group, values: np.ndarray) -> _Basket:
    columns = np.concatenate([group.spot, group.perp])
    price = np.where(group.active[:, None], values[:, columns], np.nan)
    return _Basket(columns=columns, spots=len(group.spot), price=price)


def _joined(baskets: Sequence[_Basket]) -> _Basket:
    """One basket of all legs, spots first."""
    sides = [slice(None, one.spots) for one in baskets], [slice(one.spots, None) for one in baskets]
    cuts = [(one, cut) for side in sides for one, cut in zip(baskets, side, strict=True)]
    return _Basket(
        columns=np.concatenate([one.columns[cut] for one, cut in cuts]),
        spots=sum(one.spots for one in baskets),
        price=np.column_stack([one.price[:, cut] for one, cut in cuts]),
    )


def _near(basket: _Basket, limit: float) -> _Basket:
    live = _near_the_median(basket.price, limit)
    return _Basket(columns=basket.columns, spots=basket.spots, price=np.where(live, basket.price, np.nan))


def _near_the_median(legs: np.ndarray, limit: float) -> np.ndarray:
    """Legs within ``limit`` (log) of the median of all live legs; tested where at least three are live."""
    count = np.isfinite(legs).sum(axis=1)
    distance = np.abs(np.log(legs / row_median(legs)[:, None]))
    return np.asarray(np.isfinite(legs) & ((distance <= limit) | (count < 3)[:, None]))


def _compared(basket: _Basket, options: PremiumOptions, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Percent (rows,), and the legs behind it (rows, legs), False beside a NaN."""
    price, own = basket.price, None if weight is None else weight[:, basket.columns]
    if own is not None:
        price = np.where(own > 0, price, np.nan)
    perp = _centre(price[:, basket.spots :], options, None if own is None else own[:, basket.spots :])
    if options.source == "exchange_index":
        premium = perp
    else:
        spot = _centre(price[:, : basket.spots], options, None if own is None else own[:, : basket.spots])
        premium = 100.0 * (perp / spot - 1.0)
    return premium, np.isfinite(price) & np.isfinite(premium)[:, None]


def _centre(price: np.ndarray, options: PremiumOptions, weight: np.ndarray | None) -> np.ndarray:
    """The middle of one side; (rows, legs) -> (rows,), NaN where it has no live leg."""
    if weight is None:
        return row_median(price) if options.agg == "median" else row_mean(price)
    live = np.isfinite(price)
    total = np.where(live, weight, 0.0).sum(axis=1)
    weighted = np.where(live, weight * price, 0.0).sum(axis=1)
    return np.where(total > 0, weighted / np.where(total > 0, total, 1.0), np.nan)


# -- weights and currencies ----------------------------------------------------------------------------------


def _volume_before(panel: Panel, every: np.ndarray) -> np.ndarray:
    """Each instrument's volume in the sample before the one a row belongs to, 0 where there is none; (rows, V)."""
    volume = panel["volume"]
    traded = np.where(np.isfinite(volume), volume, 0.0)
    before = np.zeros_like(traded)
    for size in np.unique(every):
        sample = panel.opens // panel.step_ns // size
        starts = np.flatnonzero(np.diff(sample, prepend=sample[0] - 1))
        total = np.add.reduceat(traded, starts, axis=0)
        earlier = np.vstack([np.zeros((1, traded.shape[1])), total[:-1]])[sample - sample[0]]
        before = np.where((every == size)[:, None], earlier, before)
    return before


def _dollars(panel: Panel, options: PremiumOptions) -> np.ndarray:
    """Every close in dollars, NaN where the worth of its currency is not known; (rows, V)."""
    quotes = [one.quote for one in panel.instruments]
    worth = {quote: _worth(panel, quote, options) for quote in sorted(set(quotes))}
    return np.asarray(panel["close"] * np.column_stack([worth[quote] for quote in quotes]))


def _worth(panel: Panel, quote: str, options: PremiumOptions) -> np.ndarray:
    """Dollars per unit of a currency, held at most 6 hours; (rows,)."""
    if quote == DOLLAR:
        return np.ones(len(panel))
    pairs = rate_pairs(panel, quote)
    quoted = row_median(panel["close"][:, pairs])
    by_spots = _spot_median(panel, DOLLAR, options) / _spot_median(panel, quote, options)
    rate = np.where(begun(panel, pairs).any(axis=1), quoted, by_spots)
    return carry(rate[:, None], int(_HOLD // panel.step_ns))[:, 0]


def _spot_median(panel: Panel, quote: str, options: PremiumOptions) -> np.ndarray:
    """The median of a currency's live spots, in that currency; (rows,)."""
    spot, perp = legs_of(panel, "spot", quote), legs_of(panel, "perp", quote)
    price = panel["close"][:, np.concatenate([spot, perp])]
    live = _near_the_median(price, options.max_dev)
    return row_median(np.where(live, price, np.nan)[:, : len(spot)])
