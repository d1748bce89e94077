from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import HOUR, ToyMarket, reference_ledger, targets_on_clock, worst_drawdown
from toys import MONEY, START, clock_of, near, toy_market, toy_targets
from wild import ROWS, same_bits

from btcflow.engine.execution import fill_rows, on_clock
from btcflow.engine.ledger import daily_equity, midnights, settle
from btcflow.engine.market import Market
from btcflow.engine.trades import trades
from btcflow.errors import BadRecords, ConfigError, ContractError
from btcflow.instrument import Instrument

FREE = Market(fee=0.0, slippage=0.0)

law = settings(derandomize=True, max_examples=60, deadline=None)
seeds = st.integers(0, 2**31)


# ---------------------------------------------------------------- oracle


@law
@given(
    seed=seeds,
    bars=st.integers(1, 60),
    delay=st.integers(0, 3),
    fee=st.sampled_from([0.0, 0.0005, 0.01]),
    slippage=st.sampled_from([0.0, 0.0002, 0.02]),
    leverage=st.sampled_from([1.0, 3.0, 25.0]),
    exposure=st.sampled_from([0.5, 1.0]),
)
def test_every_row_equals_the_loop_with_cash_and_coins(seed, bars, delay, fee, slippage, leverage, exposure):
    toy = toy_market(seed, bars)
    clock = clock_of(toy)
    market = Market(fee=fee, slippage=slippage, delay=delay, leverage=leverage, exposure=exposure, capital=5_000.0)
    random = np.random.default_rng(seed + 1)
    decided = np.sort(START + random.integers(-5 * HOUR, (bars + 5) * HOUR, 20))
    decided[::3] = decided[::3] // HOUR * HOUR  # on the hour too
    decided = np.sort(decided)
    wanted = random.choice([-1.0, -0.25, 0.0, 0.7, 1.0], size=20)

    path = on_clock(wanted, decided, clock, delay=delay)
    assert path[:, 0].tolist() == targets_on_clock(toy.opened, list(zip(decided.tolist(), wanted, strict=True)), delay)

    ledger = settle(path, clock, market)
    rows, ruined = reference_ledger(
        toy, path[:, 0].tolist(), capital=5_000.0, gross=exposure * leverage, fee=fee, slippage=slippage
    )
    for name in ROWS:
        assert near(getattr(ledger, name)[:, 0], [getattr(row, name) for row in rows]), name
    assert ledger.ruined.tolist() == [ruined]


def test_the_random_markets_do_ruin_some_columns():
    outcomes = []
    for seed in range(40):
        toy = toy_market(seed, 60)
        path = toy_targets(seed, len(toy.opened), 1)
        outcomes.append(bool(settle(path, clock_of(toy), Market(leverage=25.0)).ruined[0]))
    assert 5 < sum(outcomes) < 40


# ---------------------------------------------------------------- laws


@law
@given(seed=seeds, bars=st.integers(1, 60), leverage=st.sampled_from([1.0, 4.0]))
def test_price_funding_fees_and_slippage_are_the_change_in_equity(seed, bars, leverage):
    clock = clock_of(toy_market(seed, bars))
    ledger = settle(toy_targets(seed, len(clock), 4), clock, Market(leverage=leverage))
    before = np.vstack([np.full((1, 4), 100_000.0), ledger.equity[:-1]])
    parts = sum(getattr(ledger, name) for name in MONEY)
    assert near(parts, ledger.equity - before)
    assert near(parts.sum(axis=0), ledger.equity[-1] - 100_000.0)
    assert near(ledger.net, parts)
    assert (ledger.fees <= 0).all()
    assert (ledger.slippage <= 0).all()


@law
@given(seed=seeds, bars=st.integers(1, 60))
def test_each_column_alone_equals_the_batch_bit_for_bit(seed, bars):
    clock = clock_of(toy_market(seed, bars))
    targets = toy_targets(seed, len(clock), 11)
    batch, daily = settle(targets, clock, Market()), daily_equity(targets, clock, Market())
    for k in range(11):
        assert same_bits(settle(targets[:, k], clock, Market()), batch.column(k))
        alone = daily_equity(targets[:, k : k + 1], clock, Market())
        assert alone.equity[:, 0].tobytes() == daily.equity[:, k].tobytes()
        assert alone.max_drawdown[0, 0] == daily.max_drawdown[0, k]


