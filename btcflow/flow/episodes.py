"""Episodes: spells of one confluence state, and the deleveraging overlay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from btcflow.flow.confluence import STATES
from btcflow.flow.metric import metric
from btcflow.flow.options import by_timeframe

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["Episode", "deleveraging", "episodes"]


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One episode of a state: its first and last bar, and how many of the bars between are in the state."""

    state: str
    first: int
    last: int
    bars: int


@metric(unit="0/1", needs=("close", "open_interest"), windowed=True)
def deleveraging(bars: Bars, *, window: int, oi_flush: float | None = None) -> np.ndarray:
    """Leverage is being closed by force: ``oi_change_z <= oi_flush`` and the bar fell.

    An overlay, not a state: it may be on in any state.

    Returns
    -------
    (T,) float64: 1 while open interest is flushed in a falling bar, 0 elsewhere

    Notes
    -----
    NaN where the z or the bar's return is NaN. Warm-up ``window + 1`` bars.
    """
    limit = bars.options.cycle.oi_flush if oi_flush is None else oi_flush
    change, moved = bars.score("oi_change_z", window=window), bars["bar_return"]
    known = np.isfinite(change) & np.isfinite(moved)
    return np.where(known, ((change <= limit) & (moved < 0)).astype(np.float64), np.nan)


def episodes(bars: Bars, codes: np.ndarray) -> tuple[Episode, ...]:
    """Spells of the states other than neutral and unknown, by their first bar.

    A spell that starts within ``confluence.episode_gap`` bars of the end of a spell of the same state
    belongs to the same episode, so that a flickering state is counted once.

    Parameters
    ----------
    codes : (T,) codes into ``STATES``, as ``state_code`` gives them
    """
    gap = by_timeframe(bars.options.confluence.episode_gap, bars.timeframe, "confluence.episode_gap")
    found: list[Episode] = []
    for code, state in enumerate(STATES):
        if code < 2:
            continue
        rows = np.flatnonzero(codes == code)
        if len(rows):
            breaks = np.flatnonzero(np.diff(rows) > gap + 1) + 1
            found += [
                Episode(state=state, first=int(part[0]), last=int(part[-1]), bars=len(part))
                for part in np.split(rows, breaks)
            ]
    return tuple(sorted(found, key=lambda one: one.first))
