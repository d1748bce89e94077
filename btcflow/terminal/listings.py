"""Lists: what can be named in a config, the runs made so far, the series in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from btcflow.errors import UnknownName
from btcflow.terminal.tables import left_table, number, table

if TYPE_CHECKING:
    from btcflow.data.venue_facts import InstrumentFacts

__all__ = ["import_files_text", "listing", "store_text"]


def listing(what: str, runs: Path) -> str:
    """The text of ``btcflow list WHAT``."""
    kinds: dict[str, Callable[[], str]] = {
        "metrics": _metrics,
        "strategies": _strategies,
        "venues": _venues,
        "configs": _configs,
        "runs": lambda: _runs(runs),
    }
    if what not in kinds:
        raise UnknownName("list", what, kinds)
    return kinds[what]()


def store_text(path: Path | None) -> str:
    """The series in the store; ``states`` counts how many the series has had, all of them still readable."""
    from btcflow.data.store import Store, default_store_path

    entries = Store(path or default_store_path()).entries()
    sources = ["SIMULATED" if entry.synthetic else _short(entry.source) for entry in entries]
    width = max(map(len, (*sources, "source")))
    rows = [
        [
            str(entry.key),
            f"{entry.rows:,}",
            str(entry.first)[:16],
            str(entry.last)[:16],
            f"{entry.gaps.missing:,}",
            f"{entry.revised:,}",
            f"{entry.vintages:,}",
            entry.content_sha256[:12],
            source.ljust(width),
        ]
        for entry, source in zip(entries, sources, strict=True)
    ]
    header = ["series", "rows", "first", "last", "missing", "revised", "states", "sha256", "source".ljust(width)]
    return table(header, rows)


def _short(words: str, most: int = 40) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def import_files_text(folder: Path, spec: Path, store_path: Path | None) -> str:
    """Import a folder as its spec says, and tell what was read, kept and dropped."""
    from btcflow.data.import_spec import load_spec
    from btcflow.data.imports import import_files
    from btcflow.data.store import Store, default_store_path

    path = store_path or default_store_path()
    report = import_files(folder, load_spec(spec), Store(path))
    rows = [
        [
            str(one.key),
            f"{one.read:,}",
            f"{one.kept:,}",
            str(one.first)[:10],
            str(one.last)[:10],
            str(one.missing),
            "; ".join([f"{count} dropped: {reason}" for reason, count in one.dropped] + list(one.notes)),
        ]
        for one in report
    ]
    return table(["series", "rows read", "kept", "first", "last", "missing", "notes"], rows) + f"\nstore  {path}"


def _metrics() -> str:
    from btcflow.flow.catalog import METRICS

    rows = [[name, one.about.splitlines()[0], one.unit, "yes" if one.windowed else ""] for name, one in METRICS.items()]
    return left_table(["metric", "meaning", "unit", "window"], rows)


def _strategies() -> str:
    from btcflow.rules.strategies import STRATEGIES

    rows = [[name, one.claim, ", ".join(one.parameters)] for name, one in STRATEGIES.items()]
    return left_table(["strategy", "claim", "parameters"], rows)


def _venues() -> str:
    from btcflow.data.venue_facts import VENUES

    header = ["venue", "instrument", "role", "quote", "margin", "open interest", "listed", "delisted", "funding"]
    rows = [_listing(one) for _, venue in VENUES.items() for one in venue.facts]
    return left_table(header, rows)


def _listing(known: InstrumentFacts) -> list[str]:
    """One row of the venues; ``?`` stands for what is not known."""
    what = known.listing
    contract = f"contracts of {what.contract_size or 0:.10f}".rstrip("0").rstrip(".") + f" {what.contract_ccy}"
    counts = {"none": "", "btc": "BTC", "usd": "USD", "contract": contract}[what.oi_unit]
    begin = f"{what.valid_from:%Y-%m-%d}" if what.valid_from else "" if what.role == "aggregate" else "?"
    spacings = list(dict.fromkeys(f"{era.spacing_hours}h" for era in what.funding))
    per_hour = any(era.rate_hours != era.spacing_hours for era in what.funding)
    return [
        known.venue,
        what.symbol,
        what.role,
        what.quote,
        what.margin if what.role == "perp" else "",
        counts,
        begin,
        f"{what.valid_to:%Y-%m-%d}" if what.valid_to else "",
        ", ".join(spacings) + (f"; rate per {what.funding[-1].rate_hours}h" if per_hour else ""),
    ]


def _configs() -> str:
    from btcflow.registry import shipped

    rows = []
    for path in sorted(shipped("configs").glob("*.yaml")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        rows.append([path.stem, first.removeprefix("# ") if first.startswith("#") else ""])
    return left_table(["config", "question"], rows)


def _runs(folder: Path) -> str:
    rows = []
    for path in sorted(folder.glob("*/*/summary.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        rows.append(
            [
                str(path.parent),
                summary["timeframe"],
                number(summary["in_sample"]["sharpe"]),
                number(summary["out_of_sample"]["sharpe"]),
                str(summary["verdict"]["trials"]),
                summary["verdict"]["label"] + (" SIMULATED" if summary["synthetic"] else ""),
            ]
        )
    if not rows:
        return f"no runs in {folder}; make one with `btcflow run configs/demo.yaml`"
    return table(["run", "timeframe", "Sharpe in", "out", "trials", "verdict"], rows)
