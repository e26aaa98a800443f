"""Downloads that are answered with something else: the address is named, nothing is kept."""

from __future__ import annotations

import hashlib
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from provision import cancellation, errors
from provision.artifacts import catalog, source, store
from tests.support import apiserver, hostile

PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
MANIFEST = b"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
REDIRECTS = {
    "another scheme": "ftp://127.0.0.1/k3s",
    "a file": "file:///etc/passwd",
    "no host": "http://",
    "no port": "http://127.0.0.1:port/k3s",
    "nowhere": "",
}
ODD = {
    "a page": hostile.Reply(body=PAGE, headers={"Content-Type": "text/html"}),
    "a page without a type": hostile.Reply(body=PAGE),
    "nothing": hostile.Reply(status=204),
    "a part": hostile.Reply(status=206, body=b"x", headers={"Content-Range": "bytes 7-7/9"}),
    "not modified": hostile.Reply(status=304),
    "compressed": hostile.bomb(1000),
    "too long": hostile.Reply(headers={"Content-Length": "99999999999"}),
    "a length that is no number": hostile.Reply(headers={"Content-Length": "many"}),
    "two lengths": hostile.Reply(body=b"x", headers={"Content-Length": "2"}),
    "a refusal": hostile.Reply(status=403, body=PAGE),
    "a login at the proxy": hostile.Reply(status=407, body=PAGE),
    "unpublished": hostile.Reply(status=404, body=PAGE),
    "a broken server": hostile.Reply(status=500, body=PAGE),
    "an odd status": hostile.Reply(status=299, body=b"x"),
} | {f"redirect to {name}": hostile.redirect(302, to) for name, to in REDIRECTS.items()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation.Cancellation, "sleep", lambda *_: None)


@pytest.fixture
def server() -> Iterator[hostile.Server]:
    with hostile.serve(lambda _method, _path: hostile.Reply(body=b"x")) as serving:
        yield serving


def refused(act: Callable[[], object], address: str) -> errors.ArtifactError:
    with pytest.raises(errors.ArtifactError) as caught:
        act()
    assert address in str(caught.value) and caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer(name: str, server: hostile.Server, tmp_path: pathlib.Path) -> None:
    server.answer = lambda _method, _path: ODD[name]
    url = f"{server.url}/k3s"
    refused(lambda: source.copy("", url, tmp_path / "k3s"), url)
    refused(lambda: source.read("", url), url)


def test_redirects_that_do_not_end(server: hostile.Server, tmp_path: pathlib.Path) -> None:
    server.answer = lambda _method, path: hostile.redirect(302, f"{path}x")
    url = f"{server.url}/k3s"
    error = refused(lambda: source.copy("", url, tmp_path / "k3s"), url)
    assert "redirect" in str(error) and len(server.calls) < 10


def test_a_redirect_away_from_https(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, server: hostile.Server
) -> None:
    authority = apiserver.Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    away = hostile.redirect(302, f"{server.url}/k3s")
    with hostile.serve(lambda _method, _path: away, authority.serving(tmp_path)) as secure:
        url = f"{secure.url}/k3s"
        error = refused(lambda: source.copy("", url, tmp_path / "k3s"), url)
    assert server.url in str(error) and not server.calls


def test_a_redirect_is_followed(server: hostile.Server, tmp_path: pathlib.Path) -> None:
    """To a signed address, as releases have them; its signature is in no message."""

    def answer(_method: str, path: str) -> hostile.Reply:
        return hostile.redirect(302, "/there?sig=hush") if path == "/k3s" else replies[path]

    replies = {"/there?sig=hush": hostile.Reply(body=b"binary")}
    server.answer = answer
    source.copy("", f"{server.url}/k3s", tmp_path / "k3s")
    assert (tmp_path / "k3s").read_bytes() == b"binary"
    replies["/there?sig=hush"] = hostile.Reply(status=410)
    error = refused(lambda: source.read("", f"{server.url}/k3s"), f"{server.url}/k3s")
    assert f"{server.url}/there" in str(error) and "hush" not in str(error)


def test_a_body_that_never_ends(server: hostile.Server, tmp_path: pathlib.Path) -> None:
    server.answer = lambda _method, _path: hostile.Reply(body=b"y" * 100_000, endless=True)
    url = f"{server.url}/list"
    error = refused(lambda: source.read("", url), url)
    assert "1 MiB" in str(error)
    error = refused(lambda: source.copy("", url, tmp_path / "k3s", limit=3_000_000), url)
    assert "limit" in str(error) and (tmp_path / "k3s").stat().st_size <= 3_000_000


