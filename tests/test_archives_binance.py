"""Binance Vision against a loopback bucket: every row that was published, once, where and when it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archive_server import HTML, Shelf, get, serving

from btcflow.archives import BinanceVision, Note, Request
from btcflow.archives.binance_files import KLINE, METRICS
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records
from btcflow.data.venue_facts import facts
from btcflow.errors import BadRecords, NotOffered, VenueUnavailable

NOW = pd.Timestamp("2024-03-05 09:30", tz="UTC")
HOUR = 3_600_000_000_000
FIVE = HOUR // 12


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving() as found:
        yield found


def vision(shelf: Shelf, *, now: pd.Timestamp = NOW, workers: int = 1) -> BinanceVision:
    return BinanceVision(root=shelf.root, bucket=shelf.bucket, now=lambda: now, workers=workers)


def asked(symbol: str, kind: str, timeframe: str, start: str, end: str, **changes: Any) -> Request:
    found = facts(f"binance:{symbol}")
    assert found is not None
    lag = changes.pop("lag", pd.Timedelta(0))
    return Request(
        instrument=replace(found.instrument, **changes),
        kind=kind,
        timeframe=timeframe,
        start=at(start),
        end=at(end),
        lag=lag,
    )


@dataclass
class Delivered:
    pairs: list[tuple[Records, Provenance]]
    notes: list[Note]
    error: Exception | None = None

    @property
    def stamps(self) -> np.ndarray:
        return np.concatenate([one.stamp for one, _ in self.pairs]) if self.pairs else np.zeros(0, np.int64)

    def column(self, name: str) -> np.ndarray:
        return np.concatenate([one.column(name) for one, _ in self.pairs])

    def told(self, what: str) -> list[Note]:
        return [one for one in self.notes if one.what == what]

    @property
    def known(self) -> dict[str, str]:
        return {one.endpoint: one.upstream for _, one in self.pairs}


def delivered(archive: BinanceVision, request: Request, *, known: dict[str, str] | None = None) -> Delivered:
    """Everything an archive gives, its error included."""
    result = Delivered([], [])
    try:
        for pair in archive.series(request, get, known=known or {}, report=result.notes.append):
            result.pairs.append(pair)
    except (VenueUnavailable, BadRecords) as error:
        result.error = error
    return result


# -- truth: what the exchange had --------------------------------------------------------------------


def hours(start: str, end: str) -> np.ndarray:
    index = pd.date_range(at(start), at(end), freq="h", inclusive="left")
    return index.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)


def bars_at(stamps: np.ndarray, seed: int = 1) -> dict[str, np.ndarray]:
    """Bars that are a function of their time alone, so that any cut of a series is the series' own."""
    t = stamps / HOUR + seed
    close = np.round(40_000 + 5_000 * np.sin(t / 50) + 100 * np.cos(t * 7), 1)
    return {
        "open": close - 10,
        "high": close + 30.5,
        "low": close - 25.25,
        "close": close,
        "volume": np.round(100 + 50 * np.abs(np.sin(t)), 3),
        "buy": np.round(40 + 20 * np.abs(np.sin(t * 3)), 3),
    }


