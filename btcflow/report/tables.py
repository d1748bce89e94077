"""What the page shows in words and tables: cards, segment table, attribution, folds, provenance.

Nothing here is markup. A Sharpe ratio never leaves this module without the number of trials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from btcflow.report.figures import NONE, count, money, money_digits, number, percent, plain, stamp, tone
from btcflow.report.run_folder import RunFolder
from btcflow.report.summary import Brief, BriefPair, Performance, Summary

__all__ = [
    "Bar",
    "Card",
    "Cell",
    "Table",
    "attribution",
    "capacity",
    "cards",
    "folds",
    "in_quote",
    "odds",
    "refused_capitals",
    "segments",
    "timeframes",
    "trials_phrase",
]

Maybe = Performance | Brief | None
_LABELS = {"in_sample": "In sample", "out_of_sample": "Out of sample", "total": "Whole run"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Text, and the class that colors it."""

    text: str
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One headline figure, out of sample beside in sample."""

    title: str
    out_of_sample: Cell
    in_sample: Cell
    note: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Column heads and rows; the first column holds words."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar from zero, in per cent of the drawing's width."""

    left: float
    width: float
    zero: float
    tone: str


def trials_phrase(trials: int) -> str:
    """``1 trial`` or ``best of 1,200 trials``."""
    return "1 trial" if trials == 1 else f"best of {count(trials)} trials"


def odds(summary: Summary) -> str:
    """The trials and the p-value, always together: what stands beside a Sharpe ratio."""
    p = summary.verdict.p
    return f"{trials_phrase(summary.verdict.trials)} · {'p not assessed' if p is None else f'p {number(p, 3)}'}"


def cards(run: RunFolder) -> tuple[Card, ...]:
    """The headline figures."""
    summary = run.summary
    ins, oos = summary.in_sample, summary.out_of_sample
    hold = summary.benchmark.buy_and_hold
    return (
        _card("Net return", oos, ins, _return, f"buy & hold {_pair(hold, _return)}"),
        _card("Sharpe ratio", oos, ins, _sharpe, odds(summary)),
        _card("Max drawdown", oos, ins, _drawdown, f"buy & hold {_pair(hold, _drawdown)}"),
        _card("Trades", oos, ins, _trades, f"in the market {_two(oos, ins, _exposure)} of the time"),
        _card("Win rate", oos, ins, _wins, f"profit factor {_two(oos, ins, _factor)}"),
        _money_card(run, "Fees + slippage", ("fees", "slippage"), _costs_note(summary)),
        _money_card(run, "Funding", ("funding",), "plus = received, minus = paid"),
        _card("Average hold", oos, ins, _hold, f"turnover a year {_two(oos, ins, _turnover)}"),
    )


def segments(summary: Summary) -> Table:
    """The strategy and its benchmarks, in sample beside out of sample."""
    ins, oos, marks = summary.in_sample, summary.out_of_sample, summary.benchmark
    spot = marks.spot
    columns: list[tuple[str, Maybe]] = [("Strategy in sample", ins), ("Strategy out of sample", oos)]
    columns += [("Buy & hold in sample", marks.buy_and_hold.in_sample)]
    columns += [("Buy & hold out of sample", marks.buy_and_hold.out_of_sample)]
    if spot is not None:
        columns += [("Spot in sample", spot.in_sample), ("Spot out of sample", spot.out_of_sample)]
    sharpe = f"Sharpe ratio ({trials_phrase(summary.verdict.trials)})"
    lines: list[tuple[str, Callable[[Maybe], Cell]]] = [
        ("Total return", _return),
        ("Return per year (CAGR)", _cagr),
        ("Volatility per year", _volatility),
        (sharpe, _sharpe),
        (f"Sortino ratio ({trials_phrase(summary.verdict.trials)})", _sortino),
        ("Calmar ratio", _calmar),
        ("Max drawdown", _drawdown),
        ("Longest time under water", _under_water),
        ("Trades", _trades),
        ("Liquidations", _liquidations),
        ("Win rate", _wins),
        ("Profit factor", _factor),
        ("Average hold", _hold),
        ("Time in the market", _exposure),
        ("Turnover per year", _turnover),
    ]
    rows = [(Cell(text=label), *(show(part) for _, part in columns)) for label, show in lines]
    for label, edge in (("From (UTC)", "start"), ("To (UTC)", "end")):
        rows.append((Cell(text=label), *(Cell(text=stamp(getattr(part, edge, None), day=True)) for _, part in columns)))
    return Table(heads=("", *(head for head, _ in columns)), rows=tuple(rows))


