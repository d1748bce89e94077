"""One subject on one market: computing it undisturbed, and saying how two results differ."""

from __future__ import annotations

import contextlib
import math
import pickle
import random
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from btcflow.contracts.subject import Subject
from btcflow.contracts.trial import Trial
from btcflow.errors import MissingData
from btcflow.flow.bars import Bars
from btcflow.panel import Panel

__all__ = ["WHOLE", "Case", "Failed", "Fault", "LeftBehind", "NotApplicable", "Outcome", "difference", "moment"]

_HERE = str(Path(__file__).parent)
WHOLE = "the whole market"


@dataclass(frozen=True)
class Fault:
    """How a law was broken: where the world was changed, the first row that differs, and by how much."""

    at: str
    detail: str


@dataclass(frozen=True)
class NotApplicable:
    """Why a law cannot be tried on a subject."""

    reason: str


@dataclass
class LeftBehind:
    """The states of the global random generators after computing, and whether numpy's settings were changed."""

    random_states: tuple[int, int] = (0, 0)
    settings_changed: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a subject gave: when each row was decided, its values as they came, and as float64."""

    decided: np.ndarray
    given: Any
    values: np.ndarray
    left_behind: LeftBehind

    def __len__(self) -> int:
        return len(self.values)


class Failed(Exception):
    """The subject raised, or gave what is no number per bar: on which market, and which law speaks about it."""

    def __init__(self, detail: str, *, at: str, law: str = "shape") -> None:
        self.at, self.law = at, law
        super().__init__(detail)


class Case:
    """A subject on a trial; what it gives on the whole market is computed once."""

    def __init__(self, subject: Subject, trial: Trial) -> None:
        self.subject, self.trial = subject, trial
        self._data_before = _data_of(subject.function)
        self.whole = self.on(trial.panel, WHOLE)

    def on(self, panel: Panel, at: str) -> Outcome:
        """The subject on one of the trial's panels; ``at`` says in words what was changed in it.

        Raises
        ------
        Failed
            where it raises, or does not give one number per bar.
        """
        return self._compute(self.trial.bars(panel, self.subject.options), at, seed=0)

    def afresh(self, panel: Panel, at: str, *, seed: int = 0) -> Outcome:
        """The subject on bars that nobody has used, under another state of the global random generators."""
        return self._compute(Bars(panel, self.trial.timeframe, self.subject.options), at, seed=seed)

    def traces(self) -> list[str]:
        """Names of module data, or of variables around its function, that are not what they were."""
        now = _data_of(self.subject.function)
        return sorted(name for name in {*now, *self._data_before} if now.get(name) != self._data_before.get(name))

    @cached_property
    def has_values(self) -> bool:
        """Whether any row has a value."""
        return bool(np.isfinite(self.whole.values).any())

    def _compute(self, bars: Bars, at: str, *, seed: int) -> Outcome:
        with _undisturbed(seed) as left_behind:
            try:
                decided, given = self.subject.compute(bars)
            except Exception as error:
                raise Failed(f"it raised {self._told(error)}", at=at, law=_law_of(error)) from error
        expected = f"expected float64 ({len(decided)},)"
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise Failed(f"it gave {type(given).__name__}, {expected}: {error}", at=at) from error
        if values.shape != decided.shape:
            raise Failed(f"it gave {type(given).__name__} of {values.shape}, {expected}", at=at)
        return Outcome(decided=decided, given=given, values=values, left_behind=left_behind)

    def _told(self, error: Exception) -> str:
        """``ValueError: text (file:line)``, the line being the last one outside btcflow's own checks and libraries."""
        frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(_HERE)]
        code = getattr(self.subject.function, "__code__", None)
        own = [one for one in frames if code is not None and one.filename == code.co_filename] or frames
        place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
        return f"{type(error).__name__}: {str(error).strip()}{place}"


def _law_of(error: Exception) -> str:
    """The law that a refusal speaks about."""
    if isinstance(error, MissingData):
        return "needs"
    text = str(error)
    return "purity" if "read-only" in text or "WRITEABLE" in text else "shape"


def difference(outcome: Outcome, other: Outcome, rows: int | None = None, *, within: float = 0.0) -> str | None:
    """The first row that is not the same (NaN equals NaN), by how much, and how many there are; in words.

    Bit for bit, or where ``within`` is given to that part of the larger value or of 1.
    """
    left, right = outcome.values[:rows], other.values[:rows]
    if left.shape != right.shape:
        return f"{len(left)} rows against {len(right)}"
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    if within:
        with np.errstate(invalid="ignore"):
            scale = np.maximum(1.0, np.maximum(np.abs(left), np.abs(right)))
            same |= np.abs(left - right) <= within * scale
    if same.all():
        return None
    row = int((~same).argmax())
    was, now = float(left[row]), float(right[row])
    by = f" (by {now - was:+.3g})" if math.isfinite(was) and math.isfinite(now) else ""
    changed = f"row {row} (decided {moment(outcome.decided[row])}) was {was:.10g} and is {now:.10g}{by}"
    return f"{changed}; {int((~same).sum())} of {len(left)} rows differ"


def moment(instant: int | pd.Timestamp) -> str:
    """An instant as ``2019-02-13 00:05``."""
    at = instant if isinstance(instant, pd.Timestamp) else pd.Timestamp(int(instant), unit="ns", tz="UTC")
    return at.strftime("%Y-%m-%d %H:%M")


@contextlib.contextmanager
def _undisturbed(seed: int) -> Iterator[LeftBehind]:
    """Start from a known global state, and put everything back after."""
    numpy_state, python_state, settings = np.random.get_state(), random.getstate(), np.geterr()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    found = LeftBehind()
    try:
        yield found
        drawn = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
        found.random_states = (hash((drawn["key"].tobytes(), drawn["pos"])), hash(random.getstate()))
        found.settings_changed = np.geterr() != settings
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        np.seterr(**settings)


def _data_of(function: Callable[..., Any] | None) -> dict[str, bytes]:
    """The data a function can reach without being given it: of its module, and of what encloses it."""
    if function is None or not hasattr(function, "__globals__"):
        return {}
    code, cells = function.__code__, function.__closure__ or ()
    reached = {**function.__globals__, **dict(zip(code.co_freevars, (_content(one) for one in cells), strict=True))}
    reached |= {f"a default of {function.__name__}": function.__defaults__ or ()}
    return {
        name: _digest(value)
        for name, value in reached.items()
        if not name.startswith("__") and not isinstance(value, ModuleType | type) and not callable(value)
    }


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _digest(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001 - whatever a person's object raises: then its identity has to do
        return repr(id(value)).encode()
