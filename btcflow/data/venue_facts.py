"""What venues list and by which rules, as data: one YAML file in ``btcflow/data/venues`` per venue.

    facts("binance:BTCUSDT").anchor(stamps)       # interest per 8 h at each settlement
    VENUES.get("kraken").instruments              # everything known of a venue
    VENUES.add_folder(Path("my_venues"))          # venues of your own

Every fact stands on one line with its source; ``[unverified]`` marks one that nobody has checked.
The environment variable ``BTCFLOW_VENUES`` names a folder of your own that is always looked into.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from btcflow.data.funding_rules import FundingEra, beyond_cap
from btcflow.data.written_times import Instant
from btcflow.errors import ConfigError, MissingData, UnknownName
from btcflow.instrument import Instrument
from btcflow.yaml_model import load_model

__all__ = ["VENUES", "InstrumentFacts", "Listing", "VenueFacts", "VenueRegistry", "facts"]

Word = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PriceKind = Literal["ohlcv", "mark", "index", "premium_index", "taker_volume"]
_SHIPPED = Path(__file__).resolve().parent / "venues"
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listing(_Model):
    """One thing a venue lists, as its file states it.

    Attributes
    ----------
    symbol, role, quote, margin, oi_unit, side_factor : as in :class:`btcflow.instrument.Instrument`
    contract_size, contract_ccy : what one contract stands for; absent where the venue counts none
    valid_from, valid_to : listing and delisting, UTC; absent where unknown, or still listed
    prices : the kinds of price series the venue publishes of it
    fees : tiers (30-day traded volume from which it applies, maker, taker), rising; fractions of notional
    max_leverage : the largest leverage the venue grants; absent where unknown, or for spot
    maintenance : maintenance-margin tiers (notional from which it applies, rate), rising
    funding : the funding rules, oldest first; each holds until the next begins
    """

    symbol: Word
    role: Literal["spot", "perp", "aggregate"]
    quote: Word
    margin: Literal["linear", "inverse", "none"] = "none"
    oi_unit: Literal["btc", "usd", "contract", "none"] = "none"
    contract_size: Positive | None = None
    contract_ccy: Literal["BTC", "USD"] | None = None
    side_factor: Positive = 1.0
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    prices: tuple[PriceKind, ...] = ()
    fees: tuple[tuple[float, float, float], ...] = ()
    max_leverage: Positive | None = None
    maintenance: tuple[tuple[float, float], ...] = ()
    funding: tuple[FundingEra, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        problems = [*self._unit_problems(), *self._date_problems(), *self._tier_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unit_problems(self) -> Iterator[str]:
        if (self.role == "perp") != (self.margin != "none"):
            yield "expected margin: linear or inverse for a perp, and no margin for spot or an aggregate"
        if (self.role == "perp") != bool(self.funding):
            yield "expected funding rules for a perp, and none for spot or an aggregate"
        if (self.contract_size is None) != (self.contract_ccy is None):
            yield "expected contract_size and contract_ccy together"
        if self.oi_unit == "contract" and self.contract_size is None:
            yield "expected contract_size for oi_unit: contract"

    def _date_problems(self) -> Iterator[str]:
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            yield "valid_from is not before valid_to"
        starts = [era.start for era in self.funding]
        if starts and starts[0] != self.valid_from:
            yield "the first funding era has to begin at valid_from, or neither is given"
        for before, after in itertools.pairwise(starts):
            if after is None or (before is not None and after <= before):
                yield "funding eras are not in the order of their `from`; each but the first needs one"
        if starts and self.valid_to and starts[-1] and starts[-1] >= self.valid_to:
            yield "the last funding era begins after valid_to"

    def _tier_problems(self) -> Iterator[str]:
        for name, tiers in (("fees", self.fees), ("maintenance", self.maintenance)):
            starts = [tier[0] for tier in tiers]
            if starts and (starts[0] != 0 or sorted(set(starts)) != starts):
                yield f"{name} tiers begin at {starts}; expected the first at 0 and each above the one before"


class VenueFacts(_Model):
    """One venue: its name in configs, what people call it, and what it lists."""

    venue: Word
    name: Word
    instruments: Annotated[tuple[Listing, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        symbols = [one.symbol for one in self.instruments]
        twice = sorted({one for one in symbols if symbols.count(one) > 1})
        if twice:
            raise ValueError(f"instruments lists {', '.join(twice)} more than once; keep one")
        return self

    @property
    def facts(self) -> tuple[InstrumentFacts, ...]:
        """The facts of everything it lists, in the order of the file."""
        return tuple(InstrumentFacts(venue=self.venue, listing=one) for one in self.instruments)


@dataclass(frozen=True, kw_only=True)
class InstrumentFacts:
    """The facts of one instrument, and what they say at given times."""

    venue: str
    listing: Listing

    @property
    def stated(self) -> dict[str, Any]:
        """The facts of :class:`Instrument` that the file states, by name."""
        names = ("role", "quote", "margin", "oi_unit", "contract_size", "contract_ccy", "side_factor")
        told = {name: getattr(self.listing, name) for name in names}
        return {name: fact for name, fact in told.items() if fact is not None}

    @property
    def instrument(self) -> Instrument:
        """The instrument; contract facts stand in it only where its open interest counts contracts."""
        told = self.stated
        if self.listing.oi_unit != "contract":
            told = {name: fact for name, fact in told.items() if not name.startswith("contract_")}
        return Instrument(venue=self.venue, symbol=self.listing.symbol, **told)

    @property
    def id(self) -> str:
        """``venue:symbol``."""
        return f"{self.venue}:{self.listing.symbol}"

    def listed(self, times: np.ndarray) -> np.ndarray:
        """Where the instrument was listed: ``valid_from <= t < valid_to``; an unknown bound is none.

        Parameters
        ----------
        times : (N,) int64 nanoseconds UTC

        Returns
        -------
        (N,) bool
        """
        first, last = self._span()
        return np.asarray((times >= first) & (times < last))

    def anchor(self, stamps: np.ndarray) -> np.ndarray:
        """The interest per 8 h that settled rates rest at, by the rules each was made under.

        Parameters
        ----------
        stamps : (N,) int64 nanoseconds UTC, settlements

        Returns
        -------
        (N,) float64, fraction per 8 h; 0 where the rules have no interest; NaN where the instrument was
        not listed, has no funding, or the rules are unknown
        """
        anchors = [np.nan if era.anchor is None else era.anchor for era in self.listing.funding]
        return np.asarray(np.array([*anchors, np.nan])[self._eras(stamps)])

    def beyond_cap(self, stamps: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Where a settled rate, as quoted, exceeds what the venue's rules allow.

        Parameters
        ----------
        stamps : (N,) int64 nanoseconds UTC
        rates : (N,) fractions per the era's ``rate_hours``

        Returns
        -------
        (N,) bool; False for NaN, outside every era, and where no cap is known
        """
        eras = self._eras(stamps)
        beyond = np.zeros(len(eras), dtype=bool)
        for place, era in enumerate(self.listing.funding):
            beyond |= (eras == place) & beyond_cap(rates, era)
        return beyond

    def funding_era(self, stamp: pd.Timestamp) -> FundingEra | None:
        """The rules a settlement at ``stamp`` was made under; None where there are none."""
        place = int(self._eras(np.array([_ns(stamp)]))[0])
        return None if place < 0 else self.listing.funding[place]

    def _eras(self, stamps: np.ndarray) -> np.ndarray:
        """The era of each settlement: the one that holds just before it; -1 outside all; (N,)."""
        starts = np.array([_FIRST if one.start is None else _ns(one.start) for one in self.listing.funding], dtype="i8")
        places = np.searchsorted(starts, stamps, side="left") - 1
        return np.asarray(np.where(np.asarray(stamps) <= self._span()[1], places, -1))

    def _span(self) -> tuple[int, int]:
        first, last = self.listing.valid_from, self.listing.valid_to
        return (_FIRST if first is None else _ns(first)), (_LAST if last is None else _ns(last))


