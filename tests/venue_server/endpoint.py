"""The shape of one line of the venue table, and the page a venue cuts by such a line.

A venue is data here: which parameters name instrument, interval, start, end and limit; how many
rows a page holds; which end of a too-long range is kept; whether a bound is exclusive; how far
back the endpoint reaches. Only the body's shape is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from venue_server import noise
from venue_server.listings import LISTINGS, Listing
from venue_server.truth import MINUTE, MINUTES, Market, ms

__all__ = ["Ask", "Endpoint", "Page", "Reach", "Refused", "cut", "keeps_newest", "read"]

Keep = Literal["newest", "oldest", "from_start", "from_start_alone"]
"""Which rows a range that holds too many keeps.

``from_start``: the oldest where a start is given, else the newest. ``from_start_alone``: the oldest
only where a start and no end is given.
"""


class Refused(Exception):
    """A request that the venue answers with an error body; ``reason`` picks it from the table."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far back an endpoint sees: so many bars, or so many days; asking for older is cut, or refused."""

    bars: int | None = None
    days: float | None = None
    days_of: Mapping[str, float] = field(default_factory=dict)
    refuse: bool = False

    def since(self, now: int, timeframe: str) -> int:
        """First millisecond it sees."""
        step = MINUTES[timeframe] * MINUTE
        if self.bars is not None:
            return (now // step - self.bars + 1) * step
        days = self.days_of.get(timeframe, self.days)
        return 0 if days is None else now - int(days * 86_400_000)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One endpoint of one venue.

    Attributes
    ----------
    venue, path, method, body_type : where it stands; ``{name}`` in the path is a parameter; ``body_type`` is the
        ``type`` field of a JSON body, where one path serves many questions
    kind, symbols, intervals, timeframe : what it serves; wire names to btcflow's
    symbol, interval, start, end, limit : the names of its parameters
    unit : of the time parameters
    cap, default, over_cap : rows of a page; what a larger limit does
    spread, longest : most bars from start to end (or now), and most days from start to end, before it refuses
    order, keep, start_open, end_open, open_bar : which rows, in which order
    reach : how far back it sees
    page_number, cursor : the parameter that turns pages, where there is one
    needs_end : a start without an end is refused
    sort : the parameter that is 1 for oldest first; where : parameters that must have these values
    also : other kinds that its rows tell
    buckets : a snapshot is the end of a bucket that is labelled by its begin
    limit_alone : a limit beside a start or an end is refused; range_beats_limit : it is ignored where both are given
    encode : the body of a page
    refusals : reason to (status, body)
    """

    venue: str
    path: str
    method: str = "GET"
    body_type: str | None = None
    kind: str = ""
    symbols: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, str] = field(default_factory=dict)
    timeframe: str | None = None
    symbol: str = "symbol"
    interval: str = "interval"
    start: str = "startTime"
    end: str = "endTime"
    limit: str = "limit"
    unit: Literal["ms", "s", "iso"] = "ms"
    cap: int = 1000
    default: int = 500
    over_cap: Literal["clamp", "refuse"] = "clamp"
    spread: int | None = None
    longest: int | None = None
    order: Literal["asc", "desc"] = "asc"
    keep: Keep = "from_start"
    start_open: bool = False
    end_open: bool = False
    open_bar: bool = True
    reach: Reach | None = None
    page_number: str | None = None
    cursor: str | None = None
    needs_end: bool = False
    sort: str | None = None
    also: tuple[str, ...] = ()
    buckets: bool = False
    limit_alone: bool = False
    range_beats_limit: bool = False
    where: Mapping[str, str] = field(default_factory=dict)
    encode: Callable[[Page], Any]
    refusals: Mapping[str, tuple[int, Any]] = field(default_factory=dict)

    def but(self, **changes: Any) -> Endpoint:
        """The same line with other facts."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request as the venue understands it. Times in ms; ``bump`` counts what moved the open bar."""

    endpoint: Endpoint
    params: Mapping[str, str]
    now: int
    bump: int = 0
    what: Listing | None = None
    timeframe: str = "1h"
    start: int | None = None
    end: int | None = None
    limit: int = 0

    @property
    def instrument(self) -> Listing:
        """The instrument; only asked where the endpoint has one."""
        assert self.what is not None
        return self.what

    @property
    def step(self) -> int:
        """Milliseconds of a bar."""
        return MINUTES[self.timeframe] * MINUTE


@dataclass(frozen=True, kw_only=True)
class Page:
    """The rows a venue answers with: wire times in ms, columns, and whether the range held more."""

    ask: Ask
    market: Market
    stamps: np.ndarray
    columns: Mapping[str, np.ndarray]
    more: bool = False
    total: int = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        """Row by row: ``t`` and the columns, as plain Python numbers."""
        names = list(self.columns)
        for t, *values in zip(self.stamps.tolist(), *(self.columns[name].tolist() for name in names), strict=True):
            yield {"t": t, **dict(zip(names, values, strict=True))}

    def taken(self, places: np.ndarray) -> Page:
        """The rows at ``places``, in that order."""
        return replace(
            self, stamps=self.stamps[places], columns={name: part[places] for name, part in self.columns.items()}
        )


def read(endpoint: Endpoint, params: Mapping[str, str], *, now: int, bump: int = 0) -> Ask:
    """Understand a request, or raise :class:`Refused` as the venue would."""
    ask = Ask(endpoint=endpoint, params=params, now=now, bump=bump)
    if not endpoint.symbols:
        return ask
    symbol = endpoint.symbols.get(params.get(endpoint.symbol, ""))
    if symbol is None:
        raise Refused("symbol")
    timeframe = endpoint.timeframe or endpoint.intervals.get(params.get(endpoint.interval, ""))
    if timeframe is None:
        raise Refused("interval")
    limit = _limit(endpoint, params)
    if limit < 1 or (limit > endpoint.cap and endpoint.over_cap == "refuse"):
        raise Refused("limit")
    what = LISTINGS[f"{endpoint.venue}:{symbol}"]
    ask = replace(
        ask, what=what, timeframe=timeframe, limit=min(limit, endpoint.cap), start=_time(endpoint, params, "start"),
        end=_time(endpoint, params, "end"),
    )  # fmt: skip
    _refuse_range(ask)
    return ask


def _limit(line: Endpoint, params: Mapping[str, str]) -> int:
    limit = _number(params.get(line.limit))
    bounds = [name for name in (line.start, line.end) if params.get(name)]
    if limit is not None and bounds and line.limit_alone:
        raise Refused("conflict")
    if len(bounds) == 2 and line.range_beats_limit:
        return line.cap
    if limit is None:
        return line.cap if bounds and line.limit_alone else line.default
    return limit


def _refuse_range(ask: Ask) -> None:
    line = ask.endpoint
    if line.needs_end and ask.start is not None and ask.end is None:
        raise Refused("needs_end")
    if ask.start is not None and ask.end is not None and ask.start > ask.end:
        raise Refused("backwards")
    if line.reach is not None and line.reach.refuse and ask.start is not None:
        first = line.reach.since(ask.now, ask.timeframe)
        if ask.start < first:
            raise Refused("old")
    if line.spread is not None and ask.start is not None:
        end = ask.now if ask.end is None else ask.end
        if (end - ask.start) // ask.step > line.spread:
            raise Refused("range")
    days = 0.0 if ask.start is None or ask.end is None else (ask.end - ask.start) / 86_400_000
    if line.longest is not None and days > line.longest:
        raise Refused("range")


def _number(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    try:
        return int(float(text))
    except ValueError:
        raise Refused("param") from None


def _time(endpoint: Endpoint, params: Mapping[str, str], which: Literal["start", "end"]) -> int | None:
    text = params.get(getattr(endpoint, which))
    if endpoint.unit == "iso" and text:
        try:
            return ms(text)
        except ValueError:
            raise Refused("param") from None
    number = _number(text)
    return None if number is None else number * (1000 if endpoint.unit == "s" else 1)


def cut(ask: Ask, market: Market) -> Page:
    """The page by the endpoint's line of the table."""
    line, what = ask.endpoint, ask.instrument
    first, last = _bounds(ask)
    newest = keeps_newest(ask)
    size, skip = ask.limit, 0
    if line.page_number is not None:
        skip = (max(1, _number(ask.params.get(line.page_number)) or 1) - 1) * size
    stamps, wire = _found(ask, market, first, last, (skip + size + 1, newest))
    total = len(stamps)
    if newest:
        chosen = slice(max(0, total - skip - size), total - skip if total > skip else 0)
    else:
        chosen = slice(skip, skip + size)
    stamps, wire = stamps[chosen], wire[chosen]
    page = Page(
        ask=ask, market=market, stamps=wire, columns=_columns(ask, market, what, stamps),
        more=total > skip + len(stamps), total=total,
    )  # fmt: skip
    descending = line.order == "desc"
    if line.sort is not None:
        descending = ask.params.get(line.sort) != "1"
    return page.taken(np.arange(len(stamps))[::-1]) if descending else page


def keeps_newest(ask: Ask) -> bool:
    """Whether a range that holds too many rows loses its oldest ones."""
    line = ask.endpoint
    if line.sort is not None:
        return ask.params.get(line.sort) != "1"
    if line.keep == "from_start":
        return ask.start is None
    if line.keep == "from_start_alone":
        return not (ask.start is not None and ask.end is None)
    return line.keep == "newest"


def _bounds(ask: Ask) -> tuple[int, int]:
    line = ask.endpoint
    first = 0 if ask.start is None else ask.start + int(line.start_open)
    last = ask.now if ask.end is None else min(ask.now, ask.end - int(line.end_open))
    if line.cursor is not None and ask.params.get(line.cursor):
        last = min(last, (_number(ask.params[line.cursor].rsplit("-", 1)[-1]) or 0) - 1)
    if line.reach is not None:
        first = max(first, line.reach.since(ask.now, ask.timeframe))
    if line.kind not in ("funding", "open_interest") and not line.open_bar:
        last = min(last, ask.now // ask.step * ask.step - 1)
    return first, last


def _found(ask: Ask, market: Market, first: int, last: int, need: tuple[int, bool]) -> tuple[np.ndarray, np.ndarray]:
    """Enough of the stamps in the range, from the end that is kept: true ones, and as written on the wire."""
    kind, what = ask.endpoint.kind, ask.instrument
    count, newest = need
    begin, end = market.span(what)
    first, last = max(first, begin), min(last, end)
    if kind == "funding":
        stamps = market.stamps(what, kind, ask.timeframe, first - 60_000, last)
        wire = stamps + _jitter(market, what, stamps)
        inside = (wire >= first) & (wire <= last)
        return stamps[inside], wire[inside]
    width = count
    while True:
        span = width * ask.step
        low, high = (max(first, last - span), last) if newest else (first, min(last, first + span))
        early = ask.step if ask.endpoint.buckets else 0
        stamps = market.stamps(what, kind, ask.timeframe, low + early, high + early) - early
        if len(stamps) >= count or (low == first and high == last):
            return stamps, stamps
        width *= 2


def _jitter(market: Market, what: Listing, stamps: np.ndarray) -> np.ndarray:
    if not what.jitter_ms:
        return np.zeros(len(stamps), dtype=np.int64)
    return noise.integers(f"{market.seed}/{what.id}/jitter", stamps, what.jitter_ms + 1)


def _columns(ask: Ask, market: Market, what: Listing, stamps: np.ndarray) -> dict[str, np.ndarray]:
    kind = ask.endpoint.kind
    if kind in ("funding", "open_interest"):
        found = market.values(what, kind, ask.timeframe, stamps)
        found["price"] = market.bars(what, "ohlcv", "1m", stamps)["open"]
        return found
    is_open = stamps + ask.step > ask.now
    closed = _bar_columns(market, what, ask, stamps[~is_open])
    if not is_open.any():
        return closed
    still = _open_bar(market, what, ask, stamps[is_open])
    return {name: np.concatenate([part, still[name]]) for name, part in closed.items()}


def _bar_columns(market: Market, what: Listing, ask: Ask, stamps: np.ndarray) -> dict[str, np.ndarray]:
    bars = market.bars(what, ask.endpoint.kind, ask.timeframe, stamps)
    if ask.endpoint.kind == "ohlcv":
        bars |= market.volume(what, ask.timeframe, stamps)
    return bars


def _open_bar(market: Market, what: Listing, ask: Ask, stamps: np.ndarray) -> dict[str, np.ndarray]:
    """The bar that still runs: what its finished minutes say, moved by every request."""
    minutes = np.arange(int(stamps[0]), ask.now // MINUTE * MINUTE + 1, MINUTE)
    parts = _bar_columns(market, what, replace(ask, timeframe="1m"), minutes)
    close = parts["close"][-1] * (1.0 + 1e-4 * (ask.bump % 7))
    digits = 8 if ask.endpoint.kind == "premium_index" else 1
    bar = {
        "open": parts["open"][:1],
        "high": np.maximum(parts["high"].max(), np.round([close], digits)),
        "low": np.minimum(parts["low"].min(), np.round([close], digits)),
        "close": np.round([close], digits),
    }
    for name in ("volume", "buy"):
        if name in parts:
            bar[name] = np.round([parts[name].sum() + ask.bump % 7], 3)
    if "count" in parts:
        bar["count"] = np.array([parts["count"].sum() + ask.bump % 7])
    return bar
