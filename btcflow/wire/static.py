"""Plain files over HTTP: archives that need no venue library. The only place that imports requests."""

from __future__ import annotations

import hashlib
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from btcflow.wire.outcome import Answer, judge_file
from btcflow.wire.patience import Patience

if TYPE_CHECKING:
    import requests

__all__ = ["StaticFiles"]

_TIMEOUT = (10.0, 60.0)


class StaticFiles:
    """Files of one host, fetched with patience over one connection.

    Parameters
    ----------
    patience : the retry rules; its pause is shared with everyone who asks the same venue
    base : where an address really goes (``base/host/...`` for ``host/...``); None for the host itself; for tests

    Notes
    -----
    One instance belongs to one thread. Close it, or use it in a ``with``.
    """

    def __init__(self, patience: Patience, *, base: str | None = None) -> None:
        self._patience = patience
        self._base = base.rstrip("/") if base else None
        self._session: requests.Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def get(self, url: str, *, sha256: str | None = None) -> Answer:
        """The answer at ``url``; status 404 where there is no such file.

        Parameters
        ----------
        sha256 : what the file has to hash to; another hash counts as a broken body and is tried again

        Raises
        ------
        VenueUnavailable
            after the last retry, and for a refusal, a block or a ban.
        """
        answer, _ = self._patience.ask(lambda: self._send(url, sha256), judge_file)
        return answer

    def _send(self, url: str, sha256: str | None) -> Answer:
        import requests

        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False
        try:
            found = self._session.get(self._place(url), timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            return Answer(status=0, body=str(error).encode(), url=url)
        headers = {name.lower(): value for name, value in found.headers.items()}
        if sha256 is not None and found.status_code == 200 and hashlib.sha256(found.content).hexdigest() != sha256:
            return Answer(status=0, headers=headers, body=b"another sha256 than the one published beside it", url=url)
        return Answer(status=found.status_code, headers=headers, body=found.content, url=url)

    def _place(self, url: str) -> str:
        if self._base is None:
            return url
        parts = urlsplit(url)
        return f"{self._base}/{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")
