"""YAML that others wrote: within limits, and wrong only in one way.

Aliases let a small file stand for gigabytes, and parsers call themselves once
a level, so that deep nesting ends the process. Both are seen in the events of
the parser, which need little memory. PyYAML raises `ValueError`, `KeyError` and
others for a value that does not fit its tag (``!!bool x``); here all is `yaml.YAMLError`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from provision import errors

DEEPEST: Final = 200
MOST: Final = 16 * 1024 * 1024
"""Characters of content, and a few for each value, after aliases are replaced by what they mean."""
_VALUE: Final = 16
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ALIAS: Final = re.compile(r"(?:^|[\s\[{,:?-])\*[^\s,\[\]{}]", re.MULTILINE)
_ANCHOR: Final = re.compile(r"(?:^|[\s\[{,:?-])&[^\s,\[\]{}]", re.MULTILINE)
_INDENT: Final = re.compile(rf"^[ \t?:-]{{{DEEPEST // 2}}}", re.MULTILINE)


class ExcessError(yaml.MarkedYAMLError):
    """YAML that stands for more than anyone means to write."""


class Loader(_PARSER):
    """PyYAML's safe loader. Raises only `yaml.YAMLError`, with the place of a wrong value."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Return the value of a node."""
        with fitting(node):
            return super().construct_object(node, deep)


@contextlib.contextmanager
def fitting(node: Any) -> Generator[None]:
    """Raise `yaml.constructor.ConstructorError` where the value of `node` does not fit its tag.

    The error quotes no value: it may be a secret.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        kind = str(node.tag).rpartition(":")[2]
        problem = f"a value cannot be read as {kind}"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def load(text: str) -> Any:
    """Return the value of the only document in `text`, which others wrote.

    Raises `yaml.YAMLError` for all that cannot be read, also beyond the limits.
    """
    check(text)
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - it is a safe loader
    except UnicodeEncodeError as error:
        raise yaml.YAMLError("it is not UTF-8 text") from error


@dataclass(kw_only=True)
class _Open:
    """A collection or document that has not ended: what it amounts to so far."""

    anchor: str | None
    size: int = 0


def check(text: str) -> None:
    """Raise `ExcessError` for `text` beyond the limits, and nothing for what is no YAML."""
    if not _is_suspicious(text):
        return
    parser = _PARSER(text)
    try:
        _follow(parser)
    except ExcessError:
        raise
    except (yaml.YAMLError, ValueError):
        return  # who reads it says what is wrong
    finally:
        parser.dispose()


def problem(text: str, path: str) -> errors.Problem | None:
    """Return what is beyond the limits in the file at `path`, if anything is."""
    try:
        check(text)
    except ExcessError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return errors.Problem(where=f"{path}:{line}", message=str(error.problem))
    return None


def _is_suspicious(text: str) -> bool:
    """Return whether `text` may be beyond a limit: quick, and never wrong with False."""
    if "*" in text and "&" in text and _ALIAS.search(text) and _ANCHOR.search(text):
        return True
    if len(text) <= DEEPEST:
        return False
    # Levels come from brackets or from columns; half of the limit for each is within it.
    flows = text.count("[") + text.count("{")
    return flows > DEEPEST // 2 or _INDENT.search(text) is not None


def _follow(parser: Any) -> None:
    sizes: dict[str, int] = {}
    open_: list[_Open] = []
    total = 0
    while (event := parser.get_event()) is not None:
        if isinstance(event, yaml.DocumentStartEvent):
            sizes = {}
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append(_Open(anchor=event.anchor))
            if len(open_) > DEEPEST:
                raise _excess(event, f"it is nested more than {DEEPEST} levels deep")
            if event.anchor:
                sizes.pop(event.anchor, None)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = open_.pop()
            size = done.size + _VALUE
            if done.anchor:
                sizes[done.anchor] = size
            if open_:
                open_[-1].size += size
        elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
            if isinstance(event, yaml.ScalarEvent):
                size = len(event.value) + _VALUE
                if event.anchor:
                    sizes[event.anchor] = size
            elif any(one.anchor == event.anchor for one in open_):
                raise _excess(event, f"the anchor {event.anchor!r} contains itself")
            else:
                size = sizes.get(event.anchor, _VALUE)
                total += size
                if total > MOST:
                    raise _excess(event, f"its aliases stand for more than {MOST >> 20} MiB")
            if open_:
                open_[-1].size += size


def _excess(event: Any, message: str) -> ExcessError:
    return ExcessError(problem=message, problem_mark=event.start_mark)
