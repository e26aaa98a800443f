"""Ours and kubeseal, in both directions."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import plain, sealed
from tests.support import apiserver

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="session")
def kubeseal() -> Path:
    return apiserver.binaries("kubeseal") / "kubeseal"


@pytest.fixture(scope="session")
def key() -> sealing_keys.SealingKey:
    """One as elysium makes them."""
    return sealing_keys.make_key()


def run(program: Path, *arguments: str, stdin: str) -> str:
    done = subprocess.run(
        [str(program), *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def texts(opened: dict) -> dict[str, str]:
    """Kubeseal writes an empty value as null."""
    return {key: value or "" for key, value in opened["data"].items()}


def secret() -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "app", "namespace": "arkham", "labels": {"a": "b"}},
        "type": "Opaque",
        "data": {"binary": base64.b64encode(bytes(range(256))).decode(), "empty": ""},
    }


@pytest.mark.parametrize("scope", list(sealing_keys.Scope))
def test_kubeseal_seals_and_we_open(kubeseal, key, tmp_path, scope: sealing_keys.Scope) -> None:
    certificate = tmp_path / "pub.pem"
    certificate.write_text(key.certificate_pem)
    made = json.loads(
        run(
            kubeseal,
            "--cert",
            str(certificate),
            "--scope",
            scope.value,
            "--format",
            "json",
            stdin=json.dumps(secret()),
        )
    )
    assert sealed.scope_of(made) is scope
    opened = sealed.unseal(made, [key])
    assert texts(opened) == secret()["data"]
    assert opened["metadata"]["labels"] == {"a": "b"}
    assert opened["type"] == "Opaque"


@pytest.mark.parametrize("scope", list(sealing_keys.Scope))
def test_we_seal_and_kubeseal_opens(kubeseal, key, tmp_path, scope: sealing_keys.Scope) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(sealing_keys.key_secret(key, namespace="flux-system", name="k")))
    made = sealed.seal(secret(), key.certificate_pem, scope=scope)
    opened = json.loads(
        run(
            kubeseal,
            "--recovery-unseal",
            "--recovery-private-key",
            str(keys),
            "--format",
            "json",
            stdin=json.dumps(made),
        )
    )
    assert texts(opened) == secret()["data"]
    assert opened["metadata"]["name"] == "app"
    assert opened["metadata"]["labels"] == {"a": "b"}


def test_kubeseal_renders_the_same_template(kubeseal, key, tmp_path) -> None:
    keys = tmp_path / "key.pem"
    keys.write_text(key.private_pem.reveal())
    values = secret() | {"data": {}, "stringData": {"user": "joker", "pass-word": "ha ha"}}
    made = sealed.seal(values, key.certificate_pem)
    made["spec"]["template"]["data"] = {
        "conf": 'user={{ .user | upper }} {{- if eq .user "joker" }}!{{ else }}?{{ end }}\n'
        'pass={{ index . "pass-word" | quote | b64enc }} {{ .nothing }}\n'
        '{{ printf "%s-%s" .user (index . "pass-word") | nindent 2 }}',
    }
    opened = json.loads(
        run(
            kubeseal,
            "--recovery-unseal",
            "--recovery-private-key",
            str(keys),
            "--format",
            "json",
            stdin=json.dumps(made),
        )
    )
    ours = sealed.unseal(made, sealing_keys.read_keys(keys.read_text()))
    assert ours["data"] == opened["data"]


def test_resealed_values_open_in_kubeseal(kubeseal, key, tmp_path) -> None:
    newer = sealing_keys.make_key()
    keys = tmp_path / "key.pem"
    keys.write_text(newer.private_pem.reveal())
    made = sealed.seal(secret(), key.certificate_pem)
    again = sealed.reseal(made, [key], newer.certificate_pem)
    opened = json.loads(
        run(
            kubeseal,
            "--recovery-unseal",
            "--recovery-private-key",
            str(keys),
            "--format",
            "json",
            stdin=json.dumps(again),
        )
    )
    assert texts(opened) == secret()["data"]


PLAIN = """
y n Y yes on off no true ~ null 08 08001 0755 0123 0o17 0X1f 1e3 1e+3 1e6 1e21 1. .5 1_000 1_0.5
1:30 190:20:30.15 12345678901234567890 123456789012345678901234567890 -9223372036854775809 0b11 1.10
1e300 1e-300 3.4028236e38 16777217.0 0.1 2001-01-01 2001-01-01T00:00:00Z 0x 1e +1 -0 -0.0 = 1__0 _1
0_7 1e1_0 +.5 00 0.0 1e-7 123456789.5 0b2 '08' "yes" .inf -.Inf .nan
"""


def test_a_plain_scalar_becomes_the_text_that_kubeseal_makes_of_it(kubeseal, key, tmp_path) -> None:
    certificate = tmp_path / "pub.pem"
    certificate.write_text(key.certificate_pem)
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData:\n"
    text += "".join(f"  v{number}: {one}\n" for number, one in enumerate(PLAIN.split()))
    text += "  nothing:\ndata:\n  nothing-either:\n  broken: |\n    YWJj\n    ZGVm\n"
    theirs = json.loads(run(kubeseal, "--cert", str(certificate), "--format", "json", stdin=text))
    problems: list = []
    (ours,) = plain.read(text, "a.yaml", problems)
    made = sealed.seal(ours.obj, key.certificate_pem)
    assert problems == []
    assert sealed.values(made, [key]) == sealed.values(theirs, [key])
