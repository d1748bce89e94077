from __future__ import annotations

import io
import subprocess
import sys

import pytest

from btcflow.search.progress import Progress, terminal_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at(done: int, total: int = 200, failed: int = 0) -> Progress:
    return Progress(done=done, total=total, failed=failed, best=0.5, best_params={"window": 30, "entry_z": 0.25})


def shown(stream: io.StringIO, *states: Progress) -> str:
    with terminal_progress("demo", stream=stream) as show:
        for state in states:
            show(state)
    return stream.getvalue()


def test_the_best_is_never_told_without_the_number_of_trials() -> None:
    assert at(64).text == "best in-sample 0.500 of 64 trials (window=30, entry_z=0.25)"
    assert Progress(done=0, total=5).text == "starting"
    assert Progress(done=5, total=5, failed=5).text == "nothing scored yet"


def test_a_pipe_gets_one_line_per_tenth() -> None:
    lines = shown(io.StringIO(), *(at(done) for done in range(0, 201))).splitlines()
    assert [line.split(":")[1].split("(")[0].strip() for line in lines] == [
        f"{tenth} %" for tenth in range(10, 101, 10)
    ]


def test_a_batch_that_leaps_over_tenths_gets_one_line() -> None:
    assert shown(io.StringIO(), at(0), at(130, failed=3), at(135), at(200)).splitlines() == [
        "demo: 60 % (130 of 200), 3 failed, best in-sample 0.500 of 130 trials (window=30, entry_z=0.25)",
        "demo: 100 % (200 of 200), best in-sample 0.500 of 200 trials (window=30, entry_z=0.25)",
    ]


def test_a_pipe_gets_no_control_characters() -> None:
    assert "\x1b" not in shown(io.StringIO(), at(100))


def test_a_terminal_gets_a_bar_with_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    text = shown(Terminal(), at(0), at(100), at(200))
    assert "\x1b[" in text
    assert "200/200" in text
    assert "best in-sample 0.500 of 200 trials (window=30, entry_z=0.25)" in text


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_color_gets_lines(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    assert shown(Terminal(), at(200)).startswith("demo: 100 % (200 of 200)")


def test_an_error_inside_ends_the_bar_and_goes_on_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with pytest.raises(ZeroDivisionError), terminal_progress("demo", stream=stream):
        _ = 1 / 0
    assert stream.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_the_default_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress("demo") as show:
        show(at(200))
    assert capsys.readouterr() == ("", f"demo: 100 % (200 of 200), {at(200).text}\n")


def test_rich_and_optuna_are_not_loaded_by_importing_the_search() -> None:
    code = "import btcflow.search.study, sys; print([m for m in ('rich', 'optuna', 'vectorbt') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
