"""The wheel is whole: installed by itself, away from the sources, it finds everything it ships."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from btcflow import __version__

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("strategies", "configs")


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program without the paths that would lead it to the sources."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "BTCFLOW_STORE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [str(word) for word in words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


def sources(folder: Path) -> Iterator[str]:
    """Every file below a folder of the repository that has to be shipped, by its name below it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline in this environment, from a copy, so that no file is left behind."""
    place = tmp_path_factory.mktemp("wheel")
    copy = place / "sources"
    left_out = shutil.ignore_patterns(
        ".venv", ".git", ".*_cache", ".hypothesis", "__pycache__", "runs", "store", "dist"
    )
    shutil.copytree(ROOT, copy, ignore=lambda folder, names: left_out(folder, names) if Path(folder) == ROOT else set())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-index", "--no-deps"]
    done = run(*pip, "--no-build-isolation", "--wheel-dir", place, copy, folder=place)
    assert done.returncode == 0, done.stdout + done.stderr
    built = list(place.glob("*.whl"))
    assert [one.name for one in built] == [f"btcflow-{__version__}-py3-none-any.whl"]
    return built[0]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of a fresh environment that holds btcflow and sees the other packages of this one."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    assert run(sys.executable, "-m", "venv", "--without-pip", place, folder=wheel.parent).returncode == 0
    python = place / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    done = run(*pip, "install", "--no-index", "--no-deps", wheel, folder=wheel.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=place).stdout.strip())
    (own / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    where = run(python, "-c", "import btcflow; print(btcflow.__file__)", folder=place).stdout.strip()
    assert Path(where).is_relative_to(own), f"this is not the wheel: {where}"
    return place / "bin"


def test_the_source_archive_holds_what_both_commands_of_the_readme_need(wheel: Path) -> None:
    sources_there = wheel.parent / "sources"
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(wheel.parent)]
    done = run(*build, folder=sources_there)
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(wheel.parent / f"btcflow-{__version__}.tar.gz") as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock", "LICENSE", "README.md"}
    needed |= {
        f"{folder}/{name}" for folder in ("btcflow", "tests", "docs", *SHIPPED) for name in sources(ROOT / folder)
    }
    assert needed - inside == set()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working folder that is not the repository."""
    return tmp_path


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"btcflow/{name}" for name in sources(ROOT / "btcflow")}
    wanted |= {f"btcflow/shipped/{folder}/{name}" for folder in SHIPPED for name in sources(ROOT / folder)}
    about = {name for name in inside if ".dist-info/" in name}
    assert wanted - inside == set()
    assert inside - wanted - about == set()
    assert any(name.endswith("/licenses/LICENSE") for name in about)


def test_the_report_finds_its_templates_and_scripts_in_the_wheel(wheel: Path) -> None:
    inside = zipfile.ZipFile(wheel).namelist()
    suffixes = {Path(name).suffix for name in inside if name.startswith("btcflow/report/")}
    assert {".py", ".j2", ".js", ".css"} <= suffixes


def test_an_installed_btcflow_lists_the_shipped_strategies_and_configs(installed: Path, elsewhere: Path) -> None:
    for what, suffix in zip(SHIPPED, (".py", ".yaml"), strict=True):
        done = run(installed / "btcflow", "list", what, folder=elsewhere)
        assert done.returncode == 0, done.stderr
        listed = {line.split()[0] for line in done.stdout.splitlines()[1:]}
        assert listed == {path.stem for path in (ROOT / what).glob(f"*{suffix}")}


def test_an_installed_btcflow_knows_the_shipped_config_by_name(installed: Path, elsewhere: Path) -> None:
    done = run(installed / "btcflow", "config", "check", "demo", folder=elsewhere)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("demo: ok")


def test_an_installed_btcflow_carries_the_main_job_through(installed: Path, elsewhere: Path) -> None:
    small = ["-s", "data.years=2", "-s", "sweep.trials=4", "-s", "split.folds=1", "-s", "sweep.space.window=[30, 60]"]
    done = run(installed / "btcflow", "run", "demo", *small, folder=elsewhere)
    assert done.returncode == 0, done.stderr
    reports = list(elsewhere.glob("runs/demo/*/report.html"))
    assert len(reports) == 1
    assert "SIMULATED" in reports[0].read_text(encoding="utf-8")
    assert not list(elsewhere.glob("strategies"))
