"""GitHub's answers with the types of their fields checked.

A proxy, a captive portal or another server may answer in GitHub's place. A
field that is missing or of another type is an `errors.CodeHostError` that names
the address, the status and the field.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from provision.github import failures


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which answer a field is of: for messages."""

    operation: str
    address: str
    status: int


class Fields:
    """One JSON object of an answer."""

    def __init__(self, data: Any, source: Source, path: str = "") -> None:
        """Wrap `data`, which is at `path` in the answer. Raises for anything but an object."""
        self._source = source
        self._path = path
        if not isinstance(data, dict):
            raise self._wrong("", "an object")
        self._data = cast("dict[str, Any]", data)

    def has(self, key: str) -> bool:
        """Return whether `key` is there and not null."""
        return self._data.get(key) is not None

    def text(self, key: str) -> str:
        """Return the text at `key`. Raises where it is missing."""
        value = self._data.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def text_or(self, key: str, default: str = "") -> str:
        """Return the text at `key`, `default` where it is missing or null."""
        return self.text(key) if self.has(key) else default

    def number(self, key: str) -> int:
        """Return the whole number at `key`. Raises where it is missing."""
        value = self._data.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
            raise self._wrong(key, "a whole number")
        return value

    def number_or(self, key: str, default: int = 0) -> int:
        """Return the whole number at `key`, `default` where it is missing or null."""
        return self.number(key) if self.has(key) else default

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return the boolean at `key`, `default` where it is missing or null."""
        value = self._data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def time(self, key: str) -> datetime.datetime:
        """Return the time at `key`, in UTC. Raises where it is missing."""
        try:
            found = datetime.datetime.fromisoformat(self.text(key).replace("Z", "+00:00"))
        except ValueError as error:
            raise self._wrong(key, "a time") from error
        return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)

    def fields(self, key: str) -> Fields:
        """Return the object at `key`. Raises where it is missing."""
        return Fields(self._data.get(key), self._source, self._at(key))

    def fields_or_none(self, key: str) -> Fields | None:
        """Return the object at `key`, None where it is missing or null."""
        return self.fields(key) if self.has(key) else None

    def items(self, key: str) -> list[Fields]:
        """Return the objects of the list at `key`. Raises where it is missing."""
        return listed(self._data.get(key), self._source, self._at(key))

    def texts(self, key: str) -> list[str]:
        """Return the texts of the list at `key`; none where it is missing or null."""
        value: Any = self._data.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        return cast("list[str]", value)

    def mapping(self) -> Mapping[str, Any]:
        """Return the object as it came."""
        return self._data

    def _at(self, key: str) -> str:
        return ".".join(part for part in (self._path, key) if part)

    def _wrong(self, key: str, expected: str) -> failures.AnswerError:
        return failures.malformed(
            operation=self._source.operation,
            address=self._source.address,
            status=self._source.status,
            field=self._at(key),
            expected=expected,
        )


def listed(data: Any, source: Source, path: str = "") -> list[Fields]:
    """Return the objects of the list `data`. Raises for anything but a list of objects."""
    if not isinstance(data, list):
        raise failures.malformed(
            operation=source.operation,
            address=source.address,
            status=source.status,
            field=path,
            expected="a list",
        )
    items = cast("list[Any]", data)
    return [Fields(item, source, f"{path}[{index}]") for index, item in enumerate(items)]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer: its headers (names in lower case) and its JSON body."""

    headers: Mapping[str, str]
    data: Any
    source: Source

    @property
    def fields(self) -> Fields:
        """The body, where GitHub documents an object."""
        return Fields(self.data, self.source)

    @property
    def items(self) -> list[Fields]:
        """The body, where GitHub documents a list of objects."""
        return listed(self.data, self.source)
