"""Pagers: every row of a stretch of time, whatever a page holds and whichever end of it the venue keeps.

Nothing that a page does not cover is taken for empty. What a window's page leaves open at either end is asked for
again *together with the neighbouring row*: an answer that holds the neighbour and nothing else is proof that there is
nothing, and an answer that does not even hold the neighbour contradicts the one before and is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from btcflow.errors import VenueUnavailable
from btcflow.fetch.rows import Rows
from btcflow.wire.outcome import TooWide

__all__ = ["MS", "Stretch", "at_once", "earlier", "first_of", "numbered", "walk_back", "windows"]

MS = 1_000_000
_CONTRADICTIONS = 8
_OPINIONS = 2
_ROUNDS = 10_000

Ask = Callable[[int, int], Rows]
"""Asks for the rows in ``[start, end)``, int64 nanoseconds UTC; what lies outside is left out by the pager."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What to walk over.

    Attributes
    ----------
    start, end : int64 nanoseconds UTC, half open
    step : nanoseconds from one row to the next, as far as known; rows may come closer or with jitter
    cap : rows a page holds at most, as far as known
    longest : the longest window the endpoint takes, nanoseconds
    """

    start: int
    end: int
    step: int
    cap: int
    longest: int | None = None

    @property
    def width(self) -> int:
        """One window: a row less than a page holds, so that a window with both its ends never fills one."""
        wide = self.step * max(1, self.cap - 1)
        return max(self.step, min(wide, self.longest // self.step * self.step) if self.longest else wide)


def windows(ask: Ask, over: Stretch) -> Iterator[tuple[int, Rows]]:
    """Walk forward.

    Yields
    ------
    (reached, rows)
        all rows up to ``reached``, window by window, each complete.

    Raises
    ------
    VenueUnavailable
        where answers keep contradicting each other.
    """
    walk, known = _Walk(ask, over), None
    start = over.start
    while start < over.end:
        end = min(start + walk.width, over.end)
        rows = walk.window(start, end, known)
        if len(rows):
            if known is None and start > over.start:
                rows = Rows.joined([earlier(ask, replace(over, end=int(rows.time[0]))), rows])
            known = int(rows.time[-1])
        yield end, rows
        start = end


def earlier(ask: Ask, before: Stretch) -> Rows:
    """What lies before rows that are there: back from the row at ``before.end`` until a window has nothing.

    Every window is asked together with the row that follows it; one that holds nothing else is taken for the beginning.
    """
    walk, end = _Walk(ask, before), before.end
    parts: list[Rows] = []
    while end > before.start:
        rows = walk.before(max(before.start, end - walk.width), end)
        if not len(rows):
            break
        parts.insert(0, rows)
        end = int(rows.time[0])
    return Rows.joined(parts)


class _Walk:
    """The windows of one stretch, each asked until it is covered."""

    def __init__(self, ask: Ask, over: Stretch) -> None:
        self._ask, self._over = ask, over
        self.width = over.width

    def window(self, start: int, end: int, known: int | None) -> Rows:
        """Every row in ``[start, end)``; ``known`` is the last row before it, where there is one."""
        try:
            rows = self._asked(start, end)
        except TooWide:
            middle = self._narrower(start, end)
            left = self.window(start, middle, known)
            right = self.window(middle, end, int(left.time[-1]) if len(left) else known)
            return Rows.joined([left, right])
        if not len(rows):
            rows = self._second_opinion(start, end, known)
        return self._covered(rows, start, end) if len(rows) else rows

    def before(self, start: int, first: int) -> Rows:
        """The rows just before ``first``, from ``start`` on, asked for together with the row at ``first``."""
        try:
            rows = self._with_neighbour(start, first + MS, first)
        except TooWide:
            return self.before(self._narrower(start, first), first)
        return self._covered(rows, start, first + MS).within(start, first)

    def _narrower(self, start: int, end: int) -> int:
        """The middle of a window that was too wide; none after it is as wide again."""
        middle = start + (end - start) // 2 // MS * MS
        if end - start <= min(self._over.step, 2 * MS):
            raise TooWide(f"the venue refuses even a window of {(end - start) // MS} ms")
        self.width = min(self.width, max(MS, end - middle))
        return middle

    def _second_opinion(self, start: int, end: int, known: int | None) -> Rows:
        """An empty window, asked once more and wider: with the last row before it, where that is near."""
        if known is not None and end - known <= (self._over.longest or 2 * self.width):
            with suppress(TooWide):
                return self._with_neighbour(known, end, known).within(start, end)
        return first_of(lambda: self._asked(start, end), _OPINIONS)

    def _covered(self, rows: Rows, start: int, end: int) -> Rows:
        """Ask for the ends that a page leaves open until there is nothing more."""
        open_head, open_tail = True, True
        for _ in range(_ROUNDS):
            step = self._step(rows)
            first, last = int(rows.time[0]), int(rows.time[-1])
            open_head = open_head and first - start >= step
            open_tail = open_tail and end - last > step
            if not open_head and not open_tail:
                return rows
            more = (
                self._with_neighbour(start, first + MS, first) if open_head else self._with_neighbour(last, end, last)
            ).within(start, end)
            joined = Rows.joined([rows, more])
            if len(joined) == len(rows):
                open_head, open_tail = (False, open_tail) if open_head else (open_head, False)
            rows = joined
        raise VenueUnavailable(f"a window of {end - start} ns has no end after {_ROUNDS} pages")

    def _step(self, rows: Rows) -> int:
        """How much time may stay open at an end: a step as known, or half of what a full page shows."""
        if rows.told < self._over.cap:
            return self._over.step
        seen = int(np.median(np.diff(rows.time))) // 2 if len(rows) > 1 else MS
        return max(MS, min(self._over.step, seen))

    def _with_neighbour(self, start: int, end: int, neighbour: int) -> Rows:
        """A window around a row that is known: an answer without any row contradicts the one that had it."""
        rows = first_of(lambda: self._asked(start, end), _CONTRADICTIONS)
        if len(rows):
            return rows
        raise VenueUnavailable(
            f"the venue gave a row at {_say(neighbour)} and then {_CONTRADICTIONS} times nothing for a window with it"
        )

    def _asked(self, start: int, end: int) -> Rows:
        return self._ask(start, end).within(start, end)


def walk_back(ask: Ask, start: int, end: int, *, since: int | None = None) -> Rows:
    """Every row in ``[start, end)`` from an endpoint that only takes an upper bound and tells the newest first.

    Each page is asked with the oldest row of the page before, so that an empty one is a contradiction. Rows from
    ``since`` on are kept where a page that reaches ``start`` has them.
    """
    since = start if since is None else min(start, since)
    rows = first_of(lambda: ask(start, end).within(since, end), 1 + _OPINIONS)
    nothing_new = 0
    for _ in range(_ROUNDS):
        if not len(rows) or int(rows.time[0]) <= start or nothing_new == _OPINIONS:
            return rows
        oldest = int(rows.time[0])
        page = first_of(lambda bound=oldest + MS: ask(start, bound), _CONTRADICTIONS)  # type: ignore[misc]
        if not len(page):
            raise VenueUnavailable(f"the venue gave a row at {_say(oldest)} and then an empty page that has to hold it")
        if int(page.time[0]) < start:
            return Rows.joined([page.within(since, end), rows])
        nothing_new = nothing_new + 1 if int(page.time[0]) >= oldest else 0
        rows = Rows.joined([page.within(since, end), rows])
    raise VenueUnavailable(f"no end after {_ROUNDS} pages")


def numbered(ask_page: Callable[[int], Rows], start: int, end: int) -> Rows:
    """Every row in ``[start, end)`` from an endpoint that numbers its pages from 1, newest first."""
    parts: list[Rows] = []
    for page in range(1, _ROUNDS):
        rows = first_of(lambda page=page: ask_page(page), 1 + _OPINIONS)  # type: ignore[misc]
        if not len(rows):
            break
        parts.insert(0, rows)
        if int(rows.time[0]) < start:
            break
    return Rows.joined(parts).within(start, end)


def at_once(ask: Callable[[], Rows], over: Stretch, *, since: int | None = None) -> Rows:
    """Every row of a stretch, and from ``since`` on, from an endpoint that tells all it has.

    Asked again where an end of the stretch stays open.
    """
    since = over.start if since is None else min(over.start, since)
    rows = Rows.joined([])
    for _ in range(1 + _OPINIONS):
        rows = Rows.joined([rows, ask().within(since, over.end)])
        if len(rows) and rows.time[0] - over.start < over.step and over.end - rows.time[-1] <= over.step:
            break
    return rows


def first_of(ask: Callable[[], Rows], tries: int) -> Rows:
    """The first answer with a row in it; the last one where none has."""
    rows = ask()
    for _ in range(tries - 1):
        if len(rows):
            break
        rows = ask()
    return rows


def _say(instant: int) -> str:
    return str(np.datetime64(instant, "ns").astype("datetime64[s]")) + " UTC"
