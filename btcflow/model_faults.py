"""What pydantic finds wrong with plain data, as faults in plain words at the key they belong to.

pydantic names the place of an error by the keys of the data and, between them, by labels of its own
(the tag of a discriminated union, the name of a union's member). Here labels are told from keys by
walking the data, and the complaints of all members of a union become one fault.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, NamedTuple, TypeVar

from pydantic import ConfigDict, RootModel, ValidationError, create_model

from btcflow.errors import ConfigError, nearest
from btcflow.yaml_text import Fault, Loc

__all__ = ["check"]

M = TypeVar("M")


def check(model: type[M], data: Mapping[str, Any]) -> tuple[M | None, list[Fault]]:
    """The data as ``model``, types not converted, or None and every fault.

    The data go through JSON because pydantic's strict JSON mode is the right contract for a text
    file: lists become tuples and text becomes dates, but text never becomes a number or a boolean.
    A plain dataclass takes its refusal of unknown keys from the shell around it.
    """
    fields: dict[str, Any] = {"it": (model, ...)}
    shell = create_model("Shell", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        return getattr(shell.model_validate_json(json.dumps({"it": data}), strict=True), "it"), []  # noqa: B009
    except ValidationError as error:
        found = [_placed(dict(one), data) for one in error.errors(include_url=False)]
    groups = list(_groups(found, 0))
    meant = {(one[0].path[:-1], _meant(one[0], model)) for one in groups if one[0].kind in _UNKNOWN}
    kept = [one for one in groups if one[0].kind not in _MISSING or (one[0].path, one[0].parts[-1]) not in meant]
    return None, [fault for group in kept for fault in _faults(group, model, data)]


class _Error(NamedTuple):
    """One pydantic error; ``labels[i]`` says that ``parts[i]`` is pydantic's own label and no key."""

    kind: str
    parts: Loc
    labels: tuple[bool, ...]
    value: Any
    details: Mapping[str, Any]
    text: str

    @property
    def path(self) -> Loc:
        """The place in the data; for a missing key the section it is missing from."""
        return tuple(part for part, label in zip(self.parts, self.labels, strict=True) if not label)


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")


# ---- keys and labels ----------------------------------------------------------------------------


def _placed(raw: dict[str, Any], data: Any) -> _Error:
    """The error with its labels marked: of all readings, the one that ends at the value it complains of."""
    parts: Loc = raw["loc"][1:]
    missing = raw["type"] in _MISSING
    walked = parts[:-1] if missing else parts
    readings = _readings(data, walked)
    labels, _ = max(readings, key=lambda one: (_same(one[1], raw["input"]), one[0].count(False)))
    return _Error(
        raw["type"], parts, (*labels, True) if missing else labels, raw["input"], raw.get("ctx", {}), raw["msg"]
    )


def _readings(value: Any, parts: Loc) -> Iterator[tuple[tuple[bool, ...], Any]]:
    if not parts:
        yield (), value
        return
    if _has(value, parts[0]):
        for labels, end in _readings(value[parts[0]], parts[1:]):
            yield (False, *labels), end
    for labels, end in _readings(value, parts[1:]):
        yield (True, *labels), end


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _groups(errors: Sequence[_Error], depth: int) -> Iterator[list[_Error]]:
    """Errors that are told as one: all that a union's members say of one value."""
    unions: dict[Loc, dict[str | int, list[_Error]]] = {}
    for one in errors:
        at = next((row for row in range(depth, len(one.labels)) if one.labels[row]), None)
        if at is None or (one.kind in _MISSING and at == len(one.labels) - 1):
            yield [one]
        else:
            unions.setdefault(one.parts[:at], {}).setdefault(one.parts[at], []).append(one)
    for prefix, members in unions.items():
        deeper = len(prefix) + 1
        point = next(iter(members.values()))[0].labels[: len(prefix)].count(False)
        flat = [one for one in members.values() if all(len(e.path) == point and _expected(e) for e in one)]
        deep = [one for one in members.values() if one not in flat]
        if deep:  # a member that got as far as the value's inside is the one that was meant
            yield from _groups(min(deep, key=len), deeper)
        else:
            yield [error for member in flat for error in member]


# ---- words --------------------------------------------------------------------------------------

_LIST, _SECTION = "a list", "a section of keys and values"
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "dataclass_type": _SECTION,
    "mapping_type": _SECTION,
    "none_required": "nothing",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of {ge} or more",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of {le} or less",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} at most",
    "string_too_short": "text of {min_length} or more characters",
    "string_too_long": "text of {max_length} characters at most",
    "string_pattern_mismatch": "text of the form {pattern}",
}


def _expected(error: _Error) -> str:
    """What would have been right, as a phrase after "expected"; empty where only the message says it."""
    if error.kind in _EXPECTED:
        plain = {key: f"{value:g}" if isinstance(value, float) else value for key, value in error.details.items()}
        return _EXPECTED[error.kind].format_map(plain)
    found = re.match(r"Input should be (.*)", error.text)
    return found[1] if found else ""


