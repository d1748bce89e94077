"""Files of an archive that tell the same truth as the loopback venues."""

from __future__ import annotations

import gzip

import pandas as pd
from venue_server.server import VenueServer


def archived_day(server: VenueServer, day: str, *, times: float = 1.0) -> str:
    """A day of the archive's bars, from the same truth the interface tells; ``times`` scales the volume."""
    until = pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=1)
    frame = server.truth("binance", "BTCUSDT", "ohlcv", "1h", since=day, until=until)
    opens = frame["stamp"].dt.as_unit("ms").astype("int64")
    taken = server.truth("binance", "BTCUSDT", "taker_volume", "1h", since=day, until=until)["buy"]
    names = ("open", "high", "low", "close", "volume")
    rows = zip(opens, *(frame[name] for name in names), taken, strict=True)
    return "\n".join(
        f"{at},{o},{h},{low},{close},{volume * times},{at + 3_599_999},{volume * times * close},9,{buy},{buy * close},0"
        for at, o, h, low, close, volume, buy in rows
    )


def archived_minutes(server: VenueServer, day: str) -> bytes:
    """A day of Bybit's premium index, packed as its public files are."""
    until = pd.Timestamp(day, tz="UTC") + pd.Timedelta(days=1)
    frame = server.truth("bybit", "BTCUSD", "premium_index", "1m", since=day, until=until)
    opens = frame["stamp"].dt.as_unit("s").astype("int64")
    rows = zip(opens, *(frame[name] for name in ("open", "high", "low", "close")), strict=True)
    lines = [
        "start_at,symbol,period,open,high,low,close",
        *(f"{at},BTCUSD,1,{o},{h},{low},{c}" for at, o, h, low, c in rows),
    ]
    return gzip.compress("\n".join(lines).encode())
