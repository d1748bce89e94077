"""The confluence engine: one state per bar, held against a state machine written out in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.records import Dataset
from btcflow.data.simulate import TRADED
from btcflow.flow.bars import Bars
from btcflow.flow.confluence import STATES, bearish, bullish, over_leverage_long, over_leverage_short, state_code
from btcflow.flow.options import ConfluenceOptions, FlowOptions, ZscoreOptions

NAN = math.nan
LONG, SHORT, BEAR, BULL, NEUTRAL, UNKNOWN = (
    "over_leverage_long",
    "over_leverage_short",
    "bearish",
    "bullish",
    "neutral",
    "unknown",
)


@dataclass
class Given:
    """Bars whose z-scores are given: rows of (oi_z, fund_z, prem_z)."""

    rows: list[tuple[float, float, float]]
    confluence: ConfluenceOptions = field(default_factory=ConfluenceOptions)

    @property
    def options(self) -> FlowOptions:
        return FlowOptions(confluence=self.confluence)

    def score(self, name: str, *, window: int, **parameters: float | None) -> np.ndarray:
        if name == "state_code":
            return state_code(self, window=window, **parameters)  # type: ignore[arg-type]
        place = ("oi_z", "fund_z", "prem_z").index(name)
        return np.array([row[place] for row in self.rows], dtype=float)


def states(
    rows: list[tuple[float, float, float]], parameters: dict[str, float] | None = None, **options: float
) -> list[str]:
    given = Given(rows, ConfluenceOptions(**options))  # type: ignore[arg-type]
    return [STATES[int(code)] for code in state_code(given, window=5, **(parameters or {}))]  # type: ignore[arg-type]


# --- against a machine in words -----------------------------------------------------------------------


def slow_states(
    rows: list[tuple[float, float, float]],
    *,
    oi_hot: float = 2.0,
    oi_warm: float = 1.0,
    fund_hot: float = 1.0,
    fund_warm: float = 0.5,
    prem_warm: float = 0.5,
    exit_ratio: float = 0.5,
    min_hold_bars: int = 1,
) -> list[str]:
    def true_of(state: str, oi: float, fund: float, prem: float, r: float) -> bool:
        """Triggers are scaled by r, gates are not."""
        if state == LONG:
            return oi >= r * oi_hot and fund >= r * fund_hot and prem > 0
        if state == SHORT:
            return oi >= r * oi_hot and fund <= -r * fund_hot and prem < 0
        if state == BEAR:
            return oi >= r * oi_warm and prem >= r * prem_warm and fund >= r * fund_warm
        return prem <= -r * prem_warm and fund <= -r * fund_warm and oi <= oi_warm

    priority = [LONG, SHORT, BEAR, BULL]
    out: list[str] = []
    for row in rows:
        if any(math.isnan(z) for z in row):
            out.append(UNKNOWN)
            continue
        entered = [state for state in priority if true_of(state, *row, 1.0)]
        first = entered[0] if entered else NEUTRAL
        now = out[-1] if out else UNKNOWN
        if now not in priority:
            out.append(first)
            continue
        length = 0
        while length < len(out) and out[-1 - length] == now:
            length += 1
        higher = priority[: priority.index(now)]
        if length < min_hold_bars:
            out.append(now)
        elif first in higher:
            out.append(first)
        elif true_of(now, *row, exit_ratio):
            out.append(now)
        else:
            out.append(first)
    return out


def random_rows(seed: int, bars: int = 3000, missing: float = 0.02) -> list[tuple[float, float, float]]:
    """Slow z-scores that share a factor, as premium and funding do, with some bars missing."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(bars, 4))
    slow = np.zeros((bars, 4))
    for t in range(1, bars):
        slow[t] = 0.9 * slow[t - 1] + 0.6 * noise[t]
    z = np.column_stack([slow[:, 0] + 0.8, slow[:, 1] + 0.6 * slow[:, 3], slow[:, 2] + 0.6 * slow[:, 3]])
    z[random.random((bars, 3)) < missing] = NAN
    return [(float(row[0]), float(row[1]), float(row[2])) for row in z]


@pytest.mark.parametrize("min_hold_bars", [1, 2, 5])
@pytest.mark.parametrize("exit_ratio", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_engine_equals_the_machine_in_words(seed: int, exit_ratio: float, min_hold_bars: int) -> None:
    rows = random_rows(seed)
    found = states(rows, exit_ratio=exit_ratio, min_hold_bars=min_hold_bars)
    assert found == slow_states(rows, exit_ratio=exit_ratio, min_hold_bars=min_hold_bars)
    assert {*found} == {*STATES}, "every state occurs"


def test_a_rule_may_set_every_threshold() -> None:
    own = {"oi_hot": 1.5, "oi_warm": 0.7, "fund_hot": 0.8, "fund_warm": 0.2, "prem_warm": 0.3, "exit_ratio": 0.8}
    rows = random_rows(3)
    assert states(rows, own) == slow_states(rows, **own) == states(rows, **own)
    assert states(rows, own) != states(rows)


# --- by hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ((2.0, 1.0, 0.1), LONG),
        ((2.0, 1.0, 0.0), NEUTRAL),
        ((2.0, 1.0, 0.5), LONG),
        ((2.0, -1.0, -0.1), SHORT),
        ((2.0, -1.0, 0.0), NEUTRAL),
        ((1.0, 0.5, 0.5), BEAR),
        ((1.99, 5.0, 0.5), BEAR),
        ((0.99, 0.5, 0.5), NEUTRAL),
        ((1.0, -0.5, -0.5), BULL),
        ((1.01, -0.5, -0.5), NEUTRAL),
        ((-3.0, -0.49, -2.0), NEUTRAL),
        ((-3.0, -0.5, -2.0), BULL),
        ((0.0, 0.0, 0.0), NEUTRAL),
        ((NAN, 0.0, 0.0), UNKNOWN),
        ((0.0, NAN, 0.0), UNKNOWN),
        ((0.0, 0.0, NAN), UNKNOWN),
    ],
)
def test_a_single_bar(row: tuple[float, float, float], state: str) -> None:
    assert states([row]) == [state]