@law
@given(seed=seeds, bars=st.integers(1, 60), cut=st.integers(0, 60), delay=st.integers(0, 2))
def test_cutting_time_commutes_with_settling(seed, bars, cut, delay):
    clock = clock_of(toy_market(seed, bars))
    instant = pd.Timestamp(START + cut * HOUR, tz="UTC")
    random = np.random.default_rng(seed)
    decided = np.sort(START + random.integers(0, bars * HOUR, 15))
    wanted = random.choice([-1.0, 0.0, 0.5, 1.0], size=15)
    known = decided <= instant.value

    whole = settle(on_clock(wanted, decided, clock, delay=delay), clock, Market(leverage=9.0))
    short = clock.upto(instant)
    part = settle(on_clock(wanted[known], decided[known], short, delay=delay), short, Market(leverage=9.0))
    assert same_bits(part, whole.head(len(short)))


@law
@given(seed=seeds, bars=st.integers(1, 60))
def test_a_flat_target_moves_no_money(seed, bars):
    clock = clock_of(toy_market(seed, bars))
    ledger = settle(np.zeros((len(clock), 2)), clock, Market())
    assert (ledger.equity == 100_000.0).all()
    assert not any(getattr(ledger, name).any() for name in (*MONEY, "quantity"))
    assert len(ledger.orders) == 0
    assert not np.signbit(ledger.price_pnl).any()
    assert not np.signbit(ledger.funding).any()


@law
@given(seed=seeds, bars=st.integers(1, 60), fee=st.floats(0.0, 0.01), more=st.floats(0.0001, 0.01))
def test_a_higher_fee_or_slippage_never_helps(seed, bars, fee, more):
    clock = clock_of(toy_market(seed, bars, step=0.01))
    targets = toy_targets(seed, len(clock), 3)
    cheap = settle(targets, clock, Market(fee=fee, slippage=0.0)).equity[-1]
    dear = settle(targets, clock, Market(fee=fee + more, slippage=0.0)).equity[-1]
    slow = settle(targets, clock, Market(fee=fee, slippage=more)).equity[-1]
    traded = np.any(targets != 0, axis=0)
    assert (dear[traded] < cheap[traded]).all()
    assert (slow[traded] < cheap[traded]).all()


@law
@given(seed=seeds, bars=st.integers(3, 60))
def test_a_long_and_a_short_without_costs_sum_to_zero(seed, bars):
    clock = clock_of(toy_market(seed, bars))
    entry, exit_ = np.sort(np.random.default_rng(seed).integers(0, len(clock) + 1, 2))
    path = np.zeros((len(clock), 1))
    path[entry:exit_] = 1.0
    both = settle(np.hstack([path, -path]), clock, FREE)
    for name in ("quantity", "price_pnl", "funding"):
        values = getattr(both, name)
        assert (values[:, 0] == -values[:, 1]).all(), name
    assert near(both.equity.sum(axis=1), np.full(len(clock), 200_000.0))


def test_one_eight_hour_settlement_equals_eight_hourly_ones_at_constant_price():
    opened = [START + i * HOUR for i in range(24)]
    once = [(START + i * HOUR, 0.0008 * 50_000.0) for i in range(8, 25, 8)]
    hourly = [(START + i * HOUR, 0.0001 * 50_000.0) for i in range(1, 25)]
    path = np.column_stack([np.ones(24), -np.ones(24)])
    paid = []
    for events in (once, hourly):
        ledger = settle(path, clock_of(ToyMarket(opened, [50_000.0] * 24, [50_000.0] * 24, events)), FREE)
        paid.append(ledger.equity[7::8])
    assert near(*paid)
    assert near(paid[0][-1], [100_000.0 - 240.0, 100_000.0 + 240.0])


@law
@given(seed=seeds, bars=st.integers(1, 60), power=st.integers(-6, 6))
def test_prices_in_another_currency_unit_change_quantities_and_nothing_else(seed, bars, power):
    toy = toy_market(seed, bars)
    factor = 2.0**power  # exact in binary
    scaled = ToyMarket(
        toy.opened,
        [price * factor for price in toy.open],
        [price * factor for price in toy.close],
        [(instant, amount * factor) for instant, amount in toy.settlements],
    )
    targets = toy_targets(seed, len(toy.opened), 3)
    one, other = (settle(targets, clock_of(market), Market(leverage=2.0)) for market in (toy, scaled))
    assert (one.equity == other.equity).all()
    assert (one.quantity == other.quantity * factor).all()


