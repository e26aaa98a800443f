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

from provision import errors
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
        self.killed_at = 0

    def run(self, script: str, *, stdin: bytes = b"", **_more: Any) -> None:
        self.scripts.append(script)
        here = script.replace("/var/lib/rancher/k3s", self.root)
        here = here.replace("/run/elysium", f"{self.root}/run")
        here = here.replace("/usr/local/bin/k3s", f"{self.root}/k3s")
        shell = ["/bin/sh", "-c", here]
        if self.killed_at and "rotate" in script:
            count = f"trap '[ $((n = n + 1)) -lt {self.killed_at} ] || kill -9 $$' DEBUG\n"
            shell = ["/bin/bash", "-T", "-c", count + here]
        subprocess.run(shell, input=stdin, check=True)


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


# -- the token -------------------------------------------------------------------------

K3S = """\
#!/bin/sh
# As k3s does: it reads the token of the default folder, unless K3S_TOKEN holds one.
cd "$(dirname "$0")" || exit 1
echo "$@" >>called
if [ -s refusals ]; then
    sed -i 1d refusals
    echo 'Error: https://127.0.0.1:6443/v1-k3s/token: 500: runtime core not ready' >&2
    exit 1
fi
[ "$K3S_TOKEN" = "$(cat server/token)" ] || { echo 'Error: unauthorized' >&2; exit 1; }
[ -z "$K3S_URL" ] || { echo 'Error: another server' >&2; exit 1; }
echo rotated >>rotations
echo "K10hash::server:made-$(grep -c . rotations)" >server/token.new
mv server/token.new server/token
[ ! -e answerless ] || exit 1
"""
OLD = "K10hash::server:canary-old"


@pytest.fixture
def server(node, tmp_path) -> dict[str, Any]:
    """Inputs of a server in another folder than the default, with a program as k3s is."""
    (tmp_path / "k3s").write_text(K3S)
    (tmp_path / "server/token").write_text(OLD + "\n")
    (tmp_path / "server/token").chmod(0o600)
    return k3snode.k3s_inputs(options={"data-dir": str(tmp_path), "https-listen-port": 7443})


