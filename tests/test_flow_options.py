"""The options of the metrics: the recommended numbers, and how far a z-score may reach over a hole."""

from __future__ import annotations

import numpy as np
import pytest
from markets import panel_of, perp, spot
from pydantic import ValidationError

from btcflow.flow.bars import Bars
from btcflow.flow.options import FlowOptions, PremiumOptions, ZscoreOptions

NAN = np.nan


def test_the_recommended_numbers() -> None:
    chosen = FlowOptions()
    assert chosen.zscore.length == {"1D": 180, "3D": 100, "1W": 52, "1M": 24}
    assert chosen.premium.smooth == {"1D": 5, "3D": 3, "1W": 1, "1M": 1}
    assert chosen.funding.smooth == {"1D": 7, "3D": 3, "1W": 1, "1M": 1}
    assert chosen.cycle.cooldown == {"1D": 30, "3D": 12, "1W": 8, "1M": 3}
    assert (chosen.premium.max_dev, chosen.premium.min_spot, chosen.premium.min_perp) == (0.05, 1, 1)
    assert (chosen.funding.composite, chosen.funding.min_venues, chosen.bars.min_coverage) == ("median", 1, 0.8)
    oi = chosen.oi
    assert (oi.denom, oi.max_ffill_hours, oi.min_age_days, oi.min_venues, oi.spike_log) == ("BTC", 24, 30, 2, 0.35)
    floor = chosen.zscore.floor
    assert (floor.funding_8h, floor.premium_pct, floor.log_oi) == (1e-5, 0.01, 0.01)
    cycle = chosen.cycle
    assert (cycle.lev, cycle.oi_top, cycle.oi_bottom, cycle.oi_flush, cycle.flush_bars) == (1.5, 1.0, 0.0, -2.0, 3)


@pytest.mark.parametrize(
    ("timeframe", "window", "gap"),
    [
        ("1D", 180, 180),
        ("1D", 400, 200),
        ("3D", 100, 60),
        ("3D", 130, 65),
        ("1W", 52, 26),
        ("1M", 24, 12),
        ("1M", 6, 6),
    ],
)
def test_a_window_may_reach_over_half_its_length_or_half_a_year(timeframe: str, window: int, gap: int) -> None:
    assert FlowOptions().max_gap(timeframe, window) == gap
    assert FlowOptions(zscore=ZscoreOptions(max_gap=3)).max_gap(timeframe, window) == 3


def premium_with_hole(days: int) -> np.ndarray:
    """Sixty days of daily premium, a hole, and sixty more."""
    random = np.random.default_rng(1)
    return np.r_[random.normal(size=60), np.full(days, NAN), random.normal(size=60)] * 1e-3


@pytest.mark.parametrize(
    ("days", "chosen", "first_again"),
    [
        (50, ZscoreOptions(max_gap=50), 0),
        (51, ZscoreOptions(max_gap=50), 39),
        (180, ZscoreOptions(), 0),
        (181, ZscoreOptions(), 39),
        (1, ZscoreOptions(na_policy="strict"), 39),
    ],
)
def test_after_a_hole_that_is_too_long_the_z_waits_for_a_full_window(
    days: int, chosen: ZscoreOptions, first_again: int
) -> None:
    """With a window of 40; the bar after the hole has its z where the hole is short enough."""
    close = np.repeat(np.column_stack([np.full(120 + days, 100.0), 100 * (1 + premium_with_hole(days))]), 24, axis=0)
    options = FlowOptions(premium=PremiumOptions(smooth={"1D": 1}), zscore=chosen)
    z = Bars(panel_of([spot("s"), perp("p")], close=close), "1D", options).score("prem_z", window=40)
    known = np.flatnonzero(np.isfinite(z))
    assert known[known >= 60 + days][0] - 60 - days == first_again
    assert known[0] == 39


def test_an_exclusive_window_judges_the_bar_by_those_before_it() -> None:
    premium = np.r_[np.tile([1e-3, -1e-3], 20), 5e-3]
    close = np.repeat(np.column_stack([np.full(41, 100.0), 100 * (1 + premium)]), 24, axis=0)
    options = FlowOptions(premium=PremiumOptions(smooth={"1D": 1}), zscore=ZscoreOptions(window="exclusive"))
    z = Bars(panel_of([spot("s"), perp("p")], close=close), "1D", options).score("prem_z", window=40)
    assert z[-1] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("part", "bad"),
    [
        ("premium", {"max_dev": 0}),
        ("zscore", {"max_gap": -1}),
        ("oi", {"source": "acme"}),
        ("bars", {"min_coverage": 1.2}),
        ("funding", {"smooth": {"1D": 0}}),
        ("cycle", {"oi_flush": 1}),
        ("confluence", {"exit_ratio": 0}),
        ("premium", {"smoth": {}}),
    ],
)
def test_options_that_make_no_sense_are_refused(part: str, bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FlowOptions.model_validate({part: bad})
