"""How a terminal shows a fetch: a bar for each venue, or plain lines where there is no terminal (on stderr)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from btcflow.fetch.progress import FetchEvent, OnEvent

__all__ = ["fetch_progress"]


@contextmanager
def fetch_progress(jobs: Mapping[str, int], *, stream: TextIO | None = None) -> Iterator[OnEvent]:
    """Show a fetch: hand the yielded callable to it as ``on_event``.

    On a terminal it is one bar per venue with rows, missing steps and the time left. Anywhere else, and where
    ``NO_COLOR`` is set or ``TERM`` is ``dumb``, it is one plain line for each job that ends.

    Parameters
    ----------
    jobs : how many jobs each venue has; empty where nobody knows how many there will be, and then in plain lines
    stream : where to write; stderr by default
    """
    out = sys.stderr if stream is None else stream
    plain = not jobs or not out.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    with _lines(jobs, out) if plain else _bars(jobs, out) as show:
        yield show


@contextmanager
def _lines(jobs: Mapping[str, int], out: TextIO) -> Iterator[OnEvent]:
    total, ended = sum(jobs.values()), 0

    def show(now: FetchEvent) -> None:
        nonlocal ended
        if now.state == "asking":
            return
        ended += 1
        place = f"{ended} of {total}  " if total else ""
        out.write(f"{place}{now.job}: {_counts(now)}{' FAILED' if now.state == 'failed' else ''}\n")
        out.flush()

    yield show


@contextmanager
def _bars(jobs: Mapping[str, int], out: TextIO) -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    cut = Column(no_wrap=True, overflow="ellipsis")
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[state]}", markup=False, table_column=cut),
    )
    with Progress(*columns, console=Console(file=out)) as bars:
        tasks = {venue: bars.add_task(venue, total=float(count), state="waiting") for venue, count in jobs.items()}
        ended = dict.fromkeys(jobs, 0)

        def show(now: FetchEvent) -> None:
            over = now.state != "asking"
            ended[now.venue] += over
            reached = ended[now.venue] + (0.0 if over else now.done)
            state = f"{now.job}: {_counts(now)}{' FAILED' if now.state == 'failed' else ''}"
            bars.update(tasks[now.venue], completed=reached, state=state)

        yield show


def _counts(now: FetchEvent) -> str:
    missing = f", {now.missing:,} missing" if now.missing else ""
    return f"{now.rows:,} rows{missing}, {now.requests:,} requests"
