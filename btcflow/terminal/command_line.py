"""What every command shares: the forms of its arguments, and where its words go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["AsJson", "Config", "Overrides", "StorePath", "note", "say", "say_json", "tell_of_compiling"]

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="a YAML file, or the name of a shipped config")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="set a value of the config")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
StorePath = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="the store; default: BTCFLOW_STORE or ./store")
]


def say(text: str) -> None:
    """The result, on stdout."""
    typer.echo(text)


def note(text: str) -> None:
    """Anything else, on stderr."""
    typer.echo(text, err=True)


def say_json(value: dict[str, Any]) -> None:
    """One JSON document on stdout; a number that is not finite is a mistake of ours."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def tell_of_compiling() -> None:
    """Say why the first run on a machine takes longer."""
    from btcflow.engine.kernel.sweep import compiled

    if not compiled():
        note("compiling the engine: the first run on a machine takes some 20 seconds longer")
