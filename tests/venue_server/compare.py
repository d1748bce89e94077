"""Comparing what was downloaded with what is true, row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["assert_same"]


def assert_same(got: pd.DataFrame, want: pd.DataFrame, *, columns: tuple[str, ...] | None = None) -> None:
    """Raise AssertionError with the first row that is missing, too many, or different.

    Every value column of ``want`` is compared (or those named), with a relative tolerance of 1e-12: a venue writes
    decimals, and a contract count times its size is one multiplication. ``known_at`` is not compared.
    """
    left, right = (pd.DatetimeIndex(frame["stamp"]).as_unit("ns") for frame in (got, want))
    missing, extra = right.difference(left), left.difference(right)
    if len(missing) or len(extra):
        raise AssertionError(
            f"{len(missing)} rows missing (first {list(missing[:3])}), {len(extra)} too many (first {list(extra[:3])});"
            f" got {len(left)}, want {len(right)}"
        )
    if not left.equals(right):
        raise AssertionError("the rows are not sorted by stamp, or one comes twice")
    for name in columns or tuple(one for one in want.columns if one not in ("stamp", "known_at")):
        ours, truth = got[name].to_numpy(dtype=np.float64), want[name].to_numpy(dtype=np.float64)
        for row in np.flatnonzero(~np.isclose(ours, truth, rtol=1e-12, atol=1e-15))[:1]:
            raise AssertionError(f"{name} at {left[row]}: got {ours[row]!r}, want {truth[row]!r}")
