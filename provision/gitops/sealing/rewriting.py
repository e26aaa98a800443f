"""SealedSecrets in a text of manifests: found, and changed where they stand.

Not a byte changes outside the values that change, and each new text is read
back before anybody gets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from provision import errors
from provision.gitops import documents, yamltext
from provision.gitops.sealing import sealed

_SEPARATOR: Final = re.compile(r"(?<=\n)---[ \t]*([^\s#][^\r\n]*)")

Place: TypeAlias = tuple[int, int]
"""The number of a document in its text, and of an item if it is a List, else -1."""


@dataclass(frozen=True, kw_only=True)
class Located:
    """A SealedSecret, and where it is in its text."""

    place: Place
    doc: documents.Document

    @property
    def obj(self) -> dict[str, Any]:
        """Return the SealedSecret."""
        return self.doc.obj


def find(text: str, file: str, problems: list[errors.Problem]) -> list[Located]:
    """Return the SealedSecrets in `text`, also those in Lists.

    What cannot be read, or what Kubernetes' own tools would refuse to read, is
    added to `problems`.
    """
    found: list[Located] = []
    for number, doc in enumerate(_read(text, file, problems)):
        for item, obj in _objects(doc.obj):
            if not sealed.is_sealed(obj):
                continue
            wrong = _not_a_map(obj)
            if wrong:
                message = "a map is expected"
                problems.append(errors.Problem(where=doc.where, key=wrong, message=message))
                continue
            one = documents.Document(obj=obj, file=file, line=doc.line)
            found.append(Located(place=(number, item), doc=one))
    if found:
        problems += _refused_elsewhere(text, file)
    return found


def _read(text: str, file: str, problems: list[errors.Problem]) -> list[documents.Document]:
    return documents.read_text(text, file, problems, only_objects=False)


def _not_a_map(obj: Mapping[str, Any]) -> str:
    """Return the first field of a SealedSecret that must be a map and is none."""
    waiting: list[tuple[str, Any, tuple[str, ...]]] = [
        ("metadata", obj.get("metadata"), ("annotations", "labels")),
        ("spec", obj.get("spec"), ("encryptedData", "template")),
    ]
    for name, value, inner in waiting:
        if value is None:
            continue
        if not isinstance(value, dict):
            return name
        for key in inner:
            if not isinstance(value.get(key), dict | None):
                return f"{name}.{key}"
            if key == "template":
                below = ("metadata", "data")
                waiting.append((f"{name}.{key}", value.get(key), below))
    return ""


def replaced(text: str, wanted: Mapping[Place, Mapping[str, Any]], file: str) -> str:
    """Return `text` with each object of `wanted` in its place.

    The objects may differ from the old ones in texts, and in texts that are
    new. Raises `errors.GitOpsError` with file and line when the text cannot be
    changed without changing anything else.
    """
    problems: list[errors.Problem] = []
    old = {one.place: one for one in find(text, file, problems)}
    if problems:
        raise _refusal(problems)
    try:
        roots = yamltext.compose(text)
        new = yamltext.apply(text, _edits(text, roots, old, wanted))
    except yamltext.UnsafeError as error:
        where = f"{file}:{error.line}"
        problem = errors.Problem(
            where=where,
            message=f"the text cannot be changed safely: {error.message}",
            hint="write the value out, or seal the Secret again with 'elysium secret seal'",
        )
        raise _refusal([problem]) from None
    except yaml.YAMLError:
        raise _refusal([errors.Problem(where=file, message="it cannot be parsed")]) from None
    _read_back(text, new, wanted, file)
    return new


def _edits(
    text: str,
    roots: list[yamltext.Node],
    old: Mapping[Place, Located],
    wanted: Mapping[Place, Mapping[str, Any]],
) -> list[yamltext.Edit]:
    edits: list[yamltext.Edit] = []
    aliases: list[tuple[yamltext.Edit, yamltext.Node]] = []
    for place, obj in wanted.items():
        number, item = place
        node = roots[number]
        if item >= 0:
            node = (node.entries()["items"].resolved.items or [])[item].resolved
        for edit, alias in yamltext.update(text, node, old[place].obj, obj):
            if alias is None:
                edits.append(edit)
            else:
                aliases.append((edit, alias))
    for edit, alias in aliases:
        target = alias.resolved
        changed = [one for one in edits if one.start == target.content and one.end == target.end]
        # An alias of a value that becomes the same one stays what it is.
        if not any(_value_of(one.text) == edit.text for one in changed):
            edits.append(edit)
    return edits


def _value_of(written: str) -> str:
    """Return the value of a sealed scalar as it is written in a text."""
    return re.sub(r"^[|>][^\r\n]*|[\s'\"]", "", written)


def _read_back(text: str, new: str, wanted: Mapping[Place, Mapping[str, Any]], file: str) -> None:
    """Raise `errors.GitOpsError` unless `new` says what `text` says, but for `wanted`."""
    problems: list[errors.Problem] = []
    before, after = _read(text, file, problems), _read(new, file, problems)
    problems += _refused_elsewhere(new, file)
    if not problems and len(before) != len(after):
        problems.append(errors.Problem(where=file, message="it would have other documents"))
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        if _plain(_with(one.obj, number, wanted)) != _plain(other.obj):
            message = "the text cannot be changed safely: something else would change with it"
            problems.append(errors.Problem(where=one.where, message=message))
    if problems:
        raise _refusal(problems)


def _with(
    obj: Mapping[str, Any], number: int, wanted: Mapping[Place, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return document `number` with the objects of `wanted` in it."""
    if (number, -1) in wanted:
        return wanted[number, -1]
    if not any(place[0] == number for place in wanted):
        return obj
    items = [wanted.get((number, item), one) for item, one in enumerate(obj["items"])]
    return {**obj, "items": items}


