"""The documents tell the truth: their code runs, their names exist, and nothing that exists is missing."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import typer
import yaml
from pydantic import BaseModel
from test_architecture import LAYERS

import btcflow
from btcflow.cli import app
from btcflow.config.experiment import Experiment
from btcflow.config.load import experiment_of, load_config
from btcflow.contracts import Trial, hold, metric_subject, strategy_subject
from btcflow.data.import_spec import load_spec
from btcflow.data.imports import import_files
from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate
from btcflow.data.store import Store
from btcflow.flow.catalog import METRICS
from btcflow.flow.metric import Metric
from btcflow.rules.rule import Rule
from btcflow.rules.strategies import STRATEGIES
from btcflow.search.space import Space
from btcflow.yaml_model import parse_model

ROOT = Path(__file__).resolve().parent.parent
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
DEFINITIONS, CONFIG = ROOT / "docs" / "definitions.md", ROOT / "docs" / "config.md"
DOCUMENTS = (README, CONTRIBUTING, DEFINITIONS, CONFIG)

LINKED = {
    *("www.apache.org", "www.tradingview.com", "www.w3.org", "doi.org", "127.0.0.1", "localhost"),
    *("data.binance.vision", "s3-ap-northeast-1.amazonaws.com", "public.bybit.com"),
    *("datasets.tardis.dev", "s3.amazonaws.com", "example.invalid"),
    *("www.binance.com", "developers.binance.com", "docs.bitfinex.com", "bybit-exchange.github.io"),
    *("docs.deribit.com", "www.bitget.com", "www.gate.com", "hyperliquid.gitbook.io", "www.htx.com"),
    *("docs.kraken.com", "www.okx.com"),
}
"""Hosts a tracked file may name; a package registry is not among them."""
BINARY = {".parquet", ".feather", ".arrow", ".h5", ".zip", ".gz", ".xlsx", ".pkl", ".npy", ".npz"}
LARGEST = 1_000_000


def read(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def lines_like(pattern: str, path: Path) -> list[Any]:
    """What a pattern finds in a file, ``^`` and ``$`` at every line."""
    return re.findall(pattern, read(path), flags=re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", read(path), flags=re.MULTILINE | re.DOTALL)


def output_of(command: list[str], folder: Path) -> str:
    """What a command of this environment's Python prints when it is run in a folder."""
    words = [sys.executable, "-m", *command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def recipe(language: str, place: str) -> str:
    """The block of CONTRIBUTING that says it is the file ``place``."""
    return next(one for one in blocks(CONTRIBUTING, language) if one.startswith(f"# {place}\n"))


# -- what the documents show can be done -------------------------------------------------------------


@pytest.mark.vectorbt
def test_the_example_of_the_readme_runs_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    for block in blocks(README, "python"):
        exec(compile(block, "README.md", "exec"), scope)
    assert scope["metrics"]["prem_z"].notna().any()
    assert scope["signals"].entries.shape[1] == 4
    plain, funded = scope["plain"], scope["funded"]
    assert plain.orders.count().tolist() == funded.orders.count().tolist(), "both trade the same decisions"
    assert plain.orders.count().min() > 0
    assert (funded.funding.sum() != 0).all(), "and only one of them pays funding"
    assert "entry_z" in capsys.readouterr().out


def test_the_example_of_the_engine_page_runs_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / "engine.md", "python"):
        exec(compile(block, "engine.md", "exec"), scope)
    assert scope["found"].sharpe.shape == (1, 18)
    assert scope["paths"].positions.shape == (len(scope["panel"].clock), 18)
    assert "entry_z" in capsys.readouterr().out


@pytest.fixture(scope="module")
def market() -> Dataset:
    return simulate(seed=3, years=0.8)


def test_the_metric_of_the_recipe_keeps_every_law(market: Dataset) -> None:
    scope: dict[str, Any] = {}
    exec(compile(recipe("python", "btcflow/flow/growth.py"), "growth.py", "exec"), scope)
    made = next(one for one in scope.values() if isinstance(one, Metric))
    assert "Notes\n---" in made.about
    assert "NaN" in made.about
    hold(metric_subject(made, "1D", window=20), Trial(dataset=market, timeframe="1D"))


