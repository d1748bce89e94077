"""Open interest in BTC: cleaned per venue, chained into an index that venue entry cannot move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow.errors import ConfigError, MissingData
from btcflow.flow.metric import metric
from btcflow.flow.open_interest_cleaning import accept
from btcflow.flow.zscore import standardize
from btcflow.stack import carry, row_median

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars
    from btcflow.flow.options import OpenInterestOptions
    from btcflow.instrument import Instrument
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


@metric(unit="index", needs=("close", "open_interest"))
def oi_index(bars: Bars) -> np.ndarray:
    """Aggregated open interest of perpetuals in BTC, as an index that starts at 100.

    ``oi.source: venues``: chain-linked over the venues of age ``min_age_days`` or more that are valid
    now and one sample ago, ``I_t = I_{t-1} * sum OI_t / sum OI_{t-1}``, on the native sampling grid
    (hourly; daily where only days exist); the bar takes the last sample. ``oi.source: vendor:<name>``:
    one vendor's total, in BTC, alone. ``oi.denom: native`` compares the venues' own contracts, weighed
    in BTC one sample ago, so that price does not move the index of inverse contracts; ``USD`` is the
    BTC index times price.

    Returns
    -------
    (T,) float64, 100 at the first valid sample

    Notes
    -----
    NaN while fewer than ``oi.min_venues`` venues are matched. When none is left the index is NaN and
    goes on from its last level once venues return. A vendor's sample counts only inside its own bar.
    """
    options = bars.options.oi
    if options.source == "venues":
        index, matched = _venue_index(bars.panel, options)
        values = bars.last(np.where(matched >= options.min_venues, index, np.nan))
    else:
        values = bars.last_sample(_vendor_btc(bars.panel, options.source.removeprefix("vendor:")))
        first = np.flatnonzero(np.isfinite(values))[:1]
        values = 100.0 * values / values[first[0]] if len(first) else values
    if options.denom == "USD":
        values = values * bars.last_sample(reference_price(bars.panel))
    return values


@metric(unit="z", needs=("close", "open_interest"), windowed=True)
def oi_z(bars: Bars, *, window: int) -> np.ndarray:
    """The z-score of ln open interest; positive = more leverage outstanding than usual.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    Population std, floor ``zscore.floor.log_oi``. NaN until ``window`` valid bars.
    """
    return standardize(bars, np.log(bars["oi_index"]), window=window, floor=bars.options.zscore.floor_of("log_oi"))


@metric(unit="z", needs=("close", "open_interest"), windowed=True)
def oi_change_z(bars: Bars, *, window: int) -> np.ndarray:
    """The z-score of the bar's change in ln open interest; strongly negative = a flush of leverage.

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    ``ln I_t - ln I_{t-1}``, floor ``zscore.floor.log_oi``. NaN until ``window + 1`` valid bars.
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
    Never NaN; no warm-up.
    """
    if bars.options.oi.source != "venues":
        return np.asarray(np.isfinite(bars["oi_index"]), dtype=np.float64)
    return bars.last(_venue_index(bars.panel, bars.options.oi)[1])


def _venue_index(panel: Panel, options: OpenInterestOptions) -> tuple[np.ndarray, np.ndarray]:
    """The chain-linked index and its count of matched venues on the panel rows; (rows,) each."""
    perps = _perps_with_interest(panel)
    every = int(min(panel.sampling["open_interest"][perps]))
    native, worth = venue_interest(panel, perps, options.spike_log)
    sampled = panel.closes_sample(every)
    held = _rows(panel, options.max_ffill_hours) // every
    if options.denom == "native":
        levels, weights = carry(carry(native, every - 1)[sampled], held), worth[sampled]
    else:
        levels = carry(carry(native * worth, every - 1)[sampled], held)
        weights = np.ones_like(levels)
    found = chain_link(levels, weights, min_age=_rows(panel, 24 * options.min_age_days) // every)
    spread = np.full((len(panel), 2), np.nan)
    spread[sampled] = np.column_stack(found)
    index, matched = carry(spread, every - 1).T
    return index, np.nan_to_num(matched)


def _perps_with_interest(panel: Panel) -> list[int]:
    perps = [int(v) for v in panel.columns("perp") if panel.sampling["open_interest"][v] > 0]
    if not perps:
        raise MissingData(
            "oi.source is venues, and no perpetual of the panel has open interest; import some, or set "
            "oi.source: vendor:<name> for a vendor's aggregate"
        )
    return perps


def venue_interest(panel: Panel, perps: list[int], spike_log: float) -> tuple[np.ndarray, np.ndarray]:
    """Open interest of perpetuals in their own units, cleaned of spikes, and the BTC one unit is worth; (rows, V)."""
    own = panel["close"][:, perps]
    price = np.where(np.isfinite(own), own, reference_price(panel)[:, None])
    worth = np.column_stack([_unit_in_btc(panel.instruments[v], price[:, i]) for i, v in enumerate(perps)])
    native = np.array(panel["open_interest"][:, perps])
    hourly = np.flatnonzero(panel.sampling["open_interest"][perps] == 1)
    spikes = np.isnan(accept(native[:, hourly] * worth[:, hourly], spike_log))
    native[:, hourly] = np.where(spikes, np.nan, native[:, hourly])
    return native, worth


def _unit_in_btc(what: Instrument, price: np.ndarray) -> np.ndarray:
    """BTC behind one unit of an instrument's open interest; (rows,)."""
    size = what.side_factor * (what.contract_size if what.oi_unit == "contract" else 1.0)
    if what.oi_unit == "btc" or (what.oi_unit == "contract" and what.contract_ccy == "BTC"):
        return np.full(len(price), size)
    if what.oi_unit in ("usd", "contract"):
        return np.asarray(size / price)
    raise ConfigError(
        f"{what.id} has open interest and no oi_unit; expected btc, usd or contract in its instrument facts"
    )


