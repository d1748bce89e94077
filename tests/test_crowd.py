"""The crowd behind the simulated market: nothing to find at edge 0, and moments like Bitcoin's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from btcflow.data.crowd import World, _draw, _path, world
from btcflow.errors import ConfigError

DAY, HOUR = 1.0, 1 / 24


# --- nothing to find at edge 0 ------------------------------------------------------------------


def crowding(one: World) -> np.ndarray:
    return one.crowding


SIGNALS: dict[str, Callable[[World], np.ndarray]] = {
    "crowding": crowding,
    "premium": lambda one: one.premium.mean(axis=1) + 3e-4,
    "funding": lambda one: one.funding - 1e-4,
    "interest change": lambda one: np.diff(one.log_oi, prepend=0.0),
    "volatility": lambda one: one.volatility - 0.033,
    "last return": lambda one: one.returns,
}


def t_statistics(
    signal: Callable[[World], np.ndarray], *, step: float, worlds: int, days: int, edge: float = 0.0
) -> np.ndarray:
    """The t of sign(signal known before the bar) times (return - drift), one per world."""
    found = []
    for seed in range(worlds):
        one = world(seed=1_000 + seed, bars=round(days / step), step_days=step, edge=edge)
        gain = np.sign(signal(one)[:-1]) * (one.returns[1:] - one.drift)
        found.append(gain.mean() / gain.std() * np.sqrt(len(gain)))
    return np.array(found)


@pytest.mark.parametrize(
    ("step", "worlds", "days"),
    [
        pytest.param(DAY, 200, 2500, id="daily"),
        pytest.param(HOUR, 100, 400, id="hourly, shorter"),
        pytest.param(HOUR, 200, 2500, id="hourly", marks=pytest.mark.full),
    ],
)
def test_at_edge_zero_the_price_is_a_martingale_given_the_crowd(step: float, worlds: int, days: int) -> None:
    t = t_statistics(crowding, step=step, worlds=worlds, days=days)
    assert abs(t.mean()) < 0.15
    assert 0.85 < t.std() < 1.15


@pytest.mark.parametrize("step", [DAY, HOUR], ids=["daily", "hourly"])
@pytest.mark.parametrize("name", SIGNALS)
def test_at_edge_zero_no_series_of_the_world_predicts_the_return(name: str, step: float) -> None:
    worlds, days = (200, 2500) if step == DAY else (100, 300)
    t = t_statistics(SIGNALS[name], step=step, worlds=worlds, days=days)
    assert abs(t.mean()) < 3 / np.sqrt(worlds)
    assert 0.8 < t.std() < 1.2


@pytest.mark.parametrize("per_day", [1, 24], ids=["daily", "hourly"])
def test_the_opposite_draw_gives_exactly_the_opposite_shock_whatever_the_state(per_day: int) -> None:
    turned_when_crowded_and_hot = 0
    for seed in range(4):
        draws = _draw(seed, 1200, per_day, 1)
        one = _path(draws, per_day, 0.0)
        for t in range(1, 1200):
            sign = np.ones(1200)
            sign[t] = -1.0
            other = _path(draws._replace(normal=draws.normal * sign), per_day, 0.0)
            assert np.array_equal(other.returns[:t], one.returns[:t])
            assert other.returns[t] - one.drift == pytest.approx(-(one.returns[t] - one.drift), rel=1e-12, abs=1e-15)
            plain = abs(one.returns[t] - one.drift) / (one.volatility[t] * abs(draws.normal[t]) * per_day**-0.5)
            mix = np.sqrt(2.0 / draws.day_chi[t // per_day] * 3.0 / draws.bar_chi[t])
            turned_when_crowded_and_hot += plain > 1.01 * mix
    assert turned_when_crowded_and_hot > 20, "the sample must hold amplified bars"


@pytest.mark.parametrize("step", [DAY, HOUR], ids=["daily", "hourly"])
def test_a_planted_edge_punishes_the_crowd_at_the_same_daily_rate_on_any_bar(step: float) -> None:
    t = t_statistics(crowding, step=step, worlds=20, days=2500, edge=0.2)
    assert t.mean() < -2.5
    top = bottom = 0.0
    for seed in range(20):
        one = world(seed=seed, bars=round(2500 / step), step_days=step, edge=0.2)
        pull = np.tanh(one.crowding[:-1]) * np.sqrt(step)
        shock = (one.returns[1:] - one.drift) / np.sqrt(step)
        known = one.volatility[1:]
        top, bottom = top + (pull * shock / known).sum(), bottom + (pull * pull).sum()
    assert top / bottom == pytest.approx(-0.2, abs=0.05)


# --- a past only --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [DAY, HOUR], ids=["daily", "hourly"])
def test_a_longer_world_begins_with_the_shorter_one(step: float) -> None:
    short, long = (world(seed=3, bars=bars, step_days=step, edge=0.1) for bars in (997, 3001))
    for name in ("returns", "log_price", "spread", "volatility", "crowding", "liquidated", "funding", "log_oi"):
        assert getattr(short, name).tobytes() == getattr(long, name)[:997].tobytes(), name
    assert short.premium.tobytes() == long.premium[:997].tobytes()


# --- moments like Bitcoin's ---------------------------------------------------------------------


def autocorrelation(values: np.ndarray, lag: int) -> float:
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / (centred * centred).mean())


def moments(one: World) -> dict[str, float]:
    """Daily moments of price, premium (every bar) and funding (every 8 hours, or every day)."""
    per_day = round(1 / one.step_days)
    log_price = one.log_price[per_day - 1 :: per_day]
    r = np.diff(log_price, prepend=0.0)
    premium, every = one.premium[:, 0] * 1e4, max(1, per_day // 3)
    rates = one.funding[every - 1 :: every] * 1e4
    return {
        "volatility": r.std() * np.sqrt(365),
        "excess kurtosis": ((r - r.mean()) ** 4).mean() / r.var() ** 2 - 3,
        "acf 1 of size": autocorrelation(np.abs(r), 1),
        "acf 20 of size": autocorrelation(np.abs(r), 20),
        "drawdown": (np.exp(log_price - np.maximum.accumulate(log_price)) - 1).min(),
        "premium median": np.median(premium),
        "premium std": premium.std(),
        "premium acf 1 day": autocorrelation(premium, per_day),
        "premium acf 10 days": autocorrelation(premium, 10 * per_day),
        "funding mean": rates.mean(),
        "funding std": rates.std(),
        "funding at 1 bp": float((np.abs(rates - 1) < 1e-9).mean()),
        "funding negative": float((rates < 0).mean()),
        "funding acf 1 day": autocorrelation(rates, max(1, per_day // every)),
    }


BANDS = {
    "volatility": (0.55, 0.85),  # measured on Bitcoin: .685
    "excess kurtosis": (6.0, 30.0),  # 15.6
    "acf 1 of size": (0.10, 0.26),  # .173
    "acf 20 of size": (0.04, 0.14),  # .094
    "drawdown": (-0.92, -0.65),  # -.83
    "premium median": (-4.5, -1.5),  # -3.4 bp
    "premium std": (3.5, 7.0),  # 5.0 bp
    "premium acf 1 day": (0.75, 0.95),  # .85
    "premium acf 10 days": (0.35, 0.70),  # .62
    "funding mean": (0.6, 1.6),  # 1.08 bp per 8 h
    "funding std": (1.5, 3.2),  # 2.11 bp
    "funding at 1 bp": (0.30, 0.70),  # .36
    "funding negative": (0.10, 0.25),  # .146
    "funding acf 1 day": (0.65, 0.90),  # .69
}


@pytest.mark.parametrize(("step", "worlds"), [(DAY, 40), (HOUR, 16)], ids=["daily", "hourly"])
def test_the_median_world_moves_like_bitcoin(step: float, worlds: int) -> None:
    table = pd.DataFrame([moments(world(seed=seed, bars=round(2500 / step), step_days=step)) for seed in range(worlds)])
    outside = {name: value for name, value in table.median().items() if not BANDS[name][0] < value < BANDS[name][1]}
    assert not outside


def test_hourly_bars_have_fatter_tails_than_days_and_clustered_volatility() -> None:
    worlds = [world(seed=seed, bars=40_000, step_days=HOUR).returns for seed in range(9)]
    kurtosis = np.median([((r - r.mean()) ** 4).mean() / r.var() ** 2 - 3 for r in worlds])
    assert 15 < kurtosis < 90  # measured on Bitcoin: 38
    assert 0.15 < np.median([autocorrelation(np.abs(r), 1) for r in worlds]) < 0.4  # .295


def test_forced_sales_hit_only_a_crowd_that_is_wrong_and_thin_it_out() -> None:
    for seed in range(10):
        one = world(seed=seed, bars=2500)
        hit = np.flatnonzero(one.liquidated > 0)
        before = one.crowding[hit - 1]
        assert (np.abs(before) > 0.8).all()
        assert (np.sign(before) != np.sign(one.returns[hit] - one.drift)).all()
        assert (np.abs(one.crowding[hit]) < np.abs(before)).all()


# --- refusals -----------------------------------------------------------------------------------


def test_a_world_cannot_be_changed_by_its_reader() -> None:
    with pytest.raises(ValueError, match="read-only"):
        world(seed=1, bars=5).returns[0] = 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: world(seed=1, bars=10, step_days=0.3), r"step_days is 0\.3"),
        (lambda: world(seed=1, bars=10, step_days=2.0), r"step_days is 2\.0"),
        (lambda: world(seed=1, bars=0), "bars is 0"),
        (lambda: world(seed=True, bars=10), "seed is True"),
        (lambda: world(seed=1, bars=10, edge=-3.0), r"edge is -3\.0"),
    ],
)
def test_a_bad_question_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()
