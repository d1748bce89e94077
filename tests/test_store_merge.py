"""Merging into the store: however rows come, the same series; and every state it ever had stays readable."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import AT, PERP, PROVENANCE, SPOT, contents, funding, perp, revised, rows, series

from btcflow.data.records import Records
from btcflow.data.store import MergeReport, Store, series_path
from btcflow.errors import BadRecords, MissingData

LONG = 48
KINDS_OF_SERIES = {"ohlcv": "1h", "funding": "8h", "open_interest": "1D"}


@contextmanager
def made_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        yield Store(Path(folder) / "store", now=lambda: AT)


def spread(kind: str = "ohlcv", rows: int = LONG) -> Records:
    """A series over several chunks: a row every six days."""
    one = series(PERP, kind, KINDS_OF_SERIES[kind], rows=rows)
    stamp = pd.date_range("2023-09-01", periods=rows, freq="6D", tz="UTC").as_unit("ns")
    return replace(one, frame=one.frame.assign(stamp=stamp, known_at=stamp + pd.Timedelta("1h")))


def merge(store: Store, records: Records, overlap: str | None = None) -> MergeReport:
    return store.merge(records, provenance=PROVENANCE, overlap=pd.Timedelta(overlap) if overlap else None)


def same(left: Records, right: Records) -> None:
    pd.testing.assert_frame_equal(left.frame, right.frame, check_exact=True)
    assert left.content_hash() == right.content_hash()


# -- laws ----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS_OF_SERIES)),
    cuts=st.lists(st.integers(1, LONG - 1), max_size=4, unique=True).map(sorted),
    overlap=st.integers(0, 5),
    draw=st.randoms(use_true_random=False),
)
def test_any_split_order_and_overlap_of_fetches_gives_the_same_series(
    kind: str, cuts: list[int], overlap: int, draw: object
) -> None:
    whole = spread(kind)
    parts = [rows(whole, max(0, first - overlap), last) for first, last in pairwise([0, *cuts, LONG])]
    draw.shuffle(parts)  # type: ignore[attr-defined]
    with made_store() as store:
        reports = [merge(store, one) for one in parts]
        same(store.read(whole.key), whole)
        assert sum(one.added for one in reports) == LONG
        assert sum(one.added + one.same for one in reports) == sum(map(len, parts))
        before = contents(store.path)
        assert not any(merge(store, one).changed for one in parts)
        assert contents(store.path) == before


@settings(max_examples=6, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS_OF_SERIES)),
    steps=st.lists(
        st.tuples(st.sampled_from("mmmmrw"), st.integers(0, LONG - 1), st.integers(1, 12)), min_size=20, max_size=20
    ),
)
def test_every_state_a_series_had_is_readable_bit_for_bit_after_twenty_changes(
    kind: str, steps: list[tuple[str, int, int]]
) -> None:
    """Merges at random places (m), merges with another number (r), and writes of something shorter (w)."""
    whole = spread(kind)
    had: dict[str, Records] = {}
    with made_store() as store:
        for turn, (what, first, count) in enumerate(steps):
            part = rows(whole, first, first + count)
            if what == "w":
                store.write(part)
            else:
                merge(store, part if what == "m" else revised(part, len(part) - 1, 0.001 * (turn + 1)))
            now = store.read(whole.key)
            had[now.content_hash()] = now
        for digest, as_it_was in had.items():
            same(store.read(whole.key, content_sha256=digest), as_it_was)
            same(store.dataset(as_of={whole.key: digest}).series[0], as_it_was)
        assert {one.content_sha256 for one in store.vintages(whole.key)} == set(had)
        current = [path.name for path in store.path.rglob("*.parquet")]
        assert set(current) == {one.file for one in store.manifest(whole.key).chunks}


@settings(max_examples=20, deadline=None)
@given(
    old=st.sets(st.integers(0, 20), min_size=1),
    new=st.sets(st.integers(0, 20), min_size=1),
    other=st.sets(st.integers(0, 20)),
)
def test_a_merge_is_an_upsert_by_stamp_and_counts_what_it_did(old: set[int], new: set[int], other: set[int]) -> None:
    """The oracle is a dictionary."""
    whole = perp("BTCUSDT", rows=21)
    said = whole
    for row in other:
        said = revised(said, row)
    with made_store() as store:
        store.write(whole.where(np.isin(np.arange(21), list(old))))
        report = merge(store, said.where(np.isin(np.arange(21), list(new))))
        found = store.read(whole.key)
        expected = {row: (said if row in new else whole).column("open")[row] for row in old | new}
        places = np.searchsorted(whole.stamp, found.stamp)
        assert dict(zip(places, found.column("open"), strict=True)) == expected
        assert (report.added, report.same, len(report.revised)) == (
            len(new - old),
            len((new & old) - other),
            len(new & old & other),
        )
        assert (report.rows, report.content_sha256) == (len(old | new), found.content_hash())


# -- revisions -----------------------------------------------------------------------------------


def test_a_revised_row_is_current_and_its_old_number_is_kept_and_told(tmp_path: Path) -> None:
    store, one = Store(tmp_path, now=lambda: AT), perp("BTCUSDT", rows=30)
    merge(store, one)
    changed = revised(one, 28)
    report = merge(store, rows(changed, 25, 30), overlap="3h")
    assert (report.added, report.same) == (0, 4)
    assert report.revised == (one.frame["stamp"][28],)
    assert report.late == ()
    same(store.read(one.key), changed)
    same(store.read(one.key, content_sha256=one.content_hash()), one)
    (noticed,) = store.manifest(one.key).revisions
    assert (noticed.stamp, noticed.column, noticed.noticed_at) == (one.frame["stamp"][28], "open", AT)
    assert (noticed.before, noticed.after) == (one.column("open")[28], changed.column("open")[28])
    assert store.entries()[0].revised == 1


def test_a_revision_further_back_than_the_overlap_is_late(tmp_path: Path) -> None:
    store, one = Store(tmp_path), perp("BTCUSDT", rows=30)
    merge(store, one)
    report = merge(store, revised(revised(one, 3), 29), overlap="2h")
    assert report.revised == (one.frame["stamp"][3], one.frame["stamp"][29])
    assert report.late == (one.frame["stamp"][3],)


def test_a_number_that_goes_missing_or_a_later_time_of_knowledge_is_a_revision(tmp_path: Path) -> None:
    store, one = Store(tmp_path), perp("BTCUSDT")
    merge(store, one)
    lost = one.frame.assign(volume=[np.nan, *one.frame["volume"][1:]])
    merge(store, replace(one, frame=lost))
    merge(store, replace(one, frame=lost.assign(known_at=one.frame["known_at"] + pd.Timedelta("1min"))))
    noticed = Store(tmp_path).manifest(one.key).revisions
    assert [each.column for each in noticed] == ["volume", *["known_at"] * 6]
    assert np.isnan(noticed[0].after)
    assert noticed[1].after - noticed[1].before == pd.Timedelta("1min").value
    json.loads((tmp_path / series_path(one.key) / "manifest.json").read_text(), parse_constant=pytest.fail)


def test_the_manifest_keeps_the_last_revisions_and_counts_all(tmp_path: Path) -> None:
    store, one = Store(tmp_path), perp("BTCUSDT", rows=400)
    for by in (0.0, 0.01, 0.02):
        merge(store, replace(one, frame=one.frame.assign(open=one.frame["open"] + by)))
    manifest = store.manifest(one.key)
    assert (manifest.revised, len(manifest.revisions)) == (800, 500)
    assert manifest.revisions[-1].stamp == one.frame["stamp"].iloc[-1]


# -- what is kept on disk ------------------------------------------------------------------------


def test_a_series_that_only_grows_keeps_one_file_a_period(tmp_path: Path) -> None:
    store, one = Store(tmp_path), perp("BTCUSDT", rows=40)
    for end in range(10, 41):
        merge(store, rows(one, max(0, end - 12), end))
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    assert len(store.vintages(one.key)) == 31
    for end in range(10, 41):
        part = rows(one, 0, end)
        same(store.read(one.key, content_sha256=part.content_hash()), part)


def test_a_row_that_comes_back_into_a_dropped_month_is_not_in_the_state_before_the_drop(tmp_path: Path) -> None:
    """The chunk of the first month grows after a shorter write: an older, longer state must not see the row."""
    store, whole = Store(tmp_path), spread(rows=12)
    holed = whole.where(np.arange(12) != 4)
    store.write(holed)
    store.write(rows(whole, 0, 4))
    merge(store, rows(whole, 4, 5))
    same(store.read(whole.key, content_sha256=holed.content_hash()), holed)
    same(store.read(whole.key), rows(whole, 0, 5))


def test_many_vintages_move_out_of_the_manifest_and_stay_readable(tmp_path: Path) -> None:
    store, one = Store(tmp_path), perp("BTCUSDT", rows=72)
    for end in range(1, 73):
        merge(store, rows(one, end - 1, end))
    manifest = store.manifest(one.key)
    assert len(manifest.vintages) < len(store.vintages(one.key)) == 72
    assert [each.number for each in store.vintages(one.key)] == list(range(1, 73))
    same(store.read(one.key, content_sha256=rows(one, 0, 3).content_hash()), rows(one, 0, 3))


def test_what_was_written_before_is_readable_after_an_import_of_something_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (1, 2, 1):
        store.write(funding(seed=seed))
    assert [one.number for one in store.vintages(funding().key)] == [1, 2, 3]
    same(store.read(funding().key, content_sha256=funding(seed=2).content_hash()), funding(seed=2))
    same(store.read(funding().key), funding(seed=1))
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


def test_facts_lag_and_source_of_an_old_state_come_back_with_it(tmp_path: Path) -> None:
    store, one = Store(tmp_path), series(PERP, "open_interest", "1h")
    other = replace(one, instrument=replace(PERP, oi_unit="usd"), lag=pd.Timedelta("5min"), source="elsewhere")
    store.write(one)
    store.write(other)
    found = store.read(one.key, content_sha256=one.content_hash())
    assert (found.instrument, found.lag, found.source) == (PERP, one.lag, "test")
    assert (store.read(one.key).instrument, store.read(one.key).lag) == (other.instrument, other.lag)


# -- provenance and refusals ---------------------------------------------------------------------


def test_the_manifest_says_where_each_stretch_came_from(tmp_path: Path) -> None:
    store, one = Store(tmp_path), perp("BTCUSDT", rows=20)
    first = replace(PROVENANCE, params={"interval": "1h"}, raw_sha256=("aa", "bb"), tool="ccxt 4", upstream='"etag"')
    store.merge(rows(one, 0, 12), provenance=first)
    store.merge(rows(one, 10, 20), provenance=replace(PROVENANCE, source="archive"))
    manifest = store.manifest(one.key)
    fetches = [each.fetch for each in manifest.vintages if each.fetch]
    assert [manifest.provenance(each).source for each in fetches] == ["test", "archive"]
    assert manifest.provenance(fetches[0]) == first
    assert [each.rows for each in fetches] == [12, 10]
    assert fetches[1].first == "2024-01-01T10:00:00Z"


def test_the_larger_lag_of_two_sources_holds(tmp_path: Path) -> None:
    store, one = Store(tmp_path), series(PERP, "open_interest", "1h")
    for lag in ("0s", "5min", "1min"):
        merge(store, replace(one, lag=pd.Timedelta(lag)))
    merge(store, series(PERP, "open_interest", "1h", rows=9, lag="1min"))
    assert store.read(one.key).lag == pd.Timedelta("5min")
    assert [each.rows for each in store.vintages(one.key)] == [6, 6, 9]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthetic": True}, "simulated and real"),
        ({"instrument": replace(PERP, quote="USD")}, "two sets of facts"),
        ({"instrument": SPOT}, "expected the same venue and symbol"),
    ],
)
def test_rows_that_do_not_belong_are_refused_and_change_nothing(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    merge(Store(tmp_path), funding())
    before = contents(tmp_path)
    with pytest.raises(BadRecords, match=message):
        merge(Store(tmp_path), replace(funding(rows=9), **change))
    assert contents(tmp_path) == before


def test_a_new_series_of_an_instrument_with_other_facts_is_refused(tmp_path: Path) -> None:
    merge(Store(tmp_path), funding())
    with pytest.raises(BadRecords, match="two sets of facts"):
        merge(Store(tmp_path), series(replace(PERP, quote="USD")))


def test_what_another_writer_did_in_between_is_merged_into_as_well(tmp_path: Path) -> None:
    """A store that merges keeps the rows at hand; it looks whether they are still today's."""
    one = perp("BTCUSDT", rows=30)
    mine, other = Store(tmp_path), Store(tmp_path)
    merge(mine, rows(one, 0, 10))
    merge(mine, rows(one, 8, 12))
    merge(other, rows(one, 20, 30))
    other.write(revised(rows(one, 0, 25), 3))
    report = merge(mine, rows(one, 5, 30))
    assert (report.added, report.same) == (5, 20)
    same(mine.read(one.key), revised(one, 3))


def test_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecords, match="without rows"):
        merge(Store(tmp_path), funding(rows=0))


def test_a_state_that_never_was_is_missing_data(tmp_path: Path) -> None:
    merge(Store(tmp_path), funding())
    with pytest.raises(MissingData, match=r"never had the content 0123456789ab; it had 1 states"):
        Store(tmp_path).read(funding().key, content_sha256="0123456789abcdef")
