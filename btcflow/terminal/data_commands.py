"""The commands of ``btcflow data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from btcflow.errors import CheckFailed
from btcflow.terminal.command_line import AsJson, Config, Overrides, StorePath, say, say_json

__all__ = ["data_app"]

data_app = typer.Typer(
    help="Fetch or import records into the store; list, audit and export it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Series = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="series whose name, as `data ls` prints it, matches; may be repeated"),
]


@data_app.command("fetch")
def data_fetch(config: Config, overrides: Overrides = None, store: StorePath = None, as_json: AsJson = False) -> None:
    """Fetch what the config's data section wants from the venues; goes on where it stopped."""
    from btcflow.terminal.fetching import fetch_document, fetch_text, fetched

    report = fetched(config, overrides=overrides or (), store=store)
    if as_json:
        say_json(fetch_document(report))
    else:
        say(fetch_text(report))
    report.raise_failures()


@data_app.command("record")
def data_record(
    config: Config,
    every: Annotated[str, typer.Option(metavar="TIME", help="time between two rounds, such as 5m or 1h")] = "5m",
    count: Annotated[int | None, typer.Option(metavar="N", min=1, help="rounds; default: until Ctrl-C")] = None,
    overrides: Overrides = None,
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Keep taking down what venues tell for days only, such as open interest."""
    from btcflow.terminal.fetching import fetch_document, fetch_text, recorded

    report = recorded(config, every=every, count=count, overrides=overrides or (), store=store)
    if as_json:
        say_json(fetch_document(report))
    else:
        say(fetch_text(report))
    report.raise_failures()


@data_app.command("import")
def data_import(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="a folder of parquet or CSV files, or one file")],
    spec: Annotated[
        Path, typer.Option("--as", metavar="SPEC", help="a YAML spec, or a preset: coinglass_oi, freqtrade_ohlcv, ...")
    ],
    store: StorePath = None,
) -> None:
    """Import files into the store, as a spec describes them; all of them or none."""
    from btcflow.terminal.listings import import_files_text

    say(import_files_text(folder, spec, store))


@data_app.command("ls")
def data_ls(store: StorePath = None) -> None:
    """List the series in the store."""
    from btcflow.terminal.listings import store_text

    say(store_text(store))


@data_app.command("audit")
def data_audit(
    pattern: Annotated[
        str | None, typer.Argument(metavar="[SERIES]", help="part of a series' name, or one with * and ?; default: all")
    ] = None,
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with the stored data: gaps, spikes, units, shifted labels, known defects."""
    from btcflow.terminal.audit_view import audit_view, audited

    report = audited(pattern, store)
    if as_json:
        say_json(report.plain())
    else:
        say(audit_view(report))
    if not report.passed:
        raise CheckFailed(f"{report.verdict}; see docs/data.md for what each check means")


@data_app.command("export")
def data_export(
    out: Annotated[Path, typer.Option(metavar="DIR", help="the folder to write into")] = Path("export"),
    form: Annotated[str, typer.Option("--format", help="csv, parquet or duckdb")] = "parquet",
    series: Series = None,
    store: StorePath = None,
) -> None:
    """Copy series for other programs (CSV, parquet), or make a DuckDB file of views over the store."""
    from btcflow.terminal.exports import export_text

    say(export_text(store, out, format=form, series=tuple(series or ())))
