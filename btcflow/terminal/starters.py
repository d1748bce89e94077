"""Files to begin with: one metric, strategy or config that works as it is written."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from btcflow.errors import ConfigError, UnknownName

__all__ = ["STARTERS", "write_starter"]

_METRIC = '''\
"""NAME: what it measures, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from btcflow import rolling
from btcflow.flow.metric import metric

if TYPE_CHECKING:
    from btcflow.flow.bars import Bars


@metric(unit="z", needs=("close",), windowed=True)
def NAME(bars: Bars, *, window: int) -> np.ndarray:
    """How unusual the return of the bar is; positive = it rose more than usual.

    ``z = (x - mean_n) / std_n`` of ``x = bar_return`` over the last ``window`` bars, this one included.

    Parameters
    ----------
    window : bars in the mean and the deviation

    Returns
    -------
    (T,) float64, standard deviations

    Notes
    -----
    NaN until ``window`` returns are there: a warm-up of ``window`` bars.
    """
    return rolling.zscore(bars["bar_return"], window)
'''

_STRATEGY = '''\
"""NAME: when it is long, when it is short, and when it leaves, in one line.

Claim
-----
Who is on the other side, and why should that go on? One sentence that could turn out to be wrong.

Trades
------
Short while longs pay unusually much and leverage is not low; mirrored on the long side. Score names:
``btcflow list metrics``. ``and`` joins conditions, ``or`` alternatives; ``score[window]`` gives the
window in bars, ``-entry_z`` is the mirrored threshold.

Notes
-----
A score that is NaN decides nothing: the position stays. Orders fill at the next open of the clock.
"""

from btcflow.rules import Rule, number, window

NAME = Rule.of(
    "NAME",
    "Those who pay unusually much to hold a side will be forced out of it.",
    short_entry="fund_z[window] >= entry_z and oi_z[window] >= 0",
    short_exit="fund_z[window] <= exit_z",
    long_entry="fund_z[window] <= -entry_z and oi_z[window] >= 0",
    long_exit="fund_z[window] >= -exit_z",
    parameters={
        "window": window(),
        "entry_z": number(1.5, 0.0, 10.0, "funding z-score at which a side counts as crowded, sigma"),
        "exit_z": number(0.0, -10.0, 10.0, "funding z-score at which the crowd has left, sigma"),
    },
)
'''

_CONFIG = """\
# NAME: one question. `btcflow run` answers it; `btcflow config show` prints every default that is not written here.
name: NAME
question: Does fading crowded funding make money on days, and with which window and threshold?

# Data: the simulated market, labelled SIMULATED with every number of it; `source: store` reads what was imported.
data: {source: simulated, seed: 7, years: 4, edge: 0.0}

# Signal: a strategy by name (`btcflow list strategies`), the bars it is computed on, parameters that are not searched.
timeframe: 1D
strategy: funding_fade
params: {exit_z: 0}

# Costs: fractions of the traded notional (0.0005 = 5 bp) and of the open.
market: {fee: 0.0005, slippage: 0.0002}

# Search: parameter sets that are tried on the training span, and judged on the days after it.
sweep:
  trials: 48
  space:
    window: {low: 60, high: 180, step: 30}
    entry_z: [1.0, 1.5, 2.0]
split: {train: 0.6, folds: 2}
seed: 7
"""

STARTERS = {
    "metric": (_METRIC, "metrics", ".py"),
    "strategy": (_STRATEGY, "strategies", ".py"),
    "config": (_CONFIG, "configs", ".yaml"),
}
"""By kind: the text, the folder it goes to, and the suffix."""


def write_starter(what: str, name: str, folder: Path | None = None) -> str:
    """Write one working file, and say what to do with it.

    Parameters
    ----------
    what : ``metric``, ``strategy`` or ``config``
    name : small letters, digits and ``_`` (a config also ``-``); it names the thing and its file
    folder : where to; default ``./metrics``, ``./strategies`` or ``./configs``

    Raises
    ------
    UnknownName
        for another kind.
    ConfigError
        for a name that cannot be one or is taken, or a file that is already there.
    """
    if what not in STARTERS:
        raise UnknownName("kind of file", what, STARTERS)
    text, home, suffix = STARTERS[what]
    _refuse_name(what, name)
    path = (Path(home) if folder is None else folder) / f"{name}{suffix}"
    if path.exists():
        raise ConfigError(f"{path} is already there, and is left as it is; choose another name, or --dir DIR")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("NAME", name), encoding="utf-8")
    return "\n".join([f"wrote  {path}", *_next_steps(what, name, path)])


def _refuse_name(what: str, name: str) -> None:
    pattern = r"[a-z0-9][a-z0-9_-]*" if what == "config" else r"[a-z][a-z0-9_]*"
    if not re.fullmatch(pattern, name) or keyword.iskeyword(name):
        also = " (and -)" if what == "config" else ", a letter first, and no word of Python's own"
        raise ConfigError(f"{name!r} cannot name a {what}; expected small letters, digits and _{also}")
    if what == "config":
        return
    from btcflow.flow.catalog import METRICS
    from btcflow.rules.strategies import STRATEGIES

    if name in (METRICS if what == "metric" else STRATEGIES):
        place = METRICS.file_of(name) if what == "metric" else STRATEGIES.file_of(name)
        raise ConfigError(f"a {what} is called {name!r} already, in {place}; choose another name")


def _next_steps(what: str, name: str, path: Path) -> list[str]:
    if what == "config":
        return [f"check  btcflow config check {path}", f"run    btcflow run {path}"]
    check = f"check  btcflow check {path}"
    if what == "metric":
        return [check, "use    move it into btcflow/flow/, and rules can name it"]
    return [check, f"run    btcflow run demo -s strategy={name} --strategies {path.parent}"]
