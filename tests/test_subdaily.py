"""Timeframes below a day: funding between settlements, the laws, and a whole run, with everything spelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from markets import panel_of, perp

import btcflow
from btcflow.config.load import load_config
from btcflow.contracts import Trial, hold, metric_subject
from btcflow.data.simulate import simulate
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.funding import venue_funding
from btcflow.flow.options import FlowOptions

SPELLED = FlowOptions.model_validate(
    {
        "premium": {"smooth": {"4h": 5}},
        "funding": {"smooth": {"4h": 7}},
        "zscore": {"length": {"4h": 180}},
        "cycle": {"cooldown": {"4h": 180}},
    }
)

CONFIG = """\
name: four_hours
data: {source: simulated, seed: 6, years: 2}
timeframe: 4h
strategy: confluence
premium: {smooth: {4h: 5}}
funding: {smooth: {4h: 7}}
zscore: {length: {4h: 180}}
confluence: {episode_gap: {4h: 12}}
"""


def test_between_settlements_a_short_bar_takes_the_rate_last_settled_until_the_next_is_due() -> None:
    """Settlements at 08:00 and 16:00 and none at 24:00, in bars of four hours."""
    paid, hours = np.full((32, 1), np.nan), np.full((32, 1), np.nan)
    paid[[7, 15], 0], hours[[7, 15], 0] = [0.0001, 0.0003], 8.0
    panel = panel_of([perp("a")], close=np.ones((32, 1)), funding_paid=paid, funding_hours=hours)
    rates = venue_funding(Bars(panel, "4h", SPELLED))[:, 0]
    np.testing.assert_allclose(rates, [np.nan, 1e-4, 1e-4, 3e-4, 3e-4, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("name", ["prem_z", "fund_z", "oi_z", "state_code", "cycle_top"])
def test_the_laws_hold_at_four_hours(name: str) -> None:
    trial = Trial(dataset=simulate(seed=3, years=0.5), timeframe="4h")
    hold(metric_subject(METRICS.get(name), "4h", window=40, options=SPELLED), trial)


def test_a_simulated_quarter_at_four_hours_has_funding_on_every_bar() -> None:
    experiment = load_config("demo", overrides=["data.years=1"])
    bars = Bars(btcflow.load_panel(experiment), "4h", SPELLED)
    assert np.isfinite(bars["funding_8h_raw"][10:]).all()


def test_a_whole_run_at_four_hours(tmp_path: Path) -> None:
    path = tmp_path / "four.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    summary = btcflow.run(path, out=tmp_path / "runs").summary
    assert summary["timeframe"] == "4h"
    assert summary["in_sample"]["trades"] > 0
