"""Venue facts: the files are whole and sourced, and their rules give the published numbers."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from importing import FUNDING, spec
from pydantic import ValidationError

from btcflow.data.funding_rules import (
    FundingEra,
    beyond_cap,
    clamp_rate,
    deadband_rate,
    implied_rate,
    premium_rate,
)
from btcflow.data.import_spec import SeriesSpec, load_spec
from btcflow.data.imports import build_records
from btcflow.data.venue_facts import VENUES, InstrumentFacts, Listing, VenueFacts, VenueRegistry, facts
from btcflow.errors import ConfigError, MissingData, UnknownName
from btcflow.instrument import Instrument
from btcflow.terminal.listings import listing

CATALOG = Path(__file__).resolve().parents[1] / "configs" / "import" / "catalog.yaml"
SHIPPED = VENUES.file_of("binance").parent
EVERY = [one for _, venue in VENUES.items() for one in venue.facts]
PERPS = [one for one in EVERY if one.listing.role == "perp"]
HOUR = 3_600_000_000_000
STRUCTURE = {"venue", "name", "instruments", "funding", "symbol", "role"}
"""Keys that are names and order, not facts; every other key stands on a line with its source."""

VENUE = """venue: mine
name: Mine
instruments:
  - symbol: BTCUSDT
    role: perp
    quote: USDT
    margin: linear
    oi_unit: contract
    contract_size: 0.001
    contract_ccy: BTC
    funding:
      - {rate_hours: 8, spacing_hours: 8, formula: clamp, anchor: 0.0001, dead_zone: 0.0005}
