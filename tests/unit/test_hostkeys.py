"""Every form in which people have host keys, as ssh-keygen and ssh-keyscan write it."""

from __future__ import annotations

import base64
import pathlib
import shutil
import subprocess

import pytest

from provision import hostkeys

KEYGEN = shutil.which("ssh-keygen")
needs_keygen = pytest.mark.skipif(KEYGEN is None, reason="needs ssh-keygen")


def keygen(*args: str | pathlib.Path) -> str:
    done = subprocess.run(
        [str(KEYGEN), *map(str, args)], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture(scope="module", params=["ed25519", "ecdsa", "rsa"])
def key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("key") / "host"
    keygen("-q", "-t", request.param, "-N", "", "-C", "a comment (odd)", "-f", path)
    return path


def public(key: pathlib.Path) -> str:
    return pathlib.Path(f"{key}.pub").read_text().strip()


def shown(key: pathlib.Path) -> hostkeys.HostKey:
    kind, data = public(key).split()[:2]
    return hostkeys.HostKey(type=kind, blob=base64.b64decode(data))


@needs_keygen
def test_every_form_pins_the_key(key: pathlib.Path, tmp_path: pathlib.Path):
    line = public(key)
    hashed = tmp_path / "known"
    hashed.write_text(f"node.lan,10.0.0.7 {line}\n")
    keygen("-H", "-f", hashed)
    listed = keygen("-lf", f"{key}.pub")
    forms = (
        *(line, f"node.lan {line}", f"[node.lan]:2222,10.0.0.7 {line}", f"ssh-gw {line}"),
        *(hashed.read_text().splitlines()[0], listed, listed.split()[1], f"{listed.split()[1]}="),
        f"# node.lan:22 SSH-2.0-OpenSSH_9.2p1\nnode.lan {line}\n",
    )
    for form in forms:
        assert any(pin.accepts(shown(key)) for pin in hostkeys.parse_pins(form)), form
    other = hostkeys.HostKey(type="ssh-ed25519", blob=b"\0\0\0\x0bssh-ed25519" + b"x" * 36)
    assert not any(pin.accepts(other) for form in forms for pin in hostkeys.parse_pins(form))
    # A line of ssh-keygen -lf tells the type, so the server is asked for it at once.
    assert hostkeys.parse_pin(listed).type == shown(key).type


@needs_keygen
def test_what_is_no_pin_says_why(key: pathlib.Path):
    line = public(key)
    for text, words in {
        keygen("-E", "md5", "-lf", f"{key}.pub"): "-E sha256",
        f"@revoked * {line}": "revoked",
        f"@cert-authority *.lan {line}": "authority",
        f"@other *.lan {line}": "marker",
        line[:40]: "cut short|not of the type|not base64",
        "": "a host key is",
        "# only a comment": "a host key is",
        "node.lan": "a host key is",
        f"{line}\n{line[:30]}": "cut short|not of the type|not base64",
    }.items():
        with pytest.raises(ValueError, match=words):
            hostkeys.parse_pins(text)


@needs_keygen
@pytest.mark.parametrize(
    ("names", "asked", "there"),
    [
        ("node.lan", "node.lan", True),
        ("node.lan", "NODE.lan", True),
        ("node.lan", "node", False),
        ("a,node.lan,b", "node.lan", True),
        ("*.lan", "node.lan", True),
        ("*.lan,!node.lan", "node.lan", False),
        ("n?de.lan", "node.lan", True),
        ("[node.lan]:2222", "[node.lan]:2222", True),
        ("[node.lan]:2222", "node.lan", False),
        ("node.lan", "[node.lan]:2222", False),
        ("[*]:2222", "[node.lan]:2222", True),
        ("fd00::1", "fd00::1", True),
        ("[fd00::1]:22", "[fd00::1]:22", True),
    ],
)
def test_names_are_compared_as_ssh_keygen_does(
    key: pathlib.Path, tmp_path: pathlib.Path, names: str, asked: str, there: bool
):
    path = tmp_path / "known"
    path.write_text(f"{names} {public(key)}\n")
    texts = [path.read_text()]
    # ssh-keygen's -F prints the lines that it finds.
    asking = [str(KEYGEN), "-F", asked, "-f", str(path)]
    done = subprocess.run(asking, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) is there
    if not set(names) & set("*?!"):
        keygen("-H", "-f", path)
        texts.append(path.read_text())
    for text in texts:
        trust = hostkeys.trusted(hostkeys.entries(text), asked)
        assert bool(trust.pins) is there
        assert trust.accepts(shown(key)) is there


@needs_keygen
def test_marked_lines_pin_nothing_and_revoke(key: pathlib.Path):
    line = public(key)
    book = f"# c\n\nbroken\n@cert-authority *.lan {line}\nnode.lan {line}\n@revoked * {line}\n"
    found = hostkeys.trusted(hostkeys.entries(book, "kh"), "node.lan")
    assert len(found.pins) == 1 and len(found.authorities) == 1
    assert not found.accepts(shown(key))
    revoking = found.revoking(shown(key))
    assert revoking is not None and revoking.where == "kh:6"


@needs_keygen
def test_a_name_without_port_counts_only_where_none_has_the_port(key: pathlib.Path):
    names = ("[node]:2222", "node")
    assert hostkeys.trusted(hostkeys.entries(f"node {public(key)}"), *names).pins
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"x" * 32
    other = hostkeys.HostKey(type="ssh-ed25519", blob=blob).line
    both = f"node {public(key)}\n[node]:2222 {other}\n"
    assert not hostkeys.trusted(hostkeys.entries(both), *names).accepts(shown(key))
