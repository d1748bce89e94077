"""Signal matrices and the public functions on a small simulated market."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import btcflow
from btcflow.config.experiment import Experiment
from btcflow.engine.execution import fill_rows
from btcflow.engine.market import Market
from btcflow.engine.signals import signal_frames
from btcflow.errors import ConfigError
from btcflow.panel import Panel
from btcflow.rules import Rule


@pytest.fixture(scope="module")
def panel() -> Panel:
    return btcflow.load_panel(
        Experiment(
            name="small", data={"source": "simulated", "seed": 5, "years": 1.6}, timeframe="1D", strategy="funding_fade"
        )
    )  # type: ignore[arg-type]


def test_targets_become_entries_exits_and_reversals() -> None:
    targets = np.array([[0.0], [1], [1], [-1], [0], [-1], [1]])
    index = pd.date_range("2024-01-01", periods=7, freq="h", tz="UTC")
    entries, exits, short_entries, short_exits = signal_frames(targets, index, pd.Index(["x"]))
    assert entries["x"].tolist() == [False, True, False, False, False, False, True]
    assert exits["x"].tolist() == [False] * 7
    assert short_entries["x"].tolist() == [False, False, False, True, False, True, False]
    assert short_exits["x"].tolist() == [False, False, False, False, True, False, False]


def test_a_fractional_target_has_no_signal_matrix() -> None:
    with pytest.raises(ConfigError, match=r"btcflow\.portfolio"):
        signal_frames(np.array([[0.5]]), pd.date_range("2024-01-01", periods=1, tz="UTC"), pd.Index(["x"]))


def test_lists_of_parameters_become_columns_with_their_names(panel: Panel) -> None:
    signals = btcflow.signals_matrix(
        "funding_fade", panel, "1D", params={"window": [40, 60], "entry_z": [1.0, 1.5, 2.0]}
    )
    columns = signals.entries.columns
    assert columns.names == ["window", "entry_z"]
    assert len(columns) == 6
    assert signals.entries.shape == (len(panel.clock), 6)
    assert str(signals.entries.index.tz) == "UTC"
    alone = btcflow.signals_matrix("funding_fade", panel, "1D", params={"window": 60, "entry_z": 1.5})
    for one, whole in zip(alone, signals, strict=True):
        assert np.array_equal(one.to_numpy()[:, 0], whole[(60, 1.5)].to_numpy())


def test_a_daily_signal_fills_at_midnight_without_open_interest_and_an_hour_later_with_it(panel: Panel) -> None:
    """Open interest is published five minutes late, so a rule that reads it decides at 00:05."""
    quick = btcflow.signals_matrix("funding_fade", panel, "1D", params={"window": 40, "entry_z": 0.5})
    slow = btcflow.signals_matrix("oi_breakout", panel, "1D", params={"window": 40, "entry_z": 0.5})
    hours = {
        name: set(frame.entries.index[frame.entries.to_numpy()[:, 0]].hour)
        for name, frame in (("quick", quick), ("slow", slow))
    }
    assert hours == {"quick": {0}, "slow": {1}}


def test_a_delay_moves_every_fill_by_whole_clock_bars(panel: Panel) -> None:
    plain = btcflow.signals_matrix("funding_fade", panel, "1D", params={"window": 40, "entry_z": 0.5})
    late = btcflow.signals_matrix(
        "funding_fade", panel, "1D", params={"window": 40, "entry_z": 0.5}, market=Market(delay=3)
    )
    for one, other in zip(plain, late, strict=True):
        assert one.to_numpy().any()
        assert np.array_equal(one.to_numpy()[:-3], other.to_numpy()[3:])


def test_no_fill_comes_before_the_decision(panel: Panel) -> None:
    from btcflow.flow.bars import Bars

    bars = Bars(panel, "1W")
    rows = fill_rows(bars.decided_at, panel.clock, delay=0)
    inside = rows < len(panel.clock)
    assert (panel.clock.opens[rows[inside]] >= bars.decided_at[inside]).all()
    assert inside.sum() > 50


def test_metrics_carry_the_time_they_may_be_acted_on(panel: Panel) -> None:
    frame = btcflow.metrics(panel, "1W")
    assert (frame["decided_at"] == frame.index + pd.Timedelta("7D") + pd.Timedelta("5min")).all()
    assert {
        "spot_premium",
        "perp_premium",
        "prem_z",
        "oi_index",
        "oi_z",
        "funding_8h",
        "funding_apr",
        "fund_z",
        "state",
    } <= set(frame)


def test_the_two_premiums_have_opposite_signs(panel: Panel) -> None:
    frame = btcflow.metrics(panel, "1D").dropna(subset=["spot_premium"])
    assert (np.sign(frame["spot_premium"]) == -np.sign(frame["perp_premium"])).all()


def test_an_empty_list_of_values_is_refused(panel: Panel) -> None:
    with pytest.raises(ConfigError, match="empty list"):
        btcflow.signals_matrix("funding_fade", panel, params={"entry_z": []})


def test_a_timeframe_finer_than_the_data_is_refused(panel: Panel) -> None:
    with pytest.raises(ConfigError, match="finer than the data"):
        btcflow.metrics(panel, "15m")


def test_a_timeframe_without_defaults_must_be_spelled(panel: Panel) -> None:
    with pytest.raises(ConfigError, match=r"premium\.smooth has no entry for 4h"):
        btcflow.metrics(panel, "4h")


@pytest.mark.vectorbt
def test_the_portfolio_holds_funding_and_the_matrices_make_the_same_trades(panel: Panel) -> None:
    import vectorbt as vbt

    params = {"window": 40, "entry_z": [0.5, 1.0]}
    free = Market(fee=0.0, slippage=0.0)
    funded = btcflow.portfolio("funding_fade", panel, "1D", params=params, market=free)
    signals = btcflow.signals_matrix("funding_fade", panel, "1D", params=params, market=free)
    price = panel.clock.frame.tz_localize(None)
    own = vbt.Portfolio.from_signals(
        price["close"], *(one.tz_localize(None) for one in signals), price=price["open"], init_cash=100_000, freq="1h"
    )
    left, right = funded.trades.records, own.trades.records
    assert len(left) == len(right) > 10
    for name in ("col", "entry_idx", "exit_idx", "direction", "status"):
        assert np.array_equal(left[name], right[name]), name
    np.testing.assert_allclose(left["entry_price"], right["entry_price"], rtol=1e-12)
    np.testing.assert_allclose(left["exit_price"], right["exit_price"], rtol=1e-12)


@pytest.mark.vectorbt
def test_a_rule_of_ones_own_goes_all_the_way(panel: Panel) -> None:
    rule = Rule.of(
        "dip", "Buy what fear sells.", long_entry="prem_z[40] <= -1 and fund_z[40] <= -0.5", long_exit="prem_z[40] >= 0"
    )
    portfolio = btcflow.portfolio(rule, panel, "1D")
    assert portfolio.orders.count() > 0
    assert np.isfinite(portfolio.total_return())
