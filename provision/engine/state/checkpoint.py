"""The state file as a whole: envelope, manifest, versions, what may be read.

Works on the file's JSON and never needs the passphrase. Checkpoint version 3,
as Pulumi writes it, and version 4, which is version 3 with a list of features. A
newer version, or a feature that this engine does not know, is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from provision import errors, safejson
from provision.engine.state import record, shape, urns

VERSION: Final = 3
FEATURED: Final = 4
"""The version of a state file that uses features."""
_FEATURES: Final = {
    "taint": "taint",
    "hooks": "resourceHooks",
    "replaceWith": "replaceWith",
    "refreshBeforeUpdate": "refreshBeforeUpdate",
}
"""Features that are read and kept, and the field of a resource that each is about."""
_UNKNOWN_FIELDS: Final = {
    "viewOf": "views",
    "extensionRef": "extension packages",
    "snippetID": "snippets",
}
ENGINE_VERSION: Final = "v3.260.0"
"""The engine release whose format and rules are followed; any text is accepted here."""

Document = dict[str, Any]
_PLACE: Final = "the resources stand here: 5f0c6a2e"


def empty(project: str, stack: str, salt: str) -> Document:
    """Return the document of a stack without resources."""
    latest: dict[str, Any] = {
        "manifest": manifest(),
        "secrets_providers": {"type": "passphrase", "state": {"salt": salt}},
        "metadata": {},
    }
    name = f"organization/{project}/{stack}"
    return {"version": VERSION, "checkpoint": {"stack": name, "latest": latest}}


def manifest() -> dict[str, str]:
    """Return a manifest of now."""
    magic = hashlib.sha256(ENGINE_VERSION.encode()).hexdigest()
    return {"time": record.now(), "magic": magic, "version": ENGINE_VERSION}


def parse(text: str, where: str, project: str, stack: str) -> Document:
    """Return the document in `text`.

    Raises `errors.StackError`, naming `where`, when it is not a checkpoint,
    is cut off, is of a newer version, needs unknown features, or belongs to
    another project or stack.
    """
    try:
        document = safejson.loads(text)
    except json.JSONDecodeError as error:
        raise broken(
            where, f"it is not complete JSON (line {error.lineno}: {error.msg})"
        ) from error
    if not isinstance(document, dict):
        raise broken(where, "it is not a JSON object")
    version = document.get("version")
    if not isinstance(version, int) or not isinstance(document.get("checkpoint"), dict):
        raise broken(where, "it has no version and checkpoint")
    _check_version(document, where)
    _check_shape(document, where)
    _check_owner(document, where, project, stack)
    return document


class UnsupportedError(errors.StackError):
    """The state file is intact, and uses what the embedded engine does not know."""


def versioned(document: Document) -> Document:
    """Return `document` with the version and the list of features that its resources need."""
    found = sorted(
        feature
        for feature, name in _FEATURES.items()
        if any(each.get(name) for each in resources(document))
    )
    rest = {key: each for key, each in document.items() if key not in ("version", "features")}
    if not found:
        return {"version": VERSION, **rest}
    return {"version": FEATURED, "features": found, **rest}


class Writer:
    """Turns documents into the bytes to write, quickly when little changes between two.

    The text of each resource is made once and used again while the same
    object stands for it.
    """

    def __init__(self) -> None:
        self._texts: dict[int, tuple[dict[str, Any], str]] = {}

    def dump(self, document: Document) -> bytes:
        """Return the bytes of `document`: JSON, indented by four."""
        found = resources(document)
        if not found:
            return _pretty(document).encode() + b"\n"
        texts = [self._text(each) for each in found]
        self._texts = {id(each): self._texts[id(each)] for each in found}
        bare = {**latest(document), "resources": [_PLACE]}
        whole = {**document, "checkpoint": {**document["checkpoint"], "latest": bare}}
        return _pretty(whole).replace(f'"{_PLACE}"', ",\n".join(texts).lstrip(), 1).encode() + b"\n"

    def _text(self, each: dict[str, Any]) -> str:
        known = self._texts.get(id(each))
        if known is None or known[0] is not each:
            indent = " " * 16
            text = indent + _pretty(each).replace("\n", "\n" + indent)
            known = self._texts[id(each)] = (each, text)
        return known[1]


def dump(document: Document) -> bytes:
    """Return the bytes to write."""
    return Writer().dump(document)


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=4)


def latest(document: Document) -> dict[str, Any]:
    """Return the deployment in `document`, made if it has none."""
    body = document["checkpoint"]
    if not isinstance(body.get("latest"), dict):
        body["latest"] = {"manifest": manifest(), "metadata": {}}
    found: dict[str, Any] = body["latest"]
    return found


def resources(document: Document) -> list[dict[str, Any]]:
    """Return the resources in `document`, in the file's order."""
    return latest(document).get("resources") or []


