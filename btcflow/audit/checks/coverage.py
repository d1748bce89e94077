"""Whether rows are there: holes, listing dates, series that stop before the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from btcflow.audit.check import check
from btcflow.audit.examined import Examined, rows_found, step_of
from btcflow.audit.findings import Found, Stretch, moment, told
from btcflow.data.grids import bar_holes, event_holes
from btcflow.data.records import Records
from btcflow.data.venue_facts import facts
from btcflow.fields import KINDS

__all__ = ["ends_early", "gaps", "listing"]

_HOUR = 3_600_000_000_000
_BEHIND = pd.Timedelta(days=7)


@check(severity="warning")
def gaps(examined: Examined) -> Iterator[Found]:
    """No step is missing between the first row and the last."""
    for one in examined.filled:
        stretches = holes(one)
        if not stretches:
            continue
        missing = sum(each.count for each in stretches)
        longest = max(stretches, key=lambda each: each.count)
        yield Found(
            series=str(one.key),
            says=f"{missing:,} of {missing + len(one):,} steps missing in {len(stretches)} "
            f"stretch{'' if len(stretches) == 1 else 'es'} ({_by_year(stretches)}); the longest is {longest.count:,}, "
            f"{told(longest.start)} to {told(longest.end)}",
            count=missing,
            start=stretches[0].start,
            end=stretches[-1].end,
            example=f"{stretches[0].count} from {told(stretches[0].start)}",
            advice="fetch the stretches again; what the venue never had stays unknown and is not filled",
            stretches=tuple(stretches),
        )


def holes(one: Records) -> list[Stretch]:
    """Every stretch of missing steps of a series."""
    stamp, timeframe = one.stamp, one.key.timeframe
    if KINDS[one.key.kind].stamps == "bar_open":
        ends = one.ends
        return [
            Stretch(moment(ends[row]), moment(stamp[row + 1]), bar_holes(stamp[row : row + 2], timeframe).missing)
            for row in np.flatnonzero(stamp[1:] != ends[:-1])
        ]
    spacing = one.column("spacing_hours") if one.key.kind == "funding" else np.full(len(one), step_of(one) / 3600)
    far = np.diff(stamp) / _HOUR / spacing[1:] > 1.5
    found = []
    for row in np.flatnonzero(far):
        count = event_holes(stamp[row : row + 2], spacing[row : row + 2]).missing
        found.append(Stretch(moment(stamp[row] + int(spacing[row + 1] * _HOUR)), moment(stamp[row + 1]), count))
    return [each for each in found if each.count]


def _by_year(stretches: list[Stretch]) -> str:
    years: dict[int, int] = {}
    for each in stretches:
        years[each.start.year] = years.get(each.start.year, 0) + each.count
    return ", ".join(f"{year}: {count:,}" for year, count in sorted(years.items()))


@check(severity="warning")
def listing(examined: Examined) -> Iterator[Found]:
    """No row is older than the listing, or younger than the delisting, of the venue's file."""
    for one in examined.filled:
        what = facts(one.instrument.id)
        if what is None:
            continue
        first, last = what.listing.valid_from, what.listing.valid_to
        if first is not None and (early := one.stamp < pd.Timestamp(first).value).any():
            yield rows_found(
                one,
                early,
                f"rows before the listing of {told(pd.Timestamp(first))}",
                "",
                "another product of that name, or a wrong listing date in the venue's file; begin later with from:",
            )
        if last is not None and (late := one.ends > pd.Timestamp(last).value).any():
            yield rows_found(
                one,
                late,
                f"rows after the delisting of {told(pd.Timestamp(last))}",
                "",
                "nothing was traded there any more; end the data earlier",
                severity="fault",
            )


@check(severity="note")
def ends_early(examined: Examined) -> Iterator[Found]:
    """No series stops more than a week before the newest one."""
    newest = max((int(one.ends[-1]) for one in examined.filled), default=0)
    for one in examined.filled:
        end = int(one.ends[-1])
        behind = pd.Timedelta(newest - end, unit="ns")
        if behind <= max(_BEHIND, pd.Timedelta(seconds=3 * step_of(one))):
            continue
        what = facts(one.instrument.id)
        closed = what.listing.valid_to if what is not None else None
        yield Found(
            series=str(one.key),
            says=f"stops {behind.days} days before the newest series ({told(moment(newest))})"
            + (f"; delisted on {told(pd.Timestamp(closed))}" if closed is not None else ""),
            start=moment(end),
            end=moment(end),
            example=told(moment(end)),
            advice="a basket changes its members there; fetch the rest, or end the experiment before it",
        )
