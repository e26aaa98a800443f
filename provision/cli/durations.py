"""Durations as people write and read them: ``90d``, "90 days"."""

from __future__ import annotations

import datetime
import re
from typing import Any

import click

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType):
    """A number of hours, days or weeks: ``12h``, ``90d``, ``8w``."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime.timedelta:
        """Return the duration that `value` says."""
        if isinstance(value, datetime.timedelta):
            return value
        found = re.fullmatch(r"(\d{1,5})([hdw])", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no age: give hours, days or weeks, as in 90d", param, ctx)
        return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})


def words(age: datetime.timedelta) -> str:
    """Return `age` in whole days, or hours where it is less than one."""
    number, unit = (age.days, "day") if age.days > 0 else (age.seconds // 3600, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'}"
