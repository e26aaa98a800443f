"""`postBuild` substitution with the semantics of Flux (envsubst after drone's).

Expressions: ``${VAR}``, ``${VAR:=word}``, ``${VAR:-word}``, ``${VAR=word}``,
``${#VAR}``, ``${VAR^}``, ``${VAR^^}``, ``${VAR,}``, ``${VAR,,}``,
``${VAR:offset}``, ``${VAR:offset:length}``, ``${VAR#p}``, ``${VAR##p}``,
``${VAR%p}``, ``${VAR%%p}``, ``${VAR/a/b}``, ``${VAR//a/b}``, ``${VAR/#a/b}``,
``${VAR/%a/b}``; ``$$`` before a brace is a literal ``$``. ``$VAR`` without braces
stays as it is. Words may hold expressions again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

Lookup = Callable[[str], str | None]

_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_DEFAULTS: Final = (":=", ":-", ":?", ":+", "=")
NAME: Final = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
"""What Flux accepts as the name of a variable."""


class SubstitutionError(ValueError):
    """An expression that cannot be read. `position` is its offset in the text."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def evaluate(text: str, lookup: Lookup, *, strict: bool = False) -> str:
    """Return `text` with every expression replaced.

    `lookup` gives a variable's value; None counts as empty, and `strict` as an error unless
    the expression has a default. Raises `SubstitutionError`.
    """
    return _Reader(text, lookup, strict).all()


def clean(values: Mapping[str, str]) -> dict[str, str]:
    """Return `values` as Flux takes them from a ConfigMap or Secret: without line breaks."""
    return {key: value.replace("\n", "") for key, value in values.items()}


@dataclass
class _Reader:
    """Reads `text` from `at` on, evaluating as it goes."""

    text: str
    lookup: Lookup
    strict: bool = False
    at: int = 0

    def all(self) -> str:
        out: list[str] = []
        while True:
            start = self.text.find("$", self.at)
            if start < 0:
                out.append(self.text[self.at :])
                return "".join(out)
            out.append(self.text[self.at : start])
            self.at = start
            following = self.text[start + 1 : start + 2]
            if following == "{":
                out.append(self.expression())
            elif following == "$":
                # An escaped dollar: the second is kept, and opens no expression.
                out.append("$")
                self.at = start + 2
            else:
                out.append("$")
                self.at = start + 1

    def expression(self) -> str:
        """Evaluate the expression that begins at ``${``."""
        start = self.at
        self.at += 2
        if self._take("#"):
            name = self._name(start)
            self._close(start)
            return str(len(self._value(name, start).encode()))
        name = self._name(start)
        for operator in _DEFAULTS:
            if self._take(operator):
                words = self._words(start)
                self._close(start)
                return self.lookup(name) or words
        value = self._value(name, start)
        if self._take("}"):
            return value
        if self._take(":"):
            return self._slice(value, start)
        for operator, change in _CASES:
            if self._take(operator):
                self._close(start)
                return change(value)
        for operator, longest, at_end in _REMOVALS:
            if self._take(operator):
                pattern = self._word("}", start)
                self._close(start)
                return _remove(value, pattern, longest=longest, at_end=at_end)
        for operator, replace in _REPLACEMENTS:
            if self._take(operator):
                old = self._word("/", start, escapes=True)
                self._delimiter("/", start)
                if self._take("}"):
                    # Nothing to put there: Flux leaves a prefix or suffix alone then.
                    return value if operator in ("/#", "/%") else replace(value, old, "")
                new = self._word("}", start, escapes=True)
                self._close(start)
                return replace(value, old, new)
        raise self._bad(start)

    def _slice(self, value: str, start: int) -> str:
        first = self._word(":}", start)
        if self._take("}"):
            return _cut(value, first, None)
        self._delimiter(":", start)
        second = self._word("}", start)
        self._close(start)
        return _cut(value, first, second)

    def _words(self, start: int) -> str:
        """Read a default: texts and expressions in any order, maybe nothing."""
        out: list[str] = []
        while not self.text.startswith("}", self.at):
            out.append(self._word("}", start))
        return "".join(out)

    def _word(self, stop: str, start: int, *, escapes: bool = False) -> str:
        """Read one expression, or a text up to `stop` or an expression; not nothing."""
        if self.text.startswith("${", self.at):
            return self.expression()
        out: list[str] = []
        while self.at < len(self.text) and not self.text.startswith("${", self.at):
            if escapes and self.text.startswith(("\\/", "\\\\", "$$"), self.at):
                self.at += 1
            elif self.text[self.at] in stop:
                break
            out.append(self.text[self.at])
            self.at += 1
        if not out:
            raise self._bad(start)
        return "".join(out)

    def _delimiter(self, char: str, start: int) -> None:
        if not self._take(char):
            raise self._bad(start)
        while self._take(char):
            pass

    def _name(self, start: int) -> str:
        begin = self.at
        while self.at < len(self.text) and (
            self.text[self.at].isalnum() or self.text[self.at] == "_"
        ):
            self.at += 1
        if begin == self.at:
            raise SubstitutionError("a variable name is expected after ${", start)
        return self.text[begin : self.at]

    def _value(self, name: str, start: int) -> str:
        value = self.lookup(name)
        if value is None and self.strict:
            raise SubstitutionError(f"the variable {name} is not set and has no default", start)
        return value or ""

    def _take(self, expected: str) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def _close(self, start: int) -> None:
        if not self._take("}"):
            raise self._bad(start)

    def _bad(self, start: int) -> SubstitutionError:
        if "}" not in self.text[start:]:
            return SubstitutionError("a closing brace is missing", start)
        return SubstitutionError("it is not a substitution that Flux knows", start)


