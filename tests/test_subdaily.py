"""Timeframes below a day: funding between settlements, the laws, and a whole run, with everything spelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markets import panel_of, perp, time

import btcflow
from btcflow.config.experiment import Experiment
from btcflow.config.load import load_config
from btcflow.config.market_data import panel_of as panel_of_experiment
from btcflow.contracts import Trial, hold, metric_subject
from btcflow.data.align import align
from btcflow.data.records import Records
from btcflow.data.simulate import simulate
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.funding import venue_funding
from btcflow.flow.options import FlowOptions
from btcflow.yaml_model import parse_model

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


def quarters(one: Records) -> Records:
    """An hourly price series as four bars an hour, each at the hour's close; other series as they are."""
    if one.key.kind not in ("ohlcv", "mark"):
        return one
    frame = one.frame.loc[one.frame.index.repeat(4)].reset_index(drop=True)
    later = pd.to_timedelta(np.tile([0, 15, 30, 45], len(one)), unit="min")
    stamp = frame["stamp"] + later
    frame = frame.assign(stamp=stamp, known_at=stamp + pd.Timedelta("15min"))
    for name in ("open", "high", "low"):
        frame[name] = frame["close"]
    return replace(one, key=replace(one.key, timeframe="15m"), frame=frame)


def test_quarter_hour_data_make_quarter_hour_rows_bars_and_clock() -> None:
    text = CONFIG.replace("4h", "15m")
    experiment = parse_model(text, Experiment, name="x")
    dataset = simulate(seed=6, years=0.3).map(quarters)
    panel = panel_of_experiment(experiment, dataset)
    assert (panel.step, panel.clock.step) == ("15m", "15m")
    bars = Bars(panel, "15m", experiment.flow)
    assert np.array_equal(bars.opens, panel.opens)
    for name in ("perp_premium_raw", "funding_8h_raw"):
        assert np.isfinite(bars[name][64:]).all(), name
    hourly = Bars(panel_of_experiment(experiment, simulate(seed=6, years=0.3)), "1h", experiment.flow)
    coarse = Bars(panel, "1h", experiment.flow)
    np.testing.assert_allclose(coarse["perp_premium_raw"], hourly["perp_premium_raw"], rtol=1e-12)


def test_a_quarter_hour_panel_keeps_the_truncation_law() -> None:
    experiment = parse_model(CONFIG.replace("4h", "15m"), Experiment, name="x")
    dataset = simulate(seed=6, years=0.3).map(quarters)
    panel = panel_of_experiment(experiment, dataset)
    cut = time("2018-03-01T10:30:00")
    bars = Bars(panel, "15m", experiment.flow)
    fewer = Bars(
        align(dataset.upto(cut), panel.clock, needs=panel.fields, step="15m", as_of=cut), "15m", experiment.flow
    )
    rows = int((bars.decided_at <= cut.value).sum())
    assert len(fewer) == rows > 5_000
    for name in ("perp_premium_raw", "funding_8h_raw"):
        assert np.array_equal(fewer[name], bars[name][:rows], equal_nan=True), name
