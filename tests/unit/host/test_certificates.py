"""Certificates of hosts and users, against ssh-keygen, sshd and ssh."""

from __future__ import annotations

import base64
import pathlib
import subprocess
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from provision import errors, hostkeys
from provision.host import certificates, reach, transport, trusting
from tests.support import sshd, sshserver
from tests.unit.host.test_login import log_in

Keygen = Callable[..., pathlib.Path]
Agent = Callable[..., None]


def sign(authority: pathlib.Path, key: pathlib.Path, *options: str) -> pathlib.Path:
    """Certify `key`; return the certificate's file."""
    subprocess.run(
        ["ssh-keygen", "-q", "-s", authority, "-I", "id of it", *options, f"{key}.pub"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return pathlib.Path(f"{key}-cert.pub")


def line(key: pathlib.Path) -> str:
    return " ".join(pathlib.Path(f"{key}.pub").read_text().split()[:2])


def trust(authority: pathlib.Path, name: str = "node.lan") -> hostkeys.Trust:
    found = hostkeys.entries(f"@cert-authority *.lan {line(authority)}\n")
    return hostkeys.trusted(found, name)


KINDS = ("ed25519", "ecdsa", "rsa")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("authority", KINDS)
def test_a_certificate_of_ssh_keygen_is_read(keygen: Keygen, kind: str, authority: str) -> None:
    ca, key = keygen("ca", kind=authority), keygen("host", kind=kind)
    found = certificates.read(sign(ca, key, "-h", "-n", "node.lan,10.0.0.7"))
    assert found is not None
    assert found.key.line == line(key) and found.authority.line == line(ca)
    assert found.principals == ("node.lan", "10.0.0.7")
    assert (found.key_id, found.kind) == ("id of it", 2)
    assert found.refusal("node.lan", trust(ca)) == trusting.signature(found) == ""
    changed = bytearray(found.blob)
    changed[60] ^= 1
    other = certificates.parse(bytes(changed))
    assert other is None or trusting.signature(other) == "its signature is wrong"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-h", "-n", "other.lan"), "it is for other.lan, and not for node.lan"),
        (("-h", "-V", "20200101:20200102"), "it has expired on 2020-01-0"),
        (("-h", "-V", "20400101:20400102"), "it is valid from "),
        (("-n", "node.lan"), "it is one for users"),
    ],
    ids=["another name", "expired", "early", "of a user"],
)
def test_a_certificate_that_is_not_valid(keygen: Keygen, options: Any, reason: str) -> None:
    ca, key = keygen("ca"), keygen("host")
    found = certificates.read(sign(ca, key, *options))
    assert found is not None and found.refusal("node.lan", trust(ca)).startswith(reason)


def test_another_authority_certifies_nothing(keygen: Keygen) -> None:
    ca, other = keygen("ca"), keygen("other")
    found = certificates.read(sign(ca, keygen("host"), "-h"))
    assert found is not None
    assert "which no line names for node.lan" in found.refusal("node.lan", trust(other))
    assert "which no line names" in found.refusal("node.org", trust(ca, "node.org"))


def test_what_is_no_certificate_is_none(keygen: Keygen) -> None:
    key = keygen("host")
    whole = certificates.read(sign(keygen("ca"), key, "-h"))
    assert whole is not None
    for cut in range(0, len(whole.blob), 7):
        assert certificates.parse(whole.blob[:cut]) is None
    assert certificates.parse(whole.blob + b"x") is None
    assert certificates.parse(base64.b64decode(line(key).split()[1])) is None
    assert certificates.read(key) is None and certificates.read(key.with_name("no")) is None


@pytest.fixture
def host(home: pathlib.Path, tmp_path: pathlib.Path, keygen: Keygen) -> Iterator[Any]:
    """A real sshd; call it with options for the certificate of its ed25519 key."""
    servers: list[sshd.Sshd] = []

    def start(*options: str) -> sshd.Sshd:
        folder = tmp_path / "sshd"
        server = sshd.start_sshd(
            folder, extra=f"HostCertificate {folder}/host_ed25519-cert.pub\n",
            prepare=lambda: sign(home / ".ssh" / "ca", folder / "host_ed25519", "-h", *options),
        )  # fmt: skip
        servers.append(server)
        return server

    keygen("ca", kind="ed25519")
    yield start
    for server in servers:
        server.process.terminate()
        server.process.wait(10)


def connect(server: sshd.Sshd, **values: Any) -> None:
    opened = transport.Transport(server.node(**{"host_key": "", **values}), timeout=60)
    try:
        opened.connected()
    finally:
        opened.close()


