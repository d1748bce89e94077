"""The extreme-cycle detector: when it fires, and when it is armed again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset
from btcflow.data.simulate import TRADED
from btcflow.errors import ConfigError
from btcflow.flow.bars import Bars
from btcflow.flow.cycle import cycle_bottom, cycle_score, cycle_top
from btcflow.flow.options import CycleOptions, FlowOptions, ZscoreOptions

NAN = math.nan


@dataclass
class Given:
    """Bars whose z-scores are given."""

    prem_z: Sequence[float]
    fund_z: Sequence[float]
    oi_z: Sequence[float]
    oi_change_z: Sequence[float]
    cooldown: int = 2
    timeframe: str = "1D"
    known: dict[str, object] = field(default_factory=dict)

    @property
    def options(self) -> FlowOptions:
        return FlowOptions(cycle=CycleOptions(cooldown={"1D": self.cooldown}, **self.known))  # type: ignore[arg-type]

    def score(self, name: str, *, window: int) -> np.ndarray:
        if name == "cycle_score":
            return cycle_score(self, window=window)  # type: ignore[arg-type]
        return np.array(getattr(self, name), dtype=float)


def given(
    lev: Sequence[float], oi: float | Sequence[float] = 1.0, change: float | Sequence[float] = 0.0, **more: object
) -> Given:
    """Premium and funding at one level, open interest and its change as said."""
    spread = [[one] * len(lev) if isinstance(one, float | int) else list(one) for one in (oi, change)]
    return Given(lev, lev, spread[0], spread[1], **more)  # type: ignore[arg-type]


def tops(*args: object, **more: object) -> list[float]:
    return cycle_top(given(*args, **more), window=5).tolist()  # type: ignore[arg-type]


def bottoms(*args: object, **more: object) -> list[float]:
    return cycle_bottom(given(*args, **more), window=5).tolist()  # type: ignore[arg-type]


# --- conditions ---------------------------------------------------------------------------------------


def test_the_leverage_factor_is_the_mean_of_the_premium_and_funding_scores() -> None:
    bars = Given([1.0, NAN, 3.0], [2.0, 1.0, NAN], [0.0] * 3, [0.0] * 3)
    assert cycle_score(bars, window=5) == pytest.approx([1.5, NAN, NAN], nan_ok=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lev", "oi", "fires"), [(1.5, 1.0, 1), (1.49, 1.0, 0), (1.5, 0.99, 0), (5.0, -1.0, 0), (-5.0, 3.0, 0)]
)
def test_a_top_needs_leverage_and_open_interest(lev: float, oi: float, fires: int) -> None:
    assert tops([lev], oi) == [fires]


@pytest.mark.parametrize(
    ("lev", "oi", "change", "fires"),
    [
        (-1.5, 0.0, 0.0, 1),
        (-1.49, 0.0, 0.0, 0),
        (-1.5, 0.01, 0.0, 0),
        (-1.5, 0.01, -2.0, 1),
        (-1.5, 3.0, -1.99, 0),
        (1.5, 0.0, -5.0, 0),
    ],
)
def test_a_bottom_needs_fear_and_little_or_flushed_open_interest(
    lev: float, oi: float, change: float, fires: int
) -> None:
    assert bottoms([lev], oi, change) == [fires]


def test_a_flush_counts_for_its_own_bar_and_the_two_after_it() -> None:
    lev = [0.0, 0.0, 0.0, 0.0, 0.0]
    for late in range(5):
        path = [*lev[:late], -2.0, *lev[late + 1 :]]
        assert bottoms(path, 1.0, [-2.5, 0, 0, 0, 0]) == [float(late == at and late <= 2) for at in range(5)]
    assert bottoms([0, 0, 0, -2.0, 0], 1.0, [-2.5, 0, 0, 0, 0], known={"flush_bars": 4})[3] == 1


def test_a_rule_may_set_the_level() -> None:
    bars = given([1.0, -1.0], 0.0)
    assert cycle_bottom(bars, window=5).tolist() == [0, 0]  # type: ignore[arg-type]
    assert cycle_bottom(bars, window=5, lev=0.9).tolist() == [0, 1]  # type: ignore[arg-type]
    assert cycle_top(given([1.0, -1.0]), window=5, lev=0.9).tolist() == [1, 0]  # type: ignore[arg-type]


# --- events -------------------------------------------------------------------------------------------


def test_it_fires_on_the_first_bar_of_an_extreme_only() -> None:
    assert tops([0, 2, 2, 2, 0]) == [0, 1, 0, 0, 0]


def test_it_fires_again_only_after_more_quiet_bars_than_the_cooldown() -> None:
    two, three = [2, 0, 0, 2], [2, 0, 0, 0, 2]
    assert tops(two) == [1, 0, 0, 0]
    assert tops(three) == [1, 0, 0, 0, 1]


def test_a_flicker_inside_the_cooldown_starts_the_count_again() -> None:
    assert tops([2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 2]) == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_an_unknown_bar_says_nothing_and_counts_as_nothing() -> None:
    assert tops([2, NAN, NAN, NAN, NAN, 2]) == pytest.approx([1, NAN, NAN, NAN, NAN, 0], nan_ok=True)
    assert tops([2, 0, NAN, 0, NAN, 0, 2]) == pytest.approx([1, 0, NAN, 0, NAN, 0, 1], nan_ok=True)
    assert tops([NAN, 2, 2]) == pytest.approx([NAN, 1, 0], nan_ok=True)


def test_every_score_that_is_used_must_be_known() -> None:
    assert tops([2, 2], [NAN, 1.0]) == pytest.approx([NAN, 1], nan_ok=True)
    assert tops([2, 2], 1.0, [NAN, 0.0]) == [1, 0], "a top does not use the change"
    assert bottoms([-2, -2], 0.0, [NAN, 0.0]) == pytest.approx([NAN, 1], nan_ok=True)


def slow_events(held: list[bool | None], cooldown: int) -> list[float]:
    """For each bar that holds: look back for the last one that held, and count the quiet bars since."""
    out = []
    for t, now in enumerate(held):
        earlier = [at for at in range(t) if held[at]]
        quiet = sum(held[at] is False for at in range(earlier[-1] + 1, t)) if earlier else math.inf
        out.append(NAN if now is None else float(now and quiet > cooldown))
    return out


@pytest.mark.parametrize("cooldown", [1, 3, 10])
def test_events_equal_the_loop(cooldown: int) -> None:
    random = np.random.default_rng(cooldown)
    lev = np.convolve(random.normal(size=2004), np.ones(5) / 2, mode="valid")
    oi, change = random.normal(1.0, 1.0, 2000), random.normal(size=2000)
    for values in (lev, oi, change):
        values[random.random(2000) < 0.02] = NAN
    bars = Given(lev.tolist(), lev.tolist(), oi.tolist(), change.tolist(), cooldown=cooldown)
    top = [None if math.isnan(a + b) else a >= 1.5 and b >= 1.0 for a, b in zip(lev.tolist(), oi.tolist(), strict=True)]
    low = []
    for t, (a, b) in enumerate(zip(lev.tolist(), oi.tolist(), strict=True)):
        flushed = any(one <= -2.0 for one in change[max(0, t - 2) : t + 1].tolist())
        low.append(None if math.isnan(a + b + change[t]) else a <= -1.5 and (b <= 0.0 or flushed))
    for metric, held in ((cycle_top, top), (cycle_bottom, low)):
        expected = slow_events(held, cooldown)  # type: ignore[arg-type]
        assert np.nansum(expected) > 15
        np.testing.assert_array_equal(metric(bars, window=5), expected)  # type: ignore[arg-type]


def test_a_market_fires_with_its_own_scores(dataset: Dataset) -> None:
    needs = ("close", "funding_hours", "funding_paid", "open_interest")
    options = FlowOptions(zscore=ZscoreOptions(length={"1D": 60}), cycle=CycleOptions(lev=0.8, oi_top=0.2))
    bars = Bars(align(dataset, make_clock(dataset, TRADED), needs=needs), "1D", options)
    lev, oi = 0.5 * (bars["prem_z"] + bars["fund_z"]), bars["oi_z"]
    np.testing.assert_array_equal(bars["cycle_score"], lev)
    held = [
        None if math.isnan(a + b) else bool(a >= 0.8 and b >= 0.2)
        for a, b in zip(lev.tolist(), oi.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(bars["cycle_top"], slow_events(held, 30))
    assert np.nansum(bars["cycle_top"]) >= 1


def test_a_timeframe_without_a_cooldown_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cycle\.cooldown has no entry for 4h"):
        cycle_top(given([2.0], timeframe="4h"), window=5)  # type: ignore[arg-type]
