"""How venues turn a perpetual's premium into its funding rate, era by era.

All premiums and rates are fractions and, unless a name says otherwise, per eight hours; positive =
longs pay shorts. ``clamp(x, a, b) = min(max(x, a), b)``.

=================  =====================================================================
clamp              ``F = P + clamp(I - P, -d, d)``: between ``I - d`` and ``I + d`` the
                   premium does not show, the rate is exactly the interest ``I``
premium            ``F = P * 8 / premium_hours + I``: no dead zone (OKX before April 2025,
                   Kraken, FTX; dYdX with an interest)
deadband_excess    ``F = max(d, P) + min(-d, P)``: only what exceeds ``d`` is paid (Deribit)
unknown            the rule is not known; everything made from it is NaN
=================  =====================================================================
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from btcflow.data.written_times import Duration, Instant

__all__ = ["FundingEra", "beyond_cap", "clamp_rate", "deadband_rate", "implied_rate", "premium_rate"]

Hours = Literal[1, 2, 4, 8, 24]
Formula = Literal["clamp", "premium", "deadband_excess", "unknown"]
Fraction = Annotated[float, Field(gt=-1, lt=1, allow_inf_nan=False)]
_ROUNDING = 1e-9


class FundingEra(BaseModel):
    """The funding rules of one perpetual from an instant on, until the next era begins.

    Attributes
    ----------
    start : YAML ``from``, UTC; absent in a first era whose begin is not known. A settlement at this
        very instant pays for hours before it and belongs to the era before
    rate_hours : hours the quoted rate is for
    spacing_hours : hours between settlements; a position pays ``rate * spacing_hours / rate_hours``
    formula : see the head of this module
    anchor : interest per 8 h that the rate rests at; not given where the formula is unknown
    dead_zone : half-width ``d`` of the formula, per 8 h
    premium_hours : hours in which a standing premium is paid in full
    cap : bound of the absolute rate as quoted, per ``rate_hours``; absent where none is known
    averaging : weights of the premium samples in the interval: ``uniform``, ``linear`` (the latest weigh
        most) or ``continuous`` (paid as it accrues)
    charged : whether a rate is paid at the end of the interval it was made from, or of the next one
    known_after : how long after its stamp a historical rate is taken to be known
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Instant | None = Field(default=None, alias="from")
    rate_hours: Hours
    spacing_hours: Hours
    formula: Formula
    anchor: Fraction | None = None
    dead_zone: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    premium_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 8.0
    cap: Annotated[float, Field(gt=0, lt=1)] | None = None
    averaging: Literal["uniform", "linear", "continuous"] | None = None
    charged: Literal["same_interval", "next_interval"] = "same_interval"
    known_after: Duration = timedelta(0)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        problems = []
        if (self.anchor is None) != (self.formula == "unknown"):
            problems.append("expected an anchor (0 where there is no interest) for a known formula, and none otherwise")
        if (self.dead_zone > 0) != (self.formula in {"clamp", "deadband_excess"}):
            problems.append("expected a dead_zone above 0 for clamp and deadband_excess, and none otherwise")
        if self.formula == "deadband_excess" and self.anchor:
            problems.append("expected anchor: 0 for deadband_excess")
        if self.formula != "premium" and "premium_hours" in self.model_fields_set:
            problems.append("premium_hours is for formula: premium")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def cap_8h(self) -> float:
        """The bound of the absolute rate per 8 h; infinite where none is known."""
        return np.inf if self.cap is None else self.cap * 8.0 / self.rate_hours


def clamp_rate(premium_8h: np.ndarray, *, anchor: float, dead_zone: float) -> np.ndarray:
    """``P + clamp(I - P, -d, d)``: the interest inside the dead zone, the premium less ``d`` beyond it.

    Parameters
    ----------
    premium_8h : (N,) average premium, fraction
    anchor : interest ``I`` per 8 h
    dead_zone : half-width ``d``

    Returns
    -------
    (N,) rate per 8 h; NaN where the premium is NaN

    Examples
    --------
    >>> clamp_rate(np.array([-0.001, -0.0004, 0.0, 0.0006, 0.001]), anchor=0.0001, dead_zone=0.0005).round(6).tolist()
    [-0.0005, 0.0001, 0.0001, 0.0001, 0.0005]
    """
    premium = np.asarray(premium_8h, dtype=np.float64)
    inside = np.abs(anchor - premium) <= dead_zone * (1.0 + _ROUNDING)
    beyond = premium + np.clip(anchor - premium, -dead_zone, dead_zone)
    return np.where(inside, anchor, beyond)


def premium_rate(premium_8h: np.ndarray, *, anchor: float = 0.0, premium_hours: float = 8.0) -> np.ndarray:
    """``P * 8 / premium_hours + I``: the premium itself, paid over ``premium_hours``.

    Returns
    -------
    (N,) rate per 8 h; NaN where the premium is NaN

    Examples
    --------
    >>> premium_rate(np.array([0.0024]), premium_hours=24).round(6).tolist()
    [0.0008]
    """
    return np.asarray(premium_8h, dtype=np.float64) * (8.0 / premium_hours) + anchor


def deadband_rate(premium_8h: np.ndarray, *, dead_zone: float) -> np.ndarray:
    """``max(d, P) + min(-d, P)``: zero inside the band, the excess beyond it.

    Returns
    -------
    (N,) rate per 8 h; NaN where the premium is NaN

    Examples
    --------
    >>> deadband_rate(np.array([-0.001, 0.0002, 0.001]), dead_zone=0.00025).round(6).tolist()
    [-0.00075, 0.0, 0.00075]
    """
    premium = np.asarray(premium_8h, dtype=np.float64)
    return np.maximum(dead_zone, premium) + np.minimum(-dead_zone, premium)


def implied_rate(premium_8h: np.ndarray, era: FundingEra) -> np.ndarray:
    """The rate a venue's rules make of the average premium of an interval, bounded by the cap.

    Parameters
    ----------
    premium_8h : (N,) premium averaged over the interval as the era does it, fraction of the index
    era : the rules in force

    Returns
    -------
    (N,) rate per 8 h; NaN where the premium is NaN, and everywhere where the formula is unknown
    """
    premium = np.asarray(premium_8h, dtype=np.float64)
    if era.anchor is None:
        return np.full(premium.shape, np.nan)
    if era.formula == "clamp":
        rate = clamp_rate(premium, anchor=era.anchor, dead_zone=era.dead_zone)
    elif era.formula == "deadband_excess":
        rate = deadband_rate(premium, dead_zone=era.dead_zone)
    else:
        rate = premium_rate(premium, anchor=era.anchor, premium_hours=era.premium_hours)
    return np.asarray(np.clip(rate, -era.cap_8h, era.cap_8h))


def beyond_cap(rate: np.ndarray, era: FundingEra) -> np.ndarray:
    """Where a rate, quoted per ``era.rate_hours``, exceeds the cap: a wrong unit, or a wrong cap.

    Returns
    -------
    (N,) bool; False for NaN, and everywhere where no cap is known
    """
    quoted = np.abs(np.asarray(rate, dtype=np.float64))
    return np.asarray(quoted > (np.inf if era.cap is None else era.cap * (1.0 + _ROUNDING)))
