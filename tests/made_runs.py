"""A run folder of made-up numbers, shaped like one that `btcflow run` leaves."""

from __future__ import annotations

import copy
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FEE, SLIP, CAPITAL = 0.0005, 0.0002, 100_000.0


@dataclass(kw_only=True)
class Made:
    """The parts of a run folder; change one and write it."""

    summary: dict[str, Any]
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text(json.dumps(self.summary), encoding="utf-8")
        for name, frame in self.frames.items():
            frame.to_parquet(folder / f"{name}.parquet")
        return folder


def made_run(bars: int = 600, *, every: int = 60, signal_bars: int = 1, trials: int = 60, seed: int = 7) -> Made:
    """A run over ``bars`` hours that holds long and short in turn, flat between, ``every`` bars each."""
    rng = np.random.default_rng(seed)
    ledger = _ledger(rng, bars, every)
    equity = _equity(ledger)
    trades = _trades(ledger)
    signals = _signals(rng, ledger, signal_bars)
    frames = {"ledger": ledger, "equity": equity, "trades": trades, "signals": signals}
    if trials:
        frames["trials"] = _trials(rng, trials)
    return Made(summary=_summary(equity, ledger, trades, trials, signal_bars), frames=frames)


def _ledger(rng: np.random.Generator, bars: int, every: int) -> pd.DataFrame:
    steps = 0.006 * rng.standard_normal(bars) * (1 + 0.5 * np.sin(np.arange(bars) / 300))
    close = np.round(9_000 * np.exp(np.cumsum(steps)), 1)
    opened = np.round(np.concatenate([[9_000.0], close[:-1]]) * (1 + 0.0002 * rng.standard_normal(bars)), 1)
    high = np.round(np.maximum(opened, close) * (1 + 0.002 * rng.random(bars)), 1)
    low = np.round(np.minimum(opened, close) * (1 - 0.002 * rng.random(bars)), 1)
    time = pd.date_range("2018-01-01", periods=bars, freq="h", tz="UTC")
    phase = np.arange(bars) // every % 4
    quantity = np.select([phase == 1, phase == 3], [1.0, -1.0], 0.0)
    before = np.concatenate([[0.0], quantity[:-1]])
    previous = np.concatenate([[opened[0]], close[:-1]])
    price = before * (opened - previous) + quantity * (close - opened)
    traded = np.abs(quantity - before) * opened
    settles = (time.hour.to_numpy() % 8 == 0).astype(float)
    funding = -before * settles * 0.0001 * previous
    frame = pd.DataFrame({"time": time, "open": opened, "high": high, "low": low, "close": close, "quantity": quantity})
    frame = frame.assign(price_pnl=price, funding=funding, fees=-FEE * traded, slippage=-SLIP * traded)
    return frame.assign(equity=CAPITAL + frame[["price_pnl", "funding", "fees", "slippage"]].sum(axis=1).cumsum())


def _equity(ledger: pd.DataFrame) -> pd.DataFrame:
    bars = len(ledger)
    segment = np.where(np.arange(bars) < 0.05 * bars, "warm_up", "in_sample").astype(object)
    segment[np.arange(bars) >= 0.7 * bars] = "out_of_sample"
    held = CAPITAL * ledger["close"] / ledger["open"].iloc[0]
    return pd.DataFrame(
        {
            "time": ledger["time"] + pd.Timedelta(hours=1),
            "equity": ledger["equity"],
            "buy_and_hold": 0.999 * held,
            "spot": held,
            "segment": segment,
            "equity_3D": 0.5 * (CAPITAL + ledger["equity"]),
        }
    )