def test_the_strategy_of_the_recipe_keeps_every_law(market: Dataset) -> None:
    scope: dict[str, Any] = {}
    exec(compile(recipe("python", "strategies/crowded_premium.py"), "crowded_premium.py", "exec"), scope)
    made = next(one for one in scope.values() if isinstance(one, Rule))
    hold(strategy_subject(made, "1D", window=20), Trial(dataset=market, timeframe="1D"))


def test_one_file_each_adds_the_metric_and_the_strategy(tmp_path: Path) -> None:
    """Into a copy of the project, with nothing else edited; and the files are clean as they stand."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("btcflow", "strategies", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    places = ("btcflow/flow/growth.py", "strategies/crowded_premium.py")
    for place in places:
        (tmp_path / place).write_text(recipe("python", place), encoding="utf-8")
    for what, name in (("metrics", "oi_growth"), ("strategies", "crowded_premium")):
        assert re.search(rf"^{name} ", output_of(["btcflow", "list", what], tmp_path), flags=re.MULTILINE)
    for command in (["check"], ["format", "--check"]):
        output_of(["ruff", *command, "--no-cache", "--config", str(ROOT / "pyproject.toml"), *places], tmp_path)


def test_the_venue_of_the_recipe_is_imported(tmp_path: Path) -> None:
    spec = tmp_path / "myvenue.yaml"
    spec.write_text(recipe("yaml", "configs/import/myvenue.yaml"), encoding="utf-8")
    hour = 3_600_000
    rows = [f"{1_577_836_800_000 + 8 * hour * row},{rate}" for row, rate in enumerate([0.01, 0.02, -0.01, 0.01])]
    (tmp_path / "myvenue_BTCUSDT_funding.csv").write_text("\n".join(["time,rate", *rows]) + "\n", encoding="utf-8")
    store = Store(tmp_path / "store")
    report = import_files(tmp_path, load_spec(spec), store)
    assert [one.kept for one in report] == [4]
    records = store.dataset().find("myvenue:BTCUSDT", "funding")
    np.testing.assert_allclose(records.column("rate"), [1e-4, 2e-4, -1e-4, 1e-4])


@pytest.mark.parametrize("path", [README, CONFIG], ids=lambda path: path.name)
def test_every_experiment_shown_is_a_good_one(path: Path) -> None:
    shown = [block for block in blocks(path, "yaml") if block.startswith("name:")]
    assert shown
    for block in shown:
        experiment_of(parse_model(block, Experiment, name=path.name))


def test_every_shipped_config_can_be_loaded() -> None:
    paths = sorted((ROOT / "configs").glob("*.yaml"))
    assert [load_config(path).name for path in paths] == [path.stem for path in paths], "and is named as its file"


# -- the command line ---------------------------------------------------------------------------------


def _commands() -> dict[str, Any]:
    """Every command by its words, such as ``data import``."""

    def walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield " ".join(words), command
        else:
            for name, one in inner.items():
                yield from walk((*words, name), one)

    return dict(walk((), typer.main.get_command(app)))


def _lines() -> Iterator[tuple[str, list[str]]]:
    """Every command line the documents show, with the file it stands in."""
    for path in DOCUMENTS:
        for block in blocks(path, "(?:sh)?"):
            for line in block.splitlines():
                if line.startswith("btcflow "):
                    yield path.name, shlex.split(line, comments=True)[1:]


def test_every_command_is_in_the_readme() -> None:
    text = read(README)
    assert [name for name in _commands() if f"btcflow {name}" not in text] == []


def test_every_command_line_shown_is_understood() -> None:
    lines, commands = list(_lines()), _commands()
    assert len(lines) > 10
    for file, words in lines:
        count = next((count for count in (2, 1) if " ".join(words[:count]) in commands), None)
        assert count is not None, f"{file}: btcflow {' '.join(words)}: no such command"
        context = commands[" ".join(words[:count])].make_context("btcflow", list(words[count:]))
        config, overrides = context.params.get("config"), context.params.get("overrides") or ()
        if config is not None and not config.startswith("my"):
            load_config(ROOT / config if config.endswith(".yaml") else config, overrides=overrides)


def test_every_make_target_named_exists() -> None:
    targets = set(lines_like(r"^([a-z]+):", ROOT / "Makefile"))
    named = {name for path in DOCUMENTS for name in lines_like(r"(?:^|`)make ([a-z]+)", path)}
    assert {"demo", "test"} <= named
    assert named - targets == set()


# -- nothing is missing, nothing is stale ------------------------------------------------------------


@pytest.mark.parametrize("registry", [METRICS, STRATEGIES], ids=["metrics", "strategies"])
def test_everything_registered_is_defined(registry: Any) -> None:
    text = read(DEFINITIONS)
    assert [name for name in registry.names() if f"`{name}`" not in text] == []


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key a config may write, with its default; NAME stands for a name the writer chooses."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        inner = [one for one in _models(field.annotation) if one is not Space]
        default = "required" if field.is_required() else field.get_default(call_default_factory=True)
        if not inner or isinstance(default, dict):
            yield path, list(default) if isinstance(default, tuple) else default
        named = "NAME." if default == {} else ""
        for one in inner:
            yield from _keys(one, f"{path}.{named}")


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in _models(one)]


def _documented() -> dict[str, Any]:
    """Keys of the tables in docs/config.md, with the default written beside them."""
    rows = lines_like(r"^\| `([^`]+)` \| ([^|]+) \|", CONFIG)
    return {key: yaml.safe_load(default.strip().strip("`")) for key, default in rows}


def test_every_config_key_is_documented_and_no_other() -> None:
    keys = {key for key, _ in _keys(Experiment)}
    assert len(keys) > 80
    assert keys - set(_documented()) == set(), "write them into docs/config.md"
    assert set(_documented()) - keys == set(), "docs/config.md tells of keys that are not there"


def test_every_documented_default_is_the_true_one() -> None:
    told = _documented()
    defaults: dict[str, Any] = {}
    for key, default in _keys(Experiment):
        defaults.setdefault(key, default)  # data.start belongs to both kinds of data; the table tells the first's
    wrong = {
        key: (told[key], true) for key, true in defaults.items() if str(told[key]) != str(true) and told[key] != true
    }
    assert wrong == {}, "docs/config.md and the models disagree: (told, true)"


def test_the_layers_told_are_the_layers_tested() -> None:
    diagram = next(block for block in blocks(CONTRIBUTING, "text") if "\nerrors" in block)
    told = [tuple(re.split(r"\s{2,}", line)[0].split(" · ")) for line in diagram.splitlines()]
    assert told == [tuple(names) for names in reversed(LAYERS)]


@pytest.mark.parametrize("title", ["Add a metric", "Add a strategy", "Add a venue"])
def test_a_recipe_is_at_most_twelve_lines(title: str) -> None:
    section = read(CONTRIBUTING).split(f" {title}\n")[1]
    steps = section.split("```")[0].strip().splitlines()
    assert 3 <= len(steps) <= 12


def test_links_between_documents_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^):#]+)\)", read(path)):
            assert (path.parent / target).exists(), f"{path.name} links {target}"


def test_the_newest_version_is_the_same_everywhere() -> None:
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["version"]
    headings = lines_like(r"^## (.+)$", ROOT / "CHANGELOG.md")
    assert headings[0] == "Unreleased"
    assert headings[1].split()[0] == project == btcflow.__version__


# -- what never belongs in the repository -------------------------------------------------------------


def _tracked() -> list[Path]:
    """Files git tracks, and those it would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    assert len(paths) > 50
    return [path for path in paths if path.is_file()]


def test_no_tracked_file_is_market_data_or_large() -> None:
    faults = [str(path) for path in _tracked() if path.suffix in BINARY or path.stat().st_size > LARGEST]
    assert faults == [], "results may be committed, rows of data may not"


def test_no_tracked_file_names_a_registry_or_a_place_on_one_machine() -> None:
    index_option = re.compile(r"(?<!no-emit-)\b(?:index|find)-(?:url|links)\b")
    machine = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w")
    faults = []
    for path in _tracked():
        if path.suffix in {".png", ".ico"}:
            continue
        text = read(path)
        strange = set(re.findall(r"https?://([\w.-]+)", text)) - LINKED
        faults += [f"{path.name} leads to {host}; where that is needed, add it to LINKED" for host in strange]
        faults += [f"{path.name}: {found}" for pattern in (index_option, machine) for found in pattern.findall(text)]
    assert faults == []