@law
@given(seed=seeds, bars=st.integers(1, 60), capital=st.sampled_from([1.0, 12_345.6, 1e9]))
def test_returns_do_not_depend_on_the_capital(seed, bars, capital):
    clock = clock_of(toy_market(seed, bars))
    targets = toy_targets(seed, len(clock), 3)
    one, other = (settle(targets, clock, Market(capital=amount)).equity / amount for amount in (100_000.0, capital))
    assert near(one, other)


@law
@given(seed=seeds, bars=st.integers(1, 200), leverage=st.sampled_from([1.0, 12.0]))
def test_the_daily_summary_equals_the_ledger(seed, bars, leverage):
    clock = clock_of(toy_market(seed, bars))
    market, targets = Market(leverage=leverage), toy_targets(seed, len(clock), 3)
    random = np.random.default_rng(seed)
    edges = np.array([np.sort(random.choice(len(clock) + 1, 2, replace=False)) for _ in range(6)])
    ledger, daily = settle(targets, clock, market), daily_equity(targets, clock, market, segments=edges)
    assert (daily.ruined_at == ledger.ruined_at).all()
    for row, day in enumerate(daily.days):
        closed = [i for i, instant in enumerate(clock.closes_at) if instant <= day]
        expected = ledger.equity[closed[-1]] if closed else np.full(3, 100_000.0)
        assert (daily.equity[row] == expected).all()
    for at, (start, end) in enumerate(edges):
        for name in MONEY:
            expected = getattr(ledger, name)[start:end].sum(axis=0)
            assert np.allclose(getattr(daily, name)[at], expected, rtol=1e-12, atol=1e-7), name
        assert (daily.start_equity[at] == ledger.equity_before(start)).all()
        assert (daily.end_equity[at] == ledger.equity[end - 1]).all()
        assert near(daily.exposure[at], np.mean(ledger.quantity[start:end] != 0, axis=0))
        for k in range(3):
            begun = trades(ledger, k)["entry_time"]
            within = (begun >= clock.index[start]) & (begun <= clock.index[end - 1])
            assert daily.entries[at, k] == within.sum()
            path = [daily.start_equity[at, k], *ledger.equity[start:end, k]]
            if path[0] > 0:
                assert near(daily.max_drawdown[at, k], worst_drawdown(path))
            else:
                assert np.isnan(daily.max_drawdown[at, k])
            made = ledger.orders.where(ledger.orders.column == k)
            made = made.where((made.row >= start) & (made.row < end) & (made.equity > 0))
            assert near(daily.turnover[at, k], np.sum(np.abs(made.size) * made.fill / made.equity))


def test_days_sum_the_hourly_rows():
    clock = clock_of(toy_market(5, 24 * 12))
    targets = toy_targets(5, len(clock), 2)
    ledger, daily = settle(targets, clock, Market()), daily_equity(targets, clock, Market())
    hourly = pd.DataFrame(ledger.net, index=clock.index).groupby(clock.index.floor("D")).sum()
    whole = hourly.loc[pd.to_datetime(daily.days[:-1], utc=True)]
    assert near(whole.to_numpy(), np.diff(daily.equity, axis=0))
    assert len(daily.days) == 12
    assert near(daily.returns, daily.equity[1:] / daily.equity[:-1] - 1)


def test_a_clock_that_opens_at_midnight_starts_its_first_day_with_the_capital():
    midnight = pd.Timestamp("2024-03-01", tz="UTC").value
    opened = [midnight + i * HOUR for i in range(48)]
    clock = clock_of(ToyMarket(opened, [100.0] * 48, [100.0] * 47 + [110.0]))
    days, rows = midnights(clock, 0, 48)
    assert rows.tolist() == [-1, 23, 47]
    assert days.tolist() == [midnight, midnight + 24 * HOUR, midnight + 48 * HOUR]
    assert near(daily_equity(np.ones(48), clock, FREE).equity[:, 0], [100_000.0, 100_000.0, 110_000.0])


