import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import HOUR, ToyMarket, longest_below_peak, worst_drawdown
from toys import START, clock_of, near, toy_market, toy_targets

from btcflow.engine.ledger import daily_equity, settle
from btcflow.engine.market import Market
from btcflow.engine.trades import trades
from btcflow.errors import ConfigError
from btcflow.stats.performance import performance, sharpe

law = settings(derandomize=True, max_examples=40, deadline=None)
seeds = st.integers(0, 2**31)
FREE = Market(fee=0.0, slippage=0.0)
MIDNIGHT = pd.Timestamp("2024-03-01", tz="UTC").value


def days_of_closes(closes: list[float]) -> ToyMarket:
    """One price per day, moving in the day's last hour."""
    hourly = [
        price for before, price in zip([100.0, *closes], closes, strict=False) for price in [before] * 23 + [price]
    ]
    return ToyMarket([MIDNIGHT + i * HOUR for i in range(len(hourly))], [100.0, *hourly[:-1]], hourly)


@law
@given(seed=seeds, bars=st.integers(2, 240))
def test_every_number_equals_its_formula_on_plain_lists(seed, bars):
    clock = clock_of(toy_market(seed, bars))
    ledger = settle(toy_targets(seed, len(clock), 2), clock, Market())
    start, end = np.sort(np.random.default_rng(seed).choice(len(clock) + 1, 2, replace=False)).tolist()
    got = performance(ledger, start, end, column=1)

    equity = ledger.equity[:, 1].tolist()
    path = [equity[start - 1] if start else 100_000.0, *equity[start:end]]
    times = [clock.opens[start], *clock.closes_at[start:end].tolist()]
    years = (times[-1] - times[0]) / (365 * 24 * HOUR)
    assert near([got.start_equity, got.end_equity], [path[0], path[-1]])
    assert near(got.days, years * 365)
    assert near(got.total_return, path[-1] / path[0] - 1)
    assert math.isclose(got.cagr, (path[-1] / path[0]) ** (1 / years) - 1, rel_tol=1e-9)
    assert near(got.max_drawdown, worst_drawdown(path))
    assert near(got.exposure, np.mean([quantity != 0 for quantity in ledger.quantity[start:end, 1]]))
    assert near(got.price + got.funding + got.fees + got.slippage, path[-1] - path[0])
    assert near(got.funding_fraction, ledger.funding[start:end, 1].sum() / path[0])
    orders = ledger.column(1).orders
    within = (orders.row >= start) & (orders.row < end)
    assert near(got.turnover, np.sum((np.abs(orders.size) * orders.fill / orders.equity)[within]) / years)

    day = 24 * HOUR
    midnights = [instant for instant in range(times[0] // day * day, times[-1] + 1, day) if instant >= times[0]]
    closed = list(zip(clock.closes_at.tolist(), equity, strict=True))
    marks = [[100_000.0, *(value for close, value in closed if close <= instant)][-1] for instant in midnights]
    waited = longest_below_peak([path[0], *marks], [times[0], *midnights], times[-1])
    assert near(got.max_drawdown_days, waited / day)
    daily = [after / before - 1 for before, after in itertools.pairwise(marks)]
    if len(daily) < 2 or max(daily) - min(daily) < 1e-12:
        assert math.isnan(got.sharpe)
    else:
        deviation = np.sqrt(sum((one - np.mean(daily)) ** 2 for one in daily) / (len(daily) - 1))
        assert near(got.sharpe, np.mean(daily) / deviation * np.sqrt(365))
        assert near(got.volatility, deviation * np.sqrt(365))


@law
@given(seed=seeds, bars=st.integers(4, 200))
def test_neighbouring_stretches_add_up_to_the_whole(seed, bars):
    clock = clock_of(toy_market(seed, bars))
    if len(clock) < 2:
        return
    ledger = settle(toy_targets(seed, len(clock), 1), clock, Market())
    cut = int(np.random.default_rng(seed).integers(1, len(clock)))
    whole, left, right = performance(ledger), performance(ledger, 0, cut), performance(ledger, cut)
    for name in ("price", "funding", "fees", "slippage"):
        assert near(getattr(left, name) + getattr(right, name), getattr(whole, name))
    assert near((1 + left.total_return) * (1 + right.total_return), 1 + whole.total_return)
    assert left.trades + right.trades == whole.trades == len(trades(ledger))
    assert left.end_equity == right.start_equity


@law
@given(seed=seeds, bars=st.integers(4, 200))
def test_nothing_after_the_end_of_the_stretch_is_read(seed, bars):
    clock = clock_of(toy_market(seed, bars))
    targets = toy_targets(seed, len(clock), 1)
    end = int(np.random.default_rng(seed).integers(1, len(clock) + 1))
    short = clock.rows(np.arange(len(clock)) < end)
    known = performance(settle(targets[:end], short, Market()))
    assert repr(performance(settle(targets, clock, Market()), 0, end)) == repr(known)


@law
@given(seed=seeds, bars=st.integers(2, 200))
def test_it_agrees_with_the_daily_summary_of_a_sweep(seed, bars):
    clock = clock_of(toy_market(seed, bars))
    targets = toy_targets(seed, len(clock), 1)
    daily = daily_equity(targets, clock, Market())
    got = performance(settle(targets, clock, Market()))
    assert got.max_drawdown == daily.max_drawdown[0, 0]
    assert got.trades == daily.entries[0, 0]
    assert near(got.turnover, daily.turnover[0, 0] * 365 / got.days)
    assert near([got.price, got.funding], [daily.price_pnl[0, 0], daily.funding[0, 0]])
    assert repr(got.sharpe) == repr(sharpe(daily.returns[:, 0]))


def test_four_days_by_hand():
    clock = clock_of(days_of_closes([110.0, 99.0, 99.0, 118.8]))
    got = performance(settle(np.ones(len(clock)), clock, FREE))
    daily = np.array([0.1, -0.1, 0.0, 0.2])
    assert got.start == pd.Timestamp("2024-03-01", tz="UTC")
    assert got.end == pd.Timestamp("2024-03-05", tz="UTC")
    assert near([got.days, got.total_return], [4.0, 0.188])
    assert near(got.sharpe, 0.05 / np.sqrt(0.05 / 3) * np.sqrt(365))
    assert near(got.sharpe, daily.mean() / daily.std(ddof=1) * np.sqrt(365))
    assert near(got.sortino, 0.05 / np.sqrt(0.01 / 4) * np.sqrt(365))
    assert near([got.max_drawdown, got.max_drawdown_daily], [-0.1, -0.1])
    assert got.max_drawdown_days == 3.0  # from 2 March 00:00, the midnight at 110, to 5 March 00:00
    assert near(got.calmar, (1.188 ** (365 / 4) - 1) / 0.1)
    assert near([got.exposure, got.turnover], [1.0, 365 / 4])
    assert (got.trades, got.win_rate, got.average_hold_hours) == (1, 1.0, 96.0)
    assert math.isnan(got.profit_factor)  # a gain and no loss


def test_a_drawdown_inside_a_day_is_seen_on_the_clock_and_not_on_the_days():
    closes = [100.0] * 12 + [60.0] * 6 + [100.0] * 6
    opened = [MIDNIGHT + i * HOUR for i in range(24)]
    got = performance(settle(np.ones(24), clock_of(ToyMarket(opened, [100.0, *closes[:-1]], closes)), FREE))
    assert near([got.max_drawdown, got.max_drawdown_daily], [-0.4, 0.0])
    assert got.max_drawdown_days == 0.0  # at both midnights the equity is at its peak


def test_time_under_water_runs_to_the_last_close_where_no_midnight_is_back_at_the_peak():
    opened = [MIDNIGHT + (i + 6) * HOUR for i in range(40)]  # 06:00 to 22:00 of the next day
    closes = [110.0] * 10 + [104.0] * 30
    ledger = settle(np.ones(40), clock_of(ToyMarket(opened, [100.0, *closes[:-1]], closes)), FREE)
    assert performance(ledger).max_drawdown_days == 0.0  # the peak at 16:00 stands at no midnight
    assert performance(ledger, 10).max_drawdown_days == 30 / 24  # carried in at the peak, then below it to 22:00


def test_trades_belong_to_the_stretch_they_were_entered_in_and_are_valued_at_its_end():
    opened = [MIDNIGHT + i * HOUR for i in range(6)]
    closes = [100.0, 110.0, 121.0, 100.0, 90.0, 80.0]
    clock = clock_of(ToyMarket(opened, [100.0, *closes[:-1]], closes))
    ledger = settle(np.array([0.0, 1.0, 1.0, 1.0, 0.0, -1.0]), clock, FREE)
    early, late = performance(ledger, 0, 3), performance(ledger, 3, 6)
    assert (early.trades, early.win_rate, early.average_hold_hours) == (1, 1.0, 2.0)  # +21 % at the cut, 0 at the exit
    assert (late.trades, late.win_rate, late.average_hold_hours) == (1, 1.0, 1.0)  # the short alone
    assert near(late.total_return, 100_000.0 / 121_000.0 * (1 + 1 / 9) - 1)


def test_fewer_than_two_days_or_no_variance_give_no_sharpe():
    flat = performance(settle(np.zeros(72), clock_of(days_of_closes([110.0, 120.0, 90.0])), Market()))
    assert math.isnan(flat.sharpe)
    assert math.isnan(flat.sortino)
    assert math.isnan(flat.calmar)
    assert math.isnan(flat.win_rate)
    assert math.isnan(flat.average_hold_hours)
    assert (flat.volatility, flat.total_return, flat.max_drawdown, flat.trades) == (0.0, 0.0, 0.0, 0)

    steady = clock_of(days_of_closes([100.0 * 1.01**day for day in range(1, 6)]))
    assert math.isnan(performance(settle(np.ones(len(steady)), steady, FREE)).sharpe)

    one_day = clock_of(days_of_closes([110.0]))
    assert math.isnan(performance(settle(np.ones(24), one_day, FREE)).sharpe)
    assert math.isnan(performance(settle(np.ones(24), one_day, FREE), 0, 1).volatility)


def test_where_no_equity_is_left_what_is_not_defined_is_nan():
    clock = clock_of(days_of_closes([100.0, 40.0, 40.0, 40.0]))
    ledger = settle(np.ones(len(clock)), clock, Market(leverage=2.0))
    whole, after = performance(ledger), performance(ledger, 72)
    assert (whole.end_equity, whole.total_return, whole.liquidations) == (0.0, -1.0, 1)
    assert (whole.max_drawdown, whole.max_drawdown_daily) == (-1.0, -1.0)
    assert whole.max_drawdown_days == 4.0  # the first fee already is below the equity carried in
    assert near(whole.price + whole.funding + whole.fees + whole.slippage, -100_000.0)
    assert all(math.isnan(value) for value in (whole.cagr, whole.sharpe, whole.volatility, whole.calmar))
    assert all(math.isnan(value) for value in (after.total_return, after.max_drawdown, after.price_fraction))
    assert math.isnan(after.max_drawdown_days)


@pytest.mark.parametrize("rows", [(0, 0), (3, 2), (-1, 4), (0, 99)])
def test_a_stretch_outside_the_ledger_or_without_rows_is_refused(rows):
    clock = clock_of(toy_market(1, 10))
    with pytest.raises(ConfigError, match="expected 0 <= first < end <= "):
        performance(settle(np.ones(len(clock)), clock, Market()), *rows)


def test_sharpe_of_days_by_hand():
    assert near(sharpe(np.array([0.01, 0.03])), 0.02 / np.sqrt(0.0002) * np.sqrt(365))
    assert math.isnan(sharpe(np.array([0.01, 0.01])))
    assert math.isnan(sharpe(np.array([])))
    assert math.isnan(sharpe(np.array([0.01, np.nan])))
    assert START < MIDNIGHT