"""


def known(instrument_id: str) -> InstrumentFacts:
    found = facts(instrument_id)
    assert found is not None, instrument_id
    return found


def ns(*times: str) -> np.ndarray:
    return np.array([pd.Timestamp(time, tz="UTC").value for time in times], dtype=np.int64)


def era(**changes: Any) -> FundingEra:
    plain = {"rate_hours": 8, "spacing_hours": 8, "formula": "clamp", "anchor": 0.0001, "dead_zone": 0.0005}
    return FundingEra.model_validate({key: value for key, value in (plain | changes).items() if value is not None})


def perp(**changes: Any) -> Listing:
    plain = {"symbol": "X", "role": "perp", "quote": "USD", "margin": "inverse", "funding": [era().model_dump()]}
    plain["funding"] = [{"rate_hours": 1, "spacing_hours": 1, "formula": "unknown"}]
    return Listing.model_validate(plain | changes)


# -- the files ---------------------------------------------------------------------------------------


def test_the_venues_of_the_design_are_there() -> None:
    wanted = (
        "binance bitfinex bitget bitmex bitstamp bybit coinbase deribit dydx ftx gate htx hyperliquid kraken kucoin"
    )
    assert {*wanted.split(), "mexc", "okx", "coinglass", "cryptoquant"} == set(VENUES.names())
    assert len(EVERY) == len({one.id for one in EVERY}) >= 29
    assert {venue.venue for _, venue in VENUES.items()} == set(VENUES)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_fact_stands_beside_its_source(path: Path) -> None:
    facts_told, bare = 0, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fact, _, source = line.partition("#")
        key = re.match(r"\s*(?:- )?(\w+):", fact)
        if key is None or key[1] in STRUCTURE:
            assert re.fullmatch(r"\s*(?:- )?\w+:.*|\s*", fact), f"{path.name}:{number}: no key: one fact, one line"
            assert not re.search(r"[{}\[\]]", fact), f"{path.name}:{number}: one fact, one line"
            continue
        facts_told += 1
        if len(source.split()) < 2 and "[unverified]" not in source:
            bare.append(f"{path.name}:{number}: {fact.strip()}")
    assert bare == []
    assert facts_told >= 2


def test_dates_and_eras_are_in_order_and_leave_no_hole() -> None:
    for one in PERPS:
        eras, what = one.listing.funding, one.listing
        assert eras[0].start == what.valid_from
        for before, after in itertools.pairwise(eras):
            assert after.start is not None
            assert before.start is None or before.start < after.start
            at = pd.Timestamp(after.start)
            assert one.funding_era(at) is before, "the settlement at the change pays for the hours before it"
            assert one.funding_era(at + pd.Timedelta(1, unit="ns")) is after
        assert what.valid_to is None or eras[-1].start is None or eras[-1].start < what.valid_to


def test_hours_are_those_venues_use() -> None:
    hours = {(era.rate_hours, era.spacing_hours) for one in PERPS for era in one.listing.funding}
    assert {hour for pair in hours for hour in pair} <= {1, 2, 4, 8, 24}
    assert hours == {(8, 8), (1, 1), (24, 24), (1, 4)}


def test_an_era_of_four_hours_still_quotes_a_rate_per_hour() -> None:
    for symbol in ("PF_XBTUSD", "PI_XBTUSD"):
        old, new = known(f"kraken:{symbol}").listing.funding
        assert (old.rate_hours, old.spacing_hours, old.known_after.seconds) == (1, 4, 4 * 3600)
        assert (new.rate_hours, new.spacing_hours, new.known_after.seconds) == (1, 1, 3600)


def test_closed_venues_stay_known_with_their_end() -> None:
    ended = {one.id for one in EVERY if one.listing.valid_to is not None}
    assert ended == {"bitmex:XBTUSD", "bitmex:XBTUSDT", "ftx:BTC-PERP", "dydx:BTC-USD"}


# -- what the facts say at a time --------------------------------------------------------------------


def test_an_instrument_is_listed_from_its_first_instant_and_not_at_its_last() -> None:
    times = ns("2019-07-19 23:59", "2019-07-20", "2022-11-10 23:59", "2022-11-11")
    assert known("ftx:BTC-PERP").listed(times).tolist() == [False, True, True, False]
    closing = ns("2026-09-23 03:59", "2026-09-23 04:00")
    assert known("bitmex:XBTUSD").listed(closing).tolist() == [True, False]
    assert known("gate:BTC_USDT").listed(ns("2013-01-01")).tolist() == [True], "an unknown date bounds nothing"


def test_the_anchor_of_okx_begins_in_april_2025() -> None:
    stamps = ns("2019-11-12", "2019-11-12 08:00", "2025-04-24", "2025-04-24 08:00", "2026-01-01")
    np.testing.assert_array_equal(known("okx:BTC-USDT-SWAP").anchor(stamps), [np.nan, 0.0, 0.0, 1e-4, 1e-4])


def test_anchors_by_venue() -> None:
    now = ns("2024-06-01")
    anchored = {one.id for one in PERPS if one.anchor(now)[0] == 1e-4}
    plain = {one.id for one in PERPS if one.anchor(now)[0] == 0.0}
    unknown = {one.id for one in PERPS if np.isnan(one.anchor(now)[0])}
    assert plain == {
        "okx:BTC-USDT-SWAP",
        "okx:BTC-USD-SWAP",
        "kraken:PF_XBTUSD",
        "kraken:PI_XBTUSD",
        "deribit:BTC-PERPETUAL",
    }
    assert unknown == {"ftx:BTC-PERP", "kucoin:XBTUSDTM", "bitfinex:tBTCF0:USTF0", "htx:BTC-USD"}
    assert anchored == {one.id for one in PERPS} - plain - unknown


def test_spot_has_no_funding_and_no_anchor() -> None:
    spot = known("coinbase:BTC/USD")
    assert np.isnan(spot.anchor(ns("2020-01-01", "2024-01-01"))).all()
    assert spot.funding_era(pd.Timestamp("2020-01-01", tz="UTC")) is None
    assert not spot.beyond_cap(ns("2020-01-01"), np.array([0.5])).any()


def test_a_rate_above_the_cap_of_its_day_is_seen() -> None:
    stamps = ns("2017-06-01 04:00", "2020-04-20 04:00", "2020-06-01 04:00", "2020-06-01 12:00", "2015-01-01")
    rates = np.array([0.004, 0.004, 0.0046, np.nan, 0.9])
    assert known("bitmex:XBTUSD").beyond_cap(stamps, rates).tolist() == [True, False, True, False, False]
    change = ns("2022-09-29 12:00", "2022-09-29 13:00")
    assert known("kraken:PF_XBTUSD").beyond_cap(change, np.full(2, 0.002)).tolist() == [True, False]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="localize to UTC"):
        known("binance:BTCUSDT").funding_era(pd.Timestamp("2020-01-01"))


def test_the_instrument_of_the_facts_reads_open_interest_right() -> None:
    assert known("gate:BTC_USDT").instrument == Instrument(
        venue="gate",
        symbol="BTC_USDT",
        role="perp",
        quote="USDT",
        margin="linear",
        oi_unit="contract",
        contract_size=0.0001,
        contract_ccy="BTC",
    )
    inverse = known("bitmex:XBTUSD").instrument
    assert (inverse.oi_unit, inverse.contract_size) == ("usd", 1.0)
    assert all(one.instrument.id == one.id for one in EVERY)


# -- the rules ---------------------------------------------------------------------------------------


def test_inside_the_dead_zone_the_rate_is_exactly_the_interest() -> None:
    premium = np.r_[-0.0004, np.linspace(-0.0004, 0.0006, 101), 0.0006]
    np.testing.assert_array_equal(implied_rate(premium, era()), np.full(103, 0.0001))
    assert clamp_rate(np.array([-0.000401]), anchor=0.0001, dead_zone=0.0005)[0] < 0.0001
    assert clamp_rate(np.array([0.000601]), anchor=0.0001, dead_zone=0.0005)[0] > 0.0001


def test_the_clamp_is_the_published_formula() -> None:
    """Oracle: ``P + min(max(I - P, -d), d)``, written out."""
    premium = np.random.default_rng(3).normal(0.0, 0.001, 500)
    slow = [p + min(max(0.0001 - p, -0.0005), 0.0005) for p in premium]
    np.testing.assert_allclose(implied_rate(premium, era()), slow, rtol=0, atol=1e-18)
    np.testing.assert_allclose(implied_rate(np.array([-0.002, 0.002]), era()), [-0.0015, 0.0015], rtol=1e-12)


@pytest.mark.parametrize(
    ("rules", "premium", "rate"),
    [
        (
            era(formula="premium", anchor=0, dead_zone=0, cap=0.00375),
            [-0.01, 0.0001, 0.01],
            [-0.00375, 0.0001, 0.00375],
        ),
        (era(formula="premium", anchor=0, dead_zone=0, premium_hours=24), [0.0024], [0.0008]),
        (era(formula="premium", anchor=0.0001, dead_zone=0, rate_hours=1, spacing_hours=1), [-0.0003], [-0.0002]),
        (
            era(formula="deadband_excess", anchor=0, dead_zone=0.00025),
            [-0.001, 0.0002, 0.001],
            [-0.00075, 0.0, 0.00075],
        ),
        (era(rate_hours=1, spacing_hours=1, cap=0.0001), [0.01], [0.0008]),
        (era(formula="unknown", anchor=None, dead_zone=0), [0.0], [np.nan]),
        (era(cap=0.003), [np.nan, 0.02], [np.nan, 0.003]),
    ],
    ids=["okx before 2025", "ftx", "dydx", "deribit", "cap per hour", "unknown", "nan stays nan"],
)
def test_every_formula_gives_the_number_worked_by_hand(
    rules: FundingEra, premium: list[float], rate: list[float]
) -> None:
    np.testing.assert_allclose(implied_rate(np.array(premium), rules), rate, rtol=1e-12, atol=1e-18)


def test_no_rule_lowers_the_rate_when_the_premium_rises() -> None:
    premium = np.linspace(-0.05, 0.05, 2001)
    for rules in (rules for one in PERPS for rules in one.listing.funding if rules.formula != "unknown"):
        rate = implied_rate(premium, rules)
        assert (np.diff(rate) >= -1e-15).all()
        assert (np.abs(rate) <= rules.cap_8h).all()
        assert not beyond_cap(rate * rules.rate_hours / 8, rules).any()


def test_the_plain_formulas_are_functions_of_their_own() -> None:
    assert premium_rate(np.array([0.0008])).tolist() == [0.0008]
    assert deadband_rate(np.array([0.00025, -0.00025]), dead_zone=0.00025).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"anchor": None}, "expected an anchor"),
        ({"formula": "unknown", "dead_zone": 0}, "none otherwise"),
        ({"dead_zone": 0}, "expected a dead_zone"),
        ({"formula": "premium"}, "none otherwise"),
        ({"formula": "deadband_excess"}, "anchor: 0 for deadband_excess"),
        ({"premium_hours": 24}, "premium_hours is for formula: premium"),
        ({"rate_hours": 3}, "1, 2, 4, 8 or 24"),
        ({"from": "2022-09-29 12:00"}, "is not an instant"),
        ({"from": "2022-02-30"}, "is not an instant"),
        ({"known_after": "soon"}, "is not a duration"),
        ({"cap": 1.5}, "less than 1"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        era(**changes)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"margin": "none"}, "margin: linear or inverse"),
        ({"funding": []}, "expected funding rules for a perp"),
        ({"role": "spot", "margin": "none"}, "none for spot"),
        ({"oi_unit": "contract"}, "expected contract_size for oi_unit: contract"),
        ({"contract_size": 100}, "contract_size and contract_ccy together"),
        ({"valid_from": "2020-01-01"}, "has to begin at valid_from"),
        ({"prices": ["trades"]}, "'ohlcv'"),
    ],
)
def test_a_listing_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        perp(**changes)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("starts", "dates", "said"),
    [
        (["2020-01-01", "2020-01-01"], {"valid_from": "2020-01-01"}, "not in the order"),
        (["2020-01-01", None], {"valid_from": "2020-01-01"}, "each but the first needs one"),
        (["2020-01-01"], {"valid_from": "2020-01-01", "valid_to": "2019-01-01"}, "is not before valid_to"),
        ([None, "2021-01-01"], {"valid_to": "2020-01-01"}, "begins after valid_to"),
    ],
)
def test_dates_out_of_order_are_refused(starts: list[str | None], dates: dict[str, str], said: str) -> None:
    plain = {"rate_hours": 8, "spacing_hours": 8, "formula": "unknown"}
    with pytest.raises(ValidationError) as caught:
        perp(funding=[plain | ({"from": start} if start else {}) for start in starts], **dates)
    assert said in str(caught.value)


# -- the registry ------------------------------------------------------------------------------------


def test_one_file_in_a_folder_of_ones_own_adds_a_venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(VENUE, encoding="utf-8")
    registry = VenueRegistry([SHIPPED])
    assert "mine" not in registry
    registry.add_folder(tmp_path)
    assert ("mine" in registry, len(registry)) == (True, len(VENUES) + 1)
    assert registry.get("mine").facts[0].instrument.contract_size == 0.001
    assert facts("mine:BTCUSDT") is None
    monkeypatch.setenv("BTCFLOW_VENUES", str(tmp_path))
    assert known("mine:BTCUSDT").listing.quote == "USDT"
    assert spec(FUNDING | {"venue": "mine", "symbol": "BTCUSDT", "quote": "USDT", "margin": "linear"})
    assert "contracts of 0.001 BTC" in listing("venues", tmp_path)


def test_the_registry_says_what_is_wrong_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="did you mean 'binance'"):
        VENUES.get("binanse")
    assert facts("binanse:BTCUSDT") is None
    assert facts("binance:DOGE") is None
    registry = VenueRegistry([tmp_path])
    (tmp_path / "mine.yaml").write_text(VENUE.replace("contract_ccy: BTC", "contract_ccy: ETH"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml:10:"):
        registry.get("mine")
    (tmp_path / "mine.yaml").write_text(VENUE.replace("venue: mine", "venue: ours"), encoding="utf-8")
    with pytest.raises(ConfigError, match="expected 'mine', the name of the file"):
        registry.get("mine")
    (tmp_path / "binance.yaml").write_text(VENUE, encoding="utf-8")
    with pytest.raises(ConfigError, match="two files define the venue 'binance'"):
        VenueRegistry([SHIPPED, tmp_path]).names()
    with pytest.raises(MissingData, match="no such folder"):
        registry.add_folder(tmp_path / "nowhere")
    monkeypatch.setenv("BTCFLOW_VENUES", str(tmp_path / "nowhere"))
    with pytest.raises(MissingData, match="BTCFLOW_VENUES"):
        VENUES.names()


def test_a_venue_lists_each_symbol_once() -> None:
    twice = {"venue": "v", "name": "V", "instruments": [{"symbol": "B", "role": "spot", "quote": "USD"}] * 2}
    with pytest.raises(ValidationError, match="lists B more than once"):
        VenueFacts.model_validate(twice)


def test_every_instrument_is_in_the_list(tmp_path: Path) -> None:
    lines = listing("venues", tmp_path).splitlines()
    assert lines[0].split()[:4] == ["venue", "instrument", "role", "quote"]
    assert [tuple(line.split()[:2]) for line in lines[1:]] == [(one.venue, one.listing.symbol) for one in EVERY]
    text = "\n".join(lines)
    for part in ("2022-11-11", "24h, 8h", "4h, 1h; rate per 1h", "contracts of 100 USD"):
        assert part in text
    assert not {"nan", "none", "None", "NaT"} & set(text.split())


# -- the import spec ---------------------------------------------------------------------------------


def test_the_catalog_agrees_with_the_venue_files() -> None:
    entries = load_spec(CATALOG).files
    assert {one.venue for one in entries} <= set(VENUES)
    for one in entries:
        told = known(one.instrument.id)
        for name in ("role", "quote", "margin"):
            assert getattr(one.instrument, name) == getattr(told.instrument, name), one.file
        if one.oi_unit == "contract":
            assert one.instrument == told.instrument, one.file
        for rules in told.listing.funding if one.kind == "funding" else ():
            assert one.rate_hours in {None, "spacing", rules.rate_hours}, one.file


BARE = {"file": "x.csv", "kind": "open_interest", "timeframe": "1h", "stamp": "instant"}


def test_facts_that_a_venue_file_states_need_not_be_given() -> None:
    entry = SeriesSpec.model_validate(BARE | {"venue": "gate", "symbol": "BTC_USDT"})
    assert entry.instrument == known("gate:BTC_USDT").instrument
    vendor = SeriesSpec.model_validate(BARE | {"venue": "coinglass", "symbol": "BTC", "aggregate": True})
    assert (vendor.instrument.role, vendor.instrument.oi_unit) == ("aggregate", "usd")
    elsewhere = BARE | {"venue": "elsewhere", "symbol": "BTC_USDT"}
    for given, lacking in (({}, "expected role"), ({"role": "perp"}, "expected quote")):
        with pytest.raises(ValidationError, match=lacking):
            SeriesSpec.model_validate(elsewhere | given)


def test_what_the_column_counts_is_the_files_own() -> None:
    entry = SeriesSpec.model_validate(BARE | {"venue": "binance", "symbol": "BTCUSD_PERP", "oi_unit": "usd"})
    assert (entry.instrument.oi_unit, entry.instrument.contract_size) == ("usd", 1.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quote": "USD"}, "quote: USD contradicts gate.yaml, which says USDT of gate:BTC_USDT"),
        ({"contract_size": 0.001}, "contract_size: 0.001 contradicts"),
        ({"contract_ccy": "USD"}, "contract_ccy: USD contradicts"),
        ({"side_factor": 0.5}, "side_factor: 0.5 contradicts"),
        ({"margin": "inverse"}, "margin: inverse contradicts"),
        ({"role": "spot", "margin": "none"}, "role: spot contradicts"),
    ],
)
def test_a_fact_that_contradicts_the_venue_file_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SeriesSpec.model_validate(BARE | {"venue": "gate", "symbol": "BTC_USDT"} | changes)
    assert said in str(caught.value)


# -- real settlements --------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("BTCFLOW_REAL_DATA"), reason="BTCFLOW_REAL_DATA names no folder of real files")
@pytest.mark.parametrize(
    "entry", [one for one in load_spec(CATALOG).files if one.kind == "funding"], ids=lambda one: str(one.venue)
)
def test_settled_rates_follow_the_rules_of_their_day(entry: SeriesSpec) -> None:
    records, _ = build_records(Path(os.environ["BTCFLOW_REAL_DATA"]), entry)
    told = known(records.instrument.id)
    minutes = (records.stamp + HOUR // 120) // (HOUR // 60) * (HOUR // 60)
    rates, anchors = records.column("rate"), told.anchor(minutes)
    assert not told.beyond_cap(minutes, rates).any()
    for place, rules in enumerate(told.listing.funding):
        here = told._eras(minutes) == place
        if not here.any():
            continue
        assert (records.column("rate_hours")[here] == rules.rate_hours).all()
        assert (records.column("spacing_hours")[here] == rules.spacing_hours).all()
        if rules.formula == "clamp":
            pinned = np.abs(rates[here] * 8 / rules.rate_hours - anchors[here]) < 1e-9
            assert pinned.mean() > 0.1, f"{told.id} from {rules.start}: the rates do not rest at the anchor"
    assert told.listed(records.stamp).mean() > 0.999
