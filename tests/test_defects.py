"""The catalogue of known defects: each is seen on rows that have it, and mended, refused or told as it says."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dumps import (
    DAY,
    ENTRIES,
    HOUR,
    MINUTE,
    SOME_DAY,
    Entry,
    broken_around,
    clean_around,
    clean_rows,
    frame_of,
    named,
    records_of,
    span_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from btcflow.audit.audit import CHECKS
from btcflow.audit.defects import catalogue, defects_of, known_ids, mark
from btcflow.audit.mending import apply_defects, defects_on_load, mend, mend_rows
from btcflow.audit.rows import NO_TIME, Rows
from btcflow.audit.symptoms import shown
from btcflow.data.records import Dataset, Records, SeriesKey, utc_ns
from btcflow.errors import BadRecords, ConfigError, UnknownName

law = settings(derandomize=True, max_examples=40, deadline=None)
by_id = pytest.mark.parametrize("entry", ENTRIES, ids=lambda one: one.defect.id)
SEEN = [one for one in ENTRIES if one.defect.symptom not in ("any_row", "unseen")]
MENDING = [one for one in ENTRIES if one.defect.action in ("exclude", "shift", "dedupe")]
ON_RECORDS = [one for one in MENDING if one.defect.symptom in ("any_row", "off_grid")]
"""Entries whose rows Records accept, so that a store can hold them."""
FLIP = named("binance-um-metrics-start-labels")
OI = SeriesKey("binance", "BTCUSDT", "open_interest", "5m")


def symptom_of(entry: Entry, frame: pd.DataFrame):
    start, end = entry.defect.span
    return shown(entry.defect.symptom, Rows.of(entry.key, frame), field=entry.defect.field, start=start, end=end)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left.reset_index(drop=True), right.reset_index(drop=True), check_exact=True)


def at(text: str) -> int:
    return pd.Timestamp(text, tz="UTC").value


# ---------------------------------------------------------------- the catalogue


def test_the_catalogue_has_the_defects_everyone_meets():
    wanted = {
        "binance-um-metrics-zeros-2022-03": ("2022-03-07", "exclude", "350"),
        "binance-um-metrics-half-day-2024-02-16": ("2024-02-16T13:35", "note", "335"),
        "binance-um-premium-index-2021-01": ("2021-01-24", "note", "335"),
        "binance-um-metrics-start-labels": ("2026-06-25", "shift", "491"),
        "binance-um-metrics-duplicates-2023": ("2023-01-01", "dedupe", "484"),
        "binance-um-headers": (None, "note", "246"),
        "bitmex-outage-2020-05-19": ("2020-05-19T12:00", "note", "bitmex"),
        "bitmex-closed": ("2026-09-23T04:00", "exclude", "29914"),
        "bybit-funding-paging": (None, "note", "27745"),
        "deribit-8h-rates-on-hourly-rows": (None, "refuse", "25040"),
        "bitfinex-history-without-time": (None, "refuse", "ccxt"),
        "bitstamp-funding-in-1970": (None, "refuse", "ccxt"),
    }
    for name, (start, action, thread) in wanted.items():
        one = named(name).defect
        assert (one.span[0], one.action) == (at(start) if start else None, action), name
        assert thread in one.source, name


@by_id
def test_every_entry_says_what_where_what_to_do_and_who_said_so(entry):
    one = entry.defect
    assert len(one.wrong) > 20
    assert len(one.advice) > 10
    assert len(one.source) > 5
    assert one in defects_of(entry.key)


def test_the_zeros_of_march_2022_are_the_rows_the_thread_counts():
    """#350: the last 102 rows of 2022-03-07 and the first 14 of 2022-03-08, labels at the end of five minutes."""
    frame = clean_rows(OI, at("2022-03-06"), at("2022-03-10"))
    stamp = utc_ns(frame["stamp"])
    frame.loc[
        (stamp > at("2022-03-08") - 102 * 5 * MINUTE) & (stamp <= at("2022-03-08") + 14 * 5 * MINUTE), "value"
    ] = 0.0
    kept, (applied,) = mend_rows(OI, frame)
    assert applied.rows == 116
    assert len(kept) == len(frame) - 116
    assert (applied.start, applied.end) == (pd.Timestamp("2022-03-07T15:35Z"), pd.Timestamp("2022-03-08T01:10Z"))
    same(kept, frame[frame["value"] > 0])


# ---------------------------------------------------------------- seen where it is, and only there


@pytest.mark.parametrize("entry", SEEN, ids=lambda one: one.defect.id)
def test_a_defect_is_seen_on_rows_that_have_it(entry):
    assert symptom_of(entry, broken_around(entry)).count > 0


