"""The generated truth: what really happened on every venue, a pure function of a seed.

``Market().truth("binance", "BTCUSDT", "ohlcv", "1h", since=..., until=...)`` is the frame that a
perfect download ends with: btcflow's columns, btcflow's units, rows that a venue lost are absent.
Nothing is stored: any row can be had alone, so a server answers from the same functions.

Units: volume and taker buys in BTC; open interest in the unit of the instrument's listing; rates
per ``rate_hours``. ``known_at`` is a bar's close or the instant itself, without any lag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from venue_server import noise
from venue_server.listings import Era, Listing, listing

__all__ = ["COLUMNS", "MINUTES", "NOW", "Gap", "Market", "ms"]

MINUTE = 60_000
NOW = pd.Timestamp("2024-06-15T12:34:56Z")
"""Where a venue's clock stands unless a test sets it."""

MINUTES = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "12h": 720,
    "1D": 1440,
}  # fmt: skip
COLUMNS = {
    "ohlcv": ("open", "high", "low", "close", "volume"),
    "mark": ("open", "high", "low", "close"),
    "index": ("open", "high", "low", "close"),
    "premium_index": ("open", "high", "low", "close"),
    "taker_volume": ("buy",),
    "funding": ("rate", "spacing_hours", "rate_hours"),
    "open_interest": ("value",),
}
_POINTS = 250_000
"""Minutes worked out at a time: a long series never takes much memory."""

_DECIMALS = {"ohlcv": 1, "mark": 2, "index": 2, "premium_index": 8}


