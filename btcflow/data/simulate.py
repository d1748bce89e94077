"""The simulated market: eight invented venues around one crowd, hourly, seeded, labelled SIMULATED.

The crowd, the price and the equations are those of :mod:`btcflow.data.crowd`. This module lists
instruments on top of it and publishes what each venue would have published::

    peg       q = USD per USDT = 1 + a small mean-reverting deviation + rare stress that fades in days
    index     S/q in the quote of the venue; S starts at 14,000 USD
    spot      index (1 + noise of a basis point or two that fades in hours)
    perp      index (1 + premium + half a basis point of bid-ask bounce)
    mark      index (1 + premium averaged over the last hours)
    bar       opens at the previous close; high and low are exact draws of the extremes of a Brownian
              path between open and close, with the volatility of the bar
    funding   the rate of the crowd module from this venue's own hourly premium index, times
              rate_hours / 8
    interest  market interest times the venue's share, grown from its listing on; on inverse
              contracts the number of contracts is what is sticky, so BTC interest falls when price
              rises (-.9 times the distance of ln S from its 45-day average)

Every row depends on the past only. Random numbers are drawn per stream in time order and nothing is
scaled by the sample, so a short market equals a long one cut by ``known_at``, bit for bit.

What is left of the real market: no outages, no missing rows, no revisions, no intraday season in
volatility. What is not a martingale at edge 0, as in reality: the premium and the peg are pulled
back (basis points), and funding is a cash flow, so a short held while funding is high earns it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numba as nb
import numpy as np
import pandas as pd

from btcflow.data.crowd import World, settle, streams, world
from btcflow.data.records import Dataset, Records, SeriesKey
from btcflow.errors import ConfigError
from btcflow.fields import KINDS
from btcflow.instrument import Instrument, OiUnit

__all__ = ["LISTINGS", "TRADED", "Listing", "simulate"]

Array = np.ndarray

TRADED = "sim_alpha:BTCUSDT"
"""The instrument traded unless a config says otherwise: a linear USDT perpetual, listed from the start."""

_HOUR = 3_600_000_000_000
_OI_LAG = 300_000_000_000
_START_PRICE = 14_000.0
_INTEREST_BTC = 40_000.0
_VOLUME_BTC = 900.0


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One instrument, when it is listed (days after the start), its size, and how it pays funding.

    ``share`` is a fraction of the market; ``settles_at`` the first settlement hour of a UTC day and
    ``spacing`` the hours between settlements, which are also the hours its rate refers to.
    """

    instrument: Instrument
    from_day: int
    until_day: int | None = None
    share: float
    settles_at: int = 0
    spacing: int = 8


def _spot(venue: str, quote: str) -> Instrument:
    return Instrument(venue=venue, symbol=f"BTC{quote}", role="spot", quote=quote)


def _perp(
    venue: str,
    quote: str,
    margin: Literal["linear", "inverse"],
    oi: OiUnit,
    contract: tuple[float, Literal["BTC", "USD"]],
) -> Instrument:
    size, currency = contract
    return Instrument(
        venue=venue,
        symbol=f"BTC{quote}",
        role="perp",
        quote=quote,
        margin=margin,
        oi_unit=oi,
        contract_size=size,
        contract_ccy=currency,
    )


_ALPHA = _perp("sim_alpha", "USDT", "linear", "btc", (1.0, "BTC"))
_BRAVO = _perp("sim_bravo", "USD", "inverse", "usd", (1.0, "USD"))
_CHARLIE = _perp("sim_charlie", "USDT", "linear", "contract", (0.01, "BTC"))
_DELTA = _perp("sim_delta", "USD", "inverse", "contract", (100.0, "USD"))
_ECHO = _perp("sim_echo", "USD", "linear", "btc", (1.0, "BTC"))

LISTINGS = (
    Listing(instrument=_spot("sim_north", "USD"), from_day=0, share=0.10),
    Listing(instrument=_spot("sim_south", "USD"), from_day=300, share=0.05),
    Listing(instrument=_spot("sim_east", "USDT"), from_day=0, share=0.20),
    Listing(instrument=_ALPHA, from_day=0, share=0.40),
    Listing(instrument=_BRAVO, from_day=0, share=0.30, settles_at=4),
    Listing(instrument=_CHARLIE, from_day=240, share=0.25),
    Listing(instrument=_DELTA, from_day=430, until_day=1800, share=0.20),
    Listing(instrument=_ECHO, from_day=610, share=0.15, spacing=1),
)
"""The eight instruments, spot first; the traded one, one more perpetual and a spot of each quote from day 0."""

