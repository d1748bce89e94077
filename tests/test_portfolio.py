from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from oracles import reference_ledger, worst_drawdown
from toys import clock_of, near, toy_market, toy_targets
from wild import wild_clock, wild_market

from btcflow.engine.ledger import settle
from btcflow.engine.market import Market
from btcflow.engine.portfolio import funded_portfolio
from btcflow.engine.trades import trades
from btcflow.errors import ConfigError
from btcflow.instrument import Instrument
from btcflow.stats.performance import performance

pytestmark = pytest.mark.vectorbt

MARKET = Market(fee=0.0005, slippage=0.0002, leverage=1.5)
TOY = toy_market(11, 300, step=0.004)
CLOCK = clock_of(TOY)
TARGETS = toy_targets(11, len(CLOCK), 3)
LABELS = pd.MultiIndex.from_tuples([(24, 1.5), (24, 2.0), (48, 1.5)], names=["window", "entry_z"])


@pytest.fixture(scope="module")
def ledger():
    return settle(TARGETS, CLOCK, MARKET)


@pytest.fixture(scope="module")
def portfolio(ledger):
    return funded_portfolio(ledger, LABELS)


def test_value_and_returns_are_the_ledgers_bar_by_bar(ledger, portfolio):
    assert ledger.funding.any()
    assert near(portfolio.value(), ledger.equity)
    path = np.vstack([np.full((1, 3), 100_000.0), ledger.equity])
    assert near(portfolio.returns(), path[1:] / path[:-1] - 1)
    assert near(portfolio.cash_flow().sum() + ledger.quantity[-1] * CLOCK.close[-1], ledger.equity[-1] - 100_000.0)


def test_the_summary_numbers_are_the_ledgers(ledger, portfolio):
    path = np.vstack([np.full((1, 3), 100_000.0), ledger.equity])
    returns = path[1:] / path[:-1] - 1
    assert near(portfolio.total_return(), path[-1] / path[0] - 1)
    assert near(portfolio.final_value(), path[-1])
    assert near(portfolio.sharpe_ratio(), returns.mean(axis=0) / returns.std(axis=0, ddof=1) * np.sqrt(365 * 24))
    assert near(portfolio.max_drawdown(), [worst_drawdown(column.tolist()) for column in path.T])
    for k in range(3):
        mine = performance(ledger, column=k)
        theirs = [getattr(portfolio, name)().iloc[k] for name in ("total_return", "sharpe_ratio", "max_drawdown")]
        assert near([mine.total_return, mine.clock_sharpe, mine.max_drawdown], theirs)


def test_value_equals_the_loop_with_cash_and_coins(portfolio):
    for k in range(3):
        rows, _ = reference_ledger(
            TOY, TARGETS[:, k].tolist(), capital=100_000.0, gross=1.5, fee=0.0005, slippage=0.0002
        )
        assert near(portfolio.value().iloc[:, k], [row.equity for row in rows])
        assert near(portfolio.total_return().iloc[k], rows[-1].equity / 100_000.0 - 1)


def test_a_chosen_column_keeps_its_own_funding(ledger, portfolio):
    for k, label in enumerate(LABELS):
        for chosen in (portfolio[label], portfolio.iloc[k], portfolio.loc[label]):
            assert near(chosen.value(), ledger.equity[:, k])
            assert near(chosen.funding, ledger.funding[:, k])
            assert near(chosen.total_return(), ledger.equity[-1, k] / 100_000.0 - 1)
            assert near(chosen.total_funding(), ledger.funding[:, k].sum())
    window = portfolio[24]
    assert near(window.value(), ledger.equity[:, :2])
    swapped = portfolio.iloc[[2, 0]]
    assert near(swapped.value(), ledger.equity[:, [2, 0]])
    assert near(swapped[LABELS[0]].value(), ledger.equity[:, 0])
    assert type(swapped) is type(portfolio)


def test_columns_that_are_grouped_sum_their_funding_once(ledger, portfolio):
    groups = np.array([24, 24, 48])
    value = portfolio.value(group_by=groups)
    assert near(value, np.column_stack([ledger.equity[:, :2].sum(axis=1), ledger.equity[:, 2]]))
    assert near(portfolio.total_profit(group_by=groups), value.iloc[-1] - [200_000.0, 100_000.0])
    totals = ledger.funding.sum(axis=0)
    assert near(portfolio.total_funding(group_by=groups), [totals[:2].sum(), totals[2]])


def test_a_portfolio_survives_copying_and_saving(ledger, portfolio, tmp_path):
    assert near(portfolio.copy().value(), ledger.equity)
    portfolio.save(tmp_path / "portfolio")
    assert near(type(portfolio).load(tmp_path / "portfolio").value(), ledger.equity)


def test_one_column_without_labels_is_a_portfolio_of_series(ledger):
    single = funded_portfolio(ledger.column(1))
    assert isinstance(single.value(), pd.Series)
    assert near(single.value(), ledger.equity[:, 1])
    assert isinstance(single.total_return(), float)
    assert near(single.total_return(), ledger.equity[-1, 1] / 100_000.0 - 1)
    assert funded_portfolio(ledger.column(1), LABELS[:1]).value().columns.equals(LABELS[:1])


def test_the_index_is_naive_utc_and_the_frequency_is_the_clocks(ledger, portfolio):
    assert portfolio.wrapper.index.tz is None
    assert portfolio.wrapper.index.equals(ledger.clock.index.tz_localize(None))
    assert portfolio.wrapper.freq == pd.Timedelta(hours=1)


