"""A home folder of one's own, and keys made by ssh-keygen."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

KEYGEN = shutil.which("ssh-keygen")


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A home with an empty ``~/.ssh`` and no agent."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


Keygen = Callable[..., pathlib.Path]


@pytest.fixture
def keygen(home: pathlib.Path) -> Keygen:
    """Make a key in ``~/.ssh``; return its path."""
    if KEYGEN is None:
        pytest.skip("needs ssh-keygen")

    def make(name: str, *, passphrase: str = "", kind: str = "ecdsa") -> pathlib.Path:
        path = home / ".ssh" / name
        subprocess.run(
            [KEYGEN, "-q", "-t", kind, "-N", passphrase, "-C", name, "-f", path],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        return path

    return make


@pytest.fixture
def agent(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A real ssh-agent; call it with key files to add."""
    path = tmp_path / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))

    def add(*keys: pathlib.Path) -> None:
        subprocess.run(["ssh-add", "-q", *keys], check=True, capture_output=True, timeout=60)

    yield add
    process.terminate()
    process.wait(10)
