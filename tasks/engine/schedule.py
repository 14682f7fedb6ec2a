"""When an experiment runs by itself: `schedule: {cron: "0 3 * * *", timezone: Europe/Paris}` in its file.

`lm up` keeps to it. What a schedule says enters no key and no name: it changes when, never what.
"""

from __future__ import annotations

import re
from typing import Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from lmcore.config import Config, did_you_mean

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, WEEKDAYS),
)
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
ITEM = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


class Schedule(Config):
    """A cron line and the clock that it is read on."""

    cron: str = Field(examples=["0 3 * * *"])
    """Minute, hour, day of the month, month and day of the week, as in a crontab."""
    timezone: str = "UTC"
    """The place whose clock counts, such as Europe/Paris."""

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, timezone: str) -> str:
        known = available_timezones()
        if timezone not in known:
            near = did_you_mean(timezone, known).partition(" Known:")[0]
            raise ValueError(f"no time zone '{timezone}'; write one such as Europe/Paris.{near}")
        return timezone

    @model_validator(mode="after")
    def _happens(self) -> Self:
        fields = self.cron.split()
        if len(fields) != len(FIELDS):
            raise ValueError(
                f"cron '{self.cron}' is not the five fields minute, hour, day of the month, month and day of "
                "the week; write such as 0 3 * * *"
            )
        _, _, days, months, _ = (_values(text, *field) for text, field in zip(fields, FIELDS, strict=True))
        if fields[4] == "*" and min(days) > max(LONGEST_MONTHS[month - 1] for month in months):
            raise ValueError(f"cron '{self.cron}' never happens: none of its months has a day {min(days)}")
        return self


def _values(text: str, what: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """The numbers that one field of a cron line stands for.

    Raises:
        ValueError: it is none.
    """
    found: set[int] = set()
    for item in text.split(","):
        match = ITEM.fullmatch(item)
        if not match:
            raise ValueError(f"'{text}' is no {what}; write *, 5, 1-5, */2 or 1,3 in that place of the cron")
        if match["all"]:
            first, last = low, high
        else:
            first = _number(match["low"], what, low, high, names)
            last = _number(match["high"], what, low, high, names) if match["high"] else first
        step = int(match["step"] or 1)
        if last < first or step < 1 or (match["step"] and not match["all"] and not match["high"]):
            raise ValueError(
                f"'{item}' is no {what}: a range goes up (1-5), a step follows * or a range (*/2)"
            )
        found.update(range(first, last + 1, step))
    return found


def _number(text: str, what: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not text.isdecimal() or not low <= int(text) <= high:
        spelled = f", or {names[0]} to {names[-1]}" if names else ""
        raise ValueError(f"'{text}' is no {what}; write a number from {low} to {high}{spelled}")
    return int(text)
