"""The command line: results on stdout, one clear error on stderr, the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

Call = Callable[..., tuple[int, str, str]]

CONFIG = """\
name: tiny
data: {source: simulated, seed: 4, years: 2}
timeframe: 1D
strategy: funding_fade
params: {window: 60, entry_z: 1.0}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_a_run_ends_with_the_path_of_its_report(call: Call, config: Path, tmp_path: Path) -> None:
    code, out, _ = call("run", config, "--out", tmp_path / "runs")
    assert code == 0
    assert "SIMULATED" in out
    report = Path(out.strip().splitlines()[-1].split()[-1])
    assert report.name == "report.html"
    assert report.is_file()
    names = {path.name for path in report.parent.iterdir()}
    assert {
        "experiment.yaml",
        "lock.json",
        "summary.json",
        "equity.parquet",
        "ledger.parquet",
        "trades.parquet",
        "signals.parquet",
    } <= names


def test_a_run_prints_one_json_document(call: Call, config: Path, tmp_path: Path) -> None:
    code, out, _ = call("run", config, "--out", tmp_path / "runs", "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary["schema"] == "btcflow.summary/1"
    assert summary["verdict"]["label"] == "NOT ASSESSED"
    assert summary["verdict"]["p"] is None
    assert {"in_sample", "out_of_sample", "attribution", "timeframes", "data", "seed", "lock"} <= set(summary)


def test_verify_finds_the_same_result_and_says_what_differs_when_it_does(
    call: Call, config: Path, tmp_path: Path
) -> None:
    _, out, _ = call("run", config, "--out", tmp_path / "runs", "--json")
    folder = Path(json.loads(out)["folder"])
    code, out, _ = call("verify", folder)
    assert (code, out.split()[0]) == (0, "verified")
    text = (folder / "experiment.yaml").read_text(encoding="utf-8")
    (folder / "experiment.yaml").write_text(text.replace("entry_z: 1.0", "entry_z: 1.25"), encoding="utf-8")
    code, out, err = call("verify", folder)
    assert code == 3
    assert "first difference: strategy.sentence" in err
    assert "the experiment is not the one that was locked" in err


def test_signals_show_every_condition_and_the_state(call: Call, config: Path) -> None:
    code, out, _ = call("signals", config, "--at", "2019-06-01")
    assert code == 0
    for text in (
        "SIMULATED",
        "spot_premium",
        "funding_apr",
        "fund_z[window] >= entry_z",
        "state",
        "target",
        "Go short",
    ):
        assert text in out
    code, out, _ = call("signals", config, "--at", "2019-06-01T12:30", "--json")
    state = json.loads(out)["timeframes"][0]
    assert state["closed"] == "2019-06-01T00:00:00Z"
    assert len(state["conditions"]) == 4


def test_the_open_bar_is_shown_only_where_it_is_asked_for_and_kept_apart(call: Call, config: Path) -> None:
    at = "2019-06-01T12:30"
    plain = json.loads(call("signals", config, "--at", at, "--json")[1])["timeframes"][0]
    asked = json.loads(call("signals", config, "--at", at, "--provisional", "--json")[1])["timeframes"][0]
    assert plain["forming"] == []
    assert len(asked["forming"]) == 5
    assert {**asked, "forming": []} == plain
    assert "PROVISIONAL" in call("signals", config, "--at", at, "--provisional")[1]
    assert "nothing earlier can be flagged" in call("signals", config, "--at", at)[1]


def test_signals_as_of_a_time_do_not_read_what_came_later(call: Call, config: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer.yaml"
    longer.write_text(CONFIG.replace("years: 2", "years: 3"), encoding="utf-8")
    documents = [
        json.loads(call("signals", path, "--at", "2019-09-09T07:00", "--json")[1]) for path in (config, longer)
    ]
    assert documents[0] == documents[1]


def test_config_check_and_show(call: Call, config: Path) -> None:
    code, out, _ = call("config", "check", config)
    assert (code, "ok (tiny, 1D, funding_fade)" in out) == (0, True)
    code, out, _ = call("config", "show", config, "-s", "market.fee=0.001")
    assert code == 0
    assert "fee: 0.001" in out


@pytest.mark.parametrize("what", ["metrics", "strategies", "configs", "runs"])
def test_lists(call: Call, what: str, tmp_path: Path) -> None:
    code, out, _ = call("list", what, "--runs", tmp_path)
    assert code == 0
    assert out.strip()


def test_doctor_says_what_is_there(call: Call) -> None:
    code, out, _ = call("doctor")
    assert code == 0
    assert "vectorbt" in out


def test_a_strategy_from_a_folder_of_ones_own(config: Path, tmp_path: Path) -> None:
    """In a process of its own: the folder stays registered for as long as a process lives."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rule = 'Rule.of("my_dip", "Buy dips.", long_entry="prem_z[30] <= -1", long_exit="prem_z[30] >= 0")'
    (folder / "my_dip.py").write_text(f"from btcflow.rules import Rule\nmine = {rule}\n", encoding="utf-8")
    command = [
        "run",
        config,
        "--strategies",
        folder,
        "-s",
        "strategy=my_dip",
        "-s",
        "params={}",
        "--out",
        tmp_path / "runs",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "btcflow", *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "prem_z over 30 bars" in done.stdout


@pytest.mark.parametrize(
    ("override", "code", "words"),
    [
        ("strategy=funding_fad", 78, "did you mean 'funding_fade'"),
        ("params.window=100000", 78, "window 100000"),
        ("params.window=3000", 78, "shorten the window"),
        ("timeframe=15m", 78, "finer than the data"),
        ("timeframe=4h", 78, "has no entry for 4h"),
        ("market.leverage=0.5", 78, "expected a multiple of equity"),
        ("market.instrument=sim_alpha:BTCUSD", 78, "did you mean"),
        ("universe.perp=[sim_alfa:BTCUSDT]", 78, "did you mean 'sim_alpha:BTCUSDT'"),
        ("oi.source=vendor:nobody", 66, "holds the aggregates: none"),
        ("span.start=2018-01-05", 78, "before every score is ready"),
        ("split.folds=40", 78, "split"),
        ("data.years=0.5", 78, "expected at least"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_message(
    call: Call, config: Path, tmp_path: Path, override: str, code: int, words: str
) -> None:
    found, _, err = call("run", config, "-s", override, "--out", tmp_path / "runs")
    assert found == code, err
    assert words in err
    assert "Traceback" not in err


def test_an_empty_store_says_how_to_fill_it(call: Call, config: Path, tmp_path: Path) -> None:
    text = CONFIG.replace("{source: simulated, seed: 4, years: 2}", f"{{source: store, store: {tmp_path / 'none'}}}")
    config.write_text(text + "market: {instrument: 'binance:BTCUSDT'}\n", encoding="utf-8")
    code, _, err = call("run", config)
    assert code == 66
    assert "btcflow data import" in err


SPEC = """\
files:
  - {file: bars.csv, source: by hand, venue: v, symbol: BTCUSDT, role: perp, quote: USDT, margin: linear, oi_unit: btc,
     kind: ohlcv, timeframe: 1D, stamp: bar_open}
"""


def bars(**change: object) -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=4, freq="D", tz="UTC")
    frame = pd.DataFrame({"timestamp": days, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 1.0})
    return frame.assign(**change)


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        (bars().iloc[[0, 1, 1, 2]], 65, "duplicate"),
        (bars().iloc[[1, 0, 2, 3]], 65, "bars.csv"),
        (bars(close=[10.0, None, 10.0, 10.0]), 65, "close"),
        (bars(close=[10.0, -1.0, 10.0, 10.0]), 65, "-1"),
    ],
)
def test_bad_rows_are_refused_with_65_and_nothing_is_written(
    call: Call, tmp_path: Path, frame: pd.DataFrame, code: int, words: str
) -> None:
    frame.to_csv(tmp_path / "bars.csv", index=False)
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    found, _, err = call("data", "import", tmp_path, "--as", tmp_path / "spec.yaml", "--store", tmp_path / "store")
    assert found == code
    assert words in err
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_an_unknown_unit_is_refused_with_78(call: Call, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.replace("oi_unit: btc", "oi_unit: bct"), encoding="utf-8")
    code, _, err = call("data", "import", tmp_path, "--as", tmp_path / "spec.yaml", "--store", tmp_path / "store")
    assert code == 78
    assert "did you mean 'btc'" in err


def test_an_import_is_listed(call: Call, tmp_path: Path) -> None:
    bars().to_csv(tmp_path / "bars.csv", index=False)
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    code, out, _ = call("data", "import", tmp_path, "--as", tmp_path / "spec.yaml", "--store", tmp_path / "store")
    assert code == 0
    code, out, _ = call("data", "ls", "--store", tmp_path / "store")
    assert code == 0
    assert "v:BTCUSDT ohlcv 1D" in out


def test_usage_errors_exit_with_2(call: Call) -> None:
    assert call("frobnicate")[0] == 2
    assert call("run")[0] == 2
    assert call("list", "nonsense")[0] == 78


def test_a_bad_time_is_refused(call: Call, config: Path) -> None:
    code, _, err = call("signals", config, "--at", "yesterday-ish")
    assert code == 78
    assert "expected UTC" in err


def test_a_place_that_cannot_be_written_exits_with_74(call: Call, config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    code, _, err = call("run", config, "--out", tmp_path / "file" / "runs")
    assert code == 74
    assert "Traceback" not in err