_SPOTS = tuple(one for one in LISTINGS if one.instrument.role == "spot")
_PERPS = tuple(one for one in LISTINGS if one.instrument.role == "perp")
_USDT = np.array([one.instrument.quote == "USDT" for one in LISTINGS])


def simulate(*, seed: int = 7, start: str = "2018-01-01", years: float = 7.0, edge: float = 0.0) -> Dataset:
    """Simulate a market: hourly prices, marks, premium indices, funding and open interest of eight venues.

    Parameters
    ----------
    seed : whole number, 0 or more; the world behind it is
        ``world(seed=seed, bars=..., step_days=1/24, edge=edge, venues=5)``, the true crowding included
    start : the first day, UTC midnight
    years : length in calendar years, a part of a year rounded to whole days; 7 years take a fifth of a second
    edge : planted edge per day, 0 = none; see :mod:`btcflow.data.crowd`

    Returns
    -------
    Dataset
        of synthetic Records: ``ohlcv`` of every instrument (quote currency, volume in BTC), ``mark``
        of the traded one, ``premium_index``, ``funding`` and ``open_interest`` (native unit, known
        five minutes late) of every perpetual. A venue not yet listed by the end has no series

    Raises
    ------
    ConfigError
        for a start that is not a day, a length outside (0, 30] years, a bad seed or edge
    """
    first, hours = _span(start, years)
    truth = world(seed=seed, bars=hours, step_days=1 / 24, edge=edge, venues=len(_PERPS))
    source = f"SIMULATED market of btcflow (seed {seed}, edge {edge:g}); no venue of this name exists"
    market = _Market(truth, streams(seed, 7, family=1))
    book = _Book(first_ns=first, hours=hours, source=source)
    series = []
    for number, listing in enumerate(LISTINGS):
        series.append(book.bars(listing, "ohlcv", market.ohlcv(number)))
        if listing.instrument.id == TRADED:
            series.append(book.bars(listing, "mark", market.marks(number)))
        if listing.instrument.role == "perp":
            column = number - len(_SPOTS)
            series.append(book.bars(listing, "premium_index", market.premium_index(column)))
            series.append(book.funding(listing, market.premium[:, column]))
            series.append(book.interest(listing, market.interest(column)))
    return Dataset.of(one for one in series if one is not None)


def _span(start: str, years: float) -> tuple[int, int]:
    """Read the first instant (ns, UTC) and the number of hours."""
    problems = []
    day = pd.to_datetime(str(start), utc=True, errors="coerce")
    if pd.isna(day) or day != day.normalize() or not 1990 <= day.year <= 2200:
        problems.append(f"simulated market: start is {start!r}; expected a day such as 2018-01-01 (UTC midnight)")
    if not 0 < years <= 30:
        problems.append(f"simulated market: years is {years!r}; expected a number above 0 and up to 30")
    if problems:
        raise ConfigError(problems)
    whole = day + pd.DateOffset(years=int(years))
    days = (whole.value - day.value) // (24 * _HOUR) + round(365.25 * (years - int(years)))
    return int(day.as_unit("ns").value), max(1, int(days)) * 24


class _Market:
    """The world as its eight venues see it; every array has one row per hour and a past only."""

    def __init__(self, truth: World, rng: list[np.random.Generator]) -> None:
        hours, perps, all_of = len(truth), len(_PERPS), len(LISTINGS)
        self.premium = np.round(truth.premium, 8)
        peg = _peg(rng[0].standard_normal(hours), rng[1].random((hours, 3)))
        jitter = rng[2].standard_normal((hours, all_of))
        self.close, self.mark = _closes(truth.log_price, peg, self.premium, jitter, _USDT)
        self.up, self.down = _wicks(truth.log_price, truth.spread, rng[3].random((hours, 2)))
        activity = np.abs(truth.returns - truth.drift) / truth.volatility * math.sqrt(24.0)
        self.volume = _volumes(truth.volatility, activity, rng[4].standard_normal((hours, all_of)))
        inverse = np.array([one.instrument.margin == "inverse" for one in _PERPS])
        drawn = rng[5].standard_normal((hours, perps))
        self.oi = _interest(truth.log_price, truth.log_oi, drawn, inverse, _ages(_PERPS))

    def ohlcv(self, number: int) -> list[Array]:
        """Open, high, low, close and volume of one listing."""
        volume = np.round(self.volume[:, number] * LISTINGS[number].share, 3)
        return [*_candles(self.close[:, number], self.up, self.down), volume]

    def marks(self, number: int) -> list[Array]:
        """Mark bars of one perpetual; its extremes are those of the price, damped."""
        column = number - len(_SPOTS)
        return _candles(self.mark[:, column], 1.0 + 0.8 * (self.up - 1.0), 1.0 - 0.8 * (1.0 - self.down))

    def premium_index(self, column: int) -> list[Array]:
        """Premium bars of one perpetual: they open at the previous close and touch nothing outside."""
        close = self.premium[:, column]
        opened = np.concatenate([close[:1], close[:-1]])
        return [opened, np.maximum(opened, close), np.minimum(opened, close), close]

    def interest(self, column: int) -> Array:
        """Open interest of one perpetual at the end of each hour, in its own unit."""
        listing = _PERPS[column]
        kind, size = listing.instrument.oi_unit, listing.instrument.contract_size
        btc: Array = self.oi[:, column] * listing.share
        price: Array = self.close[:, len(_SPOTS) + column]
        if kind == "btc":
            return np.round(btc, 3)
        counted = btc if listing.instrument.contract_ccy == "BTC" else btc * price
        return np.asarray(np.round(counted / size))


