"""Open interest per venue on its own sampling grid: cleaned, held, and in BTC or in the venue's contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from btcflow.data.interest_units import unit_in_btc
from btcflow.errors import MissingData, NotInData
from btcflow.flow.open_interest_cleaning import accept
from btcflow.stack import carry, row_median

if TYPE_CHECKING:
    from btcflow.flow.options import OpenInterestOptions
    from btcflow.panel import Panel

__all__ = ["VenueLevels", "reference_price", "rows_of", "vendor_btc", "venue_interest", "venue_levels"]

_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, kw_only=True)
class VenueLevels:
    """The open interest of V venues at S samples.

    Attributes
    ----------
    levels : (S, V) BTC, or the venues' own units where ``oi.denom`` is ``native``; each held for
        ``oi.max_ffill_hours`` and NaN beyond
    weights : (S, V) BTC per unit of the levels (1 where they are in BTC)
    every : panel rows per sample
    at : (rows,) bool, the panel rows that close a sample
    """

    levels: np.ndarray
    weights: np.ndarray
    every: int
    at: np.ndarray

    def on_rows(self, values: np.ndarray) -> np.ndarray:
        """Values per sample, (S, K), on the panel rows until the next sample; (rows, K)."""
        spread = np.full((len(self.at), values.shape[1]), np.nan)
        spread[self.at] = values
        return carry(spread, self.every - 1)


def venue_levels(panel: Panel, options: OpenInterestOptions) -> VenueLevels:
    """Every perpetual's open interest on the grid of the finest: hourly, or daily where only days exist.

    Raises
    ------
    MissingData
        where no perpetual of the panel has open interest.
    """
    perps = _perps_with_interest(panel)
    every = max(rows_of(panel, 1.0), int(min(panel.sampling["open_interest"][perps])))
    native, worth = venue_interest(panel, perps, options.spike_log)
    at = panel.closes_sample(every)
    held = rows_of(panel, options.max_ffill_hours) // every
    if options.denom == "native":
        levels, weights = carry(carry(native, every - 1)[at], held), carry(worth[at], held)
    else:
        levels = carry(carry(native * worth, every - 1)[at], held)
        weights = np.ones_like(levels)
    return VenueLevels(levels=levels, weights=weights, every=every, at=at)


def _perps_with_interest(panel: Panel) -> list[int]:
    perps = [int(v) for v in panel.columns("perp") if panel.sampling["open_interest"][v] > 0]
    if not perps:
        raise MissingData(
            "oi.source is venues, and no perpetual of the panel has open interest; import some, or set "
            "oi.source: vendor:<name> for a vendor's aggregate"
        )
    return perps


def venue_interest(panel: Panel, perps: list[int], spike_log: float) -> tuple[np.ndarray, np.ndarray]:
    """Open interest of perpetuals in their own units, cleaned of spikes, and the BTC one unit is worth; (rows, V).

    What is sampled finer than an hour is reduced to the hour's last value. Only hourly samples are
    filtered; daily files are not.
    """
    own = panel["close"][:, perps]
    price = np.where(np.isfinite(own), own, reference_price(panel)[:, None])
    worth = np.column_stack([unit_in_btc(panel.instruments[v], price[:, i]) for i, v in enumerate(perps)])
    native = np.array(panel["open_interest"][:, perps])
    hour = rows_of(panel, 1.0)
    hourly = np.flatnonzero(panel.sampling["open_interest"][perps] <= hour)
    last = np.where(panel.closes_sample(hour)[:, None], carry(native[:, hourly], hour - 1), np.nan)
    spikes = np.isnan(accept(last * worth[:, hourly], spike_log))
    native[:, hourly] = np.where(spikes, np.nan, last)
    return native, worth


def reference_price(panel: Panel) -> np.ndarray:
    """USD price of one BTC for unit conversion: median spot close, held 24 h; (rows,).

    Of the spots sampled most often those in USD, else all of them; perpetuals where there is no spot.
    """
    close, sampling = panel["close"], panel.sampling["close"]
    priced = [[v for v in panel.columns(role) if sampling[v] > 0] for role in ("spot", "perp")]
    legs = priced[0] or priced[1]
    finest = [v for v in legs if sampling[v] == min(sampling[legs])]
    chosen = [v for v in finest if panel.instruments[v].quote == "USD"] or finest
    return carry(row_median(close[:, chosen])[:, None], rows_of(panel, 24.0))[:, 0]


def vendor_btc(panel: Panel, vendor: str) -> np.ndarray:
    """A vendor's total in BTC: USD divided by the reference spot price of the same row; (rows,).

    Raises
    ------
    MissingData
        where the panel holds no declared aggregate of that vendor.
    """
    found = [v for v in panel.columns("aggregate") if panel.instruments[v].venue == vendor]
    if len(found) != 1:
        have = ", ".join(panel.instruments[v].venue for v in panel.columns("aggregate")) or "none"
        raise NotInData(f"oi.source is vendor:{vendor}, and the panel holds the aggregates: {have}")
    worth = unit_in_btc(panel.instruments[found[0]], reference_price(panel))
    return np.asarray(panel["open_interest"][:, found[0]] * worth)


def rows_of(panel: Panel, hours: float) -> int:
    """Panel rows in so many hours, whole ones."""
    return int(hours * _HOUR_NS // panel.step_ns)
