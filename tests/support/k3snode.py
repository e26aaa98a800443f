"""A node's facts from a few words, for plans."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from provision.host import facts
from provision.provider.k3s import binaries
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import server as k3s_server

PINNED = "p" * 64
SYSTEM = facts.SystemFacts(
    hostname="Kyrion",
    machine="x86_64",
    id="debian",
    systemd=True,
    init="systemd",
    memory=2**32,
    clock_skew=0.0,
    controllers=frozenset({"cpu", "cpuset", "memory", "pids"}),
    cgroup2=True,
    filesystems=frozenset(),
    selinux="",
    default_route=True,
)

AUTHORITY_OF_K3S = """\
-----BEGIN CERTIFICATE-----
MIIBiDCCAS6gAwIBAgIBADAKBggqhkjOPQQDAjAjMSEwHwYDVQQDDBhrM3MtY2xp
ZW50LWNhQDE3ODU1NDI0MDAwHhcNMjYxMTMwMTIxOTQ4WhcNMzYxMTI3MTIxOTQ4
WjAjMSEwHwYDVQQDDBhrM3MtY2xpZW50LWNhQDE3ODU1NDI0MDAwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAAQ+BLhIBVc5GKyZj4Ir5qP8pyeC87rusqShGYY/Xl2T
Oqnp26nXs4yN23aiERDqjBtVNXeJTwmpNAyzRofFT3Ako1MwUTAdBgNVHQ4EFgQU
UVX8m6yD6Tf68MwoUQoWZuuLv5EwHwYDVR0jBBgwFoAUUVX8m6yD6Tf68MwoUQoW
ZuuLv5EwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBVtNRxG3wv
AV8aIH3lE6hSpKB8EnhzFxHLKhBfrrISHQIhANpapO11uszPV25LgPzd4hrmD9d1
aRCoqpHgR9bIz+0q
-----END CERTIFICATE-----
"""
"""An authority as k3s makes it: its serial number is 0. It ends on 2036-11-27 12:19:48."""


def k3s_inputs(**changes: Any) -> dict[str, Any]:
    """Checked inputs of a K3sServer."""
    values = {
        "node": "kyrion",
        "cluster": "kyrion",
        "version": "v1.36.3+k3s1",
        "address": "10.0.0.1",
    }
    return k3s_server.K3sServer().check(values | changes)[0]


def a_file(path: str, content: bytes = b"", **changes: Any) -> facts.FileFact:
    """A regular file of root's."""
    values: dict[str, Any] = {
        "path": path,
        "kind": "file",
        "mode": 0o644,
        "uid": 0,
        "gid": 0,
        "size": len(content),
        "mtime": 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "content": content,
    }
    return facts.FileFact(**values | changes)


def k3s_node(
    inputs: Mapping[str, Any],
    *,
    files: Mapping[str, facts.FileFact | None] | None = None,
    version: str = "v1.36.3+k3s1",
    unit: Mapping[str, Any] | None = None,
    commands: tuple[str, ...] = ("kubectl", "crictl", "ctr"),
    drop_ins: tuple[str, ...] = (),
    binary: str = PINNED,
    started: Mapping[str, str] | None = None,
    by_hand: str = "",
    cluster_init: str = "",
) -> k3s_plan.K3sFacts:
    """A node on which k3s runs exactly as `inputs` say, but for the changes given.

    A file that is None is not there. `by_hand` is what the snippet tells of a
    server that elysium did not set up, `cluster_init` which drop-ins ask for etcd.
    """
    wanted = k3s_files.wanted_files(inputs, encrypt=bool(inputs["secretsEncryption"]))
    there: dict[str, facts.FileFact | None] = {
        one.path: a_file(one.path, one.content, mode=one.mode) for one in wanted
    }
    at = k3s_files.places(inputs)
    there[at.binary] = a_file(at.binary, mode=0o755, sha256=binary)
    running = {path: one.sha256 or "" for path, one in there.items() if one is not None}
    for path in (at.killall, at.uninstall):
        del running[path]
    record = "".join(f"{sha}  {path}\n" for path, sha in (running | dict(started or {})).items())
    there[k3s_files.STARTED] = a_file(k3s_files.STARTED, record.encode())
    there[at.databases[0]] = a_file(at.databases[0])
    if inputs["secretsEncryption"]:
        there[at.encryption] = a_file(at.encryption)
    for name in drop_ins:
        path = f"{k3s_files.DROP_INS}/{name}"
        there[path] = a_file(path, name.encode())
    there |= dict(files or {})
    state = {
        "name": k3s_files.UNIT_NAME,
        "load": "loaded",
        "active": "active",
        "enabled": "enabled",
    }
    found = facts.NodeFacts(
        request=k3s_server.fact_request(inputs),
        system=SYSTEM,
        files={path: one for path, one in there.items() if one is not None},
        listings={k3s_files.DROP_INS: drop_ins} if drop_ins else {},
        units={k3s_files.UNIT_NAME: facts.UnitFact(**state | dict(unit or {}))},
        mounts={},
        commands={name: at.link(name) for name in commands},
        ports=frozenset(),
        disks={},
        snippets={
            "k3s-version": f"k3s version {version} (abc)\ngo version go1.26\n",
            "k3s-found": by_hand,
            "k3s-cluster-init": cluster_init,
            binaries.snippet()[0]: f"{at.programs}\n",
        },
    )
    return k3s_plan.K3sFacts(node=found, pinned=PINNED)
