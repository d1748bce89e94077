"""The gate: nobody's speed is shown whose numbers are not those of the exact ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from btcflow.bench.contestant import Numbers

__all__ = ["TOLERANCE", "differences", "growth_of"]

TOLERANCE = 1e-9
"""|a - b| <= 1e-9 * max(1, |a|, |b|), as everywhere in btcflow."""


def differences(reference: Numbers, found: Numbers) -> tuple[tuple[str, ...], list[str]]:
    """Compare what both have.

    Parameters
    ----------
    reference, found : (K,) values by name, of the same K sets

    Returns
    -------
    the names compared, and for each that is not equal one line with the worst value
    """
    names, wrong = tuple(name for name in found if name in reference), []
    for name in names:
        right, told = np.asarray(reference[name], dtype=np.float64), np.asarray(found[name], dtype=np.float64)
        if right.shape != told.shape:
            wrong.append(f"{name}: {told.shape} values, expected {right.shape}")
            continue
        unknown = np.isnan(right) & np.isnan(told)
        allowed = TOLERANCE * np.maximum(1.0, np.maximum(np.abs(right), np.abs(told)))
        bad = ~unknown & ~(np.abs(right - told) <= allowed)
        if bad.any():
            worst = int(np.argmax(np.where(bad, np.nan_to_num(np.abs(right - told), nan=np.inf), -1.0)))
            wrong.append(f"{name}: {int(bad.sum())} of {len(bad)} sets differ; {told[worst]!r}, not {right[worst]!r}")
    return names, wrong


def growth_of(entry: np.ndarray, leave: np.ndarray, side: np.ndarray, opens: np.ndarray) -> float:
    """Sum over closed trades of side times ln(open at the exit / open at the entry).

    What an engine that sizes its orders in another way can still have in common with the ledger: the
    bars and sides of its trades. ``entry`` and ``leave`` are clock rows, ``side`` 1 or -1.
    """
    return float(np.sum(side * np.log(opens[leave] / opens[entry])))
