"""Which keys are tried, in which order, and what a refusal says: against a counting server."""

from __future__ import annotations

import base64
import contextlib
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from provision import config, errors, hostkeys, secret
from provision.host import handshake, limits, reach, transport
from tests.support import sshserver

Keygen = Callable[..., pathlib.Path]
Agent = Callable[..., None]


def blob(key: pathlib.Path) -> bytes:
    return base64.b64decode(pathlib.Path(f"{key}.pub").read_text().split()[1])


def prints(*keys: pathlib.Path) -> list[str]:
    return [hostkeys.fingerprint(blob(key)) for key in keys]


def log_in(server: sshserver.Server, **values: Any) -> None:
    times = values.pop("times", limits.DEFAULT)
    values = {"host": "127.0.0.1", "port": server.port, "user": "root"} | values
    login = config.SshLogin.model_validate({"hostKey": server.line, **values})
    connected = transport.Transport(login, timeout=values.pop("timeout", 10), times=times)
    try:
        connected.connected()
    finally:
        connected.close()


def test_default_keys_are_tried_in_the_order_of_ssh(home: pathlib.Path, keygen: Keygen):
    ed, ecdsa = keygen("id_ed25519", kind="ed25519"), keygen("id_ecdsa")
    rsa = keygen("id_rsa", kind="rsa")
    keygen("other")
    with sshserver.running() as server, pytest.raises(errors.AuthError) as caught:
        log_in(server)
    assert server.tried == [prints(rsa, ecdsa, ed)]
    assert all(str(key) in caught.value.detail for key in (rsa, ecdsa, ed))
    said = subprocess.run(
        ["ssh", "-F", "none", "-G", "x"], capture_output=True, text=True, timeout=20
    )
    names = [line.split("/")[-1] for line in said.stdout.splitlines() if "identityfile" in line]
    assert [n for n in names if n in ("id_rsa", "id_ecdsa", "id_ed25519")] == [
        "id_rsa", "id_ecdsa", "id_ed25519",
    ]  # fmt: skip


def test_the_agent_comes_before_the_files(keygen: Keygen, agent: Agent):
    default, elsewhere = keygen("id_ecdsa"), keygen("elsewhere")
    agent(elsewhere)
    with sshserver.running(accepts=frozenset({blob(default)})) as server:
        log_in(server)
    assert server.tried == [prints(elsewhere, default)]


def test_a_file_that_the_agent_has_too_is_offered_once_and_first(keygen: Keygen, agent: Agent):
    default, elsewhere = keygen("id_ecdsa"), keygen("elsewhere")
    agent(elsewhere, default)
    with sshserver.running() as server, pytest.raises(errors.AuthError):
        log_in(server)
    assert server.tried == [prints(default, elsewhere)]


def test_a_given_key_stops_the_search(keygen: Keygen, agent: Agent):
    given = keygen("given")
    agent(keygen("id_ecdsa"), keygen("elsewhere"))
    with sshserver.running() as server, pytest.raises(errors.AuthError, match="does not let") as no:
        log_in(server, identityFile=str(given))
    assert server.tried == [prints(given)]
    assert str(given) in no.value.detail and "agent" not in no.value.detail


def test_identities_only_stops_the_search(home: pathlib.Path, keygen: Keygen, agent: Agent):
    given = keygen("given")
    agent(keygen("elsewhere"))
    (home / ".ssh" / "config").write_text(f"IdentitiesOnly yes\nIdentityFile {given}\n")
    with sshserver.running() as server, pytest.raises(errors.AuthError):
        log_in(server)
    assert server.tried == [prints(given)]


@pytest.mark.parametrize("form", ["locked", "public", "public beside"])
def test_the_agent_signs_for_a_given_key_that_cannot(keygen: Keygen, agent: Agent, form: str):
    given = keygen("given", passphrase="" if form != "locked" else "canary")
    others = [keygen(f"other{number}") for number in range(9)]
    if form == "locked":
        plain = given.with_name("plain")
        plain.write_bytes(given.read_bytes())
        plain.chmod(0o600)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "canary", "-N", "", "-f", plain],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        agent(*others, plain)
        pathlib.Path(f"{given}.pub").rename(given.with_name("elsewhere.pub"))
        expected, name = given.with_name("elsewhere.pub"), str(given)
    else:
        agent(*others, given)
        given.unlink()
        expected = pathlib.Path(f"{given}.pub")
        name = str(expected) if form == "public" else str(given)
    wanted = base64.b64decode(expected.read_text().split()[1])
    with sshserver.running(accepts=frozenset({wanted})) as server:
        log_in(server, identityFile=name)
    assert server.tried == [[hostkeys.fingerprint(wanted)]]


