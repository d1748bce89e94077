"""One crowd of leveraged traders, as a short sequential loop: the world behind the simulated market.

A bar of ``dt`` days draws a shock whose size is known beforehand and whose sign is not::

    regime    three states that last 120 days on average; s = (.048, .0325, .046) per day
    variance  h' = (1 - a - b) + a min((X/s)^2, 20) + b h, once a day; X = the day's summed shocks
    shock     e_t = s sqrt(h dt) (z_t - edge sqrt(dt) tanh(c_{t-1})),  E z = 0, E z^2 = 1
    return    r_t = mu dt + e_t                      (simple returns: what a position earns)
    tails     z_t = sqrt(w_day g_t) n_t: one chi-square mix per day, so a day's shock is Student-t
              whatever the bar; below one day a second mix g_t per bar fattens the bar's own tails
    crowding  c_t = c_{t-1} exp(-dt/24) + .10 r_t/.031 + .14 sqrt(dt) eps_t  (> 0: crowded longs)
    cascade   with |c| > .8 and a disorderly day (|X| > 2 s sqrt(h)) shocks of BOTH signs grow by
              .25 k min(|c|, 2); if the day runs against the crowd, liq = k min(|c|, 2) |X| of it is
              closed by force, each part of the move once, and c *= max(0, 1 - 8 liq)
    premium   p_v = p0 + lev (exp(kappa c) - 1)/kappa + y_v, y_v a half-day mean-reverting noise
              that scales with sqrt(h) and has Student-t(5) innovations
    interest  ln OI = .35 ln S + g t + d,  d' = d exp(-.03 dt) - .12 r + .004 c dt + noise - 2 liq
    funding   F = P + clamp(.01 % - P, +-.05 %), then cut at +-.3 %; P = mean premium of 8 hours

``edge`` is the planted effect, per day: at 0 the price is a martingale around the constant drift
``mu`` given everything the crowd, the premium, funding and open interest say. Whatever depends on
the state (variance, amplification, the bound on a shock) is symmetric in sign; a regime-dependent
drift or amplification of adverse moves only would hand a predictable return to every sweep.

Below one day, the amplification reads the day's move *before* the bar; at one day it reads the
bar's own ``|z| > 2``. Both are symmetric in the bar's own sign, hence both are martingales.

References
----------
Variance: Bollerslev (1986), GARCH. Crowds, leverage and forced sales: Brunnermeier and Pedersen
(2009). Carry and crash risk in crypto: Schmeling, Schrimpf and Todorov, BIS Working Paper 1087
(2023). Funding: the premium-plus-clamp rule that most perpetual exchanges publish. Constants are
fitted to moments of Bitcoin spot, premium, funding and open interest, 2017-2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import numba as nb
import numpy as np

from btcflow.errors import ConfigError

__all__ = ["MU", "World", "funding_rate", "settle", "streams", "world"]

Array = np.ndarray

MU = 0.0013
"""Drift of the simple return per day, the same in every state."""

_S = (0.048, 0.0325, 0.046)
_S_MID = 0.031
_REGIME_DAYS = 120.0
_A, _B, _JUMP = 0.10, 0.88, 20.0
_NU_DAY, _NU_BAR = 4.0, 5.0
_SHOCK_LIMIT = 0.6
_K, _CROWDED, _DISORDER = 0.35, 0.8, 2.0
_CROWD_DAYS, _CROWD_RETURN, _CROWD_NOISE = 24.0, 0.10, 0.14
_P0, _LEV, _KAPPA = -3.3e-4, 4.6e-4, 1.3
_NOISE_DAYS, _NOISE, _NOISE_STEP = 0.5, 1.6e-4, 0.25
_OI_PRICE, _OI_GROWTH, _OI_DECAY = 0.35, 0.0005, 0.03
_OI_RETURN, _OI_CROWD, _OI_NOISE = -0.12, 0.004, 0.025
_INTEREST, _DEAD_ZONE, _CAP = 1e-4, 5e-4, 3e-3


@dataclass(frozen=True, kw_only=True)
class World:
    """One simulated path of T bars seen by V perpetual venues.

    Attributes
    ----------
    step_days : length of a bar in days
    drift : drift of the simple return per bar, the same in every bar
    returns : (T,) simple return of bar t
    log_price : (T,) ln price at the end of bar t, 0 before the first bar
    spread : (T,) the volatility the bar was drawn with, a fraction of price
    volatility : (T,) sqrt(h) s per day: what was known of the bar's volatility before it
    crowding : (T,) c at the end of bar t, positive = crowded longs; trade bar t+1 on row t
    liquidated : (T,) forced closing in bar t, a fraction
    premium : (T, V) perp over index at the end of bar t, a fraction
    funding : (T,) median over venues of the 8-hour rate due at the end of bar t; positive: longs pay
    log_oi : (T,) ln open interest in BTC, 0 before the first bar
    """

    step_days: float
    drift: float
    returns: Array
    log_price: Array
    spread: Array
    volatility: Array
    crowding: Array
    liquidated: Array
    premium: Array
    funding: Array
    log_oi: Array

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.returns)


def world(*, seed: int, bars: int = 2500, step_days: float = 1.0, edge: float = 0.0, venues: int = 3) -> World:
    """Draw one world; a longer world of the same seed begins with the shorter one, bit for bit.

    Parameters
    ----------
    seed : whole number, 0 or more
    bars : T, the number of bars
    step_days : one day divided by a whole number: 1.0 daily, 1/24 hourly
    edge : planted edge per day: the crowd is punished by ``edge`` standard deviations of the daily
        return at full crowding; 0 = none. About .1 is hard to find in seven years, .3 is plain
    venues : V, perpetual venues; venue v's premium is noisier than venue v-1's

    Returns
    -------
    World
        of T bars; NaN nowhere

    Raises
    ------
    ConfigError
        for a bar that does not divide the day, a negative seed or an edge outside [-2, 2]

    Examples
    --------
    >>> one = world(seed=1, bars=5)
    >>> one.premium.shape, bool((one.returns[:3] == world(seed=1, bars=3).returns).all())
    ((5, 3), True)
    """
    per_day = _bars_per_day(step_days)
    _refuse(seed, bars, edge, venues)
    return _path(_draw(seed, bars, per_day, venues), per_day, edge)


class _Draws(NamedTuple):
    """All the chance of one world, one stream per cause, each in time order."""

    normal: Array
    day_chi: Array
    bar_chi: Array
    regime: Array
    crowd: Array
    interest: Array
    premium: Array


def _draw(seed: int, bars: int, per_day: int, venues: int) -> _Draws:
    rng = streams(seed, 7)
    days = -(-bars // per_day)
    return _Draws(
        normal=rng[0].standard_normal(bars),
        day_chi=rng[1].chisquare(_NU_DAY, days),
        bar_chi=np.full(bars, _NU_BAR - 2.0) if per_day == 1 else rng[2].chisquare(_NU_BAR, bars),
        regime=rng[3].random(days),
        crowd=rng[4].standard_normal(bars),
        interest=rng[5].standard_normal(bars),
        premium=rng[6].standard_t(5.0, (bars, venues)),
    )


def _path(draws: _Draws, per_day: int, edge: float) -> World:
    """Live through the draws."""
    bars = len(draws.normal)
    premium = np.empty(draws.premium.shape)
    out = tuple(np.empty(bars) for _ in range(7))
    _evolve(draws, per_day, edge, out, premium)
    returns, log_price, spread, volatility, crowding, liquidated, log_oi = out
    return World(
        step_days=1.0 / per_day,
        drift=MU / per_day,
        returns=returns,
        log_price=log_price,
        spread=spread,
        volatility=volatility,
        crowding=crowding,
        liquidated=liquidated,
        premium=premium,
        funding=_composite_funding(premium, max(1, per_day // 3)),
        log_oi=log_oi,
    )


def streams(seed: int, count: int, *, family: int = 0) -> list[np.random.Generator]:
    """Draw ``count`` independent generators, one per stream of draws; families never share a stream."""
    keys = [np.random.SeedSequence(seed, spawn_key=(family, i)) for i in range(count)]
    return [np.random.Generator(np.random.PCG64(key)) for key in keys]


def _bars_per_day(step_days: float) -> int:
    per_day = round(1.0 / step_days) if 0 < step_days <= 1.0 else 0
    if per_day < 1 or abs(per_day * step_days - 1.0) > 1e-9:
        raise ConfigError(
            f"step_days is {step_days!r}; expected one day divided by a whole number, such as 1.0 or 1/24"
        )
    return per_day


def _refuse(seed: int, bars: int, edge: float, venues: int) -> None:
    problems = []
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        problems.append(f"seed is {seed!r}; expected a whole number, 0 or more")
    if bars < 1 or venues < 1:
        problems.append(f"bars is {bars!r} and venues is {venues!r}; expected 1 or more of each")
    if not (math.isfinite(edge) and abs(edge) <= 2.0):
        problems.append(f"edge is {edge!r}; expected a number per day between -2 and 2, 0 = no edge")
    if problems:
        raise ConfigError(problems)


@nb.njit(cache=True)
def funding_rate(average: float) -> float:
    """Return the 8-hour rate for an average premium: premium plus a clamped pull to 1 bp, then the cap."""
    pull = min(max(_INTEREST - average, -_DEAD_ZONE), _DEAD_ZONE)
    return min(max(average + pull, -_CAP), _CAP)


@nb.njit(cache=True)
def settle(premium: Array, ends: Array, spacing: int, begin: int = 0) -> Array:
    """Return the rate due at each end, per ``spacing`` hours, from the mean of the hourly premiums that end there.

    An interval that reaches back before hour ``begin`` has the mean of its hours from then on.
    """
    out = np.empty(len(ends))
    for i in range(len(ends)):
        first = max(begin, ends[i] - spacing)
        total = 0.0
        for t in range(first, ends[i]):
            total += premium[t]
        out[i] = funding_rate(total / (ends[i] - first)) * spacing / 8.0
    return out


@nb.njit(cache=True)
def _composite_funding(premium: Array, window: int) -> Array:
    bars, venues = premium.shape
    rates, out = np.empty(venues), np.empty(bars)
    for t in range(bars):
        first = max(0, t - window + 1)
        for v in range(venues):
            total = 0.0
            for i in range(first, t + 1):
                total += premium[i, v]
            rates[v] = funding_rate(total / (t + 1 - first))
        out[t] = np.median(rates)
    return out


@nb.njit(cache=True)
def _next_regime(regime: int, u: float) -> int:
    """Leave for either other state with probability 1/240 each per day."""
    leave = 1.0 / _REGIME_DAYS
    if u >= leave:
        return regime
    return (regime + (1 if u < 0.5 * leave else 2)) % 3


@nb.njit(cache=True)
def _evolve(draws: _Draws, per_day: int, edge: float, out: tuple[Array, ...], premium: Array) -> None:
    returns, log_price, spread, volatility, crowding, liquidated, log_oi = out
    dt = 1.0 / per_day
    root_dt = math.sqrt(dt)
    forget, fade = math.exp(-dt / _CROWD_DAYS), math.exp(-dt / _NOISE_DAYS)
    fresh = math.sqrt((1.0 - fade * fade) * 0.6)  # 0.6: a t(5) draw has variance 5/3
    oi_fade = math.exp(-_OI_DECAY * dt)
    regime, h, c, deviation, price, moved, closed, mix = 1, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0
    y = np.zeros(premium.shape[1])
    for t in range(len(returns)):
        if t % per_day == 0:
            if t > 0:
                h = (1.0 - _A - _B) + _A * min((moved / _S[regime]) ** 2, _JUMP) + _B * h
                regime = _next_regime(regime, draws.regime[t // per_day])
            moved, closed, mix = 0.0, 0.0, (_NU_DAY - 2.0) / draws.day_chi[t // per_day]
        day_sd = _S[regime] * math.sqrt(h)
        tail = math.sqrt(mix * (_NU_BAR - 2.0) / draws.bar_chi[t])
        z = tail * draws.normal[t]
        crowded = min(abs(c), 2.0) if abs(c) > _CROWDED else 0.0
        hot = abs(moved) > _DISORDER * day_sd if per_day > 1 else abs(z) > _DISORDER
        grow = 1.0 + 0.25 * _K * crowded if hot else 1.0
        shock = grow * day_sd * root_dt * (z - edge * root_dt * math.tanh(c))
        shock = min(max(shock, -_SHOCK_LIMIT), _SHOCK_LIMIT)
        moved += shock
        liq = 0.0
        if c * moved < 0.0 and abs(moved) > max(closed, _DISORDER * day_sd):
            liq = _K * crowded * (abs(moved) - closed)
            closed = abs(moved)
        r = MU * dt + shock
        price += math.log1p(r)
        c = forget * c + _CROWD_RETURN * r / _S_MID + _CROWD_NOISE * root_dt * draws.crowd[t]
        c *= max(0.0, 1.0 - 8.0 * liq)
        deviation = oi_fade * deviation + _OI_RETURN * r + _OI_CROWD * c * dt - 2.0 * liq
        deviation += _OI_NOISE * root_dt * draws.interest[t]
        resting = _P0 + _LEV * (math.exp(_KAPPA * c) - 1.0) / _KAPPA
        for v in range(len(y)):
            size = _NOISE * (1.0 + _NOISE_STEP * v) * math.sqrt(h)
            y[v] = fade * y[v] + fresh * size * draws.premium[t, v]
            premium[t, v] = resting + y[v]
        returns[t], log_price[t], crowding[t], liquidated[t] = r, price, c, liq
        spread[t], volatility[t] = grow * day_sd * root_dt * tail, day_sd
        log_oi[t] = _OI_PRICE * price + _OI_GROWTH * dt * (t + 1) + deviation
