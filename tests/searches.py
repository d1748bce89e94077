"""Searches that the tests of the study share, and a program that is killed in the middle of one."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from btcflow.search.plan import Sampler
from btcflow.search.space import ParameterSet, Space
from btcflow.search.study import Evaluate, Score, Trials, optimize

SPACE = Space.of(
    {
        "window": {"low": 30, "high": 240, "step": 30},
        "entry_z": {"low": 0.5, "high": 3.0, "step": 0.25},
        "mode": [0, 2, 1],
    }
)
SAMPLERS: tuple[Sampler, ...] = ("tpe", "random", "nsga2", "grid")
TOP = {"window": 150, "entry_z": 1.75, "mode": 2}


def hill(one: ParameterSet) -> Score:
    """A smooth hill over window and entry_z that is highest in mode 2; no score where both are large."""
    if one["window"] >= 210 and one["entry_z"] >= 2.5:
        return Score(math.nan, reason="no trades")
    value = -(((one["window"] - 150) / 100) ** 2) - (one["entry_z"] - 1.75) ** 2 - 0.1 * (one["mode"] != 2)
    return Score(value, {"trades": one["window"] / 7.0, "side": "long" if one["mode"] else "short"})


def climb(sets: list[ParameterSet]) -> list[Score]:
    return [hill(one) for one in sets]


def search(evaluate: Evaluate = climb, *, sampler: Sampler = "random", trials: int = 50, **rest: Any) -> Trials:
    rest = {"space": SPACE, "seed": 7, "batch": 16, **rest}
    return optimize(rest.pop("space"), evaluate, sampler=sampler, trials=None if sampler == "grid" else trials, **rest)


def assert_same(left: Trials, right: Trials) -> None:
    pd.testing.assert_frame_equal(left.table, right.table, check_exact=True)
    assert left.evaluated == right.evaluated


class Pressing:
    """Evaluates like ``climb`` and presses Ctrl-C a number of times inside one block."""

    def __init__(self, block: int, times: int = 1) -> None:
        self.block, self.times, self.blocks = block, times, 0

    def __call__(self, sets: list[ParameterSet]) -> list[Score]:
        self.blocks += 1
        if self.blocks == self.block:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)
        return climb(sets)


def never(sets: list[ParameterSet]) -> list[Score]:
    raise AssertionError(f"evaluated {len(sets)} sets that were known")


def digest(found: Trials) -> str:
    return str(pd.util.hash_pandas_object(found.table).sum())


def optuna_study(storage: Path) -> Any:
    backend = optuna.storages.journal.JournalFileBackend(str(storage))
    return optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))


def kill_in_the_third_block(storage: str) -> Callable[[list[ParameterSet]], list[Score]]:
    blocks = iter(range(10))

    def evaluate(sets: list[ParameterSet]) -> list[Score]:
        if next(blocks) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return climb(sets)

    return evaluate


def run_child(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    """This file as a program of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False, env=environment
    )


if __name__ == "__main__":
    if sys.argv[1] == "digest":
        for one in SAMPLERS:
            sys.stdout.write(digest(search(sampler=one, trials=80)) + "\n")
    else:
        search(
            kill_in_the_third_block(sys.argv[3]),
            sampler=sys.argv[2],  # type: ignore[arg-type]
            trials=80,
            storage=Path(sys.argv[3]),
        )