@dataclass(frozen=True, kw_only=True)
class _Book:
    """Cuts a venue's arrays to its life and stamps them; hour i runs from first + i hours."""

    first_ns: int
    hours: int
    source: str

    def bars(self, listing: Listing, kind: str, columns: list[Array]) -> Records | None:
        """Hourly bars, known at their close."""
        begin, end = self._life(listing)
        rows = np.arange(begin, end)
        return self._records(listing, (kind, "1h"), rows, 0, [column[begin:end] for column in columns])

    def interest(self, listing: Listing, values: Array) -> Records | None:
        """Snapshots at the end of each hour, known five minutes later: the last hour's is still unknown."""
        begin, end = self._life(listing)
        rows = np.arange(begin, min(end, self.hours - 1))
        return self._records(listing, ("open_interest", "1h"), rows + 1, _OI_LAG, [values[rows]])

    def funding(self, listing: Listing, premium: Array) -> Records | None:
        """Settlements from the first full hour on, known when they are paid.

        The first interval may be shorter than the others; its rate is that of the hours since the listing.
        """
        begin, end = self._life(listing)
        spacing = listing.spacing
        ends = np.arange(begin + 1, end + 1)
        ends = ends[ends % spacing == listing.settles_at % spacing]
        rates = np.round(settle(premium, ends, spacing, begin), 10)
        hours = np.full(len(ends), float(spacing))
        return self._records(listing, ("funding", f"{spacing}h"), ends, 0, [rates, hours, hours])

    def _life(self, listing: Listing) -> tuple[int, int]:
        until = self.hours if listing.until_day is None else min(self.hours, listing.until_day * 24)
        return listing.from_day * 24, until

    def _records(
        self, listing: Listing, name: tuple[str, str], rows: Array, lag: int, columns: list[Array]
    ) -> Records | None:
        if len(rows) == 0:
            return None
        kind, timeframe = KINDS[name[0]], name[1]
        stamp = self.first_ns + rows.astype(np.int64) * _HOUR
        known = stamp + (_HOUR if kind.stamps == "bar_open" else lag)
        values = dict(zip(kind.columns, columns, strict=True))
        one = listing.instrument
        return Records(
            key=SeriesKey(one.venue, one.symbol, kind.name, timeframe),
            instrument=one,
            frame=pd.DataFrame({"stamp": _times(stamp), "known_at": _times(known), **values}),
            source=self.source,
            lag=pd.Timedelta(lag, unit="ns"),
            synthetic=True,
        )


def _times(stamps: Array) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(stamps.view("datetime64[ns]")).tz_localize("UTC")


def _candles(close: Array, up: Array, down: Array) -> list[Array]:
    close = np.round(close, 2)
    opened = np.concatenate([[_START_PRICE], close[:-1]])
    high, low = np.maximum(opened, close) * up, np.minimum(opened, close) * down
    return [opened, np.round(high, 2), np.round(low, 2), close]


def _ages(listings: tuple[Listing, ...]) -> Array:
    """First and last hour of each listing's life; shape (V, 2)."""
    far = 10_000_000
    return np.array([[one.from_day * 24, far if one.until_day is None else one.until_day * 24] for one in listings])


