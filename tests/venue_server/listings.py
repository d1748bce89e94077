"""What each loopback venue lists: one line per instrument, with the units its numbers are served in.

The table is the tests' own. It repeats facts of ``btcflow/data/venues`` on purpose, so that a slip
there is seen; ``test_venue_server_truth.py`` holds both against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LISTINGS", "Era", "Listing", "listing"]

BARS = ("ohlcv", "mark", "index", "premium_index")


@dataclass(frozen=True)
class Era:
    """Funding from ``start`` on: a settlement every ``spacing`` hours, quoted per ``rate_hours``."""

    start: str
    spacing: int
    rate_hours: int


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One instrument.

    ``oi_unit`` is what btcflow counts its open interest in. ``jitter_ms`` is how late the venue
    stamps a settlement. ``interest`` is the size of its open interest in BTC.
    """

    venue: str
    symbol: str
    margin: str = "none"
    quote: str = "USD"
    kinds: tuple[str, ...] = ("ohlcv",)
    oi_unit: str = "none"
    contract: float = 1.0
    contract_ccy: str = "BTC"
    listed: str = "2019-01-01"
    eras: tuple[Era, ...] = ()
    jitter_ms: int = 0
    interest: float = 40_000.0

    @property
    def id(self) -> str:
        """``venue:symbol``."""
        return f"{self.venue}:{self.symbol}"


def _spot(venue: str, symbol: str, quote: str, listed: str) -> Listing:
    return Listing(venue=venue, symbol=symbol, quote=quote, listed=listed, kinds=("ohlcv", "taker_volume"))


def _eight(start: str) -> tuple[Era, ...]:
    return (Era(start, 8, 8),)


