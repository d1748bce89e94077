"""Bars: panel rows become the closed bars of a timeframe, reduced as a loop would reduce them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from markets import HOUR, MONDAY, bars_series, idle_clock, panel_of, perp, time

from btcflow import timeframes
from btcflow.data.align import align
from btcflow.data.records import Dataset
from btcflow.errors import ConfigError, UnknownName
from btcflow.flow.bars import Bars
from btcflow.flow.options import BarOptions, FlowOptions
from btcflow.panel import Panel

A = perp("a")
NAN = np.nan


def hours(values: list[float], start: str = MONDAY) -> Panel:
    return panel_of([A], start=start, close=[[value] for value in values])


def close(bars: Bars) -> np.ndarray:
    return bars.panel["close"][:, 0]


# --- which bars there are -----------------------------------------------------------------------------


def test_a_bar_that_is_not_over_has_no_row() -> None:
    assert Bars(hours([1.0] * 71), "1D").index.strftime("%d").tolist() == ["01", "02"]
    assert Bars(hours([1.0] * 72), "1D").index.strftime("%d").tolist() == ["01", "02", "03"]
    assert len(Bars(hours([1.0] * 23), "1D")) == 0
    assert len(Bars(hours([1.0] * 167), "1W")) == 0


def test_bars_are_named_by_their_open_also_where_the_data_begin_inside() -> None:
    bars = Bars(hours([1.0] * 30, start="2024-01-03 22:00"), "1D")
    assert bars.index.strftime("%Y-%m-%d").tolist() == ["2024-01-03", "2024-01-04"]
    assert (bars.closes - bars.opens == 24 * HOUR).all()
    assert bars.sum(close(bars)).tolist() == [2, 24]


def test_the_anchor_of_several_days_is_an_option() -> None:
    panel = hours([1.0] * 24 * 10, start="2025-12-26")
    year, epoch = (
        Bars(panel, "3D", FlowOptions(bars=BarOptions(nday_anchor=one))) for one in ("tv_year_reset", "epoch")
    )
    assert year.index.strftime("%m-%d").tolist() == ["12-24", "12-27", "12-30", "01-01"]
    assert epoch.index.strftime("%m-%d").tolist() == ["12-26", "12-29", "01-01"]


def test_a_bar_is_decided_when_the_slowest_field_was_published() -> None:
    panel = hours([1.0] * 48)
    assert Bars(panel, "1D").decided_at[0] == time("2024-01-02").value


# --- reductions against loops -------------------------------------------------------------------------


def stretches(bars: Bars, values: np.ndarray) -> list[list[float]]:
    """The panel's values of each bar, by asking every row for its bar."""
    return [
        [value for open_, value in zip(bars.panel.opens.tolist(), values.tolist(), strict=True) if start <= open_ < end]
        for start, end in zip(bars.opens.tolist(), bars.closes.tolist(), strict=True)
    ]


def real(part: list[float]) -> list[float]:
    return [value for value in part if not math.isnan(value)]


REDUCTIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": lambda part: math.fsum(real(part)) if real(part) else NAN,
    "last": lambda part: part[-1],
    "last_sample": lambda part: real(part)[-1] if real(part) else NAN,
    "mean": lambda part: math.fsum(real(part)) / len(real(part)),
    "median": lambda part: statistics.median(real(part)),
}


