"""A forge for the session, a repository of its own for each test, and clients for both."""

from __future__ import annotations

import dataclasses
import http.client
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import github
import pytest
import requests.adapters

from provision.sandbox.forge import control
from tests.support import forge_schemas as schemas

FILES = {
    "README.md": "# home\n",
    "clusters/kyrion/flux-system/kustomization.yaml": "resources: []\n",
    "apps/ä.yaml": "kind: App\n",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Forge]:
    with control.start_forge(tmp_path_factory.mktemp("forge") / "root") as forge:
        yield forge


@pytest.fixture
def empty(server: control.Forge) -> Iterator[control.Forge]:
    """A repository without a commit."""
    yield server.with_repository(f"repo-{next(_numbers)}")
    server.clear_faults()


@pytest.fixture
def forge(empty: control.Forge) -> control.Forge:
    """A repository with a few files."""
    empty.seed_repository(FILES)
    return empty


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


class Raw:
    """Plain HTTP calls; every answer is checked against the published schema."""

    def __init__(self, forge: control.Forge, token: str | None = None, prefix: str = "") -> None:
        self.forge = forge
        self.token = forge.token().reveal() if token is None else token
        self.prefix = prefix

    def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        path = path.replace("~", f"/repos/{self.forge.slug}", 1)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection = http.client.HTTPConnection(
            self.forge.info.api.removeprefix("http://"), timeout=30
        )
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, self.prefix + path, data, {**sent, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        parsed = json.loads(text) if text else None
        schemas.check(method, path, answer.status, parsed)
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, parsed)


@pytest.fixture
def raw(forge: control.Forge) -> Raw:
    return Raw(forge)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Check every answer that PyGithub gets against its schema; the calls, in order."""
    calls: list[tuple[str, str, int]] = []
    real = requests.adapters.HTTPAdapter.send

    def send(self: Any, request: Any, **values: Any) -> Any:
        answer = real(self, request, **values)
        path = "/" + request.url.split("/", 3)[3]
        body = json.loads(answer.content) if answer.content else None
        schemas.check(request.method, path, answer.status_code, body)
        calls.append((request.method, path, answer.status_code))
        return answer

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return calls


def client(forge: control.Forge, token: str = "", prefix: str = "") -> github.Github:
    return github.Github(
        auth=github.Auth.Token(token or forge.token().reveal()),
        base_url=forge.info.api + prefix,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


@pytest.fixture
def hub(forge: control.Forge, checked: list[Any]) -> Iterator[Any]:
    """The repository, through PyGithub."""
    del checked
    connection = client(forge)
    yield connection.get_repo(forge.slug)
    connection.close()


@dataclasses.dataclass(frozen=True)
class Key:
    private: Path
    public: str
    fingerprint: str


@pytest.fixture
def make_key(tmp_path: Path) -> Any:
    """A function that makes a key pair with ssh-keygen."""
    numbers = itertools.count(1)

    def make(algorithm: str = "ed25519") -> Key:
        path = tmp_path / f"key{next(numbers)}"
        kind, _, bits = algorithm.partition("-")
        size = ["-b", bits] if bits else []
        command = ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "me", "-f", str(path)]
        subprocess.run(command, check=True)
        public = path.with_suffix(".pub").read_text()
        listed = subprocess.run(
            ["ssh-keygen", "-l", "-f", str(path)], check=True, capture_output=True, text=True
        ).stdout
        return Key(path, public.strip(), listed.split()[1])

    return make


class Git:
    """The real git over the real ssh, with one key and the forge's pinned host keys."""

    def __init__(self, forge: control.Forge, folder: Path, key: Key) -> None:
        self.forge = forge
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / "known_hosts"
        known.write_text(forge.known_hosts())
        options = "-F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_SSH_COMMAND": f"ssh {options} -o UserKnownHostsFile={known} -i {key.private}",
            "GIT_AUTHOR_NAME": "me",
            "GIT_AUTHOR_EMAIL": "me@example.com",
            "GIT_COMMITTER_NAME": "me",
            "GIT_COMMITTER_EMAIL": "me@example.com",
        }

    def __call__(self, *arguments: str, where: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder / where,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def clone(self) -> None:
        done = self("clone", "--quiet", self.forge.ssh_url, "work")
        assert done.returncode == 0, done.stderr

    def commit(self, name: str = "new", text: str = "new\n") -> str:
        (self.folder / "work" / name).write_text(text)
        assert self("add", name, where="work").returncode == 0
        assert self("commit", "-qm", f"Add {name}", where="work").returncode == 0
        return self("rev-parse", "HEAD", where="work").stdout.strip()

    def push(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self("push", *arguments, where="work")


@pytest.fixture
def git(forge: control.Forge, tmp_path: Path, make_key: Any) -> Any:
    """A function that registers a new key and returns a `Git` that uses it."""
    numbers = itertools.count(1)

    def make(*, read_only: bool = True, key: Key | None = None) -> Git:
        key = key or make_key()
        forge.register_key(key.public, read_only=read_only)
        return Git(forge, tmp_path / f"git{next(numbers)}", key)

    return make


@pytest.fixture
def helpers() -> ModuleType:
    """This module: `Raw`, `Git`, `client`, `schemas`, `FILES`."""
    return sys.modules[__name__]
