"""A run, end to end: walk-forward, the run folder, and the same numbers in any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import btcflow
from btcflow.api import Result
from btcflow.config.experiment import Experiment
from btcflow.config.load import load_config
from btcflow.runs.evaluate import segment_rows
from btcflow.runs.execute import Execution, execute
from btcflow.runs.lock import result_digest

SWEPT = """\
name: swept
data: {source: simulated, seed: 9, years: 4}
timeframes: [1D, 3D]
strategy: funding_fade
sweep:
  trials: 24
  batch: 8
  space: {window: [30, 60, 90], entry_z: {low: 0.5, high: 2.0, step: 0.5}}
split: {train: 0.5, folds: 3}
seed: 3
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("swept") / "swept.yaml"
    path.write_text(SWEPT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(swept: Path) -> Execution:
    return execute(load_config(swept))


@pytest.fixture(scope="module")
def result(swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return btcflow.run(swept, out=tmp_path_factory.mktemp("runs"))


def test_every_fold_chooses_the_best_set_of_its_own_training_span(found: Execution) -> None:
    for answer in found.answers:
        assert answer.trials is not None
        for number, chosen in enumerate(answer.folds, start=1):
            tried = answer.trials[(answer.trials["fold"] == number) & (answer.trials["state"] == "COMPLETE")]
            best = tried.loc[tried["value"].idxmax()]
            assert {name: chosen.values[name] for name in ("window", "entry_z")} == {
                "window": best["param_window"],
                "entry_z": best["param_entry_z"],
            }
            assert chosen.train.sharpe == pytest.approx(best["in_sample_sharpe"], rel=1e-9)
            assert chosen.test.sharpe == pytest.approx(best["out_of_sample_sharpe"], rel=1e-9)


def test_what_came_after_the_cut_cannot_change_what_was_chosen(swept: Path, found: Execution) -> None:
    """The law of the search: cut the market at the end of the first test span, and the first fold chooses the same."""
    experiment = load_config(swept)
    first = found.answers[0].folds[0].fold
    end = pd.Timestamp(first.test_end, unit="ns", tz="UTC")
    days = (first.test_end - first.train_start) / 86_400e9
    train = (first.train_end - first.train_start) / 86_400e9 / days
    shorter = experiment.model_copy(update={"split": experiment.split.model_copy(update={"folds": 1, "train": train})})
    again = execute(shorter, dataset=found.dataset.upto(end))
    for old, new in zip(found.answers, again.answers, strict=True):
        assert new.folds[0].fold == first
        assert dict(new.folds[0].values) == dict(old.folds[0].values)
        rows = len(new.ledger)
        assert np.array_equal(new.ledger.equity, old.ledger.equity[:rows])


def test_the_stitched_path_is_the_first_choice_before_the_cut_and_each_choice_in_its_own_test(found: Execution) -> None:
    from btcflow.engine.signals import clock_targets

    answer = found.main
    clock, quantity = answer.ledger.clock, np.sign(answer.ledger.quantity[:, 0])
    whole = clock_targets(found.strategy, answer.bars, [one.values for one in answer.folds], delay=0)
    first = int(np.searchsorted(answer.bars.panel.clock.opens, clock.opens[0]))
    for number, chosen in enumerate(answer.folds):
        start, end = segment_rows(
            clock, chosen.fold.test_start if number else chosen.fold.train_start, chosen.fold.test_end
        )
        assert np.array_equal(quantity[start:end], np.sign(whole[first + start : first + end, number]))


def test_all_timeframes_are_compared_on_one_clock_and_span(found: Execution) -> None:
    clocks = [one.ledger.clock for one in found.answers]
    assert all(np.array_equal(clocks[0].opens, one.opens) for one in clocks)
    assert len({one.cut for one in found.answers}) == 1


def test_in_and_out_of_sample_add_up_to_the_ledger(found: Execution) -> None:
    for answer in found.answers:
        for name, column in (
            ("price", "price_pnl"),
            ("funding", "funding"),
            ("fees", "fees"),
            ("slippage", "slippage"),
        ):
            total = getattr(answer.in_sample, name) + getattr(answer.out_of_sample, name)
            assert total == pytest.approx(float(getattr(answer.ledger, column).sum()), abs=1e-6)
        change = float(answer.ledger.equity[-1, 0]) - found.experiment.market.capital
        parts = sum(
            getattr(one, name)
            for one in (answer.in_sample, answer.out_of_sample)
            for name in ("price", "funding", "fees", "slippage")
        )
        assert parts == pytest.approx(change, abs=1e-9 * max(1.0, abs(change)) * 10)


def test_the_run_folder_holds_every_file_and_they_agree(result: Result) -> None:
    folder = result.folder
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("experiment.yaml", "lock.json", "summary.json", "report.html"),
        *(f"{name}.parquet" for name in ("equity", "ledger", "signals", "trades", "trials")),
    }
    summary, lock = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("summary.json", "lock.json"))
    assert lock["result_digest"] == summary["lock"]["result_digest"] == result_digest(summary)
    ledger, equity = (pd.read_parquet(folder / f"{name}.parquet") for name in ("ledger", "equity"))
    assert np.array_equal(ledger["equity"], equity["equity"])
    trades = pd.read_parquet(folder / "trades.parquet")
    assert trades["net"].sum() == pytest.approx(equity["equity"].iloc[-1] - 100_000, abs=1e-6)
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(trials) == summary["verdict"]["trials"] == 2 * 3 * 24
    assert load_config(folder / "experiment.yaml").resolved() == load_config(folder / "experiment.yaml").resolved()
    assert "SIMULATED" in (folder / "report.html").read_text(encoding="utf-8")


