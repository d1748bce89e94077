"""Fetching from loopback venues: whole, exact, the same under faults, resumable, and honest about what failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archive_server import serving
from archives_of_truth import archived_day, archived_minutes
from venue_server.compare import assert_same
from venue_server.faults import Faults
from venue_server.server import VenueServer
from venue_server.truth import Market

from btcflow.data.records import SeriesKey
from btcflow.data.store import Store
from btcflow.errors import ConfigError, VenueUnavailable
from btcflow.fetch.asking import Surroundings
from btcflow.fetch.ccxt_door import VENUE_BASE, client_of
from btcflow.fetch.plan import Plan, plan_of
from btcflow.fetch.progress import FetchEvent, FetchReport
from btcflow.fetch.record import keep_recording
from btcflow.fetch.run import carry_out
from btcflow.fetch.venue_api import VENUE_APIS, VenueApis
from btcflow.fetch.wish import DatasetWish
from btcflow.terminal.fetching import fetch_document, fetch_text, fetched, recorded

START = "2024-05-26"
NOW = pd.Timestamp("2024-06-15T10:20:30", tz="UTC")


class World:
    """A world whose time passes only in sleep, around one server."""

    def __init__(self, server: VenueServer) -> None:
        self._server, self._slept = server, 0.0

    @property
    def around(self) -> Surroundings:
        return Surroundings(
            base=f"http://127.0.0.1:{self._server.port}",
            limited=False,
            now=lambda: int(self._server.now.value),
            clock=lambda: self._slept,
            sleep=self._sleep,
            chance=lambda: 0.5,
        )

    def _sleep(self, seconds: float) -> None:
        self._slept += seconds


def everything(*venues: str) -> Plan:
    wishes = [
        DatasetWish(venue=venue, symbol=one.symbol, kinds=tuple(one.series))
        for venue in venues
        for one in VENUE_APIS.get(venue).instruments
    ]
    return plan_of(wishes, start=START)


def one_series(**changes: Any) -> Plan:
    return plan_of(
        [DatasetWish(**{"venue": "bybit", "symbol": "BTCUSDT", "kinds": ("ohlcv",), **changes})], start=START
    )


def fetched_from(server: VenueServer, plan: Plan, store: Store, **more: Any) -> FetchReport:
    return carry_out(plan, store, world=World(server).around, **more)


def assert_true(server: VenueServer, store: Store, report: FetchReport) -> None:
    """Every series is the truth, from the later of the start and what the venue still tells."""
    for one in report.series:
        assert one.failed is None, one
        got = store.read(one.key).frame
        first = got["stamp"].iloc[0]
        kept = any("keeps" in note for note in one.notes)
        assert kept or first < pd.Timestamp(START, tz="UTC") + pd.Timedelta(hours=9), one.key
        what = one.key
        assert_same(
            got, server.truth(what.venue, what.symbol, what.kind, what.timeframe, since=first if kept else START)
        )


def parquet_of(store: Store) -> dict[str, str]:
    return {
        path.relative_to(store.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.path.rglob("*.parquet")
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def server() -> Iterator[VenueServer]:
    with VenueServer(now=NOW) as found:
        yield found


# -- whole and exact ---------------------------------------------------------------------------------

GROUPS = (("binance", "coinbase", "bitstamp"), ("bybit", "gate", "bitget"), ("okx", "kraken", "htx"))
SLOW = ("deribit", "bitfinex", "hyperliquid")


@pytest.mark.parametrize("venues", [*GROUPS, SLOW], ids="+".join)
def test_a_fifth_of_all_requests_may_fail_and_every_row_is_there_in_the_same_bytes(
    venues: tuple[str, ...], tmp_path: Path
) -> None:
    plan = everything(*venues)
    stores = [Store(tmp_path / name) for name in ("calm", "storm")]
    for store, faults in zip(stores, (None, Faults(rate=0.2, seed=5, slow=0.01)), strict=True):
        with VenueServer(now=NOW, faults=faults) as server:
            report = fetched_from(server, plan, store)
            assert server.strays == ()
            assert server.errors == []
            assert_true(server, store, report)
            assert any(hit.fault for hit in server.log) == (faults is not None)
    assert parquet_of(stores[0]) == parquet_of(stores[1])


@pytest.mark.parametrize("venue", ["binance", "okx", "deribit"])
def test_a_second_run_asks_for_the_overlap_alone_and_changes_nothing(
    venue: str, server: VenueServer, store: Store
) -> None:
    plan = everything(venue)
    fetched_from(server, plan, store)
    before = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}
    server.forget()
    again = fetched_from(server, plan, store)
    assert all(one.added == one.revised == 0 for one in again.series)
    assert server.count() <= len(plan.jobs) + 1, "one request for each job, and one for the time"
    assert {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()} == before


def test_what_comes_later_joins_what_is_there(server: VenueServer, store: Store) -> None:
    plan = one_series(kinds=("ohlcv", "funding", "open_interest"))
    server.set_now("2024-05-30T03:30:00")
    fetched_from(server, plan, store)
    server.set_now(NOW)
    report = fetched_from(server, plan, store)
    assert all(one.added for one in report.series)
    assert_true(server, store, report)


def test_an_earlier_start_asks_for_what_lies_before(server: VenueServer, store: Store) -> None:
    late = plan_of([DatasetWish(venue="bybit", symbol="BTCUSDT", kinds=("ohlcv", "funding"))], start="2024-06-05")
    fetched_from(server, late, store)
    plan = one_series(kinds=("ohlcv", "funding"))
    report = fetched_from(server, plan, store)
    assert_true(server, store, report)
    server.forget()
    fetched_from(server, plan, store)
    assert server.count() == 3


# -- the traps of the table ---------------------------------------------------------------------------


def test_units_are_the_instruments_own_whatever_the_venue_counts(server: VenueServer, store: Store) -> None:
    """Deribit's hourly interest is not the sum of eight, COIN-M counts contracts, inverse volumes are dollars."""
    plan = plan_of(
        [
            DatasetWish(venue="deribit", symbol="BTC-PERPETUAL", kinds=("funding",)),
            DatasetWish(venue="binance", symbol="BTCUSD_PERP", kinds=("ohlcv", "open_interest")),
        ],
        start="2024-06-10",
    )
    fetched_from(server, plan, store)
    rates = store.read(SeriesKey("deribit", "BTC-PERPETUAL", "funding", "1h"))
    assert set(rates.column("rate_hours")) == {1.0}
    truth = server.truth("deribit", "BTC-PERPETUAL", "funding", "1h", since="2024-06-10")
    assert rates.column("rate").sum() == pytest.approx(truth["rate"].sum())
    interest = store.read(SeriesKey("binance", "BTCUSD_PERP", "open_interest", "1h"))
    assert (interest.instrument.oi_unit, interest.instrument.contract_size) == ("contract", 100)
    assert interest.column("value").min() > 1_000_000, "contracts of 100 dollars, not BTC"


