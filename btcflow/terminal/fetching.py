"""``btcflow data fetch`` and ``btcflow data record``: from a config to the store, with a table at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from btcflow.errors import ConfigError
from btcflow.terminal.fetch_progress import fetch_progress
from btcflow.terminal.tables import table

if TYPE_CHECKING:
    from btcflow.data.store import Store
    from btcflow.fetch.plan import Plan
    from btcflow.fetch.progress import FetchReport

__all__ = ["fetch_document", "fetch_text", "fetched", "recorded"]


def fetched(config: str, *, overrides: Sequence[str] = (), store: Path | None = None) -> FetchReport:
    """Fetch what the ``data:`` section of a config wants.

    Parameters
    ----------
    config : a YAML file, or the name of a shipped config
    store : where to keep it; default: the config's own, else ``BTCFLOW_STORE`` or ``./store``

    Raises
    ------
    ConfigError, NotOffered
        before the first request, with all that is wrong with the section.
    StoreError
        where the disk refuses.
    """
    from btcflow.fetch.asking import Surroundings
    from btcflow.fetch.ccxt_door import venue_base
    from btcflow.fetch.run import carry_out

    plan, place = _plan(config, overrides, store)
    with fetch_progress({venue: len(jobs) for venue, jobs in plan.by_venue.items()}) as show:
        return carry_out(plan, place, world=Surroundings(base=venue_base()), on_event=show)


def recorded(
    config: str, *, every: str, count: int | None, overrides: Sequence[str] = (), store: Path | None = None
) -> FetchReport:
    """Keep taking down what the venues of a config tell for days only.

    Parameters
    ----------
    every : time between two rounds, such as ``5m``
    count : rounds; None = until Ctrl-C
    """
    from btcflow.fetch.asking import Surroundings
    from btcflow.fetch.ccxt_door import venue_base
    from btcflow.fetch.record import keep_recording

    plan, place = _plan(config, overrides, store, every=every)
    with fetch_progress({}) as show:
        world = Surroundings(base=venue_base())
        return keep_recording(plan, place, every=every, count=count, world=world, on_event=show)


def fetch_text(report: FetchReport) -> str:
    """The final table: one line per series, and below it what a reader should know."""
    header = ["series", "rows", "new", "revised", "missing", "requests", ""]
    rows = [
        [
            str(one.key),
            f"{one.rows:,}",
            f"{one.added:,}",
            f"{one.revised:,}",
            f"{one.missing:,}",
            f"{one.requests:,}" if one.requests else "",
            "FAILED" if one.failed is not None else "",
        ]
        for one in report.series
    ]
    notes = [*report.notes, *(f"{one.key}: {note}" for one in report.series for note in one.notes)]
    return "\n".join([table(header, rows), *(f"note: {one}" for one in dict.fromkeys(notes))])


def fetch_document(report: FetchReport) -> dict[str, Any]:
    """The same as one JSON document."""
    return {
        "schema": "btcflow.fetch/1",
        "complete": not report.failed,
        "series": [one.plain() for one in report.series],
        "notes": list(report.notes),
    }


def _plan(config: str, overrides: Sequence[str], store: Path | None, *, every: str | None = None) -> tuple[Plan, Store]:
    from btcflow.config.experiment import StoreData
    from btcflow.config.load import read_config
    from btcflow.data.store import Store, default_store_path
    from btcflow.fetch.plan import plan_of

    experiment = read_config(config, overrides=overrides)
    data = experiment.data
    if not isinstance(data, StoreData):
        told = "data is simulated: there is nothing to fetch; expected source: store"
        raise ConfigError(experiment.problem(("data", "source"), told))
    plan = plan_of(
        data.datasets,
        start=data.start,
        end=data.end,
        overlap_bars=data.overlap_bars,
        every=every,
        tell=experiment.problem,
    )
    own = Path(data.store) if data.store is not None else default_store_path()
    return plan, Store(store or own)
