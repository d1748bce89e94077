"""Run every committed experiment again and write its answer: `make golden`.

An experiment is a folder with ``experiment.yaml`` and ``NOTES.md``; this writes ``summary.json``,
``lock.json`` and ``picture.png`` beside them. What moved is shown by ``git diff``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import btcflow
from btcflow.report import picture
from btcflow.search.progress import terminal_progress


def refresh(folder: Path) -> None:
    """Answer one experiment and keep the small files of the answer."""
    with tempfile.TemporaryDirectory() as scratch:
        command = f"btcflow run experiments/{folder.name}/experiment.yaml"
        result = btcflow.run(folder / "experiment.yaml", out=scratch, progress=terminal_progress, command=command)
        for name in ("summary.json", "lock.json", "experiment.yaml"):
            shutil.copyfile(result.folder / name, folder / name)
        picture(result.folder, folder / "picture.png")
    print(f"{folder.name}: {result.summary['lock']['result_digest'][:16]}")


if __name__ == "__main__":
    named = [Path(name) for name in sys.argv[1:]]
    for path in named or sorted(path.parent for path in Path(__file__).parent.glob("*/experiment.yaml")):
        refresh(path)
