"""Performance: what one column of a ledger earned over a stretch of clock bars, and where it came from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from btcflow.engine.accounts import max_drawdown
from btcflow.engine.ledger import midnights
from btcflow.engine.trades import trades
from btcflow.errors import ConfigError

if TYPE_CHECKING:
    from btcflow.engine.ledger import Ledger

__all__ = ["DAYS_PER_YEAR", "Performance", "daily_equity_of", "performance", "risk", "sharpe"]

DAYS_PER_YEAR = 365.0
_DAY = 86_400_000_000_000
_NO_SPREAD = 1e-12
"""Returns that differ by less than this, and losses smaller than this, are rounding only."""
_AT_PEAK = 1.0 - 1e-10
"""Equity above this fraction of its peak is at the peak: what is missing is rounding."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """One column over one stretch of clock bars, with the position carried in and marked at the cut.

    Volatility, Sharpe and Sortino come from daily returns, equity at 00:00 UTC, times the square root
    of 365; the hours before the first and after the last midnight count in the total return only. A
    number that is not defined (fewer than two daily returns, no variance, no loss, no trade, no equity
    to start from) is NaN, never 0 or infinite.

    Attributes
    ----------
    start, end : open of the first bar, close of the last
    days : length in days
    start_equity, end_equity : settlement currency (BTC of an inverse contract), carried in and at the last close
    total_return : end / start - 1
    cagr : (end / start) ** (365 / days) - 1; NaN where no equity is left
    volatility : sample standard deviation of daily returns, annual
    sharpe : mean over standard deviation of daily returns, annual, without a risk-free rate
    sortino : mean over the root of the mean squared negative daily return, annual
    clock_sharpe : Sharpe of clock-bar returns, as vectorbt computes it
    max_drawdown : the most negative equity / earlier peak - 1 on the clock's closes, starting equity included
    max_drawdown_daily : the same on equity at 00:00 UTC
    max_drawdown_days : longest time under water on the equity carried in and at 00:00 UTC, in days: from the
        last midnight at a peak to the first one back at it (to 1e-10), or to the last close; NaN where no
        equity was carried in
    daily_skew : third central moment of daily returns over the second to the power 1.5, both over the whole
        sample (no bias correction); negative = the large days are losses. NaN for fewer than three returns
    daily_kurtosis : fourth central moment over the square of the second, likewise; *not* excess: 3 for a
        normal distribution. NaN for fewer than four returns
    calmar : cagr / -max_drawdown
    turnover : traded notional over equity at the fill, summed, per year
    exposure : share of the clock bars with a position
    trades : positions opened in the stretch, from flat or by reversal
    liquidations : positions the venue closed in the stretch
    win_rate : share of those trades with a positive net; an open trade is valued at the cut
    profit_factor : sum of their gains over the sum of their losses
    average_hold_hours : their mean length, from the entry to the exit or the cut
    price, funding, fees, slippage : settlement currency, of every bar of the stretch; what was paid is
        negative; they sum to end_equity - start_equity
    price_fraction, ... : the same as fractions of the starting equity
    """

    start: pd.Timestamp
    end: pd.Timestamp
    days: float
    start_equity: float
    end_equity: float
    total_return: float
    cagr: float
    volatility: float
    sharpe: float
    sortino: float
    clock_sharpe: float
    max_drawdown: float
    max_drawdown_daily: float
    max_drawdown_days: float
    daily_skew: float
    daily_kurtosis: float
    calmar: float
    turnover: float
    exposure: float
    trades: int
    liquidations: int
    win_rate: float
    profit_factor: float
    average_hold_hours: float
    price: float
    funding: float
    fees: float
    slippage: float
    price_fraction: float
    funding_fraction: float
    fees_fraction: float
    slippage_fraction: float


def performance(ledger: Ledger, start_row: int = 0, end_row: int | None = None, column: int = 0) -> Performance:
    """Measure one column over the clock bars ``[start_row, end_row)``.

    The position held before ``start_row`` is carried in, and what is open at the end is marked at the
    last close, so neighbouring stretches add up. Trades belong to the stretch they were entered in,
    and nothing after its end is read.

    Parameters
    ----------
    ledger : (N, K)
    start_row, end_row : clock rows, first and one past the last; default: all
    column : which of the K columns

    Raises
    ------
    ConfigError
        for a stretch outside the ledger or without rows
    """
    end_row = len(ledger) if end_row is None else end_row
    if not 0 <= start_row < end_row <= len(ledger):
        raise ConfigError(f"clock rows [{start_row}, {end_row}): expected 0 <= first < end <= {len(ledger)}")
    own = ledger.column(column).head(end_row)
    begin, end = int(own.clock.opens[start_row]), int(own.clock.closes_at[-1])
    days = (end - begin) / _DAY
    before = float(own.equity_before(start_row)[0])
    path = np.concatenate([[before], own.equity[start_row:, 0]])
    midnight, daily = daily_equity_of(own, start_row, end_row)
    numbers = (
        _growth(path, days)
        | risk(daily)
        | _shape(_returns(daily))
        | _activity(own, start_row, days)
        | _attribution(own, start_row, before)
    )
    return Performance(
        start=_instant(begin),
        end=_instant(end),
        days=days,
        start_equity=before,
        end_equity=float(path[-1]),
        clock_sharpe=sharpe(_returns(path), per_year=own.clock.bars_per_year),
        max_drawdown=_deepest(path),
        max_drawdown_daily=_deepest(daily),
        max_drawdown_days=_days_under_water(np.append(before, daily), np.concatenate([[begin], midnight, [end]])),
        calmar=_ratio(numbers["cagr"], -_deepest(path)),
        trades=int(numbers.pop("trades")),
        liquidations=int(np.sum(own.orders.liquidation & (own.orders.row >= start_row))),
        **numbers,
    )


def sharpe(returns: np.ndarray, *, per_year: float = DAYS_PER_YEAR) -> float:
    """Annual Sharpe ratio: mean / sample standard deviation * sqrt(per_year), no risk-free rate.

    NaN for fewer than two returns, for returns without variance, and where a return is not a number.
    """
    return _ratio(float(np.mean(returns)), _deviation(returns)) * math.sqrt(per_year) if len(returns) else math.nan


def daily_equity_of(ledger: Ledger, start_row: int, end_row: int, column: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Midnights inside a stretch of clock bars and the equity at each: (D,) int64 ns, (D,) settlement currency."""
    days, rows = midnights(ledger.clock, start_row, end_row)
    equity = np.append(ledger.equity[:, column], ledger.capital)  # row -1: before the first close
    return days, equity[rows]


