"""The metrics a run shows beside its decisions, and those that its data cannot make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from btcflow.errors import MissingData, NotInData
from btcflow.flow.bars import Bars
from btcflow.flow.catalog import DASHBOARD, METRICS
from btcflow.flow.confluence import STATES
from btcflow.rules.rule import Assignment

__all__ = ["LeftOut", "ShownMetrics", "shown_metrics"]

_SHOWN = ("price", *DASHBOARD, "state_code")


@dataclass
class LeftOut:
    """The metrics that the data cannot make, by the reason."""

    _why: dict[str, list[str]] = field(default_factory=dict)

    @contextmanager
    def where_missing(self, metric: str) -> Iterator[None]:
        """Leave the metric out where its data are missing, but not where the config names what is not there."""
        try:
            yield
        except NotInData:
            raise
        except MissingData as lack:
            self._why.setdefault(str(lack), []).append(metric)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each reason."""
        return tuple(f"not shown: {', '.join(names)} ({why})" for why, names in self._why.items())

    @staticmethod
    def refuse_absent(needs: Iterable[str], fields: Iterable[str]) -> None:
        """Raise :class:`MissingData` where a needed field is not among those of the panel."""
        absent = sorted(set(needs) - set(fields))
        if absent:
            raise MissingData(f"the data hold no {', no '.join(absent)}")


@dataclass(frozen=True, kw_only=True)
class ShownMetrics:
    """One row per bar, and what is not in it.

    Attributes
    ----------
    frame : (T, metrics), indexed by bar open (UTC), with ``decided_at``; the confluence state in words
    left_out : one note for each reason, with the metrics that it left out
    """

    frame: pd.DataFrame
    left_out: tuple[str, ...]


def shown_metrics(bars: Bars, values: Assignment | None = None) -> ShownMetrics:
    """Every shown metric that the panel's data can make.

    Parameters
    ----------
    values : may give ``window`` and the thresholds of the states; default: the options
    """
    given = values or {}
    window = None if given.get("window") is None else int(given["window"] or 0)
    columns: dict[str, np.ndarray] = {}
    left_out = LeftOut()
    for name in _SHOWN:
        chosen, title = METRICS.get(name), "state" if name == "state_code" else name
        own = {key: given.get(key) for key in chosen.parameters}
        with left_out.where_missing(title):
            left_out.refuse_absent(bars.options.widen(chosen.needs), bars.panel.fields)
            column = bars.score(name, window=window if chosen.windowed else None, **own)
            columns[title] = np.array(STATES, dtype=object)[column.astype(np.int64)] if title == "state" else column
    decided = pd.to_datetime(bars.decided_at, unit="ns", utc=True)
    frame = pd.DataFrame({"decided_at": decided} | columns, index=bars.index)
    return ShownMetrics(frame=frame, left_out=left_out.notes)
