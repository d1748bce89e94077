"""What goes wrong: a fault per request, decided by seed, venue and the request's number there.

Threads of different venues do not disturb each other, and the same run meets the same faults. A
fault of a page's rows (empty, duplicated, unsorted) never comes twice in a row at one venue, so
asking again always tells the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from venue_server import noise

__all__ = ["BROKEN", "FATAL", "KINDS", "REFUSED", "ROWS", "STORM", "Answer", "Faults", "spoiled"]

REFUSED = ("429", "418", "403_ban", "500", "502", "503", "venue")
"""An error status, or the venue's own error body; worth another try after a pause."""

BROKEN = ("timeout", "reset", "truncated", "short", "html", "empty", "null")
"""No usable body: slow, reset, cut with an honest length, cut with a wrong one, HTML, nothing, JSON null."""

ROWS = ("empty_page", "duplicates", "unsorted")
"""A well-formed page that is wrong."""

FATAL = ("403", "403_country", "451")
"""Another try never helps."""

STORM = (*REFUSED, *BROKEN, *ROWS)
"""Everything a downloader has to survive."""

KINDS = (*STORM, *FATAL, "revised")
"""All; ``revised`` serves a preliminary value for the last closed bar, which a later request corrects."""

CLOUDFRONT = (
    "<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1>"
    "The Amazon CloudFront distribution is configured to block access from your country.</BODY></HTML>"
)
HTML = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We will be back soon.</body></html>"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A status, headers and a body to send."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """When something goes wrong, and what.

    Parameters
    ----------
    rate : share of requests, 0 to 1
    seed : another seed is another schedule
    kinds : of :data:`KINDS`, equally often
    script : ``{venue: (kind or None, ...)}``: these first, request by request, instead of chance
    retry_after : seconds that a 429 or 418 asks for
    slow : seconds that a ``timeout`` waits before it hangs up
    spare : endpoints that stay healthy, by the end of their path (the server's time, say)
    """

    rate: float = 0.2
    seed: int = 0
    kinds: tuple[str, ...] = STORM
    script: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    retry_after: float = 1
    slow: float = 0.5
    spare: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = {*self.kinds, *(one for plan in self.script.values() for one in plan if one)} - set(KINDS)
        if unknown:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")

    def kind(self, venue: str, number: int) -> str | None:
        """The fault of request ``number`` (0, 1, ...) at a venue; None where nothing goes wrong."""
        plan = self.script.get(venue, ())
        if number < len(plan):
            return plan[number]
        fault = self._drawn(venue, number)
        if fault in ROWS and number > 0 and self._drawn(venue, number - 1) in ROWS:
            return None
        return fault

    def _drawn(self, venue: str, number: int) -> str | None:
        place = np.array([number])
        if not self.kinds or noise.units(f"fault/{self.seed}/{venue}", place)[0] >= self.rate:
            return None
        return self.kinds[int(noise.integers(f"fault/{self.seed}/{venue}/kind", place, len(self.kinds))[0])]


def spoiled(kind: str, venue: str, faults: Faults) -> Answer | None:
    """The answer that replaces the true one; None for kinds that spoil the true one instead."""
    wait = {"Retry-After": f"{faults.retry_after:g}"}
    plain: dict[str, Answer] = {
        "429": Answer(status=429, body=TOO_MANY.get(venue, {"message": "Too many requests"}), headers=wait),
        "418": Answer(status=418, body={"code": -1003, "msg": "Way too many requests; IP banned."}, headers=wait),
        "403_ban": Answer(status=403, body=BAN, headers=wait),
        "403": Answer(status=403, body={"message": "Forbidden"}),
        "403_country": Answer(status=403, body=CLOUDFRONT),
        "451": Answer(status=451, body=GEO),
        "500": Answer(status=500, body={"message": "Internal Server Error"}),
        "502": Answer(status=502, body="<html><body><h1>502 Bad Gateway</h1></body></html>"),
        "503": Answer(status=503, body="Service Unavailable", headers=wait),
        "html": Answer(body=HTML),
        "empty": Answer(body=""),
        "null": Answer(body=None),
    }
    if kind == "venue":
        status, body = VENUE_FAULTS.get(venue, (500, {"message": "Internal Server Error"}))
        return Answer(status=status, body=body)
    return plain.get(kind)


BAN = {
    "retCode": 10006,
    "retMsg": "Too many visits. access too frequent. Please try again in 10 minutes.",
    "result": {},
}
GEO = {
    "code": 0,
    "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in https://www.binance.com/en/terms.",
}
TOO_MANY: dict[str, Any] = {
    "binance": {"code": -1003, "msg": "Too many requests; current limit is 2400 request weight per 1 MINUTE."},
    "bybit": {"retCode": 10006, "retMsg": "Too many visits. Exceeded the API Rate Limit.", "result": {}},
    "okx": {"msg": "Too Many Requests", "code": "50011", "data": []},
    "kraken": {"result": "error", "error": "apiLimitExceeded"},
    "deribit": {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}},
    "bitfinex": ["error", 11010, "ratelimit: error"],
    "gate": {"label": "TOO_MANY_REQUESTS", "message": "Request Rate limit Exceeded"},
    "bitget": {"code": "429", "msg": "Too Many Requests", "data": None},
    "htx": {"status": "error", "err-code": "too-many-request", "err-msg": "too many request"},
    "coinbase": {"message": "Public rate limit exceeded"},
    "bitstamp": {"status": "error", "reason": "Request rate limit exceeded", "code": "400.002"},
}
VENUE_FAULTS: dict[str, tuple[int, Any]] = {
    "binance": (503, {"code": -1008, "msg": "Request throttled by system-level protection."}),
    "bybit": (429, {"retCode": 99999, "retMsg": "unheard of", "result": {}, "retExtInfo": {}}),
    "okx": (503, {"code": "50001", "msg": "Service temporarily unavailable. Try again later", "data": []}),
    "kraken": (200, {"error": ["EService:Unavailable"]}),
    "krakenfutures": (500, {"result": "error", "error": "Server Error"}),
    "deribit": (500, {"jsonrpc": "2.0", "error": {"code": 11094, "message": "internal_server_error"}}),
    "coinbase": (503, {"message": "Service Unavailable"}),
    "bitstamp": (503, {"status": "error", "reason": "Service unavailable", "code": "503.001"}),
    "bitfinex": (500, ["error", 10001, "Unknown error"]),
    "gate": (500, {"label": "SERVER_ERROR", "message": "Internal server error"}),
    "bitget": (500, {"code": "40725", "msg": "service return an error", "data": None}),
    "htx": (200, {"status": "error", "err-code": "system-maintenance", "err-msg": "System is in maintenance!"}),
    "hyperliquid": (500, "null"),
    "binanceusdm": (500, {"code": -1000, "msg": "An unknown error occurred while processing the request."}),
    "binancecoinm": (500, {"code": -1000, "msg": "An unknown error occurred while processing the request."}),
}
