"""The floor: the least work that tells the money of a target path, to measure the kernel against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from btcflow.errors import ContractError

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market

__all__ = ["FLOOR", "mark_to_market_floor"]

FLOOR = ("end", "funding", "mean", "squares", "peak", "worst")
"""What the floor tells of each column: equity at the last close, funding paid in all, mean and mean square of the
clock-bar returns, highest equity, and lowest equity / earlier peak."""


def mark_to_market_floor(targets: np.ndarray, clock: Clock, market: Market) -> np.ndarray:
    """Mark precomputed targets to market, bar by bar: no conditions, no trades, no segments, no liquidation.

    Parameters
    ----------
    targets : (K, N) int8, C-contiguous, 1 long, -1 short, 0 flat: in force at each bar's open
    clock : N bars
    market : fee, slippage, exposure, leverage and capital

    Returns
    -------
    (K, 6) as ``FLOOR``

    Raises
    ------
    ContractError
        for targets of another shape or kind
    """
    if targets.ndim != 2 or targets.shape[1] != len(clock) or targets.dtype != np.int8:
        detail = f"{targets.dtype} of shape {targets.shape}; expected int8 of shape (K, {len(clock)}): a row per set"
        raise ContractError("one row of targets per set", "targets", detail)
    out = np.empty((len(targets), len(FLOOR)))
    costs = (float(market.capital), float(market.gross), float(market.fee), float(market.slippage))
    _floor(np.ascontiguousarray(targets), clock.open, clock.close, clock.funding, costs, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _floor(targets, opens, closes, paid, costs, out):  # type: ignore[no-untyped-def]
    capital, gross, fee, slippage = costs
    for k in range(len(targets)):
        equity = peak = capital
        quantity, held, last, funding, total, squares, worst = 0.0, 0, opens[0], 0.0, 0.0, 0.0, 1.0
        for i in range(len(opens)):
            before = equity
            if targets[k, i] != held:
                held = targets[k, i]
                equity += quantity * (opens[i] - last)
                goal = held * gross * equity / opens[i]
                fill = opens[i] * (1.0 + slippage if goal > quantity else 1.0 - slippage)
                equity -= abs(goal - quantity) * (fee * fill + abs(fill - opens[i]))
                quantity, last = goal, opens[i]
            owed = quantity * paid[i]
            equity += quantity * (closes[i] - last) - owed
            funding -= owed
            last = closes[i]
            change = equity / before - 1.0
            total += change
            squares += change * change
            peak = max(peak, equity)
            worst = min(worst, equity / peak)
        out[k, 0], out[k, 1], out[k, 2] = equity, funding, total / len(opens)
        out[k, 3], out[k, 4], out[k, 5] = squares / len(opens), peak, worst
