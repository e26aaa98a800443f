"""The authority of the charts: one for the machine, its key for this user alone."""

from __future__ import annotations

import stat
from pathlib import Path

from cryptography import x509

from provision.sandbox import files
from provision.sandbox.charts import trust


def test_it_is_made_once_and_its_key_is_private(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "cache_root", lambda: tmp_path)
    made = trust.file()
    content = made.read_bytes()
    assert trust.file().read_bytes() == content
    authority = x509.load_pem_x509_certificate(content)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert b"PRIVATE" not in content
    assert stat.S_IMODE((trust.folder() / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(trust.folder().stat().st_mode) == 0o700
