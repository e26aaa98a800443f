"""Reading kubeconfigs, good and bad."""

from __future__ import annotations

import base64
import json

import pytest

from provision import errors
from provision.cli import kubeconfigs
from provision.kube import kubeconfig, settings
from provision.provider.k3s import service


def config(user: dict | None = None, cluster: dict | None = None, **top) -> str:
    made = {
        "current-context": "default",
        "clusters": [
            {"name": "kyrion", "cluster": {"server": "https://10.0.0.5:6443/", **(cluster or {})}},
            {"name": "other", "cluster": {"server": "https://other:6443"}},
        ],
        "contexts": [
            {"name": "default", "context": {"cluster": "kyrion", "user": "admin"}},
            {
                "name": "second",
                "context": {"cluster": "other", "user": "admin", "namespace": "flux-system"},
            },
        ],
        "users": [{"name": "admin", "user": user or {}}],
        **top,
    }
    return json.dumps(made)


def test_token_and_server() -> None:
    found = kubeconfig.parse(config({"token": "canary"}), own=True)
    assert found.server == "https://10.0.0.5:6443"
    assert found.namespace == "default"
    assert found.headers == {"Authorization": "Bearer canary"}
    assert "canary" not in repr(found)


def test_token_file(tmp_path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    found = kubeconfig.parse(config({"tokenFile": str(tmp_path / "token")}), own=True)
    assert found.headers == {"Authorization": "Bearer from-file"}


def test_password() -> None:
    found = kubeconfig.parse(config({"username": "a", "password": "b"}), own=True)
    assert found.headers == {"Authorization": "Basic YTpi"}


def test_other_context_and_cluster() -> None:
    found = kubeconfig.parse(config(), context="second")
    assert (found.server, found.namespace) == ("https://other:6443", "flux-system")
    assert kubeconfig.parse(config(), cluster="other").server == "https://other:6443"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not YAML at line"),
        ("just a text", "not a mapping"),
        ("{}", "no current-context"),
        (config(**{"current-context": "gone"}), "contexts has no entry 'gone'"),
        (config(clusters=[]), "clusters has no entry 'kyrion'"),
        (config(users=[]), "users has no entry 'admin'"),
        (config(cluster={"server": ""}), "no server URL"),
        (config({"exec": {"command": "aws"}}), "takes its credentials from exec"),
        (config(cluster={"certificate-authority-data": "%%%"}), "is not base64"),
        (config(cluster={"certificate-authority-data": "YWJj"}), "no PEM certificate"),
        (config({"client-certificate-data": "YWJj"}), "no client key"),
        (
            config({"client-certificate-data": "YWJj", "client-key-data": "YWJj"}),
            "do not belong together",
        ),
        (config({"tokenFile": "/does/not/exist"}), "No such file"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, words: str) -> None:
    with pytest.raises(errors.KubeError) as caught:
        kubeconfig.parse(text, own=True)
    assert words in caught.value.detail
    assert caught.value.status == 400


def test_bad_yaml_is_not_quoted() -> None:
    with pytest.raises(errors.KubeError) as caught:
        kubeconfig.parse("users:\n- token: canary: x: [")
    assert "canary" not in str(caught.value)


PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()
KEY = base64.b64encode(b"-----BEGIN EC PRIVATE KEY-----\n").decode()
INLINE = {"client-certificate-data": PEM, "client-key-data": KEY}


def hostile(section: str, key: str, value: object) -> dict:
    """A kubeconfig as k3s writes it, with one more field."""
    made = json.loads(config(dict(INLINE), {"certificate-authority-data": PEM}, preferences={}))
    made |= {"apiVersion": "v1", "kind": "Config"}
    if section == "top":
        made[key] = value
    elif section == "entry":
        made["users"][0][key] = value
    else:
        for entry in made[section]:
            entry[section.removesuffix("s")][key] = value
    return made


REFUSED = [
    ("users", "tokenFile", "/etc/shadow"),
    ("users", "token", "canary"),
    ("users", "username", "root"),
    ("users", "password", "canary"),
    ("users", "exec", {"command": "touch", "args": ["/canary"]}),
    ("users", "auth-provider", {"name": "gcp", "config": {"cmd-path": "/canary"}}),
    ("users", "client-certificate", "/etc/ssl/canary.pem"),
    ("users", "client-key", "/etc/ssl/canary.pem"),
    ("users", "as", "root"),
    ("users", "as-groups", ["system:masters"]),
    ("users", "as-uid", "0"),
    ("users", "as-user-extra", {"a": ["b"]}),
    ("users", "impersonate", "root"),
    ("users", "extensions", [{"name": "x", "extension": {}}]),
    ("users", "tokenfile", "/etc/shadow"),
    ("users", "client-key-data", "%%%"),
    ("users", "client-key-data", {"a": 1}),
    ("clusters", "certificate-authority", "/etc/ssl/canary.pem"),
    ("clusters", "proxy-url", "http://evil:8080"),
    ("clusters", "insecure-skip-tls-verify", True),
    ("clusters", "tls-server-name", "evil"),
    ("clusters", "disable-compression", True),
    ("clusters", "extensions", []),
    ("clusters", "server", "http://10.0.0.5:6443"),
    ("clusters", "server", "https://user:canary@10.0.0.5:6443"),
    ("clusters", "server", "https://10.0.0.5:6443/api"),
    ("clusters", "server", "https://10.0.0.5:6443?x"),
    ("clusters", "server", "unix:///run/x"),
    ("clusters", "server", 5),
    ("contexts", "extensions", []),
    ("contexts", "namespace", "a\x1b[2J"),
    ("contexts", "user", "../x"),
    ("top", "extensions", [{"name": "x", "extension": {}}]),
    ("top", "preferences", {"colors": True}),
    ("top", "kind", "List"),
    ("top", "apiVersion", "v2"),
    ("top", "current-context", "a\x1b]0;x"),
    ("entry", "name", "a\nb"),
    ("entry", "exec", {"command": "touch"}),
]


@pytest.mark.parametrize(("section", "key", "value"), REFUSED)
def test_a_kubeconfig_of_a_node_has_nothing_but_inline_certificates(
    tmp_path, section, key, value
) -> None:
    text = json.dumps(hostile(section, key, value))
    with pytest.raises(errors.KubeError) as caught:
        kubeconfig.document(text)
    assert key in caught.value.detail
    assert "/canary" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert "restart k3s" in caught.value.hint
    with pytest.raises(errors.RemoteError) as on_the_node:
        service.kubeconfig(text, cluster="kyrion", address="10.0.0.5")
    assert key in on_the_node.value.detail
    with pytest.raises(errors.StackError) as in_the_state:
        kubeconfigs.renamed(text, "kyrion")
    assert key in in_the_state.value.detail


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "a: " + "x" * 300_000, "{a: &a [*a]}", "clusters: 1", "users: [1]", "1: 2"],
    ids=["deep", "long", "circle", "number", "numbers", "key"],
)
def test_a_kubeconfig_of_a_node_that_is_none_is_refused(text) -> None:
    with pytest.raises(errors.KubeError):
        kubeconfig.parse(text)
    with pytest.raises(errors.RemoteError):
        service.kubeconfig(text, cluster="kyrion", address="10.0.0.5")


