"""Open interest in BTC: cleaned per venue, chained into an index that venue entry cannot move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow.errors import ConfigError, MissingData
from btcflow.flow.metric import metric
from btcflow.flow.open_interest_cleaning import accept
from btcflow.flow.zscore import standardise
from btcflow.stack import carry, row_median

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars
    from btcflow.flow.options import OpenInterestOptions
    from btcflow.panel import Panel

__all__ = ["chain_link", "oi_btc", "oi_change_z", "oi_index", "oi_venues", "oi_z"]


@metric(unit="index", needs=("close", "open_interest"))
def oi_index(bars: Bars) -> np.ndarray:
    """Aggregated open interest of perpetuals in BTC, as an index that starts at 100.

    ``oi.source: venues``: chain-linked over the venues of age ``min_age_days`` or more that are valid
    now and one sample ago, ``I_t = I_{t-1} * sum OI_t / sum OI_{t-1}``, on the native sampling grid;
    the bar takes the last sample. ``oi.source: vendor:<name>``: one vendor's total, in BTC, alone.

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
        index, matched = chain_link(
            oi_btc(bars.panel, options),
            min_age=_rows(bars.panel, 24 * options.min_age_days),
        )
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
    return standardise(bars, np.log(bars["oi_index"]), window=window, floor=bars.options.zscore.floor.log_oi)


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
    return standardise(bars, change, window=window, floor=bars.options.zscore.floor.log_oi)


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
        return np.isfinite(bars["oi_index"]).astype(np.float64)
    age = _rows(bars.panel, 24 * bars.options.oi.min_age_days)
    _, matched = chain_link(oi_btc(bars.panel, bars.options.oi), min_age=age)
    return bars.last(matched.astype(np.float64))


def oi_btc(panel: Panel, options: OpenInterestOptions) -> np.ndarray:
    """Cleaned open interest per perpetual in BTC on the panel rows, held up to its age limit; (rows, V)."""
    perps = [v for v in panel.columns("perp") if panel.sampling["open_interest"][v] > 0]
    if not perps:
        raise MissingData(
            "oi.source is venues, and no perpetual of the panel has open interest; import some, or set "
            "oi.source: vendor:<name> for a vendor's aggregate"
        )
    native = panel["open_interest"][:, perps]
    own = panel["close"][:, perps]
    price = np.where(np.isfinite(own), own, reference_price(panel)[:, None])
    btc = np.column_stack([_to_btc(panel, v, native[:, i], price[:, i]) for i, v in enumerate(perps)])
    if all(panel.sampling["open_interest"][v] == 1 for v in perps):
        btc = accept(btc, options.spike_log)
    return carry(btc, _rows(panel, options.max_ffill_hours))


def _to_btc(panel: Panel, column: int, native: np.ndarray, price: np.ndarray) -> np.ndarray:
    """One instrument's native open interest in BTC."""
    what = panel.instruments[column]
    size = what.side_factor * (what.contract_size if what.oi_unit == "contract" else 1.0)
    if what.oi_unit == "btc" or (what.oi_unit == "contract" and what.contract_ccy == "BTC"):
        return size * native
    if what.oi_unit in ("usd", "contract"):
        return size * native / price
    raise ConfigError(f"{what.id} has open interest and no oi_unit; expected btc, usd or contract in its instrument facts")


def chain_link(values: np.ndarray, *, min_age: int) -> tuple[np.ndarray, np.ndarray]:
    """Chain the matched-venue growth of (T, V) levels into an index; returns (T,) index and matched count.

    A venue is matched at t if it is valid at t - 1 and t and was first valid at least ``min_age``
    rows before t. Entry and exit add no jump. The index starts at 100 with the first valid value.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = [100, 110, 121, np.nan, 133.1], [np.nan, np.nan, 50, 60, 66]
    >>> held = carry(np.column_stack([a, b]).astype(float), 1)
    >>> chain_link(held, min_age=1)[0].round(6).tolist()
    [100.0, 110.0, 121.0, 128.076023, 140.883626]
    """
    valid = np.isfinite(values)
    any_valid = valid.any(axis=1)
    if not any_valid.any():
        return np.full(len(values), np.nan), np.zeros(len(values), dtype=np.int64)
    rows = np.arange(len(values))[:, None]
    first = np.where(valid.any(axis=0), valid.argmax(axis=0), len(values))
    before = np.vstack([np.full((1, values.shape[1]), np.nan), values[:-1]])
    matched = valid & np.isfinite(before) & (rows - first[None, :] >= min_age)
    count = matched.sum(axis=1)
    now = np.where(matched, values, 0.0).sum(axis=1)
    then = np.where(matched, before, 0.0).sum(axis=1)
    growth = np.where(count > 0, now / np.where(count > 0, then, 1.0), 1.0)
    index = 100.0 * np.cumprod(growth)
    start = int(any_valid.argmax())
    index = np.where(count > 0, index, np.nan)
    index[start] = 100.0
    return index, count


def reference_price(panel: Panel) -> np.ndarray:
    """USD price of one BTC for unit conversion: median spot close (USD pairs, else any), held 24 h; (rows,)."""
    close = panel["close"]
    dollars = [v for v in panel.columns("spot", "USD") if panel.sampling["close"][v] == 1]
    chosen = dollars or [int(v) for v in panel.columns("spot")] or [int(v) for v in panel.columns("perp")]
    return carry(row_median(close[:, chosen])[:, None], _rows(panel, 24.0))[:, 0]


def _vendor_btc(panel: Panel, vendor: str) -> np.ndarray:
    """A vendor's USD total divided by the reference spot price of the same row; (rows,)."""
    found = [v for v in panel.columns("aggregate") if panel.instruments[v].venue == vendor]
    if len(found) != 1:
        have = [panel.instruments[v].venue for v in panel.columns("aggregate")]
        raise MissingData(f"oi.source is vendor:{vendor}, and the panel holds the aggregates: {', '.join(have) or 'none'}")
    return _to_btc(panel, int(found[0]), panel["open_interest"][:, found[0]], reference_price(panel))


def _rows(panel: Panel, hours: float) -> int:
    return int(hours * 3_600_000_000_000 // panel.step_ns)
