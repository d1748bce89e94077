"""The store: what goes in comes out, whole, and the same in gives the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import PERP, child, contents, finished, funding, perp, series

from btcflow.data.grids import Holes
from btcflow.data.records import SeriesKey
from btcflow.data.store import Store, default_store_path, series_path
from btcflow.errors import BadRecords, MissingData, StoreError
from btcflow.fields import KINDS


def chunk(store: Path) -> Path:
    """The one chunk of the funding series."""
    (path,) = (store / series_path(funding().key)).glob("*.parquet")
    return path


def manifest_of(store: Path) -> Path:
    return store / series_path(funding().key) / "manifest.json"


# -- round trip ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_comes_back_as_it_was_written(tmp_path: Path, kind: str) -> None:
    written = series(PERP, kind, lag="5min", synthetic=True)
    Store(tmp_path).write(written)
    found = Store(tmp_path).read(written.key)
    pd.testing.assert_frame_equal(found.frame, written.frame, check_exact=True)
    assert (found.key, found.instrument, found.source) == (written.key, written.instrument, written.source)
    assert (found.lag, found.synthetic) == (written.lag, True)
    assert found.content_hash() == written.content_hash()


def test_missing_numbers_and_nanoseconds_survive(tmp_path: Path) -> None:
    one = series()
    frame = one.frame.assign(volume=np.nan, stamp=one.frame["stamp"] + pd.Timedelta(7, unit="ns"))
    Store(tmp_path).write(replace(one, frame=frame))
    found = Store(tmp_path).read(one.key)
    assert np.isnan(found.column("volume")).all()
    assert (found.stamp % 1000 == 7).all()


def test_an_entry_says_what_the_series_is(tmp_path: Path) -> None:
    at = pd.Timestamp("2024-06-01T12:00:00Z")
    one = series(PERP, "funding", "8h", lag="5min")
    store = Store(tmp_path, now=lambda: at)
    store.write(one)
    (entry,) = store.entries()
    assert entry.key == one.key
    assert entry.instrument == PERP
    assert (entry.rows, entry.source, entry.synthetic) == (6, "test", False)
    assert (entry.first, entry.last) == (one.frame["stamp"].iloc[0], one.frame["stamp"].iloc[-1])
    assert entry.content_sha256 == one.content_hash()
    assert (entry.imported_at, entry.lag) == (at, pd.Timedelta("5min"))
    assert (entry.vintages, entry.revised) == (1, 0)


def test_an_entry_counts_the_bars_that_are_missing(tmp_path: Path) -> None:
    one = series(rows=20)
    Store(tmp_path).write(one.where(~np.isin(np.arange(20), [4, 5, 11])))
    assert Store(tmp_path).entries()[0].gaps == Holes(missing=3, stretches=2)


def test_the_dataset_holds_what_is_asked_for_sorted_by_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_all([funding(), series(), perp("BTCUSDT")])
    assert [str(one.key) for one in store.dataset()] == [
        "binance:BTC/USDT ohlcv 1h",
        "binance:BTCUSDT funding 8h",
        "binance:BTCUSDT ohlcv 1h",
    ]
    assert [one.key.kind for one in store.dataset(lambda entry: entry.key.kind == "funding")] == ["funding"]


def test_files_lie_by_venue_symbol_kind_timeframe_and_period(tmp_path: Path) -> None:
    Store(tmp_path).write_all([series(), funding()])
    manifests = [Store(tmp_path).manifest(one.key) for one in (series(), funding())]
    digests = [one.chunks[0].content_sha256[:12] for one in manifests]
    assert sorted(contents(tmp_path)) == [
        f"binance/BTC%2FUSDT/ohlcv-1h/2024-01-{digests[0]}.parquet",
        "binance/BTC%2FUSDT/ohlcv-1h/manifest.json",
        f"binance/BTCUSDT/funding-8h/2024-{digests[1]}.parquet",
        "binance/BTCUSDT/funding-8h/manifest.json",
    ]


@given(st.lists(st.text("aB/.\\% -_:é\0", min_size=1, max_size=6), min_size=2, max_size=2, unique=True))
def test_two_symbols_never_share_a_path_nor_leave_the_folder(symbols: list[str]) -> None:
    paths = [series_path(SeriesKey("venue", one, "ohlcv", "1h")) for one in symbols]
    assert paths[0] != paths[1]
    for path in paths:
        parts = path.split("/")
        assert len(parts) == 3
        assert not {".", ".."} & set(parts)
        assert not any(part.startswith(".") for part in parts)
        assert "\\" not in path


# -- the same in, the same bytes -----------------------------------------------------------------


def test_writing_the_same_again_changes_no_byte_and_no_import_time(tmp_path: Path) -> None:
    first = Store(tmp_path, now=lambda: pd.Timestamp("2024-06-01", tz="UTC"))
    first.write_all([series(), funding()])
    before = contents(tmp_path)
    Store(tmp_path, now=lambda: pd.Timestamp("2025-06-01", tz="UTC")).write_all([funding(), series()])
    assert contents(tmp_path) == before


def test_two_stores_of_the_same_records_have_the_same_bytes(tmp_path: Path) -> None:
    at = pd.Timestamp("2024-06-01", tz="UTC")
    for name, order in (("a", [series(), funding()]), ("b", [funding(), series()])):
        for one in order:
            Store(tmp_path / name, now=lambda: at).write(one)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_new_content_gets_a_new_import_time_and_leaves_the_other_series_alone(tmp_path: Path) -> None:
    Store(tmp_path, now=lambda: pd.Timestamp("2024-06-01", tz="UTC")).write_all([series(), funding()])
    Store(tmp_path, now=lambda: pd.Timestamp("2025-06-01", tz="UTC")).write(funding(rows=9))
    spot, perpetual = Store(tmp_path).entries()
    assert spot.imported_at.year == 2024
    assert (perpetual.imported_at.year, perpetual.rows) == (2025, 9)


def test_a_damaged_file_is_mended_by_writing_the_same_again(tmp_path: Path) -> None:
    Store(tmp_path).write(funding())
    before = contents(tmp_path)
    chunk(tmp_path).write_bytes(b"rot")
    Store(tmp_path).write(funding())
    assert contents(tmp_path) == before


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_an_absent_or_empty_store_says_how_to_fill_it(tmp_path: Path, make: object) -> None:
    make(tmp_path / "store")  # type: ignore[operator]
    store = Store(tmp_path / "store")
    for ask in (store.entries, store.dataset, lambda: store.read(funding().key)):
        with pytest.raises(MissingData, match="btcflow data import"):
            ask()
    assert not (tmp_path / "store").exists() or not any((tmp_path / "store").iterdir()), "a reader wrote something"


def test_a_series_that_is_not_there_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    Store(tmp_path).write(funding())
    with pytest.raises(MissingData, match="did you mean 'binance:BTCUSDT funding 8h'"):
        Store(tmp_path).read(SeriesKey("binance", "BTCUSD", "funding", "8h"))
    with pytest.raises(MissingData, match="none of the 1 series"):
        Store(tmp_path).dataset(lambda entry: False)


def test_a_file_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "a").write(funding(seed=1))
    Store(tmp_path / "b").write(funding(seed=2))
    chunk(tmp_path / "a").write_bytes(chunk(tmp_path / "b").read_bytes())
    with pytest.raises(BadRecords, match=r"content hash .*not what was written.*btcflow data import"):
        Store(tmp_path / "a").read(funding().key)


@pytest.mark.parametrize("damage", [b"", b"rot", None])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: bytes | None) -> None:
    Store(tmp_path).write(funding())
    path = chunk(tmp_path)
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    with pytest.raises(BadRecords, match=r"funding-8h.*btcflow data import"):
        Store(tmp_path).dataset()


def test_a_lost_file_is_missing_data(tmp_path: Path) -> None:
    Store(tmp_path).write(funding())
    chunk(tmp_path).unlink()
    with pytest.raises(MissingData, match="the manifest names this file and it is gone"):
        Store(tmp_path).read(funding().key)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 2}', '{"schema": 2, "key": {"x": {}}}', "\udcff"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    Store(tmp_path).write(funding())
    manifest_of(tmp_path).write_bytes(text.encode(errors="surrogateescape"))
    for ask in (Store(tmp_path).entries, lambda: Store(tmp_path).write(funding())):
        with pytest.raises(BadRecords, match="not a readable manifest"):
            ask()


def test_a_store_of_the_old_form_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema": 1, "series": {}}')
    for ask in (Store(tmp_path).entries, lambda: Store(tmp_path).write(funding())):
        with pytest.raises(BadRecords, match=r"schema 1.*move the folder aside.*btcflow data"):
            ask()


def test_a_manifest_of_a_newer_btcflow_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).write(funding())
    document = json.loads(manifest_of(tmp_path).read_text())
    manifest_of(tmp_path).write_text(json.dumps(document | {"schema": 99}))
    with pytest.raises(BadRecords, match="schema 99"):
        Store(tmp_path).entries()


def test_one_instrument_has_one_set_of_facts(tmp_path: Path) -> None:
    Store(tmp_path).write(funding())
    before = contents(tmp_path)
    other = series(replace(PERP, quote="USD"))
    with pytest.raises(BadRecords, match="two sets of facts"):
        Store(tmp_path).write(other)
    assert contents(tmp_path) == before
    Store(tmp_path).write_all([other, replace(funding(), instrument=other.instrument)])
    assert len(Store(tmp_path).entries()) == 2


def test_a_series_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecords, match="without rows"):
        Store(tmp_path).write(funding(rows=0))
    assert contents(tmp_path) == {}


def test_a_place_that_cannot_be_a_folder_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="BTCFLOW_STORE"):
        Store(tmp_path / "file" / "store").write(funding())
    with pytest.raises(StoreError):
        Store(tmp_path / "file").write(funding())


def test_a_read_only_folder_can_be_read_and_refuses_a_write(tmp_path: Path) -> None:
    Store(tmp_path).write(funding())
    before = contents(tmp_path)
    script = """
        from btcflow.errors import StoreError
        store.dataset()  # loads what is imported late, before the rights go
        os.chdir(sys.argv[1])
        if os.geteuid() == 0:
            os.seteuid(65534)  # root may write everywhere
        store = Store(Path("."))
        assert len(store.dataset()) == 1
        try:
            store.write(funding(rows=9))
        except StoreError as error:
            sys.exit(error.exit_code)
    """
    tmp_path.chmod(0o555)
    process = child(script, tmp_path)
    try:
        finished(process, code=74)
    finally:
        tmp_path.chmod(0o755)
    assert contents(tmp_path) == before


def test_a_full_disk_is_a_store_error_and_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    Store(tmp_path).write_all([funding(), perp("BTCUSDT")])
    before = contents(tmp_path)
    script = """
        import resource
        from btcflow.errors import StoreError
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            store.write_all([funding(rows=20), perp("BTCUSDT", rows=4000)])
        except StoreError as error:
            sys.exit(error.exit_code)
    """
    finished(child(script, tmp_path), code=74)
    assert contents(tmp_path) == before


def test_the_store_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BTCFLOW_STORE", raising=False)
    assert default_store_path() == Path("store")
    monkeypatch.setenv("BTCFLOW_STORE", "elsewhere/data")
    assert default_store_path() == Path("elsewhere/data")