@pytest.mark.parametrize("key", ["token", "password"])
def test_a_client_takes_an_inline_login_and_nothing_else(key) -> None:
    for section, field, value in REFUSED:
        if (section, field) not in (
            ("users", "token"),
            ("users", "username"),
            ("users", "password"),
        ):
            with pytest.raises(errors.KubeError):
                kubeconfig.parse(json.dumps(hostile(section, field, value)))
    kubeconfig.document(json.dumps(hostile("users", key, "x")), login=True)


def test_what_is_merged_has_plain_names_and_inline_fields_only() -> None:
    text = json.dumps(
        {
            **json.loads(config(dict(INLINE), {"certificate-authority-data": PEM})),
            "clusters": [
                {
                    "name": "default",
                    "cluster": {
                        "server": "https://127.0.0.1:6443",
                        "certificate-authority-data": PEM,
                    },
                }
            ],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "admin"}}],
        }
    )
    read = service.kubeconfig(text, cluster="kyrion", address="10.0.0.5")
    assert kubeconfigs.renamed(read, "mine") == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "mine",
                "cluster": {"server": "https://10.0.0.5:6443", "certificate-authority-data": PEM},
            }
        ],
        "users": [{"name": "mine", "user": INLINE}],
        "contexts": [{"name": "mine", "context": {"cluster": "mine", "user": "mine"}}],
        "current-context": "mine",
    }


def test_a_kubeconfig_in_a_program_reads_no_file_and_a_path_may(tmp_path) -> None:
    (tmp_path / "token").write_text("canary")
    text = config({"tokenFile": str(tmp_path / "token")})
    inline = settings.read({"kubeconfig": text})
    assert not inline.own
    (tmp_path / "config").write_text(text)
    assert settings.read({"kubeconfig": str(tmp_path / "config")}).own
    with pytest.raises(errors.KubeError, match="cannot be used"):
        kubeconfig.parse(inline.kubeconfig or "", own=inline.own)
