"""The dashboard's state as of a time: every metric, every condition, and what the rule wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from btcflow.config.experiment import Experiment
from btcflow.config.load import strategy_of
from btcflow.config.market_data import load_dataset, panel_of
from btcflow.errors import MissingData
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import METRICS
from btcflow.flow.confluence import STATES
from btcflow.flow.options import FlowOptions
from btcflow.flow.premium import shown
from btcflow.panel import Panel
from btcflow.rules.decide import condition_score, decide, threshold_of
from btcflow.rules.rule import SIDES, Assignment, FreeForm, Rule
from btcflow.rules.sentence import sentence
from btcflow.runs.shown_metrics import LeftOut
from btcflow.runs.summary import plain

__all__ = ["ConditionState", "MetricState", "SignalState", "signal_states"]

_SCORES = {
    "oi_index": "oi_z",
    "funding_8h": "fund_z",
    "funding_apr": "fund_z",
}


@dataclass(frozen=True, kw_only=True)
class MetricState:
    """One metric on the last closed bar: value and unit, z and its window, sources counted, newest input."""

    name: str
    value: float
    unit: str
    z: float | None
    window: int | None
    sources: int | None
    newest_input: str | None


@dataclass(frozen=True, kw_only=True)
class ConditionState:
    """One condition of the rule: its text, the score's value against the threshold, and whether it holds."""

    side: str
    text: str
    value: float
    threshold: float
    holds: bool


@dataclass(frozen=True, kw_only=True)
class SignalState:
    """What one timeframe says as of a time."""

    timeframe: str
    bar: str
    closed: str
    decided_at: str
    synthetic: bool
    price: float
    metrics: tuple[MetricState, ...]
    conditions: tuple[ConditionState, ...]
    state: str | None
    state_since: str | None
    state_known_from: str | None
    forming: tuple[MetricState, ...]
    target: float
    target_since: str | None
    sentence: str
    left_out: tuple[str, ...]

    def plain(self) -> dict[str, object]:
        """Plain JSON data."""
        result: dict[str, object] = plain(asdict(self))
        return result


def signal_states(
    experiment: Experiment, at: pd.Timestamp | None = None, *, provisional: bool = False
) -> tuple[SignalState, ...]:
    """The state of each timeframe, from what was known at ``at`` (default: the end of the data).

    ``provisional`` adds the metrics of the bar that is still forming, apart from everything decided.

    Raises
    ------
    MissingData
        where no bar had closed by then.
    """
    strategy = strategy_of(experiment)
    panel = panel_of(experiment, load_dataset(experiment))
    values = strategy.assign(experiment.params)
    seen = [_Seen(panel, frame, experiment.flow, at) for frame in experiment.frames]
    return tuple(_state(strategy, values, one, provisional=provisional) for one in seen)


class _Seen:
    """Bars as of a time, from no other fields than each question reads: so each decides as early as it may."""

    def __init__(self, panel: Panel, timeframe: str, options: FlowOptions, at: pd.Timestamp | None) -> None:
        self._panel, self._timeframe, self.options, self._at = panel, timeframe, options, at
        self.left_out = LeftOut()

    def refuse_absent(self, needs: Iterable[str]) -> None:
        self.left_out.refuse_absent(self.options.widen(needs), self._panel.fields)

    def bars(self, needs: Iterable[str], *, provisional: bool = False) -> Bars:
        panel = self._panel.only(self.options.widen({*needs, "close"}))
        bars = Bars(
            panel if self._at is None else panel.upto(self._at), self._timeframe, self.options, provisional=provisional
        )
        if len(bars) == 0:
            begin = _say(panel.opens[0]) if len(panel) else "later"
            raise MissingData(f"no {self._timeframe} bar had closed by then; the data begin {begin}")
        return bars


