"""Where rows came from: what was asked, of whom, when, and what exactly came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

__all__ = ["Provenance"]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """One fetch of one stretch of a series.

    Attributes
    ----------
    source : in words, as :class:`btcflow.data.records.Records` has it
    endpoint : address without its query, or the name of a file
    params : the query that does not change from page to page
    fetched_at : when, UTC
    raw_sha256 : of each body or file, in the order they came
    tool : program and version that fetched (``ccxt 4.5.90``), empty for a file
    upstream : what the server said of the version (checksum, ETag, Last-Modified), empty where nothing
    """

    source: str
    endpoint: str
    fetched_at: pd.Timestamp
    params: Mapping[str, str] = field(default_factory=dict)
    raw_sha256: tuple[str, ...] = ()
    tool: str = ""
    upstream: str = ""
