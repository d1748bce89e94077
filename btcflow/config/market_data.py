"""From an experiment to its records, and from those to its panel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.config.experiment import Experiment, SimulatedData, StoreData
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.interest_units import cross_check
from btcflow.data.records import Dataset, Records, utc_ns
from btcflow.data.venue_facts import facts
from btcflow.errors import ConfigError, nearest
from btcflow.fields import FIELDS
from btcflow.panel import Panel

__all__ = ["load_dataset", "panel_of", "shift_prepublished", "traded_instrument"]

_METRIC_FIELDS = ("close", "funding_hours", "funding_paid", "open_interest")


def load_dataset(experiment: Experiment) -> Dataset:
    """Every series the experiment may read: its universe, its vendors, its traded instrument."""
    if isinstance(experiment.data, SimulatedData):
        from btcflow.data.simulate import simulate

        chosen = experiment.data
        dataset = simulate(seed=chosen.seed, start=chosen.start, years=chosen.years, edge=chosen.edge)
    else:
        dataset = _from_store(experiment.data)
    _refuse_unknown(experiment, dataset)
    traded = traded_instrument(experiment)
    wanted = dataset.select(lambda one: _wanted(experiment, one, traded))
    cross_check(wanted)
    return wanted


def panel_of(experiment: Experiment, dataset: Dataset, *, needs: Iterable[str] | None = None) -> Panel:
    """The panel of an experiment.

    Parameters
    ----------
    needs : fields to load; default: those of the metrics that the data hold
    """
    kinds = {one.key.kind for one in dataset}
    held = (name for name in _METRIC_FIELDS if FIELDS[name].kind in kinds)
    names = experiment.flow.widen(needs if needs is not None else held)
    clock = make_clock(
        dataset,
        traded_instrument(experiment),
        step=experiment.market.clock,
        missing_funding=experiment.market.missing_funding,
    )
    signals = dataset.map(shift_prepublished) if experiment.funding.shift_prepublished else dataset
    return align(signals, clock, needs=names, step=_step(dataset))


def shift_prepublished(one: Records) -> Records:
    """The signal's copy of funding that was public one interval before it was paid; other series as they are.

    BitMEX, and OKX in some years, announced a rate at the end of one interval and charged it at the end
    of the next. Such settlements, by the rules of the venue's file, move back by their own spacing:
    ``stamp`` and ``known_at`` alike, except that one which became known after its stamp keeps its
    ``known_at``. Where a venue went over to this, the first such rate meets the last of the old kind,
    made from the same interval, and is left out. Only signals may read this copy: cash flows are paid
    at the true stamps.
    """
    if one.key.kind != "funding":
        return one
    early = _prepublished(one)
    if not early.any():
        return one
    spacing = pd.to_timedelta(one.frame["spacing_hours"], unit="h").where(early, pd.Timedelta(0))
    prompt = one.known_at <= one.stamp + one.lag.value
    known = one.frame["known_at"] - spacing.where(prompt, pd.Timedelta(0))
    frame = one.frame.assign(stamp=one.frame["stamp"] - spacing, known_at=known)
    meets = early & ~np.r_[True, early[:-1]] & np.r_[False, np.diff(utc_ns(frame["stamp"])) <= 0]
    return replace(one, frame=frame[~meets].reset_index(drop=True))


def _prepublished(one: Records) -> np.ndarray:
    """Settlements whose rate was made one interval earlier; (N,) bool, False where the rules are unknown."""
    known = facts(one.instrument.id)
    if known is None or all(era.charged != "next_interval" for era in known.listing.funding):
        return np.zeros(len(one), dtype=bool)
    eras = [known.funding_era(stamp) for stamp in one.frame["stamp"]]
    return np.array([era is not None and era.charged == "next_interval" for era in eras], dtype=bool)


def _step(dataset: Dataset) -> str:
    """Rows as fine as the finest prices, one hour at most."""
    finest = min((one for one in dataset if one.key.kind == "ohlcv"), key=lambda one: _seconds(one.key.timeframe))
    return finest.key.timeframe if _seconds(finest.key.timeframe) < 3_600 else "1h"


def _seconds(timeframe: str) -> int:
    return timeframes.parse(timeframe).seconds


def traded_instrument(experiment: Experiment) -> str:
    """The instrument money moves in; the simulated market has a default."""
    if experiment.market.instrument is not None:
        return experiment.market.instrument
    if isinstance(experiment.data, SimulatedData):
        from btcflow.data.simulate import TRADED

        return TRADED
    raise ConfigError(
        experiment.problem(
            ("market",), "market.instrument is missing; expected `venue:symbol`, such as binance_um:BTCUSDT"
        )
    )


def _from_store(data: StoreData) -> Dataset:
    from btcflow.data.store import Store, default_store_path

    store = Store(Path(data.store) if data.store is not None else default_store_path())
    start, end = (pd.Timestamp(text, tz="UTC") if text else None for text in (data.start, data.end))
    return store.dataset().map(lambda one: _cut(one, start, end))


def _cut(one: Records, start: pd.Timestamp | None, end: pd.Timestamp | None) -> Records:
    """The rows stamped in ``[start, end)``; an instant at the end belongs to it."""
    keep = np.ones(len(one), dtype=bool)
    if start is not None:
        keep &= one.stamp >= start.value
    if end is not None:
        keep &= one.ends <= end.value
    return one.where(keep)


def _wanted(experiment: Experiment, one: Records, traded: str) -> bool:
    universe, what = experiment.universe, one.instrument
    if what.id == traded:
        return True
    if what.role == "aggregate":
        vendor = experiment.oi.source.removeprefix("vendor:")
        return what.venue == vendor or what.venue in universe.vendors
    chosen = universe.spot if what.role == "spot" else universe.perp
    return chosen is None or what.id in chosen


def _refuse_unknown(experiment: Experiment, dataset: Dataset) -> None:
    known = {one.id: one.role for one in dataset.instruments}
    problems = []
    named = [
        (("universe", role, place), name, role)
        for role in ("spot", "perp")
        for place, name in enumerate(getattr(experiment.universe, role) or ())
    ]
    for loc, name, role in named:
        if known.get(name) != role:
            problems.append(_no_instrument(experiment, loc, name, [one for one in known if known[one] == role], role))
    traded = traded_instrument(experiment)
    if traded not in known:
        problems.append(_no_instrument(experiment, ("market", "instrument"), traded, list(known), "tradable"))
    if problems:
        raise ConfigError(problems)


def _no_instrument(experiment: Experiment, loc: tuple[str | int, ...], name: str, known: list[str], role: str) -> str:
    close = nearest(name, known)
    hint = f"did you mean {close!r}?" if close else f"the data hold: {', '.join(sorted(known)) or 'none'}"
    return experiment.problem(loc, f"the data hold no {role} instrument {name!r}", hint)
