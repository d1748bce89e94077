"""Leverage and liquidation: the ledger against a trader who counts cash and coins, and the laws."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import HOUR, ToyMarket, halving, margin_needed, reference_ledger
from toys import MONEY, START, near, toy_targets
from wild import ROWS, TIERS, flat_toy, same_bits, wild_clock, wild_market

from btcflow.engine.execution import on_clock
from btcflow.engine.ledger import Ledger, daily_equity, settle
from btcflow.engine.market import Market
from btcflow.engine.trades import trades
from btcflow.errors import BadRecords, ConfigError

law = settings(derandomize=True, max_examples=150, deadline=None)
seeds = st.integers(0, 2**31)
leverages = st.sampled_from([1.0, 2.0, 5.0, 10.0, 25.0, 60.0, 100.0])


def a_long(lows: list[float], opens: list[float] | None = None, **market: object) -> Ledger:
    """1,000 of capital, ten times levered, bought at 100 in the first bar; no costs but what is asked."""
    opens = opens or [100.0] * len(lows)
    toy = flat_toy(opens, opens, lows, [max(opens)] * len(opens))
    known = {"fee": 0.0, "slippage": 0.0, "leverage": 10.0, "capital": 1_000.0, **market}
    return settle(np.ones(len(lows)), wild_clock(toy), Market(**known))


# ---------------------------------------------------------------- oracle


@law
@given(
    seed=seeds,
    bars=st.integers(1, 60),
    delay=st.integers(0, 3),
    fee=st.sampled_from([0.0, 0.0005, 0.01]),
    slippage=st.sampled_from([0.0, 0.0002, 0.02]),
    leverage=leverages,
    tiers=st.sampled_from(TIERS),
    liquidation_fee=st.sampled_from([0.0, 0.005, 0.02]),
)
def test_every_row_equals_the_trader_with_cash_and_coins(
    seed, bars, delay, fee, slippage, leverage, tiers, liquidation_fee
):
    toy = wild_market(seed, bars)
    clock = wild_clock(toy)
    market = Market(
        fee=fee,
        slippage=slippage,
        delay=delay,
        leverage=leverage,
        capital=5_000.0,
        maintenance=tiers,
        liquidation_fee=liquidation_fee,
    )
    random = np.random.default_rng(seed + 1)
    decided = np.sort(START + random.integers(-5 * HOUR, (bars + 5) * HOUR, 20))
    path = on_clock(random.choice([-1.0, -0.25, 0.0, 0.7, 1.0], size=20), decided, clock, delay=delay)
    ledger = settle(path, clock, market)
    rows, ruined = reference_ledger(
        toy,
        path[:, 0].tolist(),
        capital=5_000.0,
        gross=leverage,
        fee=fee,
        slippage=slippage,
        tiers=tiers,
        liquidation_fee=liquidation_fee,
    )
    for name in ROWS:
        assert near(getattr(ledger, name)[:, 0], [getattr(row, name) for row in rows]), name
    assert ledger.ruined.tolist() == [ruined]
    events = ledger.orders.where(ledger.orders.liquidation)
    assert events.row.tolist() == [i for i, row in enumerate(rows) if row.liquidated_at is not None]
    assert near(events.fill, [row.liquidated_at for row in rows if row.liquidated_at is not None])


def test_the_random_markets_liquidate_in_every_way():
    """By a gap, at L inside a bar, at an open short of margin, by an order's costs, by funding; not always to ruin."""
    seen = dict.fromkeys(("gap", "inside", "open", "costs", "close", "survived"), 0)
    for seed in range(60):
        clock = wild_clock(wild_market(seed, 60))
        market = Market(
            leverage=[3.0, 10.0, 100.0][seed % 3],
            slippage=[0.0, 0.02][seed % 2],
            maintenance=TIERS[seed % 3],
            capital=2_000.0,
            liquidation_fee=0.001,
        )
        ledger = settle(toy_targets(seed, len(clock), 2), clock, market)
        seen["survived"] += int((ledger.liquidations > ledger.ruined).sum())
        events = ledger.orders.where(ledger.orders.liquidation)
        for column, row, fill, left in zip(events.column, events.row, events.fill, events.equity, strict=True):
            ordered = bool(((ledger.orders.row == row) & (ledger.orders.column == column)).sum() > 1)
            if fill == clock.open[row]:
                seen["open"] += 1
            elif left > 0:
                seen["inside"] += 1
            elif ledger.funding[row, column]:
                seen["close"] += 1
            else:
                seen["costs" if ordered else "gap"] += 1
    assert min(seen.values()) > 2, seen


