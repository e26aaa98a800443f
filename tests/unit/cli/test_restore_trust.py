"""A backup that somebody else made: nothing is sent, read or asked before it is confirmed."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyrage
import pytest

from provision.sandbox import rehearsal
from provision.sandbox.forge import authority
from stacks import cache
from tests.support import forged as forgeries
from tests.support import hostile, memorysandbox, restores
from tests.support.forged import LOCK

CANARY = "ghp_canary_of_this_machine"
PIN = "SHA256:" + "A" * 43
NODE = ("--host", "10.0.0.9", "--host-key", PIN)


@dataclasses.dataclass
class Outside:
    """An HTTP server of somebody else, and what it heard."""

    url: str
    heard: list[str] = dataclasses.field(default_factory=list)


@pytest.fixture
def outside() -> Iterator[Outside]:
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Outside(url=f"http://127.0.0.1:{server.server_port}", heard=heard)
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def nobody_is_known_here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in folder.glob("Pulumi*"):
        path.unlink()
    monkeypatch.setenv("GITHUB_TOKEN", CANARY)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "remembered")


def forged(folder: Path, more: str = "", **values: Any) -> tuple[str, ...]:
    """Write a backup beside the stack's folder; return what opens it."""
    return forgeries.write(folder.parent, more, **values)


def at(outside: Outside) -> str:
    """Return the lines of a configuration whose GitHub is `outside`."""
    return f"    baseUrl: {outside.url}\n    allowHttp: true\n"


RESTORES = [("restore", "--dry-run"), ("restore", "--yes", *NODE), ("drill",)]


@pytest.mark.parametrize("command", RESTORES, ids=" ".join)
def test_no_token_goes_where_a_backup_says(
    call: Any, folder: Path, outside: Outside, command: tuple[str, ...], monkeypatch: Any
) -> None:
    monkeypatch.setattr(rehearsal, "Rehearsal", lambda _name: memorysandbox.Memory())
    opening = forged(folder, at(outside))
    done = call(*command, *opening)
    assert done.code == 2, done.err
    assert outside.heard == []
    assert outside.url in done.err and f"--trust-address {outside.url}" in " ".join(
        done.err.split()
    )
    assert "Traceback" not in done.err and not list(folder.rglob("*"))


def test_no_file_of_this_machine_is_read_for_a_backup(
    call: Any, folder: Path, tmp_path: Path, outside: Outside
) -> None:
    (tmp_path / "mine").write_text("a-secret-of-this-machine")
    more = f"{at(outside)}    tokenFile: {tmp_path / 'mine'}\n"
    opening = forged(folder, more)
    done = call("restore", "--dry-run", *opening, "--trust-address", outside.url)
    assert done.code == 2 and outside.heard == []
    assert str(tmp_path / "mine") in done.err and "github.tokenFile" in done.err
    call(
        *("restore", "--dry-run", *opening, "--trust-address", outside.url),
        *("--trust-address", str(tmp_path / "mine")),
    )
    assert any("a-secret-of-this-machine" in each for each in outside.heard)


def test_a_person_confirms_it_or_does_not(call: Any, folder: Path, outside: Outside) -> None:
    opening = forged(folder, at(outside))
    done = call("restore", "--dry-run", *opening, answers="n\n")
    assert done.code != 0 and outside.heard == []
    assert outside.url in done.err and "the GitHub token is sent there" in done.err
    call("restore", "--dry-run", *opening, answers="y\n")
    assert any(CANARY in each for each in outside.heard)


def test_yes_confirms_no_address(call: Any, folder: Path, outside: Outside) -> None:
    opening = forged(folder, at(outside))
    done = call("restore", "--yes", *NODE, *opening)
    assert done.code == 2 and outside.heard == []


def test_nobody_else_may_open_later_backups_unconfirmed(call: Any, folder: Path) -> None:
    other = str(pyrage.x25519.Identity.generate().to_public())
    more = f"  elysium:backup:\n    keep: 1\n    recipients: [{LOCK.to_public()}, {other}]\n"
    opening = forged(folder, f"    tokenFile: /nowhere\n{more}")
    known = ("--trust-address", "/nowhere")
    done = call("restore", "--yes", *NODE, *opening, *known)
    assert done.code == 2, done.err
    assert other in done.err and "backup.recipients" in done.err and "backup.keep=1" in done.err
    assert str(LOCK.to_public()) not in done.err, "who opened this one may open later ones"
    assert not list(folder.rglob("*"))
    more_known = (*known, "--trust-address", other, "--trust-address", "backup.keep=1")
    done = call("restore", "--yes", *NODE, *opening, *more_known)
    assert "nobody confirmed" not in done.err


def test_an_ssh_key_that_opened_a_backup_may_open_later_ones(folder: Path, tmp_path: Path) -> None:
    from provision.cli import bundlekeys

    found = []
    for kind in ("ed25519", "rsa"):
        path = tmp_path / kind
        words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "me@home", "-f", str(path)]
        subprocess.run(words, check=True)
        found.append(" ".join((tmp_path / f"{kind}.pub").read_text().split()[:2]))
    assert bundlekeys.recipients((tmp_path / "ed25519", tmp_path / "rsa")) == tuple(found)


