"""The packed columns of the report: what goes in comes out, and nothing is drawn before it was known."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_runs import made_run

from btcflow.errors import BadRecords
from btcflow.report import render
from btcflow.report.curves import drawdown, drawn_at
from btcflow.report.encode import candles, labels, numbers, pack, seconds


def unpacked(layout: list[dict[str, Any]], text: str) -> dict[str, dict[str, np.ndarray]]:
    """Read the packed columns as the docstring of encode.py describes them, number by number."""
    blob, at, tables = gzip.decompress(base64.b64decode(text)), 0, {}
    for part in layout:
        rows, columns = part["rows"], {}
        for column in part["columns"]:
            whole, total = [], 0
            for row in range(rows):
                folded = sum(blob[at + plane * rows + row] << (8 * plane) for plane in range(column["planes"]))
                step = folded // 2 if folded % 2 == 0 else -(folded + 1) // 2
                total = step if column.get("plain") else total + step
                whole.append(total / 10 ** column["decimals"])
            at += rows * column["planes"]
            if column.get("missing"):
                whole = [np.nan if blob[at + row // 8] >> (row % 8) & 1 else one for row, one in enumerate(whole)]
                at += (rows + 7) // 8
            columns[column["name"]] = np.array(whole, dtype=float)
        tables[part["table"]] = columns
    assert at == len(blob)
    return tables


def parts_of(page: str) -> tuple[dict[str, Any], str]:
    meta = re.search(r'<script type="application/json" id="meta">(.*?)</script>', page, re.DOTALL)
    packed = re.search(r'<script type="text/plain" id="packed">(.*?)</script>', page, re.DOTALL)
    assert meta is not None
    assert packed is not None
    return json.loads(meta[1]), packed[1]


@example(values=[5e-324, -1e-310], decimals=6)
@given(st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12, allow_nan=False)), max_size=40), st.integers(0, 6))
def test_numbers_come_back_to_half_a_unit_and_missing_ones_stay_missing(
    values: list[float | None], decimals: int
) -> None:
    given_ = np.array([np.nan if one is None else one for one in values], dtype=float)
    column = numbers(given_, decimals=decimals)
    packed = pack({"t": {"x": column}})
    found = unpacked(packed.layout, packed.text)["t"]["x"]
    assert np.array_equal(np.isnan(found), np.isnan(given_))
    assert np.all(np.abs(found - given_)[~np.isnan(given_)] <= 0.5000001 / 10.0**column.decimals)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([1.0, 0.5, 0.1, 0.01]))
def test_prices_on_a_tick_come_back_exactly(seed: int, bars: int, tick: float) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        np.sort(rng.integers(1, 9_000_000, (bars, 4)), axis=1) * tick, columns=["low", "open", "close", "high"]
    )
    packed = pack({"bars": candles(frame)})
    found = unpacked(packed.layout, packed.text)["bars"]
    before = 0.0
    for row in range(bars):
        opened = before + found["open"][row]
        close = opened + found["close"][row]
        back = [opened, max(opened, close) + found["high"][row], min(opened, close) - found["low"][row], close]
        assert back == pytest.approx(frame.loc[row, ["open", "high", "low", "close"]].tolist(), abs=1e-6)
        before = close


def test_words_come_back_in_order_of_appearance() -> None:
    column = labels(["long", None, "short", "long"])
    assert column.names == ("long", "short")
    assert column.values.tolist() == [0, 0, 1, 0]
    assert column.missing.tolist() == [False, True, False, False]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(BadRecords, match="naive"):
        seconds(pd.DatetimeIndex(["2020-01-01"]))


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=20),
    st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True),
)
def test_a_signal_is_never_drawn_beside_a_bar_that_opened_after_it_was_known(
    decided: list[int], opens: list[int]
) -> None:
    opens = sorted(opens)
    for known, at in zip(decided, drawn_at(np.array(decided), np.array(opens)), strict=True):
        before = [row for row, opened in enumerate(opens) if opened < known]
        assert at == (before[-1] if before else -1)


def test_the_daily_drawdown_is_the_worst_of_its_clock_bars(tmp_path: Path) -> None:
    made = made_run(6_024)
    meta, packed = parts_of(render(made.write(tmp_path / "run")).read_text(encoding="utf-8"))
    assert meta["daily"] is True
    found = unpacked(meta["layout"], packed)["equity"]
    full = made.frames["equity"]
    day = (full["time"] - pd.Timedelta(1, "ns")).dt.floor("D")
    worst = pd.Series(drawdown(full["equity"].to_numpy())).groupby(day.to_numpy()).min()
    last = full.groupby(day.to_numpy())["equity"].last()
    assert found["drawdown"] == pytest.approx(worst.to_numpy(), abs=1e-5)
    assert found["equity"] == pytest.approx(last.to_numpy(), abs=0.01)


def test_the_page_holds_the_ledger_bar_by_bar(tmp_path: Path) -> None:
    made = made_run(300)
    meta, packed = parts_of(render(made.write(tmp_path / "run")).read_text(encoding="utf-8"))
    found, ledger = unpacked(meta["layout"], packed), made.frames["ledger"]
    assert np.array_equal(found["bars"]["time"], ledger["time"].map(pd.Timestamp.timestamp))
    assert np.cumsum(found["bars"]["open"] + found["bars"]["close"])[-1] == pytest.approx(ledger["close"].iloc[-1])
    assert np.isnan(found["signals"]["oi_z"]).sum() == 12
    assert len(found["trades"]["net"]) == len(made.frames["trades"])
