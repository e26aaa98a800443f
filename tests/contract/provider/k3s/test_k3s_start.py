"""A k3s that dies after READY, answers late, and brings components that fail."""

from __future__ import annotations

import time

import pytest

from provision import errors
from provision.kube import client
from provision.operations import workloads
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import server as k3s_server
from provision.provider.k3s import token as k3s_token

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("option", "argument"),
    [("kubelet-arg", "bogus=1"), ("kube-proxy-arg", "bogus=1")],
    ids=["status 0", "status 1"],
)
def test_a_k3s_that_dies_after_ready_ends_the_wait_with_its_error(
    box, converge, option: str, argument: str
) -> None:
    state = converge(box.inputs())[1]
    began = time.monotonic()
    with pytest.raises(errors.WaitError, match="unknown flag: --bogus") as caught:
        converge(box.inputs(options={option: [argument]}, startTimeout=300), state)
    assert time.monotonic() - began < 150
    assert "crashes when it is started" in caught.value.summary
    assert converge(box.inputs(), state)[0][-1].endswith("units.k3s.service")


def test_components_that_cannot_be_pulled_are_reported(box, converge) -> None:
    inputs = box.inputs(
        options={"system-default-registry": "registry.invalid"}, disable=["traefik"]
    )
    state = converge(inputs)[1]

    def look(kubeconfig: str) -> workloads.Finding:
        with client.KubeClient.from_kubeconfig(kubeconfig) as kube:
            return workloads.check(kube, ["traefik"])[0]

    def until(health: str, kubeconfig: str) -> workloads.Finding:
        deadline = time.monotonic() + 60
        while (found := look(kubeconfig)).health != health:
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        return found

    found = until("failed", state["kubeconfig"])
    deadline = time.monotonic() + 60
    while "ImagePullBackOff" not in str(found.problems):
        assert time.monotonic() < deadline, found
        found = look(state["kubeconfig"])
    assert len(found.problems) == 3 and dict(found.facts)["Traefik"] == "disabled"
    state = converge(box.inputs(), state)[1]
    until("ok", state["kubeconfig"])


def test_the_token_of_a_server_with_a_folder_of_its_own_is_rotated_once(
    box, world, converge
) -> None:
    k3s_server.K3sServer().delete(world, box.inputs(), converge(box.inputs())[1])
    options = {"data-dir": "/srv/k3s-data"}
    inputs = box.inputs(options=options)
    state = converge(inputs)[1]
    try:
        old = state["token"]
        rotated = converge(inputs | {"tokenRotation": "1"}, state)[1]
        assert rotated["token"] != old
        before = k3s_files.places(inputs).token_before
        assert box.on(f"cat {before}") == old
        k3s_token.rotate(world.session, inputs)
        assert box.on("cat /srv/k3s-data/server/token") == rotated["token"], "no second rotation"
        taken = k3s_token.accepted(rotated["kubeconfig"], rotated["token"])
        assert taken == {"server": True, "node": True}
        refused = k3s_token.accepted(rotated["kubeconfig"], old)
        assert refused == {"server": False, "node": False}
        k3s_token.finish(world.session, inputs)
        assert box.on(f"ls {before}*", check=False) == ""
        assert old.rpartition(":")[2] not in box.on("journalctl --no-pager -o cat")
    finally:
        k3s_server.K3sServer().delete(world, inputs, state)