@pytest.mark.parametrize("entry", SEEN, ids=lambda one: one.defect.id)
@pytest.mark.parametrize("seed", range(3))
def test_a_defect_is_not_seen_on_rows_without_it(entry, seed):
    assert symptom_of(entry, clean_around(entry, seed=seed)).count == 0


def test_a_hole_is_counted_step_by_step():
    entry = named("binance-um-metrics-half-day-2024-02-16")
    frame = clean_rows(OI, at("2024-02-16"), at("2024-02-18"))
    cut = frame[(frame["stamp"] < "2024-02-16T13:35Z") | (frame["stamp"] >= "2024-02-17")]
    assert len(cut) == len(frame) - 125
    assert symptom_of(entry, cut).missing == 125


def test_a_series_that_ends_before_a_hole_does_not_have_it():
    entry = named("binance-um-metrics-half-day-2024-02-16")
    assert symptom_of(entry, clean_rows(OI, at("2024-02-01"), at("2024-02-16T12:00"))).count == 0


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.9, 0.95])
@pytest.mark.parametrize("seed", range(4))
def test_hourly_rates_are_not_taken_for_eight_hour_sums_and_sums_are(seed, memory):
    """Also where one hour resembles the next, as real rates do."""
    entry = named("deribit-8h-rates-on-hourly-rows")
    frame = clean_rows(entry.key, at(SOME_DAY), at(SOME_DAY) + 90 * DAY)
    news = np.random.default_rng(seed).standard_normal(len(frame))
    rate = np.empty(len(frame))
    rate[0] = news[0]
    for row in range(1, len(rate)):
        rate[row] = memory * rate[row - 1] + news[row]
    hourly = frame.assign(rate=1e-5 * rate)
    assert symptom_of(entry, hourly).count == 0
    sums = hourly.assign(rate=hourly["rate"].rolling(8, min_periods=1).sum())
    assert symptom_of(entry, sums).count == len(frame)
    assert symptom_of(entry, sums.assign(rate_hours=8.0)).count == 0, "a sum that says it is for eight hours is right"


# ---------------------------------------------------------------- mended, refused or told


@by_id
def test_rows_that_have_it_are_mended_refused_or_told_as_the_catalogue_says(entry):
    frame = broken_around(entry)
    marked = symptom_of(entry, frame).rows
    others = tuple(one.id for one in defects_of(entry.key) if one is not entry.defect)
    if entry.defect.action == "refuse":
        with pytest.raises(BadRecords, match=entry.defect.id) as caught:
            mend_rows(entry.key, frame, skip=others)
        assert entry.defect.advice in str(caught.value)
        return
    kept, applied = mend_rows(entry.key, frame, skip=others)
    if entry.defect.action == "note":
        assert applied == ()
        same(kept, frame)
        return
    (one,) = applied
    assert (one.defect, one.action, one.rows) == (entry.defect.id, entry.defect.action, int(marked.sum()))
    assert one.rows > 0
    assert entry.defect.id in str(one)
    assert str(entry.key) in str(one)
    if entry.defect.action == "exclude":
        same(kept, frame[~marked])
    elif entry.defect.action == "dedupe":
        assert len(kept) == len(frame) - one.rows
        assert kept["stamp"].is_unique
        again = frame["stamp"].isin(frame["stamp"][marked])
        same(kept[kept["stamp"].isin(frame["stamp"][marked])], frame[again].drop_duplicates("stamp", keep="last"))
    else:
        by = pd.Timedelta(entry.defect.by)
        moved = frame.assign(**{name: frame[name].where(~marked, frame[name] + by) for name in ("stamp", "known_at")})
        same(kept, moved)


def test_two_label_conventions_one_after_the_other_become_the_snapshots_they_are():
    """The dump as it is: daily files, labelled by the end until 2026-06-24 and by the start from the 25th on."""
    taken = at("2026-06-23") + 5 * MINUTE * np.arange(1, 4 * 288 + 1, dtype=np.int64)
    value = 80_000.0 + np.arange(len(taken))
    label = np.where(taken <= at("2026-06-25"), taken, taken - 5 * MINUTE)
    assert (label == at("2026-06-25")).sum() == 2, "the label that stands in two files"
    raw = frame_of(label, label, {"value": value})
    mended, (applied,) = mend_rows(OI, raw)
    same(mended, frame_of(taken, taken, {"value": value}))
    assert applied.rows == 2 * 288


def test_rows_without_any_time_are_refused_and_not_dropped():
    key = SeriesKey("bitfinex", "tBTCF0:USTF0", "open_interest", "5m")
    frame = clean_rows(key, at(SOME_DAY), at(SOME_DAY) + DAY)
    frame["stamp"] = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[ns, UTC]")
    assert (Rows.of(key, frame).stamp == NO_TIME).all()
    with pytest.raises(BadRecords, match=r"bitfinex-history-without-time.*") as caught:
        mend_rows(key, frame)
    assert "the first at no time" in str(caught.value)