def klines(stamps: np.ndarray, *, unit: int = 1_000_000, header: bool = False, coin: bool = False) -> str:
    """The CSV of some hours; ``coin``: COIN-M, whose second volume column is BTC."""
    bars = bars_at(stamps)
    lines = [",".join(KLINE)] if header else []
    for row, stamp in enumerate(stamps):
        o, h, low, c, v, b = (float(bars[name][row]) for name in ("open", "high", "low", "close", "volume", "buy"))
        amounts = (v * c / 100, v, b * c / 100, b) if coin else (v, v * c, b, b * c)
        first, second, taker, taker_other = amounts
        times = (stamp // unit, (stamp + HOUR) // unit - 1)
        lines.append(f"{times[0]},{o},{h},{low},{c},{first!r},{times[1]},{second!r},60,{taker!r},{taker_other!r},0")
    return "\n".join(lines) + "\n"


def month_key(month: str, place: str = "futures/um", folder: str = "klines", symbol: str = "BTCUSDT") -> str:
    return f"data/{place}/monthly/{folder}/{symbol}/1h/{symbol}-1h-{month}.zip"


def day_key(day: str, place: str = "futures/um", folder: str = "klines", symbol: str = "BTCUSDT") -> str:
    return f"data/{place}/daily/{folder}/{symbol}/1h/{symbol}-1h-{day}.zip"


def publish(shelf: Shelf, *, header: bool = False, days: tuple[str, ...] = ("2024-03-01", "2024-03-02")) -> None:
    """January and February as months, the first days of March as days."""
    for month, after in (("2024-01", "2024-02-01"), ("2024-02", "2024-03-01")):
        shelf.put(month_key(month), klines(hours(f"{month}-01", after), header=header))
    for day in days:
        shelf.put(day_key(day), klines(hours(day, str(at(day) + pd.Timedelta(days=1)))[:24], header=header))


BARS = asked("BTCUSDT", "ohlcv", "1h", "2024-01-01", "2024-03-05")


# -- bars --------------------------------------------------------------------------------------------


def test_months_and_then_days_give_every_bar_once_and_equal_to_the_truth(shelf: Shelf) -> None:
    publish(shelf)
    found = delivered(vision(shelf), BARS)
    truth = hours("2024-01-01", "2024-03-03")
    assert found.error is None
    assert found.stamps.tolist() == truth.tolist()
    for name in ("open", "high", "low", "close", "volume"):
        assert found.column(name).tolist() == bars_at(truth)[name].tolist(), name
    assert [one.frame["known_at"].iloc[0] for one, _ in found.pairs] == [
        one.frame["stamp"].iloc[0] + pd.Timedelta(hours=1) for one, _ in found.pairs
    ]
    assert len(found.pairs) == 4


def test_threads_change_neither_rows_nor_order(shelf: Shelf) -> None:
    publish(shelf)
    alone, several = delivered(vision(shelf), BARS), delivered(vision(shelf, workers=4), BARS)
    assert alone.stamps.tolist() == several.stamps.tolist()
    assert [one.endpoint for _, one in alone.pairs] == [one.endpoint for _, one in several.pairs]


def test_a_header_and_microseconds_change_nothing_but_the_file(shelf: Shelf) -> None:
    publish(shelf)
    plain = delivered(vision(shelf), BARS)
    publish(shelf, header=True)
    headed = delivered(vision(shelf), BARS)
    shelf.put(month_key("2024-02"), klines(hours("2024-02-01", "2024-03-01"), unit=1_000, header=True))
    micro = delivered(vision(shelf), BARS)
    for other in (headed, micro):
        assert other.stamps.tolist() == plain.stamps.tolist()
        assert other.column("close").tolist() == plain.column("close").tolist()


@pytest.mark.parametrize(
    ("symbol", "kind", "place", "folder", "file"),
    [
        ("BTC/USDT", "ohlcv", "spot", "klines", "BTCUSDT"),
        ("BTCUSD_PERP", "index", "futures/cm", "indexPriceKlines", "BTCUSD"),
        ("BTCUSD_PERP", "mark", "futures/cm", "markPriceKlines", "BTCUSD_PERP"),
        ("BTCUSDT", "mark", "futures/um", "markPriceKlines", "BTCUSDT"),
        ("BTCUSDT", "premium_index", "futures/um", "premiumIndexKlines", "BTCUSDT"),
    ],
)
def test_each_kind_of_each_market_lies_in_its_own_folder(
    shelf: Shelf, symbol: str, kind: str, place: str, folder: str, file: str
) -> None:
    day = hours("2024-03-01", "2024-03-02")
    shelf.put(day_key("2024-03-01", place, folder, file), klines(day))
    found = delivered(vision(shelf), asked(symbol, kind, "1h", "2024-03-01", "2024-03-02"))
    assert found.error is None
    assert found.stamps.tolist() == day.tolist()
    assert found.column("close").tolist() == bars_at(day)["close"].tolist()


@pytest.mark.parametrize(
    ("symbol", "place", "coin"), [("BTCUSDT", "futures/um", False), ("BTCUSD_PERP", "futures/cm", True)]
)
def test_volume_and_taker_volume_are_btc_in_both_markets(shelf: Shelf, symbol: str, place: str, coin: bool) -> None:
    day = hours("2024-03-01", "2024-03-02")
    shelf.put(day_key("2024-03-01", place, symbol=symbol), klines(day, coin=coin, header=True))
    volume = delivered(vision(shelf), asked(symbol, "ohlcv", "1h", "2024-03-01", "2024-03-02"))
    taker = delivered(vision(shelf), asked(symbol, "taker_volume", "1h", "2024-03-01", "2024-03-02"))
    assert volume.column("volume").tolist() == bars_at(day)["volume"].tolist()
    assert taker.column("buy").tolist() == bars_at(day)["buy"].tolist()


def test_coin_bars_whose_second_volume_is_not_btc_are_refused(shelf: Shelf) -> None:
    day = hours("2024-03-01", "2024-03-02")
    shelf.put(day_key("2024-03-01", "futures/cm", symbol="BTCUSD_PERP"), klines(day, coin=False))
    found = delivered(vision(shelf), asked("BTCUSD_PERP", "ohlcv", "1h", "2024-03-01", "2024-03-02"))
    assert isinstance(found.error, BadRecords)
    assert "volumes" in str(found.error)
    assert found.pairs == []


# -- what is not there -------------------------------------------------------------------------------


def test_a_missing_day_is_a_gap_that_is_told_and_no_error(shelf: Shelf) -> None:
    publish(shelf, days=("2024-03-01", "2024-03-03"))
    found = delivered(vision(shelf), BARS)
    assert found.error is None
    [gap] = found.told("missing_file")
    assert (gap.start, gap.end) == (at("2024-03-02"), at("2024-03-03"))
    assert found.told("missing_rows") == [], "said once"
    [later] = found.told("not_published")
    assert (later.start, later.end) == (at("2024-03-04"), at("2024-03-05")), "today is not asked for"


def test_a_file_that_is_listed_and_gone_when_it_is_asked_for_is_a_gap(shelf: Shelf) -> None:
    publish(shelf)
    shelf.answers[month_key("2024-02")] = [(404, b"")]
    found = delivered(vision(shelf), BARS)
    assert found.error is None
    assert [one.start for one in found.told("missing_file")] == [at("2024-02-01")]
    assert len(found.pairs) == 3


def test_a_month_that_is_not_out_yet_comes_as_its_days(shelf: Shelf) -> None:
    publish(shelf)
    del shelf.files[month_key("2024-02")]
    for day in pd.date_range(at("2024-02-01"), at("2024-02-29")):
        shelf.put(
            day_key(f"{day:%Y-%m-%d}"),
            klines(hours(str(day.tz_localize(None)), str((day + pd.Timedelta(days=1)).tz_localize(None)))),
        )
    assert delivered(vision(shelf), BARS).stamps.tolist() == hours("2024-01-01", "2024-03-03").tolist()


def test_time_before_the_first_file_is_not_called_a_gap(shelf: Shelf) -> None:
    publish(shelf)
    found = delivered(vision(shelf), replace(BARS, start=at("2023-12-01")))
    assert found.told("missing_file") == []
    [early] = found.told("before_archive")
    assert early.end <= at("2024-01-01") or early.end == at("2024-01-01")


def test_bars_missing_inside_and_between_files_are_counted(shelf: Shelf) -> None:
    publish(shelf)
    truth = hours("2024-02-01", "2024-03-01")
    shelf.put(month_key("2024-02"), klines(np.r_[truth[2:100], truth[105:]]))
    gaps = delivered(vision(shelf), BARS).told("missing_rows")
    assert [(one.start, one.end, one.rows) for one in gaps] == [
        (at("2024-02-01"), at("2024-02-01 02:00"), 2),
        (at("2024-02-05 04:00"), at("2024-02-05 09:00"), 5),
    ]


def test_a_listing_of_many_pages_is_read_to_its_end(shelf: Shelf) -> None:
    publish(shelf)
    shelf.page = 1
    assert delivered(vision(shelf), BARS).stamps.tolist() == hours("2024-01-01", "2024-03-03").tolist()


def test_a_series_it_does_not_have_is_refused_in_words(shelf: Shelf) -> None:
    for request in (
        asked("BTC/USDT", "mark", "1h", "2024-01-01", "2024-01-02"),
        asked("BTCUSDT", "ohlcv", "3D", "2024-01-01", "2024-01-02"),
        asked("BTC/USDT", "funding", "8h", "2024-01-01", "2024-01-02"),
        replace(BARS, instrument=replace(BARS.instrument, venue="okx")),
    ):
        with pytest.raises(NotOffered, match="Binance Vision has no"):
            next(vision(shelf).series(request, get))


# -- what came broken --------------------------------------------------------------------------------


def test_a_wrong_checksum_is_never_used_and_the_other_files_still_come(shelf: Shelf) -> None:
    publish(shelf)
    key = month_key("2024-02")
    shelf.files[f"{key}.CHECKSUM"] = b"0" * 64 + b"  BTCUSDT-1h-2024-02.zip\n"
    found = delivered(vision(shelf), BARS)
    assert isinstance(found.error, VenueUnavailable)
    assert "BTCUSDT-1h-2024-02.zip" in str(found.error)
    assert "sha256" in str(found.error)
    assert shelf.asked[key] == 3
    assert found.stamps.tolist() == np.r_[hours("2024-01-01", "2024-02-01"), hours("2024-03-01", "2024-03-03")].tolist()


@pytest.mark.parametrize("fault", ["html", "cut", "empty", "no zip inside"])
def test_a_broken_body_is_asked_for_again_and_never_read_as_no_rows(shelf: Shelf, fault: str) -> None:
    publish(shelf)
    key = month_key("2024-02")
    body = {"html": HTML, "cut": shelf.files[key][:-50], "empty": b"", "no zip inside": b"PK\x03\x04 nothing"}[fault]
    shelf.answers[key] = [(200, body), (200, body)]
    once = delivered(vision(shelf), BARS)
    assert once.error is None
    assert once.stamps.tolist() == hours("2024-01-01", "2024-03-03").tolist()
    shelf.put_bytes(key, body)
    always = delivered(vision(shelf), BARS)
    assert isinstance(always.error, VenueUnavailable), "broken at the publisher's: with a checksum that fits"
    assert len(always.told("broken")) == 1


def test_a_checksum_that_is_html_or_not_there_stops_the_use_of_the_file(shelf: Shelf) -> None:
    publish(shelf)
    key = month_key("2024-02")
    for body in (HTML, None):
        if body is None:
            del shelf.files[f"{key}.CHECKSUM"]
        else:
            shelf.files[f"{key}.CHECKSUM"] = body
        found = delivered(vision(shelf), BARS)
        assert isinstance(found.error, VenueUnavailable)
        assert len(found.pairs) == 3


def test_html_in_place_of_the_listing_is_not_an_empty_archive(shelf: Shelf) -> None:
    publish(shelf)
    shelf.listings = [(200, HTML)]
    assert len(delivered(vision(shelf), BARS).pairs) == 4
    shelf.listings = [(200, HTML)] * 3
    with pytest.raises(VenueUnavailable, match="listing"):
        list(vision(shelf).series(BARS, get))


def test_a_server_error_is_raised_at_once(shelf: Shelf) -> None:
    publish(shelf)
    shelf.answers[month_key("2024-01")] = [(500, b"")]
    with pytest.raises(VenueUnavailable, match="500"):
        list(vision(shelf).series(BARS, get))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("open_time,open,high,low,shut\n1704067200000,1,1,1,1\n", "no column 'close'"),
        ("1704067200000,1,1,1,1\n", "5 columns and no header"),
        ("1704067200000,1,2,1,x,1,1,1,1,1,1,0\n", "'x' is no number"),
        ("1706745600000,1,2,1,,1,1,1,1,1,1,0\n", "no close"),
        ("1706745600000,1,2,1,1,1,1,1,1,1,1,0\n1706749200000000,1,2,1,1,1,1,1,1,1,1,0\n", "time units are mixed"),
        ("1704067200000,1,2,1,1,1,1,1,1,1,1,0\n", "by its name the file holds 2024-02-01"),
        ("1706747400000,1,2,1,1,1,1,1,1,1,1,0\n", "not the open of a 1h bar"),
        ("17067474,1,2,1,1,1,1,1,1,1,1,0\n", "in no unit"),
        ("", "empty"),
    ],
)
def test_a_file_whose_rows_break_a_rule_is_named_and_left_out(shelf: Shelf, text: str, said: str) -> None:
    publish(shelf)
    shelf.put(month_key("2024-02"), text)
    found = delivered(vision(shelf), BARS)
    assert isinstance(found.error, BadRecords)
    assert said in str(found.error)
    assert "BTCUSDT-1h-2024-02.zip" in str(found.error)
    assert len(found.pairs) == 3


