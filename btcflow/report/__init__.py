"""The report of a run: one self-contained page, and one picture."""

from btcflow.report.page import render
from btcflow.report.picture import picture

__all__ = ["picture", "render"]
