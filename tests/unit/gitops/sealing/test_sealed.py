"""Sealing and opening, over arbitrary bytes, and what cannot be opened."""

from __future__ import annotations

import base64
import datetime
import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import gotemplate, sealed
from provision.gitops.sealing import keys as sealing_keys

QUICK = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def secret(**more) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "app", "namespace": "arkham"},
        "stringData": {"password": "canary", "user": "joker"},
        **more,
    }


@QUICK
@given(plaintext=st.binary(max_size=200), label=st.binary(max_size=40))
def test_any_bytes_there_and_back(session_keys, plaintext: bytes, label: bytes) -> None:
    public = session_keys[0].private.public_key()
    made = sealing_keys.encrypt(plaintext, public, label)
    assert sealing_keys.decrypt(made, session_keys, label) == plaintext
    assert sealing_keys.decrypt(made, session_keys[::-1], label) == plaintext


@QUICK
@given(data=st.data(), plaintext=st.binary(max_size=50))
def test_any_change_is_noticed(session_keys, data, plaintext: bytes) -> None:
    made = bytearray(sealing_keys.encrypt(plaintext, session_keys[0].private.public_key(), b"a/b"))
    place = data.draw(st.integers(2, len(made) - 1))
    made[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(sealing_keys.SealingError):
        sealing_keys.decrypt(bytes(made), session_keys, b"a/b")


@QUICK
@given(cut=st.integers(0, 270))
def test_any_cut_is_noticed(session_keys, cut: int) -> None:
    made = sealing_keys.encrypt(b"value", session_keys[0].private.public_key(), b"")
    with pytest.raises(sealing_keys.SealingError):
        sealing_keys.decrypt(made[:cut], session_keys, b"")


@QUICK
@given(junk=st.binary(max_size=300))
def test_junk_is_refused(session_keys, junk: bytes) -> None:
    with pytest.raises(sealing_keys.SealingError):
        sealing_keys.decrypt(junk, session_keys, b"")


@pytest.mark.parametrize("scope", list(sealing_keys.Scope))
def test_seal_and_unseal(session_keys, scope: sealing_keys.Scope) -> None:
    made = sealed.seal(secret(type="Opaque"), session_keys[0].certificate_pem, scope=scope)
    assert "canary" not in json.dumps(made)
    assert sealed.scope_of(made) is scope
    opened = sealed.unseal(made, session_keys)
    assert base64.b64decode(opened["data"]["password"]) == b"canary"
    assert opened["type"] == "Opaque"
    assert opened["metadata"]["name"] == "app"
    assert opened["metadata"]["namespace"] == "arkham"


@pytest.mark.parametrize(
    ("scope", "change", "opens"),
    [
        (sealing_keys.Scope.STRICT, {"name": "other"}, False),
        (sealing_keys.Scope.STRICT, {"namespace": "other"}, False),
        (sealing_keys.Scope.NAMESPACE_WIDE, {"name": "other"}, True),
        (sealing_keys.Scope.NAMESPACE_WIDE, {"namespace": "other"}, False),
        (sealing_keys.Scope.CLUSTER_WIDE, {"name": "other", "namespace": "other"}, True),
    ],
)
def test_scope_says_how_far_it_may_be_moved(session_keys, scope, change, opens) -> None:
    made = sealed.seal(secret(), session_keys[0].certificate_pem, scope=scope)
    made["metadata"] |= change
    if opens:
        assert sealed.unseal(made, session_keys)["metadata"]["name"] == made["metadata"]["name"]
        return
    with pytest.raises(errors.GitOpsError) as caught:
        sealed.unseal(made, session_keys, where="apps/x.yaml:3")
    assert [p.key for p in caught.value.problems] == ["password", "user"]
    assert all(p.where == "apps/x.yaml:3" for p in caught.value.problems)
    assert "moved" in str(caught.value)


def test_metadata_that_must_not_travel_is_left_out(session_keys) -> None:
    copy = json.dumps(secret())
    made = sealed.seal(
        secret(
            metadata={
                "name": "app",
                "namespace": "arkham",
                "uid": "u",
                "ownerReferences": [{}],
                "labels": {"a": "b"},
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": copy,
                    "sealedsecrets.bitnami.com/cluster-wide": "true",
                    "keep": "me",
                },
            }
        ),
        session_keys[0].certificate_pem,
        scope=sealing_keys.Scope.STRICT,
    )
    assert made["spec"]["template"]["metadata"] == {
        "name": "app",
        "namespace": "arkham",
        "labels": {"a": "b"},
        "annotations": {"keep": "me"},
    }
    assert "canary" not in json.dumps(made)


