"""What the sweep kernel returns: summary numbers per segment and parameter set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from btcflow.engine.kernel.money import RUINED
from btcflow.engine.kernel.numbers import RAW

if TYPE_CHECKING:
    from btcflow.clock import Clock

__all__ = ["KernelResult", "empty", "finish", "put"]

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
    daily_skew, daily_kurtosis : of daily returns, without bias correction; the kurtosis is 3 for a normal
        distribution
    liquidations : int64, positions the venue closed
    max_drawdown_daily, max_drawdown_days : on equity at 00:00 UTC; None with ``summary="basic"``
    ruined : (K,) bool: the equity ran out, as ``Ledger.ruined``
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
    daily_skew: np.ndarray
    daily_kurtosis: np.ndarray
    liquidations: np.ndarray
    max_drawdown_daily: np.ndarray | None
    max_drawdown_days: np.ndarray | None
    ruined: np.ndarray


def empty(segments: np.ndarray, count: int, *, full: bool) -> KernelResult:
    """Room for ``count`` sets over (S, 2) segments, to be filled by :func:`put`."""
    whole, shape = {"trades", "liquidations"}, (len(segments), count)
    room: dict[str, Any] = {
        one.name: np.empty(shape, np.int64 if one.name in whole else np.float64) for one in fields(KernelResult)
    }
    none = {} if full else {"max_drawdown_daily": None, "max_drawdown_days": None}
    return KernelResult(**{**room, **none, "segments": segments, "ruined": np.zeros(count, dtype=np.bool_)})


def put(result: KernelResult, sets: np.ndarray, part: KernelResult) -> None:
    """Write the columns of ``part`` into those numbered ``sets``."""
    for one in fields(KernelResult):
        room, own = getattr(result, one.name), getattr(part, one.name)
        if one.name != "segments" and room is not None:
            room[..., sets] = own


def finish(raw: np.ndarray, clock: Clock, segments: np.ndarray, *, full: bool, state: np.ndarray) -> KernelResult:
    """Make raw numbers (K, S, 24) annual.

    ``segments`` are rows of ``clock``; ``state`` (K,) is ``RUINED`` for a set that was.
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
        liquidations=one["liquidations"].astype(np.int64),
        max_drawdown_daily=one["daily_depth"] if full else None,
        max_drawdown_days=one["longest"] if full else None,
        ruined=state == RUINED,
    )


def _daily_ratios(one: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Volatility, Sharpe, Sortino, skew and kurtosis as ``btcflow.stats.performance`` defines them."""
    count, mean = one["returns"], np.where(one["returns"] > 1, one["mean"], np.nan)
    year = np.sqrt(_DAYS_PER_YEAR)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.where(count > 1, np.sqrt(one["squares"] / (count - 1)), np.nan)
        downside = np.sqrt(one["losses"] / count)
    flat = one["spread"] <= _NO_SPREAD
    filled = np.maximum(count, 1.0)
    second = np.where(flat, np.nan, one["squares"] / filled)
    return {
        "volatility": np.where(flat & (count > 1), 0.0, deviation) * year,
        "sharpe": _ratio(mean, np.where(flat, np.nan, deviation)) * year,
        "sortino": _ratio(mean, np.where(downside > _NO_SPREAD, downside, 0.0)) * year,
        "daily_skew": np.where(count > 2, _ratio(one["cubes"] / filled, second**1.5), np.nan),
        "daily_kurtosis": np.where(count > 3, _ratio(one["fourths"] / filled, second**2), np.nan),
    }


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))
