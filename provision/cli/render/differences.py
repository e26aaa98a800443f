"""The changes in a cluster between two trees, as text and as Markdown for a pull request."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.diff import compare, fields

_SIGNS: Final = {"delete": "-", "update": "~", "create": "+", "keep": "=", "unknown": "?"}
_WORDS: Final = {
    "delete": "to delete",
    "update": "to change",
    "create": "to create",
    "keep": "to stay unmanaged",
    "unknown": "not known",
}
_WIDTH: Final = 100
_CONTEXT: Final = 2
_ROOM: Final = 60_000
"""Characters of Markdown: a comment on GitHub takes 65,536."""


def text(title: str, found: compare.Comparison, *, whole: bool = False) -> Iterator[str]:
    """Yield the lines of a comparison. `whole`: also objects that one tree alone has."""
    yield title
    yield _counts(found)
    for one in found.losses:
        yield f"! DATA LOSS: {one.ref}: {one.loss}"
    for change in found.changes:
        yield ""
        yield f"{_SIGNS[change.action]} {change.ref}  ({change.by}, {change.where})"
        for line in filter(None, (change.loss and f"data loss: {change.loss}", change.reason)):
            yield f"    {line}"
        if change.action == "update":
            for one in change.fields:
                yield from (f"    {line}" for line in _field(one))
        elif whole:
            yield from (f"    {line}" for line in _object(change))
    yield from (f"note: {note}" for note in found.notes)


def markdown(title: str, found: compare.Comparison) -> str:
    """Return a comparison for a comment on a pull request, cut to what GitHub takes."""
    lines = [f"### {_escaped(title)}", "", _counts(found)]
    if found.losses:
        lines += ["", "> [!CAUTION]", "> **Data is lost:**"]
        lines += [f"> - {_code(one.ref)}: {_escaped(one.loss)}" for one in found.losses]
    if found.problems:
        lines += ["", "> [!WARNING]", "> **It does not build; Flux applies nothing of it:**"]
        lines += [f"> - {_escaped(' '.join(str(p).split()))}" for p in found.problems]
    blocks = [_details(one) for one in found.changes]
    notes = [f"- {_escaped(note)}" for note in found.notes]
    room = _ROOM - sum(len(line) + 1 for line in [*lines, *notes])
    for number, block in enumerate(blocks):
        room -= len(block) + 2
        if room < 0:
            lines += ["", f"… and {len(blocks) - number} more changes, which do not fit here."]
            break
        lines += ["", block]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _counts(found: compare.Comparison) -> str:
    told = [f"{found.count(one)} {_WORDS[one]}" for one in compare.ACTIONS if found.count(one)]
    return ", ".join([*told, f"{found.unchanged} unchanged"])


def _field(one: fields.Field) -> Iterator[str]:
    if _is_long(one.before) and _is_long(one.after):
        yield f"{one.path}:"
        yield from (f"  {line}" for line in _unified(one.before, one.after))
    elif one.before is fields.ABSENT:
        yield f"+ {one.path}: {_value(one.after)}"
    elif one.after is fields.ABSENT:
        yield f"- {one.path}: {_value(one.before)}"
    else:
        yield f"~ {one.path}: {_value(one.before)} -> {_value(one.after)}"


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def _value(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= _WIDTH else f"{shown[:_WIDTH]}…"


def _unified(before: str, after: str) -> list[str]:
    compared = difflib.unified_diff(
        before.splitlines(), after.splitlines(), n=_CONTEXT, lineterm=""
    )
    return [line for line in compared if not line.startswith(("--- ", "+++ "))]


def _object(change: compare.Change) -> list[str]:
    """Return the object of a change as a diff: all of it where one tree has none."""
    before, after = _yaml(change.before), _yaml(change.after)
    return _unified(before, after) if before and after else _signed(before, after)


def _signed(before: str, after: str) -> list[str]:
    sign, content = ("+", after) if after else ("-", before)
    return [f"{sign} {line}" for line in content.splitlines()]


def _yaml(obj: Mapping[str, Any]) -> str:
    return documents.dump_plain(dict(obj)) if obj else ""


def _details(change: compare.Change) -> str:
    content = "\n".join(_object(change))
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", content) or [""]))
    mark = "⚠️ " if change.loss else ""
    said = [_escaped(line) for line in (change.loss, change.reason) if line]
    return "\n".join(
        [
            f"<details><summary>{mark}{_SIGNS[change.action]} {_html(change.ref)}"
            f" · {_html(change.by)} · {_html(change.where)}</summary>",
            "",
            *(line for one in said for line in (one, "")),
            f"{fence}diff",
            content,
            fence,
            "</details>",
        ]
    )


def _code(words: str) -> str:
    return f"<code>{_html(words)}</code>"


def _html(words: str) -> str:
    """Return `words` so that nothing in them is a tag, a mention or a link."""
    return re.sub(r"[^\w /.:-]", lambda found: f"&#{ord(found.group())};", " ".join(words.split()))


def _escaped(words: str) -> str:
    """Return `words` so that nothing in them is markup, a tag or a mention."""
    marked = re.sub(r"([\\`*_{}\[\]>#|~])", r"\\\1", " ".join(words.split()))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace("@", "@<!-- -->")
