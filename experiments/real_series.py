"""Figures on the imported real series, as Markdown: coverage, medians, states, and open interest in BTC and in USD.

    BTCFLOW_STORE=... python experiments/real_series.py

The store is the one that configs/import/catalog.yaml fills. Only results are printed, never rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

import btcflow
from btcflow.flow.bars import Bars
from btcflow.flow.confluence import STATES
from btcflow.flow.episodes import episodes
from btcflow.flow.options import FlowOptions
from btcflow.panel import Panel

VENDORS = ("coinglass", "cryptoquant")
FRAMES = ("1D", "3D", "1W", "1M")
START, END = pd.Timestamp("2020-03-01", tz="UTC"), pd.Timestamp("2025-01-01", tz="UTC")
WEEKS = ("2024-03-04", "2022-06-13")


def loaded(vendor: str) -> tuple[Panel, FlowOptions]:
    """The panel and options of the shipped comparison, with one vendor's open interest."""
    config = btcflow.load_config("real_timeframes", overrides=[f"oi.source=vendor:{vendor}"])
    return btcflow.load_panel(config), config.flow


def inside(bars: Bars) -> np.ndarray:
    """Bars of the reported span."""
    return np.asarray((bars.opens >= START.value) & (bars.closes <= END.value))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def coverage(vendor: str, panel: Panel, options: FlowOptions) -> list[list[str]]:
    """Share of valid bars of each metric, and the sources behind them."""
    rows = []
    for frame in FRAMES:
        bars = Bars(panel, frame, options)
        keep = inside(bars)
        names = ("perp_premium", "funding_8h", "oi_index", "prem_z", "fund_z", "oi_z")
        valid = [f"{np.isfinite(bars[name][keep]).mean():.3f}" for name in names]
        sources = [f"{bars[name][keep].mean():.2f}" for name in ("premium_legs", "funding_venues", "oi_venues")]
        rows.append([vendor, frame, str(int(keep.sum())), *valid, *sources])
    return rows


def medians(panel: Panel, options: FlowOptions) -> list[list[str]]:
    """Yearly medians at 1D before smoothing: premium of both quote groups in percent, funding in bp per 8 h."""
    dollars = options.model_copy(update={"premium": options.premium.model_copy(update={"groups": ("USD",)})})
    bars, cross = Bars(panel, "1D", options), Bars(panel, "1D", dollars)
    keep = bars.opens < END.value
    values = {
        "USDT": bars["perp_premium_raw"],
        "USD": cross["perp_premium_raw"],
        "funding": 1e4 * bars["funding_8h_raw"],
        "venues": bars["funding_venues"],
    }
    frame = pd.DataFrame({name: column[keep] for name, column in values.items()}, index=bars.index[keep])
    yearly = frame.groupby(frame.index.year).median()
    return [
        [str(year), f"{row.USDT:+.4f}", f"{row.USD:+.4f}", f"{row.funding:+.2f}", f"{row.venues:.0f}"]
        for year, row in yearly.iterrows()
    ]


def states(vendor: str, panel: Panel, options: FlowOptions) -> list[list[str]]:
    """Bars and episodes of each state."""
    rows = []
    for frame in FRAMES:
        bars = Bars(panel, frame, options)
        keep = inside(bars)
        codes = bars["state_code"][keep]
        found = [one.state for one in episodes(bars, codes)]
        counted = [
            f"{int((codes == code).sum())} / {found.count(state)}" for code, state in enumerate(STATES) if code > 1
        ]
        rest = [str(int((codes == code).sum())) for code in (1, 0)]
        rows.append([vendor, frame, *counted, *rest])
    return rows


def denominations(vendor: str, panel: Panel, options: FlowOptions) -> list[list[str]]:
    """Weekly open-interest z in BTC and in USD in the named weeks."""
    rows = []
    for week in WEEKS:
        at = pd.Timestamp(week, tz="UTC")
        z = {}
        for denom in ("BTC", "USD"):
            changed = options.model_copy(update={"oi": options.oi.model_copy(update={"denom": denom})})
            bars = Bars(panel, "1W", changed)
            z[denom] = float(bars["oi_z"][bars.index.get_loc(at)])
        rows.append([vendor, week, f"{z['BTC']:+.2f}", f"{z['USD']:+.2f}", f"{z['USD'] - z['BTC']:+.2f}"])
    return rows


if __name__ == "__main__":
    markets = {vendor: loaded(vendor) for vendor in VENDORS}
    print("Coverage, 2020-03 to 2024-12: share of bars with a value; mean number of sources per bar\n")
    header = ["OI vendor", "timeframe", "bars", "perp_premium", "funding_8h", "oi_index", "prem_z", "fund_z", "oi_z"]
    table(
        [*header, "price legs", "funding venues", "OI sources"],
        [row for v, m in markets.items() for row in coverage(v, *m)],
    )
    print("Yearly medians at 1D, before smoothing\n")
    table(
        ["year", "perp premium USDT group, %", "USD group (daily), %", "funding, bp per 8 h", "funding venues"],
        medians(*markets[VENDORS[0]]),
    )
    print("Bars / episodes of each state, 2020-03 to 2024-12\n")
    names = [f"{name.replace('_', ' ')}" for name in STATES[2:]]
    table(
        ["OI vendor", "timeframe", *names, "neutral", "unknown"],
        [row for v, m in markets.items() for row in states(v, *m)],
    )
    print("Weekly open-interest z (52 weeks)\n")
    table(
        ["OI vendor", "week of", "in BTC", "in USD", "difference"],
        [row for v, m in markets.items() for row in denominations(v, *m)],
    )