def raw(*heads: bytes) -> tuple[socket.socket, str]:
    """Return a server that answers each connection with one of `heads`, and its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        for head in (*heads, *heads[-1:] * 8):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(head)

    threading.Thread(target=answer, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}/k3s"


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: odd\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nno header at all\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        b"",
    ],
    ids=["ssh", "tls", "half", "chunks", "encoding", "header", "long header", "nothing"],
)
def test_an_answer_that_is_no_http(head: bytes, tmp_path: pathlib.Path) -> None:
    listener, url = raw(head)
    with listener:
        refused(lambda: source.copy("", url, tmp_path / "k3s"), url)


@pytest.mark.parametrize(
    ("status", "content_range"), [(206, "bytes 1-9/10"), (206, ""), (416, "bytes */9"), (416, "")]
)
def test_a_download_that_is_continued_elsewhere(
    status: int, content_range: str, tmp_path: pathlib.Path
) -> None:
    rest = f"HTTP/1.1 {status} \r\nContent-Range: {content_range}\r\nContent-Length: 1\r\n\r\nx"
    listener, url = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", rest.encode())
    with listener:
        refused(lambda: source.copy("", url, tmp_path / "k3s"), url)


def test_a_download_that_broke_after_its_last_byte(tmp_path: pathlib.Path) -> None:
    first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"
    rest = b"HTTP/1.1 416 \r\nContent-Range: bytes */4\r\nContent-Length: 0\r\n\r\n"
    listener, url = raw(first, rest)
    with listener:
        source.copy("", url, tmp_path / "k3s")
    assert (tmp_path / "k3s").read_bytes() == b"four"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "gopher://user:hush@proxy:1"),
        ("ALL_PROXY", "socks5://user:hush@127.0.0.1:1"),
        ("HTTP_PROXY", "http://user:hush@proxy:port"),
        ("SSL_CERT_FILE", "/nowhere.pem"),
    ],
)
def test_an_environment_that_cannot_be_used(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv(variable, value)
    url = "http://releases.example/k3s"
    error = refused(lambda: source.copy("", url, tmp_path / "k3s"), url)
    assert variable in error.hint and "hush" not in str(error)
    assert "stored" not in str(error)


def test_the_login_of_a_mirror_is_not_shown(server: hostile.Server) -> None:
    server.answer = lambda _method, _path: hostile.Reply(status=401)
    mirror = server.url.replace("http://", "http://me:hush@")
    error = refused(lambda: source.read(mirror, "https://github.com/x"), server.url)
    assert "hush" not in str(error)


def test_a_mirror_whose_address_is_none() -> None:
    error = refused(lambda: source.read("http://me:hu/sh@host", "https://github.com/x"), "mirror")
    assert "hu/sh" not in str(error)


# -- what is kept of it ------------------------------------------------------


K3S = catalog.k3s("v1.36.3+k3s1")
SEALED = catalog.sealed_secrets("0.40.0")


@pytest.fixture
def kept(server: hostile.Server, tmp_path: pathlib.Path) -> store.ArtifactStore:
    return store.ArtifactStore(server.url, tmp_path / "pins.json", tmp_path / "cache")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (b"Not the list that you are looking for", "no list of checksums"),
        (f"{digest(b'x')}  other\n".encode(), "has no checksum for k3s"),
        (f"{digest(b'x')}  k3s\n{digest(b'y')}  k3s\n".encode(), "two checksums"),
        (b"\xff\xfe\x00", "no list of checksums"),
        (b"", "no list of checksums"),
    ],
)
def test_a_list_of_checksums_that_is_none(
    listing: bytes, words: str, kept: store.ArtifactStore, server: hostile.Server
) -> None:
    server.answer = lambda _method, path: hostile.Reply(
        body=listing if "sha256sum" in path else b"x"
    )
    error = refused(lambda: kept.fetch(K3S, "amd64"), f"{server.url}/github.com/k3s-io")
    assert words in str(error)


def test_a_wrong_checksum_names_both_addresses(
    kept: store.ArtifactStore, server: hostile.Server, tmp_path: pathlib.Path
) -> None:
    listing = f"{digest(b'other')}  k3s\n".encode()
    server.answer = lambda _method, path: hostile.Reply(
        body=listing if "sha256sum" in path else b"x"
    )
    error = refused(lambda: kept.fetch(K3S, "amd64"), f"{server.url}/github.com/k3s-io")
    assert "/k3s\n" in str(error) and "sha256sum-amd64.txt" in str(error)
    assert not (tmp_path / "pins.json").exists()


def sealed(manifest: hostile.Reply, checksums: hostile.Reply) -> hostile.Answer:
    return lambda _method, path: checksums if path.endswith("checksums.txt") else manifest


def test_a_file_without_a_published_checksum_must_be_what_it_is_for(
    kept: store.ArtifactStore, server: hostile.Server, tmp_path: pathlib.Path
) -> None:
    """It is pinned as it came, so that a page or a half file would stay for good."""
    none = hostile.Reply(status=404)
    server.answer = sealed(hostile.Reply(body=b'{"error": "quota"}'), none)
    refused(lambda: kept.fetch(SEALED, "any"), f"{server.url}/github.com/bitnami")
    server.answer = sealed(hostile.Reply(body=PAGE), none)
    refused(lambda: kept.fetch(SEALED, "any"), f"{server.url}/github.com/bitnami")
    assert not (tmp_path / "pins.json").exists()
    server.answer = sealed(hostile.Reply(body=MANIFEST), none)
    assert kept.fetch(SEALED, "any").read_bytes() == MANIFEST


def test_a_checksum_that_could_not_be_asked_for_is_not_an_absent_one(
    kept: store.ArtifactStore, server: hostile.Server, tmp_path: pathlib.Path
) -> None:
    server.answer = sealed(hostile.Reply(body=MANIFEST), hostile.Reply(status=503))
    refused(lambda: kept.fetch(SEALED, "any"), f"{server.url}/github.com/bitnami")
    assert not (tmp_path / "pins.json").exists()


def test_a_file_of_unknown_length_needs_a_checksum(tmp_path: pathlib.Path) -> None:
    listener, url = raw(b"HTTP/1.0 200 OK\r\n\r\n" + MANIFEST)
    with listener:
        error = refused(lambda: source.copy("", url, tmp_path / "x", whole=True), url)
        assert "length" in str(error)
        source.copy("", url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == MANIFEST
