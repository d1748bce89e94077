"""The catalog of real series: what the spec makes of the files is what the catalog says of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from btcflow.data.import_spec import load_spec
from btcflow.data.imports import FileReport, ImportReport, import_files
from btcflow.data.records import Dataset
from btcflow.data.store import Store

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not os.environ.get("BTCFLOW_REAL_DATA"),
        reason="BTCFLOW_REAL_DATA names no folder of real files (those of configs/import/catalog.yaml)",
    ),
]

SPEC = Path(__file__).resolve().parents[1] / "configs" / "import" / "catalog.yaml"


class Fact(NamedTuple):
    """First and last are stamps as stored: a day's open interest stands at the day's close."""

    rows: int
    dropped: int
    missing: int
    first: str
    last: str


FACTS = {
    "binance_cm_BTCUSD_PERP_oi_1d": Fact(1204, 0, 0, "2021-09-16", "2025-01-01"),
    "binance_spot_BTCUSDT_1d": Fact(2694, 0, 0, "2017-08-17", "2024-12-31"),
    "binance_spot_BTCUSDT_1h": Fact(61246, 0, 122, "2018-01-01", "2024-12-31 23:00"),
    "binance_um_BTCUSDT_funding_8h": Fact(5819, 0, 0, "2019-09-10 08:00", "2024-12-31 16:00"),
    "binance_um_BTCUSDT_mark_1h": Fact(44053, 0, 0, "2019-12-23 11:00", "2024-12-31 23:00"),
    "binance_um_BTCUSDT_perp_1d": Fact(1940, 0, 0, "2019-09-10", "2024-12-31"),
    "binance_um_BTCUSDT_perp_1h": Fact(46591, 31, 0, "2019-09-10", "2024-12-31 23:00"),
    "binance_um_BTCUSDT_premium_index_1h": Fact(13920, 0, 0, "2023-06-01", "2024-12-31 23:00"),
    "bitmex_XBTUSD_funding_8h": Fact(4866, 0, 0, "2016-05-14 12:00", "2020-11-05 04:00"),
    "bitmex_XBTUSD_perp_1d": Fact(2830, 0, 0, "2015-09-25", "2023-06-24"),
    "bitstamp_spot_BTCUSD_1d": Fact(4827, 325, 295, "2011-11-14", "2024-12-31"),
    "bybit_linear_BTCUSDT_funding_8h": Fact(4383, 0, 0, "2021-01-01", "2024-12-31 16:00"),
    "bybit_linear_BTCUSDT_perp_1h": Fact(9576, 0, 0, "2023-11-29", "2024-12-31 23:00"),
    "coinbase_spot_BTCUSD_1d": Fact(1827, 0, 0, "2020-01-01", "2024-12-31"),
    "coinglass_agg_oi_1d": Fact(1770, 0, 0, "2020-02-28", "2025-01-01"),
    "cryptoquant_agg_oi_1d": Fact(2063, 0, 0, "2019-03-31", "2024-11-21"),
    "deribit_BTC-PERPETUAL_funding_1h": Fact(16008, 0, 2, "2019-04-30 10:00", "2021-02-25 11:00"),
    "dydx_BTC-USD_funding_1h": Fact(17520, 0, 0, "2022-01-01", "2023-12-31 23:00"),
    "ftx_BTC-PERP_perp_1d": Fact(1121, 0, 0, "2019-07-20", "2022-08-13"),
    "gate_BTC_USDT_funding_8h": Fact(4290, 0, 93, "2020-01-01", "2023-12-31 16:00"),
    "htx_BTC-USDT_funding_8h": Fact(3284, 0, 2, "2021-01-01", "2023-12-31 16:00"),
    "kraken_spot_XBTUSD_1d": Fact(194, 0, 0, "2024-06-21", "2024-12-31"),
    "kucoin_XBTUSDTM_funding_8h": Fact(3285, 0, 0, "2021-01-01 04:00", "2023-12-31 20:00"),
    "mexc_BTC_USDT_funding_8h": Fact(3285, 0, 0, "2021-01-01", "2023-12-31 16:00"),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImportReport, Dataset]:
    store = Store(tmp_path_factory.mktemp("real") / "store")
    report = import_files(Path(os.environ["BTCFLOW_REAL_DATA"]), load_spec(SPEC), store)
    return report, store.dataset()


@pytest.fixture(scope="module")
def report(imported: tuple[ImportReport, Dataset]) -> dict[str, FileReport]:
    return {one.file.removesuffix(".parquet"): one for one in imported[0]}


@pytest.fixture(scope="module")
def dataset(imported: tuple[ImportReport, Dataset]) -> Dataset:
    return imported[1]


def test_the_spec_has_an_entry_for_every_file(report: dict[str, FileReport]) -> None:
    files = {one.stem for one in Path(os.environ["BTCFLOW_REAL_DATA"]).glob("*.parquet")}
    assert set(report) == set(FACTS)
    assert files <= set(FACTS), f"files without an entry: {sorted(files - set(FACTS))}"


@pytest.mark.parametrize("name", sorted(FACTS))
def test_rows_gaps_and_dates_are_those_of_the_catalog(report: dict[str, FileReport], name: str) -> None:
    one, fact = report[name], FACTS[name]
    found = (one.read, sum(count for _, count in one.dropped), one.missing)
    assert found == (fact.rows, fact.dropped, fact.missing)
    assert one.kept == one.read - fact.dropped
    assert (one.first, one.last) == (pd.Timestamp(fact.first, tz="UTC"), pd.Timestamp(fact.last, tz="UTC"))


def test_the_store_gives_back_what_was_imported(report: dict[str, FileReport], dataset: Dataset) -> None:
    assert {one.key: len(one) for one in dataset} == {one.key: one.kept for one in report.values()}
    assert not dataset.synthetic
    assert {one.lag for one in dataset} == {pd.Timedelta(0)}


def test_every_row_is_known_when_what_it_describes_ends(dataset: Dataset) -> None:
    for one in dataset:
        np.testing.assert_array_equal(one.known_at, one.ends, err_msg=str(one.key))


def test_36_spot_hours_are_missing_since_the_perpetual_began(dataset: Dataset) -> None:
    spot = pd.DatetimeIndex(dataset.find("binance:BTC/USDT", "ohlcv").frame["stamp"])
    assert len(pd.date_range(spot[0], spot[-1], freq="1h").difference(spot)) == 122
    assert len(pd.date_range(pd.Timestamp("2019-09-10", tz="UTC"), spot[-1], freq="1h").difference(spot)) == 36


def test_gate_lost_december_2020_and_keeps_its_hours(dataset: Dataset) -> None:
    gate = dataset.find("gate:BTC_USDT", "funding")
    stamp = pd.DatetimeIndex(gate.frame["stamp"])
    assert len(pd.date_range(stamp[0], stamp[-1], freq="8h").difference(stamp)) == 93
    assert not ((stamp > "2020-12-01") & (stamp < "2020-12-31 23:59")).any()
    assert set(gate.column("spacing_hours")) == {8.0}


def test_bitmex_settled_once_a_day_until_june_2016(dataset: Dataset) -> None:
    one = dataset.find("bitmex:XBTUSD", "funding")
    daily = one.column("spacing_hours") == 24
    assert daily.sum() == 22
    assert pd.Timestamp(one.stamp[daily].max(), tz="UTC") == pd.Timestamp("2016-06-04T12:00Z")
    assert set(one.column("spacing_hours")[~daily]) == {8.0}
    np.testing.assert_array_equal(one.column("rate_hours"), one.column("spacing_hours"))


def test_hours_inferred_from_the_stamps_are_those_the_bitmex_file_states(dataset: Dataset, tmp_path: Path) -> None:
    spec = load_spec(SPEC)
    (entry,) = [one for one in spec.files if one.file == "bitmex_XBTUSD_funding_8h.parquet"]
    inferred = entry.model_copy(update={"columns": {}, "spacing_hours": "auto", "rate_hours": "spacing"})
    folder = Path(os.environ["BTCFLOW_REAL_DATA"])
    import_files(folder, spec.model_copy(update={"files": (inferred,)}), Store(tmp_path))
    stated = dataset.find("bitmex:XBTUSD", "funding").frame
    pd.testing.assert_frame_equal(Store(tmp_path).dataset().series[0].frame, stated)


def test_hourly_rates_are_for_one_hour(dataset: Dataset) -> None:
    for name in ("deribit:BTC-PERPETUAL", "dydx:BTC-USD"):
        one = dataset.find(name, "funding")
        assert set(one.column("rate_hours")) == set(one.column("spacing_hours")) == {1.0}
    assert np.abs(dataset.find("deribit:BTC-PERPETUAL", "funding").column("rate")).max() < 0.001


def test_bitmex_bars_are_named_by_their_open(dataset: Dataset) -> None:
    """Daily returns agree with Binance's on the same day and with neither neighbour."""
    mex, binance = (
        np.log(dataset.find(name, "ohlcv").frame.set_index("stamp")["close"].resample("1D").last()).diff()
        for name in ("bitmex:XBTUSD", "binance:BTCUSDT")
    )
    assert mex.corr(binance) > 0.99
    assert abs(mex.corr(binance.shift(1))) < 0.15
    assert abs(mex.corr(binance.shift(-1))) < 0.15


