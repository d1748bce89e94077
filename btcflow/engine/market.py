"""The market: what it costs to trade, how large, and how late."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from btcflow.errors import ConfigError

__all__ = ["Market"]


@dataclass(frozen=True, kw_only=True)
class Market:
    """Costs and sizing of every order.

    Parameters
    ----------
    fee : fraction of traded notional, 0.0005 = 5 bp; paid from cash, never shrinks the order
    slippage : fraction of the fill bar's open, 0.0002 = 2 bp, against the order
    delay : whole clock bars between the first possible fill and the fill
    exposure : notional as a fraction of equity at the fill, before leverage
    leverage : multiplies exposure; 1 = fully funded
    capital : equity at the start, in the quote currency
    maintenance : maintenance-margin tiers, (notional from which it applies, rate), rising; the margin a
        position of notional n needs is ``max over tiers of rate * n - c``, with c so that it is continuous
    liquidation_fee : fraction of the liquidated notional
    twap : clock bars over which an order is filled in equal parts, 1 = at once
    impact : square-root impact: ``impact * sqrt(order / volume of the fill bar)`` is added to the slippage
    min_notional : orders that open, enlarge or reverse a position for less quote currency are not placed
    """

    fee: float = 0.0005
    slippage: float = 0.0002
    delay: int = 0
    exposure: float = 1.0
    leverage: float = 1.0
    capital: float = 100_000.0
    maintenance: tuple[tuple[float, float], ...] = ((0.0, 0.005),)
    liquidation_fee: float = 0.005
    twap: int = 1
    impact: float = 0.0
    min_notional: float = 0.0

    def __post_init__(self) -> None:
        problems = [
            *_bounded("fee", self.fee, 0.0, 0.1, "a fraction of notional, 0.0005 = 5 bp"),
            *_bounded("slippage", self.slippage, 0.0, 0.1, "a fraction of the open, 0.0002 = 2 bp"),
            *_bounded("exposure", self.exposure, 0.0, 1.0, "a fraction of equity"),
            *_bounded("leverage", self.leverage, 1.0, 100.0, "a multiple of equity"),
            *_bounded("liquidation_fee", self.liquidation_fee, 0.0, 0.1, "a fraction of the liquidated notional"),
            *_unbounded("impact", self.impact, "a multiple of the square root of order over volume"),
            *_unbounded("min_notional", self.min_notional, "an amount in the quote currency"),
            *_tiers(self.maintenance),
        ]
        if isinstance(self.delay, bool) or not isinstance(self.delay, int) or self.delay < 0:
            problems.append(f"market.delay is {self.delay!r}; expected a whole number of clock bars, 0 or more")
        if isinstance(self.twap, bool) or not isinstance(self.twap, int) or self.twap < 1:
            problems.append(f"market.twap is {self.twap!r}; expected a whole number of clock bars, 1 or more")
        if not (math.isfinite(self.capital) and self.capital > 0):
            problems.append(f"market.capital is {self.capital!r}; expected a positive amount in the quote currency")
        if problems:
            raise ConfigError(problems)

    @property
    def plain(self) -> bool:
        """True where every order fills at once, at a constant slippage, whatever its size."""
        return self.twap == 1 and self.impact == 0.0 and self.min_notional == 0.0

    @property
    def gross(self) -> float:
        """Notional per unit of equity at full target: exposure times leverage."""
        return self.exposure * self.leverage


def _bounded(name: str, value: float, low: float, high: float, meaning: str) -> list[str]:
    if math.isfinite(value) and low <= value <= high:
        return []
    return [f"market.{name} is {value!r}; expected {meaning}, from {low:g} to {high:g}"]


def _unbounded(name: str, value: float, meaning: str) -> list[str]:
    if math.isfinite(value) and value >= 0.0:
        return []
    return [f"market.{name} is {value!r}; expected {meaning}, 0 or more"]


def _tiers(tiers: tuple[tuple[float, float], ...]) -> list[str]:
    floors, rates = [floor for floor, _ in tiers], [rate for _, rate in tiers]
    if not tiers or floors[0] != 0.0:
        wanted = "one tier or more, the first tier from 0"
    elif not all(0.0 < rate < 1.0 for rate in rates):
        wanted = "tiers of a notional and a rate between 0 and 1"
    elif not all(a < b < math.inf for column in (floors, rates) for a, b in itertools.pairwise(column)):
        wanted = "tiers rising in notional and in rate"
    else:
        return []
    return [f"market.maintenance is {tiers!r}; expected {wanted}, such as ((0, 0.005), (300000, 0.01))"]