def test_a_state_stays_while_its_triggers_hold_at_half_and_its_gates_in_full() -> None:
    assert states([(2.0, 1.0, 0.1), (1.0, 0.5, 0.01), (0.99, 0.5, 0.01)]) == [LONG, LONG, NEUTRAL]
    assert states([(2.0, 1.0, 0.1), (1.5, 0.8, 0.0)]) == [LONG, NEUTRAL], "the gate prem_z > 0 is not halved"
    assert states([(0.0, -0.6, -0.6), (1.0, -0.25, -0.25), (1.01, -0.3, -0.3)]) == [BULL, BULL, NEUTRAL]


def test_a_higher_state_pre_empts_and_a_lower_one_waits() -> None:
    rows = [(1.2, 0.6, 0.6), (2.0, 1.0, 0.6), (1.5, 0.9, 0.9), (1.5, 0.9, -0.1), (1.5, 0.9, 0.9)]
    assert states(rows) == [BEAR, LONG, LONG, NEUTRAL, BEAR], (
        "bearish holds on the third bar, but the higher state does too"
    )


def test_unknown_clears_the_memory() -> None:
    kept = [(2.0, 1.0, 0.1), (1.5, 0.8, 0.1), (1.5, 0.8, 0.1)]
    assert states(kept) == [LONG] * 3
    assert states([kept[0], (NAN, 0.8, 0.1), kept[2]]) == [LONG, UNKNOWN, NEUTRAL]


def test_unknown_is_not_held_back_by_the_least_hold() -> None:
    assert states([(2.0, 1.0, 0.1), (NAN, 0.0, 0.0), (0.0, 0.0, 0.0)], min_hold_bars=5) == [LONG, UNKNOWN, NEUTRAL]


def test_a_state_is_left_only_after_its_least_hold_even_for_a_higher_one() -> None:
    calm, hot = (0.0, 0.0, 0.0), (2.0, 1.0, 0.1)
    assert states([(1.0, 0.5, 0.5), hot, hot, calm, calm, calm], min_hold_bars=3) == [
        BEAR,
        BEAR,
        BEAR,
        NEUTRAL,
        NEUTRAL,
        NEUTRAL,
    ]
    assert states([(1.0, 0.5, 0.5), hot, hot, hot, calm, calm], min_hold_bars=2) == [
        BEAR,
        BEAR,
        LONG,
        LONG,
        NEUTRAL,
        NEUTRAL,
    ]


# --- laws ---------------------------------------------------------------------------------------------


def test_the_two_sides_of_over_leverage_are_mirror_images() -> None:
    rows = random_rows(4)
    mirrored = [(oi, -fund, -prem) for oi, fund, prem in rows]
    found, other = states(rows), states(mirrored)
    assert found.count(LONG) > 20
    assert [one == LONG for one in found] == [one == SHORT for one in other]
    assert [one == SHORT for one in found] == [one == LONG for one in other]


def test_richer_perps_never_turn_a_bar_bullish_and_cheaper_ones_never_bearish() -> None:
    rows = random_rows(5, missing=0.0)[:400]
    random = np.random.default_rng(5)
    for t in range(1, len(rows)):
        oi, fund, prem = rows[t]
        move = float(random.exponential(1.0))
        here = states(rows[: t + 1])[-1]
        richer, cheaper = (states([*rows[:t], (oi, fund, prem + by)])[-1] for by in (move, -move))
        assert richer != BULL or here == BULL
        assert cheaper != BEAR or here == BEAR


def test_the_flags_are_the_states_and_unknown_where_the_state_is() -> None:
    rows = random_rows(6)
    given, said = Given(rows), states(rows)
    for metric, name in ((bullish, BULL), (bearish, BEAR), (over_leverage_short, SHORT), (over_leverage_long, LONG)):
        flag = metric(given, window=5)  # type: ignore[arg-type]
        expected = [NAN if one == UNKNOWN else float(one == name) for one in said]
        np.testing.assert_array_equal(flag, expected)
        assert metric.unit == "0/1"


def test_on_a_market_the_states_are_those_of_its_own_z_scores(dataset: Dataset) -> None:
    needs = ("close", "funding_hours", "funding_paid", "open_interest")
    panel = align(dataset, make_clock(dataset, TRADED), needs=needs)
    bars = Bars(panel, "1D", FlowOptions(zscore=ZscoreOptions(length={"1D": 60})))
    rows = list(zip(*(bars[name].tolist() for name in ("oi_z", "fund_z", "prem_z")), strict=True))
    found = [STATES[int(code)] for code in bars["state_code"]]
    assert found == slow_states(rows)
    assert len({*found}) >= 4
