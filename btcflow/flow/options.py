"""Every number of the metrics, as options with the recommended defaults.

The names are the YAML names. Options that depend on the timeframe are tables by timeframe; a
timeframe without a default (below 1D) must be spelled in the config.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
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
    "PremiumGroup",
    "PremiumOptions",
    "ZscoreFloors",
    "ZscoreOptions",
    "by_timeframe",
]

PerTimeframe = dict[str, Annotated[int, Field(ge=1)]]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
_DAY = r"^\d{4}-\d{2}-\d{2}$"


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BarOptions(_Options):
    """How bars are cut: the anchor of nD bars, and the share of samples a bar needs to count."""

    nday_anchor: timeframes.Anchor = "tv_year_reset"
    min_coverage: Share = 0.8


class PremiumGroup(_Options):
    """One quote group of the premium, between two dates (UTC days, half open; None = no limit)."""

    quote: str
    since: str | None = Field(default=None, pattern=_DAY)
    until: str | None = Field(default=None, pattern=_DAY)


class PremiumOptions(_Options):
    """Perp premium of a basket.

    ``quote_mode``: ``matched`` compares dollars with dollars and USDT with USDT, and takes the median
    of the groups; ``convert`` brings USDT legs to dollars first; ``raw`` mixes them (parity only).
    ``groups`` names the quote currencies compared (``[USDT]``, ``[USD, USDT]``, or with dates); by
    default every group all of whose legs are sampled hourly, or, where there is none, every group.
    ``source: exchange_index`` reads the venues' own premium index instead of prices. ``display``
    names the series shown first. ``max_dev`` drops a leg further than this log distance from the
    median of its group's live legs. ``smooth`` is the EMA length in bars.
    """

    display: Literal["spot_over_perp", "perp_over_spot"] = "spot_over_perp"
    source: Literal["prices", "exchange_index"] = "prices"
    agg: Literal["median", "mean", "volume_weighted"] = "median"
    quote_mode: Literal["matched", "convert", "raw"] = "matched"
    groups: tuple[str | PremiumGroup, ...] | None = None
    bar_agg: Literal["mean", "close", "median"] = "mean"
    smooth: PerTimeframe = {"1D": 5, "3D": 3, "1W": 1, "1M": 1}
    max_dev: Positive = 0.05
    min_spot: Annotated[int, Field(ge=1)] = 1
    min_perp: Annotated[int, Field(ge=1)] = 1


class OpenInterestOptions(_Options):
    """Open interest over venues, or one vendor's total.

    ``source`` is ``venues`` or ``vendor:<venue>`` (one vendor's aggregate, which stands alone).
    ``aggregate``: ``chain_link`` (index of matched venues), ``fixed_panel`` (venues valid over the whole
    window), ``median_z`` / ``mean_z`` (per-venue z, then the middle), ``sum_nz`` (naive sum, shows venue
    entry as a spike: for comparison), ``sum_strict`` (NaN until the youngest venue lists).
    ``denom`` is ``BTC``, ``USD`` (holds the price) or ``native`` (the venues' own contracts, free of price;
    needs venues). ``transform`` is applied before the z: ``log_level``, ``level``, ``log_detrended`` (less
    its EMA of twice the window) or ``log_change`` over ``change_bars``. ``spike_log`` drops an hourly
    sample that far (in log) from the median of the 24 accepted before it, unless it persists for 6
    samples or two venues move together.
    """

    source: str = Field(default="venues", pattern=r"^(venues|vendor:[a-z0-9_]+)$")
    aggregate: Literal["chain_link", "fixed_panel", "median_z", "mean_z", "sum_nz", "sum_strict"] = "chain_link"
    denom: Literal["BTC", "USD", "native"] = "BTC"
    transform: Literal["log_level", "level", "log_detrended", "log_change"] = "log_level"
    change_bars: Annotated[int, Field(ge=1)] = 1
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
    """Composite funding over venues.

    ``source``: ``reported`` rates, or ``implied`` from each venue's own premium by the exchanges' formula.
    ``composite``: median, mean, or weighted by the previous bar's open interest in BTC or volume.
    ``boundary``: a settlement on a bar's close belongs to the bar it pays for (``accrual_end``) or to the
    next (``tv_open``). ``shift_prepublished`` moves the signal's copy of rates that were known one interval
    before they are paid. ``anchor_adjust`` subtracts each venue's interest anchor. ``apr``: ``simple`` or
    ``compounded``. ``smooth`` is the SMA length in bars.
    """

    source: Literal["reported", "implied"] = "reported"
    composite: Literal["median", "mean", "oi_weighted", "volume_weighted"] = "median"
    boundary: Literal["accrual_end", "tv_open"] = "accrual_end"
    shift_prepublished: bool = False
    anchor_adjust: bool = False
    apr: Literal["simple", "compounded"] = "simple"
    smooth: PerTimeframe = {"1D": 7, "3D": 3, "1W": 1, "1M": 1}
    min_venues: Annotated[int, Field(ge=1)] = 1


class ZscoreFloors(_Options):
    """Smallest standard deviations: funding per 8 h (fraction), premium (percent), ln OI."""

    funding_8h: NotNegative = 1.0e-5
    premium_pct: NotNegative = 0.01
    log_oi: NotNegative = 0.01


class ZscoreOptions(_Options):
    """Window lengths in bars, and how holes and pinned series are treated.

    ``mode``: ``classic`` z, ``robust`` (median and MAD), or ``percentile`` (rank in the window, 0 to 1).
    ``floor: null`` divides by the plain standard deviation. A z is NaN if its window spans more than
    ``n + max_gap`` bars; ``max_gap`` defaults to ``max(0.5 n, the bars of 180 days)``.
    """

    length: PerTimeframe = {"1D": 180, "3D": 100, "1W": 52, "1M": 24}
    mode: Literal["classic", "robust", "percentile"] = "classic"
    window: Literal["inclusive", "exclusive"] = "inclusive"
    na_policy: Literal["compact", "strict"] = "compact"
    max_gap: Annotated[int, Field(ge=0)] | None = None
    floor: ZscoreFloors | None = ZscoreFloors()

    def floor_of(self, name: Literal["funding_8h", "premium_pct", "log_oi"]) -> float:
        """The smallest standard deviation of one metric; 0 without floors."""
        return float(getattr(self.floor, name)) if self.floor is not None else 0.0


class ConfluenceOptions(_Options):
    """Thresholds of the confluence states, in sigma; a state is left at ``exit_ratio`` of them.

    ``funding_gate: apr`` replaces the funding z of the over-leverage states by the composite APR against
    ``apr_hot`` (a fraction per year; the short side needs APR <= 0). Spells of one state that begin within
    ``episode_gap`` bars of the last one's end are one episode.
    """

    oi_hot: Positive = 2.0
    oi_warm: Positive = 1.0
    fund_hot: Positive = 1.0
    fund_warm: Positive = 0.5
    prem_warm: Positive = 0.5
    funding_gate: Literal["z", "apr"] = "z"
    apr_hot: Positive = 0.30
    exit_ratio: Share = 0.5
    min_hold_bars: Annotated[int, Field(ge=1)] = 1
    episode_gap: PerTimeframe = {"1D": 7, "3D": 3, "1W": 2, "1M": 1}


class CycleOptions(_Options):
    """Extreme-cycle detector (experimental): thresholds in sigma, cooldown in bars.

    ``mode``: ``two_factor`` (leverage factor ``lev`` with open interest), ``composite_mean`` (weighted mean of
    the three z beyond ``threshold``, all of one sign where ``same_sign``) or ``k_of_3`` (at least ``k`` of the
    three beyond ``k_threshold``).
    """

    mode: Literal["two_factor", "composite_mean", "k_of_3"] = "two_factor"
    lev: Positive = 1.5
    oi_top: float = 1.0
    oi_bottom: float = 0.0
    oi_flush: Annotated[float, Field(lt=0)] = -2.0
    flush_bars: Annotated[int, Field(ge=1)] = 3
    threshold: Positive = 2.0
    weights: tuple[NotNegative, NotNegative, NotNegative] = (1.0, 1.0, 1.0)
    same_sign: bool = True
    k: Annotated[int, Field(ge=1, le=3)] = 3
    k_threshold: Positive = 1.5
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

    def widen(self, needs: Iterable[str]) -> tuple[str, ...]:
        """The panel fields that metrics with these declared needs read under these options."""
        wide = set(needs)
        if "close" in wide:
            wide |= {"volume"} if self.premium.agg == "volume_weighted" else set()
            wide |= {"premium_index"} if self.premium.source == "exchange_index" else set()
        if "funding_paid" in wide:
            if self.funding.source == "implied":
                wide = wide - {"funding_paid", "funding_hours"} | {"close"}
            wide |= {"close", "volume"} if self.funding.composite == "volume_weighted" else set()
            wide |= {"close", "open_interest"} if self.funding.composite == "oi_weighted" else set()
        return tuple(sorted(wide))

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
