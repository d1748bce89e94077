"""Packed columns: the run's series in the fewest bytes a browser can read without a library.

Every number becomes an integer (value x 10^decimals), every column its differences, every
difference an unsigned 32-bit number by zig-zag, and the bytes are laid out plane by plane (all
lowest bytes first), gzipped and written as base64. A missing value repeats the one before it and is
named by a bitmap. Candles are stored against what a reader already knows: the open against the
close before, the close against the open, the wicks against the body.

    blob  = for each table, for each column: planes x rows bytes, then ceil(rows / 8) bitmap bytes
            (lowest bit first) where the column has missing values
"""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from btcflow.errors import BadRecords

__all__ = ["Column", "Packed", "candles", "labels", "numbers", "pack", "seconds"]

Array = np.ndarray
_LIMIT = 2**30
_LEVEL = 6  # gzip 9 takes forty times as long for nothing


@dataclass(frozen=True, kw_only=True)
class Column:
    """Integers of one column; ``values / 10**decimals`` is the number, ``missing`` says where there is none."""

    values: Array
    missing: Array
    decimals: int = 0
    plain: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Packed:
    """``layout`` tells the page how to read ``text`` (base64 of gzip)."""

    layout: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""


def seconds(times: pd.Series | pd.DatetimeIndex) -> Column:
    """Instants as whole seconds since 1970, UTC; NaT is missing. Naive times are refused."""
    index = pd.DatetimeIndex(times)
    missing = np.asarray(index.isna())
    if index.tz is None and not missing.all():
        raise BadRecords("a time column of the run holds naive times; expected tz-aware UTC")
    naive = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    whole = naive.to_numpy().astype("datetime64[s]").astype(np.int64)
    return Column(values=_held(np.asarray(whole), missing), missing=missing)


def numbers(values: Any, *, decimals: int) -> Column:
    """Numbers rounded to ``decimals``, or to fewer where the range would not fit; NaN is missing.

    Examples
    --------
    >>> column = numbers([1.25, float("nan"), 1.5], decimals=2)
    >>> column.values.tolist(), column.missing.tolist()
    ([125, 125, 150], [False, True, False])
    """
    floats = np.asarray(values, dtype=np.float64)
    missing = ~np.isfinite(floats)
    known = floats[~missing]
    top = float(np.abs(known).max()) if known.size else 0.0
    places = decimals if top * 10.0**decimals <= _LIMIT else math.floor(math.log10(_LIMIT / top))
    whole = np.rint(np.where(missing, 0.0, floats) * 10.0**places).astype(np.int64)
    return Column(values=_held(whole, missing), missing=missing, decimals=places)


def labels(values: Sequence[object] | pd.Series) -> Column:
    """Words as positions in a list of the distinct ones, in order of appearance; None is missing."""
    codes, names = pd.factorize(pd.Series(values, dtype="object"))
    missing = np.asarray(codes) < 0
    return Column(
        values=_held(np.asarray(codes, dtype=np.int64), missing),
        missing=missing,
        names=tuple(str(name) for name in names),
    )


def candles(frame: pd.DataFrame) -> dict[str, Column]:
    """Open, high, low and close, each against what is known before it.

    ``open - previous close``, ``close - open``, ``high - max(open, close)``,
    ``min(open, close) - low``; whole units of 10^-decimals, chosen so that prices which are
    multiples of a tick come back exactly, and others to about one part in 10^6.
    """
    prices = frame[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
    if not np.isfinite(prices).all():
        row = int(np.flatnonzero(~np.isfinite(prices).all(axis=1))[0])
        raise BadRecords(f"ledger.parquet row {row}: a price is not a number; a clock bar has all four prices")
    places = _price_decimals(prices)
    ticks = np.rint(prices * 10.0**places).astype(np.int64)
    opened, high, low, close = ticks.T
    before = np.concatenate([[0], close[:-1]]) if len(close) else close
    none = np.zeros(len(ticks), dtype=bool)
    parts = {
        "open": opened - before,
        "close": close - opened,
        "high": high - np.maximum(opened, close),
        "low": np.minimum(opened, close) - low,
    }
    return {name: Column(values=part, missing=none, decimals=places, plain=True) for name, part in parts.items()}


def pack(tables: Mapping[str, Mapping[str, Column]]) -> Packed:
    """Lay out and compress; the same tables always give the same text."""
    layout: list[dict[str, Any]] = []
    blob = bytearray()
    for table, columns in tables.items():
        described = [_append(blob, name, column) for name, column in columns.items()]
        rows = len(next(iter(columns.values())).values) if columns else 0
        layout.append({"table": table, "rows": rows, "columns": described})
    squeezed = gzip.compress(bytes(blob), compresslevel=_LEVEL, mtime=0)
    return Packed(layout=layout, text=base64.b64encode(squeezed).decode("ascii"))


def _append(blob: bytearray, name: str, column: Column) -> dict[str, Any]:
    steps = column.values if column.plain else np.diff(column.values, prepend=0)
    folded = np.where(steps >= 0, 2 * steps, -2 * steps - 1)
    top = int(folded.max()) if folded.size else 0
    if top >= 2**32:
        raise BadRecords(f"column {name!r} of the run jumps too far to draw (more than 2^31 units in one step)")
    planes = max(1, (top.bit_length() + 7) // 8)
    for plane in range(planes):
        blob += ((folded >> (8 * plane)) & 255).astype(np.uint8).tobytes()
    described: dict[str, Any] = {"name": name, "decimals": column.decimals, "planes": planes}
    if column.plain:
        described["plain"] = True
    if column.names:
        described["labels"] = list(column.names)
    if column.missing.any():
        described["missing"] = True
        blob += np.packbits(column.missing, bitorder="little").tobytes()
    return described


def _held(values: Array, missing: Array) -> Array:
    """A missing value repeats the one before it (0 at the start), so that it costs no bytes."""
    if not missing.any():
        return values
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))))
    return np.where(last >= 0, values[np.maximum(last, 0)], 0)


def _price_decimals(prices: Array) -> int:
    """The fewest decimals that keep every price, else those of one part in a million."""
    if not prices.size:
        return 0
    top = float(np.abs(prices).max())
    most = 8 if top * 1e8 <= _LIMIT else math.floor(math.log10(_LIMIT / top))
    for places in range(most + 1):
        scaled = prices * 10.0**places
        if np.abs(scaled - np.rint(scaled)).max() < 1e-6:
            return places
    typical = float(np.median(np.abs(prices)))
    return min(most, 6 - math.floor(math.log10(typical))) if typical > 1e-8 else most
