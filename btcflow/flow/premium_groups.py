"""Who is compared with whom: the quote groups of the premium, their dates and their sampling.

A group is the legs of one quote currency. A pair of two currencies, such as ``USDT/USD``, is no leg:
it says what a currency is worth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from btcflow.errors import ConfigError, MissingData, NotInData
from btcflow.flow.options import PremiumGroup, PremiumOptions

if TYPE_CHECKING:
    from btcflow.instrument import Instrument
    from btcflow.panel import Panel

__all__ = ["DOLLAR", "Group", "begun", "legs_of", "premium_groups", "rate_pairs"]

DOLLAR = "USD"
_CURRENCIES = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "EUR", "GBP", "JPY", "KRW")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The legs that stand for one quote currency, and when they count.

    Attributes
    ----------
    quote : the currency of its perpetuals
    spot, perp : column numbers in the panel
    every : (rows,) panel rows per sample: the coarsest of the legs (and currencies) that have begun by then
    hourly : True where every leg it will ever have is sampled on every row
    active : (rows,) bool, False where it does not count
    in_dollars : True where its legs are brought to dollars first
    """

    quote: str
    spot: np.ndarray
    perp: np.ndarray
    every: np.ndarray
    hourly: bool
    active: np.ndarray
    in_dollars: bool


def premium_groups(panel: Panel, options: PremiumOptions) -> tuple[Group, ...]:
    """The groups the options name, each inside its dates; else the hourly ones, else all there are.

    Raises
    ------
    MissingData
        for a named group that cannot be compared, and where there is no pair of sides at all.
    ConfigError
        for dates that are no days or leave nothing between them.
    """
    possible = _possible(panel, options)
    chosen = _by_default(possible) if options.groups is None else _named(panel, options, possible)
    if not chosen or (options.source == "prices" and not _two_sided(chosen)):
        raise MissingData(_nothing_to_compare(options))
    return chosen


def legs_of(panel: Panel, role: str, quote: str | None = None, *, field: str = "close") -> np.ndarray:
    """Columns of the Bitcoin instruments of a role (and quote currency) that have a series of ``field``."""
    kept = [
        v for v in panel.columns(role, quote) if panel.sampling[field][v] > 0 and not _is_pair(panel.instruments[v])
    ]
    return np.array(kept, dtype=np.int64)


def rate_pairs(panel: Panel, quote: str) -> np.ndarray:
    """Columns of the instruments that say what ``quote`` is worth in dollars."""
    name = f"{quote}{DOLLAR}"
    held = panel.sampling["close"] > 0
    pairs = [v for v in panel.columns("spot") if held[v] and _letters(panel.instruments[v]) == name]
    return np.array(pairs, dtype=np.int64)


def begun(panel: Panel, columns: np.ndarray) -> np.ndarray:
    """Which of the columns have had a price by each row; (rows, columns) bool."""
    return np.asarray(np.maximum.accumulate(np.isfinite(panel["close"][:, columns]), axis=0))


def _is_pair(one: Instrument) -> bool:
    return any(_letters(one) == f"{currency}{DOLLAR}" for currency in _CURRENCIES)


def _letters(one: Instrument) -> str:
    """``USDT/USD``, ``USDT-USD`` and ``usdtusd`` are the same pair."""
    return re.sub(r"[^A-Z]", "", one.symbol.upper())


# -- what can be compared ----------------------------------------------------------------------------------


def _possible(panel: Panel, options: PremiumOptions) -> dict[str, tuple[Group, ...]]:
    """Every group the mode can use, by quote currency."""
    modes = {"matched": _matched_groups, "convert": _dollar_groups, "raw": _raw_groups}
    make = _index_groups if options.source == "exchange_index" else modes[options.quote_mode]
    quotes = sorted({one.quote for one in panel.instruments if one.role in ("spot", "perp")})
    found = {quote: make(panel, quote) for quote in quotes}
    return {quote: groups for quote, groups in found.items() if groups}


