"""Generated rows that show the catalogued defects: nothing in here was ever traded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.audit.defects import Defect, catalogue
from btcflow.data.records import Records, SeriesKey, utc_ns
from btcflow.fields import KINDS
from btcflow.instrument import Instrument

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SOME_DAY = "2022-10-03"
_SYMBOLS = {"bitmex": "XBTUSD", "bybit": "BTCUSDT", "deribit": "BTC-PERPETUAL", "bitfinex": "tBTCF0:USTF0"}
_NOBODY = pd.Timestamp("2023-03-01", tz="UTC")


@dataclass(frozen=True)
class Entry:
    """One entry of the catalogue with its venue."""

    venue: str
    defect: Defect

    @property
    def key(self) -> SeriesKey:
        """A series it concerns."""
        kind = self.defect.kinds[0]
        usual = {"funding": "1h" if self.venue == "deribit" else "8h", "open_interest": "5m"}.get(kind, "1h")
        symbol = self.defect.symbol or _SYMBOLS.get(self.venue, "BTC/USD")
        return SeriesKey(self.venue, symbol, kind, (self.defect.timeframes or (usual,))[-1])


ENTRIES = [Entry(venue, one) for venue, several in catalogue().items() for one in several]
"""Every entry of the catalogue."""


def named(name: str) -> Entry:
    """The entry with this id."""
    return next(one for one in ENTRIES if one.defect.id == name)


def clean_rows(key: SeriesKey, start: int, end: int, *, seed: int = 1) -> pd.DataFrame:
    """Rows of a market that is well: every step of ``[start, end)`` once, all values above zero."""
    step = timeframes.parse(key.timeframe).seconds * 1_000_000_000
    stamp = np.arange(-(-start // step) * step, end, step, dtype=np.int64)
    bar = KINDS[key.kind].stamps == "bar_open"
    random = np.random.default_rng(seed)
    level = np.exp(np.cumsum(0.001 * random.standard_normal(len(stamp))))
    columns: dict[str, np.ndarray] = {}
    for name in KINDS[key.kind].columns:
        columns[name] = 20_000.0 * level
    if key.kind == "funding":
        hours = np.full(len(stamp), step / HOUR)
        columns = {"rate": 1e-5 * random.standard_normal(len(stamp)), "spacing_hours": hours, "rate_hours": hours}
    if "high" in columns:
        columns["high"], columns["low"] = columns["close"] * 1.001, columns["close"] * 0.999
    return frame_of(stamp, stamp + (step if bar else 0), columns)


def frame_of(stamp: np.ndarray, known: np.ndarray, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """The frame of records."""
    times = {
        "stamp": pd.to_datetime(stamp, unit="ns", utc=True),
        "known_at": pd.to_datetime(known, unit="ns", utc=True),
    }
    return pd.DataFrame({**times, **columns})


def span_of(entry: Entry) -> tuple[int, int]:
    """The entry's span, at most 40 days of it where it is long or open."""
    start, end = entry.defect.span
    if start is None:
        start = (end or _NOBODY.value) - 40 * DAY
    return start, min(end if end is not None else start + 40 * DAY, start + 40 * DAY)


def clean_around(entry: Entry, *, seed: int = 1) -> pd.DataFrame:
    """Clean rows from two days before the entry's span to two days after its beginning or end."""
    start, end = span_of(entry)
    return clean_rows(entry.key, start - 2 * DAY, end + 2 * DAY, seed=seed)


def broken_around(entry: Entry, *, seed: int = 1) -> pd.DataFrame:
    """The same rows with the defect in them."""
    frame = clean_around(entry, seed=seed)
    stamp = utc_ns(frame["stamp"])
    start, end = span_of(entry)
    inside = np.flatnonzero((stamp >= start) & (stamp < end))
    some = inside[:: max(1, len(inside) // 7)]
    field = entry.defect.field
    symptom = entry.defect.symptom
    if symptom == "zero":
        frame.loc[some, field] = 0.0
    elif symptom == "duplicate":
        again = frame.loc[some].assign(**{KINDS[entry.key.kind].columns[-1]: 1.0})
        frame = pd.concat([frame, again]).sort_values("stamp", kind="stable", ignore_index=True)
    elif symptom == "hole":
        frame = frame.drop(index=inside[1:20] if entry.defect.start is None else inside).reset_index(drop=True)
    elif symptom == "impossible_time":
        frame["stamp"] = pd.to_datetime(stamp // 1_000_000, unit="ns", utc=True)
    elif symptom == "off_grid":
        late = pd.Timedelta(minutes=28, seconds=14.789)
        frame.loc[inside, "stamp"] += late
        frame.loc[inside, "known_at"] += late
    elif symptom == "halted":
        frame.loc[inside, "volume"] = 0.0
    elif symptom == "overlapping_8h":
        frame["rate"] = frame["rate"].rolling(8, min_periods=1).sum()
    return frame


def records_of(key: SeriesKey, frame: pd.DataFrame, *, source: str = "generated for a test") -> Records:
    """Rows as checked records of that series, not marked as simulated: the catalogue leaves simulations alone."""
    what = Instrument(venue=key.venue, symbol=key.symbol, role="perp", quote="USD", margin="linear", oi_unit="btc")
    return Records(key=key, instrument=what, frame=frame, source=source)
