"""Flux' objects as they are in clusters that other hands set up."""

from __future__ import annotations

from typing import Any

from provision.provider.flux import detection

URL = "https://github.com/me/home"


def definition(labels: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": detection.CRD, "labels": labels or {}, **metadata},
    }


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def controller(name: str, where: str, *arguments: str, **more: Any) -> dict[str, Any]:
    image = f"ghcr.io:443/fluxcd/{more.get('program', name)}:v1.9.4@sha256:0"
    container = {"name": "manager", "image": image, "args": ["--log-level=info", *arguments]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": where, "labels": more.get("labels", {})},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def repository(
    where: str, name: str, url: str = URL, *, secret: str = "", **labels: str
) -> dict[str, Any]:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": where, "labels": labels},
        "spec": {"url": url, "ref": {"branch": "main"}}
        | ({"secretRef": {"name": secret}} if secret else {}),
    }


def kustomization(
    where: str, name: str, source: str, path: str, by: tuple[str, str] = ("", "")
) -> dict[str, Any]:
    labels = {"kustomize.toolkit.fluxcd.io/namespace": by[0]} if by[0] else {}
    labels |= {"kustomize.toolkit.fluxcd.io/name": by[1]} if by[1] else {}
    home, _, of = source.rpartition("/")
    reference = {"kind": "GitRepository", "name": of} | ({"namespace": home} if home else {})
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": where, "labels": labels},
        "spec": {"path": path, "sourceRef": reference},
    }
