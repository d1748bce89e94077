"""The checks of `btcflow data audit`: one file adds checks, nothing else is edited."""