def _matched_groups(panel: Panel, quote: str) -> tuple[Group, ...]:
    """Spot against perpetuals of one currency; while it has no spot leg yet, against every spot in dollars."""
    spot, perp = legs_of(panel, "spot", quote), legs_of(panel, "perp", quote)
    if not len(perp):
        return ()
    own = np.asarray(begun(panel, spot).any(axis=1))
    others = [v for v in legs_of(panel, "spot") if v not in spot and _worth(panel, panel.instruments[v].quote)]
    groups = []
    if len(spot):
        groups.append(_group(panel, quote, spot, perp, active=own))
    if others and _worth(panel, quote) and not own.all():
        groups.append(_in_dollars(panel, _group(panel, quote, np.array(others), perp, active=~own)))
    return tuple(groups)


def _dollar_groups(panel: Panel, quote: str) -> tuple[Group, ...]:
    return tuple(_in_dollars(panel, group) for group in _raw_groups(panel, quote)) if _worth(panel, quote) else ()


def _raw_groups(panel: Panel, quote: str) -> tuple[Group, ...]:
    spot, perp = legs_of(panel, "spot", quote), legs_of(panel, "perp", quote)
    return (_group(panel, quote, spot, perp),) if len(spot) or len(perp) else ()


def _index_groups(panel: Panel, quote: str) -> tuple[Group, ...]:
    _ = panel["premium_index"]  # a panel without it says so
    perp = legs_of(panel, "perp", quote, field="premium_index")
    none = np.empty(0, dtype=np.int64)
    return (_group(panel, quote, none, perp, field="premium_index"),) if len(perp) else ()


def _group(
    panel: Panel,
    quote: str,
    spot: np.ndarray,
    perp: np.ndarray,
    *,
    field: str = "close",
    active: np.ndarray | None = None,
) -> Group:
    legs = np.concatenate([spot, perp])
    return Group(
        quote=quote,
        spot=spot,
        perp=perp,
        every=_rows_per_sample(panel, legs, field=field),
        hourly=bool(panel.sampling[field][legs].max() == 1),
        active=np.ones(len(panel), dtype=bool) if active is None else active,
        in_dollars=False,
    )


def _rows_per_sample(panel: Panel, columns: np.ndarray, *, field: str = "close") -> np.ndarray:
    """The coarsest sampling of the columns that have begun (from the open of their first sample), 1 before; (rows,)."""
    known, every = np.isfinite(panel[field][:, columns]), panel.sampling[field][columns]
    if len(panel) == 0:
        return np.ones(0, dtype=np.int64)
    first = known.argmax(axis=0)
    opens = first - panel.opens[first] // panel.step_ns % every
    counts = known.any(axis=0) & (np.arange(len(panel))[:, None] >= opens)
    return np.asarray(np.where(counts, every, 1).max(axis=1))


def _in_dollars(panel: Panel, group: Group) -> Group:
    """The group with its legs brought to dollars: sampled no finer than what tells the worth of its currencies."""
    quotes = sorted({panel.instruments[v].quote for v in (*group.spot, *group.perp)} - {DOLLAR})
    every = np.max([group.every, *(_worth_every(panel, quote) for quote in quotes)], axis=0)
    hourly = group.hourly and all(_worth(panel, quote) == 1 for quote in quotes)
    return replace(group, in_dollars=True, every=every, hourly=hourly)


def _worth(panel: Panel, quote: str) -> int:
    """Rows per sample of a currency's worth in dollars; 0 where nothing in the panel tells it."""
    if quote == DOLLAR:
        return 1
    pairs = rate_pairs(panel, quote)
    if len(pairs):
        return int(panel.sampling["close"][pairs].min())
    sides = [legs_of(panel, "spot", one) for one in (DOLLAR, quote)]
    return int(panel.sampling["close"][np.concatenate(sides)].max()) if all(len(side) for side in sides) else 0


