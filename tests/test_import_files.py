"""Reading files: times, numbers and columns, and one clear error for everything that is not what the spec says."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from importing import BARS, DAYS, FUNDING, INTEREST, RATES, build, records, refused, stamps

from btcflow.errors import BadRecords, ConfigError, MissingData

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
