"""The import spec: what the rows of real files mean, said once in YAML and never guessed.

files:
  - file: bitmex_XBTUSD_perp_1d.parquet   # a name or a pattern, below the folder that is imported
    venue: bitmex
    symbol: XBTUSD
    role: perp                            # spot | perp | aggregate
    quote: USD
    margin: inverse
    kind: ohlcv                           # or mark, index, premium_index, taker_volume, funding, open_interest
    timeframe: 1D
    stamp: bar_open                       # what the file's time names
    volume_unit: usd
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from btcflow import timeframes
from btcflow.data.records import SeriesKey
from btcflow.data.venue_facts import facts
from btcflow.data.written_times import Day, Duration
from btcflow.errors import UnknownName
from btcflow.fields import KINDS
from btcflow.instrument import Instrument
from btcflow.yaml_model import load_model

__all__ = ["CsvLayout", "DropRule", "ImportSpec", "SeriesSpec", "TimeSpec", "load_spec", "presets"]

Kind = Literal["ohlcv", "mark", "index", "premium_index", "taker_volume", "funding", "open_interest"]
Stamp = Literal["bar_open", "bar_close", "instant", "settlement", "value_at_close"]
Word = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_PRESETS = Path(__file__).resolve().parent / "import_presets"

STAMPS: dict[str, tuple[Stamp, ...]] = {
    "ohlcv": ("bar_open", "bar_close"),
    "mark": ("bar_open", "bar_close"),
    "index": ("bar_open", "bar_close"),
    "premium_index": ("bar_open", "bar_close"),
    "taker_volume": ("bar_open", "bar_close"),
    "funding": ("settlement", "value_at_close"),
    "open_interest": ("instant", "value_at_close"),
}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TimeSpec(_Model):
    """Where the time stands and how it is written.

    ``unit`` is ``datetime`` (a time type, or ISO 8601 text), the unit of a number since 1970, or ``epoch``: a
    number since 1970 in the unit its size tells, the same in the whole file.
    ``zone`` is needed for times without one, for example ``UTC``.
    """

    column: Word = "timestamp"
    unit: Literal["datetime", "epoch", "s", "ms", "us", "ns"] = "datetime"
    zone: Word | None = None

    @model_validator(mode="after")
    def _zone_of_text_only(self) -> Self:
        if self.unit != "datetime" and self.zone not in {None, "UTC"}:
            raise ValueError(f"a number since 1970 ({self.unit}) is UTC; remove zone: {self.zone}")
        return self


class CsvLayout(_Model):
    """How a text file is cut into columns; ``names`` gives the columns of a file without a header."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    skip_lines: Annotated[int, Field(ge=0)] = 0
    names: tuple[Word, ...] | None = None


class DropRule(_Model):
    """Rows to leave out, and why. ``flagged`` is a column that is true, ``missing`` an empty cell."""

    column: Word
    when: Literal["flagged", "missing", "non_positive"]
    reason: Word


