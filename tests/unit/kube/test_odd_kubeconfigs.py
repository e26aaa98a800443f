"""A kubeconfig of the user's whose values have other types is refused in words."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.kube import kubeconfig

RIGHT: dict[str, Any] = {
    "clusters": [{"name": "a", "cluster": {"server": "http://192.0.2.1"}}],
    "users": [{"name": "a", "user": {"token": "t"}}],
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    "current-context": "a",
}


@pytest.mark.parametrize("value", [True, 1, "x", {"a": 1}, [1, None]], ids=json.dumps)
@pytest.mark.parametrize("section", ["clusters", "users", "contexts"])
def test_a_section_that_is_no_list_of_maps(section: str, value: Any) -> None:
    with pytest.raises(errors.KubeError, match=f"{section} has no entry 'a'"):
        kubeconfig.parse(json.dumps(RIGHT | {section: value}), own=True)


@pytest.mark.parametrize("authority", [b"\xff", "é".encode(), b"x", b"-----BEGIN"], ids=repr)
def test_an_authority_that_is_no_certificate(authority: bytes) -> None:
    data = base64.b64encode(authority).decode()
    cluster = {"server": "https://192.0.2.1", "certificate-authority-data": data}
    clusters = [{"name": "a", "cluster": cluster}]
    with pytest.raises(errors.KubeError, match="holds no PEM certificate"):
        kubeconfig.parse(json.dumps(RIGHT | {"clusters": clusters}))


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["no text", "no name"])
def test_a_token_file_that_is_no_text(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    path.write_bytes(content or b"")
    name = str(path) if content else "a\0b"
    users = [{"name": "a", "user": {"tokenFile": name}}]
    with pytest.raises(errors.KubeError, match="tokenFile is not the name"):
        kubeconfig.parse(json.dumps(RIGHT | {"users": users}), own=True)
