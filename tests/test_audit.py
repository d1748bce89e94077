"""The audit: silent on data that are well, and each check finds what was planted for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dumps import DAY, HOUR, clean_rows, records_of
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import bars_series, interest, settlements, spot, vendor
from markets import perp as perpetual

from btcflow.audit.audit import CHECKS, audit, audit_store
from btcflow.audit.checks.coverage import holes
from btcflow.audit.checks.funding import rate_by_rules
from btcflow.audit.checks.labels import LAGS, lead_of
from btcflow.audit.findings import SEVERITIES, AuditReport, Finding, Found, told
from btcflow.data.records import Dataset, Records, SeriesKey
from btcflow.data.store import Store
from btcflow.data.venue_facts import facts
from btcflow.errors import MissingData, UnknownName
from btcflow.terminal.audit_view import audit_view, audited

NOW = pd.Timestamp("2026-11-01", tz="UTC")
PRICES, MARK = "sim_alpha:BTCUSDT ohlcv 1h", "sim_alpha:BTCUSDT mark 1h"
OI, FUNDING = "sim_alpha:BTCUSDT open_interest 1h", "sim_alpha:BTCUSDT funding 8h"
PREMIUM = "sim_alpha:BTCUSDT premium_index 1h"

law = settings(derandomize=True, max_examples=40, deadline=None)


def with_series(data: Dataset, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Dataset:
    """The dataset with one series' rows changed, by the back door where records would refuse them."""

    def edit(one: Records) -> Records:
        if str(one.key) != name:
            return one
        changed = replace(one)
        object.__setattr__(changed, "frame", change(one.frame.copy()).reset_index(drop=True))
        return changed

    return data.map(edit)


