"""The summary of a run: one JSON document, the same for the folder, the terminal and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from btcflow.data.cycle_dates import cycle_dates
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
    terms: dict[str, Any] = asdict(found.experiment.market.market)
    clock = found.main.ledger.clock
    return {"instrument": clock.instrument.id, "clock": clock.step, **terms}


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
    return {"series": series, **span, "notes": list(found.panel.clock.notes)}


def _warnings(found: Execution) -> list[str]:
    main = found.main
    texts = []
    if found.dataset.synthetic:
        texts.append("SIMULATED: every number here comes from a generated market, none from a real one.")
    if main.in_sample.trades + main.out_of_sample.trades < 30:
        texts.append(f"{main.in_sample.trades + main.out_of_sample.trades} trades in all: too few for any statistic.")
    if np.min(found.buy_and_hold.equity) <= 0:
        texts.append(
            "Buy and hold of the traded instrument fell to zero equity or below (a fixed quantity pays funding on a "
            "growing notional, and there is no liquidation yet): its later returns mean nothing."
        )
    if bool(main.ledger.ruined.any()):
        texts.append("The equity was used up: positions are closed and stay flat from there on.")
    texts += _history_warnings(main, real=not found.dataset.synthetic)
    return texts


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
