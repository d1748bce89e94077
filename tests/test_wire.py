"""What an answer means, and how long we go on asking: a table, a fake clock, and one real socket."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcflow.errors import VenueUnavailable
from btcflow.wire.outcome import Action, Answer, Banned, GeoBlocked, Outcome, Refused, Signs, TooWide, judge, judge_file
from btcflow.wire.patience import Patience, SharedPause
from btcflow.wire.static import StaticFiles

BYBIT = Signs(at=("retCode",), fine=("0",), busy=("10006",), too_wide=("window too long",))
CLOUDFRONT = b"<html>The Amazon CloudFront distribution is configured to block access from your country.</html>"
BAN = b'{"retCode": 10006, "retMsg": "access too frequent, try again in 10 minutes"}'


def said(body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (200, b"[]", Action.OK),
        (200, b'{"retCode": 0, "result": {}}', Action.OK),
        (200, b"", Action.RETRY),
        (200, b"null", Action.RETRY),
        (200, b"3", Action.RETRY),
        (200, b'"ok"', Action.RETRY),
        (200, b"[[1700000000000, 1", Action.RETRY),
        (200, b"<!DOCTYPE html><html>Maintenance</html>", Action.RETRY),
        (200, b'{"retCode": 10006, "retMsg": "too many"}', Action.RETRY),
        (200, b'{"retCode": 10001, "retMsg": "symbol invalid"}', Action.REFUSED),
        (200, b'{"retCode": 10001, "retMsg": "window too long"}', Action.SPLIT),
        (400, b'{"retCode": 10001, "retMsg": "window too long"}', Action.SPLIT),
        (400, b'{"code": -1130, "msg": "parameter startTime is invalid"}', Action.REFUSED),
        (404, b"", Action.REFUSED),
        (302, b"", Action.REFUSED),
        (403, b'{"message": "Forbidden"}', Action.REFUSED),
        (403, CLOUDFRONT, Action.GEO),
        (403, BAN, Action.BAN),
        (418, b"", Action.BAN),
        (451, b"Service unavailable from a restricted location", Action.GEO),
        (408, b"", Action.RETRY),
        (413, b"", Action.SPLIT),
        (429, b'{"unheard": "of"}', Action.RETRY),
        (500, b'{"code": -1000}', Action.RETRY),
        (502, b"<html></html>", Action.RETRY),
        (503, b'{"code": -1008}', Action.RETRY),
        (520, b"", Action.RETRY),
        (0, b"ConnectionReset", Action.RETRY),
    ],
)
def test_status_and_body_together_decide(status: int, body: bytes, action: Action) -> None:
    outcome = judge(Answer(status=status, body=body), BYBIT)
    assert outcome.action is action
    assert bool(outcome.reason) == (action is not Action.OK)


@given(st.binary(max_size=60), st.sampled_from([200, 0, 302, 400, 403, 404, 418, 429, 451, 500, 503]))
def test_no_answer_is_ok_that_is_not_a_whole_list_or_object_with_status_200(body: bytes, status: int) -> None:
    outcome = judge(Answer(status=status, body=body))
    if outcome.action is Action.OK:
        assert status == 200
        assert isinstance(json.loads(body), list | dict)


@given(st.integers(1, 400))
def test_a_body_cut_anywhere_is_never_an_empty_page(cut: int) -> None:
    body = said([[1_700_000_000_000 + step, "1.5", "2.5"] for step in range(20)])[:cut]
    assert judge(Answer(status=200, body=body)).action is Action.RETRY


def test_a_code_may_be_a_list_of_errors_that_is_empty_where_all_is_well() -> None:
    kraken = Signs(at=("error",), busy=("EService:",))
    assert judge(Answer(status=200, body=b'{"error": [], "result": {}}'), kraken).action is Action.OK
    assert judge(Answer(status=200, body=b'{"error": ["EService:Busy"]}'), kraken).action is Action.RETRY
    assert judge(Answer(status=200, body=b'{"error": ["EQuery:Unknown"]}'), kraken).action is Action.REFUSED


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Wed, 05 Jun 2024 10:00:30 GMT", "date": "Wed, 05 Jun 2024 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 05 Jun 2024 09:00:00 GMT", "date": "Wed, 05 Jun 2024 10:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_both_forms_of_retry_after_are_read(headers: dict[str, str], pause: float | None) -> None:
    assert judge(Answer(status=429, headers=headers)).pause == pause


def test_a_ban_says_when_it_ends_or_takes_ten_minutes() -> None:
    date = {"date": "Wed, 05 Jun 2024 10:00:00 GMT"}
    until = said({"msg": "IP banned until 1717581900000"})
    assert judge(Answer(status=418, headers=date, body=until)).pause == pytest.approx(300.0)
    assert judge(Answer(status=418)).pause == 600.0


def test_a_file_that_is_not_there_is_an_answer() -> None:
    assert judge_file(Answer(status=404)).action is Action.OK
    assert judge_file(Answer(status=200, body=b"\x00zip")).action is Action.OK
    assert judge_file(Answer(status=500)).action is Action.RETRY


# -- patience ----------------------------------------------------------------------------------------


class Hours:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def patience(self, chance: float = 1.0, pause: SharedPause | None = None) -> Patience:
        return Patience(
            venue="bybit", clock=self.clock, sleep=self.sleep, chance=lambda: chance, pause=pause or SharedPause()
        )


def answers(*found: Answer) -> Iterator[Answer]:
    yield from found


GOOD = Answer(status=200, body=b"[1]")


@given(st.lists(st.sampled_from([429, 500, 502, 503, 0]), max_size=8), st.floats(0, 0.999))
def test_up_to_eight_failures_end_in_the_good_answer(failures: list[int], chance: float) -> None:
    time = Hours()
    came = answers(*(Answer(status=one) for one in failures), GOOD)
    answer, outcome = time.patience(chance).ask(lambda: next(came), judge)
    assert answer is GOOD
    assert outcome.document == [1]
    assert time.now <= sum(min(60.0, 0.5 * 2**attempt) for attempt in range(len(failures))) + 1e-9


def test_the_ninth_failure_is_the_end_and_names_the_last_reason() -> None:
    time, sent = Hours(), []

    def send() -> Answer:
        sent.append(1)
        return Answer(status=502, body=b"bad gateway")

    with pytest.raises(VenueUnavailable, match=r"bybit: no good answer in 9 tries.*502: bad gateway"):
        time.patience().ask(send, judge)
    assert len(sent) == 9
    assert time.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


def test_retry_after_is_honoured_where_it_is_longer_than_the_back_off() -> None:
    time = Hours()
    came = answers(Answer(status=429, headers={"retry-after": "45"}), Answer(status=503), GOOD)
    time.patience(chance=0.5).ask(lambda: next(came), judge)
    assert time.slept == [45.0, 0.5]


def test_a_pause_is_shared_by_all_who_ask_the_venue() -> None:
    time, pause = Hours(), SharedPause()
    first, second = time.patience(pause=pause), time.patience(pause=pause)
    pause.extend(30.0)
    second.ask(lambda: GOOD, judge)
    assert time.now == 30.0
    pause.extend(10.0)
    first.ask(lambda: GOOD, judge)
    assert time.now == 30.0, "an earlier end changes nothing"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=451), GeoBlocked),
        (Answer(status=403, body=CLOUDFRONT), GeoBlocked),
        (Answer(status=400, body=b'{"msg": "bad symbol"}'), Refused),
        (Answer(status=413), TooWide),
        (Answer(status=418, headers={"retry-after": "7200"}), Banned),
    ],
)
def test_what_another_try_cannot_help_is_told_at_once(answer: Answer, error: type[VenueUnavailable]) -> None:
    time, sent = Hours(), []

    def send() -> Answer:
        sent.append(1)
        return answer

    with pytest.raises(error, match="bybit: "):
        time.patience().ask(send, judge)
    assert (len(sent), time.slept) == (1, [])


def test_a_short_ban_is_waited_out() -> None:
    time = Hours()
    came = answers(Answer(status=418, headers={"retry-after": "120"}), GOOD)
    time.patience().ask(lambda: next(came), judge)
    assert time.slept == [120.0]


def test_a_geo_block_advises_the_archive() -> None:
    with pytest.raises(GeoBlocked, match="source: archive"):
        Hours().patience().ask(lambda: Answer(status=451), judge)


# -- plain files over a real socket ----------------------------------------------------------------


SCHEME = "https:" + "//"


class _Files(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = {1: (503, b""), 2: (200, b"cut"), 3: (200, b"whole")}.get(len(self.asked), (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (5 if body == b"cut" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        return


def test_a_file_is_asked_for_until_it_is_whole_and_404_is_an_answer() -> None:
    time = Hours()
    asked: list[str] = []
    handler = type("Handler", (_Files,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            base = f"http://127.0.0.1:{server.server_port}"
            with StaticFiles(time.patience(), base=base) as files:
                got = files.get(f"{SCHEME}data.example/a/b.zip?x=1", sha256=hashlib.sha256(b"whole").hexdigest())
                missing = files.get(f"{SCHEME}data.example/none")
        finally:
            server.shutdown()
            thread.join()
    assert (got.status, got.body, missing.status) == (200, b"whole", 404)
    assert asked == ["/data.example/a/b.zip?x=1"] * 3 + ["/data.example/none"]


def test_an_outcome_that_is_fine_says_nothing() -> None:
    assert Outcome(action=Action.OK) == judge_file(GOOD)