def test_the_last_midnight_of_many_years_is_there():
    midnight = pd.Timestamp("2017-01-01", tz="UTC").value
    count = 24 * 1940
    clock = clock_of(ToyMarket([midnight + i * HOUR for i in range(count)], [100.0] * count, [100.0] * count))
    days, rows = midnights(clock, 0, count)
    assert len(days) == 1941
    assert days[-1] == clock.closes_at[-1]
    assert rows[-1] == count - 1


# ---------------------------------------------------------------- trades


@law
@given(seed=seeds, bars=st.integers(1, 60), leverage=st.sampled_from([1.0, 12.0]))
def test_trades_sum_to_the_ledger(seed, bars, leverage):
    clock = clock_of(toy_market(seed, bars))
    ledger = settle(toy_targets(seed, len(clock), 2), clock, Market(leverage=leverage))
    for k in range(2):
        table = trades(ledger, k)
        for name in MONEY:
            assert near(table[name].sum(), getattr(ledger, name)[:, k].sum()), name
        assert near(table["net"].sum(), ledger.equity[-1, k] - 100_000.0)
        assert table["bars"].sum() == np.count_nonzero(ledger.quantity[:, k])
        assert table["exit_time"].isna().tolist() == table["open"].tolist()
        assert table["open"].sum() == (ledger.quantity[-1, k] != 0)
        following = table["entry_time"].to_numpy()[1:]
        assert (table["exit_time"].to_numpy()[:-1] <= following).all()


def test_a_reversal_splits_its_fee_by_the_quantity_that_closes_and_opens():
    clock = clock_of(
        ToyMarket([START + i * HOUR for i in range(4)], [100.0, 100.0, 200.0, 200.0], [100.0, 150.0, 200.0, 100.0])
    )
    market = Market(fee=0.01, slippage=0.0, capital=1_000.0)
    ledger = settle(np.array([0.0, 1.0, -0.5, -0.5]), clock, market)
    # Buys 10 at 100 for a fee of 10; equity at 200 is 2990 - 1000 = 1990, so it sells 10 + 4.975.
    table = trades(ledger)
    assert table["side"].tolist() == ["long", "short"]
    assert near(table["quantity"], [10.0, 4.975])
    assert near(table["fees"], [-(10.0 + 20.0), -0.01 * 4.975 * 200.0])
    assert near(table["price_pnl"], [1_000.0, 497.5])
    assert near(table["return"], [970.0 / 1_000.0, (497.5 - 9.95) / 1_990.0])
    assert table["open"].tolist() == [False, True]
    assert table["exit_open"].tolist()[0] == 200.0
    assert np.isnan(table["exit_open"].tolist()[1])


def test_enlarging_and_reducing_stay_inside_one_trade():
    opened = [START + i * HOUR for i in range(4)]
    clock = clock_of(ToyMarket(opened, [100.0, 125.0, 100.0, 80.0], [100.0, 125.0, 100.0, 80.0]))
    ledger = settle(np.array([0.5, 1.0, 0.5, 0.0]), clock, Market(fee=0.0, slippage=0.0, capital=1_000.0))
    # 5 BTC at 100; at 125 equity is 1125: 9 BTC; at 100 equity is 900: 4.5 BTC; at 80 all out, equity 810.
    assert near(ledger.quantity[:, 0], [5.0, 9.0, 4.5, 0.0])
    table = trades(ledger)
    assert len(table) == 1
    assert near(table["quantity"], [9.0])
    assert near(table["entry_open"], [(5 * 100 + 4 * 125) / 9])
    assert near(table["exit_open"], [(4.5 * 100 + 4.5 * 80) / 9])
    assert near(table["net"], [-190.0])
    assert table["bars"].tolist() == [3]


def test_a_ledger_without_trades_gives_an_empty_table_with_the_same_columns_and_types():
    clock = clock_of(toy_market(1, 5))
    empty = trades(settle(np.zeros(len(clock)), clock, Market()))
    full = trades(settle(np.ones(len(clock)), clock, Market()))
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert len(trades(settle(np.zeros((0, 1)), clock.upto(pd.Timestamp(START, tz="UTC")), Market()))) == 0


