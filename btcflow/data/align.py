"""Align records to a panel: each record stands in the first row that could have known it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.clock import Clock
from btcflow.data.records import NO_LAG, Dataset, Records
from btcflow.errors import MissingData, UnknownName
from btcflow.fields import FIELDS
from btcflow.instrument import Instrument
from btcflow.panel import Panel

__all__ = ["align"]


def align(
    dataset: Dataset,
    clock: Clock,
    *,
    needs: Iterable[str],
    step: str = "1h",
    as_of: pd.Timestamp | None = None,
) -> Panel:
    """Place every record in the first row at whose decision it was known.

    A row is ``[open, open + step)``. A record belongs to the row in which the time it describes
    ends (``open < end <= close``), or to a later one if it was published later after the close than
    the lag its source declares. Samples and states keep the newest record of a row, and one that comes
    after a newer one has already stood is left out; flows are summed; nothing is carried forward. Rows
    begin with the first that a record stands in. Funding enters as two flows that add up over any stretch of time:
    ``funding_paid`` = rate * spacing_hours / rate_hours, and ``funding_hours`` = spacing_hours.

    Parameters
    ----------
    dataset : the series to align; where an instrument has one kind at two timeframes, the finest
    clock : bars of the traded instrument
    needs : panel fields to build
    step : row length
    as_of : the last decision allowed; default: the newest ``known_at`` of the series that are read

    Raises
    ------
    UnknownName
        for a need that is no panel field.
    MissingData
        where no series holds a field that is needed.
    """
    names = _known(needs)
    series = _finest(dataset, {FIELDS[name].kind for name in names})
    lags = {name: _lag(series, FIELDS[name].kind) for name in names}
    instruments = dataset.instruments
    opens = _rows(series, step, max(lags.values(), default=NO_LAG), as_of)
    column = {one.id: number for number, one in enumerate(instruments)}
    fields = {name: np.full((len(opens), len(instruments)), np.nan) for name in names}
    sampling = {name: np.zeros(len(instruments), dtype=np.int64) for name in names}
    for one in series:
        rows = _place(one, opens, step)
        for name in names:
            if FIELDS[name].kind == one.key.kind:
                _fill(fields[name], column[one.instrument.id], rows, one, name)
                sampling[name][column[one.instrument.id]] = _rows_per_sample(one, step)
    _refuse_absent(names, sampling, instruments)
    return Panel(
        opens=opens,
        step=step,
        instruments=instruments,
        fields=fields,
        sampling=sampling,
        lags=lags,
        clock=clock,
        synthetic=dataset.synthetic,
    )


def _known(needs: Iterable[str]) -> tuple[str, ...]:
    names = tuple(sorted(set(needs)))
    for name in names:
        if name not in FIELDS:
            raise UnknownName("field", name, FIELDS)
    return names


def _lag(series: list[Records], kind: str) -> pd.Timedelta:
    return max((one.lag for one in series if one.key.kind == kind), default=NO_LAG)


def _finest(dataset: Dataset, kinds: set[str]) -> list[Records]:
    """One series per instrument and kind: the finest."""
    best: dict[tuple[str, str], Records] = {}
    for one in dataset:
        if one.key.kind not in kinds:
            continue
        name = (one.instrument.id, one.key.kind)
        if name not in best or _seconds(one) < _seconds(best[name]):
            best[name] = one
    return [best[name] for name in sorted(best)]


def _seconds(one: Records) -> int:
    return timeframes.parse(one.key.timeframe).seconds


def _rows_per_sample(one: Records, step: str) -> int:
    return max(1, _seconds(one) // timeframes.parse(step).seconds)


def _due(one: Records) -> np.ndarray:
    """The earliest close of a row that may hold each record; int64 nanoseconds, (N,)."""
    due: np.ndarray = np.maximum(one.ends, one.known_at - one.lag.value)
    return due


def _rows(series: list[Records], step: str, lag: pd.Timedelta, as_of: pd.Timestamp | None) -> np.ndarray:
    """Row opens from the first row that holds a record to the last decision due by ``as_of``, without holes."""
    step_ns = timeframes.parse(step).seconds * 1_000_000_000
    filled = [one for one in series if len(one)]
    if not filled:
        return np.empty(0, dtype=np.int64)
    start = (min(int(_due(one).min()) for one in filled) - 1) // step_ns * step_ns
    last = as_of.value if as_of is not None else max(int(one.known_at.max()) for one in filled)
    count = (last - lag.value - start) // step_ns
    return start + step_ns * np.arange(max(0, count), dtype=np.int64)


def _place(one: Records, opens: np.ndarray, step: str) -> np.ndarray:
    """Row of each record, -1 for one whose row has not been decided; (N,)."""
    if len(opens) == 0:
        return np.full(len(one), -1, dtype=np.int64)
    step_ns = timeframes.parse(step).seconds * 1_000_000_000
    rows = (_due(one) - opens[0] - 1) // step_ns
    return np.where(rows < len(opens), rows, -1)


def _fill(field: np.ndarray, column: int, rows: np.ndarray, one: Records, name: str) -> None:
    values = _values(one, name)
    inside = rows >= 0
    rows, values = rows[inside], values[inside]
    if FIELDS[name].nature == "flow":
        touched = np.unique(rows)
        field[touched, column] = 0.0
        np.add.at(field[:, column], rows, values)
        return
    newest = rows <= np.minimum.accumulate(rows[::-1])[::-1]  # no record with a later stamp stands before it
    field[rows[newest], column] = values[newest]  # sorted by stamp: the newest record of a row is written last


def _values(one: Records, name: str) -> np.ndarray:
    if name == "funding_paid":
        return np.asarray(one.column("rate") * one.column("spacing_hours") / one.column("rate_hours"))
    if name == "funding_hours":
        return one.column("spacing_hours")
    if name in ("mark", "premium_index"):
        return one.column("close")
    if name == "open_interest":
        return one.column("value")
    return one.column(name)


def _refuse_absent(
    names: tuple[str, ...], sampling: dict[str, np.ndarray], instruments: tuple[Instrument, ...]
) -> None:
    have = ", ".join(one.id for one in instruments) or "no instruments"
    for name in names:
        if not sampling[name].any():
            raise MissingData(
                f"no series holds {name} ({FIELDS[name].kind}) among {have}; add one to the universe, or import it "
                "with `btcflow data import`"
            )