def test_volumes_are_btc_at_every_venue(dataset: Dataset) -> None:
    """A typical day of 2020 and 2021 traded hundreds of BTC to a few million, and never billions (of USD)."""
    for name in ("bitmex:XBTUSD", "ftx:BTC-PERP", "binance:BTCUSDT", "bitstamp:BTC/USD"):
        frame = dataset.find(name, "ohlcv").frame.set_index("stamp")["volume"].resample("1D").sum()
        assert 100 < frame["2020-01-01":"2022-01-01"].median() < 2_000_000, name


def test_open_interest_is_usd_and_only_vendors_totals_are_aggregates(dataset: Dataset) -> None:
    totals = {one.id for one in dataset.instruments if one.role == "aggregate"}
    assert totals == {"coinglass:BTC", "cryptoquant:BTC"}
    for one in dataset:
        if one.key.kind == "open_interest":
            assert one.instrument.oi_unit == "usd"
            assert one.column("value").min() > 1e8


def test_open_interest_moves_with_the_price_of_the_day_that_ends_at_its_stamp(dataset: Dataset) -> None:
    spot = dataset.find("coinbase:BTC/USD", "ohlcv")
    price = pd.Series(np.log(spot.column("close")), index=pd.DatetimeIndex(spot.frame["known_at"])).diff()
    for name in ("coinglass:BTC", "cryptoquant:BTC"):
        one = dataset.find(name, "open_interest").frame.set_index("stamp")["value"]
        change = np.log(one).diff()
        assert change.corr(price) > 0.5
        assert change.corr(price.shift(-1)) < 0.1, "the day's open interest must not know tomorrow's price"


def test_importing_again_changes_no_byte(tmp_path: Path) -> None:
    folder = Path(os.environ["BTCFLOW_REAL_DATA"])
    spec = load_spec(SPEC)
    small = spec.model_copy(update={"files": tuple(one for one in spec.files if one.timeframe != "1h")})
    contents = []
    for _ in range(2):
        import_files(folder, small, Store(tmp_path))
        contents.append({one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()})
    assert contents[0] == contents[1]
