"""Capacity: the same targets with more money."""

import re
from dataclasses import replace

import numpy as np
import pytest
from oracles import HOUR, ToyMarket
from test_inverse import INVERSE
from toys import START, near, toy_market, toy_targets
from wild import wild_clock

from btcflow.engine.ledger import settle
from btcflow.engine.market import Market
from btcflow.errors import ConfigError, ContractError
from btcflow.stats.capacity import capacity
from btcflow.stats.performance import performance

CAPITALS = (1_000.0, 10_000.0, 100_000.0, 1_000_000.0)


def long_market(seed: int) -> ToyMarket:
    toy = toy_market(seed, 24 * 40, step=0.004)
    toy.low = np.minimum(toy.open, toy.close).tolist()
    toy.high = np.maximum(toy.open, toy.close).tolist()
    toy.volume = np.exp(np.random.default_rng(seed).normal(6.0, 0.5, len(toy.opened))).tolist()
    return toy


@pytest.mark.parametrize("seed", range(4))
def test_sharpe_and_return_fall_and_slippage_grows_with_capital_where_orders_have_impact(seed):
    clock = wild_clock(long_market(seed))
    targets = toy_targets(seed, len(clock), 1) * 0.2
    table = capacity(targets, clock, Market(impact=0.01), CAPITALS)
    assert table["capital"].tolist() == list(CAPITALS)
    for name in ("total_return", "sharpe", "slippage"):
        assert (np.diff(table[name]) < 0).all(), name
    free = capacity(targets, clock, Market(), CAPITALS)
    assert near(free["sharpe"], np.full(4, free["sharpe"].iloc[0]))
    assert (free["sharpe"] > table["sharpe"]).all()


@pytest.mark.parametrize("inverse", [False, True])
def test_each_row_is_what_the_ledger_of_that_capital_says(inverse):
    clock = wild_clock(long_market(3))
    if inverse:
        clock = replace(clock, instrument=INVERSE, funding=clock.funding / 30_000.0**2)
    targets = toy_targets(3, len(clock), 1)
    market = Market(impact=0.002, min_notional=1_500.0, leverage=2.0)
    table = capacity(targets, clock, market, CAPITALS[:2])
    for row, capital in enumerate(CAPITALS[:2]):
        ledger = settle(targets, clock, replace(market, capital=capital))
        if not inverse:
            numbers = performance(ledger)
            same = table.loc[row, ["total_return", "sharpe", "max_drawdown", "slippage"]].tolist()
            assert near(same, [numbers.total_return, numbers.sharpe, numbers.max_drawdown, numbers.slippage_fraction])
        assert near(table.loc[row, "total_return"], ledger.equity[-1, 0] / ledger.capital - 1.0)
        assert table.loc[row, "skipped_orders"] == ledger.skipped_orders[0]
        assert table.loc[row, "liquidations"] == ledger.liquidations[0]
    assert table["skipped_orders"].iloc[0] > table["skipped_orders"].iloc[1]


def test_a_capital_too_large_for_the_market_has_a_row_that_says_why_and_no_numbers():
    opened = [START + i * HOUR for i in range(3)]
    prices = [100.0] * 3
    clock = wild_clock(ToyMarket(opened, prices, prices, low=prices, high=prices, volume=[10.0] * 3))
    table = capacity(np.ones(3), clock, Market(impact=1.0), [1.0, 1e9])
    small, large = table.to_dict("records")
    assert not small["refused"]
    assert small["total_return"] < 0
    assert re.match(r"market.impact is 1.0: the order at .* lower market.capital", large["refused"])
    assert large["capital"] == 1e9
    assert all(np.isnan(large[name]) for name in ("total_return", "sharpe", "max_drawdown", "slippage"))
    assert (large["skipped_orders"], large["liquidations"]) == (0, 0)


def test_capitals_that_make_no_sense_and_batches_are_refused():
    opened = [START + i * HOUR for i in range(3)]
    prices = [100.0] * 3
    clock = wild_clock(ToyMarket(opened, prices, prices, low=prices, high=prices, volume=[10.0] * 3))
    with pytest.raises(ConfigError, match="capacity: no capitals"):
        capacity(np.ones(3), clock, Market(), [])
    with pytest.raises(ConfigError, match=r"market.capital is -1.0"):
        capacity(np.ones(3), clock, Market(), [-1.0])
    with pytest.raises(ContractError, match=r"shape \(3, 2\), expected \(3,\)"):
        capacity(np.ones((3, 2)), clock, Market(), [1.0])