def with_ssh(server: sshd.Sshd, home: pathlib.Path) -> bool:
    """Return whether the real ssh accepts the host."""
    book = home / ".ssh" / "known_hosts"
    done = subprocess.run(
        ["ssh", "-F", "none", "-i", server.key, "-p", str(server.port), "-o", "BatchMode=yes",
         "-o", f"UserKnownHostsFile={book}", "-o", "StrictHostKeyChecking=yes", "-o",
         "GlobalKnownHostsFile=none", "root@127.0.0.1", "true"],
        capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode == 0


def test_a_certified_host_is_trusted_as_ssh_trusts_it(
    host: Any, home: pathlib.Path, keygen: Keygen
) -> None:
    server = host("-n", "127.0.0.1,node.lan")
    book, ca = home / ".ssh" / "known_hosts", line(home / ".ssh" / "ca")
    plain, other = server.host_keys["ssh-ed25519"], line(keygen("other", kind="ed25519"))
    name = f"[127.0.0.1]:{server.port}"
    cases: dict[str, str] = {
        f"@cert-authority {name} {ca}\n": "",
        f"@cert-authority 127.0.0.* {ca}\n": "",
        f"@cert-authority *,!{name},!127.0.0.1 {ca}\n": "no host key is pinned",
        f"@cert-authority * {other}\n": "host certificate .* not valid: it is signed by",
        f"@cert-authority * {ca}\n@revoked * {ca}\n": "authority of the host certificate",
        f"@cert-authority * {ca}\n@revoked * {plain}\n": "the host key of .* is revoked",
        f"@cert-authority * {other}\n{name} {plain}\n": "",
        f"{name} {plain}\n": "",
        f"{name} {other}\n": "is not the pinned one",
    }
    for text, expected in cases.items():
        book.write_text(text)
        assert with_ssh(server, home) == (not expected), text
        if not expected:
            connect(server)
            continue
        with pytest.raises(errors.HostKeyError, match=expected):
            connect(server)


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "node.lan"),
        ("-V", "20200101:20200102"),
        (),
        ("-n", "127.0.0.*"),
        ("-n", "other,127.0.0.1"),
    ],
    ids=["another name", "expired", "any name", "a pattern", "one of two"],
)
def test_the_verdict_on_a_certificate_is_that_of_ssh(
    host: Any, home: pathlib.Path, options: tuple[str, ...]
) -> None:
    server = host(*options)
    (home / ".ssh" / "known_hosts").write_text(f"@cert-authority * {line(home / '.ssh' / 'ca')}\n")
    if with_ssh(server, home):
        connect(server)
        return
    with pytest.raises(errors.HostKeyError, match=r"host certificate .* is not valid") as caught:
        connect(server)
    assert "ssh-keygen -s" in caught.value.hint and "hostKey" in caught.value.hint


def test_a_fingerprint_pins_a_certified_host_too(host: Any) -> None:
    server = host("-n", "127.0.0.1")
    for key in server.host_keys.values():
        blob = base64.b64decode(key.split()[1])
        connect(server, host_key=hostkeys.fingerprint(blob))


