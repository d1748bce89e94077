"""Wilder markets than the toys: gaps, wicks, marks, volumes, and funding that can eat an account."""

from dataclasses import replace

import numpy as np
from oracles import HOUR, ToyMarket
from toys import MONEY, START, clock_of, toy_market

from btcflow.clock import Clock
from btcflow.engine.ledger import Ledger

ROWS = ("quantity", *MONEY, "equity")
TIERS = (
    ((0.0, 0.005),),
    ((0.0, 0.004), (50_000.0, 0.005), (600_000.0, 0.01), (3_000_000.0, 0.025)),
    ((0.0, 0.01), (8_000.0, 0.1), (40_000.0, 0.5)),
)


def wild_market(seed: int, bars: int, *, step: float = 0.02) -> ToyMarket:
    """A toy market with gaps at the open, and extremes beyond open and close (marks may lie inside)."""
    toy = toy_market(seed, bars, step=step)
    random = np.random.default_rng(seed + 7)
    count = len(toy.opened)
    jumps = np.where(random.random(count) < 0.05, random.normal(0.0, 0.1, count), 0.0)
    toy.open = (np.array(toy.open) * np.exp(jumps)).tolist()
    inside = np.where(random.random((2, count)) < 0.1, 3 * step, step / 4)
    wicks = np.abs(random.normal(0.0, step, (2, count))) - inside
    toy.low = (np.minimum(toy.open, toy.close) * np.exp(-wicks[0])).tolist()
    toy.high = (np.maximum(toy.open, toy.close) * np.exp(wicks[1])).tolist()
    toy.volume = np.exp(random.normal(6.0, 1.0, count)).tolist()
    if random.random() < 0.3:  # funding that can eat an account
        toy.settlements = [(instant, amount * 50) for instant, amount in toy.settlements]
    return toy


def wild_clock(toy: ToyMarket) -> Clock:
    return replace(clock_of(toy), mark_low=np.array(toy.low), mark_high=np.array(toy.high), volume=np.array(toy.volume))


def flat_toy(opens: list[float], closes: list[float], lows: list[float], highs: list[float]) -> ToyMarket:
    opened = [START + i * HOUR for i in range(len(opens))]
    return ToyMarket(opened, opens, closes, low=lows, high=highs, volume=[1.0] * len(opens))


def same_bits(left: Ledger, right: Ledger) -> bool:
    rows = all(getattr(left, name).tobytes("F") == getattr(right, name).tobytes("F") for name in ROWS)
    orders = all(
        np.array_equal(values, getattr(ours, name))
        for ours, theirs in ((left.orders, right.orders), (left.skipped, right.skipped))
        for name, values in vars(theirs).items()
    )
    return rows and orders and np.array_equal(left.ruined_at, right.ruined_at)
