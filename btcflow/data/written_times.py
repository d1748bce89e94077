"""Days, instants and durations as they are written in YAML. Everything is UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator

__all__ = ["Day", "Duration", "Instant"]

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "D": 86_400}


def _duration(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)\s*(s|m|min|h|D)", value.strip())
        if not match:
            raise ValueError(
                f"{value!r} is not a duration; expected a whole number with s, m, h or D, such as 5m or 1D"
            )
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    return value


def _day(value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a day; expected a UTC day such as 2019-09-10") from None
    return value


def _instant(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d)?", value):
            raise ValueError(
                f"{value!r} is not an instant; expected a UTC day or minute, such as 2019-09-10 or 2022-09-29T12:00"
            )
        try:
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError as error:
            raise ValueError(f"{value!r} is not an instant: {error}") from None
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A whole number with s, m, h or D: ``5m``, ``1h``."""
Day = Annotated[date, BeforeValidator(_day)]
"""A UTC day: ``2019-09-10``."""
Instant = Annotated[datetime, BeforeValidator(_instant)]
"""The start of a UTC day or minute: ``2019-09-10``, ``2022-09-29T12:00``."""
