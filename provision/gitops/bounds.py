"""Limits of YAML, checked before anything builds values of it.

Aliases let a small file stand for gigabytes, and parsers call themselves once
a level, so that deep nesting ends the process. Both are seen in the events of
the parser, which need little memory.
"""

from __future__ import annotations

import re
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
                    message = (
                        f"its aliases stand for more than {MOST >> 20} MiB;"
                        " kustomize-controller would run out of memory"
                    )
                    raise _excess(event, message)
            if open_:
                open_[-1].size += size


def _excess(event: Any, message: str) -> ExcessError:
    return ExcessError(problem=message, problem_mark=event.start_mark)
