"""Property paths and differences between property values.

A path is written ``spec.ports[0]["a key"]``; parsed, it is a tuple of texts
(keys) and numbers (indexes). ``*`` stands for any key or index of its level.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, cast

from provision import errors
from provision.engine import events
from provision.engine.state import values

Path = tuple[str | int, ...]
Kind = Literal["add", "update", "delete"]

_TOKEN: Final = re.compile(
    r"""\.?(?:
        (?P<name>[^.\[\]]+)
      | \["(?P<quoted>(?:\\"|[^"])*)"\]
      | \[(?P<index>\d+|\*)\]
    )""",
    re.VERBOSE,
)
_PLAIN: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")


def parse(text: str) -> Path:
    """Return the path in `text`. Raises `errors.StackError` where it is none."""
    found: list[str | int] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise errors.StackError(f"'{text}' is not a property path", operation="options")
        name, quoted, index = match.group("name", "quoted", "index")
        if name is not None:
            found.append(name)
        elif quoted is not None:
            found.append(quoted.replace('\\"', '"'))
        else:
            found.append(int(index) if index != "*" else "*")
        position = match.end()
    return tuple(found)


def show(path: Path) -> str:
    """Return `path` as text."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.match(step):
            text += f".{step}" if text else step
        else:
            quoted = step.replace('"', '\\"')
            text += f'["{quoted}"]'
    return text


def contains(outer: Path, inner: Path) -> bool:
    """Return whether `inner` is `outer` or lies within it."""
    if len(inner) < len(outer):
        return False
    return all(step in ("*", inner[i]) for i, step in enumerate(outer))


def ignore(
    ignored: tuple[str, ...], old: dict[str, Any], new: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return `new` with what `ignored` names as it was in `old`.

    Also returns the paths for which that is impossible: elements that were
    added to or taken from a list.
    """
    if not ignored:
        return new, []
    found = copy.deepcopy(new)
    failed = [text for text in ignored if not _reset(parse(text), old, found)]
    return found, failed


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, Kind, Any, Any]]:
    """Yield where `new` differs from `old`: path, kind, old value, new value.

    Whether a value is secret makes no difference. An unknown differs from
    everything.
    """
    was, now = _open(old), _open(new)
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(k for k in now if k not in was)]:
            inside = (*path, key)
            if key not in now:
                yield inside, "delete", was[key], None
            elif key not in was:
                yield inside, "add", None, now[key]
            else:
                yield from differences(_kept(old, was[key]), _kept(new, now[key]), inside)
    elif isinstance(was, list) and isinstance(now, list):
        for index in range(max(len(was), len(now))):
            inside = (*path, index)
            if index >= len(now):
                yield inside, "delete", was[index], None
            elif index >= len(was):
                yield inside, "add", None, now[index]
            else:
                yield from differences(_kept(old, was[index]), _kept(new, now[index]), inside)
    elif was is values.UNKNOWN or now is values.UNKNOWN or not _same(was, now):
        yield path, "update", old, new


def describe(old: dict[str, Any], new: dict[str, Any]) -> tuple[events.PropertyDiff, ...]:
    """Return the differences as events show them."""
    return tuple(
        events.PropertyDiff(
            path=show(path),
            kind=kind,
            old="" if kind == "add" else values.render(was),
            new="" if kind == "delete" else values.render(now),
        )
        for path, kind, was, now in differences(old, new)
    )


def at(value: Any, path: Path) -> Any:
    """Return what lies at `path`, a secret if anything above it is; None where nothing does."""
    sealed = False
    for step in path:
        sealed = sealed or isinstance(value, values.Sealed)
        value = _open(value)
        if isinstance(value, list):
            if not isinstance(step, int) or step >= len(value):
                return None
        elif not isinstance(value, dict) or step not in value:
            return None
        value = cast(Any, value)[step]
    return values.seal(value) if sealed else value


def _open(value: Any) -> Any:
    while isinstance(value, values.Sealed):
        value = value.value
    return value


def _kept(outer: Any, inner: Any) -> Any:
    """Return `inner` as a secret if it lies in one, so that it is never shown."""
    return values.seal(inner) if isinstance(outer, values.Sealed) else inner


def _same(was: Any, now: Any) -> bool:
    if isinstance(was, bool) != isinstance(now, bool):
        return False
    # NaN is not equal to itself, and yet unchanged.
    return bool(was == now) or (was != was and now != now)


def _reset(path: Path, old: Any, new: Any, sealed: bool = False) -> bool:
    sealed = sealed or (isinstance(old, values.Sealed) and not isinstance(new, values.Sealed))
    old, new = _open(old), _open(new)
    step, rest = path[0], path[1:]
    if step == "*":
        keys = range(max(len(old), len(new))) if isinstance(old, list) else list(old or {})
        if isinstance(new, dict):
            keys = [*keys, *(k for k in new if k not in (old or {}))]
        return all([_reset((key, *rest), old, new, sealed) for key in keys])
    if isinstance(step, int):
        return _reset_index(step, rest, old, new, sealed)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return not isinstance(old, dict) and not isinstance(new, dict)
    if rest:
        if step not in old or step not in new:
            return step not in old and step not in new
        return _reset(rest, old[step], new[step], sealed)
    if step in old:
        new[step] = values.seal(old[step]) if sealed else old[step]
    else:
        new.pop(step, None)
    return True


def _reset_index(step: int, rest: Path, old: Any, new: Any, sealed: bool) -> bool:
    if not isinstance(old, list) or not isinstance(new, list):
        return not isinstance(old, list) and not isinstance(new, list)
    if step >= len(old) or step >= len(new):
        return not rest and step >= len(old) and step >= len(new)
    if rest:
        return _reset(rest, old[step], new[step], sealed)
    new[step] = values.seal(old[step]) if sealed else old[step]
    return True
