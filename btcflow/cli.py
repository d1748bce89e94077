"""The command line. Results go to stdout, progress and errors to stderr; heavy imports wait for a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from btcflow import __version__
from btcflow.errors import BtcflowError, CheckFailed
from btcflow.terminal.command_line import AsJson, Config, Overrides, note, say, say_json, tell_of_compiling
from btcflow.terminal.data_commands import data_app

__all__ = ["app", "main"]

app = typer.Typer(
    name="btcflow",
    help="Does a Bitcoin derivative-flow signal make money, with which thresholds, on which timeframe?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(
    help="Check or show an experiment, or its schema.", no_args_is_help=True, rich_markup_mode=None
)

_UsageError: Any = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")
"""What the parser raises for a wrong command line; typer does not export its root."""


@app.command()
def run(
    config: Config,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="folder that holds the runs")] = Path("runs"),
    strategies: Annotated[Path | None, typer.Option(help="a folder of strategies of your own")] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="threads of the sweep kernel")] = 1,
    open_report: Annotated[bool, typer.Option("--open", help="open the report in a browser")] = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate, optimise or compare, as the config says; leaves a run folder with a report."""
    from btcflow.api import run as run_experiment
    from btcflow.search.progress import terminal_progress
    from btcflow.terminal.views import run_view

    _add_strategies(strategies)
    tell_of_compiling()
    result = run_experiment(
        config,
        overrides=overrides or (),
        out=out,
        progress=terminal_progress,
        jobs=jobs,
        command=_command(config, overrides),
    )
    if as_json:
        say_json({**result.summary, "folder": str(result.folder), "report": str(result.report)})
    else:
        say(run_view(result.summary))
        say(f"\nreport  {result.report}")
    if open_report:
        typer.launch(str(result.report))


@app.command()
def signals(
    config: Config,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="as of this UTC time; default: the end of the data")
    ] = None,
    provisional: Annotated[bool, typer.Option("--provisional", help="also the bar still open, kept apart")] = False,
    overrides: Overrides = None,
    strategies: Annotated[Path | None, typer.Option(help="a folder of strategies of your own")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the dashboard's state: each metric, each condition, what fires."""
    from btcflow.config.load import load_config
    from btcflow.runs.signal_state import signal_states
    from btcflow.terminal.views import signals_view

    _add_strategies(strategies)
    states = signal_states(load_config(config, overrides=overrides or ()), _time(at), provisional=provisional)
    if as_json:
        say_json({"schema": "btcflow.signals/1", "timeframes": [one.plain() for one in states]})
    else:
        say(signals_view(states))


@app.command()
def events(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Score the cycle detector against the dated tops and bottoms of the market: hits, lead, luck."""
    from btcflow.config.load import load_config
    from btcflow.runs.event_study import event_study
    from btcflow.terminal.events_view import events_view

    studies = event_study(load_config(config, overrides=overrides or ()))
    if as_json:
        say_json({"schema": "btcflow.events/1", "timeframes": [one.plain() for one in studies]})
    else:
        say(events_view(studies))


@app.command()
def verify(
    place: Annotated[
        Path, typer.Argument(metavar="RUN", help="a run folder, its lock.json, or an experiment's folder")
    ],
    as_json: AsJson = False,
) -> None:
    """Run a locked experiment again: the same digest, or the first difference."""
    from btcflow.runs.verify import verify as verify_folder
    from btcflow.search.progress import terminal_progress

    found = verify_folder(place, progress=terminal_progress)
    if as_json:
        say_json(
            {
                "schema": "btcflow.verify/1",
                "same": found.same,
                "expected": found.expected,
                "found": found.found,
                "difference": found.difference,
                "remarks": list(found.remarks),
            }
        )
    else:
        for remark in found.remarks:
            note(f"note: {remark}")
        if found.same:
            say(f"verified  {found.folder}: the same result, digest {found.found[:16]}")
    if not found.same:
        raise CheckFailed(
            f"{found.folder}: not the same result; first difference: {found.difference or 'only in the digest'}"
        )


@app.command("list")
def list_things(
    what: Annotated[str, typer.Argument(metavar="metrics|strategies|venues|configs|runs", help="what to list")],
    runs: Annotated[Path, typer.Option(help="folder that holds the runs")] = Path("runs"),
    strategies: Annotated[Path | None, typer.Option(help="a folder of strategies of your own")] = None,
) -> None:
    """List what there is to name in a config, and the runs made so far."""
    from btcflow.terminal.listings import listing

    _add_strategies(strategies)
    say(listing(what, runs))


@app.command()
def check(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|PATH]...", help="metrics, strategies, .py files, folders; default: all registered"
        ),
    ] = None,
    timeframe: Annotated[
        list[str] | None, typer.Option(metavar="TIMEFRAME", help="may be given several times; default: 1D and 1W")
    ] = None,
    traps: Annotated[bool, typer.Option("--traps", help="try the laws themselves, on known leaks")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that metrics and strategies do not look ahead, and keep the other laws; on a simulated market."""
    from btcflow.terminal.checks import checked, traps_tried

    tell = None if as_json else say
    document, wrong = traps_tried(tell) if traps else checked(named or (), timeframe or (), tell)
    if as_json:
        say_json(document)
    if wrong:
        raise CheckFailed(wrong)


@app.command("new")
def new_file(
    what: Annotated[str, typer.Argument(metavar="metric|strategy|config", help="what to write")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="its name, and that of its file")],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="where to; default: ./metrics, ./strategies or ./configs")
    ] = None,
) -> None:
    """Write one file that works, to begin with."""
    from btcflow.terminal.starters import write_starter

    say(write_starter(what, name, folder))


