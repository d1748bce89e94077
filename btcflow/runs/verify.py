"""Verify: run a locked experiment again and compare what it finds, number by number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from btcflow.config.load import load_config
from btcflow.config.market_data import load_dataset, store_moved_on
from btcflow.errors import BadRecords, MissingData
from btcflow.runs.evaluate import ProgressBar, Work
from btcflow.runs.execute import execute
from btcflow.runs.lock import lock_of, rounded
from btcflow.runs.summary import summarize

__all__ = ["Verification", "verify"]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What running it again gave.

    ``difference`` names the first number that differs, or is None; ``remarks`` tell what changed
    around the result (data, code, packages), which alone is no failure.
    """

    folder: Path
    expected: str
    found: str
    difference: str | None
    remarks: tuple[str, ...]

    @property
    def same(self) -> bool:
        """True where the result digest is the same."""
        return self.expected == self.found


def verify(place: Path, *, progress: ProgressBar | None = None) -> Verification:
    """Re-execute the experiment of a run folder (or of its ``lock.json``) without writing anything."""
    folder = place.parent if place.is_file() else place
    lock, kept = _read(folder / "lock.json"), _read(folder / "summary.json")
    experiment = load_config(folder / "experiment.yaml")
    dataset = load_dataset(experiment, as_of=lock.get("vintages") or lock["series"])
    found = summarize(
        execute(experiment, dataset=dataset, work=Work(progress=progress)), command=str(kept.get("command", ""))
    )
    fresh = lock_of(experiment, dataset, found)
    return Verification(
        folder=folder,
        expected=str(lock["result_digest"]),
        found=str(fresh["result_digest"]),
        difference=next(_differences(rounded(kept), rounded(found)), None),
        remarks=(*_remarks(lock, fresh), *store_moved_on(experiment, dataset)),
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingData(f"{path} is missing: expected a run folder with experiment.yaml, lock.json and summary.json")
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadRecords(f"{path}:{error.lineno}:{error.colno}: not JSON ({error.msg})") from error
    return value


_COMPARED = (
    "strategy",
    "timeframe",
    "timeframes",
    "verdict",
    "in_sample",
    "out_of_sample",
    "benchmark",
    "attribution",
    "folds",
    "capacity",
    "in_quote",
)


def _differences(kept: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for key in _COMPARED:
        yield from _walk(key, kept.get(key), found.get(key))


def _walk(path: str, kept: Any, found: Any) -> Iterator[str]:
    if isinstance(kept, Mapping) and isinstance(found, Mapping):
        for key in [*kept, *(one for one in found if one not in kept)]:
            yield from _walk(f"{path}.{key}", kept.get(key), found.get(key))
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for place, (left, right) in enumerate(zip(kept, found, strict=True)):
            yield from _walk(f"{path}[{place}]", left, right)
    elif kept != found:
        yield f"{path}: {kept!r} before, {found!r} now"


def _remarks(lock: Mapping[str, Any], fresh: Mapping[str, Any]) -> Iterator[str]:
    if lock["config_sha256"] != fresh["config_sha256"]:
        yield "the experiment is not the one that was locked"
    for key in sorted({*lock["series"], *fresh["series"]}):
        if lock["series"].get(key) != fresh["series"].get(key):
            yield f"data: {key} is not what it was"
    if lock["code"] != fresh["code"]:
        before, now = (f"{one['code']['btcflow']} {one['code']['sha256'][:12]}" for one in (lock, fresh))
        yield f"code: {before} before, {now} now"
    for name, version in lock["packages"].items():
        if fresh["packages"].get(name) != version:
            yield f"package {name}: {version} before, {fresh['packages'].get(name)} now"
