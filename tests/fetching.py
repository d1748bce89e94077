"""btcflow's commands in processes of their own, beside loopback venues and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from btcflow.data.manifest import sha256
from btcflow.data.series_folder import series_path
from btcflow.data.store import Store

ROOT = Path(__file__).resolve().parents[1]
_PIPE = subprocess.PIPE


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended; ``code`` is negative where a signal ended it."""

    code: int
    out: str
    err: str


class Loaded:
    """A process that has loaded btcflow and becomes its command line at once, as often as it is asked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "forked_cli.py")],
            cwd=ROOT, env=guarded(), stdin=_PIPE, stdout=_PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    def begin(self, job: dict[str, Any]) -> int:
        """Fork a command; its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(job)}\n")
        self._process.stdin.flush()
        return self._number()

    def ended(self) -> int:
        """Wait for the command; its exit code."""
        return self._number()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


class CommandLine:
    """btcflow's command line with a store of its own.

    Parameters
    ----------
    folder : private to the test
    base : address of the loopback venues
    loaded : what becomes the command line; None = a fresh process for every command
    """

    def __init__(self, folder: Path, base: str, loaded: Loaded | None = None) -> None:
        self.folder, self.base = folder, base
        self.store = folder / "store"
        self._loaded = loaded

    @property
    def hosts(self) -> set[str]:
        """Every host any of the commands wanted to connect to."""
        path = self.folder / "hosts"
        return set(path.read_text("utf-8").split()) if path.exists() else set()

    @property
    def peak_mb(self) -> float:
        """The most memory the last fresh process had, in MB."""
        return int((self.folder / "peak").read_text("utf-8")) / 1024

    def __call__(self, *arguments: object, **limits: int) -> Said:
        """Run ``btcflow ARGUMENTS`` to its end; ``limits`` are ``file_size`` (bytes) and ``no_root``."""
        if self._loaded is None:
            command = [sys.executable, "-m", "btcflow", *map(str, arguments)]
            done = subprocess.run(
                command, cwd=self.folder, env=guarded(self._environment), capture_output=True, text=True, timeout=400,
                check=False,
            )  # fmt: skip
            return Said(code=done.returncode, out=done.stdout, err=done.stderr)
        with self.begun(*arguments, **limits) as (_, wait):
            said: Said = wait()
        return said

    @contextmanager
    def begun(self, *arguments: object, **limits: int) -> Iterator[tuple[int, Any]]:
        """``btcflow ARGUMENTS`` while it runs: its process id, and what waits for its end."""
        assert self._loaded is not None
        out, err = self.folder / "out", self.folder / "err"
        job = {
            "arguments": [str(one) for one in arguments],
            "folder": str(self.folder),
            "environment": self._environment,
            "out": str(out),
            "err": str(err),
            "limits": limits,
        }
        pid, said = self._loaded.begin(job), []

        def wait() -> Said:
            code = self._loaded.ended() if self._loaded is not None else 0
            said.append(Said(code=code, out=out.read_text("utf-8"), err=err.read_text("utf-8")))
            return said[0]

        try:
            yield pid, wait
        finally:
            if not said:
                os.kill(pid, 9)
                wait()

    def config(self, *datasets: dict[str, Any], start: str, end: str = "now") -> Path:
        """A config that wants these datasets."""
        path = self.folder / "wanted.yaml"
        document = {
            "name": "wanted",
            "data": {"source": "store", "start": start, "end": end, "datasets": list(datasets)},
            "market": {"instrument": "binance:BTCUSDT"},
            "timeframe": "1D",
            "strategy": "confluence",
        }
        path.write_text(yaml.safe_dump(document), "utf-8")
        return path

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "BTCFLOW_VENUE_BASE": self.base,
            "BTCFLOW_STORE": str(self.store),
            "BTCFLOW_TEST_HOSTS": str(self.folder / "hosts"),
            "BTCFLOW_TEST_PEAK": str(self.folder / "peak"),
        }


def guarded(more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a Python that may not leave the machine."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BTCFLOW_")}
    path = os.pathsep.join([str(ROOT / "tests" / "guarded"), str(ROOT)])
    notes = dict.fromkeys(("BTCFLOW_TEST_HOSTS", "BTCFLOW_TEST_PEAK"), os.devnull)
    return plain | notes | {"PYTHONPATH": path, "COLUMNS": "200"} | (more or {})


def chunks_of(store: Path) -> dict[str, bytes]:
    """The bytes of the files that make up today's rows, by their paths."""
    found = {}
    for entry in Store(store).entries():
        manifest = Store(store).manifest(entry.key)
        for one in manifest.chunks_of(manifest.latest.number):
            path = f"{series_path(entry.key)}/{one.file}"
            found[path] = (store / path).read_bytes()
    return found


def assert_whole(store: Path) -> None:
    """Every manifest tells the truth: its files are there with their hashes, no other file is, its counts are right."""
    known = {store / ".lock"}
    for entry in Store(store).entries():
        folder, manifest = store / series_path(entry.key), Store(store).manifest(entry.key)
        records = Store(store).read(entry.key)
        assert (entry.rows, entry.content_sha256) == (len(records), records.content_hash()), entry.key
        assert [entry.first, entry.last] == list(records.frame["stamp"].iloc[[0, -1]]), entry.key
        for one in manifest.chunks:
            assert sha256((folder / one.file).read_bytes()) == one.file_sha256, one.file
        for vintage in Store(store).vintages(entry.key):
            assert len(Store(store).read(entry.key, content_sha256=vintage.content_sha256)) == vintage.rows
        known |= {folder / "manifest.json", *(folder / name for name in manifest.files)}
    assert {one for one in store.rglob("*") if one.is_file()} == known
