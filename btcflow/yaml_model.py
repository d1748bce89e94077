"""YAML read into a typed model, with every problem named by file, line and column at once.

``load_model(path, Model)`` is all most callers need. A layer that finds a fault later (a window
longer than the data) keeps the :class:`Source` and points into the file with ``Source.problem``.

Types are not converted: quoted ``"5"`` is text and no number, and only ``true`` and ``false`` are
booleans. See :mod:`btcflow.yaml_text` for how scalars are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from btcflow.errors import ConfigError, MissingData
from btcflow.model_faults import check
from btcflow.yaml_text import Fault, Loc, Span, Spot, Text, dotted, read_text

__all__ = ["Source", "load_model", "load_source", "parse_model"]

M = TypeVar("M")
_WIDEST = 110
_START = Span(0, 0, 1)


def load_model(path: Path, model: type[M], *, overrides: Sequence[str] = ()) -> M:
    """Read a YAML file as ``model``.

    Parameters
    ----------
    path : the file
    model : a pydantic model or a dataclass; unknown keys are refused where the model forbids extras,
        and always in a dataclass at the top
    overrides : ``key.path=value`` texts whose value is read as YAML and wins over the file; a number
        in the path counts list entries from 0

    Raises
    ------
    MissingData
        where there is no such file.
    ConfigError
        with every problem at once, sorted by line, those of overrides last.
    """
    return _source(_read(path), str(path), overrides).validate(model)


def parse_model(text: str, model: type[M], *, name: str, overrides: Sequence[str] = ()) -> M:
    """Read YAML text as ``model``; ``name`` stands for the file in messages. See :func:`load_model`."""
    return _source(text, name, overrides).validate(model)


def load_source(path: Path, overrides: Sequence[str] = ()) -> Source:
    """Read a YAML file before any model is known.

    Raises as :func:`load_model` does, except that duplicate keys, unknown tags and overrides that
    cannot be set wait for ``Source.validate``, to be told together with what the model finds.
    """
    return _source(_read(path), str(path), overrides)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One YAML text as plain data that remembers where every value stands.

    Attributes
    ----------
    name : how messages call the file
    text : its lines, positions, and the faults met on reading
    """

    name: str
    text: Text = field(repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """Keys, lists and plain values, overrides applied; every key is text."""
        return self.text.data

    def validate(self, model: type[M]) -> M:
        """The data as ``model``; raises :class:`ConfigError` with every problem, sorted by line."""
        value, faults = check(model, self.data)
        faults = [*self.text.faults, *faults]
        if faults or value is None:
            raise ConfigError([self._told(one) for one in sorted(faults, key=self._order)])
        return value

    def where(self, loc: Loc) -> str:
        """``file:line:col`` and below it the line with a caret; for an override its text, ``-s a.b=1``.

        A place that is not in the file (a default) is shown at the nearest section around it.
        """
        spot = self._spot(Fault(loc, ""))
        return f"{self._head(spot)}{self._snippet(spot)}"

    def problem(self, loc: Loc, message: str, hint: str | None = None, *, key: bool = False) -> str:
        """One problem at ``loc`` as every other is told: place, key path, message, line, caret and hint.

        ``key`` points at the key rather than at its value: the name itself is what is wrong.
        """
        return self._told(Fault(loc, message, hint, None, at_key=key))

    def _spot(self, fault: Fault) -> Spot:
        if fault.spot is not None:
            return fault.spot
        spots = self.text.spots
        size = next((size for size in range(len(fault.loc), -1, -1) if fault.loc[:size] in spots), 0)
        spot = spots.get(fault.loc[:size], Spot())
        aside = fault.at_key or size < len(fault.loc)
        return spot._replace(value=None) if aside and spot.key is not None else spot

    def _order(self, fault: Fault) -> tuple[bool, int, int]:
        spot = self._spot(fault)
        span = spot.value or spot.key or _START
        return bool(spot.override), span.line, span.column

    def _head(self, spot: Spot) -> str:
        if spot.override:
            return f"-s {spot.override}"
        span = spot.value or spot.key or _START
        return f"{self.name}:{span.line + 1}:{span.column + 1}"

    def _snippet(self, spot: Spot) -> str:
        """The line with a caret below it; nothing for an override or an empty line."""
        line, column, width = spot.value or spot.key or _START
        text = self.text.lines[line].replace("\t", " ") if line < len(self.text.lines) else ""
        if spot.override or not text.strip():
            return ""
        start = max(0, column - _WIDEST // 2) if len(text) > _WIDEST else 0
        caret = "^" * max(1, min(width, start + _WIDEST - column))
        return f"\n{line + 1:>6} | {text[start : start + _WIDEST]}\n       | {' ' * (column - start)}{caret}"

    def _told(self, fault: Fault) -> str:
        spot, path = self._spot(fault), dotted(fault.loc)
        named = not path or fault.message.startswith(f"{path} ") or spot.override.partition("=")[0].strip() == path
        text = f"{self._head(spot)}: {fault.message if named else f'{path}: {fault.message}'}"
        snippet = self._snippet(spot)
        hint = f"{'  ' if snippet else '; '}{fault.hint}" if fault.hint else ""
        return f"{text}{snippet}{hint}"


def _source(text: str, name: str, overrides: Sequence[str]) -> Source:
    read = read_text(text)
    source = Source(name=name, text=read)
    if not read.readable:
        raise ConfigError([source._told(one) for one in read.faults])
    for one in overrides:
        read.override(one)
    return source


def _read(path: Path) -> str:
    if path.is_dir():
        raise ConfigError(f"{path}: a folder; expected a YAML file")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MissingData(f"{path}: no such file; check its name and the folder you are in") from None
    except UnicodeDecodeError as error:
        wrong = f"byte {error.object[error.start]:#04x} at offset {error.start}"
        raise ConfigError(f"{path}: not UTF-8 text ({wrong}); save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); expected a YAML file") from None
