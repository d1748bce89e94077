"""One venue's turn: its clients, its clock, its patience, and a job's question put to it."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from btcflow.fetch.ccxt_door import Client, client_of
from btcflow.fetch.plan import Job
from btcflow.fetch.rows import BrokenPage, Rows, read_rows
from btcflow.fetch.venue_api import TimeColumn, VenueApi
from btcflow.wire.outcome import Action, Answer, Outcome, judge, value_at
from btcflow.wire.patience import Patience

__all__ = ["Asked", "Stopped", "Surroundings", "VenueTurn"]

_MS = 1_000_000


class Stopped(Exception):
    """The user wants to stop: no further request is made."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The world of a fetch, handed in so that tests choose it.

    Attributes
    ----------
    base : ask every venue here, and nothing else; None = the venues themselves
    limited : keep to ccxt's rate limits
    now : nanoseconds since 1970, UTC
    clock, sleep, chance : seconds for back-off, how to let them pass (None: a sleep that a stop ends), and jitter
    """

    base: str | None = None
    limited: bool = True
    now: Callable[[], int] = time.time_ns
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] | None = None
    chance: Callable[[], float] = random.random


@dataclass
class Asked:
    """What was asked for one job so far.

    Attributes
    ----------
    requests : answers taken, and those that had to be asked again
    hashes : sha256 of each body taken since the last commit
    endpoint : the address without its query
    conflicts : rows that came twice with different numbers
    """

    requests: int = 0
    hashes: list[str] = field(default_factory=list)
    endpoint: str = ""
    conflicts: int = 0


class VenueTurn:
    """The requests of one venue, one after the other; belongs to one thread.

    Parameters
    ----------
    api : how the venue is asked
    world : see :class:`Surroundings`
    stop : set when the user wants to stop
    """

    def __init__(self, api: VenueApi, world: Surroundings, stop: threading.Event) -> None:
        self.api, self._world, self._stop = api, world, stop
        self._clients: dict[str, Client] = {}
        self._ahead = 0
        self._told_time = False
        self.patience = self.patience_of(api.venue)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._clients.values():
            one.close()

    @property
    def base(self) -> str | None:
        """Where every request goes instead, in tests."""
        return self._world.base

    @property
    def present(self) -> int:
        """The time as far as known without asking the venue, nanoseconds since 1970."""
        return self._world.now() + self._ahead

    def patience_of(self, host: str) -> Patience:
        """Retry rules for a host of the venue, with a pause of its own."""
        world = self._world
        return Patience(venue=host, clock=world.clock, sleep=world.sleep or self._pause, chance=world.chance)

    def about_to_send(self, asked: Asked) -> Callable[[], None]:
        """Counts a request, and refuses it once the user wants to stop."""

        def send() -> None:
            if self._stop.is_set():
                raise Stopped
            asked.requests += 1

        return send

    def now(self) -> int:
        """The venue's time, nanoseconds since 1970; its own clock, else the Date of its last answer, else ours."""
        if not self._told_time and self.api.clock is not None:
            self._read_clock()
        return self.present

    def ask(self, job: Job, asked: Asked, start: int, end: int, *, page: int = 1) -> Rows:
        """The rows of one page, as the venue labels them; raises what :class:`Patience` raises."""
        params = filled(job, start, end, page)
        signs = (job.endpoint.signs or self.api.signs).signs

        def read(answer: Answer) -> Outcome:
            outcome = judge(answer, signs)
            if outcome.action is not Action.OK:
                return outcome
            try:
                return Outcome(action=Action.OK, document=read_rows(outcome.document, job.endpoint, job.columns))
            except BrokenPage as error:
                return Outcome(action=Action.RETRY, reason=str(error))

        answer, outcome = self._asked(job.client, _path(job), params, read, asked)
        asked.hashes.append(hashlib.sha256(answer.body).hexdigest())
        asked.endpoint = self._public(answer.url)
        rows: Rows = outcome.document
        asked.conflicts += rows.conflicts
        return rows

    def _asked(
        self, client: str, call: str, params: dict[str, Any], read: Callable[[Answer], Outcome], asked: Asked
    ) -> tuple[Answer, Outcome]:
        if client not in self._clients:
            self._clients[client] = client_of(client, base=self._world.base, limited=self._world.limited)

        count = self.about_to_send(asked)

        def send() -> Answer:
            count()
            answer = self._clients[client].call(call, params)
            if self.api.clock is None and answer.status == 200 and answer.date is not None:
                self._ahead = int(answer.date.timestamp()) * 1_000_000_000 - self._world.now()
            return answer

        return self.patience.ask(send, read)

    def _read_clock(self) -> None:
        clock = self.api.clock
        if clock is None:
            return
        signs = self.api.signs.signs
        column = TimeColumn(at=clock.at, unit=clock.unit, names="instant")

        def read(answer: Answer) -> Outcome:
            outcome = judge(answer, signs)
            if outcome.action is Action.OK and value_at(outcome.document, clock.at.split(".")) is None:
                return Outcome(action=Action.RETRY, reason=f"no time at {clock.at}")
            return outcome

        _, outcome = self._asked(clock.client or self.api.client, clock.call, {}, read, Asked())
        told = column.instant(value_at(outcome.document, clock.at.split(".")))
        self._ahead, self._told_time = told - self._world.now(), True

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _public(self, url: str) -> str:
        """The address as the world knows it: without query, and without the base of tests."""
        plain = url.partition("?")[0]
        if not self._world.base:
            return plain
        _, _, behind = plain.removeprefix(f"{self._world.base}/").partition("/")
        return f"https://{behind}"


def filled(job: Job, start: int, end: int, page: int = 1) -> dict[str, Any]:
    """The parameters of a request for ``[start, end)``, nanoseconds UTC; see :mod:`btcflow.fetch.venue_api`."""
    first, last, stop = -(-start // _MS), -(-end // _MS) - 1, -(-end // _MS)
    known: dict[str, Any] = {
        **{"from_ms": first, "before_ms": first - 1, "last_ms": last, "end_ms": stop},
        **{"from_s": -(-first // 1000), "last_s": last // 1000, "end_s": -(-stop // 1000)},
        **{"from_iso": _iso(first), "last_iso": _iso(last)},
        **{"interval": job.interval, "cap": job.endpoint.cap, "page": page},
        **job.fill,
    }
    found: dict[str, Any] = _put(job.endpoint.params, known)
    return found


def _put(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _put(one, known) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_put(one, known) for one in value]
    if not isinstance(value, str):
        return value
    alone = value[1:-1] if value.startswith("{") and value.endswith("}") else ""
    return known[alone] if alone in known else value.format_map(known)


def _path(job: Job) -> str:
    """The call; a free path has its names filled in."""
    return job.endpoint.call.format_map(dict(job.fill)) if " " in job.endpoint.call else job.endpoint.call


def _iso(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
