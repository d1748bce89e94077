"""Leaks: a row reads rows that come after it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from btcflow.flow.bars import Bars
from btcflow.traps.trap import closes, leak


@leak("truncation", unit="quote")
def shifted_the_wrong_way(bars: Bars) -> pd.Series[float]:
    """`shift(-1)`: meant as yesterday, is tomorrow."""
    return closes(bars).shift(-1)


@leak("truncation", unit="quote")
def difference_to_the_next_row(bars: Bars) -> pd.Series[float]:
    """`diff(-1)`, on a frame that once was sorted newest first."""
    return closes(bars).diff(-1)


@leak("truncation", unit="fraction")
def forward_return_as_a_feature(bars: Bars) -> pd.Series[float]:
    """The label of the model is still in the table of features."""
    price = closes(bars)
    return price.shift(-5) / price - 1.0


@leak("truncation", unit="0/1")
def tomorrow_is_up(bars: Bars) -> pd.Series[float]:
    """The same as a 0/1 column, where no number looks strange."""
    price = closes(bars)
    return (price.shift(-1) > price).astype(float)


@leak("truncation", unit="fraction")
def best_exit_of_the_next_days(bars: Bars) -> pd.Series[float]:
    """A barrier label: the highest close of the next ten days, joined as if it were known."""
    price = closes(bars)
    return price[::-1].rolling(10, min_periods=1).max()[::-1] / price - 1.0


@leak("truncation", unit="quote")
def centred_window(bars: Bars) -> pd.Series[float]:
    """`rolling(5, center=True)` looks smooth because half of it is the future."""
    return closes(bars).rolling(5, center=True, min_periods=1).mean()


@leak("truncation", unit="quote")
def reversed_moving_average(bars: Bars) -> pd.Series[float]:
    """An EMA run over the reversed series."""
    return closes(bars)[::-1].ewm(span=10).mean()[::-1]


@leak("truncation", unit="quote")
def slope_by_gradient(bars: Bars) -> np.ndarray:
    """`numpy.gradient` is central: it takes the next row for the slope of this one."""
    return np.asarray(np.gradient(closes(bars).to_numpy()))


@leak("truncation", unit="quote")
def smoothed_by_savitzky_golay(bars: Bars) -> np.ndarray:
    """`savgol_filter` fits a polynomial around each row, both sides of it."""
    from scipy.signal import savgol_filter

    return np.asarray(savgol_filter(closes(bars).to_numpy(), 11, 2))


@leak("truncation", unit="quote")
def convolved_with_mode_same(bars: Bars) -> np.ndarray:
    """`convolve(..., mode="same")` centres the window on its row."""
    return np.convolve(closes(bars).to_numpy(), np.ones(7) / 7.0, mode="same")


@leak("truncation", unit="quote")
def filtered_forward_and_backward(bars: Bars) -> np.ndarray:
    """`filtfilt` has no lag because it also runs backward in time."""
    from scipy.signal import butter, filtfilt

    return np.asarray(filtfilt(*butter(2, 0.1), closes(bars).to_numpy()))


@leak("truncation", unit="quote")
def blurred_by_a_gaussian(bars: Bars) -> np.ndarray:
    """`gaussian_filter1d`: an image filter knows no direction of time."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(closes(bars).to_numpy(), 2.0))


@leak("truncation", unit="quote")
def low_frequencies_only(bars: Bars) -> np.ndarray:
    """A Fourier low pass over the sample: each row is made of all others."""
    waves = np.fft.rfft(closes(bars).to_numpy())
    waves[20:] = 0.0
    return np.fft.irfft(waves, n=len(bars))


@leak("truncation", unit="0/1")
def swing_highs_where_they_stand(bars: Bars) -> pd.Series[float]:
    """A pivot is marked at its own row, though three lower rows have to follow before it is one."""
    price = closes(bars)
    return (price == price.rolling(7, center=True).max()).astype(float)


@leak("truncation", unit="0/1")
def bottom_with_its_recovery(bars: Bars) -> pd.Series[float]:
    """Drops that were bought, as a pattern: the rebound of the next days belongs to it."""
    price = closes(bars)
    fall, rise = price / price.shift(3) - 1.0, price.shift(-3) / price - 1.0
    return ((fall < -0.03) & (rise > 0.02)).astype(float)


@leak("truncation", unit="quote")
def price_of_the_fill(bars: Bars) -> np.ndarray:
    """The next open of the clock as a feature: it is where the order fills, not where it is decided."""
    clock = bars.panel.clock
    after = np.searchsorted(clock.opens, bars.closes)
    opened = np.append(clock.open, np.nan)
    return np.asarray(opened[np.minimum(after, len(clock))])


@leak("future", unit="quote")
def tick_confirmed_by_the_next(bars: Bars) -> pd.Series[float]:
    """A filter of bad ticks: a price counts only if the next one is less than 40 % away; calm data never show it."""
    price = closes(bars)
    bad = (price.shift(-1) / price - 1.0).abs() > 0.4
    return price.mask(bad, price.shift())


@leak("holes", unit="quote")
def filled_backward(bars: Bars) -> pd.Series[float]:
    """`bfill`: a missing row takes the value of the next one; without a hole nothing is seen of it."""
    return closes(bars).bfill()


@leak("holes", unit="quote")
def filled_both_ways(bars: Bars) -> pd.Series[float]:
    """`ffill(limit=1).bfill()`: after an honest start the rest is filled from behind."""
    return closes(bars).ffill(limit=1).bfill()


@leak("holes", unit="quote")
def interpolated(bars: Bars) -> pd.Series[float]:
    """`interpolate()` draws a line to a price that is not there yet."""
    return closes(bars).interpolate()
