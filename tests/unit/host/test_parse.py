"""Facts from the output of the script: pure, so with outputs made by hand."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.host import collect, facts, parse

PSEUDO = """\
/etc/os-release:PRETTY_NAME="Raspberry Pi OS"
/etc/os-release:ID=raspbian
/etc/os-release:ID_LIKE="debian ubuntu"
/etc/os-release:VERSION_ID='12'
/proc/1/comm:systemd
/proc/filesystems:nodev\tproc
/proc/filesystems:\text4
/proc/modules:fuse 200704 3 - Live 0x0
/proc/net/route:Iface\tDestination\tGateway
/proc/net/route:eth0\t00000000\t0101A8C0\t0003
/sys/fs/cgroup/cgroup.controllers:cpuset cpu io pids
/proc/cgroups:#subsys_name\thierarchy\tnum_cgroups\tenabled
/proc/cgroups:memory\t0\t70\t0
/proc/cgroups:cpu\t0\t70\t1
/proc/meminfo:MemTotal:        3884136 kB
/proc/meminfo:MemAvailable:    1000 kB
/sys/fs/selinux/enforce:1
"""


def output(*fields: str, date: str = "1000.5", tail: bytes | None = None) -> bytes:
    head = [collect.MARK, "date", date, *fields]
    data = b"".join(field.encode("utf-8", "surrogateescape") + b"\0" for field in head)
    if tail is not None:
        data += b"contents\0" + tail + b"\0"
    return data + b"end\0"


def read(data: bytes, *, sent: float = 1000, received: float = 1001, **wanted: object):
    request = facts.FactRequest(**{k: frozenset(v) for k, v in wanted.items()})  # type: ignore
    return parse.parse(data, request, sent=sent, received=received)


def test_the_machine():
    data = output("uname", "kyrion\naarch64\n", "systemd", "1", "cgroup2", "1", "pseudo", PSEUDO)
    system = read(data).system
    assert (system.hostname, system.machine, system.arch) == ("kyrion", "aarch64", "arm64")
    assert (system.id, system.memory) == ("raspbian", 3884136 * 1024)
    assert system.controllers == {"cpuset", "cpu", "io", "pids"}, "memory is off"
    assert system.cgroup2 and system.systemd and system.default_route
    assert system.selinux == "enforcing"
    assert system.filesystems == {"proc", "ext4"} and system.modules == {"fuse"}


def machine(pseudo: str, *, cgroup2: bool = True) -> facts.SystemFacts:
    flag = ("cgroup2", "1") if cgroup2 else ()
    return read(output("uname", "kyrion\nx86_64\n", *flag, "pseudo", pseudo)).system


CGROUPS = """\
/proc/cgroups:#subsys_name\thierarchy\tnum_cgroups\tenabled
/proc/cgroups:cpuset\t0\t70\t1
/proc/cgroups:memory\t0\t70\t1
/proc/cgroups:pids\t0\t70\t0
"""


def test_with_version_2_the_root_cgroup_says_which_controllers_there_are():
    """A container that was given fewer sees all of the kernel's in /proc/cgroups."""
    root = "/sys/fs/cgroup/cgroup.controllers:cpu pids\n"
    assert machine(root + CGROUPS).controllers == {"cpu", "pids"}
    assert machine("/sys/fs/cgroup/cgroup.controllers:\n" + CGROUPS).controllers == set()
    assert machine(CGROUPS, cgroup2=False).controllers == {"cpuset", "memory"}
    held = CGROUPS.replace("memory\t0", "memory\t4")
    assert machine(root + held).controllers == {"cpu", "pids", "memory"}


ROUTE = "/proc/net/route:eth0\t{}\t0101A8C0\t{}\t0\t0\t100\t{}\t0\t0\t0\n"
ZERO = "0" * 32
ROUTE6 = "/proc/net/ipv6_route:{} {} {zero} 00 fe80{tail} 00000400 1 0 {} {:>8}\n"


@pytest.mark.parametrize(
    ("lines", "there"),
    [
        ("", False),
        (ROUTE.format("00000000", "0003", "00000000"), True),
        (ROUTE.format("0000A8C0", "0001", "00FFFFFF"), False),
        (ROUTE.format("00000000", "0003", "00000080"), False),
        (ROUTE.format("00000000", "0201", "00000000"), False),
        (ROUTE6.format(ZERO, "00", "00000003", "eth0", zero=ZERO, tail="0" * 28), True),
        (ROUTE6.format(ZERO, "00", "00200200", "lo", zero=ZERO, tail="0" * 28), False),
        (ROUTE6.format(ZERO, "00", "00000201", "eth0", zero=ZERO, tail="0" * 28), False),
        (ROUTE6.format(ZERO, "40", "00000003", "eth0", zero=ZERO, tail="0" * 28), False),
    ],
    ids=["none", "IPv4", "network", "half", "refused", "IPv6", "lo", "unreachable", "prefix"],
)
def test_a_default_route_is_one_of_ipv4_or_ipv6(lines: str, there: bool):
    assert machine(lines).default_route is there


@pytest.mark.parametrize(
    ("date", "skew"),
    [("1000.5", 0), ("999.0", -1), ("1005.5", 4.5), ("1000", 0), ("998", -1), ("1001", 0)],
)
def test_the_clock_is_judged_within_what_it_may_have_been(date: str, skew: float):
    assert read(output(date=date)).system.clock_skew == pytest.approx(skew)


