"""Each shipped strategy on real data with and without funding, as Markdown: how much was carry.

    BTCFLOW_STORE=... python experiments/funding_carry.py [TIMEFRAME ...]

The store is the one that configs/import/catalog.yaml fills. The signals are the same in both runs; only
the money differs: with funding charged at every settlement, and with none. No search, default thresholds.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

import btcflow
from btcflow.config.market_data import load_dataset, panel_of
from btcflow.engine.ledger import Ledger, settle
from btcflow.engine.signals import clock_targets
from btcflow.flow.bars import Bars
from btcflow.rules.strategies import STRATEGIES
from btcflow.runs.evaluate import bars_of, ready_at
from btcflow.stats.performance import Performance, performance


def measured(ledger: Ledger) -> Performance:
    """The whole stretch of one column."""
    return performance(ledger, 0, len(ledger))


def row(name: str, timeframe: str) -> list[str]:
    """One strategy on one timeframe: span, trades, and both runs side by side."""
    config = btcflow.load_config("real_1d", overrides=[f"timeframe={timeframe}", f"strategy={name}", "sweep=null"])
    strategy, panel = STRATEGIES.get(name), panel_of(config, load_dataset(config))
    bars = bars_of(config, strategy, Bars(panel, timeframe, config.flow))
    market, clock = config.market.market, panel.clock
    first = int(np.searchsorted(clock.opens, ready_at(config, strategy, bars)))
    keep = np.arange(len(clock)) >= first
    targets = clock_targets(strategy, bars, [strategy.assign({})], delay=market.delay)[first:]
    charged = clock.rows(keep)
    free = replace(charged, funding=np.zeros(len(charged)))
    on, off = (measured(settle(targets, one, market)) for one in (charged, free))
    return [
        name,
        timeframe,
        f"{on.start.date()} to {on.end.date()}",
        str(on.trades),
        f"{on.exposure:.0%}",
        f"{off.total_return:+.1%}",
        f"{on.total_return:+.1%}",
        f"{off.sharpe:+.2f}",
        f"{on.sharpe:+.2f}",
        f"{on.price:+,.0f}",
        f"{on.funding:+,.0f}",
    ]


def main(frames: list[str]) -> None:
    """Print the table."""
    heads = ("strategy", "timeframe", "span", "trades", "exposure", "return off", "return on")
    heads += ("Sharpe off", "Sharpe on", "price, on", "funding, on")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for frame in frames:
        for name in STRATEGIES.names():
            print("| " + " | ".join(row(name, frame)) + " |")


if __name__ == "__main__":
    main(sys.argv[1:] or ["1D", "1W"])
