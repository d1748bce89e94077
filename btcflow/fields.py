"""The kinds of series a source can publish, and the panel fields made from them.

A *bar* kind is stamped at its open and describes ``[stamp, stamp + timeframe)``. An *instant* kind
is stamped at the moment it describes: a funding settlement, an open-interest snapshot.

A panel field is a *state* (a level that holds until the next one: open interest) or a *flow* (an
amount that belongs to one stretch of time and is summed, never carried: volume, funding paid) or
a *sample* (the price of one bar: neither carried nor summed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FIELDS", "KINDS", "Field", "Kind"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of series: its columns, and whether its stamp is a bar's open or an instant."""

    name: str
    columns: tuple[str, ...]
    stamps: Literal["bar_open", "instant"]
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """One panel field: the kind it comes from, its unit, and how it behaves in time."""

    name: str
    kind: str
    unit: str
    nature: Literal["state", "flow", "sample"]


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="ohlcv",
            columns=("open", "high", "low", "close", "volume"),
            stamps="bar_open",
            meaning="traded prices in the quote currency; volume in BTC unless the spec says otherwise",
        ),
        Kind(
            name="mark",
            columns=("open", "high", "low", "close"),
            stamps="bar_open",
            meaning="the venue's mark price in the quote currency",
        ),
        Kind(
            name="index",
            columns=("open", "high", "low", "close"),
            stamps="bar_open",
            meaning="the spot index the venue's perpetual follows, in the quote currency",
        ),
        Kind(
            name="taker_volume",
            columns=("buy",),
            stamps="bar_open",
            meaning="volume of the bar that takers bought, in BTC; what they sold is the bar's volume less this",
        ),
        Kind(
            name="premium_index",
            columns=("open", "high", "low", "close"),
            stamps="bar_open",
            meaning="the venue's own premium index, a fraction of the index price",
        ),
        Kind(
            name="funding",
            columns=("rate", "spacing_hours", "rate_hours"),
            stamps="instant",
            meaning="rate paid at the stamp by longs to shorts, a fraction of notional per rate_hours, "
            "for the spacing_hours that end there",
        ),
        Kind(
            name="open_interest",
            columns=("value",),
            stamps="instant",
            meaning="open interest at the stamp, in the instrument's own unit",
        ),
    )
}

FIELDS = {
    field.name: field
    for field in (
        Field(name="open", kind="ohlcv", unit="quote", nature="sample"),
        Field(name="high", kind="ohlcv", unit="quote", nature="sample"),
        Field(name="low", kind="ohlcv", unit="quote", nature="sample"),
        Field(name="close", kind="ohlcv", unit="quote", nature="sample"),
        Field(name="volume", kind="ohlcv", unit="BTC", nature="flow"),
        Field(name="mark", kind="mark", unit="quote", nature="sample"),
        Field(name="premium_index", kind="premium_index", unit="fraction", nature="sample"),
        Field(name="funding_paid", kind="funding", unit="fraction of notional", nature="flow"),
        Field(name="funding_hours", kind="funding", unit="hours", nature="flow"),
        Field(name="open_interest", kind="open_interest", unit="native", nature="state"),
    )
}
