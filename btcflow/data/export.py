"""Export: the store's series as files that other programs read.

``csv`` and ``parquet`` copy the rows, one file per series. ``duckdb`` copies nothing: a database
file with one view per series over the store's own chunk files, and a table of what there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from btcflow.data import chunks, disk
from btcflow.data.records import Records, SeriesKey
from btcflow.data.series_folder import series_path
from btcflow.data.store import Store, StoreEntry
from btcflow.errors import ConfigError, MissingData, StoreError
from btcflow.fields import KINDS

__all__ = ["FORMATS", "ExportedSeries", "Report", "export"]

FORMATS = ("csv", "parquet", "duckdb")
DATABASE = "btcflow.duckdb"
_README = """# Exported series

One file for each series; `series.json` says of each what it is, and its content hash in the store.

* `stamp`: the time a row is about, UTC. For bars it is the bar's open; a bar describes `[stamp, stamp + timeframe)`.
* `known_at`: the first moment anyone could have known the row, UTC. Join on this one, never on `stamp`.
* An empty value is a number that the source does not have.

| kind | columns | stamp | meaning |
|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class ExportedSeries:
    """One series that was exported; ``name`` is the file or, in DuckDB, the view."""

    key: SeriesKey
    name: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an export wrote, and where."""

    out: Path
    format: str
    series: tuple[ExportedSeries, ...]


def export(
    store: Store,
    out: Path,
    *,
    format: str = "parquet",
    keep: Callable[[StoreEntry], bool] | None = None,
) -> Report:
    """Write series of a store for other programs.

    Parameters
    ----------
    out : the folder to write into; made where it is not there. Files of the same names are replaced.
    format : ``csv``, ``parquet`` or ``duckdb`` (needs the extra ``duckdb``)
    keep : which series; all of them by default

    Returns
    -------
    what was written

    Raises
    ------
    ConfigError
        for another format, or ``duckdb`` where the package is not installed.
    MissingData
        where the store is empty or no series is kept.
    StoreError
        where the disk refuses.

    Notes
    -----
    Times are written in UTC to the nanosecond, numbers so that they read back as the same floats. The
    views of a DuckDB file name the chunk files of today: export again after a fetch.
    """
    if format not in FORMATS:
        raise ConfigError(f"format {format!r} is not one of {', '.join(FORMATS)}")
    if format == "duckdb" and find_spec("duckdb") is None:
        raise ConfigError(
            "format 'duckdb' needs the package duckdb, which is not installed: pip install 'btcflow[duckdb]', or "
            "export as parquet"
        )
    entries = [one for one in store.entries() if keep is None or keep(one)]
    if not entries:
        raise MissingData(f"{store.path}: none of its series was asked for; `btcflow data ls` names them")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if format == "duckdb":
            return _database(store, out, entries)
        return _files(store, out, entries, format)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            f"{error.filename or out}: {error.strerror or error}; name another folder for the export"
        ) from error


def _names(entries: list[StoreEntry]) -> list[str]:
    """Names to type, such as ``binance_um_BTCUSDT_ohlcv_1h``; where two would be the same, with a number behind."""
    found: list[str] = []
    for entry in entries:
        key = entry.key
        plain = re.sub(r"\W", "_", f"{key.venue}_{key.symbol}_{key.kind}_{key.timeframe}", flags=re.ASCII)
        taken = {one.casefold() for one in found}
        tries = (plain, *(f"{plain}_{number}" for number in range(2, len(entries) + 2)))
        found.append(next(one for one in tries if one.casefold() not in taken))
    return found


# -- files ---------------------------------------------------------------------------------------


def _files(store: Store, out: Path, entries: list[StoreEntry], suffix: str) -> Report:
    done = []
    for entry, plain in zip(entries, _names(entries), strict=True):
        name = f"{plain}.{suffix}"
        records = store.read(entry.key, content_sha256=entry.content_sha256)
        disk.put(out / name, _csv(records) if suffix == "csv" else chunks.encode(chunks.columns_of(records)))
        done.append(ExportedSeries(key=entry.key, name=name, rows=len(records)))
    facts = [_facts(entry, one.name) for entry, one in zip(entries, done, strict=True)]
    disk.put(out / "series.json", (json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
    disk.put(out / "README.md", _readme({one.key.kind for one in entries}).encode())
    return Report(out=out, format=suffix, series=tuple(done))


def _csv(records: Records) -> bytes:
    """Times as ISO 8601 with a Z; numbers in the shortest form that reads back as the same float."""
    stamps = {name: [f"{one}Z" for one in _iso(getattr(records, name))] for name in ("stamp", "known_at")}
    return bytes(records.frame.assign(**stamps).to_csv(index=False, lineterminator="\n").encode())


def _iso(instants: Any) -> Any:
    import numpy as np

    whole = not (instants % 1_000_000_000).any()
    return np.datetime_as_string(instants.view("datetime64[ns]"), unit="s" if whole else "ns")


def _readme(kinds: set[str]) -> str:
    rows = []
    for kind in (KINDS[one] for one in sorted(kinds)):
        stamp = "the bar's open" if kind.stamps == "bar_open" else "the instant"
        rows.append(f"| {kind.name} | {', '.join(kind.columns)} | {stamp} | {kind.meaning} |")
    return _README + "\n".join(rows) + "\n"


def _facts(entry: StoreEntry, name: str) -> dict[str, Any]:
    """What ``series.json`` and the table ``series`` say of one series."""
    what = entry.instrument
    return vars(entry.key) | {
        "name": name,
        "role": what.role,
        "quote": what.quote,
        "margin": what.margin,
        "oi_unit": what.oi_unit,
        "contract_size": what.contract_size,
        "contract_ccy": what.contract_ccy,
        "rows": entry.rows,
        "first": entry.first.isoformat(),
        "last": entry.last.isoformat(),
        "missing": entry.gaps.missing,
        "lag_seconds": entry.lag.total_seconds(),
        "simulated": entry.synthetic,
        "source": entry.source,
        "content_sha256": entry.content_sha256,
    }


# -- DuckDB --------------------------------------------------------------------------------------


def _database(store: Store, out: Path, entries: list[StoreEntry]) -> Report:
    import duckdb

    place, beside = out / DATABASE, out / f".{DATABASE}.tmp"
    beside.unlink(missing_ok=True)
    done = []
    try:
        with duckdb.connect(str(beside)) as database:
            for entry, view in zip(entries, _names(entries), strict=True):
                manifest = store.manifest(entry.key)
                folder = (store.path / series_path(entry.key)).resolve()
                files = [str(folder / one.file) for one in manifest.chunks_of(manifest.latest.number)]
                database.execute(
                    f"CREATE VIEW {_quoted(view)} AS SELECT * FROM read_parquet([{', '.join(map(_text, files))}])"
                )
                done.append(ExportedSeries(key=entry.key, name=view, rows=manifest.latest.rows))
            _series_table(database, [_facts(entry, one.name) for entry, one in zip(entries, done, strict=True)])
        disk.place(place)
    except duckdb.Error as error:
        raise StoreError(f"{place}: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return Report(out=place, format="duckdb", series=tuple(done))


def _series_table(database: Any, facts: list[dict[str, Any]]) -> None:
    """What there is, as the view ``series``."""
    columns = list(facts[0])
    rows = ", ".join("(" + ", ".join(_literal(name, one[name]) for name in columns) + ")" for one in facts)
    names = ", ".join(map(_quoted, columns))
    database.execute(f"CREATE VIEW series AS SELECT * FROM (VALUES {rows}) AS t({names})")


def _literal(name: str, value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    return f"TIMESTAMPTZ {_text(value)}" if name in {"first", "last"} else _text(value)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