def _trades(ledger: pd.DataFrame) -> pd.DataFrame:
    quantity = ledger["quantity"].to_numpy()
    turns = np.flatnonzero(np.diff(quantity, prepend=0.0) != 0)
    rows = []
    for first, last in itertools.pairwise([*turns, len(quantity)]):
        if quantity[first] == 0:
            continue
        is_open = last == len(quantity)
        held = ledger.iloc[first : last if is_open else last + 1]
        side = 1.0 if quantity[first] > 0 else -1.0
        entry, leave = float(ledger["open"].iloc[first]), float("nan") if is_open else float(ledger["open"].iloc[last])
        parts = {name: float(held[name].sum()) for name in ("price_pnl", "funding", "fees", "slippage")}
        row = {"entry_time": ledger["time"].iloc[first], "exit_time": pd.NaT if is_open else ledger["time"].iloc[last]}
        row |= {"side": "long" if side > 0 else "short", "quantity": 1.0, "entry_open": entry, "exit_open": leave}
        row |= {"entry_fill": entry * (1 + side * SLIP), "exit_fill": leave * (1 - side * SLIP), "bars": last - first}
        rows.append(row | parts | {"net": sum(parts.values()), "return": sum(parts.values()) / entry, "open": is_open})
    names = [
        "entry_time",
        "exit_time",
        "side",
        "quantity",
        "entry_open",
        "exit_open",
        "entry_fill",
        "exit_fill",
        "bars",
    ]
    names += ["price_pnl", "funding", "fees", "slippage", "net", "return", "open"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(exit_time=pd.to_datetime(frame["exit_time"], utc=True), open=frame["open"].astype(bool))


def _signals(rng: np.random.Generator, ledger: pd.DataFrame, every: int) -> pd.DataFrame:
    rows = ledger.iloc[: len(ledger) // every * every]
    opens = rows["time"].iloc[::every].reset_index(drop=True)
    count = len(opens)

    def wave(speed: float, noise: float) -> np.ndarray:
        slow = np.cumsum(rng.standard_normal(count)) * speed
        return np.sin(slow) + noise * rng.standard_normal(count)

    oi, funding = wave(0.06, 0.15), 0.0001 * (1 + wave(0.02, 0.1))
    target = rows["quantity"].iloc[every - 1 :: every].to_numpy()[:count]
    state = np.select([oi > 0.9, oi < -0.9], ["over_leverage_long", "bearish"], "neutral").astype(object)
    premium = 0.05 * wave(0.05, 0.2)
    oi_z = 1.6 * oi
    if count > 40:
        oi_z[20:32] = np.nan
    return pd.DataFrame(
        {
            "time": opens,
            "decided_at": opens + pd.Timedelta(hours=every),
            "close": rows["close"].iloc[every - 1 :: every].to_numpy()[:count],
            "spot_premium": premium,
            "perp_premium": -premium,
            "prem_z": -premium * 25,
            "oi_index": 100 * np.exp(0.2 * oi),
            "oi_z": oi_z,
            "funding_8h": funding,
            "funding_apr": funding * 3 * 365,
            "fund_z": wave(0.04, 0.1) * 1.5,
            "target": target,
            "state": state,
        }
    )


def _trials(rng: np.random.Generator, trials: int) -> pd.DataFrame:
    windows = np.array([50, 100, 200, 400, 800])
    entry = np.array([1.0, 1.5, 2.0, 2.5])
    window, level = windows[np.arange(trials) % 5], entry[np.arange(trials) // 5 % 4]
    hidden = 0.4 * np.sin(window / 150) + 0.3 * (level - 1.7)
    return pd.DataFrame(
        {
            "number": np.arange(trials),
            "param_oi_window": window,
            "param_oi_entry": level,
            "param_side": np.where(np.arange(trials) % 2, "both", "long"),
            "in_sample_sharpe": hidden + 0.5 * rng.standard_normal(trials),
            "out_of_sample_sharpe": 0.3 * hidden + 0.5 * rng.standard_normal(trials),
            "state": "complete",
        }
    )


def _performance(equity: pd.DataFrame, trades: pd.DataFrame, segment: str, column: str = "equity") -> dict[str, Any]:
    part = equity[equity["segment"] == segment]
    names = ("volatility", "sortino", "calmar", "win_rate", "profit_factor", "average_hold_hours", "sharpe", "cagr")
    empty: dict[str, Any] = dict.fromkeys(("total_return", "max_drawdown", "turnover", "exposure", *names))
    if part.empty:
        return empty | {"trades": 0, "start": None, "end": None, "days": 0}
    values = part[column].to_numpy()
    inside = (
        trades[trades["entry_time"].between(part["time"].iloc[0], part["time"].iloc[-1])] if len(trades) else trades
    )
    figures = {
        "total_return": values[-1] / values[0] - 1,
        "max_drawdown": float((values / np.maximum.accumulate(values) - 1).min()),
    }
    figures |= {"sharpe": 0.41, "cagr": 0.07, "volatility": 0.31, "sortino": 0.6, "calmar": None, "turnover": 42.1}
    figures |= {
        "exposure": 0.5,
        "win_rate": float((inside["net"] > 0).mean()) if len(inside) else None,
        "profit_factor": 1.08,
    }
    dates = {"start": part["time"].iloc[0].isoformat(), "end": part["time"].iloc[-1].isoformat()}
    return empty | figures | {"trades": len(inside), "average_hold_hours": 60.0, "days": len(part) / 24} | dates


def _account(ledger: pd.DataFrame, keep: np.ndarray) -> dict[str, float]:
    part = ledger[keep]
    parts = {name: float(part[column].sum()) for name, column in _PARTS.items()}
    return parts | {"net": sum(parts.values())}


_PARTS = {"price": "price_pnl", "funding": "funding", "fees": "fees", "slippage": "slippage"}
_SEGMENTS = ("in_sample", "out_of_sample")


def _summary(
    equity: pd.DataFrame, ledger: pd.DataFrame, trades: pd.DataFrame, trials: int, hours: int
) -> dict[str, Any]:
    performance = {name: _performance(equity, trades, name) for name in _SEGMENTS}
    first, last = equity["time"].iloc[0].isoformat(), equity["time"].iloc[-1].isoformat()
    timeframe = {1: "1h", 4: "4h", 24: "1D"}[hours]
    compared = [
        {"timeframe": name, "signals_per_year": 8760.0 / 4**row, **copy.deepcopy(performance), "span": {"start": first}}
        for row, name in enumerate((timeframe, "3D"))
    ]
    marks = {
        name: {part: _performance(equity, trades, part, name) for part in _SEGMENTS}
        for name in ("buy_and_hold", "spot")
    }
    shares = {name: _account(ledger, (equity["segment"] == name).to_numpy()) for name in _SEGMENTS}
    fold = {
        "train_start": first,
        "train_end": first,
        "test_start": first,
        "test_end": last,
        "params": {"oi_window": 200},
    }
    fold |= {"train_sharpe": 1.12, "test_sharpe": -0.2, "train_return": 0.31, "test_return": -0.04}
    count = max(trials, 1)
    return {
        "schema": "btcflow.summary/1",
        "name": "oi_fade_demo",
        "question": "Does fading crowded open interest pay after costs, on a market where the answer is known?",
        "synthetic": True,
        "strategy": {
            "name": "oi_fade",
            "sentence": "Short when open interest is at least 2.0 sigma above its mean, out when it is back below 1.0.",
            "params": {"oi_window": 200, "oi_entry": 2.0, "side": "both"},
        },
        "timeframe": timeframe,
        "timeframes": compared,
        "verdict": {
            "label": "NOT ASSESSED",
            "sentence": f"No test of luck was run: the figures are the best of {count} trials.",
            "p": None,
            "trials": count,
        },
        **performance,
        "benchmark": marks,
        "attribution": {**shares, "total": _account(ledger, np.ones(len(ledger), dtype=bool))},
        "folds": [fold],
        "market": {
            **{
                "instrument": "simulated:BTCUSDT",
                "fee": FEE,
                "slippage": SLIP,
                "delay": 0,
                "exposure": 1.0,
                "leverage": 1.0,
            },
            **{"capital": CAPITAL, "clock": "1h"},
        },
        "data": {
            "series": [
                {
                    "key": "simulated:BTCUSDT/ohlcv",
                    "rows": len(ledger),
                    "first": first,
                    "last": last,
                    "source": "simulated",
                    "sha256": "ab" * 32,
                }
            ],
            "start": first,
            "end": last,
            "notes": ["2 funding settlements are missing and were reported, not filled"],
        },
        "seed": 7,
        "lock": {
            **{"config_sha256": "cd" * 32, "data_sha256": "ef" * 32, "result_digest": "01" * 32, "code": "0.1.0"},
            "packages": {"numpy": "2.4.6", "pandas": "3.1.1"},
        },
        "warnings": ["the out-of-sample part is shorter than a year"],
        "command": "btcflow run configs/demo.yaml",
    }


COINS = 1e-4
"""What one unit of the quote currency is worth in a run made by :func:`in_btc`."""


def in_btc(made: Made) -> Made:
    """The same run of an inverse contract: its money in BTC, the first trade that ended closed by the venue."""
    frames = {name: frame.copy() for name, frame in made.frames.items()}
    money = ("price_pnl", "funding", "fees", "slippage", "net", "equity", "buy_and_hold", "equity_3D")
    for name in ("equity", "ledger", "trades"):
        held = [column for column in money if column in frames[name].columns]
        frames[name][held] *= COINS
    ended = int(np.flatnonzero(~frames["trades"]["open"])[0])
    frames["trades"]["net_usd"] = frames["trades"]["net"] * 9_000.0
    frames["trades"]["liquidated"] = np.arange(len(frames["trades"])) == ended
    frames["equity"] = frames["equity"].drop(columns="spot")
    summary = copy.deepcopy(made.summary)
    summary["attribution"] = {
        name: {part: COINS * value for part, value in parts.items()} for name, parts in summary["attribution"].items()
    }
    summary["market"] |= {"capital": COINS * CAPITAL, "settlement": "BTC"}
    worth = {"start_equity": 100_000.0, "end_equity": 110_000.0, "total_return": 0.1}
    summary["in_quote"] = {"currency": "USD", "in_sample": worth, "out_of_sample": worth}
    row = {"total_return": 0.2, "sharpe": 0.4, "max_drawdown": -0.1, "slippage": -0.01}
    none = dict.fromkeys(row)
    counts = {"skipped_orders": 3, "liquidations": 1}
    summary["capacity"] = [
        {"capital": 1e5, **row, **counts, "refused": ""},
        {"capital": 1e13, **none, **counts, "refused": "market.impact is 1.0: the order would slip by its whole price"},
    ]
    del summary["benchmark"]["spot"]
    return Made(summary=summary, frames=frames)
