"""The summary of a run: one JSON document, the same for the folder, the terminal and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from btcflow.data.cycle_dates import cycle_dates
from btcflow.engine.ledger import Ledger, Orders
from btcflow.rules.sentence import sentence, spelled
from btcflow.runs.evaluate import Chosen, TimeframeAnswer
from btcflow.runs.execute import Benchmark, Execution
from btcflow.runs.lock import lock_of
from btcflow.stats.performance import Performance

__all__ = ["SUMMARY_SCHEMA", "plain", "summarize"]

SUMMARY_SCHEMA = "btcflow.summary/1"
_MONEY = ("price", "funding", "fees", "slippage")


def summarize(found: Execution, *, command: str) -> dict[str, Any]:
    """Everything a reader of the run needs, as plain data; undefined numbers are None."""
    main, experiment = found.main, found.experiment
    summary: dict[str, Any] = {
        "schema": SUMMARY_SCHEMA,
        "name": experiment.name,
        "question": experiment.question or f"Does {found.strategy.name} make money on {', '.join(experiment.frames)}?",
        "synthetic": found.dataset.synthetic,
        "strategy": {
            "name": found.strategy.name,
            "claim": found.strategy.claim,
            "sentence": sentence(found.strategy, main.folds[-1].values, main.bars),
            "params": plain(spelled(main.folds[-1].values, main.bars)),
        },
        "timeframe": main.timeframe,
        "timeframes": [_timeframe(one) for one in found.answers],
        "verdict": _verdict(found),
        "in_sample": _performance(main.in_sample),
        "out_of_sample": _performance(main.out_of_sample),
        "benchmark": _benchmarks(found),
        "attribution": _attribution(main),
        "folds": [_fold(one, main) for one in main.folds],
        "market": _market(found),
        **_optional(found),
        "data": _data(found),
        "seed": experiment.seed,
        "warnings": _warnings(found),
        "command": command,
    }
    lock = lock_of(experiment, found.dataset, summary)
    summary["lock"] = {key: lock[key] for key in ("config_sha256", "data_sha256", "result_digest", "code", "packages")}
    return summary


def plain(value: Any) -> Any:
    """Plain JSON data: numpy scalars become Python's, NaN and infinity None, times ISO text."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _performance(value: Performance) -> dict[str, Any]:
    result: dict[str, Any] = plain(asdict(value))
    return result


def _verdict(found: Execution) -> dict[str, Any]:
    main = found.main
    tried = f"{found.trials} parameter set{'s were' if found.trials > 1 else ' was'} tried"
    sharpe = (_number(main.in_sample.sharpe), _number(main.out_of_sample.sharpe))
    return {
        "label": "NOT ASSESSED",
        "sentence": f"{tried[0].upper()}{tried[1:]}; Sharpe {sharpe[0]} in sample and {sharpe[1]} out of sample. "
        "No test for luck has been made, so this is no evidence of an edge.",
        "p": None,
        "trials": found.trials,
    }


def _number(value: float) -> str:
    return f"{value:+.2f}" if math.isfinite(value) else "undefined"


def _timeframe(one: TimeframeAnswer) -> dict[str, Any]:
    return {
        "timeframe": one.timeframe,
        "signals_per_year": plain(one.signals_per_year),
        "bars": len(one.bars),
        "params": plain(spelled(one.folds[-1].values, one.bars)),
        "in_sample": _performance(one.in_sample),
        "out_of_sample": _performance(one.out_of_sample),
    }


def _benchmarks(found: Execution) -> dict[str, Any]:
    def pair(one: Benchmark) -> dict[str, Any]:
        return {"in_sample": _performance(one.in_sample), "out_of_sample": _performance(one.out_of_sample)}

    result = {"buy_and_hold": pair(found.buy_and_hold)}
    return result | ({"spot": pair(found.spot)} if found.spot is not None else {})


def _attribution(main: TimeframeAnswer) -> dict[str, Any]:
    parts = {
        name: {key: float(getattr(one, key)) for key in _MONEY}
        for name, one in (("in_sample", main.in_sample), ("out_of_sample", main.out_of_sample))
    }
    parts["total"] = {key: parts["in_sample"][key] + parts["out_of_sample"][key] for key in _MONEY}
    return {name: {**money, "net": sum(money.values())} for name, money in parts.items()}


def _fold(one: Chosen, main: TimeframeAnswer) -> dict[str, Any]:
    spans = {
        name: pd.Timestamp(getattr(one.fold, name), unit="ns", tz="UTC")
        for name in ("train_start", "train_end", "test_start", "test_end")
    }
    numbers = {
        "train_sharpe": one.train.sharpe,
        "test_sharpe": one.test.sharpe,
        "train_return": one.train.total_return,
        "test_return": one.test.total_return,
    }
    result: dict[str, Any] = plain(
        {**spans, "params": spelled(one.values, main.bars), "searched": list(one.searched), **numbers}
    )
    return result


def _market(found: Execution) -> dict[str, Any]:
    terms: dict[str, Any] = plain(asdict(found.experiment.market.market))
    ledger = found.main.ledger
    clock = ledger.clock
    settled = {"settlement": ledger.settlement, "capital": ledger.capital}
    return {"instrument": clock.instrument.id, "clock": clock.step, **terms, **settled}


def _optional(found: Execution) -> dict[str, Any]:
    """What only some experiments have: the capacity curve, and an inverse contract's results in dollars."""
    parts: dict[str, Any] = {}
    if found.capacity is not None:
        parts["capacity"] = plain(found.capacity.to_dict("records"))
    if found.main.ledger.inverse:
        parts["in_quote"] = _in_quote(found.main)
    return parts