def test_what_cannot_be_sealed_is_said_all_at_once(session_keys) -> None:
    broken = {"kind": "ConfigMap", "metadata": {}, "data": {"a": "%"}}
    with pytest.raises(errors.GitOpsError) as caught:
        sealed.seal(broken, "no certificate")
    assert len(caught.value.problems) == 5


def test_an_expired_certificate_is_refused(session_keys, monkeypatch) -> None:
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 2048)
    long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    old = sealing_keys.make_key(now=long_ago)
    with pytest.raises(errors.GitOpsError, match="expired on 2010-12-30"):
        sealed.seal(secret(), old.certificate_pem)


def test_seed_is_marked_for_adoption(session_keys) -> None:
    made = sealed.seal(secret(), session_keys[0].certificate_pem)
    seed = sealed.seed(made, session_keys)
    assert seed["metadata"]["annotations"] == {"sealedsecrets.bitnami.com/managed": "true"}
    assert "ownerReferences" not in seed["metadata"]


def test_templates_are_honoured(session_keys) -> None:
    made = sealed.seal(secret(), session_keys[0].certificate_pem)
    made["spec"]["template"] |= {
        "type": "kubernetes.io/basic-auth",
        "immutable": True,
        "data": {"conf": 'user={{ .user | upper }}\npass={{ index . "password" | quote }}\n'},
    }
    opened = sealed.unseal(made, session_keys)
    assert opened["type"] == "kubernetes.io/basic-auth"
    assert opened["immutable"] is True
    assert base64.b64decode(opened["data"]["conf"]) == b'user=JOKER\npass="canary"\n'


def test_merge_adds_values(session_keys) -> None:
    certificate = session_keys[0].certificate_pem
    into = sealed.seal(secret(), certificate)
    update = sealed.seal(secret(stringData={"token": "t", "user": "batman"}), certificate)
    merged = sealed.unseal(sealed.merge(into, update), session_keys)["data"]
    assert {key: base64.b64decode(value) for key, value in merged.items()} == {
        "password": b"canary",
        "token": b"t",
        "user": b"batman",
    }
    other = sealed.seal(secret(metadata={"name": "x", "namespace": "arkham"}), certificate)
    with pytest.raises(errors.GitOpsError, match="the name differs"):
        sealed.merge(into, other)


def test_reseal_moves_to_the_newest_key(session_keys) -> None:
    old, new = session_keys
    made = sealed.seal(secret(), old.certificate_pem, scope=sealing_keys.Scope.NAMESPACE_WIDE)
    again = sealed.reseal(made, [old], new.certificate_pem)
    assert again["metadata"] == made["metadata"]
    assert sealed.unseal(again, [new]) == sealed.unseal(made, [old])
    with pytest.raises(errors.GitOpsError):
        sealed.unseal(again, [old])


def test_verify_as_a_table(session_keys) -> None:
    one, two = session_keys
    mixed = sealed.seal(secret(), one.certificate_pem)
    more = sealed.seal(secret(stringData={"other": "x"}), two.certificate_pem)
    mixed["spec"]["encryptedData"] |= more["spec"]["encryptedData"]
    mixed["spec"]["encryptedData"]["cut"] = "AgB="
    docs = [
        documents.Document(obj=mixed, file="a.yaml", line=1),
        documents.Document(obj=secret(), file="b.yaml", line=1),
    ]
    (verdict,) = sealed.verify(docs, [one])
    assert not verdict.ok
    assert verdict.opened == ("password", "user")
    assert verdict.closed == ("cut", "other")
    assert verdict.keys == (one.fingerprint,)
    (verdict,) = sealed.verify(docs, [one, two])
    assert verdict.closed == ("cut",)
    assert "cut short" in str(verdict.problems[0])


def test_keys_are_read_back_from_their_secrets(session_keys) -> None:
    secrets = [
        sealing_keys.key_secret(key, namespace="flux-system", name=f"sealed-secrets-key{i}")
        for i, key in enumerate(session_keys)
    ]
    assert secrets[0]["metadata"]["labels"] == {sealing_keys.KEY_LABEL: "active"}
    as_list = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*secrets, secret()]})
    as_documents = "---\n".join(yaml.safe_dump(one) for one in secrets)
    for text in (as_list, as_documents):
        found = sealing_keys.read_keys(text)
        assert [key.name for key in found] == ["sealed-secrets-key0", "sealed-secrets-key1"]
        assert [k.fingerprint for k in found] == [k.fingerprint for k in session_keys]
        assert "PRIVATE" not in repr(found)
    bare = sealing_keys.read_keys(session_keys[0].private_pem.reveal())
    assert bare[0].fingerprint == session_keys[0].fingerprint
    assert sealing_keys.certificate_belongs(bare[0].certificate_pem, session_keys)


