from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from searches import SAMPLERS, Pressing, assert_same, climb, digest, never, optuna_study, run_child, search

from btcflow.errors import ConfigError, StoreError
from btcflow.search.plan import Sampler
from btcflow.search.progress import Progress
from btcflow.search.space import ParameterSet, Space
from btcflow.search.study import Interrupted, Score

# --- one question, one answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, sampler: Sampler, times: int) -> None:
    storage = tmp_path / "deep" / "study.log"
    with pytest.raises(Interrupted, match="run the same command again") as stopped:
        search(Pressing(2, times), sampler=sampler, storage=storage)
    assert stopped.value.exit_code == 130
    assert f"after {16 * (3 - times)} of" in str(stopped.value)  # a second Ctrl-C drops the running batch
    seen: list[ParameterSet] = []
    resumed = search(lambda sets: (seen.extend(sets), climb(sets))[1], sampler=sampler, storage=storage)
    whole = search(sampler=sampler)
    assert_same(resumed, whole)
    assert 0 < len(seen) < whole.evaluated


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_killed_in_the_middle_of_a_batch_and_resumed_equals_uninterrupted(tmp_path: Path, sampler: Sampler) -> None:
    storage = tmp_path / "study.log"
    died = run_child("kill", sampler, str(storage))
    assert died.returncode == -signal.SIGKILL
    assert 0 < len(optuna_study(storage).trials) < 80
    assert_same(search(sampler=sampler, trials=80, storage=storage), search(sampler=sampler, trials=80))


