"""`btcflow data fetch` as a user runs it: a process of its own, loopback venues, and a guard on every socket."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from archive_server import Shelf
from archives_of_truth import archived_day
from fetching import CommandLine, Loaded, assert_whole, chunks_of, guarded
from venue_server.compare import assert_same
from venue_server.faults import Faults
from venue_server.server import VenueServer

from btcflow.data.records import SeriesKey
from btcflow.data.store import Store

NOW = pd.Timestamp("2024-06-15T10:20:30", tz="UTC")
BYBIT = {"venue": "bybit", "symbol": "BTCUSDT", "kinds": ["ohlcv"], "timeframes": ["5m"]}
BINANCE = {"venue": "binance", "symbol": "BTCUSDT", "kinds": ["ohlcv", "open_interest"], "timeframes": ["15m"]}
OKX = {"venue": "okx", "symbol": "BTC-USDT-SWAP", "kinds": ["ohlcv", "funding"]}


@pytest.fixture
def server() -> Iterator[VenueServer]:
    with VenueServer(now=NOW) as found:
        yield found


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    with Loaded() as found:
        yield found


@pytest.fixture
def btcflow(server: VenueServer, tmp_path: Path, loaded: Loaded) -> Iterator[CommandLine]:
    """The command line beside the venues; nothing it did may have left the machine."""
    found = CommandLine(tmp_path, server.root, loaded)
    yield found
    assert found.hosts <= {"127.0.0.1"}
    assert server.errors == []


def test_the_guard_of_these_tests_lets_no_request_out(tmp_path: Path) -> None:
    script = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    noted = {"BTCFLOW_TEST_HOSTS": str(tmp_path / "hosts")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=guarded(noted), capture_output=True, text=True, check=False
    )
    assert "RuntimeError: a request wants to leave the machine: 192.0.2.1" in done.stderr
    assert CommandLine(tmp_path, "").hosts == {"192.0.2.1"}


# -- the two commands of the README --------------------------------------------------------------------


def test_the_live_config_is_fetched_run_and_verified_by_three_commands(
    btcflow: CommandLine, server: VenueServer
) -> None:
    shorter = ("-s", "data.start=2023-11-01", "-s", "params.window=40")
    fetched = btcflow("data", "fetch", "real_live", *shorter)
    assert fetched.code == 0, fetched.err
    assert len([line for line in fetched.out.splitlines() if " 1h " in line or " 8h " in line]) >= 12
    for entry in Store(btcflow.store).entries():
        what = entry.key
        truth = server.truth(what.venue, what.symbol, what.kind, what.timeframe, since=entry.first)
        kept = (what.venue, what.kind) == ("okx", "funding")
        assert kept or entry.first < pd.Timestamp("2023-11-01T09:00", tz="UTC")
        assert_same(Store(btcflow.store).read(what).frame, truth)
    run = btcflow("run", "real_live", *shorter, "--out", btcflow.folder / "runs")
    assert run.code == 0, run.err
    assert "profit and loss" in run.out
    folder = next((btcflow.folder / "runs" / "real_live").iterdir())
    verified = btcflow("verify", folder)
    assert verified.code == 0, verified.err
    assert_whole(btcflow.store)
    assert btcflow.hosts == {"127.0.0.1"}


def test_the_archives_files_and_the_exchange_are_one_series_by_one_command(tmp_path: Path, loaded: Loaded) -> None:
    shelf = Shelf()
    with VenueServer(now=NOW, files=shelf.answer) as server:
        for day in ("2024-06-11", "2024-06-12", "2024-06-13"):
            shelf.put(f"data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip", archived_day(server, day))
        btcflow = CommandLine(tmp_path, server.root, loaded)
        wish = {"venue": "binance", "symbol": "BTCUSDT", "kinds": ["ohlcv", "taker_volume"], "source": "both"}
        config = btcflow.config(wish, start="2024-06-11")
        fetched = btcflow("data", "fetch", config)
        assert fetched.code == 0, fetched.err
        for kind in wish["kinds"]:
            got = Store(btcflow.store).read(SeriesKey("binance", "BTCUSDT", kind, "1h"))
            assert_same(got.frame, server.truth("binance", "BTCUSDT", kind, since="2024-06-11", until=NOW.floor("h")))
            assert got.source == "Binance Vision; binance API fapiPublicGetKlines"
        assert sum(hit.rows or 0 for hit in server.log) <= 24 + 10 + 3 + 1, "three days came from the files"
        asked = shelf.asked.total()
        assert btcflow("data", "fetch", config).code == 0
        files = {path: count for path, count in shelf.asked.items() if path.endswith(".zip")}
        assert set(files.values()) == {2}, "once for each of the two series"
        assert shelf.asked.total() > asked, "the listing tells what was published anew"
        assert server.errors == []
        assert_whole(btcflow.store)


# -- stopping ------------------------------------------------------------------------------------------


def test_an_interrupt_exits_130_keeps_what_came_and_the_next_run_goes_on(
    btcflow: CommandLine, server: VenueServer
) -> None:
    config = btcflow.config(BYBIT, start="2024-03-25")
    with btcflow.begun("data", "fetch", config) as (pid, wait):
        begin = time.monotonic()
        while not any(btcflow.store.glob("*/*/*/manifest.json")) and time.monotonic() < begin + 60:
            time.sleep(0.002)
        os.kill(pid, signal.SIGINT)
        stopped = wait()
    assert (stopped.code, "Traceback" in stopped.err) == (130, False), stopped.err
    assert_whole(btcflow.store)
    before = Store(btcflow.store).entries()[0].rows
    server.forget()
    again = btcflow("data", "fetch", config)
    assert again.code == 0, again.err
    got = Store(btcflow.store).read(SeriesKey("bybit", "BTCUSDT", "ohlcv", "5m")).frame
    assert 0 < before < len(got)
    until = NOW.floor("5min")
    assert_same(got, server.truth("bybit", "BTCUSDT", "ohlcv", "5m", since="2024-03-25", until=until))
    assert server.count("bybit") <= (len(got) - before) / 999 + 4, "what was there was asked for again"
    assert_whole(btcflow.store)


@pytest.mark.parametrize("moments", [4, pytest.param(50, marks=pytest.mark.full)])
def test_a_fetch_killed_at_random_moments_and_resumed_is_a_clean_one(
    moments: int, tmp_path: Path, server: VenueServer, loaded: Loaded
) -> None:
    def begin(name: str) -> tuple[CommandLine, Path]:
        (tmp_path / name).mkdir()
        line = CommandLine(tmp_path / name, server.root, loaded)
        return line, line.config({**BYBIT, "kinds": ["ohlcv", "funding"]}, OKX, BINANCE, start="2024-05-30")

    needed, draw = 0.0, random.Random(11)
    for name in ("cold", "clean"):
        clean, config = begin(name)
        began = time.monotonic()
        assert clean("data", "fetch", config).code == 0
        needed = time.monotonic() - began
    wanted, cut_short = chunks_of(clean.store), 0
    assert len(wanted) == 10
    for moment in range(moments):
        line, config = begin(str(moment))
        with line.begun("data", "fetch", config) as (pid, wait):
            time.sleep((moment + draw.random()) / moments * needed)
            os.kill(pid, signal.SIGKILL)
            cut_short += wait().code == -signal.SIGKILL
        resumed = line("data", "fetch", config)
        assert resumed.code == 0, resumed.err
        assert chunks_of(line.store) == wanted
        assert_whole(line.store)
        assert line.hosts == {"127.0.0.1"}
    assert cut_short >= moments / 2, "the kills came when the fetch was over"


def test_a_recording_goes_on_until_it_is_interrupted_and_keeps_every_round(btcflow: CommandLine) -> None:
    deribit = {"venue": "deribit", "symbol": "BTC-PERPETUAL", "kinds": ["open_interest"]}
    config = btcflow.config(deribit, {**BINANCE, "timeframes": ["5m"]}, start="2024-06-14")
    with btcflow.begun("data", "record", config, "--every", "5m") as (pid, wait):
        begin = time.monotonic()
        while len(list(btcflow.store.glob("*/*/*/manifest.json"))) < 2 and time.monotonic() < begin + 60:
            time.sleep(0.01)
        os.kill(pid, signal.SIGINT)
        stopped = wait()
    assert (stopped.code, "Traceback" in stopped.err) == (130, False), stopped.err
    assert_whole(btcflow.store)
    once = btcflow("data", "record", config, "--every", "5m", "--count", "1")
    assert once.code == 0, once.err
    found = {str(entry.key): entry.rows for entry in Store(btcflow.store).entries()}
    assert list(found) == ["binance:BTCUSDT open_interest 5m", "deribit:BTC-PERPETUAL open_interest 5m"]
    assert found["binance:BTCUSDT open_interest 5m"] == 34 * 12 + 5, "all it still tells, from the start on"
    refused = btcflow("data", "record", config, "--every", "often", "--count", "1")
    assert (refused.code, refused.err.count("error: ")) == (78, 1), refused.err


# -- a disk that refuses -------------------------------------------------------------------------------


def test_a_full_disk_is_told_at_once_and_nothing_is_lost(btcflow: CommandLine, server: VenueServer) -> None:
    few = btcflow.config(BYBIT, start="2024-06-14")
    assert btcflow("data", "fetch", few).code == 0
    before = {path: path.read_bytes() for path in btcflow.store.rglob("*") if path.is_file()}
    more = btcflow.config(BYBIT, OKX, start="2024-05-01")
    refused = btcflow("data", "fetch", more, file_size=20_000)
    assert refused.code == 74
    assert refused.err.count("error: ") == 1
    assert "keeps what it had: check the free space" in refused.err
    bybit = {path: found for path, found in before.items() if "bybit" in path.parts}
    assert {path: path.read_bytes() for path in bybit} == bybit
    assert_whole(btcflow.store)
    assert btcflow("data", "fetch", more).code == 0
    got = Store(btcflow.store).read(SeriesKey("bybit", "BTCUSDT", "ohlcv", "5m")).frame
    until = NOW.floor("5min")
    assert_same(got, server.truth("bybit", "BTCUSDT", "ohlcv", "5m", since="2024-05-01", until=until))


def test_a_store_that_may_not_be_written_is_told_and_keeps_what_it_had(btcflow: CommandLine) -> None:
    assert btcflow("data", "fetch", btcflow.config(OKX, start="2024-06-14")).code == 0
    before = {path: path.read_bytes() for path in btcflow.store.rglob("*") if path.is_file()}
    in_the_way = btcflow.folder / "a file"
    in_the_way.touch()
    more = btcflow.config(OKX, start="2024-06-10")
    refused = btcflow("data", "fetch", more, "--store", in_the_way / "store")
    assert (refused.code, refused.err.count("error: ")) == (74, 1), refused.err
    assert str(in_the_way) in refused.err
    places = [btcflow.store, *btcflow.store.rglob("*")]
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        read_only = btcflow("data", "fetch", more, no_root=1)
    finally:
        for path in places:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert (read_only.code, read_only.err.count("error: ")) == (74, 1), read_only.err
    assert "the rights of the folder" in read_only.err
    assert {path: path.read_bytes() for path in btcflow.store.rglob("*") if path.is_file()} == before
    assert btcflow("data", "fetch", more).code == 0


# -- venues that fail ----------------------------------------------------------------------------------


def test_a_venue_that_shuts_us_out_fails_alone_with_advice_and_exit_69(tmp_path: Path, loaded: Loaded) -> None:
    script = {"bybit": (None, "451")}
    with VenueServer(now=NOW, faults=Faults(rate=0.0, script=script)) as server:
        btcflow = CommandLine(tmp_path, server.root, loaded)
        config = btcflow.config({**BYBIT, "kinds": ["ohlcv", "funding"]}, OKX, start="2024-06-01")
        failed = btcflow("data", "fetch", config)
        assert failed.code == 69
        assert {entry.key.venue for entry in Store(btcflow.store).entries()} == {"okx"}
        for kind, timeframe in (("ohlcv", "1h"), ("funding", "8h")):
            got = Store(btcflow.store).read(SeriesKey("okx", "BTC-USDT-SWAP", kind, timeframe)).frame
            assert_same(got, server.truth("okx", "BTC-USDT-SWAP", kind, timeframe, since="2024-06-01"))
        assert failed.err.count("error: ") == 1
        assert "2 of 4 series are not complete; what came is kept, and the same command goes on" in failed.err
        assert "bybit:BTCUSDT ohlcv 5m: bybit: status 451" in failed.err
        assert "`source: archive`" in failed.err
        assert failed.out.count("FAILED") == 2
        again = btcflow("data", "fetch", config, "--json")
        assert again.code == 0
        assert '"complete": true' in again.out
        assert btcflow.hosts == {"127.0.0.1"}


# -- bad input -----------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"venue": "binanse"}, 78, "no venue is called 'binanse'; did you mean 'binance'?"),
    ({"venue": "bitmex", "symbol": "XBTUSD"}, 78, "bitmex is closed or has no live connection here; import"),
    ({"symbol": "BTCUSTD"}, 78, "no binance instrument is called 'BTCUSTD'; did you mean 'BTCUSDT'?"),
    ({"kinds": ["fundng"]}, 78, "no kind of series is called 'fundng'; did you mean 'funding'?"),
    (
        {"venue": "coinbase", "symbol": "BTC/USD", "kinds": ["funding"]},
        69,
        "coinbase:BTC/USD tells no history of funding; those who do: binance:BTCUSDT",
    ),
    ({"start": "2018-01-01"}, 78, "2018-01-01 is before the listing of binance:BTCUSDT; expected 2019-09-10 or later"),
    ({"timeframes": ["3D"]}, 78, "binance:BTCUSDT has no 3D ohlcv; it has 1m, 5m"),
    ({"timeframes": ["1 hour"]}, 78, "'1 hour' is not a timeframe"),
    ({"start": "soon"}, 78, "got 'soon', expected a UTC day such as 2021-03-01"),
    ({"source": "cloud"}, 78, "source"),
]


@pytest.mark.parametrize(("bad", "code", "told"), BAD, ids=[str([*one[0].values()][-1]) for one in BAD])
def test_bad_input_is_one_clear_error_without_a_request_or_a_file(
    bad: dict[str, Any], code: int, told: str, btcflow: CommandLine, server: VenueServer
) -> None:
    wish = {"venue": "binance", "symbol": "BTCUSDT", "kinds": ["ohlcv"], "timeframes": ["1h"], **bad}
    refused = btcflow("data", "fetch", btcflow.config(OKX, wish, start="2024-01-01"))
    assert refused.code == code, refused.err
    assert refused.err.count("error: ") == 1
    assert told in refused.err
    assert re.search(r"wanted\.yaml:\d+:\d+: data\.datasets\.1\.", refused.err), refused.err
    assert "Traceback" not in refused.err
    assert refused.out == ""
    assert server.count() == 0
    assert not btcflow.store.exists()
