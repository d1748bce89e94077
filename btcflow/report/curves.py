"""The series a page draws, brought to a size a page can hold, as packed columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from btcflow.flow.catalog import DASHBOARD
from btcflow.report import encode
from btcflow.report.encode import Column
from btcflow.report.figures import money_digits
from btcflow.report.run_folder import RunFolder

__all__ = ["DAILY_ABOVE", "TRIALS_SHOWN", "Curves", "curves", "drawdown", "drawn_at", "own_trials"]

_DECIMALS = {"spot_premium": 4, "perp_premium": 4, "oi_index": 4, "funding_8h": 7, "funding_apr": 5}
DAILY_ABOVE = 6_000
TRIALS_SHOWN = 20_000
OTHERS_SHOWN = 3
"""Equity curves of other timeframes beside the run's own."""
_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Tables of packed columns, and what was left out to make them fit.

    ``equity_daily``: the equity curve holds one row per UTC day (its last close; the drawdown is the
    day's worst clock bar). ``signals_undrawn``: signal bars decided before the first clock bar.
    ``trials_left_out``: parameter sets beyond those that are drawn.
    """

    tables: dict[str, dict[str, Column]]
    equity_daily: bool
    signals_undrawn: int
    trials_left_out: int


def curves(run: RunFolder) -> Curves:
    """Everything the page draws, from a checked run folder."""
    bars = {"time": encode.seconds(run.ledger["time"]), **encode.candles(run.ledger)}
    signals, undrawn = _signals(run)
    digits = 2 + money_digits(run.summary.market.capital)
    equity, daily = _equity(run, digits)
    tables = {"bars": bars, "signals": signals, "equity": equity, "trades": _trades(run.trades, digits)}
    left_out = 0
    if run.trials is not None and not run.trials.empty:
        shown = _spread(own_trials(run), TRIALS_SHOWN)
        left_out = len(run.trials) - len(shown)
        tables["trials"] = _trials(shown)
    return Curves(tables=tables, equity_daily=daily, signals_undrawn=undrawn, trials_left_out=left_out)


def own_trials(run: RunFolder) -> pd.DataFrame:
    """The parameter sets tried on the run's own timeframe (all of them, where the table does not say)."""
    frame = pd.DataFrame() if run.trials is None else run.trials
    return frame[frame["timeframe"] == run.summary.timeframe] if "timeframe" in frame.columns else frame


def drawdown(equity: np.ndarray) -> np.ndarray:
    """Fall from the running maximum as a fraction, 0 or negative; shape (T,).

    Examples
    --------
    >>> drawdown(np.array([100.0, 110.0, 99.0])).round(3).tolist()
    [0.0, 0.0, -0.1]
    """
    return np.asarray(equity / np.maximum.accumulate(equity) - 1.0)


def drawn_at(decided: np.ndarray, opens: np.ndarray) -> np.ndarray:
    """The clock bar beside which a signal is drawn: the last one that opened before it was decided.

    Parameters
    ----------
    decided : (S,) instants at which signals were decided, any one integer unit
    opens : (T,) opens of the clock bars, the same unit, rising

    Returns
    -------
    (S,) positions in ``opens``; -1 where the signal was decided before the first bar

    Examples
    --------
    >>> drawn_at(np.array([0, 3, 4]), np.array([0, 1, 2, 3])).tolist()
    [-1, 2, 3]
    """
    return np.searchsorted(opens, decided, side="left") - 1


def _signals(run: RunFolder) -> tuple[dict[str, Column], int]:
    frame = run.signals
    opens = encode.seconds(run.ledger["time"]).values
    position = drawn_at(encode.seconds(frame["decided_at"]).values, opens)
    keep = position >= 0
    keep[:-1] &= position[1:] != position[:-1]  # several signals in one clock bar: the last stands
    undrawn = int((position < 0).sum())
    frame, position = frame.loc[keep], position[keep]
    columns = {"time": Column(values=opens[position], missing=np.zeros(len(position), dtype=bool))}
    for name in DASHBOARD:
        if name in frame.columns:
            columns[name] = encode.numbers(frame[name], decimals=_DECIMALS.get(name, 3))
    columns["target"] = encode.numbers(frame["target"], decimals=3)
    if "state" in frame.columns:
        columns["state"] = encode.labels(frame["state"].where(frame["state"].notna(), None))
    return columns, undrawn


def _equity(run: RunFolder, digits: int) -> tuple[dict[str, Column], bool]:
    frame = run.equity
    names = [name for name in ("equity", "buy_and_hold", "spot") if name in frame.columns]
    names += [name for name in map(str, frame.columns) if name.startswith("equity_")][:OTHERS_SHOWN]
    values = {name: frame[name].to_numpy(dtype=np.float64) for name in names}
    values["drawdown"] = drawdown(values["equity"])
    time = encode.seconds(frame["time"]).values
    daily = len(frame) > DAILY_ABOVE
    if daily:
        day = (time - 1) // _DAY  # a bar that closes at midnight belongs to the day that ends there
        first = np.flatnonzero(np.concatenate([[True], day[1:] != day[:-1]]))
        last = np.append(first[1:], len(day)) - 1
        values["drawdown"] = np.minimum.reduceat(values["drawdown"], first)
        values = {name: array if name == "drawdown" else array[last] for name, array in values.items()}
        time = time[last]
    columns = {"time": Column(values=time, missing=np.zeros(len(time), dtype=bool))}
    for name, array in values.items():
        columns[name] = encode.numbers(array, decimals=5 if name == "drawdown" else digits)
    return columns, daily


def _trades(frame: pd.DataFrame, digits: int) -> dict[str, Column]:
    amounts = ("price_pnl", "funding", "fees", "slippage", "net")
    usd = {"net_usd": encode.numbers(frame["net_usd"], decimals=2)} if "net_usd" in frame.columns else {}
    liquidated = frame["liquidated"].astype(float) if "liquidated" in frame.columns else np.zeros(len(frame))
    return {
        "entry_time": encode.seconds(frame["entry_time"]),
        "exit_time": encode.seconds(frame["exit_time"]),
        "side": encode.labels(frame["side"]),
        "quantity": encode.numbers(frame["quantity"], decimals=6),
        "entry_fill": encode.numbers(frame["entry_fill"], decimals=2),
        "exit_fill": encode.numbers(frame["exit_fill"], decimals=2),
        "bars": encode.numbers(frame["bars"], decimals=0),
        **{name: encode.numbers(frame[name], decimals=digits) for name in amounts},
        **usd,
        "return": encode.numbers(frame["return"], decimals=6),
        "open": encode.numbers(frame["open"].astype(float), decimals=0),
        "liquidated": encode.numbers(liquidated, decimals=0),
    }


def _spread(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most ``most`` rows, evenly over the table, the best in-sample row always among them."""
    if len(frame) <= most:
        return frame
    rows = np.unique(np.linspace(0, len(frame) - 1, most - 1).round().astype(np.int64))
    scores = frame["in_sample_sharpe"].to_numpy(dtype=np.float64)
    if np.isfinite(scores).any():
        rows = np.unique(np.append(rows, int(np.nanargmax(np.where(np.isfinite(scores), scores, np.nan)))))
    return frame.iloc[rows]


def _trials(frame: pd.DataFrame) -> dict[str, Column]:
    columns = {"number": encode.numbers(frame["number"], decimals=0)}
    if "fold" in frame.columns:
        columns["fold"] = encode.numbers(frame["fold"], decimals=0)
    for name in frame.columns:
        if not str(name).startswith("param_"):
            continue
        values = frame[name]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            columns[name] = encode.numbers(values, decimals=6)
        else:
            columns[name] = encode.labels(values.astype(object).where(values.notna(), None))
    for name in ("in_sample_sharpe", "out_of_sample_sharpe"):
        columns[name] = encode.numbers(frame[name], decimals=3)
    return columns
