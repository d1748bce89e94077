"""A fetch: every venue in its own thread, its requests one after the other, every month of rows committed at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from btcflow.data.store import Store
from btcflow.errors import BtcflowError, StoreError
from btcflow.fetch.asking import Surroundings, VenueTurn
from btcflow.fetch.ccxt_door import ccxt_version
from btcflow.fetch.job_run import JobRun
from btcflow.fetch.plan import Job, Plan
from btcflow.fetch.progress import FetchEvent, FetchReport, OnEvent, SeriesReport
from btcflow.wire.outcome import Banned, GeoBlocked

__all__ = ["carry_out"]

_TICK = 0.2


def carry_out(
    plan: Plan, store: Store, *, world: Surroundings | None = None, on_event: OnEvent = lambda event: None
) -> FetchReport:
    """Ask for all that the plan wants and that the store does not have, and put it there.

    What came is kept whatever happens: a request that fails for good ends its series, a block or a ban its venue, and
    the others go on. The same call again goes on where this one ended; with nothing new it asks for the overlap alone.

    Parameters
    ----------
    world : where and how to ask; by default the venues themselves, within ccxt's rate limits
    on_event : hears how far each job is

    Raises
    ------
    StoreError
        where the disk refuses; every thread is ended first.
    KeyboardInterrupt
        after Ctrl-C, when every thread has ended.
    """
    fetch = _Fetch(plan, store, world or Surroundings(), on_event)
    found = fetch.run()
    order = {key: place for place, job in enumerate(plan.jobs) for key in job.keys.values()}
    return FetchReport(series=tuple(sorted(found, key=lambda one: order[one.key])), notes=plan.notes)


class _Fetch:
    def __init__(self, plan: Plan, store: Store, world: Surroundings, on_event: OnEvent) -> None:
        self._plan, self._store, self._world = plan, store, world
        self._stop, self._lock, self._hear = threading.Event(), threading.Lock(), on_event
        self._tool = ccxt_version()

    def run(self) -> list[SeriesReport]:
        """Every venue at once; the first error that is no venue's own ends them all."""
        venues = self._plan.by_venue
        with ThreadPoolExecutor(max_workers=len(venues), thread_name_prefix="fetch") as pool:
            waiting = [pool.submit(self._venue, venue, jobs) for venue, jobs in venues.items()]
            try:
                self._await(waiting)
            except BaseException:
                self._stop.set()
                raise
        return [one for done in waiting for one in done.result()]

    def _await(self, waiting: list[Future[list[SeriesReport]]]) -> None:
        """Wait in short steps, so that Ctrl-C is heard."""
        left = list(waiting)
        while left:
            with suppress(TimeoutError):
                left[0].result(timeout=_TICK)
                left.pop(0)
            for one in left:
                if one.done():
                    one.result()

    def _venue(self, venue: str, jobs: tuple[Job, ...]) -> list[SeriesReport]:
        found: list[SeriesReport] = []
        shut: str | None = None
        with VenueTurn(self._plan.apis[venue], self._world, self._stop) as turn:
            for job in jobs:
                run = JobRun(
                    job=job,
                    turn=turn,
                    store=self._store,
                    tool=self._tool,
                    overlap_bars=self._plan.overlap_bars,
                    tell=self._tell,
                )
                failed = shut
                if shut is None:
                    try:
                        run.carry_out()
                    except StoreError:
                        raise
                    except BtcflowError as error:
                        failed = str(error)
                        shut = failed if isinstance(error, GeoBlocked | Banned) else None
                found += run.reports(failed)
                self._tell(_last_event(run, failed))
        return found

    def _tell(self, event: FetchEvent) -> None:
        with self._lock:
            self._hear(event)


def _last_event(run: JobRun, failed: str | None) -> FetchEvent:
    return FetchEvent(
        venue=run.job.venue,
        job=run.job.name,
        done=1.0,
        rows=run.rows,
        missing=run.missing,
        requests=run.asked.requests,
        state="done" if failed is None else "failed",
    )
