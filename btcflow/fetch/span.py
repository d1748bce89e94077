"""Which stretch of time a job asks for: what is wanted, what there is, what is there already, and what is over."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from btcflow import timeframes
from btcflow.data.manifest import StoreEntry
from btcflow.data.records import utc_ns
from btcflow.fetch.plan import Job
from btcflow.fetch.samples import SAMPLE_AGE
from btcflow.fetch.series import CONTEXT, label_shift

__all__ = ["GRACE", "Stretches", "stretches"]

GRACE = 5_000_000_000
"""A bar counts as closed this long after its end by the venue's clock."""
_DAY = pd.Timedelta(days=1).value


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """What to ask for, as the venue labels its rows; int64 nanoseconds UTC, half open.

    Attributes
    ----------
    start, end : the stretch to walk; empty where ``start >= end``
    since : rows from here on are kept where an answer has more than the venue is known to keep
    at_horizon : whether ``start`` is where the venue's memory is thought to end
    keep_from : stamps before it are only there to tell how many hours the first settlement covers
    head : a stretch before what the store has; None where the store begins where it should
    overlap : what a fetch asks for again before the end of what is there
    notes : in words, where less is asked than is wanted
    """

    start: int
    end: int
    since: int
    at_horizon: bool
    keep_from: int
    head: tuple[int, int] | None
    overlap: pd.Timedelta
    notes: tuple[str, ...] = ()


def stretches(job: Job, held: list[StoreEntry], now: int, *, overlap_bars: int) -> Stretches:
    """The stretch of a job.

    Parameters
    ----------
    held : what the store has of the job's series; fewer than those where one is new
    now : the venue's time, nanoseconds since 1970
    """
    step, shift = int(pd.Timedelta(job.step).value), label_shift(job)
    end = _end(job, now)
    since, start, notes = _start(job, now, step)
    overlap = max(overlap_bars * step, _DAY if "open_interest" in job.series else 0)
    early = SAMPLE_AGE if job.endpoint.samples is not None else 0
    resume, head = since, None
    if len(held) == len(job.series):
        first, last = max(one.first.value for one in held), min(one.last.value for one in held)
        if last >= start:
            resume = max(start, last - overlap)
            head = (start - shift - early, first - shift) if first - start >= 2 * step else None
    context = CONTEXT * step if "funding" in job.series and resume > start else 0
    return Stretches(
        start=max(start, resume - context) - shift - early,
        end=end - shift,
        since=since - shift,
        at_horizon=since < start and resume <= start,
        keep_from=resume,
        head=head,
        overlap=pd.Timedelta(overlap, unit="ns"),
        notes=notes,
    )


def _end(job: Job, now: int) -> int:
    """The first stamp that is not wanted: of a bar that is not over, or of an instant still to come."""
    over = now - GRACE
    wanted = over if job.end is None else min(over, job.end.value)
    return _bar_open(job, wanted) if job.bars else wanted + 1 if wanted == over else wanted


def _start(job: Job, now: int, step: int) -> tuple[int, int, tuple[str, ...]]:
    """The first stamp that is wanted, the first of them that the venue is known to keep, and what to say of it."""
    start, notes = job.start.value, []
    known = [one for one in (job.endpoint.history_from,) if one is not None]
    start = since = max([start, *(pd.Timestamp(one).value for one in known)])
    kept = job.endpoint.kept(job.step)
    if kept is not None and start < (oldest := now - int(pd.Timedelta(kept).value)):
        start = -(-oldest // step) * step
        notes.append(
            f"the venue keeps {_days(pd.Timedelta(kept))} of it; what is older comes from an archive "
            "(`source: archive`) or from `btcflow data record`"
        )
    if job.bars:
        since, start = _next_open(job, since), _next_open(job, start)
    return since, start, tuple(notes)


def _next_open(job: Job, instant: int) -> int:
    opens = _bar_open(job, instant)
    return opens if opens == instant else _bar_close(job, opens)


def _bar_open(job: Job, instant: int) -> int:
    at = pd.DatetimeIndex([pd.Timestamp(instant, tz="UTC")])
    return int(utc_ns(timeframes.bar_open(at, job.timeframe))[0])


def _bar_close(job: Job, opens: int) -> int:
    at = pd.DatetimeIndex([pd.Timestamp(opens, tz="UTC")])
    return int(utc_ns(timeframes.bar_close(at, job.timeframe))[0])


def _days(span: pd.Timedelta) -> str:
    return f"{span.days} days" if span.days else f"{span.total_seconds() / 3600:.0f} hours"
