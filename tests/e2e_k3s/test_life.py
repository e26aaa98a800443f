"""The life of a server, in order: the same on the sandbox's k3s and on a real one.

A real one is skipped unless `k3sprograms.VARIABLE` names it.
"""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest
import yaml

from provision.sandbox import renewal
from tests.support import coldstarts, k3sprograms, night
from tests.support import lab as labs

STARTED = "systemctl show -p ActiveEnterTimestampMonotonic -p NRestarts k3s.service"
SAVES = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: saves, namespace: default}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: local-path
  resources: {{requests: {{storage: 1Mi}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: game, namespace: default}}
spec:
  restartPolicy: Never
  containers:
    - name: game
      image: {image}
      command: [sh, -c, "echo level 9 >/saves/save"]
      volumeMounts: [{{name: saves, mountPath: /saves}}]
  volumes:
    - {{name: saves, persistentVolumeClaim: {{claimName: saves}}}}
"""
NOTHING = {"same", "read", "refresh"}


def nothing_left(lab: labs.Lab) -> None:
    """See that a second run changes nothing, and that the server is not restarted for it."""
    started = lab.on_node(STARTED)
    assert labs.counted(lab.elysium("up", "--yes", "--json").ok()) <= NOTHING
    assert lab.on_node(STARTED) == started


def all_ready(lab: labs.Lab) -> None:
    coldstarts.until(lambda: coldstarts.ready(lab) == night.ALL, "every Kustomization Ready")


@pytest.fixture(scope="module")
def kept(lab: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A backup with the datastore, elsewhere."""
    made = lab.elysium("--json", "backup", "--datastore", environ=night.PHRASE).ok()
    name = made.json_lines()[-1]["path"]
    lab.elysium("backup", "verify", name, environ=night.PHRASE).ok()
    return pathlib.Path(shutil.copy(name, tmp_path_factory.mktemp("stick")))


def test_first_up(lab: labs.Lab, before: dict[str, str], programs: k3sprograms.Programs) -> None:
    lab.elysium("up", "--yes").ok()
    running = lab.on_node("k3s --version")
    assert programs.versions[0] in running
    assert ("stand-in" in running) is not programs.real, running
    all_ready(lab)
    lab.elysium("status").ok()


def test_a_claim_gets_a_folder_and_loses_it(lab: labs.Lab) -> None:
    config = lab.kubectl("get", "configmap", "local-path-config", "-n", "kube-system")["data"]
    image = yaml.safe_load(config["helperPod.yaml"])["spec"]["containers"][0]["image"]
    lab.on_node("k3s kubectl apply -f -", stdin=SAVES.format(image=image))
    coldstarts.until(
        lambda: lab.kubectl("get", "pod", "game")["status"]["phase"] == "Succeeded", "the pod ends"
    )
    (volume,) = lab.kubectl("get", "pv")["items"]
    path = volume["spec"]["local"]["path"]
    claim = lab.kubectl("get", "pvc", "saves")
    name = f"pvc-{claim['metadata']['uid']}"
    assert path == f"/var/lib/rancher/k3s/storage/{name}_default_saves"
    assert volume["metadata"]["name"] == name
    annotations = volume["metadata"]["annotations"]
    assert annotations["pv.kubernetes.io/provisioned-by"] == "rancher.io/local-path"
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    (node,) = lab.kubectl("get", "nodes")["items"]
    hostname = node["metadata"]["labels"]["kubernetes.io/hostname"]
    expected = {"key": "kubernetes.io/hostname", "operator": "In", "values": [hostname]}
    assert term["matchExpressions"] == [expected]
    assert lab.on_node(f"cat {path}/save") == "level 9\n"
    modes = lab.on_node(f"stat -c %a {path} /var/lib/rancher/k3s/storage")
    assert modes.split() == ["777", "700"]

    lab.on_node("k3s kubectl delete pod/game pvc/saves --timeout=60s")
    coldstarts.until(lambda: not lab.kubectl("get", "pv")["items"], "the volume is removed")
    assert lab.on_node("ls /var/lib/rancher/k3s/storage") == ""


def test_the_kubelet_is_measured(lab: labs.Lab) -> None:
    (node,) = lab.kubectl("get", "nodes")["items"]
    name = node["metadata"]["name"]

    def measured() -> bool:
        text = lab.on_node("k3s kubectl top nodes --no-headers 2>&1 || true")
        return re.fullmatch(rf"{name} +\d+m +\d+% +[1-9]\d*Mi +\d+% *\n", text) is not None

    coldstarts.until(measured, "kubectl top nodes answers")


def test_second_up(lab: labs.Lab) -> None:
    nothing_left(lab)


def test_a_change_of_the_configuration(lab: labs.Lab) -> None:
    lab.elysium("config", "set", "k3s.options", '{"node-label": ["tried=yes"]}').ok()
    lab.elysium("up", "--yes").ok()
    (found,) = lab.kubectl("get", "nodes")["items"]
    assert found["metadata"]["labels"]["tried"] == "yes"
    nothing_left(lab)


def test_an_upgrade(lab: labs.Lab, programs: k3sprograms.Programs) -> None:
    if len(programs.versions) < 2:
        pytest.skip(f"{k3sprograms.VARIABLE} names one program")
    lab.elysium("config", "set", "k3s.version", programs.versions[-1]).ok()
    lab.elysium("up", "--yes").ok()
    (found,) = lab.kubectl("get", "nodes")["items"]
    assert found["status"]["nodeInfo"]["kubeletVersion"] == programs.versions[-1]
    nothing_left(lab)


@pytest.mark.parametrize("credential", ["deploy-key", "k3s-token", "kubeconfig"])
def test_a_rotation(lab: labs.Lab, credential: str) -> None:
    lab.elysium("rotate", credential, "--yes").ok()
    # After a restart of the kubelet, metrics-server is ready with the second measurement.
    coldstarts.until(lambda: lab.elysium("status").status == 0, "all is as it should be")
    nothing_left(lab)


def test_a_node_that_lost_its_power(lab: labs.Lab) -> None:
    lab.sandbox = renewal.move_node(lab.sandbox.name, moved=False)
    coldstarts.until(
        lambda: lab.on_node("systemctl is-active k3s", check=False).strip() == "active",
        "k3s runs again",
    )
    lab.elysium("up", "--yes").ok()  # waits for the pods, which start again
    nothing_left(lab)
    all_ready(lab)


def test_a_restore_of_the_datastore(
    lab: labs.Lab,
    kept: pathlib.Path,
    programs: k3sprograms.Programs,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    secrets = night.secrets(lab)
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    k3sprograms.prepare(lab, programs)
    k3sprograms.give_images(lab, programs)
    node = lab.sandbox.node
    fresh = night.elsewhere(lab, tmp_path_factory.mktemp("elsewhere"))
    where = ("--host", node.host, "--host-key", node.host_key, "--yes", *night.trusting(lab))
    restored = ("restore", str(kept), "--datastore", *where)
    fresh.elysium(*restored, environ=night.PHRASE).ok()
    assert night.secrets(fresh) == secrets
    all_ready(fresh)
    lab.folder, lab.environ = fresh.folder, fresh.environ  # where the stack is from now on
    nothing_left(lab)


def test_the_node_is_left_as_it_was(lab: labs.Lab, before: dict[str, str]) -> None:
    lab.elysium("destroy", "--yes").ok()
    after = labs.files(lab)
    changed = {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    assert changed == {}
    assert lab.forge.with_repository("deadlocked").deploy_keys() == []
