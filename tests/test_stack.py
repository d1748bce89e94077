"""Row-wise reductions that skip what is missing, against the obvious loops."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from btcflow.stack import carry, row_mean, row_median

NAN = math.nan


def holed(rows: int, columns: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    values[random.random(values.shape) < random.random()] = NAN
    return values


def real(row: list[float]) -> list[float]:
    return [value for value in row if not math.isnan(value)]


@pytest.mark.parametrize("columns", [1, 2, 3, 8, 9])
def test_mean_and_median_of_a_row_skip_what_is_missing(columns: int) -> None:
    values = holed(300, columns, columns)
    rows = [real(row) for row in values.tolist()]
    np.testing.assert_allclose(row_median(values), [statistics.median(row) if row else NAN for row in rows], rtol=1e-15)
    np.testing.assert_allclose(row_mean(values), [statistics.mean(row) if row else NAN for row in rows], rtol=1e-12)


def test_rows_without_columns_have_no_value() -> None:
    assert np.isnan(row_median(np.empty((3, 0)))).all()
    assert np.isnan(row_mean(np.empty((3, 0)))).all()
    assert len(row_median(np.empty((0, 2)))) == len(row_mean(np.empty((0, 2)))) == 0


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_a_value_is_held_for_as_many_rows_as_allowed(limit: int) -> None:
    values = holed(200, 3, limit)
    expected = []
    for t in range(200):
        recent = [real(values[max(0, t - limit) : t + 1, v].tolist()) for v in range(3)]
        expected.append([one[-1] if one else NAN for one in recent])
    np.testing.assert_array_equal(carry(values, limit), expected)


def test_nothing_is_held_back_in_time() -> None:
    values = np.array([[NAN], [NAN], [7.0], [NAN]])
    assert carry(values, 10)[:, 0] == pytest.approx([NAN, NAN, 7, 7], nan_ok=True)
    assert carry(np.empty((0, 2)), 3).shape == (0, 2)
