"""Inverse contracts: a wallet in BTC and contracts of one USD, kept the way a venue shows them."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import bars_series, perp, settlements
from oracles import HOUR, Row, Tiers, ToyMarket, halving, margin_needed
from toys import MONEY, START, near, toy_targets
from wild import ROWS, TIERS, same_bits, wild_clock, wild_market

from btcflow.clock import Clock
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset
from btcflow.engine.ledger import Ledger, daily_equity, settle
from btcflow.engine.market import Market
from btcflow.engine.trades import trades
from btcflow.instrument import Instrument

INVERSE = Instrument(venue="toy", symbol="BTCUSD", role="perp", quote="USD", margin="inverse")
law = settings(derandomize=True, max_examples=120, deadline=None)
seeds = st.integers(0, 2**31)
leverages = st.sampled_from([1.0, 2.0, 5.0, 25.0, 100.0])


def inverse_clock(toy: ToyMarket) -> Clock:
    return replace(wild_clock(toy), instrument=INVERSE)


def inverse_market(seed: int, bars: int, *, step: float = 0.02) -> ToyMarket:
    """A wild market whose funding is in BTC for one USD."""
    toy = wild_market(seed, bars, step=step)
    toy.settlements = [(instant, amount / 30_000.0**2) for instant, amount in toy.settlements]
    return toy


def steady(prices: list[float], **market: object) -> tuple[Clock, Market]:
    """Bars that open and close at each price; no costs but what is asked."""
    opened = [START + i * HOUR for i in range(len(prices))]
    toy = ToyMarket(opened, prices, prices, low=prices, high=prices, volume=[1.0] * len(prices))
    known = {"fee": 0.0, "slippage": 0.0, "capital": 10_000.0, **market}
    return inverse_clock(toy), Market(**known)


# ---------------------------------------------------------------- oracle


@dataclass
class Wallet:
    """BTC, contracts of one USD with their average entry price, and the order in work."""

    btc: float
    contracts: float = 0.0
    entry: float = 1.0
    target: float = 0.0
    goal: float = 0.0
    rest: list[float] = field(default_factory=list)
    dead: bool = False

    def profit(self, price: float) -> float:
        return self.contracts * (1 / self.entry - 1 / price)

    def worth(self, price: float) -> float:
        return self.btc + self.profit(price)

    def trade(self, bought: float, price: float) -> None:
        """Buy contracts at a price: realise what closes, average what opens."""
        if self.contracts * bought < 0:
            closed = min(abs(bought), abs(self.contracts)) * (1 if self.contracts > 0 else -1)
            self.btc += closed * (1 / self.entry - 1 / price)
            self.contracts -= closed
            bought += closed
        if bought:
            coins = self.contracts / self.entry + bought / price
            self.contracts += bought
            self.entry = self.contracts / coins


def reference_inverse(toy: ToyMarket, targets: list[float], market: Market) -> tuple[list[Row], bool]:
    """The wallet, bar by bar, in BTC."""
    me, rows = Wallet(market.capital / toy.open[0]), []
    before = me.btc
    for i, target in enumerate(targets):
        price, close = toy.open[i], toy.close[i]
        row, stop = Row(0.0, 0.0, 0.0, 0.0, 0.0, 0.0), None
        if me.contracts and me.worth(price) <= 0:
            stop = 1 / (1 / me.entry + me.btc / me.contracts)
        else:
            if target != me.target and not me.dead:
                me.target = target
                me.goal = target * market.gross * me.worth(price) * price
                part = (me.goal - me.contracts) / market.twap
                grows = abs(me.goal) > abs(me.contracts) or me.goal * me.contracts < 0
                me.rest = [] if grows and abs(part) < market.min_notional else [part] * market.twap
            if me.rest:
                buy(me, row, price, toy.volume[i], market)
            if me.contracts:
                stop = stop_of(me, price, toy.extremes(i), market.maintenance)
        if stop is None:
            row.funding = -me.contracts * toy.paid_in(i)
            me.btc += row.funding
            if me.contracts and me.worth(close) <= 0:
                stop = 1 / (1 / me.entry + me.btc / me.contracts)
        if stop is not None:
            row.liquidated_at = stop
            coins, left = abs(me.contracts) / stop, me.worth(stop)
            charge = min(market.liquidation_fee * coins, left)
            charge = left if left - charge <= 1e-9 * coins else charge
            row.fees -= max(charge, 0.0)
            me.trade(-me.contracts, stop)
            me.btc, me.rest = left - charge, []
            me.dead = me.btc == 0.0
        row.quantity, row.equity = me.contracts, me.worth(close)
        row.price_pnl = row.equity - before - row.funding - row.fees - row.slippage
        before = row.equity
        rows.append(row)
    return rows, me.dead


def buy(me: Wallet, row: Row, price: float, volume: float, market: Market) -> None:
    """One order of the plan; what closing costs beyond the equity is not collected."""
    last = len(me.rest) == 1
    bought, equity = me.goal - me.contracts if last else me.rest[0], me.worth(price)
    me.rest = me.rest[1:]
    slip = market.slippage + market.impact * (abs(bought) / price / volume) ** 0.5
    fill = price * (1 + slip) if bought > 0 else price * (1 - slip)
    slipped, charged = abs(bought) * abs(1 / price - 1 / fill), market.fee * abs(bought) / fill
    me.trade(bought, price)
    if last:
        me.contracts = me.goal
    if last and me.goal == 0:
        me.dead = slipped + charged >= equity
        slipped = min(slipped, equity)
        charged = min(charged, equity - slipped)
    me.btc -= slipped + charged
    row.slippage, row.fees = -slipped, -charged


def stop_of(me: Wallet, price: float, extremes: tuple[float, float], tiers: Tiers) -> float | None:
    worst = extremes[0] if me.contracts > 0 else extremes[1]

    def is_safe(at: float) -> bool:
        return me.worth(at) > margin_needed(abs(me.contracts), tiers) / at

    if is_safe(worst):
        return None
    if me.worth(price) <= 0:
        return 1 / (1 / me.entry + me.btc / me.contracts)
    return halving(price, worst, is_safe) if is_safe(price) else price


def close_to(left: object, right: object, scale: float) -> bool:
    """Equal to 1e-9 of the capital's scale: BTC amounts are small numbers."""
    return near(np.asarray(left) / scale, np.asarray(right) / scale)


