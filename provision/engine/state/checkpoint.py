"""The state file as a whole: envelope, manifest, versions, what may be read.

Works on the file's JSON and never needs the passphrase. Checkpoint version 3,
as Pulumi writes it; a newer one, or one that needs features this engine does
not know, is refused rather than half understood.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from provision import errors, safejson
from provision.engine.state import record, urns

VERSION: Final = 3
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
    if version != VERSION:
        features = ", ".join(map(str, document.get("features") or ())) or "none named"
        raise errors.StackError(
            f"the state file {where} has version {version}; this engine reads version {VERSION}",
            operation="read state",
            detail=f"features: {features}",
            hint="go on with the engine that wrote it: --engine upstream",
        )
    _check_shape(document, where)
    _check_owner(document, where, project, stack)
    return document


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


def _check_shape(document: Document, where: str) -> None:
    found = document["checkpoint"].get("latest")
    if found is None:
        return
    if not isinstance(found, dict):
        raise broken(where, "its deployment is not an object")
    for key in ("snippets", "extensions"):
        if found.get(key):
            raise errors.StackError(
                f"the state file {where} holds {key}, which this engine does not know",
                operation="read state",
                hint="go on with --engine upstream",
            )
    for each in found.get("resources") or ():
        if not isinstance(each, dict) or not each.get("urn") or not each.get("type"):
            raise broken(where, "one of its resources has no urn or type")


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
