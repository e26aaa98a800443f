"""``elysium secret`` where a Kustomization sets the namespace, and the file has none."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.gitops import documents
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from tests.support import elysiumrepo
from tests.support.sealing import keys_of

FILE = "apps/media/plex.yaml"


def without_namespace(text: str) -> str:
    return text.replace("  namespace: media\n", "", 1)


@pytest.fixture
def repo(folder: Path, both: list[sealing_keys.SealingKey]) -> Path:
    """A repository whose Kustomization ``media`` sets the namespace; sealed for the older key."""
    root = folder / "repo"
    files = {
        "clusters/home/ks.yaml": elysiumrepo.kustomization("media", "./apps/media"),
        "apps/media/kustomization.yaml": "namespace: media\nresources: [plex.yaml]\n",
        FILE: without_namespace(elysiumrepo.sealed_secret(both[1], "plex", "media", claim="c-1")),
        "etc/certs/pub-sealed-secrets.pem": both[0].certificate_pem,
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "keys.yaml").write_text(keys_of(*both))
    (folder / "newest.yaml").write_text(keys_of(both[0]))
    return root


def change(repo: Path, name: str, text: str) -> None:
    path = repo / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def verdicts(call: Any, repo: Path, *words: str) -> list[dict[str, Any]]:
    done = call("secret", "verify", str(repo), "--keys", "keys.yaml", "--json", *words)
    return json.loads(done.out.splitlines()[0])


def test_verify_and_unseal_open_it(call, repo) -> None:
    assert [(one["ref"], one["ok"]) for one in verdicts(call, repo)] == [
        ("SealedSecret media/plex", True)
    ]
    opened = call("secret", "unseal", str(repo / FILE), "--keys", "keys.yaml")
    assert opened.code == 0, opened.err
    secret = yaml.safe_load(opened.out)
    assert secret["metadata"]["namespace"] == "media"
    assert base64.b64decode(secret["data"]["claim"]) == b"c-1"


@pytest.mark.parametrize("what", [".", "apps", FILE])
def test_reseal_seals_it_for_the_built_name(call, repo, monkeypatch, what, both) -> None:
    monkeypatch.chdir(repo)
    keys = str(repo.parent / "keys.yaml")
    done = call("secret", "reseal", what, "--keys", keys)
    assert done.code == 0, done.err
    assert "SealedSecret media/plex" in done.out
    made = documents.read_text((repo / FILE).read_text(), "f", [])[0].obj
    assert made["metadata"] == {"name": "plex"}
    there = {**made, "metadata": {"name": "plex", "namespace": "media"}}
    assert sealed.values(there, [both[0]]) == {"claim": b"c-1"}


def test_a_file_that_was_moved_is_found(call, repo, both) -> None:
    """It opens as its file has it, and not as it is applied."""
    change(repo, FILE, elysiumrepo.sealed_secret(both[1], "plex", "old", claim="c-1"))
    done = call("secret", "verify", str(repo), "--keys", "keys.yaml")
    assert done.code == 3
    assert "Kustomization media makes it media/plex" in done.err
    opened = call("secret", "unseal", str(repo / FILE), "--keys", "keys.yaml")
    assert opened.code == 0 and "namespace: old" in opened.out


def test_each_use_of_a_file_is_looked_at(call, repo) -> None:
    text = elysiumrepo.kustomization("other", "./apps/other")
    change(repo, "clusters/home/other.yaml", text)
    change(repo, "apps/other/kustomization.yaml", "namespace: two\nresources: [../media]\n")
    found = {one["ref"]: one["ok"] for one in verdicts(call, repo)}
    assert found == {"SealedSecret media/plex": True, "SealedSecret two/plex": False}


def test_a_file_that_nothing_applies(call, repo) -> None:
    change(repo, "apps/media/kustomization.yaml", "namespace: media\nresources: []\n")
    done = call("secret", "verify", str(repo), "--keys", "keys.yaml")
    assert done.code == 3
    assert "no Kustomization of this repository gives it one" in done.err


def test_what_does_not_build_is_told(call, repo) -> None:
    change(repo, "apps/media/kustomization.yaml", "namespace: media\nresources: [x.yaml]\n")
    done = call("secret", "verify", str(repo), "--keys", "keys.yaml")
    assert done.code == 3 and "do not build: media" in done.err


SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: token%s}
stringData: {a: b}
"""


def seal(call: Any, repo: Path, *words: str) -> Any:
    return call("secret", "seal", *words, "--cert", str(repo / "etc/certs/pub-sealed-secrets.pem"))


def test_seal_says_which_namespace_is_used(call, repo, both) -> None:
    change(repo, "apps/media/secret.yaml", SECRET % "")
    done = seal(call, repo, str(repo / "apps/media/secret.yaml"))
    assert done.code == 0, done.err
    assert "Kustomization media makes it media/token" in done.err
    made = yaml.safe_load(done.out)
    assert made["metadata"] == {"name": "token", "namespace": "media"}
    assert sealed.values(made, both) == {"a": b"b"}


def test_seal_with_a_prefix_keeps_the_name_that_git_has(call, repo, both) -> None:
    change(
        repo, "apps/media/kustomization.yaml", "namespace: media\nnamePrefix: a-\nresources: []\n"
    )
    change(repo, "apps/media/secret.yaml", SECRET % "")
    made = yaml.safe_load(seal(call, repo, str(repo / "apps/media/secret.yaml")).out)
    assert made["metadata"]["name"] == made["spec"]["template"]["metadata"]["name"] == "token"
    built = {**made, "metadata": {"name": "a-token", "namespace": "media"}}
    assert sealed.values(built, both) == {"a": b"b"}


def test_seal_warns_of_another_namespace(call, repo) -> None:
    change(repo, "apps/media/secret.yaml", SECRET % ", namespace: other")
    done = seal(call, repo, str(repo / "apps/media/secret.yaml"))
    assert done.code == 0
    assert "sealed for other/token" in done.err and "makes it media/token" in done.err
    change(repo, "apps/media/secret.yaml", SECRET % ", namespace: media")
    assert seal(call, repo, str(repo / "apps/media/secret.yaml")).err == ""


def test_seal_asks_where_several_are_possible(call, repo) -> None:
    text = elysiumrepo.kustomization("other", "./apps/media", more="  targetNamespace: two\n")
    change(repo, "clusters/home/other.yaml", text)
    change(repo, "apps/media/secret.yaml", SECRET % "")
    change(repo, "apps/media/kustomization.yaml", "resources: []\n")
    done = seal(call, repo, str(repo / "apps/media/secret.yaml"))
    assert done.code == 3 and done.out == ""
    assert "metadata.namespace" in done.err


@pytest.mark.parametrize("words", [(), ("-n", "media")])
def test_values_are_added_to_a_file_without_a_namespace(call, repo, both, words) -> None:
    target = str(repo / FILE)
    done = seal(
        call, repo, "--name", "plex", *words, "--from-literal", "x=y", "--merge-into", target
    )
    assert done.code == 0, done.err
    made = documents.read_text((repo / FILE).read_text(), "f", [])[0].obj
    assert made["metadata"] == {"name": "plex"}
    there = {**made, "metadata": {"name": "plex", "namespace": "media"}}
    assert sealed.values(there, both) == {"claim": b"c-1", "x": b"y"}
    other = seal(
        call, repo, "--name", "plex", "-n", "z", "--from-literal", "x=y", "--merge-into", target
    )
    assert other.code == 2 and "there are: SealedSecret media/plex" in other.err
