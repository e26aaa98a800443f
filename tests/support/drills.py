"""A drill of a datastore, and what the real places must not have heard of it."""

from __future__ import annotations

import json
import os
import pathlib

from provision.sandbox import model, node, tryout
from tests.support import lab as labs
from tests.support import night


def datastore(lab: labs.Lab, kept: pathlib.Path, folder: pathlib.Path) -> None:
    """Rehearse the datastore of `kept`; the real repository must not hear of it."""
    forge = lab.forge.with_repository("deadlocked")
    head, calls = forge.head(), len(lab.forge.calls())
    keys = {each["id"]: each["key"].split()[1] for each in forge.deploy_keys()}
    name = f"drill-{os.getpid()}"
    words = ("drill", str(kept), "--datastore", "--name", name, "--report", str(folder), "--keep")
    try:
        lab.on_node("systemctl stop k3s")  # what fetches from now on is not the real cluster
        fetched = len(lab.forge.git_log())
        done = lab.elysium("--json", *words, environ=night.PHRASE)
        assert done.status == 0, done.stdout[-4000:] + done.stderr
        (ended,) = [each for each in done.json_lines() if each.get("event") == "drilled"]
        found = json.loads(pathlib.Path(ended["files"][0]).read_bytes())
        assert found["passed"] and found["mode"] == "datastore"
        assert found["ready"] == found["kustomizations"] == 4
        assert found["equal"] == found["secrets"] - 1  # the deploy key is the sandbox's own
        assert "turn" in [each["name"] for each in found["steps"]]
        state = pathlib.Path(lab.environ["HOME"], ".local/state/elysium/sandbox")
        box = model.load(state / name / "sandbox.json")

        def on(script: str) -> str:
            return node.run(box.node, script, timeout=120).stdout

        # The real repository was read by this machine, and by nobody else; nothing was pushed.
        assert lab.forge.git_log(fetched) == [] and forge.head() == head
        assert {call["method"] for call in lab.forge.calls(calls)} == {"GET"}
        assert {each["id"] for each in forge.deploy_keys()} == set(keys)
        # What fetches in the drill has another address, another key, and no way out.
        ours = tryout.forge_of(box)
        source = json.loads(on("k3s kubectl get gitrepositories -A -o json"))["items"]
        assert box.forge is not None
        assert [f":{box.forge.ssh_port}/" in each["spec"]["url"] for each in source] == [True]
        assert [box.forge.ssh_host in each["spec"]["url"] for each in source] == [True]
        mine = {each["key"].split()[1] for each in ours.deploy_keys()}
        assert len(mine) == 1 and not mine & set(keys.values())
        real = lab.sandbox.node.host
        for host in (real, "192.0.2.1"):
            said = on(f"timeout 3 bash -c 'echo >/dev/tcp/{host}/22' 2>&1 && echo reached || true")
            assert "reached" not in said
    finally:
        lab.elysium("sandbox", "down", "--name", name).ok()
        lab.on_node("systemctl start k3s")