@law
@given(
    seed=seeds,
    bars=st.integers(1, 60),
    fee=st.sampled_from([0.0, 0.0005, 0.01]),
    slippage=st.sampled_from([0.0, 0.0002, 0.02]),
    leverage=leverages,
    tiers=st.sampled_from(TIERS),
    realism=st.fixed_dictionaries(
        {
            "twap": st.sampled_from([1, 1, 3]),
            "impact": st.sampled_from([0.0, 0.01]),
            "min_notional": st.sampled_from([0.0, 3_000.0]),
        }
    ),
)
def test_every_row_equals_the_wallet(seed, bars, fee, slippage, leverage, tiers, realism):
    toy = inverse_market(seed, bars)
    market = Market(
        fee=fee,
        slippage=slippage,
        leverage=leverage,
        capital=5_000.0,
        maintenance=tiers,
        liquidation_fee=0.003,
        **realism,
    )
    targets = toy_targets(seed, len(toy.opened), 1)
    ledger = settle(targets, inverse_clock(toy), market)
    rows, ruined = reference_inverse(toy, targets[:, 0].tolist(), market)
    for name in ("price_pnl", "funding", "fees", "slippage", "equity"):
        assert close_to(getattr(ledger, name)[:, 0], [getattr(row, name) for row in rows], ledger.capital), name
    assert near(ledger.quantity[:, 0], [row.quantity for row in rows])
    assert ledger.ruined.tolist() == [ruined]
    assert ledger.liquidations.tolist() == [sum(row.liquidated_at is not None for row in rows)]
    events = ledger.orders.where(ledger.orders.liquidation)
    assert near(events.fill, [row.liquidated_at for row in rows if row.liquidated_at is not None])


