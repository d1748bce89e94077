"""The modes of the extreme-cycle detector: what each compares, when each fires, and the laws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from btcflow.contracts import Trial, metric_subject, violations
from btcflow.data.simulate import simulate
from btcflow.errors import ConfigError
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.cycle import cycle_bottom, cycle_expansion, cycle_score, cycle_top
from btcflow.flow.options import CycleOptions, FlowOptions

NAN = math.nan


@dataclass
class Given:
    """Bars whose z-scores are given."""

    prem_z: Sequence[float]
    oi_z: Sequence[float]
    fund_z: Sequence[float]
    chosen: dict[str, object] = field(default_factory=dict)
    oi_change_z: Sequence[float] = ()
    timeframe: str = "1D"

    @property
    def options(self) -> FlowOptions:
        return FlowOptions(cycle=CycleOptions(**{"cooldown": {"1D": 2}, **self.chosen}))  # type: ignore[arg-type]

    def score(self, name: str, *, window: int) -> np.ndarray:
        if name == "cycle_score":
            return cycle_score(self, window=window)  # type: ignore[arg-type]
        return np.array(getattr(self, name), dtype=float)


def level(*scores: Sequence[float], **chosen: object) -> list[float]:
    """The detector's score, from (prem_z, oi_z, fund_z) of each bar."""
    return cycle_score(bars_of(scores, chosen), window=5).tolist()  # type: ignore[arg-type]


def fired(*scores: Sequence[float], **chosen: object) -> tuple[list[float], list[float]]:
    """Tops and bottoms, from (prem_z, oi_z, fund_z) of each bar."""
    bars = bars_of(scores, chosen)
    return cycle_top(bars, window=5).tolist(), cycle_bottom(bars, window=5).tolist()  # type: ignore[arg-type]


def bars_of(scores: Sequence[Sequence[float]], chosen: dict[str, object]) -> Given:
    prem, oi, fund = zip(*scores, strict=True)
    return Given(prem, oi, fund, chosen, oi_change_z=[0.0] * len(scores))


# --- what is compared ----------------------------------------------------------------------------------


def test_each_mode_reports_its_own_score() -> None:
    scores = (3.0, -1.0, 1.0)
    assert level(scores) == [2.0], "leverage factor: premium and funding"
    assert level(scores, mode="composite_mean") == [1.0]
    assert level(scores, mode="composite_mean", weights=(2, 1, 1)) == [1.5], "the first weight is the premium's"
    assert level(scores, mode="composite_mean", weights=(0, 1, 0)) == [-1.0], "the second open interest's"
    assert level(scores, mode="k_of_3", k=2) == [1.0]


