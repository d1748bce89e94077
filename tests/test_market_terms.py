"""The market section: fees by word and volume, leverage and maintenance by the venue's own facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from btcflow.config.load import load_config
from btcflow.config.market_terms import MarketTerms
from btcflow.data.venue_facts import facts
from btcflow.engine.market import Market
from btcflow.errors import ConfigError

VENUE = """\
venue: lendex
name: Lendex
instruments:
  - symbol: BTCUSDT
    role: perp
    quote: USDT
    margin: linear
    fees: [[0, 0.0003, 0.0007], [1000000, 0.0002, 0.0005], [9000000, 0, 0.0002]]   # made up
    max_leverage: 20                # made up
    maintenance: [[0, 0.01], [50000, 0.02]]   # made up
    funding:
      - {spacing_hours: 8, rate_hours: 8, formula: unknown}   # made up
  - symbol: BTCUSD
    role: spot
    quote: USD
"""
CONFIG = """\
name: terms
data: {source: store}
timeframe: 1D
strategy: funding_fade
market:
  instrument: lendex:BTCUSDT
"""


@pytest.fixture(autouse=True)
def _venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "venues"
    folder.mkdir()
    (folder / "lendex.yaml").write_text(VENUE, encoding="utf-8")
    monkeypatch.setenv("BTCFLOW_VENUES", str(folder))


def terms(**given: object) -> MarketTerms:
    return MarketTerms(**{"instrument": "lendex:BTCUSDT", **given})


def test_a_config_without_market_terms_is_the_market_s_own_defaults() -> None:
    assert MarketTerms().market == Market()


@pytest.mark.parametrize(
    ("volume", "maker", "taker"),
    [
        (0, 3e-4, 7e-4),
        (999_999, 3e-4, 7e-4),
        (1e6, 2e-4, 5e-4),
        (8.9e6, 2e-4, 5e-4),
        (9e6, 0.0, 2e-4),
        (1e12, 0.0, 2e-4),
    ],
)
def test_a_fee_in_words_is_the_venue_s_tier_at_that_volume(volume: float, maker: float, taker: float) -> None:
    assert terms(fee="maker", fee_volume=volume).market.fee == maker
    assert terms(fee="taker", fee_volume=volume).market.fee == taker


def test_a_fee_in_numbers_is_taken_as_it_is_whatever_the_volume() -> None:
    assert terms(fee=0.0011, fee_volume=1e9).market.fee == 0.0011


@pytest.mark.parametrize("instrument", ["lendex:BTCUSD", "nobody:BTCUSDT", None])
def test_a_fee_in_words_needs_a_venue_that_states_its_fees(instrument: str | None) -> None:
    with pytest.raises(ConfigError, match=r"no venue file states the fees of .*expected a fraction such as 0.0005"):
        _ = terms(instrument=instrument, fee="taker").market


def test_maintenance_left_out_is_the_venue_s_own_and_half_a_percent_where_it_states_none() -> None:
    assert terms().market.maintenance == ((0.0, 0.01), (50_000.0, 0.02))
    assert terms(instrument="lendex:BTCUSD").market.maintenance == ((0.0, 0.005),)
    assert terms(instrument="nobody:BTCUSDT").market.maintenance == ((0.0, 0.005),)
    assert terms(maintenance=((0, 0.03),)).market.maintenance == ((0.0, 0.03),)


def test_the_shipped_facts_give_their_tiers() -> None:
    known = facts("binance:BTCUSDT")
    assert known is not None
    assert MarketTerms(instrument="binance:BTCUSDT").market.maintenance == known.listing.maintenance


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("leverage: 21", "expected at most 20, which is what lendex grants on lendex:BTCUSDT"),
        ("leverage: 101", "is 101.0; expected a multiple of equity, from 1 to 100"),
        ("maintenance: []", r"is \(\); expected one tier or more, the first tier from 0"),
        ("maintenance: [[0, 0.02], [100, 0.01]]", "expected tiers rising in notional and in rate"),
        ("maintenance: [[5, 0.02]]", "the first tier from 0"),
        ("maintenance: [[0, 1.5]]", "a rate between 0 and 1"),
        ("capacity: [1000, -5]", "expected a number above 0, got -5"),
        ("twap: 1.5", "expected a whole number of clock bars, 1 or more"),
        ("impact: -1", "0 or more"),
        ("min_notional: .inf", "0 or more"),
        ("fee: free", "'taker' or 'maker'"),
        ("fee_volume: -1", "expected"),
    ],
)
def test_what_no_venue_grants_is_refused_at_its_line(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "terms.yaml"
    path.write_text(CONFIG + f"  {line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as refused:
        load_config(path)
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(f"{path}:7:")


def test_the_venue_s_largest_leverage_is_granted() -> None:
    assert terms(leverage=20).market.leverage == 20


def test_every_problem_of_the_section_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "terms.yaml"
    path.write_text(CONFIG + "  leverage: 0.5\n  twap: 0\n  capital: 0\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert len(refused.value.problems) == 3
