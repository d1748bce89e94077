"""How far a search has come, and how a terminal shows it (on stderr, never on stdout)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

__all__ = ["OnProgress", "Progress", "terminal_progress"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of a running search, reported once per batch.

    Attributes
    ----------
    done, total : trials told so far, and trials asked for
    failed : trials among ``done`` that could not be scored
    elapsed : seconds since this call began (a resumed search starts at 0 again)
    best : in-sample score of the best trial so far, None while there is none
    best_params : its parameter set
    """

    done: int
    total: int
    failed: int = 0
    elapsed: float = 0.0
    best: float | None = None
    best_params: Mapping[str, int | float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The best so far in words, with the number of trials it was picked from."""
        if self.best is None:
            return "nothing scored yet" if self.done else "starting"
        values = ", ".join(f"{name}={value:g}" for name, value in self.best_params.items())
        return f"best in-sample {self.best:.3f} of {self.done} trials ({values})"


OnProgress = Callable[[Progress], None]


@contextmanager
def terminal_progress(title: str, *, stream: TextIO | None = None) -> Iterator[OnProgress]:
    """Show a search on the terminal: hand the yielded callable to the search as ``progress``.

    On a terminal it is a bar with the best so far and the time left. Anywhere else, and where
    ``NO_COLOR`` is set or ``TERM`` is ``dumb``, it is one plain line per tenth of the work.

    Parameters
    ----------
    title : what is searched, for example the experiment's name
    stream : where to write; stderr by default
    """
    out = sys.stderr if stream is None else stream
    plain = not out.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    with _lines(title, out) if plain else _bar(title, out) as show:
        yield show


@contextmanager
def _lines(title: str, out: TextIO) -> Iterator[OnProgress]:
    shown = 0

    def show(now: Progress) -> None:
        nonlocal shown
        tenth = 10 * now.done // now.total if now.total else 10
        if tenth > shown:
            shown = tenth
            out.write(f"{title}: {10 * tenth} % ({now.done} of {now.total}){_failed(now)}, {now.text}\n")
            out.flush()

    yield show


@contextmanager
def _bar(title: str, out: TextIO) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=16), MofNCompleteColumn())
    cut = Column(no_wrap=True, overflow="ellipsis")
    state = TextColumn("{task.fields[state]}", markup=False, table_column=cut)
    with Bar(*columns, TimeRemainingColumn(compact=True), state, console=Console(file=out)) as bar:
        task = bar.add_task(title, total=None, state="")

        def show(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total, state=f"{now.text}{_failed(now)}")

        yield show


def _failed(now: Progress) -> str:
    return f", {now.failed} failed" if now.failed else ""
