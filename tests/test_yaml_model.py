"""YAML into models: every problem at once, each at its line and column, in plain words."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from btcflow.errors import ConfigError, MissingData
from btcflow.yaml_model import Source, load_model, load_source, parse_model


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Signal(Part):
    premium: float = 0.5
    window: Annotated[int, Field(ge=2, le=500)] = 20
    hold: bool = False


class Simulated(Part):
    source: Literal["simulated"]
    seed: int = 7
    store: str = ""

    @model_validator(mode="after")
    def _seeded(self) -> Simulated:
        if self.seed == 13:
            raise ValueError("a seed of 13 is refused")
        return self


class Store(Part):
    source: Literal["store"]
    store: str
    since: date | None = None


@dataclass(frozen=True, kw_only=True)
class Costs:
    fee: float = 0.0005
    delay: int = 0

    def __post_init__(self) -> None:
        faults = [f"costs.fee is {self.fee}; expected 0.1 or less"] if self.fee > 0.1 else []
        faults += [f"costs.delay is {self.delay}; expected 0 or more"] if self.delay < 0 else []
        if faults:
            raise ConfigError(faults)


class Levels(RootModel[dict[str, Signal]]):
    pass


class Question(Part):
    timeframe: Literal["5m", "15m", "1h", "4h", "1D"] = "1h"
    signal: Signal | None = None
    data: Annotated[Simulated | Store, Field(discriminator="source")] = Simulated(source="simulated")
    costs: Costs = Costs()
    threshold: float | Literal["auto"] | Signal = "auto"
    legs: tuple[Signal, ...] = ()
    days: dict[int, float] = {}
    levels: Levels = Levels({})
    begin: str | None = Field(default=None, alias="from")
    name: str = "q"


def _read(text: str, *overrides: str) -> Question:
    return parse_model(text, Question, name="bad.yaml", overrides=overrides)


def _problems(text: str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        _read(text, *overrides)
    return caught.value.problems  # type: ignore[no-any-return]


def _first_lines(text: str, *overrides: str) -> list[str]:
    return [one.splitlines()[0] for one in _problems(text, *overrides)]


# ---- the form of a problem ----------------------------------------------------------------------


def test_all_problems_come_at_once_sorted_by_line_with_caret_and_suggestion() -> None:
    text = "timeframe: 1hour\nsignal:\n  premuim: 0.5\n  window: 1.5\nlegs:\n  - window: 3\n  - {windw: 3, hold: 1}\n"
    assert "\n".join(_problems(text)) == (
        "bad.yaml:1:12: timeframe: expected '5m', '15m', '1h', '4h' or '1D', got text '1hour'\n"
        "     1 | timeframe: 1hour\n"
        "       |            ^^^^^  did you mean '1h'?\n"
        "bad.yaml:3:3: signal.premuim: unknown key 'premuim'\n"
        "     3 |   premuim: 0.5\n"
        "       |   ^^^^^^^  did you mean 'premium'?\n"
        "bad.yaml:4:11: signal.window: expected a whole number, got 1.5\n"
        "     4 |   window: 1.5\n"
        "       |           ^^^\n"
        "bad.yaml:7:6: legs.1.windw: unknown key 'windw'\n"
        "     7 |   - {windw: 3, hold: 1}\n"
        "       |      ^^^^^  did you mean 'window'?\n"
        "bad.yaml:7:22: legs.1.hold: expected true or false, got 1\n"
        "     7 |   - {windw: 3, hold: 1}\n"
        "       |                      ^"
    )


FRAMES = "'5m', '15m', '1h', '4h' or '1D'"
KNOWN = ("costs", "data", "days", "from", "legs", "levels", "name", "signal", "threshold", "timeframe")
MEANT_STORE = "did you mean 'store'?"


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("signal:\n  window: 1", "2:11", "signal.window: expected a number of 2 or more, got 1", ""),
        ("signal: {window: x}", "1:18", "signal.window: expected a whole number, got text 'x'", ""),
        ("signal: {premium: '3'}", "1:19", "signal.premium: expected a number, got text '3'", "remove the quotes"),
        ("name: 3", "1:7", "name: expected text, got 3", "put it in quotes"),
        ("signal: 3", "1:9", "signal: expected a section of keys and values, got 3", ""),
        ("legs: 3", "1:7", "legs: expected a list, got 3", ""),
        ("data:", "1:1", "data: expected a section of keys and values, got nothing", ""),
        ("data:\n  source: store", "1:1", "data: missing key 'store'", ""),
        ("data: {}", "1:7", "data: missing key 'source'", ""),
        ("data:\n  sorce: store", "2:3", "data.sorce: unknown key 'sorce'", "did you mean 'source'?"),
        ("data: {source: s}", "1:16", "data.source: expected 'simulated' or 'store', got 's'", ""),
        ("data: {source: Store}", "1:16", "data.source: expected 'simulated' or 'store', got 'Store'", MEANT_STORE),
        ("data:\n  source: simulated\n  sed: 1", "3:3", "data.sed: unknown key 'sed'", "did you mean 'seed'?"),
        ("days: {1: 2, x: 3}", "1:14", "days.x: expected a whole number, got text 'x'", ""),
        ("days: {1: no}", "1:11", "days.1: expected a number, got text 'no'", ""),
        ("form: 3", "1:1", "form: unknown key 'form'", "did you mean 'from'?"),
        ("begin: 3", "1:1", "begin: unknown key 'begin'", f"known here: {', '.join(KNOWN)}"),
        ("levels: {a: {windo: 3}}", "1:14", "levels.a.windo: unknown key 'windo'", "did you mean 'window'?"),
        ("costs: {fe: 1}", "1:9", "costs.fe: unknown key 'fe'", "did you mean 'fee'?"),
        ("timeframe: 1d", "1:12", f"timeframe: expected {FRAMES}, got text '1d'", "did you mean '1D'?"),
    ],
)  # fmt: skip
def test_each_kind_of_problem_says_what_was_expected(text: str, place: str, message: str, hint: str) -> None:
    (problem,) = _problems(text)
    lines = problem.splitlines()
    assert lines[0] == f"bad.yaml:{place}: {message}"
    assert lines[2].partition("^")[2].lstrip("^").strip() == hint
    line, column = map(int, place.split(":"))
    assert lines[1] == f"{line:>6} | {text.splitlines()[line - 1]}"
    assert lines[2].index("^") == len("       | ") + column - 1


def test_a_misspelled_key_is_not_also_reported_as_missing() -> None:
    assert _first_lines("data: {source: store, stor: x}") == ["bad.yaml:1:23: data.stor: unknown key 'stor'"]


def test_a_tag_that_is_also_a_key_does_not_mislead_the_caret() -> None:
    text = "data:\n  source: simulated\n  simulated: 1\n  seed: x\n"
    assert _first_lines(text) == [
        "bad.yaml:3:3: data.simulated: unknown key 'simulated'",
        "bad.yaml:4:9: data.seed: expected a whole number, got text 'x'",
    ]
    assert _first_lines("data: {source: store, store: 3}") == ["bad.yaml:1:30: data.store: expected text, got 3"]
    assert _first_lines("data:\n  source: simulated\n  seed: 13") == ["bad.yaml:1:1: data: a seed of 13 is refused"]


def test_the_members_of_a_union_speak_as_one() -> None:
    expected = "expected a number, 'auto' or a section of keys and values"
    assert _problems("threshold: aut")[0].splitlines()[0].endswith(f"threshold: {expected}, got text 'aut'")
    assert _problems("threshold: aut")[0].endswith("did you mean 'auto'?")
    assert _first_lines("threshold:\n  window: 3\n  hold: 5") == [
        "bad.yaml:3:9: threshold.hold: expected true or false, got 5"
    ]


def test_of_two_sections_that_could_be_meant_the_closer_one_speaks() -> None:
    class Either(Part):
        it: Simulated | Signal

    with pytest.raises(ConfigError) as caught:
        parse_model("it: {premium: 1, window: 3, hod: true}", Either, name="c.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith("c.yaml:1:29: it.hod: unknown key 'hod'")
    assert problem.endswith("did you mean 'hold'?")


def test_only_the_keys_of_the_chosen_section_are_offered() -> None:
    assert _problems("data: {source: store, store: x, zzz: 1}")[0].endswith("known here: since, source, store")


def test_a_dataclass_that_refuses_itself_is_shown_at_the_keys_it_names() -> None:
    assert _first_lines("costs:\n  fee: 2\n  delay: -1\n") == [
        "bad.yaml:2:8: costs.fee is 2.0; expected 0.1 or less",
        "bad.yaml:3:10: costs.delay is -1; expected 0 or more",
    ]
    with pytest.raises(ConfigError, match=r"c\.yaml:1:1: feee: unknown key 'feee'\n.*\n.*did you mean 'fee'"):
        parse_model("feee: 1", Costs, name="c.yaml")
    assert parse_model("fee: 0.01", Costs, name="c.yaml") == Costs(fee=0.01)


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = f"name: '{'x' * 300}'\nlegs: [{'{window: 3}, ' * 40}{{window: y}}]"
    lines = _problems(text)[0].splitlines()
    assert len(lines[1]) < 130
    assert lines[1][lines[2].index("^")] == "y"


# ---- YAML traps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "Yes", "NO", "y", "n"])
def test_only_true_and_false_are_booleans(word: str) -> None:
    (problem,) = _problems(f"signal: {{hold: {word}}}")
    assert f"signal.hold: expected true or false, got text '{word}'" in problem
    right = "true" if word.lower() in {"on", "yes", "y"} else "false"
    assert problem.endswith(f"did you mean {right}?")
    assert _read(f"name: {word}").name == word
    assert _read("signal: {hold: true}").signal == Signal(hold=True)


def test_a_number_survives_to_the_last_bit_and_text_becomes_the_type_of_the_field() -> None:
    question = _read("signal: {premium: 0.1}\ndata: {source: store, store: s, since: 2024-02-29}\nfrom: 2024-01-01\n")
    assert question.signal == Signal(premium=0.1)
    assert question.data == Store(source="store", store="s", since=date(2024, 2, 29))
    assert question.begin == "2024-01-01"


def test_a_key_written_twice_is_refused_with_both_places() -> None:
    problems = _problems("name: a\nsignal:\n  hold: true\n  hold: 3\nname: b\nzzz: 1\n")
    assert [one.splitlines()[0] for one in problems] == [
        "bad.yaml:4:3: signal.hold: duplicate key 'hold', first written at 3:3; keep one",
        "bad.yaml:5:1: name: duplicate key 'name', first written at 1:1; keep one",
        "bad.yaml:6:1: zzz: unknown key 'zzz'",
    ]


def test_anchors_and_merges_keep_their_places() -> None:
    text = "levels:\n  a: &a {window: 5, hold: true}\n  b: {<<: *a, window: 7}\n  c: *a\n"
    assert _read(text).levels.root["b"] == Signal(window=7, hold=True)
    assert _first_lines(text.replace("true", "maybe")) == [
        "bad.yaml:2:27: levels.a.hold: expected true or false, got text 'maybe'",
        "bad.yaml:2:27: levels.b.hold: expected true or false, got text 'maybe'",
        "bad.yaml:2:27: levels.c.hold: expected true or false, got text 'maybe'",
    ]


# ---- overrides ----------------------------------------------------------------------------------


def test_overrides_win_over_the_file_and_are_read_as_yaml() -> None:
    text = "name: a\nlegs: [{window: 3}, {window: 4}]\nsignal:\n"
    question = _read(
        text, "name=12:30", "legs.1.window=9", "signal.hold=true", "days={1: 2}", "from=", "levels.x.window=5"
    )
    assert question.name == "12:30"
    assert [leg.window for leg in question.legs] == [3, 9]
    assert question.signal == Signal(hold=True)
    assert question.days == {1: 2.0}
    assert question.begin is None
    assert question.levels.root["x"].window == 5
    assert _read("name: a", "name=x=y").name == "x=y"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("signal.premuim=1", "unknown key 'premuim'; did you mean 'premium'?"),
        ("signal.window=1", "expected a number of 2 or more, got 1"),
        ("signal.hold=yes", "expected true or false, got text 'yes'; did you mean true?"),
        ("signal={windo: 3}", "signal.windo: unknown key 'windo'; did you mean 'window'?"),
        ("sgnal.window=3", "sgnal: unknown key 'sgnal'; did you mean 'signal'?"),
        ("legs.2.window=3", "legs is a list of 1; expected an entry number from 0, got '2'"),
        ("name.x=3", "name is 'a' and no section; it has no key 'x'"),
        ("name", "expected key.path=value"),
        ("=3", "expected key.path=value"),
        ("signal..window=3", "expected key.path=value"),
        ("legs=[1", "a bracket is not closed, or a comma is missing"),
        ("signal={hold: true, hold: false}", "signal.hold: duplicate key 'hold', first written at 1:2; keep one"),
    ],
)  # fmt: skip
def test_an_override_that_is_wrong_is_named_itself(override: str, message: str) -> None:
    text = "name: a\nlegs: [{window: 3}]\n"
    assert _problems(text, override) == (f"-s {override}: {message}",)


def test_overrides_are_told_after_the_file_and_replace_its_places() -> None:
    text = "signal: {window: 1}\nname: 3\n"
    assert _first_lines(text, "signal.hold=5", "name=4") == [
        "bad.yaml:1:18: signal.window: expected a number of 2 or more, got 1",
        "-s signal.hold=5: expected true or false, got 5",
        "-s name=4: expected text, got 4; put it in quotes",
    ]


# ---- files and later layers ---------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"gone\.yaml: no such file") as caught:
        load_model(tmp_path / "gone.yaml", Question)
    assert caught.value.exit_code == 66
    with pytest.raises(ConfigError, match=r": a folder; expected a YAML file"):
        load_model(tmp_path, Question)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: café".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: not UTF-8 text \(byte 0xe9 at offset 9\)"):
        load_model(latin, Question)
    empty = tmp_path / "empty.yaml"
    empty.touch()
    with pytest.raises(ConfigError, match=r"empty\.yaml:1:1: empty; expected keys and values") as refused:
        load_source(empty)
    assert refused.value.exit_code == 78


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes("\ufeffname: café\r\nsignal:\r\n  hold: true\r\n".encode())
    assert load_model(path, Question).name == "café"
    path.write_bytes("\ufeffnme: café\r\nsignal:\r\n  hold: true\r\n  windo: 3\r\n".encode())
    with pytest.raises(
        ConfigError, match=r"windows\.yaml:1:1: nme: unknown key 'nme'\n     1 \| nme: café\n       \| \^\^\^ "
    ):
        load_model(path, Question)
    with pytest.raises(ConfigError, match=r"windows\.yaml:4:3: signal\.windo: unknown key"):
        load_model(path, Question)


def test_later_layers_point_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    path.write_text("name: a\nsignal:\n  window: 400\nlegs:\n  - window: 3\n", encoding="utf-8")
    source = load_source(path, ["data.source=simulated"])
    assert source.data["signal"] == {"window": 400}
    assert source.validate(Question).signal == Signal(window=400)
    assert source.where(("signal", "window")) == f"{path}:3:11\n     3 |   window: 400\n       |           ^^^"
    assert source.problem(("signal", "window"), "longer than the data (300 bars)", "use 300 or less") == (
        f"{path}:3:11: signal.window: longer than the data (300 bars)\n"
        "     3 |   window: 400\n       |           ^^^  use 300 or less"
    )
    assert source.problem(("signal", "window"), "is the wrong name", key=True).startswith(
        f"{path}:3:3: signal.window: is"
    )
    # a default that is not written is shown at the section around it
    assert source.problem(("signal", "premium"), "too high").startswith(
        f"{path}:2:1: signal.premium: too high\n     2 | signal:"
    )
    assert source.where(("costs", "fee")).startswith(f"{path}:1:1\n")
    assert source.where(("legs", 0, "window")).startswith(f"{path}:5:13\n")
    assert source.where(("data", "source")) == "-s data.source=simulated"
    replaced = load_source(path, ["signal={hold: true}"])
    assert replaced.where(("signal", "window")) == "-s signal={hold: true}"
    assert source.problem(("data", "source"), "no edge", "try 1") == "-s data.source=simulated: no edge; try 1"


def test_a_source_travels_to_another_process(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    path.write_text("name: a\n", encoding="utf-8")
    source = load_source(path)
    copy = pickle.loads(pickle.dumps(source))
    assert isinstance(copy, Source)
    assert copy == source
