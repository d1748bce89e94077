"""What an answer from a server means: take it, try again, ask for less, or give up and say why.

The HTTP status and the body decide together. A class of exception is not enough: a geo-block can look like a rate
limit, and a page of HTML with status 200 like "no more data". A broken body is never an empty page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from btcflow.errors import VenueUnavailable

__all__ = [
    "Action",
    "Answer",
    "Banned",
    "GeoBlocked",
    "Outcome",
    "Refused",
    "Signs",
    "TooWide",
    "judge",
    "judge_file",
    "value_at",
]


class GeoBlocked(VenueUnavailable):
    """The venue does not serve the country of this machine; another try changes nothing."""


class Banned(VenueUnavailable):
    """The venue has shut this address out for longer than we wait."""


class Refused(VenueUnavailable):
    """The venue understood the request and will not answer it; other requests may go on."""


class TooWide(VenueUnavailable):
    """The venue wants a shorter stretch of time per request."""


class Action(StrEnum):
    """What to do with an answer."""

    OK = "ok"
    RETRY = "retry"
    SPLIT = "split"
    GEO = "geo"
    BAN = "ban"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer: ``status`` 0 where none came (reset, timeout, short body), and then ``body`` says why.

    Attributes
    ----------
    headers : names in lower case
    url : what was asked, with its query
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""

    @property
    def date(self) -> datetime | None:
        """The server's own time, to the second; None where it does not say."""
        try:
            return parsedate_to_datetime(self.headers["date"]).astimezone(UTC)
        except (KeyError, ValueError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an answer means.

    Attributes
    ----------
    reason : why, in words; empty for ``ok``
    pause : seconds the server asks us to wait; None where it does not say
    document : the body read as JSON, for ``ok``
    """

    action: Action
    reason: str = ""
    pause: float | None = None
    document: Any = None


@dataclass(frozen=True, kw_only=True)
class Signs:
    """How one venue writes trouble into a body; codes are compared as text.

    Attributes
    ----------
    at : the way to the code inside the body, such as ``("retCode",)``; empty where there is none
    fine : codes of a good answer; a body without the code is good as well
    busy : codes that ask for patience
    too_wide : codes or phrases that ask for a shorter stretch of time
    """

    at: tuple[str, ...] = ()
    fine: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    too_wide: tuple[str, ...] = ()


_COUNTRY = re.compile(
    rb"block access from your country|restricted location|unavailable (?:in|from) your (?:country|region|location)"
    rb"|not available in your (?:country|region|location)|from your country",
    re.IGNORECASE,
)
_FREQUENT = re.compile(rb"access too frequent|too many (?:requests|visits)|rate limit", re.IGNORECASE)
_UNTIL = re.compile(rb"banned until (\d{13})")
_COOL_DOWN = 600.0
_EXCERPT = 160
NO_SIGNS = Signs()


def judge(answer: Answer, signs: Signs = NO_SIGNS) -> Outcome:
    """What an answer that should be JSON means.

    Parameters
    ----------
    signs : how the venue writes its errors into the body

    Returns
    -------
    Outcome ; ``ok`` only for a whole JSON list or object that reports no error
    """
    if answer.status != 200:
        return _by_status(answer, signs)
    try:
        document = json.loads(answer.body)
    except ValueError:
        return Outcome(action=Action.RETRY, reason=f"status 200 with a body that is not JSON: {_excerpt(answer)}")
    if not isinstance(document, list | dict):
        return Outcome(
            action=Action.RETRY, reason=f"status 200 with a body that is neither list nor object: {document!r}"
        )
    return _by_code(document, signs) or Outcome(action=Action.OK, document=document)


def judge_file(answer: Answer) -> Outcome:
    """What an answer that should be a file means: any body with status 200 is one, and 404 is an answer as well."""
    return Outcome(action=Action.OK) if answer.status in (200, 404) else _by_status(answer, NO_SIGNS)


def _by_code(document: Any, signs: Signs) -> Outcome | None:
    """Trouble that the venue reports inside a body with status 200; None where there is none."""
    found = value_at(document, signs.at) if signs.at else None
    if found in (None, "", [], {}) or str(found) in signs.fine:
        return None
    told = " ".join(str(one) for one in found) if isinstance(found, list) else str(found)
    reason = f"the venue says {told}: {json.dumps(document)[:_EXCERPT]}"
    if any(sign in told for sign in signs.busy):
        return Outcome(action=Action.RETRY, reason=reason)
    if any(sign in reason for sign in signs.too_wide):
        return Outcome(action=Action.SPLIT, reason=reason)
    return Outcome(action=Action.REFUSED, reason=reason)


def _by_status(answer: Answer, signs: Signs) -> Outcome:
    if answer.status == 0:
        return Outcome(action=Action.RETRY, reason=f"no whole answer ({_excerpt(answer)})")
    action, pause = _action(answer, signs), _retry_after(answer)
    if action is Action.BAN and pause is None:
        pause = _ban_left(answer)
    return Outcome(action=action, reason=f"status {answer.status}: {_excerpt(answer)}", pause=pause)


def _action(answer: Answer, signs: Signs) -> Action:
    """What to do with an answer whose status is not 200."""
    status, body = answer.status, answer.body
    rules = (
        (status == 451 or (status == 403 and _COUNTRY.search(body)), Action.GEO),
        (status == 418 or (status == 403 and _FREQUENT.search(body)), Action.BAN),
        (status in (408, 425, 429) or status >= 500, Action.RETRY),
        (status in (413, 414) or any(sign.encode() in body for sign in signs.too_wide), Action.SPLIT),
        (any(sign.encode() in body for sign in signs.busy), Action.RETRY),
    )
    return next((action for holds, action in rules if holds), Action.REFUSED)


def _retry_after(answer: Answer) -> float | None:
    """Seconds, from either form of the header; never below zero."""
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (until.astimezone(UTC) - (answer.date or datetime.now(UTC))).total_seconds())


def _ban_left(answer: Answer) -> float:
    """Seconds until the end of a ban that the body names; ten minutes where it names none."""
    named = _UNTIL.search(answer.body)
    if named is None:
        return _COOL_DOWN
    now = (answer.date or datetime.now(UTC)).timestamp()
    return max(0.0, int(named[1]) / 1000 - now)


def _excerpt(answer: Answer) -> str:
    text = " ".join(answer.body[: 4 * _EXCERPT].decode("utf-8", errors="replace").split())
    return text[:_EXCERPT] or "empty body"


def value_at(document: Any, path: Sequence[str | int]) -> Any:
    """What stands at the end of a way into a document (keys and list places); None where the way ends early."""
    for part in path:
        if isinstance(document, dict):
            document = document.get(str(part))
        elif isinstance(document, list) and (isinstance(part, int) or part.lstrip("-").isdigit()):
            place = int(part)
            document = document[place] if -len(document) <= place < len(document) else None
        else:
            return None
    return document
