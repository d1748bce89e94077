"""Made-up series for the tests of the store, and a child process that writes them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from btcflow.data.provenance import Provenance
from btcflow.data.records import Records, SeriesKey
from btcflow.fields import KINDS
from btcflow.instrument import Instrument

PERP = Instrument(venue="binance", symbol="BTCUSDT", role="perp", quote="USDT", margin="linear", oi_unit="btc")
SPOT = Instrument(venue="binance", symbol="BTC/USDT", role="spot", quote="USDT")
AT = pd.Timestamp("2024-06-01", tz="UTC")
PROVENANCE = Provenance(source="test", endpoint="https://example.invalid/klines", fetched_at=AT)
CHILD = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, str(Path("tests").resolve()))
    from btcflow.data.store import Store
    from stored import *
    store = Store(Path(sys.argv[1]), now=lambda: AT)
"""


def series(
    instrument: Instrument = SPOT,
    kind: str = "ohlcv",
    timeframe: str = "1h",
    rows: int = 6,
    seed: int = 0,
    lag: str = "0s",
    synthetic: bool = False,
) -> Records:
    rng = np.random.default_rng(seed)
    stamp = pd.date_range("2024-01-01", periods=rows, freq="8h" if kind == "funding" else "1h", tz="UTC")
    frame = pd.DataFrame({"stamp": stamp.as_unit("ns"), "known_at": stamp.as_unit("ns") + pd.Timedelta("1h")})
    for name in KINDS[kind].columns:
        frame[name] = rng.uniform(0.1, 0.9, rows)
    key = SeriesKey(instrument.venue, instrument.symbol, kind, timeframe)
    return Records(
        key=key, instrument=instrument, frame=frame, source="test", lag=pd.Timedelta(lag), synthetic=synthetic
    )


def perp(symbol: str, seed: int = 0, rows: int = 6) -> Records:
    return series(replace(PERP, symbol=symbol), rows=rows, seed=seed)


def funding(seed: int = 0, rows: int = 6) -> Records:
    return series(PERP, "funding", "8h", rows=rows, seed=seed)


def contents(folder: Path) -> dict[str, bytes]:
    files = [one for one in folder.rglob("*") if one.is_file() and one.name != ".lock"]
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in files}


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    code = textwrap.dedent(CHILD) + textwrap.dedent(script)
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str], *, code: int = 0) -> None:
    """Wait for a child and expect its exit code."""
    _, said = process.communicate(timeout=200)
    assert process.returncode == code, said


def rows(records: Records, first: int, last: int) -> Records:
    """Rows ``first`` to ``last``, the last not included."""
    place = np.arange(len(records))
    return records.where((place >= first) & (place < last))


def revised(records: Records, row: int, by: float = 0.01) -> Records:
    """The same with one number said differently."""
    name = KINDS[records.key.kind].columns[0]
    value = records.frame[name].where(np.arange(len(records)) != row, records.frame[name] + by)
    return replace(records, frame=records.frame.assign(**{name: value}))
