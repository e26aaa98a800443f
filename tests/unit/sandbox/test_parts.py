"""What `elysium sandbox status` says is real, and what is stood in."""

from __future__ import annotations

import re

from provision.sandbox import goparts, ownimages, parts

NAMED = {
    "k3s": "k3s",
    "kubectl": "k3s",
    "crictl": "k3s",
    "ctr": "k3s",
    "flux": "flux",
    "notification-controller": "notification-controller",
    "image-reflector-controller": "image reflector, image automation",
    "image-automation-controller": "image reflector, image automation",
    "registry": "registry",
    "intel_gpu_device_plugin": "Intel's device plugin",
}
"""The part of ``sandbox status`` that names each program of the stand-in."""


def programs() -> set[str]:
    """Return the programs that the stand-in plays."""
    text = (goparts.GOLANG / "cmd/standin/main.go").read_text()
    table = text.partition("map[string]part{\n")[2].partition("\n}\n")[0]
    return {line.partition(":")[0].strip().strip('"') for line in table.splitlines()}


def test_what_is_real_is_named() -> None:
    assert {part.part for part in parts.real(whole=True)} >= {
        *("node", "API server", "scheduler", "kubelet", "container runtime", "CoreDNS"),
        *("local-path-provisioner", "metrics-server"),
        *("kustomize-controller", "source-controller", "Sealed Secrets"),
        *("media mount", "git over SSH and HTTPS"),
    }


def test_the_controller_over_helm_is_named_as_stood_in() -> None:
    assert "helm-controller" in {part.part for part in parts.stood_in(whole=True)}


def test_every_placeholder_is_named_as_stood_in() -> None:
    (placeholders,) = [part for part in parts.stood_in(whole=True) if part.part == "images"]
    for image in ownimages.PLACEHOLDERS:
        assert image in placeholders.what


def test_nothing_is_both() -> None:
    for official in (False, True):
        real = {part.part for part in parts.real(whole=True, official=official)}
        assert not real & {part.part for part in parts.stood_in(whole=True, official=official)}


def test_each_program_of_the_stand_in_is_named() -> None:
    assert programs() == NAMED.keys()
    assert set(NAMED.values()) <= {part.part for part in parts.stood_in(whole=True)}


def test_the_readme_of_the_stand_in_describes_each_program() -> None:
    text = (goparts.GOLANG / "README.md").read_text()
    for name in programs() - {"kubectl", "crictl", "ctr"}:
        assert re.search(rf"\*\*{name}\*\*", text), name


def test_official_releases_leave_three_stood_in() -> None:
    stood_in = {part.part for part in parts.stood_in(whole=True, official=True)}
    assert stood_in == {"GPU", "Azure Blob storage", "GitHub"}
