"""Whether the parts of a bundle can be used: checked before anything is done with one.

Checksums say that a part is what was written; this says that what was written
is what a restore needs. A backup is checked so before it counts, and again
whenever it is verified, restored or rehearsed.
"""

from __future__ import annotations

import contextlib
import io
import json
import posixpath
import tarfile
from collections.abc import Callable, Mapping
from typing import Any, Final

import pydantic

from provision import errors
from provision.artifacts import pins
from provision.gitops.sealing import keys as sealing_keys
from provision.recovery.bundle import archive, datastore, inventory, manifest, parts

_CRD: Final = "CustomResourceDefinition"
_EARLIER: Final = "an earlier backup may be whole"


def check(found: archive.Bundle) -> None:
    """Raise `errors.BundleError` naming the first part of `found` that cannot be used."""
    cluster = found.manifest.cluster
    checks: dict[str, Callable[[archive.Bundle, str], None]] = {
        parts.STATE: _state,
        parts.PROJECT: _text,
        parts.stack_file(cluster): _text,
        parts.PASSPHRASE: _text,
        parts.PINS: _pins,
        parts.SEALING_KEYS: _sealing_keys,
        parts.FLUX_SYSTEM: _access,
        parts.SOPS_AGE: _secrets,
        parts.CRDS: _definitions,
        parts.INVENTORY: _inventory,
        parts.PATHS: _paths,
    }
    for name, look in checks.items():
        if name in found.contents:
            look(found, name)
    for info in found.manifest.parts:
        if info.kind and not _is_of_node(info):
            raise _unusable(info.name, f"its place on the node is not one: {info.source!r}")
    store = found.manifest.datastore
    if store.part:
        datastore.check(store.kind, found.read(store.part))


def items(found: archive.Bundle, name: str) -> list[dict[str, Any]]:
    """Return the objects of a List; none without that part.

    Raises `errors.BundlePartError` when the part is no list of objects.
    """
    if name not in found.contents:
        return []
    body = found.json(name)
    listed = body.get("items") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        raise _unusable(name, "it is no list of objects")
    for each in listed:
        _object(name, each)
    return listed


def _object(name: str, obj: Any, *kinds: str) -> None:
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        raise _unusable(name, "what is in it is no object of Kubernetes")
    if not isinstance(obj.get("data") or {}, Mapping):
        raise _unusable(name, f"{metadata['name']} has no data that can be read")
    if kinds and obj.get("kind") not in kinds:
        raise _unusable(name, f"{metadata['name']} is no {kinds[0]}")


def _state(found: archive.Bundle, name: str) -> None:
    body = found.json(name)
    deployment = body.get("deployment") if isinstance(body, Mapping) else None
    resources = deployment.get("resources") if isinstance(deployment, Mapping) else None
    if not isinstance(resources, list) or not all(isinstance(each, Mapping) for each in resources):
        raise _unusable(name, "it remembers no resources")


def _text(found: archive.Bundle, name: str) -> None:
    try:
        text = found.read(name).decode()
    except UnicodeDecodeError as error:
        raise _unusable(name, "it is not text") from error
    if not text.strip():
        raise _unusable(name, "it is empty")


def _pins(found: archive.Bundle, name: str) -> None:
    try:
        pins.parse(found.read(name).decode())
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise _unusable(name, "its checksums cannot be read") from error


def _sealing_keys(found: archive.Bundle, name: str) -> None:
    """Check that the keys are those that the manifest names.

    One that nothing could read when the backup was made is in it as it was,
    and named in the manifest's `absent`: it is no reason to lose the others.
    """
    there: set[str] = set()
    for each in _listed(found, name, "Secret"):
        with contextlib.suppress(errors.GitOpsError, ValueError):
            there |= {key.fingerprint for key in sealing_keys.read_keys(json.dumps(each))}
    lacking = sorted(set(found.manifest.sealing_keys) - there)
    if lacking:
        raise _unusable(name, f"the sealing key {lacking[0]} cannot be read")


def _access(found: archive.Bundle, name: str) -> None:
    _object(name, found.json(name), "Secret")


def _secrets(found: archive.Bundle, name: str) -> None:
    _listed(found, name, "Secret")


def _definitions(found: archive.Bundle, name: str) -> None:
    _listed(found, name, _CRD)


def _listed(found: archive.Bundle, name: str, kind: str) -> list[dict[str, Any]]:
    listed = items(found, name)
    for each in listed:
        _object(name, each, kind)
    return listed


def _inventory(found: archive.Bundle, name: str) -> None:
    try:
        inventory.load(found.read(name))
    except pydantic.ValidationError as error:
        raise _unusable(name, "it does not say what the cluster was") from error


def _paths(found: archive.Bundle, name: str) -> None:
    """Check that the tar is whole, and leads nowhere but below ``/``."""
    try:
        with tarfile.open(fileobj=io.BytesIO(found.read(name)), mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is not None and len(stream.read()) != member.size:
                    raise tarfile.ReadError("it is cut short")
                if posixpath.isabs(member.name) or ".." in member.name.split("/"):
                    raise _unusable(name, f"{member.name} is no path below /")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _unusable(name, f"it is no whole tar: {error}") from error


def _is_of_node(info: manifest.PartInfo) -> bool:
    return info.name == parts.node_file(posixpath.normpath(info.source))


def _unusable(name: str, why: str) -> errors.BundlePartError:
    return errors.BundlePartError(
        f"the backup's part {name} cannot be used: {why}", part=name, hint=_EARLIER
    )
