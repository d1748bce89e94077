"""The spike filter: lone spikes of hourly open interest are dropped, real moves are kept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest

from btcflow.flow.open_interest_cleaning import accept

NAN = np.nan
LIMIT = 0.35


def accepted(*venues: Sequence[float]) -> list[list[float]]:
    """What is left of each venue's samples."""
    return accept(np.array(venues, dtype=float).T, LIMIT).T.tolist()


def slow_accept(levels: Sequence[Sequence[float]], limit: float) -> list[list[float]]:
    """The filter in words: a list of accepted logs per venue, and how long the venue has been off."""
    venues = len(levels[0])
    accepted: list[list[float]] = [[] for _ in range(venues)]
    off: list[list[int]] = [[] for _ in range(venues)]
    out = []
    for row in levels:
        sides = []
        for v, value in enumerate(row):
            if math.isnan(value) or not accepted[v]:
                sides.append(0)
                continue
            distance = math.log(value) - statistics.median(accepted[v][-24:])
            sides.append(0 if abs(distance) <= limit else (1 if distance > 0 else -1))
        kept = list(row)
        for v, value in enumerate(row):
            if math.isnan(value):
                continue
            if sides[v] == 0:
                off[v] = []
                accepted[v].append(math.log(value))
                continue
            off[v] = [*off[v], sides[v]] if off[v] and off[v][-1] == sides[v] else [sides[v]]
            if sides.count(sides[v]) >= 2 or len(off[v]) == 6:
                off[v] = []
                accepted[v] = [math.log(value)]
            else:
                kept[v] = NAN
        out.append(kept)
    return out


@pytest.mark.parametrize("seed", range(5))
def test_the_spike_filter_equals_the_loop(seed: int) -> None:
    """Walks with lone spikes, spikes in company, level shifts of one to twelve samples, and holes."""
    random = np.random.default_rng(seed)
    logs = np.cumsum(0.05 * random.normal(size=(600, 4)), axis=0)
    for _ in range(60):
        at, size, venue = random.integers(0, 590), int(random.integers(1, 13)), random.integers(0, 4)
        logs[at : at + size, venue] += random.choice([-0.8, -0.4, 0.4, 0.8])
    for _ in range(20):
        logs[random.integers(0, 600), random.permutation(4)[:2]] += random.choice([-0.6, 0.6])
    levels = np.exp(logs)
    levels[random.random(levels.shape) < 0.1] = NAN
    expected = np.array(slow_accept(levels.tolist(), 0.35))
    assert 20 < (np.isnan(expected) & ~np.isnan(levels)).sum() < 1000
    np.testing.assert_array_equal(accept(levels, 0.35), expected)


def test_a_lone_spike_is_dropped() -> None:
    assert accepted([100, 100, 160, 100])[0] == pytest.approx([100, 100, NAN, 100], nan_ok=True)
    assert accepted([100, 100, 141, 100]) == [[100, 100, 141, 100]], "ln 1.41 is 0.344"


def test_two_venues_that_fall_together_are_a_real_flush() -> None:
    assert accepted([100, 60, 60], [100, 60, 60], [100, 100, 100]) == [[100, 60, 60], [100, 60, 60], [100, 100, 100]]


def test_two_venues_that_jump_apart_are_two_spikes() -> None:
    found = accepted([100, 160, 100], [100, 60, 100])
    assert found == [pytest.approx([100, NAN, 100], nan_ok=True)] * 2


def test_a_shift_is_accepted_with_its_sixth_sample_and_is_the_new_level() -> None:
    found = accepted([100] * 8 + [160] * 8 + [100])
    assert found[0] == pytest.approx([100] * 8 + [NAN] * 5 + [160] * 3 + [NAN], nan_ok=True)


def test_missing_samples_neither_help_a_shift_nor_end_it() -> None:
    found = accepted([100, 160, 160, NAN, 160, NAN, 160, 160, NAN, 160])
    assert found[0] == pytest.approx([100, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 160], nan_ok=True)


def test_spikes_to_both_sides_are_no_shift() -> None:
    assert accepted([100] + [160, 60] * 6)[0] == pytest.approx([100] + [NAN] * 12, nan_ok=True)


def test_the_level_is_that_of_the_24_samples_accepted_before() -> None:
    """A rise of 2 % an hour is never a spike, though it doubles the level in 36 hours."""
    rising = [100 * 1.02**hour for hour in range(100)]
    assert accepted(rising) == [rising]