def _got(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"text {value!r}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "a section" if isinstance(value, dict) else repr(value)


def _faults(group: Sequence[_Error], model: Any, data: Any) -> Iterator[Fault]:
    first = group[0]
    if first.kind in _MISSING:
        yield Fault(first.path, f"missing key {first.parts[-1]!r}")
    elif first.kind in _UNKNOWN:
        yield _unknown_key(first, model)
    elif first.kind.startswith("union_tag"):
        yield _wrong_tag(first)
    elif first.kind in {"value_error", "assertion_error"}:
        yield from _own_words(first, data)
    else:
        phrases = list(dict.fromkeys(filter(None, map(_expected, group))))
        if "a number" in phrases and "a whole number" in phrases:
            phrases.remove("a whole number")
        wanted = f"expected {_one_of(phrases)}" if phrases else first.text
        at_key = bool(first.parts) and first.parts[-1] == "[key]"
        yield Fault(first.path, f"{wanted}, got {_got(first.value)}", _hint(group, phrases), None, at_key)


_SAID_FOR = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def _one_of(phrases: Sequence[str]) -> str:
    """``a, b or c``."""
    return " or ".join(filter(None, (", ".join(phrases[:-1]), *phrases[-1:])))


def _hint(group: Sequence[_Error], phrases: Sequence[str]) -> str | None:
    value = group[0].value
    if _EXPECTED["bool_type"] in phrases and isinstance(value, str) and value.lower() in _SAID_FOR:
        return f"did you mean {_SAID_FOR[value.lower()]}?"
    choices = [choice for error in group for choice in _quoted(str(error.details.get("expected", "")))]
    close = nearest(str(value), choices)
    if close is not None:
        return f"did you mean {close!r}?"
    numeric = any("number" in one for one in phrases)
    if numeric and isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+", value):
        return "remove the quotes"
    if "text" in phrases and isinstance(value, bool | int | float):
        return "put it in quotes"
    return None


def _unknown_key(error: _Error, model: Any) -> Fault:
    name = str(error.path[-1]) if error.path else str(error.parts[-1])
    close = _meant(error, model)
    known = sorted(_known(error, model))
    hint = f"did you mean {close!r}?" if close else f"known here: {', '.join(known)}" if known else None
    return Fault(error.path, f"unknown key {name!r}", hint, None, at_key=True)


def _meant(error: _Error, model: Any) -> str | None:
    return nearest(str(error.parts[-1]), _known(error, model))


def _wrong_tag(error: _Error) -> Fault:
    key = str(error.details.get("discriminator", "")).strip("'")
    if error.kind == "union_tag_not_found":
        meant = nearest(key, error.value) if isinstance(error.value, dict) else None
        if meant is not None:
            return Fault((*error.path, meant), f"unknown key {meant!r}", f"did you mean {key!r}?", None, at_key=True)
        return Fault(error.path, f"missing key {key!r}")
    expected, tag = str(error.details["expected_tags"]), str(error.details["tag"])
    close = nearest(tag, _quoted(expected))
    hint = f"did you mean {close!r}?" if close else None
    return Fault((*error.path, key), f"expected {_one_of(expected.split(', '))}, got {tag!r}", hint)


def _own_words(error: _Error, data: Any) -> Iterator[Fault]:
    """The messages of our own validators; one that begins with a key path is shown at that key."""
    cause = error.details.get("error")
    for text in cause.problems if isinstance(cause, ConfigError) else [str(cause)]:
        place = _named_place(text, error.path, data)
        yield Fault(place, text.removeprefix(f"{place[-1]}: ") if place else text)


def _named_place(text: str, within: Loc, data: Any) -> Loc:
    place: Loc = ()
    for part in text.split(" ", 1)[0].rstrip(":").split("."):
        step = int(part) if isinstance(data, list) and part.isdecimal() else part
        if not _has(data, step):
            return within
        data, place = data[step], (*place, step)
    return place if place[: len(within)] == within else within


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


# ---- the keys a section may have ----------------------------------------------------------------


def _known(error: _Error, model: Any) -> list[str]:
    """The keys the model allows in the section that holds the last part of the error's place."""
    kinds = list(_leaves(model))
    for part, label in zip(error.parts[:-1], error.labels[:-1], strict=True):
        if label:
            kinds = [kind for kind in kinds if _answers_to(kind, str(part))] or kinds
        else:
            kinds = [leaf for kind in kinds for inner in _inside(kind, part) for leaf in _leaves(inner)]
    return list(dict.fromkeys(name for kind in kinds for name in _keys(kind)))


def _leaves(kind: Any) -> Iterator[Any]:
    """The types behind aliases, Annotated, Optional, unions and root models."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        yield from _leaves(typing.get_args(kind)[0])
    elif origin is typing.Union or isinstance(kind, types.UnionType):
        for member in typing.get_args(kind):
            yield from _leaves(member)
    elif hasattr(kind, "__value__"):
        yield from _leaves(kind.__value__)
    elif isinstance(kind, type) and issubclass(kind, RootModel):
        yield from _leaves(kind.model_fields["root"].annotation)
    else:
        yield kind


def _keys(kind: Any) -> dict[str, Any]:
    """The keys of a model or dataclass as the file spells them, and their types."""
    fields = getattr(kind, "__pydantic_fields__", None)
    if fields is not None:
        spelled = {name: one.validation_alias or one.alias or name for name, one in fields.items()}
        return {str(spelled[name]): one.annotation for name, one in fields.items()}
    return typing.get_type_hints(kind) if isinstance(kind, type) and is_dataclass(kind) else {}


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    keys = _keys(kind)
    if part in keys:
        yield keys[str(part)]
    elif typing.get_origin(kind) is not typing.Literal and not keys:
        arguments = [one for one in typing.get_args(kind) if one is not Ellipsis]
        yield from arguments[-1:] if isinstance(part, str) else arguments


def _answers_to(kind: Any, label: str) -> bool:
    """Whether a union's label means this member: its name, or a tag among its literals."""
    if re.search(rf"\b{re.escape(getattr(kind, '__name__', '?'))}\b", label):
        return True
    return any(
        label in map(str, typing.get_args(one))
        for one in _keys(kind).values()
        if typing.get_origin(one) is typing.Literal
    )
