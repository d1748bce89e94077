"""``PYTHONPATH=tests python -m venue_server``: all venues until end of input; the first line is the address."""

from __future__ import annotations

import argparse
import sys

from venue_server import NOW, Faults, VenueServer


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="venue_server", description="loopback venues")
    parser.add_argument("--now", default=str(NOW), help="where the clocks stand")
    parser.add_argument("--rate", type=float, default=0.0, help="share of requests that go wrong")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule of faults")
    parser.add_argument("--paced", action="store_true", help="429 to requests faster than the venue's limit")
    chosen = parser.parse_args()
    faults = Faults(rate=chosen.rate, seed=chosen.seed)
    with VenueServer(now=chosen.now, faults=faults, paced=chosen.paced) as venues:
        sys.stdout.write(venues.root + "\n")
        sys.stdout.flush()
        sys.stdin.read()


main()
