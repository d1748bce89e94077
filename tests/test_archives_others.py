"""Bybit's public files, Kraken's ZIPs and Tardis' free days, against truth made here."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from archive_server import HTML, Shelf, get, serving, zipped

from btcflow.archives import BybitPublic, KrakenZip, Note, Request, cross_check, ticker_day
from btcflow.archives.bybit import clock_ahead
from btcflow.archives.tardis import Ticker
from btcflow.data.epochs import epochs
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records, SeriesKey
from btcflow.data.venue_facts import facts
from btcflow.errors import BadRecords, ConfigError, MissingData, NotOffered, VenueUnavailable
from btcflow.instrument import Instrument

NOW = pd.Timestamp("2022-05-10", tz="UTC")
QUARTER = 900_000_000_000
HOUR = 4 * QUARTER


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def instrument(name: str) -> Instrument:
    found = facts(name)
    assert found is not None
    return found.instrument


def request(name: str, kind: str, timeframe: str, start: str, end: str) -> Request:
    return Request(
        instrument=instrument(name), kind=kind, timeframe=timeframe, start=at(start), end=at(end), lag=pd.Timedelta(0)
    )


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving() as found:
        yield found


def price(stamps: np.ndarray) -> np.ndarray:
    """A price that is a function of its time alone and never the same twice."""
    t = stamps / QUARTER
    return np.round(40_000 + 3_000 * np.sin(t / 90) + 50 * np.cos(t) + t % 13, 2)


def grid(start: str, end: str, step: int) -> np.ndarray:
    return np.arange(at(start).value, at(end).value, step)


def bars(name: str, timeframe: str, stamps: np.ndarray) -> Records:
    step = HOUR if timeframe == "1h" else QUARTER
    close = price(stamps + step)
    times = pd.to_datetime(stamps, unit="ns", utc=True)
    frame = {"stamp": times, "known_at": times + pd.Timedelta(step, unit="ns")}
    values = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": np.ones(len(stamps))}
    venue, _, symbol = name.partition(":")
    return Records(
        key=SeriesKey(venue, symbol, "ohlcv", timeframe),
        instrument=instrument(name),
        frame=pd.DataFrame(frame | values),
        source="truth",
    )


# -- Bybit -------------------------------------------------------------------------------------------

REFERENCE = bars("bybit:BTCUSDT", "1h", grid("2022-03-20", "2022-05-05", HOUR))
MONTH = request("bybit:BTCUSDT", "ohlcv", "15m", "2022-04-01", "2022-05-01")
FILE = "kline_for_metatrader4/BTCUSDT/2022/BTCUSDT_15_2022-04-01_2022-04-30.csv.gz"


def metatrader(ahead: int) -> bytes:
    """A month by a clock that is ``ahead`` hours ahead of UTC."""
    labels = grid("2022-04-01", "2022-05-01", QUARTER)
    stamps = labels - ahead * HOUR
    close = price(stamps + QUARTER)
    rows = [
        f"{pd.Timestamp(label):%Y.%m.%d %H:%M},{c},{c + 1},{c - 1},{c},2.5"
        for label, c in zip(labels, close.tolist(), strict=True)
    ]
    return gzip.compress("\n".join(rows).encode())


def bybit(shelf: Shelf, reference: Records | None = REFERENCE) -> BybitPublic:
    return BybitPublic(reference=reference, root=shelf.root, now=lambda: NOW)


@pytest.mark.parametrize("ahead", [0, 3, -5])
def test_whatever_clock_a_metatrader_file_has_its_bars_stand_in_utc(shelf: Shelf, ahead: int) -> None:
    shelf.files[FILE] = metatrader(ahead)
    [(records, provenance)] = bybit(shelf).series(MONTH, get)
    assert records.stamp.tolist() == (grid("2022-04-01", "2022-05-01", QUARTER) - ahead * HOUR).tolist()
    assert records.column("close").tolist() == price(records.stamp + QUARTER).tolist()
    assert provenance.endpoint.endswith(FILE)


def test_a_metatrader_file_that_fits_no_clock_or_every_clock_is_not_used(shelf: Shelf) -> None:
    ends = grid("2022-04-02", "2022-04-20", HOUR)
    with pytest.raises(BadRecords, match="no one clock fits"):
        clock_ahead(ends, price(ends) * 1.01, REFERENCE, name="other.csv")
    flat = replace(REFERENCE, frame=REFERENCE.frame.assign(close=40_000.0))
    with pytest.raises(BadRecords, match="no one clock fits"):
        clock_ahead(ends, np.full(len(ends), 40_000.0), flat, name="flat.csv")
    steps = np.floor(REFERENCE.ends / HOUR / 3) + 40_000.0
    stepped = replace(REFERENCE, frame=REFERENCE.frame.assign(close=steps))
    with pytest.raises(BadRecords, match="3 clocks make half of them so"):
        clock_ahead(REFERENCE.ends, steps, stepped, name="a price that moves every third hour.csv")
    with pytest.raises(BadRecords, match="cannot be checked"):
        clock_ahead(ends + 400 * 24 * HOUR, price(ends), REFERENCE, name="later.csv")
    with pytest.raises(NotOffered, match="reference of the clock"):
        next(bybit(shelf, None).series(MONTH, get))


def test_a_month_bybit_does_not_have_and_a_file_cut_off_are_told_apart(shelf: Shelf) -> None:
    notes: list[Note] = []
    assert list(bybit(shelf).series(MONTH, get, report=notes.append)) == []
    assert [one.what for one in notes] == ["missing_file"]
    for body in (metatrader(0)[:-20], HTML, b""):
        shelf.files[FILE] = metatrader(0)
        shelf.answers[FILE] = [(200, body)]
        assert len(list(bybit(shelf).series(MONTH, get))) == 1, "once is bad luck: it is asked for again"
        shelf.files[FILE] = body
        with pytest.raises(VenueUnavailable, match="not a whole gzip"):
            list(bybit(shelf).series(MONTH, get))


def test_minutes_of_the_premium_index_are_read_by_their_names(shelf: Shelf) -> None:
    minutes = grid("2019-10-01", "2019-10-02", QUARTER // 15)
    lines = ["symbol,start_at,period,open,high,low,close"]
    lines += [
        f"BTCUSD,{stamp // 1_000_000_000},1,0.0001,0.0003,-0.0002,{row * 1e-7!r}" for row, stamp in enumerate(minutes)
    ]
    key = "premium_index/BTCUSD/BTCUSD2019-10-01_premium_index.csv.gz"
    shelf.files[key] = gzip.compress("\n".join(lines).encode())
    wanted = request("bybit:BTCUSD", "premium_index", "1m", "2019-10-01", "2019-10-02")
    [(records, provenance)] = bybit(shelf).series(wanted, get)
    assert records.stamp.tolist() == minutes.tolist()
    assert records.column("close").tolist() == [row * 1e-7 for row in range(1440)]
    assert list(bybit(shelf).series(wanted, get, known={provenance.endpoint: provenance.upstream})) == []


# -- Kraken ------------------------------------------------------------------------------------------


def kraken(folder: Path, text: str, member: str = "XBTUSD_60.csv") -> KrakenZip:
    path = folder / "ohlcvt.zip"
    path.write_bytes(zipped(member, text))
    return KrakenZip(path=path, now=lambda: NOW)


HOURS = request("kraken:BTC/USD", "ohlcv", "1h", "2022-01-01", "2022-01-03")


def ohlcvt(stamps: np.ndarray) -> str:
    return "\n".join(
        f"{stamp // 1_000_000_000},{c},{c + 1},{c - 1},{c},0.5,3"
        for stamp, c in zip(stamps, price(stamps).tolist(), strict=True)
    )


def test_bars_without_a_trade_get_no_row_and_are_counted(tmp_path: Path) -> None:
    traded = np.delete(grid("2021-12-31", "2022-01-04", HOUR), [30, 31, 50])
    notes: list[Note] = []
    [(records, provenance)] = kraken(tmp_path, ohlcvt(traded)).series(HOURS, report=notes.append)
    inside = traded[(traded >= HOURS.start.value) & (traded < HOURS.end.value)]
    assert records.stamp.tolist() == inside.tolist()
    assert records.column("close").tolist() == price(inside).tolist()
    assert [(one.what, one.rows) for one in notes] == [("missing_rows", 3)]
    assert isinstance(provenance, Provenance)
    assert provenance.endpoint == "ohlcvt.zip#XBTUSD_60.csv"


def test_a_kraken_zip_that_is_absent_cut_or_without_the_pair_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no such file"):
        next(KrakenZip(path=tmp_path / "none.zip").series(HOURS))
    with pytest.raises(MissingData, match=r"no XBTUSD_60\.csv inside; did you mean 'XBTUSD_6\.csv'"):
        next(kraken(tmp_path, "1,1", "XBTUSD_6.csv").series(HOURS))
    archive = kraken(tmp_path, ohlcvt(grid("2022-01-01", "2022-01-03", HOUR)))
    archive.path.write_bytes(archive.path.read_bytes()[:200])
    with pytest.raises(BadRecords, match="not a whole ZIP"):
        next(archive.series(HOURS))


# -- Tardis ------------------------------------------------------------------------------------------

DAY = at("2022-01-01")
HEADER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,"
    "open_interest,last_price,index_price,mark_price"
)


def put_ticker(shelf: Shelf, exchange: str, *, interest: float, rate: float = 0.0001) -> None:
    """A message every minute; open interest rises by a unit a minute, and every other message leaves it out."""
    lines = [HEADER]
    for minute in range(1440):
        time = DAY.value // 1_000 + minute * 60_000_000 + 123
        due = DAY.value // 1_000 + (minute // 480 + 1) * 8 * 3_600_000_000
        told = f"{interest * (1 + minute / 1e5)!r}" if minute % 2 == 0 else ""
        lines.append(f"{exchange},X,{time},{time + 5},{due},{rate},,{told},47000.5,,47000.0")
    shelf.files[f"v1/{exchange}/derivative_ticker/2022/01/01/X.csv.gz"] = gzip.compress("\n".join(lines).encode())


def interest(what: Instrument, value: float) -> Records:
    stamps = pd.date_range(DAY, periods=25, freq="h")
    frame = {"stamp": stamps, "known_at": stamps, "value": value * (1 + np.arange(25) * 60 / 1e5)}
    key = SeriesKey(what.venue, what.symbol, "open_interest", "1h")
    return Records(key=key, instrument=what, frame=pd.DataFrame(frame), source="truth")


LINEAR = Instrument(venue="v", symbol="s", role="perp", quote="USDT", margin="linear", oi_unit="btc")


def day(shelf: Shelf, exchange: str = "x") -> Ticker:
    return ticker_day(exchange, "X", DAY, get, root=f"{shelf.root}v1/")


@pytest.mark.parametrize(
    ("what", "stored", "fits"),
    [
        (LINEAR, 50_000.0, ""),
        (replace(LINEAR, oi_unit="usd"), 50_000.0 * 47_000, ""),
        (replace(LINEAR, oi_unit="usd"), 50_000.0, "btc"),
        (LINEAR, 50_000.0 * 47_000, "usd"),
        (LINEAR, 5_000_000.0, "contract of 0.01 BTC"),
        (LINEAR, 100_000.0, "btc, both sides counted"),
        (
            replace(LINEAR, oi_unit="contract", contract_size=100.0, contract_ccy="USD"),
            50_000.0 * 4_700,
            "contract of 10 USD",
        ),
    ],
)
def test_the_check_says_which_unit_stored_open_interest_is_really_in(
    shelf: Shelf, what: Instrument, stored: float, fits: str
) -> None:
    put_ticker(shelf, "x", interest=50_000.0)
    check = cross_check(interest(what, stored), day(shelf), native=LINEAR)
    assert (check.agrees, check.fits) == (fits == "", fits)
    assert check.pairs == 24, "the first midnight has no message before it"
    assert (abs(check.ratio - 1) < 0.001) is check.agrees
    assert check.agrees or (fits in check.verdict and f"oi_unit: {what.oi_unit}" in check.verdict)


def test_a_ticker_whose_own_unit_cannot_be_is_named_instead(shelf: Shelf) -> None:
    put_ticker(shelf, "x", interest=2.35e9)
    check = cross_check(interest(LINEAR, 50_000.0), day(shelf), native=LINEAR)
    assert not check.agrees
    assert "unit taken for the ticker, btc, is wrong" in check.verdict


@pytest.mark.parametrize(
    ("factor", "fits"), [(1.0, ""), (100.0, "percent"), (10_000.0, "basis points"), (8.0, "per 8 hours")]
)
def test_the_check_says_in_what_stored_rates_are(shelf: Shelf, factor: float, fits: str) -> None:
    put_ticker(shelf, "x", interest=1.0, rate=0.00005)
    stamps = pd.date_range(DAY, periods=4, freq="8h")
    frame = {"stamp": stamps, "known_at": stamps, "rate": 0.00005 * factor, "spacing_hours": 8.0, "rate_hours": 8.0}
    stored = Records(
        key=SeriesKey("v", "s", "funding", "8h"), instrument=LINEAR, frame=pd.DataFrame(frame), source="truth"
    )
    check = cross_check(stored, day(shelf))
    assert (check.agrees, check.fits, check.pairs) == (fits == "", fits, 3)


def test_a_day_that_costs_money_or_is_not_there_or_is_another_is_said(shelf: Shelf) -> None:
    with pytest.raises(ConfigError, match="only the first day of a month"):
        ticker_day("x", "X", at("2022-01-02"), get, root=shelf.root)
    with pytest.raises(MissingData, match="no such file"):
        day(shelf)
    put_ticker(shelf, "x", interest=1.0)
    later = interest(LINEAR, 1.0)
    later = replace(later, frame=later.frame.assign(stamp=later.frame["stamp"] + pd.Timedelta(days=9)))
    with pytest.raises(BadRecords, match="same day"):
        cross_check(later, day(shelf))
    with pytest.raises(BadRecords, match="open_interest or funding"):
        cross_check(REFERENCE, day(shelf))


# -- times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_the_size_of_a_time_says_its_unit_from_2009_to_2100(unit: int) -> None:
    for year in (2009, 2017, 2024, 2025, 2099):
        stamp = pd.Timestamp(f"{year}-06-01", tz="UTC").value
        assert epochs(np.array([str(stamp // unit)]), "x").tolist() == [stamp]
