"""Follow new leverage: when open interest jumps, go with the bar's direction until the inflow ends."""

from btcflow.rules import Rule, number, window

oi_breakout = Rule.of(
    "oi_breakout",
    "A jump in open interest is new money, and new money goes on in the direction it came.",
    long_entry="oi_change_z[window] >= entry_z and bar_return > 0",
    long_exit="oi_change_z[window] <= 0",
    short_entry="oi_change_z[window] >= entry_z and bar_return < 0",
    short_exit="oi_change_z[window] <= 0",
    parameters={
        "window": window(),
        "entry_z": number(1.5, 0.0, 10.0, "z-score of the change in open interest that counts as a jump, sigma"),
    },
)
