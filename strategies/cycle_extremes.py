"""Hold from an extreme cycle bottom to an extreme cycle top; long only (experimental)."""

from btcflow.rules import Rule, window

cycle_extremes = Rule.of(
    "cycle_extremes",
    "Leverage, premium and funding at an extreme mark the turns of the cycle (experimental).",
    long_entry="cycle_bottom[window]",
    long_exit="cycle_top[window]",
    parameters={"window": window("bars in the window of all z-scores; default: zscore.length")},
)
