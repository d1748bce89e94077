"""From samples to rows: what an endpoint saw every minute, as settlements and as readings at a bar's end."""

from __future__ import annotations

import numpy as np
import pandas as pd

from btcflow.fetch.plan import Job
from btcflow.fetch.rows import Rows

__all__ = ["SAMPLE_AGE", "sampled", "told_of"]

SAMPLE_AGE = 300_000_000_000
"""How old a sample may be, nanoseconds, for the stamp it stands for; without a younger one the stamp has no row."""


def sampled(job: Job, rows: Rows, *, before: int) -> Rows:
    """The last sample for each stamp of the job; the rows as they are where the endpoint tells no samples.

    A sample belongs to the interval it is labelled in (a label is some seconds late). A settlement takes the last
    sample before it: from its own moment on an endpoint tells the rate of the next period. A reading at a bar's end
    takes the sample of that moment or the last one before.

    Parameters
    ----------
    before : no stamp is at or after this, nor so near before it that its last sample may be missing, int64 ns UTC

    Returns
    -------
    Rows, labelled with the stamps they stand for; a stamp whose last sample is older than :data:`SAMPLE_AGE` has none
    """
    apart = job.endpoint.samples
    if apart is None or not len(rows):
        return rows
    step, every = int(pd.Timedelta(job.step).value), int(pd.Timedelta(apart).value)
    taken = rows.time // every * every
    stamp = (taken // step + 1) * step if "funding" in job.series else -(-taken // step) * step
    last = np.r_[stamp[1:] != stamp[:-1], True] & (stamp - taken <= SAMPLE_AGE) & (stamp + every < before)
    return Rows(stamp[last], {name: one[last] for name, one in rows.values.items()}, rows.conflicts)


def told_of(job: Job) -> tuple[str, ...]:
    """What a reader should know of a series made of samples."""
    if job.endpoint.samples is None:
        return ()
    if "funding" in job.series:
        return ("the venue tells samples of the running rate: a settlement is the last one before it",)
    return ("the venue tells samples: a row is the one at its stamp, or the last one up to 5 minutes before",)
