"""Whether venues agree: prices, premiums, and vendors' totals of open interest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from btcflow.audit.check import check
from btcflow.audit.examined import Examined, rows_found
from btcflow.audit.findings import Found, moment, told
from btcflow.data.interest_units import unit_in_btc
from btcflow.data.records import Records
from btcflow.stack import row_median

__all__ = ["levels", "mark_price", "premium", "prices"]

_APART = 0.04
_SCALES = 10.0
_BIAS = 0.01
_PREMIUM = 0.05
_LEVEL = 1.1
_LEAST = 30


@check(severity="warning")
def prices(examined: Examined) -> Iterator[Found]:
    """Closes of one moment agree across venues, and no venue is off by a constant."""
    for timeframe in sorted({one.key.timeframe for one in examined.kind("ohlcv")}):
        table = examined.closes(timeframe)
        for one in examined.kind("ohlcv"):
            if one.key.timeframe == timeframe and len(table.columns) > 1:
                yield from _against(one, table)


def _against(one: Records, table: pd.DataFrame) -> Iterator[Found]:
    """One venue against the median of the others, where there are any."""
    others = table.drop(columns=one.instrument.id)
    middle = pd.Series(row_median(others.to_numpy()), index=table.index).reindex(one.ends).to_numpy()
    apart = np.log(one.column("close") / middle)
    both = np.isfinite(apart)
    if both.sum() < _LEAST:
        return
    bias = float(np.median(apart[both]))
    if abs(bias) > _BIAS:
        yield Found(
            series=str(one.key),
            says=f"closes are typically {100 * np.expm1(bias):+.2f} % from the median of the other venues",
            count=int(both.sum()),
            start=moment(one.ends[both][0]),
            end=moment(one.ends[both][-1]),
            advice="another asset, another quote currency or another unit: check the import spec",
            severity="fault",
        )
        return
    scale = 1.4826 * float(np.median(np.abs(apart[both] - bias)))
    far = np.abs(apart) > max(_APART, _SCALES * scale)
    if far.any():
        worst = int(np.nanargmax(np.where(far, np.abs(apart), np.nan)))
        yield rows_found(
            one,
            far,
            f"closes far from the median of the other venues; the farthest is {100 * np.expm1(apart[worst]):+.1f} % on "
            f"{told(moment(one.stamp[worst]))}",
            f"{100 * np.expm1(apart[far][0]):+.1f} %",
            "a crash that one venue had alone, or a wrong row: look at the hour before a premium is made of it",
        )


@check(severity="warning")
def mark_price(examined: Examined) -> Iterator[Found]:
    """Mark and index stay near the traded price of the same instrument."""
    for one in examined.kind("mark", "index"):
        own = [each for each in examined.kind("ohlcv") if each.instrument.id == one.instrument.id]
        own = [each for each in own if each.key.timeframe == one.key.timeframe]
        if not own:
            continue
        traded = pd.Series(own[0].column("close"), index=own[0].ends).reindex(one.ends).to_numpy()
        with np.errstate(invalid="ignore"):
            far = np.abs(np.log(one.column("close") / traded)) > _APART
        if far.any():
            yield rows_found(
                one,
                far,
                f"rows more than {100 * _APART:g} % from the traded close",
                "",
                "look at the rows at the source",
            )


@check(severity="warning")
def premium(examined: Examined) -> Iterator[Found]:
    """A premium index is a small fraction, centred near zero."""
    for one in examined.kind("premium_index"):
        value = one.column("close")
        far = np.abs(value) > _PREMIUM
        if far.any():
            many = float(far.mean()) > 0.01
            yield rows_found(
                one,
                far,
                f"premiums beyond {100 * _PREMIUM:g} %",
                f"{value[far][0]:g}",
                "in percent rather than fractions? state rate_unit in the spec"
                if many
                else "look at the rows at the source",
                severity="fault" if many else None,
            )


@check(severity="warning")
def levels(examined: Examined) -> Iterator[Found]:
    """Two totals of the same open interest have the same level; where they do not they are never joined."""
    totals = [one for one in examined.kind("open_interest") if one.instrument.role == "aggregate"]
    for left, right in itertools.combinations(totals, 2):
        stamps, of_left, of_right = np.intersect1d(left.stamp, right.stamp, assume_unique=True, return_indices=True)
        if len(stamps) < _LEAST:
            continue
        ratio = _in_btc(examined, left)[of_left] / _in_btc(examined, right)[of_right]
        good = np.isfinite(ratio)
        if good.sum() < _LEAST or 1 / _LEVEL < (middle := float(np.median(ratio[good]))) < _LEVEL:
            continue
        low, high = np.quantile(ratio[good], [0.05, 0.95])
        yield Found(
            series=f"{left.key} / {right.key}",
            says=f"levels are incompatible: the first is {middle:.2f} times the second (nine of ten days: {low:.2f} to "
            f"{high:.2f})",
            count=int(good.sum()),
            start=moment(stamps[good][0]),
            end=moment(stamps[good][-1]),
            example=f"{told(moment(stamps[good][0]))}: {ratio[good][0]:.2f}",
            advice="they count different exchanges: use one alone (oi.source: vendor:NAME), never join or add them",
        )


def _in_btc(examined: Examined, one: Records) -> np.ndarray:
    """Open interest in BTC; in dollars it needs a price of the same moment; (N,)."""
    return np.asarray(one.column("value") * unit_in_btc(one.instrument, examined.price_at(one.stamp, one)))
