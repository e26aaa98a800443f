"""A folder with one stack, and a crypter that needs no key derivation."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from provision import errors

GOOD = """\
config:
  elysium:nodes:
    - name: kyrion
      host: 192.168.1.5
      hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA
  elysium:github:
    owner: me
    repository: elysium
"""


class FakeCrypter:
    """Reversible and obviously not plaintext; refuses what it did not make."""

    salt = "v1:c2FsdA==:check"

    def encrypt(self, text: str) -> str:
        return "v1:fake:" + base64.b64encode(text.encode()).decode()

    def decrypt(self, text: str) -> str:
        if not text.startswith("v1:fake:"):
            raise errors.StackError("an encrypted value cannot be decrypted", operation="decrypt")
        try:
            return base64.b64decode(text.removeprefix("v1:fake:"), validate=True).decode()
        except ValueError as error:
            raise errors.StackError("malformed", operation="decrypt") from error


@pytest.fixture
def crypter() -> Callable[[], FakeCrypter]:
    return FakeCrypter


@pytest.fixture
def stack(tmp_path: Path) -> Callable[[str], Path]:
    """Write ``Pulumi.kyrion.yaml`` with the given text and return its path."""

    def write(text: str = GOOD) -> Path:
        path = tmp_path / "Pulumi.kyrion.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
