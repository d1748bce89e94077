"""Leaks: timeframes and series are joined on a time that is not the one of knowledge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.contracts import aligned
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import TRADED
from btcflow.flow.bars import Bars
from btcflow.panel import Panel
from btcflow.traps.trap import closes, leak, timeline

_HOUR = pd.Timedelta("1h")
_FUNDING = ("close", "funding_hours", "funding_paid")


def _weeks(bars: Bars) -> pd.DatetimeIndex:
    """The Monday of each bar."""
    return timeframes.bar_open(bars.index, "1W").as_unit("ns")


def _weekly(bars: Bars) -> pd.DataFrame:
    """Weekly candles made from the bars, indexed by their Monday; the week that is going on has one too."""
    price = closes(bars)
    return price.groupby(_weeks(bars)).agg(["first", "last", "max", "min"]).rename_axis("date")


# -- higher timeframes --------------------------------------------------------------------------------


@leak("truncation", unit="0/1")
def inside_the_body_of_a_week_merged_on_its_date(bars: Bars) -> pd.Series[float]:
    """`merge_asof` of weekly candles on their date, which is their open: freqtrade#12507, passed by its analysis.

    Each day sees the close of the week it lies in. On the newest candle the day's close is the
    week's, so the event is never there live.
    """
    week = _weekly(bars)
    body = pd.DataFrame({"low": week[["first", "last"]].min(axis=1), "high": week[["first", "last"]].max(axis=1)})
    days = pd.DataFrame({"date": bars.index, "close": closes(bars).to_numpy()})
    merged = pd.merge_asof(days, body.reset_index(), on="date", direction="backward")
    inside = (merged["close"] > merged["low"]) & (merged["close"] < merged["high"])
    return timeline(bars, inside.to_numpy(dtype=np.float64))


@leak("truncation", unit="0/1")
def week_turns_up_seen_by_its_first_day(bars: Bars) -> pd.Series[float]:
    """Higher-timeframe candles filled onto days, used only where they turn: freqtrade#11346, passed by its analysis.

    A signal on few days: a check that looks where trades are sees nothing unless one lies at its cut.
    """
    week = _weekly(bars)
    up = (week["last"] > week["first"]).astype(float).reindex(bars.index, method="ffill")
    return ((up == 1.0) & (up.shift() == 0.0)).astype(float)


@leak("closed bars", timeframe="1W", unit="quote")
def week_that_is_still_open(bars: Bars) -> tuple[np.ndarray, np.ndarray]:
    """`resample("1W").last()` has a row for the week that is going on, with a close that is none."""
    panel = bars.panel
    weeks = timeframes.bar_open(panel.index, "1W")
    last = pd.Series(panel["close"][:, 0]).groupby(weeks).last()
    ends = timeframes.bar_close(pd.DatetimeIndex(last.index), "1W").as_unit("ns").asi8
    return ends + panel.decision_lag.value, last.to_numpy(dtype=np.float64, copy=True)


@leak("closed bars", unit="quote")
def newest_price_on_the_last_closed_bar(bars: Bars) -> np.ndarray:
    """The last row is refreshed with the live price: what came after its close stands in it."""
    values, live = np.array(bars["price"]), bars.panel["close"][-1, 0]
    values[-1] = live
    return values


@leak("truncation", unit="quote")
def resampled_with_the_label_on_the_left(bars: Bars) -> pd.Series[float]:
    """`resample("W-MON", label="left").last()` filled onto days: Monday knows Sunday's close."""
    weekly = closes(bars).resample("W-MON", label="left", closed="left").last()
    return weekly.reindex(bars.index, method="ffill")


@leak("truncation", unit="quote")
def high_of_the_week_all_week(bars: Bars) -> pd.Series[float]:
    """`groupby(week).transform("max")`: the high of the week stands on all its days."""
    return closes(bars).groupby(_weeks(bars)).transform("max")


@leak("truncation", timeframe="4h", unit="fraction")
def high_of_the_day_within_the_day(bars: Bars) -> pd.Series[float]:
    """Distance from today's high, on 4-hour bars, with the high of the whole day."""
    price = closes(bars)
    return price / price.groupby(bars.index.floor("D")).transform("max") - 1.0


@leak("truncation", timeframe="4h", unit="quote")
def close_of_the_day_at_its_open(bars: Bars) -> pd.Series[float]:
    """Daily bars are labelled with their open, and joined to the hours by that label."""
    daily = closes(bars).groupby(bars.index.floor("D")).last()
    return daily.reindex(bars.index, method="ffill")


@leak("truncation", unit="quote")
def one_row_per_week_the_last_kept(bars: Bars) -> pd.Series[float]:
    """`drop_duplicates("week", keep="last")`, mapped back: every day gets the last row of its week."""
    days = pd.DataFrame({"week": _weeks(bars), "close": closes(bars).to_numpy()})
    last = days.drop_duplicates("week", keep="last").set_index("week")["close"]
    return timeline(bars, days["week"].map(last).to_numpy())


@leak("truncation", unit="fraction")
def volatility_of_the_month_within_the_month(bars: Bars) -> pd.Series[float]:
    """`groupby(month).transform("std")`: a calm first week knows of the storm at the end."""
    returns = closes(bars).pct_change()
    return returns.groupby(timeframes.bar_open(bars.index, "1M")).transform("std", ddof=0)