def test_an_address_that_comes_later_and_a_source_are_used(
    host: Any, home: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    server = host("-n", "127.0.0.1")
    path = tmp_path / "config"
    values = {"host": "localhost", "ssh_config": str(path)}
    pinned = server.host_keys["ssh-ed25519"]
    path.write_text("AddressFamily inet\nBindAddress 127.0.0.9\n")
    connect(server, host_key=pinned, **values)
    path.write_text("AddressFamily inet6\n")
    with pytest.raises(errors.ConnectError):
        connect(server, host_key=pinned, **values)


def test_revoked_host_keys_of_a_file(host: Any, home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    server = host("-n", "127.0.0.1")
    pinned, ca = server.host_keys["ssh-ed25519"], home / ".ssh" / "ca"
    path, revoked = tmp_path / "config", tmp_path / "revoked"
    path.write_text(f"RevokedHostKeys {revoked}\n")
    with pytest.raises(errors.HostKeyError, match=r"RevokedHostKeys names .*, cannot be read"):
        connect(server, host_key=pinned, ssh_config=str(path))
    revoked.write_text(f"# some\n\n{line(ca)} its comment\n")
    connect(server, host_key=pinned, ssh_config=str(path))
    revoked.write_text(f"{line(ca)}\n{pinned} its comment\n")
    with pytest.raises(errors.HostKeyError, match="is revoked") as caught:
        connect(server, host_key=pinned, ssh_config=str(path))
    assert f"{revoked}:2" in caught.value.detail
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", revoked, f"{ca}.pub"], check=True, timeout=60)
    with pytest.raises(errors.HostKeyError, match="binary revocation list"):
        connect(server, host_key=pinned, ssh_config=str(path))


def test_a_certificate_that_only_names_the_authority_is_refused(keygen: Keygen) -> None:
    ca, other = keygen("ca", kind="ed25519"), keygen("other", kind="ed25519")
    forged = certificates.read(sign(other, keygen("host"), "-h", "-n", "node.lan"))
    assert forged is not None
    right, wrong = (base64.b64decode(line(key).split()[1]) for key in (ca, other))
    blob = forged.blob.replace(wrong, right)
    shown = SimpleNamespace(
        get_name=lambda: forged.key.type,
        asbytes=lambda: forged.key.blob,
        public_blob=SimpleNamespace(key_blob=blob),
    )
    connection: Any = SimpleNamespace(get_remote_server_key=lambda: shown)
    route = reach.Route(name="node.lan", host="node.lan", known_as=("node.lan",))
    refusal = trusting.judge(route, connection, trust(ca))
    assert refusal is not None and "its signature is wrong" in refusal.error.summary


# Users


def shown(server: sshserver.Server) -> list[str]:
    return [each for tried in server.tried for each in tried]


def fingerprint(path: pathlib.Path) -> str:
    return hostkeys.fingerprint(base64.b64decode(line(path).split()[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_beside_a_key_is_tried_with_it_as_ssh_does(
    keygen: Keygen, kind: str, home: pathlib.Path
) -> None:
    key = keygen(f"id_{kind}", kind=kind)
    sign(keygen("ca"), key, "-n", "root")
    with sshserver.running() as server, pytest.raises(errors.AuthError) as caught:
        log_in(server)
    assert f"certificate {key}-cert.pub" in caught.value.detail
    with sshserver.running() as oracle:
        subprocess.run(
            ["ssh", "-F", "none", "-i", key, "-p", str(oracle.port), "-o", "BatchMode=yes", "-o",
             "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
             "IdentitiesOnly=yes", "root@127.0.0.1", "true"],
            capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    assert shown(server) == shown(oracle) == [fingerprint(key), f"certificate {fingerprint(key)}"]


def test_a_server_that_knows_the_authority_lets_a_certificate_in(
    host: Any, home: pathlib.Path, keygen: Keygen, tmp_path: pathlib.Path, agent: Agent
) -> None:
    server = host("-n", "127.0.0.1")
    pinned = server.host_keys["ssh-ed25519"]
    (server.folder / "authorized").write_text(f"cert-authority {line(home / '.ssh' / 'ca')}\n")
    for kind in KINDS:
        key = keygen(f"mine_{kind}", kind=kind)
        values: dict[str, Any] = {"host_key": pinned, "identity_file": str(key)}
        with pytest.raises(errors.AuthError):
            connect(server, **values)
        beside = sign(home / ".ssh" / "ca", key, "-n", "root")
        connect(server, **values)
        elsewhere = beside.rename(tmp_path / f"{kind}.cert")
        with pytest.raises(errors.AuthError):
            connect(server, **values)
        path = tmp_path / "config"
        path.write_text(f"CertificateFile {elsewhere}\n")
        connect(server, ssh_config=str(path), **values)
        # The agent has the private key alone, and the file holds its certificate.
        agent(key)
        key.unlink()
        connect(server, ssh_config=str(path), agent=True, **values)
        elsewhere.rename(beside)
        connect(server, agent=True, **values)


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_the_agent_has(
    host: Any, home: pathlib.Path, keygen: Keygen, agent: Agent, kind: str
) -> None:
    server = host("-n", "127.0.0.1")
    (server.folder / "authorized").write_text(f"cert-authority {line(home / '.ssh' / 'ca')}\n")
    key = keygen("mine", kind=kind)
    beside = sign(home / ".ssh" / "ca", key, "-n", "root")
    agent(key)
    key.unlink()
    beside.unlink()
    connect(server, host_key=server.host_keys["ssh-ed25519"], identity_file="", agent=True)


def test_an_expired_certificate_does_not_hide_its_key(
    host: Any, home: pathlib.Path, keygen: Keygen
) -> None:
    server = host("-n", "127.0.0.1")
    pinned = server.host_keys["ssh-ed25519"]
    sign(home / ".ssh" / "ca", server.key, "-n", "root", "-V", "20200101:20200102")
    connect(server, host_key=pinned)
    pathlib.Path(f"{server.key}-cert.pub").write_text("broken\n")
    connect(server, host_key=pinned)


def test_a_certificate_without_its_key_is_named(keygen: Keygen, home: pathlib.Path) -> None:
    key = keygen("other")
    found = sign(keygen("ca"), key, "-n", "root")
    keygen("id_ecdsa")
    (home / ".ssh" / "config").write_text(f"CertificateFile {found}\nCertificateFile {key}\n")
    with sshserver.running() as server, pytest.raises(errors.AuthError) as caught:
        log_in(server)
    assert f"certificate {found} (no private key for it)" in caught.value.detail
    assert f"certificate {key} (no certificate)" in caught.value.detail
