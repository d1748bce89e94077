"""The door to ccxt: base addresses, rate limits and connections of the venues. Nothing else imports it.

ccxt's own reading of an answer is not used: it turns a broken body into "no rows" and hides the HTTP status. Its
``fetch`` is replaced by one that returns status, headers and body as they came; the retry rules and the judging of an
answer are ours. Only public calls are made, and no key is ever read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from btcflow.errors import ConfigError
from btcflow.wire.outcome import Answer

__all__ = ["VENUE_BASE", "Client", "ccxt_version", "client_of", "point_at", "venue_base"]

VENUE_BASE = "BTCFLOW_VENUE_BASE"
"""Environment variable, for tests: every venue is asked at this address instead of its own."""
_TIMEOUT_MS = 30_000
_FREE = re.compile(r"^GET (\w+) (\S+)$")


def venue_base() -> str | None:
    """The address tests put in the place of every venue; None outside of tests."""
    return os.environ.get(VENUE_BASE) or None


def ccxt_version() -> str:
    """``ccxt 4.5.90``: what goes into the provenance of every row."""
    import ccxt

    return f"ccxt {ccxt.__version__}"


def client_of(name: str, *, base: str | None = None, limited: bool = True) -> Client:
    """The ccxt class called ``name``, ready to be asked.

    Parameters
    ----------
    base : ask here instead of the venue (``base/name/host/path``), and nowhere else
    limited : keep to ccxt's rate limit; False only where nobody is there to be spared
    """
    import ccxt

    made: Callable[..., Any] | None = getattr(ccxt, name, None)
    if made is None or name not in ccxt.exchanges:
        raise ConfigError(f"{ccxt_version()} has no venue {name!r}; update ccxt, or correct `client` in the venue file")
    exchange = made({"enableRateLimit": limited, "timeout": _TIMEOUT_MS})
    return Client(exchange, base=f"{base.rstrip('/')}/{name}" if base else None)


class Client:
    """One venue through one connection; belongs to one thread.

    Parameters
    ----------
    exchange : a ccxt exchange without keys
    base : the address that stands for the venue's ``https:/``
    """

    def __init__(self, exchange: Any, *, base: str | None = None) -> None:
        self._exchange = exchange
        self._allowed = urlsplit(base).netloc if base else None
        if base:
            point_at(exchange, base)
        exchange.fetch = self._fetch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._exchange.close()

    @property
    def rate_limit(self) -> float:
        """Seconds ccxt keeps between two requests of cost 1."""
        return float(self._exchange.rateLimit) / 1000

    def call(self, method: str, params: dict[str, Any]) -> Answer:
        """Ask once; waits for ccxt's rate limit first.

        Parameters
        ----------
        method : an implicit method, or ``GET <api> <path>`` for a path that ccxt does not name
        """
        free = _FREE.match(method)
        if free:
            answer = self._exchange.request(free[2], [free[1]], "GET", dict(params), {"cost": 1})
        else:
            asked = getattr(self._exchange, method, None)
            if asked is None:
                raise ConfigError(
                    f"{self._exchange.id}: {ccxt_version()} has no call {method!r}; correct the venue file"
                )
            answer = asked(dict(params))
        if not isinstance(answer, Answer):
            raise TypeError(f"{method} went past the door: {type(answer).__name__}")
        return answer

    def _fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Answer:
        """What ccxt calls instead of its own ``fetch``: the request it signed, the answer as it came."""
        self._guard(url)
        sent = self._exchange.prepare_request_headers(headers)
        try:
            found = self._exchange.session.request(
                method,
                url,
                data=body.encode() if isinstance(body, str) else body,
                headers=sent,
                timeout=self._exchange.timeout / 1000,
                allow_redirects=False,
            )
        except OSError as error:  # every failure of the connection is one, a body cut short too
            return Answer(status=0, body=f"{type(error).__name__}: {error}".encode(), url=url)
        return Answer(
            status=found.status_code,
            headers={name.lower(): value for name, value in found.headers.items()},
            body=found.content,
            url=url,
        )

    def _guard(self, url: str) -> None:
        host = urlsplit(url).netloc
        if self._allowed is not None and host != self._allowed:
            raise ConfigError(f"{url}: {VENUE_BASE} allows {self._allowed} and no other host")


def point_at(exchange: Any, base: str) -> None:
    """Send every address of a ccxt exchange to ``base/host/path``, templates in the host kept."""
    exchange.urls = {**exchange.urls, "api": _moved(exchange.urls["api"], base.rstrip("/"))}


def _moved(found: Any, base: str) -> Any:
    if isinstance(found, dict):
        return {name: _moved(one, base) for name, one in found.items()}
    if isinstance(found, str):
        return re.sub(r"^(?:https?|wss?)://", f"{base}/", found)
    return found
