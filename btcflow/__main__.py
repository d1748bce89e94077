"""`python -m btcflow`."""

from btcflow.cli import main

main()
