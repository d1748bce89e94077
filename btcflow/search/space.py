"""The space of a search: named axes, each a range with a step or a list of numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    RootModel,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from btcflow.errors import ConfigError, UnknownName

__all__ = ["Axis", "ParameterSet", "Space"]

ParameterSet = dict[str, int | float]
"""One parameter set: a number for every axis, in the order of the axes."""

_WHOLE = 1e-9
"""How far from a whole number of steps a range may be, in steps."""
_MOST_VALUES = 1_000_000
_KEYS = ("low", "high", "step")


def _number(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise ValueError(f"got {value!r}, expected a finite number")


Number = Annotated[int | float, BeforeValidator(_number)]


class Axis(BaseModel):
    """One searched parameter: ``low``, ``high`` and ``step``, or ``choices``.

    A range holds low, low + step, ... high; ``high`` has to be one of them. It is a range of whole
    numbers where all three are whole numbers, else of floats. Its values are computed in decimal, so
    0.1 to 0.5 by 0.1 holds 0.3 and never 0.30000000000000004. Choices keep the order they are
    written in; a sampler that learns (``tpe``) treats them as names without order.

    Examples
    --------
    >>> Axis(name="entry_z", low=0.1, high=0.5, step=0.1).values
    (0.1, 0.2, 0.3, 0.4, 0.5)
    >>> Axis(name="mode", choices=(0, 2)).values
    (0, 2)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    low: Number | None = None
    high: Number | None = None
    step: Number | None = None
    choices: tuple[Number, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_form(cls, data: object) -> object:
        """Read ``(name, form)``, the pair that :class:`Space` makes of each line of its mapping."""
        if not isinstance(data, tuple):
            return data
        name, form = data
        if isinstance(form, Axis):
            form = form.model_dump()
        if isinstance(form, list | tuple):
            return {"name": name, "choices": tuple(form)}
        if isinstance(form, Mapping):
            unknown = [key for key in form if key not in _KEYS]
            if not unknown:
                return {"name": name, **form}
            raise ValueError(f"{name}: got the key {unknown[0]!r}, expected {{low, high, step}}")
        raise ValueError(
            f"{name}: got {form!r}, expected {{low, high, step}} or a list of numbers; "
            "a number that is not searched belongs to the parameters"
        )

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if self.choices is not None:
            self._check_choices(self.choices)
        else:
            self._check_range()
        return self

    def _check_choices(self, choices: tuple[int | float, ...]) -> None:
        if (self.low, self.high, self.step) != (None, None, None):
            raise ValueError(f"{self.name}: got choices and a range, expected one of the two")
        if not choices:
            raise ValueError(f"{self.name}: got an empty list, expected at least one number")
        twice = [value for value in choices if choices.count(value) > 1]
        if twice:
            raise ValueError(f"{self.name}: got {twice[0]!r} more than once, expected every choice once")

    def _check_range(self) -> None:
        missing = [name for name in _KEYS if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{self.name}: {' and '.join(missing)} missing, expected {{low, high, step}}")
        low, high, step = (_decimal(value) for value in self._range)
        if low > high:
            raise ValueError(f"{self.name}: got low {self.low} above high {self.high}, expected low <= high")
        if step <= 0:
            raise ValueError(f"{self.name}: got step {self.step}, expected a step above 0")
        steps = (high - low) / step
        if steps >= _MOST_VALUES:
            raise ValueError(f"{self.name}: got about {int(steps) + 1:,} values, expected at most {_MOST_VALUES:,}")
        if abs(steps - round(steps)) > _WHOLE:
            below = low + int(steps) * step
            raise ValueError(
                f"{self.name}: got high {self.high}, expected low {self.low} plus whole steps of {self.step}: "
                f"the nearest are {_typed(below, self.kind)} and {_typed(below + step, self.kind)}"
            )

    @property
    def _range(self) -> tuple[int | float, int | float, int | float]:
        if self.low is None or self.high is None or self.step is None:
            raise ValueError(f"{self.name} is a list of choices, not a range")
        return self.low, self.high, self.step

    @property
    def kind(self) -> Literal["int", "float"]:
        """``int`` where every number written is whole and without a point, else ``float``."""
        given = self.choices if self.choices is not None else self._range
        return "int" if all(isinstance(value, int) for value in given) else "float"

    @cached_property
    def values(self) -> tuple[int | float, ...]:
        """Every value of the axis: a range rises, choices keep their order."""
        if self.choices is not None:
            return self.choices
        low, high, step = (_decimal(value) for value in self._range)
        steps = round((high - low) / step)
        inner = [_typed(low + i * step, self.kind) for i in range(steps)]
        return (*inner, _typed(high, self.kind))

    @model_serializer(mode="plain")
    def _as_written(self) -> list[int | float] | dict[str, int | float]:
        if self.choices is not None:
            return list(self.choices)
        return dict(zip(_KEYS, self._range, strict=True))

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the two forms a config may write."""
        number = {"type": "number"}
        return {
            "title": "Axis",
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"low": number, "high": number, "step": number},
                    "required": ["low", "high", "step"],
                    "additionalProperties": False,
                },
                {"type": "array", "items": number, "minItems": 1, "uniqueItems": True},
            ],
        }


class Space(RootModel[dict[str, Axis]]):
    """Axes by name, in the order written.

    Inside a config model it reads ``{window: {low: 30, high: 240, step: 30}, mode: [0, 1]}`` as it
    stands. :meth:`of` reads the same mapping from Python and raises :class:`ConfigError`.

    Examples
    --------
    >>> space = Space.of({"window": {"low": 30, "high": 60, "step": 30}, "entry_z": [1.0, 2.0]})
    >>> space.size
    4
    >>> next(space.grid())
    {'window': 30, 'entry_z': 1.0}
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_axes(cls, data: object) -> object:
        if isinstance(data, Mapping):
            return {name: (name, form) for name, form in data.items()}
        if isinstance(data, Space):
            return data
        raise ValueError(
            f"got {data!r}, expected axes by name, for example {{window: {{low: 30, high: 240, step: 30}}}}"
        )

    @model_validator(mode="after")
    def _has_axes(self) -> Self:
        if not self.root:
            raise ValueError("got a search space without axes, expected at least one")
        return self

    @classmethod
    def of(cls, axes: Mapping[str, Any]) -> Space:
        """Read a mapping of axes; raises :class:`ConfigError` with every problem at once."""
        try:
            return cls.model_validate(axes)
        except ValidationError as error:
            raise ConfigError([_problem(one["loc"], one["msg"]) for one in error.errors()]) from None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes in the order written."""
        return tuple(self.root.values())

    @property
    def size(self) -> int:
        """How many parameter sets the full grid holds."""
        return math.prod(len(axis.values) for axis in self.axes)

    def values(self, name: str) -> tuple[int | float, ...]:
        """Every value of one axis; raises :class:`UnknownName` for an axis that is not searched."""
        if name not in self.root:
            raise UnknownName("axis", name, self.root)
        return self.root[name].values

    def grid(self) -> Iterator[ParameterSet]:
        """Every parameter set once; the last axis varies fastest."""
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield dict(zip(self.root, values, strict=True))


def _decimal(value: int | float) -> Decimal:
    """Return the decimal that was written: 0.1 is one tenth, not the nearest binary fraction."""
    return Decimal(repr(value))


def _typed(value: Decimal, kind: Literal["int", "float"]) -> int | float:
    return int(value) if kind == "int" else float(value)


def _problem(where: tuple[int | str, ...], message: str) -> str:
    """``space.window.low: got 'a', expected a number``; an axis that names itself is not named twice."""
    text = message.removeprefix("Value error, ")
    path = ".".join(["space", *map(str, where)])
    return f"space.{text}" if where and text.startswith(f"{where[-1]}: ") else f"{path}: {text}"
