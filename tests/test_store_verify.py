"""A run is repeated on the data as they were, however the store has moved on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stored import PROVENANCE

import btcflow
from btcflow.config.load import load_config
from btcflow.config.market_data import load_dataset
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import TRADED, simulate
from btcflow.data.store import Store
from btcflow.runs.verify import verify

CONFIG = """\
name: stored
data: {{source: store, store: {store}{cut}}}
timeframe: 1D
market: {{instrument: "{traded}"}}
strategy: funding_fade
params: {{window: 60, entry_z: 1.0}}
"""


@pytest.fixture(scope="module")
def market() -> Dataset:
    early = pd.Timestamp("2018-02-01", tz="UTC").value
    begun = simulate(seed=5, years=2).select(lambda one: one.stamp[0] < early)
    return begun.map(lambda one: replace(one, synthetic=False))


def until(one: Records, end: str) -> Records:
    return one.where(one.ends <= pd.Timestamp(end, tz="UTC").value)


def lifted(one: Records) -> Records:
    """One day of closes said one percent higher."""
    if one.key.kind != "ohlcv":
        return one
    factor = np.where((one.stamp // 86_400_000_000_000) % 400 == 7, 1.01, 1.0)
    return replace(one, frame=one.frame.assign(close=one.frame["close"] * factor))


@pytest.mark.parametrize("cut", ["", ", start: 2018-03-01"])
def test_a_run_is_verified_on_the_vintages_it_read(tmp_path: Path, market: Dataset, cut: str) -> None:
    store = Store(tmp_path / "store")
    traded = market.find(TRADED, "ohlcv")
    late = next(one for one in market if one.key != traded.key and one.key.kind == "open_interest")
    for one in market:
        if one.key != late.key:
            store.merge(until(one, "2019-07-01"), provenance=PROVENANCE)
    config = tmp_path / "stored.yaml"
    config.write_text(CONFIG.format(store=store.path, traded=TRADED, cut=cut), encoding="utf-8")
    folder = btcflow.run(config, out=tmp_path / "runs").folder
    at_once = verify(folder)
    assert at_once.same
    assert at_once.remarks == ()

    for one in market:
        store.merge(lifted(one), provenance=PROVENANCE)
    today = load_dataset(load_config(config)).find(TRADED, "ohlcv").content_hash()
    assert today != json.loads((folder / "lock.json").read_text())["series"][str(traded.key)]
    found = verify(folder)
    assert found.difference is None
    assert found.same
    vintage = until(traded, "2019-07-01").content_hash()
    assert f"data: {traded.key} has changed in the store; read as it was ({vintage[:12]})" in found.remarks
    assert f"data: {late.key} is new in the store; left out" in found.remarks


def test_where_the_vintage_is_not_there_the_run_is_tried_on_today_and_it_says_so(
    tmp_path: Path, market: Dataset
) -> None:
    for name in ("one", "other"):
        Store(tmp_path / name).write_all(until(one, "2019-07-01") if name == "one" else lifted(one) for one in market)
    config = tmp_path / "stored.yaml"
    config.write_text(CONFIG.format(store=tmp_path / "one", traded=TRADED, cut=""), encoding="utf-8")
    folder = btcflow.run(config, out=tmp_path / "runs").folder
    locked = folder / "experiment.yaml"
    text = locked.read_text(encoding="utf-8")
    locked.write_text(text.replace(str(tmp_path / "one"), str(tmp_path / "other")), encoding="utf-8")
    found = verify(folder)
    assert not found.same
    assert f"data: {market.find(TRADED, 'ohlcv').key} is not what it was" in found.remarks
