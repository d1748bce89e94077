"""The whole table: every endpoint of every venue, who stands behind a prefix, and how fast each may be asked."""

from __future__ import annotations

from venue_server import (
    table_binance,
    table_bitfinex,
    table_bybit,
    table_coinbase,
    table_deribit,
    table_gate,
    table_htx,
    table_kraken,
    table_okx,
)
from venue_server.endpoint import Endpoint

__all__ = ["ENDPOINTS", "FAMILIES", "PACES"]

ENDPOINTS: tuple[Endpoint, ...] = (
    *table_binance.ENDPOINTS,
    *table_bybit.ENDPOINTS,
    *table_okx.ENDPOINTS,
    *table_kraken.ENDPOINTS,
    *table_deribit.ENDPOINTS,
    *table_coinbase.ENDPOINTS,
    *table_bitfinex.ENDPOINTS,
    *table_gate.ENDPOINTS,
    *table_htx.ENDPOINTS,
)

FAMILIES = {
    "binance": "binance",
    "binanceusdm": "binance",
    "binancecoinm": "binance",
    "bybit": "bybit",
    "okx": "okx",
    "kraken": "kraken",
    "krakenfutures": "kraken",
    "deribit": "deribit",
    "coinbase": "coinbase",
    "coinbaseexchange": "coinbase",
    "bitstamp": "bitstamp",
    "bitfinex": "bitfinex",
    "gate": "gate",
    "bitget": "bitget",
    "htx": "htx",
    "hyperliquid": "hyperliquid",
}
"""Prefix (a ccxt id) to the venue as btcflow calls it."""

PACES = {
    "binance": 0.05,
    "binanceusdm": 0.05,
    "binancecoinm": 0.05,
    "bybit": 0.02,
    "okx": 0.11,
    "kraken": 1.0,
    "krakenfutures": 0.6,
    "deribit": 0.05,
    "coinbase": 0.034,
    "coinbaseexchange": 0.1,
    "bitstamp": 0.075,
    "bitfinex": 0.25,
    "gate": 0.05,
    "bitget": 0.05,
    "htx": 0.1,
    "hyperliquid": 0.05,
}
"""Seconds per request, as ccxt's ``rateLimit`` says."""
