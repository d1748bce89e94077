"""YAML text as plain data that remembers where every key and value stands.

Scalars are read as YAML 1.2 reads them: only ``true`` and ``false`` are booleans (``yes``, ``on``,
``no`` and ``off`` are text), ``12:30`` and ``2024-01-01`` are text, ``1e-5`` is a number. A key
written twice is a fault, and so is any tag that would build an object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

__all__ = ["Fault", "Loc", "Span", "Spot", "Text", "dotted", "read_text"]

Loc = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top, ``("legs", 0, "quote")``."""

_MOST_VALUES = 100_000
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_CORE = "tag:yaml.org,2002:"


class Span(NamedTuple):
    """A stretch of one line; line and column count from 0."""

    line: int
    column: int
    width: int


class Spot(NamedTuple):
    """Where a key and its value stand in the file, or the override (``a.b=1``) that set them."""

    key: Span | None = None
    value: Span | None = None
    override: str = ""


class Fault(NamedTuple):
    """One problem before it is put into words with its place; ``spot`` wins over ``loc``'s own."""

    loc: Loc
    message: str
    hint: str | None = None
    spot: Spot | None = None
    at_key: bool = False


@dataclass(kw_only=True)
class Text:
    """What was read: the lines, plain data (every key is text), the spot of every value, the faults."""

    lines: list[str]
    data: dict[str, Any] = field(default_factory=dict)
    spots: dict[Loc, Spot] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    readable: bool = True

    def override(self, text: str) -> None:
        """Set ``key.path=value``; the value is read as YAML, a number in the path counts list entries."""
        path, equals, written = text.partition("=")
        parts = path.strip().split(".")
        inner = _Builder(text)
        try:
            if not equals or not all(parts):
                raise _ReadError("expected key.path=value", None)
            node = _compose(written)
            target, loc = self._target(parts, Spot(override=text))
            value = None if node is None else inner.value(node, loc, None)
        except _ReadError as error:
            self.faults.append(Fault((), str(error), None, Spot(override=text)))
            return
        for old in [one for one in self.spots if one[: len(loc)] == loc]:
            del self.spots[old]
        target[loc[-1]] = value
        self.spots.update(inner.spots or {loc: Spot(override=text)})
        self.faults += inner.faults

    def _target(self, parts: list[str], spot: Spot) -> tuple[Any, Loc]:
        """The section or list the last part stands in (made where absent), and the place to set."""
        target: Any = self.data
        loc: Loc = ()
        for depth, part in enumerate(parts):
            loc = (*loc, _step(target, loc, part))
            if depth == len(parts) - 1:
                break
            if isinstance(target, dict) and target.get(part) is None:
                target[part] = {}
                self.spots[loc] = spot
            target = target[loc[-1]]
        return target, loc


def _step(target: Any, loc: Loc, part: str) -> str | int:
    """One part of an override's path as the key or the list position it means."""
    if isinstance(target, dict):
        return part
    if not isinstance(target, list):
        raise _ReadError(f"{dotted(loc)} is {target!r} and no section; it has no key {part!r}", None)
    if part.isdecimal() and int(part) < len(target):
        return int(part)
    raise _ReadError(f"{dotted(loc)} is a list of {len(target)}; expected an entry number from 0, got {part!r}", None)


def dotted(loc: Loc) -> str:
    """The place as it is written in messages and overrides: ``legs.0.quote``."""
    return ".".join(str(part) for part in loc)


def read_text(text: str) -> Text:
    """Read YAML whose top level holds keys and values.

    What cannot be read at all comes back with ``readable`` false and the one fault that says why;
    duplicate keys and unknown tags come back as faults beside the data.
    """
    read = Text(lines=_BREAK.split(text))
    try:
        node = _compose(text)
        if node is None:
            raise _ReadError("empty; expected keys and values such as 'name: my_question'", None)
        if not isinstance(node, yaml.MappingNode):
            got = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
            raise _ReadError(f"expected keys and values at the top level, got {got}", _span(node))
        builder = _Builder()
        read.data = builder.value(node, (), None)
        read.spots, read.faults = builder.spots, builder.faults
    except _ReadError as error:
        read.readable = False
        read.faults = [Fault((), str(error), None, Spot(value=error.span))]
    return read


# ---- syntax -------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with the scalars of YAML 1.2 in place of those of 1.1."""


