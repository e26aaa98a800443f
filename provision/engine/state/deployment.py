"""Walks over a whole deployment's JSON: secrets shown, secrets found, URNs renamed."""

from __future__ import annotations

from typing import Any

from provision import crypter
from provision.engine.state import urns, values


def shown(value: Any, opened: crypter.PassphraseCrypter) -> Any:
    """Return `value` of a state with every secret in plain text, as an export shows it."""
    if isinstance(value, dict):
        if value.get(values.SIGNATURE) == values.SEALED_SIGNATURE and "ciphertext" in value:
            text = opened.decrypt(str(value["ciphertext"]))
            return {values.SIGNATURE: values.SEALED_SIGNATURE, "plaintext": text}
        return {key: shown(each, opened) for key, each in value.items()}
    if isinstance(value, list):
        return [shown(each, opened) for each in value]
    return value


def plaintext(value: Any, place: str) -> set[str]:
    """Return where in an exported deployment secrets stand in plain text."""
    found: set[str] = set()
    if isinstance(value, dict):
        if value.get(values.SIGNATURE) == values.SEALED_SIGNATURE and "ciphertext" not in value:
            return {place}
        where = str(value["urn"]) if urns.is_urn(str(value.get("urn", ""))) else place
        for key, each in value.items():
            found |= plaintext(each, f"{where}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            found |= plaintext(each, f"{place}[{index}]")
    return found


def renamed(value: Any, project: str, old: str, new: str) -> Any:
    """Return `value` of a state with every URN of the stack `old` as one of the stack `new`.

    So is the identifier by which a Kubernetes provider knows its cluster,
    where that was the stack's name: a new one would replace all it made.
    """
    root = urns.make(old, project, "", urns.ROOT_TYPE, f"{project}-{old}")
    new_root = urns.make(new, project, "", urns.ROOT_TYPE, f"{project}-{new}")

    def follow(each: Any) -> Any:
        if isinstance(each, dict):
            body = {key: follow(inner) for key, inner in each.items()}
            if body.get("clusterIdentifier") == old:
                body["clusterIdentifier"] = new
            return body
        if isinstance(each, list):
            return [follow(inner) for inner in each]
        if each == root:
            return new_root
        prefix = f"urn:pulumi:{old}::"
        if isinstance(each, str) and each.startswith(prefix):
            return f"urn:pulumi:{new}::" + each.removeprefix(prefix)
        return each

    return follow(value)
