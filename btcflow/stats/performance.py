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
"""Returns that differ by less than this differ by rounding only."""


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
    start_equity, end_equity : quote currency, carried in and at the last close
    total_return : end / start - 1
    cagr : (end / start) ** (365 / days) - 1; NaN where no equity is left
    volatility : sample standard deviation of daily returns, annual
    sharpe : mean over standard deviation of daily returns, annual, without a risk-free rate
    sortino : mean over the root of the mean squared negative daily return, annual
    clock_sharpe : Sharpe of clock-bar returns, as vectorbt computes it
    max_drawdown : the most negative equity / earlier peak - 1 on the clock's closes, starting equity included
    max_drawdown_daily : the same on equity at 00:00 UTC
    max_drawdown_days : longest time from the last close at a peak to the first close back at it, or to the
        end, on the clock, in days
    calmar : cagr / -max_drawdown
    turnover : traded notional over equity at the fill, summed, per year
    exposure : share of the clock bars with a position
    trades : positions opened in the stretch, from flat or by reversal
    win_rate : share of those trades with a positive net; an open trade is valued at the cut
    profit_factor : sum of their gains over the sum of their losses
    average_hold_hours : their mean length, from the entry to the exit or the cut
    price, funding, fees, slippage : quote currency, of every bar of the stretch; what was paid is
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
    calmar: float
    turnover: float
    exposure: float
    trades: int
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
    _, daily = daily_equity_of(own, start_row, end_row)
    numbers = (
        _growth(path, days)
        | risk(daily)
        | _drawdown(path, np.concatenate([[begin], own.clock.closes_at[start_row:]]))
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
        max_drawdown_daily=_deepest(daily),
        calmar=_ratio(numbers["cagr"], -numbers["max_drawdown"]),
        trades=int(numbers.pop("trades")),
        **numbers,
    )


def sharpe(returns: np.ndarray, *, per_year: float = DAYS_PER_YEAR) -> float:
    """Annual Sharpe ratio: mean / sample standard deviation * sqrt(per_year), no risk-free rate.

    NaN for fewer than two returns, for returns without variance, and where a return is not a number.
    """
    return _ratio(float(np.mean(returns)), _deviation(returns)) * math.sqrt(per_year) if len(returns) else math.nan


def daily_equity_of(ledger: Ledger, start_row: int, end_row: int, column: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Midnights inside a stretch of clock bars and the equity at each: (D,) int64 ns, (D,) quote currency."""
    days, rows = midnights(ledger.clock, start_row, end_row)
    equity = np.append(ledger.equity[:, column], ledger.market.capital)  # row -1: before the first close
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
        "sortino": _ratio(mean, downside) * year,
    }


def _drawdown(path: np.ndarray, times: np.ndarray) -> dict[str, float]:
    """Depth, and the longest time from the last close at a peak to the first one back at it, or to the end."""
    peaks = np.maximum.accumulate(path)
    at_peak = times[np.maximum.accumulate(np.where(path >= peaks, np.arange(len(path)), 0))]
    under = path < peaks
    # A close back at the peak ends the stretch that began at the peak before it.
    since = np.where(under, at_peak, np.concatenate([at_peak[:1], at_peak[:-1]]))
    counted = under | np.concatenate([[False], under[:-1]])
    longest = float(np.max(np.where(counted, times - since, 0))) / _DAY
    return {"max_drawdown": _deepest(path), "max_drawdown_days": longest}


def _activity(own: Ledger, start_row: int, days: float) -> dict[str, float]:
    orders = own.orders.where((own.orders.row >= start_row) & (own.orders.equity > 0))
    traded = float(np.sum(np.abs(orders.size) * orders.fill / orders.equity))
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
