"""However the publisher cuts, labels, orders and repeats its rows, the same market comes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from archive_server import serving
from hypothesis import given, settings
from hypothesis import strategies as st
from test_archives_binance import BARS, bars_at, day_key, delivered, hours, klines, month_key, vision

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-02-01", "2024-03-03")]


def written(stamps: np.ndarray, how: tuple[bool, bool, bool, int]) -> str:
    """The rows as a file: with or without a header, in two units, backward, with some rows said twice."""
    header, micro, backward, doubled = how
    lines = klines(stamps, unit=1_000 if micro else 1_000_000).splitlines()
    lines += lines[:doubled]
    if backward:
        lines.reverse()
    head = klines(stamps[:0], header=True).splitlines()[:1] if header else []
    return "\n".join(head + lines) + "\n"


HOW = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 5))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.lists(HOW, min_size=len(DAYS) + 1, max_size=len(DAYS) + 1),
    st.sets(st.sampled_from(DAYS), max_size=4),
    st.booleans(),
)
def test_form_never_changes_content(how: list[tuple[bool, bool, bool, int]], missing: set[str], monthly: bool) -> None:
    """A month as one file or as days, each file in its own form, some days lost: exactly the other days' bars."""
    with serving() as shelf:
        kept = [day for day in DAYS if day not in missing and (day >= "2024-03" or not monthly)]
        if monthly:
            shelf.put(month_key("2024-02"), written(hours("2024-02-01", "2024-03-01"), how[-1]))
        stretches = [hours("2024-02-01", "2024-03-01")] if monthly else []
        for day, form in zip(DAYS, how, strict=False):
            if day in kept:
                stretch = hours(day, str(pd.Timestamp(day) + pd.Timedelta(days=1)))
                shelf.put(day_key(day), written(stretch, form))
                stretches.append(stretch)
        found = delivered(vision(shelf), BARS)
    truth = np.concatenate(stretches)
    assert found.error is None
    assert found.stamps.tolist() == truth.tolist()
    assert found.column("close").tolist() == bars_at(truth)["close"].tolist()
    told = [note for note in found.notes if note.what in {"missing_file", "before_archive", "not_published"}]
    silent = {day for day in DAYS if day not in kept and not (monthly and day < "2024-03")}
    for day in silent:
        start = pd.Timestamp(day, tz="UTC")
        assert any(note.start <= start < note.end for note in told), f"{day} is lost and nobody says so"