def _plain(obj: Any) -> str:
    """Return what `obj` says, for comparing: line breaks in sealed values say nothing."""
    if isinstance(obj, dict) and isinstance(obj.get("items"), list):
        return repr({**obj, "items": [_plain(one) for one in obj["items"]]})
    if isinstance(obj, dict) and sealed.is_sealed(obj) and isinstance(obj.get("spec"), dict):
        values = obj["spec"].get("encryptedData")
        if isinstance(values, dict):
            joined = {key: _joined(value) for key, value in values.items()}
            return repr({**obj, "spec": {**obj["spec"], "encryptedData": joined}})
    return repr(obj)


def _joined(value: Any) -> Any:
    return re.sub(r"[\r\n]", "", value) if isinstance(value, str) else value


def _objects(obj: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """Yield each object that `obj` stands for, with its number if `obj` is a List."""
    items = obj.get("items")
    if str(obj.get("kind")).endswith("List") and isinstance(items, list):
        yield from ((number, one) for number, one in enumerate(items) if isinstance(one, dict))
    else:
        yield -1, obj


def _refused_elsewhere(text: str, file: str) -> list[errors.Problem]:
    """Return what kustomize refuses although it is YAML to others."""
    problems = [
        errors.Problem(
            where=f"{file}:{1 + text.count(chr(10), 0, match.start())}",
            message="something follows --- on its line, which kustomize refuses",
        )
        for match in _SEPARATOR.finditer(text)
    ]
    try:
        roots = yamltext.compose(text)
    except yaml.YAMLError:
        return problems  # read_text says why
    for root in roots:
        problems += [
            errors.Problem(where=f"{file}:{line}", key=key, message="the key is there twice")
            for key, line in yamltext.repeated(root)
        ]
    return problems


def _refusal(problems: Iterable[errors.Problem]) -> errors.GitOpsError:
    return errors.GitOpsError("a file of SealedSecrets cannot be changed", list(problems))
