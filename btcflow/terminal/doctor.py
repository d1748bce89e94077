"""What this installation has and lacks, for a person who must decide what to mend."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

import btcflow

__all__ = ["examination"]

_PACKAGES = (
    "numpy",
    "pandas",
    "numba",
    "vectorbt",
    "optuna",
    "ccxt",
    "pyarrow",
    "pydantic",
    "scipy",
    "matplotlib",
    "lwcharts",
)


def examination() -> tuple[str, bool]:
    """A table of findings, and whether everything needed is there."""
    findings = [
        *_interpreter(),
        *(_package(name) for name in _PACKAGES),
        _bytecode(),
        _numba_cache(),
        _store(),
        _real_data(),
        _browser(),
    ]
    rows = [[name, "ok" if ok else ("missing" if needed else "absent"), text] for name, ok, needed, text in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    return text, all(ok or not needed for _, ok, needed, _ in findings)


Finding = tuple[str, bool, bool, str]


def _interpreter() -> list[Finding]:
    sound = (3, 11) <= sys.version_info[:2] < (3, 15)
    return [
        ("btcflow", True, True, btcflow.__version__),
        (
            "python",
            sound,
            True,
            f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        ),
    ]


def _package(name: str) -> Finding:
    try:
        return (name, True, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return (name, False, True, "not installed; run `make demo` or `make test` to complete the environment")


def _bytecode() -> Finding:
    """Without compiled bytecode every import of vectorbt costs ten seconds more."""
    spec = importlib.util.find_spec("vectorbt")
    origin = Path(spec.origin) if spec is not None and spec.origin is not None else None
    compiled = origin is not None and Path(importlib.util.cache_from_source(str(origin))).exists()
    text = "compiled" if compiled else "not compiled: imports are slow; run `python -m compileall` on the environment"
    return ("bytecode", compiled, False, text)


def _numba_cache() -> Finding:
    place = os.environ.get("NUMBA_CACHE_DIR")
    if place is None:
        return ("numba cache", True, False, "beside the source files; NUMBA_CACHE_DIR moves it")
    writable = os.access(place if Path(place).exists() else Path(place).parent, os.W_OK)
    return (
        "numba cache",
        writable,
        True,
        place if writable else f"{place} is not writable; set NUMBA_CACHE_DIR elsewhere",
    )


def _store() -> Finding:
    from btcflow.data.store import default_store_path

    path = default_store_path()
    return (
        "store",
        path.exists(),
        False,
        str(path) if path.exists() else f"{path} is not there yet; `btcflow data import` makes it",
    )


def _real_data() -> Finding:
    place = os.environ.get("BTCFLOW_REAL_DATA")
    found = place is not None and Path(place).is_dir()
    return (
        "real data",
        found,
        False,
        str(place) if found else "BTCFLOW_REAL_DATA names no folder; tests that need it are skipped",
    )


def _browser() -> Finding:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return ("browser", found is not None, False, found or "no Chromium on the PATH; browser tests are skipped")
