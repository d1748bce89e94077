"""Rules: what the text means, and what position it leads to."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btcflow.errors import ConfigError, UnknownName
from btcflow.rules import Condition, Rule, integer, number, window
from btcflow.rules.decide import _walk, decide, first_decidable
from btcflow.rules.sentence import sentence
from btcflow.rules.strategies import STRATEGIES


class FakeBars:
    """Bars whose scores are written down."""

    def __init__(self, **scores: Sequence[float]) -> None:
        self.scores = {name: np.array(values, dtype=np.float64) for name, values in scores.items()}

    def __len__(self) -> int:
        return len(next(iter(self.scores.values())))

    def score(self, name: str, *, window: int | None = None, **_: Any) -> np.ndarray:
        return self.scores[name]

    def window(self) -> int:
        return 180


def positions(rule: Rule, bars: FakeBars, **values: float) -> list[float]:
    return decide(rule, bars, [rule.assign(values)])[:, 0].tolist()  # type: ignore[arg-type]


def fade(**extra: Any) -> Rule:
    return Rule.of(
        "fade",
        "Crowds unwind.",
        short_entry="fund_z >= entry_z",
        short_exit="fund_z <= 0",
        long_entry="fund_z <= -entry_z",
        long_exit="fund_z >= 0",
        parameters={"entry_z": number(2.0, 0.0, 10.0, "sigma")},
        **extra,
    )


def test_a_fade_is_short_from_hot_funding_until_it_is_cool_and_mirrored() -> None:
    bars = FakeBars(fund_z=[0.5, 2.0, 1.0, 0.0, -1.9, -2.5, -0.1, 0.1, 2.5, -3.0])
    assert positions(fade(), bars) == [0, -1, -1, 0, 0, 1, 1, 0, -1, 1]


def test_a_nan_score_makes_no_decision() -> None:
    bars = FakeBars(fund_z=[2.5, np.nan, np.nan, -0.5, np.nan, -2.5])
    assert positions(fade(), bars) == [-1, -1, -1, 0, 0, 1]


def test_opposite_entries_that_hold_together_cancel() -> None:
    both = Rule.of("both", "Torn.", long_entry="fund_z >= 1", short_entry="oi_z >= 1")
    bars = FakeBars(fund_z=[1, 0, 1, 1], oi_z=[1, 1, 1, 0])
    assert positions(both, bars) == [0, -1, -1, 1]


def test_an_entry_does_not_count_while_its_own_exit_holds() -> None:
    rule = Rule.of("x", "x.", long_entry="fund_z >= 1", long_exit="oi_z >= 1")
    assert positions(rule, FakeBars(fund_z=[1, 1, 1, 0], oi_z=[1, 0, 1, 0])) == [0, 1, 0, 0]


def test_or_binds_looser_than_and() -> None:
    rule = Rule.of("x", "x.", long_entry="fund_z >= 1 and oi_z >= 1 or prem_z >= 1", long_exit="prem_z <= -1")
    bars = FakeBars(fund_z=[1, 1, 0, 0], oi_z=[0, 1, 0, 0], prem_z=[0, 0, -1, 1])
    assert positions(rule, bars) == [0, 1, 0, 1]


def test_a_list_is_an_or_of_its_lines() -> None:
    one = Rule.of("x", "x.", long_entry=["fund_z >= 1", "oi_z >= 1"])
    other = Rule.of("x", "x.", long_entry="fund_z >= 1 or oi_z >= 1")
    assert one.long_entry == other.long_entry


def test_always_holds_and_nothing_leaves_buy_and_hold() -> None:
    assert positions(STRATEGIES.get("buy_and_hold"), FakeBars(fund_z=[np.nan] * 4)) == [1, 1, 1, 1]  # type: ignore[arg-type]


def test_minimum_hold_keeps_a_position_for_that_many_bars() -> None:
    bars = FakeBars(fund_z=[2.5, -0.5, -0.5, -0.5, -0.5])
    assert positions(fade(min_hold=3), bars) == [-1, -1, -1, 0, 0]


def test_cooldown_rests_after_an_exit_but_not_after_a_reversal() -> None:
    bars = FakeBars(fund_z=[2.5, -0.5, 2.5, 2.5, 2.5, -2.5])
    assert positions(fade(cooldown=2), bars) == [-1, 0, 0, 0, -1, 1]


def test_hysteresis_leaves_when_the_entry_no_longer_holds_at_a_share_of_its_threshold() -> None:
    rule = Rule.of("h", "h.", short_entry="fund_z >= 2", hysteresis=0.5)
    assert positions(rule, FakeBars(fund_z=[2.0, 1.5, 1.0, np.nan, 0.9, 1.5])) == [-1, -1, -1, -1, 0, 0]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    flags=st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=40),
    min_hold=st.integers(0, 4),
    cooldown=st.integers(0, 4),
)
def test_the_walk_equals_a_slow_state_machine(
    flags: list[tuple[bool, bool, bool, bool]], min_hold: int, cooldown: int
) -> None:
    columns = [np.array(column) for column in zip(*flags, strict=True)]
    assert _walk(*columns, min_hold, cooldown).tolist() == _slow_walk(flags, min_hold, cooldown)


def _slow_walk(flags: list[tuple[bool, bool, bool, bool]], min_hold: int, cooldown: int) -> list[float]:
    """The paragraph of :class:`Rule` read aloud, one bar at a time, looking back over the path so far."""
    path: list[float] = []
    for long_entry, long_exit, short_entry, short_exit in flags:
        now = path[-1] if path else 0
        up, down = long_entry and not long_exit, short_entry and not short_exit
        if up and down:
            up = down = False
        run = len(list(itertools.takewhile(lambda one, now=now: one == now, reversed(path))))  # type: ignore[misc]
        entered_before = any(one != 0 for one in path)
        if now == 0:
            rested = not entered_before or run - 1 >= cooldown
            wanted = (1 if up else -1 if down else 0) if rested else 0
        elif run < min_hold:
            wanted = now
        elif down if now == 1 else up:
            wanted = -now
        else:
            wanted = 0 if (long_exit if now == 1 else short_exit) else now
        path.append(wanted)
    return path


def test_a_column_alone_equals_the_batch() -> None:
    rng = np.random.default_rng(5)
    bars, rule = FakeBars(fund_z=rng.normal(size=300) * 2), fade()
    sets = [rule.assign({"entry_z": z}) for z in (0.5, 1.0, 2.0, 3.0)]
    batch = decide(rule, bars, sets)  # type: ignore[arg-type]
    for k, one in enumerate(sets):
        assert np.array_equal(batch[:, [k]], decide(rule, bars, [one]))  # type: ignore[arg-type]


def test_the_first_decidable_bar_has_every_score() -> None:
    rule = Rule.of("x", "x.", long_entry="fund_z >= 1 and oi_z >= 1")
    bars = FakeBars(fund_z=[np.nan, 1, 1, 1], oi_z=[np.nan, np.nan, 0, 0])
    assert first_decidable(rule, bars, [rule.assign({})]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["fund_z[90] >= 2", "oi_z <= -entry_z", "prem_z[window] > 0.5", "bullish", "bearish[52]"]
)
def test_a_condition_prints_as_it_is_read(text: str) -> None:
    assert str(Condition.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fund_z => 2", "is not a condition"),
        ("fund_z", "compare it"),
        ("funding_8h[20] >= 0", "has no window"),
        ("fund_z >= 2 3", "is not a condition"),
        ("", "is not a condition"),
    ],
)
def test_a_bad_condition_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Condition.parse(text)


def test_an_unknown_score_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'fund_z'"):
        Condition.parse("fundz >= 2")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Rule.of("r", "r.", long_entry="fund_z >= entry"), "'entry' is no parameter"),
        (lambda: Rule.of("r", "r.", long_exit="fund_z >= 1"), "never enters"),
        (lambda: Rule.of("r", "r.", long_entri="fund_z >= 1"), "did you mean long_entry"),
        (lambda: Rule.of("r", "r.", long_entry="fund_z >= 1", parameters={"spare": window()}), "'spare' is not used"),
    ],
)
def test_a_bad_rule_is_refused_in_words(build: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"entry": 2.0}, "no parameter 'entry'; did you mean 'entry_z'"),
        ({"entry_z": 11.0}, "expected 0 to 10"),
        ({"entry_z": float("nan")}, "expected a number"),
        ({"entry_z": "2"}, "expected a number"),
        ({"entry_z": True}, "expected a number"),
    ],
)
def test_a_bad_value_is_refused_in_words(values: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fade().assign(values)


def test_a_whole_number_is_expected_where_one_is() -> None:
    rule = Rule.of("r", "r.", long_entry="fund_z[n] >= 1", parameters={"n": integer(20, 2, 100, "bars")})
    with pytest.raises(ConfigError, match="whole number"):
        rule.assign({"n": 20.5})


def test_states_bring_their_thresholds_as_parameters_of_the_rule() -> None:
    assert {"window", "oi_hot", "prem_warm", "exit_ratio"} <= set(STRATEGIES.get("confluence").tunable)


def test_the_sentence_says_the_numbers() -> None:
    rule = STRATEGIES.get("funding_fade")
    text = sentence(rule, rule.assign({"window": 90, "entry_z": 1.5}), FakeBars(fund_z=[0.0]))  # type: ignore[arg-type]
    assert text == (
        "Go long when fund_z over 90 bars is at most -1.5; leave when fund_z over 90 bars is at least 0. "
        "Go short when fund_z over 90 bars is at least 1.5; leave when fund_z over 90 bars is at most 0."
    )


@pytest.mark.parametrize(
    "name", ["confluence", "funding_fade", "premium_reversion", "oi_breakout", "cycle_extremes", "buy_and_hold"]
)
def test_the_shipped_strategies_are_there(name: str) -> None:
    assert STRATEGIES.get(name).claim.endswith(".")


def test_oi_breakout_goes_with_the_bar_that_brought_the_jump() -> None:
    bars = FakeBars(oi_change_z=[1.5, 0.5, 0.0, 1.6, -0.1], bar_return=[0.01, -0.01, 0.01, -0.01, -0.01])
    assert positions(STRATEGIES.get("oi_breakout"), bars) == [1, 1, 0, -1, 0]  # type: ignore[arg-type]


def test_confluence_is_long_from_bullish_until_bearish_or_over_leverage() -> None:
    flags = {
        "bullish": [1, 0, 0, 0, 0, 1],
        "bearish": [0, 0, 0, 1, 0, 0],
        "over_leverage_long": [0, 0, 1, 0, 0, 0],
        "over_leverage_short": [0, 0, 0, 0, 1, 0],
    }
    assert positions(STRATEGIES.get("confluence"), FakeBars(**flags)) == [1, 1, 0, -1, 0, 1]  # type: ignore[arg-type]
