"""For which name and namespace a Secret is sealed, where a Kustomization decides that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import plain, sealed

if TYPE_CHECKING:
    from provision.cli.checkouts import Checkouts
    from provision.cli.terminal import Terminal
    from provision.gitops.documents import Document
    from provision.gitops.sealing.applied import Applied
    from provision.gitops.sealing.rewriting import Located

_Names = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A Secret to seal: `doc` has the metadata that it is sealed for.

    `metadata` are the name and namespace that it has in Git. `into` is the SealedSecret of a
    file that it is merged into.
    """

    doc: Document
    metadata: Mapping[str, Any]
    into: Located | None = None

    def written(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """Return `made`, the SealedSecret of `doc`, with the names that belong into Git."""
        spec = documents.mapping(made["spec"])
        template = documents.mapping(spec["template"])
        inner = {**template["metadata"], **self.metadata}
        return {
            **made,
            "metadata": _named(made["metadata"], self.metadata),
            "spec": {**spec, "template": {**template, "metadata": _named(inner, self.metadata)}},
        }


class Places:
    """Finds the names that Secrets are sealed for, and prints those that they do not have."""

    def __init__(
        self, around: Checkouts, scope: sealing_keys.Scope | None, terminal: Terminal
    ) -> None:
        """Look in the checkouts `around`. `scope` overrides that of each Secret."""
        self._around = around
        self._scope = scope
        self._terminal = terminal

    def in_folder(self, secrets: Sequence[Document], folder: Path | None) -> list[Target]:
        """Return what to seal of `secrets` for a new file in `folder`; None is not known.

        Raises `errors.GitOpsError` where several namespaces are possible.
        """
        return [self._in_folder(doc, folder) for doc in secrets]

    def in_file(
        self, secrets: Sequence[Document], file: Path, there: Sequence[Located]
    ) -> list[Target]:
        """Return what to seal of `secrets` for the SealedSecrets `there`, those of `file`.

        Raises `errors.ConfigError` for what `file` does not have, or has twice, and
        `errors.GitOpsError` where several namespaces are possible.
        """
        ways = [self._around.applied(str(file), one.obj) for one in there]
        return [self._in_file(doc, file, there, ways) for doc in secrets]

    def _in_folder(self, doc: Document, folder: Path | None) -> Target:
        wanted = _names(doc.obj)
        target = Target(doc=doc, metadata=_own(doc.obj))
        if folder is None or not wanted[1] or self._is_anywhere(doc.obj):
            return target
        metadata = documents.mapping(doc.obj.get("metadata"))
        new = {"apiVersion": sealed.API_VERSION, "kind": "SealedSecret", "metadata": metadata}
        ways = self._around.of_new(folder, new)
        if not ways or wanted in [_names(way.to({})) for way in ways]:
            return target
        if wanted[0]:
            self._terminal.warn(
                f"sealed for {'/'.join(wanted)}, as it says itself, and it does not open in"
                f" {folder.absolute()}: {_told(ways)}"
            )
            return target
        found = self._sealed_as(doc, ways)
        own = {**_own(found.doc.obj), "name": target.metadata["name"]}
        return replace(found, metadata=own)

    def _in_file(
        self,
        doc: Document,
        file: Path,
        there: Sequence[Located],
        all_ways: Sequence[Sequence[Applied]],
    ) -> Target:
        wanted = _names(doc.obj)
        found: list[tuple[Located, list[Applied]]] = []
        for one, ways in zip(there, all_ways, strict=True):
            known = {_names(way.to({})): way for way in ways} or {_names(one.obj): None}
            meant = [names for names in known if names == wanted]
            if not wanted[0] and wanted[1] in {_names(one.obj)[1], *(name for _, name in known)}:
                meant = list(known)
            if meant:
                found.append((one, [way for names in meant if (way := known[names])]))
        if len(found) != 1:
            raise errors.ConfigError(
                f"{documents.ref({**doc.obj, 'kind': 'SealedSecret'})} is"
                f" {'more than once' if found else 'not'} in {file}",
                [],
                hint=f"there are: {', '.join(map(_known, there, all_ways)) or 'no SealedSecrets'}",
            )
        ((into, ways),) = found
        own = _own(into.obj)
        if self._is_anywhere(doc.obj) or not ways:
            return Target(doc=_with(doc, own), metadata=own, into=into)
        if wanted in [_names(way.to({})) for way in ways]:
            return Target(doc=doc, metadata=own, into=into)
        return replace(self._sealed_as(doc, ways), metadata=own, into=into)

    def _is_anywhere(self, obj: Mapping[str, Any]) -> bool:
        return (self._scope or sealed.scope_of(obj)) is sealing_keys.Scope.CLUSTER_WIDE

    def _sealed_as(self, doc: Document, ways: Sequence[Applied]) -> Target:
        """Return `doc` with the one metadata of `ways`, and print which that is."""
        if len({_names(way.to({})) for way in ways}) > 1:
            problem = errors.Problem(
                where=doc.where if doc.file else "",
                key="metadata.namespace",
                message=f"it is missing, and several are possible: {_told(ways)}",
                hint="give one, or seal it with --scope cluster-wide",
            )
            raise errors.GitOpsError("the Secret cannot be sealed", [problem])
        self._terminal.say(f"sealed for what it becomes: {_told(ways)}")
        return Target(doc=_with(doc, _own(ways[0].to({}))), metadata={})


def _told(ways: Sequence[Applied]) -> str:
    return " and ".join(
        f"Kustomization {way.by} makes it {'/'.join(filter(None, _names(way.to({}))))}"
        for way in ways
    )


def _known(one: Located, ways: Sequence[Applied]) -> str:
    objects = [way.to(one.obj) for way in ways] or [one.obj]
    return " or ".join(documents.ref(obj) for obj in objects)


def _names(obj: Mapping[str, Any]) -> _Names:
    metadata = documents.mapping(obj.get("metadata"))
    namespace, name = (plain.as_text(metadata.get(key)) for key in ("namespace", "name"))
    return namespace or "", name or ""


def _own(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return name and namespace of `obj`; None is for one that it does not have."""
    namespace, name = _names(obj)
    return {"name": name or None, "namespace": namespace or None}


def _named(metadata: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**metadata, **own}.items() if value is not None}


def _with(doc: Document, own: Mapping[str, Any]) -> Document:
    metadata = documents.mapping(doc.obj.get("metadata"))
    return replace(doc, obj={**doc.obj, "metadata": _named(metadata, own)})