def test_the_token_goes_to_k3s_in_the_environment_of_one_command(
    node, server, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("K3S_URL", "https://elsewhere:6443")
    monkeypatch.setenv("K3S_TOKEN", "another")
    k3s_token.rotate(node, server)
    last = (tmp_path / "called").read_text().splitlines()[-1]
    assert last == f"token rotate --data-dir {tmp_path} --server https://127.0.0.1:7443"
    assert (tmp_path / "server/token").read_text() == "K10hash::server:made-1\n"
    assert "server/token" in (tmp_path / "run/k3s.started").read_text()
    assert not [one for one in node.scripts if "canary" in one]
    before = tmp_path / "server/elysium-token-before"
    assert before.read_text().strip() == OLD
    assert before.stat().st_mode & 0o777 == 0o600
    k3s_token.finish(node, server)
    assert sorted(path.name for path in (tmp_path / "server").iterdir()) == ["tls", "token"]


def test_a_server_that_is_not_ready_yet_is_asked_again(node, server, tmp_path) -> None:
    (tmp_path / "refusals").write_text("1\n2\n")
    k3s_token.rotate(node, server)
    assert (tmp_path / "rotations").read_text() == "rotated\n"
    assert len((tmp_path / "called").read_text().splitlines()) == 3


def test_an_answer_that_is_lost_is_no_reason_for_another_rotation(node, server, tmp_path) -> None:
    (tmp_path / "answerless").touch()
    k3s_token.rotate(node, server)
    k3s_token.rotate(node, server)
    assert (tmp_path / "rotations").read_text() == "rotated\n"


def test_a_refusal_leaves_nothing_behind(node, server, tmp_path) -> None:
    (tmp_path / "k3s").write_text("#!/bin/sh\necho 'Error: canary-old is wrong' >&2; exit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        k3s_token.rotate(node, server)
    assert not (tmp_path / "server/elysium-token-before").exists()


def test_a_rotation_that_is_killed_anywhere_is_finished_and_not_begun_again(
    node, server, tmp_path
) -> None:
    """Kill the script before its first, second … command; then run it again."""
    moments = 0
    while True:
        moments += 1
        for leftover in ("rotations", "called", "server/elysium-token-before"):
            (tmp_path / leftover).unlink(missing_ok=True)
        (tmp_path / "server/token").write_text(OLD + "\n")
        node.killed_at = moments
        whole = True
        try:
            k3s_token.rotate(node, server)
        except subprocess.CalledProcessError:
            whole = False
        node.killed_at = 0
        k3s_token.rotate(node, server)
        assert (tmp_path / "rotations").read_text() == "rotated\n", f"killed at {moments}"
        before = (tmp_path / "server/elysium-token-before").read_text()
        token = (tmp_path / "server/token").read_text()
        assert k3s_token.replaced(before, token) == OLD
        if whole:
            break
    assert moments > 10


def test_a_rotation_that_is_not_verified_is_told_and_not_begun_by_up() -> None:
    at = k3s_files.places({})
    files: dict[str, Any] = {
        at.token: k3snode.a_file(at.token, b"K10x::server:new\n"),
        at.token_before: k3snode.a_file(at.token_before, b"K10x::server:old\n"),
    }
    inputs = k3snode.k3s_inputs()
    found = k3snode.k3s_node(inputs, files=files)
    assert KIND.plan(found, inputs, {}) == ()
    (said,) = KIND.remarks(found, inputs)
    assert "elysium rotate k3s-token" in said and "server:" not in said
    finishing = k3snode.k3s_inputs(tokenRotation=k3s_token.FINISH)
    assert KIND.plan(found, finishing, {}) == () == KIND.remarks(found, finishing)
    assert k3s_server.replaced_token(found, inputs) == "K10x::server:old"
    # The rotation did not take place, or it is verified.
    files[at.token_before] = files[at.token]
    assert k3s_server.replaced_token(k3snode.k3s_node(inputs, files=files), inputs) == ""
    files[at.token_before] = None
    assert k3s_server.replaced_token(k3snode.k3s_node(inputs, files=files), inputs) == ""


# -- what the server says about a token ------------------------------------------------


@pytest.fixture
def answers(monkeypatch) -> list[tuple[int, str]]:
    """What the server answers, in order; the last one again and again."""
    found: list[tuple[int, str]] = []

    def ask(*_args: object) -> tuple[str, int, str]:
        status, words = found[0] if len(found) == 1 else found.pop(0)
        return "10.0.0.1:6443", status, words

    monkeypatch.setattr(k3s_token, "_ask", ask)
    monkeypatch.setattr(k3s_token, "_PAUSE", 0)
    return found


def test_a_runtime_that_is_not_ready_is_waited_for(answers) -> None:
    answers += [(500, "runtime core not ready"), (0, "refused"), (503, ""), (200, "")]
    said: list[str] = []
    assert k3s_token.accepted("", "t", agents=False, progress=said.append) == {"server": True}
    assert len(said) == 1 and "runtime core not ready" in said[0]
    answers[:] = [(500, "runtime core not ready"), (401, "")]
    assert k3s_token.accepted("", "t", agents=False) == {"server": False}


@pytest.mark.parametrize("answer", [(500, "no"), (0, "refused"), (404, ""), (-1, "a stranger")])
def test_a_server_that_says_neither_yes_nor_no_is_an_error(answers, answer) -> None:
    answers += [answer]
    with pytest.raises(errors.RemoteError, match="does not say") as raised:
        k3s_token.accepted("", "K10::server:canary", patience=0.05)
    assert "canary" not in str(raised.value)
    assert "begins no other" in raised.value.hint