_DIGITS = r"[0-9](?:_?[0-9])*"
_REAL = rf"[-+]?(?:(?:{_DIGITS}\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|{_DIGITS}[eE][-+]?[0-9]+)\Z"
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9](?:_?[0-9])*)(?:[eE]\+?1?[0-9])?\Z", "-+0123456789"),
    ("float", _REAL, "-+0123456789."),
    ("float", r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z", "-+."),
    ("merge", r"<<\Z", "<"),
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(_CORE + _tag, re.compile(_pattern), list(_first))


class _ReadError(ValueError):
    """What cannot be read, with its place where it has one."""

    def __init__(self, message: str, span: Span | None) -> None:
        super().__init__(message)
        self.span = span


_PLAIN = (
    (r"'\\t'", "a tab where YAML allows only spaces; indent with spaces"),
    ("mapping values are not allowed", "a ':' that does not fit here; check the indentation, or quote the value"),
    ("could not find expected ':'", "a key without ':'; expected 'key: value'"),
    ("expected <block end>", "does not line up with the lines above; check the indentation"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing"),
    ("but found another document", "a second document ('---'); expected one"),
    ("found undefined alias", "an alias (*name) without its anchor (&name) above"),
    ("end of stream", "a quoted text or a bracket that is never closed"),
    ("cannot start any token", "a character that cannot start a value; put the value in quotes"),
    ("expected '<document start>'", "does not fit here; expected lines of 'key: value'"),
)
_UNENDED = ("could not find expected ':'", "expected ',' or", "end of stream")
"""Faults that are shown where the unfinished thing begins, not where its end was missed."""


def _compose(text: str) -> yaml.Node | None:
    """The node tree of one document, or None for an empty one."""
    try:
        return _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        before = _BREAK.split(text[: error.position])
        message = f"character U+{ord(text[error.position]):04X} is not allowed in YAML; remove it"
        raise _ReadError(message, Span(len(before) - 1, len(before[-1]), 1)) from None
    except yaml.MarkedYAMLError as error:
        raw = error.problem or error.context or "not valid YAML"
        plain = next((ours for part, ours in _PLAIN if re.search(part, raw)), raw)
        begun = any(part in raw for part in _UNENDED)
        mark = (error.context_mark if begun else None) or error.problem_mark or error.context_mark
        raise _ReadError(plain, Span(mark.line, mark.column, 1) if mark else None) from None
    except RecursionError:
        raise _ReadError("nested too deeply to be read", None) from None


# ---- nodes to data ------------------------------------------------------------------------------


class _Builder:
    """Turns nodes into plain data; notes where each value stands and what is wrong."""

    def __init__(self, override: str = "") -> None:
        self.override = override
        self.spots: dict[Loc, Spot] = {}
        self.faults: list[Fault] = []
        self._inside: list[yaml.Node] = []

    def value(self, node: yaml.Node, loc: Loc, key: yaml.Node | None) -> Any:
        """The node as data; ``key`` is the node of the key it belongs to."""
        self.spots[loc] = self._spot(node, key)
        if len(self.spots) > _MOST_VALUES or any(node is one for one in self._inside):
            raise _ReadError("aliases (*name) that repeat without end; write the values out", _span(node))
        self._inside.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, loc)
            if isinstance(node, yaml.SequenceNode):
                self._refuse_tag(node, loc, ("seq",))
                return [self.value(one, (*loc, row), None) for row, one in enumerate(node.value)]
            return self._scalar(node, loc)
        finally:
            self._inside.pop()

    def _spot(self, node: yaml.Node, key: yaml.Node | None = None) -> Spot:
        """A block of lines is shown at its key; what is written on one line at itself."""
        if self.override:
            return Spot(override=self.override)
        block = isinstance(node, yaml.CollectionNode) and not node.flow_style and key is not None
        empty = node.start_mark.index == node.end_mark.index
        return Spot(_span(key) if key is not None else None, None if block or empty else _span(node))

    def _fault(self, loc: Loc, message: str, node: yaml.Node) -> None:
        self.faults.append(Fault(loc, message, None, self._spot(node)))

    def _refuse_tag(self, node: yaml.Node, loc: Loc, known: tuple[str, ...]) -> None:
        if node.tag.removeprefix(_CORE) not in known:
            self._fault(loc, f"tag {node.tag.replace(_CORE, '!!')!r} is not understood; remove it", node)

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        self._refuse_tag(node, loc, tuple(_SCALARS))
        kind = node.tag.removeprefix(_CORE)
        try:
            return _SCALARS.get(kind, str)(node.value)
        except (ValueError, KeyError):
            self._fault(loc, f"{node.value!r} cannot be read as {kind}", node)
            return None

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        self._refuse_tag(node, loc, ("map",))
        found: dict[str, Any] = {}
        first: dict[str, yaml.Mark] = {}
        merges = [(key, value) for key, value in node.value if key.tag == f"{_CORE}merge"]
        for key, value in node.value:
            if key.tag == f"{_CORE}merge":
                continue
            if not isinstance(key, yaml.ScalarNode) or not key.value:
                self._fault(loc, "expected a key of plain text", key)
            elif key.value in first:
                mark = first[key.value]
                message = f"duplicate key {key.value!r}, first written at {mark.line + 1}:{mark.column + 1}; keep one"
                self._fault((*loc, key.value), message, key)
            else:
                first[key.value] = key.start_mark
                found[key.value] = self.value(value, (*loc, key.value), key)
        for key, value in merges:
            self._merge(key, value, loc, found)
        return found

    def _merge(self, key: yaml.Node, value: yaml.Node, loc: Loc, found: dict[str, Any]) -> None:
        """``<<: *anchor`` adds the anchor's keys; the section's own keys win."""
        for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(one, yaml.MappingNode):
                self._fault(loc, "'<<' expects a section (*name)", key)
                continue
            if any(one is outer for outer in self._inside):
                raise _ReadError("'<<' names a section that it stands in", _span(key))
            for inner, content in one.value:
                if inner.tag == f"{_CORE}merge":
                    self._merge(inner, content, loc, found)
                elif isinstance(inner, yaml.ScalarNode) and inner.value not in found:
                    found[inner.value] = self.value(content, (*loc, inner.value), inner)


def _span(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    return Span(start.line, start.column, max(1, end.column - start.column) if start.line == end.line else 1)


def _whole(text: str) -> int:
    digits, _, exponent = text.lower().partition("e")
    power: int = 10 ** int(exponent or 0)
    return int(digits) * power


_SCALARS: dict[str, Any] = {
    "str": str,
    "int": _whole,
    "float": lambda text: float(re.sub(r"(?i)\.(?=inf|nan)", "", text)),
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "null": lambda _: None,
}
