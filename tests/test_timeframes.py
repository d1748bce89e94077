"""Bars on the calendar: which one an instant belongs to, and where it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from btcflow.errors import ConfigError
from btcflow.timeframes import bar_close, bar_open, bars_per_year, parse

DAY = timedelta(days=1)
FRAMES = ("5m", "90m", "1h", "4h", "1D", "2D", "3D", "5D", "100D", "1W", "2W", "5W", "1M", "2M", "3M", "5M", "12M")
EPOCH_FRAMES = ("2D", "3D", "5D")


def days(*texts: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([pd.Timestamp(text, tz="UTC") for text in texts])


def said(index: pd.DatetimeIndex) -> list[str]:
    return [one.strftime("%Y-%m-%d") for one in index]


# --- golden -------------------------------------------------------------------------------------------


def test_three_day_bars_start_again_every_new_year() -> None:
    opens = days("2024-12-29", "2025-12-30", "2026-01-01")
    for open_ in opens:
        assert bar_open(opens[opens == open_], "3D")[0] == open_, "it opens a bar"
    assert said(bar_close(opens, "3D")) == ["2025-01-01", "2026-01-01", "2026-01-04"]


def test_the_last_three_day_bar_is_full_in_a_leap_year_and_two_days_in_a_common_one() -> None:
    lengths = bar_close(days("2024-12-29", "2025-12-30"), "3D") - days("2024-12-29", "2025-12-30")
    assert [one.days for one in lengths] == [3, 2]


@pytest.mark.parametrize(
    ("day", "open_"),
    [
        ("2017-12-17", "2017-12-15"),
        ("2018-12-15", "2018-12-15"),
        ("2020-03-13", "2020-03-13"),
        ("2021-04-14", "2021-04-13"),
        ("2021-11-10", "2021-11-09"),
        ("2022-06-18", "2022-06-18"),
        ("2024-03-14", "2024-03-13"),
        ("2024-08-05", "2024-08-04"),
    ],
)
def test_three_day_bars_of_dated_events(day: str, open_: str) -> None:
    assert said(bar_open(days(day), "3D")) == [open_]


def test_a_week_opens_on_monday_and_a_month_on_the_first() -> None:
    instants = days("2024-03-10 23:59:59.999999999", "2024-03-11", "2024-03-14 12:00", "2024-02-29 23:59")
    assert said(bar_open(instants, "1W")) == ["2024-03-04", "2024-03-11", "2024-03-11", "2024-02-26"]
    assert said(bar_open(instants, "1M")) == ["2024-03-01", "2024-03-01", "2024-03-01", "2024-02-01"]
    assert said(bar_close(days("2024-02-01", "2023-02-01", "2023-12-01"), "1M")) == [
        "2024-03-01",
        "2023-03-01",
        "2024-01-01",
    ]


def test_two_weeks_count_from_the_first_monday_of_the_year() -> None:
    # The first Monday of 2024 is 1 January and of 2025 the 6th: the last bar of 2024 is one week long.
    assert said(bar_open(days("2024-01-14", "2024-01-15", "2024-12-31", "2025-01-05", "2025-01-06"), "2W")) == [
        "2024-01-01",
        "2024-01-15",
        "2024-12-30",
        "2024-12-30",
        "2025-01-06",
    ]
    assert said(bar_close(days("2024-12-30"), "2W")) == ["2025-01-06"]


def test_months_that_do_not_divide_a_year_end_in_a_stub() -> None:
    assert said(bar_open(days("2024-11-30", "2024-12-01"), "5M")) == ["2024-11-01", "2024-11-01"]
    assert said(bar_close(days("2024-11-01"), "5M")) == ["2025-01-01"]


def test_an_epoch_anchor_never_starts_again() -> None:
    instants = days("1970-01-01", "1970-01-03 23:00", "1970-01-04", "2025-12-31", "2026-01-01", "2026-01-02")
    opens = bar_open(instants, "3D", "epoch")
    assert said(opens)[:3] == ["1970-01-01", "1970-01-01", "1970-01-04"]
    assert all(int(one.timestamp()) // 86_400 % 3 == 0 for one in opens)
    assert (bar_close(opens, "3D", "epoch") - opens == pd.Timedelta(days=3)).all()


def test_the_epoch_anchor_changes_nothing_but_bars_of_several_days() -> None:
    instants = days("2025-12-31 17:35", "2026-01-01", "2026-03-05 04:00")
    for frame in ("4h", "1D", "1W", "2W", "1M", "3M"):
        assert bar_open(instants, frame, "epoch").equals(bar_open(instants, frame)), frame


# --- laws ---------------------------------------------------------------------------------------------


def slow_open(instant: datetime, count: int, unit: str, anchor: str) -> datetime:
    """The bar's open, counted by hand with dates."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit in "mh":
        minutes = int((instant - midnight).total_seconds() // 60)
        size = count * (60 if unit == "h" else 1)
        return midnight + timedelta(minutes=minutes - minutes % size)
    if unit == "M":
        return midnight.replace(month=1 + (midnight.month - 1) // count * count, day=1)
    if unit == "D":
        first = datetime(1970, 1, 1, tzinfo=UTC) if anchor == "epoch" else midnight.replace(month=1, day=1)
        while count > 1 and (midnight - first).days % count:
            midnight -= DAY
        return midnight
    while midnight.weekday() != 0:
        midnight -= DAY
    first = midnight.replace(month=1, day=1)
    while first.weekday() != 0:
        first += DAY
    while count > 1 and (midnight - first).days // 7 % count:
        midnight -= 7 * DAY
    return midnight


def slow_close(open_: datetime, count: int, unit: str, anchor: str) -> datetime:
    """The first later moment that belongs to another bar."""
    step = DAY if unit in "DWM" else timedelta(minutes=1)
    later = open_ + step
    while slow_open(later, count, unit, anchor) == open_:
        later += step
    return later


def random_instants(count: int, seed: int) -> pd.DatetimeIndex:
    low, high = pd.Timestamp("1970-01-01").value, pd.Timestamp("2099-12-31").value
    drawn = np.random.default_rng(seed).integers(low, high, count)
    return pd.DatetimeIndex(pd.to_datetime(drawn, unit="ns", utc=True))


CASES = [(frame, "tv_year_reset") for frame in FRAMES] + [(frame, "epoch") for frame in EPOCH_FRAMES]


@pytest.mark.parametrize(("frame", "anchor"), CASES)
def test_bars_equal_those_counted_by_hand(frame: str, anchor: str) -> None:
    instants = random_instants(60, seed=1)
    opens = bar_open(instants, frame, anchor)  # type: ignore[arg-type]
    closes = bar_close(opens, frame, anchor)  # type: ignore[arg-type]
    which = parse(frame)
    for instant, open_, close in zip(instants, opens, closes, strict=True):
        expected = slow_open(instant.to_pydatetime(warn=False), which.count, which.unit, anchor)
        assert open_ == expected
        assert close == slow_close(expected, which.count, which.unit, anchor)


@pytest.mark.parametrize(("frame", "anchor"), CASES)
def test_every_instant_lies_in_its_bar_and_bars_leave_no_gap(frame: str, anchor: str) -> None:
    instants = random_instants(20_000, seed=2)
    opens = bar_open(instants, frame, anchor)  # type: ignore[arg-type]
    closes = bar_close(opens, frame, anchor)  # type: ignore[arg-type]
    assert (opens <= instants).all()
    assert (instants < closes).all()
    assert bar_open(opens, frame, anchor).equals(opens), "an open belongs to its own bar"  # type: ignore[arg-type]
    assert bar_open(closes, frame, anchor).equals(closes), "a close is the next open"  # type: ignore[arg-type]
    last = closes - pd.Timedelta(1, unit="ns")
    assert bar_open(last, frame, anchor).equals(opens), "the last nanosecond still belongs to the bar"  # type: ignore[arg-type]


def test_another_zone_names_the_same_bar() -> None:
    instants = random_instants(500, seed=3)
    assert bar_open(instants.tz_convert("Asia/Tokyo"), "1D").equals(bar_open(instants, "1D"))


def test_an_empty_index_has_no_bars() -> None:
    none = pd.DatetimeIndex([], tz="UTC")
    assert len(bar_open(none, "3D")) == len(bar_close(none, "3D")) == 0


# --- spelling -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [bar_open, bar_close])
def test_a_naive_time_is_refused(function: object) -> None:
    with pytest.raises(ValueError, match=r"tz-aware.*naive.*localize"):
        function(pd.DatetimeIndex(["2024-01-01"]), "1D")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "near"),
    [("1d", "1D"), ("3d", "3D"), ("1w", "1W"), ("4H", "4h"), ("15M", "15m"), ("30M", "30m"), ("1Day", "1D")],
)
def test_a_near_spelling_is_offered(text: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{text}' is not a timeframe; did you mean '{near}'"):
        parse(text)


@pytest.mark.parametrize("text", ["", "D", "0D", "-1D", "1.5h", "7h", "7m", "1D ", "13M", "53W", "366D", "1Y", "daily"])
def test_what_is_no_timeframe_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a timeframe"):
        parse(text)


def test_a_year_holds_365_days_of_bars() -> None:
    assert [bars_per_year(one) for one in ("1h", "1D", "1M")] == [8760, 365, 12]
    assert bars_per_year("3D") == pytest.approx(365 / 3)
    assert [str(parse(one)) for one in FRAMES] == list(FRAMES)
