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


def test_a_start_is_the_first_bar_of_a_state_and_unknown_stays_unknown() -> None:
    from btcflow.flow.confluence import bullish_start

    codes = [0, 2, 2, 1, 2, 0, 2]

    class Fake(SimpleNamespace):
        def score(self, name: str, **_: Any) -> np.ndarray:
            return np.array(codes, dtype=np.float64)

    found = bullish_start(Fake(options=FlowOptions()), window=20)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, [np.nan, 1, 0, 0, 1, np.nan, 1])


def test_the_forming_bar_is_kept_apart_and_only_where_it_is_asked_for() -> None:
    from markets import panel_of, spot

    from btcflow.flow.bars import Bars

    panel = panel_of([spot("a")], close=np.arange(1.0, 31.0)[:, None])
    closed, forming = Bars(panel, "1D"), Bars(panel, "1D", provisional=True)
    assert (len(closed), closed.forming) == (1, False)
    assert (len(forming), forming.forming) == (2, True)
    assert forming.last(panel["close"][:, 0]).tolist() == [24.0, 30.0]
    assert forming.closes[-1] - forming.opens[-1] == 6 * 3_600_000_000_000
    whole = Bars(panel_of([spot("a")], close=np.ones((48, 1))), "1D", provisional=True)
    assert (len(whole), whole.forming) == (2, False)
