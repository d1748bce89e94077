"""The HTTP server: real sockets on 127.0.0.1, all venues under a prefix, closed without a trace."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import pandas as pd

from venue_server.endpoint import Ask, Endpoint, Page, Refused, cut, keeps_newest, read
from venue_server.faults import ROWS, Answer, Faults, spoiled
from venue_server.listings import Listing, listing
from venue_server.tables import ENDPOINTS, FAMILIES, PACES
from venue_server.truth import NOW, Market, ms

__all__ = ["Hit", "VenueServer"]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One request: who was asked what, what was answered, when (seconds, monotonic), which fault it met."""

    venue: str
    path: str
    params: Mapping[str, str]
    status: int | None
    fault: str | None
    at: float
    rows: int | None = None


class VenueServer:
    """All venues on one port: ``http://127.0.0.1:PORT/<venue>/[<host>/]<path of the venue>``.

    Parameters
    ----------
    market : the truth it serves
    now : where every venue's clock stands; it stands still until :meth:`set_now`
    skew : ``{prefix: seconds}`` that a venue's clock (its time endpoint, Date header and open bar) runs ahead
    faults : what goes wrong, or nothing
    paced : answer 429 to requests that come faster than the venue's limit
    pace : seconds per request, ``{prefix: seconds}``, instead of the limits that ccxt knows
    gone : ``{"venue:symbol"}`` that the venue no longer knows
    files : answers what is asked of a host instead of a venue (``/data.binance.vision/...``), with status and body
    """

    def __init__(
        self,
        *,
        market: Market | None = None,
        now: pd.Timestamp | str = NOW,
        skew: Mapping[str, float] | None = None,
        faults: Faults | None = None,
        paced: bool = False,
        pace: Mapping[str, float] | None = None,
        gone: frozenset[str] | set[str] = frozenset(),
        files: Callable[[str], tuple[int, bytes]] | None = None,
    ) -> None:
        self.files = files
        self.market = market or Market()
        self.faults = faults
        self.skew = dict(skew or {})
        self.gone = frozenset(gone)
        self.paced = paced or pace is not None
        self._pace = {**PACES, **(pace or {})}
        self._now = ms(now)
        self._lock = threading.Lock()
        self._log: list[Hit] = []
        self._seen: Counter[str] = Counter()
        self._free: dict[str, float] = {}
        self._closing = threading.Event()
        self._sockets: set[socket.socket] = set()
        self.errors: list[BaseException] = []
        self._http = _Http(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="venue-server")

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, hang up every connection, and wait for every thread."""
        self._closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        with self._lock:
            still = list(self._sockets)
        for one in still:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._http.server_close()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    @property
    def root(self) -> str:
        """``http://127.0.0.1:PORT``: put ``/<ccxt id>/host/path`` behind it."""
        return f"http://127.0.0.1:{self.port}"

    def base(self, venue: str) -> str:
        """The address that stands for a venue's ``https:/``: put ``/host/path`` or ``/path`` behind it."""
        return f"{self.root}/{venue}"

    # -- the clock -----------------------------------------------------------------------------

    @property
    def now(self) -> pd.Timestamp:
        """The server's time, without skew."""
        return pd.Timestamp(self._now, unit="ms", tz="UTC")

    def set_now(self, now: pd.Timestamp | str) -> None:
        """Move the clock: bars close, settlements happen."""
        self._now = ms(now)

    def clock(self, prefix: str) -> int:
        """A venue's time in ms, with its skew."""
        return self._now + int(self.skew.get(prefix, 0.0) * 1000)

    # -- what is served, as a test wants it ------------------------------------------------------

    def truth(
        self, venue: str, symbol: str, kind: str, timeframe: str = "1h", *, since: pd.Timestamp | str,
        until: pd.Timestamp | str | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """The frame that a perfect download made now would end with; see :meth:`Market.truth`."""
        end = self.now + pd.Timedelta(milliseconds=1) if until is None else until
        return self.market.truth(venue, symbol, kind, timeframe, since=since, until=end, now=self.now)

    def reach(self, venue: str, symbol: str, kind: str, timeframe: str = "1h") -> pd.Timestamp:
        """The oldest time that any endpoint of the venue still serves rows of."""
        what = listing(venue, symbol)
        since = [_since(line, self._now, timeframe) for line in _lines(what, kind)]
        if not since:
            raise KeyError(f"no endpoint serves {kind} of {what.id}")
        first = max(min(since), self.market.span(what)[0])
        return pd.Timestamp(first, unit="ms", tz="UTC")

    # -- the log -------------------------------------------------------------------------------

    @property
    def log(self) -> tuple[Hit, ...]:
        """Every request so far, in the order of their answers."""
        with self._lock:
            return tuple(self._log)

    def count(self, venue: str | None = None, path: str = "") -> int:
        """How many requests were made, of one venue's prefix and of paths that contain ``path``."""
        return sum((venue is None or hit.venue == venue) and path in hit.path for hit in self.log)

    @property
    def strays(self) -> tuple[Hit, ...]:
        """Requests for something that is not in the table."""
        return tuple(hit for hit in self.log if hit.status == 404 and hit.fault is None)

    def forget(self) -> None:
        """Empty the log; the schedule of faults goes on."""
        with self._lock:
            self._log.clear()

    # -- answering -----------------------------------------------------------------------------

    def _number(self, prefix: str) -> int:
        with self._lock:
            self._seen[prefix] += 1
            return self._seen[prefix] - 1

    def _too_fast(self, prefix: str) -> float | None:
        """Seconds to wait where the venue's limit is exceeded; three requests may come at once."""
        if not self.paced:
            return None
        step = self._pace.get(prefix, 0.0)
        with self._lock:
            at = time.monotonic()
            free = max(self._free.get(prefix, at), at)
            if free - at > 3 * step:
                return free - at - 3 * step
            self._free[prefix] = free + step
            return None

    def _note(self, hit: Hit) -> None:
        with self._lock:
            self._log.append(hit)

    def _reply(
        self, method: str, prefix: str, path: str, params: Mapping[str, str], bump: int, fault: str | None
    ) -> tuple[Answer, int]:
        family = FAMILIES.get(prefix)
        found = None if family is None else _line(family, path, params, method)
        if found is None:
            return Answer(status=404, body={"message": f"no such endpoint: {prefix} {path}"}), 0
        line, params = found
        try:
            ask = read(line, params, now=self.clock(prefix), bump=bump)
            if ask.what is not None and ask.what.id in self.gone:
                raise Refused("symbol")
        except Refused as no:
            status, body = line.refusals.get(no.reason) or line.refusals.get("param") or (400, {"message": no.reason})
            return Answer(status=status, body=body), 0
        page = cut(ask, self.market) if ask.what is not None else _bare(ask, self.market)
        if fault is not None and ask.what is not None:
            page = _disturbed(page, fault)
        return Answer(body=line.encode(page)), len(page.stamps)


def _bare(ask: Ask, market: Market) -> Page:
    return Page(ask=ask, market=market, stamps=np.empty(0, dtype=np.int64), columns={})


def _disturbed(page: Page, fault: str) -> Page:
    """The page with the wrong rows in it; the limit holds for duplicates too."""
    count = len(page.stamps)
    if fault == "empty_page":
        return page.taken(np.empty(0, dtype=np.int64))
    if fault == "unsorted" and count > 2:
        return page.taken(np.argsort((np.arange(count) * 7919) % 10_007, kind="stable"))
    if fault == "duplicates" and count > 1:
        twice = np.sort(np.concatenate([np.arange(count), np.arange(0, count, 5)]))
        oldest_kept = page.stamps[0] <= page.stamps[-1]
        newest = keeps_newest(page.ask)
        room = page.ask.limit
        return page.taken(twice[-room:] if newest and oldest_kept else twice[:room])
    if fault == "revised" and "close" in page.columns:
        closed = page.stamps + page.ask.step <= page.ask.now
        last = closed & (page.stamps == page.stamps[closed].max(initial=0))
        columns = {name: np.where(last, part * 1.001, part) for name, part in page.columns.items() if name == "close"}
        return replace(page, columns={**page.columns, **columns})
    return page


def _lines(what: Listing, kind: str) -> list[Endpoint]:
    return [
        line
        for line in ENDPOINTS
        if line.venue == what.venue and kind in (line.kind, *line.also) and what.symbol in line.symbols.values()
    ]


def _since(line: Endpoint, now: int, timeframe: str) -> int:
    return 0 if line.reach is None else line.reach.since(now, timeframe)


def _pattern(path: str) -> re.Pattern[str]:
    parts = [
        f"(?P<{part[1:-1]}>[^/]+?)" if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", path)
    ]
    return re.compile("".join(parts))


_PATTERNS = [(_pattern(line.path), line) for line in ENDPOINTS]


def _line(family: str, path: str, params: Mapping[str, str], method: str) -> tuple[Endpoint, dict[str, str]] | None:
    """The line of the table that serves this, with the parameters of the path among the others."""
    fitting = []
    for pattern, line in _PATTERNS:
        found = pattern.fullmatch(path.rstrip("/")) if (line.venue, line.method) == (family, method) else None
        if found and (line.body_type is None or line.body_type == params.get("type")):
            fitting.append((line, {**params, **found.groupdict()}))
    if not fitting:
        return None
    return max(fitting, key=lambda one: _fit(*one))


def _fit(line: Endpoint, params: Mapping[str, str]) -> tuple[int, int]:
    exact = all(params.get(name, "").casefold() == value for name, value in line.where.items())
    return (len(line.where) if exact else -1, int(not line.symbols or params.get(line.symbol) in line.symbols))


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], venues: VenueServer) -> None:
        self.venues = venues
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        import sys

        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.venues.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Http

    def setup(self) -> None:
        super().setup()
        with self.server.venues._lock:
            self.server.venues._sockets.add(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            with self.server.venues._lock:
                self.server.venues._sockets.discard(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_GET(self) -> None:
        self._serve(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = json.loads(body or b"{}")
        flat = {**told, **told.get("req", {})} if isinstance(told, dict) else {}
        self._serve({name: str(value) for name, value in flat.items() if not isinstance(value, dict)})

    def _serve(self, params: dict[str, str]) -> None:
        venues, at = self.server.venues, time.monotonic()
        prefix, path = _split(self.path)
        if venues.files is not None and "." in prefix:
            self._send_file(*venues.files(self.path))
            return
        number = venues._number(prefix)
        fault = None if venues.faults is None else venues.faults.kind(prefix, number)
        if fault is not None and venues.faults is not None and path.endswith(venues.faults.spare or ("\0",)):
            fault = None
        wait = venues._too_fast(prefix)
        rows = None
        if wait is not None:
            answer: Answer | None = spoiled(
                "429", FAMILIES.get(prefix, prefix), Faults(retry_after=round(wait + 0.05, 2))
            )
        else:
            answer = _spoiled(fault, prefix, venues)
        if answer is None:
            answer, rows = venues._reply(self.command, prefix, path, params, number, fault)
        lost = fault in ("timeout", "reset") and wait is None
        venues._note(
            Hit(
                venue=prefix, path=path, params=params, status=None if lost else answer.status,
                fault="paced" if wait is not None else fault, at=at, rows=rows,
            )
        )  # fmt: skip
        if wait is None and fault in _WIRE:
            _WIRE[fault](self, answer)
        else:
            self._send(answer)

    def _send_file(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, answer: Answer, cut_at: float | None = None, honest: bool = True) -> None:
        venues = self.server.venues
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        raw = text.encode()
        sent = raw if cut_at is None else raw[: max(1, int(len(raw) * cut_at))]
        kind = "text/html" if text.startswith("<") else "application/json"
        self.send_response_only(answer.status)
        self.send_header("Date", formatdate(venues.clock(_split(self.path)[0]) / 1000, usegmt=True))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(sent if honest else raw)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not honest:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = self.close_connection or not honest

    def _slow(self, answer: Answer) -> None:
        faults = self.server.venues.faults
        self.server.venues._closing.wait(0.0 if faults is None else faults.slow)
        self.close_connection = True

    def _reset(self, answer: Answer) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for one in (self.rfile, self.wfile, self.connection):
            one.close()
        raise ConnectionResetError("hung up on purpose")

    def _truncated(self, answer: Answer) -> None:
        self._send(answer, 0.6)

    def _short(self, answer: Answer) -> None:
        self._send(answer, 0.6, honest=False)


_WIRE: dict[str | None, Callable[[_Handler, Answer], None]] = {
    "timeout": _Handler._slow,
    "reset": _Handler._reset,
    "truncated": _Handler._truncated,
    "short": _Handler._short,
}


def _spoiled(fault: str | None, prefix: str, venues: VenueServer) -> Answer | None:
    if fault is None or venues.faults is None or fault in ROWS or fault == "revised":
        return None
    name = prefix if fault == "venue" else FAMILIES.get(prefix, prefix)
    return spoiled(fault, name, venues.faults)


def _split(target: str) -> tuple[str, str]:
    """The venue's prefix and its path; a host between them is dropped."""
    parts = unquote(urlsplit(target).path).lstrip("/").split("/")
    prefix, rest = parts[0], parts[1:]
    if rest and "." in rest[0]:
        rest = rest[1:]
    return prefix, "/" + "/".join(rest)
