"""Flux' component manifests: read, ordered, taken from a file or from the pinned release.

The header is Flux' own (``flux install --export``): version and components in
comments, which its later bootstraps and update workflows read.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import errors
from provision.gitops import documents
from provision.provider.context import Context

Object = dict[str, Any]

_VERSION = re.compile(r"^# Flux Version: *(\S+)", re.MULTILINE)
_COMPONENTS = re.compile(r"^# Components: *(\S.*)$", re.MULTILINE)
_EXPORT_TIMEOUT = 60
_DEFAULT = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a components file says of itself."""

    version: str
    components: tuple[str, ...]


def read_header(text: str) -> Header:
    """Return version and components of a components file, from its objects without a header."""
    version = _VERSION.search(text)
    components = _COMPONENTS.search(text)
    if version and components:
        names = [name.strip() for name in components[1].split(",")]
        return Header(version=version[1], components=tuple(name for name in names if name))
    found = [obj for obj in objects(text, "the components file") if obj["kind"] == "Deployment"]
    labels: list[str] = []
    for obj in found:
        labelled = documents.mapping(obj["metadata"].get("labels"))
        label = labelled.get("app.kubernetes.io/version")
        if label:
            labels.append(str(label))
    return Header(
        version=version[1] if version else (labels[0] if labels else ""),
        components=tuple(str(obj["metadata"]["name"]) for obj in found),
    )


def with_header(text: str, version: str, components: Sequence[str]) -> str:
    """Return `text` with Flux' header, unless it has one."""
    if _VERSION.search(text) and _COMPONENTS.search(text):
        return text
    head = f"# Flux Version: {version}\n# Components: {','.join(components)}\n"
    body = text if text.lstrip().startswith("---") else f"---\n{text}"
    return f"---\n# This manifest holds Flux' components.\n{head}{body}"


def objects(text: str, where: str) -> list[Object]:
    """Return the Kubernetes objects of `text`.

    Raises `errors.GitOpsError` with file and line for what is none.
    """
    problems: list[errors.Problem] = []
    found = documents.read_text(text, where, problems)
    for doc in found:
        texts = (
            doc.obj.get("apiVersion"),
            doc.obj.get("kind"),
            documents.mapping(doc.obj.get("metadata")).get("name"),
        )
        if not all(isinstance(text, str) and text for text in texts):
            problems.append(errors.Problem(message="no Kubernetes object", where=doc.where))
    if problems:
        raise errors.GitOpsError(f"{where} does not hold Flux' components", problems)
    return [doc.obj for doc in found]


def in_stages(found: Iterable[Mapping[str, Any]]) -> tuple[list[Object], list[Object]]:
    """Return namespaces and CRDs, which must be there first, and the rest in its order."""
    first: list[Object] = []
    rest: list[Object] = []
    for obj in found:
        early = obj["kind"] in ("Namespace", "CustomResourceDefinition")
        (first if early else rest).append(dict(obj))
    first.sort(key=lambda obj: obj["kind"] != "Namespace")
    return first, rest


def without_sync(found: Iterable[Object]) -> list[Object]:
    """Leave out GitRepository and Kustomization: they come when the deploy key is there."""
    return [
        obj
        for obj in found
        if not (
            obj["kind"] in ("GitRepository", "Kustomization")
            and str(obj["apiVersion"]).partition("/")[0].endswith(".toolkit.fluxcd.io")
        )
    ]


def deployments(found: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the Deployments among `found`."""
    return tuple(obj["metadata"]["name"] for obj in found if obj["kind"] == "Deployment")


def from_file(path: str) -> str:
    """Return the components file that the configuration names.

    Raises `errors.ConfigError` when it cannot be read.
    """
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise errors.ConfigError(
            "the Flux components file cannot be read",
            [errors.Problem(message=str(error), where=path, key="flux.manifests")],
        ) from error


def export_arguments(version: str, components: Sequence[str], namespace: str) -> list[str]:
    """Return the command line of ``flux install --export`` for exactly `components`.

    Flux sorts them into its default ones and extras, and refuses an extra
    among the components.
    """
    usual = [name for name in components if name in _DEFAULT]
    extra = [name for name in components if name not in _DEFAULT]
    arguments = [
        "install",
        "--export",
        f"--version={version}",
        f"--namespace={namespace}",
        f"--components={','.join(usual)}",
    ]
    if extra:
        arguments.append(f"--components-extra={','.join(extra)}")
    return arguments


def _architecture() -> str:
    """Return the architecture of this machine as releases name it: flux runs here."""
    if platform.system() != "Linux":
        raise errors.ArtifactError(
            f"the flux program is only fetched for Linux, and this is {platform.system()}",
            hint="export the components elsewhere and give the file: flux.manifests",
        )
    machine = platform.machine().lower()
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
    return names.get(machine, machine)


def from_release(ctx: Context, version: str, components: Sequence[str], namespace: str) -> str:
    """Return what the pinned flux release exports. The download's sha256 is checked.

    Raises `errors.ArtifactError` when it cannot be had or does not answer.
    """
    from provision.artifacts import catalog

    program = ctx.artifacts().fetch(catalog.flux(version), _architecture(), progress=ctx.progress)
    ctx.progress(f"exporting the manifests of Flux {version}")
    environment = {"PATH": os.defpath, "HOME": "/nonexistent", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [str(program), *export_arguments(version, components, namespace)],
            capture_output=True,
            text=True,
            timeout=_EXPORT_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.ArtifactError(
            f"the flux program of {version} does not run here",
            detail=str(error),
            hint="give the components as a file: flux.manifests",
        ) from error
    if done.returncode != 0 or "kind: Deployment" not in done.stdout:
        raise errors.ArtifactError(
            f"flux {version} did not export its manifests",
            detail=done.stderr or done.stdout,
            hint="check flux.version and flux.components, or give a file: flux.manifests",
        )
    return done.stdout
