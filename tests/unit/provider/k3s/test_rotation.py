"""What replacing the token, or the authority of client certificates, needs on the node."""

from __future__ import annotations

import datetime
import re
import subprocess
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision.provider.k3s import certificates as k3s_certificates
from provision.provider.k3s import client_ca
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import server as k3s_server
from provision.provider.k3s import token as k3s_token
from tests.support import k3snode

KIND = k3s_server.K3sServer()
AUTHORITY = "/var/lib/rancher/k3s/server/tls/client-ca.crt"


def theirs(*, by: str = "k3s-client-ca@1") -> str:
    """An authority as k3s makes it, or one that another signed."""
    key = ec.generate_private_key(ec.SECP256R1())

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime(2026, 8, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder(name(by), name("k3s-client-ca@1"), key.public_key(), 7)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def planned(authority: str = "", *, state: dict[str, Any] | None = None, **wish: str) -> list[str]:
    inputs = k3snode.k3s_inputs(**wish)
    files = {AUTHORITY: k3snode.a_file(AUTHORITY, (authority or theirs()).encode())}
    found = k3snode.k3s_node(inputs, files=files)
    return [f"{one.action} {one.property}" for one in KIND.plan(found, inputs, state or {})]


def test_without_a_wish_there_is_nothing_to_do() -> None:
    assert planned() == []


def test_a_token_is_rotated_once() -> None:
    both = ["update token", "restart units.k3s.service"]
    assert planned(tokenRotation="1") == both
    assert planned(tokenRotation="1", state={"tokenRotated": "0"}) == both
    assert planned(tokenRotation="1", state={"tokenRotated": "1"}) == []


def test_one_restart_is_enough() -> None:
    inputs = k3snode.k3s_inputs(tokenRotation="1")
    found = k3snode.k3s_node(inputs, started={k3s_files.ENV: "0" * 64})
    actions = [change.action for change in KIND.plan(found, inputs, {})]
    assert actions.count("restart") == 1


@pytest.mark.parametrize("place", [k3s_files.places({}).token, AUTHORITY])
def test_what_was_cut_off_before_the_restart_is_restarted_by_the_next_up(place: str) -> None:
    inputs = k3snode.k3s_inputs()
    found = k3snode.k3s_node(inputs, started={place: "-" * 64})
    (change,) = k3s_plan.plan(found, inputs)
    assert change.action == "restart"
    assert place.rpartition("/")[2] in change.summary


@pytest.mark.parametrize(
    ("token", "secret"),
    [
        ("K10abc::server:pw", "pw"),
        ("K10abc::server:pw:with:colons\n", "pw:with:colons"),
        ("bare", "bare"),
    ],
)
def test_the_secret_part_of_a_token(token: str, secret: str) -> None:
    assert k3s_token.password(token).reveal() == secret


def test_tokens_of_the_configuration_are_found() -> None:
    assert k3s_token.pinned_by({"options": {"token": "x", "token-file": "/t"}}) == (
        "token",
        "token-file",
    )
    assert k3s_token.pinned_by({"options": {"agent-token": "x"}}) == ()


def test_a_new_authority_comes_beside_the_old_one_and_then_alone() -> None:
    old = theirs()
    new, key = k3s_certificates.make()
    assert planned(old, clientRotation="1") == [
        "update clientAuthority",
        "restart units.k3s.service",
    ]
    both = new + old
    assert client_ca.under_way(both) and not client_ca.under_way(old)
    assert not client_ca.under_way(new)
    assert planned(both, clientRotation="1", state={"clientRotated": "1"}) == []
    assert planned(both) == [], "a state to stay in: the next up takes nobody's key away"
    assert planned(both, clientRotation=client_ca.FINISH) == [
        "delete clientAuthority",
        "restart units.k3s.service",
    ]
    assert planned(new, clientRotation=client_ca.FINISH) == []
    private = serialization.load_pem_private_key(key.reveal().encode(), None)
    certificate = x509.load_pem_x509_certificate(new.encode())
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.public_key() == certificate.public_key()
    certificate.verify_directly_issued_by(certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value.ca


def test_each_authority_has_a_key_id_by_which_k3s_knows_what_to_make_anew() -> None:
    ids = {
        x509.load_pem_x509_certificate(k3s_certificates.make()[0].encode())
        .extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        .value.digest
        for _ in range(2)
    }
    assert len(ids) == 2


def test_an_authority_of_the_users_own_is_left_alone() -> None:
    assert client_ca.problem(theirs()) == ""
    assert "of your own" in client_ca.problem(theirs(by="My root"))
    assert "of your own" in client_ca.problem(theirs() + theirs(by="My root"))
    assert "no authority" in client_ca.problem("")
    assert client_ca.problem(k3s_certificates.make()[0] + theirs()) == ""


class Node:
    """Runs what it is told here, with a folder in the place of the node's."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.scripts: list[str] = []

    def run(self, script: str, *, stdin: bytes = b"", **_more: Any) -> None:
        self.scripts.append(script)
        here = script.replace("/var/lib/rancher/k3s", self.root)
        here = here.replace("/run/elysium", f"{self.root}/run")
        here = here.replace("/usr/local/bin/k3s", f"{self.root}/k3s")
        subprocess.run(["/bin/sh", "-c", here], input=stdin, check=True)


@pytest.fixture
def node(tmp_path) -> Node:
    """A node on which k3s notes what it is given."""
    tls = tmp_path / "server/tls"
    tls.mkdir(parents=True)
    (tls / "client-ca.key").write_text("the node's own key\n")
    program = tmp_path / "k3s"
    program.write_text(
        '#!/bin/sh\necho "$@" >>"$(dirname "$0")/called"\n'
        '[ "$2" = rotate ] || cp -r "$4/tls" "$(dirname "$0")/given"\n'
    )
    program.chmod(0o755)
    return Node(str(tmp_path))


def test_k3s_is_given_the_authorities_and_the_key_over_standard_input(node, tmp_path) -> None:
    old = theirs()
    client_ca.begin(node, k3snode.k3s_inputs(), old)  # type: ignore[arg-type]
    given = (tmp_path / "given/client-ca.crt").read_text()
    assert client_ca.under_way(given) and given.endswith(old)
    key = (tmp_path / "given/client-ca.key").read_text()
    serialization.load_pem_private_key(key.encode(), None)
    assert sorted(path.name for path in (tmp_path / "given").iterdir()) == [
        "client-ca.crt",
        "client-ca.key",
    ]
    assert (tmp_path / "called").read_text().startswith("certificate rotate-ca --path ")
    assert (tmp_path / "called").read_text().endswith(" --force\n")
    assert not (tmp_path / "server/elysium-rotate-ca").exists(), "nothing is left behind"
    assert not [one for one in node.scripts if "PRIVATE KEY" in re.sub(r"/PRIVATE KEY/", "", one)]
    assert "client-ca.crt" in (tmp_path / "run/k3s.started").read_text()


def test_in_the_end_it_gets_the_new_one_alone_with_the_key_it_has(node, tmp_path) -> None:
    new, _ = k3s_certificates.make()
    client_ca.end(node, k3snode.k3s_inputs(), new + theirs())  # type: ignore[arg-type]
    assert (tmp_path / "given/client-ca.crt").read_text() == new
    assert (tmp_path / "given/client-ca.key").read_text() == "the node's own key\n"


def test_the_token_is_on_no_command_line(node, tmp_path) -> None:
    k3s_token.rotate(node, k3snode.k3s_inputs())  # type: ignore[arg-type]
    assert (tmp_path / "called").read_text() == "token rotate\n"
    assert "server/token" in (tmp_path / "run/k3s.started").read_text()
    options = {"data-dir": str(tmp_path), "https-listen-port": 7443}
    k3s_token.rotate(node, k3snode.k3s_inputs(options=options))  # type: ignore[arg-type]
    last = (tmp_path / "called").read_text().splitlines()[-1]
    assert last == f"token rotate --data-dir {tmp_path} --server https://127.0.0.1:7443"