def chain_link(values: np.ndarray, weights: np.ndarray, *, min_age: int) -> tuple[np.ndarray, np.ndarray]:
    """Chain the matched-venue growth of (T, V) levels into an index; returns (T,) index and matched count.

    A venue is matched at t if it is valid at t - 1 and t and was first valid at least ``min_age``
    rows before t; both its levels are weighed by its weight at t - 1. Entry and exit add no jump. The
    index starts at 100 with the first valid value.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = [100, 110, 121, np.nan, 133.1], [np.nan, np.nan, 50, 60, 66]
    >>> held = carry(np.column_stack([a, b]).astype(float), 1)
    >>> chain_link(held, np.ones((5, 2)), min_age=1)[0].round(6).tolist()
    [100.0, 110.0, 121.0, 128.076023, 140.883626]
    """
    valid = np.isfinite(values)
    any_valid = valid.any(axis=1)
    if not any_valid.any():
        return np.full(len(values), np.nan), np.zeros(len(values), dtype=np.int64)
    age = np.arange(len(values))[:, None] - np.where(valid.any(axis=0), valid.argmax(axis=0), len(values))
    before, weights = _previous(values), _previous(weights)
    matched = valid & np.isfinite(before * weights) & (age >= min_age)
    count = matched.sum(axis=1)
    now = np.where(matched, values * weights, 0.0).sum(axis=1)
    then = np.where(matched, before * weights, 0.0).sum(axis=1)
    growth = np.where(count > 0, now / np.where(count > 0, then, 1.0), 1.0)
    index = np.where(count > 0, 100.0 * np.cumprod(growth), np.nan)
    index[any_valid.argmax()] = 100.0
    return index, count


def _previous(values: np.ndarray) -> np.ndarray:
    """The row before, NaN in the first."""
    return np.vstack([np.full((1, values.shape[1]), np.nan), values[:-1]])


def reference_price(panel: Panel) -> np.ndarray:
    """USD price of one BTC for unit conversion: median spot close, held 24 h; (rows,).

    Of the spots sampled most often those in USD, else all of them; perpetuals where there is no spot.
    """
    close, sampling = panel["close"], panel.sampling["close"]
    priced = [[v for v in panel.columns(role) if sampling[v] > 0] for role in ("spot", "perp")]
    legs = priced[0] or priced[1]
    finest = [v for v in legs if sampling[v] == min(sampling[legs])]
    chosen = [v for v in finest if panel.instruments[v].quote == "USD"] or finest
    return carry(row_median(close[:, chosen])[:, None], _rows(panel, 24.0))[:, 0]


def _vendor_btc(panel: Panel, vendor: str) -> np.ndarray:
    """A vendor's total in BTC: USD divided by the reference spot price of the same row; (rows,)."""
    found = [v for v in panel.columns("aggregate") if panel.instruments[v].venue == vendor]
    if len(found) != 1:
        have = ", ".join(panel.instruments[v].venue for v in panel.columns("aggregate")) or "none"
        raise MissingData(f"oi.source is vendor:{vendor}, and the panel holds the aggregates: {have}")
    worth = _unit_in_btc(panel.instruments[found[0]], reference_price(panel))
    return np.asarray(panel["open_interest"][:, found[0]] * worth)


def _rows(panel: Panel, hours: float) -> int:
    return int(hours * 3_600_000_000_000 // panel.step_ns)
