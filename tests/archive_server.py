"""A static file server on 127.0.0.1 with a bucket's listing, and a client for it; faults are put in by hand."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

HTML = b"<!DOCTYPE html><html><body>We are under maintenance</body></html>"


@dataclass
class Shelf:
    """What the server has. ``asked`` counts requests by path; ``page`` is the listing's page length.

    ``answers`` holds bodies that are given instead of the file, one per request, first to last.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    modified: dict[str, str] = field(default_factory=dict)
    answers: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    listings: list[tuple[int, bytes]] = field(default_factory=list)
    page: int = 1000
    url: str = ""

    @property
    def root(self) -> str:
        return f"{self.url}/"

    @property
    def bucket(self) -> str:
        return f"{self.url}/bucket"

    def put(self, key: str, text: str, *, modified: str = "2024-01-01T00:00:00.000Z") -> None:
        """A ZIP with one CSV, and its checksum."""
        self.put_bytes(key, zipped(key.rsplit("/", maxsplit=1)[-1].replace(".zip", ".csv"), text), modified=modified)

    def put_bytes(self, key: str, body: bytes, *, modified: str = "2024-01-01T00:00:00.000Z") -> None:
        name = key.rsplit("/", maxsplit=1)[-1]
        self.files[key] = body
        self.files[f"{key}.CHECKSUM"] = f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()
        self.modified[key] = self.modified[f"{key}.CHECKSUM"] = modified

    def listing(self, prefix: str, marker: str) -> bytes:
        keys = sorted(key for key in self.files if key.startswith(prefix) and key > marker)
        keys = [key for key in keys if "/" not in key.removeprefix(prefix)]
        cut = keys[: self.page]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{self.modified.get(key, '')}</LastModified></Contents>"
            for key in cut
        )
        more = len(keys) > len(cut)
        following = f"<NextMarker>{escape(cut[-1])}</NextMarker>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{following}{rows}</ListBucketResult>"
        ).encode()

    def answer(self, target: str) -> tuple[int, bytes]:
        parts = urlsplit(target)
        key = parts.path.lstrip("/")
        key = (
            "bucket" if key.endswith(".amazonaws.com/data.binance.vision") else key.removeprefix("data.binance.vision/")
        )
        self.asked[key] += 1
        if key == "bucket":
            if self.listings:
                return self.listings.pop(0)
            query = parse_qs(parts.query)
            return 200, self.listing(query["prefix"][0], query.get("marker", [""])[0])
        if self.answers.get(key):
            return self.answers[key].pop(0)
        return (200, self.files[key]) if key in self.files else (404, b"<Error><Code>NoSuchKey</Code></Error>")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def get(url: str) -> Answer:
    """Ask for an address on this machine."""
    from urllib.error import HTTPError

    assert url.startswith("http://127.0.0.1:"), url
    try:
        with urlopen(Request(url), timeout=10) as reply:
            return Answer(reply.status, dict(reply.headers), reply.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


@contextmanager
def serving() -> Iterator[Shelf]:
    """A shelf on a free port."""
    shelf = Shelf()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = shelf.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    shelf.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def zipped(name: str, text: str) -> bytes:
    """A ZIP of one file; the same text gives the same bytes."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo(name, date_time=(2024, 1, 1, 0, 0, 0)), text)
    return body.getvalue()
