"""What a bucket lists: every file below a folder with the time of its last writing (S3, version 1)."""

from __future__ import annotations

from urllib.parse import quote
from xml.etree import ElementTree

from btcflow.archives.download import Broken, body_of
from btcflow.archives.request import Get

__all__ = ["first_key", "listed"]

_TRIES = 3


def listed(bucket: str, folder: str, get: Get, *, after: str = "") -> dict[str, str]:
    """Every key below a folder, page after page.

    Parameters
    ----------
    bucket : address of the bucket's listing
    folder : the folder, ending in ``/``
    after : keys up to and with this one are left out, which saves their pages

    Returns
    -------
    key to LastModified, in the order of the keys; empty where there is no such folder

    Raises
    ------
    Broken
        for an answer that is no listing, three times.
    """
    found: dict[str, str] = {}
    marker = after
    while True:
        page, more = _page(bucket, folder, marker, get)
        found |= page
        if not more or more <= marker:
            return found
        marker = more


def first_key(bucket: str, folder: str, get: Get) -> str | None:
    """The first key below a folder that is no checksum; None where there is no such folder."""
    return next((one for one in _page(bucket, folder, "", get)[0] if not one.endswith(".CHECKSUM")), None)


def _page(bucket: str, folder: str, marker: str, get: Get) -> tuple[dict[str, str], str]:
    """One page, and the marker of the next; empty where it was the last."""
    url = f"{bucket}?delimiter=/&prefix={quote(folder)}" + (f"&marker={quote(marker)}" if marker else "")
    fault = ""
    for _ in range(_TRIES):
        body = body_of(url, get) or b""
        try:
            root = ElementTree.fromstring(body)
        except ElementTree.ParseError as error:
            fault = str(error)
            continue
        if root.tag.rpartition("}")[2] == "ListBucketResult":
            return _keys(root)
        fault = f"it is a <{root.tag.rpartition('}')[2]}>"
    raise Broken(f"{url}: expected the listing of a bucket ({fault}); it begins with {body[:40]!r}")


def _keys(root: ElementTree.Element) -> tuple[dict[str, str], str]:
    space = root.tag.rpartition("}")[0] + "}" if "}" in root.tag else ""
    found = {
        one.findtext(f"{space}Key", ""): one.findtext(f"{space}LastModified", "")
        for one in root.iter(f"{space}Contents")
    }
    if root.findtext(f"{space}IsTruncated", "false").strip().lower() != "true":
        return found, ""
    return found, root.findtext(f"{space}NextMarker", "") or max(found, default="")
