"""Sealing a repository's SealedSecrets anew: what changes, what stays, what is somebody else's."""

from __future__ import annotations

import pytest
import yaml

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import resealing, rewriting, sealed
from tests.support import elysiumrepo


@pytest.fixture(scope="module")
def keys() -> list[sealing_keys.SealingKey]:
    """A newer key and an older one, as short as the hash allows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing_keys, "KEY_BITS", 1024)
        old = sealing_keys.make_key()
        return [sealing_keys.make_key(after=old), old]


@pytest.fixture(scope="module")
def stranger() -> sealing_keys.SealingKey:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing_keys, "KEY_BITS", 1024)
        return sealing_keys.make_key()


@pytest.fixture
def files(keys, stranger) -> dict[str, str]:
    new, old = keys
    first = elysiumrepo.sealed_secret(old, "a", "media", token="t-1", pin="0042")
    return {
        "apps/a.yaml": f"# of the media server\n{first}---\n# not sealed\nkind: ConfigMap\n"
        "apiVersion: v1\nmetadata:\n  name: x  # stays\n",
        "apps/b.yml": elysiumrepo.sealed_secret(new, "b", "media", token="t-2"),
        "other/c.yaml": elysiumrepo.sealed_secret(stranger, "c", "media", token="t-3"),
        "chart/templates/d.yaml": "kind: SealedSecret\n{{ if .Values.x }}\n",
        "README.md": "SealedSecret\n",
    }


def refs(found) -> list[str]:
    return [one.ref for one in found]


def test_each_is_what_the_keys_say(files, keys) -> None:
    found = resealing.survey(files, keys, keys[0])
    assert refs(found.stale) == ["SealedSecret media/a"]
    assert refs(found.current) == ["SealedSecret media/b"]
    assert refs(found.closed) == ["SealedSecret media/c"]
    assert found.closed[0].problems[0].where == "other/c.yaml:1"


def test_for_a_key_to_come_everything_that_opens_is_stale(files, keys) -> None:
    found = resealing.survey(files, keys)
    assert refs(found.stale) == ["SealedSecret media/a", "SealedSecret media/b"]
    assert found.current == ()


def test_resealed_opens_with_the_new_key_and_no_more_with_the_old(files, keys) -> None:
    found = resealing.survey(files, keys, keys[0])
    made = resealing.resealed(files, found.stale, keys, keys[0])
    assert list(made) == ["apps/a.yaml"]
    assert "# of the media server" in made["apps/a.yaml"]
    assert "name: x  # stays" in made["apps/a.yaml"]
    first = documents.load_all(made["apps/a.yaml"])[0]
    assert sealed.values(first, keys[:1]) == {"token": b"t-1", "pin": b"0042"}
    assert sealed.values(first, keys[1:]) is None
    again = resealing.survey(files | made, keys, keys[0])
    assert again.stale == ()


def test_what_a_rewrite_would_damage_is_refused(files, keys, monkeypatch) -> None:
    found = resealing.survey(files, keys, keys[0])
    real = rewriting.replaced

    def careless(text, changed):
        return real(text, changed).replace("x  # stays", "y")

    monkeypatch.setattr(rewriting, "replaced", careless)
    with pytest.raises(errors.GitOpsError) as caught:
        resealing.resealed(files, found.stale, keys, keys[0])
    assert "it would not be what it was" in str(caught.value)

    def wrong_value(text, changed):
        for obj in changed.values():
            data = obj["spec"]["encryptedData"]
            data["pin"], data["token"] = data["token"], data["pin"]
        return real(text, changed)

    monkeypatch.setattr(rewriting, "replaced", wrong_value)
    with pytest.raises(errors.GitOpsError):
        resealing.resealed(files, found.stale, keys, keys[0])


def test_no_value_is_told(files, keys) -> None:
    found = resealing.survey(files, keys, keys[0])
    told = repr(found) + "".join(str(p) for one in found.closed for p in one.problems)
    assert "t-1" not in told and "t-3" not in told


def test_a_rewritten_document_is_the_object_that_was_given() -> None:
    text = "a: 1\n---\nkind: K\nmetadata:\n  name: n\nspec:\n  x: 1 # why\n  y: [1]\n"
    new = {"kind": "K", "metadata": {"name": "n"}, "spec": {"x": 2, "z": {"q": "r"}}}
    after = list(yaml.safe_load_all(rewriting.replaced(text, {"K n": new})))
    assert after == [{"a": 1}, new]
