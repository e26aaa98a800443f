"""The SealedSecrets of a repository, and sealing them anew for another key. Pure.

A repository may serve several clusters: what the keys at hand do not open is
somebody else's, is left as it is, and is told.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import rewriting, sealed, templates
from provision.gitops.sealing.applied import Applied, Lookup, as_written

_KIND: Final = "SealedSecret"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One SealedSecret. `problems` say why it does not open; none when it does.

    `applied` is how Kustomizations apply it; nothing where none does. `opened` is the object with
    the metadata that it opens with, which are those of its file or of one of `applied`.
    """

    path: str
    place: rewriting.Place
    doc: documents.Document
    opened: Mapping[str, Any]
    applied: tuple[Applied, ...] = ()
    problems: tuple[errors.Problem, ...] = ()

    @property
    def ref(self) -> str:
        """Return its kind, namespace and name."""
        return documents.ref(self.opened)

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
    def found(self) -> list[Found]:
        """Return all SealedSecrets, by file and place."""
        return sorted(
            [*self.stale, *self.current, *self.closed], key=lambda one: (one.path, one.place)
        )


def candidates(paths: Iterable[str]) -> list[str]:
    """Return those of `paths` in which a SealedSecret may be."""
    return [path for path in paths if path.endswith((".yaml", ".yml", ".json"))]


def survey(
    files: Mapping[str, str],
    keys: Sequence[sealing_keys.SealingKey],
    newest: sealing_keys.SealingKey | None = None,
    *,
    place_of: Callable[[str], templates.Place] | None = None,
    applied: Lookup = as_written,
) -> Survey:
    """Return the SealedSecrets in `files` (path to content). `applied` says how each is applied.

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
        found = [placed(one, path, keys, applied) for one in located]
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
            elif _is_current(one.opened, newest):
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


def verdicts(
    found: Iterable[Found], keys: Sequence[sealing_keys.SealingKey]
) -> list[sealed.Verdict]:
    """Return a verdict for each way in which each of `found` is applied."""
    made: list[sealed.Verdict] = []
    for one in found:
        for way in one.applied:
            doc = replace(one.doc, obj=way.to(one.obj))
            for verdict in sealed.verify([doc], keys):
                told = tuple(_named(problem, way) for problem in verdict.problems)
                made.append(replace(verdict, problems=told))
        if not one.applied:
            for verdict in sealed.verify([one.doc], keys):
                told = tuple(_homeless(problem, one.obj) for problem in verdict.problems)
                made.append(replace(verdict, problems=told))
    return made


def placed(
    located: rewriting.Located,
    path: str,
    keys: Sequence[sealing_keys.SealingKey],
    applied: Lookup,
) -> Found:
    """Return the SealedSecret `located` in the file `path` with how it is applied and opened."""
    ways = tuple(applied(path, located.obj))
    where = located.doc.where
    problems: list[errors.Problem] = []
    opened: Mapping[str, Any] | None = None
    for way in ways:
        obj = way.to(located.obj)
        closed = sealed.closed(obj, keys, where=where)
        if not closed:
            opened = obj
            break
        problems += [_named(problem, way) for problem in closed]
    if opened is None:
        # What is applied under another name than it was sealed for can be read all the same.
        closed = sealed.closed(located.obj, keys, where=where)
        if not closed or not ways:
            opened = located.obj
            problems = [_homeless(problem, located.obj) for problem in closed]
    else:
        problems = []
    return Found(
        path=path,
        place=located.place,
        doc=located.doc,
        opened=opened if opened is not None else ways[0].to(located.obj),
        applied=ways,
        problems=tuple(problems),
    )


def _named(problem: errors.Problem, way: Applied) -> errors.Problem:
    metadata = way.metadata
    ref = "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))
    return replace(problem, message=f"{problem.message} (Kustomization {way.by} makes it {ref})")


def _homeless(problem: errors.Problem, obj: Mapping[str, Any]) -> errors.Problem:
    """Return `problem` of an object that no Kustomization applies, with what may be its cause."""
    metadata = obj.get("metadata") or {}
    if metadata.get("namespace") or sealed.scope_of(obj) is sealing_keys.Scope.CLUSTER_WIDE:
        return problem
    hint = "it has no namespace, and no Kustomization of this repository gives it one"
    return replace(problem, hint=problem.hint or hint)


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
            wanted: dict[rewriting.Place, Mapping[str, Any]] = {}
            for one in found:
                made_anew = sealed.reseal(
                    one.opened, keys, certificate_pem, where=one.where, anew=anew
                )
                wanted[one.place] = {**one.obj, "spec": made_anew["spec"]}
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
        before = sealed.values(one.opened, keys)
        written = {**after[one.place], "metadata": one.opened.get("metadata")}
        if before is None or before != sealed.values(written, opener):
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
