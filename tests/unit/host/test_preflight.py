"""Every problem of a node, one at a time and all at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from provision import config
from provision.host import facts, preflight


def configuration(**changes: Any) -> config.Config:
    values: dict[str, Any] = {
        "cluster": "kyrion",
        "nodes": [{"name": "kyrion", "host": "10.0.0.1"}],
        "github": {"owner": "o", "repository": "r"},
        "gpu": {},
        "media": {"remote": {"type": "azureblob"}},
    }
    return config.Config.model_validate(values | changes)


SYSTEM = facts.SystemFacts(
    hostname="kyrion",
    machine="x86_64",
    id="debian",
    systemd=True,
    init="systemd",
    memory=4 * 2**30,
    clock_skew=0.0,
    controllers=frozenset({"cpu", "memory", "pids"}),
    cgroup2=True,
    filesystems=frozenset({"ext4"}),
    selinux="",
    default_route=True,
)


def device(path: str) -> facts.FileFact:
    return facts.FileFact(path=path, kind="other", mode=0o666, uid=0, gid=0, size=0, mtime=0)


def node(cfg: config.Config, **changes: Any) -> facts.NodeFacts:
    request = preflight.preflight_request(cfg)
    names = {*preflight.COMMANDS, "apt-get", "fusermount3"}
    values: dict[str, Any] = {
        "request": request,
        "system": SYSTEM,
        "files": {path: device(path) for path in ("/dev/fuse", "/dev/autofs")},
        "listings": {"/dev/dri": ("card0", "renderD128")},
        "units": {},
        "mounts": {},
        "commands": {name: f"/usr/bin/{name}" for name in names},
        "ports": frozenset(),
        "disks": {path: facts.DiskFact(free=2**39) for path in request.disks},
        "snippets": {},
    }
    return facts.NodeFacts(**values | changes)


def test_a_good_node_has_no_problem():
    cfg = configuration()
    assert preflight.check(node(cfg), cfg) == []


def system(**changes: Any) -> dict[str, Any]:
    return {"system": dataclasses.replace(SYSTEM, **changes)}


def disk(path: str, free: int) -> dict[str, Any]:
    full = {"/var/lib/rancher/k3s": 2**40, "/usr/local/bin": 2**40} | {path: free}
    return {"disks": {p: facts.DiskFact(free=f) for p, f in full.items()}}


BAD: list[tuple[str, dict[str, Any]]] = [
    ("does not run systemd", system(systemd=False, init="busybox")),
    ("architecture riscv64", system(machine="riscv64")),
    ("clock is 3600 s behind", system(clock_skew=-3600.0)),
    ("clock is 90 s ahead", system(clock_skew=90.0)),
    ("SELinux is enforcing", system(selinux="enforcing")),
    ("no default route", system(default_route=False)),
    ("256 MiB of memory", system(memory=256 * 2**20)),
    ("1.0 GiB are free for /var/lib", disk("/var/lib/rancher/k3s", 2**30)),
    ("100 MiB are free for /usr/local/bin", disk("/usr/local/bin", 100 * 2**20)),
    ("cgroup controllers memory are off", system(controllers=frozenset({"cpu", "pids"}))),
    ("cgroup version 1", system(cgroup2=False)),
    ("port 6443", {"ports": frozenset({6443})}),
    ("port 10250", {"ports": frozenset({10250})}),
    (
        "commands tar are missing",
        {
            "commands": {
                name: name for name in (*preflight.COMMANDS, "fusermount3") if name != "tar"
            }
        },
    ),
    ("fusermount3 is missing", {"commands": {name: name for name in preflight.COMMANDS}}),
    ("has no fuse", {"files": {"/dev/autofs": device("/dev/autofs")}}),
    ("has no autofs", {"files": {"/dev/fuse": device("/dev/fuse")}}),
    (
        "is the mount point of /dev/sdb1",
        {"mounts": {"/mnt/media-library": facts.MountFact(source="/dev/sdb1", fstype="ext4")}},
    ),
    ("there is no GPU", {"listings": {"/dev/dri": ("card0",)}}),
    ("there is no GPU", {"listings": {}}),
]


@pytest.mark.parametrize(("words", "changes"), BAD, ids=[f"{n}-{b[0]}" for n, b in enumerate(BAD)])
def test_each_problem_is_named_alone(words: str, changes: dict[str, Any]):
    cfg = configuration()
    problems = preflight.check(node(cfg, **changes), cfg)
    assert len(problems) == 1 and words in problems[0].message.replace("already ", "")
    assert problems[0].where == "node kyrion" and problems[0].hint


def test_all_problems_come_at_once():
    cfg = configuration()
    changes = system(systemd=False, machine="mips", cgroup2=False) | {"ports": frozenset({6443})}
    assert len(preflight.check(node(cfg, **changes), cfg)) == 4


def test_what_is_not_asked_for_is_not_needed():
    cfg = configuration(gpu=None, media=None)
    found = node(cfg, listings={}, files={}, commands={c: c for c in preflight.COMMANDS})
    assert preflight.check(found, cfg) == []


def test_ports_of_a_running_k3s_are_its_own():
    cfg = configuration()
    unit = facts.UnitFact(name="k3s.service", load="loaded", active="active", enabled="enabled")
    found = node(cfg, ports=frozenset({6443, 10250}), units={"k3s.service": unit})
    assert preflight.check(found, cfg) == []


def test_options_of_k3s_are_respected():
    cfg = configuration(
        k3s={
            "options": {
                "https-listen-port": 7443,
                "node-ip": "10.0.0.1",
                "node-name": "Good.lan",
                "data-dir": "/data",
                "kubelet-arg": ["fail-cgroupv1=false"],
            }
        }
    )
    changes = system(default_route=False, cgroup2=False)
    found = node(cfg, ports=frozenset({6443}), **changes)
    assert preflight.check(found, cfg) == []
    assert "/data" in preflight.preflight_request(cfg).disks


def test_a_node_with_k3s_needs_less_room():
    cfg = configuration()
    changes = disk("/var/lib/rancher/k3s", 2**30)
    files = {p: device(p) for p in ("/dev/fuse", "/dev/autofs", "/usr/local/bin/k3s")}
    assert preflight.check(node(cfg, files=files, **changes), cfg) == []


def test_a_name_that_kubernetes_does_not_take():
    cfg = configuration(k3s={"options": {"node-name": "my_host"}})
    (problem,) = preflight.check(node(cfg), cfg)
    assert "'my_host' cannot be the name" in problem.message
