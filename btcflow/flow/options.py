"""Every number of the metrics, as options with the recommended defaults.

The names are the YAML names. Options that depend on the timeframe are tables by timeframe; a
timeframe without a default (below 1D) must be spelled in the config.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from btcflow import timeframes
from btcflow.errors import ConfigError

__all__ = [
    "BarOptions",
    "ConfluenceOptions",
    "CycleOptions",
    "FlowOptions",
    "FundingOptions",
    "OpenInterestOptions",
    "PremiumOptions",
    "ZscoreOptions",
    "by_timeframe",
]

PerTimeframe = dict[str, Annotated[int, Field(ge=1)]]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BarOptions(_Options):
    """How bars are cut: the anchor of nD bars, and the share of samples a bar needs to count."""

    nday_anchor: timeframes.Anchor = "tv_year_reset"
    min_coverage: Share = 0.8


class PremiumOptions(_Options):
    """Perp premium of a basket.

    ``groups`` names the quote currencies compared (``[USDT]``, ``[USD, USDT]``); by default every
    group all of whose legs are sampled hourly, or, where there is none, every group.
    ``max_dev`` drops a leg further than this log distance from the median of its group's live legs.
    ``smooth`` is the EMA length in bars.
    """

    agg: Literal["median", "mean"] = "median"
    groups: tuple[str, ...] | None = None
    bar_agg: Literal["mean", "close", "median"] = "mean"
    smooth: PerTimeframe = {"1D": 5, "3D": 3, "1W": 1, "1M": 1}
    max_dev: Positive = 0.05
    min_spot: Annotated[int, Field(ge=1)] = 1
    min_perp: Annotated[int, Field(ge=1)] = 1


class OpenInterestOptions(_Options):
    """Open interest in BTC.

    ``source`` is ``venues`` (chain-linked index over the venues) or ``vendor:<venue>`` (one vendor's
    aggregate, which stands alone). ``denom`` is ``BTC``, ``USD`` (holds the price) or ``native`` (the
    venues' own contracts, free of price; needs venues). ``spike_log`` drops an hourly sample that far
    (in log) from the median of the 24 accepted before it, unless it persists for 6 samples or two
    venues move together.
    """

    source: str = Field(default="venues", pattern=r"^(venues|vendor:[a-z0-9_]+)$")
    denom: Literal["BTC", "USD", "native"] = "BTC"
    max_ffill_hours: NotNegative = 24.0
    min_age_days: NotNegative = 30.0
    min_venues: Annotated[int, Field(ge=1)] = 2
    spike_log: Positive = 0.35

    @model_validator(mode="after")
    def _native_needs_venues(self) -> Self:
        if self.denom == "native" and self.source != "venues":
            raise ValueError(f"denom: native compares venues' contracts, and source is {self.source}; use BTC or USD")
        return self


class FundingOptions(_Options):
    """Composite funding: median or mean over venues; ``smooth`` is the SMA length in bars."""

    composite: Literal["median", "mean"] = "median"
    smooth: PerTimeframe = {"1D": 7, "3D": 3, "1W": 1, "1M": 1}
    min_venues: Annotated[int, Field(ge=1)] = 1


class ZscoreFloors(_Options):
    """Smallest standard deviations: funding per 8 h (fraction), premium (percent), ln OI."""

    funding_8h: NotNegative = 1.0e-5
    premium_pct: NotNegative = 0.01
    log_oi: NotNegative = 0.01


class ZscoreOptions(_Options):
    """Window lengths in bars, and how holes and pinned series are treated.

    A z is NaN if its window spans more than ``n + max_gap`` bars; ``max_gap`` defaults to
    ``max(0.5 n, the bars of 180 days)``.
    """

    length: PerTimeframe = {"1D": 180, "3D": 100, "1W": 52, "1M": 24}
    window: Literal["inclusive", "exclusive"] = "inclusive"
    na_policy: Literal["compact", "strict"] = "compact"
    max_gap: Annotated[int, Field(ge=0)] | None = None
    floor: ZscoreFloors = ZscoreFloors()


class ConfluenceOptions(_Options):
    """Thresholds of the confluence states, in sigma; a state is left at ``exit_ratio`` of them."""

    oi_hot: Positive = 2.0
    oi_warm: Positive = 1.0
    fund_hot: Positive = 1.0
    fund_warm: Positive = 0.5
    prem_warm: Positive = 0.5
    exit_ratio: Share = 0.5
    min_hold_bars: Annotated[int, Field(ge=1)] = 1


class CycleOptions(_Options):
    """Extreme-cycle detector (experimental): thresholds in sigma, cooldown in bars."""

    lev: Positive = 1.5
    oi_top: float = 1.0
    oi_bottom: float = 0.0
    oi_flush: Annotated[float, Field(lt=0)] = -2.0
    flush_bars: Annotated[int, Field(ge=1)] = 3
    cooldown: PerTimeframe = {"1D": 30, "3D": 12, "1W": 8, "1M": 3}


class FlowOptions(_Options):
    """All metric options of one experiment."""

    bars: BarOptions = BarOptions()
    premium: PremiumOptions = PremiumOptions()
    oi: OpenInterestOptions = OpenInterestOptions()
    funding: FundingOptions = FundingOptions()
    zscore: ZscoreOptions = ZscoreOptions()
    confluence: ConfluenceOptions = ConfluenceOptions()
    cycle: CycleOptions = CycleOptions()

    def max_gap(self, timeframe: str, window: int) -> int:
        """Bars a z-score's window may span beyond its length."""
        if self.zscore.max_gap is not None:
            return self.zscore.max_gap
        half_year = 180 * 86_400 / timeframes.parse(timeframe).seconds
        return math.ceil(max(0.5 * window, half_year))


def by_timeframe(table: Mapping[str, int], timeframe: str, name: str) -> int:
    """The entry of ``timeframe``; a timeframe that is not spelled is refused, never guessed."""
    if timeframe in table:
        return table[timeframe]
    raise ConfigError(
        f"{name} has no entry for {timeframe} (it has {', '.join(table)}); write one, for example "
        f"{name}: {{{timeframe}: 180}}"
    )