@app.command()
def doctor() -> None:
    """Say what this installation has, and what it lacks."""
    from btcflow.terminal.doctor import examination

    text, healthy = examination()
    say(text)
    if not healthy:
        raise CheckFailed("the installation lacks something; see above")


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="two cases and 2,000 sets: a few minutes")] = False,
    growth: Annotated[bool, typer.Option("--growth", help="also: what a set costs as there are more")] = False,
    long: Annotated[bool, typer.Option("--long", help="with --growth: up to a million sets")] = False,
    threads: Annotated[int | None, typer.Option(metavar="N", help="default: every core")] = None,
    cases: Annotated[str | None, typer.Option(metavar="A,B", help="1h-z, 1h-8, 1d-z, 1d-8, day-z, day-8")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="print it as docs/benchmarks.md holds it")] = False,
    as_json: AsJson = False,
) -> None:
    """Race the sweep kernel against other engines on this machine; equal numbers first, then speed."""
    from btcflow.terminal.bench_view import bench_document, bench_markdown, bench_text

    document = bench_document(quick=quick, growth=growth, long=long, threads=threads, cases=cases, tell=note)
    if as_json:
        say_json(document)
    else:
        say(bench_markdown(document) if markdown else bench_text(document))
    if not document["equal"]:
        raise CheckFailed("a contestant's numbers are not those of the exact ledger; see the rows marked WRONG")


@config_app.command("check")
def config_check(config: Config, overrides: Overrides = None) -> None:
    """Check an experiment; every problem at once, each with its place in the file."""
    from btcflow.config.load import load_config

    experiment = load_config(config, overrides=overrides or ())
    say(f"{config}: ok ({experiment.name}, {', '.join(experiment.frames)}, {experiment.strategy or 'inline rule'})")


@config_app.command("show")
def config_show(config: Config, overrides: Overrides = None) -> None:
    """Print an experiment with every default written out."""
    from btcflow.config.load import load_config
    from btcflow.runs.folder import experiment_yaml

    say(experiment_yaml(load_config(config, overrides=overrides or ())).rstrip())


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of an experiment, for editors that check YAML as it is written."""
    from btcflow.config.experiment import Experiment

    say_json(Experiment.model_json_schema())


app.add_typer(config_app, name="config")
app.add_typer(data_app, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"btcflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a deliberate error becomes one message on stderr and its exit code."""
    try:
        code = app(standalone_mode=False)
    except BtcflowError as error:
        note(_told(error))
        code = error.exit_code
    except KeyboardInterrupt:
        note("interrupted")
        code = 130
    except typer.Abort:
        code = 130
    except OSError as error:
        note(f"error: {error.filename or 'the system'}: {error.strerror or error}")
        code = 74
    except _UsageError as error:
        error.show()
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _told(error: BtcflowError) -> str:
    return "\n".join(f"error: {line}" for line in getattr(error, "problems", None) or [str(error)])


def _add_strategies(folder: Path | None) -> None:
    if folder is not None:
        from btcflow.rules.strategies import STRATEGIES

        STRATEGIES.add_folder(folder)


def _time(text: str | None) -> Any:
    if text is None:
        return None
    import pandas as pd

    from btcflow.errors import ConfigError

    try:
        at = pd.Timestamp(text)
    except ValueError as error:
        raise ConfigError(
            f"--at {text!r} is not a time; expected UTC such as 2024-03-14 or 2024-03-14T08:00"
        ) from error
    return at.tz_localize("UTC") if at.tz is None else at.tz_convert("UTC")


def _command(config: str, overrides: list[str] | None) -> str:
    return " ".join(["btcflow run", config, *[f"-s {one}" for one in overrides or ()]])