@law
@given(notional=st.floats(0.0, 1e7), tiers=st.sampled_from(TIERS))
def test_the_margin_of_the_tiers_is_continuous_and_equals_their_parts(notional, tiers):
    offset, needs = 0.0, []
    for k, (floor, rate) in enumerate(tiers):
        offset += floor * (rate - tiers[k - 1][1]) if k else 0.0
        needs.append(rate * notional - offset)
    assert near(max(needs), margin_needed(notional, tiers))


# ---------------------------------------------------------------- laws


@law
@given(seed=seeds, bars=st.integers(1, 60), leverage=leverages, tiers=st.sampled_from(TIERS))
def test_equity_never_is_negative_and_every_bar_adds_up(seed, bars, leverage, tiers):
    clock = wild_clock(wild_market(seed, bars))
    market = Market(leverage=leverage, maintenance=tiers, capital=1_000.0, liquidation_fee=0.003, slippage=0.02)
    ledger = settle(toy_targets(seed, len(clock), 4), clock, market)
    assert (ledger.equity >= 0.0).all()
    before = np.vstack([np.full((1, 4), 1_000.0), ledger.equity[:-1]])
    assert near(sum(getattr(ledger, name) for name in MONEY), ledger.equity - before)
    assert (ledger.fees <= 0).all()
    for k in range(4):
        over = ledger.equity[:, k] == 0.0
        assert ledger.ruined[k] == over.any()
        if over.any():
            assert ledger.ruined_at[k] == np.argmax(over)
            assert over[ledger.ruined_at[k] :].all()
            assert (ledger.orders.row[ledger.orders.column == k] <= ledger.ruined_at[k]).all()
            assert not ledger.quantity[ledger.ruined_at[k] :, k].any()


@law
@given(seed=seeds, bars=st.integers(1, 60), cut=st.integers(0, 60), delay=st.integers(0, 2))
def test_cutting_time_commutes_with_liquidation(seed, bars, cut, delay):
    clock = wild_clock(wild_market(seed, bars))
    instant = pd.Timestamp(START + cut * HOUR, tz="UTC")
    random = np.random.default_rng(seed)
    decided = np.sort(START + random.integers(0, bars * HOUR, 15))
    wanted = random.choice([-1.0, 0.0, 0.5, 1.0], size=15)
    known = decided <= instant.value
    market = Market(leverage=25.0, maintenance=TIERS[2], liquidation_fee=0.001)
    whole = settle(on_clock(wanted, decided, clock, delay=delay), clock, market)
    short = clock.upto(instant)
    part = settle(on_clock(wanted[known], decided[known], short, delay=delay), short, market)
    assert same_bits(part, whole.head(len(short)))


