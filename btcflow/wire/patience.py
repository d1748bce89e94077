"""Asking until there is an answer: few retries, with jitter, as long as the server wants, together for a venue.

Time, sleep and chance are handed in, so that a test of an hour of trouble takes no time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from btcflow.errors import VenueUnavailable
from btcflow.wire.outcome import Action, Answer, Banned, GeoBlocked, Outcome, Refused, TooWide

__all__ = ["Patience", "SharedPause"]

_ADVICE_GEO = (
    "the venue does not serve the place this machine is in; take its public archive instead (`source: archive`), "
    "or leave the venue out"
)


class SharedPause:
    """A moment before which nobody asks a venue; all who ask it share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def extend(self, until: float) -> None:
        """Ask nothing before ``until``; an earlier moment changes nothing."""
        with self._lock:
            self._until = max(self._until, until)

    def left(self, now: float) -> float:
        """Seconds still to wait at ``now``."""
        with self._lock:
            return max(0.0, self._until - now)


@dataclass(kw_only=True)
class Patience:
    """The retry rules of one venue.

    Attributes
    ----------
    venue : its name, for messages
    retries : tries after the first
    first, longest : the back-off before retry n is a random part of ``min(longest, first * 2**n)``, seconds
    longest_ban : a ban up to this long is waited out, seconds; a longer one ends the venue's turn
    pause : shared by everyone who asks this venue
    clock, sleep, chance : the time in seconds, how to let it pass, and a number in [0, 1)
    """

    venue: str
    retries: int = 8
    first: float = 0.5
    longest: float = 60.0
    longest_ban: float = 300.0
    pause: SharedPause = field(default_factory=SharedPause)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default_factory=lambda: Random().random)

    def ask(self, send: Callable[[], Answer], judge: Callable[[Answer], Outcome]) -> tuple[Answer, Outcome]:
        """Send until the answer is good.

        Raises
        ------
        GeoBlocked, Banned, Refused, TooWide
            at once, where another try cannot help.
        VenueUnavailable
            after the last retry.
        """
        reason = ""
        for attempt in range(self.retries + 1):
            self._wait()
            answer = send()
            outcome = judge(answer)
            if outcome.action is Action.OK:
                return answer, outcome
            reason = outcome.reason
            self._refuse(outcome)
            if attempt < self.retries:
                self._hold_back(attempt, outcome)
        raise VenueUnavailable(f"{self.venue}: no good answer in {self.retries + 1} tries; the last: {reason}")

    def _refuse(self, outcome: Outcome) -> None:
        told = f"{self.venue}: {outcome.reason}"
        if outcome.action is Action.GEO:
            raise GeoBlocked(f"{told}; {_ADVICE_GEO}")
        if outcome.action is Action.SPLIT:
            raise TooWide(told)
        if outcome.action is Action.REFUSED:
            raise Refused(told)
        if outcome.action is Action.BAN and (outcome.pause or 0.0) > self.longest_ban:
            self.pause.extend(self.clock() + (outcome.pause or 0.0))
            minutes = (outcome.pause or 0.0) / 60
            raise Banned(f"{told}; this address is shut out for about {minutes:.0f} minutes: go on after that")

    def _hold_back(self, attempt: int, outcome: Outcome) -> None:
        jitter = self.chance() * min(self.longest, self.first * 2**attempt)
        self.pause.extend(self.clock() + max(outcome.pause or 0.0, jitter))

    def _wait(self) -> None:
        while (left := self.pause.left(self.clock())) > 0:
            self.sleep(left)
