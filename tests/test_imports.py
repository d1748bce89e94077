"""Real files into the store: what the rows mean, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from importing import BARS, DAYS, FUNDING, INTEREST, RATES, build, known, records, refused, spec, stamps

from btcflow.data.imports import import_files
from btcflow.data.store import Store
from btcflow.errors import BadRecords, ConfigError, MissingData

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
