"""A run folder, read and checked: the summary and the frames that the report draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.errors import BadRecords, MissingData
from btcflow.report.summary import Summary, read_summary

__all__ = ["RunFolder", "Span", "read_run"]

SEGMENTS = ("warm_up", "in_sample", "out_of_sample")
_NEEDED = {
    "equity": ("time", "equity", "buy_and_hold", "segment"),
    "ledger": ("time", "open", "high", "low", "close"),
    "signals": ("time", "decided_at", "target"),
    "trades": (
        *("entry_time", "exit_time", "side", "quantity", "entry_fill", "exit_fill", "bars"),
        *("price_pnl", "funding", "fees", "slippage", "net", "return", "open"),
    ),
    "trials": ("number", "in_sample_sharpe", "out_of_sample_sharpe"),
}
_TIMES = {
    "equity": ("time",),
    "ledger": ("time",),
    "signals": ("time", "decided_at"),
    "trades": ("entry_time", "exit_time"),
    "trials": (),
}
_RISING = {"equity": "time", "ledger": "time", "signals": "decided_at"}


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of the equity curve in one segment: the closes of its first and last clock bars."""

    segment: str
    first: pd.Timestamp
    last: pd.Timestamp


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """What a finished run left, checked.

    Attributes
    ----------
    path : the folder
    summary : ``summary.json``
    equity : one row per clock bar: time (close), equity, buy_and_hold, spot (may be absent), segment
    ledger : one row per clock bar: time (open), open, high, low, close
    signals : one row per signal bar: time, decided_at, the metrics at hand, target, state (may be absent)
    trades : one row per trade, possibly none
    trials : one row per parameter set that was tried, or None
    """

    path: Path
    summary: Summary
    equity: pd.DataFrame
    ledger: pd.DataFrame
    signals: pd.DataFrame
    trades: pd.DataFrame
    trials: pd.DataFrame | None

    @property
    def step(self) -> pd.Timedelta:
        """Length of a clock bar."""
        return pd.Timedelta(seconds=timeframes.parse(self.summary.market.clock).seconds)

    @property
    def spans(self) -> tuple[Span, ...]:
        """The segments in time order; a segment that is interrupted has several spans."""
        segment = self.equity["segment"].to_numpy(dtype=object)
        if not len(segment):
            return ()
        starts = np.flatnonzero(np.concatenate([[True], segment[1:] != segment[:-1]]))
        ends = np.append(starts[1:], len(segment)) - 1
        time = self.equity["time"]
        return tuple(
            Span(segment=str(segment[first]), first=time.iloc[first], last=time.iloc[last])
            for first, last in zip(starts.tolist(), ends.tolist(), strict=True)
        )

    def starting_equity(self, segment: str) -> float:
        """Equity just before a segment's first bar (the capital, where nothing comes before it)."""
        rows = np.flatnonzero(self.equity["segment"].to_numpy(dtype=object) == segment)
        if len(rows) and rows[0] > 0:
            return float(self.equity["equity"].iloc[rows[0] - 1])
        return self.summary.market.capital


def read_run(path: Path) -> RunFolder:
    """Read a run folder.

    Raises
    ------
    MissingData
        where the folder or one of its files is absent
    BadRecords
        where a file lacks a column the report shows, holds naive times, or times that do not rise
    """
    if not path.is_dir():
        raise MissingData(f"{path}: no such run folder; `btcflow list runs` names those at hand")
    summary = read_summary(path / "summary.json")
    equity, ledger, signals, trades = (_frame(path, name) for name in ("equity", "ledger", "signals", "trades"))
    trials = _frame(path, "trials") if (path / "trials.parquet").is_file() else None
    for name, frame in (("equity", equity), ("ledger", ledger)):
        if frame.empty:
            raise BadRecords(f"{path.name}/{name}.parquet has no rows; expected one per clock bar")
    odd = sorted(set(equity["segment"].astype(str)) - set(SEGMENTS))
    if odd:
        raise BadRecords(f"{path.name}/equity.parquet: segment {odd[0]!r}; expected one of {', '.join(SEGMENTS)}")
    return RunFolder(
        path=path, summary=summary, equity=equity, ledger=ledger, signals=signals, trades=trades, trials=trials
    )


def _frame(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise MissingData(f"{folder.name}/{path.name} is missing: expected the folder of a finished run")
    frame = pd.read_parquet(path)
    lacking = [column for column in _NEEDED[name] if column not in frame.columns]
    if lacking:
        raise BadRecords(
            f"{folder.name}/{path.name} lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}; "
            f"it holds: {', '.join(map(str, frame.columns)) or 'nothing'}"
        )
    _check_times(frame, f"{folder.name}/{path.name}", _TIMES[name])
    if name in _RISING:
        times = frame[_RISING[name]]
        if not times.is_monotonic_increasing or (name != "signals" and not times.is_unique):
            raise BadRecords(f"{folder.name}/{path.name}: {_RISING[name]} does not rise from row to row")
    return frame.reset_index(drop=True)


def _check_times(frame: pd.DataFrame, where: str, columns: Sequence[str]) -> None:
    for column in columns:
        kind = frame[column].dtype
        if not (isinstance(kind, pd.DatetimeTZDtype) or (frame[column].isna().all())):
            raise BadRecords(f"{where}: column {column} is {kind}; expected tz-aware UTC times")
