"""The funding a venue's own premium would make by the exchanges' formula, from prices alone."""

from __future__ import annotations

import numpy as np

from btcflow.data.funding_rules import clamp_rate
from btcflow.errors import MissingData
from btcflow.panel import Panel
from btcflow.stack import row_median

__all__ = ["ANCHOR", "DEAD_ZONE", "implied_rates", "own_premium"]

ANCHOR, DEAD_ZONE = 1e-4, 5e-4
"""Interest per 8 h and half-width of the band in which the premium does not show; the same for every venue."""
_EIGHT_HOURS = 8 * 3_600_000_000_000


def implied_rates(panel: Panel, *, min_coverage: float) -> tuple[list[int], np.ndarray]:
    """Implied funding per 8 h of each perpetual, on the rows that end at 00, 08 and 16 UTC.

    ``F = P + clamp(0.0001 - P, -0.0005, 0.0005)`` with P the mean of the venue's own premium over the
    8 hours that end there. For -0.04 % <= P <= 0.06 % that is exactly 0.01 %: no information.

    Parameters
    ----------
    panel : holds ``close``
    min_coverage : share of an interval's samples that must be there

    Returns
    -------
    perps : columns of the panel's perpetuals that have prices and a spot of their quote currency
    rates : (rows, perps) fraction per 8 h, positive = longs pay; NaN on every other row, and where an
        interval has too few samples

    Raises
    ------
    MissingData
        where no perpetual has a spot in its quote currency, both sampled every 8 hours or finer.
    """
    span = _EIGHT_HOURS // panel.step_ns
    fits = [(int(v), every) for v in panel.columns("perp") if (every := _sampling(panel, int(v))) and not span % every]
    if not fits:
        raise MissingData(
            "funding.source is implied, and no perpetual has prices and a spot in its quote currency, both sampled "
            "every 8 hours or finer; import such prices, or set funding.source: reported"
        )
    rates = np.full((len(panel), len(fits)), np.nan)
    ends = np.flatnonzero((panel.opens + panel.step_ns) % _EIGHT_HOURS == 0)
    for place, (v, every) in enumerate(fits):
        samples = np.where(panel.closes_sample(every), own_premium(panel, v), np.nan)
        rates[ends, place] = clamp_rate(
            _means(samples, ends, span, least=min_coverage * span / every), anchor=ANCHOR, dead_zone=DEAD_ZONE
        )
    return [v for v, _ in fits], rates


def own_premium(panel: Panel, v: int) -> np.ndarray:
    """``close / median spot - 1`` of one perpetual against the spots of its quote currency; a fraction, (rows,)."""
    return np.asarray(panel["close"][:, v] / row_median(panel["close"][:, _spots(panel, v)]) - 1.0)


def _spots(panel: Panel, v: int) -> list[int]:
    """The spots a perpetual is compared with: of its quote currency, those sampled most often."""
    sampling = panel.sampling["close"]
    priced = [int(one) for one in panel.columns("spot", panel.instruments[v].quote) if sampling[one] > 0]
    return [one for one in priced if sampling[one] == min(sampling[priced])]


def _sampling(panel: Panel, v: int) -> int:
    """Panel rows per sample of a perpetual's premium; 0 where it has no price or no spot."""
    own, spots = int(panel.sampling["close"][v]), _spots(panel, v)
    return max(own, int(panel.sampling["close"][spots[0]])) if own and spots else 0


def _means(samples: np.ndarray, ends: np.ndarray, span: int, *, least: float) -> np.ndarray:
    """Mean of the ``span`` rows that end at each of ``ends`` (every ``span`` rows); NaN below ``least`` samples."""
    if len(ends) == 0:
        return np.empty(0)
    starts, used = np.maximum(ends - span + 1, 0), slice(0, int(ends[-1]) + 1)
    valid = np.isfinite(samples[used])
    total = np.add.reduceat(np.where(valid, samples[used], 0.0), starts)
    count = np.add.reduceat(valid.astype(np.int64), starts)
    return np.where((count > 0) & (count >= least), total / np.maximum(count, 1), np.nan)
