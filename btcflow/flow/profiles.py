"""Profiles: whole sets of metric options by name, under what a config spells itself.

``recommended`` is the defaults. ``tv_parity`` imitates the genre of TradingView scripts the dashboard
belongs to (raw baskets, naive sums, closes): parity with the genre, never with the unseen script.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from btcflow.errors import UnknownName

__all__ = ["PROFILES", "under"]

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "recommended": {},
    "tv_parity": {
        "premium": {"agg": "mean", "quote_mode": "raw", "bar_agg": "close", "min_perp": 1},
        "oi": {"denom": "USD", "aggregate": "sum_nz", "transform": "level"},
        "funding": {"composite": "mean", "source": "implied", "boundary": "tv_open"},
        "zscore": {"floor": None},
    },
}


def under(data: Mapping[str, Any]) -> dict[str, Any]:
    """The config's data with its profile's options wherever the config does not spell its own."""
    name = data.get("profile", "recommended")
    if name not in PROFILES:
        raise UnknownName("profile", str(name), PROFILES)
    return _merged(PROFILES[name], data)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        inner = out.get(key)
        out[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return out
