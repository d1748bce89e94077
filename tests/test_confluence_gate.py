"""The confluence states with the yearly funding rate in place of the funding z of over-leverage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from btcflow.contracts import Trial, hold, metric_subject
from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate
from btcflow.flow.catalog import METRICS
from btcflow.flow.confluence import STATES, state_code
from btcflow.flow.options import ConfluenceOptions, FlowOptions

NAN = math.nan
LONG, SHORT, BEAR, BULL, NEUTRAL, UNKNOWN = (
    "over_leverage_long",
    "over_leverage_short",
    "bearish",
    "bullish",
    "neutral",
    "unknown",
)
Bar = tuple[float, float, float, float]
"""oi_z, fund_z, prem_z and the yearly rate."""


@dataclass
class Given:
    """Bars whose scores are given."""

    rows: list[Bar]
    options: FlowOptions

    def score(self, name: str, *, window: int | None = None) -> np.ndarray:
        assert (window is None) == (name == "funding_apr")
        return np.array([row[("oi_z", "fund_z", "prem_z", "funding_apr").index(name)] for row in self.rows])


def states(rows: list[Bar], gate: str = "apr", **options: float) -> list[str]:
    chosen = FlowOptions(confluence=ConfluenceOptions(funding_gate=gate, **options))  # type: ignore[arg-type]
    return [STATES[int(code)] for code in state_code(Given(rows, chosen), window=5)]  # type: ignore[arg-type]


def slow_states(rows: list[Bar], *, apr_hot: float = 0.3, exit_ratio: float = 0.5) -> list[str]:
    """A machine in words: priority, then staying, then entering; triggers scaled, gates not."""

    def true_of(state: str, bar: Bar, r: float) -> bool:
        oi, fund, prem, apr = bar
        if state == LONG:
            return oi >= 2 * r and apr >= apr_hot * r and prem > 0
        if state == SHORT:
            return oi >= 2 * r and apr <= 0 and prem < 0
        if state == BEAR:
            return oi >= r and prem >= 0.5 * r and fund >= 0.5 * r
        return prem <= -0.5 * r and fund <= -0.5 * r and oi <= 1

    priority = [LONG, SHORT, BEAR, BULL]
    out: list[str] = []
    for bar in rows:
        if any(math.isnan(one) for one in bar):
            out.append(UNKNOWN)
            continue
        first = next((state for state in priority if true_of(state, bar, 1.0)), NEUTRAL)
        now = out[-1] if out else UNKNOWN
        stays = now in priority and true_of(now, bar, exit_ratio)
        higher = now in priority and first in priority[: priority.index(now)]
        out.append(now if stays and not higher else first)
    return out


@pytest.mark.parametrize("exit_ratio", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_engine_equals_the_machine_in_words(seed: int, exit_ratio: float) -> None:
    random = np.random.default_rng(seed)
    slow = np.zeros((3000, 4))
    for t in range(1, len(slow)):
        slow[t] = 0.9 * slow[t - 1] + 0.6 * random.normal(size=4)
    slow[:, 0] += 0.8
    slow[:, 3] = 0.15 + 0.15 * slow[:, 3]
    slow[random.random(slow.shape) < 0.01] = NAN
    rows = [(float(a), float(b), float(c), float(d)) for a, b, c, d in slow]
    found = states(rows, exit_ratio=exit_ratio)
    assert found == slow_states(rows, exit_ratio=exit_ratio)
    assert {*found} == {*STATES}, "every state occurs"
    assert found != states(rows, gate="z", exit_ratio=exit_ratio)
    assert states(rows, apr_hot=0.2) == slow_states(rows, apr_hot=0.2)


@pytest.mark.parametrize(
    ("bar", "state"),
    [
        ((2.0, -9.0, 0.1, 0.30), LONG),
        ((2.0, 9.0, 0.1, 0.29), NEUTRAL),
        ((2.0, 9.0, 0.0, 0.90), NEUTRAL),
        ((2.0, 9.0, -0.1, 0.0), SHORT),
        ((2.0, -9.0, -0.1, 0.01), NEUTRAL),
        ((2.0, 0.5, 0.5, 0.29), BEAR),
        ((1.0, -0.5, -0.5, 0.9), BULL),
        ((2.0, 9.0, 0.1, NAN), UNKNOWN),
        ((2.0, NAN, 0.1, 0.9), UNKNOWN),
    ],
)
def test_a_single_bar(bar: Bar, state: str) -> None:
    assert states([bar]) == [state]


def test_only_the_rate_that_triggers_is_scaled_on_leaving() -> None:
    assert states([(2, 0, 0.1, 0.30), (1, 0, 0.1, 0.15), (1, 0, 0.1, 0.149)]) == [LONG, LONG, NEUTRAL]
    assert states([(2, 0, -0.1, -0.01), (1, 0, -0.1, 0.0), (1, 0, -0.1, 0.001)]) == [SHORT, SHORT, NEUTRAL]


@pytest.fixture(scope="module")
def market() -> Dataset:
    return simulate(seed=3, years=0.8)


@pytest.mark.parametrize("name", ["state_code", "over_leverage_long", "bearish"])
def test_the_gate_keeps_every_law(name: str, market: Dataset) -> None:
    options = FlowOptions(confluence=ConfluenceOptions(funding_gate="apr", apr_hot=0.12, oi_hot=0.5))
    trial = Trial(dataset=market, timeframe="1D")
    hold(metric_subject(METRICS.get(name), "1D", window=30, options=options), trial)


def test_on_a_market_the_rate_is_that_of_the_bars(market: Dataset) -> None:
    options = FlowOptions.model_validate(
        {
            "confluence": {"funding_gate": "apr", "apr_hot": 0.12, "oi_hot": 0.5, "oi_warm": 0.4},
            "oi": {"min_age_days": 1, "min_venues": 1},
        }
    )
    trial = Trial(dataset=market, timeframe="1D")
    bars = trial.bars(trial.panel, options)
    codes, apr = bars.score("state_code", window=30), bars["funding_apr"]
    before = np.r_[0.0, codes[:-1]]
    entered = (codes == 5) & (before != 5)
    assert entered.sum() >= 3
    assert (apr[entered] >= 0.12).all()
    assert (apr[codes == 5] >= 0.06).all()
