"""A node that is hard to get into, a branch that is protected, and an older k3s.

The node lets its user in by password alone and only through another SSH
server, sudo asks for a password, and the repository takes pull requests only.
"""

from __future__ import annotations

from provision.sandbox import mirror, tryout
from tests.support import lab as labs

OLDER, PINNED = mirror.K3S_VERSIONS
USER, GATE = "opspw", "ops"


def close(lab: labs.Lab) -> None:
    """Let `USER` in from the node itself only, and by password only."""
    rules = (
        f"AllowUsers root {GATE} {USER}@{lab.sandbox.node.host}\n"
        f"Match User {USER}\n  AuthenticationMethods password\n"
    )
    lab.on_node("cat >/etc/ssh/sshd_config.d/gate.conf && sshd -t", stdin=rules)
    lab.on_node("systemctl reload ssh")


def configure(lab: labs.Lab) -> None:
    """Write the stack's configuration as a user would, with the program itself."""
    node = lab.sandbox.node
    forge = lab.forge.info
    lab.elysium(
        *("init", "--yes", "--cluster", lab.cluster, "--host", node.host, "--user", USER),
        *("--host-key", node.host_key, "--github", f"{forge.owner}/{forge.repository}", "--gpu"),
    ).ok()
    values = {
        **tryout.settings(lab.sandbox),
        "nodes[0].jump.host": node.host,
        "nodes[0].jump.user": GATE,
        "nodes[0].jump.hostKey": node.host_key,
        "nodes[0].jump.identityFile": str(node.identity_file),
        "k3s.version": OLDER,
        "flux.commit": "pull-request",
        "flux.interval": "2s",
    }
    for key, value in values.items():
        lab.elysium("config", "set", key, value).ok()
    secrets = {
        "media.remote.key": tryout.media_key(lab.sandbox),
        "nodes[0].password": node.password().reveal(),
        "nodes[0].sudoPassword": node.password().reveal(),
    }
    for key, value in secrets.items():
        lab.elysium("config", "set", "--secret", key, stdin=value + "\n").ok()
