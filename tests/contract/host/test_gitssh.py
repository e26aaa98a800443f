"""The git conversations against a real sshd and real repositories."""

from __future__ import annotations

import socket
import subprocess
import time

import pytest

from provision import errors
from provision.host import gitssh
from provision.secret import Secret
from tests.support import gitserver

pytestmark = pytest.mark.skipif(bool(gitserver.MISSING), reason=gitserver.MISSING or "-")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    yield from gitserver.serve(tmp_path_factory.mktemp("git"))


@pytest.fixture
def head(server):
    return server.commit_file("README.md", "hello\n")


@pytest.fixture
def key(server):
    made = gitserver.new_key()
    server.authorize((gitserver.public_line(made), "rw"))
    return Secret(gitserver.private_text(made))


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("ed25519", "openssh"),
        ("ed25519", "pkcs8"),
        ("ecdsa-p384", "openssh"),
        ("ecdsa-p384", "pkcs8"),
        ("rsa", "openssh"),
        ("rsa", "pkcs1"),
    ],
)
def test_fetch_returns_the_head_with_every_kind_of_key(server, head, kind, form):
    made = gitserver.new_key(kind)
    server.authorize((gitserver.public_line(made), "ro"))
    private = Secret(gitserver.private_text(made, form))
    assert gitssh.fetch_head(server.url, private, server.known_hosts, "main", 20) == head
    assert any(line.startswith("git-upload-pack ") for line in server.commands)


def test_fetch_takes_the_asked_branch(server, head, key):
    other = server.commit_file("other.txt", "other\n", branch="feature/x")
    got = gitssh.fetch_head(server.url, key, server.known_hosts, "feature/x", 20)
    assert got == other != head


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_fetch_with_and_without_partial_packs(server, head, key, allowed):
    server.git("config", "uploadpack.allowFilter", allowed)
    assert gitssh.fetch_head(server.url, key, server.known_hosts, "main", 20) == head


def test_a_large_pack_is_received_whole(server, key):
    server.git("config", "uploadpack.allowFilter", "false")
    noise = "\n".join(f"{n:x}{n * n:x}{n * 7919:x}" for n in range(60_000))
    commit = server.commit_file("noise", noise)
    assert gitssh.fetch_head(server.url, key, server.known_hosts, "main", 20) == commit


def test_push_is_allowed_with_a_read_write_key_and_changes_nothing(server, head, key):
    before = server.git("for-each-ref")
    assert gitssh.push_allowed(server.url, key, server.known_hosts, 20) is True
    assert server.git("for-each-ref") == before


def test_push_to_an_empty_repository_is_answered(server, key):
    empty = server.root / "empty.git"
    subprocess.run(["git", "init", "-q", "--bare", str(empty)], check=True)
    assert gitssh.push_allowed(server.url_of(empty), key, server.known_hosts, 20) is True


def test_a_read_only_key_may_not_push(server, head):
    made = gitserver.new_key()
    server.authorize((gitserver.public_line(made), "ro"))
    private = Secret(gitserver.private_text(made))
    assert gitssh.push_allowed(server.url, private, server.known_hosts, 20) is False
    assert gitssh.fetch_head(server.url, private, server.known_hosts, "main", 20) == head


def test_an_unregistered_key_is_refused_and_named(server, head, key):
    stranger = Secret(gitserver.private_text(gitserver.new_key()))
    with pytest.raises(errors.AuthError) as caught:
        gitssh.fetch_head(server.url, stranger, server.known_hosts, "main", 20)
    assert "SHA256:" in caught.value.detail
    assert stranger.reveal().splitlines()[1] not in str(caught.value)


def test_another_host_key_is_refused_with_both_fingerprints(server, head, key):
    other = gitserver.public_line(gitserver.new_key())
    with pytest.raises(errors.HostKeyError) as caught:
        gitssh.fetch_head(server.url, key, f"[127.0.0.1]:{server.port} {other}\n", "main", 20)
    assert caught.value.expected.startswith("SHA256:")
    assert caught.value.got.startswith("SHA256:")
    assert caught.value.expected != caught.value.got


def test_a_pinned_key_of_another_type_is_a_mismatch(server, head, key):
    other = gitserver.public_line(gitserver.new_key("rsa"))
    with pytest.raises(errors.HostKeyError):
        gitssh.fetch_head(server.url, key, f"[127.0.0.1]:{server.port} {other}\n", "main", 20)


def test_no_pin_for_this_host_means_no_connection(server, head, key):
    with pytest.raises(errors.HostKeyError):
        gitssh.fetch_head(server.url, key, f"github.com {server.host_key}\n", "main", 20)


def test_the_right_key_among_several_lines_is_found(server, head, key):
    other = gitserver.public_line(gitserver.new_key("rsa"))
    book = f"# comment\n[127.0.0.1]:{server.port},x {other}\n{server.known_hosts}garbage line\n"
    assert gitssh.fetch_head(server.url, key, book, "main", 20) == head


def test_a_hashed_host_name_is_understood(server, head, key, tmp_path):
    book = tmp_path / "known_hosts"
    book.write_text(server.known_hosts)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(book)], check=True, capture_output=True)
    assert book.read_text().startswith("|1|")
    assert gitssh.fetch_head(server.url, key, book.read_text(), "main", 20) == head


def test_a_missing_repository_is_said(server, key):
    with pytest.raises(errors.CodeHostError) as caught:
        gitssh.fetch_head(
            server.url_of(server.root / "nothing.git"), key, server.known_hosts, "main", 20
        )
    assert caught.value.status == 404
    assert "does not appear" in caught.value.detail or "no such" in caught.value.detail.lower()


def test_a_missing_branch_is_said(server, head, key):
    with pytest.raises(errors.CodeHostError) as caught:
        gitssh.fetch_head(server.url, key, server.known_hosts, "nowhere", 20)
    assert "nowhere" in caught.value.summary


def test_nobody_listening_is_a_connect_error(server, key):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    known = f"[127.0.0.1]:{port} {server.host_key}\n"
    with pytest.raises(errors.ConnectError):
        gitssh.fetch_head(f"ssh://git@127.0.0.1:{port}/r", key, known, "main", 5)


def test_a_server_that_says_nothing_meets_the_deadline(key):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        known = f"[127.0.0.1]:{port} {gitserver.public_line(gitserver.new_key())}\n"
        started = time.monotonic()
        with pytest.raises((errors.RemoteTimeoutError, errors.ConnectError)):
            gitssh.fetch_head(f"ssh://git@127.0.0.1:{port}/r", key, known, "main", 1.0)
        assert 0.9 < time.monotonic() - started < 5


def test_an_unreadable_private_key_is_never_quoted(server, head):
    broken = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n"
    with pytest.raises(errors.RemoteError) as caught:
        gitssh.fetch_head(server.url, Secret(broken), server.known_hosts, "main", 20)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
