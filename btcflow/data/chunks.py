"""Chunks: a series cut by calendar month or year, each piece one immutable parquet file."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.records import Records, SeriesKey
from btcflow.errors import BadRecords
from btcflow.fields import KINDS

__all__ = ["Columns", "columns_of", "cut", "decode", "digest", "encode", "frame_of", "joined", "pieces", "unit_of"]

Columns = dict[str, np.ndarray]
"""``stamp`` and ``known_at`` as int64 nanoseconds since 1970, then the kind's columns as float64; each (N,)."""
_TIMES = ("stamp", "known_at")
_A_YEAR_FROM = 4 * 3600


def unit_of(key: SeriesKey) -> Literal["M", "Y"]:
    """The calendar unit of one chunk: a year for funding and for bars of 4h or longer, else a month."""
    yearly = key.kind == "funding" or timeframes.parse(key.timeframe).seconds >= _A_YEAR_FROM
    return "Y" if yearly else "M"


def columns_of(records: Records) -> Columns:
    """The rows of a series as plain arrays."""
    values = {name: records.column(name) for name in KINDS[records.key.kind].columns}
    return {"stamp": records.stamp, "known_at": records.known_at} | values


def pieces(stamp: np.ndarray, unit: Literal["M", "Y"]) -> Iterator[tuple[str, slice]]:
    """The periods that rows fall into (``2024-03`` or ``2024``) and which rows each has; ``stamp`` rises."""
    periods = stamp.view("datetime64[ns]").astype(f"datetime64[{unit}]")
    edges = [0, *(np.flatnonzero(periods[1:] != periods[:-1]) + 1).tolist(), len(stamp)]
    for start, end in itertools.pairwise(edges):
        yield str(periods[start]), slice(start, end)


def cut(columns: Columns, rows: slice | np.ndarray) -> Columns:
    """Some of the rows."""
    return {name: values[rows] for name, values in columns.items()}


def joined(parts: Sequence[Columns]) -> Columns:
    """Parts one after the other."""
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def digest(columns: Columns) -> str:
    """sha256 over the rows, independent of how they are stored."""
    found = hashlib.sha256(",".join(columns).encode())
    for values in columns.values():
        found.update(values.astype(values.dtype.newbyteorder("<"), order="C", copy=False).data)
    return found.hexdigest()


def frame_of(columns: Columns) -> pd.DataFrame:
    """The rows as :class:`~btcflow.data.records.Records` wants them."""
    times = {name: pd.DatetimeIndex(columns[name].view("datetime64[ns]"), tz="UTC") for name in _TIMES}
    return pd.DataFrame(columns | times)


def encode(columns: Columns) -> bytes:
    """The rows as one parquet file; the same rows always give the same bytes (for one version of pyarrow).

    Times as differences and numbers as they are, both under zstd: smaller and quicker than pyarrow's
    defaults, whose dictionaries do not suit prices.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    instant = pa.timestamp("ns", tz="UTC")
    arrays: dict[str, Any] = {
        name: pa.array(values).cast(instant)
        if name in _TIMES
        else pa.array(values, type=pa.float64(), from_pandas=False)
        for name, values in columns.items()
    }
    encoding = dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED")
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays), sink, compression="zstd", use_dictionary=False, column_encoding=encoding)
    return sink.getvalue()


def decode(content: bytes, kind: str, path: Path) -> Columns:
    """The rows of one file; raises :class:`BadRecords` where it is not a chunk of this kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = (*_TIMES, *KINDS[kind].columns)
    try:
        table = pq.ParquetFile(io.BytesIO(content)).read(columns=list(names), use_threads=False)
        return {name: _values(table[name], name) for name in names}
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise BadRecords(f"{path}: not a chunk of this store ({error})") from error


def _values(column: Any, name: str) -> np.ndarray:
    import pyarrow as pa

    if column.null_count:
        raise ValueError(f"{name} has nulls")
    found = column.cast(pa.int64() if name in _TIMES else pa.float64()).to_numpy()
    return np.asarray(found)
