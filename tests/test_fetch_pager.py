"""The pagers' law: whatever a page holds, keeps, loses or doubles, every row comes, once, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcflow.errors import VenueUnavailable
from btcflow.fetch.pager import MS, Stretch, at_once, earlier, numbered, walk_back, windows
from btcflow.fetch.rows import Rows
from btcflow.wire.outcome import TooWide

HOUR = 3_600_000 * MS
ORIGIN = 472_000 * HOUR


@dataclass
class Venue:
    """Rows at known times behind an endpoint with a page rule; ``faults`` spoil one request each.

    ``empty`` gives no rows; ``double`` doubles rows and cuts the page at its cap.
    """

    truth: np.ndarray
    cap: int
    keeps: str = "oldest"
    longest: int | None = None
    faults: list[str | None] = field(default_factory=list)
    requests: int = 0
    _spoiled: bool = False

    def ask(self, start: int, end: int) -> Rows:
        self.requests += 1
        if self.longest is not None and end - start > self.longest:
            raise TooWide("too wide")
        return self._page(self.truth[(self.truth >= start) & (self.truth < end)])

    def _page(self, found: np.ndarray) -> Rows:
        fault = self.faults.pop() if self.faults else None
        if fault is not None and self._spoiled:
            fault = None
        self._spoiled = fault is not None
        if fault == "empty":
            found = found[:0]
        if fault == "double":
            found = np.sort(np.concatenate([found, found[::3]]))
        found = found[: self.cap] if self.keeps == "oldest" else found[-self.cap :]
        if fault == "mixed":
            found = found[::-1]
        return Rows.of(found.astype(np.int64), {"x": found.astype(float)})


def walked(venue: Venue, over: Stretch) -> np.ndarray:
    parts = [rows for _, rows in windows(venue.ask, over)]
    return np.concatenate([one.time for one in parts]) if parts else np.zeros(0, dtype=np.int64)


@st.composite
def truths(draw: st.DrawFn) -> np.ndarray:
    """Hourly rows with holes, a late beginning, an early end, and milliseconds of jitter."""
    count = draw(st.integers(0, 120))
    first = draw(st.integers(0, 60))
    jitter = draw(st.integers(0, 3))
    rows = np.arange(first, first + count)
    for _ in range(draw(st.integers(0, 2))):
        hole = draw(st.integers(0, 120))
        rows = rows[(rows < first + hole) | (rows >= first + hole + draw(st.integers(1, 40)))]
    late = np.array([(row * 7919) % (jitter + 1) for row in rows], dtype=np.int64)
    return np.asarray(ORIGIN + rows * HOUR + late * MS, dtype=np.int64)


FAULTS = st.lists(st.sampled_from([None, None, None, "empty", "double", "mixed"]), max_size=60)


@given(
    truth=truths(),
    real_cap=st.integers(3, 40),
    told_cap=st.integers(3, 40),
    keeps=st.sampled_from(["oldest", "newest"]),
    step=st.sampled_from([1, 4, 8]),
    faults=FAULTS,
)
def test_every_row_comes_once_and_in_order_whatever_a_page_holds(
    truth: np.ndarray, real_cap: int, told_cap: int, keeps: str, step: int, faults: list[str | None]
) -> None:
    """The cap, the spacing and the end that is kept may all be other than the table says; a page has room for three."""
    venue = Venue(truth, real_cap, keeps, faults=faults)
    told = max(told_cap, real_cap) if step == 1 else min(told_cap, real_cap)
    over = Stretch(start=ORIGIN, end=ORIGIN + 200 * HOUR, step=step * HOUR, cap=told)
    assert walked(venue, over).tolist() == truth[truth < over.end].tolist()


@given(truth=truths(), cap=st.integers(3, 40), hours=st.integers(2, 30), faults=FAULTS)
def test_a_venue_that_wants_shorter_windows_gets_them(
    truth: np.ndarray, cap: int, hours: int, faults: list[str | None]
) -> None:
    venue = Venue(truth, cap, longest=hours * HOUR, faults=faults)
    over = Stretch(start=ORIGIN, end=ORIGIN + 200 * HOUR, step=HOUR, cap=cap)
    assert walked(venue, over).tolist() == truth[truth < over.end].tolist()


@given(st.integers(50, 2000), st.integers(20, 300), st.sampled_from(["oldest", "newest"]))
def test_a_whole_history_takes_no_more_requests_than_a_fifth_above_its_pages(count: int, cap: int, keeps: str) -> None:
    venue = Venue(ORIGIN + np.arange(count) * HOUR, cap, keeps)
    over = Stretch(start=ORIGIN, end=ORIGIN + count * HOUR, step=HOUR, cap=cap)
    assert len(walked(venue, over)) == count
    assert venue.requests <= np.ceil(1.2 * count / cap)


def test_a_row_at_the_very_end_bound_is_not_in_the_stretch_and_the_one_before_is() -> None:
    venue = Venue(ORIGIN + np.arange(10) * HOUR, 4)
    over = Stretch(start=ORIGIN + HOUR, end=ORIGIN + 5 * HOUR, step=HOUR, cap=4)
    assert ((walked(venue, over) - ORIGIN) // HOUR).tolist() == [1, 2, 3, 4]


def test_a_maintenance_as_long_as_a_window_is_a_hole_and_no_end() -> None:
    rows = np.r_[0:10, 40:50]
    venue = Venue(ORIGIN + rows * HOUR, 6)
    over = Stretch(start=ORIGIN, end=ORIGIN + 50 * HOUR, step=HOUR, cap=6)
    assert ((walked(venue, over) - ORIGIN) // HOUR).tolist() == rows.tolist()


def test_a_venue_that_forgets_a_row_it_gave_is_an_error_and_no_end_of_data() -> None:
    asked: list[int] = []

    def ask(start: int, end: int) -> Rows:
        asked.append(start)
        found = np.array([ORIGIN] if len(asked) == 1 else [], dtype=np.int64)
        return Rows.of(found, {"x": found.astype(float)})

    with pytest.raises(VenueUnavailable, match=r"gave a row at 2023-.* and then 8 times nothing"):
        list(windows(ask, Stretch(start=ORIGIN, end=ORIGIN + 20 * HOUR, step=HOUR, cap=10)))


@given(truths(), st.integers(3, 40), FAULTS)
def test_walking_back_finds_every_row(truth: np.ndarray, cap: int, faults: list[str | None]) -> None:
    venue = Venue(truth, cap, "newest", faults=faults)
    start, end = ORIGIN + 5 * HOUR, ORIGIN + 150 * HOUR
    found = walk_back(lambda first, last: venue.ask(0, last), start, end)
    assert found.time.tolist() == truth[(truth >= start) & (truth < end)].tolist()


@given(truths(), st.integers(3, 40))
def test_numbered_pages_give_every_row(truth: np.ndarray, cap: int) -> None:
    def page(number: int) -> Rows:
        stop = len(truth) - (number - 1) * cap
        found = truth[max(0, stop - cap) : max(0, stop)]
        return Rows.of(found, {"x": found.astype(float)})

    start, end = ORIGIN + 5 * HOUR, ORIGIN + 150 * HOUR
    assert numbered(page, start, end).time.tolist() == truth[(truth >= start) & (truth < end)].tolist()


@given(truths(), st.integers(3, 40), st.integers(0, 100), FAULTS)
def test_what_lies_before_is_found_from_the_first_row_that_is_there(
    truth: np.ndarray, cap: int, place: int, faults: list[str | None]
) -> None:
    """A hole as long as a window counts as the beginning: so the truth here has none."""
    truth = np.sort(ORIGIN + np.arange(len(truth)) * HOUR)
    if not len(truth):
        return
    first = int(truth[min(place, len(truth) - 1)])
    venue = Venue(truth, cap, "newest", faults=faults)
    found = earlier(venue.ask, Stretch(start=ORIGIN - 50 * HOUR, end=first, step=HOUR, cap=cap))
    assert found.time.tolist() == truth[truth < first].tolist()


def test_an_answer_with_everything_is_asked_again_where_an_end_stays_open() -> None:
    truth = ORIGIN + np.arange(30) * HOUR
    over = Stretch(start=ORIGIN, end=ORIGIN + 30 * HOUR, step=HOUR, cap=30)

    def told(*faults: str | None) -> tuple[int, int]:
        venue = Venue(truth, 30, "newest", faults=list(faults))
        return len(at_once(lambda: venue.ask(over.start, over.end), over)), venue.requests

    assert told() == (30, 1)
    assert told(None, "double") == (30, 2)
    assert told(None, "empty") == (30, 2)


def test_of_rows_with_one_time_the_later_is_kept_and_a_difference_is_counted() -> None:
    rows = Rows.of(np.array([3, 1, 3, 1]), {"x": np.array([1.0, 2.0, 5.0, 2.0])})
    assert rows.time.tolist() == [1, 3]
    assert rows.values["x"].tolist() == [2.0, 5.0]
    assert rows.conflicts == 1