@law
@given(seed=seeds, bars=st.integers(1, 60), power=st.integers(-6, 6), leverage=leverages)
def test_another_unit_of_price_or_more_capital_with_scaled_tiers_changes_no_return(seed, bars, power, leverage):
    toy, factor = wild_market(seed, bars), 2.0**power  # exact in binary
    dear = ToyMarket(
        toy.opened,
        [price * factor for price in toy.open],
        [price * factor for price in toy.close],
        [(instant, amount * factor) for instant, amount in toy.settlements],
        [price * factor for price in toy.low],
        [price * factor for price in toy.high],
        toy.volume,
    )
    scaled = tuple((floor * factor, rate) for floor, rate in TIERS[2])
    market = Market(leverage=leverage, maintenance=TIERS[2], liquidation_fee=0.001, capital=1_000.0)
    rich = replace(market, capital=1_000.0 * factor, maintenance=scaled)
    targets = toy_targets(seed, len(toy.opened), 3)
    one, other = settle(targets, wild_clock(toy), market), settle(targets, wild_clock(toy), rich)
    assert (one.equity * factor == other.equity).all()
    assert (one.liquidations == other.liquidations).all()
    priced = settle(targets, wild_clock(dear), market)
    assert (one.equity == priced.equity).all()
    assert (one.quantity == priced.quantity * factor).all()


@law
@given(seed=seeds, bars=st.integers(1, 60))
def test_a_long_without_leverage_funding_or_costs_never_is_liquidated(seed, bars):
    toy = wild_market(seed, bars, step=0.3)
    toy.settlements = []
    targets = np.abs(toy_targets(seed, len(toy.opened), 3))
    ledger = settle(targets, wild_clock(toy), Market(fee=0.0, slippage=0.0))
    assert not ledger.liquidations.any()
    assert (ledger.equity > 0).all()


