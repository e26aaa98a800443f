"""`secret seal` on a real checkout with real keys, and `secret unseal` of what it made."""

from __future__ import annotations

import base64
import json

import pytest
import yaml

from provision.gitops import documents
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from tests.support.sealing import MANIFEST, cert_of, lines_but_values

SECRETS = """\
apiVersion: v1
kind: Secret
metadata: {name: plex, namespace: media, labels: {beta: true}}
stringData: {claim: new, port: 0755}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {name: other, namespace: media}
  data: {a: YQ==}
"""


def test_seal_asks_and_unseal_opens(call, checkout, folder):
    outcome = call(
        "secret", "seal", "--name", "plex", "-n", "media", "--from-literal", "claim",
        *cert_of(checkout), answers="hunter2secret\n",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "hunter2" not in outcome.out + outcome.err
    (folder / "plex.yaml").write_text(outcome.out)
    opened = call("secret", "unseal", "plex.yaml", "--keys", "keys.yaml")
    assert opened.code == 0
    secret = yaml.safe_load(opened.out)
    assert base64.b64decode(secret["data"]["claim"]) == b"hunter2secret"
    assert opened.err == ""


def test_seal_from_files_stdin_and_the_command_line(call, checkout, folder, monkeypatch):
    (folder / "tls.crt").write_bytes(b"\xff\x00crt")
    monkeypatch.chdir(checkout / "apps")  # the certificate is found from inside the repository
    outcome = call(
        "secret", "seal", "--name", "a", "-n", "b", "--from-file", f"{folder}/tls.crt",
        "--from-file", f"key={folder}/tls.crt", "--from-literal", "x=y=z", "--from-literal", "in",
        "--scope", "namespace-wide", "--type", "example", stdin="piped\n",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    made = yaml.safe_load(outcome.out)
    assert sealed.scope_of(made) is sealing_keys.Scope.NAMESPACE_WIDE
    secret = sealed.unseal(made, sealing_keys.read_keys((folder / "keys.yaml").read_text()))
    values = {key: base64.b64decode(text) for key, text in secret["data"].items()}
    assert values == {
        "tls.crt": b"\xff\x00crt",
        "key": b"\xff\x00crt",
        "x": b"y=z",
        "in": b"piped",
    }
    assert secret["type"] == "example"


def test_seal_a_manifest(call, checkout, folder):
    manifest = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "a", "namespace": "b"},
            "stringData": {"x": "hunter2secret"},
        }
    )
    outcome = call("secret", "seal", "-", *cert_of(checkout), stdin=manifest)
    assert outcome.code == 0, outcome.err
    (folder / "m.yaml").write_text(manifest)
    again = call("secret", "seal", "m.yaml", *cert_of(checkout))
    for made in (yaml.safe_load(outcome.out), yaml.safe_load(again.out)):
        assert made["kind"] == "SealedSecret"
        assert "hunter2" not in json.dumps(made)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give MANIFEST, --from-literal or --from-file"),
        (["keys.yaml", "--name", "a"], 2, "MANIFEST has its own name"),
        (["--from-literal", "a=b"], 3, "metadata.name: it is missing"),
        (["--name", "a", "-n", "b", "--from-file", "/nowhere"], 2, "No such file"),
        (["-"], 2, "no Secret is in stdin"),
        (["Pulumi.yaml"], 3, "Pulumi.yaml:1: a Secret is expected, not None"),
    ],
)
def test_what_cannot_be_sealed(call, checkout, arguments, code, message):
    outcome = call("secret", "seal", *arguments, *cert_of(checkout))
    assert outcome.code == code
    assert message in outcome.err


def test_seal_without_a_certificate(call, checkout):
    outcome = call("secret", "seal", "--name", "a", "-n", "b", "--from-literal", "c=d")
    assert outcome.code == 2
    assert "name the certificate: --cert FILE" in outcome.err


def test_merge_changes_one_value_and_nothing_else(call, checkout):
    path = checkout / "plex.yaml"
    path.write_text(MANIFEST)
    outcome = call(
        "secret", "seal", "--name", "plex", "-n", "media", "--from-literal", "token=new",
        "--merge-into", str(path),
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    lines = path.read_text().splitlines()
    added = [line for line in lines if line.strip().startswith("token: ")]
    assert len(added) == 1
    lines.remove(added[0])
    assert "\n".join(lines) + "\n" == MANIFEST
    outcome = call(
        "secret", "seal", "--name", "other", "-n", "media", "--from-literal", "a=b",
        "--merge-into", str(path),
    )  # fmt: skip
    assert outcome.code == 2
    assert "there are: SealedSecret media/plex" in outcome.err


def test_merge_into_a_file_with_an_empty_document_at_its_end(call, checkout):
    path = checkout / "plex.yaml"
    before = (MANIFEST + "---\n").replace("\n", "\r\n").encode()
    path.write_bytes(before)
    outcome = call(
        "secret", "seal", "--name", "plex", "-n", "media", "--from-literal", "token=new",
        "--merge-into", str(path),
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    after = path.read_bytes()
    assert lines_but_values(after) == before.splitlines(keepends=True)
    assert after.count(b"\r\n") == before.count(b"\r\n") + 1


def test_every_secret_of_a_manifest_is_sealed(call, checkout, both):
    outcome = call("secret", "seal", "-", *cert_of(checkout), stdin=SECRETS)
    assert outcome.code == 0, outcome.err
    one, other = documents.load_all(outcome.out)
    assert sealed.values(one, both) == {"claim": b"new", "port": b"493"}
    assert sealed.values(other, both) == {"a": b"a"}
    assert one["spec"]["template"]["metadata"]["labels"] == {"beta": "true"}

    broken = SECRETS + "- apiVersion: v1\n  kind: Secret\n  metadata: {name: x, namespace: y}\n"
    outcome = call("secret", "seal", "-", *cert_of(checkout), stdin=broken)
    assert outcome.code == 3
    assert "stdin:6: there is nothing to seal" in outcome.err
    assert outcome.out == ""


def test_every_secret_of_a_manifest_is_merged(call, checkout, both):
    path = checkout / "plex.yaml"
    path.write_text(MANIFEST + "---\n" + MANIFEST.replace("name: plex", "name: other"))
    (checkout / "secrets.yaml").write_text(SECRETS)
    outcome = call(
        "secret", "seal", str(checkout / "secrets.yaml"), "--merge-into", str(path)
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    found = [doc for doc in documents.load_all(path.read_text()) if sealed.is_sealed(doc)]
    assert list(found[0]["spec"]["encryptedData"]) == ["claim", "port"]
    assert found[0]["spec"]["template"]["metadata"]["labels"] == {"beta": "true"}
    assert list(found[1]["spec"]["encryptedData"]) == ["claim", "a"]
    assert path.read_text().count("# and its settings") == 2