def gappy(rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = random.normal(size=rows)
    values[random.random(rows) < 0.15] = NAN
    hole = int(random.integers(0, rows - 80))
    values[hole : hole + 80] = NAN
    return values


@pytest.mark.parametrize("timeframe", ["4h", "1D", "3D", "1W", "1M"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_equals_the_loop(name: str, timeframe: str) -> None:
    for seed, (start, rows) in enumerate([("2024-01-01 00:00", 24 * 100), ("2023-11-18 17:00", 24 * 95 + 5)]):
        bars = Bars(hours([1.0] * rows, start=start), timeframe)
        values = gappy(rows, seed)
        parts = stretches(bars, values)
        full = [round(int(one) / HOUR) for one in bars.closes - bars.opens]
        expected = [REDUCTIONS[name](part) if name not in ("mean", "median") or len(real(part)) >= 0.8 * size else NAN
                    for part, size in zip(parts, full, strict=True)]  # fmt: skip
        assert np.isfinite(expected).any()
        np.testing.assert_allclose(getattr(bars, name)(values), expected, rtol=1e-12, atol=1e-12)


def test_a_mean_needs_four_fifths_of_its_samples() -> None:
    bars = Bars(hours([1.0] * 72), "1D")
    values = np.r_[np.full(19, 2.0), np.full(5, NAN), np.full(20, 2.0), np.full(4, NAN), np.full(24, NAN)]
    assert bars.mean(values) == pytest.approx([NAN, 2, NAN], nan_ok=True)
    assert bars.median(values) == pytest.approx([NAN, 2, NAN], nan_ok=True)


def test_a_bar_the_data_begin_in_needs_four_fifths_of_the_whole_bar() -> None:
    late, early = (
        Bars(hours([3.0] * rows, start=start), "1D")
        for rows, start in ((19, "2024-01-01 05:00"), (20, "2024-01-01 04:00"))
    )
    assert np.isnan(late.mean(close(late))).all()
    assert early.mean(close(early)).tolist() == [3.0]


def test_coverage_is_an_option_and_an_exact_share_is_enough() -> None:
    bars = Bars(hours([1.0] * 100 * 24), "100D", FlowOptions(bars=BarOptions(min_coverage=0.55)))
    daily = np.full(2400, NAN)
    daily[23 : 55 * 24 : 24] = 1.0
    assert bars.mean(daily, every=24).tolist() == [1.0]
    daily[23] = NAN
    assert np.isnan(bars.mean(daily, every=24)).all()


def test_daily_samples_on_hourly_rows_are_counted_as_days() -> None:
    bars = Bars(hours([1.0] * 168), "1W")
    daily = np.full(168, NAN)
    daily[23::24] = [1, 2, 3, 4, 5, 6, 7]
    assert bars.mean(daily, every=24).tolist() == [4]
    daily[23] = NAN
    assert bars.mean(daily, every=24).tolist() == [4.5], "six of seven days are enough"
    daily[47] = NAN
    assert np.isnan(bars.mean(daily, every=24)).all(), "five of seven are not"


def test_the_bars_of_an_empty_panel_are_empty() -> None:
    series = bars_series(A, [1.0, 2.0]).upto(time(MONDAY))
    bars = Bars(align(Dataset.of([series]), idle_clock(A), needs=["close"]), "1D")
    for values in (
        bars.mean(close(bars)),
        bars.median(close(bars)),
        bars.sum(close(bars)),
        bars.last(close(bars)),
        bars["price"],
    ):
        assert len(values) == len(bars) == 0


# --- scores -------------------------------------------------------------------------------------------


def test_a_score_is_computed_once_and_cannot_be_written_to() -> None:
    bars = Bars(hours([float(value) for value in range(1, 49)]), "1D")
    assert bars["price"].tolist() == [24, 48]
    assert bars["price"] is bars.score("price")
    assert bars["bar_return"] == pytest.approx([NAN, 1.0], nan_ok=True)
    with pytest.raises(ValueError, match="read-only"):
        bars["price"][0] = 1.0


def test_the_price_is_the_last_trade_of_the_traded_instrument_in_the_bar() -> None:
    panel = panel_of([perp("b"), A], close=[[5.0, 1.0]] * 20 + [[6.0, NAN]] * 4 + [[NAN, 9.0]] * 24 + [[NAN, NAN]] * 24)
    assert Bars(panel, "1D")["price"] == pytest.approx([6, NAN, NAN], nan_ok=True)
    assert Bars(panel, "1D")["bar_return"] == pytest.approx([NAN, NAN, NAN], nan_ok=True)


def test_the_newest_scores_are_kept() -> None:
    bars = Bars(hours([1.0] * 48), "1D")
    first = bars["price"]
    _ = bars["bar_return"]
    bars.forget_beyond(1)
    assert bars["price"] is not first


def test_the_window_of_a_timeframe_is_never_guessed() -> None:
    assert [Bars(hours([1.0] * 24), frame).window() for frame in ("1D", "3D", "1W", "1M")] == [180, 100, 52, 24]
    with pytest.raises(ConfigError, match=r"zscore.length has no entry for 4h \(it has 1D, 3D, 1W, 1M\); write one"):
        Bars(hours([1.0] * 24), "4h").window()


def test_an_unknown_metric_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'perp_premium"):
        Bars(hours([1.0] * 24), "1D")["perp_premum"]


# --- what is refused ----------------------------------------------------------------------------------


def test_a_timeframe_finer_than_the_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="timeframe 15m is finer than the data, which are sampled every 1h") as caught:
        Bars(hours([1.0] * 24), "15m")
    assert caught.value.exit_code == 78


def test_a_timeframe_that_would_cut_a_row_in_two_is_refused() -> None:
    with pytest.raises(ConfigError, match="timeframe 90m cuts the rows of the data, which are sampled every 1h"):
        Bars(hours([1.0] * 24), "90m")


def test_a_timeframe_finer_than_the_prices_is_refused() -> None:
    daily = panel_of([A], sampling={"close": [24]}, close=[[1.0]] * 48)
    with pytest.raises(
        ConfigError, match="timeframe 4h is finer than the data: the finest prices are sampled every 24 hours"
    ):
        Bars(daily, "4h")
    assert len(Bars(daily, "1D")) == 2


def test_every_bar_of_a_timeframe_is_the_one_of_the_calendar() -> None:
    bars = Bars(hours([1.0] * 24 * 70, start="2024-11-15 07:00"), "3D")
    assert timeframes.bar_open(bars.index, "3D").equals(bars.index)
    assert (bars.closes[:-1] == bars.opens[1:]).all()
