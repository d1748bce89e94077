"""How venues are asked for history, as data: one YAML file in ``btcflow/fetch/venues`` per venue.

    VENUE_APIS.get("bybit").instrument("BTCUSDT").series["funding"]

To add a venue, write ``btcflow/fetch/venues/<venue>.yaml``; every line with its source, ``[unverified]`` where nobody
has checked. The facts of the instruments themselves (quote, units, listing, funding rules) stay in
``btcflow/data/venues``. A file has these parts::

    venue: bybit
    client: bybit                       # the ccxt class: base address, rate limit, connection
    clock: {call: publicGetV5MarketTime, at: time, unit: ms}          # server time; absent: the Date header
    signs: {at: retCode, fine: ["0"], busy: ["10006"], too_wide: []}  # how a body tells of trouble
    endpoints:
      kline:
        call: publicGetV5MarketKline    # a ccxt IMPLICIT method, or `GET <api> <path with {names}>`
        params: {category: "{category}", start: "{from_ms}", end: "{last_ms}", limit: "{cap}"}
        pager: window                   # see Endpoint
        cap: 1000                       # rows a page holds at most
        rows: result.list               # the way to the rows inside the body
        time: {at: "0", unit: ms, names: open}
        intervals: {1h: "60", 1D: D}    # our timeframe: the venue's text
    instruments:
      - symbol: BTCUSDT                 # as in btcflow/data/venues
        unified: BTC/USDT:USDT          # ccxt's name, accepted as well
        with: {category: linear}        # what fills the {names} of the endpoints
        series:
          ohlcv: {endpoint: kline, columns: {open: "1", high: "2", low: "3", close: "4", volume: "5"}}

What a parameter may hold, for a window ``[from, end)``: ``{from_ms}`` ``{before_ms}`` (one less, for a bound that is
exclusive) ``{last_ms}`` (the last instant inside) ``{end_ms}``, the same in seconds ``{from_s}`` ``{last_s}``
``{end_s}`` and as text ``{from_iso}`` ``{last_iso}``, and ``{interval}`` ``{cap}`` ``{page}`` and the names of
``with``. A parameter that is one such name alone keeps its type: ``"{cap}"`` is a number. Whether a bound belongs to
the window is so said by the name: ``endTime: "{last_ms}"`` where the end belongs to it, ``"{end_ms}"`` where not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from btcflow import timeframes
from btcflow.data.written_times import Duration, Instant
from btcflow.errors import ConfigError, UnknownName
from btcflow.fields import KINDS
from btcflow.wire.outcome import Signs
from btcflow.yaml_model import load_model

__all__ = ["VENUE_APIS", "ApiSeries", "Clock", "Endpoint", "InstrumentApi", "TimeColumn", "VenueApi", "VenueApis"]

Word = Annotated[str, Field(min_length=1)]
TimeUnit = Literal["s", "ms", "us", "ns", "iso"]
Pager = Literal["window", "backward", "page", "all", "now"]
_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_SHIPPED = Path(__file__).resolve().parent / "venues"
_KNOWN = {
    *("from_ms", "before_ms", "last_ms", "end_ms", "from_s", "last_s", "end_s", "from_iso", "last_iso"),
    *("interval", "cap", "page"),
}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Clock(_Model):
    """Where a venue tells its time: the implicit method, the way into the body, and the unit."""

    client: Word | None = None
    call: Word
    at: Word
    unit: TimeUnit = "ms"


class Trouble(_Model):
    """How a venue writes trouble into a body; see :class:`btcflow.wire.outcome.Signs`."""

    at: str = ""
    fine: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    too_wide: tuple[str, ...] = ()

    @property
    def signs(self) -> Signs:
        """The same for the judge of answers."""
        way = tuple(self.at.split(".")) if self.at else ()
        return Signs(at=way, fine=self.fine, busy=self.busy, too_wide=self.too_wide)


class TimeColumn(_Model):
    """The time of a row: the way to it, its unit, and what it names.

    ``open`` and ``close`` name a bar by its ends; a snapshot or settlement stands at its ``instant``. A snapshot that
    is labelled with the ``open`` of a stretch whose end it describes is stamped at that end.
    """

    at: str
    unit: TimeUnit = "ms"
    names: Literal["open", "close", "instant"] = "open"

    def instant(self, value: Any) -> int:
        """A time as the venue writes it, as nanoseconds since 1970; raises ValueError or TypeError for no time."""
        if self.unit == "iso":
            moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
            if moment.tzinfo is None:
                raise ValueError(f"{value!r} has no zone")
            return round(moment.timestamp() * 1000) * 1_000_000
        if isinstance(value, float) and not value.is_integer():
            return round(value * 1000) * (_NS[self.unit] // 1000)
        return int(value) * _NS[self.unit]


class Endpoint(_Model):
    """One address of a venue and its page rule.

    Attributes
    ----------
    client : ccxt class, where it is not the venue's
    call : an implicit method of it, or ``GET <api> <path>`` for a path ccxt does not name
    params : the query, with names in braces
    pager : ``window`` takes both bounds; ``backward`` only an upper one, in ``{end_ms}``, newest first; ``page``
        numbers its pages, newest first; ``all`` tells everything at once; ``now`` only the present
    cap : rows a page holds at most
    longest : the longest window it takes; absent where only ``cap`` bounds it
    rows : the way to the rows inside the body, keys joined by dots; empty where the body is the list
    layout : ``rows`` is one list or object per row, ``columns`` one list per column
    time : the time of a row
    intervals : our timeframe and the venue's text for it; empty where the endpoint has no interval
    keeps : how long the venue keeps what it tells; older rows come from an archive or `data record`
    keeps_rows : how many of the latest rows it keeps, where that is its rule
    history_from : before this it has nothing
    samples : how far apart its rows are, where they are samples of what is wanted at settlements or bar ends
    signs : how its bodies tell of trouble, where that is not how the venue's others do
    """

    client: Word | None = None
    call: Word
    params: dict[str, Any] = {}
    pager: Pager = "window"
    cap: Annotated[int, Field(ge=10)] = 1000
    longest: Duration | None = None
    rows: str = ""
    layout: Literal["rows", "columns"] = "rows"
    time: TimeColumn
    intervals: dict[str, str | int] = {}
    keeps: Duration | None = None
    keeps_rows: Annotated[int, Field(ge=1)] | None = None
    history_from: Instant | None = None
    samples: Duration | None = None
    signs: Trouble | None = None

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if not self.time.at and self.pager != "now":
            raise ValueError("expected the way to the time of a row; only what is told of the present may have none")
        for name in self.intervals:
            timeframes.parse(name)
        return self

    def kept(self, step: timedelta) -> timedelta | None:
        """How far back the endpoint tells rows that are ``step`` apart; None where it tells all."""
        by_rows = step * self.keeps_rows if self.keeps_rows is not None else None
        known = [one for one in (self.keeps, by_rows) if one is not None]
        return min(known, default=None)


class ApiSeries(_Model):
    """One kind of series of one instrument.

    Attributes
    ----------
    endpoint : its name among the venue's endpoints
    fill : (written ``with``) what fills the names of the endpoint, on top of the instrument's own
    columns : our column and the way to it inside a row
    volume_unit : what the volume counts: ``btc``, or ``usd`` (divided by the bar's close), or ``contract``
    unit : what the open interest counts; has to be the unit of the instrument's facts
    rate_unit : ``fraction``, ``percent`` or ``bps``
    rate_hours : the hours a funding rate is quoted for; ``spacing`` where it is for the stretch it is paid for
    lag : how long after its stamp a row is out
    """

    endpoint: Word
    fill: Annotated[dict[str, str | int], Field(alias="with")] = {}
    columns: dict[str, str]
    volume_unit: Literal["btc", "usd", "contract"] = "btc"
    unit: Literal["btc", "usd", "contract"] | None = None
    rate_unit: Literal["fraction", "percent", "bps"] = "fraction"
    rate_hours: Literal["spacing"] | Annotated[int, Field(ge=1)] = "spacing"
    lag: Duration = timedelta(0)


class InstrumentApi(_Model):
    """One instrument: its name here and in ccxt, and the series the venue tells of it."""

    symbol: Word
    unified: Word | None = None
    fill: Annotated[dict[str, str | int], Field(alias="with")] = {}
    series: Annotated[dict[str, ApiSeries], Field(min_length=1)]
    record: dict[str, ApiSeries] = {}

    def called(self, name: str) -> bool:
        """True where ``name`` is one of its names."""
        return name in (self.symbol, self.unified)


class VenueApi(_Model):
    """One venue: see the module."""

    venue: Word
    client: Word
    clock: Clock | None = None
    signs: Trouble = Trouble()
    endpoints: Annotated[dict[str, Endpoint], Field(min_length=1)]
    instruments: Annotated[tuple[InstrumentApi, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        problems = [fault for one in self.instruments for fault in self._faults(one)]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _faults(self, one: InstrumentApi) -> Iterator[str]:
        for kind, series in [*one.series.items(), *one.record.items()]:
            where = f"{one.symbol}: {kind}"
            if kind not in KINDS:
                yield f"{where}: no such kind of series; known: {', '.join(KINDS)}"
                continue
            if series.endpoint not in self.endpoints:
                yield f"{where}: no endpoint {series.endpoint!r}; known: {', '.join(self.endpoints)}"
                continue
            given = {"funding": ("rate",)}.get(kind, KINDS[kind].columns)
            if set(series.columns) != set(given):
                yield f"{where}: columns {', '.join(series.columns)}; expected {', '.join(given)}"
            if (kind == "open_interest") != (series.unit is not None):
                yield f"{where}: expected `unit` for open interest, and only there"
            endpoint = self.endpoints[series.endpoint]
            named = {*_names(endpoint.params), *re.findall(r"{(\w+)}", endpoint.call)}
            if unfilled := named - _KNOWN - {*one.fill, *series.fill}:
                yield f"{where}: nothing fills {', '.join(sorted(unfilled))} of {series.endpoint}; give it under `with`"

    def instrument(self, symbol: str) -> InstrumentApi:
        """The instrument of that name, ours or ccxt's; raises :class:`UnknownName` with the nearest."""
        found = next((one for one in self.instruments if one.called(symbol)), None)
        if found is None:
            known = [name for one in self.instruments for name in (one.symbol, one.unified) if name]
            raise UnknownName(f"{self.venue} instrument", symbol, known)
        return found


class VenueApis:
    """Every venue that can be fetched from, found by folder and read when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, VenueApi] = {}

    def __contains__(self, venue: object) -> bool:
        return venue in self.names()

    def names(self) -> tuple[str, ...]:
        """All venues, sorted."""
        return tuple(sorted(path.stem for path in self._folder.glob("*.yaml")))

    def get(self, venue: str) -> VenueApi:
        """How a venue is asked; raises :class:`UnknownName`, or :class:`ConfigError` for a faulty file."""
        if venue not in self:
            raise UnknownName("venue to fetch from", venue, self.names())
        if venue not in self._read:
            path = self._folder / f"{venue}.yaml"
            found = load_model(path, VenueApi)
            if found.venue != venue:
                raise ConfigError(f"{path}: venue: {found.venue!r}; expected {venue!r}, the name of the file")
            self._read[venue] = found
        return self._read[venue]

    def offering(self, kind: str) -> tuple[str, ...]:
        """Every ``venue:symbol`` whose history of ``kind`` can be fetched."""
        return tuple(
            f"{venue}:{one.symbol}"
            for venue in self.names()
            for one in self.get(venue).instruments
            if kind in one.series
        )


VENUE_APIS = VenueApis(_SHIPPED)
"""Every venue btcflow can fetch from."""


def _names(value: Any) -> Iterator[str]:
    """The names in braces anywhere inside a parameter."""
    if isinstance(value, str):
        yield from re.findall(r"{(\w+)}", value)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _names(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _names(one)
