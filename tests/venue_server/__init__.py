"""Loopback venues: every exchange's public endpoints and page rules on 127.0.0.1, serving generated truth.

    from venue_server import Faults, Market, VenueServer, point_at

    with VenueServer(faults=Faults(rate=0.2, seed=3)) as venues:
        ex = point_at(ccxt.bybit(), venues.base("bybit"))       # every leaf of urls["api"] -> 127.0.0.1
        ...                                                     # download
        want = venues.truth("bybit", "BTCUSDT", "funding", since="2024-01-01")
        assert_same(got_frame, want)
        assert not venues.strays and not venues.errors

Addresses
    ``http://127.0.0.1:PORT/<ccxt id>/[<host>/]<path>``. A segment with a dot behind the id is taken for the host and
    dropped, so both ways of rewriting an address work. Prefixes are in ``tables.FAMILIES``; the fault schedule, the log
    and the pace are kept per prefix. ``VenueServer.root`` is the address without a prefix (``BTCFLOW_VENUE_BASE``);
    ``PYTHONPATH=tests python -m venue_server`` serves in a process of its own.
Truth
    ``Market(seed=...)`` is a pure function: any row can be had alone, in any process. ``VenueServer.truth`` gives the
    frame a perfect download ends with, in btcflow's columns and units: volume in BTC, open interest in the instrument's
    own unit, funding stamps without the venue's jitter. ``known_at`` there has no lag. ``gaps`` are maintenances
    (rows absent), ``listed`` and ``delisted`` bound a life, ``spacing_changes`` move funding from 8 h to 4 h.
    ``VenueServer.reach`` says how far back a venue still serves a series.
Page rules
    One line per endpoint in ``table_*.py``: caps, defaults, order, which end of a long range is kept, exclusive bounds,
    reach, error bodies. A rule nobody could check is what the vendor's page says, else the harder of two readings.
Clock
    Stands at ``NOW`` (2024-06-15 12:34:56) until ``set_now``; ``skew={"okx": 30}`` sets one venue's clock ahead. The
    time endpoints, the Date header and the open bar follow it. The open bar is served, and moves with every request.
Faults
    ``Faults(rate, seed, kinds, script)``; groups of kinds are ``STORM`` (all that a download must survive), ``FATAL``,
    ``REFUSED``, ``BROKEN`` and ``ROWS``. The fault of a request depends on seed, prefix and its number there. A fault
    of the rows never comes twice in a row at one prefix, so an empty page asked again tells the truth. ``script`` names
    the first faults one by one. ``revised`` (not in STORM) tells a preliminary close of the last closed bar.
Files
    ``VenueServer(files=answer)`` hands what is asked of a host (``/data.binance.vision/...``) to a callable, such as
    ``Shelf().answer`` of ``archive_server``: an archive beside the venues at one address.
Pace
    ``VenueServer(paced=True)`` answers 429 to requests faster than ccxt's ``rateLimit`` of the venue.
"""

from venue_server.compare import assert_same
from venue_server.faults import BROKEN, FATAL, KINDS, REFUSED, ROWS, STORM, Faults
from venue_server.loopback import exchange, guard, markets, point_at
from venue_server.server import Hit, VenueServer
from venue_server.truth import NOW, Gap, Market

__all__ = [
    "BROKEN",
    "FATAL",
    "KINDS",
    "NOW",
    "REFUSED",
    "ROWS",
    "STORM",
    "Faults",
    "Gap",
    "Hit",
    "Market",
    "VenueServer",
    "assert_same",
    "exchange",
    "guard",
    "markets",
    "point_at",
]
