"""Buy at the first fill and hold: the benchmark, with the same costs and funding."""

from btcflow.rules import Rule

buy_and_hold = Rule.of("buy_and_hold", "Bitcoin goes up.", long_entry="always")
