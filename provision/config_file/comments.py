"""Keeping comments where people put them when a value is added or replaced.

ruamel hangs everything between two values on the one before, so the comment
above a section belongs, to it, to the last value of the section before. A key
appended to that section would come out below the comment of the next one.
"""

from __future__ import annotations

from typing import Any


def replace(container: Any, key: Any, value: Any) -> None:
    """Put `value` in the place of ``container[key]``; what follows it stays behind it."""
    following, column = _take(*_last_leaf(container, key))
    container[key] = value
    _hang(*_last_leaf(container, key), following, column)


def append(container: Any, key: Any, value: Any) -> None:
    """Add ``container[key]`` at the end, before comments that belong to what follows."""
    following = ""
    if len(container):
        last = list(container)[-1] if hasattr(container, "keys") else len(container) - 1
        at = _last_leaf(container, last)
        comment, column = _take(*at)
        own, following = _split(comment, container.lc.col or 0)
        _hang(*at, own, column)
    if hasattr(container, "keys"):
        container[key] = value
    else:
        container.append(value)
    _hang(*_last_leaf(container, key), following, 0)


def _last_leaf(container: Any, key: Any) -> tuple[Any, Any]:
    """Return where ruamel keeps the comment that follows ``container[key]``."""
    value = container[key]
    # A scalar with a tag (a bare "=" is one) has a format, too, and nothing in it.
    while hasattr(value, "fa") and hasattr(value, "__len__") and len(value):
        if value.fa.flow_style():
            break
        container = value
        key = list(value)[-1] if hasattr(value, "keys") else len(value) - 1
        value = container[key]
    return container, key


def _slot(container: Any) -> int:
    return 2 if hasattr(container, "keys") else 0


def _take(container: Any, key: Any) -> tuple[str, int]:
    """Remove the comment after ``container[key]``: rest of its line, and lines below.

    Returns its text, and the column it starts at.
    """
    tokens = container.ca.items.get(key)
    if not tokens or tokens[_slot(container)] is None:
        return "", 0
    token = tokens[_slot(container)]
    tokens[_slot(container)] = None
    if all(t is None for t in tokens):
        del container.ca.items[key]
    return str(token.value), int(token.start_mark.column)


def _hang(container: Any, key: Any, comment: str, column: int) -> None:
    if not comment.strip("\n") and "\n\n" not in comment:
        return
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    tokens = container.ca.items.setdefault(key, [None, None, None, None])
    tokens[_slot(container)] = CommentToken(comment, CommentMark(column), None)


def _split(comment: str, column: int) -> tuple[str, str]:
    """Split into what belongs to the section that `column` indents, and what follows it."""
    first, newline, rest = comment.partition("\n")
    if not newline:
        return comment, ""
    own = [first]
    lines = rest.split("\n")
    while lines and lines[0].strip() and len(lines[0]) - len(lines[0].lstrip()) >= column:
        own.append(lines.pop(0))
    return "\n".join(own) + "\n", "\n" + "\n".join(lines) if len(lines) > 1 else ""