def test_an_address_of_the_configuration_here_is_the_users_own(
    call: Any, folder: Path, outside: Outside
) -> None:
    """So that a timer's drill goes on as before."""
    more = at(outside)
    opening = forged(folder, more)
    (folder / "Pulumi.yaml").write_text("name: elysium\nruntime: python\n")
    text = restores.CONFIGURATION.format(salt=restores.vault().salt) + more
    (folder / "Pulumi.kyrion.yaml").write_text(text)
    call("restore", "--dry-run", *opening)
    assert outside.heard


@pytest.mark.parametrize("command", RESTORES, ids=" ".join)
def test_a_ca_file_of_a_backup_is_confirmed_with_its_server(
    call: Any, folder: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "Rehearsal", lambda _name: memorysandbox.Memory())
    root = folder.parent / "authority"
    root.mkdir()
    tls = authority.context(root, "127.0.0.1")
    with hostile.serve(lambda _method, _path: hostile.reply({}, 404), tls=tls) as server:
        more = f"    baseUrl: {server.url}\n    caFile: certs/ca.pem\n"
        opening = forged(folder, more)
        done = call(*command, *opening)
        assert done.code == 2 and server.calls == [], done.err
        assert "certs/ca.pem" in done.err and "github.caFile" in done.err
        # Whoever names the server confirms what proves it. The file is below this folder.
        named = ("--trust-address", server.url)
        done = call(*command, *opening, *named)
        assert server.calls == [] and "certs/ca.pem" in done.err + done.out, done.err
        (folder / "certs").mkdir()
        shutil.copy(authority.ca_file(root), folder / "certs" / "ca.pem")
        if command[0] == "restore" and "--dry-run" not in command:
            return  # the node is looked at first
        call(*command, *opening, *named)
        assert server.calls
        if command[0] == "restore":
            del server.calls[:]
            shutil.rmtree(folder / "certs")
            call(*command, *opening, *named, "--ca-file", str(authority.ca_file(root)))
            assert server.calls


def kubeconfig(server: str, user: str = "") -> str:
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        f"clusters: [{{name: a, cluster: {{server: '{server}'}}}}]\n"
        f"users: [{{name: a, user: {{{user}}}}}]\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )


@pytest.mark.parametrize("user", ["", "token: of-the-backup", "tokenFile: /etc/hostname"])
def test_the_cluster_in_the_state_is_not_asked_unconfirmed(
    call: Any, folder: Path, outside: Outside, user: str
) -> None:
    opening = forged(folder, "    tokenFile: /nowhere\n", kubeconfig=kubeconfig(outside.url, user))
    known = ("--trust-address", "/nowhere")
    done = call("restore", "--yes", *NODE, *opening, *known)
    assert outside.heard == []
    assert ("was not asked" in done.err) == (not user.startswith("tokenFile"))
    done = call("restore", "--yes", *NODE, *opening, *known, "--trust-address", outside.url)
    assert "was not asked" not in done.err
    assert outside.heard == [], "neither a token of a backup nor anything else over HTTP"


def test_the_cluster_in_the_state_is_not_even_connected_to_unconfirmed(
    call: Any, folder: Path
) -> None:
    connected: list[object] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, address = listener.accept()
                connected.append(address)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=accept)
        thread.start()
        opening = forged(folder, "    tokenFile: /nowhere\n", kubeconfig=kubeconfig(url))
        words = ("restore", "--yes", *NODE, *opening, "--trust-address", "/nowhere")
        call(*words)
        before = len(connected)
        call(*words, "--trust-address", url)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert before == 0 and connected


def test_the_jump_host_is_not_asked_for_a_host_key_before(call: Any, folder: Path) -> None:
    opening = forged(folder, node="      jump: {host: 192.0.2.7}\n")
    done = call("restore", "--yes", *NODE, *opening)
    assert done.code == 2, done.err
    assert "192.0.2.7:22" in done.err and "nodes.jump.host" in done.err


def test_files_outside_k3s_are_listed_and_confirmed(call: Any, folder: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("root/.ssh/authorized_keys", "etc/rancher/k3s/x"):
            tar.addfile(tarfile.TarInfo(name))
    more = "  elysium:backup:\n    paths: [/root/.ssh, /etc/rancher/k3s]\n"
    opening = forged(folder, f"    tokenFile: /nowhere\n{more}", paths=out.getvalue())
    known = ("--trust-address", "/nowhere")
    done = call("restore", "--yes", *NODE, *opening, *known)
    assert done.code == 2, done.err
    assert "/root/.ssh/authorized_keys" in done.err and "/etc/rancher" not in done.err
    for beside in ("/root/.ss", "/root/.ssh/authorized", "/root/.ssh/authorized_keys.d"):
        done = call("restore", "--yes", *NODE, *opening, *known, "--trust-address", beside)
        assert done.code == 2 and "/root/.ssh/authorized_keys" in done.err
    more_known = call("restore", "--yes", *NODE, *opening, *known, "--trust-address", "/root/.ssh")
    without = call("restore", "--yes", *NODE, *opening, *known, "--without-paths")
    for each in (more_known, without):
        assert "authorized_keys" not in each.err and "/nowhere" in each.err


def test_githubs_own_address_needs_no_confirmation(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provision.provider import connections

    repository = restores.Repository(files={})
    monkeypatch.setattr(connections.Live, "github", lambda *_: repository)
    done = call("restore", "--dry-run", *forged(folder, "    baseUrl: https://api.github.com/\n"))
    assert "confirm" not in done.err and "trust" not in done.err