@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_a_journal_torn_at_any_byte_resumes_to_the_same_table(tmp_path: Path, sampler: Sampler) -> None:
    storage = tmp_path / "study.log"
    whole = search(sampler=sampler, trials=24, batch=8, storage=storage)
    text = storage.read_bytes()
    first_mark = text.index(b"\n", text.index(b'{"btcflow:batches":0}')) + 1
    for cut in range(first_mark, len(text), max(1, len(text) // 29)):
        storage.write_bytes(text[:cut])
        assert_same(search(sampler=sampler, trials=24, batch=8, storage=storage), whole)
        assert_same(search(never, sampler=sampler, trials=24, batch=8, storage=storage), whole)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_memory_and_journal_give_the_same_table(tmp_path: Path, sampler: Sampler) -> None:
    storage = tmp_path / "study.log"
    first = search(sampler=sampler, trials=80, storage=storage)
    assert_same(first, search(sampler=sampler, trials=80))
    assert_same(first, search(never, sampler=sampler, trials=80, storage=storage))


def test_another_process_with_another_hash_seed_gives_the_same_table() -> None:
    here = "\n".join(digest(search(sampler=sampler, trials=80)) for sampler in SAMPLERS)
    for hash_seed in ("1", "2"):
        assert run_child("digest", hash_seed=hash_seed).stdout.strip() == here


def test_another_seed_gives_another_table() -> None:
    assert digest(search(seed=1)) != digest(search(seed=2))
    assert digest(search(sampler="tpe", seed=1)) != digest(search(sampler="tpe", seed=2))


def test_batches_of_one_search_do_not_repeat_each_other() -> None:
    table = search(trials=64, batch=8).table
    blocks = {tuple(table["param_window"].iloc[start : start + 8]) for start in range(0, 64, 8)}
    assert len(blocks) == 8


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_more_trials_go_on_exactly_where_whole_batches_stopped(tmp_path: Path, sampler: Sampler) -> None:
    storage = tmp_path / "study.log"
    search(sampler=sampler, trials=32, storage=storage)
    assert_same(search(sampler=sampler, trials=70, storage=storage), search(sampler=sampler, trials=70))


def test_studies_of_one_file_do_not_touch_each_other(tmp_path: Path) -> None:
    storage = tmp_path / "study.log"
    for seed in (1, 2, 1, 2):
        both = [search(storage=storage, study_name=f"fold {one}", seed=one) for one in (seed, 3 - seed)]
    assert_same(both[0], search(seed=2))
    assert_same(both[1], search(seed=1))


# --- what a stop says -------------------------------------------------------------------------------------------------


def test_a_resumed_search_begins_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        search(Pressing(2), storage=tmp_path / "study.log")
    told: list[Progress] = []
    search(storage=tmp_path / "study.log", progress=told.append)
    assert [one.done for one in told] == [32, 48, 50]


def test_an_interrupt_without_storage_says_that_nothing_is_kept() -> None:
    with pytest.raises(Interrupted, match="after 32 of 50 trials; nothing was kept"):
        search(Pressing(2))


def test_an_interrupt_in_the_last_batch_still_stops(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="after 50 of 50"):
        search(Pressing(4), storage=tmp_path / "study.log")
    assert_same(search(never, storage=tmp_path / "study.log"), search())


# --- journals that are refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"space": Space.of({"window": {"low": 30, "high": 60, "step": 30}})}, "space was"),
        ({"seed": 8}, "seed was 7, is now 8"),
        ({"batch": 8}, "batch was 16, is now 8"),
        ({"sampler": "tpe"}, 'sampler was "random", is now "tpe"'),
        ({"sampler": "grid"}, "sampler was"),
        ({"direction": "minimize"}, "direction was"),
    ],
)
def test_a_journal_of_another_question_is_refused(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    storage = tmp_path / "study.log"
    search(storage=storage)
    with pytest.raises(ConfigError, match="holds another question") as error:
        search(storage=storage, **change)
    assert word in str(error.value)
    assert error.value.exit_code == 78
    assert_same(search(never, storage=storage), search())


def test_whole_numbers_and_floats_are_different_questions(tmp_path: Path) -> None:
    spaces = [Space.of({"a": {"low": 0, "high": 4, "step": step}}) for step in (1, 1.0)]
    search(lambda sets: [Score(0.0) for _ in sets], space=spaces[0], storage=tmp_path / "study.log")
    with pytest.raises(ConfigError, match="another question"):
        search(space=spaces[1], storage=tmp_path / "study.log")


def test_a_file_that_is_no_journal_of_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    storage = tmp_path / "notes.txt"
    storage.write_text("my notes\n")
    with pytest.raises(ConfigError, match="not the journal of a btcflow search"):
        search(storage=storage)
    assert storage.read_text() == "my notes\n"


def test_fewer_trials_than_were_made_are_refused(tmp_path: Path) -> None:
    search(storage=tmp_path / "study.log", trials=32)
    with pytest.raises(ConfigError, match="the journal holds 32 of this study: every trial made counts"):
        search(storage=tmp_path / "study.log", trials=16)


def test_going_on_behind_a_short_batch_is_refused(tmp_path: Path) -> None:
    search(storage=tmp_path / "study.log", trials=20)
    with pytest.raises(ConfigError, match="its last batch is a short one: ask for 20 again"):
        search(storage=tmp_path / "study.log", trials=40)


def test_a_line_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    storage = tmp_path / "study.log"
    search(storage=storage)
    lines = storage.read_bytes().splitlines(keepends=True)
    lines[5] = b"{half a line\n"
    storage.write_bytes(b"".join(lines))
    with pytest.raises(StoreError, match="a line of the journal is damaged"):
        search(storage=storage)


def test_a_second_writer_of_one_journal_is_refused(tmp_path: Path) -> None:
    storage = tmp_path / "study.log"

    def again(sets: list[ParameterSet]) -> list[Score]:
        with pytest.raises(StoreError, match="another process is running this search"):
            search(storage=storage)
        return climb(sets)

    assert_same(search(again, storage=storage), search())


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        search(storage=tmp_path / "file" / "study.log")


def test_the_journal_is_one_that_optuna_reads(tmp_path: Path) -> None:
    found = search(storage=tmp_path / "study.log")
    trials = optuna_study(tmp_path / "study.log").trials
    assert [trial.params["window"] for trial in trials] == found.table["param_window"].to_list()
    assert [trial.state.name for trial in trials] == found.table["state"].to_list()