def test_the_expansion_is_leverage_with_open_interest_in_every_mode() -> None:
    for mode in ("two_factor", "composite_mean", "k_of_3"):
        bars = bars_of([(3.0, -1.0, 1.0), (1.0, NAN, 1.0), (NAN, 1.0, 1.0)], {"mode": mode})
        expansion = cycle_expansion(bars, window=5)  # type: ignore[arg-type]
        assert expansion == pytest.approx([0.5, NAN, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("scores", "top", "bottom"),
    [
        ((2.0, 2.0, 2.0), 1, 0),
        ((5.0, 0.5, 0.5), 1, 0),
        ((5.9, 0.0, 0.2), 0, 0),
        ((7.0, -0.1, 0.2), 0, 0),
        ((2.0, 2.0, 1.99), 0, 0),
        ((-2.0, -3.0, -1.0), 0, 1),
        ((-9.0, 0.1, -1.0), 0, 0),
    ],
)
def test_the_mean_of_the_three_needs_its_level_and_one_sign(
    scores: tuple[float, float, float], top: int, bottom: int
) -> None:
    assert fired(scores, mode="composite_mean") == ([top], [bottom])


def test_the_sign_may_be_left_out() -> None:
    scores = (7.0, -0.1, 0.2)
    assert fired(scores, mode="composite_mean", same_sign=False) == ([1], [0])
    assert fired(tuple(-one for one in scores), mode="composite_mean", same_sign=False) == ([0], [1])


def test_the_threshold_of_the_mean_is_an_option() -> None:
    assert fired((1.0, 1.0, 1.0), mode="composite_mean", threshold=1.0) == ([1], [0])
    assert fired((1.0, 1.0, 1.0), mode="composite_mean") == ([0], [0])


@pytest.mark.parametrize(
    ("k", "scores", "top", "bottom"),
    [
        (3, (1.5, 1.5, 1.5), 1, 0),
        (3, (1.5, 1.49, 9.0), 0, 0),
        (2, (1.5, 1.49, 9.0), 1, 0),
        (2, (1.5, -5.0, 9.0), 1, 0),
        (2, (-1.5, -5.0, 9.0), 0, 1),
        (1, (-1.5, 0.0, 1.5), 1, 1),
        (3, (-2.0, -2.0, -1.5), 0, 1),
    ],
)
def test_k_of_the_three_must_be_beyond_the_threshold(
    k: int, scores: tuple[float, float, float], top: int, bottom: int
) -> None:
    assert fired(scores, mode="k_of_3", k=k) == ([top], [bottom])


def test_the_score_of_k_of_3_is_the_threshold_at_which_it_would_just_fire() -> None:
    values = (-2.0, -0.5, 0.5, 1.0, 3.0)
    for k, scores in itertools.product((1, 2, 3), itertools.product(values, repeat=3)):
        reach = [sum(side * one >= 0.25 for one in scores) >= k for side in (1, -1)]
        (score,) = level(scores, mode="k_of_3", k=k)
        if not any(reach):
            assert score == 0
            continue
        side = math.copysign(1, score)
        assert sum(side * one >= abs(score) for one in scores) >= k
        assert sum(side * one >= abs(score) + 0.01 for one in scores) < k
        assert sum(-side * one >= abs(score) + 0.01 for one in scores) < k, "the other side does not reach so far"


@pytest.mark.parametrize("mode", ["composite_mean", "k_of_3"])
@pytest.mark.parametrize("place", range(3))
def test_all_three_scores_must_be_known(mode: str, place: int) -> None:
    scores = [9.0, 9.0, 9.0]
    scores[place] = NAN
    top, bottom = (
        fired(scores, (9.0, 9.0, 9.0), mode=mode, k=1)
        if mode == "k_of_3"
        else fired(scores, (9.0, 9.0, 9.0), mode=mode)
    )
    assert top == pytest.approx([NAN, 1], nan_ok=True)
    assert bottom == pytest.approx([NAN, 0], nan_ok=True)
    assert math.isnan(level(scores, mode=mode)[0])


# --- when it fires (A13) -------------------------------------------------------------------------------

HOT, COLD, QUIET = (3.0, 3.0, 3.0), (-3.0, -3.0, -3.0), (0.0, 0.0, 0.0)


@pytest.mark.parametrize("mode", ["two_factor", "composite_mean", "k_of_3"])
def test_an_event_re_arms_only_after_more_quiet_bars_than_the_cooldown(mode: str) -> None:
    top, bottom = fired(HOT, HOT, QUIET, QUIET, HOT, QUIET, COLD, QUIET, HOT, QUIET, mode=mode)
    assert top == [1, 0, 0, 0, 0, 0, 0, 0, 1, 0], "two quiet bars are not more than the cooldown of two; three are"
    assert bottom == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0], "each side is armed by itself"


def slow_events(held: list[bool | None], cooldown: int) -> list[float]:
    """For each bar that holds: look back for the last one that held, and count the quiet bars since."""
    out = []
    for t, now in enumerate(held):
        earlier = [at for at in range(t) if held[at]]
        quiet = sum(held[at] is False for at in range(earlier[-1] + 1, t)) if earlier else math.inf
        out.append(NAN if now is None else float(now and quiet > cooldown))
    return out


