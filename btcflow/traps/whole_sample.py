"""Leaks: a number of the whole sample stands in every row of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from btcflow.flow.bars import Bars
from btcflow.traps.trap import closes, leak, logs


@leak("truncation", unit="z")
def z_score_of_the_sample(bars: Bars) -> pd.Series[float]:
    """The first line of most notebooks: mean and deviation of all rows, the later ones included."""
    price = closes(bars)
    return (price - price.mean()) / price.std()


@leak("truncation", unit="z")
def z_score_of_scipy(bars: Bars) -> np.ndarray:
    """The same in one call of a library, where no mean is seen."""
    from scipy.stats import zscore

    return np.asarray(zscore(closes(bars).to_numpy()))


@leak("truncation", unit="fraction")
def min_max_scale(bars: Bars) -> pd.Series[float]:
    """What neural networks are fed with: 1 is the top of the sample, known years before it came."""
    price = closes(bars)
    return (price - price.min()) / (price.max() - price.min())


@leak("truncation", unit="fraction")
def normalised_by_the_last_value(bars: Bars) -> pd.Series[float]:
    """A chart that ends at 1: every row is divided by where the price went."""
    price = closes(bars)
    return price / price.iloc[-1]


@leak("truncation", unit="fraction")
def rank_in_the_sample(bars: Bars) -> pd.Series[float]:
    """`rank(pct=True)` without a window ranks against the future too."""
    return closes(bars).rank(pct=True)


@leak("truncation", unit="0/1")
def above_a_quantile_of_the_sample(bars: Bars) -> pd.Series[float]:
    """A threshold at the 80 % quantile of all returns: an extreme is known for one before the others came."""
    returns = closes(bars).pct_change()
    return (returns >= returns.quantile(0.8)).astype(float)


@leak("truncation", unit="0/1")
def bull_above_the_median_of_the_sample(bars: Bars) -> pd.Series[float]:
    """Regimes cut at the median price of the whole history."""
    price = closes(bars)
    return (price > price.median()).astype(float)


@leak("truncation", unit="fraction")
def clipped_at_quantiles_of_the_sample(bars: Bars) -> pd.Series[float]:
    """Winsorising: the clip levels are those of all rows."""
    returns = closes(bars).pct_change().fillna(0.0)
    return returns.clip(float(returns.quantile(0.05)), float(returns.quantile(0.95)))


@leak("truncation", unit="fraction")
def missing_filled_with_the_mean(bars: Bars) -> pd.Series[float]:
    """`fillna(x.mean())`: the first rows hold the average of all that follow."""
    week = closes(bars).pct_change(7)
    return week.fillna(week.mean())


@leak("truncation", unit="z")
def divided_by_the_volatility_of_the_sample(bars: Bars) -> pd.Series[float]:
    """Risk scaling by one number, the deviation of all returns."""
    returns = logs(bars).diff()
    return returns / returns.std()


@leak("truncation", unit="fraction")
def polynomial_taken_off(bars: Bars) -> np.ndarray:
    """`polyfit` over all rows as the trend: it bends towards what is coming."""
    price = logs(bars).to_numpy()
    time = np.arange(len(price)) / 100.0
    return np.asarray(price - np.polyval(np.polyfit(time, price, 3), time))


@leak("truncation", unit="fraction")
def detrended_by_scipy(bars: Bars) -> np.ndarray:
    """`scipy.signal.detrend` fits its line through the future."""
    from scipy.signal import detrend

    return np.asarray(detrend(logs(bars).to_numpy()))


@leak("truncation", unit="z")
def principal_component_of_all_rows(bars: Bars) -> np.ndarray:
    """Scaler and PCA fitted before the split: means, deviations and axes of the whole table."""
    price = logs(bars)
    table = np.column_stack([price.diff(), price.diff(5), price.diff(20), price.rolling(10).std()])[20:]
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    axes = np.linalg.svd(table, full_matrices=False)[2]
    return np.concatenate([np.full(20, np.nan), table @ axes[0]])


@leak("truncation", needs=("close", "funding_hours", "funding_paid"))
def residual_of_one_regression(bars: Bars) -> pd.Series[float]:
    """A spread against a hedge ratio that was estimated on all rows."""
    returns, funding = closes(bars).pct_change(), pd.Series(bars["funding_8h_raw"], index=bars.index)
    slope = returns.cov(funding) / funding.var()
    return returns - slope * funding


@leak("truncation", unit="fraction")
def mean_return_of_the_weekday(bars: Bars) -> pd.Series[float]:
    """Seasonality as the mean of every Monday there is, those to come included."""
    returns = closes(bars).pct_change()
    return returns.groupby(bars.index.day_of_week).transform("mean")


@leak("truncation", unit="fraction")
def mean_return_of_the_month_of_the_year(bars: Bars) -> pd.Series[float]:
    """Seasonal means over all years, joined to each of them."""
    returns = closes(bars).pct_change()
    return returns.groupby(bars.index.month).transform("mean")


@leak("truncation")
def days_since_the_top(bars: Bars) -> np.ndarray:
    """Cycle position by `argmax` of the sample: below zero for all who did not know the top yet."""
    price = closes(bars).to_numpy()
    return np.asarray(np.arange(len(price)) - float(price.argmax()))


@leak("truncation", unit="fraction")
def drawdown_from_the_top_of_the_sample(bars: Bars) -> pd.Series[float]:
    """`price / price.max() - 1` instead of the running maximum."""
    price = closes(bars)
    return price / price.max() - 1.0


@leak("truncation", unit="fraction")
def expanding_mean_from_the_end(bars: Bars) -> pd.Series[float]:
    """An expanding mean after the frame was sorted newest first, as many APIs deliver it."""
    returns = closes(bars).pct_change()
    return returns[::-1].expanding().mean()[::-1]


@leak("truncation", unit="fraction")
def summed_from_the_end(bars: Bars) -> pd.Series[float]:
    """A cumulative sum over a frame that is sorted newest first."""
    returns = closes(bars).pct_change().fillna(0.0)
    return returns[::-1].cumsum()[::-1]


@leak("truncation", unit="0/1")
def kept_by_a_filter_that_saw_the_end(bars: Bars) -> pd.Series[float]:
    """Trades only the weekdays that made money over the whole history."""
    returns = closes(bars).pct_change().shift(-1)
    mean = returns.groupby(bars.index.day_of_week).transform("mean")
    return (mean > 0).astype(float)


@leak("truncation")
def trend_over_the_length_of_the_sample(bars: Bars) -> np.ndarray:
    """`linspace(0, 1, len(df))` as a feature: how far it is to the end of the data."""
    return np.linspace(0.0, 1.0, len(bars))


@leak("truncation", unit="quote")
def window_as_a_share_of_the_sample(bars: Bars) -> pd.Series[float]:
    """A window of `len(df) // 10` rows: with more data, every earlier value is another one."""
    price = closes(bars)
    return price.rolling(max(2, len(price) // 10), min_periods=1).mean()


@leak("truncation", needs=("close", "open_interest"))
def weight_of_venues_that_were_to_come(bars: Bars) -> np.ndarray:
    """Divides by the number of columns: venues that list later weigh on the years before."""
    close = bars.panel["close"]
    live = np.isfinite(close).sum(axis=1) / close.shape[1]
    return bars.last(live)
