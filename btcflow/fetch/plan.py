"""From the ``data:`` section to the jobs of a fetch: every wish checked before the first request is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

import pandas as pd

from btcflow import timeframes
from btcflow.data.records import SeriesKey
from btcflow.data.venue_facts import VENUES, InstrumentFacts, facts
from btcflow.errors import BtcflowError, ConfigError, NotOffered, UnknownName, nearest
from btcflow.fetch.venue_api import VENUE_APIS, ApiSeries, Endpoint, InstrumentApi, VenueApi, VenueApis
from btcflow.fetch.wish import DatasetWish
from btcflow.fields import KINDS

__all__ = ["Job", "Plan", "Tell", "plan_of"]

Loc = tuple[str | int, ...]
Tell = Callable[[Loc, str], str]
"""Makes a problem of a place in the config and what is wrong there."""
_MOST_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class Job:
    """Series that one endpoint tells of one instrument with the same requests.

    Attributes
    ----------
    venue, client : btcflow's venue, and the ccxt class that asks it
    instrument : its facts
    endpoint, fill, interval : what is asked, the names filled in, and the venue's text for the timeframe
    step : from one row to the next, as far as known
    series : by kind, and ``keys`` what each is called in the store
    start, end : half open; ``end`` None = now
    source : where the rows come from
    """

    venue: str
    client: str
    instrument: InstrumentFacts
    endpoint: Endpoint
    fill: Mapping[str, Any]
    interval: str | int
    timeframe: str
    step: timedelta
    series: Mapping[str, ApiSeries]
    start: pd.Timestamp
    end: pd.Timestamp | None
    source: Literal["rest", "archive", "both"] = "rest"

    @property
    def keys(self) -> dict[str, SeriesKey]:
        """The key of each series in the store, by kind."""
        symbol = self.instrument.listing.symbol
        return {kind: SeriesKey(self.venue, symbol, kind, self.timeframe) for kind in self.series}

    @property
    def name(self) -> str:
        """``binance:BTCUSDT ohlcv+taker_volume 1h``."""
        return f"{self.instrument.id} {'+'.join(self.series)} {self.timeframe}"

    @property
    def columns(self) -> dict[str, str]:
        """``kind.column`` and the way to it inside a row."""
        return {f"{kind}.{name}": way for kind, one in self.series.items() for name, way in one.columns.items()}

    @property
    def bars(self) -> bool:
        """True where the rows are bars, False where they are instants."""
        return KINDS[next(iter(self.series))].stamps == "bar_open"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be fetched: jobs by venue, and what a reader should know first."""

    jobs: tuple[Job, ...]
    apis: Mapping[str, VenueApi]
    overlap_bars: int = 3
    notes: tuple[str, ...] = ()

    @property
    def by_venue(self) -> dict[str, tuple[Job, ...]]:
        """The jobs of each venue, in the order of the config."""
        return {venue: tuple(one for one in self.jobs if one.venue == venue) for venue in self.apis}


