"""YAML text: what is written is read as a trader means it, and remembered where it stands."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from btcflow.errors import ConfigError
from btcflow.yaml_model import parse_model
from btcflow.yaml_text import Loc, read_text


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


def _told(text: str) -> list[str]:
    """The first line of every problem."""
    try:
        parse_model(text, Anything, name="bad.yaml")
    except ConfigError as error:
        return [one.splitlines()[0] for one in error.problems]
    return []


# ---- laws ---------------------------------------------------------------------------------------

words = st.text(alphabet="abcxyz _:#-'\"{}[],&*!|>%@`é\n", max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | words
plain = st.dictionaries(
    words.filter(bool),
    st.recursive(
        scalars,
        lambda kid: st.lists(kid, max_size=3) | st.dictionaries(words.filter(bool), kid, max_size=3),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


def _places(value: Any, loc: Loc = ()) -> set[Loc]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {loc}.union(*(_places(one, (*loc, key)) for key, one in inner))


@settings(max_examples=150, deadline=None)
@given(data=plain, flow=st.booleans())
def test_what_yaml_writes_is_read_back_with_a_place_for_every_value(data: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    read = read_text(text)
    assert (read.data, read.faults) == (data, [])
    assert set(read.spots) == _places(data)
    for loc, (key, value, _) in read.spots.items():
        if key is not None and "\n" not in str(loc[-1]):
            written = read.lines[key.line][key.column : key.column + key.width]
            if "\\" not in written and not written.endswith((" ", ",")):
                assert yaml.safe_load(f"{written}: 1") == {loc[-1]: 1}
        if value is not None:
            assert value.column + value.width <= len(read.lines[value.line])


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab:-[]{}'\"#&*!|>%@,?\t\n 10\x00\x85", max_size=30))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    assert all(one.startswith("bad.yaml:") for one in _told(text))


# ---- scalars ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["12:30", "1:30:00", "2024-01-01", "2024-01-01T00:00:00Z", "010", "0x1F", "1.2.3", "1h"]
)
def test_scalars_that_look_like_times_or_odd_numbers_stay_text(text: str) -> None:
    assert read_text(f"name: {text}").data == {"name": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-5", 1e-5), ("1.5e3", 1500.0), (".5", 0.5), ("-2", -2), ("1_000", 1000), ("1e6", 10**6), ("5.", 5.0),
     ("-.inf", float("-inf"))],
)  # fmt: skip
def test_numbers_are_read_as_a_trader_writes_them(text: str, value: float) -> None:
    read = read_text(f"x: {text}").data["x"]
    assert (read, type(read)) == (value, type(value))


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signal:\n\thold: true", "2:1: a tab where YAML allows only spaces; indent with spaces"),
        ("name: a: b", "1:8: a ':' that does not fit here; check the indentation, or quote the value"),
        ("legs: [1, 2\nname: x", "1:7: a bracket is not closed, or a comma is missing"),
        ("name: 'x\n", "1:7: a quoted text or a bracket that is never closed"),
        ("signal:\n  hold: true\n window: 3", "3:2: does not line up with the lines above; check the indentation"),
        ("name: x\nhold\n", "2:1: a key without ':'; expected 'key: value'"),
        ("name: @x", "1:7: a character that cannot start a value; put the value in quotes"),
        ("name: *x", "1:7: an alias (*name) without its anchor (&name) above"),
        ("name: \x00", "1:7: character U+0000 is not allowed in YAML; remove it"),
        ("name: x\n---\nname: y", "2:1: a second document ('---'); expected one"),
        ("legs: &x [*x]", "1:7: aliases (*name) that repeat without end; write the values out"),
        ("- a\n- b", "1:1: expected keys and values at the top level, got a list"),
        ("# nothing here\n", "1:1: empty; expected keys and values such as 'name: my_question'"),
        ("name: !!python/name:os.system x", "1:7: name: tag '!!python/name:os.system' is not understood; remove it"),
        ("? [a, b]\n: c", "1:3: expected a key of plain text"),
        ("<<: 3\nname: x", "1:1: '<<' expects a section (*name)"),
    ],
)  # fmt: skip
def test_text_that_is_no_yaml_is_refused_at_its_place(text: str, message: str) -> None:
    assert _told(text) == [f"bad.yaml:{message}"]


def test_aliases_that_grow_without_bound_are_refused() -> None:
    rows = [f"l{row}: &l{row} [{', '.join([f'*l{row - 1}'] * 10)}]" for row in range(1, 9)]
    assert "repeat without end" in _told("\n".join(["l0: &l0 [1]", *rows]))[0]
    assert "nested too deeply" in _told("legs: " + "[" * 5000)[0]