def test_units_in_the_order_of_their_names():
    text = (
        "Id=a.service\nLoadState=not-found\nActiveState=inactive\n\n"
        "Id=k3s.service\nLoadState=loaded\nActiveState=active\n"
        "UnitFileState=enabled\nResult=success\nNeedDaemonReload=yes\n"
    )
    found = read(output("units", text), units=["k3s.service", "a.service"])
    assert not found.unit("a.service").exists
    unit = found.unit("k3s.service")
    assert (unit.active, unit.enabled, unit.result) == ("active", "enabled", "success")
    assert unit.needs_reload
    with pytest.raises(KeyError):
        found.unit("never-asked.service")
    with pytest.raises(parse.UnreadableFacts):
        read(output("units", text), units=["k3s.service"])


def test_without_systemd_every_unit_is_absent():
    found = read(output("units", ""), units=["k3s.service"])
    assert not found.unit("k3s.service").exists


MOUNTS = r"""
30 1 0:26 / /mnt/media rw,relatime shared:15 - autofs systemd-1 rw,fd=52
40 30 0:40 / /mnt/media rw,nosuid shared:16 - fuse.rclone media:a\040b rw,user_id=0
41 1 0:41 / /mnt/other rw - autofs systemd-1 rw
"""


def test_mounts_without_the_automount_below():
    found = read(output("mountinfo", MOUNTS), mounts=["/mnt/media", "/mnt/other", "/mnt/none"])
    mount = found.mount("/mnt/media")
    assert mount is not None and mount.answers
    assert (mount.fstype, mount.source) == ("fuse.rclone", "media:a b")
    assert found.mount("/mnt/other") is None and found.mount("/mnt/none") is None


def test_a_dead_mount():
    said = "stat: cannot statx '/mnt/media': Transport endpoint is not connected"
    data = output("mountinfo", MOUNTS, "dead", "/mnt/media", "error", said)
    mount = read(data, mounts=["/mnt/media"]).mount("/mnt/media")
    assert mount is not None and not mount.answers and mount.error == said


def test_disks_in_the_order_of_their_paths():
    text = (
        "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
        "/dev/a b 1000 1 500 1% /\nnone 10 0 - - /x\ntmpfs 100 50 -5 105% /with blank\n"
    )
    assert read(output("disks", text), disks=["/", "/y"]).disk("/").free == 500 * 1024  # type: ignore


def test_ports():
    text = (
        "   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 0 0 1\n"
        "   1: 00000000000000000000000000000000:0016 00:0 0A 0:0\n"
        "   2: 0100007F:0050 0100007F:1234 01 00000000:0A\n"
    )
    found = read(output("ports", text), ports=[6443, 22, 80])
    assert found.listens(6443) and found.listens(22) and not found.listens(80)


STAT = "81a4 0 0 3 99\n"


def test_contents_may_hold_what_looks_like_the_end():
    content = b"\0end\0contents\0"
    digest = hashlib.sha256(content).hexdigest()
    data = output(
        "file",
        "/a",
        "stat",
        f"81a4 0 0 {len(content)} 9\n",
        "hashes",
        f"{digest}  /a\n",
        tail=content,
    )
    assert read(data, contents=["/a"]).file("/a").content == content  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("why", "data"),
    [
        ("no script ran", b"bash: sh: not found\n"),
        ("cut off", output("file", "/a", "stat", STAT)[:-3]),
        ("cut off in the contents", output(tail=b"abc")[:-1]),
        ("a file came", output("file", "/a", "file", "/b", "stat", STAT, "hashes", "")),
        ("a file went before hashing", output("file", "/a", "stat", STAT, "hashes", "")),
        ("a file changed", output("file", "/a", "stat", STAT, "hashes", "0" * 64, tail=b"abc")),
        ("a file grew", output("file", "/a", "stat", STAT, "hashes", "0" * 64, tail=b"abcd")),
    ],
)
def test_what_cannot_be_trusted_is_refused(why: str, data: bytes):
    with pytest.raises(parse.UnreadableFacts):
        read(data, contents=["/a"])


def test_what_a_profile_prints_is_passed_over():
    assert read(b"Welcome to kyrion!\n" + output("uname", "a\nb\n")).system.hostname == "a"


@given(st.binary(max_size=200), st.integers(0, 200))
def test_nothing_but_unreadable_facts_is_raised_for_any_output(junk: bytes, cut: int):
    whole = output("file", "/a", "stat", STAT, "hashes", "0" * 64, "uname", "x", tail=b"abc")
    for data in (junk, whole[:cut], whole[:cut] + junk + whole[cut:]):
        try:
            read(data, contents=["/a"])
        except parse.UnreadableFacts:
            continue


def test_requests_join_and_cover():
    one = facts.FactRequest(files=frozenset({"/a"}), ports=frozenset({1}))
    two = facts.FactRequest(files=frozenset({"/b"}), snippets=frozenset({("n", "true")}))
    both = one | two
    assert both.covers(one) and both.covers(two) and not one.covers(both)
    assert both.files == {"/a", "/b"} and both.ports == {1}


def test_contents_are_not_in_a_representation():
    data = output(
        "file",
        "/a",
        "stat",
        "8180 0 0 6 9\n",
        "snippet",
        "s",
        "output",
        "canary",
        "hashes",
        hashlib.sha256(b"canary").hexdigest(),
        tail=b"canary",
    )
    found = read(data, contents=["/a"], snippets=[("s", "x")])
    assert found.file("/a").text == "canary"  # type: ignore[union-attr]
    assert "canary" not in repr(found)
