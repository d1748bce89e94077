"""Importing btcflow costs nothing, and its public names are what they say, in every order."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import btcflow

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "numpy",
    "pandas",
    "scipy",
    "numba",
    "matplotlib",
    "pyarrow",
    "vectorbt",
    "optuna",
    "ccxt",
    "plotly",
    "rich.markdown",
)
LIGHT_COMMANDS = ("", "--help", "--version", "run --help", "signals --help", "list --help", "data import --help")


def in_a_fresh_process(code: str) -> Any:
    """What the code prints on its last line, as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


_LOADED = f"import json, sys; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"


def test_importing_btcflow_loads_no_heavy_package() -> None:
    assert in_a_fresh_process(f"import btcflow; btcflow.__version__; dir(btcflow)\n{_LOADED}") == []


@pytest.mark.parametrize("command", LIGHT_COMMANDS)
def test_help_loads_no_heavy_package(command: str) -> None:
    code = f"""
import runpy, sys
sys.argv = ["btcflow", *{command.split()!r}]
try:
    runpy.run_module("btcflow", run_name="__main__")
except SystemExit:
    pass
{_LOADED}
"""
    assert in_a_fresh_process(code) == []


def test_a_loaded_heavy_package_would_be_seen() -> None:
    assert set(in_a_fresh_process(f"import btcflow\nbtcflow.Panel\n{_LOADED}")) >= {"numpy", "pandas"}


def test_every_public_name_resolves_twice_to_the_same_thing() -> None:
    code = """
import json, types
import btcflow
wrong = []
for name in btcflow.__all__:
    first, second = getattr(btcflow, name), getattr(btcflow, name)
    if first is not second or isinstance(first, types.ModuleType):
        wrong.append(name)
print(json.dumps(wrong))
"""
    assert in_a_fresh_process(code) == []


def test_public_names_stay_what_they_are_whatever_submodule_was_imported() -> None:
    """An import sets the submodule as an attribute of the package: no public name may be lost to one."""
    package = ROOT / "btcflow"
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted(package.rglob("*.py"))]
    modules = [".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__"]
    code = f"""
import importlib, json, types
import btcflow
wrong = []
before = {{name: getattr(btcflow, name) for name in btcflow.__all__}}
for module in {modules!r}:
    importlib.import_module(module)
    wrong += [f"{{name}} after {{module}}" for name, value in before.items() if getattr(btcflow, name) is not value]
print(json.dumps(wrong))
"""
    assert len(modules) > 40
    assert in_a_fresh_process(code) == []


def test_all_is_what_can_be_imported() -> None:
    scope: dict[str, object] = {}
    exec("from btcflow import *", scope)
    assert sorted(set(scope) - {"__builtins__"}) == sorted(btcflow.__all__)
    assert dir(btcflow) == sorted(btcflow.__all__)
    assert sorted({*btcflow._HOMES, "__version__"}) == sorted(btcflow.__all__)


def test_a_type_checker_sees_the_same_names() -> None:
    tree = ast.parse((ROOT / "btcflow" / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    named = {one.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for one in node.names}
    assert named == btcflow._HOMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'btcflow' has no attribute 'backtest'"):
        _ = btcflow.backtest