def test_a_given_key_that_nothing_signs_for(keygen: Keygen):
    locked, public = keygen("locked", passphrase="canary"), keygen("public")
    with sshserver.running() as server:
        with pytest.raises(errors.AuthError, match=r"locked with a passphrase.*no SSH agent runs"):
            log_in(server, identityFile=str(locked))
        with pytest.raises(errors.AuthError, match="only the public half"):
            log_in(server, identityFile=f"{public}.pub")
    assert server.tried == [[], []]


def test_a_passphrase_opens_the_given_key(keygen: Keygen):
    locked = keygen("locked", passphrase="canary")
    with sshserver.running(accepts=frozenset({blob(locked)})) as server:
        log_in(server, identityFile=str(locked), passphrase=secret.Secret("canary"))
    assert server.tried == [prints(locked)]


@pytest.mark.parametrize("tries", [6, 3, 2])
def test_ten_keys_in_the_agent_do_not_use_up_the_attempts(keygen: Keygen, agent: Agent, tries: int):
    others = [keygen(f"k{number}") for number in range(6)]
    right = keygen("id_ecdsa", passphrase="")
    agent(*others)
    with sshserver.running(accepts=frozenset({blob(right)}), max_tries=tries) as server:
        log_in(server)
    assert [key for tried in server.tried for key in tried] == prints(*others, right)
    assert all(len(tried) <= tries for tried in server.tried) and len(server.tried) <= 4


def test_what_was_tried_and_what_was_not_is_named(keygen: Keygen, agent: Agent):
    agent(*(keygen(f"k{number}") for number in range(10)))
    locked = keygen("id_ecdsa", passphrase="canary")
    with sshserver.running(max_tries=2) as server, pytest.raises(errors.AuthError) as caught:
        log_in(server)
    assert len(server.tried) == 4 and sum(map(len, server.tried)) == 8
    detail = caught.value.detail
    assert detail.count("agent key SHA256:") == 10 and "not tried: agent key" in detail
    assert f"{locked} (locked with a passphrase, and not in the agent)" in detail
    assert "identityFile" in caught.value.hint and "canary" not in str(caught.value)


def test_the_password_comes_last_and_is_never_shown(keygen: Keygen):
    key, password = keygen("id_ecdsa"), secret.Secret("canary-5f")
    with sshserver.running(password="canary-5f") as server:
        log_in(server, password=password)
    assert server.tried == [[*prints(key), "password"]]
    with sshserver.running(password="other") as server, pytest.raises(errors.AuthError) as caught:
        log_in(server, password=password)
    assert "canary" not in str(caught.value)


def test_an_agent_that_does_not_answer_is_no_agent(keygen: Keygen, monkeypatch: pytest.MonkeyPatch):
    key = keygen("id_ecdsa")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(key))
    with sshserver.running(accepts=frozenset({blob(key)})) as server:
        log_in(server)
    assert server.tried == [prints(key)]


def test_known_hosts_pin_the_key(home: pathlib.Path, keygen: Keygen):
    key = keygen("id_ecdsa")
    with sshserver.running(accepts=frozenset({blob(key)})) as server:
        book = home / ".ssh" / "known_hosts"
        name = f"[127.0.0.1]:{server.port}"
        with pytest.raises(errors.HostKeyError, match="no host key is pinned"):
            log_in(server, hostKey="")
        book.write_text(f"{name} {server.line}\n")
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", book], check=True, capture_output=True)
        assert "127" not in book.read_text().split()[0]
        log_in(server, hostKey="")
        book.write_text(f"{name} {server.line}\n@revoked * {server.line}\n")
        with pytest.raises(errors.HostKeyError, match="is revoked") as caught:
            log_in(server, hostKey="")
        assert f"{book}:2" in caught.value.detail
        book.write_text(f"@cert-authority * {server.line}\n")
        with pytest.raises(errors.HostKeyError, match="shows no host certificate") as caught:
            log_in(server, hostKey="")
        assert f"{book}:1" in caught.value.detail
        other = pathlib.Path(f"{key}.pub").read_text()
        book.write_text(f"{name} {other}")
        with pytest.raises(errors.HostKeyError, match="not the pinned one") as caught:
            log_in(server, hostKey="")
        assert str(book) in str(caught.value)
        # What elysium's configuration pins wins.
        log_in(server)


