"""Whether labels name the right time: lag correlation against something that moved at the same moment.

A series whose rows are labelled one step too early agrees best with what others say one step later: it
knows the future. One that is labelled late is stale. Both are faults no single row shows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from btcflow.audit.check import check
from btcflow.audit.examined import Examined, changes, step_of
from btcflow.audit.findings import Found, Severity, moment
from btcflow.data.records import Records
from btcflow.data.venue_facts import facts
from btcflow.stack import row_median

__all__ = ["LAGS", "Lead", "funding_labels", "interest_labels", "lead_of", "price_labels"]

LAGS = (-2, -1, 0, 1, 2)
"""Steps by which the other series is moved; positive = this one agrees with what comes later."""
_LEAST = 150
_MARGIN = 0.1
_SIGMAS = 5.0


class Lead:
    """Where the correlation of two series of changes peaks.

    Attributes
    ----------
    steps : the lag of the largest correlation among :data:`LAGS`; 0 where none stands out from that at 0
    by_lag : correlation at each lag
    count : pairs at lag 0
    """

    def __init__(self, by_lag: dict[int, float], count: int) -> None:
        self.by_lag, self.count = by_lag, count
        best = max(by_lag, key=lambda lag: by_lag[lag])
        enough = max(_MARGIN, _SIGMAS / np.sqrt(max(count, 1)))
        self.steps = best if by_lag[best] - by_lag[0] > enough else 0

    @property
    def clear(self) -> bool:
        """True where the correlation at the peak is well above chance: the label can be judged."""
        return self.count >= _LEAST and max(self.by_lag.values()) > max(_MARGIN, _SIGMAS / np.sqrt(self.count))

    def __str__(self) -> str:
        return ", ".join(f"{lag:+d}: {value:.2f}" for lag, value in sorted(self.by_lag.items()))


def lead_of(one: pd.Series, other: pd.Series, step_ns: int) -> Lead | None:
    """Lag correlation of two series of changes on one grid; ranks, so that a single crash does not decide.

    Parameters
    ----------
    one, other : changes, indexed by int64 nanoseconds
    step_ns : nanoseconds per lag

    Returns
    -------
    None where fewer than 150 pairs stand at lag 0
    """
    by_lag, count = {}, 0
    for lag in LAGS:
        moved = other.reindex(one.index.to_numpy() + lag * step_ns).to_numpy()
        both = np.isfinite(moved) & np.isfinite(one.to_numpy())
        if lag == 0:
            count = int(both.sum())
        left, right = (pd.Series(values[both]).rank().to_numpy() for values in (one.to_numpy(), moved))
        varied = both.sum() >= _LEAST and np.ptp(left) > 0 and np.ptp(right) > 0
        by_lag[lag] = float(np.corrcoef(left, right)[0, 1]) if varied else -1.0
    return Lead(by_lag, count) if count >= _LEAST else None


@check(severity="fault")
def price_labels(examined: Examined) -> Iterator[Found]:
    """Returns agree with those of other venues at the same label, not one bar before or after."""
    for one in examined.kind("ohlcv", "mark", "index"):
        table = examined.closes(one.key.timeframe)
        others = table.drop(columns=one.instrument.id, errors="ignore")
        if not len(others.columns):
            continue
        step = step_of(one) * 1_000_000_000
        own = changes(one.ends, one.column("close"), step)
        moves = {name: changes(others.index.to_numpy(), others[name].to_numpy(), step) for name in others.columns}
        middle = pd.DataFrame(moves)
        lead = lead_of(own, pd.Series(row_median(middle.to_numpy()), index=middle.index), step)
        if lead is not None and lead.clear and lead.steps:
            yield _found(one, lead, "returns agree best with those of other venues", "bar")


@check(severity="fault")
def interest_labels(examined: Examined) -> Iterator[Found]:
    """Open interest moves with the return of the bar that ends at its stamp, not with the next one's."""
    for one in examined.kind("open_interest"):
        lead = interest_lead(examined, one)
        if lead is not None and lead.clear and lead.steps:
            yield _found(one, lead, "changes agree best with the return", "step")


def interest_lead(examined: Examined, one: Records) -> Lead | None:
    """Where open interest moves with price: by size, and by sign where that is clearer."""
    step = step_of(one) * 1_000_000_000
    change = changes(one.stamp, one.column("value"), step)
    if len(change) < _LEAST:
        return None
    around = np.unique(np.concatenate([one.stamp + lag * step for lag in range(min(LAGS) - 1, max(LAGS) + 1)]))
    price = changes(around, examined.price_at(around, one), step)
    leads = [lead_of(change, price, step), lead_of(-change, price, step), lead_of(change.abs(), price.abs(), step)]
    told = [lead for lead in leads if lead is not None]
    return max(told, key=lambda lead: max(lead.by_lag.values()), default=None)


@check(severity="warning")
def funding_labels(examined: Examined) -> Iterator[Found]:
    """A settled rate follows the premium of its own interval, or of the one before; never that of the next."""
    for one in examined.kind("funding"):
        spacing = one.column("spacing_hours")
        step = int(np.median(spacing) * 3_600_000_000_000)
        average = _average_premium(examined, one, step)
        if average is None:
            continue
        rate = pd.Series(one.column("rate") / one.column("rate_hours"), index=one.stamp)
        regular = np.r_[False, np.diff(one.stamp) == step]
        lead = lead_of(rate.diff().where(regular), average.diff(), step)
        late = _charged_late(one)
        if lead is not None and lead.clear and (lead.steps > 0 or (lead.steps < 0 and not late)):
            yield _found(one, lead, "changes agree best with those of the premium", "settlement", late="note")


def _average_premium(examined: Examined, one: Records, step: int) -> pd.Series | None:
    """Mean premium of the intervals that end on the settlements' grid, by their end; None without a series."""
    own = [each for each in examined.kind("premium_index") if each.instrument.id == one.instrument.id]
    if not own or step_of(own[0]) * 1_000_000_000 >= step:
        return None
    phase = int(one.stamp[-1]) % step
    ends = -(-(own[0].ends - phase) // step) * step + phase
    return pd.Series(own[0].column("close")).groupby(ends).mean()


def _charged_late(one: Records) -> bool:
    """True where the venue charges the rate of the interval before, in any of its eras."""
    what = facts(one.instrument.id)
    return what is not None and any(era.charged == "next_interval" for era in what.listing.funding)


def _found(one: Records, lead: Lead, says: str, step: str, *, late: Severity = "warning") -> Found:
    ahead = lead.steps > 0
    count = abs(lead.steps)
    where = f"{count} {step}{'' if count == 1 else 's'} {'LATER' if ahead else 'earlier'}"
    return Found(
        series=str(one.key),
        says=f"{says} {where} than the label: it is too {'early, and the rows know the future' if ahead else 'late'}",
        count=lead.count,
        start=moment(one.stamp[0]),
        end=moment(one.stamp[-1]),
        example=f"rank correlation by lag: {lead}",
        advice="the spec's `stamp` is wrong (start of the period taken for its end, or the reverse): import it again",
        severity=None if ahead else late,
    )
