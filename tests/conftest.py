"""What many tests read: one simulated market."""

from __future__ import annotations

import pytest

from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """A year and a half of the simulated market, hourly; venues join at day 240 and day 430."""
    return simulate(seed=7, years=1.5)
