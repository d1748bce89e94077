"""A table of parameter sets that is never written out: one array per parameter, or a product of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from btcflow.errors import ConfigError

if TYPE_CHECKING:
    from btcflow.rules.rule import Assignment, Rule

__all__ = ["ParameterTable"]

Value = float | int | None


class ParameterTable(Sequence["Assignment"]):
    """K complete parameter sets, as :class:`~btcflow.engine.kernel.sweep.SweepKernel` takes them, in little memory.

    A million sets as a list of mappings take half a gigabyte; as a table of a product they take nothing.
    ``table[k]`` is set k as a mapping.

    Attributes
    ----------
    values : per parameter its distinct values
    """

    def __init__(self, values: Mapping[str, Sequence[Value]], numbers: Mapping[str, np.ndarray], count: int) -> None:
        self.values = {name: tuple(own) for name, own in values.items()}
        self._numbers, self._count = dict(numbers), count

    @classmethod
    def product(cls, rule: Rule, grid: Mapping[str, Sequence[Value]]) -> ParameterTable:
        """Every combination of the listed values, the last parameter turning fastest; the others at their defaults.

        Raises
        ------
        ConfigError
            for an unknown parameter, a value it does not take, or an empty list
        """
        for name, listed in grid.items():
            if len(listed) == 0:
                raise ConfigError(
                    f"{rule.name}: parameter {name!r} was given an empty list; expected at least one value"
                )
            for value in listed:
                rule.assign({name: value})
        count, stride, numbers = int(np.prod([len(listed) for listed in grid.values()], dtype=np.int64)), 1, {}
        for name, listed in reversed(list(grid.items())):
            numbers[name] = np.array([stride, len(listed)])
            stride *= len(listed)
        return cls({**{name: (value,) for name, value in rule.assign({}).items()}, **grid}, numbers, count)

    @classmethod
    def columns(cls, rule: Rule, arrays: Mapping[str, np.ndarray]) -> ParameterTable:
        """One array of K values per parameter; the others at their defaults.

        Raises
        ------
        ConfigError
            for an unknown parameter, a value it does not take, or arrays of different lengths
        """
        lengths = {name: len(own) for name, own in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ConfigError(
                f"{rule.name}: parameter columns of lengths {lengths}; expected one value per set in each"
            )
        values, numbers = {name: (value,) for name, value in rule.assign({}).items()}, {}
        for name, own in arrays.items():
            distinct, number = np.unique(own, return_inverse=True)
            values[name] = tuple(distinct.tolist())
            numbers[name] = number.astype(np.int32)
            for value in values[name]:
                rule.assign({name: value})
        return cls(values, numbers, next(iter(lengths.values()), 1))

    def __len__(self) -> int:
        return self._count

    def numbers(self, name: str) -> np.ndarray:
        """Which of ``values[name]`` each set has; (K,) int64, or (1,) for all alike."""
        if name not in self._numbers:
            return np.zeros(1, dtype=np.int64)
        own = self._numbers[name]
        if self._is_product(own):
            return np.asarray(np.arange(self._count, dtype=np.int64) // own[0] % own[1])
        return own.astype(np.int64)

    @overload
    def __getitem__(self, index: int) -> Assignment: ...
    @overload
    def __getitem__(self, index: slice) -> list[Assignment]: ...
    def __getitem__(self, index: int | slice) -> Assignment | list[Assignment]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(self._count))]
        k = range(self._count)[index]
        return {name: own[self._number(name, k)] for name, own in self.values.items()}

    def _number(self, name: str, k: int) -> int:
        own = self._numbers.get(name)
        if own is None:
            return 0
        return int(k // own[0] % own[1]) if self._is_product(own) else int(own[k])

    @staticmethod
    def _is_product(own: np.ndarray) -> bool:
        return own.dtype == np.int64
