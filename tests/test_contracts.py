"""The laws hold for everything registered, and each catches the leak it is named for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from btcflow import timeframes
from btcflow.contracts import LAWS, Subject, Trial, _aligned, hold, metric_subject, strategy_subject, violations
from btcflow.data.records import Dataset, Records
from btcflow.data.simulate import simulate
from btcflow.errors import ContractError
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.panel import Panel
from btcflow.rules.strategies import STRATEGIES

WINDOWS = {"1D": 40, "3D": 20, "1W": 8, "1M": 4}


@pytest.fixture(scope="module")
def market() -> Dataset:
    return simulate(seed=3, years=1.6)


@pytest.fixture(scope="module")
def trials(market: Dataset) -> dict[str, Trial]:
    return {frame: Trial(dataset=market, timeframe=frame) for frame in WINDOWS}


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


@pytest.mark.parametrize("name", [name for name, one in METRICS.items() if one.unit == "z"])
def test_z_scores_do_not_depend_on_the_unit_of_price(name: str, market: Dataset) -> None:
    """A z is unchanged when every price is quoted in a currency worth a quarter (an exact factor)."""
    metric = METRICS.get(name)
    quarter = market.map(_prices_times_four)
    one, other = (Bars(_aligned(data, None, metric.needs), "1D") for data in (market, quarter))
    left, right = (metric(bars, window=40) for bars in (one, other))
    assert np.isfinite(left).sum() > 100
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9)


def _prices_times_four(one: Records) -> Records:
    """Prices times four; inverse open interest in dollars grows with the dollar price of the same BTC."""
    frame = one.frame.copy()
    if one.key.kind in ("ohlcv", "mark"):
        for name in ("open", "high", "low", "close"):
            frame[name] *= 4.0
    in_dollars = one.instrument.oi_unit == "usd" or (
        one.instrument.oi_unit == "contract" and one.instrument.contract_ccy == "USD"
    )
    if one.key.kind == "open_interest" and in_dollars:
        frame["value"] *= 4.0
    return replace(one, frame=frame)


# -- planted leaks: each must be caught by the law named for it ---------------------------------------


def _close(bars: Bars) -> np.ndarray:
    return bars["price"].copy()


def _full_sample_z(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    bars = Bars(panel, "1D")
    price = _close(bars)
    return bars.decided_at, (price - np.nanmean(price)) / np.nanstd(price)


def _centred_window(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    bars = Bars(panel, "1D")
    return bars.decided_at, pd.Series(_close(bars)).rolling(5, center=True).mean().to_numpy(copy=True)


def _back_fill(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    bars = Bars(panel, "1D")
    return bars.decided_at, pd.Series(_close(bars)).bfill().to_numpy(copy=True)


def _still_open_week(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """A weekly resample that keeps the week that has not closed."""
    close = panel["close"][:, 0]
    weeks = timeframes.bar_open(panel.index, "1W")
    frame = pd.Series(close).groupby(weeks).last()
    closes = timeframes.bar_close(pd.DatetimeIndex(frame.index), "1W").as_unit("ns").asi8
    return closes + panel.decision_lag.value, frame.to_numpy(dtype=np.float64, copy=True)


def _join_on_stamp(dataset: Dataset, as_of: pd.Timestamp | None, needs: tuple[str, ...]) -> Panel:
    """An alignment that trusts the stamp and forgets when a row became known."""
    return _aligned(dataset.map(_known_at_once), as_of, needs)


def _known_at_once(one: Records) -> Records:
    frame = one.frame.copy()
    frame["known_at"] = pd.to_datetime(one.ends + one.lag.value, unit="ns", utc=True)
    return replace(one, frame=frame)


LEAKS = {
    "full-sample z": ("future", _full_sample_z, "1D"),
    "centred window": ("truncation", _centred_window, "1D"),
    "back-fill": ("holes", _back_fill, "1D"),
    "the still-open weekly bar": ("closed bars", _still_open_week, "1W"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_caught_by_the_law_named_for_it(leak: str, trials: dict[str, Trial]) -> None:
    law, compute, frame = LEAKS[leak]
    subject = Subject(name=leak, needs=("close",), compute=compute)
    caught = violations(subject, trials[frame], (law,))
    assert [one.law for one in caught] == [law]
    assert "row" in caught[0].detail
    with pytest.raises(ContractError, match=leak):
        hold(subject, trials[frame])


def test_a_join_on_the_stamp_is_caught_by_the_law_of_availability(market: Dataset) -> None:
    honest = metric_subject(METRICS.get("funding_8h"), "1D", window=40)
    leaky = Trial(dataset=market, timeframe="1D", aligner=_join_on_stamp)
    caught = violations(honest, leaky, ("availability",))
    assert [one.law for one in caught] == ["availability"]
    assert violations(honest, Trial(dataset=market, timeframe="1D"), ("availability",)) == []


def test_the_still_open_week_passes_every_other_law_of_time(trials: dict[str, Trial]) -> None:
    """Why there are several laws: cut on week closes, the open week cannot be seen."""
    subject = Subject(name="open week", needs=("close",), compute=_still_open_week)
    assert violations(subject, trials["1W"], ("truncation",)) == []


def test_a_metric_that_reads_an_undeclared_field_breaks_the_law_of_needs(trials: dict[str, Trial]) -> None:
    def compute(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        bars = Bars(panel, "1D")
        return bars.decided_at, bars["funding_8h"]

    caught = violations(Subject(name="hungry", needs=("close",), compute=compute), trials["1D"], ("needs",))
    assert len(caught) == 1
    assert "funding" in caught[0].detail


def test_a_metric_that_remembers_breaks_the_law_of_purity(trials: dict[str, Trial]) -> None:
    calls: list[int] = []

    def compute(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        calls.append(1)
        bars = Bars(panel, "1D")
        return bars.decided_at, _close(bars) + len(calls)

    assert [
        one.law
        for one in violations(Subject(name="moody", needs=("close",), compute=compute), trials["1D"], ("purity",))
    ] == ["purity"]


def test_an_infinite_value_breaks_the_law_of_shape(trials: dict[str, Trial]) -> None:
    def compute(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        bars = Bars(panel, "1D")
        return bars.decided_at, np.full(len(bars), np.inf)

    assert [
        one.law
        for one in violations(Subject(name="endless", needs=("close",), compute=compute), trials["1D"], ("shape",))
    ] == ["shape"]


def test_every_law_has_its_line_in_the_documentation() -> None:
    import btcflow.contracts

    assert all(f"\n{law} " in str(btcflow.contracts.__doc__) for law in LAWS)