# -- versions ----------------------------------------------------------------------------------------


def test_files_got_before_are_not_asked_for_again(shelf: Shelf) -> None:
    publish(shelf)
    first = delivered(vision(shelf), BARS)
    shelf.asked.clear()
    again = delivered(vision(shelf), BARS, known=first.known)
    assert again.pairs == []
    assert len(again.told("unchanged")) == 4
    assert set(shelf.asked) == {"bucket"}
    assert again.error is None


def test_a_republished_file_comes_again_with_another_upstream(shelf: Shelf) -> None:
    publish(shelf)
    first = delivered(vision(shelf), BARS)
    key = month_key("2024-02")
    shelf.put(key, klines(hours("2024-02-01", "2024-03-01")[:-1]), modified="2024-04-01T00:00:00.000Z")
    [(records, provenance)] = delivered(vision(shelf), BARS, known=first.known).pairs
    assert provenance.endpoint.endswith(key)
    assert provenance.upstream != first.known[provenance.endpoint]
    assert len(records) == 29 * 24 - 1


def test_a_file_that_was_only_written_again_is_known_by_its_checksum(shelf: Shelf) -> None:
    publish(shelf)
    first = delivered(vision(shelf), BARS)
    shelf.modified[month_key("2024-02")] = "2024-04-01T00:00:00.000Z"
    shelf.asked.clear()
    assert delivered(vision(shelf), BARS, known=first.known).pairs == []
    assert shelf.asked[month_key("2024-02")] == 0
    assert shelf.asked[f"{month_key('2024-02')}.CHECKSUM"] == 1


