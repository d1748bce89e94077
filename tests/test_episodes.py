"""Episodes and the deleveraging overlay, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from btcflow.flow.episodes import deleveraging, episodes
from btcflow.flow.options import FlowOptions

BULLISH, BEARISH = 2, 3


def bars(timeframe: str = "1W", **scores: Any) -> Any:
    values = {name: np.array(one, dtype=np.float64) for name, one in scores.items()}

    class Fake(SimpleNamespace):
        def score(self, name: str, *, window: int) -> np.ndarray:
            return values[name]

        def __getitem__(self, name: str) -> np.ndarray:
            return values[name]

    return Fake(timeframe=timeframe, options=FlowOptions())


def test_a_flicker_is_one_episode_and_a_long_pause_makes_two() -> None:
    """At 1W the gap is two bars: up to two bars between two spells join them."""
    codes = np.array([1, 2, 1, 1, 2, 2, 1, 1, 1, 2, 3, 0, 3])
    found = [(one.state, one.first, one.last, one.bars) for one in episodes(bars(), codes)]
    assert found == [("bullish", 1, 5, 3), ("bullish", 9, 9, 1), ("bearish", 10, 12, 2)]


def test_neutral_and_unknown_are_no_episodes() -> None:
    assert episodes(bars(), np.array([0, 1, 1, 0])) == ()


def test_deleveraging_is_a_flush_in_a_falling_bar() -> None:
    market = bars(oi_change_z=[-2.0, -2.0, -1.9, np.nan, -3.0], bar_return=[-0.01, 0.01, -0.01, -0.01, np.nan])
    assert deleveraging(market, window=20).tolist()[:3] == [1.0, 0.0, 0.0]
    assert np.isnan(deleveraging(market, window=20)[3:]).all()
