"""The text of each command's answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from btcflow.terminal.tables import amount, number, percent, table

if TYPE_CHECKING:
    from btcflow.runs.signal_state import MetricState, SignalState

__all__ = ["run_view", "signals_view"]

_SEGMENTS = (("in_sample", "in sample"), ("out_of_sample", "out of sample"))


def run_view(summary: Mapping[str, Any]) -> str:
    """The answer of a run: verdict, in beside out of sample, where the money came from, timeframes."""
    blocks = [
        *(["SIMULATED market: no number below is from a real one."] if summary["synthetic"] else []),
        f"{summary['name']}: {summary['question']}",
        summary["strategy"]["sentence"],
        f"verdict  {summary['verdict']['label']}. {summary['verdict']['sentence']}",
        _segments(summary),
        _attribution(summary),
        *([_in_quote(summary)] if "in_quote" in summary else []),
        *([_capacity(summary)] if summary.get("capacity") else []),
    ]
    if len(summary["folds"]) > 1 or summary["folds"][0]["searched"]:
        blocks.append(_folds(summary))
    if len(summary["timeframes"]) > 1:
        blocks.append(_timeframes(summary))
    notes = [*summary["data"]["notes"], *summary["warnings"]]
    if notes:
        blocks.append("\n".join(f"note: {text}" for text in notes))
    return "\n\n".join(blocks)


def _segments(summary: Mapping[str, Any]) -> str:
    held, spot = summary["benchmark"]["buy_and_hold"], summary["benchmark"].get("spot")
    rows = []
    for key, name in _SEGMENTS:
        rows.append([f"strategy, {name}", *_headline(summary[key])])
        rows.append([f"buy and hold, {name}", *_headline(held[key])])
        if spot is not None:
            rows.append([f"spot without costs, {name}", *_headline(spot[key])])
    return table(["", "days", "trades", "return", "CAGR", "Sharpe", "max drawdown", "exposure"], rows)


def _headline(one: Mapping[str, Any]) -> list[str]:
    return [
        f"{one['days']:.0f}",
        str(one["trades"]),
        percent(one["total_return"]),
        percent(one["cagr"]),
        number(one["sharpe"]),
        percent(one["max_drawdown"]),
        f"{100 * one['exposure']:.0f} %",
    ]


def _attribution(summary: Mapping[str, Any]) -> str:
    from btcflow.report.figures import money_digits

    names, base = ("price", "funding", "fees", "slippage", "net"), float(summary["market"]["capital"])
    digits = money_digits(base)
    rows = [
        [name, *[amount(summary["attribution"][key][part], digits) for part in names]]
        for key, name in (*_SEGMENTS, ("total", "total"))
    ]
    start = f"{base:,.{digits}f} {summary['market']['settlement']}"
    return table([f"profit and loss on {start}", *names], rows)


def _capacity(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{one['capital']:,.0f}" + (" (more than the bars can take)" if one["refused"] else ""),
            percent(one["total_return"]),
            number(one["sharpe"]),
            percent(one["max_drawdown"]),
            percent(one["slippage"], 2),
            f"{one['skipped_orders']:,}",
            f"{one['liquidations']:,}",
        ]
        for one in summary["capacity"]
    ]
    quote = summary.get("in_quote", {}).get("currency", summary["market"]["settlement"])
    heads = [f"capacity: the same path with a capital in {quote} of", "return", "Sharpe", "max drawdown", "slippage"]
    return table([*heads, "orders too small", "liquidations"], rows)


def _in_quote(summary: Mapping[str, Any]) -> str:
    own = summary["in_quote"]
    rows = [
        [
            f"account in {own['currency']}, {name}",
            *(f"{own[key][part]:,.0f}" for part in ("start_equity", "end_equity")),
            percent(own[key]["total_return"]),
        ]
        for key, name in _SEGMENTS
    ]
    return table(["settled in BTC, valued at the close", "start", "end", "return"], rows)


def _folds(summary: Mapping[str, Any]) -> str:
    rows = []
    for place, fold in enumerate(summary["folds"], start=1):
        chosen = ", ".join(f"{name} {fold['params'][name]:g}" for name in fold["searched"]) or "fixed"
        span = f"{fold['test_start'][:10]} to {fold['test_end'][:10]}"
        rows.append(
            [
                f"{place}  tested {span}",
                chosen,
                number(fold["train_sharpe"]),
                number(fold["test_sharpe"]),
                percent(fold["test_return"]),
            ]
        )
    return table(["fold", "chosen on what came before", "Sharpe trained", "Sharpe tested", "return tested"], rows)


def _timeframes(summary: Mapping[str, Any]) -> str:
    rows = []
    for one in summary["timeframes"]:
        inside, outside = one["in_sample"], one["out_of_sample"]
        rows.append(
            [
                one["timeframe"],
                f"{one['signals_per_year']:.1f}",
                f"{inside['trades']} | {outside['trades']}",
                f"{percent(inside['total_return'])} | {percent(outside['total_return'])}",
                f"{number(inside['sharpe'])} | {number(outside['sharpe'])}",
                f"{percent(inside['max_drawdown'])} | {percent(outside['max_drawdown'])}",
            ]
        )
    header = [
        "timeframe",
        "signals/year",
        "trades in | out",
        "return in | out",
        "Sharpe in | out",
        "max drawdown in | out",
    ]
    return table(header, rows) + "\none clock, span, split and cost model for all; in sample | out of sample"


def signals_view(states: Sequence[SignalState]) -> str:
    """The dashboard's state in the terminal, one block per timeframe."""
    return "\n\n".join(_signal_block(one) for one in states)


