"""From an experiment to its records, and from those to its panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.audit.mending import defects_on_load
from btcflow.config.experiment import Experiment, SimulatedData, StoreData
from btcflow.data.align import align
from btcflow.data.clocks import make_clock
from btcflow.data.interest_units import cross_check
from btcflow.data.records import Dataset, Records, utc_ns
from btcflow.data.venue_facts import facts
from btcflow.data.vintages import StoredRecords
from btcflow.errors import ConfigError, MissingData, nearest
from btcflow.fields import FIELDS
from btcflow.instrument import Instrument
from btcflow.panel import Panel

if TYPE_CHECKING:
    from btcflow.data.store import Store

__all__ = ["load_dataset", "panel_of", "shift_prepublished", "store_moved_on", "traded_instrument"]

_METRIC_FIELDS = ("close", "funding_hours", "funding_paid", "open_interest")


def load_dataset(experiment: Experiment, *, as_of: Mapping[str, str] | None = None) -> Dataset:
    """Every series the experiment may read: its universe, its vendors, its traded instrument.

    Parameters
    ----------
    as_of : series of the store and the content hashes of their vintages, as a lock names them: only these
        series are read, each as it was; one whose vintage the store does not have comes as it is today
    """
    if isinstance(experiment.data, SimulatedData):
        from btcflow.data.simulate import simulate

        chosen = experiment.data
        dataset = simulate(seed=chosen.seed, start=chosen.start, years=chosen.years, edge=chosen.edge)
    else:
        dataset = _from_store(experiment.data, as_of or {})
    _refuse_unknown(experiment, dataset)
    traded = traded_instrument(experiment)
    wanted = dataset.select(lambda one: _wanted(experiment, one.instrument, traded))
    if isinstance(experiment.data, StoreData):
        wanted = _mended(experiment.data, wanted)
    cross_check(wanted)
    return wanted


def store_moved_on(experiment: Experiment, dataset: Dataset) -> tuple[str, ...]:
    """What the store has by now beside or instead of the vintages of a dataset, one sentence a series."""
    if not isinstance(experiment.data, StoreData):
        return ()
    traded = traded_instrument(experiment)
    read = {one.key: one.vintage for one in dataset if isinstance(one, StoredRecords)}
    said = []
    for entry in _store(experiment.data).entries():
        vintage = read.get(entry.key)
        if vintage is None and _wanted(experiment, entry.instrument, traded):
            said.append(f"data: {entry.key} is new in the store; left out")
        elif vintage not in {None, entry.content_sha256}:
            said.append(f"data: {entry.key} has changed in the store; read as it was ({str(vintage)[:12]})")
    return tuple(said)


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


def _from_store(data: StoreData, as_of: Mapping[str, str]) -> Dataset:
    store = _store(data)
    named = store.held(as_of) if as_of else {}
    dataset = store.dataset((lambda entry: entry.key in named) if named else None, as_of=named)
    kept = dataset.map(lambda one: _cut(one, data))
    if not any(len(one) for one in kept):
        first, last = (
            min(one.frame["stamp"].iloc[0] for one in dataset),
            max(one.frame["stamp"].iloc[-1] for one in dataset),
        )
        raise MissingData(
            f"data.start {data.start or 'none'} and data.end {data.end or 'none'} leave no row of the store; it holds "
            f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
        )
    return kept


def _mended(data: StoreData, dataset: Dataset) -> Dataset:
    """Known defects of the sources mended as the catalogue says, and told; a row moved past the end is cut again."""
    mended, notes = defects_on_load(dataset, mode=data.defects, skip=data.defects_skip)
    return replace(mended.map(lambda one: _cut(one, data)), notes=(*dataset.notes, *notes))


def _store(data: StoreData) -> Store:
    from btcflow.data.store import Store, default_store_path

    return Store(Path(data.store) if data.store is not None else default_store_path())


def _cut(one: Records, data: StoreData) -> Records:
    """The rows stamped in ``[start, end)``; an instant at the end belongs to it."""
    last = None if data.end == "now" else data.end
    start, end = (pd.Timestamp(text, tz="UTC") if text else None for text in (data.start, last))
    keep = np.ones(len(one), dtype=bool)
    if start is not None:
        keep &= one.stamp >= start.value
    if end is not None:
        keep &= one.ends <= end.value
    return one.where(keep)


def _wanted(experiment: Experiment, what: Instrument, traded: str) -> bool:
    universe = experiment.universe
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
