"""The shape of the code: layers, doors, names and sizes, read from the source without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import btcflow

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "btcflow"

LAYERS = (
    ("errors",),
    ("timeframes", "fields", "instrument", "clock", "panel"),
    ("stack", "rolling_kernels", "rolling", "registry", "yaml_text", "model_faults", "yaml_model"),
    ("data",),
    ("wire", "archives", "fetch", "audit"),
    ("flow", "rules"),
    ("engine", "contracts", "traps"),
    ("stats", "search"),
    ("config",),
    ("runs", "bench"),
    ("report",),
    ("api",),
    ("terminal", "cli", "__main__"),
)
"""Modules and folders of ``btcflow``, low to high: each imports from the lines above it and from the
names left of it on its own line. A new file in a folder has the folder's layer; anything new at the
top is written in here, in its place."""

DOORS = {
    "vectorbt": ("engine/portfolio.py", "bench/"),
    "optuna": ("search/study.py",),
    "pyarrow": ("data/",),
    "matplotlib": ("report/",),
    "jinja2": ("report/",),
    "markupsafe": ("report/",),
    "rich": ("search/progress.py", "terminal/fetch_progress.py"),
    "scipy": ("stats/", "traps/"),
    "ccxt": ("fetch/ccxt_door.py",),
    "duckdb": ("data/export.py",),
    "backtesting": ("bench/",),
    "raptorbt": ("bench/",),
    "plotly": (),
    "lwcharts": (),
    "requests": ("wire/static.py",),
    "aiohttp": (),
    "urllib3": (),
    "socket": (),
    "http": (),
    "urllib.request": (),
}
"""Heavy or networked packages and the one place (a file, or a folder) that may import each, always
inside a function. Empty: nobody yet, and ``lwcharts`` never: only its chart script is read."""

FIRST_PARTY = (*PACKAGE.rglob("*.py"), *(ROOT / "strategies").glob("*.py"))
WRITTEN_IN = {".py", ".js", ".css", ".j2", ".html"}
LONGEST = 400
LONGEST_TEST = 700
HOMELESS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "handler", "handlers", "base"}


@dataclass(frozen=True)
class Import:
    """One imported module: where it stands, and whether it waits inside a function."""

    module: str
    line: int
    inside_function: bool


class _Imports(ast.NodeVisitor):
    """Collects the imports that run: those under ``if TYPE_CHECKING`` do not."""

    def __init__(self) -> None:
        self.found: list[Import] = []
        self._depth = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)
            return
        for one in node.orelse:
            self.visit(one)

    def visit_Import(self, node: ast.Import) -> None:
        for one in node.names:
            self._add(one.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, f"line {node.lineno}: a relative import; write the whole name"
        for one in node.names:
            inner = f"{node.module}.{one.name}"
            self._add(inner if _file(inner) or inner in DOORS else str(node.module), node.lineno)

    def _add(self, module: str, line: int) -> None:
        self.found.append(Import(module, line, self._depth > 0))


def imports_of(source: str) -> list[Import]:
    """Every import of a file that runs, function-level ones included."""
    visitor = _Imports()
    visitor.visit(ast.parse(source))
    return visitor.found


def _file(module: str) -> Path | None:
    """The file of one of our modules, or None."""
    place = ROOT.joinpath(*module.split("."))
    return next((one for one in (place.with_suffix(".py"), place / "__init__.py") if one.is_file()), None)


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _unit(module: str) -> str:
    """The name a module has in LAYERS: its file or folder at the top of the package."""
    return module.split(".")[1]


def _place(unit: str) -> tuple[int, int]:
    return next((level, names.index(unit)) for level, names in enumerate(LAYERS) if unit in names)


def climbs(module: str, source: str) -> Iterator[str]:
    """Imports of a module of ours that do not go down."""
    for one in imports_of(source):
        if one.module.split(".")[0] != "btcflow" or one.module == "btcflow" or _unit(one.module) == _unit(module):
            continue
        if _place(_unit(one.module)) >= _place(_unit(module)):
            yield f"{module}:{one.line} imports {one.module}, which is not below it"


def trespasses(path: str, source: str) -> Iterator[str]:
    """Imports of a guarded package outside its door, or outside a function; ``path`` is below the package."""
    for one in imports_of(source):
        guarded = next((name for name in DOORS if one.module == name or one.module.startswith(f"{name}.")), None)
        if guarded is None:
            continue
        if not any(path == door or (door.endswith("/") and path.startswith(door)) for door in DOORS[guarded]):
            yield f"{path}:{one.line} imports {one.module}; its door is {' or '.join(DOORS[guarded]) or 'nowhere'}"
        elif not one.inside_function:
            yield f"{path}:{one.line} imports {one.module} when it is loaded; do it inside the function that needs it"


def test_every_module_has_a_declared_layer_and_every_layer_a_module() -> None:
    found = {_unit(_module(path)) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"}
    declared = [unit for names in LAYERS for unit in names]
    assert len(declared) == len(set(declared))
    assert found - set(declared) == set(), "write the new module into LAYERS, at the place its imports allow"
    assert set(declared) - found == set(), "LAYERS names what is no longer there"


def test_imports_only_go_down() -> None:
    paths = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert [one for path in paths for one in climbs(_module(path), path.read_text(encoding="utf-8"))] == []


def test_no_two_modules_import_each_other() -> None:
    graph = {}
    for path in PACKAGE.rglob("*.py"):
        named = {one.module for one in imports_of(path.read_text(encoding="utf-8"))}
        graph[_module(path)] = {module for module in named if _file(module)} - {"btcflow"}
    assert sum(map(len, graph.values())) > 50, "the imports were not read"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")


def test_the_package_itself_imports_nothing_when_it_is_loaded() -> None:
    names = {one.module.split(".")[0] for one in imports_of((PACKAGE / "__init__.py").read_text(encoding="utf-8"))}
    assert names <= set(sys.stdlib_module_names)


def test_no_module_takes_a_public_name_from_the_package_above_it() -> None:
    """`btcflow.run` is for users; inside, a name is imported from the module that makes it."""
    public = set(btcflow.__all__) - {"__version__"}
    taken = []
    for path in FIRST_PARTY:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "btcflow" and path != PACKAGE / "__init__.py":
                taken += [f"{path.name}:{node.lineno}" for one in node.names if one.name in public]
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "btcflow":
                taken += [f"{path.name}:{node.lineno}"] if node.attr in public else []
    assert taken == []


def test_no_import_hides_in_a_string() -> None:
    hidden = set()
    for path in PACKAGE.rglob("*.py"):
        calls = (
            node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        )
        called = {getattr(one, "id", None) or getattr(one, "attr", None) for one in calls}
        if called & {"import_module", "__import__"}:
            hidden.add(path.relative_to(PACKAGE).as_posix())
    assert hidden == {"__init__.py", "registry.py"}, "public names on first use and registries by folder: nothing else"


def test_guarded_packages_are_imported_behind_their_doors_and_inside_functions() -> None:
    found: list[str] = []
    for path in PACKAGE.rglob("*.py"):
        found += trespasses(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
    assert found == []


def test_every_file_that_is_a_door_exists_and_is_used() -> None:
    for package, places in DOORS.items():
        for place in (one for one in places if one.endswith(".py")):
            modules = {one.module.split(".")[0] for one in imports_of((PACKAGE / place).read_text(encoding="utf-8"))}
            assert package in modules, f"{place} no longer imports {package}"


def test_a_shipped_strategy_imports_the_rules_and_nothing_else() -> None:
    files = sorted((ROOT / "strategies").glob("*.py"))
    assert files
    for path in files:
        modules = {one.module for one in imports_of(path.read_text(encoding="utf-8"))}
        assert modules <= {"__future__", "btcflow.rules"}, path.name


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    code = [path for path in (*PACKAGE.rglob("*"), *(ROOT / "strategies").glob("*")) if path.suffix in WRITTEN_IN]
    tests = (ROOT / "tests").rglob("*.py")
    limits = {**dict.fromkeys(code, LONGEST), **dict.fromkeys(tests, LONGEST_TEST)}
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in limits}
    assert [f"{path.relative_to(ROOT)}: {length}" for path, length in lengths.items() if length > limits[path]] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part: path for path in FIRST_PARTY for part in path.relative_to(ROOT).with_suffix("").parts}
    assert {part: str(path) for part, path in parts.items() if part.lower() in HOMELESS} == {}


def test_no_module_bears_a_public_name() -> None:
    """With names made on first use, importing a module of that name would put the module in its place."""
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert modules & set(btcflow.__all__) == set()


# -- the checks above see what they are there to see -------------------------------------------------


def test_an_import_inside_a_function_climbs_too() -> None:
    source = "def late() -> None:\n    from btcflow.api import run\n"
    assert (
        next(climbs("btcflow.data.store", source)) == "btcflow.data.store:2 imports btcflow.api, which is not below it"
    )
    assert list(climbs("btcflow.flow.bars", "import btcflow.rules.rule")) != [], "right of it on its own line"
    assert list(climbs("btcflow.rules.rule", "from btcflow.flow import bars")) == []


def test_an_import_for_types_alone_does_not_count() -> None:
    guarded = "if TYPE_CHECKING:\n    import btcflow.api\nelse:\n    import btcflow.cli\n"
    assert [one.module for one in imports_of(guarded)] == ["btcflow.cli"]


def test_a_door_is_one_place_and_inside_a_function() -> None:
    inside, outside = "def draw():\n    import vectorbt as vbt\n", "import vectorbt.portfolio\n"
    assert list(trespasses("engine/portfolio.py", inside)) == []
    assert "when it is loaded" in next(trespasses("engine/portfolio.py", outside))
    assert "its door is engine/portfolio.py" in next(trespasses("engine/ledger.py", inside))
    assert "its door is nowhere" in next(trespasses("data/store.py", "def get():\n    from urllib import request\n"))
