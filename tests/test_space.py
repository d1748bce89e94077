from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from btcflow.errors import ConfigError, UnknownName
from btcflow.search.space import Axis, Space

EXAMPLE = {
    "window": {"low": 30, "high": 240, "step": 30},
    "entry_z": {"low": 0.5, "high": 3.0, "step": 0.25},
    "mode": [0, 1],
}


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    space: Space


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Decimal, Decimal, int]:
    digits = Decimal(10) ** -draw(st.integers(0, 6))
    low = draw(st.integers(-10_000, 10_000)) * digits
    step = draw(st.integers(1, 500)) * digits * draw(st.sampled_from([1, 10]))
    return low, step, draw(st.integers(0, 60))


@given(ranges())
def test_a_range_holds_exactly_the_decimals_a_reader_would_write(given_range: tuple[Decimal, Decimal, int]) -> None:
    low, step, steps = given_range
    axis = Axis(name="x", low=float(low), high=float(low + steps * step), step=float(step))
    assert axis.values == tuple(float(low + i * step) for i in range(steps + 1))


@given(st.integers(-500, 500), st.integers(1, 90), st.integers(0, 40))
def test_a_range_of_whole_numbers_is_pythons_range(low: int, step: int, steps: int) -> None:
    axis = Axis(name="window", low=low, high=low + steps * step, step=step)
    assert axis.values == tuple(range(low, low + steps * step + 1, step))
    assert all(type(value) is int for value in axis.values)


@given(ranges(), st.decimals("0.001", "0.999", places=3))
def test_a_high_off_the_grid_is_refused_and_both_neighbours_named(
    given_range: tuple[Decimal, Decimal, int], part: Decimal
) -> None:
    low, step, steps = given_range
    below = low + steps * step
    with pytest.raises(ConfigError) as error:
        Space.of({"x": {"low": float(low), "high": float(below + part * step), "step": float(step)}})
    assert str(error.value).endswith(f"the nearest are {float(below)} and {float(below + step)}")


def test_the_grid_is_three_nested_loops() -> None:
    space = Space.of(EXAMPLE)
    loops = [
        {"window": window, "entry_z": z / 100, "mode": mode}
        for window in range(30, 241, 30)
        for z in range(50, 301, 25)
        for mode in (0, 1)
    ]
    assert list(space.grid()) == loops
    assert space.size == len(loops) == 8 * 11 * 2


def test_the_steps_of_one_tenth_do_not_drift() -> None:
    assert Axis(name="z", low=0.1, high=0.7, step=0.1).values == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert Axis(name="z", low=0.125, high=0.325, step=0.1).values == (0.125, 0.225, 0.325)


def test_a_third_that_python_rounded_still_counts_as_whole_steps() -> None:
    assert Axis(name="z", low=0.0, high=1.0, step=1 / 3).values == (0.0, 1 / 3, 2 / 3, 1.0)


def test_one_value_is_enough() -> None:
    assert list(Space.of({"a": {"low": 5, "high": 5, "step": 1}, "b": [0.5]}).grid()) == [{"a": 5, "b": 0.5}]


def test_a_point_makes_an_axis_float() -> None:
    assert Axis(name="a", low=0, high=2, step=1.0).values == (0.0, 1.0, 2.0)
    assert [Axis(name="a", low=0, high=2, step=step).kind for step in (1, 1.0)] == ["int", "float"]


def test_choices_keep_their_order() -> None:
    space = Space.of({"mode": [3, 1, 2]})
    assert space.values("mode") == (3, 1, 2)
    assert [one["mode"] for one in space.grid()] == [3, 1, 2]


def test_a_config_model_reads_and_writes_the_same_mapping() -> None:
    config = Config.model_validate({"space": EXAMPLE})
    assert config.model_dump() == {"space": EXAMPLE}
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert Config(space=Space.of(EXAMPLE)) == config
    assert [axis.name for axis in config.space.axes] == ["window", "entry_z", "mode"]


def test_a_space_cannot_be_changed() -> None:
    space = Space.of(EXAMPLE)
    with pytest.raises(ValidationError, match="frozen"):
        space.axes[0].low = 10  # type: ignore[misc]


def test_every_problem_is_reported_with_its_place() -> None:
    with pytest.raises(ValidationError) as error:
        Config.model_validate({"space": {"a": {"low": "x", "high": 2, "step": 1}, "b": [], "c": [1, "q"]}})
    assert [one["loc"] for one in error.value.errors()] == [
        ("space", "a", "low"),
        ("space", "b"),
        ("space", "c", "choices", 1),
    ]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"w": {"low": 30, "high": 250, "step": 30}}, "space.w: got high 250, .* the nearest are 240 and 270"),
        ({"w": {"low": 5, "high": 2, "step": 1}}, "space.w: got low 5 above high 2, expected low <= high"),
        ({"w": {"low": 1, "high": 2, "step": 0}}, "space.w: got step 0, expected a step above 0"),
        ({"w": {"low": 1, "high": 2, "step": -1}}, "space.w: got step -1"),
        ({"w": {"low": 1, "high": 2}}, "space.w: step missing, expected {low, high, step}"),
        ({"w": {"low": 1, "high": 2, "stp": 1}}, "space.w: got the key 'stp', expected {low, high, step}"),
        ({"w": {"low": "1", "high": 2, "step": 1}}, "space.w.low: got '1', expected a finite number"),
        ({"w": {"low": 1, "high": float("nan"), "step": 1}}, "space.w.high: got nan, expected a finite number"),
        ({"w": {"low": True, "high": 2, "step": 1}}, "space.w.low: got True"),
        ({"w": {"low": 0, "high": 10**9, "step": 1}}, "space.w: got about 1,000,000,001 values"),
        ({"w": []}, "space.w: got an empty list, expected at least one number"),
        ({"w": [1, 2, 1.0]}, "space.w: got 1 more than once"),
        ({"w": [1, False]}, "space.w.choices.1: got False"),
        ({"w": 30}, "space.w: got 30, expected {low, high, step} or a list of numbers"),
        ({}, "space: got a search space without axes"),
        ([1], "space: got .1., expected axes by name"),
    ],
)
def test_a_wrong_axis_is_refused_in_words(axes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        Space.of(axes)
    assert error.value.exit_code == 78


def test_both_problems_of_two_axes_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        Space.of({"a": [], "b": {"low": 2, "high": 1, "step": 1}})
    assert len(error.value.problems) == 2


def test_an_axis_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'window'"):
        Space.of(EXAMPLE).values("windw")