def _state(strategy: Rule | FreeForm, values: Assignment, seen: _Seen, *, provisional: bool) -> SignalState:
    own = seen.bars(strategy.needs)
    targets = decide(strategy, own, [values])[:, 0]
    metrics, (state, since, known_from) = tuple(_metrics(seen)), _confluence(seen)
    return SignalState(
        timeframe=own.timeframe,
        bar=_say(own.opens[-1]),
        closed=_say(own.closes[-1]),
        decided_at=_say(own.decided_at[-1]),
        synthetic=own.panel.synthetic,
        price=float(own["price"][-1]),
        metrics=metrics,
        conditions=tuple(_conditions(strategy, values, own)),
        state=state,
        state_since=since,
        state_known_from=known_from,
        forming=tuple(_metrics(seen, provisional=True)) if provisional and _forms(seen) else (),
        target=float(targets[-1]),
        target_since=_say(own.decided_at[_since(targets)]),
        sentence=sentence(strategy, values, own),
        left_out=seen.left_out.notes,
    )


def _forms(seen: _Seen) -> bool:
    """True where a bar has begun and not closed."""
    return seen.bars(("close",), provisional=True).forming


def _metrics(seen: _Seen, *, provisional: bool = False) -> list[MetricState]:
    found = []
    for name in (*shown(seen.options.premium), *_SCORES):
        with (LeftOut() if provisional else seen.left_out).where_missing(name):
            found.append(_metric(seen, name, provisional=provisional))
    return found


def _metric(seen: _Seen, name: str, *, provisional: bool) -> MetricState:
    chosen, score = METRICS.get(name), _SCORES.get(name, "prem_z")
    seen.refuse_absent(chosen.needs)
    bars = seen.bars(chosen.needs, provisional=provisional)
    return MetricState(
        name=name,
        value=float(bars[name][-1]),
        unit=chosen.unit,
        z=float(bars[score][-1]) * (-1.0 if name == "spot_premium" else 1.0),
        window=bars.window(),
        sources=_sources(bars, name),
        newest_input=_newest(bars, chosen.needs),
    )


def _sources(bars: Bars, name: str) -> int:
    """How many legs or venues stand behind the last value."""
    counted = {"oi_index": "oi_venues", "funding_8h": "funding_venues", "funding_apr": "funding_venues"}
    return int(bars[counted.get(name, "premium_legs")][-1])


def _newest(bars: Bars, needs: tuple[str, ...]) -> str | None:
    """The oldest of the newest inputs of the closed bar: how stale the value may be."""
    rows = []
    inside = bars.panel.opens < bars.closes[-1]
    for name in needs:
        known = np.flatnonzero(np.isfinite(bars.panel[name]).any(axis=1) & inside)
        if len(known):
            rows.append(int(known[-1]))
    return _say(bars.panel.opens[min(rows)] + bars.panel.step_ns) if rows else None


def _conditions(strategy: Rule | FreeForm, values: Assignment, bars: Bars) -> list[ConditionState]:
    if isinstance(strategy, FreeForm):
        return []
    found = []
    for side in SIDES:
        for one in (one for group in getattr(strategy, side) for one in group):
            score, limit = float(condition_score(one, bars, values)[-1]), threshold_of(one, values)
            compare = {">=": score >= limit, "<=": score <= limit, ">": score > limit, "<": score < limit}
            found.append(
                ConditionState(side=side, text=str(one), value=score, threshold=limit, holds=bool(compare[one.op]))
            )
    return found


def _confluence(seen: _Seen) -> tuple[str | None, str | None, str | None]:
    """The state, since when, and from when on there is one at all (the windows are warm)."""
    needs, codes = METRICS.get("state_code").needs, None
    with seen.left_out.where_missing("state"):
        seen.refuse_absent(needs)
        bars = seen.bars(needs)
        codes = bars["state_code"]
    if codes is None:
        return None, None, None
    known = np.flatnonzero(codes > 0)
    first = _say(bars.decided_at[known[0]]) if len(known) else None
    return STATES[int(codes[-1])], _say(bars.decided_at[_since(codes)]), first


def _since(values: np.ndarray) -> int:
    """The first row of the run of equal values that ends the series."""
    changed = np.flatnonzero(values[1:] != values[:-1])
    return int(changed[-1]) + 1 if len(changed) else 0


def _say(instant: int) -> str:
    return str(pd.Timestamp(int(instant), unit="ns", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ"))
