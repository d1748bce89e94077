"""What a config wants to be fetched: the entries of ``data.datasets``."""

from __future__ import annotations

from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["DatasetWish", "Day"]


def _as_time(value: object) -> object:
    if isinstance(value, str):
        try:
            pd.Timestamp(value)
        except ValueError:
            raise ValueError(f"got {value!r}, expected a UTC day such as 2021-03-01") from None
    return value


Day = Annotated[str, BeforeValidator(_as_time), Field(pattern=r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?Z?)?$")]
"""A UTC day or minute as text."""
Word = Annotated[str, Field(min_length=1)]


class DatasetWish(BaseModel):
    """Series of one instrument to fetch.

    Attributes
    ----------
    venue, symbol : as ``btcflow list venues`` has them; ccxt's name (``BTC/USDT:USDT``) is taken too
    kinds : kinds of series: ``ohlcv``, ``funding``, ``open_interest``, ...
    timeframes : of the bars and of the open interest; funding comes as it is settled
    source : ``rest`` asks the exchange, ``archive`` its public files, ``both`` the files and then the exchange
    start, end : half open, UTC; the section's own where absent
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue: Word
    symbol: Word
    kinds: Annotated[tuple[Word, ...], Field(min_length=1)]
    timeframes: Annotated[tuple[Word, ...], Field(min_length=1)] = ("1h",)
    source: Literal["rest", "archive", "both"] = "rest"
    start: Day | None = None
    end: Day | Literal["now"] | None = None
