"""The text of ``btcflow data export``."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from btcflow.terminal.tables import left_table

__all__ = ["export_text"]


def export_text(store_path: Path | None, out: Path, *, format: str, series: tuple[str, ...]) -> str:
    """Export the series whose names match any of the patterns, and tell what was written.

    A pattern is matched against ``venue:symbol kind timeframe`` as ``btcflow data ls`` prints it; ``*``
    stands for anything, and one without ``*`` for any name that contains it. None: every series.
    """
    from btcflow.data.export import export
    from btcflow.data.store import Store, default_store_path

    wanted = [one if "*" in one else f"*{one}*" for one in series]
    report = export(
        Store(store_path or default_store_path()),
        out,
        format=format,
        keep=lambda entry: not wanted or any(fnmatch.fnmatchcase(str(entry.key), one) for one in wanted),
    )
    what = "view" if format == "duckdb" else "file"
    rows = [[str(one.key), f"{one.rows:,}", one.name] for one in report.series]
    return left_table(["series", "rows", what], rows) + f"\nexported to  {report.out}"