def test_a_provenance_says_file_checksum_and_version(shelf: Shelf) -> None:
    publish(shelf)
    _, provenance = delivered(vision(shelf), BARS).pairs[0]
    stated = shelf.files[f"{month_key('2024-01')}.CHECKSUM"].decode().split()[0]
    assert provenance.endpoint == f"{shelf.root}{month_key('2024-01')}"
    assert provenance.raw_sha256 == (stated,)
    assert provenance.upstream == f"sha256={stated} modified=2024-01-01T00:00:00.000Z"
    assert provenance.fetched_at == NOW


def test_a_month_whose_days_were_merged_stays_its_days(shelf: Shelf) -> None:
    publish(shelf)
    monthly = shelf.files.pop(month_key("2024-02"))
    for day in pd.date_range("2024-02-01", "2024-02-29"):
        shelf.put(day_key(f"{day:%Y-%m-%d}"), klines(hours(str(day), str(day + pd.Timedelta(days=1)))))
    first = delivered(vision(shelf), BARS)
    shelf.put_bytes(month_key("2024-02"), monthly)
    again = delivered(vision(shelf), BARS, known=first.known)
    assert again.pairs == []
    assert {one.what for one in again.notes} == {"unchanged", "not_published"}
    fresh = delivered(vision(shelf), BARS)
    assert len(fresh.pairs) == 4
    assert fresh.stamps.tolist() == first.stamps.tolist()


