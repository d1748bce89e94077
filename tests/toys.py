"""Small random hourly markets and target paths for the money tests, all from a seed."""

import numpy as np
import pandas as pd
from oracles import HOUR, ToyMarket

from btcflow.clock import Clock
from btcflow.instrument import Instrument

PERP = Instrument(venue="toy", symbol="BTCUSDT", role="perp", quote="USDT", margin="linear")
START = pd.Timestamp("2024-02-28 21:00", tz="UTC").value
MONEY = ("price_pnl", "funding", "fees", "slippage")


def toy_market(seed: int, bars: int, *, step: float = 0.02) -> ToyMarket:
    """A random hourly market: gaps at the open, a few missing bars, funding of both signs."""
    random = np.random.default_rng(seed)
    there = random.random(bars) > 0.05
    there[0] = True
    opened = (START + np.flatnonzero(there) * HOUR).tolist()
    close = 30_000.0 * np.exp(np.cumsum(random.normal(0.0, step, len(opened))))
    open_ = np.concatenate([[30_000.0], close[:-1]]) * np.exp(random.normal(0.0, step / 10, len(opened)))
    settlements = [
        (instant, float(random.normal(0.0001, 0.001) * 30_000.0))
        for instant in range(opened[0], opened[-1] + HOUR + 1, HOUR)
        if random.random() < 0.3
    ]
    return ToyMarket(opened, open_.tolist(), close.tolist(), settlements)


def clock_of(market: ToyMarket) -> Clock:
    open_, close = np.array(market.open), np.array(market.close)
    return Clock(
        instrument=PERP,
        step="1h",
        opens=np.array(market.opened, dtype=np.int64),
        open=open_,
        high=np.maximum(open_, close),
        low=np.minimum(open_, close),
        close=close,
        volume=np.ones(len(close)),
        funding=np.array([market.paid_in(i) for i in range(len(close))]),
        settlements=np.zeros(len(close), dtype=np.int64),
    )


def toy_targets(seed: int, bars: int, columns: int, values: tuple[float, ...] = (-1.0, -0.4, 0.0, 0.3, 1.0)):
    """Targets that stay for a few bars."""
    random = np.random.default_rng(seed)
    drawn = random.choice(values, size=(bars, columns))
    moves = random.random((bars, columns)) < 0.3
    newest = np.maximum.accumulate(np.where(moves, np.arange(bars)[:, None], -1), axis=0)
    return np.where(newest >= 0, np.take_along_axis(drawn, np.maximum(newest, 0), axis=0), 0.0)


def near(left: object, right: object) -> bool:
    """The project's meaning of equal: |a - b| <= 1e-9 * max(1, |a|, |b|)."""
    a, b = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= 1e-9 * np.maximum(1.0, np.maximum(abs(a), abs(b)))))