# ---------------------------------------------------------------- laws


@law
@given(seed=seeds, bars=st.integers(1, 60), leverage=leverages, cut=st.integers(0, 60))
def test_money_adds_up_is_never_negative_and_commutes_with_truncation(seed, bars, leverage, cut):
    clock = inverse_clock(inverse_market(seed, bars))
    market = Market(leverage=leverage, maintenance=TIERS[1], liquidation_fee=0.001)
    targets = toy_targets(seed, len(clock), 3)
    ledger = settle(targets, clock, market)
    before = np.vstack([np.full((1, 3), 100_000.0 / clock.open[0]), ledger.equity[:-1]])
    assert close_to(sum(getattr(ledger, name) for name in MONEY), ledger.equity - before, ledger.capital)
    assert (ledger.equity >= 0).all()
    short = clock.upto(pd.Timestamp(START + cut * HOUR, tz="UTC"))
    if len(short):
        assert same_bits(settle(targets[: len(short)], short, market), ledger.head(len(short)))


@law
@given(seed=seeds, bars=st.integers(1, 60), leverage=leverages)
def test_trades_days_and_stretches_sum_to_the_ledger(seed, bars, leverage):
    clock = inverse_clock(inverse_market(seed, bars))
    market = Market(leverage=leverage, maintenance=TIERS[1], liquidation_fee=0.001)
    targets = toy_targets(seed, len(clock), 2)
    ledger, daily = settle(targets, clock, market), daily_equity(targets, clock, market)
    assert (daily.end_equity[0] == ledger.equity[-1]).all()
    assert (daily.liquidations[0] == ledger.liquidations).all()
    for k in range(2):
        table = trades(ledger, k)
        for name in MONEY:
            assert close_to(table[name].sum(), getattr(ledger, name)[:, k].sum(), ledger.capital), name
        assert table["liquidated"].sum() == ledger.liquidations[k]
        last = np.where(table["open"], clock.close[-1], table["exit_fill"])
        assert near(table["net_usd"], table["net"] * last)
        done = table[~table["open"]]
        side = np.where(done["side"] == "long", 1, -1)
        at_opens = side * done["quantity"] * (1 / done["entry_open"] - 1 / done["exit_open"])
        assert close_to(done["price_pnl"], at_opens, ledger.capital)


@law
@given(seed=seeds, bars=st.integers(1, 60))
def test_a_short_without_leverage_holds_its_dollars_and_never_is_liquidated(seed, bars):
    toy = inverse_market(seed, bars, step=0.3)
    toy.settlements = []
    clock = inverse_clock(toy)
    ledger = settle(-np.ones(len(clock)), clock, Market(fee=0.0, slippage=0.0))
    assert not ledger.liquidations.any()
    assert near(ledger.equity_usd[:, 0], np.full(len(clock), 100_000.0))


@law
@given(seed=seeds, bars=st.integers(3, 60))
def test_a_long_and_a_short_without_costs_sum_to_zero_in_btc(seed, bars):
    toy = inverse_market(seed, bars, step=0.003)
    clock = inverse_clock(toy)
    path = np.zeros((len(clock), 1))
    path[1:] = 0.5
    both = settle(np.hstack([path, -path]), clock, Market(fee=0.0, slippage=0.0, impact=0.0))
    if not both.liquidations.any():
        assert close_to(both.price_pnl.sum(axis=1), np.zeros(len(clock)), both.capital)
        assert close_to(both.funding.sum(axis=1), np.zeros(len(clock)), both.capital)


# ---------------------------------------------------------------- by hand


