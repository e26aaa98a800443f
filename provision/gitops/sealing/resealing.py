"""The SealedSecrets of a repository, and sealing them anew for another key. Pure.

A repository may serve several clusters: what the keys at hand do not open is
somebody else's, is left as it is, and is told.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import rewriting, sealed, templates

_KIND: Final = "SealedSecret"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One SealedSecret. `problems` say why it does not open; none when it does."""

    path: str
    place: rewriting.Place
    doc: documents.Document
    problems: tuple[errors.Problem, ...] = ()

    @property
    def ref(self) -> str:
        """Return its kind, namespace and name."""
        return documents.ref(self.doc.obj)

    @property
    def where(self) -> str:
        """Return its file and line."""
        return self.doc.where

    @property
    def obj(self) -> Mapping[str, Any]:
        """Return the SealedSecret itself."""
        return self.doc.obj

    @property
    def encrypted(self) -> Mapping[str, Any]:
        """Return its values, as they are in Git."""
        return (self.obj.get("spec") or {}).get("encryptedData") or {}


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All SealedSecrets of a repository.

    `stale` open with the keys at hand, though not with the newest alone;
    `current` are sealed for the newest; `closed` do not open at all.
    `templates` are the paths of Helm's templates, which are left alone, and
    `unreadable` says what else could not be looked through.
    """

    stale: tuple[Found, ...]
    current: tuple[Found, ...]
    closed: tuple[Found, ...]
    templates: tuple[str, ...] = ()
    unreadable: tuple[errors.Problem, ...] = ()

    @property
    def objects(self) -> list[documents.Document]:
        """Return all SealedSecrets, by file and place."""
        found = sorted(
            [*self.stale, *self.current, *self.closed], key=lambda one: (one.path, one.place)
        )
        return [one.doc for one in found]


def candidates(paths: Iterable[str]) -> list[str]:
    """Return those of `paths` in which a SealedSecret may be."""
    return [path for path in paths if path.endswith((".yaml", ".yml", ".json"))]


def survey(
    files: Mapping[str, str],
    keys: Sequence[sealing_keys.SealingKey],
    newest: sealing_keys.SealingKey | None = None,
    *,
    place_of: Callable[[str], templates.Place] | None = None,
) -> Survey:
    """Return the SealedSecrets in `files` (path to content).

    Without `newest`, the one to seal for is still to be made: everything that
    opens is stale. `place_of` returns where the file of a path is; by default
    the ``Chart.yaml`` of every chart is among `files`.
    """
    place_of = place_of or (lambda path: templates.place_of(path, files.__contains__))
    stale: list[Found] = []
    current: list[Found] = []
    closed: list[Found] = []
    left: list[str] = []
    unreadable: list[errors.Problem] = []
    for path in sorted(files):
        if _KIND not in files[path]:
            continue
        problems: list[errors.Problem] = []
        located = rewriting.find(files[path], path, problems)
        place = place_of(path)
        found = [_found(one, path, keys) for one in located]
        shut = [one.obj for one in found if one.problems]
        if templates.is_template(files[path], place, readable=not problems) or (
            shut and templates.may_be_template(files[path], place, shut)
        ):
            left.append(path)
            continue
        unreadable += problems
        for one in found:
            if one.problems:
                closed.append(one)
            elif _is_current(one.obj, newest):
                current.append(one)
            else:
                stale.append(one)
    return Survey(
        stale=tuple(stale),
        current=tuple(current),
        closed=tuple(closed),
        templates=tuple(left),
        unreadable=tuple(unreadable),
    )


def _found(located: rewriting.Located, path: str, keys: Sequence[sealing_keys.SealingKey]) -> Found:
    return Found(
        path=path,
        place=located.place,
        doc=located.doc,
        problems=tuple(sealed.closed(located.obj, keys, where=located.doc.where)),
    )


def _is_current(obj: Mapping[str, Any], newest: sealing_keys.SealingKey | None) -> bool:
    if not (obj.get("spec") or {}).get("encryptedData"):
        return True  # there is nothing to seal
    return newest is not None and not sealed.closed(obj, [newest])


def refused(files: Mapping[str, str], stale: Iterable[Found]) -> list[errors.Problem]:
    """Return why `resealed` would refuse, before there is a key to seal for."""
    problems: list[errors.Problem] = []
    for path, found in _by_path(stale).items():
        wanted = {one.place: _with_other_values(one.obj) for one in found}
        try:
            rewriting.replaced(files[path], wanted, path)
        except errors.GitOpsError as error:
            problems += error.problems
    return problems


def resealed(
    files: Mapping[str, str],
    stale: Iterable[Found],
    keys: Sequence[sealing_keys.SealingKey],
    certificate_pem: str,
) -> dict[str, str]:
    """Return the files that change when each of `stale` is sealed anew for the certificate.

    Each new text is read back: every value must be the one that was sealed,
    and must open with the certificate's own key, if that is at hand, to what
    it was. Raises `errors.GitOpsError` for what does not.
    """
    made: dict[str, str] = {}
    problems: list[errors.Problem] = []
    opener = [key for key in keys if _is_for(certificate_pem, key)]
    for path, found in _by_path(stale).items():
        anew: dict[tuple[bytes, str], str] = {}
        try:
            wanted = {
                one.place: sealed.reseal(one.obj, keys, certificate_pem, where=one.where, anew=anew)
                for one in found
            }
            made[path] = rewriting.replaced(files[path], wanted, path)
        except errors.GitOpsError as error:
            problems += error.problems
            continue
        problems += _not_the_same(made[path], path, found, keys, opener)
    if problems:
        known = list(dict.fromkeys(problems))  # a certificate is refused for each of them
        raise errors.GitOpsError("not every SealedSecret can be sealed anew", known)
    return made


def _not_the_same(
    text: str,
    path: str,
    found: Iterable[Found],
    keys: Sequence[sealing_keys.SealingKey],
    opener: Sequence[sealing_keys.SealingKey],
) -> list[errors.Problem]:
    """Open the values of `text` and return where they are not what they were."""
    if not opener:
        return []
    problems: list[errors.Problem] = []
    after = {one.place: one.obj for one in rewriting.find(text, path, problems)}
    for one in found:
        before = sealed.values(one.obj, keys)
        if before is None or before != sealed.values(after[one.place], opener):
            problems.append(errors.Problem(where=one.where, message="it would not be what it was"))
    return problems


def _is_for(certificate_pem: str, key: sealing_keys.SealingKey) -> bool:
    try:
        return sealing_keys.certificate_fingerprint(certificate_pem) == key.fingerprint
    except sealing_keys.SealingError:
        return False  # sealing with it says why


def _by_path(found: Iterable[Found]) -> dict[str, list[Found]]:
    by_path: dict[str, list[Found]] = {}
    for one in found:
        by_path.setdefault(one.path, []).append(one)
    return by_path


def _with_other_values(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `obj` with other values, the same ones for the same ones."""
    values = (obj.get("spec") or {}).get("encryptedData") or {}
    other = {
        key: base64.b64encode(hashlib.sha512(str(text).encode()).digest()).decode()
        for key, text in values.items()
    }
    return {**obj, "spec": {**obj["spec"], "encryptedData": other}}
