"""From the archive's files through the real client into a store: vintages, repeats and partial failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from archive_server import Shelf, serving

from btcflow.archives import BinanceVision, Note, Request, known_files
from btcflow.data.store import Store
from btcflow.data.venue_facts import facts
from btcflow.errors import VenueUnavailable
from btcflow.wire.patience import Patience
from btcflow.wire.static import StaticFiles

NOW = pd.Timestamp("2022-03-03 12:00", tz="UTC")
DAYS = ("2022-03-01", "2022-03-02")


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving() as found:
        yield found


def key(day: str) -> str:
    return f"data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-{day}.zip"


def metrics(day: str, *, value: float = 80_000.0) -> str:
    rows = range(1, 289)
    labels = [pd.Timestamp(day) + pd.Timedelta(minutes=5 * row) for row in rows]
    amounts = [value + row for row in rows]
    return "".join(f"{t},BTCUSDT,{one},{one * 40_000},,,,\n" for t, one in zip(labels, amounts, strict=True))


def request() -> Request:
    found = facts("binance:BTCUSDT")
    assert found is not None
    return Request(
        instrument=found.instrument,
        kind="open_interest",
        timeframe="5m",
        start=pd.Timestamp("2022-03-01", tz="UTC"),
        end=pd.Timestamp("2022-03-03", tz="UTC"),
        lag=pd.Timedelta(minutes=5),
    )


def fill(shelf: Shelf, store: Store) -> tuple[list[Note], int, int]:
    """One fetch as a user makes it: notes, rows added and rows revised."""
    notes: list[Note] = []
    added = revised = 0
    with StaticFiles(Patience(venue="binance", retries=2, chance=lambda: 0.0), base=shelf.url) as files:
        archive = BinanceVision(now=lambda: NOW)
        known = known_files(store, request().key)
        for records, provenance in archive.series(request(), files.get, known=known, report=notes.append):
            report = store.merge(records, provenance=provenance)
            added, revised = added + report.added, revised + len(report.revised)
    return notes, added, revised


def store_at(path: Path) -> Store:
    return Store(path, now=lambda: NOW)


def tree(path: Path) -> dict[str, bytes]:
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


def test_a_second_fetch_asks_for_the_listing_alone_and_changes_no_byte(shelf: Shelf, tmp_path: Path) -> None:
    for day in DAYS:
        shelf.put(key(day), metrics(day))
    store = store_at(tmp_path / "store")
    assert fill(shelf, store)[1:] == (576, 0)
    before = tree(tmp_path)
    shelf.asked.clear()
    notes, added, revised = fill(shelf, store)
    assert (added, revised) == (0, 0)
    assert set(shelf.asked) == {"bucket"}
    assert {one.what for one in notes} == {"unchanged"}
    assert tree(tmp_path) == before


def test_a_republished_file_is_a_further_vintage_and_the_old_rows_stay_readable(shelf: Shelf, tmp_path: Path) -> None:
    for day in DAYS:
        shelf.put(key(day), metrics(day))
    store = store_at(tmp_path / "store")
    fill(shelf, store)
    old = store.read(request().key)
    shelf.put(key(DAYS[0]), metrics(DAYS[0], value=70_000.0), modified="2023-12-01T00:00:00.000Z")
    assert fill(shelf, store)[1:] == (0, 288)
    new = store.read(request().key)
    assert new.column("value")[0] == 70_001.0
    assert new.column("value")[300:].tolist() == old.column("value")[300:].tolist()
    past = store.read(request().key, content_sha256=old.content_hash())
    assert past.column("value").tolist() == old.column("value").tolist()
    assert fill(shelf, store)[1:] == (0, 0), "the new version is known now"


def test_what_came_whole_is_kept_beside_a_broken_file_and_the_rest_follows(shelf: Shelf, tmp_path: Path) -> None:
    for day in DAYS:
        shelf.put(key(day), metrics(day))
    sound = shelf.files[key(DAYS[0])]
    shelf.files[key(DAYS[0])] = sound[:-30]
    store = store_at(tmp_path / "store")
    with pytest.raises(VenueUnavailable, match="BTCUSDT-metrics-2022-03-01") as caught:
        fill(shelf, store)
    assert caught.value.exit_code == 69
    assert len(store.read(request().key)) == 288
    shelf.files[key(DAYS[0])] = sound
    assert fill(shelf, store)[1:] == (288, 0)
    whole = store_at(tmp_path / "whole")
    fill(shelf, whole)
    assert store.read(request().key).content_hash() == whole.read(request().key).content_hash()


def test_a_busy_host_is_waited_for(shelf: Shelf, tmp_path: Path) -> None:
    for day in DAYS:
        shelf.put(key(day), metrics(day))
    shelf.listings = [(503, b"slow down")]
    shelf.answers[key(DAYS[0])] = [(500, b""), (429, b"")]
    assert fill(shelf, store_at(tmp_path / "store"))[1:] == (576, 0)
