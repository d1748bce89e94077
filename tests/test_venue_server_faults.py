"""What goes wrong on purpose at the loopback venues, and that nothing stays behind."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from venue_server import BROKEN, FATAL, KINDS, REFUSED, ROWS, STORM, Faults, VenueServer
from venue_server.faults import VENUE_FAULTS
from venue_server.tables import FAMILIES
from venue_server.truth import ms

START = ms("2024-06-01")
H = 3_600_000
ASK = f"/api/v3/klines?symbol=BTCUSDT&interval=1h&startTime={START}&limit=10"


@pytest.fixture
def healthy() -> Iterator[VenueServer]:
    with VenueServer() as venues:
        yield venues
        assert not venues.errors


class Answer:
    """What a plain client saw: a status, headers and a body, or the error it met instead."""

    def __init__(self, venues: VenueServer, target: str = f"/binance{ASK}", timeout: float = 5.0) -> None:
        self.status, self.raw, self.error = 0, b"", None
        link = http.client.HTTPConnection("127.0.0.1", venues.port, timeout=timeout)
        try:
            link.request("GET", target)
            answer = link.getresponse()
            self.status, self.headers = answer.status, answer.headers
            self.raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        finally:
            link.close()

    @property
    def told(self) -> Any:
        return json.loads(self.raw)


def met(kind: str, target: str = f"/binance{ASK}", **more: Any) -> Answer:
    prefix = target.split("/")[1]
    with VenueServer(faults=Faults(rate=0.0, script={prefix: (kind,)}, **more)) as venues:
        found = Answer(venues, target, timeout=2.0)
        assert venues.log[0].fault == kind
        after = Answer(venues, target)
        assert after.status == 200
        assert not venues.errors
    return found


def test_the_groups_are_all_kinds() -> None:
    assert set(KINDS) == {*REFUSED, *BROKEN, *ROWS, *FATAL, "revised"}
    assert not set(STORM) & set(FATAL)
    with pytest.raises(ValueError, match="no such fault: 404"):
        Faults(kinds=("404",))


@pytest.mark.parametrize(
    ("kind", "status"),
    [("429", 429), ("418", 418), ("403", 403), ("403_ban", 403), ("403_country", 403), ("451", 451), ("500", 500),
     ("502", 502), ("503", 503)],
)  # fmt: skip
def test_a_refusal_has_its_status(kind: str, status: int) -> None:
    found = met(kind, retry_after=7)
    assert found.status == status
    if kind in ("429", "418", "503"):
        assert found.headers["Retry-After"] == "7"


def test_a_ban_a_country_and_a_plain_refusal_differ_in_their_bodies() -> None:
    assert b"access too frequent" in met("403_ban").raw
    assert b"CloudFront" in met("403_country").raw
    assert b"restricted location" in met("451").raw
    assert met("403").told == {"message": "Forbidden"}


@pytest.mark.parametrize("prefix", sorted(VENUE_FAULTS))
def test_each_venue_has_its_own_error_body(prefix: str) -> None:
    status, body = VENUE_FAULTS[prefix]
    assert prefix in FAMILIES
    with VenueServer(faults=Faults(rate=1.0, kinds=("venue",))) as venues:
        found = Answer(venues, f"/{prefix}/anything")
    assert found.status == status
    assert found.raw.decode() == (body if isinstance(body, str) else json.dumps(body))


def test_a_truncated_body_is_no_json_and_says_an_honest_length() -> None:
    found = met("truncated")
    assert (found.status, int(found.headers["Content-Length"])) == (200, len(found.raw))
    with pytest.raises(json.JSONDecodeError):
        found.told  # noqa: B018


def test_a_short_body_breaks_its_promise_of_length() -> None:
    found = met("short")
    assert isinstance(found.error, http.client.IncompleteRead)


def test_html_an_empty_body_and_null_come_with_status_200() -> None:
    assert met("html").raw.startswith(b"<!DOCTYPE html>")
    assert met("html").headers["Content-Type"] == "text/html"
    assert met("empty").raw == b""
    assert met("null").told is None
    assert {met(kind).status for kind in ("html", "empty", "null")} == {200}


def test_a_reset_is_a_reset() -> None:
    assert type(met("reset").error) is ConnectionResetError


def test_a_timeout_keeps_the_client_waiting() -> None:
    with VenueServer(faults=Faults(rate=0.0, script={"binance": ("timeout",)}, slow=30.0)) as venues:
        found = Answer(venues, timeout=0.2)
        assert isinstance(found.error, TimeoutError)
        began = time.monotonic()
    assert time.monotonic() - began < 5.0  # closing does not wait for the slow answer


def test_a_slow_answer_ends_without_one() -> None:
    assert isinstance(met("timeout", slow=0.1).error, http.client.RemoteDisconnected)


def test_wrong_pages_hold_the_right_rows() -> None:
    right = [START + step * H for step in range(10)]
    assert met("empty_page").told == []
    shuffled = [row[0] for row in met("unsorted").told]
    assert shuffled != right
    assert sorted(shuffled) == right
    twice = [row[0] for row in met("duplicates").told]
    assert len(twice) == 10
    assert len(set(twice)) < 10
    assert set(twice) < set(right)


def test_duplicates_never_push_out_what_the_page_is_meant_to_keep() -> None:
    newest = (
        f"/bybit/v5/market/kline?category=linear&symbol=BTCUSDT&interval=60&start={START}&end={START + 9 * H}&limit=5"
    )
    stamps = [int(row[0]) for row in met("duplicates", newest).told["result"]["list"]]
    assert len(stamps) == 5
    assert set(stamps) == {START + step * H for step in (9, 8, 7, 6)}
    latest = met("duplicates", "/binance/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=5").told
    assert latest[-1][0] == ms("2024-06-15T12:00")


def test_a_preliminary_close_is_revised_by_the_next_request() -> None:
    with VenueServer(faults=Faults(rate=0.0, script={"binance": ("revised",)})) as venues:
        target = "/binance/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=5"
        before, after = (Answer(venues, target).told for _ in range(2))
        close = venues.truth("binance", "BTC/USDT", "ohlcv", since="2024-06-15T11:00")["close"].iloc[0]
    assert [row[0] for row in before] == [row[0] for row in after]
    assert before[:3] == after[:3]
    assert float(before[3][4]) != float(after[3][4]) == close


# -- the schedule --------------------------------------------------------------------------------


def test_the_schedule_depends_on_seed_venue_and_number_alone() -> None:
    ours, same, other = Faults(seed=1), Faults(seed=1), Faults(seed=2)
    drawn = [[one.kind("okx", number) for number in range(2000)] for one in (ours, same, other)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert drawn[0] != [ours.kind("gate", number) for number in range(2000)]
    assert 0.15 < sum(kind is not None for kind in drawn[0]) / 2000 < 0.25
    assert set(drawn[0]) == {None, *STORM}


def test_a_wrong_page_never_comes_twice_in_a_row() -> None:
    faults = Faults(rate=1.0, kinds=ROWS)
    kinds = [faults.kind("okx", number) for number in range(200)]
    assert all(left is None or right is None for left, right in itertools.pairwise(kinds))


def test_venues_do_not_disturb_each_other() -> None:
    def statuses(others: int) -> list[int | None]:
        with VenueServer(faults=Faults(rate=0.5, kinds=REFUSED)) as venues:
            for _ in range(others):
                Answer(venues, "/okx/api/v5/public/time")
            for _ in range(20):
                Answer(venues)
            return [hit.status for hit in venues.log if hit.venue == "binance"]

    assert statuses(0) == statuses(7)


def test_a_spared_endpoint_stays_healthy() -> None:
    with VenueServer(faults=Faults(rate=1.0, kinds=("500",), spare=("/time",))) as venues:
        assert Answer(venues, "/binance/api/v3/time").status == 200
        assert Answer(venues).status == 500


# -- a patient client gets everything through -----------------------------------------------------


def told_rows(venues: VenueServer, target: str, dig: Callable[[Any], list[Any]]) -> list[Any]:
    """Ask until the answer is whole, and once more where it is empty."""
    empty = 0
    for _ in range(60):
        found = Answer(venues, target, timeout=2.0)
        try:
            rows = dig(found.told) if found.status == 200 and not found.error else None
        except (json.JSONDecodeError, KeyError, TypeError):
            rows = None
        empty += rows == []
        if rows or empty == 2:
            return rows or []
    raise AssertionError(f"no answer from {target}")


def download(
    venues: VenueServer, ask: str, dig: Callable[[Any], list[Any]], span: tuple[int, int], limit: int
) -> dict[int, float]:
    """Halve the window whenever a page comes back full."""
    windows, found = [span], dict[int, float]()
    while windows:
        low, high = windows.pop()
        beyond = int("after=" in ask)  # OKX leaves both bounds out
        rows = told_rows(venues, ask.format(low=low - beyond, high=high + beyond, limit=limit), dig)
        if len(rows) >= limit:
            middle = (low + high) // 2
            windows += [(low, middle), (middle + 1, high)]
        found |= {int(row[0]): float(row[1]) for row in rows}
    return dict(sorted(found.items()))


ROADS: dict[str, tuple[str, Callable[[Any], list[Any]], int, tuple[str, str]]] = {
    "binance": (
        "/binance/fapi/v1/klines?symbol=BTCUSDT&interval=1h&startTime={low}&endTime={high}&limit={limit}",
        lambda told: told[:] if isinstance(told, list) else told["rows"],
        100,
        ("binance", "BTCUSDT"),
    ),
    "bybit": (
        "/bybit/v5/market/kline?symbol=BTCUSDT&interval=60&start={low}&end={high}&limit={limit}",
        lambda told: told["result"]["list"],
        100,
        ("bybit", "BTCUSDT"),
    ),
    "okx": (
        "/okx/api/v5/market/history-candles?instId=BTC-USDT-SWAP&bar=1H&before={low}&after={high}&limit={limit}",
        lambda told: told["data"],
        100,
        ("okx", "BTC-USDT-SWAP"),
    ),
}


@pytest.mark.parametrize("seed", [1, 2])
def test_through_a_storm_every_row_arrives_and_is_true(seed: int) -> None:
    first, last = ms("2024-05-20"), ms("2024-06-10") - 1
    with VenueServer(faults=Faults(rate=0.2, seed=seed, slow=0.05)) as venues:

        def fetch(prefix: str) -> dict[int, float]:
            ask, dig, limit, _ = ROADS[prefix]
            return download(venues, ask, dig, (first, last), limit)

        with ThreadPoolExecutor(3) as pool:
            got = dict(zip(ROADS, pool.map(fetch, ROADS), strict=True))
        for prefix, (_, _, _, name) in ROADS.items():
            want = venues.truth(*name, "ohlcv", since="2024-05-20", until="2024-06-10")
            assert got[prefix] == dict(zip([ms(one) for one in want["stamp"]], want["open"], strict=True))
        assert any(hit.fault for hit in venues.log)
        assert not venues.errors


# -- clock, log, pace, life ------------------------------------------------------------------------


def test_the_clock_stands_where_it_was_set_and_a_skew_moves_one_venue() -> None:
    with VenueServer(now="2024-03-01T10:00:05Z", skew={"okx": 90}) as venues:
        told = [Answer(venues, "/binance/api/v3/time").told["serverTime"], Answer(venues, "/okx/api/v5/public/time")]
        assert told[0] == ms("2024-03-01T10:00:05Z")
        assert int(told[1].told["data"][0]["ts"]) == told[0] + 90_000
        assert parsedate_to_datetime(told[1].headers["Date"]) == pd.Timestamp("2024-03-01T10:01:35Z")
        venues.set_now("2024-03-01T12:00")
        assert Answer(venues, "/binance/api/v3/time").told["serverTime"] == ms("2024-03-01T12:00")


def test_the_open_bar_moves_and_then_closes_at_the_truth(healthy: VenueServer) -> None:
    target = "/binance/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=2"
    first, second = (Answer(healthy, target).told for _ in range(2))
    assert first[0] == second[0]
    assert first[1][0] == ms("2024-06-15T12:00")
    assert first[1][1] == second[1][1]
    assert first[1][4] != second[1][4]
    assert first[1][5] != second[1][5]
    healthy.set_now("2024-06-15T13:00:01")
    closed = Answer(healthy, target).told[0]
    want = healthy.truth("binance", "BTC/USDT", "ohlcv", since="2024-06-15T12:00")
    assert [float(part) for part in closed[1:6]] == want.iloc[0, 2:].tolist()


def test_every_request_is_in_the_log(healthy: VenueServer) -> None:
    Answer(healthy)
    Answer(healthy, "/okx/www.okx.com/api/v5/public/time")
    Answer(healthy, "/okx/api/v5/nothing")
    hits = healthy.log
    assert [(hit.venue, hit.path, hit.status, hit.rows) for hit in hits] == [
        ("binance", "/api/v3/klines", 200, 10),
        ("okx", "/api/v5/public/time", 200, 0),
        ("okx", "/api/v5/nothing", 404, 0),
    ]
    assert hits[0].params["symbol"] == "BTCUSDT"
    assert (healthy.count(), healthy.count("okx"), healthy.count("okx", "time")) == (3, 2, 1)
    assert healthy.strays == (hits[2],)
    healthy.forget()
    assert healthy.count() == 0


def test_a_paced_venue_answers_429_to_haste_and_serves_the_patient() -> None:
    with VenueServer(pace={"binance": 0.15}) as venues:
        hasty = [Answer(venues).status for _ in range(8)]
        assert hasty[:3] == [200, 200, 200]
        assert 429 in hasty
        time.sleep(0.5)
        found = Answer(venues)
        assert found.status == 200
        for _ in range(6):
            found = Answer(venues)
        assert found.status == 429
        time.sleep(float(found.headers["Retry-After"]))
        assert Answer(venues).status == 200


def test_nothing_is_left_after_close() -> None:
    before = set(threading.enumerate())
    with VenueServer() as venues:
        links = [http.client.HTTPConnection("127.0.0.1", venues.port, timeout=5) for _ in range(4)]
        for link in links:
            link.request("GET", f"/binance{ASK}")
            assert link.getresponse().read()
        port = venues.port
    assert set(threading.enumerate()) == before
    for link in links:
        link.close()
    with socket.socket() as probe:
        probe.settimeout(1.0)
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_venues_also_run_in_a_process_of_their_own() -> None:
    here = str(Path(__file__).parent)
    started = subprocess.Popen(
        [sys.executable, "-m", "venue_server", "--now", "2024-03-01"], cwd=here, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with started:
        assert started.stdout is not None
        root = started.stdout.readline().strip()
        with urllib.request.urlopen(root + "/binance/api/v3/time", timeout=10) as answer:
            assert json.loads(answer.read()) == {"serverTime": ms("2024-03-01")}
        started.communicate(timeout=10)
    assert started.returncode == 0


def test_a_server_that_never_ran_can_be_closed() -> None:
    VenueServer().close()
