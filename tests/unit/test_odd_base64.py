"""Base64 that holds other characters, or is cut: an error of ours at each place that reads some.

Python refuses text that is not ASCII with another exception than text of a wrong length.
"""

from __future__ import annotations

from typing import Any

import pytest

from provision import errors
from provision.github import answers, trees
from provision.gitops.sealing import keyring
from provision.kube import kubeconfig
from provision.provider.media import existing
from provision.recovery.bundle import inventory, signature

ODD = ["é", "AAAA\u2028", "A", "AAA=A"]
CASES = pytest.mark.parametrize("text", ODD, ids=ascii)


@CASES
def test_a_signature(text: str) -> None:
    armored = f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"
    with pytest.raises(errors.BundleSignatureError):
        signature.parse(armored.encode())


class Server:
    """A code host whose blob is `body`."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def repository_path(self, *names: str) -> str:
        return "/".join(names)

    def request(self, operation: str, *_: Any) -> answers.Answer:
        source = answers.Source(operation=operation, address="https://x/blob", status=200)
        return answers.Answer(headers={}, data=self.body, source=source)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [("é", "base64"), ("A", "base64"), ("\ud83d", "utf-8"), ("x", "other")],
    ids=ascii,
)
def test_a_blob_of_a_repository(content: str, encoding: str) -> None:
    server: Any = Server({"content": content, "encoding": encoding})
    with pytest.raises(errors.CodeHostError, match="https://x/blob"):
        trees.Trees(server).text("b0" * 20, "a.yaml")


@CASES
def test_a_kubeconfig(text: str) -> None:
    user = f"{{client-certificate-data: {text!r}, client-key-data: {text!r}}}"
    document = (
        "clusters: [{name: a, cluster: {server: 'https://192.0.2.1'}}]\n"
        f"users: [{{name: a, user: {user}}}]\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\n"
    )
    with pytest.raises(errors.KubeError, match="cannot be used"):
        kubeconfig.parse(document, own=True)


@CASES
def test_sealing_keys_of_the_cluster(text: str) -> None:
    secret = {"metadata": {"name": "k"}, "data": {"tls.key": text, "tls.crt": text}}
    assert keyring.from_secrets([secret]) == ([], ["k"])


@CASES
def test_the_hash_of_a_secret(text: str) -> None:
    assert inventory.hash_secret({"data": {"a": text}}, "00") != inventory.hash_secret({}, "00")


@pytest.mark.parametrize("text", ["é", "A"], ids=ascii)
def test_mounts_of_the_node(text: str) -> None:
    found: Any = type("Node", (), {"snippet": lambda self, name: f"mount {text}\n"})()
    with pytest.raises(errors.ElysiumError, match="rclone mounts cannot be read"):
        existing.surveyed(found)
