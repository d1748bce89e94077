"""The checker is checked: every leak of the suite is caught, no honest control is accused, no law is idle."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from btcflow.contracts import LAWS, Trial, judge
from btcflow.contracts.candidates import market_of_the_check
from btcflow.data.records import Dataset
from btcflow.data.simulate import simulate
from btcflow.terminal.checks import traps_document, traps_view
from btcflow.traps import CONTROLS, LEAKS, Trap
from btcflow.traps.suite import Tried, only_caught_by, tried

BY_NAME = {one.name: one for one in (*LEAKS, *CONTROLS)}


@pytest.fixture(scope="module")
def market() -> Dataset:
    return market_of_the_check()


@pytest.fixture(scope="module")
def results(market: Dataset) -> dict[str, Tried]:
    return {one.trap.name: one for one in tried(market)}


def test_the_suite_is_as_large_as_it_says() -> None:
    assert len(LEAKS) >= 30
    assert len(CONTROLS) >= 20
    assert len(BY_NAME) == len(LEAKS) + len(CONTROLS), "every trap has a name of its own"
    assert {one.law for one in LEAKS} == set(LAWS), "every law has a leak that names it"


def test_the_readme_tells_its_size() -> None:
    readme = Path(__file__).resolve().parent.parent / "README.md"
    told = f"on {len(LEAKS)} known leaks and {len(CONTROLS)} honest controls"
    assert told in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BY_NAME)
def test_a_trap_says_who_writes_it(name: str) -> None:
    about = BY_NAME[name].about
    assert about.endswith(".")
    assert len(about) <= 260, "in a line or two"


@pytest.mark.parametrize("name", [one.name for one in LEAKS])
def test_a_leak_is_caught_by_the_law_it_names(name: str, results: dict[str, Tried]) -> None:
    assert BY_NAME[name].law in results[name].caught_by


@pytest.mark.parametrize("name", [one.name for one in CONTROLS])
def test_an_honest_control_is_not_accused(name: str, results: dict[str, Tried]) -> None:
    assert results[name].judgement.broken == ()
    assert "truncation" in results[name].judgement.kept


@pytest.mark.parametrize("law", LAWS)
def test_without_a_law_a_leak_gets_through(law: str, results: dict[str, Tried], market: Dataset) -> None:
    """Tried again with that law switched off: nothing else is said of the leak."""
    alone = only_caught_by(results.values())[law]
    assert alone, f"{law} catches nothing that the other laws do not"
    leak = BY_NAME[alone[0]]
    trial = Trial(dataset=market, timeframe=leak.timeframe, aligner=leak.aligner, only_listed=True)
    others = [one for one in LAWS if one != law]
    assert judge(leak.subject, trial, others).broken == ()
    assert [one.law for one in judge(leak.subject, trial, (law,)).broken] == [law]


@pytest.mark.parametrize("issue", ["freqtrade#12507", "freqtrade#11346"])
def test_the_two_cases_that_another_analysis_missed_are_there(issue: str, results: dict[str, Tried]) -> None:
    found = [one for one in results.values() if issue in one.trap.about]
    assert len(found) == 1
    assert {"truncation", "future"} <= set(found[0].caught_by)


def test_every_violation_of_a_leak_says_where_and_how_much(results: dict[str, Tried]) -> None:
    for one in results.values():
        for fault in one.judgement.broken:
            assert fault.cut
            if fault.law in ("truncation", "future", "holes", "availability", "unit", "scale"):
                assert re.search(r"rows differ$|it raised|rows from what was known", fault.detail), (
                    one.trap.name,
                    fault,
                )


def test_the_table_shows_every_trap_and_every_law(results: dict[str, Tried]) -> None:
    found = list(results.values())
    text = traps_view(found, only_caught_by(found))
    assert "WRONG" not in text
    assert all(f"\n{name} " in text for name in BY_NAME)
    assert text.splitlines()[-1] == (
        f"{len(LEAKS)} of {len(LEAKS)} leaks caught by the law they name; 0 of {len(CONTROLS)} controls accused"
    )


def test_a_leak_that_gets_through_and_a_control_that_is_accused_are_shown(results: dict[str, Tried]) -> None:
    """The roles of a leak and a control are exchanged: both have to be called wrong."""
    leak, honest = results["shifted_the_wrong_way"], results["expanding_mean"]
    exchanged = [
        Tried(trap=_as(leak.trap, None), judgement=leak.judgement),
        Tried(trap=_as(honest.trap, "truncation"), judgement=honest.judgement),
    ]
    text = traps_view(exchanged, only_caught_by(exchanged))
    assert text.count("WRONG") == 2
    assert text.endswith("0 of 1 leaks caught by the law they name; 1 of 1 controls accused")
    assert traps_document(exchanged, {})["wrong"] == 2


def _as(trap: Trap, law: str | None) -> Trap:
    return replace(trap, law=law)


@pytest.mark.full
@pytest.mark.parametrize(("seed", "years"), [(0, 1.6), (1, 1.6), (5, 1.6), (11, 1.0), (7, 2.5), (12, 1.6)])
def test_on_other_markets_too_every_leak_is_caught_and_no_control_accused(seed: int, years: float) -> None:
    assert [one.trap.name for one in tried(simulate(seed=seed, years=years)) if not one.right] == []
