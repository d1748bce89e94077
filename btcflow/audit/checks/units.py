"""Whether numbers are in the unit they are said to be in: what a venue reports twice, and sizes no market has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from btcflow.audit.check import check
from btcflow.audit.examined import Examined, rows_found
from btcflow.audit.findings import Found, moment
from btcflow.data.interest_units import cross_check, unit_in_btc
from btcflow.data.records import Dataset, Records
from btcflow.errors import BadRecords, ConfigError

__all__ = ["interest_size", "reported_value", "taker_part", "volume_size"]

_MOST_INTEREST = 3e6
_LEAST_INTEREST = 1.0
_MOST_VOLUME = 5e6
_ROUNDING = 1e-6
_DAY = 86_400_000_000_000


@check(severity="fault")
def reported_value(examined: Examined) -> Iterator[Found]:
    """Open interest that is stated twice, as an amount and as a value, agrees at the price of its moment."""
    by_instrument: dict[str, list[Records]] = {}
    for one in examined.filled:
        by_instrument.setdefault(one.instrument.id, []).append(one)
    prices = list(examined.kind("ohlcv"))
    for several in by_instrument.values():
        stated = [one for one in several if one.key.kind == "open_interest"]
        if len(stated) < 2:
            continue
        keys = {one.key for one in stated}
        try:
            cross_check(Dataset.of([*stated, *(one for one in prices if one.key not in keys)]))
        except BadRecords as error:
            yield Found(
                series=" / ".join(str(one.key) for one in stated), says=str(error), advice="mend the import spec"
            )


@check(severity="fault")
def interest_size(examined: Examined) -> Iterator[Found]:
    """Open interest in BTC has a size that markets have: one BTC to three million."""
    for one in examined.kind("open_interest"):
        price = examined.price_at(one.stamp, one)
        try:
            size = one.column("value") * unit_in_btc(one.instrument, price)
        except ConfigError as error:
            yield Found(series=str(one.key), says=str(error), count=len(one), advice="state oi_unit in the import spec")
            continue
        sized = size[np.isfinite(size)]
        if len(sized) and not _LEAST_INTEREST < (middle := float(np.median(sized))) < _MOST_INTEREST:
            yield Found(
                series=str(one.key),
                says=f"the median is {middle:,.3g} BTC of open interest, read as {one.instrument.oi_unit}",
                count=len(sized),
                start=moment(one.stamp[0]),
                end=moment(one.stamp[-1]),
                advice="oi_unit, contract_size or contract_ccy is wrong in the import spec",
            )


@check(severity="fault")
def volume_size(examined: Examined) -> Iterator[Found]:
    """Volume is in BTC: a typical day has fewer than five million."""
    for one in examined.kind("ohlcv"):
        daily = pd.Series(one.column("volume")).groupby(one.stamp // _DAY).sum()
        if (middle := float(daily.median())) > _MOST_VOLUME:
            yield Found(
                series=str(one.key),
                says=f"a typical day trades {middle:,.3g} BTC",
                count=len(daily),
                start=moment(one.stamp[0]),
                end=moment(one.stamp[-1]),
                advice="the volume is in dollars or contracts: state volume_unit in the import spec",
            )


@check(severity="fault")
def taker_part(examined: Examined) -> Iterator[Found]:
    """What takers bought in a bar is a part of its volume."""
    for one in examined.kind("taker_volume"):
        for bars in examined.kind("ohlcv"):
            if bars.instrument.id != one.instrument.id or bars.key.timeframe != one.key.timeframe:
                continue
            volume = pd.Series(bars.column("volume"), index=bars.stamp).reindex(one.stamp).to_numpy()
            with np.errstate(invalid="ignore"):
                more = one.column("buy") > volume * (1.0 + _ROUNDING)
            if more.any():
                first = f"{one.column('buy')[more][0]:g} bought of {volume[more][0]:g}"
                yield rows_found(
                    one, more, "takers bought more than was traded", first, "one of the two is in another unit"
                )