def _signal_block(one: SignalState) -> str:
    times = f"bar {one.bar[:16]} closed {one.closed[:16]}, decided {one.decided_at[:16]} UTC"
    head = f"{one.timeframe}  {times}, price {one.price:,.2f}"
    metrics = _metric_table(one.metrics)
    conditions = table(
        ["condition", "side", "value", "threshold", "holds"],
        [
            [c.text, c.side.replace("_", " "), number(c.value, 3), number(c.threshold, 3), "yes" if c.holds else "no"]
            for c in one.conditions
        ],
    )
    target = {1.0: "long", -1.0: "short", 0.0: "flat"}.get(one.target, f"{one.target:+.2f}")
    lines = [
        *(["SIMULATED market"] if one.synthetic else []),
        head,
        "",
        metrics,
        "spot premium: positive = spot above perps; perp premium: positive = perps above spot",
        "funding: positive = longs pay shorts",
        *(f"note: {text}" for text in one.left_out),
        "",
        conditions,
        "",
        *_state_lines(one),
        f"target  {target} since {str(one.target_since)[:16]}",
        f"rule    {one.sentence}",
    ]
    if one.forming:
        lines += [
            "",
            "PROVISIONAL: the bar that is still open; it may change until it closes, and nothing is decided on it",
            "",
        ]
        lines.append(_metric_table(one.forming))
    return "\n".join(lines)


def _metric_table(metrics: Sequence[MetricState]) -> str:
    rows = [
        [
            metric.name,
            _valued(metric.value, metric.unit),
            number(metric.z),
            str(metric.window),
            str(metric.sources),
            str(metric.newest_input)[:16],
        ]
        for metric in metrics
    ]
    return table(["metric", "value", "z", "window", "sources", "newest input"], rows)


def _state_lines(one: SignalState) -> list[str]:
    if one.state is None:
        return []
    if one.state_known_from is None:
        return ["state   unknown so far: the windows are not warm, so nothing can have been flagged yet"]
    known = f"; none before {one.state_known_from[:16]}, while the windows warmed up: nothing earlier can be flagged"
    return [f"state   {one.state} since {str(one.state_since)[:16]}{known}"]


def _valued(value: float, unit: str) -> str:
    if math.isnan(value):
        return "-"
    if unit == "%":
        return f"{value:+.4f} %"
    if unit == "fraction per 8h":
        return f"{1e4 * value:+.3f} bp/8h"
    if unit == "fraction p.a.":
        return f"{100 * value:+.2f} % p.a."
    return f"{value:,.2f}"