def in_quote(summary: Summary) -> Table | None:
    """What an account settled in BTC is worth in the quote currency; None for any other."""
    own = summary.in_quote
    if own is None:
        return None
    rows = tuple(
        (
            Cell(text=name),
            Cell(text=number(part.start_equity, 0)),
            Cell(text=number(part.end_equity, 0)),
            _colored(part.total_return),
        )
        for name, part in (("In sample", own.in_sample), ("Out of sample", own.out_of_sample))
    )
    return Table(heads=("", f"Start, {own.currency}", f"End, {own.currency}", "Total return"), rows=rows)


def capacity(summary: Summary) -> Table | None:
    """The chosen path traded with other capitals; None where none was asked for."""
    if not summary.capacity:
        return None
    rows = tuple(
        (
            Cell(text=number(one.capital, 0)),
            Cell(text="too large") if one.refused else _colored(one.total_return),
            Cell(text=number(one.sharpe, signed=True)),
            _colored(one.max_drawdown),
            _toned(percent(one.slippage, 2), one.slippage),
            Cell(text=count(one.skipped_orders)),
            Cell(text=count(one.liquidations)),
        )
        for one in summary.capacity
    )
    heads = (
        f"Capital, {_quote(summary)}",
        "Total return",
        f"Sharpe ratio ({trials_phrase(summary.verdict.trials)})",
        "Max drawdown",
    )
    return Table(heads=(*heads, "Slippage and impact", "Orders too small", "Liquidations"), rows=rows)


def refused_capitals(summary: Summary) -> tuple[str, ...]:
    """Why a capital of the capacity table cannot be traded at all."""
    return tuple(f"{number(one.capital, 0)}: {one.refused}" for one in summary.capacity if one.refused)


def _quote(summary: Summary) -> str:
    return summary.market.settlement if summary.in_quote is None else summary.in_quote.currency


def attribution(run: RunFolder) -> tuple[Table, tuple[tuple[Bar, ...], ...]]:
    """The account of each segment, and one bar per cell on a scale shared by its column."""
    parts = run.summary.attribution
    held = [(name, getattr(parts, name)) for name in ("in_sample", "out_of_sample", "total")]
    bases, digits = {name: _base(run, name) for name, _ in held}, money_digits(run.summary.market.capital)
    names = ("price", "funding", "fees", "slippage", "net")
    shares = [[0.0 if part is None else getattr(part, name) / bases[key] for key, part in held] for name in names]
    scales = [(min(0.0, *column), max(0.0, *column)) for column in zip(*shares, strict=True)]
    bars = tuple(
        tuple(_bar(share, *scale, name == "net") for share, scale in zip(line, scales, strict=True))
        for name, line in zip(names, shares, strict=True)
    )
    words = {"price": "Price", "funding": "Funding", "fees": "Fees", "slippage": "Slippage", "net": "Net"}
    rows = tuple(
        (Cell(text=words[name]), *(_amount(part, name, bases[key], digits) for key, part in held)) for name in names
    )
    return Table(heads=("", *(_LABELS[key] for key, _ in held)), rows=rows), bars


def folds(summary: Summary) -> Table | None:
    """The walk-forward steps, or None where there are none."""
    if not summary.folds:
        return None
    phrase = trials_phrase(summary.verdict.trials)
    heads = (
        "Train (UTC)",
        "Test (UTC)",
        "Chosen parameters",
        f"Sharpe train ({phrase})",
        f"Sharpe test ({phrase})",
        "Return train",
        "Return test",
    )
    rows = tuple(
        (
            Cell(text=_stretch(fold.train_start, fold.train_end)),
            Cell(text=_stretch(fold.test_start, fold.test_end)),
            Cell(text=plain(fold.params) or NONE),
            Cell(text=number(fold.train_sharpe, signed=True)),
            Cell(text=number(fold.test_sharpe, signed=True)),
            _colored(fold.train_return),
            _colored(fold.test_return),
        )
        for fold in summary.folds
    )
    return Table(heads=heads, rows=rows)


def timeframes(summary: Summary) -> Table | None:
    """The compared timeframes, or None where there is one."""
    if len(summary.timeframes) < 2:
        return None
    phrase = trials_phrase(summary.verdict.trials)
    shown: list[tuple[str, Callable[[Maybe], Cell]]] = [
        ("Trades", _trades),
        ("Return", _return),
        (f"Sharpe ({phrase})", _sharpe),
        ("Max drawdown", _drawdown),
    ]
    heads = ["Timeframe", "Signals per year"]
    for name, _ in shown:
        heads += [f"{name} in sample", f"{name} out of sample"]
    rows = []
    for row in summary.timeframes:
        cells = [Cell(text=row.timeframe), Cell(text=number(row.signals_per_year, 1))]
        for _, show in shown:
            cells += [show(row.in_sample), show(row.out_of_sample)]
        rows.append(tuple(cells))
    return Table(heads=tuple(heads), rows=tuple(rows))