def test_settlements_stamped_late_stand_on_their_minute_with_the_hours_they_cover(
    server: VenueServer, store: Store
) -> None:
    plan = plan_of([DatasetWish(venue="bybit", symbol="BTCUSDT", kinds=("funding",))], start="2024-04-20")
    fetched_from(server, plan, store)
    funding = store.read(SeriesKey("bybit", "BTCUSDT", "funding", "8h"))
    change = pd.Timestamp("2024-05-10T08:00", tz="UTC").value
    assert (funding.stamp % (60 * 10**9) == 0).all()
    assert set(funding.column("spacing_hours")[funding.stamp <= change]) == {8.0}
    assert set(funding.column("spacing_hours")[funding.stamp > change]) == {4.0}
    assert np.array_equal(funding.column("rate_hours"), funding.column("spacing_hours"))


def test_the_bar_that_still_runs_is_left_out_by_the_venues_clock_and_not_ours(store: Store) -> None:
    with VenueServer(now="2024-06-15T10:59:58", skew={"bybit": 3.0}) as server:
        fetched_from(server, one_series(), store)
        last = store.entries()[0].last
    assert last == pd.Timestamp("2024-06-15T09:00", tz="UTC"), "11:00:01 there: within the grace of five seconds"


def test_a_revised_bar_is_taken_from_the_overlap(store: Store) -> None:
    script = {"bybit": (None, "revised")}
    with VenueServer(now=NOW, faults=Faults(rate=0.0, script=script)) as server:
        fetched_from(server, one_series(), store)
        report = fetched_from(server, one_series(), store)
        assert report.series[0].revised == 1
        assert_true(server, store, report)