def put(rows: slice | list[int], **values: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        for name, value in values.items():
            at = frame.columns.get_loc(name)
            frame.iloc[rows, at] = value(frame.iloc[rows, at]) if callable(value) else value
        return frame

    return change


def moved(steps: int, hours: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Every label so many steps later."""
    by = pd.Timedelta(hours=steps * hours)
    return lambda frame: frame.assign(stamp=frame["stamp"] + by, known_at=frame["known_at"] + by)


def scaled(name: str, factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{name: frame[name] * factor})


PRICE_COLUMNS = ("open", "high", "low", "close")
PLANTED = [
    ("schema", "fault", PRICES, put([50, 60], volume=-1.0), 2),
    ("schema", "fault", OI, put([7], value=np.nan), 1),
    ("schema", "fault", PRICES, lambda frame: frame.drop(columns="volume"), 1),
    ("order", "fault", FUNDING, lambda frame: frame.iloc[[*range(10), 9, *range(10, len(frame))]], 1),
    ("order", "fault", FUNDING, lambda frame: frame.iloc[[*range(10), 11, 10, *range(12, len(frame))]], 1),
    ("future", "fault", FUNDING, put([-1], stamp=pd.Timestamp("2031-01-01", tz="UTC")), 1),
    ("future", "fault", FUNDING, put([0], stamp=pd.Timestamp("1970-01-20", tz="UTC")), 1),
    ("known", "fault", PRICES, lambda frame: frame.assign(known_at=frame["stamp"]), 13_152),
    ("grid", "warning", PRICES, put([5], stamp=lambda at: at + pd.Timedelta(minutes=28)), 1),
    ("grid", "note", FUNDING, put([5], stamp=lambda at: at + pd.Timedelta(hours=2)), 1),
    ("ohlc", "fault", PRICES, put([9], high=lambda at: at * 0.5), 1),
    ("ohlc", "note", PRICES, put([9], open=lambda at: at * 1.1), 1),
    ("gaps", "warning", PRICES, lambda frame: frame.drop(index=[*range(100, 103), 200]), 4),
    ("gaps", "warning", FUNDING, lambda frame: frame.drop(index=[50, 51]), 2),
    ("gaps", "warning", OI, lambda frame: frame.drop(index=[50, 51, 52]), 3),
    ("ends_early", "note", OI, lambda frame: frame.iloc[:-500], 1),
    ("zeros", "warning", PRICES, put(slice(100, 200), volume=0.0), 100),
    ("zeros", "note", PRICES, put([100], volume=0.0), 1),
    ("stale", "warning", OI, put(slice(100, 110), value=100.0), 10),
    ("stale", "warning", MARK, put(slice(100, 106), close=20_000.0), 6),
    ("stale", "warning", FUNDING, put(slice(100, 112), rate=0.00017), 12),
    ("spikes", "warning", MARK, put([300], close=lambda at: at * 1.2), 1),
    ("spikes", "warning", OI, put([300], value=lambda at: at * 2), 1),
    ("prices", "warning", PRICES, put([300], close=lambda at: at * 1.06), 1),
    ("prices", "fault", PRICES, scaled("close", 1.02), 13_152),
    ("mark_price", "warning", MARK, put([300], close=lambda at: at * 1.2), 1),
    ("premium", "warning", PREMIUM, put([300], close=0.07), 1),
    ("premium", "fault", PREMIUM, scaled("close", 100.0), None),
    ("interest_size", "fault", OI, scaled("value", 1e4), 13_151),
    ("volume_size", "fault", PRICES, scaled("volume", 2e4), 548),
    ("funding_level", "warning", FUNDING, scaled("rate", 8.0), None),
    ("price_labels", "fault", PRICES, moved(-1, 1), None),
    ("price_labels", "warning", PRICES, moved(1, 1), None),
    ("price_labels", "fault", MARK, moved(-2, 1), None),
    ("interest_labels", "fault", OI, moved(-1, 1), None),
    ("interest_labels", "warning", OI, moved(2, 1), None),
]


def test_a_market_that_is_well_is_not_accused(dataset):
    report = audit(dataset, now=NOW)
    assert report.findings == ()
    assert report.passed
    assert report.verdict == f"{len(dataset)} series: nothing to report"


@pytest.mark.parametrize(("check", "severity", "series", "plant", "count"), PLANTED, ids=lambda one: str(one)[:40])
def test_each_check_finds_what_was_planted(dataset, check, severity, series, plant, count):
    broken = with_series(dataset, series, plant)
    found = [one for one in audit(broken, now=NOW, checks=[check]).findings if one.series == series]
    assert [(one.check, one.severity) for one in found] == [(check, severity)]
    assert found[0].found.says
    assert found[0].found.advice
    if count is not None:
        assert found[0].found.count == count


def test_every_check_is_tried_by_a_plant():
    elsewhere = {"known_defects", "levels", "listing", "reported_value", "funding_cap", "funding_formula"}
    elsewhere |= {"funding_labels", "funding_spacing", "taker_part"}
    assert set(CHECKS.names()) == {one[0] for one in PLANTED} | elsewhere
    for name in CHECKS.names():
        assert CHECKS.get(name).about.endswith("."), name
        assert CHECKS.get(name).severity in SEVERITIES


# ---------------------------------------------------------------- checks that need a venue's own facts


def binance(kind: str, timeframe: str, days: int = 200, start: str = "2022-01-01") -> Records:
    begin = pd.Timestamp(start, tz="UTC").value
    key = SeriesKey("binance", "BTCUSDT", kind, timeframe)
    return records_of(key, clean_rows(key, begin, begin + days * DAY))


def only(data: list[Records], check: str) -> list[tuple[str, str, int]]:
    return [
        (one.series, one.severity, one.found.count) for one in audit(Dataset.of(data), now=NOW, checks=[check]).findings
    ]


def with_rates(one: Records, rates: np.ndarray, **more: object) -> Records:
    return replace(one, frame=one.frame.assign(rate=rates, **more))


def test_rates_beyond_the_cap_are_told_and_many_are_a_wrong_unit():
    one = binance("funding", "8h")
    assert only([one], "funding_cap") == []
    few = one.column("rate").copy()
    few[[3, 5]] = [0.0031, -0.0032]
    assert only([with_rates(one, few)], "funding_cap") == [(str(one.key), "warning", 2)]
    percent = np.full(len(one), 0.01)
    assert only([with_rates(one, percent)], "funding_cap") == [(str(one.key), "fault", len(one))]


def test_hours_that_are_not_the_venues_are_told():
    one = binance("funding", "8h")
    assert only([one], "funding_spacing") == []
    wrong = with_rates(one, one.column("rate"), rate_hours=1.0)
    assert only([wrong], "funding_spacing") == [(str(one.key), "warning", len(one))]


def formula_market(days: int = 120) -> tuple[Records, Records]:
    """Hourly premium and the rate Binance's formula makes of it, worked out row by row."""
    premium = binance("premium_index", "1h", days)
    random = np.random.default_rng(5)
    value = np.empty(len(premium))
    value[0] = 0.0
    for row in range(1, len(value)):
        value[row] = 0.9 * value[row - 1] + 0.0004 * random.standard_normal()
    premium = replace(premium, frame=premium.frame.assign(**dict.fromkeys(PRICE_COLUMNS, value)))
    funding = binance("funding", "8h", days)
    rates = np.full(len(funding), 0.0001)
    weights = np.arange(1, 9) / 36
    ends = premium.ends
    for row, stamp in enumerate(funding.stamp):
        inside = value[(ends > stamp - 8 * HOUR) & (ends <= stamp)]
        if len(inside) == 8:
            average = float(inside @ weights)
            rates[row] = average + min(max(0.0001 - average, -0.0005), 0.0005)
    return premium, with_rates(funding, np.clip(rates, -0.003, 0.003))


def test_rates_are_held_against_the_venues_own_formula():
    premium, funding = formula_market()
    assert only([premium, funding], "funding_formula") == []
    what = facts("binance:BTCUSDT")
    assert what is not None
    made = rate_by_rules(what, funding, premium)
    assert np.isfinite(made).sum() == len(funding) - 1, "the first settlement has no whole interval before it"
    np.testing.assert_allclose(made[1:], funding.column("rate")[1:], atol=1e-12)
    percent = with_rates(funding, np.clip(funding.column("rate") * 100, -0.9, 0.9))
    assert [one[1] for one in only([premium, percent], "funding_formula")] == ["warning"]


def test_a_rate_that_knows_the_next_interval_is_told():
    premium, funding = formula_market()
    assert only([premium, funding], "funding_labels") == []
    early = replace(funding, frame=moved(-1, 8)(funding.frame))
    assert [one[:2] for one in only([premium, early], "funding_labels")] == [(str(funding.key), "warning")]


def test_rows_before_listing_are_told_and_rows_after_delisting_are_a_fault():
    early, late = SeriesKey("bitmex", "XBTUSD", "ohlcv", "1D"), SeriesKey("ftx", "BTC-PERP", "ohlcv", "1D")
    before = records_of(
        early, clean_rows(early, pd.Timestamp("2016-05-01", tz="UTC").value, pd.Timestamp("2017-01-01", tz="UTC").value)
    )
    after = records_of(late, clean_rows(late, pd.Timestamp("2022-01-01", tz="UTC").value, NOW.value))
    assert only([before], "listing") == [(str(early), "warning", 12)]
    assert [one[:2] for one in only([after], "listing")] == [(str(late), "fault")]


def test_amount_and_value_that_do_not_agree_at_the_price_are_a_fault():
    hours = range(1, 200)
    what = perpetual("gamma")
    prices = bars_series(what, [20_000.0] * 300)
    coins = interest(what, dict.fromkeys(hours, 1_000.0))
    dollars = replace(what, oi_unit="usd")
    right = interest(dollars, dict.fromkeys(hours, 2e7), timeframe="4h")
    assert only([prices, coins, right], "reported_value") == []
    wrong = interest(dollars, dict.fromkeys(hours, 2e5), timeframe="4h")
    assert [one[1] for one in only([prices, coins, wrong], "reported_value")] == ["fault"]


def test_takers_cannot_buy_more_than_was_traded():
    bars = binance("ohlcv", "1h", 10)
    half = bars.frame[["stamp", "known_at"]].assign(buy=bars.column("volume") / 2)
    takers = records_of(SeriesKey("binance", "BTCUSDT", "taker_volume", "1h"), half)
    assert only([bars, takers], "taker_part") == []
    half.loc[[3, 7], "buy"] *= 2.1
    assert only([bars, takers], "taker_part") == [(str(takers.key), "fault", 2)]


def test_two_totals_of_one_open_interest_at_other_levels_are_told():
    price = bars_series(spot("north"), [20_000.0] * 100, timeframe="1D")
    days = {24 * day: 1e10 for day in range(1, 100)}
    low, same_, high = (
        interest(vendor(name), {hour: value * factor for hour, value in days.items()}, timeframe="1D")
        for name, factor in (("a", 1.0), ("b", 1.05), ("c", 1.7))
    )
    assert only([price, low, same_], "levels") == []
    found = audit(Dataset.of([price, low, high]), now=NOW, checks=["levels"]).findings
    assert [(one.severity, one.found.count) for one in found] == [("warning", 99)]
    assert "0.59 times the second" in found[0].found.says


def test_a_known_defect_that_shows_is_told_by_what_can_be_done():
    key = SeriesKey("gate", "BTC_USDT", "funding", "8h")
    frame = clean_rows(key, pd.Timestamp("2020-11-01", tz="UTC").value, pd.Timestamp("2021-02-01", tz="UTC").value)
    cut = frame[(frame["stamp"] < "2020-12-01") | (frame["stamp"] >= "2021-01-01")].reset_index(drop=True)
    shows = audit(Dataset.of([records_of(key, cut)]), now=NOW, checks=["known_defects"]).findings
    assert [(one.severity, one.found.count) for one in shows] == [("note", 93)]
    quiet = audit(Dataset.of([records_of(key, frame)]), now=NOW, checks=["known_defects"]).findings
    assert [one.found.says for one in quiet] == [
        "known of this source, and not seen in these rows: gate-funding-2020-12"
    ]
    hourly = SeriesKey("deribit", "BTC-PERPETUAL", "funding", "1h")
    frame = clean_rows(hourly, pd.Timestamp("2020-11-01", tz="UTC").value, pd.Timestamp("2021-02-01", tz="UTC").value)
    sums = records_of(hourly, frame.assign(rate=frame["rate"].rolling(8, min_periods=1).sum()))
    found = audit(Dataset.of([sums]), now=NOW, checks=["known_defects"]).findings
    assert [(one.severity, one.found.count) for one in found] == [("fault", len(sums))]
    late = SeriesKey("bitmex", "XBTUSD", "funding", "8h")
    closed = records_of(late, clean_rows(late, pd.Timestamp("2026-09-20", tz="UTC").value, NOW.value))
    found = audit(Dataset.of([closed]), now=NOW, checks=["known_defects"]).findings
    assert {one.severity for one in found if "bitmex-closed" in one.found.says} == {"warning"}


# ---------------------------------------------------------------- laws


@law
@given(gone=st.sets(st.integers(1, 398), max_size=60))
def test_gaps_count_exactly_the_rows_that_are_gone(gone):
    whole = binance("ohlcv", "1h", 400 // 24 + 1)
    keep = np.array([row not in gone for row in range(len(whole))])
    found = holes(whole.where(keep))
    assert sum(one.count for one in found) == len(gone)
    missing = {pd.Timestamp(int(at), tz="UTC") for at in whole.stamp[~keep]}
    told_of = {at for one in found for at in pd.date_range(one.start, one.end, freq="1h", inclusive="left")}
    assert told_of == missing


@law
@given(seed=st.integers(0, 10_000), lag=st.sampled_from(LAGS), noise=st.sampled_from([0.0, 1.0, 2.0]))
def test_a_moved_copy_is_found_at_its_lag(seed, lag, noise):
    random = np.random.default_rng(seed)
    news = random.standard_normal(600)
    other = pd.Series(news + noise * random.standard_normal(600), index=HOUR * np.arange(600))
    one = pd.Series(news, index=HOUR * (np.arange(600) - lag))
    found = lead_of(one, other, HOUR)
    assert found is not None
    assert found.steps == lag
    assert found.clear


@law
@given(seed=st.integers(0, 10_000))
def test_two_strangers_have_no_lead(seed):
    random = np.random.default_rng(seed)
    one, other = (pd.Series(random.standard_normal(600), index=HOUR * np.arange(600)) for _ in range(2))
    found = lead_of(one, other, HOUR)
    assert found is not None
    assert not found.clear
    assert lead_of(one[:100], other[:100], HOUR) is None


def test_a_jump_that_another_venue_made_too_is_no_spike(dataset):
    crash = put([300], **{name: lambda at: at * 0.8 for name in PRICE_COLUMNS})
    begin = dataset.find("sim_alpha:BTCUSDT", "ohlcv").stamp[0]
    names = [str(one.key) for one in dataset if one.key.kind in ("ohlcv", "mark") and one.stamp[0] == begin]
    both = dataset
    for name in names:
        both = with_series(both, name, crash)
    assert audit(both, now=NOW, checks=["spikes"]).findings == ()
    alone = Dataset.of([one for one in with_series(dataset, PRICES, crash) if str(one.key) == PRICES])
    (found,) = audit(alone, now=NOW, checks=["spikes"]).findings
    assert found.severity == "note"


# ---------------------------------------------------------------- the report


def finding(severity: str, check: str = "gaps", series: str = "a:b ohlcv 1h") -> Finding:
    return Finding(check=check, severity=severity, found=Found(series=series, says="x"))  # type: ignore[arg-type]


def test_the_verdict_fails_on_faults_alone():
    assert AuditReport.of(["a"], ["gaps"], [finding("warning"), finding("note")]).passed
    faulty = AuditReport.of(["a"], ["gaps"], [finding("note"), finding("fault"), finding("warning")])
    assert not faulty.passed
    assert faulty.verdict == "1 series: NOT FIT FOR USE as they are (1 fault, 1 warning, 1 note)"
    assert [one.severity for one in faulty.findings] == list(SEVERITIES)


def test_the_report_is_plain_json_and_readable_text(dataset):
    broken = with_series(dataset, PRICES, lambda frame: frame.drop(index=[*range(100, 103), 200]))
    report = audit(with_series(broken, OI, put([7], value=np.nan)), now=NOW)
    document = json.loads(json.dumps(report.plain(), allow_nan=False))
    assert document["schema"] == "btcflow.audit/1"
    assert (document["passed"], document["counts"]["fault"]) == (False, report.count("fault"))
    (gap,) = (one for one in document["findings"] if one["check"] == "gaps")
    assert [one[2] for one in gap["stretches"]] == [3, 1]
    text = audit_view(report)
    assert text.splitlines()[0].startswith("FAULTS")
    assert text.splitlines()[-1] == report.verdict
    assert "4 of 13,152 steps missing in 2 stretches" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 116


def test_an_unknown_check_is_named_with_the_nearest(dataset):
    with pytest.raises(UnknownName, match="did you mean 'gaps'"):
        audit(dataset, checks=["gap"])


def test_times_are_told_without_a_needless_midnight():
    assert told(pd.Timestamp("2020-03-12", tz="UTC")) == "2020-03-12"
    assert told(pd.Timestamp("2020-03-12T05:00", tz="UTC")) == "2020-03-12 05:00"
    assert told(None) == "no time"


# ---------------------------------------------------------------- a store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    kept = Store(tmp_path / "store")
    kept.write_all([binance("ohlcv", "1h", 30), binance("funding", "8h", 30)])
    return kept


def test_a_store_is_audited_and_a_pattern_chooses_what_is_told(store: Store):
    heard: list[str] = []
    whole = audit_store(store, now=NOW, progress=heard.append)
    assert len(whole.series) == len(heard) == 2
    assert audit_store(store, pattern="FUNDING", now=NOW).series == ("binance:BTCUSDT funding 8h",)
    assert audit_store(store, pattern="*ohlcv 1h", now=NOW).series == ("binance:BTCUSDT ohlcv 1h",)
    assert audited(None, store.path).series == whole.series
    with pytest.raises(MissingData, match=r"called like 'kraken'; it holds: binance:BTCUSDT"):
        audit_store(store, pattern="kraken")


def test_a_series_that_cannot_be_read_is_a_fault_and_the_others_are_still_audited(store: Store):
    for path in store.path.rglob("*"):
        if path.is_file() and "funding" in path.as_posix() and path.suffix == ".parquet":
            path.write_bytes(path.read_bytes()[:-100])
    report = audit_store(store, now=NOW)
    assert not report.passed
    (broken,) = report.of_check("readable")
    assert (broken.series, broken.severity) == ("binance:BTCUSDT funding 8h", "fault")
    assert len(report.checks) == len(CHECKS.names()) + 1


def test_an_empty_store_is_missing_data(tmp_path: Path):
    with pytest.raises(MissingData):
        audit_store(Store(tmp_path))


def test_settlements_made_by_hand_are_in_order():
    """The toy series of the other tests stay usable here: no check may stumble over a short series."""
    what = perpetual("delta")
    tiny = [bars_series(what, [100.0, 101.0]), settlements(what, {8: 1e-4}), interest(what, {1: 5.0})]
    assert {one.severity for one in audit(Dataset.of(tiny), now=NOW).findings} <= {"note", "warning"}
