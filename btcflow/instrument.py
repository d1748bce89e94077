"""Instruments: one thing a venue lists, with the facts needed to read its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Instrument"]

OiUnit = Literal["btc", "usd", "contract", "none"]


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One thing a venue lists, with the facts needed to read its numbers.

    ``oi_unit`` says what the open-interest column counts: ``btc``, ``usd``, ``contract`` (then
    ``contract_size`` is in ``contract_ccy``, BTC or USD), or ``none``. An ``aggregate`` is a
    vendor's total over many venues: it is never added to its own constituents.
    """

    venue: str
    symbol: str
    role: Literal["spot", "perp", "aggregate"]
    quote: str = "USD"
    margin: Literal["linear", "inverse", "none"] = "none"
    oi_unit: OiUnit = "none"
    contract_size: float = 1.0
    contract_ccy: Literal["BTC", "USD"] = "BTC"
    side_factor: float = 1.0

    @property
    def id(self) -> str:
        """``venue:symbol``, the name used in configs."""
        return f"{self.venue}:{self.symbol}"
