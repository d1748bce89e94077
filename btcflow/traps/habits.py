"""Faults that are no look ahead at first sight: hidden inputs, traces, chance, shapes, units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from btcflow.flow.bars import Bars
from btcflow.traps.trap import closes, leak, leak_with_memory, logs

_INTEREST = ("close", "open_interest")


@leak("needs")
def funding_read_without_a_word(bars: Bars) -> np.ndarray:
    """Reads a series it does not declare: it is aligned without the lag of that series, or not at all."""
    return np.array(bars["funding_8h_raw"])


@leak("needs")
def whatever_the_panel_holds(bars: Bars) -> np.ndarray:
    """Adds up all fields there are: the result depends on what others have asked for."""
    fields = bars.panel.fields
    return bars.last(np.nansum(np.column_stack([fields[name] for name in sorted(fields)]), axis=1))


@leak_with_memory("purity")
def scaler_fitted_once() -> Callable[[Bars], pd.Series[float]]:
    """A scaler that is fitted on the first data it sees, and kept: a test on cut data gets the old one."""
    fitted: dict[str, float] = {}

    def scaled(bars: Bars) -> pd.Series[float]:
        price = closes(bars)
        if not fitted:
            fitted.update(mean=float(price.mean()), std=float(price.std()))
        return (price - fitted["mean"]) / fitted["std"]

    return scaled


@leak("purity", unit="quote")
def seed_for_everybody(bars: Bars) -> pd.Series[float]:
    """`np.random.seed(42)` inside a metric: whoever draws after it draws what it wants."""
    np.random.seed(42)  # noqa: NPY002
    return closes(bars)


@leak("purity")
def errors_switched_off(bars: Bars) -> pd.Series[float]:
    """`np.seterr(all="ignore")`: from here on nobody is told of a division by zero."""
    np.seterr(all="ignore")
    return logs(bars)


@leak("purity")
def prices_rewritten_in_place(bars: Bars) -> np.ndarray:
    """Scales the shared prices to save memory; the flag that protects them is taken off first."""
    close = bars.panel["close"]
    close.flags.writeable = True
    close /= close[0]
    return bars.last(close[:, 0])


@leak("determinism")
def jitter_against_ties(bars: Bars) -> pd.Series[float]:
    """A little noise, so that no two values are equal, without a seed."""
    price = closes(bars)
    return price + np.random.normal(0.0, 1e-6, len(price))  # noqa: NPY002


@leak("determinism")
def fresh_chance_in_every_run(bars: Bars) -> pd.Series[float]:
    """`default_rng()` without a seed: no run can be repeated."""
    price = closes(bars)
    return price * (1.0 + np.random.default_rng().normal(0.0, 1e-9, len(price)))


@leak("shape")
def divided_by_nothing(bars: Bars) -> pd.Series[float]:
    """Gains over losses: infinite in a window without a loss, and every mean after it is too."""
    change = closes(bars).diff()
    gains, losses = change.clip(lower=0.0).rolling(5).sum(), -change.clip(upper=0.0).rolling(5).sum()
    with np.errstate(divide="ignore"):
        return pd.Series(gains.to_numpy() / np.where(losses < 1e-9, 0.0, losses), index=bars.index)


@leak("shape", unit="0/1")
def whole_numbers(bars: Bars) -> np.ndarray:
    """`astype(int)`: unknown rows cannot be told from rows that are 0."""
    return np.asarray((closes(bars).pct_change() > 0).to_numpy(), dtype=np.int64)


@leak("shape", unit="quote")
def one_row_short(bars: Bars) -> np.ndarray:
    """`np.diff`: every value stands one row too early."""
    return np.diff(closes(bars).to_numpy())


@leak("warm-up")
def wild_days_left_out(bars: Bars) -> pd.Series[float]:
    """Outliers set to NaN: a strategy that cannot be asked on the days that hurt."""
    returns = closes(bars).pct_change()
    usual = returns.rolling(50, min_periods=10).std().shift()
    return returns.where(returns.abs() < 2.0 * usual)


@leak("warm-up")
def window_that_never_fills(bars: Bars) -> pd.Series[float]:
    """A window of 2,000 days in a market that has 600: all NaN, no rule is ever true, no test ever fails."""
    return closes(bars).rolling(2_000).mean()


@leak("unit", unit="z")
def one_dollar_against_zero_division(bars: Bars) -> pd.Series[float]:
    """`/ (std + 1)`: the one is in dollars, and weighs differently on every price level."""
    price = closes(bars)
    return (price - price.rolling(20).mean()) / (price.rolling(20).std() + 1.0)


@leak("unit", unit="0/1")
def level_chosen_with_hindsight(bars: Bars) -> pd.Series[float]:
    """A threshold in dollars: that 15,000 was a good price to buy is known since it is history."""
    return (closes(bars) < 15_000.0).astype(float)


@leak("scale", needs=_INTEREST)
def contracts_added_to_coins(bars: Bars) -> np.ndarray:
    """A total of open interest over venues of which one counts hundredths of a Bitcoin."""
    panel = bars.panel
    linear = [v for v in panel.columns("perp") if panel.instruments[v].margin == "linear"]
    held = pd.DataFrame(panel["open_interest"][:, linear]).ffill(limit=48)
    return bars.last(held.sum(axis=1, min_count=1).to_numpy(dtype=np.float64))


@leak("scale", needs=_INTEREST)
def interest_of_one_venue_as_it_comes(bars: Bars) -> Any:
    """The number of contracts of one venue as a level: it changes when the venue splits its contract."""
    panel = bars.panel
    traded = list(panel.instruments).index(panel.clock.instrument)
    return bars.last_sample(panel["open_interest"][:, traded])
