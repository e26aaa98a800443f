"""The forge's own certificate authority: `github.caFile`."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from provision import config, errors
from provision.github import authority, failures, installation, repository
from provision.provider import connections
from provision.sandbox.forge import authority as forge_authority
from provision.secret import Secret
from tests.support import hostile
from tests.support.hostile import Reply, reply

C0 = "c0" * 20
BASE = "/repos/me/home"
ANSWERS = {
    f"GET {BASE}": reply({"full_name": "me/home", "permissions": {"push": True}}),
    f"GET {BASE}/git/ref/heads/main": reply(
        {"ref": "refs/heads/main", "object": {"sha": C0, "type": "commit"}}
    ),
    f"GET {BASE}/keys": reply([]),
    f"GET {BASE}/installation": reply({"id": 5}),
    "POST /app/installations/5/access_tokens": reply(
        {"token": "ghs_1", "expires_at": "2099-01-01T00:00:00Z", "permissions": {}}, 201
    ),
    "GET /archive": Reply(body=b"the archive"),
}


@dataclasses.dataclass(frozen=True)
class Made:
    """A server with an authority of its own, in a file."""

    server: hostile.Server
    ca: Path

    def cfg(self, **more: Any) -> config.GitHub:
        values = {"ca_file": str(self.ca), "base_url": self.server.url, **more}
        return config.GitHub(owner="me", repository="home", **values)

    def opened(self, **more: Any) -> contextlib.closing[repository.Repository]:
        found = repository.Repository.open(self.cfg(**more), Secret("ghp_canary"), deadline=0.2)
        return contextlib.closing(found)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "forge"
    root.mkdir()
    tls = forge_authority.context(root, "127.0.0.1")

    def answer(method: str, path: str) -> Reply:
        if path == f"{BASE}/tarball/{C0}":
            return Reply(status=302, body=b"{}", headers={"Location": f"{server.url}/archive"})
        return ANSWERS[f"{method} {path.partition('?')[0]}"]

    with hostile.serve(answer, tls=tls) as server:
        yield Made(server=server, ca=forge_authority.ca_file(root))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The file of another authority, of the same name."""
    root = tmp_path / "other"
    root.mkdir()
    forge_authority.context(root, "127.0.0.1")
    return forge_authority.ca_file(root)


def test_every_caller_trusts_the_file(made: Made) -> None:
    with made.opened() as repo:
        assert repo.head("main") == C0
        assert repo._link.download_archive(C0) == b"the archive"
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    app = installation.Installation(app="1", private_key=Secret(private.decode()))
    assert installation.Exchange(made.cfg(), app).token().reveal() == "ghs_1"


def test_one_connection_serves_all_calls(made: Made) -> None:
    with made.opened() as repo:
        for _ in range(5):
            repo.head("main", fresh=True)
    assert len(made.server.calls) == 5 and made.server.connections == 1


def test_without_the_file_nothing_is_sent_and_it_is_said_what_to_do(made: Made) -> None:
    with made.opened(ca_file="") as repo, pytest.raises(failures.UnreachableError) as caught:
        repo.head("main")
    error = caught.value
    assert made.server.url in error.summary and "certificate was not accepted" in error.summary
    assert "elysium config set github.caFile FILE" in error.hint
    assert made.server.calls == [] and made.server.tokens == []


def test_another_authority_is_refused_with_file_and_address(made: Made, other: Path) -> None:
    with made.opened(ca_file=str(other)) as repo, pytest.raises(errors.CodeHostError) as caught:
        repo.head("main")
    assert str(other) in caught.value.summary and made.server.url in caught.value.summary
    assert "github.caFile" in caught.value.hint
    assert made.server.tokens == []


def test_another_name_than_the_certificates_is_refused(made: Made) -> None:
    url = made.server.url.replace("127.0.0.1", "localhost")
    with made.opened(base_url=url) as repo, pytest.raises(errors.CodeHostError) as caught:
        repo.head("main")
    assert "localhost" in caught.value.summary and "github.baseUrl" in caught.value.hint
    assert made.server.tokens == []