def _card(title: str, oos: Maybe, ins: Maybe, show: Callable[[Maybe], Cell], note: str) -> Card:
    return Card(title=title, out_of_sample=show(oos), in_sample=show(ins), note=note)


def _money_card(run: RunFolder, title: str, names: Sequence[str], note: str) -> Card:
    cells = {}
    for segment in ("in_sample", "out_of_sample"):
        part = getattr(run.summary.attribution, segment)
        share = None if part is None else sum(getattr(part, name) for name in names) / _base(run, segment)
        cells[segment] = _toned(percent(share, 2), share)
    return Card(title=title, note=note, **cells)


def _costs_note(summary: Summary) -> str:
    per_side = 1e4 * (summary.market.fee + summary.market.slippage)
    return f"{per_side:g} bp a side · of equity at the start"


def _base(run: RunFolder, segment: str) -> float:
    base = run.summary.market.capital if segment == "total" else run.starting_equity(segment)
    return base if base > 0 else run.summary.market.capital


def _amount(part: Any, name: str, base: float, digits: int) -> Cell:
    if part is None:
        return Cell(text=NONE)
    value = getattr(part, name)
    return _toned(f"{money(value, digits)} ({percent(value / base, 2)})", value)


def _bar(share: float, low: float, high: float, is_net: bool) -> Bar:
    scale = 100.0 / (high - low) if high > low else 0.0
    left = (min(share, 0.0) - low) * scale
    kind = "net" if is_net else tone(share)
    return Bar(left=round(left, 2), width=round(abs(share) * scale, 2), zero=round(-low * scale, 2), tone=kind)


def _stretch(start: Any, end: Any) -> str:
    return f"{stamp(start, day=True)} to {stamp(end, day=True)}"


def _pair(pair: BriefPair, show: Callable[[Maybe], Cell]) -> str:
    return _two(pair.out_of_sample, pair.in_sample, show)


def _two(oos: Maybe, ins: Maybe, show: Callable[[Maybe], Cell]) -> str:
    return f"{show(oos).text} OOS, {show(ins).text} IS"


def _of(part: Maybe, name: str) -> float | None:
    value: float | None = None if part is None else getattr(part, name)
    return value


def _toned(text: str, value: float | None) -> Cell:
    """A signed amount; what is written as zero has no color."""
    return Cell(text=text, tone=tone(value) if any(digit in "123456789" for digit in text) else "")


def _colored(value: float | None) -> Cell:
    return _toned(percent(value), value)


def _return(part: Maybe) -> Cell:
    return _colored(_of(part, "total_return"))


def _cagr(part: Maybe) -> Cell:
    return _colored(_of(part, "cagr"))


def _volatility(part: Maybe) -> Cell:
    return Cell(text=percent(_of(part, "volatility"), signed=False))


def _sharpe(part: Maybe) -> Cell:
    return Cell(text=number(_of(part, "sharpe"), signed=True))


def _sortino(part: Maybe) -> Cell:
    return Cell(text=number(_of(part, "sortino"), signed=True))


def _calmar(part: Maybe) -> Cell:
    return Cell(text=number(_of(part, "calmar"), signed=True))


def _drawdown(part: Maybe) -> Cell:
    value = _of(part, "max_drawdown")
    down = None if value is None else -abs(value)
    return _colored(down)


def _under_water(part: Maybe) -> Cell:
    days = _of(part, "max_drawdown_days")
    return Cell(text=NONE if days is None else f"{number(days, 0)} d")


def _liquidations(part: Maybe) -> Cell:
    happened = _of(part, "liquidations")
    return Cell(text=count(happened), tone="loss" if happened else "")


def _trades(part: Maybe) -> Cell:
    return Cell(text=count(_of(part, "trades")))


def _wins(part: Maybe) -> Cell:
    return Cell(text=percent(_of(part, "win_rate"), signed=False))


def _factor(part: Maybe) -> Cell:
    return Cell(text=number(_of(part, "profit_factor")))


def _exposure(part: Maybe) -> Cell:
    return Cell(text=percent(_of(part, "exposure"), 0, signed=False))


def _turnover(part: Maybe) -> Cell:
    value = _of(part, "turnover")
    return Cell(text=NONE if value is None else number(value, 1) + "×")


def _hold(part: Maybe) -> Cell:
    hours = _of(part, "average_hold_hours")
    if hours is None:
        return Cell(text=NONE)
    return Cell(text=f"{number(hours, 1)} h" if hours < 48 else f"{number(hours / 24, 1)} d")
