"""Every problem of a node, one at a time and all at once."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import socket
import subprocess
from typing import Any

import pytest

from provision import config
from provision.host import facts, preflight, preflight_facts, preflight_warnings


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
    controllers=frozenset({"cpu", "cpuset", "memory", "pids"}),
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


BINARIES = "/usr/local/bin"
RCLONE = f"{BINARIES}/rclone"


def mounted(options: str, path: str = "/var/lib/rancher/k3s") -> dict[str, Any]:
    return {"snippets": {preflight_facts.MOUNTS: f"{options} {path}\n"}}


def fallback(options: str, kind: facts.Kind = "directory") -> dict[str, Any]:
    """A read-only /usr/local/bin, with something at /opt/bin."""
    said = f"ro {BINARIES}\n{options} /opt/bin\n"
    files = {path: device(path) for path in ("/dev/fuse", "/dev/autofs", RCLONE)}
    files["/opt/bin"] = dataclasses.replace(device("/opt/bin"), kind=kind)
    return {"snippets": {preflight_facts.MOUNTS: said}, "files": files}


def test_opt_bin_takes_the_place_of_a_read_only_folder():
    cfg = configuration()
    assert preflight.check(node(cfg, **fallback("rw")), cfg) == []


def test_rclone_goes_into_the_second_folder_too():
    cfg = configuration()
    changes = fallback("rw")
    del changes["files"][RCLONE]
    assert preflight.check(node(cfg, **changes), cfg) == []
    # mount(8) finds no helper in a read-only /sbin; a service takes its place.
    changes["snippets"][preflight_facts.MOUNTS] += "ro /usr\n"
    assert preflight.check(node(cfg, **changes), cfg) == []


def test_rclone_needs_a_folder_that_can_be_written_to():
    cfg = configuration()
    changes = fallback("ro")
    del changes["files"][RCLONE]
    changes["files"][f"{BINARIES}/k3s"] = device(f"{BINARIES}/k3s")
    (problem,) = preflight.check(node(cfg, **changes), cfg)
    assert problem.kind == "read-only" and "rclone" in problem.message and problem.hint
    changes["snippets"][preflight_facts.MOUNTS] = f"ro {BINARIES}\nrw,noexec /opt/bin\n"
    (problem,) = preflight.check(node(cfg, **changes), cfg)
    assert problem.kind == "noexec" and "rclone" in problem.message and problem.hint
    cfg = configuration(media=None)
    assert preflight.check(node(cfg, **changes), cfg) == []


def test_fuse_cannot_be_installed_into_a_read_only_folder():
    cfg = configuration()
    commands = {name: name for name in (*preflight.COMMANDS, "apt-get")}
    changes = mounted("ro", "/usr")
    (problem,) = preflight.check(node(cfg, commands=commands, **changes), cfg)
    assert problem.kind == "no-fusermount" and "/usr is read-only" in problem.message
    assert preflight.check(node(cfg, commands=commands), cfg) == []


@pytest.mark.parametrize("folder", [BINARIES, "/opt/bin"])
def test_a_k3s_that_is_there_may_be_on_a_read_only_file_system(folder: str):
    cfg = configuration()
    changes = fallback("ro")
    changes["files"][f"{folder}/k3s"] = device(f"{folder}/k3s")
    assert preflight.check(node(cfg, **changes), cfg) == []


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
    ("cgroup controllers memory are off", system(controllers=frozenset({"cpu", "cpuset", "pids"}))),
    ("cgroup version 1", system(cgroup2=False)),
    ("cgroup controllers cpuset, memory are off", system(controllers=frozenset({"cpu", "pids"}))),
    ("port 6443", {"ports": frozenset({6443})}),
    ("port 6444, which k3s needs for the API server behind it", {"ports": frozenset({6444})}),
    ("port 10010, which k3s needs for containerd", {"ports": frozenset({10010})}),
    *((f"port {port}, ", {"ports": frozenset({port})}) for port in range(10248, 10260)),
    ("/var/lib/rancher/k3s is on a file system with noexec", mounted("rw,nosuid,noexec")),
    ("/var/lib/rancher/k3s is on a file system that is mounted read-only", mounted("ro,relatime")),
    ("/usr/local/bin is on a file system with noexec", mounted("rw,noexec", BINARIES)),
    ("/usr/local/bin is read-only, and /opt/bin cannot be used", mounted("ro", BINARIES)),
    ("/usr/local/bin is read-only, and /opt/bin cannot", fallback("ro,relatime")),
    ("/usr/local/bin is read-only, and /opt/bin cannot", fallback("rw", kind="file")),
    ("/opt/bin is on a file system with noexec", fallback("rw,noexec")),
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


def holders(*lines: str, **more: Any) -> dict[str, Any]:
    ports = frozenset(int(line.split()[0]) for line in lines)
    return {"snippets": {preflight_facts.HOLDERS: "\n".join(lines)}, "ports": ports} | more


def test_a_port_that_another_program_holds_is_named_also_when_k3s_tries_to_start():
    cfg = configuration()
    unit = facts.UnitFact(name="k3s.service", load="loaded", active="activating", enabled="enabled")
    lines = (
        "6443 no haproxy",
        "6444 yes k3s-server",
        "10250 yes kubelet",
        "10250 no other kubelet",
    )
    found = node(cfg, **holders(*lines, units={"k3s.service": unit}))
    messages = [problem.message for problem in preflight.check(found, cfg)]
    assert messages == [
        "port 6443, which k3s needs for the Kubernetes API, is taken by haproxy",
        "port 10250, which k3s needs for the kubelet, is taken by other kubelet",
    ]


def test_the_ports_of_a_cluster_that_was_stopped_and_runs_on_are_its_own():
    cfg = configuration()
    assert preflight.check(node(cfg, **holders("10010 yes containerd")), cfg) == []


def test_version_1_needs_memory_alone():
    cfg = configuration(k3s={"options": {"kubelet-arg": ["fail-cgroupv1=false"]}})
    found = node(cfg, **system(cgroup2=False, controllers=frozenset({"memory"})))
    assert preflight.check(found, cfg) == []
    found = node(cfg, **system(cgroup2=False, controllers=frozenset({"cpu"})))
    (problem,) = preflight.check(found, cfg)
    assert "controllers memory are off" in problem.message


def a_unit(name: str, **changes: str) -> dict[str, Any]:
    values = {"load": "loaded", "active": "inactive", "enabled": "disabled"} | changes
    return {"units": {name: facts.UnitFact(name=name, **values)}}  # type: ignore[arg-type]


def ufw(text: str) -> dict[str, Any]:
    path = "/etc/ufw/ufw.conf"
    conf = dataclasses.replace(device(path), kind="file", content=text.encode())
    files = {name: device(name) for name in ("/dev/fuse", "/dev/autofs")} | {path: conf}
    return a_unit("ufw.service", active="active", enabled="enabled") | {"files": files}


CACHE = {"disks": {"/var/cache/rclone": facts.DiskFact(free=2**30, size=16 * 2**30)}}
WARNINGS: list[tuple[str, dict[str, Any]]] = [
    ("firewalld is active", a_unit("firewalld.service", active="active")),
    ("ufw is active", ufw("# ufw\nENABLED=yes\n")),
    ("nm-cloud-setup.timer changes routes", a_unit("nm-cloud-setup.timer", enabled="enabled")),
    ("nm-cloud-setup.service changes", a_unit("nm-cloud-setup.service", active="active")),
    ("port 80 is taken by nginx", holders("80 no nginx")),
    ("port 443 is taken", {"ports": frozenset({443})}),
    ("not Intel's (NVIDIA, vendor 0xabcd)", {"snippets": {"gpu-vendors": "0x10de\n0xabcd\n"}}),
    ("media.cacheSize is 20G", CACHE),
]


@pytest.mark.parametrize(("words", "changes"), WARNINGS, ids=[one[0] for one in WARNINGS])
def test_each_warning_is_given_alone_and_stops_nothing(words: str, changes: dict[str, Any]):
    cfg = configuration()
    found = node(cfg, **changes)
    assert preflight.check(found, cfg) == []
    (said,) = preflight_warnings.check(found, cfg)
    assert said.startswith("node kyrion: ") and words in said and ":" in said.partition(words)[2]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        a_unit("firewalld.service", enabled="enabled"),
        ufw("ENABLED=no\n"),
        ufw("#ENABLED=yes\n"),
        a_unit("nm-cloud-setup.timer", load="masked", enabled="masked"),
        holders("80 yes traefik", "443 yes traefik"),
        {"snippets": {"gpu-vendors": "0x1234\n0x8086\n"}},
        {"disks": {"/var/cache/rclone": facts.DiskFact(free=0, size=20 * 2**30)}},
        {"disks": {"/var/cache/rclone": facts.DiskFact(free=2**30)}},
    ],
)
def test_a_good_node_gets_no_warning(changes: dict[str, Any]):
    cfg = configuration()
    assert preflight_warnings.check(node(cfg, **changes), cfg) == []


def test_what_is_turned_off_is_not_warned_about():
    cfg = configuration(
        gpu=None,
        media={"remote": {"type": "azureblob"}, "cacheMode": "off"},
        k3s={"disable": ["traefik"]},
    )
    snippets = {"gpu-vendors": "0x10de\n"}
    found = node(cfg, ports=frozenset({80, 443}), snippets=snippets, **CACHE)
    assert preflight_warnings.check(found, cfg) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("20G", 20 * 2**30), ("1.5Ti", 3 * 2**39), ("512", 2**19), ("7MiB", 7 * 2**20)),
        *(("9b", 9), ("off", 0), ("", 0), ("-1", 0)),
    ],
)
def test_sizes_of_rclone(text: str, size: int):
    assert preflight_warnings.size(text) == size


def test_the_snippets_answer_on_a_real_machine(tmp_path):
    """Run them here, with this process on a port and a folder on this machine's disk."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _, script = preflight_facts.holders_snippet([port, 1])
        said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    if shutil.which("ss"):
        (line,) = said.stdout.splitlines()
        assert line.split(" ", 2)[:2] == [str(port), "no"], said
    folder = str(tmp_path / "not there/yet")
    _, script = preflight_facts.mounts_snippet([folder, "/proc"])
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    cfg = configuration()
    found = node(cfg, snippets={preflight_facts.MOUNTS: said.stdout})
    assert "rw" in preflight_facts.mount_options(found, folder), said
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    options = [line.split()[5] for line in lines if line.split()[4] == "/proc"]
    assert preflight_facts.mount_options(found, "/proc") == frozenset(options[-1].split(","))


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
