"""What the sweep kernel returns: summary numbers per segment and parameter set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from btcflow.engine.kernel.money import RAW

if TYPE_CHECKING:
    from btcflow.clock import Clock

__all__ = ["KernelResult", "finish"]

_DAYS_PER_YEAR = 365.0
_DAY = 86_400_000_000_000
_NO_SPREAD = 1e-12


@dataclass(frozen=True, kw_only=True)
class KernelResult:
    """K parameter sets over S segments; every array is (S, K) unless it says otherwise.

    Every number means what it means in :class:`btcflow.stats.performance.Performance` and equals it to
    1e-9: volatility, Sharpe and Sortino come from daily returns, equity at 00:00 UTC, times the square
    root of 365; NaN where a number is not defined.

    Attributes
    ----------
    segments : (S, 2) int64: clock rows of the panel's clock, first and one past the last
    start_equity, end_equity : quote currency, carried in and at the last close
    total_return, cagr, volatility, sharpe, sortino, calmar : fractions and annual ratios
    max_drawdown : most negative equity / earlier peak - 1 on the clock's closes, start included
    trades : int64, positions opened, from flat or by reversal
    turnover : traded notional over equity at the fill, per year
    exposure : share of the clock bars with a position
    price, funding, fees, slippage : quote currency; what was paid is negative
    win_rate, profit_factor, average_hold_hours : of the trades entered in the segment
    max_drawdown_daily : on equity at 00:00 UTC; None with ``summary="basic"``
    ruined : (K,) bool: a fill found no positive equity, as ``Ledger.ruined``
    """

    segments: np.ndarray
    start_equity: np.ndarray
    end_equity: np.ndarray
    total_return: np.ndarray
    cagr: np.ndarray
    volatility: np.ndarray
    sharpe: np.ndarray
    sortino: np.ndarray
    calmar: np.ndarray
    max_drawdown: np.ndarray
    trades: np.ndarray
    turnover: np.ndarray
    exposure: np.ndarray
    price: np.ndarray
    funding: np.ndarray
    fees: np.ndarray
    slippage: np.ndarray
    win_rate: np.ndarray
    profit_factor: np.ndarray
    average_hold_hours: np.ndarray
    max_drawdown_daily: np.ndarray | None
    ruined: np.ndarray


def finish(raw: np.ndarray, clock: Clock, segments: np.ndarray, *, full: bool, state: np.ndarray) -> KernelResult:
    """Make raw numbers (K, S, 20) annual.

    ``segments`` are rows of ``clock``; ``state`` (K,) is 2 for a set that was ruined.
    """
    one = {name: np.ascontiguousarray(raw[:, :, at].T) for at, name in enumerate(RAW)}
    days = ((clock.closes_at[segments[:, 1] - 1] - clock.opens[segments[:, 0]]) / _DAY)[:, None]
    bars = (segments[:, 1] - segments[:, 0])[:, None]
    growth = _ratio(one["end"], one["start"])
    with np.errstate(invalid="ignore", over="ignore"):
        cagr = np.where(growth > 0, np.abs(growth) ** (_DAYS_PER_YEAR / days) - 1.0, np.nan)
        cagr = np.where(np.isfinite(cagr), cagr, np.nan)  # the growth of a few hours may be beyond all numbers
    depth = one["worst"] - 1.0
    return KernelResult(
        segments=segments,
        start_equity=one["start"],
        end_equity=one["end"],
        total_return=growth - 1.0,
        cagr=cagr,
        **_daily_ratios(one),
        calmar=_ratio(cagr, -depth),
        max_drawdown=depth,
        trades=one["entries"].astype(np.int64),
        turnover=one["turnover"] * _DAYS_PER_YEAR / days,
        exposure=one["held"] / bars,
        **{name: one[name] for name in ("price", "funding", "fees", "slippage")},
        win_rate=_ratio(one["wins"], one["entries"]),
        profit_factor=_ratio(one["gains"], -one["pains"]),
        average_hold_hours=_ratio(one["hold_ns"], one["entries"]) / 3.6e12,
        max_drawdown_daily=one["daily_depth"] if full else None,
        ruined=state == 2,
    )


def _daily_ratios(one: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Volatility, Sharpe and Sortino as ``btcflow.stats.performance.risk`` defines them."""
    count, mean = one["returns"], np.where(one["returns"] > 1, one["mean"], np.nan)
    year = np.sqrt(_DAYS_PER_YEAR)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.where(count > 1, np.sqrt(one["squares"] / (count - 1)), np.nan)
        downside = np.sqrt(one["losses"] / count)
    flat = one["spread"] <= _NO_SPREAD
    return {
        "volatility": np.where(flat & (count > 1), 0.0, deviation) * year,
        "sharpe": _ratio(mean, np.where(flat, np.nan, deviation)) * year,
        "sortino": _ratio(mean, downside) * year,
    }


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))
