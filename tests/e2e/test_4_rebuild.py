"""The node is lost with its disk; a fresh machine takes its place, and Git rebuilds the rest."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
from typing import Any

from provision.sandbox import renewal
from tests.support import lab as labs

WAIT = "k3s kubectl wait -n flux-system kustomizations --all --for=condition=Ready --timeout=120s"


def entries(path: pathlib.Path) -> dict[str, Any]:
    """Return the only cluster and user of a merged kubeconfig."""
    import yaml

    data = yaml.safe_load(path.read_text())
    assert [len(data[key]) for key in ("clusters", "users", "contexts")] == [1, 1, 1]
    return data["clusters"][0]["cluster"] | data["users"][0]["user"]


def fingerprint(line: str) -> str:
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def state(lab: labs.Lab) -> list[dict[str, Any]]:
    path = lab.folder / ".elysium/state/.pulumi/stacks/elysium" / f"{lab.cluster}.json"
    return json.loads(path.read_text())["checkpoint"]["latest"]["resources"]


def test_a_living_node_is_not_taken_for_lost(lab: labs.Lab, up: labs.Done) -> None:
    before = state(lab)
    done = lab.elysium(
        *("node", "replace", "--yes", "--host-key", fingerprint(lab.sandbox.node.host_key))
    )
    assert done.status == 2
    assert "still answers" in done.stderr and "--confirm kyrion" in done.stderr
    wrong = lab.elysium(*done.args, "--confirm", "kyrios")
    assert wrong.status == 2
    assert state(lab) == before


def test_a_lost_node_is_rebuilt(lab: labs.Lab, up: labs.Done) -> None:
    merged = pathlib.Path(lab.environ["HOME"]) / ".kube" / "config"
    lab.elysium("kubeconfig", "--merge").ok()
    lost = entries(merged)
    key = lab.forge.deploy_keys()
    old = lab.sandbox
    renewal.lose_node(old.name)
    lab.sandbox = renewal.replace_node(old.name, hostname="sirius")
    node = lab.sandbox.node
    assert node.host != old.node.host

    stranger = lab.elysium(
        *("node", "replace", "--host", node.host, "--yes"),
        *("--host-key", fingerprint(old.node.host_key)),
    )
    assert stranger.status == 4, stranger.stderr
    assert "not the pinned one" in stranger.stderr

    done = lab.elysium(
        *("node", "replace", "--host", node.host, "--yes"),
        *("--host-key", fingerprint(node.host_key)),
    ).ok()
    assert "kyrion-k3s" in done.stderr and "flux-access" in done.stderr
    left = {each["type"] for each in state(lab)}
    assert "elysium:flux:GitAccess" in left
    assert not [kind for kind in left if kind.startswith(("kubernetes:", "elysium:node:"))]

    # What the state kept is not looked for where the cluster was.
    assert '"kubeconfig"' not in json.dumps([each.get("inputs") for each in state(lab)])
    assert lab.elysium("status").status == 5

    head = lab.forge.head()
    built = lab.elysium("up", "--yes").ok()
    assert "not reachable" not in built.stderr
    lab.on_node(WAIT)
    assert [each["id"] for each in lab.forge.deploy_keys()] == [each["id"] for each in key]
    assert lab.forge.head() == head

    found = entries(merged)
    assert found["server"] == f"https://{node.host}:6443"
    for name in ("certificate-authority-data", "client-certificate-data", "client-key-data"):
        assert found[name] != lost[name]

    again = lab.elysium("up", "--yes", "--json").ok()
    summary = [event for event in again.json_lines() if event.get("event") == "summary"]
    assert set(summary[-1]["counts"]) <= {"same", "read", "refresh"}
    assert lost["server"] not in lab.elysium("kubeconfig").ok().stdout
