"""The forge over TLS, as in a sandbox: every kind of call, and every kind of broken answer."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import config, errors
from provision.github import repository
from provision.sandbox.forge import control

FILES = {"README.md": "# home\n", "clusters/kyrion/a.yaml": "kind: A\n"}


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Forge]:
    with control.start_forge(tmp_path_factory.mktemp("forge") / "root", tls=True) as found:
        found.seed_repository(FILES)
        yield found


@pytest.fixture
def repo(forge: control.Forge) -> Iterator[repository.Repository]:
    info = forge.info
    assert info.api.startswith("https://") and info.ca_file is not None
    cfg = config.GitHub(
        owner=info.owner,
        repository=info.repository,
        base_url=info.api,
        ca_file=str(info.ca_file),
    )
    with contextlib.closing(repository.Repository.open(cfg, forge.token())) as found:
        yield found


def test_a_tree_and_an_archive(repo: repository.Repository) -> None:
    head = repo.head("main")
    assert dict(repo.read_tree(head)) == FILES
    assert repo._link.download_archive(head)


def test_many_calls_at_once(repo: repository.Repository) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        heads = {each.result() for each in [pool.submit(repo.head, "main") for _ in range(40)]}
    assert len(heads) == 1


@pytest.mark.parametrize("action", ["reset", "close"])
def test_a_broken_connection_is_made_again(
    forge: control.Forge, repo: repository.Repository, action: str
) -> None:
    before = repo.head("main")
    with forge.faults(action, method="GET", path="/git/", times=1):
        assert repo.head("main", fresh=True) == before


def test_without_the_file_nothing_reaches_the_forge(forge: control.Forge) -> None:
    info = forge.info
    cfg = config.GitHub(owner=info.owner, repository=info.repository, base_url=info.api)
    before = info.call_log.read_text()
    with (
        contextlib.closing(repository.Repository.open(cfg, forge.token())) as found,
        pytest.raises(errors.CodeHostError, match="did not prove who it is"),
    ):
        found.head("main")
    assert info.call_log.read_text() == before


def test_a_restart_keeps_the_authority(tmp_path: Path) -> None:
    kept = []
    for _ in range(2):
        with control.start_forge(tmp_path / "root", tls=True) as found:
            assert found.info.ca_file is not None
            kept.append(found.info.ca_file.read_bytes())
            found.api("GET", "/rate_limit")
    assert kept[0] == kept[1]
