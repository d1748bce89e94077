from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
from searches import SAMPLERS, SPACE, TOP, Pressing, assert_same, climb, hill, never, optuna_study, search

from btcflow.errors import CheckFailed, ConfigError, ContractError, UnknownName
from btcflow.search.plan import Sampler
from btcflow.search.progress import Progress
from btcflow.search.space import ParameterSet, Space
from btcflow.search.study import Interrupted, Score, optimize

# --- what it finds --------------------------------------------------------------------------------------------------


def test_the_grid_is_every_set_in_grid_order_and_finds_the_top() -> None:
    found = search(sampler="grid")
    sets = list(SPACE.grid())
    assert found.table[["param_window", "param_entry_z", "param_mode"]].to_dict("records") == [
        {f"param_{name}": value for name, value in one.items()} for one in sets
    ]
    assert found.table["value"].to_list() == pytest.approx([hill(one).value for one in sets], abs=0, nan_ok=True)
    assert found.best == TOP
    assert (found.count, found.evaluated) == (SPACE.size, SPACE.size)


@pytest.mark.parametrize(("sampler", "trials", "short"), [("tpe", 96, 0.07), ("random", 400, 0.2), ("nsga2", 200, 0.2)])
def test_a_sampler_comes_near_the_top_of_a_smooth_hill(sampler: Sampler, trials: int, short: float) -> None:
    for seed in (1, 2, 3):
        assert search(sampler=sampler, trials=trials, seed=seed).best_value >= -short


def test_learning_beats_looking_blindly() -> None:
    space = Space.of({name: {"low": -50, "high": 50, "step": 1} for name in "abcd"})

    def bowl(sets: list[ParameterSet]) -> list[Score]:
        return [Score(-float(sum(value**2 for value in one.values()))) for one in sets]

    learned = [search(bowl, space=space, sampler="tpe", trials=128, seed=seed).best_value for seed in (1, 2, 3)]
    blind = [search(bowl, space=space, trials=128, seed=seed).best_value for seed in (1, 2, 3)]
    assert min(learned) > max(blind)


def test_minimize_finds_the_lowest() -> None:
    found = search(sampler="grid", direction="minimize")
    assert found.best_value == min(one.value for one in climb(list(SPACE.grid())) if not math.isnan(one.value))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_equals_the_earliest_is_the_best(sampler: Sampler, direction: Any) -> None:
    told: list[Progress] = []
    flat = search(lambda sets: [Score(1.0) for _ in sets], sampler=sampler, direction=direction, progress=told.append)
    assert flat.best_number == 0
    assert dict(told[-1].best_params) == flat.best
    table = search(lambda sets: [Score(float(one["mode"] == 1)) for one in sets], sampler=sampler).table
    ones = table.index[table["value"] == 1.0]
    found = search(lambda sets: [Score(float(one["mode"] == 1)) for one in sets], sampler=sampler)
    assert found.best_number == ones[0]


def test_values_asked_for_are_values_of_the_axes() -> None:
    sets: list[ParameterSet] = []
    found = search(lambda block: (sets.extend(block), climb(block))[1], trials=200)
    for one in sets:
        assert list(one) == ["window", "entry_z", "mode"]
        for name, value in one.items():
            assert any(value == known and type(value) is type(known) for known in SPACE.values(name))
    for axis in SPACE.axes:
        assert set(found.table[f"param_{axis.name}"]) == set(axis.values)


# --- blocks, repeats and failures -----------------------------------------------------------------------------------


def test_a_block_is_one_call_and_holds_only_new_sets() -> None:
    blocks: list[int] = []
    found = search(lambda sets: (blocks.append(len(sets)), climb(sets))[1], trials=50)
    assert len(blocks) == 4
    assert max(blocks) <= 16
    assert sum(blocks) == found.evaluated <= 50


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_a_repeated_set_is_evaluated_once_and_told_the_same(sampler: Sampler) -> None:
    space = Space.of({"a": [1, 2], "b": {"low": 0.0, "high": 0.1, "step": 0.1}})
    calls: list[tuple[float, ...]] = []

    def numbered(sets: list[ParameterSet]) -> list[Score]:
        calls.extend(tuple(one.values()) for one in sets)
        return [
            Score(math.nan if one["a"] == 2 else float(len(calls)), {"at": float(len(calls))}, "why") for one in sets
        ]

    found = search(numbered, space=space, sampler=sampler, trials=40)
    assert len(calls) == len(set(calls)) == found.evaluated <= 4
    assert found.count == 40
    same = found.table.groupby(["param_a", "param_b"])[["value", "at", "reason", "state"]].nunique(dropna=False)
    assert (same == 1).all(axis=None)


