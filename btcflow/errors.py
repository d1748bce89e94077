"""Every error btcflow raises on purpose, named after the situation.

    BtcflowError
    ├─ ConfigError(ValueError)       the question is wrong; reports every problem at once      exit 78
    ├─ UnknownName(LookupError)      no such metric, strategy, venue, ...; says the nearest    exit 78
    ├─ DataError(ValueError)
    │  ├─ MissingData                an empty store, a missing file or series                  exit 66
    │  └─ BadRecords                 a rule the data break, and the first row that breaks it   exit 65
    ├─ VenueError(ConnectionError)                                                             exit 69
    │  ├─ VenueUnavailable           worth another try
    │  └─ NotOffered                 this venue has no such field; says who has
    ├─ StoreError(OSError)           the disk said no                                          exit 74
    ├─ CheckFailed                   a check, verify or audit ran, and its answer is no        exit 3
    └─ ContractError(AssertionError) a metric or strategy broke its law                        exit 3

A message says what, where, what was expected, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "BadRecords",
    "BtcflowError",
    "CheckFailed",
    "ConfigError",
    "ContractError",
    "DataError",
    "MissingData",
    "NotInData",
    "NotOffered",
    "StoreError",
    "UnknownName",
    "VenueError",
    "VenueUnavailable",
    "nearest",
]


class BtcflowError(Exception):
    """The root of every error raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class ConfigError(BtcflowError, ValueError):
    """The experiment asks for something that cannot be done as written."""

    exit_code = 78

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownName(BtcflowError, LookupError):
    """A name that is not registered, with the nearest one that is."""

    exit_code = 78

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        close = nearest(name, self.known)
        guess = f" did you mean {close!r}?" if close else f" known: {', '.join(self.known) or 'none'}."
        super().__init__(f"no {kind} is called {name!r}:{guess}{' ' + hint if hint else ''}")


class DataError(BtcflowError, ValueError):
    """Something is wrong with the data."""

    exit_code = 65


class MissingData(DataError):
    """The data asked for are not there."""

    exit_code = 66


class NotInData(MissingData):
    """The config names something that the data do not hold: never passed over, whoever reads it."""


class BadRecords(DataError):
    """The data are there and break a rule."""


class VenueError(BtcflowError, ConnectionError):
    """A venue could not be read."""

    exit_code = 69


class VenueUnavailable(VenueError):
    """The venue is out of reach for now; another try may succeed."""


class NotOffered(VenueError):
    """The venue does not offer the field at all."""


class StoreError(BtcflowError, OSError):
    """The disk refused: full, read-only, or no such place."""

    exit_code = 74


class CheckFailed(BtcflowError):
    """A check ran to its end, and its answer is no."""

    exit_code = 3


class ContractError(BtcflowError, AssertionError):
    """A metric, strategy or generator broke one of its laws."""

    exit_code = 3

    def __init__(self, law: str, subject: str, detail: str) -> None:
        self.law, self.subject, self.detail = law, subject, detail
        super().__init__(f"{subject} breaks the law of {law}: {detail}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant: the same but for case, a close one, or one that ``name`` goes on from."""
    names = list(known)
    same = [one for one in names if one.casefold() == name.casefold()]
    close = same or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    begun = [one for one in names if len(one) > 1 and name.casefold().startswith(one.casefold())]
    return close[0] if close else max(begun, key=len, default=None)