def test_bitstamp_seconds_taken_for_milliseconds_are_refused():
    key = SeriesKey("bitstamp", "BTC/USD-PERP", "funding", "8h")
    frame = clean_rows(key, at(SOME_DAY), at(SOME_DAY) + 3 * DAY)
    frame["stamp"] = pd.to_datetime(utc_ns(frame["stamp"]) // 10**9 // 1000, unit="ms", utc=True)
    with pytest.raises(BadRecords, match="1970"):
        mend_rows(key, frame)


def test_what_a_store_holds_is_mended_series_by_series_and_told():
    flipped = records_of(OI, clean_rows(OI, at("2026-07-01"), at("2026-07-03")))
    late = SeriesKey("bitmex", "XBTUSD", "funding", "8h")
    closed = records_of(late, clean_rows(late, at("2026-09-20"), at("2026-09-30")))
    fine = SeriesKey("kraken", "BTC/USD", "ohlcv", "1h")
    other = records_of(fine, clean_rows(fine, at("2026-07-01"), at("2026-07-03")))
    mended, applied = apply_defects(Dataset.of([flipped, closed, other]))
    assert [(one.defect, one.rows) for one in applied] == [(FLIP.defect.id, 576), ("bitmex-closed", 20)]
    by_key = {one.key: one for one in mended}
    assert by_key[fine] is other
    assert by_key[OI].source == "generated for a test [mended: binance-um-metrics-start-labels]"
    np.testing.assert_array_equal(by_key[OI].known_at, flipped.known_at + 5 * MINUTE)
    assert by_key[late].stamp.max() < at("2026-09-23T04:00")


def test_a_reader_that_gives_true_times_is_not_corrected_again():
    frame = clean_rows(OI, at("2026-07-01"), at("2026-07-03"))
    for source in (
        "Binance Vision",
        mark("my own reader", FLIP.defect.id),
        "Binance Vision; " + mark("x", FLIP.defect.id),
        "Binance Vision; binance API fapiDataGetOpenInterestHist",
    ):
        one = records_of(OI, frame, source=source)
        assert mend(one) == (one, ())
    for source in ("Binance Vision metrics, by hand", "Binance Vision; imported from x.csv"):
        moved, applied = mend(records_of(OI, frame, source=source))
        assert [one.defect for one in applied] == [FLIP.defect.id]
        assert FLIP.defect.mended_in(moved.source)


def test_what_is_left_out_of_the_catalogue_is_left_alone():
    one = records_of(OI, clean_rows(OI, at("2026-07-01"), at("2026-07-03")))
    data = Dataset.of([one])
    same_data, applied = apply_defects(data, skip=[FLIP.defect.id])
    assert applied == ()
    assert same_data.series[0] is one
    with pytest.raises(UnknownName, match="did you mean 'binance-um-metrics-start-labels'"):
        apply_defects(data, skip=["binance-um-metrics-start-label"])


def test_a_run_mends_or_reports_or_does_not_look():
    flipped = records_of(OI, clean_rows(OI, at("2026-07-01"), at("2026-07-03")))
    bad = named("deribit-8h-rates-on-hourly-rows")
    fine = Dataset.of([flipped])
    sums = Dataset.of([flipped, records_of(bad.key, broken_around(bad))])
    mended, (note,) = defects_on_load(fine)
    assert [one.content_hash() for one in mended] == [one.content_hash() for one in apply_defects(fine)[0]]
    assert mended.series[0].content_hash() != flipped.content_hash()
    assert note.startswith("known defect mended: binance:BTCUSDT open_interest 5m: 576 rows moved later")
    with pytest.raises(BadRecords, match=bad.defect.id):
        defects_on_load(sums)
    same_data, notes = defects_on_load(sums, mode="report")
    assert same_data is sums
    assert [one.split(" (")[0] for one in notes] == ["known defect NOT mended", "known defect NOT refused"]
    untouched, silent = defects_on_load(sums, mode="off")
    assert (untouched is sums, silent) == (True, ())
    left, silent = defects_on_load(sums, skip=[bad.defect.id, FLIP.defect.id])
    assert all(one is other for one, other in zip(left, sums, strict=True))
    assert silent == ()


def test_a_simulation_has_no_dump_and_no_defects_of_one():
    one = replace(records_of(OI, clean_rows(OI, at("2026-07-01"), at("2026-07-03"))), synthetic=True)
    assert apply_defects(Dataset.of([one]))[1] == ()


# ---------------------------------------------------------------- laws


@st.composite
def series(draw: st.DrawFn) -> Records:
    """A stretch of a series, somewhere in or near the span of an entry that records can show."""
    entry = draw(st.sampled_from(ON_RECORDS))
    start = span_of(entry)[0]
    begin = draw(st.integers((start - 3 * DAY) // HOUR, (start + 3 * DAY) // HOUR)) * HOUR
    frame = broken_around(entry) if draw(st.booleans()) else clean_rows(entry.key, begin, begin + 4 * DAY)
    keep = np.random.default_rng(draw(st.integers(0, 99))).random(len(frame)) < draw(st.sampled_from([1.0, 0.7]))
    return records_of(entry.key, frame[keep].reset_index(drop=True))


@law
@given(one=series())
def test_mended_twice_is_mended_once(one):
    once, applied = mend(one)
    twice, again = mend(once)
    assert again == ()
    assert twice is once
    assert (once is one) == (applied == ())


@law
@given(one=series(), hour=st.integers(0, 24 * 12))
def test_mending_does_not_look_ahead(one, hour):
    if not len(one):
        return
    cut = pd.Timestamp(int(one.stamp[0]), tz="UTC") + pd.Timedelta(hours=hour)
    whole, _ = mend(one)
    early, _ = mend(one.upto(cut))
    same(early.upto(cut).frame, whole.upto(cut).frame)


@law
@given(one=series())
def test_nothing_is_known_earlier_than_before(one):
    mended, _ = mend(one)
    latest = pd.Series(one.known_at, index=one.frame.iloc[:, 2])
    after = pd.Series(mended.known_at, index=mended.frame.iloc[:, 2])
    assert (after >= latest.groupby(level=0).min().reindex(after.index).to_numpy()).all()
    assert (np.diff(mended.stamp) > 0).all()


@pytest.mark.parametrize(
    "entry", [one for one in ENTRIES if one.defect.symptom != "any_row"], ids=lambda one: one.defect.id
)
def test_clean_rows_come_back_bit_for_bit(entry):
    frame = clean_around(entry)
    others = tuple(one.id for one in defects_of(entry.key) if one.symptom == "any_row")
    one = records_of(entry.key, frame)
    mended, applied = mend(one, skip=others)
    assert applied == ()
    assert mended is one
    assert mended.content_hash() == records_of(entry.key, clean_around(entry)).content_hash()


# ---------------------------------------------------------------- the files


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kinds": "[oi]"}, "expected one of ohlcv"),
        ({"field": "price"}, "open_interest has value"),
        ({"symptom": "itch"}, "expected one of zero"),
        ({"action": "heal"}, "action"),
        ({"action": "shift"}, "expected `by`"),
        ({"from": "2024-01-02", "to": "2024-01-01"}, "from is not before to"),
        ({"id": "Bad Name"}, "id"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, dict) else "",
)
def test_a_wrong_entry_is_refused_with_its_place(tmp_path: Path, change, told):
    good = {
        "id": "x-y",
        "kinds": "[open_interest]",
        "wrong": "a thing",
        "symptom": "zero",
        "action": "exclude",
        "advice": "do it",
        "source": "a thread",
    }
    lines = [f"    {key}: {value}" for key, value in (good | change).items()]
    file = tmp_path / "binance.yaml"
    file.write_text("venue: binance\ndefects:\n  -" + "\n".join(lines)[3:] + "\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        catalogue(tmp_path)
    assert told in str(caught.value)
    assert "binance.yaml:" in str(caught.value)


def test_two_entries_of_one_name_are_refused(tmp_path: Path):
    entry = "  - {id: a, kinds: [funding], wrong: w, symptom: hole, action: note, advice: a, source: s}\n"
    (tmp_path / "gate.yaml").write_text(f"venue: gate\ndefects:\n{entry}", encoding="utf-8")
    (tmp_path / "htx.yaml").write_text(f"venue: htx\ndefects:\n{entry}", encoding="utf-8")
    with pytest.raises(ConfigError, match="used twice"):
        catalogue(tmp_path)
    assert len(known_ids()) == len(set(known_ids()))


def test_the_page_on_data_names_every_entry_and_every_check():
    page = (Path(__file__).resolve().parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) == {*known_ids(), *CHECKS.names(), "readable"}
    for entry in ENTRIES:
        assert entry.defect.wrong in rows[entry.defect.id], entry.defect.id
        assert f"| {entry.defect.action}" in rows[entry.defect.id], entry.defect.id
    for name in CHECKS.names():
        assert f"| {CHECKS.get(name).severity} |" in rows[name], name


def test_the_api_rows_a_fetch_writes_are_not_taken_for_the_dump():
    told = resources.files("btcflow.fetch").joinpath("venues/binance.yaml").read_text(encoding="utf-8")
    calls = set(re.findall(r"call: (\w+OpenInterestHist)", told))
    assert len(calls) == 2
    ids = ("binance-um-metrics-start-labels", "binance-cm-metrics-start-labels")
    right = {one for name in ids for one in named(name).defect.right_in}
    assert {f"binance API {call}" for call in calls} == right - {"Binance Vision"}
