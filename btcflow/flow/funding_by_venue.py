"""Funding venue by venue: what each perpetual paid per eight hours in each bar, and how much it weighs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from btcflow.data.venue_facts import facts
from btcflow.errors import ConfigError, MissingData
from btcflow.flow.funding_implied import ANCHOR, implied_rates
from btcflow.flow.oi_levels import rows_of, venue_interest
from btcflow.stack import carry

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars
    from btcflow.panel import Panel

__all__ = ["Settled", "anchors_of", "settled", "venue_funding", "venue_weights"]

_HOUR = 3_600_000_000_000


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Settlements on the panel's rows: fraction of notional paid, and hours covered, by perpetual.

    ``perps`` are columns of the panel; ``paid`` and ``hours`` are (rows, perps), NaN without a settlement.
    """

    perps: list[int]
    paid: np.ndarray
    hours: np.ndarray


def venue_funding(bars: Bars) -> np.ndarray:
    """Time-weighted funding per 8 h of each perpetual in each bar; NaN below the coverage; (T, V).

    A bar shorter than a venue's settlement spacing takes the rate last settled, held until the next is due.
    """
    flows = settled(bars)
    hours_in_bar = (bars.closes - bars.opens) / _HOUR
    out = np.full((len(bars), len(flows.perps)), np.nan)
    for place in range(len(flows.perps)):
        paid, hours = bars.sum(flows.paid[:, place]), bars.sum(flows.hours[:, place])
        covered = hours / hours_in_bar >= bars.options.bars.min_coverage
        out[covered, place] = 8.0 * paid[covered] / hours[covered]
        if len(bars) and np.nanmax(flows.hours[:, place], initial=0.0) > hours_in_bar.min():
            held, spacing = (bars.last(one) for one in _last_settled(bars.panel, flows, place))
            short = spacing > hours_in_bar
            out[short, place] = held[short]
    return out


def _last_settled(panel: Panel, flows: Settled, place: int) -> tuple[np.ndarray, np.ndarray]:
    """At each panel row the rate per 8 h last settled and its spacing in hours, NaN once the next is due; (rows,)."""
    paid, hours = flows.paid[:, place], flows.hours[:, place]
    at = np.maximum.accumulate(np.where(np.isfinite(paid) & (hours > 0), np.arange(len(paid)), -1))
    spacing = np.where(at >= 0, hours[np.maximum(at, 0)], np.nan)
    age = (np.arange(len(paid)) - at) * panel.step_ns / _HOUR
    fresh = (at >= 0) & (age < spacing)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = 8.0 * paid[np.maximum(at, 0)] / spacing
    return np.where(fresh, rate, np.nan), np.where(fresh, spacing, np.nan)


def settled(bars: Bars) -> Settled:
    """The settlements the composite reads: reported or implied, less their anchors, in the row of their bar.

    Under ``boundary: tv_open`` each stands one row later: one that ends with the bar opens the next.
    """
    chosen, panel = bars.options.funding, bars.panel
    if chosen.source == "implied":
        perps, paid = implied_rates(panel, min_coverage=bars.options.bars.min_coverage)
        hours = np.where(np.isfinite(paid), 8.0, np.nan)
    else:
        perps = _perps_with_funding(panel)
        paid, hours = panel["funding_paid"][:, perps], panel["funding_hours"][:, perps]
    if chosen.anchor_adjust:
        anchors = np.full(paid.shape, ANCHOR) if chosen.source == "implied" else _anchors(panel, perps)
        paid = paid - anchors * hours / 8.0
        hours = np.where(np.isfinite(paid), hours, np.nan)
    if chosen.boundary == "tv_open":
        paid, hours = _row_later(paid), _row_later(hours)
    return Settled(perps=perps, paid=paid, hours=hours)


def anchors_of(instrument_id: str, stamps: np.ndarray, *, synthetic: bool) -> np.ndarray:
    """The interest per 8 h that a perpetual's settled rates rest at, by the rules of each settlement; (N,).

    Simulated venues all rest at 0.0001. NaN where the venue's rules are not known.

    Raises
    ------
    ConfigError
        for an instrument that no venue file lists.
    """
    known = facts(instrument_id)
    if known is not None:
        return known.anchor(stamps)
    if synthetic:
        return np.full(len(stamps), ANCHOR)
    raise ConfigError(
        f"funding.anchor_adjust needs the interest anchor of {instrument_id}, and no venue file lists it; write one "
        "into a folder named by BTCFLOW_VENUES, leave the venue out of universe.perp, or set anchor_adjust: false"
    )


def venue_weights(bars: Bars) -> np.ndarray:
    """Weights of the perpetuals in the composite: the bar before's open interest, or volume, in BTC; (T, V).

    NaN where a venue had none, and in the first bar; 1 in a composite without weights.

    Raises
    ------
    MissingData
        where no perpetual with funding has what is weighed by.
    """
    how, perps = bars.options.funding.composite, settled(bars).perps
    if how not in ("oi_weighted", "volume_weighted"):
        return np.ones((len(bars), len(perps)))
    kind = "open_interest" if how == "oi_weighted" else "volume"
    weighable = [v for v in perps if bars.panel.sampling[kind][v] > 0]
    if not weighable:
        raise MissingData(
            f"funding.composite is {how}, and no perpetual with funding has {kind}; import some, or set "
            "funding.composite: median"
        )
    weights = np.full((len(bars), len(perps)), np.nan)
    found = _interest(bars, weighable) if how == "oi_weighted" else _volume(bars, weighable)
    weights[1:, [perps.index(v) for v in weighable]] = found[:-1]
    return weights


def _perps_with_funding(panel: Panel) -> list[int]:
    perps = [int(v) for v in panel.columns("perp") if panel.sampling["funding_hours"][v] > 0]
    if not perps:
        raise MissingData("no perpetual of the panel has funding; import some, or add such a venue to the universe")
    return perps


def _anchors(panel: Panel, perps: list[int]) -> np.ndarray:
    """Interest anchors at the end of every panel row; (rows, V)."""
    ends = panel.opens + panel.step_ns
    return np.column_stack([anchors_of(panel.instruments[v].id, ends, synthetic=panel.synthetic) for v in perps])


def _row_later(values: np.ndarray) -> np.ndarray:
    return np.vstack([np.full((min(1, len(values)), values.shape[1]), np.nan), values[:-1]])


def _interest(bars: Bars, perps: list[int]) -> np.ndarray:
    """Open interest in BTC at each bar's close, cleaned and held as for the index; (T, V)."""
    options = bars.options.oi
    native, worth = venue_interest(bars.panel, perps, options.spike_log)
    held = carry(native * worth, rows_of(bars.panel, options.max_ffill_hours))
    return np.column_stack([bars.last(held[:, place]) for place in range(len(perps))])


def _volume(bars: Bars, perps: list[int]) -> np.ndarray:
    """Volume in BTC of each bar; (T, V)."""
    return np.column_stack([bars.sum(bars.panel["volume"][:, v]) for v in perps])
