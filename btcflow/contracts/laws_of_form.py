"""The laws about what a result is made of: its inputs, its traces, its shape, its gaps, its units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from btcflow.contracts.case import WHOLE, Case, Fault, NotApplicable, difference, moment
from btcflow.contracts.changes import PRICE_FACTOR

__all__ = ["determinism", "needs", "purity", "scale", "shape", "unit", "warm_up"]

_ROUNDING = 1e-9
_UNCHANGED = ("z", "0/1", "%", "fraction", "fraction per 8h", "fraction p.a.", "index", "state", "venues", "legs")
_TIMES = {**dict.fromkeys(_UNCHANGED, 1.0), "exposure": 1.0, "quote": PRICE_FACTOR}
"""What becomes of a value of each unit when every price is ``PRICE_FACTOR`` times as high."""


def needs(case: Case) -> Fault | None:
    """Only the declared fields are there: the result is the same."""
    panel = case.trial.panel
    declared = {*case.subject.needs, "close"} & set(panel.fields)
    at = "declared fields only"
    found = difference(case.whole, case.afresh(panel.only(sorted(declared)), at))
    return None if found is None else Fault(at, found)


def purity(case: Case) -> Fault | None:
    """Computing leaves no trace: in the panel, in the global generators and settings, in module data."""
    one, other = (case.afresh(case.trial.panel, WHOLE, seed=seed) for seed in (0, 1))
    states = zip(one.left_behind.random_states, other.left_behind.random_states, strict=True)
    if any(left == right for left, right in states):  # begun differently: only a seed makes them equal
        return Fault(WHOLE, "it seeds the global random generator; use numpy.random.default_rng(seed) of its own")
    if one.left_behind.settings_changed:
        return Fault(WHOLE, "it changes numpy's error settings; use `with numpy.errstate(...)`")
    traces = case.traces()
    if traces:
        return Fault(WHOLE, f"it keeps something between calls in: {', '.join(traces)}")
    return None


def determinism(case: Case) -> Fault | None:
    """Computed again from nothing, and under other global random states: the same to the bit."""
    for seed, how in enumerate(("from nothing", "under another state of the global random generators")):
        at = f"the second time, computed {how}"
        found = difference(case.whole, case.afresh(case.trial.panel, at, seed=seed))
        if found is not None:
            return Fault(at, found)
    return None


def shape(case: Case) -> Fault | None:
    """One float64 per bar, NaN allowed, infinity not."""
    given, rows = case.whole.given, len(case.whole.decided)
    if not isinstance(given, np.ndarray) or given.dtype != np.float64:
        found = f"{type(given).__name__} of {getattr(given, 'dtype', type(given).__name__)}"
        return Fault(WHOLE, f"it gave {found}, expected a numpy array of float64 ({rows},)")
    infinite = np.isinf(given)
    if infinite.any():
        row = int(infinite.argmax())
        at = f"row {row} (decided {moment(case.whole.decided[row])}) is {float(given[row])}"
        return Fault(WHOLE, f"{at}; {int(infinite.sum())} of {rows} rows are infinite")
    return None


def warm_up(case: Case) -> Fault | NotApplicable | None:
    """NaN only in the warm-up: after the first row with a value there is none without, on complete inputs."""
    if not case.trial.complete:
        return NotApplicable("the market has holes")
    missing = np.isnan(case.whole.values)
    if missing.all():
        return Fault(WHOLE, f"none of its {len(missing)} rows has a value; is its window longer than the market?")
    first = int((~missing).argmax())
    missing[:first] = False
    if not missing.any():
        return None
    row = int(missing.argmax())
    at = f"row {row} (decided {moment(case.whole.decided[row])}) is NaN though row {first} has a value"
    return Fault(WHOLE, f"{at} and no input is missing; {int(missing.sum())} of {len(missing)} rows")


def unit(case: Case) -> Fault | NotApplicable | None:
    """Prices told in a currency worth a quarter: a z-score stays, a price is four times itself."""
    if case.subject.unit not in _TIMES:
        return NotApplicable(f"its unit is {case.subject.unit or 'not declared'}")
    times = _TIMES[case.subject.unit]
    at = f"every price times {PRICE_FACTOR:g}"
    expected = replace(case.whole, values=case.whole.values * times)
    found = difference(expected, case.on(case.trial.repriced, at), within=_ROUNDING)
    return None if found is None else Fault(at, found)


def scale(case: Case) -> Fault | NotApplicable | None:
    """Open interest told in contracts of another size, and in as many fewer: the result is the same."""
    if "open_interest" not in case.subject.needs or "open_interest" not in case.trial.needs:
        return NotApplicable("it reads no open interest")
    at = "every contract resized"
    found = difference(case.whole, case.on(case.trial.regauged, at), within=_ROUNDING)
    return None if found is None else Fault(at, found)
