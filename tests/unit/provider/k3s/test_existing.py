"""A k3s that was set up by hand is left alone when it runs as configured, else taken over aloud."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.provider.k3s import existing as k3s_existing
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import plan as k3s_plan
from tests.support import k3snode

# What k3s' install script writes for: curl … | sh -s - server --disable traefik …
UNIT = """\
[Unit]
Description=Lightweight Kubernetes
[Service]
Type=notify
EnvironmentFile=-/etc/systemd/system/k3s.service.env
ExecStart=/usr/local/bin/k3s \\
    server \\
\t'--disable' \\
\t'traefik' \\
\t'--write-kubeconfig-mode=644' \\
\t'--secrets-encryption' \\

"""
ENV = "env K3S_TOKEN='swordfish'\nenv K3S_RESOLV_CONF=/etc/resolv.conf\n"
SAYS = f"{ENV}addresses 10.0.0.1 fd00::1\nsince 1000\n"
OPTIONS = {"write-kubeconfig-mode": "644", "resolv-conf": "/etc/resolv.conf"}


def server(
    *,
    unit: str = UNIT,
    says: str = SAYS,
    config: str | None = None,
    mtime: int = 1,
    state: dict[str, Any] | None = None,
    binary: str = k3snode.PINNED,
    **changes: Any,
) -> tuple[k3s_plan.K3sFacts, dict[str, Any]]:
    inputs = k3snode.k3s_inputs(**{"disable": ["traefik"], "options": OPTIONS} | changes)
    files = {
        k3s_files.UNIT: k3snode.a_file(k3s_files.UNIT, unit.encode()),
        k3s_files.ENV: k3snode.a_file(k3s_files.ENV, mode=0o600),
        k3s_files.CONFIG: k3snode.a_file(k3s_files.CONFIG, config.encode(), mtime=mtime)
        if config is not None
        else None,
        k3s_files.KILLALL: k3snode.a_file(k3s_files.KILLALL, b"theirs", mode=0o755),
        k3s_files.STARTED: None,
    }
    return k3snode.k3s_node(inputs, files=files, by_hand=says, unit=state, binary=binary), inputs


def test_one_that_runs_as_configured_is_left_as_it_is() -> None:
    found, inputs = server()
    assert k3s_plan.why_taken_over(found, inputs) == ()
    assert k3s_plan.plan(found, inputs) == ()


def test_a_stopped_one_is_started_and_nothing_of_it_is_written() -> None:
    found, inputs = server(state={"active": "inactive"})
    assert [c.summary for c in k3s_plan.plan(found, inputs)] == [
        "start k3s.service (it is inactive)"
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"disable": []}, "disable is set on the node and not in k3s.options"),
        ({"tlsSan": ["k.lan"]}, "tls-san is not set on the node"),
        ({"options": OPTIONS | {"resolv-conf": "/x"}}, "resolv-conf is another"),
        ({"proxy": {"http": "http://p"}}, "its proxy is another"),
        ({"registries": {"mirrors": {}}}, "k3s.registries is configured"),
        ({"node": "other"}, "node-name is another"),
        ({"binary": "o" * 64}, "its binary changes"),
        ({"config": "tls-san: [k.lan]\n", "mtime": 1001, "tlsSan": ["k.lan"]}, "changed after it"),
        ({"says": f"env K3S_URL=https://a\n{SAYS}"}, "it joins another server"),
        ({"says": f"env CONTAINERD_X=1\n{SAYS}"}, "sets CONTAINERD_X"),
        ({"unit": UNIT.replace("/usr/local/bin/k3s", "/opt/k3s")}, "does not start"),
        ({"unit": "ExecStart='"}, "does not start"),
        ({"config": "- a\n"}, "cannot be read"),
    ],
)
def test_one_that_differs_is_taken_over_and_it_is_said_why(
    changes: dict[str, Any], why: str
) -> None:
    found, inputs = server(**changes)
    planned = k3s_plan.plan(found, inputs)
    assert planned[0].property == "settings"
    assert why in planned[0].summary
    assert {f"files.{k3s_files.UNIT}", f"files.{k3s_files.CONFIG}"} <= {c.property for c in planned}
    assert planned[-1].action == "restart"
    assert "swordfish" not in repr(planned)


def test_what_the_certificate_names_anyhow_does_not_count() -> None:
    found, inputs = server(tlsSan=["fd00::1", "kyrion", "localhost"])
    assert k3s_plan.plan(found, inputs) == ()


def test_flags_win_over_environment_and_file() -> None:
    config = "disable: [servicelb]\nnode-label: [a=b]\n"
    found, inputs = server(
        config=config, options=OPTIONS | {"node-label": ["a=b"]}, disable=["traefik"]
    )
    assert k3s_plan.plan(found, inputs) == ()


def test_etcd_that_is_there_needs_no_word_of_its_beginning() -> None:
    found, inputs = server(datastore="etcd")
    sqlite, etcd = k3s_files.places(inputs).databases

    def planned(databases: dict[str, Any]) -> Any:
        files = {path: one for path, one in found.node.files.items() if path != sqlite} | databases
        node = found.node.__class__(**{**vars(found.node), "files": files})
        return k3s_plan.plan(k3s_plan.K3sFacts(node=node, pinned=found.pinned), inputs)

    assert planned({etcd: k3snode.a_file(etcd, kind="directory")}) == ()
    assert planned({}) != (), "a new datastore begins with it"
    assert planned({sqlite: k3snode.a_file(sqlite)}) == (), "SQLite is not moved by the way"


def test_ours_and_none_at_all_are_not_by_hand() -> None:
    inputs = k3snode.k3s_inputs()
    assert k3s_plan.why_taken_over(k3snode.k3s_node(inputs), inputs) is None
    gone = k3snode.k3s_node(inputs, files={k3s_files.UNIT: None})
    assert k3s_plan.why_taken_over(gone, inputs) is None


NAMES = st.from_regex(r"[a-z][a-z-]{2,12}", fullmatch=True)
VALUES = st.from_regex(r"[A-Za-z0-9./:,=]{1,12}", fullmatch=True)


@given(st.dictionaries(NAMES, st.one_of(st.just(True), VALUES), max_size=5), st.booleans())
def test_arguments_come_back_however_they_are_written(
    options: dict[str, Any], joined: bool
) -> None:
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        else:
            words += [f"--{name}={value}"] if joined else [f"--{name}", value]
    beyond: list[str] = []
    assert k3s_existing.arguments(words, beyond) == options
    assert beyond == []


def test_repeated_arguments_are_a_list_and_strays_are_told() -> None:
    beyond: list[str] = []
    found = k3s_existing.arguments(
        ["--tls-san", "a", "--tls-san=b", "-t", "x", "--tls-san", "c"], beyond
    )
    assert found == {"tls-san": ["a", "b", "c"], "token": "x"}
    k3s_existing.arguments(["--debug", "stray", "stray2"], beyond)
    assert beyond == ["k3s.service gives k3s the argument 'stray2'"]
