"""Orders in parts, impact, and orders too small to be placed: the loop, the laws, and by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import HOUR, ToyMarket, reference_ledger
from toys import MONEY, START, near, toy_targets
from wild import ROWS, TIERS, same_bits, wild_clock, wild_market

from btcflow.clock import Clock
from btcflow.engine.ledger import daily_equity, settle
from btcflow.engine.market import Market
from btcflow.engine.trades import trades
from btcflow.errors import BadRecords, ConfigError

law = settings(derandomize=True, max_examples=150, deadline=None)
seeds = st.integers(0, 2**31)
realism = st.fixed_dictionaries(
    {
        "twap": st.sampled_from([1, 2, 3, 7]),
        "impact": st.sampled_from([0.0, 0.001, 0.05]),
        "min_notional": st.sampled_from([0.0, 500.0, 3_000.0]),
    }
)
FREE = {"fee": 0.0, "slippage": 0.0, "capital": 1_000.0}


def steady(prices: list[float], volume: float = 100.0) -> Clock:
    """Bars that open and close at each price."""
    opened = [START + i * HOUR for i in range(len(prices))]
    return wild_clock(ToyMarket(opened, prices, prices, low=prices, high=prices, volume=[volume] * len(prices)))


# ---------------------------------------------------------------- oracle and laws


@law
@given(
    seed=seeds,
    bars=st.integers(1, 60),
    costs=st.sampled_from([(0.0, 0.0), (0.0005, 0.0002), (0.01, 0.02)]),
    leverage=st.sampled_from([1.0, 3.0, 25.0, 100.0]),
    tiers=st.sampled_from(TIERS),
    terms=realism,
)
def test_every_row_equals_the_trader_with_cash_and_coins(seed, bars, costs, leverage, tiers, terms):
    toy = wild_market(seed, bars)
    fee, slippage = costs
    market = Market(fee=fee, slippage=slippage, leverage=leverage, capital=5_000.0, maintenance=tiers, **terms)
    targets = toy_targets(seed, len(toy.opened), 1)
    ledger = settle(targets, wild_clock(toy), market)
    rows, ruined = reference_ledger(
        toy, targets[:, 0].tolist(), capital=5_000.0, gross=leverage, fee=fee, slippage=slippage, tiers=tiers, **terms
    )
    for name in ROWS:
        assert near(getattr(ledger, name)[:, 0], [getattr(row, name) for row in rows]), name
    assert ledger.ruined.tolist() == [ruined]
    assert ledger.liquidations.tolist() == [sum(row.liquidated_at is not None for row in rows)]


@law
@given(seed=seeds, bars=st.integers(1, 60), terms=realism, cut=st.integers(0, 60))
def test_money_adds_up_in_bars_trades_and_days_and_commutes_with_truncation(seed, bars, terms, cut):
    clock = wild_clock(wild_market(seed, bars))
    market = Market(leverage=4.0, capital=1_000.0, **terms)
    targets = toy_targets(seed, len(clock), 2)
    ledger, daily = settle(targets, clock, market), daily_equity(targets, clock, market)
    before = np.vstack([np.full((1, 2), 1_000.0), ledger.equity[:-1]])
    assert near(sum(getattr(ledger, name) for name in MONEY), ledger.equity - before)
    assert (daily.end_equity[0] == ledger.equity[-1]).all()
    assert (daily.skipped[0] == ledger.skipped_orders).all()
    for k in range(2):
        table = trades(ledger, k)
        for name in MONEY:
            assert near(table[name].sum(), getattr(ledger, name)[:, k].sum()), name
        assert len(table) == daily.entries[0, k]
    short = clock.upto(pd.Timestamp(START + cut * HOUR, tz="UTC"))
    assert same_bits(settle(targets[: len(short)], short, market), ledger.head(len(short)))


@law
@given(seed=seeds, bars=st.integers(1, 60), fee=st.floats(0.0, 0.01), more=st.floats(0.0001, 0.01))
def test_more_fee_or_impact_never_helps(seed, bars, fee, more):
    toy = wild_market(seed, bars, step=0.005)
    toy.settlements = []
    clock, targets = wild_clock(toy), toy_targets(seed, len(toy.opened), 3) * 0.3
    cheap = settle(targets, clock, Market(fee=fee, twap=2, impact=0.001, capital=1_000.0))
    dear = settle(targets, clock, Market(fee=fee + more, twap=2, impact=0.001, capital=1_000.0))
    rough = settle(targets, clock, Market(fee=fee, twap=2, impact=0.001 + more, capital=1_000.0))
    unharmed = (cheap.liquidations + dear.liquidations + rough.liquidations) == 0
    traded = np.any(targets != 0, axis=0) & unharmed
    assert (dear.equity[-1][traded] < cheap.equity[-1][traded]).all()
    assert (rough.equity[-1][traded] < cheap.equity[-1][traded]).all()


@law
@given(seed=seeds, bars=st.integers(1, 60))
def test_one_part_no_impact_and_no_minimum_are_the_plain_market(seed, bars):
    clock = wild_clock(wild_market(seed, bars))
    targets = toy_targets(seed, len(clock), 3)
    plain = settle(targets, clock, Market())
    assert Market().plain
    same = settle(targets, replace(clock, volume=np.full(len(clock), np.nan)), Market(twap=1, impact=0.0))
    assert same_bits(plain, same)


@law
@given(seed=seeds, bars=st.integers(1, 60), power=st.integers(1, 8))
def test_a_larger_account_pays_a_larger_share_for_impact(seed, bars, power):
    toy = wild_market(seed, bars, step=0.003)
    toy.settlements = []
    clock = wild_clock(toy)
    targets = np.abs(toy_targets(seed, len(clock), 2)) * 0.9
    market = Market(impact=0.001, capital=1_000.0)
    small = settle(targets, clock, market).equity[-1] / 1_000.0
    large = settle(targets, clock, replace(market, capital=1_000.0 * 2**power)).equity[-1] / (1_000.0 * 2**power)
    traded = np.any(targets != 0, axis=0)
    assert (large[traded] < small[traded]).all()


# ---------------------------------------------------------------- by hand


def test_an_order_in_four_parts_reaches_its_goal_at_the_fourth_open():
    clock = steady([100.0, 110.0, 120.0, 130.0, 140.0])
    ledger = settle(np.ones(5), clock, Market(twap=4, **FREE))
    assert near(ledger.quantity[:, 0], [2.5, 5.0, 7.5, 10.0, 10.0])
    assert near(ledger.orders.fill, [100.0, 110.0, 120.0, 130.0])
    assert near(ledger.equity[-1, 0], 1_000.0 + 2.5 * (40 + 30 + 20 + 10))
    table = trades(ledger)
    assert len(table) == 1
    assert near(table[["quantity", "entry_open"]], [[10.0, 115.0]])


def test_a_new_target_cancels_the_parts_that_are_left():
    clock = steady([100.0] * 6)
    ledger = settle(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), clock, Market(twap=4, **FREE))
    assert near(ledger.quantity[:, 0], [2.5, 5.0, 3.75, 2.5, 1.25, 0.0])
    assert ledger.quantity[-1, 0] == 0.0


@pytest.mark.parametrize("twap", [3, 7, 10, 49])
def test_the_last_part_reaches_its_goal_to_the_bit(twap):
    clock = steady([97.3] * (2 * twap))
    ledger = settle(np.repeat([0.7, 0.0], twap), clock, Market(twap=twap, **FREE))
    assert ledger.quantity[twap - 1, 0] == 0.7 * 1_000.0 / 97.3
    assert ledger.quantity[-1, 0] == 0.0
    assert trades(ledger)["open"].tolist() == [False]


def test_a_reversal_in_three_parts_splits_in_the_part_that_passes_zero():
    clock = steady([100.0] * 5)
    market = Market(twap=3, fee=0.01, slippage=0.0, capital=1_000.0, exposure=0.5)
    ledger = settle(np.array([0.0, 1.0, 1.0, 1.0, -1.0]), clock, market)
    assert near(ledger.quantity[:, 0], [0.0, 5 / 3, 10 / 3, 5.0, 5.0 - (5.0 + 4.975) / 3])
    longer = settle(np.append([1.0] * 3, [-1.0] * 3), steady([100.0] * 6), market)
    table = trades(longer)
    assert table["side"].tolist() == ["long", "short"]
    assert table["bars"].tolist() == [4, 2]
    assert near(table["quantity"], [5.0, 4.975])
    assert near(table["fees"], [-10.0, -4.975])
    assert near(longer.quantity[-1, 0], -4.975)


def test_a_liquidation_cancels_the_parts_that_are_left():
    clock = replace(steady([100.0] * 4), mark_low=np.array([100.0, 70.0, 100.0, 100.0]))
    ledger = settle(np.ones(4), clock, Market(twap=3, leverage=9.0, liquidation_fee=0.0, **FREE))
    assert near(ledger.quantity[:, 0], [30.0, 0.0, 0.0, 0.0])
    assert ledger.liquidations.tolist() == [1]


def test_impact_is_the_square_root_of_the_share_of_volume():
    clock = steady([100.0, 100.0], volume=160.0)
    ledger = settle(np.array([1.0, 0.0]), clock, Market(impact=0.02, fee=0.0, slippage=0.01, capital=1_000.0))
    # 10 of 160 BTC: 0.02 * 0.25 = 0.005 on top of 0.01.
    assert near(ledger.orders.fill, [101.5, 98.5])
    assert near(ledger.slippage[:, 0], [-15.0, -15.0])
    quarters = settle(np.ones(4), steady([100.0] * 4, volume=160.0), Market(impact=0.02, twap=4, **FREE))
    assert near(quarters.slippage.sum(), -1_000.0 * 0.02 * 0.125)


def test_an_order_too_small_is_not_placed_but_a_close_always_is():
    clock = steady([100.0] * 6)
    targets = np.array([0.05, 0.05, 1.0, 0.96, 0.98, 0.0])
    ledger = settle(targets, clock, Market(min_notional=60.0, **FREE))
    assert near(ledger.quantity[:, 0], [0.0, 0.0, 10.0, 9.6, 9.6, 0.0])
    assert ledger.skipped.row.tolist() == [0, 4]
    assert near(ledger.skipped.size, [0.5, 0.2])
    assert ledger.skipped_orders.tolist() == [2]
    assert ledger.head(3).skipped_orders.tolist() == [1]


def test_a_reversal_too_small_leaves_the_position_as_it_is_until_it_is_closed():
    clock = steady([100.0, 50.0, 50.0, 50.0])
    targets = np.array([0.1, -0.02, -0.02, 0.0])  # buys 1 BTC; at 50 the way to -0.38 is 1.38 BTC, 69 in money
    ledger = settle(targets, clock, Market(min_notional=70.0, **FREE))
    assert near(ledger.quantity[:, 0], [1.0, 1.0, 1.0, 0.0])
    assert ledger.skipped_orders.tolist() == [1]
    assert near(settle(targets, clock, Market(min_notional=68.0, **FREE)).quantity[:, 0], [1.0, -0.38, -0.38, 0.0])


def test_a_short_of_one_sided_parts_that_are_too_small_stays_flat_until_the_target_changes():
    clock = steady([100.0] * 4)
    ledger = settle(np.array([-0.3, -0.3, -0.9, -0.9]), clock, Market(min_notional=200.0, twap=2, **FREE))
    assert near(ledger.quantity[:, 0], [0.0, 0.0, -4.5, -9.0])


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("volume", [0.0, np.nan, -1.0, np.inf])
def test_an_order_in_a_bar_without_volume_is_refused_where_impact_needs_it(volume):
    clock = steady([100.0] * 4)
    empty = np.array([100.0, volume, 100.0, 100.0])
    clock = replace(clock, volume=empty)
    for measure in (settle, daily_equity):
        with pytest.raises(BadRecords, match=rf"toy:BTCUSDT: volume is {volume} at 2024-02-28 22:00.*clock row 1"):
            measure(np.array([0.0, 1.0, 1.0, 0.0]), clock, Market(impact=0.01))
        measure(np.array([1.0, 1.0, 1.0, 0.0]), clock, Market(impact=0.01))
        measure(np.array([0.0, 1.0, 1.0, 0.0]), clock, Market())


def test_an_order_that_would_slip_by_its_whole_price_is_refused():
    clock = steady([100.0] * 3, volume=10.0)
    with pytest.raises(ConfigError, match=r"market.impact is 1.0: the order at .*clock row 1.* a volume of 10 BTC"):
        settle(np.array([0.0, 1.0, 1.0]), clock, Market(impact=1.0, **FREE))
    with pytest.raises(ConfigError, match=r"market.impact is 1.0"):
        settle(np.array([0.0, -1.0, -1.0]), clock, Market(impact=1.0, **FREE))
    assert len(settle(np.array([0.0, 0.5, 0.5]), clock, Market(impact=1.0, **FREE)).orders) == 1
