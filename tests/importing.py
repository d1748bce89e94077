"""Small files and import specs for the tests of the importer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from btcflow.data.import_spec import ImportSpec
from btcflow.data.imports import FileReport, build_records
from btcflow.data.records import Records
from btcflow.errors import BadRecords, BtcflowError

BARS = {
    "file": "bars.csv",
    "venue": "coinbase",
    "symbol": "BTC/USD",
    "role": "spot",
    "quote": "USD",
    "kind": "ohlcv",
    "timeframe": "1D",
    "stamp": "bar_open",
}
PERP = {"venue": "bitmex", "symbol": "XBTUSD", "role": "perp", "quote": "USD", "margin": "inverse", "oi_unit": "usd"}
FUNDING = PERP | {
    "file": "funding.csv",
    "kind": "funding",
    "timeframe": "8h",
    "stamp": "settlement",
    "rate_hours": "spacing",
}
INTEREST = {
    "file": "oi.csv",
    "venue": "coinglass",
    "symbol": "BTC",
    "aggregate": True,
    "quote": "USD",
    "oi_unit": "usd",
    "kind": "open_interest",
    "timeframe": "1D",
    "stamp": "value_at_close",
}
DAYS = """timestamp,open,high,low,close,volume
2024-01-01T00:00:00Z,100,110,90,105,1
2024-01-02T00:00:00Z,105,115,95,110,2
2024-01-04T00:00:00Z,110,120,100,115,3
"""
RATES = """timestamp,rate
2024-01-01T00:00:00Z,0.0001
2024-01-01T08:00:00Z,0.0002
2024-01-01T16:00:00Z,-0.0001
"""


def spec(*entries: dict[str, Any]) -> ImportSpec:
    return ImportSpec.model_validate({"files": entries})


def build(folder: Path, entry: dict[str, Any], text: str | None = None, **changes: Any) -> tuple[Records, FileReport]:
    """One entry with changes, and its text as the file it names."""
    one = spec(entry | changes).files[0]
    if text is not None:
        (folder / one.file).write_text(text)
    return build_records(folder, one)


def records(folder: Path, entry: dict[str, Any], text: str | None = None, **changes: Any) -> Records:
    return build(folder, entry, text, **changes)[0]


def refused(folder: Path, entry: dict[str, Any], text: str, *parts: str, **changes: Any) -> BtcflowError:
    """The error of an import, which must name all ``parts``."""
    with pytest.raises(BadRecords) as caught:
        build(folder, entry, text, **changes)
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not said in: {caught.value}"
    return caught.value


def stamps(one: Records) -> list[str]:
    return [f"{time:%m-%d %H:%M}" for time in one.frame["stamp"]]


def known(one: Records) -> list[str]:
    return [f"{time:%m-%d %H:%M}" for time in one.frame["known_at"]]
