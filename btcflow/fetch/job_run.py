"""One job carried out: walk its stretch, commit month by month, and say what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from btcflow.data.merging import MergeReport
from btcflow.data.provenance import Provenance
from btcflow.data.records import Records, SeriesKey
from btcflow.data.store import Store, StoreEntry
from btcflow.errors import MissingData
from btcflow.fetch.asking import Asked, VenueTurn
from btcflow.fetch.from_archive import archive_rows
from btcflow.fetch.pager import Stretch, at_once, earlier, numbered, walk_back, windows
from btcflow.fetch.plan import Job
from btcflow.fetch.progress import FetchEvent, SeriesReport
from btcflow.fetch.rows import Rows
from btcflow.fetch.samples import sampled, told_of
from btcflow.fetch.series import CONTEXT, label_shift, records_of
from btcflow.fetch.span import Stretches, stretches
from btcflow.wire.outcome import Refused

__all__ = ["JobRun"]

_SECOND = 1_000_000_000


@dataclass(kw_only=True)
class JobRun:
    """One job on its way into the store.

    Attributes
    ----------
    job, turn, store : what to ask, how, and where the rows go
    tool : program and version that asks, for the provenance
    overlap_bars : as in the config
    tell : hears how far it is
    """

    job: Job
    turn: VenueTurn
    store: Store
    tool: str
    overlap_bars: int
    tell: Callable[[FetchEvent], None]
    asked: Asked = field(default_factory=Asked)
    added: dict[str, int] = field(default_factory=dict)
    revised: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    missing: int = 0
    dropped: int = 0
    _last: int | None = None

    def carry_out(self) -> None:
        """Ask for everything and commit it; what is committed stays when a later request fails."""
        if self.job.endpoint.pager == "now":
            self._take_down()
            return
        if self.job.source != "rest":
            self._from_archive()
        if self.job.source == "archive":
            return
        plan = stretches(self.job, self._held(), self.turn.now(), overlap_bars=self.overlap_bars)
        self.notes += [*told_of(self.job), *plan.notes]
        if plan.head is not None:
            rows = sampled(self.job, earlier(self._ask, self._stretch(*plan.head)), before=plan.head[1])
            self._commit_months(rows, plan, context=None)
        if plan.start >= plan.end:
            return
        pending, context = Rows.joined([]), None
        try:
            for reached, rows in self._walked(plan):
                self._count(rows)
                pending = Rows.joined([pending, rows])
                month = _month_start(reached)
                context = self._commit(pending.within(0, month), plan, context)
                pending = pending.within(month, np.iinfo(np.int64).max)
                self._say((plan.start, plan.end), reached)
        finally:
            self._commit(pending, plan, context)

    def _from_archive(self) -> None:
        """Every file of the venue's archive, each committed as it comes."""
        for kind in self.job.series:
            noted = self.notes.append
            rows = archive_rows(self.job, kind, self.store, turn=self.turn, asked=self.asked, noted=noted)
            for records, provenance in rows:
                inside = records.where(records.stamp >= self.job.start.value)
                if len(inside):
                    self.rows += len(inside)
                    self._merged(kind, self.store.merge(inside, provenance=provenance))
                    self._say(self._whole(), int(inside.stamp[-1]))

    def _take_down(self) -> None:
        """One snapshot of the present, known when it was asked for."""
        rows = self._ask(0, 0)
        now = self.turn.now() // _SECOND * _SECOND
        time = rows.time if self.job.endpoint.time.at else np.full(len(rows), now, dtype=np.int64)
        rows = Rows(time, rows.values)
        self._count(rows)
        for kind in self.job.series:
            made, dropped = records_of(self.job, kind, rows, source=self._source, known_at=now)
            self.dropped += dropped
            if made is not None:
                self._merge(kind, made, None)

    def reports(self, failed: str | None) -> list[SeriesReport]:
        """What became of each of its series."""
        held = {one.key: one for one in self._held()}
        notes = list(dict.fromkeys(self.notes))
        if self.asked.conflicts:
            notes.append(f"{self.asked.conflicts} rows came twice with different numbers; the later one is kept")
        if self.dropped:
            notes.append(f"{self.dropped} rows without a number were left out")
        found = []
        for place, (kind, key) in enumerate(self.job.keys.items()):
            entry = held.get(key)
            found.append(
                SeriesReport(
                    key=key,
                    rows=entry.rows if entry else 0,
                    added=self.added.get(kind, 0),
                    revised=self.revised.get(kind, 0),
                    missing=entry.gaps.missing if entry else 0,
                    requests=self.asked.requests if place == 0 else 0,
                    failed=failed,
                    notes=tuple(notes),
                )
            )
        return found

    def _held(self) -> list[StoreEntry]:
        return held_in(self.store, tuple(self.job.keys.values()))

    def _walked(self, plan: Stretches) -> Iterator[tuple[int, Rows]]:
        """The rows of the stretch by whatever pager the endpoint has."""
        pager, asked = self.job.endpoint.pager, self.asked
        if pager == "window":
            for reached, rows in self._from_horizon(plan):
                yield reached, sampled(self.job, rows, before=plan.end)
        elif pager == "backward":
            yield plan.end, walk_back(self._ask, plan.start, plan.end, since=plan.since)
        elif pager == "page":
            ask = self.turn.ask
            yield (
                plan.end,
                numbered(lambda page: ask(self.job, asked, plan.start, plan.end, page=page), plan.start, plan.end),
            )
        else:
            over = self._stretch(plan.start, plan.end)
            yield plan.end, at_once(lambda: self._ask(plan.start, plan.end), over, since=plan.since)

    def _from_horizon(self, plan: Stretches) -> Iterator[tuple[int, Rows]]:
        """Window by window; a refusal at the edge of the venue's memory moves the start a little."""
        step = int(pd.Timedelta(self.job.step).value)
        later = (0, 2 * step, (plan.end - plan.start) // 10) if plan.at_horizon else (0,)
        for margin in later:
            walk = windows(self._ask, self._stretch(plan.start + margin // step * step, plan.end))
            try:
                first = next(walk, None)
            except Refused:
                if margin == later[-1]:
                    raise
                continue
            if first is not None:
                yield first
                yield from walk
            return

    def _ask(self, start: int, end: int) -> Rows:
        return self.turn.ask(self.job, self.asked, start, end)

    def _stretch(self, start: int, end: int) -> Stretch:
        longest, samples = self.job.endpoint.longest, self.job.endpoint.samples
        return Stretch(
            start=start,
            end=end,
            step=int(pd.Timedelta(samples or self.job.step).value),
            cap=self.job.endpoint.cap,
            longest=int(pd.Timedelta(longest).value) if longest is not None else None,
        )

    def _commit_months(self, rows: Rows, plan: Stretches, context: np.ndarray | None) -> None:
        self._count(rows)
        self._commit(rows, plan, context, keep_from=0)

    def _commit(
        self, rows: Rows, plan: Stretches, context: np.ndarray | None, *, keep_from: int | None = None
    ) -> np.ndarray | None:
        """Put rows into the store; returns the last stamps, which decide the hours of the next settlement."""
        if not len(rows):
            return context
        for kind in self.job.series:
            made, dropped = records_of(self.job, kind, rows, source=self._source, context=context)
            self.dropped += dropped
            if made is None:
                continue
            fresh = made.where(made.stamp >= (plan.keep_from if keep_from is None else keep_from))
            if len(fresh):
                self._merge(kind, fresh, plan)
        self.asked.hashes.clear()
        stamps = rows.time + label_shift(self.job)
        return (stamps if context is None else np.concatenate([context, stamps]))[-CONTEXT:]

    def _merge(self, kind: str, records: Records, plan: Stretches | None) -> None:
        overlap = plan.overlap if plan is not None else None
        self._merged(kind, self.store.merge(records, provenance=self._provenance(), overlap=overlap))

    def _merged(self, kind: str, report: MergeReport) -> None:
        self.added[kind] = self.added.get(kind, 0) + report.added
        self.revised[kind] = self.revised.get(kind, 0) + len(report.revised)
        if report.late:
            self.notes.append(
                f"{len(report.late)} rows were revised long after they closed, the first {report.late[0]}"
            )

    def _provenance(self) -> Provenance:
        fixed = {**{name: str(one) for name, one in self.job.fill.items()}, "interval": str(self.job.interval)}
        return Provenance(
            source=self._source,
            endpoint=self.asked.endpoint,
            fetched_at=pd.Timestamp(self.turn.now(), tz="UTC"),
            params=fixed,
            raw_sha256=tuple(self.asked.hashes),
            tool=self.tool,
        )

    @property
    def _source(self) -> str:
        return f"{self.job.venue} API {self.job.endpoint.call.split()[-1]}"

    def _count(self, rows: Rows) -> None:
        if not len(rows):
            return
        times = rows.time if self._last is None else np.r_[self._last, rows.time]
        apart = np.diff(times) / int(pd.Timedelta(self.job.step).value)
        self.missing += int((np.rint(apart[apart > 1.5]) - 1).sum())
        self.rows, self._last = self.rows + len(rows), int(rows.time[-1])

    def _whole(self) -> tuple[int, int]:
        return self.job.start.value, self.turn.present if self.job.end is None else self.job.end.value

    def _say(self, span: tuple[int, int], reached: int) -> None:
        done = (reached - span[0]) / max(1, span[1] - span[0])
        self.tell(
            FetchEvent(
                venue=self.job.venue,
                job=self.job.name,
                done=min(1.0, done),
                rows=self.rows,
                missing=self.missing,
                requests=self.asked.requests,
            )
        )


def held_in(store: Store, keys: tuple[SeriesKey, ...]) -> list[StoreEntry]:
    """What the store has of some series."""
    with suppress(MissingData):
        return [one for one in store.entries() if one.key in keys]
    return []


def _month_start(instant: int) -> int:
    return int(pd.Timestamp(instant, tz="UTC").normalize().replace(day=1).value)
