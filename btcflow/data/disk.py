"""Writing so that a power cut or a kill leaves the old bytes or the new ones, and taking turns at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["LEFTOVERS", "make_folder", "place", "put", "settle", "stage", "turn"]

LEFTOVERS = ".*.tmp"
"""Names of files that were not finished."""


def stage(path: Path, content: bytes) -> Path:
    """Write the bytes to disk beside their place; :func:`place` moves them there."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return beside


def place(path: Path) -> None:
    """Move what :func:`stage` wrote into its place, in one step."""
    os.replace(path.with_name(f".{path.name}.tmp"), path)  # noqa: PTH105


def put(path: Path, content: bytes) -> None:
    """Stage and place in one go."""
    stage(path, content)
    place(path)


def settle(folder: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, root: Path) -> None:
    """Make a folder inside ``root`` and settle the names on the way to it."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for one in (folder, *folder.parents):
        settle(one)
        if one == root:
            return


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Wait until nobody else, thread or process, holds this lock file; hold it."""
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
