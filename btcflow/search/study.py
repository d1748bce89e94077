"""The search itself, and the one door to Optuna: ask for a batch of parameter sets, evaluate it as one block, tell."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from btcflow.errors import BtcflowError, ConfigError, ContractError
from btcflow.search.journal import MARK, Alone, HeldBack, only_writer
from btcflow.search.plan import Direction, Plan, Sampler
from btcflow.search.progress import OnProgress, Progress
from btcflow.search.space import Axis, ParameterSet, Space
from btcflow.search.trials import Score, Sheet, Trials

__all__ = ["Evaluate", "Interrupted", "Score", "Trials", "optimize"]

Evaluate = Callable[[list[ParameterSet]], list[Score]]
"""Scores a block of parameter sets: one :class:`Score` per set, in order."""

_PLAN, _NOTE, _GRID = "btcflow:plan", "btcflow:score", "btcflow:grid:"


class Interrupted(BtcflowError):
    """Stopped by Ctrl-C after a whole batch; says how to go on."""

    exit_code = 130


def optimize(  # noqa: PLR0913 - the question in full, by keyword
    space: Space,
    evaluate: Evaluate,
    *,
    seed: int,
    trials: int | None = None,
    batch: int = 32,
    sampler: Sampler = "tpe",
    storage: Path | None = None,
    study_name: str = "search",
    progress: OnProgress | None = None,
    direction: Direction = "maximize",
) -> Trials:
    """Search a space for the parameter set with the best score.

    The table is a function of the arguments (and of the versions installed) alone. A batch is asked
    with a sampler of its own, seeded by (``seed``, number of finished batches), that sees the
    finished trials only. So a search that was interrupted or killed and is called again with the
    same arguments gives bit for bit what it would have given undisturbed.

    Parameters
    ----------
    space : the axes
    evaluate : scores a list of different, new parameter sets; ``batch`` of them at most. It has to be
        deterministic. A set it cannot score is a NaN with a reason, never an exception
    seed : 0 or more
    trials : how many; needed except for ``grid``, which makes every set once
    batch : sets per block. More is faster, and a learning sampler learns less often
    sampler : ``tpe`` learns from finished trials, ``nsga2`` breeds them, ``random`` and ``grid`` do not look
    storage : journal that keeps the search, shared by any number of studies; None keeps nothing. A fused
        grid of millions is faster run again than read back
    study_name : names what ``evaluate`` evaluates (data, fold, rule) inside the journal: the same name
        promises the same scores
    progress : called at the start and after every batch
    direction : ``maximize`` or ``minimize`` the score

    Returns
    -------
    Trials, failed and repeated ones included. A set asked for again is not evaluated again: it is told the
    score it got. Ties go to the lowest trial number.

    Raises
    ------
    ConfigError
        for a wrong argument, or a journal that holds another question under this name.
    Interrupted
        after Ctrl-C, once the running batch is finished and kept; a second Ctrl-C drops the batch.
    ContractError
        where ``evaluate`` does not return one score per set.
    """
    plan = Plan(space=space, sampler=sampler, seed=seed, batch=batch, direction=direction)
    total = plan.total(trials)
    run = _Run(plan, evaluate, total=total, storage=storage, progress=progress)
    with only_writer(storage) if storage else nullcontext(), run.until_interrupted():
        if sampler == "grid" and storage is None:
            return _grid(run, None)
        with _quiet_optuna():
            book = _Book(plan, storage, study_name)
            return _grid(run, book) if sampler == "grid" else _sampled(run, book)


class _Run:
    """One call of :func:`optimize`: its sheet, its block evaluations, its progress, its Ctrl-C."""

    def __init__(
        self, plan: Plan, evaluate: Evaluate, *, total: int, storage: Path | None, progress: OnProgress | None
    ) -> None:
        self.plan, self.total = plan, total
        self.sheet = Sheet(plan.space, plan.direction)
        self._evaluate, self._storage, self._progress = evaluate, storage, progress
        self._began = time.perf_counter()
        self._stop = False

    def scores(self, sets: list[ParameterSet]) -> list[Score]:
        """Evaluate one block."""
        if not sets:
            return []
        found = self._evaluate([dict(one) for one in sets])
        if len(found) != len(sets) or not all(isinstance(one, Score) for one in found):
            raise ContractError("one score per set", "evaluate", f"got {len(found)} results for {len(sets)} sets")
        return [one.plain() for one in found]

    def report(self) -> None:
        """Tell the progress, then stop where Ctrl-C was pressed."""
        if self._progress is not None:
            sheet = self.sheet
            self._progress(
                Progress(
                    done=len(sheet),
                    total=self.total,
                    failed=sheet.failed,
                    elapsed=time.perf_counter() - self._began,
                    best=sheet.best,
                    best_params=sheet.best_params,
                )
            )
        if self._stop:
            raise KeyboardInterrupt

    @contextmanager
    def until_interrupted(self) -> Iterator[None]:
        """Turn the first Ctrl-C into a stop after the running batch, and any into :class:`Interrupted`."""
        main = threading.current_thread() is threading.main_thread()
        ours = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if ours:
            signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted(self._farewell()) from None
        finally:
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_interrupt(self, number: int, frame: object) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True

    def _farewell(self) -> str:
        done = f"interrupted after {len(self.sheet)} of {self.total} trials"
        if self._storage is None:
            return f"{done}; nothing was kept: give the search a storage file to be able to resume it"
        return f"{done}; they are kept in {self._storage}: run the same command again to go on from there"


class _Book:
    """An Optuna study and the file that keeps it; in memory only where there is no file."""

    def __init__(self, plan: Plan, storage: Path | None, name: str) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        self._backend: HeldBack | None = None
        keep: Any = optuna.storages.InMemoryStorage()
        if storage is not None:
            self._backend = HeldBack(JournalFileBackend(str(storage), lock_obj=Alone()), storage)
            keep = optuna.storages.JournalStorage(self._backend)
        if name in optuna.get_all_study_names(keep):
            self.study = optuna.load_study(study_name=name, storage=keep)
            _refuse_other_plan(plan, self.study.user_attrs.get(_PLAN), name, storage)
            return
        self.study = optuna.create_study(study_name=name, storage=keep, direction=plan.direction)
        self.study.set_user_attr(_PLAN, _written(plan))
        self.commit(0)

    def commit(self, batches: int) -> None:
        """Mark a batch as whole and write it."""
        self.study.set_user_attr(MARK, batches)
        if self._backend is not None:
            self._backend.flush()


def _sampled(run: _Run, book: _Book) -> Trials:
    """Batches of ask, evaluate, tell; repeated sets are told what they scored before."""
    axes, study = run.plan.space.axes, book.study
    distributions = {axis.name: _distribution(axis) for axis in axes}
    known: dict[tuple[int | float, ...], Score] = {}
    for trial in study.get_trials(deepcopy=False):
        params, score = _params(axes, trial.params), _written_score(trial)
        known.setdefault(tuple(params.values()), score)
        run.sheet.add(params, score)
    _refuse_other_length(run, len(run.sheet))
    run.report()
    while len(run.sheet) < run.total:
        batches = len(run.sheet) // run.plan.batch
        study.sampler = _fresh_sampler(run.plan, batches)
        size = min(run.plan.batch, run.total - len(run.sheet))
        asked = [study.ask(distributions) for _ in range(size)]
        sets = [_params(axes, trial.params) for trial in asked]
        new = {key: one for one in sets if (key := tuple(one.values())) not in known}
        known.update(zip(new, run.scores(list(new.values())), strict=True))
        told = [known[tuple(one.values())] for one in sets]
        for trial, score in zip(asked, told, strict=True):
            _tell(study, trial, score)
        book.commit(batches + 1)
        for params, score in zip(sets, told, strict=True):
            run.sheet.add(params, score)
        run.report()
    return run.sheet.trials(evaluated=len(known))


def _grid(run: _Run, book: _Book | None) -> Trials:
    """Every set once, in grid order, a block at a time; finished blocks are read back."""
    kept = book.study.user_attrs if book is not None else {}
    run.report()
    sets = run.plan.space.grid()
    for block in itertools.count():
        params = list(itertools.islice(sets, run.plan.batch))
        if not params:
            break
        key = f"{_GRID}{block}"
        if key in kept:
            scores = [Score(value, attrs, reason) for value, attrs, reason in kept[key]]
        else:
            scores = run.scores(params)
            if book is not None:
                book.study.set_user_attr(key, [(one.value, one.attrs, one.reason) for one in scores])
                book.commit(block + 1)
        for one, score in zip(params, scores, strict=True):
            run.sheet.add(one, score)
        run.report()
    return run.sheet.trials(evaluated=len(run.sheet))


def _fresh_sampler(plan: Plan, batches: int) -> Any:
    """Make the sampler of the next batch; it remembers nothing of the batches before."""
    from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

    kinds = {"tpe": TPESampler, "random": RandomSampler, "nsga2": NSGAIISampler}
    return kinds[plan.sampler](seed=plan.batch_seed(batches))


def _distribution(axis: Axis) -> Any:
    """How Optuna sees an axis: a float range by the position of its values, which has no drift."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if axis.choices is not None:
        return CategoricalDistribution(axis.choices)
    if axis.kind == "int":
        return IntDistribution(cast("int", axis.low), cast("int", axis.high), step=cast("int", axis.step))
    return IntDistribution(0, len(axis.values) - 1)