# ---------------------------------------------------------------- by hand


def test_five_bars_by_hand():
    opened = [START + i * HOUR for i in range(5)]
    clock = clock_of(
        ToyMarket(
            opened,
            open=[100.0, 100.0, 110.0, 120.0, 100.0],
            close=[100.0, 110.0, 120.0, 100.0, 100.0],
            settlements=[(opened[2], 1.0), (opened[3], -2.0)],  # at the close of bar 1, at the close of bar 2
        )
    )
    market = Market(fee=0.01, slippage=0.1, capital=1_000.0)
    ledger = settle(np.array([0.0, 1.0, 1.0, -1.0, 0.0]), clock, market)
    # Bar 1 buys 10 at 110 (open 100): fee 11, slippage 100. Pays 10 for funding, earns 100: 979.
    # Bar 2 earns 100 and receives 20: 1099.
    # Bar 3: equity 1099 at open 120, goal -9.158333; sells 19.158333 at 108: fee 20.691, slippage 229.9;
    #        the short then earns 9.158333 * 20 = 183.166667: 1031.575667.
    # Bar 4 buys 9.158333 at 110: fee 10.074167, slippage 91.583333; ends with 929.918167.
    assert near(ledger.quantity[:, 0], [0.0, 10.0, 10.0, -1099.0 / 120.0, 0.0])
    assert near(ledger.price_pnl[:, 0], [0.0, 100.0, 100.0, 1099.0 / 6.0, 0.0])
    assert near(ledger.funding[:, 0], [0.0, -10.0, 20.0, 0.0, 0.0])
    assert near(ledger.fees[:, 0], [0.0, -11.0, 0.0, -20.691, -1099.0 / 120.0 * 1.1])
    assert near(ledger.slippage[:, 0], [0.0, -100.0, 0.0, -229.9, -1099.0 / 12.0])
    assert near(ledger.equity[:, 0], [1000.0, 979.0, 1099.0, 1031.5756666666666, 929.9181666666666])
    assert ledger.orders.row.tolist() == [1, 3, 4]
    assert near(ledger.orders.fill, [110.0, 108.0, 110.0])
    assert near(ledger.orders.equity, [1000.0, 1099.0, 1031.5756666666666])
    assert near(ledger.frame()["equity"], ledger.equity[:, 0])


def test_an_order_filled_at_a_settlement_does_not_pay_it_and_the_position_before_does():
    opened = [START + i * HOUR for i in range(3)]
    clock = clock_of(ToyMarket(opened, [100.0] * 3, [100.0] * 3, [(opened[1], 1.0)]))
    entering = settle(np.array([0.0, 1.0, 1.0]), clock, FREE)
    leaving = settle(np.array([1.0, 0.0, 0.0]), clock, FREE)
    assert not entering.funding.any()
    assert leaving.funding[:, 0].tolist() == [-1_000.0, 0.0, 0.0]


def test_a_spot_short_without_equity_is_closed_at_its_next_order_and_stays_flat():
    opened = [START + i * HOUR for i in range(5)]
    toy = ToyMarket(opened, [100.0, 140.0, 160.0, 80.0, 90.0], [140.0, 160.0, 80.0, 90.0, 100.0])
    clock = replace(clock_of(toy), instrument=Instrument(venue="toy", symbol="BTCUSD", role="spot"))
    ledger = settle(np.array([-1.0, -1.0, 1.0, 1.0, -1.0]), clock, Market(fee=0.0, slippage=0.0, leverage=2.0))
    assert ledger.ruined.tolist() == [True]
    assert ledger.ruined_at.tolist() == [2]
    assert ledger.quantity[:, 0].tolist() == [-2_000.0, -2_000.0, 0.0, 0.0, 0.0]
    assert (ledger.equity[1:, 0] == -20_000.0).all()
    assert ledger.liquidations.tolist() == [0]
    assert len(ledger.orders) == 2
    assert ledger.head(2).ruined.tolist() == [False]
    assert len(trades(ledger)) == 1


# ---------------------------------------------------------------- execution


