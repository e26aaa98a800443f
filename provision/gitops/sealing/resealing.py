"""The SealedSecrets of a repository, and sealing them anew for another key. Pure.

A repository may serve several clusters: what the keys at hand do not open is
somebody else's, is left as it is, and is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import rewriting, sealed


@dataclass(frozen=True, kw_only=True)
class Found:
    """One SealedSecret. `problems` say why it does not open; none when it does."""

    ref: str
    path: str
    where: str
    obj: Mapping[str, Any]
    problems: tuple[errors.Problem, ...] = ()

    @property
    def encrypted(self) -> Mapping[str, Any]:
        """Return its values, as they are in Git."""
        return (self.obj.get("spec") or {}).get("encryptedData") or {}


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All SealedSecrets of a repository.

    `stale` open with the keys at hand, though not with the newest alone;
    `current` are sealed for the newest; `closed` do not open at all.
    """

    stale: tuple[Found, ...]
    current: tuple[Found, ...]
    closed: tuple[Found, ...]


def candidates(paths: Iterable[str]) -> list[str]:
    """Return those of `paths` in which a SealedSecret may be that can be changed in place."""
    return [path for path in paths if path.endswith((".yaml", ".yml"))]


def survey(
    files: Mapping[str, str],
    keys: Sequence[sealing_keys.SealingKey],
    newest: sealing_keys.SealingKey | None = None,
) -> Survey:
    """Return the SealedSecrets in `files` (path to content).

    Without `newest`, the one to seal for is still to be made: everything that
    opens is stale.
    """
    stale: list[Found] = []
    current: list[Found] = []
    closed: list[Found] = []
    for path in sorted(candidates(files)):
        if "SealedSecret" not in files[path]:
            continue
        ignored: list[errors.Problem] = []  # a text that is no YAML holds none
        for doc in documents.read_text(files[path], path, ignored):
            if not sealed.is_sealed(doc.obj):
                continue
            problems = sealed.closed(doc.obj, keys, where=doc.where)
            found = Found(
                ref=documents.ref(doc.obj),
                path=path,
                where=doc.where,
                obj=doc.obj,
                problems=tuple(problems),
            )
            if problems:
                closed.append(found)
            elif newest is not None and not sealed.closed(doc.obj, [newest]):
                current.append(found)
            else:
                stale.append(found)
    return Survey(stale=tuple(stale), current=tuple(current), closed=tuple(closed))


def resealed(
    files: Mapping[str, str],
    stale: Iterable[Found],
    keys: Sequence[sealing_keys.SealingKey],
    newest: sealing_keys.SealingKey,
) -> dict[str, str]:
    """Return the files that change when each of `stale` is sealed anew for `newest`.

    Each new text is read back: every value must open with `newest` alone and
    be what it was. Raises `errors.GitOpsError` for what does not.
    """
    anew: dict[str, dict[str, dict[str, Any]]] = {}
    for one in stale:
        again = sealed.reseal(one.obj, keys, newest.certificate_pem, where=one.where)
        anew.setdefault(one.path, {})[one.ref] = again
    made = {path: rewriting.replaced(files[path], objects) for path, objects in anew.items()}
    problems: list[errors.Problem] = []
    for path, text in made.items():
        before = documents.read_text(files[path], path, problems)
        after = documents.read_text(text, path, problems)
        if len(before) != len(after):
            problems.append(errors.Problem(where=path, message="it cannot be changed in place"))
            continue
        for old, new in zip(before, after, strict=True):
            problems += _differences(old, new, keys, newest, set(anew[path]))
    if problems:
        raise errors.GitOpsError("not every SealedSecret can be sealed anew", problems)
    return made


def _differences(
    old: documents.Document,
    new: documents.Document,
    keys: Sequence[sealing_keys.SealingKey],
    newest: sealing_keys.SealingKey,
    changed: set[str],
) -> list[errors.Problem]:
    if documents.ref(old.obj) not in changed or not sealed.is_sealed(old.obj):
        same = old.obj == new.obj
    else:
        one, other = sealed.values(old.obj, keys), sealed.values(new.obj, [newest])
        without = [
            {**doc.obj, "spec": {**doc.obj["spec"], "encryptedData": {}}} for doc in (old, new)
        ]
        same = one is not None and one == other and without[0] == without[1]
    return [] if same else [errors.Problem(where=new.where, message="it would not be what it was")]
