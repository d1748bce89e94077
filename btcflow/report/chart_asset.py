"""The chart script, taken unmodified from the pinned package that carries it.

TradingView Lightweight Charts is Apache-2.0. No copy of it lives in this project: the file is read
from the installed ``lwcharts`` distribution, whose Python code is never imported, and its hash is
checked before a single byte reaches a page. The licence asks that users see the notice and the link.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from btcflow.errors import BadRecords, MissingData

__all__ = ["CARRIER", "LICENSE_LINK", "LINK", "NOTICE", "SHA256", "chart_script", "script_path"]

CARRIER = "lwcharts"
ASSET = "vendor/lightweight-charts.standalone.production.js"
SHA256 = "c0992580867c4912cc9385b3c2728315bcc1a76c7f1087dca908430fccdf31d7"
NOTICE = "TradingView Lightweight Charts™ Copyright (с) 2025 TradingView, Inc."
LINK = "https://www.tradingview.com/"
LICENSE_LINK = "https://www.apache.org/licenses/LICENSE-2.0"


def script_path(carrier: str = CARRIER) -> Path:
    """Where the chart script lies on this machine; raises :class:`MissingData` where it does not."""
    found = importlib.util.find_spec(carrier)
    places = [] if found is None else list(found.submodule_search_locations or [])
    for place in places:
        path = Path(place) / ASSET
        if path.is_file():
            return path
    raise MissingData(
        f"the chart script of the report is missing: expected {ASSET} inside the installed package "
        f"{carrier!r} (0.3.0); install the locked requirements again"
    )


def chart_script(path: Path | None = None) -> str:
    """The chart script as text, after its hash was checked.

    Parameters
    ----------
    path : the file to read; the carrier's asset by default

    Raises
    ------
    MissingData
        where the file is absent
    BadRecords
        where its sha256 is not the reviewed one
    """
    path = script_path() if path is None else path
    if not path.is_file():
        raise MissingData(f"{path.name}: no such chart script; install the locked requirements again")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise BadRecords(
            f"{path.name} has sha256 {digest}, expected {SHA256}: the carrier {CARRIER} was changed; "
            "install the locked requirements again, or review the new file and move the pin"
        )
    return content.decode("utf-8")
