"""The catalogue of known defects of public dumps, as data: one YAML file in ``btcflow/data/defects`` per venue.

Every entry says where (venue, instrument, kind, span), what is wrong, what to do with it, and which
public thread reported it; ``[unverified]`` in the source marks one that nobody has checked since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from btcflow.audit.symptoms import SYMPTOMS
from btcflow.data.records import SeriesKey
from btcflow.data.written_times import Duration, Instant
from btcflow.errors import ConfigError, UnknownName
from btcflow.fields import KINDS
from btcflow.yaml_model import load_model

__all__ = ["ACTIONS", "Action", "Defect", "DefectFile", "catalogue", "defects_of", "known_ids", "mark", "marked"]

Word = Annotated[str, Field(min_length=1)]
Action = Literal["exclude", "shift", "dedupe", "refuse", "note"]
ACTIONS: tuple[Action, ...] = ("refuse", "shift", "dedupe", "exclude", "note")
"""In the order in which they are carried out."""
_MARK = re.compile(r" \[mended: ([^\]]*)\]$")
_JOIN = "; "
_SHIPPED = Path(__file__).resolve().parents[1] / "data" / "defects"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Defect(_Model):
    """One known defect of one venue's public data.

    Attributes
    ----------
    id : the name by which it is reported and may be left out
    symbol : the instrument; absent: every one of the venue
    kinds : the kinds of series concerned
    field : the column concerned; absent: all
    timeframes : spacings of rows concerned; absent: every one
    start, end : YAML ``from`` and ``to``: stamps in ``[from, to)``, UTC; absent: from the beginning, until now
    wrong : what is wrong
    symptom : how it shows in the rows, see :mod:`btcflow.audit.symptoms`
    action : ``exclude`` the rows that show it; ``shift`` all of the span later by ``by``, ``stamp`` and
        ``known_at`` alike; ``dedupe`` keeps the last of rows with one stamp; ``refuse`` the series where
        it shows; ``note``: nothing can be mended, it is told
    by : how far to shift
    right_in : names of sources (:class:`btcflow.data.records.Records`) whose reader mends it already
    advice : what a user can do about it
    source : the public thread or page
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    symbol: Word | None = None
    kinds: Annotated[tuple[Word, ...], Field(min_length=1)]
    field: Word | None = None
    timeframes: tuple[Word, ...] = ()
    start: Instant | None = Field(default=None, alias="from")
    end: Instant | None = Field(default=None, alias="to")
    wrong: Word
    symptom: Word
    action: Action
    by: Duration | None = None
    right_in: tuple[Word, ...] = ()
    advice: Word
    source: Word

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        problems = []
        for kind in self.kinds:
            if kind not in KINDS:
                problems.append(f"kind {kind!r}; expected one of {', '.join(KINDS)}")
            elif self.field is not None and self.field not in KINDS[kind].columns:
                problems.append(f"field {self.field!r}; {kind} has {', '.join(KINDS[kind].columns)}")
        if self.symptom not in SYMPTOMS:
            problems.append(f"symptom {self.symptom!r}; expected one of {', '.join(SYMPTOMS)}")
        if (self.action == "shift") != (self.by is not None):
            problems.append("expected `by` for a shift, and for nothing else")
        if self.by is not None and self.by <= timedelta(0):
            problems.append("a shift makes rows later: expected `by` above 0")
        if self.start and self.end and self.start >= self.end:
            problems.append("from is not before to")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def span(self) -> tuple[int | None, int | None]:
        """``[from, to)`` as int64 nanoseconds UTC; None for an open end."""
        return (
            None if self.start is None else int(pd.Timestamp(self.start).value),
            None if self.end is None else int(pd.Timestamp(self.end).value),
        )

    def mended_in(self, source: str) -> bool:
        """True where every source a series was made from is known, or says by its mark, to have it mended."""
        return all(self.id in marked(one) or one in self.right_in for one in source.split(_JOIN))

    @property
    def unverified(self) -> bool:
        """True where nobody has checked it."""
        return "[unverified]" in self.source

    def concerns(self, key: SeriesKey) -> bool:
        """True for a series of this instrument, kind and timeframe; the venue is the file's."""
        return (
            key.kind in self.kinds
            and self.symbol in (None, key.symbol)
            and (not self.timeframes or key.timeframe in self.timeframes)
        )


class DefectFile(_Model):
    """The defects of one venue's public data."""

    venue: Word
    defects: Annotated[tuple[Defect, ...], Field(min_length=1)]


@lru_cache(maxsize=8)
def catalogue(folder: Path = _SHIPPED) -> dict[str, tuple[Defect, ...]]:
    """Every known defect by venue.

    Raises
    ------
    ConfigError
        for a file with problems, one whose name is not its venue, or one id used twice.
    """
    found: dict[str, tuple[Defect, ...]] = {}
    seen: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        read = load_model(path, DefectFile)
        if read.venue != path.stem:
            raise ConfigError(f"{path}: venue: {read.venue!r}; expected {path.stem!r}, the name of the file")
        for one in read.defects:
            first = seen.setdefault(one.id, path.stem)
            if first != path.stem or [each.id for each in read.defects].count(one.id) > 1:
                raise ConfigError(f"{path}: the id {one.id!r} is used twice; each defect needs its own")
        found[read.venue] = read.defects
    return found


def mark(source: str, *ids: str) -> str:
    """A source with the mark that these defects are mended in it; several sources, joined by ``; ``, get it each.

    Examples
    --------
    >>> mark("Binance Vision metrics", "binance-um-metrics-start-labels")
    'Binance Vision metrics [mended: binance-um-metrics-start-labels]'
    """
    parts = []
    for one in source.split(_JOIN):
        every = sorted(marked(one) | set(ids))
        parts.append(_MARK.sub("", one) + (f" [mended: {', '.join(every)}]" if every else ""))
    return _JOIN.join(parts)


def marked(source: str) -> frozenset[str]:
    """The defects that one source is marked to have mended."""
    found = _MARK.search(source)
    return frozenset(found[1].split(", ")) if found else frozenset()


def known_ids() -> tuple[str, ...]:
    """The ids of all known defects, sorted."""
    return tuple(sorted(one.id for several in catalogue().values() for one in several))


def defects_of(key: SeriesKey, *, skip: Iterable[str] = ()) -> tuple[Defect, ...]:
    """The known defects that concern a series, in the order in which they are mended.

    Parameters
    ----------
    skip : ids to leave out

    Raises
    ------
    UnknownName
        for an id to skip that the catalogue does not have.
    """
    left_out = set(skip)
    for name in sorted(left_out.difference(known_ids())):
        raise UnknownName("defect", name, known_ids())
    own = (one for one in catalogue().get(key.venue, ()) if one.concerns(key) and one.id not in left_out)
    return tuple(sorted(own, key=lambda one: ACTIONS.index(one.action)))