_ALL = (
    _spot("binance", "BTC/USDT", "USDT", "2017-08-17"),
    Listing(
        venue="binance",
        symbol="BTCUSDT",
        margin="linear",
        quote="USDT",
        listed="2019-09-10",
        oi_unit="btc",
        kinds=(*BARS, "taker_volume", "funding", "open_interest"),
        eras=_eight("2019-09-10"),
        jitter_ms=12,
        interest=90_000.0,
    ),
    Listing(
        venue="binance",
        symbol="BTCUSD_PERP",
        margin="inverse",
        listed="2020-08-10",
        oi_unit="contract",
        contract=100.0,
        contract_ccy="USD",
        kinds=(*BARS, "taker_volume", "funding", "open_interest"),
        eras=_eight("2020-08-10"),
        jitter_ms=12,
    ),
    _spot("bybit", "BTC/USDT", "USDT", "2021-07-15"),
    Listing(
        venue="bybit",
        symbol="BTCUSDT",
        margin="linear",
        quote="USDT",
        listed="2020-03-30",
        oi_unit="btc",
        kinds=(*BARS, "funding", "open_interest"),
        eras=_eight("2020-03-30"),
        interest=60_000.0,
    ),
    Listing(
        venue="bybit",
        symbol="BTCUSD",
        margin="inverse",
        listed="2018-11-14",
        oi_unit="usd",
        contract_ccy="USD",
        kinds=(*BARS, "funding", "open_interest"),
        eras=_eight("2018-11-14"),
        interest=12_000.0,
    ),
    _spot("okx", "BTC/USDT", "USDT", "2019-01-22"),
    Listing(
        venue="okx",
        symbol="BTC-USDT-SWAP",
        margin="linear",
        quote="USDT",
        listed="2019-11-12",
        oi_unit="btc",
        contract=0.01,
        kinds=("ohlcv", "mark", "index", "funding", "open_interest"),
        eras=_eight("2019-11-12"),
    ),
    Listing(
        venue="okx",
        symbol="BTC-USD-SWAP",
        margin="inverse",
        listed="2018-12-01",
        oi_unit="contract",
        contract=100.0,
        contract_ccy="USD",
        kinds=("ohlcv", "mark", "index", "funding", "open_interest"),
        eras=_eight("2018-12-01"),
        interest=9_000.0,
    ),
    _spot("kraken", "BTC/USD", "USD", "2013-10-06"),
    Listing(
        venue="kraken",
        symbol="PF_XBTUSD",
        margin="linear",
        listed="2022-03-23",
        oi_unit="btc",
        kinds=("ohlcv", "mark", "index", "funding", "open_interest"),
        eras=(Era("2022-03-23", 4, 1), Era("2022-09-29T12:00", 1, 1)),
        interest=2_000.0,
    ),
    Listing(
        venue="kraken",
        symbol="PI_XBTUSD",
        margin="inverse",
        listed="2018-08-31",
        oi_unit="usd",
        contract_ccy="USD",
        kinds=("ohlcv", "mark", "index", "funding", "open_interest"),
        eras=(Era("2018-08-31", 4, 1), Era("2022-09-29T12:00", 1, 1)),
        interest=800.0,
    ),
    Listing(
        venue="deribit",
        symbol="BTC-PERPETUAL",
        margin="inverse",
        listed="2018-08-14",
        oi_unit="usd",
        contract=10.0,
        contract_ccy="USD",
        kinds=("ohlcv", "funding", "open_interest"),
        eras=(Era("2018-08-14", 1, 1),),
        interest=8_000.0,
    ),
    _spot("coinbase", "BTC/USD", "USD", "2015-01-26"),
    _spot("bitstamp", "BTC/USD", "USD", "2013-01-01"),
    _spot("bitfinex", "BTC/USD", "USD", "2013-04-01"),
    Listing(
        venue="bitfinex",
        symbol="tBTCF0:USTF0",
        margin="linear",
        quote="USDT",
        oi_unit="btc",
        listed="2019-09-10",
        kinds=("ohlcv", "funding", "open_interest"),
        eras=_eight("2019-09-10"),
        interest=7_000.0,
    ),
    _spot("gate", "BTC/USDT", "USDT", "2018-01-01"),
    Listing(
        venue="gate",
        symbol="BTC_USDT",
        margin="linear",
        quote="USDT",
        oi_unit="contract",
        contract=0.0001,
        listed="2020-01-01",
        kinds=("ohlcv", "mark", "index", "funding", "open_interest"),
        eras=_eight("2020-01-01"),
        interest=10_000.0,
    ),
    Listing(
        venue="bitget",
        symbol="BTCUSDT",
        margin="linear",
        quote="USDT",
        oi_unit="btc",
        listed="2020-01-01",
        kinds=("ohlcv", "mark", "index", "funding", "open_interest"),
        eras=_eight("2020-01-01"),
        interest=30_000.0,
    ),
    Listing(
        venue="htx",
        symbol="BTC-USDT",
        margin="linear",
        quote="USDT",
        oi_unit="contract",
        contract=0.001,
        listed="2020-10-21",
        kinds=("ohlcv", "mark", "premium_index", "funding", "open_interest"),
        eras=_eight("2020-10-21"),
        interest=15_000.0,
    ),
    Listing(
        venue="htx",
        symbol="BTC-USD",
        margin="inverse",
        oi_unit="contract",
        contract=100.0,
        contract_ccy="USD",
        listed="2020-03-27",
        kinds=("ohlcv", "mark", "premium_index", "funding", "open_interest"),
        eras=_eight("2020-03-27"),
        interest=3_000.0,
    ),
    Listing(
        venue="hyperliquid",
        symbol="BTC",
        margin="linear",
        oi_unit="btc",
        listed="2023-05-12",
        kinds=("ohlcv", "funding", "open_interest"),
        eras=(Era("2023-05-12", 1, 1),),
        jitter_ms=90,
        interest=9_000.0,
    ),
)

LISTINGS = {one.id: one for one in _ALL}


def listing(venue: str, symbol: str) -> Listing:
    """The instrument, by btcflow's venue and symbol."""
    return LISTINGS[f"{venue}:{symbol}"]