def test_ten_thousand_dollars_bought_at_50000_and_sold_at_40000_lose_a_twentieth_of_a_btc():
    clock, market = steady([50_000.0, 50_000.0, 40_000.0], capital=50_000.0, exposure=0.2)
    ledger = settle(np.array([0.0, 1.0, 0.0]), clock, market)
    assert near(ledger.orders.size, [10_000.0, -10_000.0])
    assert near(ledger.equity[:, 0], [1.0, 1.0, 0.95])
    assert near(ledger.equity_usd[:, 0], [50_000.0, 50_000.0, 38_000.0])
    assert near(ledger.frame()["equity_usd"], ledger.equity_usd[:, 0])
    assert (ledger.settlement, ledger.capital) == ("BTC", 1.0)
    table = trades(ledger)
    assert near(table[["net", "net_usd", "entry_fill", "exit_fill"]], [[-0.05, -2_000.0, 50_000.0, 40_000.0]])
    assert near(ledger.traded, [0.2, 0.25])


def test_fees_slippage_and_funding_are_in_btc():
    clock, market = steady([50_000.0, 50_000.0], capital=50_000.0, fee=0.001, slippage=0.01)
    clock = replace(clock, funding=np.array([2e-9, 0.0]))
    ledger = settle(np.array([1.0, 1.0]), clock, market)
    assert near(ledger.fees[0, 0], -0.001 * 50_000.0 / 50_500.0)
    assert near(ledger.slippage[0, 0], -(50_000.0 / 50_000.0 - 50_000.0 / 50_500.0))
    assert near(ledger.funding[:, 0], [-1e-4, 0.0])


def test_a_levered_long_is_closed_where_its_margin_ends():
    clock, market = steady([50_000.0, 50_000.0], capital=50_000.0, leverage=10.0, liquidation_fee=0.0)
    clock = replace(clock, mark_low=np.array([50_000.0, 40_000.0]))
    ledger = settle(np.ones(2), clock, market)
    # 500,000 USD from 50,000 with 1 BTC: 1 + 500000 / 50000 - 500000 / L = 2500 / L.
    stop = 502_500.0 / 11.0
    assert near(ledger.orders.fill, [50_000.0, stop])
    assert near(ledger.equity[-1, 0], 2_500.0 / stop)
    assert trades(ledger)["liquidated"].tolist() == [True]
    tiered = settle(np.ones(2), clock, replace(market, maintenance=((0.0, 0.005), (100_000.0, 0.01))))
    assert near(tiered.orders.fill[1], (500_000.0 + 5_000.0 - 500.0) / 11.0)


def test_a_linear_ledger_speaks_its_quote_currency():
    toy = wild_market(3, 20)
    linear = settle(np.ones(len(toy.opened)), wild_clock(toy), Market())
    assert linear.settlement == "USDT"
    assert linear.equity_usd is linear.equity
    assert "net_usd" not in trades(linear)
    assert "equity_usd" not in linear.frame()


def test_an_inverse_clock_from_records_trades_its_funding_in_btc():
    what = perp("bitmex", margin="inverse", oi_unit="usd")
    data = Dataset.of([bars_series(what, [50_000.0] * 24), settlements(what, {8: 0.001, 16: 0.001, 24: 0.001})])
    clock = make_clock(data, what.id)
    ledger = settle(np.ones(24), clock, Market(fee=0.0, slippage=0.0, capital=50_000.0))
    assert near(ledger.funding[:, 0].sum(), -0.003)


@pytest.mark.parametrize("rows", [0, 5])
def test_a_cut_ledger_keeps_its_capital(rows: int) -> None:
    toy = inverse_market(2, 20)
    ledger: Ledger = settle(np.ones(len(toy.opened)), inverse_clock(toy), Market())
    cut = ledger.head(rows).column(0)
    assert cut.capital == 100_000.0 / toy.open[0]
    assert cut.equity_before(0).tolist() == [cut.capital]
    assert all(len(getattr(cut, name)) == rows for name in ROWS)
