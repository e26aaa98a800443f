"""What `elysium sandbox status` says is real, and what is stood in."""

from __future__ import annotations

from provision.sandbox import ownimages, parts


def test_what_is_real_is_named() -> None:
    assert {part.part for part in parts.real(whole=True)} >= {
        *("node", "API server", "scheduler", "kubelet", "container runtime", "CoreDNS"),
        *("kustomize-controller", "source-controller", "Sealed Secrets"),
        *("media mount", "git over SSH and HTTPS"),
    }


def test_every_placeholder_is_named_as_stood_in() -> None:
    (placeholders,) = [part for part in parts.stood_in(whole=True) if part.part == "images"]
    for image in ownimages.PLACEHOLDERS:
        assert image in placeholders.what


def test_nothing_is_both() -> None:
    for official in (False, True):
        real = {part.part for part in parts.real(whole=True, official=official)}
        assert not real & {part.part for part in parts.stood_in(whole=True, official=official)}