# -- funding -----------------------------------------------------------------------------------------


def test_funding_stands_on_the_minute_with_its_own_hours(shelf: Shelf) -> None:
    key = "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-{}.zip"
    times = [*range(0, 31 * 24, 8)]
    start = at("2024-01-01").value // 1_000_000
    lines = [f"{start + hour * 3_600_000 + hour % 7},8,{hour * 1e-6!r}" for hour in times]
    shelf.put(key.format("01"), "calc_time,funding_interval_hours,last_funding_rate\n" + "\n".join(lines))
    february = at("2024-02-01").value // 1_000_000
    shelf.put(
        key.format("02"),
        "\n".join(f"{february + hour * 3_600_000},{4 if hour else 8},0.0001" for hour in range(0, 29 * 24, 4)),
    )
    found = delivered(vision(shelf), asked("BTCUSDT", "funding", "8h", "2024-01-01", "2024-03-05"))
    assert found.stamps[: len(times)].tolist() == [at("2024-01-01").value + hour * HOUR for hour in times]
    assert found.column("rate")[: len(times)].tolist() == [hour * 1e-6 for hour in times]
    assert set(found.column("spacing_hours")[: len(times)]) == {8.0}
    assert set(found.column("rate_hours")[len(times) + 1 :]) == {4.0}
    assert [one.what for one in found.notes] == ["not_published"], "March comes when it is over; no gap between"


