"""A run under market terms: inverse contracts, liquidation, capacity, threads, and data that lack something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import btcflow
from btcflow.config.experiment import Experiment, StoreData
from btcflow.config.load import load_config
from btcflow.config.market_data import load_dataset
from btcflow.data.records import Dataset
from btcflow.data.store import Store
from btcflow.engine.trades import trades
from btcflow.errors import ConfigError, NotInData
from btcflow.runs.execute import Execution, execute
from btcflow.runs.lock import result_digest
from btcflow.runs.signal_state import signal_states
from btcflow.runs.summary import summarize
from btcflow.terminal.views import signals_view

CONFIG = """\
name: terms
data: {source: simulated, seed: 4, years: 2}
timeframe: 1D
strategy: funding_fade
params: {window: 40, entry_z: 0.5}
"""
ONLY_INTEREST = """\
name: only_interest
data: {source: simulated, seed: 4, years: 2}
timeframe: 1D
rule:
  claim: Money that left comes back.
  long_entry: oi_z[window] <= -1
  long_exit: oi_z[window] >= 0
  parameters:
    window: {default: 40, low: 10, high: 400, whole: true, meaning: bars in the z-score window}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("terms") / "terms.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def market(config: Path) -> Dataset:
    return load_dataset(load_config(config))


def found(config: Path, market: Dataset, *overrides: str) -> tuple[Execution, dict[str, Any]]:
    done = execute(load_config(config, overrides=overrides), dataset=market)
    return done, summarize(done, command="test")


def without(market: Dataset, **lost: str) -> Dataset:
    """The market without one kind of series, or without the instruments of one role."""
    kept = market.select(lambda one: one.key.kind != lost.get("kind") and one.instrument.role != lost.get("role"))
    assert len(kept) < len(market)
    return kept


# -- what the summary tells ------------------------------------------------------------------------


def test_an_inverse_run_is_told_in_btc_and_valued_in_dollars(config: Path, market: Dataset) -> None:
    done, summary = found(
        config, market, "market.instrument=sim_bravo:BTCUSD", "market.capital=50000", "params.entry_z=2"
    )
    ledger, clock = done.main.ledger, done.main.ledger.clock
    assert summary["market"]["settlement"] == "BTC"
    assert summary["market"]["capital"] == pytest.approx(50_000 / clock.open[0], rel=1e-12)
    worth = summary["in_quote"]
    cut = int(np.searchsorted(clock.opens, done.main.cut))
    at_cut = ledger.equity[cut - 1, 0] * clock.close[cut - 1]
    assert worth["currency"] == "USD"
    assert worth["in_sample"]["start_equity"] == pytest.approx(50_000, rel=1e-12)
    assert worth["in_sample"]["end_equity"] == worth["out_of_sample"]["start_equity"] == pytest.approx(at_cut)
    assert worth["out_of_sample"]["end_equity"] == pytest.approx(ledger.equity[-1, 0] * clock.close[-1])
    assert worth["out_of_sample"]["total_return"] == pytest.approx(ledger.equity_usd[-1, 0] / at_cut - 1)
    assert sum(one["net"] for one in (summary["attribution"][key] for key in ("in_sample", "out_of_sample"))) == (
        pytest.approx(ledger.equity[-1, 0] - ledger.capital, rel=1e-9)
    )
    assert "spot" not in summary["benchmark"]


def test_a_linear_run_has_no_second_currency_and_no_capacity_unless_asked(config: Path, market: Dataset) -> None:
    _, summary = found(config, market)
    assert not {"in_quote", "capacity"} & set(summary)
    assert summary["market"]["settlement"] == "USDT"


def test_the_capacity_rows_are_the_path_with_other_capitals(config: Path, market: Dataset) -> None:
    terms = ("market.impact=0.02", "market.min_notional=5000", "market.capacity=[3000, 100000, 1.0e+12]")
    done, summary = found(config, market, *terms)
    small, own, large = summary["capacity"]
    ledger = done.main.ledger
    assert own["total_return"] == pytest.approx(ledger.equity[-1, 0] / ledger.capital - 1)
    assert (small["skipped_orders"] > 0, own["skipped_orders"]) == (True, ledger.skipped_orders[0])
    assert "market.impact" in large["refused"]
    assert large["total_return"] is None
    assert json.loads(json.dumps(summary["capacity"], allow_nan=False)) == summary["capacity"]


def test_what_capacity_and_dollars_say_is_locked_too(config: Path, market: Dataset) -> None:
    _, summary = found(config, market, "market.instrument=sim_bravo:BTCUSD", "market.capacity=[1000]")
    before = result_digest(summary)
    for change in ("capacity", "in_quote"):
        changed = json.loads(json.dumps(summary))
        row = changed[change][0] if change == "capacity" else changed[change]["in_sample"]
        row["total_return"] += 1e-6
        assert result_digest(changed) != before, change


def test_liquidations_are_counted_told_and_marked(config: Path, market: Dataset) -> None:
    done, summary = found(config, market, "market.leverage=12")
    ledger = done.main.ledger
    count = int(ledger.liquidations.sum())
    assert count >= 1
    assert summary["in_sample"]["liquidations"] + summary["out_of_sample"]["liquidations"] == count
    assert any(f"{count} position" in one and "liquidated, first on" in one for one in summary["warnings"])
    assert int(trades(ledger)["liquidated"].sum()) == count
    assert any("holds 12 times its equity" in one for one in summary["warnings"])


