"""The text of ``btcflow data audit``."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btcflow.audit.findings import AuditReport, Finding

__all__ = ["audit_view", "audited"]

_WIDE = 116
_HEADS = {
    "fault": "FAULTS: wrong data; do not use them as they are",
    "warning": "WARNINGS: may be real events; look at them",
    "note": "NOTES: good to know",
}


def audited(pattern: str | None, store: Path | None, progress: Callable[[str], None] | None = None) -> AuditReport:
    """Audit a store, the default one where none is named."""
    from btcflow.audit.audit import audit_store
    from btcflow.data.store import Store, default_store_path

    return audit_store(Store(store or default_store_path()), pattern=pattern, progress=progress)


def audit_view(report: AuditReport) -> str:
    """The findings by severity, then check; the verdict last, where the eye ends."""
    from btcflow.audit.findings import SEVERITIES

    blocks = []
    for severity in SEVERITIES:
        own = [one for one in report.findings if one.severity == severity]
        if own:
            blocks.append("\n".join([_HEADS[severity], *_by_check(own)]))
    return "\n\n".join([*blocks, report.verdict])


def _by_check(findings: list[Finding]) -> list[str]:
    lines: list[str] = []
    before = advice = ""
    for one in findings:
        if one.check != before:
            before, advice = one.check, ""
            lines.append(f"\n  {one.check}")
        lines.append(_wrapped(f"{one.series}: {one.found.says}{_where(one)}", "    "))
        if one.found.advice and one.found.advice != advice:
            advice = one.found.advice
            lines.append(_wrapped(f"-> {advice}", "      "))
    return lines


def _where(one: Finding) -> str:
    from btcflow.audit.findings import told

    found = one.found
    parts = [f"{found.count:,}x" if found.count > 1 and not found.stretches else ""]
    if found.start is not None:
        same = found.end is None or found.end == found.start
        parts.append(told(found.start) if same else f"{told(found.start)} to {told(found.end)}")
    if found.example and not found.stretches and not (found.start is not None and found.example == told(found.start)):
        parts.append(f"e.g. {found.example}" if found.count > 1 else found.example)
    kept = [part for part in parts if part]
    return f" [{'; '.join(kept)}]" if kept else ""


def _wrapped(text: str, indent: str) -> str:
    wrapper = textwrap.TextWrapper(
        _WIDE, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(text)
