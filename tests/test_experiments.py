"""The committed answers: each is re-executed to the same digest, and says what it found and what it is worth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from btcflow.runs.verify import verify

ROOT = Path(__file__).resolve().parent.parent / "experiments"
FOLDERS = sorted(path.parent for path in ROOT.glob("*/experiment.yaml"))


def test_there_is_a_committed_answer() -> None:
    assert [folder.name for folder in FOLDERS] == ["demo"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_answer_is_found_again(folder: Path) -> None:
    found = verify(folder)
    assert found.same, found.difference


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_notes_say_hypothesis_method_finding_and_caveats_with_the_numbers_of_the_summary(folder: Path) -> None:
    notes = (folder / "NOTES.md").read_text(encoding="utf-8")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    for heading in ("Hypothesis", "Method", "Finding", "Caveats"):
        assert f"## {heading}" in notes
    for segment in ("in_sample", "out_of_sample"):
        assert f"{summary[segment]['sharpe']:+.2f}" in notes
    assert str(summary["verdict"]["trials"]) in notes
    assert "SIMULATED" in notes
    assert (folder / "picture.png").stat().st_size > 10_000
