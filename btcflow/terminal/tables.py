"""Plain-text tables: right-aligned numbers, one space of air, no colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["amount", "left_table", "number", "percent", "table"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first is left-aligned, the others right."""
    cells = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        first = row[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def left_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same for words: every column is left-aligned."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    )


def number(value: float | int | None, digits: int = 2) -> str:
    """A signed number, or ``-`` where it is undefined."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:+.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as signed percent, or ``-``."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{100 * value:+.{digits}f} %"


def amount(value: float | None, digits: int = 0) -> str:
    """Money with thousands separators, or ``-``."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:+,.{digits}f}"
