"""Export: what other programs read is what the store holds, to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stored import PERP, PROVENANCE, SPOT, funding, perp, revised, rows, series

from btcflow.data.export import FORMATS, export
from btcflow.data.records import Records
from btcflow.data.store import Store
from btcflow.errors import ConfigError, MissingData, StoreError
from btcflow.fields import KINDS
from btcflow.terminal.exports import export_text

DUCKDB = pytest.mark.skipif(find_spec("duckdb") is None, reason="needs the extra: pip install 'btcflow[duckdb]'")


def filled(path: Path) -> Store:
    """Three series; one has a revised row, a missing number and two chunks."""
    store = Store(path / "store")
    bars = series(SPOT, rows=800)
    bars = replace(bars, frame=bars.frame.assign(volume=bars.frame["volume"].where(np.arange(800) != 7)))
    store.merge(bars, provenance=PROVENANCE)
    store.merge(rows(revised(bars, 790), 780, 800), provenance=PROVENANCE)
    store.write_all([funding(), series(PERP, "open_interest", "1h", lag="5min", synthetic=True)])
    return store


def read_back(path: Path, like: Records) -> Records:
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
    else:
        text = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame = pd.DataFrame({name: [float(one or "nan") for one in text[name]] for name in text.columns[2:]})
        for place, name in enumerate(("stamp", "known_at")):
            frame.insert(place, name, pd.to_datetime(text[name], utc=True).dt.as_unit("ns"))
    return replace(like, frame=frame)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_series_reads_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    store = filled(tmp_path)
    report = export(store, tmp_path / "out", format=suffix)
    assert [one.key for one in report.series] == [one.key for one in store.entries()]
    for one in report.series:
        found = read_back(tmp_path / "out" / one.name, store.read(one.key))
        assert found.content_hash() == store.read(one.key).content_hash()
        assert one.rows == len(found)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_folder_says_what_each_file_is(tmp_path: Path, suffix: str) -> None:
    store = filled(tmp_path)
    report = export(store, tmp_path / "out", format=suffix)
    facts = {one["name"]: one for one in json.loads((tmp_path / "out" / "series.json").read_text())}
    assert set(facts) == {one.name for one in report.series}
    interest = facts[f"binance_BTCUSDT_open_interest_1h.{suffix}"]
    assert (interest["oi_unit"], interest["lag_seconds"], interest["simulated"]) == ("btc", 300.0, True)
    assert facts[f"binance_BTC_USDT_ohlcv_1h.{suffix}"]["content_sha256"] == store.entries()[0].content_sha256
    text = (tmp_path / "out" / "README.md").read_text()
    assert all(KINDS[one.key.kind].meaning in text for one in report.series)


def test_a_csv_has_one_header_and_times_in_utc(tmp_path: Path) -> None:
    Store(tmp_path / "store").write(perp("BTCUSDT", rows=2))
    export(Store(tmp_path / "store"), tmp_path, format="csv")
    lines = (tmp_path / "binance_BTCUSDT_ohlcv_1h.csv").read_text().splitlines()
    assert lines[0] == "stamp,known_at,open,high,low,close,volume"
    assert lines[1].startswith("2024-01-01T00:00:00Z,2024-01-01T01:00:00Z,0.")
    assert len(lines) == 3


def test_names_that_would_be_the_same_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.write_all([perp("BTC/USDT"), perp("BTC-USDT"), perp("btc_usdt")])
    report = export(store, tmp_path / "out", format="csv")
    assert len({one.name.casefold() for one in report.series}) == 3
    for one in report.series:
        assert (tmp_path / "out" / one.name).is_file()


def test_only_the_series_asked_for_are_exported(tmp_path: Path) -> None:
    store = filled(tmp_path)
    report = export(store, tmp_path / "out", format="csv", keep=lambda entry: entry.key.kind == "funding")
    assert [one.key for one in report.series] == [funding().key]
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "README.md",
        "binance_BTCUSDT_funding_8h.csv",
        "series.json",
    ]


def test_the_text_names_what_was_written_and_takes_patterns(tmp_path: Path) -> None:
    filled(tmp_path)
    text = export_text(tmp_path / "store", tmp_path / "out", format="csv", series=("*funding*", "ohlcv 1h"))
    assert "binance_BTCUSDT_funding_8h.csv" in text
    assert "binance_BTC_USDT_ohlcv_1h.csv" in text
    assert "open_interest" not in text
    with pytest.raises(MissingData, match="btcflow data ls"):
        export_text(tmp_path / "store", tmp_path / "out", format="csv", series=("nothing",))


def test_bad_questions_are_refused_in_words(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with pytest.raises(ConfigError, match="csv, parquet, duckdb"):
        export(store, tmp_path / "out", format="xlsx")
    with pytest.raises(MissingData, match="no store here yet"):
        export(Store(tmp_path / "nowhere"), tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="another folder"):
        export(store, tmp_path / "file")
    assert not (tmp_path / "out").exists()
    assert FORMATS == ("csv", "parquet", "duckdb")


@pytest.mark.skipif(find_spec("duckdb") is not None, reason="duckdb is installed here")
def test_without_duckdb_the_error_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'btcflow\[duckdb\]'"):
        export(filled(tmp_path), tmp_path / "out", format="duckdb")
    assert not (tmp_path / "out").exists()


@DUCKDB
def test_a_duckdb_view_has_the_rows_of_today_and_no_older_vintage(tmp_path: Path) -> None:
    import duckdb

    store = filled(tmp_path)
    report = export(store, tmp_path / "out", format="duckdb")
    with duckdb.connect(str(report.out), read_only=True) as database:
        for one in report.series:
            wanted = store.read(one.key)
            names = ["stamp", "known_at", *KINDS[one.key.kind].columns]
            times = ", ".join(f"epoch_ns({name}) AS {name}" for name in names[:2])
            query = f'SELECT {times}, {", ".join(names[2:])} FROM "{one.name}" ORDER BY stamp'
            found = database.execute(query).fetchnumpy()
            np.testing.assert_array_equal(found["stamp"], wanted.stamp)
            for name in names[2:]:
                np.testing.assert_array_equal(np.ma.filled(found[name], np.nan), wanted.column(name))
        listed = database.execute("SELECT name, rows, content_sha256, simulated FROM series ORDER BY name").fetchall()
    assert {one[0] for one in listed} == {one.name for one in report.series}
    assert {one[2] for one in listed} == {one.content_sha256 for one in store.entries()}
    assert sum(one[3] for one in listed) == 1