def ms(time: pd.Timestamp | str) -> int:
    """Milliseconds since 1970 of a time; one without a zone is UTC."""
    stamp = pd.Timestamp(time)
    stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
    return int(stamp.value // 1_000_000)


@dataclass(frozen=True)
class Gap:
    """A maintenance of a whole venue: bars and snapshots that open in ``[start, end)`` never existed."""

    venue: str
    start: str
    end: str


@dataclass(frozen=True, kw_only=True)
class Market:
    """Everything that happened.

    Parameters
    ----------
    seed : another seed is another market
    gaps : maintenances
    listed, delisted : ``{"venue:symbol": time}``, instead of the listing's own day, or never
    spacing_changes : ``{"venue:symbol": (time, hours)}``: after the settlement at ``time`` it settles every ``hours``
    """

    seed: int = 1
    gaps: tuple[Gap, ...] = (
        Gap("binance", "2024-05-28T02:00", "2024-05-28T05:00"),
        Gap("bybit", "2024-05-30T10:00", "2024-05-30T12:00"),
        Gap("kraken", "2024-06-04T06:00", "2024-06-04T08:00"),
        Gap("okx", "2023-11-08T20:00", "2023-11-09T01:00"),
    )
    listed: dict[str, str] = field(default_factory=dict)
    delisted: dict[str, str] = field(default_factory=dict)
    spacing_changes: dict[str, tuple[str, int]] = field(
        default_factory=lambda: {"bybit:BTCUSDT": ("2024-05-10T08:00", 4)}
    )

    def truth(
        self,
        venue: str,
        symbol: str,
        kind: str,
        timeframe: str = "1h",
        *,
        since: pd.Timestamp | str,
        until: pd.Timestamp | str = NOW,
        now: pd.Timestamp | str = NOW,
    ) -> pd.DataFrame:
        """The closed rows with ``since <= stamp < until``, in btcflow's columns and units.

        A bar is closed once it ended by ``now``; an instant once it lies not after ``now``.
        """
        what = listing(venue, symbol)
        stamps = self.stamps(what, kind, timeframe, ms(since), ms(until) - 1)
        length = MINUTES[timeframe] * MINUTE if kind not in ("funding", "open_interest") else 0
        stamps = stamps[stamps + length <= ms(now)]
        values = self.values(what, kind, timeframe, stamps)
        frame = pd.DataFrame({"stamp": _times(stamps), "known_at": _times(stamps + length)})
        for name in COLUMNS[kind]:
            frame[name] = np.asarray(values[name], dtype=np.float64)
        return frame

    # -- which rows exist ----------------------------------------------------------------------

    def span(self, what: Listing) -> tuple[int, int]:
        """First and last millisecond of an instrument's life."""
        first = ms(self.listed.get(what.id, what.listed))
        last = ms(self.delisted[what.id]) - 1 if what.id in self.delisted else 2**60
        return first, last

    def stamps(self, what: Listing, kind: str, timeframe: str, first: int, last: int) -> np.ndarray:
        """Stamps of the rows that ever exist in ``first <= stamp <= last``; int64 ms, (N,)."""
        if kind not in what.kinds:
            raise KeyError(f"{what.id} has no {kind}")
        begin, end = self.span(what)
        first, last = max(first, begin), min(last, end)
        if kind == "funding":
            return self._settlements(what, first, last)
        step = MINUTES[timeframe] * MINUTE
        grid = np.arange(-(-first // step), last // step + 1, dtype=np.int64) * step
        for gap in self.gaps:
            if gap.venue == what.venue:
                grid = grid[~_lost(what, kind, grid, step, gap)]
        return grid

    def eras(self, what: Listing) -> tuple[Era, ...]:
        """The funding rules, with a change of interval at the end where this market has one."""
        if what.id not in self.spacing_changes:
            return what.eras
        at, hours = self.spacing_changes[what.id]
        scaled = what.eras[-1].rate_hours == what.eras[-1].spacing
        return (*what.eras, Era(at, hours, hours if scaled else what.eras[-1].rate_hours))

    def _settlements(self, what: Listing, first: int, last: int) -> np.ndarray:
        eras = self.eras(what)
        parts = []
        for place, era in enumerate(eras):
            step = era.spacing * 60 * MINUTE
            low = max(first, ms(era.start) + 1)
            high = min(last, ms(eras[place + 1].start) if place + 1 < len(eras) else last)
            parts.append(np.arange(-(-low // step), high // step + 1, dtype=np.int64) * step)
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    # -- what they say -------------------------------------------------------------------------

    def values(self, what: Listing, kind: str, timeframe: str, stamps: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of the kind, in btcflow's units, for stamps in ms."""
        if kind == "funding":
            return self._funding(what, stamps)
        if kind == "open_interest":
            return {"value": self.interest(what, stamps)}
        if kind == "taker_volume":
            return {"buy": self.volume(what, timeframe, stamps)["buy"]}
        bars = self.bars(what, kind, timeframe, stamps)
        if kind == "ohlcv":
            bars["volume"] = self._told_volume(what, self.volume(what, timeframe, stamps)["volume"], bars["close"])
        return bars

    @staticmethod
    def _told_volume(what: Listing, volume: np.ndarray, close: np.ndarray) -> np.ndarray:
        if what.id == "kraken:PI_XBTUSD":  # charts count contracts of 1 USD; the bar's close is all there is to convert
            return np.asarray(np.rint(volume * close) / close)
        return volume

    def bars(self, what: Listing, kind: str, timeframe: str, stamps: np.ndarray) -> dict[str, np.ndarray]:
        """Open, high, low, close of the minutes of each bar; contiguous: a bar opens where the last one closed."""
        return _in_parts(stamps, timeframe, lambda part: self._bars(what, kind, timeframe, part))

    def _bars(self, what: Listing, kind: str, timeframe: str, stamps: np.ndarray) -> dict[str, np.ndarray]:
        minutes = stamps[:, None] // MINUTE + np.arange(MINUTES[timeframe] + 1)
        levels = self._levels(what, kind, minutes)
        high, low = levels.max(axis=1, initial=-np.inf), levels.min(axis=1, initial=np.inf)
        if kind == "ohlcv":
            wick = noise.integers(f"{self.seed}/{what.id}/wick", minutes[:, :-1], 40) / 10.0
            pairs = np.maximum(levels[:, :-1], levels[:, 1:]) + wick
            high = np.maximum(high, pairs.max(axis=1, initial=-np.inf))
            low = np.minimum(low, (np.minimum(levels[:, :-1], levels[:, 1:]) - wick).min(axis=1, initial=np.inf))
        digits = _DECIMALS[kind]
        found = {"open": levels[:, 0], "high": high, "low": low, "close": levels[:, -1]}
        return {name: np.round(column, digits) + 0.0 for name, column in found.items()}

    def volume(self, what: Listing, timeframe: str, stamps: np.ndarray) -> dict[str, np.ndarray]:
        """Volume, taker buys (BTC) and number of trades: sums over the bar's minutes, exact to a milli-BTC."""
        return _in_parts(stamps, timeframe, lambda part: self._volume(what, timeframe, part))

    def _volume(self, what: Listing, timeframe: str, stamps: np.ndarray) -> dict[str, np.ndarray]:
        minutes = stamps[:, None] // MINUTE + np.arange(MINUTES[timeframe])
        name = f"{self.seed}/{what.id}/volume"
        milli = 200 + noise.integers(name, minutes, 9_000)
        bought = milli * (30 + noise.integers(name + "/buy", minutes, 41)) // 100
        count = 10 + milli // 100
        total = {"volume": milli, "buy": bought}
        return {key: part.sum(axis=1) / 1000.0 for key, part in total.items()} | {"count": count.sum(axis=1)}

    def interest(self, what: Listing, stamps: np.ndarray) -> np.ndarray:
        """Open interest at instants, in the unit of the listing."""
        coins = self.coins(what, stamps)
        if what.oi_unit == "btc":
            return np.round(coins, 2)
        price = self.bars(what, "ohlcv", "1m", stamps)["open"]
        usd = np.rint(coins * price / what.contract) * what.contract
        if what.oi_unit == "usd":
            return np.asarray(usd)
        contracts = usd / what.contract if what.contract_ccy == "USD" else coins / what.contract
        return np.asarray(np.rint(contracts))

    def coins(self, what: Listing, stamps: np.ndarray) -> np.ndarray:
        """Open interest in BTC before it is rounded to a unit."""
        minutes = stamps // MINUTE
        level = self._between(f"{self.seed}/{what.id}/oi", 0.004, 0.9995, minutes)
        return np.asarray(what.interest * np.exp(level))

    def _funding(self, what: Listing, stamps: np.ndarray) -> dict[str, np.ndarray]:
        eras = self.eras(what)
        place = np.searchsorted(np.array([ms(era.start) for era in eras]), stamps, side="left") - 1
        spacing = np.array([float(era.spacing) for era in eras])[place]
        per = np.array([float(era.rate_hours) for era in eras])[place]
        shape = self._between(f"{self.seed}/{what.id}/rate", 0.2, 0.97, stamps // MINUTE)
        return {"rate": np.round((1.0 + 1.5 * shape) * 1e-4 * per / 8.0, 10) + 0.0, "spacing_hours": spacing,
                "rate_hours": per}  # fmt: skip

    def _levels(self, what: Listing, kind: str, minutes: np.ndarray) -> np.ndarray:
        quote = {"USDT": 0.0002}.get(what.quote, 0.0)
        base = f"{self.seed}/btc"
        index = self._between(base, 0.004, 0.9999, minutes) + np.log(30_000.0) + quote
        index = index + 0.002 * noise.bridge(base, minutes)
        if kind == "index":
            return np.asarray(np.exp(index))
        own = self._between(f"{self.seed}/{what.id}/basis", 0.0002, 0.9, minutes)
        if kind == "premium_index":
            return np.asarray(np.expm1(own))
        return np.asarray(np.exp(index + own * (0.8 if kind == "mark" else 1.0)))

    @staticmethod
    def _between(name: str, step: float, memory: float, minutes: np.ndarray) -> np.ndarray:
        path = noise.walk(name, step, memory)
        hour = minutes // 60 - noise.ORIGIN_HOUR
        if hour.size and (hour.min() < 0 or hour.max() + 1 >= len(path)):
            raise ValueError("the market is drawn from 2013 until late 2027; ask for times inside")
        part = (minutes % 60) / 60.0
        return np.asarray(path[hour] * (1.0 - part) + path[hour + 1] * part)


def _lost(what: Listing, kind: str, stamps: np.ndarray, step: int, gap: Gap) -> np.ndarray:
    """Which rows a maintenance took: bars that lie in it, snapshots taken in it; (N,) bool."""
    low, high = ms(gap.start), ms(gap.end)
    if kind != "open_interest":
        return np.asarray((stamps >= low) & (stamps + step <= high))
    if what.venue == "kraken":  # its snapshots are the ends of buckets
        return np.asarray((stamps > low) & (stamps <= high))
    return np.asarray((stamps >= low) & (stamps < high))


def _in_parts(
    stamps: np.ndarray, timeframe: str, work: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Columns worked out a few bars at a time."""
    rows = max(1, _POINTS // MINUTES[timeframe])
    parts = [work(stamps[at : at + rows]) for at in range(0, len(stamps), rows)] or [work(stamps)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _times(stamps: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(stamps * 1_000_000, utc=True)).as_unit("ns")