def plan_of(
    wishes: Sequence[DatasetWish],
    *,
    start: str | None = None,
    end: str | None = None,
    overlap_bars: int = 3,
    every: str | None = None,
    tell: Tell = lambda loc, message: f"{'.'.join(map(str, loc))}: {message}",
    apis: VenueApis = VENUE_APIS,
) -> Plan:
    """Check every wish and make its jobs; nothing is asked and nothing is written.

    Parameters
    ----------
    wishes : the entries of ``data.datasets``
    start, end : of the section, for wishes without their own; ``now`` or None = to the present
    every : plan a recording instead, with a snapshot this often: only what venues do not keep for long
    tell : how a problem at a place of the config is worded

    Raises
    ------
    ConfigError
        with every problem: unknown venue, symbol, kind or timeframe, a start before the listing, no wish at all.
    NotOffered
        where the only problem is that venues do not tell what is wanted; says who does.
    """
    if not wishes:
        loc: Loc = ("data", "datasets")
        raise ConfigError(
            tell(loc, "nothing to fetch; expected entries such as {venue: binance, symbol: BTCUSDT, kinds: [ohlcv]}")
        )
    drafts = [_Draft(wish, ("data", "datasets", place), tell, apis, every) for place, wish in enumerate(wishes)]
    jobs, notes = [], []
    for draft in drafts:
        jobs += list(draft.jobs(start, end))
        notes += draft.notes
    if start is not None and jobs and not any(one.problems for one in drafts) and all(one.late for one in drafts):
        drafts[0].problems.append(
            tell(
                ("data", "start"),
                f"{start} is before everything was listed; the first: {min(x.start for x in jobs):%Y-%m-%d}",
            )
        )
    problems = [text for one in drafts for text in one.problems]
    missing = [text for one in drafts for text in one.not_offered]
    if problems:
        raise ConfigError([*problems, *missing])
    if missing:
        raise NotOffered("\n".join(missing))
    if not jobs:
        raise NotOffered(
            tell(("data", "datasets"), "nothing here is kept for days only; `btcflow data fetch` gets it all")
        )
    found = tuple(_merged(jobs))
    venues = dict.fromkeys(one.venue for one in found)
    return Plan(
        jobs=found,
        apis={one: apis.get(one) for one in venues},
        overlap_bars=overlap_bars,
        notes=tuple(dict.fromkeys(notes)),
    )


