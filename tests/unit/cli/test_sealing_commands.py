"""gitops cold-start and secret seal|unseal|reseal|verify on a real checkout with real keys."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.fileio import atomic
from provision.gitops import documents
from provision.gitops.build import kustomize
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import resealing, sealed
from tests.support import elysiumrepo

MANIFEST = """\
# claims of plex
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata:
  name: plex
  namespace: media
spec:
  encryptedData:
    claim: OLD  # from the web page
  template:
    metadata:
      name: plex
      namespace: media
---
# and its settings
apiVersion: v1
kind: ConfigMap
metadata:
  name: plex
  namespace: media
data:
  list: "yes"
"""


@pytest.fixture(scope="module")
def both() -> list[sealing_keys.SealingKey]:
    """Two keys, short ones, the first the newer."""
    original = sealing_keys.KEY_BITS
    sealing_keys.KEY_BITS = 2048
    try:
        import datetime

        now = datetime.datetime.now(datetime.UTC)
        return [
            sealing_keys.make_key(now=now),
            sealing_keys.make_key(now=now - datetime.timedelta(days=30)),
        ]
    finally:
        sealing_keys.KEY_BITS = original


@pytest.fixture
def checkout(folder: Path, both: list[sealing_keys.SealingKey]) -> Path:
    """The Elysium repository with its three deadlocks, its certificate, and the keys beside it."""
    root = folder / "repo"
    files = elysiumrepo.deadlocked(both[0])
    files["etc/certs/pub-sealed-secrets.pem"] = both[0].certificate_pem
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "keys.yaml").write_text(keys_of(*both))
    (folder / "other.yaml").write_text(keys_of(both[1]))
    return root


def keys_of(*keys: sealing_keys.SealingKey) -> str:
    secrets = [
        sealing_keys.key_secret(k, namespace="kube-system", name=f"k{i}")
        for i, k in enumerate(keys)
    ]
    return yaml.safe_dump_all(secrets)


def cert_of(checkout: Path) -> tuple[str, str]:
    return "--cert", str(checkout / "etc/certs/pub-sealed-secrets.pem")


def test_cold_start_in_words(call, checkout):
    outcome = call("gitops", "cold-start", str(checkout), "--keys", "keys.yaml")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("clusters/kyrion: 4 Kustomizations\n  flux-system/flux-system  ")
    for needed in (
        "+ CustomResourceDefinition SealedSecret.bitnami.com",
        "+ Secret flux-system/cluster-secret-vars",
        "+ Namespace tailscale",
        "where:   clusters/kyrion/sealed-secrets.yaml:1",
        "seeded:  is put there before Flux starts",
        "instead: ",
    ):
        assert needed in outcome.out
    assert "canary" not in outcome.out + outcome.err


def test_cold_start_without_what_opens_it(call, checkout):
    outcome = call("gitops", "cold-start", str(checkout), "--keys", "other.yaml")
    assert outcome.code == 3
    assert "✗ Secret flux-system/cluster-secret-vars" in outcome.out
    assert "the repository cannot be brought up" in outcome.err
    assert "clusters/kyrion/infrastructure.yaml:1" in outcome.err


def test_cold_start_for_machines(call, checkout):
    data = json.loads(call("gitops", "cold-start", str(checkout), "--format", "json").out)
    assert [need["kind"] for need in data["needs"]] == [
        "CustomResourceDefinition",
        "Secret",
        "Namespace",
    ]
    assert data == json.loads(call("--json", "gitops", "cold-start", str(checkout)).out)
    outcome = call("gitops", "cold-start", str(checkout), "--json", "--keys", "other.yaml")
    assert outcome.code == 3
    assert json.loads(outcome.out)["needs"][1]["seeded"] is False


def test_cold_start_of_a_healthy_repository(call, folder):
    cluster = folder / "clean" / "clusters" / "k"
    cluster.mkdir(parents=True)
    (cluster / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n")
    outcome = call("gitops", "cold-start", "clean")
    assert outcome.code == 0
    assert "nothing has to be seeded" in outcome.out


def test_cold_start_needs_to_know_the_folder(call, checkout):
    (checkout / "clusters" / "second").mkdir()
    (checkout / "clusters" / "second" / "a.yaml").write_text("kind: x\n")
    outcome = call("gitops", "cold-start", str(checkout))
    assert outcome.code == 2
    assert "--path clusters/kyrion" in outcome.err
    assert call("gitops", "cold-start", str(checkout), "--path", "./clusters/kyrion").code == 0
    assert call("gitops", "cold-start", str(checkout / "apps")).code == 2


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


def test_reseal_is_for_the_newest_key_and_all_or_nothing(call, checkout, folder, both):
    path = checkout / "clusters" / "kyrion" / "sealed-secrets.yaml"
    path.write_text("# kept\n" + path.read_text())
    before = path.read_text()
    outcome = call("secret", "reseal", str(checkout), "--keys", "other.yaml")
    assert outcome.code == 3
    assert "none was changed" in outcome.err
    assert path.read_text() == before

    (folder / "new.yaml").write_text(both[1].certificate_pem)
    outcome = call(
        "secret", "reseal", str(checkout / "clusters"), "--keys", "keys.yaml", "--cert", "new.yaml"
    )
    assert outcome.code == 0, outcome.err
    assert "SealedSecret flux-system/cluster-secret-vars" in outcome.out
    assert path.read_text().startswith("# kept\n")
    again = documents.read_text(path.read_text(), "f", [])[0].obj
    assert sealed.unseal(again, [both[1]])["data"]["TOKEN"]
    outcome = call("secret", "reseal", str(checkout / "apps"), "--keys", "keys.yaml")
    assert "there is no SealedSecret" in outcome.err


def test_verify(call, checkout):
    outcome = call("secret", "verify", str(checkout), "--keys", "keys.yaml")
    assert outcome.code == 0, outcome.err
    assert "flux-system/cluster-secret-vars" in outcome.out
    assert "the keys open all 2 SealedSecrets" in outcome.err
    outcome = call("secret", "verify", str(checkout), "--keys", "other.yaml")
    assert outcome.code == 3
    assert "do not open 2 of 2" in outcome.err
    data: Any = json.loads(
        call("secret", "verify", str(checkout), "--keys", "other.yaml", "--json").out.splitlines()[
            0
        ]
    )
    assert [one["ok"] for one in data] == [False, False]


def test_keys_that_are_none(call, checkout, folder):
    (folder / "bad.yaml").write_text("kind: ConfigMap\n")
    outcome = call("secret", "verify", str(checkout), "--keys", "bad.yaml")
    assert outcome.code == 3
    assert "bad.yaml: it holds no sealing key" in outcome.err
    (folder / "none.yaml").write_text("")
    assert call("secret", "unseal", "none.yaml", "--keys", "keys.yaml").code == 2


def test_without_keys_those_of_the_stack_are_used(call, checkout, folder, monkeypatch, both):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    outcome = call("secret", "verify", str(checkout))
    assert outcome.code == 2
    assert "the state of stack kyrion holds no sealing key" in outcome.err
    assert "--keys FILE" in outcome.err

    text = (folder / "keys.yaml").read_text()
    assert call("config", "set", "--secret", "sealing.keys", stdin=text).code == 0
    outcome = call("secret", "verify", str(checkout))
    assert outcome.code == 0, outcome.err
    assert "the keys open all 2 SealedSecrets" in outcome.err
    assert both[0].private_pem.reveal() not in outcome.out + outcome.err


def test_where_there_is_neither_stack_nor_keys(call, checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = call("secret", "verify", str(checkout))
    assert outcome.code == 2
    assert "name the keys: --keys FILE" in outcome.err


def sealed_text(key: sealing_keys.SealingKey, name: str = "plex") -> str:
    return "# kept\n" + elysiumrepo.sealed_secret(key, name, "media", token="t-1")


def lines_but_values(raw: bytes) -> list[bytes]:
    return [line for line in raw.splitlines(keepends=True) if b"    token: " not in line]


@pytest.mark.parametrize("end", ["---\n", "---", "...\n", "  \n\n", "# end", "---\n# x\n---\n"])
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_reseal_changes_the_values_and_no_other_byte(call, folder, both, bom, eol, end):
    checkout = folder / "repo"
    checkout.mkdir()
    (folder / "keys.yaml").write_text(keys_of(*both))
    path = checkout / "a.yaml"
    before = (bom + sealed_text(both[1]) + end).replace("\n", eol).encode()
    path.write_bytes(before)
    outcome = call("secret", "reseal", "repo", "--keys", "keys.yaml")
    assert outcome.code == 0, outcome.err
    after = path.read_bytes()
    assert after != before
    assert lines_but_values(after) == lines_but_values(before)
    assert after.endswith(end.replace("\n", eol).encode())
    (checkout / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    built = subprocess.run(
        [kustomize.kubectl(), "kustomize", str(checkout)], capture_output=True, check=True
    )
    obj = yaml.safe_load(built.stdout)
    assert sealed.values(obj, both[:1]) == {"token": b"t-1"}
    assert call("secret", "verify", "repo", "--keys", "keys.yaml").code == 0


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


def test_a_file_that_kustomize_cannot_read_is_not_well(call, folder, both):
    (folder / "repo").mkdir()
    (folder / "keys.yaml").write_text(keys_of(*both))
    path = folder / "repo" / "a.yaml"
    for broken, words in (
        (sealed_text(both[0]) + "---\n...\n", "not YAML"),
        (sealed_text(both[0]) + "--- {a: b}\n", "something follows ---"),
        (sealed_text(both[0]) + "kind: SealedSecret\n", "the key is there twice"),
    ):
        path.write_text(broken)
        outcome = call("secret", "verify", "repo", "--keys", "keys.yaml")
        assert outcome.code == 3
        assert words in outcome.err
        assert f"a.yaml:{len(broken.splitlines())}" in outcome.err
        assert call("secret", "reseal", "repo", "--keys", "keys.yaml").code == 3
        assert path.read_text() == broken


def test_reseal_of_a_whole_checkout_leaves_alone_what_is_not_its_own(call, checkout, folder):
    chart = checkout / "charts" / "app"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("name: app\n")
    template = "kind: SealedSecret\n{{- if .Values.x }}\nspec: {{ .Values.x }}\n{{- end }}\n"
    (chart / "templates" / "s.yaml").write_text(template)
    outside = folder / "outside.yaml"
    source = checkout / "clusters" / "kyrion" / "sealed-secrets.yaml"
    outside.write_text(source.read_text())
    (checkout / "link.yaml").symlink_to(outside)
    (checkout / "gone.yaml").symlink_to(checkout / "nowhere.yaml")
    os.mkfifo(checkout / "pipe.yaml")
    (checkout / "list.yaml").write_text("- SealedSecret\n- of no object\n")
    before = outside.read_text()
    source_before = source.read_text()
    outcome = call("secret", "reseal", str(checkout), str(source), "--keys", "keys.yaml")
    assert outcome.code == 0, outcome.err
    assert "templates/s.yaml: left alone, a template of a Helm chart" in outcome.err
    assert (chart / "templates" / "s.yaml").read_text() == template
    assert outside.read_text() == before
    assert source.read_text() != source_before
    assert outcome.out.count("cluster-secret-vars") == 1
    assert call("secret", "verify", str(checkout), "--keys", "keys.yaml").code == 0
    alone = call("secret", "reseal", str(chart / "templates" / "s.yaml"), "--keys", "keys.yaml")
    assert alone.code == 0 and "left alone" in alone.err


def test_what_is_changed_meanwhile_or_cannot_be_written_is_as_it_was(
    call, checkout, folder, monkeypatch
):
    real = resealing.resealed
    path = checkout / "clusters" / "kyrion" / "sealed-secrets.yaml"

    def meanwhile(files, *arguments):
        path.write_text("somebody's\n")
        return real(files, *arguments)

    before = path.read_text()
    with monkeypatch.context() as patch:
        patch.setattr(resealing, "resealed", meanwhile)
        outcome = call("secret", "reseal", str(checkout), "--keys", "keys.yaml")
    assert outcome.code == 2
    assert "sealed-secrets.yaml was changed while it was being sealed" in outcome.err
    assert path.read_text() == "somebody's\n"

    path.write_text(before)

    def full(path, content, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write", full)
    outcome = call("secret", "reseal", str(checkout), "--keys", "keys.yaml")
    assert outcome.code == 2
    assert "cannot be written; it is as it was" in outcome.err
    assert "No space left on device" in outcome.err
    assert path.read_text() == before


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


def test_a_wrapped_value_is_opened_and_sealed_anew(call, folder, both):
    text = sealed_text(both[1])
    value = yaml.safe_load(text)["spec"]["encryptedData"]["token"]
    lines = [value[at : at + 76] for at in range(0, len(value), 76)]
    wrapped = text.replace(f"token: {value}", "token: |\n      " + "\n      ".join(lines))
    (folder / "keys.yaml").write_text(keys_of(*both))
    (folder / "a.yaml").write_text(wrapped)
    outcome = call("secret", "unseal", "a.yaml", "--keys", "keys.yaml")
    assert outcome.code == 0, outcome.err
    assert call("secret", "reseal", "a.yaml", "--keys", "keys.yaml").code == 0
    after = (folder / "a.yaml").read_text()
    assert [len(line) for line in after.splitlines()] == [
        len(line) for line in wrapped.splitlines()
    ]
    assert sealed.values(yaml.safe_load(after), both[:1]) == {"token": b"t-1"}
