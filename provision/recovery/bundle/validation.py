"""Whether the parts of a bundle can be used: checked before anything is done with one.

Checksums say that a part is what was written; this says that what was written
is what a restore needs. A backup is checked so before it counts, and again
whenever it is verified, restored or rehearsed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pydantic

from provision import errors
from provision.artifacts import pins
from provision.config_file import document, tree
from provision.gitops.sealing import keys as sealing_keys
from provision.recovery.bundle import archive, datastore, inventory, parts, paths

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
    _node_parts(found)
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
    """Check that the tar is whole, and holds nothing but what ``backup.paths`` names."""
    try:
        users_files(found)
    except paths.PathError as error:
        raise errors.BundlePartError(
            f"the backup's part {name} cannot be used: {error}",
            part=name,
            hint="elysium restore --without-paths goes on without these files; "
            f"elysium backup extract FILE {name} --to DIR gets them out",
        ) from error
    except paths.BROKEN as error:
        raise _unusable(name, f"it is no whole tar: {error}") from error


def users_files(found: archive.Bundle) -> list[paths.Member]:
    """Return the members of ``backup.paths`` in a bundle, each checked; none without that part.

    Raises `ValueError` and what else `paths.BROKEN` lists.
    """
    if parts.PATHS not in found.contents:
        return []
    listed = _values(found).get("backup", {}).get("paths")
    allowed = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    return paths.read(found.read(parts.PATHS), allowed)


def _node_parts(found: archive.Bundle) -> None:
    """Check that every file of the node is one that elysium puts into a backup, at its place.

    A part of another name is no file of the node: nothing is done with it.
    """
    options = _values(found).get("k3s", {}).get("options")
    options = options if isinstance(options, dict) else {}
    for info in found.manifest.parts:
        of_node = info.name.partition("/")[0] == parts.NODE
        if not (of_node or info.source or info.kind):
            continue
        if info.name != parts.node_file(info.source) or not info.kind:
            raise _unusable(info.name, "elysium writes no such part")
        if paths.kind_of(info.source, options) != info.kind:
            raise _unusable(
                info.name, f"its place on the node is not one of a backup: {info.source!r}"
            )
        if info.mode & ~0o777:
            raise _unusable(info.name, f"its mode {info.mode:o} has more than permissions")


def _values(found: archive.Bundle) -> dict[str, Any]:
    """Return the configuration in a bundle, without its secrets."""
    name = parts.stack_file(found.manifest.cluster)
    try:
        parsed = document.parse_text(
            Path(f"Pulumi.{found.manifest.cluster}.yaml"), found.read(name).decode()
        )
        values = tree.build(parsed, None).values
    except (errors.ConfigError, UnicodeDecodeError) as error:
        raise _unusable(name, "it is no configuration") from error
    return {key: value for key, value in values.items() if isinstance(value, dict)}


def _unusable(name: str, why: str) -> errors.BundlePartError:
    return errors.BundlePartError(
        f"the backup's part {name} cannot be used: {why}", part=name, hint=_EARLIER
    )
