"""`btcflow check`, `new` and `config schema`, as a person calls them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from btcflow.config.experiment import Experiment
from btcflow.contracts import LAWS
from btcflow.flow.catalog import METRICS
from btcflow.rules.strategies import STRATEGIES
from btcflow.terminal.starters import STARTERS
from btcflow.traps import CONTROLS

Call = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parent.parent

LEAKY = '''\
"""A metric that looks ahead, and an honest one."""

import numpy as np

from btcflow.flow.metric import metric
from btcflow.flow.premium import prem_z


@metric(unit="z", needs=("funding_hours", "funding_paid"), windowed=True)
def funding_z_leaky(bars, *, window):
    """Mean and deviation of the whole sample."""
    found = bars["funding_8h"]
    return (found - np.nanmean(found)) / np.nanstd(found)


@metric(unit="%", needs=("close",))
def premium_again(bars):
    """The premium."""
    return np.array(bars["perp_premium"])
'''

PEEK = '''\
"""Holds what tomorrow brings."""

import numpy as np

from btcflow.rules import FreeForm


def target(bars, values):
    return np.append(np.sign(np.diff(bars["price"])), 0.0)


peek = FreeForm(name="peek", claim="The future pays.", function=target, needs=("close",))
'''


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# -- check ---------------------------------------------------------------------------------------------


def test_everything_registered_keeps_every_law(call: Call) -> None:
    code, out, err = call("check", "--timeframe", "1W", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["schema"] == "btcflow.check/1"
    assert document["market"].startswith("SIMULATED")
    named = [(one["kind"], one["name"]) for one in document["subjects"]]
    assert named == [("metric", name) for name in METRICS] + [("strategy", name) for name in STRATEGIES]
    for one in document["subjects"]:
        assert sorted([*one["kept"], *one["not_applicable"]]) == sorted(LAWS), one["name"]


def test_a_name_is_checked_on_both_timeframes(call: Call) -> None:
    code, out, _ = call("check", "premium_reversion")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "SIMULATED market, 1.6 years, seed 3; timeframes 1D, 1W"
    kept = "ok  11 laws kept; not applicable: scale (it reads no open interest)"
    assert lines[1:] == [
        f"premium_reversion@1D  {kept}",
        f"premium_reversion@1W  {kept}",
        "2 subjects, every law kept",
    ]


def test_a_leaky_metric_in_a_file_is_named_with_law_cut_row_and_amount(call: Call, tmp_path: Path) -> None:
    code, out, err = call("check", written(tmp_path / "leaky.py", LEAKY), "--timeframe", "1D")
    assert code == 3
    assert err == "error: a law is broken by 1 of 2 subjects\n"
    told = (
        r"funding_z_leaky@1D  truncation  FAIL at 2018-\d\d-\d\d 00:05: row \d+ \(decided 2018-\d\d-\d\d 00:05\) "
        r"was -?\d+\.\d+ and is -?\d+\.\d+ \(by [+-]\d+\.?\d*\); \d+ of \d+ rows differ"
    )
    assert len([line for line in out.splitlines() if re.fullmatch(told, line)]) == 1
    assert re.search(r"^premium_again@1D +ok  11 laws kept", out, flags=re.MULTILINE)
    assert "prem_z" not in out, "what a file imports is not its own"


def test_a_free_form_strategy_that_looks_ahead_is_caught(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("check", written(tmp_path / "peek.py", PEEK), "--timeframe", "1W", "--json")
    assert code == 3
    document = json.loads(out)
    assert document["broken"] == 1
    broken = {one["law"]: one for one in document["subjects"][0]["broken"]}
    assert {"truncation", "future"} <= set(broken)
    assert "rows differ" in broken["future"]["detail"]
    assert document["subjects"][0]["file"] == str(tmp_path / "peek.py")


def test_a_folder_is_checked_file_by_file(call: Call, tmp_path: Path) -> None:
    written(tmp_path / "mine" / "leaky.py", LEAKY)
    written(tmp_path / "mine" / "peek.py", PEEK)
    written(tmp_path / "mine" / "_draft.py", "1 / 0\n")
    code, out, _ = call("check", tmp_path / "mine", "bar_return", "--timeframe", "1W", "--json")
    assert code == 3
    assert {one["name"]: bool(one["broken"]) for one in json.loads(out)["subjects"]} == {
        "funding_z_leaky": True,
        "premium_again": False,
        "peek": True,
        "bar_return": False,
    }


def test_a_metric_that_raises_is_told_with_file_and_line(call: Call, tmp_path: Path) -> None:
    text = LEAKY.replace('np.array(bars["perp_premium"])', 'bars["perp_premium"] / bars.nothing')
    path = written(tmp_path / "raises.py", text)
    code, out, _ = call("check", path, "--timeframe", "1W")
    assert code == 3
    line = text.splitlines().index('    return bars["perp_premium"] / bars.nothing') + 1
    assert "shape  FAIL at the whole market: it raised AttributeError: 'Bars' object has no attribute" in out
    assert f"({path}:{line})" in out


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("bad.py", "x = 1\nimport nonsense_that_is_not_there\n", 78, "bad.py:2: cannot be imported"),
        ("bad.py", "def broken(:\n", 78, "bad.py:1: cannot be imported"),
        ("empty.py", "x = 1\n", 78, "defines nothing to check"),
        ("empty.py", "from btcflow.flow.premium import prem_z\n", 78, "`btcflow new metric NAME`"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(
    call: Call, tmp_path: Path, name: str, text: str, code: int, words: str
) -> None:
    found, _, err = call("check", written(tmp_path / name, text), "--timeframe", "1W")
    assert found == code
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("funding_fad",), 78, "no metric or strategy is called 'funding_fad': did you mean 'funding_fade'?"),
        (("prem_zz",), 78, "did you mean 'prem_z'?"),
        (("nowhere/mine.py",), 66, "nowhere/mine.py: no such folder"),
        (("price", "--timeframe", "1d"), 78, "did you mean '1D'"),
        (("price", "--timeframe", "15m"), 78, "finer than the data"),
    ],
)
def test_what_cannot_be_checked_is_refused(call: Call, arguments: tuple[str, ...], code: int, words: str) -> None:
    found, _, err = call("check", *arguments)
    assert found == code
    assert words in err


def test_a_timeframe_below_a_day_is_checked_with_the_daily_options(call: Call) -> None:
    code, out, _ = call("check", "fund_z", "--timeframe", "8h", "--timeframe", "8h")
    assert code == 0
    assert out.splitlines()[1].startswith("fund_z@8h  ok")
    assert out.splitlines()[-1] == "1 subject, every law kept"


@pytest.mark.full
def test_the_traps_are_tried_from_the_command_line(call: Call) -> None:
    code, out, _ = call("check", "--traps")
    assert code == 0
    assert out.splitlines()[-1].endswith(f"0 of {len(CONTROLS)} controls accused")
    code, out, _ = call("check", "--traps", "--json")
    assert (code, json.loads(out)["wrong"]) == (0, 0)
    assert all(json.loads(out)["alone"].values())


def test_the_help_loads_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['btcflow', 'check', '--help']\nfrom btcflow.cli import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\nassert 'numpy' not in sys.modules\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "look ahead" in done.stdout


# -- new -----------------------------------------------------------------------------------------------


def commands_told(out: str) -> dict[str, list[str]]:
    """The commands a text offers, without ``btcflow``, by the word before them."""
    found = re.findall(r"^(\w+) +btcflow (.+)$", out, flags=re.MULTILINE)
    return {word: line.split() for word, line in found}


@pytest.mark.parametrize("what", STARTERS)
def test_a_new_file_passes_the_check_it_names(
    what: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = call("new", what, "first_try")
    assert code == 0
    path = Path(re.findall(r"^wrote +(.+)$", out, flags=re.MULTILINE)[0])
    assert path.parent == Path(STARTERS[what][1])
    assert "NAME" not in path.read_text(encoding="utf-8")
    code, out, err = call(*commands_told(out)["check"])
    assert code == 0, out + err
    assert "note:" not in out, "it has values, and trades"


@pytest.mark.parametrize(("what", "named"), [("strategy", "second_try"), ("config", "funding_fade")])
def test_a_new_strategy_and_a_new_config_run(
    what: str, named: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: a folder of strategies stays registered for as long as a process lives."""
    monkeypatch.chdir(tmp_path)
    _, out, _ = call("new", what, "second_try", "--dir", "elsewhere")
    words = [sys.executable, "-m", "btcflow", *commands_told(out)["run"]]
    words += ["-s", "data.years=2", "-s", "sweep.trials=4", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["strategy"]["name"] == named
    assert summary["in_sample"]["trades"] > 0


def test_a_new_file_is_clean_as_it_stands(call: Call, tmp_path: Path) -> None:
    for what in ("metric", "strategy"):
        assert call("new", what, f"clean_{what}", "--dir", tmp_path)[0] == 0
    for command in (["check"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
        done = subprocess.run([*words, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout


def test_a_file_is_never_written_over(call: Call, tmp_path: Path) -> None:
    path = written(tmp_path / "mine.py", "# by hand\n")
    code, _, err = call("new", "strategy", "mine", "--dir", tmp_path)
    assert code == 78
    assert "mine.py is already there, and is left as it is" in err
    assert path.read_text(encoding="utf-8") == "# by hand\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("metric", "Class"), "'Class' cannot name a metric"),
        (("strategy", "lambda"), "cannot name a strategy"),
        (("strategy", "../up"), "cannot name a strategy"),
        (("config", "Up"), "'Up' cannot name a config"),
        (("metric", "prem_z"), "a metric is called 'prem_z' already, in"),
        (("strategy", "funding_fade"), "a strategy is called 'funding_fade' already, in"),
        (("strateg", "x"), "did you mean 'strategy'?"),
    ],
)
def test_a_name_that_cannot_be_one_or_is_taken_is_refused(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code, _, err = call("new", *arguments, "--dir", tmp_path / "none")
    assert code == 78
    assert words in err
    assert not (tmp_path / "none").exists()


# -- config schema -------------------------------------------------------------------------------------


def test_the_schema_is_that_of_an_experiment(call: Call) -> None:
    code, out, _ = call("config", "schema")
    assert code == 0
    schema = json.loads(out)
    assert set(schema["properties"]) == set(Experiment.model_fields)
    assert schema["required"] == ["name", "data"]
    assert schema["additionalProperties"] is False
    data = schema["properties"]["data"]
    assert data["discriminator"]["propertyName"] == "source"
