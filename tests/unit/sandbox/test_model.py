"""sandbox.json: what is written is what is read, and no secret is in it."""

import json
from pathlib import Path

import pytest

from provision import errors
from provision.sandbox import model, parts


def _sandbox(folder: Path) -> model.Sandbox:
    (folder / "key").write_text("c2VjcmV0\n")
    return model.Sandbox(
        name="demo",
        number=3,
        host_address="10.231.3.1",
        node=model.Node(
            host="10.231.3.2",
            identity_file=folder / "id",
            host_key="ssh-ed25519 AAAA",
            hostname="kyrion",
            password_file=folder / "password",
            known_hosts=folder / "known_hosts",
        ),
        azure=model.Azure(
            account="elysium",
            key_file=folder / "key",
            endpoint="http://10.231.3.1:10000/elysium",
            container="library",
        ),
        real=parts.real(whole=True),
        stood_in=parts.stood_in(whole=True),
    )


def test_a_sandbox_survives_the_file(tmp_path: Path) -> None:
    sandbox = _sandbox(tmp_path)
    path = tmp_path / "box" / "sandbox.json"
    model.save(sandbox, path)
    assert model.load(path) == sandbox
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_file_speaks_camel_case_and_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    model.save(_sandbox(tmp_path), path)
    data = json.loads(path.read_text())
    assert data["node"]["identityFile"] == str(tmp_path / "id")
    assert data["stoodIn"][0]["part"] == "GPU"
    assert "c2VjcmV0" not in path.read_text()


def test_secrets_are_read_from_their_files(tmp_path: Path) -> None:
    azure = _sandbox(tmp_path).azure
    assert azure is not None
    assert azure.key().reveal() == "c2VjcmV0"
    assert "c2VjcmV0" not in str(azure.key())


def test_no_sandbox_is_said_with_what_starts_one(tmp_path: Path) -> None:
    with pytest.raises(errors.ElysiumError) as caught:
        model.load(tmp_path / "sandbox.json")
    assert "sandbox up" in caught.value.hint


def test_a_broken_file_is_said_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    path.write_text('{"name": "demo"')
    with pytest.raises(errors.ElysiumError) as caught:
        model.load(path)
    assert "sandbox down" in caught.value.hint
