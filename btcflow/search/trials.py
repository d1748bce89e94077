"""What a search found: every trial with its score, also the failed ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from btcflow.errors import CheckFailed, ContractError
from btcflow.search.plan import Direction
from btcflow.search.space import ParameterSet, Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Score", "Sheet", "Trials"]

_OWN_COLUMNS = frozenset({"number", "value", "state", "reason"})


@dataclass(frozen=True)
class Score:
    """What one parameter set earned on the training span.

    Attributes
    ----------
    value : the objective, NaN where the set could not be scored
    attrs : further numbers or words of the set, a table column each; the value is searched, these are kept
    reason : why there is no value, or what a reader should know about it
    """

    value: float
    attrs: Mapping[str, float | str] = field(default_factory=dict)
    reason: str | None = None

    def plain(self) -> Score:
        """Return the score in plain floats and words; a value that is not finite becomes NaN with its reason."""
        value = float(self.value)
        reason = self.reason
        if not math.isfinite(value):
            reason = reason or f"the score is {value}"
            value = math.nan
        attrs = {name: one if isinstance(one, str) else float(one) for name, one in self.attrs.items()}
        return Score(value, attrs, reason)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """Every trial of a search in the order it was made.

    Attributes
    ----------
    table : one row per trial: ``number``, ``param_<name>`` per axis, ``value`` (NaN where it failed),
        ``state`` (``COMPLETE`` or ``FAIL``), ``reason`` (missing where there is none), then the attrs
    space : what was searched
    direction : whether more or less is better
    evaluated : how many different parameter sets were evaluated; the other trials repeated one of them
    """

    table: pd.DataFrame
    space: Space
    direction: Direction
    evaluated: int

    @property
    def count(self) -> int:
        """Trials made, failed and repeated ones too: the number that luck is priced with."""
        return len(self.table)

    @property
    def failed(self) -> int:
        """Trials without a score."""
        return int(self.table["value"].isna().sum())

    @property
    def best_number(self) -> int:
        """The trial with the best score, the earliest of equals; raises where no trial has a score."""
        import numpy as np

        values = self.table["value"].to_numpy()
        if self.failed == self.count:
            reasons = Counter(self.table["reason"].dropna())
            why = "; ".join(f"{text} ({many})" for text, many in reasons.most_common(3))
            raise CheckFailed(f"no parameter set could be scored: {self.count} of {self.count} trials failed: {why}")
        return int(np.nanargmax(values) if self.direction == "maximize" else np.nanargmin(values))

    @property
    def best_value(self) -> float:
        """The best in-sample score; never show it without ``count`` beside it."""
        return float(self.table["value"].iloc[self.best_number])

    @property
    def best(self) -> ParameterSet:
        """The parameter set of the best trial."""
        row = self.best_number
        return {axis.name: self.table[f"param_{axis.name}"].iloc[row].item() for axis in self.space.axes}


class Sheet:
    """The growing columns of a search; the one place where scores become a table."""

    def __init__(self, space: Space, direction: Direction) -> None:
        self.space, self.direction = space, direction
        self.failed = 0
        self.best: float | None = None
        self.best_params: ParameterSet = {}
        self._params: dict[str, list[int | float]] = {axis.name: [] for axis in space.axes}
        self._values: list[float] = []
        self._reasons: list[str | None] = []
        self._attrs: dict[str, list[float | str | None]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def add(self, params: ParameterSet, score: Score) -> None:
        """Write one trial down; a tie does not replace an earlier best."""
        for name, column in self._params.items():
            column.append(params[name])
        self._add_attrs(score.attrs)
        self._values.append(score.value)
        self._reasons.append(score.reason)
        if math.isnan(score.value):
            self.failed += 1
        elif self.best is None or self._beats(score.value, self.best):
            self.best, self.best_params = score.value, params

    def trials(self, *, evaluated: int) -> Trials:
        """Return the table so far."""
        import numpy as np
        import pandas as pd

        values = np.array(self._values, dtype=np.float64)
        columns: dict[str, Any] = {"number": np.arange(len(values), dtype=np.int64)}
        for axis in self.space.axes:
            kind = np.int64 if axis.kind == "int" else np.float64
            columns[f"param_{axis.name}"] = np.array(self._params[axis.name], dtype=kind)
        columns["value"] = values
        columns["state"] = pd.array(np.where(np.isnan(values), "FAIL", "COMPLETE"), dtype="str")
        columns["reason"] = pd.array(self._reasons, dtype="str")
        columns |= {name: _column(column) for name, column in self._attrs.items()}
        return Trials(table=pd.DataFrame(columns), space=self.space, direction=self.direction, evaluated=evaluated)

    def _beats(self, value: float, best: float) -> bool:
        return value > best if self.direction == "maximize" else value < best

    def _add_attrs(self, attrs: Mapping[str, float | str]) -> None:
        for name in attrs:
            if name not in self._attrs:
                self._attrs[name] = self._new_column(name)
        for name, column in self._attrs.items():
            column.append(attrs.get(name))

    def _new_column(self, name: str) -> list[float | str | None]:
        if name in _OWN_COLUMNS or name.startswith("param_"):
            raise ContractError("score attributes", "evaluate", f"the name {name!r} is a column of the trials table")
        return [None] * len(self)


def _column(values: Sequence[float | str | None]) -> Any:
    """Floats with NaN, or words with missing ones; a column that mixes both is words."""
    import numpy as np
    import pandas as pd

    if any(isinstance(value, str) for value in values):
        return pd.array([None if value is None else str(value) for value in values], dtype="str")
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
