"""Reading many files at once, and trees too large for one answer."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from provision import config, errors
from provision.github import repository, trees
from provision.secret import Secret

FILES = {f"folder{n % 5}/file{n}.yaml": f"n: {n}\n" for n in range(60)}


class Hub:
    """Just enough of GitHub's REST API for reading."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.authorized: dict[str, bool] = {}
        self.archive: bytes | None = pack(FILES)
        self.truncated = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.calls.append(self.path.partition("?")[0])
                hub.authorized[hub.calls[-1]] = "Authorization" in self.headers
                status, headers, body = hub.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/codeload":
            return 200, {}, self.archive or b""
        rest = path.removeprefix("/repos/me/home/")
        if rest.startswith("tarball/"):
            if self.archive is None:
                return 404, {}, b'{"message": "Not Found"}'
            return 302, {"Location": f"{self.url}/codeload"}, b""
        if rest.startswith("git/blobs/"):
            sha = rest.removeprefix("git/blobs/")
            text = next(t for t in FILES.values() if trees.blob_sha(t) == sha)
            body = {"content": base64.b64encode(text.encode()).decode(), "encoding": "base64"}
            return 200, {}, json.dumps(body).encode()
        if rest.startswith("git/trees/"):
            return 200, {}, json.dumps(self.tree(rest.removeprefix("git/trees/"))).encode()
        raise AssertionError(path)

    def tree(self, rest: str) -> dict:
        name, _, query = rest.partition("?")
        if name == "c0" and "recursive" in query:
            files = {} if self.truncated else FILES
            return {
                "truncated": self.truncated,
                "tree": [blob(path, text) for path, text in files.items()],
            }
        if name == "c0":
            folders = sorted({path.partition("/")[0] for path in FILES})
            return {
                "tree": [{"path": f, "type": "tree", "mode": "040000", "sha": f} for f in folders]
            }
        below = {p.partition("/")[2]: t for p, t in FILES.items() if p.startswith(f"{name}/")}
        return {"truncated": False, "tree": [blob(path, text) for path, text in below.items()]}


def blob(path: str, text: str) -> dict:
    sha = trees.blob_sha(text)
    return {"path": path, "type": "blob", "mode": "100644", "sha": sha, "size": len(text)}


def pack(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"me-home-abc123/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def repo(hub: Hub) -> Iterator[repository.Repository]:
    cfg = config.GitHub(owner="me", repository="home", base_url=hub.url, allow_http=True)
    made = repository.Repository.open(cfg, Secret("ghp_x"), deadline=5)
    yield made
    made.close()


def test_many_files_are_one_archive_without_the_token(hub, repo):
    assert repo.read_tree("c0") == FILES
    assert hub.calls == ["/repos/me/home/git/trees/c0", "/repos/me/home/tarball/c0", "/codeload"]
    assert hub.authorized["/codeload"] is False
    assert hub.authorized["/repos/me/home/tarball/c0"] is True
    assert repo.read_tree("c0", "folder1")
    assert len(hub.calls) == 3


def test_what_the_archive_leaves_out_or_changes_is_fetched(hub, repo):
    paths = list(FILES)
    same_size = "n: " + "x" * (len(FILES[paths[2]]) - 4) + "\n"
    changed = {paths[1]: "other and longer\n", paths[2]: same_size}
    hub.archive = pack({p: t for p, t in FILES.items() if p != paths[0]} | changed)
    assert repo.read_tree("c0") == FILES
    assert sum("blobs" in call for call in hub.calls) == 3


@pytest.mark.parametrize("archive", [None, b"", b"no archive", pack(FILES)[:200]])
def test_without_a_good_archive_single_files_are_read(hub, repo, archive):
    hub.archive = archive
    assert repo.read_tree("c0") == FILES
    assert sum("blobs" in call for call in hub.calls) >= 50


def test_a_few_files_are_read_one_by_one(hub, repo):
    snapshot = repo.snapshot("c0")
    assert all(repo.read_file(path, "c0") for path in list(snapshot.entries)[:3])
    assert sum("blobs" in call for call in hub.calls) == 3
    assert not any("tarball" in call for call in hub.calls)


def test_a_truncated_tree_is_walked(hub, repo):
    hub.truncated = True
    assert set(repo.snapshot("c0").entries) == set(FILES)
    assert len(hub.calls) == 7


def test_nothing_is_read_for_a_prefix_that_is_no_folder(hub, repo):
    assert repo.read_tree("c0", "folder") == {}


@pytest.mark.parametrize(
    "name",
    ["../../.ssh/authorized_keys", "/etc/cron.d/x", "a//b", ".GIT/config", "a\0b", "a\\..\\..\\b"],
)
@pytest.mark.parametrize("truncated", [False, True])
def test_a_name_that_git_refuses_is_never_read(
    hub, repo, monkeypatch, name: str, truncated: bool
) -> None:
    monkeypatch.setitem(FILES, name if not truncated else f"folder1/{name}", "canary")
    hub.truncated = truncated
    with pytest.raises(errors.CodeHostError) as caught:
        repo.read_tree("c0")
    assert "cannot be used" in str(caught.value)
    assert "Git refuses" in caught.value.detail


def test_a_tree_that_goes_on_for_ever(hub, repo, monkeypatch) -> None:
    """Each answer is too large and names one more folder."""
    item = {"path": "deeper", "type": "tree", "mode": "040000", "sha": "c0"}
    monkeypatch.setattr(
        hub, "tree", lambda rest: {"truncated": "recursive" in rest, "tree": [item]}
    )
    with pytest.raises(errors.CodeHostError) as caught:
        repo.read_tree("c0")
    assert "folders deep" in caught.value.detail


def test_links_and_what_is_no_file_are_left_out(hub, repo, monkeypatch) -> None:
    def tree(rest: str) -> dict:
        modes = {"folder0/file0.yaml": "120000", "folder1/file1.yaml": "160000"}
        items = [blob(path, text) for path, text in FILES.items()]
        return {"tree": [item | {"mode": modes.get(item["path"], "100644")} for item in items]}

    monkeypatch.setattr(hub, "tree", tree)
    read = repo.read_tree("c0")
    assert set(FILES) - set(read) == {"folder0/file0.yaml", "folder1/file1.yaml"}
    assert repo.snapshot("c0").left_out() == {
        "folder0/file0.yaml": "a symbolic link",
        "folder1/file1.yaml": "a Git submodule",
    }


@pytest.mark.parametrize("kind", ["content", "header"])
def test_an_archive_that_unpacks_to_more_than_the_tree_is_not_unpacked(
    hub, repo, monkeypatch, kind: str
) -> None:
    size = 256 * 1024 * 1024
    name = next(iter(FILES))
    if kind == "content":
        info = tarfile.TarInfo(f"me-home-abc123/{name}")
    else:
        info = tarfile.TarInfo("x")
        info.type = tarfile.XHDTYPE
    info.size = size
    hub.archive = gzip.compress(info.tobuf() + bytes(size), 1)
    tracemalloc.start()
    try:
        assert repo.read_tree("c0") == FILES
        assert tracemalloc.get_traced_memory()[1] < size // 4
    finally:
        tracemalloc.stop()


def test_more_files_than_can_be_read_name_the_largest(hub, repo, monkeypatch) -> None:
    monkeypatch.setattr("provision.fileio.contents.MOST", 100)
    monkeypatch.setitem(FILES, "largest.yaml", "x" * 50)
    with pytest.raises(errors.CodeHostError) as caught:
        repo.read_tree("c0")
    assert "largest.yaml" in caught.value.detail
