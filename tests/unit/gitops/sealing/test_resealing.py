"""Sealing a repository's SealedSecrets anew: what changes, what stays, what is somebody else's."""

from __future__ import annotations

import datetime
import json

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
        "chart/Chart.yaml": "name: chart\n",
        "patches/add.yaml": "- op: add  # to a SealedSecret\n  path: /metadata/labels/a\n",
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
    made = resealing.resealed(files, found.stale, keys, keys[0].certificate_pem)
    assert list(made) == ["apps/a.yaml"]
    assert "# of the media server" in made["apps/a.yaml"]
    assert "name: x  # stays" in made["apps/a.yaml"]
    first = documents.load_all(made["apps/a.yaml"])[0]
    assert sealed.values(first, keys[:1]) == {"token": b"t-1", "pin": b"0042"}
    assert sealed.values(first, keys[1:]) is None
    again = resealing.survey(files | made, keys, keys[0])
    assert again.stale == ()


def test_a_value_that_would_not_be_what_it_was_is_refused(files, keys, monkeypatch) -> None:
    found = resealing.survey(files, keys, keys[0])
    real = rewriting.replaced

    def wrong_value(text, wanted, file):
        for obj in wanted.values():
            data = obj["spec"]["encryptedData"]
            data["pin"], data["token"] = data["token"], data["pin"]
        return real(text, wanted, file)

    monkeypatch.setattr(rewriting, "replaced", wrong_value)
    with pytest.raises(errors.GitOpsError) as caught:
        resealing.resealed(files, found.stale, keys, keys[0].certificate_pem)
    assert "it would not be what it was" in str(caught.value)


def test_two_of_one_name_keep_their_own_values(keys) -> None:
    one = elysiumrepo.sealed_secret(keys[1], "a", "media", token="first")
    other = elysiumrepo.sealed_secret(keys[1], "a", "media", token="second")
    files = {"a.yaml": f"{one}---\n{other}---\n"}
    found = resealing.survey(files, keys, keys[0])
    made = resealing.resealed(files, found.stale, keys, keys[0].certificate_pem)["a.yaml"]
    values = [sealed.values(doc, keys[:1]) for doc in documents.load_all(made)[:2]]
    assert values == [{"token": b"first"}, {"token": b"second"}]
    assert made.endswith("---\n")


def test_a_list_is_sealed_anew_too(keys) -> None:
    one = yaml.safe_load(elysiumrepo.sealed_secret(keys[1], "a", "media", token="t"))
    other = yaml.safe_load(elysiumrepo.sealed_secret(keys[1], "b", "media", token="u"))
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [one, {"x": 1}, other]})
    found = resealing.survey({"a.yaml": text}, keys, keys[0])
    assert refs(found.stale) == ["SealedSecret media/a", "SealedSecret media/b"]
    made = resealing.resealed({"a.yaml": text}, found.stale, keys, keys[0].certificate_pem)
    items = yaml.safe_load(made["a.yaml"])["items"]
    assert [sealed.values(items[at], keys[:1]) for at in (0, 2)] == [
        {"token": b"t"},
        {"token": b"u"},
    ]


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_sealed_anew_too(keys, indent) -> None:
    one = yaml.safe_load(elysiumrepo.sealed_secret(keys[1], "a", "media", token="t"))
    text = json.dumps(one, indent=indent)
    found = resealing.survey({"a.json": text}, keys, keys[0])
    made = resealing.resealed({"a.json": text}, found.stale, keys, keys[0].certificate_pem)
    assert sealed.values(json.loads(made["a.json"]), keys[:1]) == {"token": b"t"}
    assert len(made["a.json"].splitlines()) == len(text.splitlines())


def test_for_a_certificate_whose_key_is_elsewhere_nothing_else_changes(keys, stranger) -> None:
    text = elysiumrepo.sealed_secret(keys[0], "a", "media", token="t")
    found = resealing.survey({"a.yaml": text}, keys)
    made = resealing.resealed({"a.yaml": text}, found.stale, keys, stranger.certificate_pem)
    assert sealed.values(yaml.safe_load(made["a.yaml"]), [stranger]) == {"token": b"t"}