def test_a_listing_that_is_later_than_thought_is_found(store: Store) -> None:
    market = Market(listed={"bybit:BTCUSDT": "2024-06-08T05:00"})
    with VenueServer(now=NOW, market=market, faults=Faults(rate=0.2, seed=3, slow=0.01)) as server:
        fetched_from(server, one_series(timeframes=("15m",)), store)
        got = store.read(SeriesKey("bybit", "BTCUSDT", "ohlcv", "15m")).frame
        assert_same(got, server.truth("bybit", "BTCUSDT", "ohlcv", "15m", since=START))
    assert got["stamp"].iloc[0] == pd.Timestamp("2024-06-08T05:00", tz="UTC")


def test_samples_become_settlements_and_readings_at_a_bars_end(server: VenueServer, store: Store) -> None:
    """Bitfinex tells a sample a minute: the rate is of the period that runs, and ends with it."""
    wish = DatasetWish(venue="bitfinex", symbol="tBTCF0:USTF0", kinds=("funding", "open_interest"), timeframes=("4h",))
    for start in ("2024-06-13", "2024-06-11T08:00"):
        report = fetched_from(server, plan_of([wish], start=start), store)
        assert [one.failed for one in report.series] == [None, None]
    for kind, timeframe, begin in (("funding", "8h", "2024-06-11T08:00"), ("open_interest", "4h", "2024-06-11T08:00")):
        got = store.read(SeriesKey("bitfinex", "tBTCF0:USTF0", kind, timeframe))
        truth = server.truth("bitfinex", "tBTCF0:USTF0", kind, timeframe, since=begin)
        assert_same(got.frame, truth)
        assert got.frame["stamp"].iloc[-1] == NOW.floor(timeframe), "the period that runs has no row yet"
    server.set_now("2024-06-15T15:58:30")
    fetched_from(server, plan_of([wish], start="2024-06-11T08:00"), store)
    rates = store.read(SeriesKey("bitfinex", "tBTCF0:USTF0", "funding", "8h")).frame
    assert rates["stamp"].iloc[-1] == NOW.floor("8h"), "two minutes before a settlement it is still to come"
    server.set_now(NOW)
    again = fetched_from(server, plan_of([wish], start="2024-06-11T08:00"), store)
    assert [(one.added, one.revised) for one in again.series] == [(0, 0), (0, 0)]
    assert all("the venue tells samples" in one.notes[0] for one in again.series)


REACHES = [
    ("binance", "BTCUSDT", "open_interest", "1h"),
    ("binance", "BTCUSD_PERP", "open_interest", "1h"),
    ("okx", "BTC-USDT-SWAP", "funding", "8h"),
    ("okx", "BTC-USDT-SWAP", "open_interest", "1h"),
    ("gate", "BTC_USDT", "mark", "5m"),
    ("gate", "BTC/USDT", "ohlcv", "5m"),
    ("kraken", "PF_XBTUSD", "funding", "1h"),
    ("kraken", "BTC/USD", "ohlcv", "1h"),
    ("htx", "BTC-USD", "open_interest", "1h"),
    ("hyperliquid", "BTC", "ohlcv", "1h"),
]


