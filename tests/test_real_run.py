"""The real series, end to end; skipped where BTCFLOW_REAL_DATA names no folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from oracles import ToyMarket, reference_ledger

import btcflow
from btcflow.config.experiment import Experiment
from btcflow.config.load import load_config
from btcflow.config.market_data import load_dataset
from btcflow.contracts import Trial, hold, metric_subject
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.import_spec import load_spec
from btcflow.data.imports import import_files
from btcflow.data.records import Dataset
from btcflow.data.store import Store
from btcflow.flow.catalog import METRICS
from btcflow.panel import Panel
from btcflow.registry import shipped
from btcflow.runs.execute import Execution, execute

REAL = os.environ.get("BTCFLOW_REAL_DATA")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(REAL is None, reason="BTCFLOW_REAL_DATA names no folder of real series"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    import_files(Path(str(REAL)), load_spec(shipped("configs") / "import" / "catalog.yaml"), Store(path))
    return path


def config(name: str, store: Path, *overrides: str) -> Experiment:
    return load_config(name, overrides=[f"data.store={store}", *overrides])


@pytest.fixture(scope="module")
def found(store: Path) -> Execution:
    return execute(config("real_1d", store, "sweep.trials=32", "sweep.batch=16"))


@pytest.fixture(scope="module")
def compared(store: Path) -> Execution:
    return execute(config("real_timeframes", store))


def test_the_real_config_runs_end_to_end(found: Execution) -> None:
    main = found.main
    assert main.in_sample.trades + main.out_of_sample.trades > 10
    assert np.isfinite([main.in_sample.sharpe, main.out_of_sample.sharpe]).all()
    assert found.dataset.synthetic is False
    funding = {one.instrument.venue for one in found.dataset if one.key.kind == "funding"}
    assert len(funding) >= 5


def test_the_ledger_equals_the_slow_reference_on_real_prices_and_funding(found: Execution) -> None:
    """Long and short, with funding, fees and slippage, on an hourly clock of four years."""
    ledger, terms = found.main.ledger, found.experiment.market.market
    clock = ledger.clock
    toy = ToyMarket(
        opened=clock.opens.tolist(),
        open=clock.open.tolist(),
        close=clock.close.tolist(),
        settlements=[(int(end), float(paid)) for end, paid in zip(clock.closes_at, clock.funding, strict=True) if paid],
    )
    targets = np.sign(ledger.quantity[:, 0]).tolist()
    rows, ruined = reference_ledger(
        toy, targets, capital=terms.capital, gross=terms.gross, fee=terms.fee, slippage=terms.slippage
    )
    assert not ruined
    assert {-1.0, 1.0} <= set(targets)
    for name in ("equity", "price_pnl", "funding", "fees", "slippage"):
        slow = np.array([getattr(row, name) for row in rows])
        error = np.abs(getattr(ledger, name)[:, 0] - slow) / np.maximum(1.0, np.abs(slow))
        assert error.max() < 1e-9, name


@pytest.mark.vectorbt
def test_the_vectorbt_portfolio_holds_the_same_equity_with_funding_on_real_data(found: Execution) -> None:
    from btcflow.engine.portfolio import funded_portfolio

    ledger = found.main.ledger
    value = funded_portfolio(ledger).value().to_numpy().ravel()
    assert np.max(np.abs(value - ledger.equity[:, 0]) / np.maximum(1.0, np.abs(value))) < 1e-9
    assert abs(float(ledger.funding.sum())) > 1_000.0


def test_money_is_exact_on_real_data(found: Execution) -> None:
    ledger = found.main.ledger
    parts = ledger.price_pnl + ledger.funding + ledger.fees + ledger.slippage
    change = np.diff(ledger.equity, axis=0, prepend=found.experiment.market.capital)
    assert np.max(np.abs(parts - change) / np.maximum(1.0, np.abs(ledger.equity))) < 1e-9


def test_four_timeframes_share_clock_span_and_cost(compared: Execution) -> None:
    assert [one.timeframe for one in compared.answers] == ["1D", "3D", "1W", "1M"]
    clocks = [one.ledger.clock for one in compared.answers]
    assert all(np.array_equal(clocks[0].opens, one.opens) for one in clocks)


def test_the_yearly_median_of_composite_funding_is_the_published_one(store: Path) -> None:
    """Basis points per 8 h; a reference run of the definitions on the same venues gave these."""
    experiment = config("real_timeframes", store)
    panel = btcflow.load_panel(experiment)
    from btcflow.flow.bars import Bars

    bars = Bars(panel, "1D", experiment.flow)
    funding = 1e4 * pd.Series(bars["funding_8h_raw"], index=bars.index)
    medians = funding.groupby(funding.index.year).median()
    reference = {2020: 1.00, 2021: 1.29, 2022: 0.48, 2023: 0.74, 2024: 0.93}
    for year, value in reference.items():
        assert medians[year] == pytest.approx(value, abs=0.015), year


def test_weekly_open_interest_z_of_early_march_2024_is_the_published_one(store: Path) -> None:
    """Coinglass, in BTC, week of 2024-03-04: +2.15. The other vendor disagrees in sign."""
    experiment = config("real_timeframes", store)
    weekly = btcflow.metrics(btcflow.load_panel(experiment), "1W", options=experiment.flow)
    assert weekly.loc["2024-03-04 00:00:00+00:00", "oi_z"] == pytest.approx(2.15, abs=0.01)
    assert weekly.loc["2024-03-04 00:00:00+00:00", "state"] == "over_leverage_long"


def _aligned(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    clock = make_clock(dataset, "binance:BTCUSDT", missing_funding="report")
    return align(dataset, clock, needs=needs, as_of=as_of)


@pytest.mark.parametrize("name", ["prem_z", "fund_z", "oi_z", "oi_change_z", "state_code", "cycle_bottom"])
def test_nothing_looks_ahead_on_real_data(name: str, store: Path) -> None:
    experiment = config("real_timeframes", store, "data.end=2022-01-01")
    trial = Trial(dataset=load_dataset(experiment), timeframe="1W", aligner=_aligned)
    hold(metric_subject(METRICS.get(name), "1W", window=26, options=experiment.flow), trial)
