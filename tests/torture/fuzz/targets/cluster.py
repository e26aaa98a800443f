"""What the cluster, its API and GitHub say."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

from provision import safejson
from provision.github import answers as github_answers
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.kube import answers, kubeconfig
from provision.provider.k3s import certificates
from provision.recovery.bundle import inventory
from tests.support import forged
from tests.torture.fuzz.target import CANARY, Target

_AUTHORITY: Final = base64.b64encode(forged.KEY.certificate_pem.encode()).decode()
_KUBECONFIG: Final = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [
        {
            "name": "default",
            "cluster": {
                "server": "https://192.0.2.1:6443",
                "certificate-authority-data": _AUTHORITY,
            },
        }
    ],
    "users": [
        {"name": "default", "user": {"token": CANARY}},
        {"name": "second", "user": {"username": "me", "password": CANARY}},
    ],
    "contexts": [
        {"name": "default", "context": {"cluster": "default", "user": "default", "namespace": "x"}},
        {"name": "second", "context": {"cluster": "default", "user": "second"}},
    ],
    "current-context": "default",
}
_SECOND: Final = {**_KUBECONFIG, "current-context": "second"}
_OWN: Final = {
    **_KUBECONFIG,
    "clusters": [
        {
            "name": "default",
            "cluster": {
                "server": "https://192.0.2.1:6443",
                "certificate-authority": "/nowhere/ca.crt",
                "insecure-skip-tls-verify": False,
                "tls-server-name": "kyrion",
                "proxy-url": "http://192.0.2.2:1",
            },
        }
    ],
}
_OBJECT: Final = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "a",
        "namespace": "b",
        "uid": "u",
        "resourceVersion": "1",
        "labels": {"x": "y"},
        "ownerReferences": [{"uid": "o"}],
        "finalizers": ["f"],
    },
    "data": {"k": "AAAA"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}
_SOURCE: Final = answers.Source(what="it was asked", address="https://192.0.2.1", status=200)
_FROM_GITHUB: Final = github_answers.Source(operation="read", address="https://x", status=200)
_INVENTORY: Final = inventory.Inventory(salt="00", revision="main@sha1:" + "a" * 40)


def _read_kubeconfig(data: bytes, folder: Path) -> None:
    text = data.decode(errors="replace")
    kubeconfig.parse(text)
    kubeconfig.authority(text)
    kubeconfig.client_certificate(text)
    certificates.expires(text)


def _read_object(data: bytes, folder: Path) -> object:
    parsed = answers.parse(data, _SOURCE)
    answers.is_absent(data)
    answers.check_deleted(parsed, _SOURCE)
    return answers.check_object(parsed, _SOURCE)


def _read_fields(data: bytes, folder: Path) -> object:
    found = github_answers.Fields(safejson.loads(data), _FROM_GITHUB)
    return (
        *(found.text("name"), found.number("id"), found.flag("private"), found.time("at")),
        *(found.fields("owner").text_or("login"), found.texts("topics"), found.items("keys")),
    )


def _sealing_keys() -> bytes:
    secret: dict[str, Any] = sealing_keys.key_secret(forged.KEY, namespace="flux-system", name="k")
    return json.dumps({"kind": "List", "items": [secret]}).encode()


TARGETS: Final = (
    Target(
        name="kubeconfig",
        seeds=(json.dumps(_KUBECONFIG).encode(), json.dumps(_SECOND).encode()),
        read=_read_kubeconfig,
        form="yaml",
    ),
    Target(
        name="own-kubeconfig",
        seeds=(json.dumps(_OWN).encode(), json.dumps(_KUBECONFIG).encode()),
        read=lambda data, folder: kubeconfig.parse(data.decode(errors="replace"), own=True),
        form="yaml",
    ),
    Target(
        name="kubernetes-object",
        seeds=(json.dumps(_OBJECT).encode(),),
        read=_read_object,
        form="json",
    ),
    Target(
        name="github-fields",
        seeds=(
            b'{"name": "a", "id": 1, "private": true, "at": "2020-01-02T03:04:05Z",'
            b' "owner": {"login": "me"}, "topics": ["x"], "keys": [{"id": 1}]}',
        ),
        read=_read_fields,
        documented=(json.JSONDecodeError,),
        form="json",
    ),
    Target(
        name="sealing-keys",
        inputs=20,
        seeds=(_sealing_keys(),),
        read=lambda data, folder: sealing_keys.read_keys(data.decode(errors="replace"), where="f"),
        form="yaml",
    ),
    Target(
        name="sealing-key-bare",
        seeds=(forged.KEY.private_pem.reveal().encode(),),
        read=lambda data, folder: sealing_keys.read_keys(data.decode(errors="replace"), where="f"),
        inputs=20,
    ),
    Target(
        name="sealing-keyring",
        inputs=20,
        seeds=(keyring.dump([forged.KEY], "flux-system").encode(),),
        read=lambda data, folder: keyring.load(data.decode(errors="replace")),
        form="json",
    ),
    Target(
        name="sealing-certificate",
        seeds=(forged.KEY.certificate_pem.encode(),),
        read=lambda data, folder: sealing_keys.read_certificate(data.decode(errors="replace")),
        documented=(sealing_keys.SealingError,),
    ),
    Target(
        name="inventory",
        seeds=(_INVENTORY.dump(),),
        read=lambda data, folder: inventory.load(data),
        form="json",
        documented=(ValueError,),
    ),
)
