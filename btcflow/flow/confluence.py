"""The confluence engine: one state per bar out of premium, open interest and funding.

States in priority order: ``over_leverage_long``, ``over_leverage_short``, ``bearish``, ``bullish``,
``neutral``. A NaN in any z-score gives ``unknown`` and clears the memory. Premium and funding are
mostly one factor (their z-scores correlate 0.7 to 0.9): never count them as independent votes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from btcflow.flow.metric import Metric, metric

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars

__all__ = ["STATES", "bearish", "bullish", "over_leverage_long", "over_leverage_short", "state_code"]

STATES = ("unknown", "neutral", "bullish", "bearish", "over_leverage_short", "over_leverage_long")
"""State names by code; a higher code takes priority."""

_NEEDS = ("close", "funding_hours", "funding_paid", "open_interest")


@metric(unit="state", needs=_NEEDS, windowed=True)
def state_code(
    bars: Bars,
    *,
    window: int,
    oi_hot: float | None = None,
    oi_warm: float | None = None,
    fund_hot: float | None = None,
    fund_warm: float | None = None,
    prem_warm: float | None = None,
    exit_ratio: float | None = None,
) -> np.ndarray:
    """The confluence state of each bar as a code into ``STATES``.

    ``over_leverage_long``: oi_z >= oi_hot and fund_z >= fund_hot and prem_z > 0 (``short`` mirrored);
    ``bearish``: oi_z >= oi_warm and prem_z >= prem_warm and fund_z >= fund_warm;
    ``bullish``: prem_z <= -prem_warm and fund_z <= -fund_warm and oi_z <= oi_warm.
    A state whose entry holds pre-empts a lower one; else the current state stays while its triggers
    hold at ``exit_ratio`` of their thresholds (gates keep theirs); else entries are tried in order.
    Under ``confluence.funding_gate: apr`` the over-leverage states read ``funding_apr`` in place of
    ``fund_z``: the long side from ``apr_hot`` on, the short side at 0 and below.

    Returns
    -------
    (T,) float64: 0 unknown, 1 neutral, 2 bullish, 3 bearish, 4 over-leverage short, 5 over-leverage long

    Notes
    -----
    Never NaN: a NaN in any input gives 0 (unknown). Warm-up is that of the slowest z. A state is left only
    after ``confluence.min_hold_bars`` bars.
    """
    options = bars.options.confluence
    chosen = (oi_hot, oi_warm, fund_hot, fund_warm, prem_warm, exit_ratio)
    names = ("oi_hot", "oi_warm", "fund_hot", "fund_warm", "prem_warm", "exit_ratio")
    limits = np.array(
        [getattr(options, name) if value is None else value for name, value in zip(names, chosen, strict=True)]
    )
    scores = np.vstack([bars.score(name, window=window) for name in ("oi_z", "fund_z", "prem_z")])
    gate, long, short = scores[1], limits[2], -limits[2]
    if options.funding_gate == "apr":
        gate, long, short = bars.score("funding_apr"), options.apr_hot, 0.0
    inputs = np.vstack([scores, gate])
    return np.asarray(_states(inputs, np.array([*limits, long, short]), options.min_hold_bars))


def _flag(code: int, name: str, meaning: str, *, start: bool = False) -> Metric:
    """A state, or its first bar, as a 0/1 score of the same window and parameters; NaN where it is unknown."""

    def flag(
        bars: Bars,
        *,
        window: int,
        oi_hot: float | None = None,
        oi_warm: float | None = None,
        fund_hot: float | None = None,
        fund_warm: float | None = None,
        prem_warm: float | None = None,
        exit_ratio: float | None = None,
    ) -> np.ndarray:
        states = bars.score(
            "state_code",
            window=window,
            oi_hot=oi_hot,
            oi_warm=oi_warm,
            fund_hot=fund_hot,
            fund_warm=fund_warm,
            prem_warm=prem_warm,
            exit_ratio=exit_ratio,
        )
        held = states == code
        if start:
            held &= np.r_[0.0, states[:-1]] != code
        return np.where(states == 0, np.nan, held.astype(np.float64))

    flag.__name__ = flag.__qualname__ = name
    flag.__doc__ = f"""{meaning}

    ``state_code == {code}``{", and another state on the bar before" if start else ""}: see ``state_code``.

    Returns
    -------
    (T,) float64: 1 {"on the first bar of the state" if start else "in the state"}, 0 elsewhere

    Notes
    -----
    NaN where the state is unknown (a NaN z-score). Warm-up is that of the slowest z.
    """
    return metric(unit="0/1", needs=_NEEDS, windowed=True)(flag)


bullish = _flag(2, "bullish", "Spot leads, longs are paid and leverage is not stretched: constructive.")
bearish = _flag(3, "bearish", "Perps rich, longs pay and leverage is expanded: fragile.")
over_leverage_short = _flag(4, "over_leverage_short", "Leverage is extreme on the short side: squeeze risk.")
over_leverage_long = _flag(5, "over_leverage_long", "Leverage is extreme on the long side: flush risk.")
bullish_start = _flag(2, "bullish_start", "The market turns constructive on this bar.", start=True)
bearish_start = _flag(3, "bearish_start", "The market turns fragile on this bar.", start=True)
over_leverage_short_start = _flag(
    4, "over_leverage_short_start", "Leverage becomes extreme on the short side on this bar.", start=True
)
over_leverage_long_start = _flag(
    5, "over_leverage_long_start", "Leverage becomes extreme on the long side on this bar.", start=True
)


@numba.njit(cache=True)
def _holds(code: int, inputs: np.ndarray, limits: np.ndarray, scale: float) -> bool:
    """Whether a state's test holds with its trigger thresholds times ``scale``; gates are not scaled.

    ``inputs`` are oi_z, fund_z, prem_z and the funding that the over-leverage states read, a z or a
    yearly rate; the last two limits are its thresholds on the long and on the short side.
    """
    oi, fund, prem, crowd = inputs[0], inputs[1], inputs[2], inputs[3]
    oi_hot, oi_warm, fund_warm, prem_warm = limits[0], limits[1], limits[3], limits[4]
    if code == 5:
        return bool(oi >= oi_hot * scale and crowd >= limits[6] * scale and prem > 0)
    if code == 4:
        return bool(oi >= oi_hot * scale and crowd <= limits[7] * scale and prem < 0)
    if code == 3:
        return bool(oi >= oi_warm * scale and prem >= prem_warm * scale and fund >= fund_warm * scale)
    if code == 2:
        return bool(prem <= -prem_warm * scale and fund <= -fund_warm * scale and oi <= oi_warm)
    return False


@numba.njit(cache=True)
def _states(inputs: np.ndarray, limits: np.ndarray, min_hold: int) -> np.ndarray:
    bars = inputs.shape[1]
    out = np.zeros(bars)
    current, held = 0, 0
    for t in range(bars):
        now = inputs[:, t]
        if np.isnan(now).any():
            current, held = 0, 0
            continue
        entry = 1
        for code in range(5, 1, -1):
            if _holds(code, now, limits, 1.0):
                entry = code
                break
        nxt = entry
        if current >= 2 and entry <= current:
            stays = _holds(current, now, limits, limits[5])
            nxt = current if stays else entry
        if current >= 2 and nxt != current and held < min_hold:
            nxt = current
        held = held + 1 if nxt == current else 1
        current = nxt
        out[t] = current
    return out
