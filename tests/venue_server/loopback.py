"""Pointing ccxt at the loopback venues, with markets set by hand so that nothing has to be loaded."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

__all__ = ["BASES", "exchange", "guard", "markets", "point_at"]


def point_at(ex: Any, base: str) -> Any:
    """Rewrite every address of ``ex.urls['api']`` from ``scheme://host/...`` to ``base/host/...``; returns ``ex``.

    Templates such as ``{hostname}`` stay, and ccxt fills them in.
    """

    def moved(leaf: Any) -> Any:
        if isinstance(leaf, dict):
            return {name: moved(one) for name, one in leaf.items()}
        return f"{base}/{leaf.split('://', 1)[1]}" if isinstance(leaf, str) and "://" in leaf else leaf

    ex.urls["api"] = moved(ex.urls["api"])
    return ex


def guard(ex: Any) -> Any:
    """Refuse every request that would leave 127.0.0.1; returns ``ex``."""
    inner = ex.fetch

    def fetch(url: str, *args: Any, **more: Any) -> Any:
        if urlsplit(url).hostname != "127.0.0.1":
            raise AssertionError(f"a request wants to leave the machine: {url}")
        return inner(url, *args, **more)

    ex.fetch = fetch
    return ex


BASES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "binance": (
        ("BTC/USDT", "BTCUSDT", "spot"),
        ("BTC/USDT:USDT", "BTCUSDT", "linear"),
        ("BTC/USD:BTC", "BTCUSD_PERP", "inverse"),
    ),
    "bybit": (
        ("BTC/USDT", "BTCUSDT", "spot"),
        ("BTC/USDT:USDT", "BTCUSDT", "linear"),
        ("BTC/USD:BTC", "BTCUSD", "inverse"),
    ),
    "okx": (
        ("BTC/USDT", "BTC-USDT", "spot"),
        ("BTC/USDT:USDT", "BTC-USDT-SWAP", "linear"),
        ("BTC/USD:BTC", "BTC-USD-SWAP", "inverse"),
    ),
    "kraken": (("BTC/USD", "XXBTZUSD", "spot"),),
    "krakenfutures": (("BTC/USD:USD", "PF_XBTUSD", "linear"), ("BTC/USD:BTC", "PI_XBTUSD", "inverse")),
    "deribit": (("BTC/USD:BTC", "BTC-PERPETUAL", "inverse"),),
    "coinbase": (("BTC/USD", "BTC-USD", "spot"),),
    "coinbaseexchange": (("BTC/USD", "BTC-USD", "spot"),),
    "bitstamp": (("BTC/USD", "btcusd", "spot"),),
    "bitfinex": (("BTC/USD", "tBTCUSD", "spot"), ("BTC/USDT:USDT", "tBTCF0:USTF0", "linear")),
    "gate": (("BTC/USDT", "BTC_USDT", "spot"), ("BTC/USDT:USDT", "BTC_USDT", "linear")),
    "bitget": (("BTC/USDT:USDT", "BTCUSDT", "linear"),),
    "htx": (("BTC/USDT:USDT", "BTC-USDT", "linear"), ("BTC/USD:BTC", "BTC-USD", "inverse")),
    "hyperliquid": (("BTC/USDC:USDC", "0", "linear"),),
}
"""ccxt id to its markets: unified symbol, id, and spot, linear or inverse."""


def markets(ex: Any) -> list[dict[str, Any]]:
    """The markets of an exchange in ccxt's own shape, as far as its history methods read it."""
    made = []
    for symbol, market_id, sort in BASES[ex.id]:
        quote = symbol.split("/")[1].split(":")[0]
        settle = symbol.split(":")[1] if ":" in symbol else None
        facts = {
            "id": market_id, "symbol": symbol, "base": "BTC", "quote": quote, "settle": settle, "baseId": "BTC",
            "quoteId": quote, "settleId": None if settle is None else settle.lower(), "baseName": "BTC",
            "active": True, "type": "spot" if sort == "spot" else "swap", "spot": sort == "spot",
            "swap": sort != "spot", "margin": False, "future": False, "option": False,
            "contract": sort != "spot", "contractSize": 1.0,
            "linear": sort == "linear" if sort != "spot" else None,
            "inverse": sort == "inverse" if sort != "spot" else None,
            "precision": {"price": 0.1, "amount": 0.001}, "limits": {},
            "info": {"pair": "BTCUSD", "instFamily": f"BTC-{quote}", "fundingInterval": "480", "type": "PERPETUAL"},
        }  # fmt: skip
        made.append(ex.deep_extend(ex.safe_market_structure(), facts))
    return made


def exchange(ccxt_id: str, base: str, **options: Any) -> Any:
    """A ccxt exchange that speaks to the loopback venue at ``base`` and to nothing else; close its session."""
    import ccxt

    ex = getattr(ccxt, ccxt_id)({"enableRateLimit": False, "timeout": 5000, **options})
    ex.set_markets(markets(ex))
    return guard(point_at(ex, base))
