"""Rolling statistics: causal to the last bit, exact to rounding, Pine's rule for NaN."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import oracles_rolling as slow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btcflow import rolling

NAN = math.nan
GOLDEN = np.array([1.0, 2.0, NAN, 4.0, 8.0, 16.0])
CASES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "sma": rolling.sma,
    "sma_restarts": partial(rolling.sma, max_hole=1),
    "ema": rolling.ema,
    "ema_restarts": partial(rolling.ema, max_hole=1),
    "stdev": rolling.stdev,
    "stdev_gap": partial(rolling.stdev, max_gap=2),
    "zscore": rolling.zscore,
    "zscore_floor": partial(rolling.zscore, floor=0.3),
    "zscore_exclusive": partial(rolling.zscore, window="exclusive"),
    "zscore_strict": partial(rolling.zscore, na_policy="strict"),
    "zscore_gap": partial(rolling.zscore, max_gap=2, window="exclusive"),
    "robust_zscore": rolling.robust_zscore,
    "percentile": rolling.percentile,
}
SCORES = ["zscore", "zscore_exclusive", "zscore_strict", "zscore_gap", "robust_zscore", "percentile"]

series = st.lists(st.one_of(st.just(NAN), st.integers(-40, 40).map(lambda k: k / 8)), min_size=0, max_size=40)
quick = settings(max_examples=120, deadline=None)


def _random(length: int, seed: int = 5) -> np.ndarray:
    """A level that wanders, with holes of 1 to 6 bars."""
    random = np.random.default_rng(seed)
    x = np.cumsum(random.normal(size=length)) + random.normal(size=length)
    for start in random.integers(0, length, length // 40):
        x[start : start + random.integers(1, 7)] = NAN
    return x


# ---- golden vectors -----------------------------------------------------------------------------


def test_the_golden_vectors_of_pine_hold() -> None:
    np.testing.assert_allclose(rolling.sma(GOLDEN, 3), [NAN, NAN, NAN, 7 / 3, 14 / 3, 28 / 3], rtol=1e-15)
    np.testing.assert_allclose(rolling.ema(GOLDEN, 3), [NAN, NAN, NAN, 7 / 3, 31 / 6, 127 / 12], rtol=1e-15)
    np.testing.assert_allclose(rolling.zscore(GOLDEN, 3), [NAN, NAN, NAN, *[5 / math.sqrt(14)] * 3], rtol=1e-15)


# ---- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n", [2, 3, 7, 16])
def test_what_follows_never_changes_a_row_by_a_bit(name: str, n: int) -> None:
    x = _random(240)
    whole = CASES[name](x, n)
    assert np.isfinite(whole).sum() > 20
    for cut in range(len(x)):
        part = CASES[name](x[:cut], n)
        assert part.tobytes() == whole[:cut].tobytes(), f"{name} differs when cut at {cut}"


@pytest.mark.parametrize("name", CASES)
def test_the_series_is_left_as_it_was_and_a_nan_bar_stays_nan(name: str) -> None:
    x = _random(80)
    before = x.copy()
    x.setflags(write=False)
    out = CASES[name](x, 5)
    assert x.tobytes() == before.tobytes()
    assert out.shape == x.shape
    assert out.dtype == np.float64
    assert np.isnan(out[np.isnan(x)]).all()


@quick
@given(name=st.sampled_from(SCORES), scale=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 50))
def test_a_score_does_not_know_the_unit_of_its_series(name: str, scale: float, shift: float, seed: int) -> None:
    x = _random(60, seed)
    z, other = CASES[name](x, 8), CASES[name](scale * x + scale * shift, 8)
    np.testing.assert_allclose(other, z, rtol=1e-9, atol=1e-9)


@quick
@given(values=series, n=st.integers(1, 12))
def test_an_inclusive_score_stays_within_its_bound(values: list[float], n: int) -> None:
    z = rolling.zscore(values, n)
    assert (np.abs(z[np.isfinite(z)]) <= math.sqrt(n - 1) * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", CASES)
def test_a_window_longer_than_the_series_gives_nothing(name: str) -> None:
    for length in (0, 1, 5):
        out = CASES[name](np.arange(length, dtype=float), 6)
        assert out.shape == (length,)
        assert np.isnan(out).all()
    assert np.isnan(rolling.zscore(np.full(4, NAN), 2)).all()
    assert np.isnan(rolling.zscore([1.0, 2.0], 10**12)).all()


# ---- oracles ------------------------------------------------------------------------------------


@quick
@given(values=series, n=st.integers(1, 12))
def test_means_equal_the_slow_ones(values: list[float], n: int) -> None:
    np.testing.assert_allclose(rolling.sma(values, n), slow.sma(values, n), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(rolling.ema(values, n), slow.ema(values, n), rtol=1e-12, atol=1e-13)


@quick
@given(
    values=series,
    n=st.integers(1, 12),
    floor=st.sampled_from([0.0, 0.5]),
    before=st.integers(0, 1),
    gap=st.integers(0, 9),
)
def test_scores_equal_the_slow_ones(values: list[float], n: int, floor: float, before: int, gap: int) -> None:
    window = "exclusive" if before else "inclusive"
    score = partial(rolling.zscore, values, n, floor=floor, window=window)
    oracle = partial(slow.zscore, values, n, floor=floor, before=before)
    close = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-12)
    close(score(), oracle())
    close(score(max_gap=gap), oracle(longest=n + gap))
    close(score(na_policy="strict"), oracle(longest=n))


@pytest.mark.parametrize("n", [24, 100])
@pytest.mark.parametrize("kind", ["premium", "offset", "spike"])
def test_scores_are_exact_to_rounding_at_any_offset(kind: str, n: int) -> None:
    random = np.random.default_rng(3)
    x = {
        "premium": random.normal(size=700) * 0.05,
        "offset": 1e10 + np.cumsum(random.normal(size=700)),
        "spike": 1e10 + random.normal(size=700),
    }[kind]
    if kind == "spike":
        x[230] = 1e13
    fast = rolling.zscore(x, n)
    rows = [*range(n - 1, n + 2), *range(228, 234), *range(228 + n, 234 + n), 400, 599, 600, 699]
    exact = [slow.zscore(x[row - n + 1 : row + 1], n)[-1] for row in rows]
    np.testing.assert_allclose(fast[rows], exact, rtol=0, atol=2e-14)


def test_deviations_equal_the_slow_ones_in_both_conventions() -> None:
    x = _random(90)
    for n, ddof in ((2, 1), (5, 0), (5, 1)):
        rows = [slow.last_values(x, row, n) for row in range(len(x))]
        exact = [math.sqrt(slow.variance(x[at]) * n / (n - ddof)) if at else NAN for at in rows]
        np.testing.assert_allclose(rolling.stdev(x, n, ddof=ddof), exact, rtol=1e-13)


def test_robust_scores_and_ranks_equal_the_slow_ones() -> None:
    x, n = np.round(_random(120), 1), 9
    for row in range(len(x)):
        at = slow.last_values(x, row, n)
        robust, rank = rolling.robust_zscore(x[: row + 1], n)[-1], rolling.percentile(x[: row + 1], n)[-1]
        if not at:
            assert math.isnan(robust)
            assert math.isnan(rank)
            continue
        window = x[at]
        middle = np.sort(window)[n // 2]
        mad = np.sort(np.abs(window - middle))[n // 2]
        assert robust == pytest.approx((x[row] - middle) / (1.4826 * mad), rel=1e-13)
        assert rank == pytest.approx(((window < x[row]).sum() + ((window == x[row]).sum() - 1) / 2) / (n - 1))


# ---- examples -----------------------------------------------------------------------------------


def test_pinned_funding_gives_no_score_without_a_floor_and_a_bounded_one_with_it() -> None:
    pinned = np.array([0.0001] * 6 + [0.00011])
    assert np.isnan(rolling.zscore(pinned[:6], 5)).all()
    floored = rolling.zscore(pinned, 5, floor=1e-5)
    assert floored[4] == floored[5] == 0.0
    assert floored[6] == pytest.approx(0.8, rel=1e-9)
    assert rolling.zscore(pinned, 5, floor=1e-5, window="exclusive")[6] == pytest.approx(1.0, rel=1e-9)
    assert np.isnan(rolling.robust_zscore(pinned, 5)).all()
    assert rolling.robust_zscore(pinned, 5, floor=1e-5)[6] == pytest.approx(1.0, rel=1e-9)
    assert rolling.percentile(pinned, 5)[4:].tolist() == [0.5, 0.5, 1.0]


def test_a_window_of_equal_values_has_a_deviation_of_exactly_zero() -> None:
    assert (rolling.stdev(np.full(50, 0.1), 7)[6:] == 0.0).all()
    assert (rolling.sma(np.full(50, 0.1), 7)[6:] == 0.1).all()


def test_a_window_that_reaches_back_too_far_gives_nan() -> None:
    x = [1.0, 2.0, NAN, NAN, 4.0, 6.0, 5.0]
    assert np.isfinite(rolling.zscore(x, 3)).tolist() == [False, False, False, False, True, True, True]
    assert np.isfinite(rolling.zscore(x, 3, max_gap=2)).tolist() == [False, False, False, False, True, True, True]
    assert np.isfinite(rolling.zscore(x, 3, max_gap=1)).tolist() == [False, False, False, False, False, False, True]
    assert np.isfinite(rolling.stdev(x, 3, max_gap=1)).tolist() == [False] * 6 + [True]
    assert np.isfinite(rolling.percentile(x, 3, max_gap=1)).tolist() == [False] * 6 + [True]
    assert np.isfinite(rolling.robust_zscore(x, 3, max_gap=1)).tolist() == [False] * 6 + [True]


def test_a_smoother_starts_afresh_after_a_long_hole() -> None:
    x = [1.0, 3.0, NAN, NAN, 8.0, 10.0, 12.0]
    np.testing.assert_array_equal(rolling.sma(x, 2, max_hole=2), [NAN, 2.0, NAN, NAN, 5.5, 9.0, 11.0])
    np.testing.assert_array_equal(rolling.sma(x, 2, max_hole=1), [NAN, 2.0, NAN, NAN, NAN, 9.0, 11.0])
    np.testing.assert_allclose(rolling.ema(x, 2, max_hole=1), [NAN, 2.0, NAN, NAN, NAN, 9.0, 11.0])
    np.testing.assert_allclose(rolling.ema(x, 2), [NAN, 2.0, NAN, NAN, 6.0, 26 / 3, 98 / 9])


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n", [0, -3, 2.0, True, "5", None])
def test_a_window_that_is_no_whole_number_is_refused(name: str, n: object) -> None:
    with pytest.raises(ValueError, match=r"the window is .*; expected a whole number of bars, [12] or more"):
        CASES[name](np.arange(9.0), n)  # type: ignore[arg-type]


def test_other_bad_input_is_refused_in_words() -> None:
    x = np.arange(6.0)
    refusals: dict[str, Callable[[], np.ndarray]] = {
        r"shape \(6, 1\); expected one dimension": lambda: rolling.sma(x[:, None], 2),
        r"inf at row 2": lambda: rolling.zscore([1.0, 2.0, math.inf], 2),
        r"floor is -1; expected a number of 0 or more": lambda: rolling.zscore(x, 2, floor=-1),
        r"floor is nan": lambda: rolling.robust_zscore(x, 2, floor=NAN),
        r"max_gap is -1": lambda: rolling.stdev(x, 2, max_gap=-1),
        r"max_hole is -1": lambda: rolling.ema(x, 2, max_hole=-1),
        r"window is 'both'; expected 'inclusive' or 'exclusive'": lambda: rolling.zscore(x, 2, window="both"),  # type: ignore[arg-type]
        r"na_policy is 'drop'": lambda: rolling.zscore(x, 2, na_policy="drop"),  # type: ignore[arg-type]
        r"the window is 1; expected a whole number of bars, 2": lambda: rolling.stdev(x, 1, ddof=1),
    }
    for message, call in refusals.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_importing_the_module_does_not_import_numba() -> None:
    code = "import sys, btcflow.rolling; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
