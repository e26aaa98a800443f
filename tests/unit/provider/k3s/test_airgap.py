"""The archive of k3s' own images: placed, replaced, left alone, taken away."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from provision.provider.k3s import airgap, server
from provision.provider.k3s import plan as k3s_plan
from tests.support import k3snode

ARCHIVE = "/var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst"
IMAGES, OTHER = "1" * 64, "2" * 64


def found(
    inputs: dict[str, Any], sha256: str | None, *, state: dict[str, Any] | None = None, **node: Any
) -> k3s_plan.K3sFacts:
    """A node on which k3s runs, with the archive `sha256`, if any."""
    there = {ARCHIVE: k3snode.a_file(ARCHIVE, sha256=sha256)} if sha256 else {}
    made = k3snode.k3s_node(inputs, files=there, **node)
    request = server.fact_request(inputs, state)
    return dataclasses.replace(
        made, node=dataclasses.replace(made.node, request=request), images=IMAGES
    )


def planned(sha256: str | None, state: dict[str, Any], **inputs: Any) -> list[tuple[str, str]]:
    wanted = k3snode.k3s_inputs(**inputs)
    changes = server.K3sServer().plan(found(wanted, sha256, state=state), wanted, state)
    return [(change.action, change.property) for change in changes]


@pytest.mark.parametrize(
    ("there", "state", "asked", "action"),
    [
        (None, {}, True, "create"),
        (OTHER, {}, True, "update"),
        (IMAGES, {}, True, None),
        (IMAGES, {airgap.OUTPUT: IMAGES}, True, None),
        (IMAGES, {airgap.OUTPUT: IMAGES}, False, "delete"),
        (OTHER, {airgap.OUTPUT: IMAGES}, False, None),
        (IMAGES, {}, False, None),
        (None, {airgap.OUTPUT: IMAGES}, False, None),
    ],
    ids=[
        *("absent", "another one", "the user's, the same", "placed"),
        *("placed, not asked for any more", "replaced by the user", "the user's"),
        "removed by hand",
    ],
)
def test_the_archive(there: str | None, state: dict[str, Any], asked: bool, action: str | None):
    asking = {"airgapImages": True} if asked else {}
    token = {"token": "K10x"} | state
    assert planned(there, token, **asking) == ([(action, f"files.{ARCHIVE}")] if action else [])


def test_images_of_a_version_that_does_not_run_are_not_placed():
    inputs = k3snode.k3s_inputs(airgapImages=True, managedBy="plan")
    node = found(inputs, None, version="v1.37.0+k3s1")
    assert airgap.plan(node, inputs, {}) == ()
    (said,) = airgap.remarks(node, inputs)
    assert "v1.37.0+k3s1 runs there" in said
    assert airgap.remarks(found(inputs, None), inputs) == ()


def test_a_server_without_an_archive_asks_for_none_and_has_no_output():
    inputs = k3snode.k3s_inputs()
    assert not any("airgap" in path for path in server.fact_request(inputs).files)
    node = found(inputs, None)
    assert airgap.OUTPUT not in server.K3sServer().outputs(node, inputs, {})


def test_the_folder_of_images_is_in_the_data_folder():
    inputs = k3snode.k3s_inputs(airgapImages=True, options={"data-dir": "/data/k3s"})
    assert set(airgap.paths(inputs)) == {
        f"/data/k3s/agent/images/k3s-airgap-images-{arch}.tar.zst"
        for arch in ("amd64", "arm64", "arm")
    }


@pytest.mark.parametrize("version", ["v1.36.3+k3s1", "v1.37.0+k3s1"])
def test_an_archive_of_the_users_is_never_taken_for_ours(version: str):
    """Else it would be removed once the configuration asks for none any more."""
    inputs = k3snode.k3s_inputs(airgapImages=True, managedBy="plan")
    node = found(inputs, IMAGES if version == inputs["version"] else OTHER, version=version)
    assert airgap.plan(node, inputs, {}) == ()
    kind = server.K3sServer()
    assert airgap.OUTPUT not in kind.outputs(node, inputs, {})
    assert kind.outputs(node, inputs, {airgap.OUTPUT: OTHER})[airgap.OUTPUT] == OTHER
