"""Real files into the store: every rule of the spec, and one clear error for everything that breaks one."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from btcflow.data.import_spec import ImportSpec, load_spec
from btcflow.data.imports import FileReport, build_records, import_files
from btcflow.data.records import Records
from btcflow.data.store import Store
from btcflow.errors import BadRecords, BtcflowError, ConfigError, MissingData

BARS = {
    "file": "bars.csv",
    "venue": "coinbase",
    "symbol": "BTC/USD",
    "role": "spot",
    "quote": "USD",
    "kind": "ohlcv",
    "timeframe": "1D",
    "stamp": "bar_open",
}
PERP = {"venue": "bitmex", "symbol": "XBTUSD", "role": "perp", "quote": "USD", "margin": "inverse", "oi_unit": "usd"}
FUNDING = PERP | {
    "file": "funding.csv",
    "kind": "funding",
    "timeframe": "8h",
    "stamp": "settlement",
    "rate_hours": "spacing",
}
INTEREST = {
    "file": "oi.csv",
    "venue": "coinglass",
    "symbol": "BTC",
    "aggregate": True,
    "quote": "USD",
    "oi_unit": "usd",
    "kind": "open_interest",
    "timeframe": "1D",
    "stamp": "value_at_close",
}
DAYS = """timestamp,open,high,low,close,volume
2024-01-01T00:00:00Z,100,110,90,105,1
2024-01-02T00:00:00Z,105,115,95,110,2
2024-01-04T00:00:00Z,110,120,100,115,3
"""
RATES = """timestamp,rate
2024-01-01T00:00:00Z,0.0001
2024-01-01T08:00:00Z,0.0002
2024-01-01T16:00:00Z,-0.0001
"""


def spec(*entries: dict[str, Any]) -> ImportSpec:
    return ImportSpec.model_validate({"files": entries})


def build(folder: Path, entry: dict[str, Any], text: str | None = None, **changes: Any) -> tuple[Records, FileReport]:
    """One entry with changes, and its text as the file it names."""
    one = spec(entry | changes).files[0]
    if text is not None:
        (folder / one.file).write_text(text)
    return build_records(folder, one)


def records(folder: Path, entry: dict[str, Any], text: str | None = None, **changes: Any) -> Records:
    return build(folder, entry, text, **changes)[0]


def refused(folder: Path, entry: dict[str, Any], text: str, *parts: str, **changes: Any) -> BtcflowError:
    """The error of an import, which must name all ``parts``."""
    with pytest.raises(BadRecords) as caught:
        build(folder, entry, text, **changes)
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not said in: {caught.value}"
    return caught.value


def stamps(one: Records) -> list[str]:
    return [f"{time:%m-%d %H:%M}" for time in one.frame["stamp"]]


def known(one: Records) -> list[str]:
    return [f"{time:%m-%d %H:%M}" for time in one.frame["known_at"]]


# -- what a row is about, and when it was known --------------------------------------------------


def test_a_bar_is_named_by_its_open_and_known_at_its_close(tmp_path: Path) -> None:
    one = records(tmp_path, BARS, DAYS)
    assert stamps(one) == ["01-01 00:00", "01-02 00:00", "01-04 00:00"]
    assert known(one) == ["01-02 00:00", "01-03 00:00", "01-05 00:00"]
    assert one.column("close").tolist() == [105.0, 110.0, 115.0]
    assert (one.key.venue, one.instrument.role, one.source) == ("coinbase", "spot", "imported from bars.csv")


def test_bars_stamped_at_their_close_move_to_their_open(tmp_path: Path) -> None:
    one = records(tmp_path, BARS, DAYS, stamp="bar_close")
    assert stamps(one) == ["12-31 00:00", "01-01 00:00", "01-03 00:00"]
    assert known(one) == ["01-01 00:00", "01-02 00:00", "01-04 00:00"]


def test_months_stamped_at_their_close_move_to_their_open(tmp_path: Path) -> None:
    text = "timestamp,open,high,low,close,volume\n2024-02-01T00:00Z,1,1,1,1,1\n2024-03-01T00:00Z,1,1,1,1,1\n"
    one, report = build(tmp_path, BARS, text, timeframe="1M", stamp="bar_close")
    assert (stamps(one), known(one)) == (["01-01 00:00", "02-01 00:00"], ["02-01 00:00", "03-01 00:00"])
    assert report.missing == 0


def test_a_settlement_is_known_at_its_stamp_and_rounded_to_the_minute(tmp_path: Path) -> None:
    text = "timestamp,rate\n2024-01-01T00:00:00.015Z,0.0001\n2024-01-01T07:59:59.990Z,0.0002\n"
    one = records(tmp_path, FUNDING, text)
    assert stamps(one) == known(one) == ["01-01 00:00", "01-01 08:00"]
    assert (one.stamp % 60_000_000_000 == 0).all()


def test_a_daily_open_interest_is_known_one_day_after_the_time_it_is_named_by(tmp_path: Path) -> None:
    one = records(tmp_path, INTEREST, "timestamp,value\n2024-01-01T00:00Z,5\n2024-01-02T00:00Z,6\n")
    assert stamps(one) == known(one) == ["01-02 00:00", "01-03 00:00"]
    assert one.instrument.role == "aggregate"


def test_an_open_interest_snapshot_is_known_at_its_instant_plus_what_the_spec_adds(tmp_path: Path) -> None:
    text = "timestamp,value\n2024-01-01T00:05Z,5\n2024-01-01T01:05Z,6\n"
    one = records(tmp_path, INTEREST, text, stamp="instant", timeframe="1h", known_after="5m", lag="10m")
    assert stamps(one) == ["01-01 00:05", "01-01 01:05"]
    assert known(one) == ["01-01 00:10", "01-01 01:10"]
    assert one.lag == pd.Timedelta("10min")


def test_known_after_is_added_to_the_end_of_a_bar_and_not_to_its_open(tmp_path: Path) -> None:
    assert known(records(tmp_path, BARS, DAYS, known_after="1h"))[0] == "01-02 01:00"


def test_truncating_the_file_truncates_the_records(tmp_path: Path) -> None:
    """What is known at a time does not depend on later rows of the file."""
    hours = np.cumsum([0, 24, 24, 8, 8, 24, 8, 4, 4, 4, 8, 8, 8, 8, 8, 8])
    lines = [
        f"{pd.Timestamp('2024-01-01', tz='UTC') + pd.Timedelta(hours=int(one)):%Y-%m-%dT%H:%MZ},0.0001" for one in hours
    ]
    whole = records(tmp_path, FUNDING, "timestamp,rate\n" + "\n".join(lines))
    for size in range(2, len(lines)):
        part = records(tmp_path, FUNDING, "timestamp,rate\n" + "\n".join(lines[:size]))
        pd.testing.assert_frame_equal(part.frame, whole.frame[:size])


# -- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "written"), [("fraction", "0.0001"), ("percent", "0.01"), ("bps", "1")])
def test_rates_become_fractions(tmp_path: Path, unit: str, written: str) -> None:
    text = f"timestamp,rate\n2024-01-01T00:00Z,{written}\n2024-01-01T08:00Z,-{written}\n"
    assert records(tmp_path, FUNDING, text, rate_unit=unit).column("rate").tolist() == [0.0001, -0.0001]


def test_a_premium_index_becomes_a_fraction_and_may_be_negative(tmp_path: Path) -> None:
    text = "timestamp,open,high,low,close\n2024-01-01T00:00Z,-1,3,-5,2\n"
    one = records(tmp_path, BARS, text, kind="premium_index", rate_unit="bps")
    assert one.frame.loc[0, ["open", "high", "low", "close"]].tolist() == [-0.0001, 0.0003, -0.0005, 0.0002]


@pytest.mark.parametrize(("unit", "expected"), [("btc", [1, 2, 3]), ("usd", [1 / 105, 2 / 110, 3 / 115])])
def test_volume_becomes_btc_by_the_close_of_its_own_bar(tmp_path: Path, unit: str, expected: list[float]) -> None:
    one, report = build(tmp_path, BARS, DAYS, volume_unit=unit)
    assert one.column("volume").tolist() == expected
    assert any("division by the bar's own close" in note for note in report.notes) == (unit == "usd")


def test_a_file_without_volume_says_so(tmp_path: Path) -> None:
    text = "timestamp,open,high,low,close\n2024-01-01T00:00Z,1,1,1,1\n"
    one, report = build(tmp_path, BARS, text, volume_unit="none")
    assert np.isnan(one.column("volume")).all()
    assert report.notes == ("the file holds no volume",)


def test_columns_are_renamed_and_scaled(tmp_path: Path) -> None:
    text = "timestamp,oi_millions\n2024-01-01T00:00Z,5\n"
    one = records(tmp_path, INTEREST, text, columns={"value": "oi_millions"}, scale={"value": 1e6})
    assert one.column("value").tolist() == [5e6]


def test_a_typical_rate_of_one_percent_is_noted(tmp_path: Path) -> None:
    _, report = build(tmp_path, FUNDING, RATES.replace("0.000", "0.0"))
    assert "is rate_unit right?" in report.notes[0]
    assert build(tmp_path, FUNDING, RATES)[1].notes == ()


# -- hours of a settlement -----------------------------------------------------------------------


def rates_at(hours: list[float]) -> str:
    start = pd.Timestamp("2016-06-01T12:00Z")
    return "timestamp,rate\n" + "".join(f"{start + pd.Timedelta(hours=one):%Y-%m-%dT%H:%MZ},0.0001\n" for one in hours)


@pytest.mark.parametrize(
    ("hours", "expected", "missing"),
    [
        ([0, 8, 16, 24], [8, 8, 8, 8], 0),
        ([0, 1, 2, 5, 6], [1, 1, 1, 1, 1], 2),
        ([0, 24, 48, 56, 64], [24, 24, 24, 8, 8], 0),  # BitMEX, June 2016
        ([0, 8, 16, 40, 48], [8, 8, 8, 8, 8], 2),
        ([0, 8, 16, 26, 32], [8, 8, 8, 8, 8], 0),  # two hours late
        ([0, 8, 12, 16, 20], [8, 8, 4, 4, 4], 0),
    ],
)
def test_hours_are_inferred_and_a_long_gap_is_a_missing_settlement(
    tmp_path: Path, hours: list[float], expected: list[float], missing: int
) -> None:
    one, report = build(tmp_path, FUNDING, rates_at(hours))
    assert one.column("spacing_hours").tolist() == expected
    assert one.column("rate_hours").tolist() == expected
    assert report.missing == missing


def test_longer_hours_are_believed_once_they_are_most_of_the_last_ten(tmp_path: Path) -> None:
    found = records(tmp_path, FUNDING, rates_at([0, 4, 8, 12, *range(20, 100, 8)])).column("spacing_hours")
    assert found[3] == 4
    assert found[-1] == 8
    assert sorted(found) == list(found)


def test_hours_can_be_stated_or_read_from_the_file(tmp_path: Path) -> None:
    one = records(tmp_path, FUNDING, rates_at([0, 8, 11, 16, 24]), spacing_hours=8, rate_hours=1)
    assert one.column("spacing_hours").tolist() == [8] * 5
    assert one.column("rate_hours").tolist() == [1] * 5
    text = "timestamp,rate,h\n2016-06-03T12:00Z,0.001,24\n2016-06-03T20:00Z,0.001,8\n"
    columns = {"spacing_hours": "h", "rate_hours": "h"}
    one = records(tmp_path, {key: FUNDING[key] for key in FUNDING if key != "rate_hours"}, text, columns=columns)
    assert one.column("spacing_hours").tolist() == one.column("rate_hours").tolist() == [24, 8]


@pytest.mark.parametrize(
    ("hours", "changes", "said"),
    [
        ([0], {}, "one row"),
        ([0, 16, 24], {}, "16 hours apart"),
        ([0, 1, 2, 3], {"spacing_hours": 8}, "typically 1 hours apart"),
        ([0, 8, 16], {"spacing_hours": 1}, "typically 8 hours apart"),
    ],
)
def test_hours_that_cannot_be_right_are_refused(
    tmp_path: Path, hours: list[float], changes: dict[str, Any], said: str
) -> None:
    refused(tmp_path, FUNDING, rates_at(hours), "funding.csv", said, **changes)


# -- rows that are left out ----------------------------------------------------------------------


def test_every_dropped_row_is_counted_under_its_first_reason(tmp_path: Path) -> None:
    text = (
        "timestamp,open,high,low,close,volume,truncated\n"
        "2024-01-01T00:00Z,1,1,1,1,1,true\n"
        "2024-01-02T00:00Z,1,1,1,1,1,false\n"
        "2024-01-03T00:00Z,1,1,1,1,1,true\n"
        "2024-01-04T00:00Z,1,1,1,0,1,true\n"
        "2024-01-05T00:00Z,1,1,1,0,1,false\n"
        "2024-01-06T00:00Z,1,1,1,,1,false\n"
        "2024-01-07T00:00Z,1,1,1,1,1,false\n"
        "2024-01-08T00:00Z,1,1,1,1,1,false\n"
    )
    drop = [
        {"column": "truncated", "when": "flagged", "reason": "cut short"},
        {"column": "close", "when": "non_positive", "reason": "no trade"},
        {"column": "close", "when": "missing", "reason": "no close"},
    ]
    changes = {"from": "2024-01-02", "until": "2024-01-08", "drop": drop}
    one, report = build(tmp_path, BARS, text, **changes)
    assert stamps(one) == ["01-02 00:00", "01-07 00:00"]
    assert report.dropped == (
        ("before 2024-01-02", 1),
        ("from 2024-01-08 on", 1),
        ("cut short", 2),
        ("no trade", 1),
        ("no close", 1),
    )
    assert (report.read, report.kept) == (8, 2)
    assert report.read == report.kept + sum(count for _, count in report.dropped)
    assert (report.missing, report.holes) == (4, 1)


def test_from_looks_at_the_open_of_bars_stamped_at_their_close(tmp_path: Path) -> None:
    text = "timestamp,open,high,low,close,volume\n" + "".join(
        f"2024-01-{day}T00:00Z,1,1,1,1,1\n" for day in ("08", "15", "22")
    )
    one = records(tmp_path, BARS, text, timeframe="1W", stamp="bar_close", **{"from": "2024-01-03"})
    assert stamps(one) == ["01-08 00:00", "01-15 00:00"]


def test_an_entry_that_keeps_no_row_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, BARS, DAYS, "no row is left of 3", "3 before 2025-01-01", **{"from": "2025-01-01"})
    refused(tmp_path, BARS, DAYS.splitlines()[0] + "\n", "the file has no rows")


def test_missing_bars_are_counted_on_the_bars_own_grid(tmp_path: Path) -> None:
    assert build(tmp_path, BARS, DAYS)[1].missing == 1
    months = "timestamp,open,high,low,close,volume\n" + "".join(
        f"{month}-01T00:00Z,1,1,1,1,1\n" for month in ("2023-11", "2023-12", "2024-04")
    )
    report = build(tmp_path, BARS, months, timeframe="1M")[1]
    assert (report.missing, report.holes) == (3, 1)


# -- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_since_1970_are_read_exactly(tmp_path: Path, unit: str) -> None:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = [1704067200 * factor, (1704067200 + 8 * 3600) * factor + (factor > 1)]
    text = "t,value\n" + "".join(f"{one},5\n" for one in times)
    one = records(tmp_path, INTEREST, text, time={"column": "t", "unit": unit}, stamp="instant", timeframe="8h")
    assert one.stamp.tolist() == [time * (10**9 // factor) for time in times]


def test_fractions_of_a_second_are_read(tmp_path: Path) -> None:
    text = "t,value\n1704067200.5,5\n"
    one = records(tmp_path, INTEREST, text, time={"column": "t", "unit": "s"}, stamp="instant")
    assert one.frame["stamp"].iloc[0] == pd.Timestamp("2024-01-01T00:00:00.5Z")


def test_times_with_any_offset_are_the_same_instants(tmp_path: Path) -> None:
    text = "timestamp,value\n2024-01-01 00:00:00+00,5\n2024-01-02T08:00:00+08:00,6\n2024-01-03 00:00:00 UTC,7\n"
    one = records(tmp_path, INTEREST, text, stamp="instant")
    assert stamps(one) == ["01-01 00:00", "01-02 00:00", "01-03 00:00"]


def test_times_without_a_zone_need_one_in_the_spec(tmp_path: Path) -> None:
    text = DAYS.replace("T00:00:00Z", "")
    refused(tmp_path, BARS, text, "bars.csv", "'timestamp'", "without a zone", "time: {zone: UTC}")
    assert stamps(records(tmp_path, BARS, text, time={"zone": "UTC"}))[0] == "01-01 00:00"


def test_local_times_become_utc(tmp_path: Path) -> None:
    text = "timestamp,value\n2024-01-01 09:00,5\n2024-01-02 09:00,6\n"
    one = records(tmp_path, INTEREST, text, stamp="instant", time={"zone": "Asia/Tokyo"})
    assert stamps(one) == ["01-01 00:00", "01-02 00:00"]


@pytest.mark.parametrize("text", ["2024-10-27 02:30", "2024-03-31 02:30"])
def test_a_local_time_that_does_not_exist_once_is_refused(tmp_path: Path, text: str) -> None:
    rows = f"timestamp,value\n{text},5\n"
    refused(
        tmp_path,
        INTEREST,
        rows,
        "does not exist once in Europe/Berlin",
        stamp="instant",
        time={"zone": "Europe/Berlin"},
    )


def test_an_unknown_zone_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Mars/Olympus"):
        build(tmp_path, BARS, DAYS.replace("Z", ""), time={"zone": "Mars/Olympus"})


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("2024-01-02", ("row 2", "with and without a zone are mixed")),
        ("yesterday", ("row 2", "'yesterday'")),
        ("", ("row 2", "no time")),
        ("2024-13-02T00:00:00Z", ("row 2", "'2024-13-02T00:00:00Z' is not a time", "ISO 8601")),
        ("1970-01-02T00:00:00Z", ("row 2", "2009 to 2100")),
        ("2024-01-02T00:30:00Z", ("row 2", "not the open of a 1D bar", "2024-01-02 00:30:00+00:00")),
        ("2024-01-01T00:00:00Z", ("duplicate", "row 2", "2024-01-01 00:00:00+00:00", "row 1")),
        ("2023-01-01T00:00:00Z", ("unsorted", "row 2", "newest_first")),
    ],
)
def test_a_bad_time_is_refused_with_its_place(tmp_path: Path, cell: str, said: tuple[str, ...]) -> None:
    refused(tmp_path, BARS, DAYS.replace("2024-01-02T00:00:00Z", cell), "bars.csv", *said)


def test_the_wrong_unit_of_time_is_refused(tmp_path: Path) -> None:
    text = "timestamp,value\n1704067200000,5\n"
    for unit in ("s", "us", "ns"):
        refused(tmp_path, INTEREST, text, "row 1", "is time.unit right?", time={"unit": unit})
    refused(tmp_path, INTEREST, text, "set time.unit")


def test_a_file_that_runs_backward_is_turned_when_the_spec_says_so(tmp_path: Path) -> None:
    head, *rows = DAYS.splitlines()
    backward = "\n".join([head, *rows[::-1]])
    refused(tmp_path, BARS, backward, "unsorted", "row 2")
    turned = records(tmp_path, BARS, backward, order="newest_first")
    pd.testing.assert_frame_equal(turned.frame, records(tmp_path, BARS, DAYS).frame)
    refused(tmp_path, BARS, DAYS, "unsorted", "row 2", order="newest_first")


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",110,2", ",,2", ("'close'", "row 2", "2024-01-02", "nan")),
        (",110,2", ",-110,2", ("'close'", "row 2", "-110", "positive price")),
        (",110,2", ",abc,2", ("'close'", "row 2", "'abc' is no number")),
        (",110,2", ",1_10,2", ("'close'", "row 2", "no number")),
        (",110,2", ",true,2", ("'close'", "row 2", "'true' is no number")),
        (",110,2", ",inf,2", ("'close'", "row 2", "inf")),
        (",110,2", ",999,2", ("'close'", "row 2", "between the bar's low and high")),
        ("105,115", "999,115", ("'open'", "row 2", "open_is_previous_close")),
        ("115,95", "5,95", ("'high'", "row 2", "at or above low")),
        (",110,2", ",110,-2", ("'volume'", "row 2", "zero or more")),
        (",110,2", ",110,", ("'volume'", "row 2", "nan")),
    ],
)
def test_a_bad_bar_is_refused_with_its_place(tmp_path: Path, old: str, new: str, said: tuple[str, ...]) -> None:
    assert DAYS.count(old) == 1
    refused(tmp_path, BARS, DAYS.replace(old, new), "bars.csv", *said)


def test_an_open_outside_its_bar_is_counted_where_the_venue_writes_the_previous_close(tmp_path: Path) -> None:
    text = DAYS.replace("105,115", "999,115")
    one, report = build(tmp_path, BARS, text, open_is_previous_close=True)
    assert one.column("open")[1] == 999
    assert report.notes == ("1 bars open outside their high and low: open is the previous close",)


@pytest.mark.parametrize("value", ["0", "-5", ""])
def test_an_open_interest_of_zero_is_missing_and_never_zero(tmp_path: Path, value: str) -> None:
    text = f"timestamp,value\n2024-01-01T00:00Z,5\n2024-01-02T00:00Z,{value}\n"
    refused(tmp_path, INTEREST, text, "oi.csv", "'value'", "row 2", "2024-01-02", "drop:")
    when = "non_positive" if value else "missing"
    drop = [{"column": "value", "when": when, "reason": "outage"}]
    assert build(tmp_path, INTEREST, text, drop=drop)[1].dropped == (("outage", 1),)


def test_a_rate_of_one_or_more_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, FUNDING, RATES.replace("-0.0001", "1.5"), "'rate'", "row 3", "percent or bps")


@pytest.mark.parametrize("cell", ["2", "", "yes"])
def test_a_flag_is_true_or_false(tmp_path: Path, cell: str) -> None:
    text = f"timestamp,value,bad\n2024-01-01T00:00Z,5,false\n2024-01-02T00:00Z,5,{cell}\n"
    drop = [{"column": "bad", "when": "flagged", "reason": "x"}]
    refused(tmp_path, INTEREST, text, "'bad'", "row 2", "neither true nor false", drop=drop)


def test_bars_coarser_than_the_spec_says_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, BARS, DAYS, "no two rows are one 1h apart", "1 days", timeframe="1h")


# -- files ---------------------------------------------------------------------------------------


def test_parquet_and_csv_give_the_same_records(tmp_path: Path) -> None:
    frame = pd.DataFrame({"timestamp": pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True), "value": [1 / 3, 2 / 3]})
    frame.to_parquet(tmp_path / "oi.parquet")
    frame.to_csv(tmp_path / "oi.csv", index=False)
    with gzip.open(tmp_path / "oi.csv.gz", "wt") as file:
        frame.to_csv(file, index=False)
    found = [records(tmp_path, INTEREST, file=name) for name in ("oi.parquet", "oi.csv", "oi.csv.gz")]
    assert found[0].column("value").tolist() == [1 / 3, 2 / 3]
    assert len({one.content_hash() for one in found}) == 1


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_parquet_times_without_a_zone_follow_the_spec(tmp_path: Path, zone: str | None) -> None:
    times = pd.to_datetime(["2024-01-01", "2024-01-02"])
    for name, column in (("stamps", times), ("days", [one.date() for one in times])):
        pd.DataFrame({"timestamp": column, "value": [1, 2]}).to_parquet(tmp_path / f"{name}.parquet")
        if zone:
            assert stamps(records(tmp_path, INTEREST, file=f"{name}.parquet", time={"zone": zone}))[0] == "01-02 00:00"
        else:
            with pytest.raises(BadRecords, match="without a zone"):
                records(tmp_path, INTEREST, file=f"{name}.parquet")


def test_a_zone_in_the_spec_against_the_files_own_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, BARS, DAYS, "carries its own zone", time={"zone": "Asia/Tokyo"})
    assert len(records(tmp_path, BARS, DAYS, time={"zone": "UTC"})) == 3


def test_numbers_for_times_need_a_unit(tmp_path: Path) -> None:
    pd.DataFrame({"timestamp": [1704067200], "value": [1]}).to_parquet(tmp_path / "oi.parquet")
    with pytest.raises(BadRecords, match=r"holds int64 and not times; expected time\.unit"):
        records(tmp_path, INTEREST, file="oi.parquet")


def test_a_pattern_joins_files_by_name(tmp_path: Path) -> None:
    head, *rows = DAYS.splitlines()
    for name, part in (("bars-2.csv", rows[2:]), ("bars-1.csv", rows[:2])):
        (tmp_path / name).write_text("\n".join([head, *part]))
    one, report = build(tmp_path, BARS, file="bars-*.csv")
    assert stamps(one) == ["01-01 00:00", "01-02 00:00", "01-04 00:00"]
    assert report.files == ("bars-1.csv", "bars-2.csv")
    (tmp_path / "bars-3.csv").write_text("\n".join([head, rows[2]]))
    with pytest.raises(BadRecords, match=r"bars-3\.csv: duplicate time 2024-01-04.* row 1 of bars-2\.csv"):
        build(tmp_path, BARS, file="bars-*.csv")


def test_a_text_file_may_have_other_cuts(tmp_path: Path) -> None:
    text = "a site's greeting\n1704067200;5\n1704153600;6\n"
    layout = {"separator": ";", "skip_lines": 1, "names": ["t", "value"]}
    one = records(tmp_path, INTEREST, text, csv=layout, time={"column": "t", "unit": "s"})
    assert one.column("value").tolist() == [5.0, 6.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header line"),
        ("timestamp,open,open,high,low,close,volume\n", "'open' is there twice"),
        ("timestamp,open,high,low,closing,volume\n", "no column 'close'; did you mean 'closing'"),
        ("a,b\n1,2\n", "no column 'timestamp'; it has: a, b"),
        (DAYS + "2024-01-05T00:00:00Z,1,1\n", "cannot be read"),
        (DAYS + "2024-01-05T00:00:00Z,1,1,1,1,1,1\n", "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_the_spec_says_is_refused(tmp_path: Path, text: str, said: str) -> None:
    refused(tmp_path, BARS, text, "bars.csv", said)


@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz", "bars.parquet"])
def test_a_file_of_noise_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 4)
    with pytest.raises(BadRecords, match=name):
        build(tmp_path, BARS, file=name)


def test_an_absent_file_is_missing_data_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "barz.csv").write_text(DAYS)
    with pytest.raises(MissingData, match=r"bars\.csv: no such file.*did you mean 'barz\.csv'") as caught:
        build(tmp_path, BARS)
    assert caught.value.exit_code == 66


# -- the whole folder ----------------------------------------------------------------------------


def test_a_folder_becomes_a_store_and_the_report_says_what_became_of_it(tmp_path: Path) -> None:
    for name, text in (("bars.csv", DAYS), ("funding.csv", RATES)):
        (tmp_path / name).write_text(text)
    store = Store(tmp_path / "store")
    report = import_files(tmp_path, spec(BARS, FUNDING), store)
    assert [(one.file, one.read, one.kept, one.missing) for one in report] == [
        ("bars.csv", 3, 3, 1),
        ("funding.csv", 3, 3, 0),
    ]
    assert [one.key for one in store.dataset()] == sorted(one.key for one in report)
    assert len(report) == 2


def test_nothing_is_written_where_one_file_is_bad_and_every_fault_is_named(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(DAYS)
    (tmp_path / "funding.csv").write_text(RATES.replace("0.0002", "x"))
    with pytest.raises(
        BadRecords, match=r"(?s)2 of 3 .*nothing was written.*funding\.csv.*oi\.csv: no such file"
    ) as caught:
        import_files(tmp_path, spec(BARS, FUNDING, INTEREST), Store(tmp_path / "store"))
    assert caught.value.exit_code == 65
    assert not (tmp_path / "store").exists()


def test_absent_files_alone_are_missing_data(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="2 of 2"):
        import_files(tmp_path, spec(BARS, FUNDING), Store(tmp_path / "store"))
    with pytest.raises(MissingData, match="no such file or folder"):
        import_files(tmp_path / "nowhere", spec(BARS), Store(tmp_path / "store"))


def test_importing_again_leaves_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(DAYS)
    folder = tmp_path / "store"

    def bytes_now() -> dict[str, bytes]:
        return {one.name: one.read_bytes() for one in folder.rglob("*") if one.is_file()}

    import_files(tmp_path, spec(BARS), Store(folder, now=lambda: pd.Timestamp("2024-06-01", tz="UTC")))
    before = bytes_now()
    import_files(tmp_path, spec(BARS), Store(folder, now=lambda: pd.Timestamp("2025-06-01", tz="UTC")))
    assert bytes_now() == before


def test_one_file_of_the_spec_can_be_imported_alone(tmp_path: Path) -> None:
    (tmp_path / "bars-7.csv").write_text(DAYS)
    (tmp_path / "other.csv").write_text(DAYS)
    both = spec(BARS | {"file": "bars-*.csv"}, FUNDING)
    report = import_files(tmp_path / "bars-7.csv", both, Store(tmp_path / "store"))
    assert [one.file for one in report] == ["bars-7.csv"]
    with pytest.raises(ConfigError, match=r"other\.csv: no entry of the spec names this file"):
        import_files(tmp_path / "other.csv", both, Store(tmp_path / "store"))


# -- the spec itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "changes", "said"),
    [
        (BARS, {"role": None}, "expected role"),
        (BARS, {"aggregate": True}, "expected role"),
        (BARS, {"role": "perp"}, "margin: linear or inverse"),
        (BARS, {"margin": "linear"}, "no margin for spot"),
        (BARS, {"stamp": "settlement"}, "expected bar_open or bar_close"),
        (FUNDING, {"stamp": "bar_open"}, "expected settlement"),
        (INTEREST, {"stamp": "bar_open"}, "expected instant or value_at_close"),
        (BARS, {"timeframe": "1d"}, "did you mean '1D'"),
        (BARS, {"kind": "ohlc"}, "'ohlcv', 'mark'"),
        (BARS, {"volume_unit": "lots"}, "'btc', 'quote', 'usd' or 'none'"),
        (FUNDING, {"rate_unit": "permille"}, "'fraction', 'percent' or 'bps'"),
        (INTEREST, {"oi_unit": "none"}, "oi_unit: btc, usd or contract"),
        (INTEREST, {"oi_unit": "contract"}, "expected contract_size"),
        (INTEREST, {"oi_unit": "coins"}, "'btc', 'usd', 'contract' or 'none'"),
        (FUNDING, {"rate_hours": None}, "funding needs rate_hours"),
        (FUNDING, {"columns": {"rate_hours": "h"}}, "funding needs rate_hours"),
        (FUNDING, {"spacing_hours": 8, "columns": {"spacing_hours": "h"}}, "given twice"),
        (FUNDING, {"columns": {"price": "p"}}, "funding has no column 'price'"),
        (BARS, {"scale": {"rate": 2.0}}, "ohlcv has no column 'rate'"),
        (BARS, {"rate_unit": "bps"}, "rate_unit is for funding and premium_index, not for ohlcv"),
        (BARS, {"from": "2024-02-01", "until": "2024-01-01"}, "is not before"),
        (BARS, {"from": "soon"}, "is not a day"),
        (BARS, {"lag": "5 parsecs"}, "is not a duration"),
        (BARS, {"file": "/etc/bars.csv"}, "leaves the imported folder"),
        (BARS, {"file": "../bars.csv"}, "leaves the imported folder"),
        (BARS, {"file": "bars.xlsx"}, "ends in .csv, .csv.gz or .parquet"),
        (BARS, {"time": {"unit": "ms", "zone": "Asia/Tokyo"}}, "remove zone"),
        (BARS, {"clumns": {}}, "clumns"),
        (BARS, {"drop": [{"column": "x", "when": "flagged"}]}, "reason"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(entry: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(entry | changes)
    assert said in str(caught.value)


def test_a_series_has_one_entry_and_an_instrument_one_set_of_facts() -> None:
    with pytest.raises(ValidationError, match="made by 2 entries"):
        spec(BARS, BARS | {"file": "again.csv"})
    other = INTEREST | {"file": "b.csv", "quote": "USDT", "timeframe": "1h"}
    with pytest.raises(ValidationError, match=r"coinglass:BTC has other facts in b\.csv than in oi\.csv"):
        spec(INTEREST, other)


def test_a_spec_is_read_from_yaml_and_its_faults_have_a_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    lines = ["files:", "  - file: bars.csv", *(f"    {key}: {value}" for key, value in BARS.items() if key != "file")]
    path.write_text("\n".join([*lines, "    from: 2024-01-02", "    known_after: 5m", "    columns: {close: last}"]))
    (one,) = load_spec(path).files
    assert (one.columns, str(one.start), one.known_after.seconds) == ({"close": "last"}, "2024-01-02", 300)
    path.write_text("\n".join(lines).replace("stamp: bar_open", "stamp: bar_opn"))
    with pytest.raises(ConfigError, match=rf"spec\.yaml:{len(lines)}:") as caught:
        load_spec(path)
    assert caught.value.exit_code == 78


def test_the_catalog_spec_is_whole_and_names_no_place() -> None:
    path = Path(__file__).resolve().parents[1] / "configs" / "import" / "catalog.yaml"
    found = load_spec(path)
    assert len(found.files) == 24
    assert not any("/" in one.file or "*" in one.file for one in found.files)
    assert all(one.source for one in found.files)
    assert {one.true_role for one in found.files if one.venue in {"coinglass", "cryptoquant"}} == {"aggregate"}
