"""What a k3s server needs, from facts alone."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
import types
from typing import Any

import pytest
import ruamel.yaml
from pulumi.provider.experimental import provider as protocol

from provision import change
from provision.host import facts
from provision.provider import plugin, pulumi_provider, resource, values
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import server as k3s_server
from tests.support import k3snode

CASES: list[dict[str, Any]] = ruamel.yaml.YAML(typ="safe", pure=True).load(
    pathlib.Path(__file__).with_name("plans") / "k3s.yaml"
)


def build(case: dict[str, Any]) -> tuple[k3s_plan.K3sFacts, dict[str, Any]]:
    inputs = k3snode.k3s_inputs(**case.get("inputs", {}))
    words = dict(case.get("node", {}))
    if words.pop("bare", False):
        return bare(inputs), inputs
    if words.pop("encrypted", True) is False:
        found = k3snode.k3s_node(inputs | {"secretsEncryption": False}, **words)
        return found, inputs
    changed = words.pop("files", {})
    plain = k3snode.k3s_node(inputs)
    drop_ins = {
        f"{k3s_files.DROP_INS}/{name}": k3snode.a_file("", name.encode()).sha256
        for name in words.get("drop_ins", ())
    }
    files = {path: altered(plain.node, path, change) for path, change in changed.items()}
    started = {}
    for path, sha in words.pop("started", {}).items():
        same = drop_ins.get(path) or getattr(files.get(path), "sha256", "")
        started[path] = {"same": same, "x": "x" * 64, None: ""}.get(sha, "0" * 64)
    if words.get("binary") == "x":
        words["binary"] = "x" * 64
        started.setdefault(k3s_files.BINARY, k3snode.PINNED)
    words["started"] = started
    words["commands"] = tuple(words.get("commands", ("kubectl", "crictl", "ctr")))
    words["drop_ins"] = tuple(words.get("drop_ins", ()))
    return k3snode.k3s_node(inputs, files=files, **words), inputs


def altered(
    found: facts.NodeFacts, path: str, change: dict[str, Any] | None
) -> facts.FileFact | None:
    if change is None:
        return None
    change = dict(change)
    before = found.files.get(path) or k3snode.a_file(path)
    if "content" in change:
        content = change.pop("content").encode()
        before = k3snode.a_file(path, content, mode=before.mode)
    if change.get("sha256") == "pinned":
        change["sha256"] = k3snode.PINNED
    return dataclasses.replace(before, **change)


def bare(inputs: dict[str, Any]) -> k3s_plan.K3sFacts:
    found = k3snode.k3s_node(inputs, commands=())
    node = dataclasses.replace(
        found.node, files={}, units={}, snippets={"k3s-version": ""}, listings={}
    )
    return k3s_plan.K3sFacts(node=node, pinned=k3snode.PINNED)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_plan(case: dict[str, Any]):
    found, inputs = build(case)
    changes = k3s_plan.plan(found, inputs)
    assert [f"{change.action} {change.property}" for change in changes] == case["changes"]
    if not case["changes"]:
        assert case["why"]


@pytest.mark.parametrize(
    ("active", "node", "anew"),
    [
        ("activating", {}, False),
        ("activating", {"started": {k3s_files.CONFIG: "x" * 64}}, True),
        ("activating", {"files": {k3s_files.CONFIG: k3snode.a_file(k3s_files.CONFIG)}}, True),
        ("failed", {"started": {k3s_files.CONFIG: "x" * 64}}, False),
        ("inactive", {"started": {k3s_files.CONFIG: "x" * 64}}, False),
    ],
)
def test_a_start_is_begun_again_when_it_began_with_other_files(
    active: str, node: dict[str, Any], anew: bool
):
    inputs = k3snode.k3s_inputs()
    found = k3snode.k3s_node(inputs, unit={"active": active}, **node)
    assert k3s_plan.starts_with_other_files(found, inputs) is anew


def test_the_diff_shows_the_config_without_its_secrets():
    inputs = k3snode.k3s_inputs(options={"token": "canary-new", "debug": True})
    old = b"# Written by elysium;\ntoken: canary-old\ntls-san:\n  - gone\n"
    found = k3snode.k3s_node(
        inputs, files={k3s_files.CONFIG: k3snode.a_file(k3s_files.CONFIG, old, mode=0o600)}
    )
    (change,) = k3s_plan.plan(found, inputs)
    assert "+debug: true" in change.diff and "-  - gone" in change.diff
    assert "canary" not in change.diff + change.summary


def test_a_proxy_with_a_password_is_never_shown():
    inputs = k3snode.k3s_inputs(proxy={"http": "http://u:canary@proxy:3128"})
    found = k3snode.k3s_node(
        inputs, files={k3s_files.ENV: k3snode.a_file(k3s_files.ENV, b"canary", mode=0o600)}
    )
    (change,) = k3s_plan.plan(found, inputs)
    assert change.diff == "" and "canary" not in change.summary and "sha256" in change.summary
    assert k3s_files.secret_values(inputs) == ("canary",)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("v1.36.3+k3s1", "v1.36.3+k3s2"),
        ("v1.36.9+k3s1", "v1.36.10+k3s1"),
        ("v1.9.0+k3s9", "v1.10.0+k3s1"),
        ("v1.36.3-rc1+k3s1", "v1.36.4+k3s1"),
    ],
)
def test_versions_are_compared_as_numbers(older: str, newer: str):
    assert k3s_plan.order(older) < k3s_plan.order(newer)


def test_outputs_hold_the_credentials():
    inputs = k3snode.k3s_inputs()
    at = k3s_files.places(inputs)
    kubeconfig = (
        b"apiVersion: v1\nkind: Config\ncurrent-context: default\n"
        b"clusters:\n- name: default\n  cluster:\n    server: https://127.0.0.1:6443\n"
        b"    certificate-authority-data: Q0E=\n"
        b"contexts:\n- name: default\n  context: {cluster: default, user: default}\n"
        b"users:\n- name: default\n  user:\n    client-certificate-data: Y2VydA==\n"
        b"    client-key-data: a2V5\n"
    )
    found = k3snode.k3s_node(
        inputs,
        files={
            at.kubeconfig: k3snode.a_file(at.kubeconfig, kubeconfig, mode=0o600),
            at.token: k3snode.a_file(at.token, b"K10abc::server:secret\n", mode=0o600),
        },
    )
    outputs = k3s_server.K3sServer().outputs(found, inputs, {})
    assert outputs["token"] == "K10abc::server:secret"
    assert outputs["nodeName"] == "kyrion" and outputs["version"] == "v1.36.3+k3s1"
    read = ruamel.yaml.YAML(typ="safe", pure=True).load(outputs["kubeconfig"])
    assert read["clusters"][0]["cluster"] == {
        "server": "https://10.0.0.1:6443",
        "certificate-authority-data": "Q0E=",
    }
    assert read["current-context"] == read["contexts"][0]["name"] == "kyrion"
    assert k3s_server.K3sServer().outputs(found, inputs, {}) == outputs


def test_options_with_a_place_of_their_own_are_refused():
    _inputs, problems = k3s_server.K3sServer().check(
        {"node": "k", "cluster": "k", "version": "v1.36.3+k3s1", "options": {"tls-san": ["x"]}}
    )
    assert [problem.key for problem in problems] == ["options"]


def test_an_address_with_a_zone_is_refused():
    values = {"node": "k", "cluster": "k", "version": "v1.36.3+k3s1"}
    _inputs, problems = k3s_server.K3sServer().check(values | {"address": "fe80::1%eth0"})
    (problem,) = problems
    assert problem.key == "address" and "nodes[0].address" in problem.hint
    assert k3s_server.K3sServer().check(values | {"address": "fd00::1"})[1] == []


def test_the_config_is_yaml_whatever_is_in_it():
    options = {
        "node-label": ["a=b", 'quote="', "#no comment", "ünï: code", "yes"],
        "kubelet-arg": ["max-pods=200"],
        "debug": True,
        "v": 3,
        "node-name": "- odd: [",
    }
    inputs = k3snode.k3s_inputs(options=options, tlsSan=["::1", "10.0.0.1"])
    text = k3s_files.render_config(inputs, encrypt=True).decode()
    read = ruamel.yaml.YAML(typ="safe", pure=True).load(text)
    assert read == options | {"secrets-encryption": True, "tls-san": ["::1", "10.0.0.1"]}
    plain = k3s_files.render_config(k3snode.k3s_inputs(), encrypt=False).decode()
    assert 'node-name: "kyrion"' in plain


def test_the_unit_watches_all_that_decides_a_restart():
    unit = k3s_files.render_unit(k3s_files.places({})).decode()
    assert "Type=notify" in unit and "KillMode=process" in unit and "Delegate=yes" in unit
    inputs = k3snode.k3s_inputs(registries={"x": {}})
    for one in k3s_files.wanted_files(inputs, encrypt=True):
        if one.path not in (k3s_files.KILLALL, k3s_files.UNINSTALL):
            assert one.path in unit


NEWER, OLDER = "v1.36.3+k3s1", "v1.36.2+k3s1"


@pytest.mark.parametrize(
    ("changes", "node", "words"),
    [
        ({}, {}, ()),
        ({"version": OLDER}, {"version": NEWER}, ("newer than v1.36.2+k3s1", "nothing is down")),
        ({"version": OLDER, "managedBy": "plan"}, {"version": NEWER}, ()),
        ({"version": NEWER}, {"version": "v1.34.1+k3s1"}, ("skips minor versions",)),
        ({"version": NEWER, "managedBy": "plan"}, {"version": "v1.34.1+k3s1"}, ()),
        ({"secretsEncryption": False}, {}, ("are encrypted in its datastore",)),
    ],
)
def test_what_stays_different_is_said(
    changes: dict[str, Any], node: dict[str, Any], words: tuple[str, ...]
):
    found = k3snode.k3s_node(k3snode.k3s_inputs(), **node)
    said = k3s_plan.remarks(found, k3snode.k3s_inputs(**changes))
    assert len(said) == (1 if words else 0)
    assert all(word in said[0] for word in words)


def test_it_is_said_once_and_of_what_is_wanted_now(monkeypatch: pytest.MonkeyPatch):
    # A run reads with the wishes of the one before, then compares with those of now.
    found = k3snode.k3s_node(k3snode.k3s_inputs(), version=NEWER)
    observed = resource.Observed(exists=True, facts=found)
    monkeypatch.setattr(k3s_server.K3sServer, "observe", lambda *_: observed)
    heard: list[tuple[str, str, str]] = []
    credentials: Any = types.SimpleNamespace(bind=lambda notify: None)
    provider = pulumi_provider.ElysiumProvider(credentials, lambda *said: heard.append(said))

    def now(**changes: Any) -> Any:
        return values.property_map(k3snode.k3s_inputs(**changes), frozenset())

    urn, older = f"urn:pulumi:kyrion::elysium::{k3s_server.K3sServer.type}::k3s", {"version": OLDER}
    ask: dict[str, Any] = {"urn": urn, "resource_id": "kyrion", "ignore_changes": []}
    before = now(**older)
    read = protocol.ReadRequest(urn=urn, resource_id="kyrion", properties=before, inputs=before)
    asyncio.run(provider.read(read))
    assert heard == []
    for _ in range(2):
        diff = protocol.DiffRequest(**ask, old_state=before, new_inputs=now(**older))
        asyncio.run(provider.diff(diff))
    assert [(urn, "warning")] == [each[:2] for each in heard]
    owned = now(**older, managedBy="plan")
    asyncio.run(provider.diff(protocol.DiffRequest(**ask, old_state=before, new_inputs=owned)))
    assert len(heard) == 1


def test_in_a_process_of_its_own_the_provider_tells_its_plan(monkeypatch: pytest.MonkeyPatch):
    inputs = k3snode.k3s_inputs()
    observed = resource.Observed(exists=True, facts=bare(inputs))
    monkeypatch.setattr(k3s_server.K3sServer, "observe", lambda *_: observed)
    heard: list[tuple[str, str, str]] = []
    credentials: Any = types.SimpleNamespace(bind=lambda notify: None)
    provider = plugin.Provider(credentials, lambda *said: heard.append(said), for_elysium=True)
    urn = f"urn:pulumi:kyrion::elysium::{k3s_server.K3sServer.type}::k3s"
    wanted = values.property_map(inputs, frozenset())
    asyncio.run(provider.diff(protocol.DiffRequest(urn, "kyrion", wanted, wanted, [])))
    asyncio.run(provider.create(protocol.CreateRequest(urn, wanted, 0, preview=True)))
    planned = k3s_plan.plan(observed.facts, inputs)
    assert planned
    assert [change.load(text) for _, _, text in heard] == [planned, planned]
