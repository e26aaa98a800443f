"""Ours and kubeseal, in both directions."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
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
