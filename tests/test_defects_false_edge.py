"""What an unrepaired label flip is worth: an edge that is not there, on a market where nothing can be predicted.

Open interest moves with the return of the same five minutes, as it does; the next five minutes are pure
chance. A dump labels every snapshot with the start of its five minutes (binance-public-data#491), so whoever
takes the label for the time of the value knows five minutes that have not happened. The whole path is
btcflow's own: records, clock, align, bars, rule, ledger, performance.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from dumps import DAY, HOUR, MINUTE, frame_of

from btcflow.audit.audit import audit
from btcflow.audit.mending import apply_defects
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset, Records, SeriesKey
from btcflow.engine.ledger import settle
from btcflow.engine.market import Market
from btcflow.engine.signals import assignments, clock_targets
from btcflow.flow.bars import Bars
from btcflow.flow.options import FlowOptions, OpenInterestOptions
from btcflow.instrument import Instrument
from btcflow.rules import Rule
from btcflow.rules.rule import FreeForm
from btcflow.stats.performance import Performance, performance

DAYS = 720
START = pd.Timestamp("2026-06-26", tz="UTC").value
FIVE = 5 * MINUTE
PERP = Instrument(venue="binance", symbol="BTCUSDT", role="perp", quote="USDT", margin="linear", oi_unit="btc")
FREE = Market(fee=0.0, slippage=0.0)
ONE_VENUE = FlowOptions(oi=OpenInterestOptions(min_venues=1, min_age_days=0))
SEEDS = (1, 2, 3, 4)

FLOW = Rule.of(
    "oi_flow",
    "New positions push the price on.",
    long_entry="oi_change_z[48] >= 0.5",
    long_exit="oi_change_z[48] <= 0",
    short_entry="oi_change_z[48] <= -0.5",
    short_exit="oi_change_z[48] >= 0",
)


def five_minute_flow(bars: Bars, _: object) -> np.ndarray:
    """Long after five minutes in which open interest grew, short after others."""
    level = bars.last(bars.panel["open_interest"][:, 0])
    return np.nan_to_num(np.sign(np.diff(np.log(level), prepend=np.nan)))


EVERY_FIVE_MINUTES = FreeForm(name="five_minute_flow", claim="The same, at once.", function=five_minute_flow, needs=())


@cache
def market(seed: int, labels: str) -> Dataset:
    """A perpetual whose returns are independent draws, and whose open interest follows the bar's own return.

    ``labels``: ``true`` = every snapshot at the instant it was taken; ``start`` = five minutes early, as dumped.
    """
    random = np.random.default_rng(seed)
    count = DAYS * 288
    returns = 0.001 * random.standard_normal(count)
    close = 60_000.0 * np.exp(np.cumsum(returns))
    open_ = np.r_[60_000.0, close[:-1]]
    interest = 80_000.0 * np.exp(np.cumsum(0.8 * returns + 0.0006 * random.standard_normal(count)))
    opens = START + FIVE * np.arange(count, dtype=np.int64)
    prices = {"open": open_, "high": np.maximum(open_, close), "low": np.minimum(open_, close), "close": close}
    label = opens if labels == "start" else opens + FIVE
    settled = START + 8 * HOUR * np.arange(1, 3 * DAYS + 1, dtype=np.int64)
    hours = np.full(len(settled), 8.0)
    return Dataset.of(
        [
            _series("ohlcv", "5m", frame_of(opens, opens + FIVE, prices | {"volume": np.ones(count)})),
            _series("open_interest", "5m", frame_of(label, label, {"value": interest})),
            _series(
                "funding",
                "8h",
                frame_of(settled, settled, {"rate": 0 * hours, "spacing_hours": hours, "rate_hours": hours}),
            ),
        ]
    )


def _series(kind: str, timeframe: str, frame: pd.DataFrame) -> Records:
    return Records(
        key=SeriesKey("binance", "BTCUSDT", kind, timeframe),
        instrument=PERP,
        frame=frame,
        source="generated for a test",
    )


def traded(data: Dataset, strategy: Rule | FreeForm = FLOW, timeframe: str = "1h") -> Performance:
    """The strategy's performance without any cost, so that what is left is the edge."""
    clock = make_clock(data, PERP.id)
    bars = Bars(align(data, clock, needs=["close", "open_interest"], step="5m"), timeframe, ONE_VENUE)
    sets, _ = assignments(strategy, {})
    return performance(settle(clock_targets(strategy, bars, sets, delay=0), clock, FREE))


def sigmas(found: Performance) -> float:
    """How many standard errors the mean daily return is above zero."""
    return found.sharpe * np.sqrt(found.days / 365.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_flipped_labels_show_an_edge_that_the_repair_takes_away(seed):
    flipped = market(seed, "start")
    repaired, applied = apply_defects(flipped)
    false, honest = traded(flipped), traded(repaired)
    assert [(one.defect, one.rows) for one in applied] == [("binance-um-metrics-start-labels", DAYS * 288)]
    assert false.sharpe > 3.0
    assert sigmas(false) > 4.0
    assert abs(sigmas(honest)) < 2.5
    assert honest.trades == false.trades or abs(honest.trades / false.trades - 1) < 0.1, (
        "the same strategy trades as often"
    )


def test_over_all_markets_together_nothing_is_left():
    honest = [sigmas(traded(apply_defects(market(seed, "start"))[0])) for seed in SEEDS]
    assert abs(sum(honest) / np.sqrt(len(honest))) < 2.0


def test_the_repair_gives_the_market_as_it_was():
    """Bit for bit what a reader with true times would have traded."""
    repaired, _ = apply_defects(market(1, "start"))
    for mended, true in zip(repaired, market(1, "true"), strict=True):
        assert mended.content_hash() == true.content_hash()
    assert traded(repaired) == traded(market(1, "true"))


def test_decided_every_five_minutes_the_leak_is_all_there_is_to_know():
    flipped = market(1, "start")
    repaired, _ = apply_defects(flipped)
    assert traded(flipped, EVERY_FIVE_MINUTES, "5m").sharpe > 50
    assert abs(sigmas(traded(repaired, EVERY_FIVE_MINUTES, "5m"))) < 2.5


def test_without_the_catalogue_the_audit_still_sees_the_flip():
    short = START + 30 * DAY
    early, true = (market(1, labels).upto(pd.Timestamp(short, tz="UTC")) for labels in ("start", "true"))
    (found,) = audit(early, checks=["interest_labels"]).findings
    assert (found.severity, found.series) == ("fault", "binance:BTCUSDT open_interest 5m")
    assert "1 step LATER" in found.found.says
    assert audit(true, checks=["interest_labels"]).findings == ()
    (known,) = (one for one in audit(early, checks=["known_defects"]).findings if "start-labels" in one.found.says)
    assert known.severity == "warning"
    assert "price moves 1 step later" in known.found.says