def _in_quote(main: TimeframeAnswer) -> dict[str, Any]:
    """Equity of an inverse contract valued at the close: what the account is worth in the quote currency."""
    ledger, quote = main.ledger, main.ledger.clock.instrument.quote
    worth, cut = ledger.equity_usd[:, 0], int(np.searchsorted(ledger.clock.opens, main.cut))
    begin = float(ledger.capital * ledger.clock.open[0])
    at_cut = float(worth[cut - 1]) if cut else begin
    edges = {"in_sample": (begin, at_cut), "out_of_sample": (at_cut, float(worth[-1]))}
    parts = {
        name: {"start_equity": start, "end_equity": end, "total_return": end / start - 1.0 if start > 0 else math.nan}
        for name, (start, end) in edges.items()
    }
    result: dict[str, Any] = plain({"currency": quote, **parts})
    return result


def _data(found: Execution) -> dict[str, Any]:
    series = [
        {
            "key": str(one.key),
            "rows": len(one),
            "first": plain(one.frame["stamp"].iloc[0]) if len(one) else None,
            "last": plain(one.frame["stamp"].iloc[-1]) if len(one) else None,
            "source": one.source,
            "sha256": one.content_hash(),
        }
        for one in found.dataset
    ]
    clock = found.main.ledger.clock
    span = {"start": plain(clock.index[0]), "end": plain(pd.Timestamp(int(clock.closes_at[-1]), unit="ns", tz="UTC"))}
    return {"series": series, **span, "notes": [*found.dataset.notes, *found.panel.clock.notes, *found.shown.left_out]}


def _warnings(found: Execution) -> list[str]:
    main = found.main
    texts = []
    if found.dataset.synthetic:
        texts.append("SIMULATED: every number here comes from a generated market, none from a real one.")
    if main.in_sample.trades + main.out_of_sample.trades < 30:
        texts.append(f"{main.in_sample.trades + main.out_of_sample.trades} trades in all: too few for any statistic.")
    texts += _liquidation_warnings(found)
    skipped = int(main.ledger.skipped_orders.sum())
    if skipped:
        texts.append(
            f"Orders below market.min_notional that were not placed: {skipped}; their signals were not traded."
        )
    if found.ledger_because is not None and found.trials > 1:
        texts.append(f"The search ran set by set through the exact ledger, because {found.ledger_because}.")
    if bool(main.ledger.ruined.any()):
        texts.append("The equity was used up: positions are closed and stay flat from there on.")
    texts += _history_warnings(main, real=not found.dataset.synthetic)
    return texts


def _liquidation_warnings(found: Execution) -> list[str]:
    """In words: whose positions the venue closed, and when first."""
    own, held = found.main.ledger, found.buy_and_hold
    texts = []
    closed = own.orders.where(own.orders.liquidation)
    if len(closed):
        first = own.clock.index[int(closed.row[0])]
        texts.append(
            f"{len(closed)} position{'s were' if len(closed) > 1 else ' was'} liquidated, first on "
            f"{first:%Y-%m-%d %H:%M}."
        )
    at_once = int(np.sum(np.isin(closed.row, own.orders.row[~own.orders.liquidation]) & _at_open(own, closed)))
    if at_once:
        texts.append(
            f"{at_once} liquidated at the open at which the order filled: the maintenance margin of so large a "
            "position is more than the equity, and a venue would not have opened it; lower market.leverage or "
            "market.capital."
        )
    shorts = own.clock.instrument.role == "spot" and int(np.sum(own.quantity < 0))
    if shorts:
        texts.append(
            f"{own.clock.instrument.id} is a spot pair held short in {shorts:,} clock bars: no fee for borrowing it is "
            "charged, and no margin is asked."
        )
    lost = (held.in_sample.liquidations or 0) + (held.out_of_sample.liquidations or 0)
    if lost:
        why = _why_holding_was_lost(leverage=own.market.gross, inverse=own.inverse)
        texts.append(f"Buy and hold of the traded instrument was liquidated: {why}. It stays flat from there on.")
    return texts


def _at_open(ledger: Ledger, orders: Orders) -> np.ndarray:
    """Which orders filled at the open of their bar; (M,) bool."""
    opened = ledger.clock.open[orders.row]
    return np.asarray(np.abs(orders.fill - opened) <= 1e-9 * opened)


def _why_holding_was_lost(*, leverage: float, inverse: bool) -> str:
    if leverage > 1.0:
        return f"it holds {leverage:g} times its equity, as the strategy may"
    if inverse:
        return "a long of an inverse contract has no equity left at half the price it was opened at"
    return "a fixed quantity pays funding on a notional that grew far beyond its equity"


def _history_warnings(main: TimeframeAnswer, *, real: bool) -> list[str]:
    """In words: how much of the data the longest window uses up before the first decision."""
    clock = main.ledger.clock
    waited = (int(clock.opens[0]) - int(main.bars.opens[0])) / 86_400e9
    if waited <= 0:
        return []
    begin, work = int(main.bars.opens[0]), int(clock.opens[0])
    missed = [one.label for one in cycle_dates("scoring") if begin <= one.day < work] if real else []
    named = f": not the {', the '.join(missed)}" if missed else ""
    return [
        f"The first {waited:.0f} days of the data warm the windows up (from {main.bars.index[0].date()}); money is "
        f"at work from {clock.index[0].date()}. Nothing before that day can have been flagged{named}."
    ]
