"""What a config may ask for: every wish is checked before the first request, and told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from btcflow.config.load import load_config
from btcflow.data.venue_facts import VENUES, facts
from btcflow.errors import ConfigError, NotOffered
from btcflow.fetch.asking import filled
from btcflow.fetch.plan import Plan, plan_of
from btcflow.fetch.venue_api import VENUE_APIS, VenueApi
from btcflow.fetch.wish import DatasetWish
from btcflow.registry import shipped
from btcflow.yaml_model import parse_model


def wish(**changes: Any) -> DatasetWish:
    return DatasetWish(**{"venue": "binance", "symbol": "BTCUSDT", "kinds": ("ohlcv",), **changes})


def planned(*wishes: DatasetWish, start: str | None = "2024-01-01", end: str | None = None, **more: Any) -> Plan:
    return plan_of(wishes, start=start, end=end, **more)


# -- good wishes -------------------------------------------------------------------------------------


def test_series_that_one_request_tells_are_one_job() -> None:
    plan = planned(wish(kinds=("ohlcv", "taker_volume", "funding", "mark"), timeframes=("1h", "1D")))
    assert [one.name for one in plan.jobs] == [
        "binance:BTCUSDT ohlcv+taker_volume 1h",
        "binance:BTCUSDT ohlcv+taker_volume 1D",
        "binance:BTCUSDT funding 8h",
        "binance:BTCUSDT mark 1h",
        "binance:BTCUSDT mark 1D",
    ]


def test_the_name_ccxt_uses_is_taken_too() -> None:
    assert planned(wish(symbol="BTC/USDT:USDT")).jobs[0].instrument.id == "binance:BTCUSDT"


def test_a_section_that_begins_before_a_listing_begins_there_and_says_so() -> None:
    plan = planned(wish(), wish(venue="kraken", symbol="PF_XBTUSD"), start="2020-01-01")
    assert [f"{one.start:%Y-%m-%d}" for one in plan.jobs] == ["2020-01-01", "2022-03-23"]
    assert plan.notes == ("kraken:PF_XBTUSD begins at its listing, 2022-03-23",)


def test_now_and_no_end_are_the_same_and_an_own_end_wins() -> None:
    assert planned(wish(), end="now").jobs[0].end is None
    assert planned(wish(end="2024-02-01"), end="now").jobs[0].end == pd.Timestamp("2024-02-01", tz="UTC")


def test_the_shipped_live_config_is_a_plan_and_an_experiment() -> None:
    data = load_config("real_live").data
    plan = plan_of(data.datasets, start=data.start, end=data.end)  # type: ignore[union-attr]
    assert set(plan.by_venue) == {"binance", "bybit", "okx", "kraken"}


# -- bad wishes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"venue": "binanc"}, "data.datasets.0.venue: no venue is called 'binanc'; did you mean 'binance'?"),
        (
            {"venue": "bitmex", "symbol": "XBTUSD"},
            "bitmex is closed or has no live connection here; import its archive",
        ),
        ({"symbol": "BTCUSDD"}, "data.datasets.0.symbol: no binance instrument is called 'BTCUSDD'; did you mean"),
        ({"kinds": ("ohlc",)}, "data.datasets.0.kinds: no kind of series is called 'ohlc'; did you mean 'ohlcv'?"),
        ({"timeframes": ("3h",)}, "data.datasets.0.timeframes.0: binance:BTCUSDT has no 3h ohlcv; it has 1m, 5m"),
        ({"timeframes": ("1x",)}, "data.datasets.0.timeframes.0: '1x' is not a timeframe"),
        ({"start": "2019-01-01"}, "2019-01-01 is before the listing of binance:BTCUSDT; expected 2019-09-10 or later"),
        ({"end": "2023-01-01"}, "data.datasets.0.end: 2023-01-01 is not after the start, 2024-01-01"),
    ],
)
def test_a_wish_that_cannot_be_is_one_clear_error(bad: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        planned(wish(**bad))
    assert len(error.value.problems) == 1
    assert told in error.value.problems[0]


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        planned(wish(venue="binanc"), wish(kinds=("ohlc", "funding")), wish(timeframes=("3h",)))
    assert len(error.value.problems) == 3


def test_a_kind_a_venue_does_not_offer_names_those_who_do() -> None:
    with pytest.raises(
        NotOffered, match="deribit:BTC-PERPETUAL tells no history of open_interest; those who do: "
    ) as it:
        planned(wish(venue="deribit", symbol="BTC-PERPETUAL", kinds=("ohlcv", "open_interest")))
    assert "bybit:BTCUSDT" in str(it.value)
    assert "data record" in str(it.value)


def test_a_section_that_begins_before_everything_was_listed_is_refused() -> None:
    with pytest.raises(ConfigError, match="2015-01-01 is before everything was listed; the first: 2019-09-10"):
        planned(wish(), start="2015-01-01")


def test_no_wish_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.datasets: nothing to fetch"):
        planned()


def test_recording_where_nothing_is_forgotten_is_refused() -> None:
    with pytest.raises(NotOffered, match="nothing here is kept for days only"):
        planned(wish(venue="bybit", kinds=("open_interest",)), every="5m")


def test_a_problem_points_into_the_config(tmp_path: Path) -> None:
    text = (shipped("configs") / "real_live.yaml").read_text(encoding="utf-8").replace("PF_XBTUSD, k", "PF_XBTUS, k")
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    experiment = load_config(tmp_path / "x.yaml")
    data = experiment.data
    with pytest.raises(ConfigError, match=r"x\.yaml:\d+:\d+: data\.datasets\.5\.symbol: .*did you mean 'PF_XBTUSD'"):
        plan_of(data.datasets, start=data.start, tell=experiment.problem)  # type: ignore[union-attr]


# -- the venue files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", VENUE_APIS.names())
def test_a_venue_file_agrees_with_the_facts_of_its_instruments(venue: str) -> None:
    for one in VENUE_APIS.get(venue).instruments:
        known = facts(f"{venue}:{one.symbol}")
        assert known is not None, one.symbol
        prices = set(one.series) - {"funding", "open_interest"}
        assert prices <= {*known.listing.prices, "taker_volume"}, one.symbol
        for series in (one.series.get("open_interest"), one.record.get("open_interest")):
            assert series is None or series.unit == known.listing.oi_unit, one.symbol
        if "funding" in one.series and one.series["funding"].rate_hours != "spacing":
            assert one.series["funding"].rate_hours == known.listing.funding[-1].rate_hours


@pytest.mark.parametrize("venue", VENUE_APIS.names())
def test_every_fact_of_a_venue_file_has_its_source_on_the_line(venue: str) -> None:
    path = Path(str(shipped("configs"))).parent / "btcflow" / "fetch" / "venues" / f"{venue}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    facts_of = ("  call:", "    cap:", "    keeps", "    longest:")
    bare = [line for line in lines if line.startswith(facts_of[1:]) and "#" not in line]
    heads = [line for line in lines if line.startswith("  ") and line[2:3].isalpha() and line.endswith(":")]
    assert heads == [], "an endpoint without a source"
    assert [one for one in bare if "cap: 1000" not in one and "keeps_rows" not in one] == []


def test_every_call_of_every_venue_file_exists_in_ccxt() -> None:
    import ccxt

    for venue in VENUE_APIS.names():
        api = VENUE_APIS.get(venue)
        for endpoint in api.endpoints.values():
            made = getattr(ccxt, endpoint.client or api.client)
            assert endpoint.call.startswith("GET ") or hasattr(made, endpoint.call), endpoint.call


def test_closed_venues_have_facts_and_no_live_connection() -> None:
    assert {"bitmex", "ftx"} <= set(VENUES.names()) - set(VENUE_APIS.names())


def test_the_bounds_of_a_window_are_filled_in_by_their_names() -> None:
    job = planned(wish(venue="okx", symbol="BTC-USDT-SWAP")).jobs[0]
    start, end = pd.Timestamp("2024-01-01", tz="UTC"), pd.Timestamp("2024-01-02", tz="UTC")
    params = filled(job, start.value, end.value)
    assert params["before"] == start.value // 10**6 - 1, "exclusive: one millisecond before the first row"
    assert params["after"] == end.value // 10**6, "exclusive: the end itself"
    assert (params["limit"], params["bar"], params["instId"]) == (300, "1H", "BTC-USDT-SWAP")


BROKEN = """
venue: x
client: x
endpoints:
  bars: {call: publicGetBars, params: {id: "{id}", n: "{cap}"}, time: {at: "0"}, intervals: {1h: 1h}}
instruments:
  - symbol: A
    series:
      ohlcv: {endpoint: barz, columns: {open: "1", high: "2", low: "3", close: "4", volume: "5"}}
      mark: {endpoint: bars, columns: {open: "1"}}
      open_interest: {endpoint: bars, columns: {value: "1"}}
      liquidations: {endpoint: bars, columns: {value: "1"}}
"""


def test_a_broken_venue_file_is_told_in_words() -> None:
    with pytest.raises(ConfigError) as error:
        parse_model(BROKEN, VenueApi, name="x.yaml")
    told = str(error.value)
    assert "A: ohlcv: no endpoint 'barz'; known: bars" in told
    assert "A: mark: columns open; expected open, high, low, close" in told
    assert "nothing fills id of bars; give it under `with`" in told
    assert "A: open_interest: expected `unit` for open interest" in told
    assert "A: liquidations: no such kind of series" in told