def test_keys_that_cannot_be_read(session_keys) -> None:
    one, two = (
        sealing_keys.key_secret(key, namespace="n", name=f"k{i}")
        for i, key in enumerate(session_keys)
    )
    one["data"]["tls.crt"] = two["data"]["tls.crt"]
    two["data"]["tls.key"] = "%"
    with pytest.raises(errors.GitOpsError) as caught:
        sealing_keys.read_keys(
            yaml.safe_dump(one) + "---\n" + yaml.safe_dump(two), where="keys.yaml"
        )
    text = str(caught.value)
    assert "keys.yaml:1: k0: the certificate is not that of the private key" in text
    assert "k1: the private key cannot be read" in text
    with pytest.raises(errors.GitOpsError, match="no sealing key"):
        sealing_keys.read_keys("a: b\n")
    with pytest.raises(errors.GitOpsError):
        sealing_keys.read_keys(
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
        )


def test_a_certificate_of_another_key(session_keys) -> None:
    one, two = session_keys
    assert sealing_keys.certificate_belongs(one.certificate_pem, [two, one])
    assert not sealing_keys.certificate_belongs(one.certificate_pem, [two])
    with pytest.raises(sealing_keys.SealingError):
        sealing_keys.certificate_belongs("nonsense", [one])


def test_newest_first(session_keys, monkeypatch) -> None:
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 2048)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    newest = sealing_keys.make_key(now=later)
    assert sealing_keys.newest_first([*session_keys, newest])[0] is newest


def test_a_made_key_is_4096_bits_for_ten_years() -> None:
    from cryptography import x509

    made = sealing_keys.make_key()
    certificate = x509.load_pem_x509_certificate(made.certificate_pem.encode())
    assert made.private.key_size == 4096
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert valid == datetime.timedelta(days=3650)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{ .a }}-{{.b}}", "x-y z"),
        ("a {{- .a -}} b", "axb"),
        ("{{/* note */}}{{ .a }}", "x"),
        ('{{ index . "dash-ed" }}', "d"),
        ("{{ .a | upper | quote }}", '"X"'),
        ("{{ upper (trim .b) }}", "Y Z"),
        ("{{ .a | b64enc }}", "eA=="),
        ('{{ printf "%s:%s" .a .b }}', "x:y z"),
        ('{{ .none | default "d" }}', "<no value>"),
        ('{{ index . "none" | default "d" }}', "d"),
        ('{{ if eq .a "x" }}yes{{ else }}no{{ end }}', "yes"),
        ('{{ if eq .a "q" }}1{{ else if .b }}2{{ else }}3{{ end }}', "2"),
        ("{{ .c | nindent 2 }}", "\n  l1\n  l2"),
        ('{{ `raw "text"` }}', 'raw "text"'),
        ('{{ .b | replace " " "_" }}', "y_z"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    data = {"a": "x", "b": "y z", "dash-ed": "d", "c": "l1\nl2"}
    assert gotemplate.render(template, data) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ range . }}{{ end }}",
        "{{ $x := .a }}",
        "{{ htpasswd .a .b }}",
        "{{ .a | .b }}",
        "{{ if .a }}",
        "{{ (.a }}",
        "{{ b64dec .a }}",
        "{{ .a.b }}",
    ],
)
def test_templates_beyond_the_subset_are_refused(template: str) -> None:
    with pytest.raises(gotemplate.TemplateError) as caught:
        gotemplate.render(template, {"a": "canary", "b": "canary"})
    assert "canary" not in str(caught.value)


def test_binary_values_survive_a_template(session_keys) -> None:
    raw = bytes(range(256))
    made = sealed.seal(
        secret(stringData={}, data={"bin": base64.b64encode(raw).decode()}),
        session_keys[0].certificate_pem,
    )
    made["spec"]["template"]["data"] = {"copy": "{{ .bin }}", "coded": "{{ .bin | b64enc }}"}
    data = sealed.unseal(made, session_keys)["data"]
    assert base64.b64decode(data["copy"]) == raw
    assert base64.b64decode(base64.b64decode(data["coded"])) == raw