@nb.njit(cache=True)
def _peg(normal: Array, uniform: Array) -> Array:
    """USD per USDT: 3 bp around 1, and twice a year a break of 60 bp on average that fades in 3 days."""
    out = np.empty(len(normal))
    calm, stress = 0.0, 0.0
    fade, relief = math.exp(-1.0 / 24.0), math.exp(-1.0 / 72.0)
    for t in range(len(normal)):
        calm = fade * calm + math.sqrt(1.0 - fade * fade) * 3e-4 * normal[t]
        stress *= relief
        if uniform[t, 0] < 2.0 / 8760.0:
            size = min(-60e-4 * math.log(1.0 - uniform[t, 1]), 0.05)
            stress += 0.5 * size if uniform[t, 2] < 0.2 else -size
        out[t] = 1.0 + calm + stress
    return out


@nb.njit(cache=True)
def _closes(log_price: Array, peg: Array, premium: Array, jitter: Array, usdt: Array) -> tuple[Array, Array]:
    """Last trades of every listing (spots first) and marks of the perpetuals, each in its own quote."""
    hours, count = jitter.shape
    spots = count - premium.shape[1]
    close, mark = np.empty((hours, count)), np.empty(premium.shape)
    noise, smooth = np.zeros(spots), premium[0].copy()
    fade = math.exp(-1.0 / 3.0)
    fresh = math.sqrt(1.0 - fade * fade)
    for t in range(hours):
        usd = _START_PRICE * math.exp(log_price[t])
        for i in range(count):
            index = usd / peg[t] if usdt[i] else usd
            if i < spots:
                noise[i] = fade * noise[i] + fresh * (1.0 + 0.5 * i) * 1e-4 * jitter[t, i]
                close[t, i] = index * (1.0 + noise[i])
            else:
                v = i - spots
                smooth[v] += 0.4 * (premium[t, v] - smooth[v])
                close[t, i] = index * (1.0 + premium[t, v] + 0.5e-4 * jitter[t, i])
                mark[t, v] = index * (1.0 + smooth[v])
    return close, mark


@nb.njit(cache=True)
def _wicks(log_price: Array, spread: Array, uniform: Array) -> tuple[Array, Array]:
    """How far a bar's extremes lie outside its open and close, as factors (>= 1 and <= 1).

    The maximum of a Brownian bridge from 0 to d with volatility s is (d + sqrt(d^2 - 2 s^2 ln U))/2.
    """
    up, down = np.empty(len(spread)), np.empty(len(spread))
    before = 0.0
    for t in range(len(spread)):
        d = log_price[t] - before
        before = log_price[t]
        s2 = 2.0 * spread[t] * spread[t]
        above = 0.5 * (d + math.sqrt(d * d - s2 * math.log(1.0 - uniform[t, 0]))) - max(d, 0.0)
        below = 0.5 * (-d + math.sqrt(d * d - s2 * math.log(1.0 - uniform[t, 1]))) - max(-d, 0.0)
        up[t], down[t] = math.exp(max(above, 0.0)), math.exp(-max(below, 0.0))
    return up, down


@nb.njit(cache=True)
def _volumes(volatility: Array, activity: Array, normal: Array) -> Array:
    """BTC traded per hour in the whole market, seen by each listing with its own noise and a daily season."""
    hours, count = normal.shape
    out = np.empty((hours, count))
    for t in range(hours):
        season = 1.0 + 0.3 * math.cos(2.0 * math.pi * (t % 24 - 15) / 24.0)
        common = _VOLUME_BTC * season * volatility[t] / 0.035 * (0.35 + activity[t])
        for i in range(count):
            out[t, i] = common * math.exp(0.35 * normal[t, i] - 0.06)
    return out


@nb.njit(cache=True)
def _interest(log_price: Array, log_oi: Array, normal: Array, inverse: Array, life: Array) -> Array:
    """Open interest in BTC of each perpetual before its share; see the module text."""
    hours, count = normal.shape
    out, own = np.empty((hours, count)), np.zeros(count)
    fade, slow, anchor = math.exp(-0.02 / 24.0), math.exp(-1.0 / (45.0 * 24.0)), 0.0
    for t in range(hours):
        anchor = slow * anchor + (1.0 - slow) * log_price[t]
        for v in range(count):
            own[v] = fade * own[v] + 0.02 / math.sqrt(24.0) * normal[t, v]
            grown = 1.0 - 0.85 * math.exp(-max(0, t - life[v, 0]) / (90.0 * 24.0))
            left = min(1.0, max(0.1, (life[v, 1] - t) / (20.0 * 24.0)))
            sticky = 0.9 * (log_price[t] - anchor) if inverse[v] else 0.0
            out[t, v] = _INTEREST_BTC * grown * left * math.exp(log_oi[t] + own[v] - sticky)
    return out
