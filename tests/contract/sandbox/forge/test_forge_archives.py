"""An archive of a commit: a redirect that the token is needed for, and bytes that it is not."""

from __future__ import annotations

import io
import tarfile

import pytest
import requests

from provision import config
from provision.github import repository

FILES = {f"folder{n % 3}/file{n}.yaml": f"n: {n}\n" for n in range(30)}


@pytest.fixture
def hub(forge):
    made = forge.with_repository("archives")
    head = made.seed_repository(FILES) or made.head()
    cfg = config.GitHub(
        owner=made.info.owner,
        repository=made.info.repository,
        base_url=made.info.api,
        allow_http=True,
    )
    opened = repository.Repository.open(cfg, made.token(), deadline=20)
    yield made, opened, head
    opened.close()


def test_a_tree_is_read_in_three_calls(hub) -> None:
    forge, repo, _ = hub
    before = len(forge.calls())
    head = repo.head()
    found = repo.read_tree(head)
    assert {path: found[path] for path in FILES} == FILES
    paths = [call["path"].partition("?")[0] for call in forge.calls(before)]
    assert [path.split("/")[-2] for path in paths[1:]] == ["trees", "tarball", "legacy.tar.gz"]
    assert not [call for call in forge.calls(before) if call.get("unknown")]


def test_the_address_holds_one_folder_and_needs_no_token(hub) -> None:
    _, repo, _ = hub
    head = repo.head()
    headers = repo._link.request("x", "GET", f"/repos/{repo.slug}/tarball/{head}").headers
    answer = requests.get(headers["location"], timeout=20)
    assert answer.headers["Content-Type"] == "application/x-gzip"
    with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:gz") as archive:
        tops = {member.name.split("/")[0] for member in archive}
    assert tops == {f"{repo.slug.replace('/', '-')}-{head[:7]}"}
    assert requests.get(headers["location"] + "x", timeout=20).status_code == 404