class VenueRegistry:
    """Every venue, one YAML file each, found by folder and read when it is asked for.

    Parameters
    ----------
    folders : where to look; the file of a venue is called ``<venue>.yaml``
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(folders)
        self._read: dict[Path, VenueFacts] = {}

    def __contains__(self, venue: object) -> bool:
        return venue in self._files()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._files())

    def add_folder(self, place: Path) -> None:
        """Look into one more folder; raises :class:`MissingData` where there is none."""
        if not place.is_dir():
            raise MissingData(f"{place}: no such folder; expected a folder of YAML files, one for each venue")
        if place not in self._folders:
            self._folders.append(place)

    def names(self) -> tuple[str, ...]:
        """All venues, sorted."""
        return tuple(sorted(self._files()))

    def items(self) -> tuple[tuple[str, VenueFacts], ...]:
        """All venues with their facts, sorted by name."""
        return tuple((name, self.get(name)) for name in self.names())

    def file_of(self, venue: str) -> Path:
        """The file of a venue; raises :class:`UnknownName` with the nearest one there is."""
        files = self._files()
        if venue not in files:
            raise UnknownName("venue", venue, files)
        return files[venue]

    def get(self, venue: str) -> VenueFacts:
        """The facts of a venue.

        Raises
        ------
        UnknownName
            where no file is called ``<venue>.yaml``.
        ConfigError
            with every problem of the file, each at its line.
        """
        path = self.file_of(venue)
        if path not in self._read:
            found = load_model(path, VenueFacts)
            if found.venue != venue:
                raise ConfigError(f"{path}: venue: {found.venue!r}; expected {venue!r}, the name of the file")
            self._read[path] = found
        return self._read[path]

    def _files(self) -> dict[str, Path]:
        own = os.environ.get("BTCFLOW_VENUES")
        files: dict[str, Path] = {}
        for folder in dict.fromkeys([*self._folders, *([Path(own)] if own else [])]):
            if not folder.is_dir():
                raise MissingData(f"{folder}: no such folder; it should hold venue files: is BTCFLOW_VENUES right?")
            for path in sorted(folder.glob("*.yaml")):
                first = files.setdefault(path.stem, path)
                if first != path:
                    raise ConfigError(f"two files define the venue {path.stem!r}: {first} and {path}; rename one")
        return files


VENUES = VenueRegistry([_SHIPPED])
"""Every venue btcflow knows, and those of folders that were added."""


def facts(instrument_id: str) -> InstrumentFacts | None:
    """The facts of ``venue:symbol``, or None where no venue file lists it."""
    venue, _, symbol = instrument_id.partition(":")
    if venue not in VENUES:
        return None
    return next((one for one in VENUES.get(venue).facts if one.listing.symbol == symbol), None)


def _ns(time: datetime) -> int:
    """An instant as int64 nanoseconds since 1970; a naive one is refused."""
    stamp = pd.Timestamp(time)
    if stamp.tz is None:
        raise ValueError(f"naive time {time}: every time in btcflow carries its zone; localize to UTC")
    return int(stamp.value)