class SeriesSpec(_Model):
    """One series and the file or files (oldest name first) that hold it.

    Attributes
    ----------
    file : name or pattern below the imported folder; .csv, .csv.gz, .parquet or .feather
    only : a column of the file to the text its rows of this series have there, where a file holds several
    role, quote, margin, oi_unit, contract_size, contract_ccy, side_factor : facts of the instrument; those
        not given come from the venue's file, where it lists the symbol, and none may contradict it but
        ``oi_unit``, which is what the open-interest column of this file counts
    stamp : what the file's time names. Bars: ``bar_open`` or ``bar_close``. Funding: ``settlement``, or
        ``value_at_close`` (stamped with the open of the interval at whose close it is paid).
        Open interest: ``instant``, or ``value_at_close`` (stamped with the open of the bar at whose
        close it was read, so it is stored at that close)
    known_after : added to the end of what a row describes to get the first time it was known
    lag : publication lag; every decision that reads the series waits that long after its close
    columns : our column to the file's column, where the names differ
    scale : our column to a factor it is multiplied by, after its unit is understood
    rate_unit : unit of a funding rate or premium index
    volume_unit : ``btc``; ``quote`` or ``usd`` are divided by the bar's close; ``none``: not in the file
    spacing_hours : hours a settlement covers: a number, or ``auto``: from the distance to the one before
    rate_hours : hours the quoted rate is for: a number, or ``spacing``. Needed for funding
    start, end : YAML ``from`` and ``until``: the first UTC day kept and the first one no longer kept
    open_is_previous_close : the venue writes the previous close as a bar's open, which may then lie
        outside the bar's high and low
    order : ``newest_first`` for files that run backward
    source : where the rows come from, in words
    """

    file: Word
    venue: Word
    symbol: Word
    role: Literal["spot", "perp", "aggregate"] | None = None
    aggregate: bool = False
    quote: Word | None = None
    margin: Literal["linear", "inverse", "none"] = "none"
    oi_unit: Literal["btc", "usd", "contract", "none"] = "none"
    contract_size: Positive = 1.0
    contract_ccy: Literal["BTC", "USD"] = "BTC"
    side_factor: Positive = 1.0
    kind: Kind
    timeframe: Word
    time: TimeSpec = TimeSpec()
    stamp: Stamp
    known_after: Duration = timedelta(0)
    lag: Duration = timedelta(0)
    columns: dict[Word, Word] = Field(default_factory=dict)
    scale: dict[Word, Positive] = Field(default_factory=dict)
    rate_unit: Literal["fraction", "percent", "bps"] = "fraction"
    volume_unit: Literal["btc", "quote", "usd", "none"] = "btc"
    spacing_hours: Positive | Literal["auto"] = "auto"
    rate_hours: Positive | Literal["spacing"] | None = None
    start: Day | None = Field(default=None, alias="from")
    end: Day | None = Field(default=None, alias="until")
    drop: tuple[DropRule, ...] = ()
    only: dict[Word, str] = Field(default_factory=dict)
    open_is_previous_close: bool = False
    order: Literal["oldest_first", "newest_first"] = "oldest_first"
    csv: CsvLayout = CsvLayout()
    synthetic: bool = False
    source: Word | None = None

    @field_validator("file")
    @classmethod
    def _inside_the_folder(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or "\\" in value or re.match(r"[A-Za-z]:", value):
            raise ValueError(f"{value!r} leaves the imported folder; expected a name or pattern inside it")
        if not value.endswith((".csv", ".csv.gz", ".parquet", ".feather")):
            raise ValueError(f"{value!r}: expected a file that ends in .csv, .csv.gz or .parquet (or .feather)")
        return value

    @field_validator("timeframe")
    @classmethod
    def _a_timeframe(cls, value: str) -> str:
        return str(timeframes.parse(value))

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        problems = [*self._instrument_problems(), *self._column_problems(), *self._time_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _instrument_problems(self) -> list[str]:
        told = self.instrument_facts
        if told.get("role") is None or (self.aggregate and told["role"] != "aggregate"):
            return ["expected role: spot, perp or aggregate (aggregate: true says the same as role: aggregate)"]
        problems = []
        if told.get("quote") is None:
            problems.append("expected quote, the currency of the price, such as USD or USDT")
        if (told["role"] == "perp") != (told.get("margin", "none") != "none"):
            problems.append("expected margin: linear or inverse for a perp, and no margin for spot or an aggregate")
        if self.kind == "open_interest" and told.get("oi_unit", "none") == "none":
            problems.append("expected oi_unit: btc, usd or contract for open interest")
        if told.get("oi_unit") == "contract" and "contract_size" not in told:
            problems.append("expected contract_size for oi_unit: contract")
        return problems + self._contradictions()

    def _contradictions(self) -> list[str]:
        """Facts given here that are others than those of the venue's file."""
        known = facts(f"{self.venue}:{self.symbol}")
        if known is None:
            return []
        return [
            f"{name}: {fact} contradicts {self.venue}.yaml, which says {known.stated[name]} of {known.id}; mend one of "
            "them, or give the venue a name of its own"
            for name, fact in self.instrument_facts.items()
            if name != "oi_unit" and fact != known.stated.get(name, fact)
        ]

    def _column_problems(self) -> list[str]:
        known = KINDS[self.kind].columns
        problems = [f"{self.kind} has no column {name!r}; it has {', '.join(known)}" for name in self._foreign(known)]
        for field, kinds in _ONLY_FOR.items():
            if field in self.model_fields_set and self.kind not in kinds:
                problems.append(f"{field} is for {' and '.join(kinds)}, not for {self.kind}")
        if self.kind == "funding" and (self.rate_hours is None) == ("rate_hours" not in self.columns):
            problems.append("funding needs rate_hours, a number, `spacing`, or a column of the file: one of them")
        if "spacing_hours" in self.columns and "spacing_hours" in self.model_fields_set:
            problems.append("spacing_hours is given twice, as a value and as a column; keep one")
        return problems

    def _time_problems(self) -> list[str]:
        problems = []
        if self.stamp not in STAMPS[self.kind]:
            problems.append(f"stamp: {self.stamp} is not for {self.kind}; expected {' or '.join(STAMPS[self.kind])}")
        if self.start and self.end and self.start >= self.end:
            problems.append(f"from: {self.start} is not before until: {self.end}")
        return problems

    def _foreign(self, known: tuple[str, ...]) -> list[str]:
        return sorted((set(self.columns) | set(self.scale)) - set(known))

    @property
    def instrument_facts(self) -> dict[str, Any]:
        """The facts of the instrument by name: those given here, and for the rest those of the venue's file."""
        given = {name: getattr(self, name) for name in _FACTS if name in self.model_fields_set}
        if self.aggregate:
            given.setdefault("role", "aggregate")
        known = facts(f"{self.venue}:{self.symbol}")
        told = {} if known is None else known.stated
        if given.get("oi_unit", told.get("oi_unit")) != "contract":
            told = {name: fact for name, fact in told.items() if not name.startswith("contract_")}
        return told | given

    @property
    def key(self) -> SeriesKey:
        """The key of the series this entry makes."""
        return SeriesKey(self.venue, self.symbol, self.kind, self.timeframe)

    @property
    def instrument(self) -> Instrument:
        """The instrument, with the facts of this entry and those of the venue's file."""
        return Instrument(venue=self.venue, symbol=self.symbol, **self.instrument_facts)

    @property
    def needed(self) -> dict[str, str]:
        """Our columns that are read from the file, with the file's names for them."""
        absent = {"spacing_hours", "rate_hours"} - set(self.columns)
        if self.volume_unit == "none":
            absent.add("volume")
        return {name: self.columns.get(name, name) for name in KINDS[self.kind].columns if name not in absent}


_FACTS = ("role", "quote", "margin", "oi_unit", "contract_size", "contract_ccy", "side_factor")
_ONLY_FOR = {
    "rate_unit": ("funding", "premium_index"),
    "volume_unit": ("ohlcv",),
    "spacing_hours": ("funding",),
    "rate_hours": ("funding",),
    "open_is_previous_close": ("ohlcv",),
}


class ImportSpec(_Model):
    """Every series that a folder of files gives."""

    files: Annotated[tuple[SeriesSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_truth(self) -> Self:
        problems = [
            f"{key} is made by {count} entries of files; keep one"
            for key, count in Counter(one.key for one in self.files).items()
            if count > 1
        ]
        first: dict[str, SeriesSpec] = {}
        for one in self.files:
            other = first.setdefault(one.instrument.id, one)
            if one.instrument != other.instrument:
                problems.append(
                    f"{one.instrument.id} has other facts in {one.file} than in {other.file}; give role, quote, margin "
                    "and the open-interest unit alike"
                )
        if problems:
            raise ValueError("; ".join(problems))
        return self


def presets() -> dict[str, Path]:
    """The specs that come with btcflow, by name: formats of programs and vendors, for one file of one series."""
    return {one.stem: one for one in sorted(_PRESETS.glob("*.yaml"))}


def load_spec(path: Path) -> ImportSpec:
    """Read an import spec: a file, or one of :func:`presets` by its name.

    Raises
    ------
    MissingData
        where there is no such file.
    UnknownName
        for a bare word that is neither a file nor a preset.
    ConfigError
        with every problem of the spec, each at its line and column.
    """
    if path.suffix == "" and path.parent == Path() and not path.exists():
        known = presets()
        if path.name not in known:
            raise UnknownName("import preset", path.name, known, hint="Or name the YAML file of a spec of your own.")
        path = known[path.name]
    return load_model(path, ImportSpec)