def test_no_journal_and_no_scratch_is_left_behind(result: Result) -> None:
    assert [path.name for path in result.folder.parent.iterdir()] == [result.folder.name]


def test_the_summary_says_what_the_issue_of_trust_needs(result: Result) -> None:
    summary = result.summary
    assert summary["verdict"]["label"] == "NOT ASSESSED"
    assert str(summary["verdict"]["trials"]) in summary["verdict"]["sentence"]
    assert [row["timeframe"] for row in summary["timeframes"]] == ["1D", "3D"]
    assert summary["synthetic"] is True
    assert any("SIMULATED" in text for text in summary["warnings"])


def _summary_in_a_process(config: Path, out: Path, **environment: str) -> dict[str, object]:
    code = "import sys, json, btcflow; print(json.dumps(btcflow.run(sys.argv[1], out=sys.argv[2]).summary))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(config), str(out)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    summary: dict[str, object] = json.loads(done.stdout)
    return summary


def test_two_processes_with_other_hash_seeds_and_threads_give_the_same_summary(
    swept: Path, tmp_path: Path, result: Result
) -> None:
    one = _summary_in_a_process(swept, tmp_path / "a", PYTHONHASHSEED="1", NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1")
    two = _summary_in_a_process(swept, tmp_path / "b", PYTHONHASHSEED="99", NUMBA_NUM_THREADS="2", OMP_NUM_THREADS="2")
    assert one == two == json.loads(json.dumps(result.summary))


def test_an_interrupted_search_goes_on_where_it_stopped(swept: Path, tmp_path: Path, result: Result) -> None:
    """Ctrl-C in the middle of the second fold; the same call then ends with the undisturbed result."""
    from contextlib import contextmanager

    calls = []

    @contextmanager
    def impatient(label: str):  # type: ignore[no-untyped-def]
        def report(now: object) -> None:
            calls.append(label)
            if len(calls) == 7:
                raise KeyboardInterrupt

        yield report

    with pytest.raises((KeyboardInterrupt, btcflow.errors.BtcflowError)):
        btcflow.run(swept, out=tmp_path, progress=impatient)
    kept = list((tmp_path / "swept").iterdir())
    assert kept, "the journal is kept"
    again = btcflow.run(swept, out=tmp_path)
    assert again.summary["lock"]["result_digest"] == result.summary["lock"]["result_digest"]
    assert [path.name for path in (tmp_path / "swept").iterdir()] == [again.folder.name]


def test_simulated_truncation_holds_through_the_whole_chain(swept: Path) -> None:
    """Three years of the market and the first three of four give the same signals, bar for bar."""
    long = btcflow.load_panel(load_config(swept))
    short = btcflow.load_panel(load_config(swept, overrides=["data.years=3"]))
    whole, part = (btcflow.metrics(panel, "1W") for panel in (long, short))
    pd.testing.assert_frame_equal(whole.iloc[: len(part) - 1], part.iloc[:-1], check_exact=True)


def test_an_experiment_made_in_python_runs_too(tmp_path: Path) -> None:
    experiment = Experiment(
        name="python",
        data={"source": "simulated", "seed": 2, "years": 2.0},  # type: ignore[arg-type]
        timeframe="1W",
        strategy="buy_and_hold",
    )
    summary = btcflow.run(experiment, out=tmp_path).summary
    held = summary["benchmark"]["buy_and_hold"]
    assert summary["in_sample"] == held["in_sample"]
    assert summary["out_of_sample"] == held["out_of_sample"]