def test_a_set_without_a_score_is_a_row_with_its_reason() -> None:
    found = search(sampler="grid")
    failed = found.table[found.table["state"] == "FAIL"]
    assert len(failed) == found.failed == 2 * 3 * 3
    assert set(failed["reason"]) == {"no trades"}
    assert failed["value"].isna().all()
    assert found.table.drop(failed.index)["reason"].isna().all()
    assert failed[["trades", "side"]].isna().all(axis=None)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_score_is_a_failure_in_words(value: float) -> None:
    found = search(lambda sets: [Score(value) for _ in sets], trials=20)
    assert (found.failed, set(found.table["reason"])) == (20, {f"the score is {value}"})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_where_nothing_scores_ends_and_says_why(sampler: Sampler) -> None:
    found = search(lambda sets: [Score(math.nan, reason="no trades") for _ in sets], sampler=sampler, trials=64)
    assert found.failed == found.count
    with pytest.raises(CheckFailed, match=r"failed: no trades \(\d+\)"):
        _ = found.best


def test_the_table_has_its_columns_in_order_and_their_kinds() -> None:
    kinds = {name: str(kind) for name, kind in search().table.dtypes.items()}
    assert kinds == {
        "number": "int64",
        "param_window": "int64",
        "param_entry_z": "float64",
        "param_mode": "int64",
        "value": "float64",
        "state": "str",
        "reason": "str",
        "trades": "float64",
        "side": "str",
    }


def test_an_attribute_that_comes_late_is_missing_before() -> None:
    space = Space.of({"a": [1, 2, 3]})
    found = search(
        lambda sets: [Score(0.0, {"late": 1.0} if one["a"] == 2 else {}) for one in sets], space=space, sampler="grid"
    )
    assert found.table["late"].isna().to_list() == [True, False, True]


def test_what_evaluate_does_to_its_sets_stays_there() -> None:
    def careless(sets: list[ParameterSet]) -> list[Score]:
        scores = climb(sets)
        for one in sets:
            one.clear()
        return scores

    assert_same(search(careless), search())


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "search.trials is 0; expected a whole number, 1 or more"),
        ({"trials": None}, "search.trials is missing; expected how many sets random may try"),
        ({"batch": 0}, "search.batch is 0"),
        ({"seed": -1}, "search.seed is -1; expected a whole number, 0 or more"),
        ({"seed": True}, "search.seed is True"),
        ({"direction": "max"}, "search.direction is 'max'"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        search(never, **change)


def test_an_unknown_sampler_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'random'"):
        search(sampler="randm")  # type: ignore[arg-type]


def test_a_grid_larger_than_the_trials_allowed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"search\.trials is 10; the grid holds 264 sets"):
        optimize(SPACE, never, sampler="grid", seed=0, trials=10)


@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_an_evaluation_that_loses_a_set_breaks_the_contract(sampler: Sampler) -> None:
    with pytest.raises(ContractError, match="one score per set: got 15 results for 16 sets"):
        search(lambda sets: climb(sets)[1:], sampler=sampler)


@pytest.mark.parametrize("name", ["value", "number", "state", "reason", "param_window"])
def test_an_attribute_may_not_take_a_column_of_the_table(name: str) -> None:
    with pytest.raises(ContractError, match=name):
        search(lambda sets: [Score(0.0, {name: 1.0}) for _ in sets])


def test_an_evaluation_that_raises_is_a_bug_and_keeps_the_batches_before(tmp_path: Path) -> None:
    def fragile(sets: list[ParameterSet]) -> list[Score]:
        if len(optuna_study(tmp_path / "study.log").trials) == 32:
            raise ZeroDivisionError
        return climb(sets)

    with pytest.raises(ZeroDivisionError):
        search(fragile, storage=tmp_path / "study.log")
    assert_same(search(storage=tmp_path / "study.log"), search())


# --- around it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_progress_is_told_at_the_start_and_after_every_batch(sampler: Sampler) -> None:
    told: list[Progress] = []
    found = search(sampler=sampler, trials=40, progress=told.append)
    assert [one.done for one in told] == [*range(0, found.count, 16), found.count]
    assert {one.total for one in told} == {found.count}
    assert (told[0].best, told[-1].best, told[-1].failed) == (None, found.best_value, found.failed)
    assert dict(told[-1].best_params) == found.best
    assert [one.elapsed for one in told] == sorted(one.elapsed for one in told)


@pytest.mark.parametrize("level", [optuna.logging.DEBUG, optuna.logging.INFO])
def test_nothing_global_is_left_behind(tmp_path: Path, level: int) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(level)
    before = level, signal.getsignal(signal.SIGINT)
    search(storage=tmp_path / "study.log")
    with pytest.raises(Interrupted):
        search(Pressing(1))
    with pytest.raises(ZeroDivisionError):
        search(lambda sets: [Score(1 / 0) for _ in sets])
    assert (optuna.logging.get_verbosity(), signal.getsignal(signal.SIGINT)) == before
    optuna.logging.set_verbosity(verbosity)
    assert [path.name for path in tmp_path.iterdir()] == ["study.log"]


def test_an_application_with_its_own_ctrl_c_keeps_it() -> None:
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        assert_same(search(Pressing(2)), search())
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [signal.SIGINT]


def test_optuna_says_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    search(sampler="tpe", storage=tmp_path / "study.log")
    assert capfd.readouterr() == ("", "")
