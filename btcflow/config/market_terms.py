"""The ``market`` section: what is traded, what it costs, and how an order is carried out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from btcflow.data.venue_facts import InstrumentFacts, facts
from btcflow.engine.market import Market
from btcflow.errors import ConfigError

__all__ = ["MarketTerms"]

Tier = tuple[float, float]
Capital = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_AS_THEY_ARE = (
    *("slippage", "delay", "exposure", "leverage", "capital"),
    *("liquidation_fee", "twap", "impact", "min_notional"),
)


class MarketTerms(BaseModel):
    """What is traded and what it costs; ``fee`` and ``slippage`` are fractions (0.0005 = 5 bp).

    ``fee`` may be ``taker`` or ``maker``: the rate of the venue's own tiers at ``fee_volume`` of 30-day
    volume. ``maintenance`` left out means the venue's tiers where its facts have them, else 0.5 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instrument: str | None = None
    clock: str | None = None
    missing_funding: Literal["refuse", "report"] = "refuse"
    fee: float | Literal["taker", "maker"] = 0.0005
    fee_volume: Annotated[float, Field(ge=0)] = 0.0
    slippage: float = 0.0002
    delay: int | float = 0
    exposure: float = 1.0
    leverage: float = 1.0
    capital: float = 100_000.0
    maintenance: tuple[Tier, ...] | None = None
    liquidation_fee: float = 0.005
    twap: int | float = 1
    impact: float = 0.0
    min_notional: float = 0.0
    capacity: tuple[Capital, ...] = ()

    @property
    def market(self) -> Market:
        """The costs and sizing; refuses what cannot be."""
        known = facts(self.instrument) if self.instrument is not None else None
        own: dict[str, Any] = {name: getattr(self, name) for name in _AS_THEY_ARE}
        if self.maintenance is not None:
            own["maintenance"] = self.maintenance
        elif known is not None and known.listing.maintenance:
            own["maintenance"] = known.listing.maintenance
        market = Market(fee=self._fee(known), **own)
        _refuse_over_leveraged(self.leverage, known)
        return market

    def _fee(self, known: InstrumentFacts | None) -> float:
        if not isinstance(self.fee, str):
            return self.fee
        tiers = known.listing.fees if known is not None else ()
        if not tiers:
            raise ConfigError(
                f"market.fee is {self.fee!r}, and no venue file states the fees of "
                f"{self.instrument or 'the traded instrument'}; expected a fraction such as 0.0005"
            )
        _, maker, taker = max(tier for tier in tiers if tier[0] <= self.fee_volume)
        return taker if self.fee == "taker" else maker


def _refuse_over_leveraged(leverage: float, known: InstrumentFacts | None) -> None:
    limit = known.listing.max_leverage if known is not None else None
    if known is not None and limit is not None and leverage > limit:
        raise ConfigError(
            f"market.leverage is {leverage:g}; expected at most {limit:g}, which is what {known.venue} grants on "
            f"{known.id}"
        )