@pytest.mark.parametrize(("venue", "symbol", "kind", "timeframe"), REACHES, ids=[" ".join(one) for one in REACHES])
def test_a_series_goes_back_as_far_as_the_venue_tells(
    venue: str, symbol: str, kind: str, timeframe: str, server: VenueServer, store: Store
) -> None:
    wish = DatasetWish(venue=venue, symbol=symbol, kinds=(kind,), timeframes=(timeframe,))
    plan = plan_of([wish], start="2023-06-01")
    report = fetched_from(server, plan, store)
    assert report.series[0].failed is None
    first = store.entries()[0].first
    assert first < server.reach(venue, symbol, kind, timeframe) + 2 * pd.Timedelta(timeframe)
    got = store.read(store.entries()[0].key).frame
    assert_same(got, server.truth(venue, symbol, kind, timeframe, since=first))
    server.forget()
    assert fetched_from(server, plan, store).series[0].added == 0
    assert server.count() <= 2, "the overlap, and the time"


def test_a_venue_that_keeps_less_than_is_known_of_it_is_asked_from_a_little_later(
    server: VenueServer, store: Store, tmp_path: Path
) -> None:
    shipped = Path(str(VENUE_APIS._folder)) / "gate.yaml"
    more = shipped.read_text("utf-8").replace("keeps_rows: 10000", "keeps_rows: 10300")
    (tmp_path / "gate.yaml").write_text(more, "utf-8")
    wish = DatasetWish(venue="gate", symbol="BTC_USDT", kinds=("ohlcv",), timeframes=("5m",))
    plan = plan_of([wish], start="2024-01-01", apis=VenueApis(tmp_path))
    report = fetched_from(server, plan, store)
    assert report.series[0].failed is None
    assert report.series[0].added > 9_000
    assert sum(hit.status == 400 for hit in server.log) == 2


# -- what fails --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["451", "403_country"])
def test_a_geo_block_ends_its_venue_and_the_others_go_on(fault: str, store: Store) -> None:
    wishes = [
        DatasetWish(venue=venue, symbol=symbol, kinds=("ohlcv", "funding"))
        for venue, symbol in (("bybit", "BTCUSDT"), ("okx", "BTC-USDT-SWAP"))
    ]
    plan = plan_of(wishes, start="2024-06-01")
    with VenueServer(now=NOW, faults=Faults(rate=0.0, script={"bybit": (None, fault)})) as server:
        report = fetched_from(server, plan, store)
        assert [one.key.venue for one in report.failed] == ["bybit", "bybit"]
        assert server.count("bybit") == 2, "the time, and the one that was blocked"
        with pytest.raises(VenueUnavailable, match="2 of 4 series are not complete; what came is kept") as error:
            report.raise_failures()
        assert error.value.exit_code == 69
        assert "source: archive" in str(error.value)
        assert "FAILED" in fetch_text(report)
        again = fetched_from(server, plan, store)
    again.raise_failures()
    assert [one.added > 0 for one in again.series] == [True, True, False, False]


def test_what_came_before_a_failure_is_kept_and_the_next_run_goes_on(store: Store) -> None:
    script = {"bybit": (None, None, *["500"] * 9)}
    with VenueServer(now=NOW, faults=Faults(rate=0.0, script=script)) as server:
        plan = one_series(timeframes=("15m",))
        report = fetched_from(server, plan, store)
        assert "9 tries" in str(report.series[0].failed)
        assert report.series[0].added == 991, "a page of 1000, less one that keeps it from being full, less a hole"
        again = fetched_from(server, plan, store)
        assert again.series[0].failed is None
        got = store.read(SeriesKey("bybit", "BTCUSDT", "ohlcv", "15m")).frame
        assert_same(got, server.truth("bybit", "BTCUSDT", "ohlcv", "15m", since=START))


def test_an_instrument_that_is_gone_fails_alone(store: Store) -> None:
    with VenueServer(now=NOW, gone={"bybit:BTCUSD"}) as server:
        report = fetched_from(server, everything("bybit"), store)
    assert {one.key.symbol for one in report.failed} == {"BTCUSD"}


def test_a_contract_a_venue_does_not_know_is_refused_at_once_however_it_says_so(store: Store) -> None:
    with VenueServer(now=NOW, gone={"htx:BTC-USDT"}) as server:
        report = fetched_from(server, everything("htx"), store)
        assert server.count("htx", "v5/market/funding_rate_history") == 1
        assert server.count("htx", "linear-swap-ex/market/history/kline") == 1
    assert {one.key.symbol for one in report.failed} == {"BTC-USDT"}
    assert any("The contract doesn't exist" in str(one.failed) for one in report.failed)


