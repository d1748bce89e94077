"""The file that keeps a search: an Optuna journal that holds whole batches and nothing else.

Lines of a batch are held back until the batch is told, and reach the file in one write that ends
with a mark. A process killed at any moment leaves whole batches, and perhaps the torn beginning of
one: it is cut off when the file is next opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from btcflow.errors import ConfigError, StoreError

__all__ = ["MARK", "Alone", "HeldBack", "only_writer"]

MARK = "btcflow:batches"
"""The study attribute that ends every batch: how many batches the study has finished."""

Line = dict[str, Any]


class _JournalFile(Protocol):
    """What Optuna's file backend offers."""

    def read_logs(self, log_number_from: int) -> Iterable[Line]: ...

    def append_logs(self, logs: list[Line]) -> None: ...


class Alone:
    """The lock of a journal that has one writer by :func:`only_writer`: always free, nothing left behind."""

    def acquire(self) -> bool:
        """Take the lock."""
        return True

    def release(self) -> None:
        """Give nothing back."""


class HeldBack:
    """A journal backend that writes only when told to: one write, one fsync per batch.

    Parameters
    ----------
    file : Optuna's backend for the journal file
    path : where it is, for messages
    """

    def __init__(self, file: _JournalFile, path: Path) -> None:
        self._file, self._path = file, path
        try:
            self._lines = list(file.read_logs(0))
        except ValueError as error:
            raise StoreError(
                f"{path}: a line of the journal is damaged ({error}); remove the file to start again"
            ) from None
        self._first, self._written = 0, len(self._lines)

    def read_logs(self, log_number_from: int) -> list[Line]:
        """Every line from one number on, those held back included."""
        return self._lines[log_number_from - self._first :]

    def append_logs(self, logs: list[Line]) -> None:
        """Hold lines back."""
        self._lines.extend(logs)

    def flush(self) -> None:
        """Write what was held back, and forget it."""
        try:
            self._file.append_logs(self._lines[self._written :])
        except OSError as error:
            raise StoreError(f"{self._path}: the journal could not be written: {error}") from error
        self._first += len(self._lines)
        self._lines, self._written = [], 0


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the journal alone and cut off what a killed process left half written.

    The hold is the operating system's (``flock``) and ends with the process, however it ends. Where
    there is none (Windows), two processes on one file are not kept apart.

    Raises
    ------
    StoreError
        where the file cannot be opened, or another process is writing it.
    ConfigError
        where the file is something else than a btcflow search.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise StoreError(f"{path}: the journal of the search cannot be opened: {error}") from error
    with file:
        _hold(file, path)
        _keep_whole_batches(path)
        yield


def _hold(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(
            f"{path}: another process is running this search; wait for it, or give this one another file"
        ) from None


def _keep_whole_batches(path: Path) -> None:
    """Cut the file behind its last mark; refuse a file that has none, it is not ours to cut."""
    end = whole = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if _is_mark(line):
                whole = end
    if end and not whole:
        raise ConfigError(f"{path}: not the journal of a btcflow search; name another file for the study, or remove it")
    if whole < end:
        with path.open("r+b") as file:
            file.truncate(whole)


def _is_mark(line: bytes) -> bool:
    if MARK.encode() not in line or not line.endswith(b"\n"):
        return False
    try:
        return MARK in json.loads(line).get("user_attr", {})
    except ValueError:
        return False
