"""Trade the confluence states: long from bullish until bearish or over-leveraged longs; mirrored."""

from btcflow.rules import Rule, window

confluence = Rule.of(
    "confluence",
    "Premium, funding and open interest together tell a constructive market from a fragile one.",
    long_entry="bullish[window]",
    long_exit="bearish[window] or over_leverage_long[window]",
    short_entry="bearish[window]",
    short_exit="bullish[window] or over_leverage_short[window]",
    parameters={"window": window("bars in the window of all three z-scores; default: zscore.length")},
)