def test_positions_that_no_venue_would_open_are_named(config: Path, market: Dataset) -> None:
    tiers = "market.maintenance=[[0, 0.01], [1000, 0.9]]"
    done, summary = found(config, market, "market.leverage=5", tiers)
    (told,) = (one for one in summary["warnings"] if "a venue would not have opened it" in one)
    assert told.startswith(f"{int(done.main.ledger.liquidations.sum())} ")


def test_orders_that_were_too_small_are_told(config: Path, market: Dataset) -> None:
    done, summary = found(config, market, "market.min_notional=1.0e+7")
    skipped = int(done.main.ledger.skipped_orders.sum())
    assert skipped > 0
    assert any(f"were not placed: {skipped};" in one for one in summary["warnings"])
    assert summary["in_sample"]["trades"] + summary["out_of_sample"]["trades"] == 0


def test_spot_is_not_leveraged_and_a_short_of_it_is_told(config: Path, market: Dataset) -> None:
    spot = "market.instrument=sim_east:BTCUSDT"
    with pytest.raises(ConfigError, match=r"market.leverage=2: is 2, and sim_east:BTCUSDT is a spot pair; expected 1"):
        found(config, market, spot, "market.leverage=2")
    done, summary = found(config, market, spot)
    held = int((done.main.ledger.quantity < 0).sum())
    assert held > 0
    assert any(f"held short in {held:,} clock bars" in one for one in summary["warnings"])


# -- threads ---------------------------------------------------------------------------------------


def test_one_thread_and_three_find_the_same(config: Path, tmp_path: Path) -> None:
    overrides = (
        "params={}",
        "sweep={trials: 24, sampler: random, space: {window: [30, 60], entry_z: [0.5, 1, 1.5, 2]}}",
    )
    one, three = (btcflow.run(config, overrides=overrides, out=tmp_path / str(jobs), jobs=jobs) for jobs in (1, 3))
    assert one.summary["lock"]["result_digest"] == three.summary["lock"]["result_digest"]
    tables = [pd.read_parquet(result.folder / "trials.parquet") for result in (one, three)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


# -- data that lack something ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def only_interest(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    path = tmp_path_factory.mktemp("interest") / "only_interest.yaml"
    path.write_text(ONLY_INTEREST, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize(
    ("lost", "columns", "reason"),
    [
        ({"role": "spot"}, ("spot_premium", "perp_premium", "prem_z", "state"), "the premium needs a spot"),
        ({"kind": "premium_index"}, (), ""),
    ],
)
def test_what_the_rule_does_not_read_may_be_missing_and_is_named(
    only_interest: Experiment, market: Dataset, lost: dict[str, str], columns: tuple[str, ...], reason: str
) -> None:
    whole = execute(only_interest, dataset=market)
    assert whole.shown.left_out == ()
    done = execute(only_interest, dataset=without(market, **lost))
    gone = [one for one in whole.shown.frame.columns if one not in done.shown.frame.columns]
    assert tuple(gone) == columns
    for name in columns:
        (note,) = (one for one in summarize(done, command="test")["data"]["notes"] if f"{name}" in one)
        assert reason in note
    kept = done.shown.frame.columns.drop("decided_at")
    assert {"oi_z", "oi_index", "fund_z", "price"} <= set(kept)


def test_a_run_without_spot_leaves_its_folder(only_interest: Experiment, market: Dataset, tmp_path: Path) -> None:
    from btcflow.runs.folder import frames_of, write_run

    done = execute(only_interest, dataset=without(market, role="spot"))
    write_run(done, summarize(done, command="test"), tmp_path / "run")
    signals = pd.read_parquet(tmp_path / "run" / "signals.parquet")
    assert "spot_premium" not in signals
    pd.testing.assert_frame_equal(signals, frames_of(done)["signals"])


def test_a_metric_that_the_config_itself_asks_for_is_never_passed_over(
    only_interest: Experiment, market: Dataset, config: Path
) -> None:
    with pytest.raises(NotInData, match=r"oi.source is vendor:nobody"):
        found(config, market, "oi.source=vendor:nobody")
    premium = only_interest.premium.model_copy(update={"groups": ("EUR",)})
    asked = only_interest.model_copy(update={"premium": premium})
    with pytest.raises(NotInData, match=r"premium.groups names EUR"):
        summarize(execute(asked, dataset=market), command="test")


def test_the_dashboard_s_state_leaves_out_what_cannot_be_made_and_says_so(
    only_interest: Experiment, market: Dataset, tmp_path: Path
) -> None:
    states = []
    for name, records in (("whole", market), ("no_spot", without(market, role="spot"))):
        Store(tmp_path / name).write_all(records)
        data = StoreData(source="store", store=str(tmp_path / name))
        terms = only_interest.market.model_copy(update={"instrument": "sim_alpha:BTCUSDT"})
        states += signal_states(only_interest.model_copy(update={"data": data, "market": terms}))
    whole, state = states
    assert whole.left_out == ()
    assert [one.name for one in state.metrics] == ["oi_index", "funding_8h", "funding_apr"]
    assert state.state is None
    (note,) = state.left_out
    assert note.startswith("not shown: spot_premium, perp_premium, state (the premium needs a spot")
    assert f"note: {note}" in signals_view([state])
    assert "note:" not in signals_view([whole])
