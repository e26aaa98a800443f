"""The transport against a real sshd: who it trusts, how it logs in, what it carries."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from provision import config, errors, secret
from provision.host import facts, handshake, hostkey, session, transport

Make = Callable[..., "object"]


def says(opened: session.NodeSession, script: str, **options: object) -> str:
    values: dict[str, object] = {"timeout": 20, "what": "a test", "reads_only": True} | options
    return opened.run(script, **values).text  # type: ignore[arg-type]


def fingerprint(line: str) -> str:
    return hostkey.parse_pin(line).fingerprint


# -- host keys ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
@pytest.mark.parametrize("as_fingerprint", [False, True])
def test_a_pinned_key_of_any_type_is_accepted(sshd, kind: str, as_fingerprint: bool):
    pin = sshd.host_keys[kind]
    with session.NodeSession(
        sshd.node(host_key=fingerprint(pin) if as_fingerprint else pin)
    ) as opened:
        assert says(opened, "echo hello") == "hello\n"


def test_another_key_is_refused_with_both_fingerprints(sshd, make_sshd: Callable[..., object]):
    other = make_sshd().host_keys["ssh-ed25519"]  # type: ignore[attr-defined]
    for pin in (other, fingerprint(other)):
        opened = session.NodeSession(sshd.node(host_key=pin))
        with pytest.raises(errors.HostKeyError, match="not the pinned one") as caught:
            says(opened, "true")
        assert caught.value.expected == fingerprint(other)
        assert caught.value.got in {fingerprint(line) for line in sshd.host_keys.values()}
        assert caught.value.expected in str(caught.value) and caught.value.got in str(caught.value)


def test_without_a_pin_nothing_is_trusted(sshd):
    for pin, words in (("", "no host key is pinned"), ("SHA256:short", "cannot be read")):
        with pytest.raises(errors.HostKeyError, match=words):
            says(session.NodeSession(sshd.node(host_key=pin)), "true")


def test_scanning_shows_the_key_to_pin(sshd):
    shown = transport.scan_host_key("127.0.0.1", sshd.port)
    assert shown.line in sshd.host_keys.values()
    assert shown.fingerprint == fingerprint(shown.line)


# -- reaching it -------------------------------------------------------------


def test_nobody_listens(sshd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        opened = session.NodeSession(sshd.node(port=taken.getsockname()[1]))
        with pytest.raises(errors.ConnectError, match="refuses connections") as caught:
            says(opened, "true")
    assert caught.value.hint


def test_a_name_that_is_none(sshd):
    with pytest.raises(errors.ConnectError, match=r"no-such-host\.invalid cannot be resolved"):
        says(session.NodeSession(sshd.node(host="no-such-host.invalid")), "true")


@pytest.fixture
def stranger() -> Iterator[Callable[[bytes], int]]:
    """A server that sends some bytes and then says nothing."""
    sockets: list[socket.socket] = []

    def serve(greeting: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def accept() -> None:
            while True:
                try:
                    sockets.append(listener.accept()[0])
                except OSError:
                    return
                sockets[-1].sendall(greeting)

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield serve
    for one in sockets:
        # Closing alone does not wake a thread that is waiting in accept.
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def test_something_that_is_no_ssh_server(sshd, stranger: Callable[[bytes], int]):
    for greeting in (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200, b""):
        opened = session.NodeSession(sshd.node(port=stranger(greeting)), connect_timeout=0.5)
        began = time.monotonic()
        with pytest.raises(errors.ConnectError, match="not as an SSH server"):
            says(opened, "true")
        assert time.monotonic() - began < 5


def test_the_socket_and_cipher_are_the_fast_ones(sshd, node_session: session.NodeSession):
    says(node_session, "true")
    connection = node_session.transport.connected()
    assert connection.remote_cipher == "aes128-gcm@openssh.com"
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_jump_host(sshd, make_sshd: Callable[..., object]):
    gate = make_sshd()
    jump = config.SshLogin(
        host="127.0.0.1",
        port=gate.port,  # type: ignore[attr-defined]
        host_key=gate.host_keys["ssh-ed25519"],  # type: ignore[attr-defined]
        identity_file=str(gate.key),  # type: ignore[attr-defined]
        agent=False,
    )
    with session.NodeSession(sshd.node(jump=jump)) as opened:
        assert opened.transport.connected().getpeername()[1] == gate.port  # type: ignore[attr-defined]
        assert says(opened, "head -c 3000000 /dev/zero | wc -c").strip() == "3000000"
    nowhere = sshd.node(jump=jump, port=1)
    with pytest.raises(errors.ConnectError, match=r"jump host .* cannot reach"):
        says(session.NodeSession(nowhere), "true")
    stranger_key = jump.model_copy(update={"host_key": sshd.host_keys["ssh-ed25519"]})
    with pytest.raises(errors.HostKeyError):
        says(session.NodeSession(sshd.node(jump=stranger_key)), "true")


# -- logging in --------------------------------------------------------------


def test_a_refused_key(sshd, tmp_path: pathlib.Path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True
    )
    with pytest.raises(errors.AuthError, match="does not let root in") as caught:
        says(session.NodeSession(sshd.node(identity_file=str(tmp_path / "k"))), "true")
    assert str(tmp_path / "k") in caught.value.detail


def test_nothing_to_log_in_with(sshd):
    with pytest.raises(errors.AuthError, match="nothing to log in"):
        says(session.NodeSession(sshd.node(identity_file="")), "true")


def test_key_files_that_are_none(sshd, tmp_path: pathlib.Path):
    (tmp_path / "text").write_text("canary-not-a-key")
    for path, words in (
        (tmp_path / "gone", "does not exist"),
        (tmp_path / "text", "not a private"),
    ):
        with pytest.raises(errors.AuthError, match=words) as caught:
            says(session.NodeSession(sshd.node(identity_file=str(path))), "true")
        assert "canary" not in str(caught.value)


def test_a_locked_key(sshd, tmp_path: pathlib.Path, canary: secret.Secret):
    key = tmp_path / "locked"
    key.write_bytes(sshd.key.read_bytes())
    key.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", canary.reveal(), "-f", key],
        check=True,
        capture_output=True,
    )
    with pytest.raises(errors.AuthError, match="locked with a passphrase"):
        says(session.NodeSession(sshd.node(identity_file=str(key))), "true")
    wrong = sshd.node(identity_file=str(key), passphrase=secret.Secret("canary-wrong"))
    with pytest.raises(errors.AuthError) as caught:
        says(session.NodeSession(wrong), "true")
    assert "canary" not in repr(caught.value) + str(caught.value)
    with session.NodeSession(sshd.node(identity_file=str(key), passphrase=canary)) as opened:
        assert says(opened, "echo in") == "in\n"


def test_keys_of_an_agent(sshd, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "agent"
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        subprocess.run(["ssh-add", "-q", str(sshd.key)], check=True, capture_output=True)
        with session.NodeSession(sshd.node(identity_file="", agent=True)) as opened:
            assert says(opened, "echo in") == "in\n"
        with pytest.raises(errors.AuthError, match="nothing to log in"):
            says(session.NodeSession(sshd.node(identity_file="", agent=False)), "true")
    finally:
        agent.terminate()
        agent.wait(10)


def test_a_refused_password_is_never_shown(sshd, canary: secret.Secret):
    with pytest.raises(errors.AuthError) as caught:
        says(session.NodeSession(sshd.node(identity_file="", password=canary)), "true")
    assert canary.reveal() not in str(caught.value) + repr(caught.value.__dict__)


# -- commands ----------------------------------------------------------------


def test_status_and_both_outputs(node_session: session.NodeSession):
    done = node_session.run(
        "echo out; echo err >&2; exit 7", timeout=10, what="x", check=False, reads_only=True
    )
    assert (done.status, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    with pytest.raises(errors.CommandError, match="counting sheep failed") as caught:
        node_session.run("echo why >&2; exit 3", timeout=10, what="counting sheep", reads_only=True)
    assert (caught.value.status, caught.value.stderr, caught.value.detail) == (3, "why", "why")


def test_much_on_both_outputs_and_on_input_at_once(node_session: session.NodeSession):
    script = "head -c 6000000 /dev/zero >&2 & head -c 7000000 /dev/zero & wc -c; wait"
    done = node_session.run(
        script, stdin=os.urandom(8_000_000), timeout=60, what="x", reads_only=True
    )
    assert len(done.stderr) == 6_000_000
    assert done.stdout.replace(b"\0", b"").strip() == b"8000000"
    assert done.stdout.count(b"\0") == 7_000_000


def test_input_nobody_reads_is_no_error(node_session: session.NodeSession):
    done = node_session.run(
        "exit 4", stdin=b"x" * 20_000_000, timeout=30, what="x", check=False, reads_only=True
    )
    assert done.status == 4


def test_output_arrives_while_it_runs(node_session: session.NodeSession, tmp_path: pathlib.Path):
    flag, lines = tmp_path / "flag", []

    def hear(line: str) -> None:
        lines.append(line)
        flag.touch()

    # It only ends once its first line was heard here.
    node_session.run(
        f"echo first; while ! [ -e {flag} ]; do sleep 0.05; done; echo second",
        timeout=20,
        what="x",
        reads_only=True,
        on_output=session.each_line(hear),
    )
    assert lines == ["first", "second"]


def test_a_deadline_ends_it_on_the_node_too(node_session: session.NodeSession):
    began = time.monotonic()
    with pytest.raises(errors.RemoteTimeoutError, match="sleeping did not end within 1 s"):
        node_session.run("exec sleep 987654", timeout=1, what="sleeping", reads_only=True)
    assert time.monotonic() - began < 8
    running = subprocess.run(["pgrep", "-f", "sleep 98765[4]"], capture_output=True, check=False)
    assert not running.stdout


def test_a_connection_that_breaks_is_named_and_made_again(node_session: session.NodeSession):
    # The parent of the shell is the sshd process of this connection.
    with pytest.raises(errors.ConnectError, match="broke during breaking"):
        node_session.run(
            "kill -9 $(ps -o ppid= -p $PPID) $PPID; sleep 30",
            timeout=20,
            what="breaking",
            reads_only=True,
        )
    assert says(node_session, "echo again") == "again\n"
    assert node_session.transport.connections == 2


def test_standard_input_is_not_in_the_process_list(
    node_session: session.NodeSession, canary: secret.Secret
):
    done = node_session.run(
        "cat >/dev/null; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '",
        stdin=canary.reveal().encode(),
        timeout=20,
        what="x",
        reads_only=True,
    )
    assert canary.reveal() not in done.text


def test_known_secrets_are_masked_in_errors(sshd):
    node = sshd.node(sudo_password=secret.Secret("canary-sudo"))
    with session.NodeSession(node) as opened, pytest.raises(errors.CommandError) as caught:
        opened.run("echo canary-sudo >&2; exit 1", timeout=9, what="x", reads_only=True)
    assert "canary" not in str(caught.value) + caught.value.stderr


def test_paramiko_prints_nothing_and_brings_no_invoke(sshd):
    """In a process of its own: what is imported there is known."""
    script = (
        "import sys\nfrom provision.host import handshake\nhandshake.library()\n"
        "print(sorted({'invoke', 'invoke.tasks'} & sys.modules.keys()))\n"
        "import invoke\nprint(bool(invoke))"
    )
    done = subprocess.run(
        [os.sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\nTrue\n" and done.stderr == ""


def test_many_commands_side_by_side(node_session: session.NodeSession):
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(says(node_session, f"echo {n}")))
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == [f"{n}\n" for n in range(6)]
    assert node_session.transport.connections == 1


def test_the_shut_transport_leaves_no_thread(sshd):
    with session.NodeSession(sshd.node()) as opened:
        says(opened, "true")
        connection = opened.transport.connected()
    connection.join(5)
    assert not connection.is_alive()


def test_library_is_paramiko():
    assert re.match(r"\d+\.\d+", handshake.library().__version__)


def test_interrupting_leaves_the_session_usable(node_session: session.NodeSession):
    """Ctrl-C during a command: the next one works."""
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        node_session.run("sleep 20", timeout=30, what="x", reads_only=True)
    timer.join()
    assert says(node_session, "echo on") == "on\n"


# -- what a node prints ------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "limit"), [("yes", "16 MiB"), ("yes >&2", "8 MiB"), ("cat /dev/zero", "16 MiB")]
)
def test_endless_output_is_ended_with_the_command_and_the_limit(sshd, script: str, limit: str):
    with session.NodeSession(sshd.node()) as opened:
        with pytest.raises(errors.RemoteError, match=f"reading it on .* printed more than {limit}"):
            opened.run(script, timeout=60, what="reading it", reads_only=True)
        assert says(opened, "echo still here") == "still here\n"


def test_more_output_is_taken_where_more_is_expected(sshd):
    with session.NodeSession(sshd.node()) as opened:
        script = "head -c 20000000 /dev/zero"
        with pytest.raises(errors.RemoteError, match="16 MiB"):
            opened.run(script, timeout=60, what="reading it", reads_only=True)
        done = opened.run(
            script, timeout=60, what="reading it", reads_only=True, limit=32 * 1024 * 1024
        )
        assert len(done.stdout) == 20_000_000


def test_endless_facts_are_an_error(sshd, tmp_path: pathlib.Path):
    large = tmp_path / "k3s.yaml"
    with large.open("wb") as file:
        file.truncate(64 * 1024**2)  # sparse
    with session.NodeSession(sshd.node()) as opened:
        request = facts.FactRequest(contents=frozenset({str(large)}))
        with pytest.raises(errors.RemoteError, match=r"reading facts on .* 16 MiB"):
            opened.facts(request)