def _upper(text: str) -> str:
    """Return `text` in upper case, letter by letter: as many letters as before."""
    return "".join(up if len(up := char.upper()) == 1 else char for char in text)


def _first(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: change(value[:1]) + value[1:]


# Longer operators come first, since the shorter ones begin them.
_CASES: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("^^", _upper),
    ("^", _first(_upper)),
    (",,", str.lower),
    (",", _first(str.lower)),
)
_REMOVALS: Final = (
    ("##", True, False),
    ("#", False, False),
    ("%%", True, True),
    ("%", False, True),
)


def _replace_prefix(value: str, old: str, new: str) -> str:
    return new + value[len(old) :] if value.startswith(old) else value


def _replace_suffix(value: str, old: str, new: str) -> str:
    return value[: len(value) - len(old)] + new if value.endswith(old) else value


_REPLACEMENTS: Final[tuple[tuple[str, Callable[[str, str, str], str]], ...]] = (
    ("//", lambda value, old, new: value.replace(old, new)),
    ("/#", _replace_prefix),
    ("/%", _replace_suffix),
    ("/", lambda value, old, new: value.replace(old, new, 1)),
)


def _cut(value: str, offset: str, length: str | None) -> str:
    """Return a part of `value`; offsets count bytes, as in Flux."""
    data = value.encode()
    if not _NUMBER.fullmatch(offset):
        return value
    start = int(offset)
    if start < 0:
        start = max(0, len(data) + start)
    if length is None:
        return data[start:].decode(errors="replace")
    if not _NUMBER.fullmatch(length):
        return value
    count = int(length)
    if start + count >= len(data):
        return data[start:].decode(errors="replace")
    return data[start : max(start, start + count)].decode(errors="replace")


def _remove(value: str, pattern: str, *, longest: bool, at_end: bool) -> str:
    """Return `value` without the shortest or longest match of a glob at one end."""
    text = value[::-1] if at_end else value
    try:
        expression = re.compile(_glob(pattern[::-1] if at_end else pattern), re.DOTALL)
    except re.error:
        return value
    lengths = range(len(text), 0, -1) if longest else range(1, len(text) + 1)
    for length in lengths:
        if expression.fullmatch(text, 0, length):
            text = text[length:]
            break
    return text[::-1] if at_end else text


def _glob(pattern: str) -> str:
    """Return a regular expression for a glob whose ``*`` crosses slashes."""
    out = ""
    position = 0
    while position < len(pattern):
        char = pattern[position]
        closing = pattern.find("]", position + 1)
        if char == "*":
            out += ".*"
        elif char == "?":
            out += "[^/]"
        elif char == "[" and closing > position:
            out += pattern[position : closing + 1]
            position = closing
        elif char == "\\" and position + 1 < len(pattern):
            position += 1
            out += re.escape(pattern[position])
        else:
            out += re.escape(char)
        position += 1
    return out
