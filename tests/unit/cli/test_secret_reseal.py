"""`secret reseal` and `secret verify` on a real checkout with real keys."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
import yaml

from provision.fileio import atomic
from provision.gitops import documents
from provision.gitops.build import kustomize
from provision.gitops.sealing import resealing, sealed
from tests.support.sealing import keys_of, lines_but_values, sealed_text


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
