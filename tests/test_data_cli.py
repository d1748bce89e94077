"""``btcflow data`` and ``verify`` as a user calls them: import, list, audit, export, and a store that moved on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btcflow.data.store import Store

Call = Callable[..., tuple[int, str, str]]
SPEC = """\
files:
  - {file: px.csv, venue: v, symbol: BTCUSDT, role: perp, quote: USDT, margin: linear, kind: ohlcv, timeframe: 1h,
     time: {column: time}, stamp: bar_open}
  - {file: fu.csv, venue: v, symbol: BTCUSDT, role: perp, quote: USDT, margin: linear, kind: funding, timeframe: 8h,
     time: {column: time}, stamp: settlement, spacing_hours: 8, rate_hours: spacing}
"""
CONFIG = """\
name: moved
data: {{source: store, store: {store}}}
market: {{instrument: "v:BTCUSDT"}}
timeframe: 1D
strategy: funding_fade
params: {{window: 20, entry_z: 1.0}}
"""
DAYS = 190


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    folder = tmp_path / "files"
    folder.mkdir()
    close = 30_000 * np.exp(np.cumsum(rng.normal(0, 0.004, 24 * DAYS)))
    opened = np.r_[30_000.0, close[:-1]]
    hours = pd.date_range("2023-01-01", periods=24 * DAYS, freq="h", tz="UTC")
    bars = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close}
    pd.DataFrame({"time": hours, **bars, "volume": 10.0}).to_csv(folder / "px.csv", index=False)
    settled = pd.date_range("2023-01-01 08:00", periods=3 * DAYS, freq="8h", tz="UTC")
    pd.DataFrame({"time": settled, "rate": rng.normal(1e-4, 1e-4, 3 * DAYS)}).to_csv(folder / "fu.csv", index=False)
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    return folder


@pytest.fixture
def store(call: Call, files: Path, tmp_path: Path) -> Path:
    place = tmp_path / "store"
    code, out, err = call("data", "import", files, "--as", files / "spec.yaml", "--store", place)
    assert (code, err) == (0, "")
    assert f"{24 * DAYS:,}" in out
    return place


def test_clean_data_pass_the_audit_and_a_fault_fails_it_with_3(call: Call, files: Path, store: Path) -> None:
    code, out, _ = call("data", "audit", "--store", store)
    assert code == 0
    assert "2 series" in out
    wrong = pd.read_csv(files / "px.csv")
    wrong["volume"] = 9e6
    wrong.to_csv(files / "px.csv", index=False)
    assert call("data", "import", files / "px.csv", "--as", files / "spec.yaml", "--store", store)[0] == 0
    code, out, err = call("data", "audit", "--store", store)
    assert code == 3
    assert "volume_size" in out
    assert "see docs/data.md" in err


def test_the_audit_s_document_names_checks_series_and_findings(call: Call, store: Path) -> None:
    code, out, _ = call("data", "audit", "funding", "--store", store, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["schema"], told["passed"]) == ("btcflow.audit/1", True)
    assert told["series"] == ["v:BTCUSDT funding 8h"]
    assert {"gaps", "spikes", "known_defects"} <= set(told["checks"])


def test_an_audit_of_nothing_is_66(call: Call, store: Path, tmp_path: Path) -> None:
    assert call("data", "audit", "nosuch", "--store", store)[0] == 66
    assert call("data", "audit", "--store", tmp_path / "none")[0] == 66


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_export_holds_the_rows_of_the_store(call: Call, store: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    code, text, _ = call("data", "export", "--store", store, "--format", form, "--out", out, "--series", "*funding*")
    assert code == 0
    (path,) = out.glob(f"*.{form}")
    assert path.name in text
    frame = pd.read_csv(path) if form == "csv" else pd.read_parquet(path)
    one = next(one for one in Store(store).dataset() if one.key.kind == "funding")
    np.testing.assert_array_equal(frame["rate"].to_numpy(), one.column("rate"))
    assert len(frame) == 3 * DAYS


def test_an_export_without_a_match_a_format_or_duckdb_is_refused(call: Call, store: Path, tmp_path: Path) -> None:
    place = ("--store", store, "--out", tmp_path / "out")
    assert call("data", "export", *place, "--series", "nosuch")[0] == 66
    code, _, err = call("data", "export", *place, "--format", "xlsx")
    assert code == 78
    assert "csv, parquet, duckdb" in err
    assert not (tmp_path / "out").exists()


def test_a_run_is_verified_on_the_data_it_read_after_the_store_moved_on(
    call: Call, files: Path, store: Path, tmp_path: Path
) -> None:
    config = tmp_path / "moved.yaml"
    config.write_text(CONFIG.format(store=store), encoding="utf-8")
    code, out, err = call("run", config, "--out", tmp_path / "runs", "--json")
    assert code == 0, err
    run = json.loads(out)
    later = pd.read_csv(files / "px.csv")
    last = later.index[-24:]
    later.loc[last, ["open", "high", "low", "close"]] *= 1.5
    later.to_csv(files / "px.csv", index=False)
    assert call("data", "import", files, "--as", files / "spec.yaml", "--store", store)[0] == 0
    code, out, _ = call("data", "ls", "--store", store)
    assert "states" in out
    code, out, err = call("verify", run["folder"])
    assert code == 0, err
    assert "the same result" in out
    assert "v:BTCUSDT ohlcv 1h has changed in the store; read as it was" in err
    again = json.loads(call("run", config, "--out", tmp_path / "runs", "--json")[1])
    assert again["lock"]["result_digest"] != run["lock"]["result_digest"]


@pytest.mark.parametrize(
    ("preset", "code", "words"),
    [
        ("plain_ohlcvv", 78, "did you mean 'plain_ohlcv'"),
        ("coinglass_oi", 65, "no column 'close'; did you mean 'closing'; name the file's columns under columns:"),
        ("freqtrade_ohlcv", 78, "it names: *.feather"),
    ],
)
def test_a_file_that_does_not_fit_a_preset_is_refused_in_words(
    call: Call, tmp_path: Path, preset: str, code: int, words: str
) -> None:
    (tmp_path / "x.csv").write_text("time,open,closing\n1704067200000,1,2\n", encoding="utf-8")
    found, _, err = call("data", "import", tmp_path / "x.csv", "--as", preset, "--store", tmp_path / "store")
    assert found == code
    assert words in err
    assert not (tmp_path / "store").exists()


def test_a_file_where_the_store_should_be_is_said(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    code, _, err = call("data", "ls", "--store", tmp_path / "file")
    assert code == 74
    assert "not a folder" in err


def test_dates_outside_the_store_are_said_with_what_it_holds(call: Call, store: Path, tmp_path: Path) -> None:
    config = tmp_path / "moved.yaml"
    config.write_text(CONFIG.format(store=store), encoding="utf-8")
    code, _, err = call("run", config, "-s", "data.start=2030-01-01", "--out", tmp_path / "runs")
    assert code == 66
    assert "data.start 2030-01-01 and data.end none leave no row of the store; it holds 2023-01-01 to 2023-07-1" in err
