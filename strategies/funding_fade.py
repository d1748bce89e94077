"""Fade crowded funding: when longs pay unusually much, be short until they no longer do; mirrored."""

from btcflow.rules import Rule, number, window

funding_fade = Rule.of(
    "funding_fade",
    "Traders who pay unusually much to hold a side are crowded on it, and the crowd unwinds.",
    short_entry="fund_z[window] >= entry_z",
    short_exit="fund_z[window] <= exit_z",
    long_entry="fund_z[window] <= -entry_z",
    long_exit="fund_z[window] >= -exit_z",
    parameters={
        "window": window(),
        "entry_z": number(2.0, 0.0, 10.0, "funding z-score at which a side counts as crowded, sigma"),
        "exit_z": number(0.0, -10.0, 10.0, "funding z-score at which the crowd has left, sigma"),
    },
)