def _worth_every(panel: Panel, quote: str) -> np.ndarray:
    """Rows per sample of a currency's worth: of the finest pair that has begun, before that of the spots; (rows,)."""
    pairs = rate_pairs(panel, quote)
    spots = np.concatenate([legs_of(panel, "spot", one) for one in (DOLLAR, quote)])
    by_spots = _rows_per_sample(panel, spots) if len(spots) else np.ones(len(panel), dtype=np.int64)
    if not len(pairs):
        return by_spots
    known, never = begun(panel, pairs), np.iinfo(np.int64).max
    finest = np.where(known, panel.sampling["close"][pairs], never).min(axis=1)
    return np.where(known.any(axis=1), finest, by_spots)


# -- which of them count -----------------------------------------------------------------------------------


def _by_default(possible: Mapping[str, tuple[Group, ...]]) -> tuple[Group, ...]:
    """The hourly groups; all of them where no hourly group is there, or none on one side of the comparison."""
    every = [group for groups in possible.values() for group in groups]
    hourly = [group for groups in possible.values() if all(one.hourly for one in groups) for group in groups]
    enough = bool(hourly) and (_two_sided(hourly) or not _two_sided(every))
    return tuple(hourly if enough else every)


def _nothing_to_compare(options: PremiumOptions) -> str:
    if options.source == "exchange_index":
        return "premium.source is exchange_index, and no perpetual has a premium index; import one, or use prices"
    same = " in the same quote currency" if options.quote_mode == "matched" else ""
    only = " among premium.groups" if options.groups is not None else ""
    return f"the premium needs a spot and a perpetual with prices{same}{only}; add one to the universe"


def _two_sided(groups: Sequence[Group]) -> bool:
    return any(len(one.spot) for one in groups) and any(len(one.perp) for one in groups)


def _named(panel: Panel, options: PremiumOptions, possible: Mapping[str, tuple[Group, ...]]) -> tuple[Group, ...]:
    """The groups named, one per currency; one that is named twice counts inside either pair of dates."""
    named = [PremiumGroup(quote=one) if isinstance(one, str) else one for one in options.groups or ()]
    absent = sorted({one.quote for one in named} - set(possible))
    if absent:
        lack, have = _WORDS["exchange_index" if options.source == "exchange_index" else options.quote_mode]
        raise NotInData(
            f"premium.groups names {', '.join(absent)}, and the panel has no {lack}; "
            f"groups {have}: {', '.join(possible) or 'none'}"
        )
    active: dict[str, np.ndarray] = {}
    for one in named:
        active[one.quote] = _inside(panel, one) | active.get(one.quote, np.zeros(len(panel), dtype=bool))
    return tuple(
        replace(group, active=group.active & rows) for quote, rows in active.items() for group in possible[quote]
    )


_WORDS = {
    "matched": ("spot and perp prices in it", "with both sides"),
    "convert": ("prices in it that can be brought to dollars", "that can"),
    "raw": ("prices in it", "with prices"),
    "exchange_index": ("perpetual with a premium index in it", "with one"),
}


def _inside(panel: Panel, named: PremiumGroup) -> np.ndarray:
    """Rows whose open lies inside the dates; (rows,) bool."""
    since, until = _day(named.quote, "since", named.since), _day(named.quote, "until", named.until)
    if since is not None and until is not None and until <= since:
        raise ConfigError(
            f"premium.groups: {named.quote} counts from {named.since} until {named.until}, which is no time at all; "
            "`until` is the first day on which it no longer counts"
        )
    inside = np.ones(len(panel), dtype=bool)
    if since is not None:
        inside &= panel.opens >= since
    if until is not None:
        inside &= panel.opens < until
    return inside


def _day(quote: str, name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(pd.Timestamp(text, tz="UTC").value)
    except ValueError as error:
        raise ConfigError(
            f"premium.groups: {name} of {quote} is {text}, which is no day; expected YYYY-MM-DD"
        ) from error
