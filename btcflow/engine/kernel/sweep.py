"""The sweep kernel: a rule, its bars and K parameter sets in; summary numbers per segment out.

The numbers are those of :func:`btcflow.engine.ledger.settle` followed by
:func:`btcflow.stats.performance.performance`, to 1e-9, at a hundredth to a thousandth of the cost:
conditions are bitmaps shared by all sets, the state machine jumps from event to event, and equity
inside a trade is affine in one series that is prepared once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from btcflow.engine.accounts import checked, terms_of
from btcflow.engine.execution import fill_rows
from btcflow.engine.kernel.bits import words_of
from btcflow.engine.kernel.money import PIECE, RECORD, ROW, SPAN, TRADE, settle_sets
from btcflow.engine.kernel.numbers import RAW, segment_numbers, write_paths
from btcflow.engine.kernel.program import Selection, compile_rule, draw, select
from btcflow.engine.kernel.result import KernelResult, empty, finish, put
from btcflow.engine.kernel.tape import Tape, tape_of
from btcflow.engine.kernel.walk import walk_sets
from btcflow.engine.ledger import midnights
from btcflow.errors import ConfigError

if TYPE_CHECKING:
    from btcflow.clock import Clock
    from btcflow.engine.market import Market
    from btcflow.flow.bars import Bars
    from btcflow.rules.rule import Assignment, Rule

__all__ = ["Paths", "SweepKernel", "compiled", "sweep_kernel"]

Summary = Literal["full", "basic"]
_KEPT_SCORES = 256
_ORDERS, _PIECES = 1 << 16, 1 << 9
"""Room for the orders and the pieces of some sets on their way from the walk to the numbers."""
_SHARED, _FEW = 1 << 14, 16
"""Spans that sets may share, where a trade is long against a cell, so that to look it up costs less than to do it
again; not for a few sets."""
_AT_ONCE = 1 << 15
"""Sets whose raw numbers are held at once."""


def sweep_kernel(
    rule: Rule,
    bars: Bars,
    assignments: Sequence[Assignment],
    market: Market,
    segments: np.ndarray | None = None,
    *,
    span: tuple[int, int] | None = None,
    summary: Summary = "full",
    threads: int = 1,
) -> KernelResult:
    """Summary numbers of a rule for K parameter sets over S segments of the clock.

    :class:`SweepKernel` in one call: see there.
    """
    return SweepKernel(rule, bars, market, segments, span=span).run(assignments, summary=summary, threads=threads)


class SweepKernel:
    """A rule on a prepared clock, ready to run any number of batches of parameter sets.

    Every set starts flat with ``market.capital`` at the first row of ``span``; what was decided before
    it is in force there. Each set alone gives the same bits as in any batch.

    Parameters
    ----------
    rule : any rule
    bars : the signal bars; money moves on ``bars.panel.clock``
    market : costs, delay, exposure, leverage and capital
    segments : (S, 2) rows of the clock, first and one past the last, inside the span; they may overlap.
        Default: the span
    span : rows of the clock that are traded, first and one past the last. Default: all

    Raises
    ------
    ConfigError
        for a span or segment outside the clock or without rows, a rule over more than 8 scores, an inverse
        contract, or a market whose orders are not :attr:`~btcflow.engine.market.Market.plain`
    BadRecords
        for a price that is not positive, or funding that is not a number
    """

    def __init__(
        self,
        rule: Rule,
        bars: Bars,
        market: Market,
        segments: np.ndarray | None = None,
        *,
        span: tuple[int, int] | None = None,
    ) -> None:
        whole = bars.panel.clock
        self._first, last = (0, len(whole)) if span is None else span
        self._segments = _sound(segments, self._first, last, len(whole))
        self._clock = whole.rows(np.arange(self._first, last))
        checked(np.zeros((len(self._clock), 1)), self._clock)
        fills = np.maximum(fill_rows(bars.decided_at, whole, delay=market.delay) - self._first, 0)
        if not market.plain or self._clock.instrument.margin == "inverse":
            raise ConfigError(
                f"{_beyond(self._clock, market)}: the sweep kernel settles plain orders of spot and linear contracts; "
                "use the ledger: btcflow.engine.ledger.daily_equity takes the targets of many sets"
            )
        terms = terms_of(self._clock, market)
        self._tape = tape_of(self._clock, fills, self._segments - self._first, float(terms.rates.max()))
        self._cells = _cells(self._tape, fills)
        self._program, self._bars = compile_rule(rule), bars
        self._memo = _SHARED if len(self._tape.begins) < 4 * len(self._tape.marks) else 1
        self._costs = (terms.capital, terms.gross, terms.fee, terms.slippage, terms.penalty, terms.rates, terms.offsets)

    def run(
        self,
        assignments: Sequence[Assignment],
        *,
        summary: Summary = "full",
        threads: int = 1,
        bitmap_bytes: int = 64_000_000,
    ) -> KernelResult:
        """Summary numbers of K parameter sets.

        Parameters
        ----------
        assignments : K complete parameter sets, as ``rule.assign`` returns them, or a ``ParameterTable``
        summary : ``basic`` leaves out what comes from the path of daily equity: its drawdown and time under water
        threads : how many threads share the sets
        bitmap_bytes : memory for bitmaps; more sets than fit are taken in blocks

        Raises
        ------
        ConfigError
            for no threads, another summary, or a parameter without a value
        """
        if threads < 1 or summary not in {"full", "basic"}:
            raise ConfigError(f"threads {threads!r}, summary {summary!r}: expected 1 or more, and 'full' or 'basic'")
        full, result = summary == "full", empty(self._segments, len(assignments), full=summary == "full")
        for block, bitmaps, chosen in self._blocks(assignments, bitmap_bytes):
            for first in range(0, len(block), _AT_ONCE):
                part = slice(first, first + _AT_ONCE)
                raw, state = self._shared(bitmaps, chosen[part], full, threads)
                own = finish(raw, self._clock, self._segments - self._first, full=full, state=state)
                put(result, block[part], own)
        return result

    def paths(self, assignments: Sequence[Assignment], *, chunk: int = 64) -> Iterator[Paths]:
        """Positions per clock bar and daily returns of chosen sets, ``chunk`` sets at a time, in their order.

        Raises
        ------
        ConfigError
            for a chunk of no sets, or a parameter without a value
        """
        if chunk < 1:
            raise ConfigError(f"chunk {chunk!r}: expected 1 set or more")
        days, _ = midnights(self._clock, 0, len(self._clock))
        for first in range(0, len(assignments), chunk):
            sets = assignments[first : first + chunk]
            positions = np.zeros((len(sets), len(self._clock)), dtype=np.int8)
            equity = np.full((len(sets), len(days)), self._costs[0])
            for block, bitmaps, chosen in self._blocks(sets, 64_000_000):
                for batch in self._batches(bitmaps, chosen):
                    rows = block[batch.first : batch.first + len(batch.made)]
                    held, marked = positions[rows], equity[rows]
                    write_paths(self._tape, batch.records, batch.made, held, marked)
                    positions[rows], equity[rows] = held, marked
            before = np.where(equity[:, :-1] > 0, equity[:, :-1], np.nan)
            yield Paths(days=days, positions=positions.T, returns=(equity[:, 1:] / before - 1.0).T)

    def _blocks(
        self, assignments: Sequence[Assignment], bitmap_bytes: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Numbers of sets, the bitmaps they need, and which of these each term of each set is; block by block."""
        selection = select(self._program, assignments)
        for block in _cut(selection, bitmap_bytes // (8 * words_of(len(self._bars)) + 1)):
            chosen, used = selection.chosen, np.arange(len(selection.terms))
            if len(block) < len(assignments):
                used, local = np.unique(chosen[block], return_inverse=True)
                chosen = local.reshape(len(block), -1).astype(np.int32)
            yield block, draw(self._program, selection, used, self._bars, assignments), chosen
            self._bars.forget_beyond(_KEPT_SCORES)

    def _shared(
        self, bitmaps: np.ndarray, chosen: np.ndarray, full: bool, threads: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Raw numbers (K, S, 24), and the state of each set (K,) as ``finish`` reads it, by some threads."""
        out = np.full((len(chosen), len(self._segments), len(RAW)), np.nan)
        state = np.zeros(len(chosen), dtype=np.int64)

        def settle(part: slice) -> None:
            for one in self._batches(bitmaps, chosen[part]):
                at = slice(part.start + one.first, part.start + one.first + len(one.made))
                segment_numbers(self._tape, one.pieces, one.trades, one.records, one.made, full, out[at])
                state[at] = one.made[:, 2]

        cuts = np.linspace(0, len(chosen), min(threads, len(chosen)) + 1).astype(int).tolist()
        parts = [slice(*pair) for pair in itertools.pairwise(cuts)]
        if len(parts) == 1:
            settle(parts[0])
        else:
            with ThreadPoolExecutor(len(parts)) as pool:
                list(pool.map(settle, parts))
        return out, state

    def _batches(self, bitmaps: np.ndarray, chosen: np.ndarray) -> Iterator[_Batch]:
        """Walk and settle the sets of one thread, as many at a time as there is room for; the room is used again."""
        rule, tape, bars = self._program, self._tape, len(self._bars)
        timing, parts = (rule.groups, rule.negated, bars, rule.min_hold, rule.cooldown), len(tape.pieces) - 1
        most = min(len(chosen), max(1, _PIECES // parts))
        room = bars + min(_ORDERS, most * bars)
        cells, wanted = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        pieces, trades = np.empty((most, parts, len(PIECE))), np.empty((most, parts, len(TRADE)))
        records, made = np.empty((4 * room + most * (parts + 2), len(RECORD))), np.empty((most, 3), dtype=np.int64)
        counts, memo = np.zeros(most, dtype=np.int64), np.zeros((self._memo if len(chosen) > _FEW else 1, SPAN))
        first = 0
        while first < len(chosen):
            sets = chosen[first : first + most]
            done = walk_sets(bitmaps, sets, timing, self._cells, len(tape.begins), counts, cells, wanted)
            if self._costs[1] == 0.0:  # no exposure, no order
                counts[:done] = 0
            settle_sets(counts[:done], cells, wanted, tape, self._costs, memo, pieces, trades, records, made)
            yield _Batch(first=first, pieces=pieces, trades=trades, records=records, made=made[:done])
            first += done


class Paths(NamedTuple):
    """Some sets, bar by bar: N clock bars, D midnights, k sets.

    Attributes
    ----------
    days : (D,) int64, nanoseconds UTC: every midnight of the span
    positions : (N, k) int8: 1 long, -1 short, 0 flat in each bar, flat in the bar of a liquidation
    returns : (D - 1, k) equity at 00:00 over equity one day before, minus 1; NaN where there was none
    """

    days: np.ndarray
    positions: np.ndarray
    returns: np.ndarray


class _Batch(NamedTuple):
    """Settled sets, the first of them number ``first``."""

    first: int
    pieces: np.ndarray
    trades: np.ndarray
    records: np.ndarray
    made: np.ndarray


def compiled() -> bool:
    """Whether this machine has compiled the kernel before; if not, the first sweep takes some 15 seconds longer."""
    return all(any(Path(one.stats.cache_path).glob(f"*.{one.__name__}-*.nbi")) for one in (walk_sets, settle_sets))


def _beyond(clock: Clock, market: Market) -> str:
    found = [
        name for name, plain in (("twap", 1), ("impact", 0.0), ("min_notional", 0.0)) if getattr(market, name) != plain
    ]
    inverse = [f"the inverse {clock.instrument.id}"] if clock.instrument.margin == "inverse" else []
    return ", ".join([*(f"market.{name}" for name in found), *inverse])


def _cells(tape: Tape, fills: np.ndarray) -> np.ndarray:
    """The cell at whose open each decision fills; the number of cells where it never does."""
    inside = fills < len(tape.values)
    return np.where(inside, np.searchsorted(tape.cells[:, ROW], fills), len(tape.begins)).astype(np.int64)


def _cut(selection: Selection, room: int) -> list[np.ndarray]:
    """Sets in blocks with at most ``room`` bitmaps each; sets that share bitmaps stand together."""
    count, terms = selection.chosen.shape
    if count == 0:
        return []
    if len(selection.terms) <= room or terms == 0:
        return [np.arange(count)]
    order = np.lexsort(selection.chosen.T[::-1])
    size = max(1, room // terms)
    return [order[at : at + size] for at in range(0, count, size)]


def _sound(segments: np.ndarray | None, first: int, last: int, rows: int) -> np.ndarray:
    if not 0 <= first < last <= rows:
        raise ConfigError(f"span of clock rows [{first}, {last}): expected 0 <= first < end <= {rows}")
    cuts = np.array([[first, last]] if segments is None else segments, dtype=np.int64).reshape(-1, 2)
    for begin, end in cuts:
        if not first <= begin < end <= last:
            raise ConfigError(f"segment of clock rows [{begin}, {end}): expected {first} <= first < end <= {last}")
    return cuts
