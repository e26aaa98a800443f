"""The folder of k3s' programs: /opt/bin where /usr/local/bin is read-only."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
from typing import Any

import pytest

from provision.provider.k3s import binaries, service
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import server as k3s_server
from tests.support import k3snode

KIND = k3s_server.K3sServer()


def on_opt(inputs: dict[str, Any], *, empty: bool = False) -> k3s_server.K3sFacts:
    """A node whose /usr is read-only: with k3s in /opt/bin, or without k3s."""
    found = k3snode.k3s_node({**inputs, binaries.INPUT: binaries.FALLBACK})
    if not empty:
        return found
    snippets = {**found.node.snippets, "k3s-version": ""}
    bare = dataclasses.replace(found.node, files={}, commands={}, snippets=snippets)
    return dataclasses.replace(found, node=bare)


def test_everything_goes_to_the_other_folder() -> None:
    inputs = k3snode.k3s_inputs()
    properties = [one.property for one in KIND.plan(on_opt(inputs, empty=True), inputs, {})]
    for name in ("k3s", "k3s-killall.sh", "k3s-uninstall.sh", "kubectl", "crictl", "ctr"):
        assert f"files./opt/bin/{name}" in properties
    assert not [one for one in properties if "/usr/local" in one]


def test_a_server_there_is_left_alone_and_remembers_where_it_is() -> None:
    inputs = k3snode.k3s_inputs()
    found = on_opt(inputs)
    assert KIND.plan(found, inputs, {}) == ()
    outputs = KIND.outputs(found, inputs, {})
    assert outputs[binaries.INPUT] == "/opt/bin"
    at = k3s_files.places({**inputs, **outputs})
    assert at.binary == "/opt/bin/k3s"
    unit = k3s_files.render_unit(at).decode()
    assert "ExecStart=/opt/bin/k3s server" in unit and "/usr/local" not in unit
    script = k3s_files.render_uninstall(at).decode()
    assert "/opt/bin/k3s-uninstall.sh" in script and "link=/opt/bin/$name" in script
    assert "/usr/local/bin" not in script


def test_a_state_of_the_usual_folder_stays_as_it_was() -> None:
    inputs = k3snode.k3s_inputs()
    found = k3snode.k3s_node(inputs)
    assert binaries.INPUT not in KIND.outputs(found, inputs, {})
    assert k3s_files.places(inputs).binary == "/usr/local/bin/k3s"


def test_the_facts_cover_both_folders() -> None:
    request = k3s_server.fact_request(k3snode.k3s_inputs())
    for folder in binaries.FOLDERS:
        assert {f"{folder}/k3s", f"{folder}/kubectl"} <= request.files
        assert f"{folder}/k3s-uninstall.sh" in request.contents


@pytest.mark.parametrize(
    ("there", "read_only", "folder"),
    [
        ((), False, "/usr/local/bin"),
        (("opt/bin",), False, "/usr/local/bin"),
        (("opt/bin",), True, "/opt/bin"),
        ((), True, ""),
        (("opt/bin/k3s",), False, "/opt/bin"),
        (("usr/local/bin/k3s", "opt/bin"), True, "/usr/local/bin"),
    ],
)
def test_where_k3s_is_it_stays_and_else_it_goes_where_it_can_be_written(
    tmp_path: pathlib.Path, there: tuple[str, ...], read_only: bool, folder: str
) -> None:
    for path in ("usr/local", *there):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    script = binaries.snippet()[1]
    if read_only:
        script = script.replace('[ ! -w "${d:-/}" ]', "true")
    else:
        script = script.replace('[ ! -w "${d:-/}" ]', "false")
    here = script.replace("/usr/local/bin", f"{tmp_path}/usr/local/bin")
    here = here.replace("/opt/bin", f"{tmp_path}/opt/bin")
    done = subprocess.run(["/bin/sh", "-c", here], capture_output=True, text=True, check=False)
    assert done.stdout.strip().removeprefix(str(tmp_path)) == folder


def test_the_version_is_asked_of_the_program_that_is_there(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "opt/bin/k3s"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho k3s version v1.2.3+k3s1\n")
    program.chmod(0o755)
    script = service.version_snippet()[1].replace("/usr/local/bin", f"{tmp_path}/usr/local/bin")
    script = script.replace("/opt/bin", f"{tmp_path}/opt/bin")
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "k3s version v1.2.3+k3s1\n"