def test_an_interrupt_ends_every_thread_and_keeps_what_was_committed(server: VenueServer, store: Store) -> None:
    def interrupt(event: FetchEvent) -> None:
        if event.rows > 2000:
            raise KeyboardInterrupt

    plan = one_series(timeframes=("5m",))
    with pytest.raises(KeyboardInterrupt):
        fetched_from(server, plan, store, on_event=interrupt)
    report = fetched_from(server, plan, store)
    got = store.read(report.series[0].key).frame
    assert_same(got, server.truth("bybit", "BTCUSDT", "ohlcv", "5m", since=START))


def test_a_client_that_is_pointed_at_loopback_goes_nowhere_else(server: VenueServer) -> None:
    with client_of("bybit", base=f"http://127.0.0.1:{server.port}", limited=False) as client:
        client._exchange.urls["api"]["public"] = "https:" + "//api.example.com"
        with pytest.raises(ConfigError, match=f"{VENUE_BASE} allows 127"):
            client.call("publicGetV5MarketTime", {})
    assert server.count() == 0


# -- archives ----------------------------------------------------------------------------------------


def test_the_archives_days_and_what_the_exchange_tells_are_one_series(server: VenueServer, store: Store) -> None:
    wanted = DatasetWish(venue="binance", symbol="BTCUSDT", kinds=("ohlcv",), source="archive", end="2024-06-14")
    with serving() as shelf:
        for day in ("2024-06-12", "2024-06-13"):
            shelf.put(f"data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip", archived_day(server, day))
        world = Surroundings(base=shelf.url, now=lambda: NOW.value)
        report = carry_out(plan_of([wanted], start="2024-06-12"), store, world=world)
        assert (report.series[0].failed, report.series[0].added) == (None, 48)
        again = carry_out(plan_of([wanted], start="2024-06-12"), store, world=world)
        assert (again.series[0].failed, again.series[0].added) == (None, 0)
    live = DatasetWish(venue="binance", symbol="BTCUSDT", kinds=("ohlcv",))
    after = fetched_from(server, plan_of([live], start="2024-06-12"), store)
    assert after.series[0].added == 34
    assert_same(store.read(after.series[0].key).frame, server.truth("binance", "BTCUSDT", "ohlcv", since="2024-06-12"))


def test_a_venue_without_an_archive_says_who_has_one(server: VenueServer, store: Store) -> None:
    report = fetched_from(server, one_series(source="archive"), store)
    told = str(report.series[0].failed)
    assert "bybit:BTCUSDT ohlcv 1h: no public archive that is read here has it (binance tells every kind " in told
    assert told.endswith("expected source: rest")


def test_a_file_that_told_nothing_new_is_not_asked_for_again(server: VenueServer, store: Store) -> None:
    live = DatasetWish(venue="binance", symbol="BTCUSDT", kinds=("ohlcv",), end="2024-06-14")
    fetched_from(server, plan_of([live], start="2024-06-12"), store)
    key = SeriesKey("binance", "BTCUSDT", "ohlcv", "1h")
    vintage = store.manifest(key).latest
    wanted = plan_of([live.model_copy(update={"source": "archive"})], start="2024-06-12")
    days = [f"data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip" for day in ("2024-06-12", "2024-06-13")]
    with serving() as shelf:
        for day in days:
            shelf.put(day, archived_day(server, day[-14:-4]))
        world = Surroundings(base=shelf.url, now=lambda: NOW.value)
        first, again = (carry_out(wanted, store, world=world).series[0] for _ in range(2))
        assert (first.failed, first.added, again.failed, again.added) == (None, 0, None, 0)
        assert [shelf.asked[day] for day in days] == [1, 1]
        assert store.manifest(key).latest == vintage, "no rows, no vintage"
        shelf.put(days[0], archived_day(server, "2024-06-12", times=1.5), modified="2024-07-01T00:00:00.000Z")
        anew, again = (carry_out(wanted, store, world=world).series[0] for _ in range(2))
        assert (anew.failed, anew.revised, again.revised) == (None, 24, 0)
        assert [shelf.asked[day] for day in days] == [2, 1], "it was published anew, and merged once"


