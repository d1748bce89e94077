"""Bars: a panel seen at one timeframe, with the metrics computed on it so far."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.data.records import utc_ns
from btcflow.errors import ConfigError
from btcflow.flow.catalog import METRICS
from btcflow.flow.options import FlowOptions, by_timeframe
from btcflow.panel import Panel

__all__ = ["Bars"]


class Bars:
    """The closed bars of one timeframe over a panel.

    Row t of a bar holds the panel rows that open inside it; a bar that the panel does not cover to
    its close is dropped, so the still-open bar can never be read. Scores are computed once and kept.

    With ``provisional`` the bar that is still forming is kept as the last row, as if it closed where the
    panel ends: to look at, never to decide on. No rule, ledger or search makes such bars.

    Attributes
    ----------
    panel, timeframe, options : what was asked for
    opens, closes : (T,) int64 nanoseconds UTC
    forming : True where the last row is still open

    Raises
    ------
    ConfigError
        for a timeframe that is finer than the data or cuts their rows.
    """

    def __init__(
        self, panel: Panel, timeframe: str, options: FlowOptions | None = None, *, provisional: bool = False
    ) -> None:
        self.panel, self.timeframe, self.options = panel, timeframe, options or FlowOptions()
        _refuse_misfit(timeframe, panel)
        anchor = self.options.bars.nday_anchor
        names = timeframes.bar_open(panel.index, timeframe, anchor).unique()
        opens, closes = utc_ns(names), utc_ns(timeframes.bar_close(names, timeframe, anchor))
        end = panel.opens[-1] + panel.step_ns if len(panel) else 0
        self.forming = provisional and len(closes) > 0 and bool(closes[-1] > end)
        kept = (closes <= end) | provisional
        self.opens, self.closes = opens[kept], np.minimum(closes[kept], end)
        self._starts = np.searchsorted(panel.opens, self.opens)
        self._ends = np.searchsorted(panel.opens, self.closes)
        self._scores: dict[tuple[Any, ...], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.opens)

    @property
    def index(self) -> pd.DatetimeIndex:
        """Bar opens, tz-aware UTC; shape (T,)."""
        return pd.DatetimeIndex(pd.to_datetime(self.opens, unit="ns", utc=True), name="open_time")

    @property
    def decided_at(self) -> np.ndarray:
        """When each bar is decided: close plus the publication lag of what was read; int64 ns, (T,)."""
        return np.asarray(self.closes + self.panel.decision_lag.value)

    @cached_property
    def _nominal_rows(self) -> np.ndarray:
        """Panel rows a full bar has, also where the panel starts inside the bar; shape (T,)."""
        return np.asarray((self.closes - self.opens) // self.panel.step_ns)

    # -- reductions: panel rows (rows,) -> bars (T,) -------------------------------------------------

    def mean(self, values: np.ndarray, *, every: int = 1) -> np.ndarray:
        """Mean of the non-NaN samples of each bar; NaN below the minimum coverage.

        ``every`` is the number of panel rows per sample (24 for daily closes on hourly rows).
        """
        total, count = self._sum_and_count(values)
        return np.where(self._covered(count, every), total / np.maximum(count, 1), np.nan)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum of the non-NaN values of each bar; NaN where it has none."""
        total, count = self._sum_and_count(values)
        return np.where(count > 0, total, np.nan)

    def last(self, values: np.ndarray) -> np.ndarray:
        """The value of each bar's last panel row."""
        return np.asarray(values[self._ends - 1])

    def last_sample(self, values: np.ndarray) -> np.ndarray:
        """The last non-NaN value inside each bar; NaN where it has none."""
        rows = np.where(np.isfinite(values), np.arange(len(values)), -1)
        found = np.maximum.accumulate(rows)[self._ends - 1] if len(values) else np.empty(0, int)
        return np.where(found >= self._starts, values[found], np.nan)

    def median(self, values: np.ndarray, *, every: int = 1) -> np.ndarray:
        """Median of the non-NaN samples of each bar; NaN below the minimum coverage."""
        if len(self) == 0:
            return np.empty(0)
        _, count = self._sum_and_count(values)
        used, bar = values[: self._ends[-1]], np.repeat(np.arange(len(self)), self._ends - self._starts)
        ordered = used[np.lexsort((used, bar))]  # bar by bar, rising, NaN last
        low, high = self._starts + np.maximum(count - 1, 0) // 2, self._starts + np.maximum(count, 1) // 2
        return np.where(self._covered(count, every), 0.5 * (ordered[low] + ordered[high]), np.nan)

    def _covered(self, count: np.ndarray, every: int) -> np.ndarray:
        """Bars that hold enough of the samples a full bar has; (T,) bool."""
        wanted = np.maximum(1, self._nominal_rows // every)
        return np.asarray((count > 0) & (count / wanted >= self.options.bars.min_coverage))

    def _sum_and_count(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if len(self) == 0:
            return np.empty(0), np.empty(0)
        valid = np.isfinite(values)
        used = values[: self._ends[-1]]
        total = np.add.reduceat(np.where(valid, values, 0.0)[: len(used)], self._starts)
        count = np.add.reduceat(valid[: len(used)].astype(np.int64), self._starts)
        return total, count

    # -- scores --------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> np.ndarray:
        """A metric at its default window and parameters; read-only, shape (T,)."""
        return self.score(name)

    def score(self, name: str, *, window: int | None = None, **parameters: float | None) -> np.ndarray:
        """A metric at a window (bars) and parameters; computed once, read-only, shape (T,)."""
        chosen = METRICS.get(name)
        arguments: dict[str, Any] = {key: value for key, value in parameters.items() if value is not None}
        if chosen.windowed:
            arguments["window"] = self.window() if window is None else window
        key = (name, *sorted(arguments.items()))
        if key not in self._scores:
            values = np.asarray(chosen(self, **arguments), dtype=np.float64)
            values.setflags(write=False)
            self._scores[key] = values
        return self._scores[key]

    def window(self) -> int:
        """The default window of this timeframe, in bars."""
        return by_timeframe(self.options.zscore.length, self.timeframe, "zscore.length")

    def forget_beyond(self, count: int) -> None:
        """Keep the newest ``count`` computed scores (a sweep over many windows bounds its memory so)."""
        for key in list(self._scores)[: max(0, len(self._scores) - count)]:
            del self._scores[key]


def _refuse_misfit(timeframe: str, panel: Panel) -> None:
    """Refuse bars that would cut a panel row in two, or that are finer than the prices."""
    frame, step = timeframes.parse(timeframe), timeframes.parse(panel.step).seconds
    if frame.seconds < step:
        raise ConfigError(f"timeframe {timeframe} is finer than the data, which are sampled every {panel.step}")
    if (frame.seconds if frame.unit in "mh" else 86_400) % step:
        raise ConfigError(f"timeframe {timeframe} cuts the rows of the data, which are sampled every {panel.step}")
    rows = [int(one) for one in panel.sampling.get("close", ()) if one > 0]
    if rows and frame.seconds < min(rows) * step:
        raise ConfigError(
            f"timeframe {timeframe} is finer than the data: the finest prices are sampled every "
            f"{min(rows) * step // 3600} hours; choose a coarser timeframe or import finer prices"
        )
