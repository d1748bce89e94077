"""Fade the perp premium: when perps trade unusually rich to spot, be short until they do not; mirrored."""

from btcflow.rules import Rule, number, window

premium_reversion = Rule.of(
    "premium_reversion",
    "Perpetuals far above spot show leverage that leads demand, and the gap closes against it.",
    short_entry="prem_z[window] >= entry_z",
    short_exit="prem_z[window] <= exit_z",
    long_entry="prem_z[window] <= -entry_z",
    long_exit="prem_z[window] >= -exit_z",
    parameters={
        "window": window(),
        "entry_z": number(2.0, 0.0, 10.0, "perp premium z-score at which perps count as stretched, sigma"),
        "exit_z": number(0.0, -10.0, 10.0, "perp premium z-score at which the stretch is over, sigma"),
    },
)
