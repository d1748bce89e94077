from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from btcflow.errors import ConfigError
from btcflow.search.splits import Fold, Split, make_folds

DAY = 86_400 * 10**9
SPLITS = st.builds(
    Split,
    train=st.floats(0.05, 0.95),
    folds=st.integers(1, 12),
    scheme=st.sampled_from(["anchored", "rolling"]),
    gap_days=st.integers(0, 40),
)


def needed(split: Split) -> int:
    """The days the refusal says the split takes."""
    with pytest.raises(ConfigError) as error:
        make_folds(0, 10 * DAY, split)
    found = re.search(r"as written it takes (\d+) days", str(error.value))
    assert found is not None
    return int(found[1])


@given(SPLITS, st.integers(0, 2_000), st.integers(0, DAY - 1), st.integers(0, DAY - 1))
def test_tests_follow_each_other_to_the_last_whole_day(split: Split, more: int, early: int, late: int) -> None:
    days = needed(split) + more + 40
    start, end = 17_000 * DAY - early, (17_000 + days) * DAY + late
    folds = make_folds(start, end, split)
    assert len(folds) == split.folds
    assert folds[-1].test_end == (17_000 + days) * DAY
    assert folds[0].train_start == 17_000 * DAY
    for left, right in itertools.pairwise(folds):
        assert left.test_end == right.test_start
    for fold in folds:
        check_fold(fold, folds[0], split)


def check_fold(fold: Fold, first: Fold, split: Split) -> None:
    borders = (fold.train_start, fold.train_end, fold.test_start, fold.test_end)
    assert all(border % DAY == 0 for border in borders)
    assert list(borders) == sorted(borders)
    assert fold.test_start - fold.train_end == split.gap_days * DAY
    assert fold.train_end - fold.train_start >= 90 * DAY
    assert fold.test_end - fold.test_start >= 30 * DAY
    if split.scheme == "anchored":
        assert fold.train_start == first.train_start
    else:
        assert fold.train_end - fold.train_start == first.train_end - first.train_start


@given(SPLITS)
def test_the_days_named_in_a_refusal_fit_and_one_day_less_does_not(split: Split) -> None:
    days = needed(split)
    make_folds(0, days * DAY, split)
    with pytest.raises(ConfigError):
        make_folds(0, (days - 1) * DAY, split)


@given(SPLITS, st.integers(40, 3_000))
def test_the_tests_differ_by_one_day_at_most(split: Split, more: int) -> None:
    folds = make_folds(0, (needed(split) + more) * DAY, split)
    lengths = {fold.test_end - fold.test_start for fold in folds}
    assert max(lengths) - min(lengths) <= DAY


def test_a_single_cut_at_seven_tenths() -> None:
    (fold,) = make_folds(0, 1_000 * DAY, Split())
    assert fold == Fold(train_start=0, train_end=700 * DAY, test_start=700 * DAY, test_end=1_000 * DAY)


def test_three_rolling_folds_with_a_gap_by_hand() -> None:
    split = Split(train=0.5, folds=3, scheme="rolling", gap_days=7)
    spans = [
        (f.train_start // DAY, f.train_end // DAY, f.test_start // DAY, f.test_end // DAY)
        for f in make_folds(0, 600 * DAY, split)
    ]
    assert spans == [(0, 293, 300, 400), (100, 393, 400, 500), (200, 493, 500, 600)]


def test_only_whole_days_count() -> None:
    hour = DAY // 24
    (fold,) = make_folds(hour, 1_001 * DAY + hour, Split())
    assert (fold.train_start, fold.test_end) == (DAY, 1_001 * DAY)


def test_too_many_folds_are_refused_with_the_number_that_fits() -> None:
    with pytest.raises(ConfigError, match=r"hold 400 whole days.*at most 4 fold.*it takes 499 days"):
        make_folds(0, 400 * DAY, Split(folds=5))
    make_folds(0, 400 * DAY, Split(folds=4))


def test_too_short_a_train_is_refused_with_the_trains_that_fit() -> None:
    with pytest.raises(ConfigError, match=r"a train from 0\.23 to 0\.92 fits"):
        make_folds(0, 400 * DAY, Split(train=0.05))
    for train in (0.23, 0.92):
        make_folds(0, 400 * DAY, Split(train=train))


def test_an_end_before_the_start_is_no_days() -> None:
    with pytest.raises(ConfigError, match="hold 0 whole days"):
        make_folds(100 * DAY, 0, Split())


@pytest.mark.parametrize(
    "wrong",
    [
        {"train": 0.0},
        {"train": 1.0},
        {"folds": 0},
        {"folds": 2.5},
        {"gap_days": -1},
        {"scheme": "random"},
        {"purge": 1},
    ],
)
def test_a_split_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Split.model_validate(wrong)
