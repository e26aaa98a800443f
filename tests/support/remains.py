"""A node with what k3s leaves in its network, and the removal of that: for tests in a namespace."""

from __future__ import annotations

import functools

from provision.provider.k3s import files
from provision.sandbox import rootfs
from tests.support import firewall, removals

AUX = f"{firewall.DATA}/data/{firewall.RELEASE}/bin/aux"
KINDS = [(4, "nft"), (6, "nft"), (4, "legacy"), (6, "legacy")]
PROBE = "".join(f"echo '== {f} {k}'\n{firewall.save(f, k)}" for f, k in KINDS)


@functools.cache
def usr() -> str:
    """Return a ``/usr`` without a firewall's programs in its PATH."""
    return str(rootfs.ensure() / "usr")


@functools.cache
def scripts() -> tuple[str, str]:
    at = files.places({})
    return files.render_killall(at).decode(), files.render_uninstall(at).decode()


def node(*, tools: bool = True) -> removals.Tree:
    """Return a node with k3s' folders, and its programs unless `tools` is false."""
    tree = removals.Tree()
    tree.file("/usr/local/bin/k3s")
    tree.folder(AUX)
    tree.link(f"{firewall.DATA}/data/current", firewall.RELEASE)
    if tools:
        tree.shell(
            f"cd {firewall.TOOLS}\ncp xtables-* nft {AUX}/\ncp ipset {AUX}/..\n"
            f"for name in iptables ip6tables iptables-save iptables-restore; do "
            f"ln -s xtables-nft-multi {AUX}/$name; done"
        )
    return tree


def seed(tree: removals.Tree, family: int, kind: str, *, mine: bool = True) -> None:
    """Add the rules of others, then k3s', then one more of others."""
    tree.shell(firewall.restore(family, kind, firewall.others(family)))
    if mine:
        tree.shell(firewall.restore(family, kind, firewall.k3s(family)))
    tree.shell(f"{firewall.tool(family, kind)} -w -A FORWARD -i late0 -j ACCEPT")


def run(tree: removals.Tree, *, killall: bool = False, shell: str = "/bin/sh") -> removals.Done:
    script = scripts()[0 if killall else 1]
    done = removals.run(tree, script, shell=shell, usr=usr(), probe=PROBE)
    assert done.status == 0, done.stderr
    return done


def notes(done: removals.Done) -> list[str]:
    lines = done.stdout.splitlines()
    return [line.removeprefix("note ") for line in lines if line.startswith("note ")]


def rules_after(done: removals.Done) -> list[str]:
    return firewall.normal(done.probed[1])


@functools.cache
def without_k3s(*kinds: tuple[int, str]) -> list[str]:
    """Return what the probe prints where k3s never was."""
    tree = node()
    for family, kind in kinds:
        seed(tree, family, kind, mine=False)
    return rules_after(removals.run(tree, "exit 0", usr=usr(), probe=PROBE))
