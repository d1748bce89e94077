"""Whether funding is what the venue's own rules make of it: cap, spacing, level, formula."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from btcflow.audit.check import check
from btcflow.audit.examined import Examined, rows_found
from btcflow.audit.findings import Found, moment
from btcflow.data.funding_rules import implied_rate
from btcflow.data.records import Records
from btcflow.data.venue_facts import InstrumentFacts, facts

__all__ = ["funding_cap", "funding_formula", "funding_level", "funding_spacing", "rate_by_rules"]

_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
_OFTEN = 0.02
_OFF = 0.00015
_TIMES = 4.0
_LEAST = 60


@check(severity="warning")
def funding_cap(examined: Examined) -> Iterator[Found]:
    """No rate exceeds the cap of the venue's rules of its time."""
    for one in examined.kind("funding"):
        what = facts(one.instrument.id)
        if what is None:
            continue
        beyond = what.beyond_cap(one.stamp, one.column("rate"))
        if beyond.any():
            often = float(beyond.mean()) > _OFTEN
            largest = float(np.abs(one.column("rate")[beyond]).max())
            yield rows_found(
                one,
                beyond,
                f"beyond the venue's cap, up to {100 * largest:.3g} % per {one.column('rate_hours')[beyond][0]:g} h",
                f"{one.column('rate')[beyond][0]:g}",
                "the unit or rate_hours is wrong in the import spec"
                if often
                else "the cap in the venue's file may be old",
                severity="fault" if often else None,
            )


@check(severity="warning")
def funding_spacing(examined: Examined) -> Iterator[Found]:
    """Spacing and rate hours are those of the venue's rules."""
    for one in examined.kind("funding"):
        what = facts(one.instrument.id)
        if what is None:
            continue
        wanted = _era_hours(what, one)
        for name, column in (("spacing_hours", 0), ("rate_hours", 1)):
            with np.errstate(invalid="ignore"):
                off = np.isfinite(wanted[:, column]) & (one.column(name) != wanted[:, column])
            if off.any():
                yield rows_found(
                    one,
                    off,
                    f"{name} is not that of the venue's rules",
                    f"{one.column(name)[off][0]:g}, the rules say {wanted[off, column][0]:g}",
                    "a rate for eight hours paid every hour counts eight times: check the spec, or the venue's file",
                )


def _era_hours(what: InstrumentFacts, one: Records) -> np.ndarray:
    """Spacing and rate hours of the rules each settlement was made under; NaN outside all of them; (N, 2)."""
    hours = np.full((len(one), 2), np.nan)
    eras = what.listing.funding
    starts = [-(2**62) if era.start is None else pd.Timestamp(era.start).value for era in eras]
    place = np.searchsorted(np.array(starts, dtype=np.int64), one.stamp, side="left") - 1
    listed = what.listed(one.stamp - 1)
    for number, era in enumerate(eras):
        hours[(place == number) & listed] = (era.spacing_hours, era.rate_hours)
    return hours


@check(severity="warning")
def funding_level(examined: Examined) -> Iterator[Found]:
    """What a day's funding pays has the size that other venues pay on the same days."""
    daily = {one.key: _daily(one) for one in examined.kind("funding")}
    for one in examined.kind("funding"):
        others = pd.DataFrame({str(key): paid for key, paid in daily.items() if key.venue != one.key.venue})
        if not len(others.columns):
            continue
        middle = others.median(axis=1).reindex(daily[one.key].index)
        both = middle.notna() & daily[one.key].notna()
        if both.sum() < _LEAST:
            continue
        own, peers = (float(series[both].abs().mean()) for series in (daily[one.key], middle))
        if peers > 0 and not 1 / _TIMES < own / peers < _TIMES:
            yield Found(
                series=str(one.key),
                says=f"pays {own / peers:.2g} times what other venues pay on the same {int(both.sum())} days",
                count=int(both.sum()),
                start=moment(int(middle[both].index[0]) * _DAY),
                end=moment(int(middle[both].index[-1]) * _DAY),
                advice="rate_unit or rate_hours is wrong in the spec; eight times is an eight-hour rate paid hourly",
            )


def _daily(one: Records) -> pd.Series:
    """Fraction of notional paid per day, by day number."""
    paid = one.column("rate") * one.column("spacing_hours") / one.column("rate_hours")
    return pd.Series(paid).groupby((one.stamp - 1) // _DAY).sum()


@check(severity="warning")
def funding_formula(examined: Examined) -> Iterator[Found]:
    """Settled rates are about what the venue's formula makes of its own premium index."""
    for one in examined.kind("funding"):
        what = facts(one.instrument.id)
        premium = [each for each in examined.kind("premium_index") if each.instrument.id == one.instrument.id]
        if what is None or not premium:
            continue
        made = rate_by_rules(what, one, premium[0])
        off = np.abs(one.column("rate") * 8.0 / one.column("rate_hours") - made)
        both = np.isfinite(off)
        if both.sum() < _LEAST or (middle := float(np.median(off[both]))) < _OFF:
            continue
        yield Found(
            series=str(one.key),
            says=f"rates are typically {1e4 * middle:.2g} basis points per 8 h from what the venue's formula makes of "
            "its premium index",
            count=int(both.sum()),
            start=moment(one.stamp[both][0]),
            end=moment(one.stamp[both][-1]),
            advice="the unit, the settlement times or the formula in the venue's file is wrong",
        )


def rate_by_rules(what: InstrumentFacts, one: Records, premium: Records) -> np.ndarray:
    """The rate per 8 h the rules make of the premium closes inside each interval; NaN where one is missing; (N,)."""
    step = int(premium.ends[0] - premium.stamp[0])
    total = np.r_[0.0, np.cumsum(premium.column("close"))]
    rank = np.r_[0.0, np.cumsum(premium.column("close") * np.arange(1, len(premium) + 1))]
    first = np.searchsorted(
        premium.ends, one.stamp - (one.column("spacing_hours") * _HOUR).astype(np.int64), side="right"
    )
    last = np.searchsorted(premium.ends, one.stamp, side="right")
    count = last - first
    full = (count > 0) & (count == np.rint(one.column("spacing_hours") * _HOUR / step))
    safe = np.maximum(count, 1)
    uniform = (total[last] - total[first]) / safe
    linear = (rank[last] - rank[first] - first * (total[last] - total[first])) / (safe * (safe + 1) / 2)
    made = np.full(len(one), np.nan)
    for stamp_row in np.flatnonzero(full):
        era = what.funding_era(pd.Timestamp(int(one.stamp[stamp_row]), tz="UTC"))
        if era is not None:
            average = linear if era.averaging == "linear" else uniform
            made[stamp_row] = implied_rate(average[stamp_row : stamp_row + 1], era)[0]
    return made
