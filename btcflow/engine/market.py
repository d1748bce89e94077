"""The market: what it costs to trade, how large, and how late."""

from __future__ import annotations

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
    """

    fee: float = 0.0005
    slippage: float = 0.0002
    delay: int = 0
    exposure: float = 1.0
    leverage: float = 1.0
    capital: float = 100_000.0

    def __post_init__(self) -> None:
        problems = [
            *_bounded("fee", self.fee, 0.0, 0.1, "a fraction of notional, 0.0005 = 5 bp"),
            *_bounded("slippage", self.slippage, 0.0, 0.1, "a fraction of the open, 0.0002 = 2 bp"),
            *_bounded("exposure", self.exposure, 0.0, 1.0, "a fraction of equity"),
            *_bounded("leverage", self.leverage, 1.0, 100.0, "a multiple of equity"),
        ]
        if isinstance(self.delay, bool) or not isinstance(self.delay, int) or self.delay < 0:
            problems.append(f"market.delay is {self.delay!r}; expected a whole number of clock bars, 0 or more")
        if not (math.isfinite(self.capital) and self.capital > 0):
            problems.append(f"market.capital is {self.capital!r}; expected a positive amount in the quote currency")
        if problems:
            raise ConfigError(problems)

    @property
    def gross(self) -> float:
        """Notional per unit of equity at full target: exposure times leverage."""
        return self.exposure * self.leverage


def _bounded(name: str, value: float, low: float, high: float, meaning: str) -> list[str]:
    if math.isfinite(value) and low <= value <= high:
        return []
    return [f"market.{name} is {value!r}; expected {meaning}, from {low:g} to {high:g}"]
