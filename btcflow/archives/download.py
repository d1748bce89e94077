"""Getting one published file so that what is used is what was published."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from btcflow.archives.request import Answer, Get
from btcflow.errors import VenueUnavailable

__all__ = [
    "Broken",
    "Got",
    "Published",
    "body_of",
    "changed",
    "checksum_of",
    "fetch_gzip",
    "fetch_verified",
    "gunzip",
    "unzip",
]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TRIES = 3
Got = tuple[bytes, str]
"""The bytes of a file and their sha256."""


class Broken(VenueUnavailable):
    """What came is not what was published: wrong checksum, cut off, or a page of HTML."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file that an archive has: its address, the time it covers, and when the publisher wrote it.

    Attributes
    ----------
    url : address, also the ``endpoint`` of its rows' provenance
    start, end : the period its name says, UTC, end excluded
    modified : when it was last written, as the publisher says it; empty where unknown
    """

    url: str
    start: pd.Timestamp
    end: pd.Timestamp
    modified: str = ""

    def upstream(self, sha256: str) -> str:
        """What a provenance says of this version of the file."""
        return f"sha256={sha256}" + (f" modified={self.modified}" if self.modified else "")


def changed(file: Published, known: Mapping[str, str], get: Get) -> bool:
    """True where the publisher has the file in another version than the one merged before.

    The time of its last writing is compared first, which costs no request, then its checksum, since a file may
    be written again with the same content.
    """
    before = known.get(file.url)
    if before is None:
        return True
    said = dict(one.split("=", 1) for one in before.split(" ") if "=" in one)
    if file.modified and said.get("modified") == file.modified:
        return False
    return checksum_of(file, get) != said.get("sha256")


def checksum_of(file: Published, get: Get) -> str | None:
    """The sha256 that the publisher states beside the file; None where it states none.

    Raises
    ------
    Broken
        where that answer is no checksum of that file.
    """
    name = file.url.rsplit("/", maxsplit=1)[-1]
    body = body_of(f"{file.url}.CHECKSUM", get)
    if body is None:
        return None
    words = body.decode("utf-8", errors="replace").split()
    if len(words) != 2 or not _SHA256.fullmatch(words[0].lower()) or words[1].lstrip("*") != name:
        raise Broken(f"{file.url}.CHECKSUM: expected a sha256 and {name}, got {body[:60]!r}")
    return words[0].lower()


def fetch_verified(file: Published, get: Get) -> Got | None:
    """The bytes of a file with its published sha256, which they have; None where there is no such file.

    File and checksum are asked for again where they disagree: one may be replaced between the two requests.

    Raises
    ------
    Broken
        where they still disagree, or there is no checksum.
    """
    fault = Broken(f"{file.url}: never came whole")
    for _ in range(_TRIES):
        body = body_of(file.url, get)
        if body is None:
            return None
        found = hashlib.sha256(body).hexdigest()
        try:
            stated = checksum_of(file, get)
        except Broken as error:
            fault = error
            continue
        if stated is None:
            raise Broken(f"{file.url}: no checksum is published beside it, so it cannot be trusted")
        if stated == found:
            return body, found
        fault = Broken(
            f"{file.url}: sha256 is {found[:12]}..., published is {stated[:12]}... ({len(body)} bytes, {_TRIES} tries)"
        )
    raise fault


def fetch_gzip(file: Published, get: Get) -> Got | None:
    """The bytes of a gzip that nobody publishes a checksum of; one that is not whole is asked for again.

    Raises
    ------
    Broken
        where it never comes whole.
    """
    fault = Broken(f"{file.url}: never came whole")
    for _ in range(_TRIES):
        body = body_of(file.url, get)
        if body is None:
            return None
        try:
            gunzip(body, file.url)
        except Broken as error:
            fault = error
        else:
            return body, hashlib.sha256(body).hexdigest()
    raise fault


def body_of(url: str, get: Get) -> bytes | None:
    """The body behind an address; None for 404 (and 410).

    Raises
    ------
    VenueUnavailable
        for any other status than 200.
    """
    answer: Answer = get(url)
    if answer.status in {404, 410}:
        return None
    if answer.status != 200:
        raise VenueUnavailable(f"{url}: HTTP status {answer.status}; expected 200, or 404 where there is no such file")
    return answer.body


def unzip(body: bytes, name: str, member: str | None = None) -> bytes:
    """The one file inside a ZIP, or the one called ``member``.

    Raises
    ------
    Broken
        for what is no whole ZIP, and one that holds another number of files.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            names = [one for one in packed.namelist() if not one.endswith("/")]
            if member is None and len(names) != 1:
                raise Broken(f"{name}: holds {len(names)} files; expected one CSV")
            return packed.read(member or names[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
        raise Broken(f"{name}: not a whole ZIP ({error}); it begins with {body[:16]!r}") from None


def gunzip(body: bytes, name: str) -> bytes:
    """The text inside a gzip; raises :class:`Broken` for one that is cut off or none at all."""
    try:
        if not body:
            raise EOFError("it is empty")
        return gzip.decompress(body)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise Broken(f"{name}: not a whole gzip ({error}); it begins with {body[:16]!r}") from None