def slow_holds(side: int, scores: Sequence[float], chosen: CycleOptions) -> bool | None:
    """Whether an extreme holds on one bar, by the words of the definition."""
    if any(math.isnan(one) for one in scores):
        return None
    turned = [side * one for one in scores]
    if chosen.mode == "k_of_3":
        return sum(one >= chosen.k_threshold for one in turned) >= chosen.k
    mean = sum(w * z for w, z in zip(chosen.weights, turned, strict=True)) / sum(chosen.weights)
    return mean >= chosen.threshold and (not chosen.same_sign or min(turned) > 0)


@pytest.mark.parametrize(
    "chosen",
    [
        {"mode": "composite_mean", "threshold": 1.0},
        {"mode": "composite_mean", "threshold": 0.8, "weights": (1, 3, 2), "same_sign": False},
        {"mode": "k_of_3", "k_threshold": 0.4},
        {"mode": "k_of_3", "k": 2, "k_threshold": 1.2},
    ],
)
def test_events_equal_the_loop(chosen: dict[str, object]) -> None:
    random = np.random.default_rng(5)
    scores = random.normal(size=(3, 2000)) + 0.8 * random.normal(size=2000)
    scores[random.random((3, 2000)) < 0.01] = NAN
    bars = bars_of(list(zip(*scores.tolist(), strict=True)), {**chosen, "cooldown": {"1D": 3}})
    for metric, side in ((cycle_top, 1), (cycle_bottom, -1)):
        held = [slow_holds(side, one, bars.options.cycle) for one in zip(*scores.tolist(), strict=True)]
        expected = slow_events(held, 3)
        assert np.nansum(expected) > 15
        np.testing.assert_array_equal(metric(bars, window=5), expected)  # type: ignore[arg-type]


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "key"), [("composite_mean", "cycle.threshold"), ("k_of_3", "cycle.k_threshold")])
def test_a_rule_cannot_set_the_level_of_another_mode(mode: str, key: str) -> None:
    bars = bars_of([HOT], {"mode": mode})
    for metric in (cycle_top, cycle_bottom):
        with pytest.raises(ConfigError, match=rf"lev = 1\.2 .* two_factor, and the mode is {mode}; set {key}"):
            metric(bars, window=5, lev=1.2)  # type: ignore[arg-type]


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cycle\.weights are all 0"):
        level(HOT, mode="composite_mean", weights=(0, 0, 0))


# --- laws ----------------------------------------------------------------------------------------------

EASY = {
    "composite_mean": CycleOptions(mode="composite_mean", threshold=0.7, weights=(1, 2, 1), same_sign=False),
    "k_of_3": CycleOptions(mode="k_of_3", k=2, k_threshold=0.8),
}


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    market = simulate(seed=3, years=1.2)
    return {frame: Trial(dataset=market, timeframe=frame) for frame in ("1D", "1W")}


@pytest.mark.parametrize("frame", ["1D", "1W"])
@pytest.mark.parametrize("name", ["cycle_score", "cycle_top", "cycle_bottom"])
@pytest.mark.parametrize("mode", EASY)
def test_every_mode_keeps_every_law(mode: str, name: str, frame: str, trials: dict[str, Trial]) -> None:
    window = {"1D": 40, "1W": 8}[frame]
    subject = metric_subject(METRICS.get(name), frame, window=window, options=FlowOptions(cycle=EASY[mode]))
    assert violations(subject, trials[frame]) == []


@pytest.mark.parametrize("mode", EASY)
def test_a_market_fires_in_every_mode(mode: str, trials: dict[str, Trial]) -> None:
    """So the laws above are not held by silence."""
    bars = Bars(trials["1D"].panel, "1D", FlowOptions(cycle=EASY[mode]))
    assert np.nansum(bars.score("cycle_top", window=40)) + np.nansum(bars.score("cycle_bottom", window=40)) >= 2
