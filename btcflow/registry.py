"""Registries: what there is, found by folder. One file adds a metric, a strategy or a venue.

There is no list to edit: a registry looks into a package of ours, into folders of Python files, or
both, the first time it is asked. Files whose name begins with an underscore are left alone.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Generic, TypeVar

from btcflow.errors import BtcflowError, ConfigError, MissingData, UnknownName

__all__ = ["Registry", "shipped"]

T = TypeVar("T")
_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str, *, package: Path = _PACKAGE) -> Path:
    """The folder ``strategies`` or ``configs`` that belongs to this btcflow.

    A wheel holds it at ``btcflow/shipped/<name>``; in the repository it lies beside the package.
    """
    inside = package / "shipped" / name
    return inside if inside.is_dir() else package.parent / name


class Registry(Generic[T]):
    """Everything of one kind, by name.

    Parameters
    ----------
    kind : what an entry is called in messages: ``metric``, ``strategy``, ``venue``
    collect : the entries a module defines, by name
    package : a package of ours whose modules are imported under their own names
    folders : folders of ``.py`` files, each loaded once under a private module name

    Examples
    --------
    >>> import json
    >>> modules = Registry("module", package=json, collect=lambda module: {module.__name__: module})
    >>> modules.names()
    ('json.decoder', 'json.encoder', 'json.scanner', 'json.tool')
    """

    def __init__(
        self,
        kind: str,
        *,
        collect: Callable[[ModuleType], Mapping[str, T]],
        package: ModuleType | None = None,
        folders: Sequence[Path] = (),
    ) -> None:
        self.kind = kind
        self._collect = collect
        self._package = package
        self._places = list(folders)
        self._modules: dict[Path | str, ModuleType] = {}
        self._entries: dict[str, tuple[T, ModuleType]] = {}
        self._stale = True

    def __contains__(self, name: object) -> bool:
        return name in self._loaded()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._loaded())

    def add_folder(self, place: Path) -> None:
        """Look into one more folder (or one ``.py`` file), as ``--strategies DIR`` asks.

        Raises
        ------
        MissingData
            where there is no such folder or file.
        """
        if not place.is_dir() and not (place.is_file() and place.suffix == ".py"):
            raise MissingData(f"{place}: no such folder; expected a folder of .py files that define a {self.kind}")
        if place not in self._places:
            self._places.append(place)
            self._stale = True

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._loaded()))

    def items(self) -> tuple[tuple[str, T], ...]:
        """All names and entries, sorted by name."""
        loaded = self._loaded()
        return tuple((name, loaded[name][0]) for name in sorted(loaded))

    def get(self, name: str) -> T:
        """The entry called ``name``; raises :class:`UnknownName` with the nearest name there is."""
        return self._found(name)[0]

    def file_of(self, name: str) -> Path:
        """The file that defines the entry called ``name``."""
        return Path(str(self._found(name)[1].__file__))

    def _found(self, name: str) -> tuple[T, ModuleType]:
        loaded = self._loaded()
        if name not in loaded:
            raise UnknownName(self.kind, name, loaded)
        return loaded[name]

    def _loaded(self) -> dict[str, tuple[T, ModuleType]]:
        """Every entry with its module; loads what has not been loaded and tells all faults at once."""
        if not self._stale:
            return self._entries
        problems: list[str] = []
        for source in self._sources():
            if source in self._modules:
                continue
            try:
                self._modules[source] = self._import(source)
            except ConfigError as error:
                problems += error.problems
        entries = self._gathered(problems)
        if problems:
            raise ConfigError(problems)
        self._entries, self._stale = entries, False
        return entries

    def _sources(self) -> Iterator[Path | str]:
        """Module names of the package, then the files of every folder."""
        if self._package is not None:
            for found in sorted(pkgutil.iter_modules(self._package.__path__), key=lambda one: one.name):
                if not found.name.startswith("_"):
                    yield f"{self._package.__name__}.{found.name}"
        for place in self._places:
            if not place.exists():
                raise MissingData(f"{place}: no such folder; it holds every {self.kind}: is the installation whole?")
            files = [place] if place.is_file() else sorted(place.glob("*.py"))
            yield from (one.resolve() for one in files if not one.name.startswith("_"))

    def _import(self, source: Path | str) -> ModuleType:
        try:
            return importlib.import_module(source) if isinstance(source, str) else _module_of(source)
        except (Exception, SystemExit) as error:  # a file may raise anything while it is imported
            raise ConfigError(_blame(source, error)) from error

    def _gathered(self, problems: list[str]) -> dict[str, tuple[T, ModuleType]]:
        """The entries of all modules; one name for two things is a problem, an entry imported twice is not."""
        entries: dict[str, tuple[T, ModuleType]] = {}
        for module in self._modules.values():
            for name, entry in self._collect(module).items():
                if name not in entries:
                    entries[name] = entry, module
                elif entries[name][0] is not entry:
                    first, second = entries[name][1].__file__, module.__file__
                    problems.append(f"two files define the {self.kind} {name!r}: {first} and {second}; rename one")
        return entries


class _AsWritten(SourceFileLoader):
    """Compiles the file as it is now: no stale bytecode, and no cache folder left beside it."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the module."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _module_of(file: Path) -> ModuleType:
    """The file as a module under a name of its own, so that no two folders can collide."""
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:12]
    name = f"_btcflow_{digest}_{file.stem}"
    loader = _AsWritten(name, str(file))
    module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=str(file)))
    module.__file__ = str(file)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _blame(source: Path | str, error: BaseException) -> str:
    """``file:line: cannot be imported: cause``; the line is the file's own, not one of a library."""
    file = str(source)
    if isinstance(source, str):
        spec = importlib.util.find_spec(source)
        file = str(spec.origin) if spec is not None else source
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == file else own[-1] if own else None
    cause = error.msg if isinstance(error, SyntaxError) else str(error)
    kind = "" if isinstance(error, BtcflowError) else f"{type(error).__name__}: "
    return f"{file}{'' if line is None else f':{line}'}: cannot be imported: {kind}{cause}"
