"""The rules that a state file must keep; a file that breaks one is refused.

These are the rules the upstream engine checks before it uses a file: the
manifest's magic, a urn and a type everywhere, no id without a provider's
work, references only to resources that stand earlier, one living resource
for an URN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from provision.engine.state import checkpoint, urns

Rule = Literal["magic", "id", "provider", "reference", "duplicate"]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One rule that is broken, and in words where."""

    rule: Rule
    message: str


def check(document: checkpoint.Document) -> list[Broken]:
    """Return every broken rule of `document`, in the file's order."""
    return [*_manifest(document), *_resources(checkpoint.resources(document))]


def require(document: checkpoint.Document, where: str) -> None:
    """Raise `errors.StackError` naming the first broken rules of the file `where`."""
    found = check(document)
    if found:
        raise checkpoint.broken(where, "; ".join(each.message for each in found[:3]))


def _manifest(document: checkpoint.Document) -> Iterator[Broken]:
    manifest = checkpoint.latest(document).get("manifest") or {}
    magic = str(manifest.get("magic", ""))
    version = str(manifest.get("version", ""))
    if magic and magic != hashlib.sha256(version.encode()).hexdigest():
        yield Broken(
            rule="magic",
            message="its manifest was changed: the magic is not that of its version",
        )


def _resources(resources: list[dict[str, Any]]) -> Iterator[Broken]:
    seen: set[str] = set()
    living: set[str] = set()
    references: set[str] = set()
    for each in resources:
        urn = str(each["urn"])
        yield from _one(each, seen, references)
        if not each.get("delete"):
            if urn in living:
                yield Broken(rule="duplicate", message=f"{urn} stands in it twice")
            living.add(urn)
        seen.add(urn)
        if urns.is_provider(str(each["type"])):
            references.add(urns.provider_reference(urn, str(each.get("id", ""))))


def _one(each: dict[str, Any], seen: set[str], references: set[str]) -> Iterator[Broken]:
    urn = str(each["urn"])
    if each.get("id") and not each.get("custom"):
        yield Broken(rule="id", message=f"{urn} is a component and has an id")
    provider = str(each.get("provider", ""))
    if provider and provider not in references and not each.get("pendingReplacement"):
        yield Broken(
            rule="provider",
            message=f"{urn} needs the provider {provider}, which does not stand before it",
        )
    for kind, needed in _references(each):
        if needed not in seen:
            yield Broken(
                rule="reference",
                message=f"{urn} refers to {needed} ({kind}), which does not stand before it",
            )


def _references(each: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if each.get("parent"):
        yield "parent", str(each["parent"])
    for needed in each.get("dependencies") or ():
        yield "dependency", str(needed)
    for key, deps in (each.get("propertyDependencies") or {}).items():
        for needed in deps or ():
            yield f"dependency of {key}", str(needed)
    for needed in each.get("replaceWith") or ():
        yield "replaceWith", str(needed)
    if each.get("deletedWith"):
        yield "deletedWith", str(each["deletedWith"])
