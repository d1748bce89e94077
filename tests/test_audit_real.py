"""The audit of the real series says what their catalog says of them, and cries no wolf."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from btcflow.audit.audit import audit
from btcflow.audit.findings import AuditReport
from btcflow.audit.mending import apply_defects, mend
from btcflow.data.import_spec import load_spec
from btcflow.data.imports import import_files
from btcflow.data.records import Dataset
from btcflow.data.store import Store
from btcflow.errors import BadRecords

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not os.environ.get("BTCFLOW_REAL_DATA"),
        reason="BTCFLOW_REAL_DATA names no folder of real files (those of configs/import/catalog.yaml)",
    ),
]

SPEC = Path(__file__).resolve().parents[1] / "configs" / "import" / "catalog.yaml"
SPOT = "binance:BTC/USDT ohlcv 1h"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    store = Store(tmp_path_factory.mktemp("audit") / "store")
    import_files(Path(os.environ["BTCFLOW_REAL_DATA"]), load_spec(SPEC), store)
    return store.dataset()


@pytest.fixture(scope="module")
def report(dataset: Dataset) -> AuditReport:
    return audit(dataset)


def says(report: AuditReport, check: str, series: str) -> str:
    (one,) = (each for each in report.of_check(check) if each.series == series)
    return one.found.says


def test_122_spot_hours_are_missing_and_36_of_them_since_the_perpetual_began(report: AuditReport) -> None:
    (spot,) = (one for one in report.of_check("gaps") if one.series == SPOT)
    assert spot.found.count == sum(one.count for one in spot.found.stretches) == 122
    since = [one.count for one in spot.found.stretches if one.start >= pd.Timestamp("2019-09-10", tz="UTC")]
    assert sum(since) == 36
    worst = max(spot.found.stretches, key=lambda one: one.count)
    assert (worst.count, f"{worst.start:%Y-%m-%d}") == (33, "2018-02-08")


def test_gate_lacks_december_2020(report: AuditReport) -> None:
    (gate,) = (one for one in report.of_check("gaps") if one.series == "gate:BTC_USDT funding 8h")
    (hole,) = gate.found.stretches
    assert (hole.count, f"{hole.start:%Y-%m-%d}", f"{hole.end:%Y-%m-%d}") == (93, "2020-12-01", "2021-01-01")
    known = [one.found.says for one in report.of_check("known_defects") if one.series == gate.series]
    assert any("gate-funding-2020-12" in one and "93 steps missing" in one for one in known)


def test_the_night_bitmex_closed_below_everyone_is_found(report: AuditReport) -> None:
    assert "on 2020-03-12" in says(report, "prices", "bitmex:XBTUSD ohlcv 1D")
    assert "the farthest is -9." in says(report, "prices", "bitmex:XBTUSD ohlcv 1D")


def test_the_vendors_levels_are_incompatible(report: AuditReport) -> None:
    (levels,) = report.of_check("levels")
    assert levels.series == "coinglass:BTC open_interest 1D / cryptoquant:BTC open_interest 1D"
    assert "1.7" in levels.found.says


def test_the_oddities_the_catalog_names_are_noted(report: AuditReport) -> None:
    assert "outside high and low" in says(report, "ohlc", "bitmex:XBTUSD ohlcv 1D")
    (open_outside,) = report.of_check("ohlc")
    assert (open_outside.severity, open_outside.found.count) == ("note", 36)
    (before,) = report.of_check("listing")
    assert (before.series, before.found.count) == ("bitmex:XBTUSD ohlcv 1D", 231)
    (late,) = report.of_check("grid")
    assert (late.series, late.severity, late.found.count) == ("htx:BTC-USDT funding 8h", "note", 7)


def test_good_data_pass_without_a_flood(report: AuditReport) -> None:
    """No fault, and few enough warnings to read each of them."""
    assert report.passed, [one.plain() for one in report.findings if one.severity == "fault"]
    assert report.count("warning") <= 12
    silent = ("funding_cap", "funding_formula", "funding_labels", "funding_level", "funding_spacing", "stale")
    silent += ("interest_labels", "price_labels", "interest_size", "volume_size", "mark_price", "schema", "known")
    assert [one.check for one in report.findings if one.check in silent] == []


def test_a_bar_moved_by_its_own_length_is_found_on_every_price_series(dataset: Dataset) -> None:
    for name in ("bitmex:XBTUSD ohlcv 1D", "binance:BTC/USDT ohlcv 1h", "coinbase:BTC/USD ohlcv 1D"):
        (one,) = (each for each in dataset if str(each.key) == name)
        step = pd.Timedelta(one.ends[0] - one.stamp[0], unit="ns")
        early = replace(one, frame=one.frame.assign(stamp=one.frame["stamp"] - step))
        moved = Dataset.of([each for each in dataset if each is not one] + [early])
        found = audit(moved, checks=["price_labels"]).findings
        assert [(each.series, each.severity) for each in found if each.series == name] == [(name, "fault")]


def test_open_interest_that_knows_tomorrow_is_found(dataset: Dataset) -> None:
    (one,) = (each for each in dataset if each.key.venue == "coinglass")
    day = pd.Timedelta(days=1)
    early = replace(one, frame=one.frame.assign(stamp=one.frame["stamp"] - day, known_at=one.frame["known_at"] - day))
    moved = Dataset.of([each for each in dataset if each is not one] + [early])
    assert [each.severity for each in audit(moved, checks=["interest_labels"]).findings] == ["fault"]


def test_deribits_eight_hour_rates_are_refused_and_its_hourly_ones_are_not(dataset: Dataset) -> None:
    file = Path(os.environ["BTCFLOW_REAL_DATA"]) / "deribit_BTC-PERPETUAL_funding_1h.parquet"
    hourly = dataset.find("deribit:BTC-PERPETUAL", "funding")
    assert mend(hourly) == (hourly, ())
    sums = replace(hourly, frame=hourly.frame.assign(rate=pd.read_parquet(file)["interest_8h"].to_numpy()))
    with pytest.raises(BadRecords, match="deribit-8h-rates-on-hourly-rows"):
        mend(sums)
    swapped = Dataset.of([each for each in dataset if each is not hourly] + [sums])
    assert [one.severity for one in audit(swapped, checks=["funding_level"]).findings] == ["warning"]


def test_nothing_in_the_catalog_needs_mending(dataset: Dataset) -> None:
    mended, applied = apply_defects(dataset)
    assert applied == ()
    assert all(left is right for left, right in zip(mended, dataset, strict=True))
