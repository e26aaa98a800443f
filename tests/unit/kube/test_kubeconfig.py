"""Reading kubeconfigs, good and bad."""

from __future__ import annotations

import json

import pytest

from provision import errors
from provision.kube import kubeconfig


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
    found = kubeconfig.parse(config({"token": "canary"}))
    assert found.server == "https://10.0.0.5:6443"
    assert found.namespace == "default"
    assert found.headers == {"Authorization": "Bearer canary"}
    assert "canary" not in repr(found)


def test_token_file(tmp_path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    found = kubeconfig.parse(config({"tokenFile": str(tmp_path / "token")}))
    assert found.headers == {"Authorization": "Bearer from-file"}


def test_password() -> None:
    found = kubeconfig.parse(config({"username": "a", "password": "b"}))
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
        kubeconfig.parse(text)
    assert words in caught.value.detail
    assert caught.value.status == 400


def test_bad_yaml_is_not_quoted() -> None:
    with pytest.raises(errors.KubeError) as caught:
        kubeconfig.parse("users:\n- token: canary: x: [")
    assert "canary" not in str(caught.value)