def pending(document: Document) -> list[dict[str, Any]]:
    """Return the operations that were under way when `document` was written."""
    return latest(document).get("pending_operations") or []


def salt(document: Document) -> str:
    """Return the salt state of the passphrase, or an empty text.

    Raises `errors.StackError` when the secrets are kept by something else
    than a passphrase (a cloud key service, Pulumi Cloud).
    """
    providers: Mapping[str, Any] = latest(document).get("secrets_providers") or {}
    kind = providers.get("type", "")
    if kind not in ("", "passphrase"):
        raise errors.StackError(
            f"the stack's secrets are kept by '{kind}', not by a passphrase",
            operation="read state",
            hint="go on with --engine upstream, or change it with "
            "`pulumi stack change-secrets-provider passphrase`",
        )
    return str((providers.get("state") or {}).get("salt", ""))


def broken(where: str, reason: str) -> errors.StackError:
    """Return the error for a state file that cannot be used as it is."""
    return errors.StackError(
        f"the state file {where} cannot be used: {reason}",
        operation="read state",
        hint="`elysium stack repair` explains and mends it; the one before it is "
        "beside it as .bak, older ones are in backups/",
    )


def _check_version(document: Document, where: str) -> None:
    version = document["version"]
    if version == VERSION:
        return
    if version != FEATURED:
        raise _unsupported(
            f"the state file {where} has version {version}; this engine reads versions "
            f"{VERSION} and {FEATURED}"
        )
    features = document.get("features") or []
    if not isinstance(features, list) or not all(isinstance(each, str) for each in features):
        raise broken(where, "its features are not a list of texts")
    unknown = [each for each in features if each not in _FEATURES]
    if unknown:
        raise _unsupported(
            f"the state file {where} has version {version} and uses {', '.join(unknown)}, "
            f"which this engine does not know (it knows {', '.join(sorted(_FEATURES))})"
        )


def _unsupported(summary: str) -> UnsupportedError:
    return UnsupportedError(
        summary,
        operation="read state",
        hint="the file is intact: go on with the engine that wrote it, "
        "with a current `pulumi` on PATH and --engine upstream",
    )


def _check_shape(document: Document, where: str) -> None:
    found = document["checkpoint"].get("latest")
    if wrong := shape.problem(found):
        raise broken(where, wrong)
    if found is None:
        return
    for key in ("snippets", "extensions"):
        if found.get(key):
            raise _unsupported(
                f"the state file {where} holds {key}, which this engine does not know"
            )
    for each in found.get("resources") or ():
        for key, words in _UNKNOWN_FIELDS.items():
            if each.get(key):
                raise _unsupported(
                    f"the state file {where} holds {words} ({each['urn']}), "
                    "which this engine does not know"
                )
        if each.get("taint") and urns.is_provider(str(each["type"])):
            raise _unsupported(
                f"the state file {where} has a tainted provider ({each['urn']}), "
                "which this engine does not replace"
            )


def _check_owner(document: Document, where: str, project: str, stack: str) -> None:
    for each in resources(document):
        urn = str(each["urn"])
        if not urns.is_urn(urn):
            raise broken(where, f"{urn} is not an URN")
        if (urns.project_of(urn), urns.stack_of(urn)) != (project, stack):
            raise errors.StackError(
                f"the state file {where} belongs to stack '{urns.stack_of(urn)}' of project "
                f"'{urns.project_of(urn)}', not to '{stack}' of '{project}'",
                operation="read state",
                hint="name the right stack, or rename this one with `elysium stack rename`",
            )
