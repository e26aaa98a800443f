"""Looking for secrets where none may be: what a run says, starts and leaves behind.

Each function returns where it found which of the canaries, given by name, so
that an empty answer is the proof; and raises where it looked at nothing.
"""

from __future__ import annotations

import contextlib
import pathlib
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from provision.sandbox import tryout
from tests.support import lab as labs

Canaries = Mapping[str, str]


def of(lab: labs.Lab) -> dict[str, str]:
    """Return the secrets of a stack that is up. The private key is the cluster's own Secret's."""
    identity = lab.on_node(
        "/usr/local/bin/k3s kubectl get secret -n flux-system flux-system"
        " -o jsonpath='{.data.identity}' | base64 -d | sed -n 3p"
    ).strip()
    assert len(identity) > 20
    return {
        "azure key": tryout.media_key(lab.sandbox),
        "github token": lab.forge.token().reveal(),
        "private key": identity,
        "passphrase": lab.environ["PULUMI_CONFIG_PASSPHRASE"],
    }


def _in(text: str | bytes, canaries: Canaries, where: str) -> list[str]:
    raw = text.encode() if isinstance(text, str) else text
    return [f"{name} in {where}" for name, canary in canaries.items() if canary.encode() in raw]


def in_output(done: labs.Done, canaries: Canaries) -> list[str]:
    """Search what a command printed: terminal, log or event stream."""
    return _in(done.stdout + done.stderr, canaries, f"elysium {' '.join(done.args)}")


def in_folders(lab: labs.Lab, canaries: Canaries) -> list[str]:
    """Search the user's folder and home, the state with its history and backups among them."""
    found: list[str] = []
    states = 0
    for root in (lab.folder, pathlib.Path(lab.environ["HOME"])):
        for path in root.rglob("*"):
            if path.is_file():
                states += path.name == f"{lab.cluster}.json"
                found += _in(path.read_bytes(), canaries, str(path))
    assert states, "there is no state to search"
    return found


def on_node(lab: labs.Lab, canaries: Canaries) -> list[str]:
    """Search the node's journal, and the arguments of what runs there now."""
    seen = lab.on_node("journalctl --no-pager -o cat; cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "k3s" in seen
    return _in(seen, canaries, "journal or arguments on the node")


def on_its_disk(lab: labs.Lab, canaries: Canaries) -> list[str]:
    """Search every file of the node, those in memory too, for what never belongs there."""
    searched = "/etc /home /opt /root /run /srv /tmp /usr/local /var"
    told = "\n".join(canaries.values())
    # grep is told over standard input, and says 1 where there is nothing.
    script = f"grep -rlF -D skip -s -f - {searched} | head; test -s /etc/shadow"
    return [f"in {path}" for path in lab.on_node(script, stdin=told).split()]


def in_git(lab: labs.Lab, canaries: Canaries) -> list[str]:
    """Search every commit of the repository."""
    history = lab.forge.git("log", "--all", "-p")
    assert "gotk-sync.yaml" in history
    return _in(history, canaries, "git")


@dataclass(kw_only=True)
class Watched:
    """What ran meanwhile: every command line, and where a canary was among them."""

    commands: set[str] = field(default_factory=set[str])
    found: list[str] = field(default_factory=list[str])


@contextlib.contextmanager
def watching(canaries: Canaries, *, every: float = 0.05) -> Generator[Watched]:
    """Look at all processes of this machine, and so at those of its nodes, as they come and go.

    On a node the environment is searched too: what reaches it does so over standard input only.
    """
    seen = Watched()
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            for process in pathlib.Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):  # it has ended
                    _look(process, canaries, seen)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _look(process: pathlib.Path, canaries: Canaries, seen: Watched) -> None:
    raw = (process / "cmdline").read_bytes()
    if not raw:
        return  # the kernel's own
    command = raw.replace(b"\0", b" ").decode(errors="replace").strip()
    if command not in seen.commands:
        seen.commands.add(command)
        seen.found += _in(raw, canaries, f"arguments: {command}")
    if (process / "ns/pid").readlink() != pathlib.Path("/proc/self/ns/pid").readlink():
        # The passphrase is the same in every lab, whose own processes have it there.
        sent = {name: canary for name, canary in canaries.items() if name != "passphrase"}
        seen.found += _in((process / "environ").read_bytes(), sent, f"environment: {command}")
