"""Kernel settings that k3s changes, and which of them are set back."""

from __future__ import annotations

import pytest

from provision.provider.k3s import files, network
from tests.support import remains, removals

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]

ESTABLISHED = "net/netfilter/nf_conntrack_tcp_timeout_established"
FAKE = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory")


def settings(tree: removals.Tree, values: dict[str, str], *, record: str) -> str:
    """Give the node settings, those that are this machine's as files; return the probe."""
    for folder in ("kernel", "vm"):
        for path in FAKE:
            if path.startswith(folder):
                tree.file(f"/fake/{path}", values[path] + "\n")
        tree.shell(f"mount --bind /fake/{folder} /proc/sys/{folder}")
    for path, value in values.items():
        if path not in FAKE:
            tree.shell(f"echo {value} >/proc/sys/{path}")
    if record:
        tree.file(network.RECORD, record)
    return "\n".join(f"echo {path} $(cat /proc/sys/{path})" for path in sorted(values))


K3S = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/route_localnet": "1",
    ESTABLISHED: "86400",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
}
BEFORE = K3S | {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/route_localnet": "0",
    ESTABLISHED: "432000",
    "kernel/panic": "0",
    "kernel/panic_on_oops": "0",
    "vm/overcommit_memory": "0",
}
RECORD = "".join(f"sysctl {path} {value}\n" for path, value in BEFORE.items())


def after(done: removals.Done) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in done.probed[1].splitlines())


def test_settings_are_set_back_but_for_routing() -> None:
    tree = remains.node()
    probe = settings(tree, K3S, record=RECORD)
    done = removals.run(tree, remains.scripts()[1], usr=remains.usr(), probe=probe)
    assert done.status == 0, done.stderr
    assert after(done) == BEFORE | {"net/ipv4/ip_forward": "1"}
    told = [line for line in remains.notes(done) if "kernel setting " in line]
    assert told == [
        "the kernel setting net.ipv4.ip_forward stays 1, before k3s it was 0: "
        "the node may route for others by now"
    ]
    assert network.RECORD not in done.after and "/var/lib/elysium" not in done.folders


def test_settings_that_the_user_or_others_need_stay() -> None:
    tree = remains.node()
    probe = settings(tree, K3S | {"kernel/panic": "30"}, record=RECORD)
    tree.file("/etc/sysctl.d/90-mine.conf", "# mine\nvm.overcommit_memory = 1\n")
    tree.shell("ip link add docker0 type bridge")
    done = removals.run(tree, remains.scripts()[1], usr=remains.usr(), probe=probe)
    expected = K3S | {"kernel/panic": "30", "kernel/panic_on_oops": "0", ESTABLISHED: "432000"}
    assert after(done) == expected
    told = "\n".join(remains.notes(done))
    for words in (
        "kernel.panic stays 30, before k3s it was 0: it is not k3s' value",
        "vm.overcommit_memory stays 1, before k3s it was 0: /etc/sysctl.d/90-mine.conf sets it",
        "route_localnet stays 1, before k3s it was 0: the bridge docker0 may need it",
    ):
        assert words in told


def test_settings_without_a_record_stay_and_are_told() -> None:
    tree = remains.node()
    probe = settings(tree, K3S, record="")
    done = removals.run(tree, remains.scripts()[1], usr=remains.usr(), probe=probe)
    assert after(done) == K3S
    (told,) = [line for line in remains.notes(done) if "kernel settings" in line]
    assert "kernel.panic" in told and "nothing says what they were before" in told


def test_the_record_is_of_before_the_first_start() -> None:
    tree = removals.Tree()
    settings(tree, BEFORE, record="")
    script = network.render_record(files.STARTED)
    done = removals.run(tree, script, usr=remains.usr())
    recorded = done.after[network.RECORD]
    assert set(RECORD.splitlines()) <= set(recorded.splitlines())
    later = removals.Tree()
    later.file(files.STARTED)
    assert network.RECORD not in removals.run(later, script, usr=remains.usr()).after
    kept = removals.Tree()
    kept.file(network.RECORD, "sysctl kernel/panic 7\n")
    assert removals.run(kept, script, usr=remains.usr()).after == {
        network.RECORD: "sysctl kernel/panic 7\n"
    }
