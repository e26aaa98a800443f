"""The configuration of a ``kubernetes`` provider resource.

Its inputs are texts: booleans and objects as JSON, as the SDK of
`pulumi_kubernetes` sends them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provision.kube import kubeconfig, normal

_REFUSED: Final = {
    "renderYamlToDirectory": "manifests are not rendered to a folder",
    "alwaysRender": "manifests are not rendered to a folder",
}
_IDENTITY: Final = ("kubeconfig", "context", "cluster")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the provider does.

    `upsert` writes over what exists, `force` takes fields from any manager.
    `kubeconfig` None means that it is not known yet (a preview before the
    cluster exists); `own` that it is a file of the user's, which may name others.
    """

    kubeconfig: str | None = field(default=None, repr=False)
    own: bool = False
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    upsert: bool = False
    force: bool = False
    delete_unreachable: bool = False


def truthy(value: Any) -> bool:
    """Return whether a setting, a boolean or JSON text of one, is on."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def problems(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what this provider cannot do of what is asked, as (property, reason)."""
    found = [
        (key, f"not supported by the embedded engine: {why}")
        for key, why in _REFUSED.items()
        if inputs.get(key) and inputs[key] not in ("false", False)
    ]
    off = inputs.get("enableServerSideApply")
    if off is not None and off is not normal.UNKNOWN and not truthy(off):
        found.append(
            (
                "enableServerSideApply",
                "the embedded engine writes with server-side apply only; leave it on",
            )
        )
    return found


def read(inputs: Mapping[str, Any]) -> Settings:
    """Return the settings of the provider's `inputs`.

    A kubeconfig may be a text or a path; without one it is the file that
    ``KUBECONFIG`` or the home folder names. Raises `errors.KubeError` when
    there is none.
    """
    given = inputs.get("kubeconfig")
    unknown = any(inputs.get(key) is normal.UNKNOWN for key in _IDENTITY)
    return Settings(
        kubeconfig=None if unknown else _text(str(given or "")),
        own=not _is_text(str(given or "")),
        context=str(inputs.get("context") or ""),
        cluster=str(inputs.get("cluster") or ""),
        namespace=str(inputs.get("namespace") or ""),
        upsert=truthy(inputs.get("upsertExistingObjects")),
        force=truthy(inputs.get("enablePatchForce")),
        delete_unreachable=truthy(inputs.get("deleteUnreachable")),
    )


def _is_text(given: str) -> bool:
    """Return whether `given` is a kubeconfig, not a path to one."""
    return "\n" in given or given.lstrip().startswith("{")


def _text(given: str) -> str:
    if _is_text(given):
        return given
    ambient = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or "~/.kube/config"
    path = Path(given or ambient).expanduser()
    try:
        return path.read_text()
    except OSError as error:
        raise kubeconfig.bad(f"{path}: {error.strerror}") from error


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the settings that differ, and those that mean another cluster.

    Where `clusterIdentifier` is given it alone decides; else a change of the
    server that the current context names. An unknown kubeconfig without an
    identifier may be another cluster.
    """
    keys = sorted(key for key in {*old, *new} if key != "version" and old.get(key) != new.get(key))
    before, after = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    if before and after:
        return keys, ["clusterIdentifier"] if before != after else []
    asked = [key for key in keys if key in _IDENTITY]
    if not asked:
        return keys, []
    unknown = any(new.get(key) is normal.UNKNOWN for key in _IDENTITY)
    if unknown or _server(old) != _server(new):
        return keys, asked
    return keys, []


def _server(inputs: Mapping[str, Any]) -> str:
    settings = read(inputs)
    if settings.kubeconfig is None:
        return ""
    endpoint = kubeconfig.parse(
        settings.kubeconfig,
        context=settings.context,
        cluster=settings.cluster,
        own=settings.own,
    )
    return endpoint.server
