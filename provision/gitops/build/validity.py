"""What the API server refuses in an object, as far as its schema is known here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.build import (
    fields,
    flux,
    fluxfields,
    naming,
    rules,
    schema,
    sops,
    workloads,
)
from provision.gitops.build.values import UNKNOWN
from provision.gitops.documents import Document, mapping

_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")
_TEXTS: Final = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}
_NAMES: Final = {bool: "a boolean", int: "a number", float: "a number", type(None): "nothing"}


def problems(
    doc: Document, one: flux.Kustomization, release: tuple[int, int] = rules.RELEASE
) -> list[errors.Problem]:
    """Return why the API server refuses `doc`, which the Kustomization `one` applies.

    A `release` of Flux that is newer than the pinned one may have more fields and values.
    """
    obj = doc.obj
    found: list[errors.Problem] = []
    if sops.is_encrypted(obj) and not one.decrypts:
        message = "it is encrypted with SOPS, and the Kustomization has no spec.decryption"
        found.append(_problem(doc, one, "", message, "set spec.decryption of the Kustomization"))
    if obj.get("apiVersion") == "v1" and obj.get("kind") in _TEXTS:
        for part in _TEXTS[str(obj["kind"])]:
            found += _not_texts(doc, one, part, obj.get(part))
    if flux.is_kustomization(obj):
        build = mapping(mapping(obj.get("spec")).get("postBuild"))
        found += _not_texts(doc, one, "spec.postBuild.substitute", build.get("substitute"))
    if not sops.is_encrypted(obj):
        strict = release <= rules.RELEASE
        found += [
            _problem(doc, one, wrong.key, wrong.message, wrong.hint)
            for wrong in _wrong(obj, strict)
        ]
    return found


def _wrong(obj: Mapping[str, Any], strict: bool) -> Iterator[schema.Wrong]:
    """Yield the fields that are missing, unknown or of another type."""
    version, kind = str(obj.get("apiVersion")), str(obj.get("kind"))
    yield from naming.wrong(obj, UNKNOWN)
    yield from workloads.wrong(obj, UNKNOWN)
    metadata = fields.metadata()
    yield from schema.check(metadata, obj.get("metadata"), UNKNOWN, strict=False, key="metadata")
    known = fields.of(version, kind)
    if known is not None:
        yield from schema.check(known, obj.get("spec"), UNKNOWN, strict=strict, key="spec")
    if fields.is_flux(version, kind):
        yield from _beside(obj, strict)
        for key, broken in fluxfields.contradictions(obj):
            yield schema.Wrong(key=key, message=broken)


def _beside(obj: Mapping[str, Any], strict: bool) -> Iterator[schema.Wrong]:
    """Yield the fields beside `spec` that an object of Flux does not have."""
    if strict:
        top = schema.parse("\n".join(f"{name} any" for name in _TOP))
        yield from schema.check(top, obj, UNKNOWN, strict=True)


def _not_texts(
    doc: Document, one: flux.Kustomization, key: str, content: Any
) -> list[errors.Problem]:
    secret = doc.obj.get("kind") == "Secret"
    return [
        _problem(
            doc,
            one,
            f"{key}.{name}",
            f"{_NAMES.get(type(value), 'no text')} where a text is expected",
            f'write it in quotes: {name}: "{"…" if secret else _shown(value)}"',
        )
        for name, value in mapping(content).items()
        if not isinstance(value, str) and not (value is None and key != _SUBSTITUTE)
    ]


_SUBSTITUTE: Final = "spec.postBuild.substitute"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value) if isinstance(value, (int, float)) else "…"


def _problem(
    doc: Document, one: flux.Kustomization, key: str, message: str, hint: str
) -> errors.Problem:
    ref = documents.ref(doc.obj)
    return errors.Problem(
        where=doc.where,
        key=f"{ref} {key}".rstrip(),
        message=message,
        hint=hint,
    )
