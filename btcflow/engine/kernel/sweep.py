"""The sweep kernel: a rule, its bars and K parameter sets in; summary numbers per segment out.

The numbers are those of :func:`btcflow.engine.ledger.settle` followed by
:func:`btcflow.stats.performance.performance`, to 1e-9, at a hundredth to a thousandth of the cost:
conditions are bitmaps shared by all sets, the state machine jumps from event to event, and equity
inside a trade is affine in one series that is prepared once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from btcflow.engine.accounts import checked
from btcflow.engine.execution import fill_rows
from btcflow.engine.kernel.bits import words_of
from btcflow.engine.kernel.money import RAW, ROW, settle_sets
from btcflow.engine.kernel.program import Program, Selection, compile_rule, draw, select
from btcflow.engine.kernel.result import KernelResult, finish
from btcflow.engine.kernel.tape import Tape, tape_of
from btcflow.engine.kernel.walk import walk_sets
from btcflow.errors import ConfigError

if TYPE_CHECKING:
    from btcflow.engine.market import Market
    from btcflow.flow.bars import Bars
    from btcflow.rules.rule import Assignment, Rule

__all__ = ["SweepKernel", "sweep_kernel"]

Summary = Literal["full", "basic"]
_KEPT_SCORES = 256
_ORDERS = 1 << 14
"""Room for the orders of some sets on their way from the walk to the money."""


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
        for a span or segment outside the clock or without rows
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
        self._tape = tape_of(self._clock, fills, self._segments - self._first)
        self._cells = _cells(self._tape, fills)
        self._program, self._bars = compile_rule(rule), bars
        self._costs = (float(market.capital), float(market.gross), float(market.fee), float(market.slippage))

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
        assignments : K complete parameter sets, as ``rule.assign`` returns them
        summary : ``basic`` leaves out the drawdown of daily equity
        threads : how many threads share the sets
        bitmap_bytes : memory for bitmaps; more sets than fit are taken in blocks

        Raises
        ------
        ConfigError
            for no threads, another summary, or a parameter without a value
        """
        if threads < 1 or summary not in {"full", "basic"}:
            raise ConfigError(f"threads {threads!r}, summary {summary!r}: expected 1 or more, and 'full' or 'basic'")
        full, count = summary == "full", len(assignments)
        raw = np.full((count, len(self._segments), len(RAW)), np.nan)
        state = np.zeros(count, dtype=np.int64)
        selection = select(self._program, assignments)
        for block in _blocks(selection, bitmap_bytes // (8 * words_of(len(self._bars)) + 1)):
            chosen, used = selection.chosen, np.arange(len(selection.terms))
            if len(block) < count:
                used, local = np.unique(chosen[block], return_inverse=True)
                chosen = local.reshape(len(block), -1).astype(np.int64)
            bitmaps = draw(self._program, selection, used, self._bars, assignments)
            raw[block], state[block] = self._block(bitmaps, chosen, full, threads)
            self._bars.forget_beyond(_KEPT_SCORES)
        result = finish(raw, self._clock, self._segments - self._first, full=full, state=state)
        return replace(result, segments=self._segments)

    def _block(
        self, bitmaps: np.ndarray, chosen: np.ndarray, full: bool, threads: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Raw numbers (K, S, 20), and the state of each set (K,) as ``finish`` reads it."""
        out = np.full((len(chosen), len(self._segments), len(RAW)), np.nan)
        state = np.zeros(len(chosen), dtype=np.int64)
        rule, bars, cells, tape = self._program, len(self._bars), self._cells, self._tape

        def settle(part: slice) -> None:
            _settle(bitmaps, chosen[part], rule, bars, cells, tape, self._costs, full, out[part], state[part])

        cuts = np.linspace(0, len(chosen), min(threads, len(chosen)) + 1).astype(int).tolist()
        parts = [slice(*pair) for pair in itertools.pairwise(cuts)]
        if len(parts) == 1:
            settle(parts[0])
        else:
            with ThreadPoolExecutor(len(parts)) as pool:
                list(pool.map(settle, parts))
        return out, state


def _settle(  # noqa: PLR0913, PLR0917
    bitmaps: np.ndarray,
    chosen: np.ndarray,
    rule: Program,
    bars: int,
    fill_cells: np.ndarray,
    tape: Tape,
    costs: tuple[float, float, float, float],
    full: bool,
    out: np.ndarray,
    state: np.ndarray,
) -> None:
    """Walk and settle the sets of one thread, as many at a time as there is room for orders."""
    timing = (rule.groups, rule.negated, bars, rule.min_hold, rule.cooldown)
    counts, cells = np.zeros(len(chosen), dtype=np.int64), np.empty(bars + _ORDERS, dtype=np.int64)
    wanted, first = np.empty(len(cells), dtype=np.int64), 0
    while first < len(chosen):
        done = walk_sets(bitmaps, chosen[first:], timing, fill_cells, len(tape.begins), counts[first:], cells, wanted)
        part = slice(first, first + done)
        if costs[1] == 0.0:  # no exposure, no order
            counts[part] = 0
        settle_sets(counts[part], cells, wanted, tape, costs, full, out[part], state[part])
        first += done


def _cells(tape: Tape, fills: np.ndarray) -> np.ndarray:
    """The cell at whose open each decision fills; the number of cells where it never does."""
    inside = fills < len(tape.values)
    return np.where(inside, np.searchsorted(tape.cells[:, ROW], fills), len(tape.begins)).astype(np.int64)


def _blocks(selection: Selection, room: int) -> list[np.ndarray]:
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
