"""Honest controls: what looks like a leak, and is none. No law may accuse one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.flow.bars import Bars
from btcflow.stack import carry
from btcflow.traps.trap import closes, control, logs, timeline

_FUNDING = ("close", "funding_hours", "funding_paid")
_INTEREST = ("close", "open_interest")


@control(unit="quote")
def exponential_average(bars: Bars) -> pd.Series[float]:
    """An EMA reads every row before it, and none after."""
    return closes(bars).ewm(span=20, adjust=False).mean()


@control(unit="fraction")
def pair_of_averages(bars: Bars) -> pd.Series[float]:
    """MACD: a fast EMA over a slow one."""
    price = closes(bars)
    return price.ewm(span=12, adjust=False).mean() / price.ewm(span=26, adjust=False).mean() - 1.0


@control(unit="quote")
def expanding_mean(bars: Bars) -> pd.Series[float]:
    """The mean of all rows so far; the honest twin of the mean of the sample."""
    return closes(bars).expanding().mean()


@control(unit="z")
def expanding_z_score(bars: Bars) -> pd.Series[float]:
    """Standardised by what was known."""
    price = closes(bars)
    return (price - price.expanding(20).mean()) / price.expanding(20).std()


@control(unit="fraction")
def expanding_min_max(bars: Bars) -> pd.Series[float]:
    """Scaled between the lowest and the highest close so far."""
    price = closes(bars)
    low, high = price.expanding(30).min(), price.expanding(30).max()
    return (price - low) / (high - low)


@control(unit="fraction")
def rolling_rank(bars: Bars) -> pd.Series[float]:
    """A percentile among the last 60 rows."""
    return closes(bars).rolling(60).rank(pct=True)


@control(unit="0/1")
def above_a_rolling_quantile(bars: Bars) -> pd.Series[float]:
    """A threshold that is estimated on the rows before."""
    price = closes(bars)
    level = price.rolling(60).quantile(0.8).shift()
    return (price > level).astype(float).where(level.notna())


@control(unit="quote")
def rolling_median(bars: Bars) -> pd.Series[float]:
    """A trailing median."""
    return closes(bars).rolling(15).median()


@control(unit="fraction")
def summed_returns(bars: Bars) -> pd.Series[float]:
    """A cumulative sum from the start."""
    return closes(bars).pct_change().fillna(0.0).cumsum()


@control(unit="quote")
def filled_forward_for_two_days(bars: Bars) -> pd.Series[float]:
    """`ffill(limit=2)`: an old value with an age limit."""
    return closes(bars).ffill(limit=2)


@control(unit="quote")
def difference_to_the_row_before(bars: Bars) -> pd.Series[float]:
    """`diff(1)`."""
    return closes(bars).diff()


@control(unit="fraction")
def log_return(bars: Bars) -> pd.Series[float]:
    """`log(p).diff()`."""
    return logs(bars).diff()


@control(unit="fraction")
def correlation_with_the_premium(bars: Bars) -> pd.Series[float]:
    """A trailing correlation of two series."""
    return closes(bars).pct_change().rolling(40).corr(timeline(bars, bars["perp_premium_raw"]))


@control(unit="fraction")
def residual_of_a_rolling_regression(bars: Bars) -> pd.Series[float]:
    """A hedge ratio that was estimated before it is used."""
    returns, premium = closes(bars).pct_change(), timeline(bars, bars["perp_premium_raw"])
    slope = (returns.rolling(60).cov(premium) / premium.rolling(60).var()).shift()
    return returns - slope * premium


@control(needs=("close", "high", "low"), unit="fraction")
def donchian_position(bars: Bars) -> pd.Series[float]:
    """Where the close stands between the extremes of the 20 bars before."""
    high, low = _extremes(bars)
    top, bottom = high.rolling(20).max().shift(), low.rolling(20).min().shift()
    return (closes(bars) - bottom) / (top - bottom)


@control(needs=("close", "high", "low"), unit="quote")
def average_true_range(bars: Bars) -> pd.Series[float]:
    """ATR over 14 bars, with the close before."""
    high, low = _extremes(bars)
    before = closes(bars).shift()
    span = pd.concat([high, before], axis=1).max(axis=1) - pd.concat([low, before], axis=1).min(axis=1)
    return span.rolling(14).mean()


@control(unit="index")
def relative_strength(bars: Bars) -> pd.Series[float]:
    """RSI over 14 bars."""
    change = closes(bars).diff()
    gain = change.clip(lower=0.0).ewm(alpha=1 / 14, adjust=False, min_periods=14).mean()
    loss = (-change.clip(upper=0.0)).ewm(alpha=1 / 14, adjust=False, min_periods=14).mean()
    return 100.0 * gain / (gain + loss)


@control(unit="quote")
def kalman_level(bars: Bars) -> np.ndarray:
    """A local-level Kalman filter: forward only; its smoother would be a leak."""
    price = bars["price"]
    level, variance, out = price[0], 1.0, np.empty(len(price))
    for row, seen in enumerate(price):
        variance += 0.05
        gain = variance / (variance + 1.0)
        level, variance = level + gain * (seen - level), (1.0 - gain) * variance
        out[row] = level
    return out


@control(unit="quote")
def filtered_forward_only(bars: Bars) -> np.ndarray:
    """`lfilter`: the causal half of `filtfilt`."""
    from scipy.signal import butter, lfilter

    return np.asarray(lfilter(*butter(2, 0.1), closes(bars).to_numpy()))


@control(unit="quote")
def trailing_convolution(bars: Bars) -> pd.Series[float]:
    """A weighted mean of the last seven rows; the honest twin of `mode="same"`."""
    price = closes(bars)
    return sum((price.shift(lag) * (7 - lag) / 28.0 for lag in range(1, 7)), price * 7.0 / 28.0)


@control(unit="fraction")
def normalised_by_the_first_value(bars: Bars) -> pd.Series[float]:
    """A chart that begins at 1: the first close is known to all rows after it."""
    price = closes(bars)
    return price / price.iloc[0]


@control(unit="fraction")
def drawdown_from_the_running_top(bars: Bars) -> pd.Series[float]:
    """`price / price.cummax() - 1`."""
    price = closes(bars)
    return price / price.cummax() - 1.0


@control()
def bars_since_the_last_jump(bars: Bars) -> np.ndarray:
    """A counter that starts again at each move of 5 %."""
    jumped = closes(bars).pct_change().abs().to_numpy() > 0.05
    rows = np.arange(len(jumped))
    return np.asarray(rows - np.maximum.accumulate(np.where(jumped, rows, 0)), dtype=np.float64)


@control()
def day_of_the_week(bars: Bars) -> np.ndarray:
    """The calendar is known in advance."""
    return np.asarray(bars.index.day_of_week, dtype=np.float64)


@control(unit="fraction")
def mean_return_of_the_weekday_so_far(bars: Bars) -> pd.Series[float]:
    """Seasonality from the Mondays that have been."""
    returns = closes(bars).pct_change().fillna(0.0)
    return returns.groupby(bars.index.day_of_week).transform(lambda one: one.expanding().mean())


@control(unit="quote")
def close_of_the_week_before(bars: Bars) -> pd.Series[float]:
    """Weekly closes one week later: on Monday the last week has closed."""
    weeks = timeframes.bar_open(bars.index, "1W")
    price = closes(bars)
    return timeline(bars, price.groupby(weeks).last().shift().reindex(weeks).to_numpy())


@control(unit="quote")
def closed_week_joined_on_its_close(bars: Bars) -> pd.Series[float]:
    """`merge_asof` backward on the time the weekly candle closed, against the time the day does."""
    price, weeks = closes(bars), timeframes.bar_open(bars.index, "1W")
    last = price.groupby(weeks).last()
    week = pd.DataFrame({"date": timeframes.bar_close(pd.DatetimeIndex(last.index), "1W"), "close": last.to_numpy()})
    days = pd.DataFrame({"date": timeframes.bar_close(bars.index, "1D")})
    return timeline(bars, pd.merge_asof(days, week, on="date", direction="backward")["close"].to_numpy())


@control(unit="quote")
def high_of_the_week_so_far(bars: Bars) -> pd.Series[float]:
    """`groupby(week).cummax()`; the honest twin of `transform("max")`."""
    return closes(bars).groupby(timeframes.bar_open(bars.index, "1W")).cummax()


@control(timeframe="4h", unit="quote")
def close_of_yesterday(bars: Bars) -> pd.Series[float]:
    """On 4-hour bars, the close of the day before."""
    price, days = closes(bars), bars.index.floor("D")
    return timeline(bars, price.groupby(days).last().shift().reindex(days).to_numpy())


@control(unit="0/1")
def swing_highs_once_confirmed(bars: Bars) -> pd.Series[float]:
    """A pivot is told three rows later, when it has become one."""
    price = closes(bars)
    return (price.shift(3) == price.rolling(7).max()).astype(float)


@control(timeframe="1W", unit="fraction")
def change_of_the_week(bars: Bars) -> pd.Series[float]:
    """A return from one closed week to the next."""
    return closes(bars).pct_change()


@control(timeframe="4h", needs=_FUNDING)
def funding_of_the_last_settlement(bars: Bars) -> np.ndarray:
    """The newest payment, held for eight hours."""
    panel = bars.panel
    traded = list(panel.instruments).index(panel.clock.instrument)
    return bars.last(carry(panel["funding_paid"][:, [traded]], 8)[:, 0])


@control(needs=_INTEREST)
def growth_of_open_interest(bars: Bars) -> np.ndarray:
    """The change of a chained index: venues that enter make no jump."""
    return np.diff(np.log(bars["oi_index"]), prepend=np.nan)


@control(unit="quote")
def noise_with_a_seed_of_its_own(bars: Bars) -> pd.Series[float]:
    """Draws from a generator of its own: the same in every run, and row by row."""
    price = closes(bars)
    return price * (1.0 + np.random.default_rng(7).normal(0.0, 1e-6, len(price)))


def _extremes(bars: Bars) -> tuple[pd.Series[float], pd.Series[float]]:
    """High and low of the traded instrument in each bar."""
    panel = bars.panel
    traded = list(panel.instruments).index(panel.clock.instrument)
    rows = pd.DataFrame({"high": panel["high"][:, traded], "low": panel["low"][:, traded]})
    rows = rows.groupby(timeframes.bar_open(panel.index, bars.timeframe)).agg({"high": "max", "low": "min"})
    return rows["high"].reindex(bars.index), rows["low"].reindex(bars.index)
