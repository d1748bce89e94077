"""Registries find what there is by folder, and say which file is at fault."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from btcflow.errors import ConfigError, MissingData, UnknownName
from btcflow.registry import Registry, shipped


def _claims(module: ModuleType) -> dict[str, object]:
    """Entries of the files written below: what they put into CLAIMS."""
    return dict(getattr(module, "CLAIMS", {}))


def _folder(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.py").write_text(text, encoding="utf-8")
    return path


def _registry(*folders: Path) -> Registry[object]:
    return Registry("strategy", collect=_claims, folders=folders)


def test_a_file_in_the_folder_is_all_it_takes(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "s", fade="CLAIMS = {'funding_fade': 1}", trend="CLAIMS = {'a': 2, 'z': 3}")
    registry = _registry(folder)
    assert registry.names() == ("a", "funding_fade", "z")
    assert registry.items() == (("a", 2), ("funding_fade", 1), ("z", 3))
    assert registry.get("z") == 3
    assert "a" in registry
    assert "b" not in registry
    assert len(registry) == len(list(registry)) == 3
    assert registry.file_of("funding_fade") == (folder / "fade.py").resolve()


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    registry = _registry(_folder(tmp_path / "s", fade="CLAIMS = {'funding_fade': 1}"))
    with pytest.raises(UnknownName, match=r"no strategy is called 'funding_fde': did you mean 'funding_fade'\?"):
        registry.get("funding_fde")
    with pytest.raises(UnknownName):
        registry.file_of("nothing")


def test_nothing_is_imported_before_it_is_asked_for_and_then_only_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = (
        f"from pathlib import Path\nwith Path({str(log)!r}).open('a') as f:\n    f.write('x')\nCLAIMS = {{'one': 1}}\n"
    )
    registry = _registry(_folder(tmp_path / "s", one=text))
    assert not log.exists()
    registry.names()
    registry.add_folder(_folder(tmp_path / "more", two="CLAIMS = {'two': 2}"))
    assert registry.names() == ("one", "two")
    assert log.read_text() == "x"


def test_a_folder_of_your_own_adds_to_what_is_shipped(tmp_path: Path) -> None:
    registry = _registry(_folder(tmp_path / "s", one="CLAIMS = {'one': 1}"))
    assert registry.names() == ("one",)
    mine = _folder(tmp_path / "mine", one="CLAIMS = {'mine': 2}", _draft="raise RuntimeError", __init__="1 / 0")
    registry.add_folder(mine)
    registry.add_folder(mine)
    assert registry.names() == ("mine", "one")


def test_a_single_file_can_be_added(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "s", one="CLAIMS = {'one': 1}", two="CLAIMS = {'two': 2}")
    registry = _registry()
    registry.add_folder(folder / "two.py")
    assert registry.names() == ("two",)


def test_a_folder_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"gone: no such folder; expected a folder of \.py files"):
        _registry().add_folder(tmp_path / "gone")
    with pytest.raises(MissingData, match=r"gone: no such folder; it holds every strategy"):
        _registry(tmp_path / "gone").names()


def test_a_file_that_fails_names_itself_its_line_and_the_cause(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path / "s",
        cfg="from btcflow.timeframes import parse\n\nparse('4hr')\n",
        div="def ratio(a):\n    return a / 0\n\nratio(1)\n",
        exits="raise SystemExit(3)\n",
        syn="a = 1\nb = (\n",
        wrong="import btcflow_is_not_this\n",
    )
    with pytest.raises(ConfigError) as caught:
        _registry(folder).names()
    where = folder.resolve()
    assert caught.value.problems == (
        f"{where}/cfg.py:3: cannot be imported: '4hr' is not a timeframe; did you mean '4h'?",
        f"{where}/div.py:2: cannot be imported: ZeroDivisionError: division by zero",
        f"{where}/exits.py:1: cannot be imported: SystemExit: 3",
        f"{where}/syn.py:2: cannot be imported: SyntaxError: '(' was never closed",
        f"{where}/wrong.py:1: cannot be imported: ModuleNotFoundError: No module named 'btcflow_is_not_this'",
    )
    assert not [name for name, one in sys.modules.items() if str(getattr(one, "__file__", "")).startswith(str(where))]


def test_a_mended_file_is_read_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    registry = _registry(_folder(tmp_path / "s", one="CLAIMS = {'one': 1 / 0}"))
    with pytest.raises(ConfigError):
        registry.names()
    _folder(tmp_path / "s", one="CLAIMS = {'one': 1 / 1}")  # same length, same second
    assert registry.get("one") == 1
    assert not (tmp_path / "s" / "__pycache__").exists()


def test_two_files_that_define_one_name_are_both_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "s", a="CLAIMS = {'fade': object()}", b="CLAIMS = {'fade': object()}")
    with pytest.raises(ConfigError, match=r"two files define the strategy 'fade': .*a\.py and .*b\.py; rename one"):
        _registry(folder).names()


def test_one_entry_seen_through_two_files_is_no_conflict(tmp_path: Path) -> None:
    text = "import math\nCLAIMS = {'one': math}"
    assert _registry(_folder(tmp_path / "s", a=text, b=text)).names() == ("one",)


def test_files_of_one_name_in_two_folders_do_not_collide(tmp_path: Path) -> None:
    left = _folder(tmp_path / "l", rule="CLAIMS = {'left': __name__}")
    right = _folder(tmp_path / "r", rule="CLAIMS = {'right': __name__}")
    registry = _registry(left, right)
    names = {registry.get("left"), registry.get("right")}
    assert len(names) == 2
    assert all(str(name) in sys.modules for name in names)


def test_a_package_is_searched_under_its_own_module_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _folder(tmp_path / "tickers", __init__="", flow="CLAIMS = {'flow': 1}", _own="1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry("metric", package=importlib.import_module("tickers"), collect=_claims)
    assert registry.get("flow") == 1
    assert "tickers.flow" in sys.modules


def test_a_package_module_that_fails_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _folder(tmp_path / "broken_tickers", __init__="", flow="\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry("metric", package=importlib.import_module("broken_tickers"), collect=_claims)
    with pytest.raises(ConfigError, match=r"flow\.py:2: cannot be imported: ZeroDivisionError"):
        registry.names()


def test_shipped_folders_lie_beside_the_package_or_inside_the_wheel(tmp_path: Path) -> None:
    package = tmp_path / "btcflow"
    (package / "shipped" / "configs").mkdir(parents=True)
    assert shipped("configs", package=package) == package / "shipped" / "configs"
    assert shipped("strategies", package=package) == tmp_path / "strategies"
    assert shipped("strategies").name == "strategies"
    assert shipped("strategies").is_dir()