# -- the time of a login -----------------------------------------------------


def test_keys_that_are_refused_slowly_have_one_time_together(keygen: Keygen, agent: Agent):
    agent(*(keygen(f"k{number}") for number in range(10)))
    began = time.monotonic()
    with (
        sshserver.running(pause=0.4) as server,
        pytest.raises(errors.ConnectError, match=r"login to .* did not end within 1 s") as late,
    ):
        log_in(server, times=limits.Limits(login=1.0))
    assert time.monotonic() - began < 8 and "tried: agent key" in late.value.detail
    assert f"127.0.0.1:{server.port}" in late.value.summary


def test_a_server_that_does_not_answer_a_key_is_not_said_to_break_off(keygen: Keygen):
    keygen("id_ecdsa")
    with (
        sshserver.running(pause=3) as server,
        pytest.raises(errors.ConnectError, match="did not answer the login of root within 1 s"),
    ):
        login = config.SshLogin(host="127.0.0.1", port=server.port, host_key=server.line)
        connected = transport.Transport(login, times=limits.Limits(login=60), timeout=60)
        connected._timeout = 1.0
        try:
            connected.connected()
        finally:
            connected.close()


@pytest.mark.parametrize(
    "asks",
    [
        lambda _round: ("Password: ",),
        lambda _round: (),
        lambda number: ("Password: ",) if not number else ("Old: ", "New: "),
        lambda _round: ("New password for canary-word: ",),
    ],
    ids=["again", "nothing", "two", "new"],
)
def test_a_server_that_asks_without_an_end(asks: Callable[[int], tuple[str, ...]]):
    """It gets no code and no new password from us, and does not keep us."""
    began = time.monotonic()
    with (
        sshserver.running(asks=asks) as server,
        pytest.raises(errors.AuthError, match=r"asks for more than a password") as asked,
    ):
        log_in(server, password=secret.Secret("canary-word"), agent=False)
    assert time.monotonic() - began < 8 and "canary" not in str(asked.value)
    assert all(answers.count("canary-word") <= 3 for answers in server.tried)


def test_a_password_that_is_asked_for_as_a_question():
    def asks(number: int) -> tuple[str, ...] | None:
        return (("Password: ",), (), None)[number]

    with sshserver.running(asks=asks) as server:
        log_in(server, password=secret.Secret("canary"), agent=False)
    assert server.tried == [["password", "canary"]]  # refused as a password, answered as a question


def test_a_name_with_addresses_that_do_not_answer(monkeypatch: pytest.MonkeyPatch):
    """They share the time; the last one, which answers, still gets some."""
    silent = [socket.create_server(("127.0.0.1", 0), backlog=0) for _ in range(2)]
    filling = [socket.socket() for _ in range(6)]
    with contextlib.ExitStack() as stack, sshserver.running() as server:
        for opened in (*silent, *filling):
            stack.enter_context(opened)
        for number, opened in enumerate(filling):
            opened.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                opened.connect(silent[number % 2].getsockname())
        addresses = [*(one.getsockname() for one in silent), ("127.0.0.1", server.port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        route = reach.Route(name="node", host="node")
        began = time.monotonic()
        handshake.open_socket(route, 3.0).close()
        assert time.monotonic() - began < 6
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found[:2])
        with pytest.raises(errors.ConnectError, match="node does not answer within 1 s"):
            handshake.open_socket(route, 1.0)


def test_a_name_that_is_not_resolved_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    with pytest.raises(errors.ConnectError, match=r"name node was not resolved within 1 s"):
        handshake.open_socket(reach.Route(name="node", host="node"), 1.0)