@dataclass
class _Draft:
    """One wish on its way to jobs, with what is wrong with it."""

    wish: DatasetWish
    loc: Loc
    tell: Tell
    apis: VenueApis
    every: str | None
    problems: list[str] = field(default_factory=list)
    not_offered: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    late: bool = False

    def jobs(self, start: str | None, end: str | None) -> Iterator[Job]:
        found = self._instrument()
        if found is None:
            return
        api, known, one = found
        span = self._span(known, start, end)
        if span is None:
            return
        for kind in self.wish.kinds:
            if self.every is not None and kind in KINDS and kind not in one.record:
                continue
            if self._offered(kind, known, one):
                yield from self._of_kind(kind, api, known, one, span)

    def _instrument(self) -> tuple[VenueApi, InstrumentFacts, InstrumentApi] | None:
        wish = self.wish
        if wish.venue not in self.apis:
            if wish.venue in VENUES:
                self._say(
                    "venue",
                    f"{wish.venue} is closed or has no live connection here; import its archive instead: "
                    "`btcflow data import FOLDER --as SPEC`",
                )
            else:
                self._say("venue", _near("venue", wish.venue, self.apis.names()))
            return None
        try:
            one = self.apis.get(wish.venue).instrument(wish.symbol)
        except UnknownName as error:
            self._say("symbol", _near(error.kind, error.name, error.known))
            return None
        known = facts(f"{wish.venue}:{one.symbol}")
        if known is None:
            self._say("symbol", f"{wish.venue}:{one.symbol} can be asked for, and no venue file states its facts")
            return None
        return self.apis.get(wish.venue), known, one

    def _span(
        self, known: InstrumentFacts, start: str | None, end: str | None
    ) -> tuple[pd.Timestamp, pd.Timestamp | None] | None:
        listed, gone = known.listing.valid_from, known.listing.valid_to
        own = self.wish.start
        begin = _stamp(own or start)
        first = pd.Timestamp(listed) if listed is not None else None
        if begin is None and first is None:
            self._say("start", f"missing, and the listing of {known.id} is not known; expected a UTC day")
            return None
        if begin is None or (first is not None and begin < first):
            if own is not None:
                self._say("start", f"{own} is before the listing of {known.id}; expected {first:%Y-%m-%d} or later")
                return None
            if begin is not None:
                self.notes.append(f"{known.id} begins at its listing, {first:%Y-%m-%d}")
                self.late = True
            begin = first
        until = _stamp(None if (self.wish.end or end) == "now" else self.wish.end or end)
        if gone is not None:
            until = min(until, pd.Timestamp(gone)) if until is not None else pd.Timestamp(gone)
        if until is not None and begin is not None and until <= begin:
            self._say("end", f"{until:%Y-%m-%d} is not after the start, {begin:%Y-%m-%d}")
            return None
        return (begin, until) if begin is not None else None

    def _offered(self, kind: str, known: InstrumentFacts, one: InstrumentApi) -> bool:
        if kind not in KINDS:
            self._say("kinds", _near("kind of series", kind, KINDS))
            return False
        if kind in (one.series if self.every is None else one.record):
            return True
        who = [name for name in self.apis.offering(kind) if name != known.id]
        told = f"{', '.join(who[:_MOST_NAMED])}{' and others' if len(who) > _MOST_NAMED else ''}" or "nobody"
        hint = "; `btcflow data record` keeps what it tells of the present" if kind in one.record else ""
        self.not_offered.append(
            self.tell((*self.loc, "kinds"), f"{known.id} tells no history of {kind}; those who do: {told}{hint}")
        )
        return False

    def _of_kind(
        self,
        kind: str,
        api: VenueApi,
        known: InstrumentFacts,
        one: InstrumentApi,
        span: tuple[pd.Timestamp, pd.Timestamp | None],
    ) -> Iterator[Job]:
        series = (one.series if self.every is None else one.record)[kind]
        endpoint = api.endpoints[series.endpoint]
        if series.unit is not None and series.unit != known.listing.oi_unit:
            self._say("kinds", f"{known.id}: the open interest is fetched in {series.unit}, and its facts say "
                      f"{known.listing.oi_unit}; correct one of the two files")  # fmt: skip
            return
        for timeframe, interval in self._timeframes(kind, endpoint, known):
            yield Job(
                venue=api.venue,
                client=endpoint.client or api.client,
                instrument=known,
                endpoint=endpoint,
                fill={**one.fill, **series.fill},
                interval=interval,
                timeframe=timeframe,
                step=_step(kind, timeframe, known),
                series={kind: series},
                start=span[0],
                end=span[1],
                source=self.wish.source,
            )

    def _timeframes(self, kind: str, endpoint: Endpoint, known: InstrumentFacts) -> Iterator[tuple[str, str | int]]:
        if kind == "funding":
            yield f"{known.listing.funding[-1].spacing_hours}h", ""
            return
        if endpoint.pager == "now" and self.every is not None:
            yield self.every, ""
            return
        for place, timeframe in enumerate(self.wish.timeframes):
            loc: Loc = (*self.loc, "timeframes", place)
            try:
                timeframes.parse(timeframe)
            except BtcflowError as error:
                self.problems.append(self.tell(loc, str(error)))
                continue
            if timeframe not in endpoint.intervals:
                offered = ", ".join(endpoint.intervals)
                self.problems.append(self.tell(loc, f"{known.id} has no {timeframe} {kind}; it has {offered}"))
                continue
            yield timeframe, endpoint.intervals[timeframe]

    def _say(self, key: str, message: str) -> None:
        self.problems.append(self.tell((*self.loc, key), message))


def _step(kind: str, timeframe: str, known: InstrumentFacts) -> timedelta:
    """From one row to the next: the bar, or the closest settlements the rules of the instrument know."""
    if kind == "funding":
        return timedelta(hours=min(era.spacing_hours for era in known.listing.funding))
    return timedelta(seconds=timeframes.parse(timeframe).seconds)


def _merged(jobs: Sequence[Job]) -> Iterator[Job]:
    """Series that one and the same request tells are one job."""
    found: dict[tuple[Any, ...], Job] = {}
    for one in jobs:
        fill = tuple(sorted((name, str(value)) for name, value in one.fill.items()))
        span = (one.start, one.end, one.source)
        same = (one.instrument.id, one.endpoint.call, fill, one.timeframe, one.bars, *span)
        found[same] = replace(found[same], series={**found[same].series, **one.series}) if same in found else one
    yield from found.values()


def _stamp(text: str | None) -> pd.Timestamp | None:
    if text is None or text == "now":
        return None
    stamp = pd.Timestamp(text)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def _near(kind: str, name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = nearest(name, known)
    return f"no {kind} is called {name!r}; " + (f"did you mean {close!r}?" if close else f"known: {', '.join(known)}")
