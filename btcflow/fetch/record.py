"""Recording: taking down, round after round, what venues tell for days only or of the present alone."""

from __future__ import annotations

import time
from dataclasses import replace

import pandas as pd

from btcflow import timeframes
from btcflow.data.records import SeriesKey
from btcflow.data.store import Store
from btcflow.errors import ConfigError
from btcflow.fetch.asking import Surroundings
from btcflow.fetch.plan import Plan
from btcflow.fetch.progress import FetchReport, OnEvent, SeriesReport
from btcflow.fetch.run import carry_out

__all__ = ["keep_recording"]


def keep_recording(
    plan: Plan,
    store: Store,
    *,
    every: str,
    count: int | None,
    world: Surroundings | None = None,
    on_event: OnEvent = lambda event: None,
) -> FetchReport:
    """Ask for everything once per ``every``, and append it.

    A snapshot of the present was known when it was asked for, and ``known_at`` says so. A venue that keeps a few days
    is asked for what it has since the round before, so that a pause of hours loses nothing.

    Parameters
    ----------
    plan : made with ``every``
    every : time between two rounds, such as ``5m``; rounds begin at its multiples (00:00, 00:05, ...)
    count : rounds; None = until Ctrl-C

    Returns
    -------
    FetchReport of all rounds together; a series counts as failed where its last round failed

    Raises
    ------
    ConfigError
        for no time between rounds, or a count below 1.
    """
    around = world or Surroundings()
    seconds = timeframes.parse(every).seconds
    if count is not None and count < 1:
        raise ConfigError(f"--count {count}: expected 1 or more rounds")
    told: dict[SeriesKey, SeriesReport] = {}
    done = 0
    while True:
        for one in carry_out(plan, store, world=around, on_event=on_event).series:
            told[one.key] = _together(told.get(one.key), one)
        done += 1
        if done == count:
            return FetchReport(series=tuple(told.values()), notes=plan.notes)
        left = seconds - pd.Timestamp(around.now(), tz="UTC").timestamp() % seconds
        (around.sleep or time.sleep)(left)


def _together(before: SeriesReport | None, now: SeriesReport) -> SeriesReport:
    if before is None:
        return now
    return replace(
        now,
        added=before.added + now.added,
        revised=before.revised + now.revised,
        requests=before.requests + now.requests,
        notes=tuple(dict.fromkeys([*before.notes, *now.notes])),
    )
