"""The z-score operator under its options: modes, window, NaN policy, floors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import oracles_rolling as slow
import pytest

from btcflow.contracts import Trial, hold, metric_subject
from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate
from btcflow.flow.catalog import METRICS
from btcflow.flow.options import FlowOptions, ZscoreOptions
from btcflow.flow.zscore import standardize

NAN = math.nan
MODES = ("classic", "robust", "percentile")


@dataclass
class Weeks:
    """What the operator reads of bars."""

    options: FlowOptions
    timeframe: str = "1W"


def scored(values: object, n: int, *, floor: float = 0.0, **options: object) -> np.ndarray:
    chosen = FlowOptions(zscore=ZscoreOptions(**options))  # type: ignore[arg-type]
    return standardize(Weeks(chosen), np.asarray(values, dtype=float), window=n, floor=floor)  # type: ignore[arg-type]


def wandering(length: int = 160, seed: int = 2) -> np.ndarray:
    """Rounded to tenths, so that ties occur, with holes."""
    random = np.random.default_rng(seed)
    x = np.round(np.cumsum(random.normal(size=length)), 1)
    x[random.random(length) < 0.08] = NAN
    x[60:68] = NAN
    return x


# --- against loops ------------------------------------------------------------------------------------


def slow_score(x: list[float], n: int, *, mode: str, window: str, na_policy: str, max_gap: int, floor: float) -> float:
    """The score of the last value of ``x``, from a sorted list of its window."""
    exclusive = window == "exclusive"
    rows = slow.last_values(x, len(x) - 1, n, before=int(exclusive))
    span = len(x) - int(exclusive) - rows[0] if rows else 0
    if not rows or span > (n if na_policy == "strict" else n + max_gap):
        return NAN
    kept, value = sorted(x[row] for row in rows), x[-1]
    if mode == "classic":
        centre, spread = float(slow.mean(kept)), math.sqrt(slow.variance(kept))
    elif mode == "robust":
        centre = middle(kept)
        spread = 1.4826 * middle(sorted(abs(one - centre) for one in kept))
    else:
        others = kept if exclusive else [one for place, one in enumerate(kept) if place != kept.index(value)]
        return sum(1.0 if one < value else 0.5 if one == value else 0.0 for one in others) / len(others)
    spread = max(spread, floor)
    return (value - centre) / spread if spread > 0 else NAN


def middle(ordered: list[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


@pytest.mark.parametrize("na_policy", ["compact", "strict"])
@pytest.mark.parametrize("window", ["inclusive", "exclusive"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [4, 9])
def test_every_mode_equals_a_loop(mode: str, window: str, na_policy: str, n: int) -> None:
    x = wandering()
    for floor in (0.0, 0.8):
        options = {"mode": mode, "window": window, "na_policy": na_policy, "max_gap": 3}
        found = scored(x, n, floor=floor, **options)
        expected = [slow_score(x[: row + 1].tolist(), n, floor=floor, **options) for row in range(len(x))]  # type: ignore[arg-type]
        assert np.isfinite(expected).sum() > 20
        assert np.isnan(expected[n:]).sum() > 12
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_the_longest_gap_is_that_of_the_options(mode: str) -> None:
    """By default the larger of n / 2 and half a year: 26 weeks for a window of 10 weeks."""
    for hole, known in ((26, True), (27, False)):
        x = np.r_[np.arange(9.0), np.full(hole, NAN), 9.0]
        assert np.isfinite(scored(x, 10, mode=mode)[-1]) == known, hole


# --- golden, by hand ----------------------------------------------------------------------------------


def test_the_golden_vector_of_pine_holds() -> None:
    z = scored([1, 2, NAN, 4, 8, 16], 3, floor=0.0)
    np.testing.assert_allclose(z, [NAN, NAN, NAN, 1.336306, 1.336306, 1.336306], atol=5e-7)


@pytest.mark.parametrize(
    ("options", "score"),
    [
        ({"mode": "classic"}, 2.0),
        ({"mode": "classic", "window": "exclusive"}, NAN),
        ({"mode": "robust"}, NAN),
        ({"mode": "percentile"}, 1.0),
        ({"mode": "percentile", "window": "exclusive"}, 1.0),
    ],
)
def test_a_jump_out_of_a_pinned_series(options: dict[str, str], score: float) -> None:
    """0.01 % four times, then 0.011 %: without a floor the classic z is sqrt(n - 1) whatever the jump."""
    pinned = [1e-4] * 5 + [1.1e-4]
    np.testing.assert_allclose(scored(pinned, 5, **options)[-1], score, rtol=1e-9)


def test_floors_bound_the_jump_out_of_a_pinned_series() -> None:
    pinned = [1e-4] * 5 + [1.1e-4]
    for mode, window, z in (
        ("classic", "inclusive", 0.8),
        ("classic", "exclusive", 1.0),
        ("robust", "inclusive", 1.0),
        ("robust", "exclusive", 1.0),
    ):
        assert scored(pinned, 5, floor=1e-5, mode=mode, window=window)[-1] == pytest.approx(z), (mode, window)


def test_a_spike_bends_the_classic_z_of_the_next_bars_and_not_the_robust_one() -> None:
    calm = np.array([1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 3.0])
    struck = calm.copy()
    struck[4] = 500.0
    for mode, bent in (("classic", True), ("robust", False)):
        change = np.abs(scored(struck, 9, mode=mode)[-1] - scored(calm, 9, mode=mode)[-1])
        assert (change > 1) == bent, mode


def test_a_rank_does_not_know_any_rising_change_of_unit() -> None:
    x = wandering()
    np.testing.assert_array_equal(scored(np.exp(x / 3), 9, mode="percentile"), scored(x, 9, mode="percentile"))


def test_without_floors_the_options_give_zero() -> None:
    none = ZscoreOptions(floor=None)
    assert [none.floor_of(name) for name in ("funding_8h", "premium_pct", "log_oi")] == [0.0, 0.0, 0.0]
    assert ZscoreOptions().floor_of("funding_8h") == 1e-5


# --- on a market --------------------------------------------------------------------------------------

CHOICES: dict[str, dict[str, object]] = {
    "robust": {"mode": "robust"},
    "robust before": {"mode": "robust", "window": "exclusive", "na_policy": "strict"},
    "percentile": {"mode": "percentile"},
    "percentile before": {"mode": "percentile", "window": "exclusive"},
    "strict": {"na_policy": "strict"},
    "before": {"window": "exclusive", "max_gap": 5},
    "no floors": {"floor": None},
}


@pytest.fixture(scope="module")
def market() -> Dataset:
    return simulate(seed=3, years=0.8)


@pytest.fixture(scope="module")
def trial(market: Dataset) -> Trial:
    return Trial(dataset=market, timeframe="1D")


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["prem_z", "oi_z", "fund_z"])
def test_every_choice_keeps_every_law(choice: str, name: str, trial: Trial) -> None:
    options = FlowOptions.model_validate({"zscore": CHOICES[choice], "oi": {"min_age_days": 1, "min_venues": 1}})
    hold(metric_subject(METRICS.get(name), "1D", window=30, options=options), trial)
    values = trial.bars(trial.panel, options).score(name, window=30)
    assert np.isfinite(values).sum() > 150
    if "percentile" in choice:
        assert np.nanmin(values) >= 0
        assert np.nanmax(values) <= 1