def test_a_decision_fills_at_the_first_open_at_or_after_it_plus_the_delay():
    clock = clock_of(ToyMarket([START, START + HOUR, START + 3 * HOUR], [1.0] * 3, [1.0] * 3))
    decided = np.array([START - HOUR, START, START + 1, START + HOUR, START + HOUR + 1, START + 4 * HOUR])
    assert fill_rows(decided, clock, delay=0).tolist() == [0, 0, 1, 1, 2, 3]
    assert fill_rows(decided, clock, delay=2).tolist() == [2, 2, 3, 3, 3, 3]


def test_a_target_holds_until_the_next_fill_and_the_last_decision_on_a_bar_wins():
    clock = clock_of(ToyMarket([START + i * HOUR for i in range(6)], [1.0] * 6, [1.0] * 6))
    decided = START + np.array([HOUR, 3 * HOUR + 1, 4 * HOUR - 1, 9 * HOUR])
    path = on_clock(np.array([[1.0, 0.5], [-1.0, 0.0], [0.25, -0.5], [1.0, 1.0]]), decided, clock, delay=0)
    assert path[:, 0].tolist() == [0.0, 1.0, 1.0, 1.0, 0.25, 0.25]
    assert path[:, 1].tolist() == [0.0, 0.5, 0.5, 0.5, -0.5, -0.5]
    assert on_clock(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), clock, delay=0).tolist() == [[0.0, 0.0]] * 6


@pytest.mark.parametrize("delay", [-1, 0.5, True, 1.0])
def test_a_delay_that_is_not_a_whole_number_of_bars_is_refused(delay):
    clock = clock_of(toy_market(0, 4))
    with pytest.raises(ConfigError, match="whole number of clock bars"):
        fill_rows(clock.opens, clock, delay=delay)


def test_decisions_out_of_time_order_are_refused():
    clock = clock_of(toy_market(0, 4))
    with pytest.raises(ContractError, match=r"decision 1 .* comes before decision 0"):
        fill_rows(np.array([START + HOUR, START]), clock, delay=0)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("value", [np.nan, 1.5, -np.inf])
def test_a_target_that_is_no_number_from_minus_one_to_one_is_refused_with_its_place(value):
    clock = clock_of(toy_market(3, 30))
    targets = np.zeros((len(clock), 3))
    targets[7, 2] = value
    with pytest.raises(ContractError, match=rf"{value} at 2024-02-\d\d .*clock bar 7, column 2"):
        settle(targets, clock, Market())
    with pytest.raises(ContractError, match="decision 7, column 2"):
        on_clock(targets, clock.opens, clock, delay=0)


def test_targets_that_do_not_fit_the_clock_are_refused():
    clock = clock_of(toy_market(3, 30))
    with pytest.raises(ContractError, match=r"expected \(\d+,\) or \(\d+, K\)"):
        settle(np.zeros((len(clock) + 1, 1)), clock, Market())


@pytest.mark.parametrize("name", ["open", "close"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_price_that_is_not_positive_is_refused_with_its_time(name, value):
    toy = toy_market(3, 30)
    getattr(toy, name)[4] = value
    with np.errstate(invalid="ignore"):
        clock = clock_of(toy)
    with pytest.raises(BadRecords, match=rf"toy:BTCUSDT: {name} is {value} at 2024-02-29 \d\d:00:00\+00:00 "):
        settle(np.zeros(len(clock)), clock, Market())


def test_a_funding_amount_that_is_no_number_is_refused():
    toy = toy_market(3, 30)
    toy.settlements = [(toy.opened[6], float("nan"))]
    with pytest.raises(BadRecords, match="funding is nan"):
        settle(np.zeros(len(toy.opened)), clock_of(toy), Market())


@pytest.mark.parametrize("segment", [(0, 0), (-1, 3), (5, 4), (0, 99)])
def test_a_segment_outside_the_clock_or_without_rows_is_refused(segment):
    clock = clock_of(toy_market(3, 30))
    with pytest.raises(ConfigError, match="expected 0 <= first < end"):
        daily_equity(np.zeros(len(clock)), clock, Market(), segments=np.array([segment]))


def test_the_rows_of_a_ledger_cannot_be_written():
    clock = clock_of(toy_market(3, 30))
    ledger = settle(np.ones(len(clock)), clock, Market())
    with pytest.raises(ValueError, match="read-only"):
        ledger.equity[0, 0] = 1.0