def _growth(path: np.ndarray, days: float) -> dict[str, float]:
    growth = _ratio(float(path[-1]), float(path[0]))
    with np.errstate(over="ignore"):
        yearly = float(np.float64(growth) ** (DAYS_PER_YEAR / days)) if growth > 0 else math.nan
    return {"total_return": growth - 1.0, "cagr": yearly - 1.0 if math.isfinite(yearly) else math.nan}


def risk(daily: np.ndarray) -> dict[str, float]:
    """Volatility, Sharpe and Sortino of a path of daily equity (D,), annual; NaN where undefined."""
    returns = _returns(daily)
    year = math.sqrt(DAYS_PER_YEAR)
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2))) if len(returns) > 1 else math.nan
    mean = float(np.mean(returns)) if len(returns) > 1 else math.nan
    return {
        "volatility": _deviation(returns, flat=0.0) * year,
        "sharpe": sharpe(returns),
        "sortino": _ratio(mean, downside if downside > _NO_SPREAD else 0.0) * year,
    }


def _days_under_water(path: np.ndarray, times: np.ndarray) -> float:
    """Longest time from a peak to the first equity back at it, or to the end, in days.

    Parameters
    ----------
    path : (D,) equity
    times : (D + 1,) int64 nanoseconds: when each equity was there, and the end of the stretch

    Returns
    -------
    days; 0 where the path never falls, NaN where its first equity is not positive
    """
    if not (len(path) and path[0] > 0):
        return math.nan
    under = path < _AT_PEAK * np.maximum.accumulate(path)
    at_peak = np.maximum.accumulate(np.where(under, 0, np.arange(len(path))))  # the newest at the peak
    return float(np.max(np.where(under, times[1:] - times[at_peak], 0))) / _DAY


def _shape(returns: np.ndarray) -> dict[str, float]:
    """Skew and kurtosis of daily returns (D,), as :class:`Performance` defines them."""
    away = returns - np.mean(returns) if len(returns) else returns
    spread = _deviation(returns)
    known = len(returns) > 1 and not math.isnan(spread)
    second = float(np.mean(away**2)) if known else math.nan
    return {
        "daily_skew": float(np.mean(away**3)) / second**1.5 if known and len(returns) > 2 else math.nan,
        "daily_kurtosis": float(np.mean(away**4)) / second**2 if known and len(returns) > 3 else math.nan,
    }


def _activity(own: Ledger, start_row: int, days: float) -> dict[str, float]:
    keep = (own.orders.row >= start_row) & (own.orders.equity > 0)
    traded = float(np.sum(own.traded[keep] / own.orders.equity[keep]))
    table = trades(own)
    table = table[table["entry_time"] >= own.clock.index[start_row]]
    net = table["net"].to_numpy()
    held = table["exit_time"].fillna(_instant(int(own.clock.closes_at[-1]))) - table["entry_time"]
    return {
        "turnover": traded * DAYS_PER_YEAR / days,
        "exposure": float(np.mean(own.quantity[start_row:, 0] != 0)),
        "trades": float(len(table)),
        "win_rate": float(np.mean(net > 0)) if len(net) else math.nan,
        "profit_factor": _ratio(float(net[net > 0].sum()), -float(net[net < 0].sum())),
        "average_hold_hours": float(held.dt.total_seconds().mean()) / 3600.0 if len(net) else math.nan,
    }


def _attribution(own: Ledger, start_row: int, before: float) -> dict[str, float]:
    sources = {"price": own.price_pnl, "funding": own.funding, "fees": own.fees, "slippage": own.slippage}
    sums = {name: float(values[start_row:, 0].sum()) for name, values in sources.items()}
    return sums | {f"{name}_fraction": _ratio(total, before) for name, total in sums.items()}


def _returns(equity: np.ndarray) -> np.ndarray:
    """Simple returns; NaN where the equity before was not positive, since a return on nothing is not defined."""
    base = np.where(equity[:-1] > 0, equity[:-1], np.nan)
    return np.asarray(equity[1:] / base - 1.0)


def _deviation(returns: np.ndarray, *, flat: float = math.nan) -> float:
    """Sample standard deviation; NaN for fewer than two returns, ``flat`` where they differ by rounding only."""
    if len(returns) < 2:
        return math.nan
    if np.ptp(returns) <= _NO_SPREAD:
        return flat
    return float(np.std(returns, ddof=1))


def _deepest(equity: np.ndarray) -> float:
    return float(max_drawdown(equity[1:], equity[0])) if len(equity) else math.nan


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def _instant(nanoseconds: int) -> pd.Timestamp:
    return pd.Timestamp(nanoseconds, unit="ns", tz="UTC")
