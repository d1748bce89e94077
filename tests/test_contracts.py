"""The laws hold for everything registered; what they say when they are broken, and where they do not apply."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import btcflow.contracts
from btcflow.contracts import (
    LAWS,
    Fault,
    Judgement,
    NotApplicable,
    Subject,
    Trial,
    aligned,
    hold,
    judge,
    metric_subject,
    strategy_subject,
    violations,
)
from btcflow.contracts.candidates import options_on
from btcflow.contracts.changes import regauged, repriced
from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate
from btcflow.errors import ContractError
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.metric import metric
from btcflow.rules.rule import FreeForm, Rule, integer, window
from btcflow.rules.strategies import STRATEGIES

WINDOWS = {"1D": 40, "3D": 20, "1W": 8, "1M": 4}


@pytest.fixture(scope="module")
def market() -> Dataset:
    return simulate(seed=3, years=1.6)


@pytest.fixture(scope="module")
def trials(market: Dataset) -> dict[str, Trial]:
    return {frame: Trial(dataset=market, timeframe=frame, only_listed=True) for frame in WINDOWS}


@pytest.mark.parametrize("frame", WINDOWS)
@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_keeps_every_law(name: str, frame: str, trials: dict[str, Trial]) -> None:
    subject = metric_subject(METRICS.get(name), frame, window=WINDOWS[frame])
    hold(subject, trials[frame])


@pytest.mark.parametrize("frame", ["1D", "1W"])
@pytest.mark.parametrize("name", STRATEGIES.names())
def test_every_strategy_keeps_every_law(name: str, frame: str, trials: dict[str, Trial]) -> None:
    subject = strategy_subject(STRATEGIES.get(name), frame, window=WINDOWS[frame])
    hold(subject, trials[frame])


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_says_what_it_is(name: str) -> None:
    about = METRICS.get(name).about
    assert about.splitlines()[0].endswith("."), "the first line is one sentence"
    for section in ("Returns", "Notes"):
        assert f"{section}\n---" in about, f"{name} has no {section} section"
    assert "NaN" in about


def test_the_law_of_the_unit_is_tried_on_every_metric(trials: dict[str, Trial]) -> None:
    """A metric of a new unit would slip through it: say in laws_of_form what becomes of the unit."""
    for name, one in METRICS.items():
        left_out = judge(metric_subject(one, "1W", window=8), trials["1W"], ("unit", "scale")).not_applicable
        assert set(left_out) == (set() if "open_interest" in one.needs else {"scale"}), name


def test_every_law_has_its_line_in_the_documentation() -> None:
    assert all(f"\n{law} " in str(btcflow.contracts.__doc__) for law in LAWS)


# -- the changed markets are what they say ------------------------------------------------------------


def test_a_market_cut_short_holds_nothing_that_came_later(trials: dict[str, Trial]) -> None:
    trial = trials["1D"]
    assert len(trial.truncated) >= 8
    for cut, panel in trial.truncated.items():
        assert (panel.decided_at <= cut.value).all()
        assert (panel.clock.closes_at <= cut.value).all()
    counts = [len(panel.instruments) for panel in trial.truncated.values()]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1], "venues that list later are not there yet"


def test_an_empty_series_stays_where_a_config_names_it(market: Dataset) -> None:
    trial = Trial(dataset=market, timeframe="1W")
    assert {len(panel.instruments) for panel in trial.truncated.values()} == {len(trial.panel.instruments)}


def test_the_shortened_panels_equal_those_aligned_again(trials: dict[str, Trial]) -> None:
    trial = trials["1W"]
    for cut, panel in trial.truncated.items():
        cheap = trial.panel.upto(cut)
        there = [list(trial.panel.instruments).index(one) for one in panel.instruments]
        for name, values in panel.fields.items():
            np.testing.assert_array_equal(cheap[name][:, there], values)


def test_every_venue_gets_another_contract_and_the_same_btc(market: Dataset) -> None:
    """One factor for all would leave a sum of raw contracts in proportion."""
    interest = [one for one in market if one.key.kind == "open_interest"]
    told = [regauged(one, position) for position, one in enumerate(interest)]
    factors = {one.column("value")[0] / other.column("value")[0] for one, other in zip(interest, told, strict=True)}
    assert len(factors) > 1
    assert all(one.instrument.oi_unit == "contract" for one in told)
    bars = [Bars(aligned(data, None, ("close", "open_interest")), "1D") for data in (market, Dataset.of(_swap(market)))]
    np.testing.assert_allclose(bars[0]["oi_index"], bars[1]["oi_index"], rtol=1e-12)


def _swap(market: Dataset) -> list[btcflow.data.records.Records]:
    order = [one.id for one in market.instruments]
    return [regauged(one, order.index(one.instrument.id)) for one in market]


def test_prices_times_four_take_dollars_of_open_interest_with_them(market: Dataset) -> None:
    changed = {(one.key, name) for one in market for name in _columns_changed(one)}
    kinds = {key.kind for key, _ in changed}
    assert kinds == {"ohlcv", "mark", "open_interest"}
    assert "volume" not in {name for _, name in changed}, "volume is in BTC"
    counted_in_dollars = {key.venue for key, _ in changed if key.kind == "open_interest"}
    assert counted_in_dollars == {"sim_bravo", "sim_delta"}


def _columns_changed(one: btcflow.data.records.Records) -> list[str]:
    other = repriced(one)
    return [name for name in one.frame.columns if not one.frame[name].equals(other.frame[name])]


# -- what is said of a broken law ----------------------------------------------------------------------


def subject_of(function: Callable[[Bars], object], *, needs: tuple[str, ...] = ("close",), unit: str = "") -> Subject:
    return Subject(
        name=f"{function.__name__}@1D",
        needs=needs,
        compute=lambda bars: (bars.decided_at, function(bars)),  # type: ignore[arg-type, return-value]
        unit=unit or None,
        function=function,
    )


def tomorrow(bars: Bars) -> np.ndarray:
    return np.append(bars["price"][1:], np.nan)


def test_a_violation_names_law_cut_row_and_amount(trials: dict[str, Trial]) -> None:
    found = violations(subject_of(tomorrow), trials["1D"], ("future",))
    assert [(one.law, one.subject) for one in found] == [("future", "tomorrow@1D")]
    told = r"row (\d+) \(decided (\S+ \S+)\) was (\S+) and is (\S+) \(by \+(\S+)\); 1 of (\d+) rows differ"
    row, decided, was, now, by, rows = re.fullmatch(told, found[0].detail).groups()  # type: ignore[union-attr]
    assert found[0].cut == f"{decided}, what follows moved up"
    assert int(row) == int(rows) - 1, "only the last row before the cut reads past it"
    assert float(now) - float(was) == pytest.approx(float(by), rel=0.01)
    assert float(now) / float(was) == pytest.approx(1.7)


def test_the_first_law_broken_is_raised(trials: dict[str, Trial]) -> None:
    with pytest.raises(ContractError, match=r"tomorrow@1D breaks the law of truncation: at 2018-\d\d-\d\d 00:05: row"):
        hold(subject_of(tomorrow), trials["1D"])


def test_only_the_laws_asked_for_are_tried(trials: dict[str, Trial]) -> None:
    assert violations(subject_of(tomorrow), trials["1D"], ("needs", "purity")) == []


def test_a_rare_look_ahead_is_found_where_its_value_changes(trials: dict[str, Trial]) -> None:
    """One bar in the sample reads the next one, and no cut was made for it."""

    def once(bars: Bars) -> np.ndarray:
        days = bars.index.strftime("%Y-%m-%d").to_numpy()
        after = np.append(days[1:], "none")
        return np.asarray((days == "2018-07-19") & (after == "2018-07-20"), dtype=np.float64)

    cuts = [str(cut)[:10] for cut in (*trials["1D"].truncated, *trials["1D"].shortened)]
    assert "2018-07-20" not in cuts
    found = violations(subject_of(once), trials["1D"], ("truncation",))
    assert found[0].cut == "2018-07-20 00:05"


# -- what is said of a subject that fails ----------------------------------------------------------------


def _judged(function: Callable[[Bars], object], trial: Trial, **terms: object) -> Judgement:
    return judge(subject_of(function, **terms), trial)  # type: ignore[arg-type]


def test_a_subject_that_raises_is_told_with_its_file_and_line(trials: dict[str, Trial]) -> None:
    def broken(bars: Bars) -> np.ndarray:
        return bars["price"][bars.index.argmax() + 1 :] / bars.window["x"]  # type: ignore[index]

    found = _judged(broken, trials["1D"])
    assert [one.law for one in found.broken] == ["shape"]
    line = broken.__code__.co_firstlineno + 1
    assert found.broken[0].detail.startswith("it raised TypeError: 'method' object is not subscriptable")
    assert found.broken[0].detail.endswith(f"test_contracts.py:{line})")
    assert set(found.not_applicable) == set(LAWS) - {"shape"}, "and nothing else is said of it"


def test_a_subject_that_raises_is_told_even_where_its_law_was_not_asked_for(trials: dict[str, Trial]) -> None:
    def broken(bars: Bars) -> np.ndarray:
        raise RuntimeError("no")

    assert [one.law for one in violations(subject_of(broken), trials["1D"], ("future",))] == ["shape"]


def test_a_subject_that_fails_on_a_short_market_only_breaks_the_law_that_shortens_it(trials: dict[str, Trial]) -> None:
    def long_only(bars: Bars) -> np.ndarray:
        if len(bars) < 100:
            raise ValueError("too short")
        return np.array(bars["price"])

    found = _judged(long_only, trials["1D"]).broken
    assert [one.law for one in found] == ["truncation"]
    assert found[0].cut == str(trials["1D"].cuts[0])[:16]
    assert found[0].detail.startswith("it raised ValueError: too short (")


def test_a_field_that_is_not_there_is_a_matter_of_needs(trials: dict[str, Trial]) -> None:
    def hungry(bars: Bars) -> np.ndarray:
        return bars.last(bars.panel["volume"][:, 0])

    found = _judged(hungry, trials["1D"]).broken
    assert [one.law for one in found] == ["needs"]
    assert "the panel holds no volume" in found[0].detail


def test_the_arrays_of_a_trial_cannot_be_written_to(trials: dict[str, Trial]) -> None:
    def rewriting(bars: Bars) -> np.ndarray:
        bars.panel["close"][0] = 1.0
        return np.array(bars["price"])

    def clock_rewriting(bars: Bars) -> np.ndarray:
        bars.panel.clock.close.setflags(write=True)
        return np.array(bars["price"])

    for function in (rewriting, clock_rewriting):
        assert [one.law for one in _judged(function, trials["1D"]).broken] == ["purity"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda bars: pd.Series(bars["price"]), "it gave Series of float64, expected a numpy array of float64 (583,)"),
        (lambda bars: bars["price"].astype(np.float32), "it gave ndarray of float32, expected a numpy array"),
        (lambda bars: list(bars["price"]), "it gave list of list, expected a numpy array"),
        (lambda bars: bars["price"][1:], "it gave ndarray of (582,), expected float64 (583,)"),
        (lambda bars: "up", "it gave str, expected float64 (583,)"),
        (lambda bars: None, "it gave NoneType of (), expected float64 (583,)"),
    ],
)
def test_a_wrong_shape_is_told_with_the_right_one(
    given: Callable[[Bars], object], told: str, trials: dict[str, Trial]
) -> None:
    found = _judged(given, trials["1D"]).broken
    assert found[0].law == "shape"
    assert found[0].detail.startswith(told)


def test_infinity_is_told_with_its_row(trials: dict[str, Trial]) -> None:
    def endless(bars: Bars) -> np.ndarray:
        return np.where(np.arange(len(bars)) == 5, np.inf, bars["price"])

    found = _judged(endless, trials["1D"]).broken
    assert [(one.law, one.detail) for one in found] == [
        ("shape", "row 5 (decided 2018-01-07 00:05) is inf; 1 of 583 rows are infinite")
    ]


# -- traces ------------------------------------------------------------------------------------------


_SEEN: list[float] = []


def remembering(bars: Bars) -> np.ndarray:
    _SEEN.append(1.0)
    return np.array(bars["price"])


def test_module_data_that_change_are_named(trials: dict[str, Trial]) -> None:
    found = _judged(remembering, trials["1D"]).broken
    assert [(one.law, one.detail) for one in found] == [("purity", "it keeps something between calls in: _SEEN")]


def test_a_default_that_is_filled_is_named(trials: dict[str, Trial]) -> None:
    def hoarding(bars: Bars, seen: list[float] = []) -> np.ndarray:  # noqa: B006
        seen.append(1.0)
        return np.array(bars["price"])

    assert "a default of hoarding" in _judged(hoarding, trials["1D"]).broken[0].detail


def test_an_unseeded_python_generator_is_seen(trials: dict[str, Trial]) -> None:
    def shuffled(bars: Bars) -> np.ndarray:
        return np.asarray(bars["price"] * (1.0 + 1e-9 * random.random()))

    found = _judged(shuffled, trials["1D"]).broken
    assert [one.law for one in found] == ["determinism"]
    assert found[0].cut == "the second time, computed under another state of the global random generators"


def test_checking_leaves_the_global_generators_and_settings_as_they_were(trials: dict[str, Trial]) -> None:
    def careless(bars: Bars) -> np.ndarray:
        np.random.seed(5)  # noqa: NPY002
        random.seed(5)
        np.seterr(all="ignore")
        return np.array(bars["price"])

    before = np.random.get_state()[1].copy(), random.getstate(), np.geterr()  # type: ignore[index] # noqa: NPY002
    assert "purity" in [one.law for one in _judged(careless, trials["1D"]).broken]
    after = np.random.get_state()[1], random.getstate(), np.geterr()  # type: ignore[index] # noqa: NPY002
    assert np.array_equal(before[0], after[0])
    assert before[1:] == after[1:]


# -- where a law does not apply -----------------------------------------------------------------------


def test_gaps_are_no_fault_where_inputs_are_missing(market: Dataset) -> None:
    holed = market.map(lambda one: one.where(np.arange(len(one)) % 50 != 7))
    trial = Trial(dataset=holed, timeframe="1D")
    assert not trial.complete
    subject = metric_subject(METRICS.get("price"), "1D", window=40)
    assert judge(subject, trial, ("warm-up",)).not_applicable == {"warm-up": "the market has holes"}


def test_a_subject_without_any_value_proves_nothing(trials: dict[str, Trial]) -> None:
    found = violations(metric_subject(METRICS.get("fund_z"), "1D", window=900), trials["1D"], ("warm-up",))
    assert found[0].detail.startswith("none of its 583 rows has a value")


def test_a_target_that_never_changes_is_noted(trials: dict[str, Trial]) -> None:
    held = judge(strategy_subject(STRATEGIES.get("buy_and_hold"), "1D", window=40), trials["1D"])
    assert held.broken == ()
    assert held.note == "always 1 on this market: little is proved"


def test_the_unit_decides_what_a_price_in_another_currency_does(trials: dict[str, Trial]) -> None:
    price = replace(subject_of(lambda bars: np.array(bars["price"])), name="price")
    found = {
        unit: judge(replace(price, unit=unit), trials["1D"], ("unit",)).findings["unit"]
        for unit in ("quote", "z", "bananas", None)
    }
    assert found["quote"] is None
    assert isinstance(found["z"], Fault)
    assert found["bananas"] == NotApplicable("its unit is bananas")
    assert found[None] == NotApplicable("its unit is not declared")


def test_no_moment_lies_inside_a_bar_of_one_row() -> None:
    trial = Trial(dataset=simulate(seed=3, years=0.3), timeframe="1h")
    found = judge(subject_of(lambda bars: np.array(bars["price"])), trial)
    assert found.broken == ()
    assert found.not_applicable["closed bars"] == "a bar is one row of the data: no moment lies inside"


def test_every_table_by_timeframe_has_an_entry_for_a_finer_one() -> None:
    assert options_on("1D") is None
    options = options_on("4h")
    assert options is not None
    assert options.zscore.length["4h"] == options.zscore.length["1D"]
    subject = metric_subject(METRICS.get("cycle_top"), "4h", window=40, options=options)
    bars = Bars(
        aligned(simulate(seed=3, years=0.3), None, Trial(dataset=Dataset(()), timeframe="4h").fields), "4h", options
    )
    decided, values = subject.compute(bars)
    assert decided.shape == values.shape


# -- subjects ------------------------------------------------------------------------------------------


def test_open_windows_of_a_strategy_are_set_and_kept_inside_their_bounds(trials: dict[str, Trial]) -> None:
    seen: list[dict[str, object]] = []

    def target(bars: Bars, values: dict[str, object]) -> np.ndarray:
        seen.append(dict(values))
        return np.zeros(len(bars))

    parameters = {"slow": window(), "window": integer(90, 50, 400, "bars"), "fast": integer(5, 2, 9, "bars")}
    free = FreeForm(name="free", claim="None.", function=target, needs=("close",), parameters=parameters)
    strategy_subject(free, "1D", window=40).compute(trials["1D"].bars(trials["1D"].panel, None))
    assert seen == [{"slow": 40, "window": 50, "fast": 5}]


def test_a_rule_reads_what_its_scores_read() -> None:
    rule = Rule.of("r", "Why.", long_entry="oi_z[20] >= 1", long_exit="bar_return < 0")
    assert strategy_subject(rule, "1D", window=40).needs == ("close", "open_interest")


def test_a_metric_of_ones_own_needs_no_registration(trials: dict[str, Trial]) -> None:
    @metric(unit="quote", needs=("close",))
    def twice(bars: Bars) -> np.ndarray:
        """Twice the price."""
        return np.asarray(2.0 * bars["price"])

    assert len(judge(metric_subject(twice, "1D", window=40), trials["1D"]).kept) == len(LAWS) - 1