def _params(axes: tuple[Axis, ...], suggested: dict[str, Any]) -> ParameterSet:
    return {
        axis.name: axis.values[suggested[axis.name]] if _by_position(axis) else suggested[axis.name] for axis in axes
    }


def _by_position(axis: Axis) -> bool:
    return axis.choices is None and axis.kind == "float"


def _tell(study: Any, trial: Any, score: Score) -> None:
    from optuna.trial import TrialState

    trial.set_user_attr(_NOTE, {"value": score.value, "attrs": dict(score.attrs), "reason": score.reason})
    if score.value == score.value:
        study.tell(trial, score.value)
    else:
        study.tell(trial, state=TrialState.FAIL)


def _written_score(trial: Any) -> Score:
    note = trial.user_attrs.get(_NOTE)
    if note is None:
        raise ConfigError(f"trial {trial.number} of the journal was not made by btcflow; give this search another file")
    return Score(note["value"], note["attrs"], note["reason"])


def _written(plan: Plan) -> dict[str, Any]:
    """Return the plan with Optuna's version, on which the asked sets depend too."""
    import optuna

    return {**plan.written(), "optuna": optuna.__version__}


def _refuse_other_plan(plan: Plan, kept: dict[str, Any] | None, name: str, storage: Path | None) -> None:
    if kept is None:
        raise ConfigError(f"{storage}: the study {name!r} is not btcflow's; give this search another name or file")
    now = _written(plan)
    changed = [key for key in now if json.dumps(kept.get(key)) != json.dumps(now[key])]
    if changed:
        raise ConfigError(
            [
                f"{storage}: the study {name!r} holds another question; "
                "give this search another name, or remove the file",
                *(f"  {key} was {json.dumps(kept.get(key))}, is now {json.dumps(now[key])}" for key in changed),
            ]
        )


def _refuse_other_length(run: _Run, done: int) -> None:
    """More trials go on exactly where fewer stopped, unless the last batch was a short one."""
    if done > run.total:
        raise ConfigError(
            f"search.trials is {run.total}, the journal holds {done} of this study: every trial made counts, "
            f"ask for {done} or more, or name another study"
        )
    if done < run.total and done % run.plan.batch:
        raise ConfigError(
            f"search.trials is {run.total}, the journal holds {done} of this study and its last batch is a short one: "
            f"ask for {done} again, or name another study"
        )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Optuna's own log lines off, and back as they were."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