def test_vectorbt_sees_the_same_trades(ledger, portfolio):
    """Whole positions only: where a position is resized vectorbt makes one trade of every reduction."""
    whole = settle(np.sign(TARGETS), CLOCK, MARKET)
    theirs = funded_portfolio(whole, LABELS).trades.records
    for k in range(3):
        mine, own = trades(whole, k), theirs[theirs["col"] == k]
        assert CLOCK.index[own["entry_idx"]].tolist() == mine["entry_time"].tolist()
        assert near(own["size"], mine["quantity"])
        assert near(own["entry_price"], mine["entry_fill"])
        assert near(own["pnl"], mine["price_pnl"] + mine["fees"] + mine["slippage"])
        assert (own["direction"] == 1).tolist() == (mine["side"] == "short").tolist()


@pytest.mark.parametrize("slippage", [0.0, 0.001])
def test_a_users_own_from_signals_portfolio_makes_the_same_trades(slippage):
    import vectorbt as vbt

    targets = np.sign(toy_targets(5, len(CLOCK), 2))
    before = np.vstack([np.zeros((1, 2)), targets[:-1]])
    index = CLOCK.index.tz_localize(None)

    def frame(values):
        return pd.DataFrame(values, index=index)

    entries, exits = (targets == 1) & (before != 1), (before == 1) & (targets == 0)
    short_entries, short_exits = (targets == -1) & (before != -1), (before == -1) & (targets == 0)
    assert all(part.any() for part in (entries & (before == -1), short_entries & (before == 1), exits, short_exits))
    users = vbt.Portfolio.from_signals(
        frame(np.repeat(CLOCK.close[:, None], 2, axis=1)),
        entries=frame(entries),
        exits=frame(exits),
        short_entries=frame(short_entries),
        short_exits=frame(short_exits),
        price=frame(np.repeat(CLOCK.open[:, None], 2, axis=1)),
        size=0.1,
        slippage=slippage,
        init_cash=100_000.0,
        freq="1h",
    )
    theirs = users.trades.records
    ours = funded_portfolio(settle(targets, CLOCK, Market(fee=0.0, slippage=slippage))).trades.records
    assert len(ours) > 40
    assert len(ours) == len(theirs)
    for name in ("col", "entry_idx", "exit_idx", "direction", "status"):
        assert ours[name].tolist() == theirs[name].tolist(), name
    for name in ("entry_price", "exit_price"):
        assert near(ours[name], theirs[name]), name


def test_stats_and_plots_run_and_include_funding(ledger, portfolio):
    import vectorbt as vbt

    settings_before = repr(vbt.settings)
    stats = portfolio[LABELS[0]].stats()
    assert near(stats["Total Funding"], ledger.funding[:, 0].sum())
    assert near(stats["End Value"], ledger.equity[-1, 0])
    assert near(stats["Total Return [%]"], (ledger.equity[-1, 0] / 100_000.0 - 1) * 100)
    assert near(stats["Total Fees Paid"], -ledger.fees[:, 0].sum())
    figure = portfolio[LABELS[0]].plot(subplots=["cum_returns", "drawdowns", "trades"])
    drawn = [trace.y for trace in figure.data if trace.name == "Value"]
    assert near(drawn[0], ledger.equity[:, 0] / 100_000.0)
    drawdowns = portfolio.drawdowns.max_drawdown()
    assert drawdowns.shape == (3,)
    assert "total_funding" not in vbt.Portfolio._metrics
    assert repr(vbt.settings) == settings_before


def test_a_flat_ledger_makes_a_portfolio_without_orders():
    flat = funded_portfolio(settle(np.zeros(len(CLOCK)), CLOCK, MARKET))
    assert (flat.value() == 100_000.0).all()
    assert flat.orders.count() == 0


def test_labels_that_do_not_fit_and_empty_ledgers_are_refused(ledger):
    with pytest.raises(ConfigError, match="2 column labels for a ledger of 3 columns"):
        funded_portfolio(ledger, LABELS[:2])
    with pytest.raises(ConfigError, match="0 bars"):
        funded_portfolio(ledger.head(0))


@pytest.mark.parametrize("seed", range(12))
def test_value_is_the_ledgers_with_liquidations_parts_impact_and_orders_too_small(seed):
    toy = wild_market(seed, 200)
    toy.volume = [volume * 100 for volume in toy.volume]
    clock = wild_clock(toy)
    market = Market(
        leverage=[12.0, 25.0, 100.0][seed % 3],
        capital=1_000.0,
        maintenance=((0.0, 0.01), (4_000.0, 0.02)),
        liquidation_fee=[0.001, 0.005][seed % 2],
        twap=1 + seed % 4,
        impact=0.02,
        min_notional=20.0,
    )
    ledger = settle(toy_targets(seed, len(clock), 3), clock, market)
    assert ledger.liquidations.any()
    portfolio = funded_portfolio(ledger)
    assert near(portfolio.value(), ledger.equity)
    assert near(portfolio.total_return(), ledger.equity[-1] / 1_000.0 - 1.0)
    assert near(portfolio.total_profit(), ledger.equity[-1] - 1_000.0)
    assert portfolio.orders.count().tolist() == ledger.orders.counts(3).tolist()


def test_an_inverse_contract_is_refused_and_told_what_to_use():
    inverse = Instrument(venue="toy", symbol="BTCUSD", role="perp", margin="inverse")
    ledger = settle(TARGETS, replace(CLOCK, instrument=inverse), MARKET)
    with pytest.raises(ConfigError, match="vectorbt knows linear contracts only; use the ledger itself"):
        funded_portfolio(ledger)
