"""From the output of a facts script to the facts of the machine itself. Pure.

The formats are those of proc(5), os-release(5) and the kernel's cgroup
documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from provision.host import facts


def system(values: Mapping[str, str], *, sent: float, received: float) -> facts.SystemFacts:
    """Return the machine's facts from the script's fields; see `facts.SystemFacts`."""
    pseudo: dict[str, list[str]] = {}
    for line in values.get("pseudo", "").splitlines():
        path, _, text = line.partition(":")
        pseudo.setdefault(path, []).append(text)

    def first(path: str) -> str:
        return pseudo.get(path, [""])[0].strip()

    release = _os_release(pseudo.get("/etc/os-release", []))
    memory = {
        key: value
        for key, _, value in (line.partition(":") for line in pseudo.get("/proc/meminfo", []))
    }
    name, machine = [*values.get("uname", "").splitlines(), "", ""][:2]
    cgroup2 = "cgroup2" in values
    return facts.SystemFacts(
        hostname=name,
        machine=machine,
        id=release.get("ID", ""),
        systemd="systemd" in values,
        init=first("/proc/1/comm"),
        memory=_kibibytes(memory.get("MemTotal", "")),
        clock_skew=_skew(values.get("date", ""), sent, received),
        controllers=_controllers(
            cgroup2, first("/sys/fs/cgroup/cgroup.controllers"), pseudo.get("/proc/cgroups", [])
        ),
        cgroup2=cgroup2,
        filesystems=frozenset(
            line.split()[-1] for line in pseudo.get("/proc/filesystems", []) if line.strip()
        ),
        selinux={"1": "enforcing", "0": "permissive"}.get(first("/sys/fs/selinux/enforce"), ""),
        default_route=_default_route(
            pseudo.get("/proc/net/route", []), pseudo.get("/proc/net/ipv6_route", [])
        ),
        modules=frozenset(
            line.split()[0] for line in pseudo.get("/proc/modules", []) if line.strip()
        ),
    )


def _controllers(cgroup2: bool, root: str, enabled: list[str]) -> frozenset[str]:
    """Return the controllers that k3s finds.

    With version 2 it looks at ``cgroup.controllers`` alone. ``/proc/cgroups`` is the
    kernel's: a container that was given fewer controllers sees them enabled there.
    A controller with a hierarchy number is held by version 1 beside it; that is no
    container's limit.
    """
    rows = [line.split() for line in enabled]
    on = [row for row in rows if len(row) == 4 and row[3] == "1"]
    if not cgroup2:
        return frozenset(row[0] for row in on)
    return frozenset(root.split()) | {row[0] for row in on if row[1] != "0"}


_UP, _REJECT = 0x0001, 0x0200
_ANY = "0" * 8


def _default_route(ipv4: list[str], ipv6: list[str]) -> bool:
    """Return whether there is a default route, by the kernel's tables of IPv4 and IPv6.

    The table of IPv6 always has one to ``lo`` that refuses everything.
    """
    for words in (line.split() for line in ipv4):
        mask = words[7:8] or [_ANY]
        if len(words) > 3 and words[1] == mask[0] == _ANY and _usable(words[3]):
            return True
    return any(
        words[:2] == ["0" * 32, "00"] and words[9] != "lo" and _usable(words[8])
        for words in (line.split() for line in ipv6)
        if len(words) > 9
    )


def _usable(flags: str) -> bool:
    try:
        bits = int(flags, 16)
    except ValueError:
        return False
    return bool(bits & _UP) and not bits & _REJECT


def _os_release(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def _kibibytes(text: str) -> int:
    digits = text.split()[:1]
    return int(digits[0]) * 1024 if digits and digits[0].isdigit() else 0


def _skew(date: str, sent: float, received: float) -> float:
    """Return how far the node's clock is outside of what it may have been, in seconds."""
    match = re.match(r"(\d+)(?:\.(\d+))?", date)
    if match is None:
        return 0.0
    # Whole seconds only (busybox): the truth is up to a second later.
    fraction = float(f"0.{match.group(2)}") if match.group(2) else None
    low = int(match.group(1)) + (fraction or 0.0)
    high = low if fraction is not None else low + 1
    if high < sent:
        return high - sent
    if low > received:
        return low - received
    return 0.0
