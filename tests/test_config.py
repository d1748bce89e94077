"""Configs: every problem at once, each with its place; what is read is what is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from btcflow.config.experiment import Experiment
from btcflow.config.load import load_config, strategy_of
from btcflow.errors import BtcflowError, ConfigError, UnknownName
from btcflow.registry import shipped
from btcflow.rules.rule import Rule
from btcflow.runs.folder import experiment_yaml

GOOD = """\
name: good
data: {source: simulated, years: 2}
timeframe: 1D
strategy: funding_fade
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(shipped("configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_reads_and_names_real_things(path: Path) -> None:
    assert strategy_of(load_config(path)).claim


def test_a_shipped_config_may_be_named() -> None:
    assert load_config("demo").name == "demo"
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        load_config("deno")


@pytest.mark.parametrize("path", sorted(shipped("configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_resolved_config_reads_back_as_the_same_experiment(path: Path, tmp_path: Path) -> None:
    first = load_config(path)
    second = load_config(written(tmp_path, experiment_yaml(first)))
    assert second.resolved() == first.resolved()


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ("strategi: x", ":5:1:", "unknown key 'strategi'"),
        ("market: {fe: 1}", ":5:10:", "did you mean 'fee'"),
        ("market: {fee: five}", ":5:15:", "expected a number"),
        ("market: {fee: 0.5}", ":5:15:", "expected a fraction of notional"),
        ("market: {delay: -1}", ":5:17:", "whole number of clock bars"),
        ("market: {delay: 0.5}", ":5:17:", "whole number of clock bars"),
        ("params: {entri_z: 2}", ":5:10:", "did you mean 'entry_z'"),
        ("params: {entry_z: 99}", ":5:19:", "expected 0 to 10"),
        ("sweep: {space: {window: {low: 60, high: 30, step: 10}}}", ":5:", "low <= high"),
        ("sweep: {space: {windo: {low: 30, high: 60, step: 10}}}", ":5:", "did you mean 'window'"),
        ("sweep: {space: {window: [30, 60]}}\nparams: {window: 30}", ":6:", "in one place"),
        ("split: {train: 1.5}", ":5:16:", "train"),
        ("name: again", ":5:1:", "again"),
        ("oi: {source: coinglass}", ":5:14:", "oi.source"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, change: str, place: str, words: str) -> None:
    path = written(tmp_path, GOOD + change + "\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert f"x.yaml{place}" in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.exit_code == 78


def test_an_unknown_strategy_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("funding_fade", "funding_fad"))
    with pytest.raises(
        ConfigError,
        match=r"x\.yaml:4:11: strategy: no strategy is called 'funding_fad'(.|\n)*did you mean 'funding_fade'",
    ):
        load_config(path)


def test_an_unknown_timeframe_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:3:12: timeframe: '1day' is not a timeframe"):
        load_config(written(tmp_path, GOOD.replace("1D", "1day")))


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + "params: {entri_z: 2, exit: 1}\nmarket: {fee: 0.5}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(caught.value.problems) == 3


def test_one_timeframe_or_several_but_not_both(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exactly one of 'timeframe'"):
        load_config(written(tmp_path, GOOD + "timeframes: [1D, 1W]\n"))


def test_an_override_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    experiment = load_config(path, overrides=["data.seed=11", "market.fee=0.001"])
    assert experiment.data.seed == 11  # type: ignore[union-attr]
    assert experiment.market.fee == 0.001


def test_an_override_of_an_unknown_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"market\.fe"):
        load_config(written(tmp_path, GOOD), overrides=["market.fe=1"])


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BtcflowError) as caught:
        load_config(tmp_path / "none.yaml")
    assert caught.value.exit_code == 66


def test_an_inline_rule_needs_no_python(tmp_path: Path) -> None:
    text = GOOD.replace("strategy: funding_fade", "rule: {long_entry: fund_z <= -2, long_exit: fund_z >= 0}")
    rule = strategy_of(load_config(written(tmp_path, text)))
    assert isinstance(rule, Rule)
    assert rule.scores == ("fund_z",)


def test_a_bad_inline_rule_points_into_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("strategy: funding_fade", "rule: {long_entry: fund_zz <= -2}")
    with pytest.raises(ConfigError, match=r"x\.yaml:4(.|\n)*did you mean 'fund_z'"):
        load_config(written(tmp_path, text))


def test_the_space_of_one_timeframe_replaces_axes(tmp_path: Path) -> None:
    text = GOOD + "sweep: {space: {window: [30, 60], entry_z: [1, 2]}, by_timeframe: {1D: {window: [10]}}}\n"
    sweep = load_config(written(tmp_path, text)).sweep
    assert sweep is not None
    assert sweep.space_on("1D").values("window") == (10,)
    assert sweep.space_on("1W").values("window") == (30, 60)
    assert sweep.space_on("1D").values("entry_z") == (1, 2)


def test_an_experiment_built_in_python_is_checked_too() -> None:
    from btcflow.config.load import experiment_of

    wrong = Experiment(name="x", data={"source": "simulated"}, timeframe="1D", strategy="nope")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no strategy is called 'nope'"):
        experiment_of(wrong)


def test_a_profile_lies_under_what_the_config_spells(tmp_path: Path) -> None:
    experiment = load_config(written(tmp_path, GOOD + "profile: tv_parity\npremium: {agg: median}\n"))
    assert experiment.premium.agg == "median"
    assert experiment.premium.quote_mode == "raw"
    assert experiment.oi.aggregate == "sum_nz"
    assert experiment.zscore.floor is None
    again = load_config(written(tmp_path, experiment_yaml(experiment)))
    assert again.resolved() == experiment.resolved()


def test_an_unknown_profile_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:5:10(.|\n)*did you mean 'tv_parity'"):
        load_config(written(tmp_path, GOOD + "profile: tv_party\n"))
