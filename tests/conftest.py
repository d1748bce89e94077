"""What many tests use: one simulated market, and the command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from btcflow.cli import main
from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate


def pytest_configure() -> None:
    """A background job of a shell begins with Ctrl-C switched off; the tests press it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """A year and a half of the simulated market, hourly; venues join at day 240 and day 430."""
    return simulate(seed=7, years=1.5)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``btcflow`` with these arguments: its exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["btcflow", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        out = capsys.readouterr()
        return int(stopped.value.code or 0), out.out, out.err

    return run