def test_the_minutes_of_bybits_index_come_from_its_public_files(server: VenueServer, store: Store) -> None:
    wish = DatasetWish(
        venue="bybit", symbol="BTCUSD", kinds=("premium_index",), timeframes=("1m",), source="archive", end="2024-06-03"
    )
    with serving() as shelf:
        shelf.files["public.bybit.com/premium_index/BTCUSD/BTCUSD2024-06-02_premium_index.csv.gz"] = archived_minutes(
            server, "2024-06-02"
        )
        world = Surroundings(base=shelf.url, now=lambda: NOW.value)
        for added in (1440, 0):
            report = carry_out(plan_of([wish], start="2024-06-02"), store, world=world)
            assert (report.series[0].failed, report.series[0].added) == (None, added)
        assert sum(count for path, count in shelf.asked.items() if path.endswith(".gz")) == 1
    truth = server.truth("bybit", "BTCUSD", "premium_index", "1m", since="2024-06-02", until="2024-06-03")
    assert_same(store.read(report.series[0].key).frame, truth)


# -- recording ---------------------------------------------------------------------------------------


def test_a_recording_appends_what_is_told_of_the_present_alone(server: VenueServer, store: Store) -> None:
    wishes = [
        DatasetWish(venue=venue, symbol=symbol, kinds=("ohlcv", "open_interest"))
        for venue, symbol in (("deribit", "BTC-PERPETUAL"), ("hyperliquid", "BTC"), ("bitget", "BTCUSDT"))
    ]
    plan = plan_of(wishes, start=START, every="5m")
    rounds: list[float] = []

    def pass_on(seconds: float) -> None:
        rounds.append(seconds)
        server.set_now(server.now + pd.Timedelta(seconds=seconds))

    around = World(server).around
    world = Surroundings(base=around.base, limited=False, now=around.now, clock=around.clock, sleep=pass_on)
    report = keep_recording(plan, store, every="5m", count=3, world=world)
    assert rounds == [270.0, 300.0], "rounds begin at multiples of five minutes"
    assert [(str(one.key), one.added) for one in report.series] == [
        ("deribit:BTC-PERPETUAL open_interest 5m", 3),
        ("hyperliquid:BTC open_interest 5m", 3),
        ("bitget:BTCUSDT open_interest 5m", 3),
    ]
    for one in report.series:
        rows = store.read(one.key)
        assert np.array_equal(rows.known_at, rows.stamp), "known when it was asked for"
        assert rows.column("value").min() > 1000


# -- the command line --------------------------------------------------------------------------------


def test_the_live_config_is_fetched_by_the_command_with_lines_and_a_table(
    server: VenueServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VENUE_BASE, f"http://127.0.0.1:{server.port}")
    report = fetched("real_live", overrides=["data.start=2024-06-10"], store=tmp_path)
    report.raise_failures()
    told = capsys.readouterr()
    assert told.out == ""
    assert "12 of 12  " in told.err
    document = fetch_document(report)
    assert json.loads(json.dumps(document))["complete"] is True
    assert len(Store(tmp_path).entries()) == len(document["series"]) == 12
    assert fetch_text(report).splitlines()[0].split() == ["series", "rows", "new", "revised", "missing", "requests"]
    again = recorded("real_live", every="1h", count=1, overrides=[BINANCE_ALONE], store=tmp_path)
    assert [str(one.key) for one in again.series] == ["binance:BTCUSDT open_interest 1h"]


BINANCE_ALONE = "data.datasets=[{venue: binance, symbol: BTCUSDT, kinds: [open_interest]}]"


def test_a_simulated_market_has_nothing_to_fetch() -> None:
    with pytest.raises(ConfigError, match=r"data\.source: data is simulated: there is nothing to fetch"):
        fetched("demo")
