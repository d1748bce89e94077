"""The lock: what must be the same for a result to be the same, and the digest of the result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import btcflow
from btcflow.config.experiment import Experiment
from btcflow.data.records import Dataset
from btcflow.data.vintages import StoredRecords
from btcflow.registry import shipped

__all__ = ["LOCK_SCHEMA", "canonical", "code_digest", "lock_of", "result_digest", "run_id"]

LOCK_SCHEMA = "btcflow.lock/1"
_PACKAGES = ("numpy", "pandas", "numba", "vectorbt", "optuna", "pyarrow", "pydantic", "scipy")
_RESULT_KEYS = (
    "strategy",
    "timeframe",
    "timeframes",
    "in_sample",
    "out_of_sample",
    "benchmark",
    "attribution",
    "folds",
)
_OPTIONAL_KEYS = ("capacity", "in_quote")
_DIGITS = 9


def lock_of(experiment: Experiment, dataset: Dataset, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The lock of a finished run as plain data.

    ``series`` has the content hash of the rows that were read; ``vintages`` that of the whole series in
    the store they were cut from, by which the store gives them again as they were.
    """
    series = {str(one.key): one.content_hash() for one in dataset}
    vintages = {str(one.key): one.vintage for one in dataset if isinstance(one, StoredRecords)}
    return {
        "schema": LOCK_SCHEMA,
        "config_sha256": config_digest(experiment),
        "data_sha256": _sha(canonical(series)),
        "series": series,
        "vintages": vintages,
        "code": {"btcflow": btcflow.__version__, "sha256": code_digest()},
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "seed": experiment.seed,
        "engine": "rules searched by the sweep kernel, paths traded by the exact ledger",
        "result_digest": result_digest(summary),
    }


def config_digest(experiment: Experiment) -> str:
    """sha256 of the resolved experiment."""
    return _sha(canonical(experiment.resolved()))


def run_id(experiment: Experiment, dataset: Dataset) -> str:
    """Twelve hex digits of config, data and code: the same id promises the same numbers."""
    data = {str(one.key): one.content_hash() for one in dataset}
    return _sha(canonical([config_digest(experiment), data, code_digest()]))[:12]


def result_digest(summary: Mapping[str, Any]) -> str:
    """sha256 of what the run found, with numbers to nine significant digits."""
    found = {key: summary[key] for key in _RESULT_KEYS}
    found["trials"] = summary["verdict"]["trials"]
    found |= {key: summary[key] for key in _OPTIONAL_KEYS if key in summary}
    return _sha(canonical(rounded(found)))


def rounded(value: Any) -> Any:
    """Plain data with every float at nine significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def code_digest() -> str:
    """sha256 over the package's and the strategies' source, and the facts in the package's YAML files."""
    digest = hashlib.sha256()
    package = Path(btcflow.__file__).parent
    for folder in (package, shipped("strategies")):
        for path in sorted(one for one in folder.rglob("*") if one.suffix in {".py", ".yaml"}):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
