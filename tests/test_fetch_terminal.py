"""What a fetch shows while it runs and at its end."""

from __future__ import annotations

import io

import pytest

from btcflow.data.records import SeriesKey
from btcflow.fetch.progress import FetchEvent, FetchReport, SeriesReport
from btcflow.terminal.fetch_progress import fetch_progress
from btcflow.terminal.fetching import fetch_text


def event(done: float, state: str = "asking", **more: int) -> FetchEvent:
    counts = {"rows": 1200, "missing": 3, "requests": 2, **more}
    return FetchEvent(venue="bybit", job="bybit:BTCUSDT ohlcv 1h", done=done, state=state, **counts)  # type: ignore[arg-type]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_it_is_one_line_for_each_job_that_ends() -> None:
    out = io.StringIO()
    with fetch_progress({"bybit": 1, "okx": 1}, stream=out) as show:
        show(event(0.5))
        show(event(1.0, "done"))
        show(event(1.0, "failed", rows=0, missing=0, requests=9))
    assert out.getvalue().splitlines() == [
        "1 of 2  bybit:BTCUSDT ohlcv 1h: 1,200 rows, 3 missing, 2 requests",
        "2 of 2  bybit:BTCUSDT ohlcv 1h: 0 rows, 9 requests FAILED",
    ]


def test_a_terminal_shows_a_bar_for_each_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    out = Terminal()
    with fetch_progress({"bybit": 2, "okx": 1}, stream=out) as show:
        show(event(0.5))
        show(event(1.0, "done"))
    told = out.getvalue()
    assert "bybit" in told
    assert "okx" in told
    assert "waiting" in told
    assert "1,200 rows, 3 missing, 2 requests" in told


def test_the_last_table_says_what_is_new_and_what_failed() -> None:
    def series(symbol: str, requests: int, failed: str | None, *notes: str) -> SeriesReport:
        key = SeriesKey("okx", symbol, "ohlcv", "1h")
        return SeriesReport(
            key=key, rows=12_345, added=67, revised=1, missing=2, requests=requests, failed=failed, notes=notes
        )

    report = FetchReport(series=(series("A", 9, None, "short"), series("B", 0, "451")), notes=("begins late",))
    assert fetch_text(report).splitlines() == [
        "series            rows  new  revised  missing  requests",
        "okx:A ohlcv 1h  12,345   67        1        2         9",
        "okx:B ohlcv 1h  12,345   67        1        2            FAILED",
        "note: begins late",
        "note: okx:A ohlcv 1h: short",
    ]
