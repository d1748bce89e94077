"""Three years of four venues, within ccxt's rate limits: how long it takes, how often it asks, what memory it needs."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
from fetching import CommandLine, assert_whole
from venue_server.compare import assert_same
from venue_server.server import VenueServer

from btcflow.data.store import Store
from btcflow.fetch.ccxt_door import client_of
from btcflow.fetch.venue_api import VENUE_APIS

NOW = pd.Timestamp("2025-06-15T10:20:30", tz="UTC")
START = "2022-06-15"
KINDS = ["ohlcv", "funding", "open_interest"]
FOUR = {"binance": "BTCUSDT", "bybit": "BTCUSDT", "okx": "BTC-USDT-SWAP", "kraken": "PF_XBTUSD"}
PREFIXES = {"binance": ("binance",), "bybit": ("bybit",), "okx": ("okx",), "kraken": ("krakenfutures", "kraken")}


def limit_of(prefix: str) -> float:
    """Seconds ccxt keeps between two requests."""
    with client_of(prefix) as client:
        return client.rate_limit


def pages_of(store: Store, venue: str) -> float:
    """Rows over the page cap, summed over a venue's series; what is told all at once is one page."""
    api, symbol = VENUE_APIS.get(venue), FOUR[venue]
    total = 0.0
    for entry in store.entries():
        if entry.key.venue == venue:
            endpoint = api.endpoints[api.instrument(symbol).series[entry.key.kind].endpoint]
            total += 1 if endpoint.pager == "all" else entry.rows / endpoint.cap
    return total


@pytest.mark.full
def test_three_years_of_four_venues_come_as_fast_as_the_slowest_may_be_asked(tmp_path: Path) -> None:
    with VenueServer(now=NOW) as server:
        btcflow = CommandLine(tmp_path, server.root)
        wishes = [{"venue": venue, "symbol": symbol, "kinds": KINDS} for venue, symbol in FOUR.items()]
        config = btcflow.config(*wishes, start=START)
        began = time.monotonic()
        first = btcflow("data", "fetch", config)
        wall = time.monotonic() - began
        assert first.code == 0, first.err
        asked = {venue: sum(map(server.count, PREFIXES[venue])) for venue in FOUR}
        least = max(server.count(prefix) * limit_of(prefix) for each in PREFIXES.values() for prefix in each)
        store, peak = Store(btcflow.store), btcflow.peak_mb
        pages = {venue: pages_of(store, venue) for venue in FOUR}
        figures = f"{wall:.1f} s, the limit alone {least:.1f} s; {asked} requests for {pages} pages; {peak:.0f} MB"
        assert wall <= 1.3 * least + 10, figures
        for venue in FOUR:
            assert asked[venue] <= 1.2 * pages[venue] + 1, f"{figures}: one more asks for the time"
        assert sum(asked.values()) <= 1.2 * sum(pages.values()), figures
        assert peak < 300, figures
        assert sum(entry.rows for entry in store.entries()) > 170_000
        for entry in store.entries():
            what = entry.key
            truth = server.truth(what.venue, what.symbol, what.kind, what.timeframe, since=entry.first)
            assert_same(store.read(what).frame, truth)
        server.forget()
        again = btcflow("data", "fetch", config)
        assert again.code == 0, again.err
        assert server.count() == len(store.entries()) + len(FOUR), "the overlap of each series, and each venue's time"
        assert btcflow.peak_mb < 300
        assert_whole(btcflow.store)
        assert btcflow.hosts == {"127.0.0.1"}
