"""status, output, kubeconfig and config: what is printed where."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from provision import config_file, errors
from provision.cli import kubeconfigs
from provision.secret import Secret

K3S = """\
apiVersion: v1
kind: Config
clusters:
- name: default
  cluster:
    server: https://192.168.1.5:6443
    certificate-authority-data: Q0E=
users:
- name: default
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
contexts:
- name: default
  context: {cluster: default, user: default}
current-context: default
"""

MINE = """\
# my own clusters
apiVersion: v1
kind: Config
clusters:
  - name: work  # do not touch
    cluster: {server: https://work:6443}
  - name: kyrion
    cluster: {server: https://old:6443, certificate-authority-data: b2xk}
users:
  - name: work
    user: {token: abc}
contexts:
  - name: work
    context: {cluster: work, user: work}
current-context: work
preferences: {}
"""


def load(path: Path) -> dict:
    return YAML(typ="safe").load(path)


def status(*healths: str) -> object:
    from provision.operations import status as operations_status

    sections = tuple(
        operations_status.Section(
            title=f"part {i}",
            health=health,  # type: ignore[arg-type]
            facts=(("version", "v1"), ("unit", "k3s.service")),
            problems=() if health == "ok" else ("k3s.service is stopped",),
        )
        for i, health in enumerate(healths)
    )
    return operations_status.Status(
        cluster="kyrion", last_up="2026-08-01T10:00:00Z", sections=sections
    )


def test_only_what_up_repairs_is_left_to_up(call, operations):
    found = status("drift", "failed")
    drift, failed = found.sections  # type: ignore[attr-defined]
    failed = dataclasses.replace(failed, hints=("flux resume helmrelease x -n media",))
    operations.sections = dataclasses.replace(found, sections=(failed,))  # type: ignore[type-var]
    outcome = call("status")
    assert outcome.code == 5
    assert "→ flux resume helmrelease x -n media" in outcome.out
    assert "repairs it" not in outcome.out
    operations.sections = dataclasses.replace(found, sections=(drift, failed))  # type: ignore[type-var]
    outcome = call("status")
    assert "elysium up repairs it. What is after → is for you to do." in outcome.out


def test_status_of_a_healthy_cluster(call, operations):
    operations.sections = status("ok", "ok")
    outcome = call("status")
    assert outcome.code == 0
    assert "✓ part 0" in outcome.out
    assert "version  v1" in outcome.out
    assert "none yet: elysium backup makes one" in outcome.out
    assert "kyrion: all is as it should be. Last change: 2026-08-01T10:00:00Z." in outcome.out


def test_status_with_differences(call, operations):
    operations.sections = status("ok", "drift", "failed", "unknown")
    outcome = call("status")
    assert outcome.code == 5
    assert "~ part 1  differs" in outcome.out
    assert "✗ part 2  failed" in outcome.out
    assert "k3s.service is stopped" in outcome.out
    assert "3 of 5 not as it should be" in outcome.out


def test_why_nothing_was_looked_at_is_told_once(call, operations):
    found = status("unknown", "unknown", "drift")
    one, other, drift = found.sections  # type: ignore[attr-defined]
    problem, hint = "not checked: 192.0.2.7 does not answer", "check its SSH server"
    sections = [
        dataclasses.replace(each, facts=(), problems=(problem,), hints=(hint,))
        for each in (one, other)
    ]
    operations.sections = dataclasses.replace(found, sections=(*sections, drift))  # type: ignore[type-var]
    outcome = call("status")
    assert outcome.out.count(problem) == 1 and outcome.out.count(f"→ {hint}") == 1
    assert "? part 1  not known\n    not checked, as above" in outcome.out
    data = json.loads(call("status", "--json").out)
    assert [each["problems"] for each in data["sections"][:2]] == [[problem], [problem]]
    operations.sections = dataclasses.replace(found, sections=tuple(sections))  # type: ignore[type-var]
    assert "repairs it" not in call("status").out


def test_status_before_the_first_up(call, operations):
    operations.sections = status()
    assert "nothing was set up yet" in call("status").out


def test_status_as_json(call, operations):
    operations.sections = status("drift")
    outcome = call("status", "--json")
    assert outcome.code == 5
    data = json.loads(outcome.out)
    assert data["cluster"] == "kyrion"
    assert data["ok"] is False
    assert data["sections"][0]["health"] == "drift"


def test_outputs_are_masked_unless_asked_for(call, operations):
    hidden = call("output")
    assert "kubeconfig: ***" in hidden.out
    assert "k3sVersion: v1.36.3+k3s1" in hidden.out
    assert '"flux-system"' in hidden.out
    assert "c2VjcmV0" not in hidden.out
    assert "c2VjcmV0" in call("output", "--show-secrets").out
    assert call("output", "kubeconfig").out == "***\n"
    assert call("output", "k3sVersion").out == "v1.36.3+k3s1\n"
    assert json.loads(call("output", "--json").out)["kubeconfig"] == "***"
    assert json.loads(call("output", "kustomizations", "--json").out)[1] == {"name": "apps"}


def test_an_output_that_is_not_there(call, operations):
    outcome = call("output", "nope")
    assert outcome.code == 2
    assert "there are: cluster, nodeName" in outcome.err
    operations.values.clear()
    assert "elysium up makes some" in call("output", "nope").err


@pytest.fixture
def kube(operations, folder, monkeypatch):
    operations.kubeconfig_text = K3S
    path = folder / "home" / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_kubeconfig_is_printed_under_the_clusters_name(call, kube):
    data = YAML(typ="safe").load(call("kubeconfig").out)
    assert data["current-context"] == "kyrion"
    for section in ("clusters", "users", "contexts"):
        assert [entry["name"] for entry in data[section]] == ["kyrion"]
    assert data["contexts"][0]["context"] == {"cluster": "kyrion", "user": "kyrion"}
    assert data["users"][0]["user"]["client-key-data"] == "S0VZ"
    assert YAML(typ="safe").load(call("kubeconfig", "--context", "x").out)["current-context"] == "x"


def test_merge_makes_a_new_file(call, kube):
    outcome = call("kubeconfig", "--merge")
    assert outcome.code == 0
    assert outcome.out == f"kubectl --context kyrion --kubeconfig {kube} get nodes\n"
    assert "S0VZ" not in outcome.out + outcome.err
    assert stat.S_IMODE(kube.stat().st_mode) == 0o600
    assert load(kube)["current-context"] == "kyrion"
    assert [p.name for p in kube.parent.iterdir()] == ["config"]


def test_merge_replaces_what_is_stale_and_leaves_the_rest(call, kube):
    kube.parent.mkdir()
    kube.write_text(MINE)
    outcome = call("kubeconfig", "--merge")
    assert outcome.code == 0
    text, data = kube.read_text(), load(kube)
    assert "# my own clusters" in text
    assert "# do not touch" in text
    assert "https://old:6443" not in text
    assert [c["name"] for c in data["clusters"]] == ["work", "kyrion"]
    assert [c["name"] for c in data["users"]] == ["work", "kyrion"]
    assert data["current-context"] == "work"
    assert stat.S_IMODE(kube.stat().st_mode) == 0o600
    backup = kube.with_name("config.elysium-backup")
    assert backup.read_text() == MINE
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert str(backup) in outcome.err

    again = call("kubeconfig", "--merge")
    assert "already" in again.err
    assert kube.read_text() == text
    assert backup.read_text() == MINE

    assert call("kubeconfig", "--merge", "--use").code == 0
    assert load(kube)["current-context"] == "kyrion"


def test_merge_removes_duplicates_of_the_name(call, kube):
    kube.parent.mkdir()
    kube.write_text(MINE.replace("name: work  # do not touch", "name: kyrion"))
    call("kubeconfig", "--merge")
    assert [c["name"] for c in load(kube)["clusters"]] == ["kyrion"]


@pytest.mark.parametrize("text", ["", "{}", "apiVersion: v1\nclusters: null\n"])
def test_merge_into_an_empty_file(call, kube, text):
    kube.parent.mkdir()
    kube.write_text(text)
    assert call("kubeconfig", "--merge").code == 0
    assert load(kube)["current-context"] == "kyrion"
    assert load(kube)["kind"] == "Config"


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "cannot be read"), ("- a", "cannot be read"), ("clusters: x", "is no kubeconfig")],
)
def test_merge_into_something_else_is_refused(call, kube, text, message):
    kube.parent.mkdir()
    kube.write_text(text)
    outcome = call("kubeconfig", "--merge")
    assert outcome.code == 2
    assert message in outcome.err
    assert kube.read_text() == text
    assert [p.name for p in kube.parent.iterdir()] == ["config"]


def test_merge_while_kubectl_writes(call, kube, monkeypatch):
    monkeypatch.setattr(kubeconfigs, "_PATIENCE", 0.2)
    kube.parent.mkdir()
    lock = kube.with_name("config.lock")
    lock.touch()
    outcome = call("kubeconfig", "--merge")
    assert outcome.code == 2
    assert "another program is changing" in outcome.err
    assert lock.exists()
    assert not kube.exists()


def test_merge_waits_while_kubectl_writes(call, kube):
    kube.parent.mkdir()
    lock = kube.with_name("config.lock")
    lock.touch()
    threading.Timer(0.5, lock.unlink).start()
    assert call("kubeconfig", "--merge").code == 0
    assert kube.exists() and not lock.exists()


def test_a_stale_lock_of_kubectl_is_recognised_and_left(call, kube, monkeypatch):
    monkeypatch.setattr(kubeconfigs, "_PATIENCE", 0.2)
    kube.parent.mkdir()
    lock = kube.with_name("config.lock")
    lock.touch()
    os.utime(lock, (0, time.time() - 3600))
    outcome = call("kubeconfig", "--merge")
    assert outcome.code == 2
    assert f"{lock} is stale" in outcome.err and f"rm {lock}" in outcome.err
    assert lock.exists() and not kube.exists()


def test_a_lock_that_a_killed_run_of_elysium_left_is_removed(call, kube):
    kube.parent.mkdir()
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock = kube.with_name("config.lock")
    lock.write_text(f"elysium {ended.pid} {platform.node()}\n")
    assert call("kubeconfig", "--merge").code == 0
    assert kube.exists() and not lock.exists()


def test_the_lock_of_a_run_that_goes_on_is_left(call, kube, monkeypatch):
    monkeypatch.setattr(kubeconfigs, "_PATIENCE", 0.2)
    kube.parent.mkdir()
    lock = kube.with_name("config.lock")
    lock.write_text(f"elysium {os.getpid()} {platform.node()}\n")
    assert call("kubeconfig", "--merge").code == 2
    assert lock.exists()


def test_merge_goes_to_the_first_file_that_is_there(call, kube, monkeypatch):
    other = kube.with_name("other")
    other.parent.mkdir()
    other.write_text("")
    monkeypatch.setenv("KUBECONFIG", f":{kube}:{other}")
    call("kubeconfig", "--merge")
    assert not kube.exists()
    assert load(other)["current-context"] == "kyrion"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setattr(Path, "home", lambda: kube.parent)
    call("kubeconfig", "--merge")
    assert (kube.parent / ".kube" / "config").exists()


@pytest.mark.parametrize(
    "text", ["", "{}", "current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]"]
)
def test_a_stack_with_a_broken_kubeconfig(call, kube, operations, text):
    operations.kubeconfig_text = text
    outcome = call("kubeconfig")
    assert outcome.code == 7
    assert "the stack's kubeconfig cannot be used" in outcome.err


def test_config_show_has_defaults_and_no_secret(call, folder, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    assert call("config", "set", "--secret", "github.token", stdin="ghp_canary\n").code == 0
    outcome = call("config", "show")
    data = YAML(typ="safe").load(outcome.out)
    assert data["k3s"]["version"].startswith("v1.")
    assert data["github"]["token"] == "***"
    assert "canary" not in outcome.out
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    assert json.loads(call("config", "show", "--json").out) == data


def test_config_set(call, folder):
    outcome = call("config", "set", "nodes[0].port", "2222")
    assert outcome.code == 0
    assert "nodes[0].port is set in Pulumi.kyrion.yaml" in outcome.err
    assert "port: 2222" in (folder / "Pulumi.kyrion.yaml").read_text()
    assert call("config", "set", "github.branch", stdin="release\n").code == 0
    assert "branch: release" in (folder / "Pulumi.kyrion.yaml").read_text()
    outcome = call("config", "set", "nodes[0].prot", "22")
    assert outcome.code == 2
    assert "did you mean 'port'?" in outcome.err
    assert "neither VALUE nor on stdin" in call("config", "set", "github.branch").err


def test_config_set_secret(call, folder, monkeypatch):
    path = folder / "Pulumi.kyrion.yaml"
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    outcome = call("config", "set", "--secret", "github.token", "ghp_canary")
    assert outcome.code == 2
    assert "does not go on the command line" in outcome.err
    assert "canary" not in path.read_text()
    outcome = call("config", "set", "--secret", "github.token", answers="ghp_canary\n")
    assert outcome.code == 0
    assert "canary" not in outcome.out + outcome.err + path.read_text()
    project = config_file.find_project(folder)
    environ = {"PULUMI_CONFIG_PASSPHRASE": "correct horse"}
    loaded = config_file.load(path, config_file.stack_crypter(project, "kyrion", environ))
    assert loaded.github.token == Secret("ghp_canary")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    outcome = call("config", "set", "--secret", "github.token", stdin="x")
    assert outcome.code == 7
    assert "passphrase is wrong" in outcome.err


def test_config_set_secret_without_a_passphrase(call, folder):
    outcome = call("config", "set", "--secret", "github.token", stdin="ghp_canary\n")
    assert outcome.code == 7
    assert "set PULUMI_CONFIG_PASSPHRASE" in outcome.err


def test_config_validate(call, folder, monkeypatch):
    outcome = call("config", "validate")
    assert outcome.code == 0
    assert outcome.out == "Pulumi.kyrion.yaml is right\n"
    assert "encrypted values are not checked" in outcome.err
    path = folder / "Pulumi.kyrion.yaml"
    path.write_text(path.read_text() + "    token: ghp_canary\n")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    outcome = call("config", "validate")
    assert "a secret lies here as plain text" in outcome.err
    assert json.loads(call("config", "validate", "--json").out)["ok"] is True
    path.write_text(path.read_text() + "    brunch: x\n")
    outcome = call("config", "validate")
    assert outcome.code == 2
    assert "did you mean 'branch'?" in outcome.err


def test_errors_have_their_class_in_json(call, folder):
    (folder / "Pulumi.yaml").write_text("name: [\n")
    last = json.loads(call("config", "show", "--json").out)
    assert last["class"] == errors.ConfigError.__name__
    assert last["problems"][0]["where"].startswith("Pulumi.yaml:")


def test_warnings_are_shown_and_leave_the_cluster_as_well_as_it_is(call, operations):
    operations.sections = status("ok")
    (section,) = operations.sections.sections
    warned = dataclasses.replace(section, warnings=("it is 400 days old",))
    operations.sections = dataclasses.replace(operations.sections, sections=(warned,))
    outcome = call("status")
    assert outcome.code == 0
    assert "    ! it is 400 days old" in outcome.out
    assert "all is as it should be" in outcome.out
    data = json.loads(call("status", "--json").out)
    assert data["sections"][0]["warnings"] == ["it is 400 days old"]


def test_what_of_the_repository_fails_is_no_matter_for_up(call, operations):
    from provision.operations import status as operations_status

    failing = operations_status.Section(
        title="what the repository applies",
        health="failed",
        problems=("HelmRelease media/plex: InstallFailed: timed out",),
        hints=("correct what the messages name, in Git or in the cluster",),
    )
    well = status("ok")
    operations.sections = dataclasses.replace(well, sections=(*well.sections, failing))
    outcome = call("status")
    assert outcome.code == 5
    assert "HelmRelease media/plex: InstallFailed: timed out" in outcome.out
    assert "→ correct what the messages name" in outcome.out
    assert "1 of 3 not as it should be" in outcome.out
    assert "elysium up repairs it" not in outcome.out


def test_what_is_missing_is_said_as_such(call, operations):
    operations.sections = status("ok", "missing")
    outcome = call("status")
    assert outcome.code == 5
    assert "✗ part 1  missing" in outcome.out
