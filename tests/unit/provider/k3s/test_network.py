"""Which names and rules are k3s', as the shell of a node decides."""

from __future__ import annotations

import functools
import subprocess

import pytest

from provision.provider.k3s import files, network

HASH = "TCOU7JCQXEZGVUNU"
COMMENT = "-m comment --comment"


@functools.cache
def functions() -> str:
    """Return the functions of the script, without what it carries out."""
    text = network.render_removal()
    return text[text.index("# Whether $1 is a chain of k3s alone.") : text.index("find_tool() {")]


def is_true(function: str, text: str) -> bool:
    script = f'{functions()}\n{function} "$1"'
    return subprocess.run(["sh", "-c", script, "sh", text], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("KUBE-SERVICES", True),
        (f"KUBE-SVC-{HASH}", True),
        (f"KUBE-POD-FW-{HASH}", True),
        ("KUBE-NWPLCY-TAIL", True),
        ("FLANNEL-POSTRTG", True),
        ("KUBE-SERVICES2", False),
        ("KUBE-MINE", False),
        ("KUBE-SVC-MINE", False),
        (f"KUBE-SVC-{HASH}X", False),
        (f"KUBE-SVC-{HASH.lower()}", False),
        (f"MY-KUBE-SVC-{HASH}", False),
        ("FLANNEL-MINE", False),
        ("CNI-HOSTPORT-DNAT", False),
        ("cali-FORWARD", False),
        ("DOCKER", False),
        ("", False),
        ("*", False),
    ],
)
def test_chains_of_k3s_have_k3s_names(name: str, expected: bool) -> None:
    assert is_true("is_chain", name) is expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (f'-A PREROUTING {COMMENT} "kubernetes service portals" -j KUBE-SERVICES', True),
        (f'-A INPUT {COMMENT} "kube-router netpol - {HASH}" -j KUBE-ROUTER-INPUT', True),
        ("-A INPUT -j KUBE-FIREWALL", True),
        (
            f'-A FORWARD -m conntrack --ctstate NEW {COMMENT} "kubernetes load balancer firewall"'
            " -j KUBE-PROXY-FIREWALL",
            True,
        ),
        (f'-A FORWARD -s 10.42.0.0/16 {COMMENT} "flanneld forward" -j ACCEPT', True),
        ("-A INPUT -j KUBE-SERVICES", False),
        ("-A INPUT -s 10.0.0.1/32 -j KUBE-FIREWALL", False),
        (f'-A MINE {COMMENT} "kubernetes service portals" -j KUBE-SERVICES', False),
        (f'-A INPUT -i eth0 {COMMENT} "kubernetes service portals" -j KUBE-SERVICES', False),
        (f'-A INPUT {COMMENT} "kubernetes service portals" -j ACCEPT', False),
        (f'-A INPUT {COMMENT} "my kubernetes service portals" -j KUBE-SERVICES', False),
        (f'-A INPUT {COMMENT} "kubernetes service portals" -g KUBE-SERVICES', False),
        (f'-A INPUT {COMMENT} "KUBE-FIREWALL" -j ACCEPT', False),
        ('-A INPUT -j LOG --log-prefix " -j KUBE-FIREWALL"', False),
        ("-A FORWARD -m mark --mark 0x20000/0x20000 -j ACCEPT", False),
        (f'-A FORWARD -o eth0 {COMMENT} "flanneld forward" -j ACCEPT', False),
    ],
)
def test_rules_of_k3s_in_other_chains_are_those_that_k3s_writes(rule: str, expected: bool) -> None:
    assert is_true("is_rule", rule) is expected


def test_no_table_is_restored() -> None:
    at = files.places({})
    for script in (files.render_killall(at), files.render_uninstall(at)):
        assert b"-restore" not in script


def test_scripts_are_shell_for_the_least_shell() -> None:
    at = files.places({"options": {"data-dir": "/srv/it's k3s"}})
    scripts = [files.render_killall(at), files.render_uninstall(at)]
    scripts.append(network.render_record(files.STARTED).encode())
    for script in scripts:
        done = subprocess.run(["sh", "-n"], input=script, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