@law
@given(seed=seeds, bars=st.integers(1, 60), leverage=leverages)
def test_the_daily_summary_counts_what_the_ledger_lists(seed, bars, leverage):
    clock = wild_clock(wild_market(seed, bars))
    market = Market(leverage=leverage, maintenance=TIERS[2], liquidation_fee=0.001)
    targets = toy_targets(seed, len(clock), 3)
    cuts = np.array([[0, len(clock)], [len(clock) // 2, len(clock)]])
    ledger, daily = settle(targets, clock, market), daily_equity(targets, clock, market, segments=cuts)
    assert (daily.liquidations[0] == ledger.liquidations).all()
    assert (daily.ruined_at == ledger.ruined_at).all()
    assert (daily.end_equity[0] == ledger.equity[-1]).all()
    for at, (first, _) in enumerate(cuts):
        late = ledger.orders.row >= first
        events = ledger.orders.where(late & ledger.orders.liquidation)
        assert (daily.liquidations[at] == events.counts(3)).all()
        orders, traded = ledger.orders.where(late), ledger.traded[late]
        sums = [
            float(np.sum((traded / np.where(orders.equity > 0, orders.equity, np.inf))[orders.column == k]))
            for k in range(3)
        ]
        assert near(daily.turnover[at], sums)


@law
@given(seed=seeds, bars=st.integers(1, 60), leverage=leverages)
def test_trades_with_liquidations_sum_to_the_ledger(seed, bars, leverage):
    clock = wild_clock(wild_market(seed, bars))
    market = Market(leverage=leverage, maintenance=TIERS[2], liquidation_fee=0.001)
    ledger = settle(toy_targets(seed, len(clock), 2), clock, market)
    for k in range(2):
        table = trades(ledger, k)
        for name in MONEY:
            assert near(table[name].sum(), getattr(ledger, name)[:, k].sum()), name
        assert table["liquidated"].sum() == ledger.liquidations[k]
        assert table["bars"].sum() == np.count_nonzero(ledger.quantity[:, k])
        assert table["exit_time"].isna().tolist() == table["open"].tolist()


# ---------------------------------------------------------------- by hand


def test_a_ten_times_levered_long_is_closed_where_its_margin_ends():
    ledger = a_long([100.0, 90.5, 50.0], liquidation_fee=0.002)
    # 100 BTC for 10,000; equity at p is 1000 + 100 (p - 100); margin 0.005 * 100 p: they meet at 9000 / 99.5.
    stop = 9_000.0 / 99.5
    assert ledger.quantity[:, 0].tolist() == [100.0, 100.0, 0.0]
    assert near(ledger.price_pnl[:, 0], [0.0, 0.0, 100 * (stop - 100)])
    assert near(ledger.fees[:, 0], [0.0, 0.0, -0.002 * 100 * stop])
    assert near(ledger.equity[-1, 0], 0.003 * 100 * stop)
    assert not ledger.ruined.any()
    table = trades(ledger)
    assert table[["liquidated", "open", "bars"]].to_numpy().tolist() == [[True, False, 2]]
    assert near(table[["exit_open", "exit_fill", "net"]], [[stop, stop, 0.003 * 100 * stop - 1_000.0]])


def test_a_margin_that_is_all_fee_leaves_exactly_nothing():
    ledger = a_long([100.0, 90.0, 100.0])
    assert ledger.equity[:, 0].tolist() == [1_000.0, 0.0, 0.0]
    assert ledger.ruined_at.tolist() == [1]
    assert near(ledger.fees.sum(), -0.005 * 100 * 9_000.0 / 99.5)


def test_a_gap_beyond_the_equity_costs_the_equity_and_no_more():
    ledger = a_long([100.0, 70.0], opens=[100.0, 80.0])
    assert ledger.price_pnl[:, 0].tolist() == [0.0, -1_000.0]
    assert ledger.fees.tolist() == [[0.0], [0.0]]
    assert near(ledger.orders.fill, [100.0, 90.0])
    assert ledger.equity[-1, 0] == 0.0
    assert ledger.ruined_at.tolist() == [1]


def test_the_open_decides_over_a_gap_though_the_mark_and_the_close_are_safe():
    toy = flat_toy([100.0, 80.0], [100.0, 99.0], [100.0, 95.0], [100.0, 100.0])
    market = Market(fee=0.0, slippage=0.0, leverage=10.0, capital=1_000.0)
    ledger = settle(np.ones(2), wild_clock(toy), market)
    assert ledger.equity[:, 0].tolist() == [1_000.0, 0.0]


def test_a_gap_into_the_margin_is_closed_at_the_open():
    ledger = a_long([100.0, 80.0], opens=[100.0, 90.2], liquidation_fee=0.0)
    assert near(ledger.orders.fill, [100.0, 90.2])
    assert near(ledger.equity[-1, 0], 20.0)


def test_after_a_liquidation_nothing_is_held_until_the_target_changes():
    lows = [100.0, 90.0, 100.0, 100.0, 100.0]
    toy = flat_toy([100.0] * 5, [100.0] * 5, lows, [100.0] * 5)
    market = Market(fee=0.0, slippage=0.0, leverage=10.0, capital=1_000.0, liquidation_fee=0.0)
    ledger = settle(np.array([1.0, 1.0, 1.0, 0.5, 0.5]), wild_clock(toy), market)
    left = 0.5 * 9_000.0 / 99.5
    assert near(ledger.quantity[:, 0], [100.0, 0.0, 0.0, 0.05 * left, 0.05 * left])
    assert ledger.liquidations.tolist() == [1]
    assert trades(ledger)["liquidated"].tolist() == [True, False]


def test_a_short_meets_its_margin_above_and_the_mark_decides():
    toy = flat_toy([100.0, 100.0], [100.0, 100.0], [100.0, 100.0], [100.0, 109.9])
    clock = wild_clock(toy)
    market = Market(fee=0.0, slippage=0.0, leverage=10.0, capital=1_000.0, liquidation_fee=0.0)
    short = -np.ones(2)
    assert near(settle(short, clock, market).orders.fill, [100.0, 11_000.0 / 100.5])
    calm = replace(clock, high=np.array([100.0, 109.9]), mark_high=np.array([100.0, 109.0]))
    assert settle(short, calm, market).liquidations.tolist() == [0]
    assert settle(short, replace(calm, mark_high=None), market).liquidations.tolist() == [1]


def test_a_higher_tier_is_met_earlier():
    tiers = ((0.0, 0.005), (4_000.0, 0.05))
    low = [100.0, 50.0]
    one, two = (a_long(low, maintenance=tier, liquidation_fee=0.0).orders.fill[1] for tier in (TIERS[0], tiers))
    # Margin of the second tier: 0.05 n - 4000 * 0.045.
    assert near([one, two], [9_000.0 / 99.5, (9_000.0 - 180.0) / 95.0])
    assert near(two, halving(100.0, 50.0, lambda p: 100 * p - 9_000 > margin_needed(100 * p, tiers)))


def test_an_entry_whose_costs_exceed_the_equity_is_taken_over_at_once():
    ledger = a_long([100.0, 100.0], fee=0.1, slippage=0.05)
    assert ledger.equity[:, 0].tolist() == [0.0, 0.0]
    assert ledger.ruined_at.tolist() == [0]
    assert ledger.liquidations.tolist() == [1]
    assert trades(ledger)["bars"].tolist() == [0]


def test_what_closing_costs_beyond_the_equity_is_not_collected():
    toy = flat_toy([100.0, 91.0], [100.0, 91.0], [100.0, 91.0], [100.0, 100.0])
    market = Market(fee=0.0, slippage=0.02, leverage=10.0, capital=1_200.0)
    ledger = settle(np.array([1.0, 0.0]), wild_clock(toy), market)  # buys 120 for 240; 1200 - 240 - 1080 < 0
    assert ledger.equity[-1, 0] == 0.0
    spot_like = settle(np.array([0.5, 0.0]), wild_clock(toy), replace(market, slippage=0.045))
    # 60 BTC for 270; at 91 the equity is 1200 - 270 - 540 = 390, and selling would slip by 245.7.
    assert near(spot_like.equity[-1, 0], 390.0 - 60 * 91 * 0.045)
    dear = settle(np.array([0.5, 0.0]), wild_clock(toy), replace(market, slippage=0.045, fee=0.04))
    # Its fee of 250.8 leaves 139.2: all of it goes to slippage.
    assert near(dear.slippage[1, 0], -(1_200 - 270 - 540 - 0.04 * 60 * 104.5))
    assert dear.fees[1, 0] == 0.0
    assert dear.equity[1, 0] == 0.0
    assert dear.ruined_at.tolist() == [1]
    assert dear.liquidations.tolist() == [0]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"maintenance": ()}, "expected one tier or more"),
        ({"maintenance": ((1.0, 0.01),)}, "the first tier from 0"),
        ({"maintenance": ((0.0, 0.0),)}, "a rate between 0 and 1"),
        ({"maintenance": ((0.0, 0.01), (5.0, 1.0))}, "a rate between 0 and 1"),
        ({"maintenance": ((0.0, 0.01), (0.0, 0.02))}, "rising"),
        ({"maintenance": ((0.0, 0.01), (5.0, 0.01))}, "rising"),
        ({"maintenance": ((0.0, float("nan")),)}, "a rate between 0 and 1"),
        ({"liquidation_fee": 0.11}, "from 0 to 0.1"),
        ({"twap": 0}, "whole number of clock bars, 1 or more"),
        ({"twap": 2.0}, "whole number of clock bars, 1 or more"),
        ({"twap": True}, "whole number of clock bars, 1 or more"),
        ({"impact": -0.1}, "0 or more"),
        ({"impact": float("inf")}, "0 or more"),
        ({"min_notional": -1.0}, "0 or more"),
    ],
)
def test_a_market_that_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=f"market.{next(iter(wrong))} is .*{said}"):
        Market(**wrong)


def test_an_extreme_that_is_no_price_is_refused():
    clock = wild_clock(wild_market(1, 30))
    low = np.array(clock.worst_low)
    low[3] = np.nan
    with pytest.raises(BadRecords, match=r"lowest price is nan at .*clock row 3"):
        settle(np.zeros(len(clock)), replace(clock, mark_low=low), Market())