@leak("truncation", unit="quote")
def weekly_value_of_the_nearest_stamp(bars: Bars) -> pd.Series[float]:
    """`merge_asof(direction="nearest")`: from Thursday on the nearest weekly stamp is the next one."""
    week = _weekly(bars)["first"].reset_index()
    days = pd.DataFrame({"date": bars.index})
    return timeline(bars, pd.merge_asof(days, week, on="date", direction="nearest")["first"].to_numpy())


@leak("truncation", unit="quote")
def weekly_value_of_the_next_stamp(bars: Bars) -> pd.Series[float]:
    """`merge_asof(direction="forward")` where backward was meant."""
    week = _weekly(bars)["first"].reset_index()
    days = pd.DataFrame({"date": bars.index})
    return timeline(bars, pd.merge_asof(days, week, on="date", direction="forward")["first"].to_numpy())


# -- funding and open interest ------------------------------------------------------------------------


@leak("truncation", timeframe="4h", needs=_FUNDING)
def funding_of_the_next_settlement(bars: Bars) -> np.ndarray:
    """Funding is paid every eight hours; `bfill` to have a value on each bar takes the next payment."""
    panel = bars.panel
    paid = pd.Series(panel["funding_paid"][:, list(panel.instruments).index(panel.clock.instrument)])
    return bars.last(paid.bfill().to_numpy(dtype=np.float64))


@leak("truncation", needs=("close", "open_interest"))
def open_interest_before_it_was_listed(bars: Bars) -> np.ndarray:
    """A total over venues, filled backward first so that it begins with all of them."""
    interest = pd.DataFrame(bars.panel["open_interest"]).bfill()
    return bars.last(interest.sum(axis=1).to_numpy(dtype=np.float64))


@leak("truncation", needs=("close", "open_interest"))
def venues_weighed_by_their_final_size(bars: Bars) -> np.ndarray:
    """An index weighed by what the venues have become."""
    interest = pd.DataFrame(bars.panel["open_interest"]).ffill(limit=24)
    weights = interest.iloc[-1] / interest.iloc[-1].sum()
    return bars.last((np.log(interest) * weights).sum(axis=1).to_numpy(dtype=np.float64))


def _funding_at_announcement(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    """Settlements stand at the start of the hours they are paid for."""
    clock = make_clock(dataset, TRADED, missing_funding="report")
    return align(dataset.map(_announced), clock, needs=needs, as_of=as_of)


def _announced(one: Records) -> Records:
    if one.key.kind != "funding":
        return one
    ahead = pd.to_timedelta(one.frame["spacing_hours"], unit="h")
    return replace(one, frame=one.frame.assign(stamp=one.frame["stamp"] - ahead, known_at=one.frame["stamp"] - ahead))


@leak("truncation", needs=_FUNDING, aligner=_funding_at_announcement)
def funding_joined_on_its_announcement(bars: Bars) -> np.ndarray:
    """Venues stamp a rate with the start of its interval, when only an estimate of it is known."""
    return np.array(bars["funding_8h_raw"])


def _closes_at_the_open(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    """Candles stand where their stamp is."""
    return align(
        dataset.map(_an_hour_early), make_clock(dataset, TRADED, missing_funding="report"), needs=needs, as_of=as_of
    )


def _an_hour_early(one: Records) -> Records:
    if one.key.kind != "ohlcv":
        return one
    frame = one.frame
    return replace(one, frame=frame.assign(stamp=frame["stamp"] - _HOUR, known_at=frame["known_at"] - _HOUR))


@leak("truncation", unit="quote", aligner=_closes_at_the_open)
def candles_joined_on_their_open(bars: Bars) -> np.ndarray:
    """A candle is stamped with its open, and its close is used from that time on."""
    return np.array(bars["price"])


def _without_lag(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    """Snapshots are used at the moment they describe."""
    return aligned(dataset.map(_at_once), as_of, needs)


def _at_once(one: Records) -> Records:
    if one.key.kind != "open_interest":
        return one
    return replace(one, frame=one.frame.assign(known_at=one.frame["stamp"]), lag=pd.Timedelta(0))


@leak("truncation", needs=("close", "open_interest"), aligner=_without_lag)
def snapshots_without_their_lag(bars: Bars) -> np.ndarray:
    """Open interest of 00:00 comes five minutes later; the archive does not say so."""
    return np.array(bars["oi_index"])


def _on_the_stamp(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    """An archive as it lies there: whatever was published late stands where it belongs."""
    return aligned(dataset.map(_known_as_declared), as_of, needs)


def _known_as_declared(one: Records) -> Records:
    known = pd.to_datetime(one.ends + one.lag.value, unit="ns", utc=True)
    return replace(one, frame=one.frame.assign(known_at=known))


@leak("availability", needs=_FUNDING, aligner=_on_the_stamp)
def late_funding_joined_on_its_stamp(bars: Bars) -> np.ndarray:
    """Rows that came days late are used as if they had come in time: the archive has only one time per row."""
    return np.array(bars["funding_8h_raw"])


@leak("availability", needs=("close", "open_interest"), aligner=_on_the_stamp)
def late_snapshots_joined_on_their_stamp(bars: Bars) -> np.ndarray:
    """The same for open interest that a vendor delivered, or revised, afterwards."""
    return np.array(bars["oi_index"])


@leak("availability", unit="quote", aligner=_on_the_stamp)
def repaired_prices_joined_on_their_stamp(bars: Bars) -> np.ndarray:
    """An outage was filled in later by the venue, and nobody could have traded on those candles."""
    return np.array(bars["price"])