# -- open interest -----------------------------------------------------------------------------------


def interest(stamps: np.ndarray) -> np.ndarray:
    """Open interest at an instant, a function of the instant alone."""
    return np.round(80_000 + 100 * np.sin(stamps / FIVE / 20) + (stamps // FIVE) % 97, 3)


def metrics(
    day: str, *, labelled: str, keep: slice = slice(None), header: bool = True, zero: tuple[int, ...] = ()
) -> str:
    """The file of a day: snapshots after its beginning to its end, labelled by the end or start of five minutes."""
    stamps = at(day).value + FIVE * np.arange(1, 289)
    labels = stamps - (FIVE if labelled == "start" else 0)
    values = interest(stamps)
    rows = [
        f"{pd.Timestamp(label):%Y-%m-%d %H:%M:%S},BTCUSDT,{0.0 if row in zero else float(value)!r},"
        f"{float(value) * 60_000!r},1.5,1.1,0.9,1.0"
        for row, (label, value) in enumerate(zip(labels, values, strict=True))
    ]
    return "\n".join([",".join(METRICS)] * header + rows[keep]) + "\n"


def metrics_key(day: str, market: str = "um", symbol: str = "BTCUSDT") -> str:
    return f"data/futures/{market}/daily/metrics/{symbol}/{symbol}-metrics-{day}.zip"


FLIP_DAYS = ("2026-06-23", "2026-06-24", "2026-06-25", "2026-06-26")
LATER = at("2026-07-01")


def test_across_the_label_change_every_snapshot_stands_at_its_instant_and_none_is_known_before(shelf: Shelf) -> None:
    for day in FLIP_DAYS:
        shelf.put(metrics_key(day), metrics(day, labelled="end" if day < "2026-06-25" else "start"))
    request = asked("BTCUSDT", "open_interest", "5m", FLIP_DAYS[0], "2026-06-27", lag=pd.Timedelta(minutes=5))
    found = delivered(vision(shelf, now=LATER), request)
    truth = at(FLIP_DAYS[0]).value + FIVE * np.arange(1, 4 * 288 + 1)
    assert found.error is None
    assert found.stamps.tolist() == truth.tolist(), "no snapshot lost or doubled at the change"
    assert found.column("value").tolist() == interest(truth).tolist()
    known = np.concatenate([one.known_at for one, _ in found.pairs])
    assert (known - found.stamps == FIVE).all()
    assert found.notes == []


def test_the_midnight_label_of_two_files_in_a_row_is_two_snapshots(shelf: Shelf) -> None:
    for day, labelled in (("2026-06-24", "end"), ("2026-06-25", "start")):
        text = metrics(day, labelled=labelled)
        assert "2026-06-25 00:00:00" in text
        shelf.put(metrics_key(day), text)
    found = delivered(vision(shelf, now=LATER), asked("BTCUSDT", "open_interest", "5m", "2026-06-24", "2026-06-26"))
    midnight = at("2026-06-25").value
    stamps = found.stamps.tolist()
    assert stamps.count(midnight) == stamps.count(midnight + FIVE) == 1


def test_the_midnight_that_two_end_labelled_files_hold_is_one_snapshot(shelf: Shelf) -> None:
    for day in ("2024-03-01", "2024-03-02"):
        midnight = at(day).value
        first = metrics(day, labelled="end", header=False)
        said_again = f"{pd.Timestamp(midnight)},BTCUSDT,{interest(np.array([midnight]))[0]},4800000000,1,1,1,1\n"
        shelf.put(metrics_key(day), said_again + first)
    found = delivered(vision(shelf), asked("BTCUSDT", "open_interest", "5m", "2024-03-01", "2024-03-03"))
    assert found.error is None
    assert len(found.stamps) == 2 * 289
    assert found.column("value").tolist() == interest(found.stamps).tolist()
    assert found.told("missing_rows") == []


def test_a_file_that_is_labelled_otherwise_than_its_day_says_is_believed_and_told(shelf: Shelf) -> None:
    shelf.put(metrics_key("2026-06-26"), metrics("2026-06-26", labelled="end"))
    shelf.put(metrics_key("2026-06-20"), metrics("2026-06-20", labelled="start"))
    for day in ("2026-06-26", "2026-06-20"):
        end = str(at(day) + pd.Timedelta(days=1))[:10]
        found = delivered(vision(shelf, now=LATER), asked("BTCUSDT", "open_interest", "5m", day, end))
        assert found.column("value").tolist() == interest(found.stamps).tolist()
        assert len(found.told("relabelled")) == 1


def test_coin_metrics_are_labelled_by_the_start_all_along(shelf: Shelf) -> None:
    day = "2024-03-01"
    shelf.put(metrics_key(day, "cm", "BTCUSD_PERP"), metrics(day, labelled="start"))
    found = delivered(vision(shelf), asked("BTCUSD_PERP", "open_interest", "5m", day, "2024-03-02"))
    assert found.column("value").tolist() == interest(found.stamps).tolist()
    assert found.told("relabelled") == []


def test_an_hour_of_open_interest_is_the_snapshot_at_its_instant_and_none_other(shelf: Shelf) -> None:
    shelf.put(metrics_key("2024-03-01"), metrics("2024-03-01", labelled="end", keep=slice(12, None)))
    found = delivered(vision(shelf), asked("BTCUSDT", "open_interest", "1h", "2024-03-01", "2024-03-02"))
    assert found.stamps.tolist() == [at("2024-03-01").value + HOUR * hour for hour in range(2, 25)]
    assert found.column("value").tolist() == interest(found.stamps).tolist()


def test_zeros_blanks_and_doubled_rows_of_metrics_are_left_out_and_counted(shelf: Shelf) -> None:
    text = metrics("2024-03-01", labelled="end", zero=(3, 4), header=False)
    lines = text.splitlines()
    lines[9] = lines[9].replace(lines[9].split(",")[2], "", 1)
    shelf.put(metrics_key("2024-03-01"), "\n".join([*lines, lines[20], lines[21]]))
    found = delivered(vision(shelf), asked("BTCUSDT", "open_interest", "5m", "2024-03-01", "2024-03-02"))
    assert len(found.stamps) == 288 - 3
    assert [one.rows for one in found.told("dropped_rows")] == [3]
    [doubled] = found.told("duplicate_rows")
    assert doubled.rows == 2
    assert "0 of them with other values" in doubled.why
    assert [one.rows for one in found.told("missing_rows")] == [2, 1]


def test_the_unit_of_open_interest_is_the_one_the_facts_ask_for(shelf: Shelf) -> None:
    shelf.put(metrics_key("2024-03-01"), metrics("2024-03-01", labelled="end"))
    request = asked("BTCUSDT", "open_interest", "5m", "2024-03-01", "2024-03-02", oi_unit="usd")
    found = delivered(vision(shelf), request)
    assert np.allclose(found.column("value"), interest(found.stamps) * 60_000, rtol=1e-12)
    with pytest.raises(NotOffered):
        next(
            vision(shelf).series(
                asked("BTCUSD_PERP", "open_interest", "5m", "2024-03-01", "2024-03-02", oi_unit="usd"), get
            )
        )


def test_metrics_whose_value_is_no_price_times_the_amount_are_refused(shelf: Shelf) -> None:
    header = "create_time,symbol,sum_open_interest_value,sum_open_interest"
    shelf.put(metrics_key("2024-03-01"), f"{header}\n2024-03-01 00:05:00,BTCUSDT,80000,4800000000\n")
    found = delivered(vision(shelf), asked("BTCUSDT", "open_interest", "5m", "2024-03-01", "2024-03-02"))
    assert isinstance(found.error, BadRecords)
    assert "expected a price of BTC" in str(found.error)