def test_a_server_that_speaks_no_tls_is_named(made: Made) -> None:
    with hostile.serve(lambda _method, _path: reply({})) as plain:
        url = plain.url.replace("http:", "https:")
        with made.opened(base_url=url) as repo, pytest.raises(errors.CodeHostError) as caught:
            repo.head("main")
    assert url in caught.value.summary and "does not speak TLS" in caught.value.summary


def test_a_relative_file_is_in_the_folder_of_the_stack(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    stack = tmp_path / "stack" / "certs"
    stack.mkdir(parents=True)
    (stack / "ca.pem").write_bytes(made.ca.read_bytes())
    cfg = config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "10.0.0.1"}],
            "github": made.cfg(ca_file="certs/ca.pem", token=Secret("ghp_canary")).model_dump(),
        }
    )
    live = connections.Live(cfg, root=tmp_path / "stack")
    with contextlib.closing(live):
        assert live.github().head("main") == C0
    # So in the process of the provider under the upstream engine, wherever that runs.
    again = connections.Live.of_environment(live.environment())
    again._config = cfg
    with contextlib.closing(again):
        assert again.github().head("main") == C0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        (b"", "no certificate in PEM"),
        (b"canary-of-a-secret", "no certificate in PEM"),
        (b"\x30\x82\x01\x0a" * 100, "no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\ncanary", "damaged or cut short"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "damaged or cut short",
        ),
        (b"#" * (1024**2 + 1), "larger than 1024 KiB"),
        ("folder", "no file"),
    ],
)
def test_a_file_of_no_use_is_named_before_anything_is_sent(
    made: Made, tmp_path: Path, content: bytes | str | None, words: str
) -> None:
    path = tmp_path / "given.pem"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with made.opened(ca_file=str(path)) as repo, pytest.raises(errors.ConfigError) as caught:
        repo.head("main")
    (problem,) = caught.value.problems
    assert words in problem.message and problem.key == "github.caFile"
    assert str(path) in caught.value.summary and "canary" not in str(caught.value)
    assert made.server.calls == []


def test_the_authorities_of_the_environment_go_on_to_count(
    made: Made, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(made.ca))
            with made.opened(ca_file="") as repo:
                assert repo.head("main") == C0
        with monkeypatch.context() as patch:
            patch.setenv(name, str(other))  # what the configuration names goes before
            with made.opened() as repo:
                assert repo.head("main") == C0
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
    assert authority.verify(made.cfg(ca_file="")) is True


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy for HTTPS, and what it was asked to connect to."""
    asked: list[str] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(1 << 16)
                target = head.split()[1].decode()
                asked.append(f"{head.split()[0].decode()} {target}")
                host, _, port = target.rpartition(":")
                server = socket.create_connection((host, int(port)))
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                threads = [
                    threading.Thread(target=pump, args=pair, daemon=True)
                    for pair in ((client, server), (server, client))
                ]
                for each in threads:
                    each.start()
                for each in threads:
                    each.join()
                client.close()
                server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def test_a_proxy_of_the_environment_is_used_and_the_file_with_it(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with proxy() as (address, asked):
        monkeypatch.setenv("HTTPS_PROXY", address)
        with made.opened() as repo:
            assert repo.head("main") == C0
    assert asked == [f"CONNECT {made.server.url.removeprefix('https://')}"]


def test_the_sandboxs_authority_stays_over_restarts(tmp_path: Path) -> None:
    forge_authority.context(tmp_path, "127.0.0.1")
    before = forge_authority.ca_file(tmp_path).read_bytes()
    forge_authority.context(tmp_path, "10.231.1.1")
    assert forge_authority.ca_file(tmp_path).read_bytes() == before
    for name in ("ca.key", "server.pem"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    found = ssl.create_default_context(cafile=forge_authority.ca_file(tmp_path))
    (known,) = found.get_ca_certs()
    ends = ssl.cert_time_to_seconds(str(known["notAfter"]))
    assert ends > datetime.datetime.now(datetime.UTC).timestamp() + 3000 * 86400