def test_templates_of_a_chart_are_left_alone(keys, stranger) -> None:
    text = elysiumrepo.sealed_secret(stranger, "a", "media", token="t")
    helm = text.replace("name: a", "name: '{{ .Release.Name }}'")
    ours = elysiumrepo.sealed_secret(keys[1], "a", "media", token="t")
    controller = ours + "    data:\n      x: '{{ .token }}'\n"
    files = {
        "apps/Chart.yaml": "name: apps\n",
        "apps/templates/quoted.yaml": helm,
        "apps/files/tpl.yaml": text + "    data: {x: '{{ .Values.x }}'}\n",
        "apps/templates/of-the-release.yaml": text,
        "apps/templates/ours.yaml": ours,
        "apps/templates/ours-by-helm.yaml": ours + "    data: {x: '{{ .Values.x }}'}\n",
        "deploy/helm.yaml": "{{- if .Values.x }}\n" + helm + "{{- end }}\n",
        "deploy/controller.yaml": controller,
        "deploy/quoted.yaml": helm,
    }
    found = resealing.survey(files, keys, keys[0])
    assert found.templates == (
        "apps/files/tpl.yaml",
        "apps/templates/of-the-release.yaml",
        "apps/templates/ours-by-helm.yaml",
        "apps/templates/quoted.yaml",
        "deploy/helm.yaml",
        "deploy/quoted.yaml",
    )
    assert [one.path for one in found.stale] == [
        "apps/templates/ours.yaml",
        "deploy/controller.yaml",
    ]
    # The controller's own templates are no reason: this one is somebody else's.
    other = {"deploy/other.yaml": text + "    data: {x: '{{ .token }}'}\n"}
    assert refs(resealing.survey(other, keys).closed) == ["SealedSecret media/a"]
    assert found.closed == () and found.unreadable == ()
    made = resealing.resealed(files, found.stale, keys, keys[0].certificate_pem)
    assert "{{ .token }}" in made["deploy/controller.yaml"]


def test_what_cannot_be_read_is_told(keys) -> None:
    files = {"a.yaml": "kind: SealedSecret\nspec: [\n", "b.yaml": "kind: SealedSecret\n---\n...\n"}
    found = resealing.survey(files, keys, keys[0])
    assert [one.where for one in found.unreadable] == ["a.yaml:2", "b.yaml:3"]


def test_a_refusal_is_known_before_there_is_a_key(keys) -> None:
    one = elysiumrepo.sealed_secret(keys[1], "a", "media", token="t")
    shared = one.replace("token: ", "token: &x ") + "    data:\n      copy: *x\n"
    files = {"good.yaml": one, "shared.yaml": shared}
    found = resealing.survey(files, keys)
    problems = resealing.refused(files, found.stale)
    assert [one.where for one in problems] == ["shared.yaml:1"]
    with pytest.raises(errors.GitOpsError) as caught:
        resealing.resealed(files, found.stale, keys, keys[0].certificate_pem)
    assert caught.value.problems == problems


def test_no_value_is_told(files, keys) -> None:
    found = resealing.survey(files, keys, keys[0])
    told = repr(found) + "".join(str(p) for one in found.closed for p in one.problems)
    assert "t-1" not in told and "t-3" not in told


def test_an_expired_certificate_is_told_once(keys, monkeypatch) -> None:
    text = elysiumrepo.sealed_secret(keys[0], "a", "media", token="t")
    files = {"a.yaml": text, "b.yaml": text}
    found = resealing.survey(files, keys)
    past = sealing_keys.made(keys[0]) - datetime.timedelta(days=9)
    monkeypatch.setattr(sealing_keys, "VALID_DAYS", 1)
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 1024)
    expired = sealing_keys.make_key(now=past)
    with pytest.raises(errors.GitOpsError) as caught:
        resealing.resealed(files, found.stale, keys, expired.certificate_pem)
    assert len(caught.value.problems) == 1
