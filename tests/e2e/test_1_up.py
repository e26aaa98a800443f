"""`elysium up`, from a bare node to a reconciling cluster, and again."""

from __future__ import annotations

import base64
import json
import pathlib
import re

import yaml

from provision.sandbox import azure
from tests.support import coldstarts
from tests.support import lab as labs

CERTIFICATE = "etc/certs/pub-sealed-secrets.pem"


def started(lab: labs.Lab, *units: str) -> str:
    """Return when each unit last became active."""
    names = " ".join(units)
    return lab.on_node(f"systemctl show -p Id,ActiveEnterTimestampMonotonic,MainPID {names}")


def test_every_kustomization_is_ready(lab: labs.Lab, up: labs.Done) -> None:
    found = lab.kubectl("get", "kustomizations.kustomize.toolkit.fluxcd.io", "-A")["items"]
    names = {item["metadata"]["name"] for item in found}
    assert {"flux-system", "infra-controllers", "infra-configs", "apps"} <= names
    for item in found:
        conditions = {each["type"]: each["status"] for each in item["status"]["conditions"]}
        assert conditions["Ready"] == "True", item["metadata"]["name"]
    applied = {item["status"]["lastAppliedRevision"] for item in found}
    assert applied == {f"main@sha1:{lab.forge.head()}"}


def test_the_library_is_mounted(lab: labs.Lab, up: labs.Done) -> None:
    listing = lab.on_node("find /mnt/media-library -type f -printf '%P\\t%s\\n'")
    listed = dict(line.split("\t") for line in listing.splitlines())
    assert listed == {path: str(len(content)) for path, content in azure.LIBRARY.items()}
    mounts = lab.on_node("grep ' /mnt/media-library ' /proc/mounts")
    assert "fuse.rclone" in mounts


def test_the_gpu_is_allocatable(lab: labs.Lab, up: labs.Done) -> None:
    node = lab.kubectl("get", "node", lab.cluster)
    assert int(node["status"]["allocatable"]["gpu.intel.com/i915"]) == 10


READER = """\
apiVersion: v1
kind: Pod
metadata:
  name: reader
spec:
  restartPolicy: Never
  initContainers:
    - name: wait-for-library
      image: busybox:1.37
      command: [sh, -c, "until ls -A /library | grep -q .; do sleep 1; done"]
      volumeMounts: &library
        - {name: library, mountPath: /library, readOnly: true, mountPropagation: HostToContainer}
  containers:
    - name: reader
      image: busybox:1.37
      command: [sh, -c, "cat '/library/PATH'; echo; ls -l /dev/dri"]
      resources:
        limits: {gpu.intel.com/i915: "1"}
      volumeMounts: *library
  volumes:
    - name: library
      hostPath: {path: /mnt/media-library}
"""


def test_a_pod_reads_the_library_and_has_the_gpu(lab: labs.Lab, up: labs.Done) -> None:
    (path, content), *_ = azure.LIBRARY.items()
    kubectl = "k3s kubectl -n default"
    lab.on_node(f"{kubectl} apply -f -", stdin=READER.replace("PATH", path))
    done = "--for=jsonpath='{.status.phase}'=Succeeded"
    lab.on_node(f"{kubectl} wait pod/reader {done} --timeout=90s")
    said = lab.on_node(f"{kubectl} logs reader")  # what the kubelet has of it
    lab.on_node(f"{kubectl} delete pod reader")
    text, _, devices = said.partition("\ntotal")
    assert text.rstrip("\n") == content.decode().rstrip("\n")
    assert "226, 128" in " ".join(devices.split()) and "renderD128" in devices


def test_one_deploy_key_of_ours_that_may_push(lab: labs.Lab, up: labs.Done) -> None:
    keys = lab.forge.deploy_keys()
    assert [key["title"].startswith(f"elysium/{lab.cluster}/1-") for key in keys] == [True]
    assert keys[0]["read_only"] is False


def ciphertexts(lab: labs.Lab) -> set[str]:
    """Return the encrypted secrets of the state."""
    (state,) = lab.folder.glob(".elysium/state/.pulumi/stacks/*/kyrion.json")
    return set(re.findall(r'"ciphertext": "([^"]+)"', state.read_text()))


def test_a_second_up_changes_nothing(lab: labs.Lab, up: labs.Done) -> None:
    units = ("k3s.service", "mnt-media\\\\x2dlibrary.automount")
    before = started(lab, *units)
    head, calls = lab.forge.head(), len(lab.forge.calls())
    secret = lab.kubectl("get", "secret", "-n", "flux-system", "flux-system")
    sealed = ciphertexts(lab)
    done = lab.elysium("up", "--yes", "--json").ok()
    assert started(lab, *units) == before
    assert sealed and ciphertexts(lab) == sealed
    assert lab.forge.head() == head
    writes = [call for call in lab.forge.calls(calls) if call["method"] != "GET"]
    assert writes == []
    after = lab.kubectl("get", "secret", "-n", "flux-system", "flux-system")
    assert after["metadata"]["resourceVersion"] == secret["metadata"]["resourceVersion"]
    summary = [event for event in done.json_lines() if event.get("event") == "summary"]
    assert set(summary[-1]["counts"]) <= {"same", "read", "refresh"}


def test_status_says_that_all_is_well(lab: labs.Lab, up: labs.Done) -> None:
    done = lab.elysium("status").ok()
    for word in ("k3s", "deploy key", "apps", "allocatable", "/mnt/media-library"):
        assert word in done.stdout


def test_what_kubeseal_seals_for_the_certificate_in_the_repository_opens(
    lab: labs.Lab, up: labs.Done, tmp_path: pathlib.Path
) -> None:
    certificate, sealed = tmp_path / "pub.pem", tmp_path / "sealed.json"
    certificate.write_text(lab.forge.read_file(CERTIFICATE) or "")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "plex", "namespace": "media"},
        "stringData": {"claim": "from kubeseal"},
    }
    sealed.write_text(coldstarts.kubeseal(certificate, secret, "strict"))
    opened = yaml.safe_load(lab.elysium("secret", "unseal", str(sealed)).ok().stdout)
    assert base64.b64decode(opened["data"]["claim"]) == b"from kubeseal"


def test_the_kubeconfig_works_from_outside(lab: labs.Lab, up: labs.Done) -> None:
    text = lab.elysium("kubeconfig").ok().stdout
    assert f"https://{lab.sandbox.node.host}:6443" in text
    assert "127.0.0.1" not in text


def test_outputs_hide_secrets(lab: labs.Lab, up: labs.Done) -> None:
    shown = json.loads(lab.elysium("output", "--json").ok().stdout)
    assert "client-key-data" not in json.dumps(shown)
    revealed = lab.elysium("output", "kubeconfig", "--show-secrets").ok().stdout
    assert "client-key-data" in revealed
