"""HTTP as GitHub speaks it: HEAD, the root, bodies in chunks, media types, Basic authentication."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

GITHUB = "application/vnd.github"


@pytest.fixture
def connection(forge: Any) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection(forge.info.api.removeprefix("http://"), timeout=10)
    yield made
    made.close()


@pytest.fixture
def call(forge: Any, connection: http.client.HTTPConnection) -> Any:
    """A function that makes one call and returns its status, headers and bytes."""

    def send(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        sent = {"Authorization": f"token {forge.token().reveal()}", **headers}
        connection.request(method, path.replace("~", f"/repos/{forge.slug}"), body, sent)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    return send


@pytest.mark.parametrize(
    "path", ["/", "~", "/user", "~/keys", "~/keys/7", "~/contents/README.md", "/nowhere"]
)
def test_head_is_get_without_its_body(call: Any, path: str) -> None:
    status, expected, body = call("GET", path)
    again, headers, nothing = call("HEAD", path)
    assert (again, nothing) == (status, b"")
    assert headers["Content-Length"] == str(len(body))
    # The moment, and the number of the request.
    names = set(expected) - {"Date", "X-GitHub-Request-Id"}
    names -= {name for name in names if name.startswith("X-RateLimit-")}
    assert {name: headers[name] for name in names} == {name: expected[name] for name in names}


def test_head_of_a_file_that_is_too_large_for_a_line(call: Any, forge: Any) -> None:
    forge.commit_files({"large": "x" * 2_000_000})
    status, headers, _ = call("HEAD", "~/contents/large", Accept=f"{GITHUB}.raw")
    assert (status, headers["Content-Length"]) == (200, "2000000")
    assert call("GET", "/rate_limit")[0] == 200


@pytest.mark.parametrize("path", ["/", "/api/v3", "/api/v3/"])
def test_the_root_lists_where_things_are(helpers: Any, forge: Any, path: str) -> None:
    nobody = helpers.Raw(forge, "")
    answer = nobody("GET", path)
    assert answer.status == 200
    base = forge.info.api + path.rstrip("/")
    assert answer.body["repository_url"] == f"{base}/repos/{{owner}}/{{repo}}"
    assert nobody("GET", answer.body["rate_limit_url"].removeprefix(forge.info.api)).status == 200
    # By the scopes that it tells, gh knows what a token is for.
    assert helpers.Raw(forge)("GET", path).headers["x-oauth-scopes"] == "repo"
    assert helpers.Raw(forge, "ghp_wrong")("GET", path).status == 401


def test_a_body_in_chunks_is_read(call: Any, forge: Any) -> None:
    text = json.dumps({"content": "ä" * 100_000}).encode()
    blocks = (text[at : at + 7001] for at in range(0, len(text), 7001))
    status, _, body = call("POST", "~/git/blobs", blocks)
    assert status == 201
    assert forge.git("cat-file", "-s", json.loads(body)["sha"]).strip() == "200000"
    # The connection goes on behind it.
    assert call("GET", "~")[0] == 200


def raw_answer(forge: Any, lines: str, body: bytes) -> tuple[int, bytes]:
    """Send bytes that no client sends; the status, and what follows until the forge closes."""
    host, _, port = forge.info.api.removeprefix("http://").rpartition(":")
    head = f"POST /repos/{forge.slug}/git/blobs HTTP/1.1\r\nHost: forge\r\n"
    head += f"Authorization: token {forge.token().reveal()}\r\n{lines}\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as opened:
        opened.sendall(head.encode() + body)
        opened.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: opened.recv(65536), b""))
    return int(received.split()[1]), received


CHUNKED = "Transfer-Encoding: chunked\r\n"


def test_chunks_may_have_extensions_and_trailers(forge: Any) -> None:
    body = b'd;name="a long extension of a chunk, longer than a size"\r\n{"content":"a\r\n'
    body += b'3\r\nb"}\r\n0\r\nX-Trailer: 1\r\nX-Another: 2\r\n\r\n'
    following = b"GET / HTTP/1.1\r\nHost: forge\r\n\r\n"
    status, received = raw_answer(forge, CHUNKED, body + following)
    assert status == 201
    assert received.count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        (CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n", 400),
        (CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n", 400),
        (CHUNKED, b"2\r\n{}}\r\n0\r\n\r\n", 400),
        (CHUNKED, b"5\r\n{}", 400),
        (CHUNKED, b"2\r\n{}\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n", 501),
        ("Content-Length: two\r\n", b"{}", 400),
        ("Content-Length: -2\r\n", b"{}", 400),
        ("Content-Length: 5\r\n", b"{}", 400),
    ],
)
def test_a_broken_body_is_refused_and_ends_the_connection(
    forge: Any, lines: str, body: bytes, status: int
) -> None:
    since = len(forge.calls())
    following = b"GET /smuggled HTTP/1.1\r\nHost: forge\r\n\r\n"
    cut = b"" if body in (b"5\r\n{}", b"2\r\n{}\r\n") or "5" in lines else following
    answered, received = raw_answer(forge, lines, body + cut)
    assert answered == status
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in received
    assert "message" in json.loads(received.partition(b"\r\n\r\n")[2])
    (logged,) = forge.calls(since)
    assert logged["status"] == status


CONTENT_TYPES = [
    ("*/*", "github.v3; format=json"),
    ("application/json", "github.v3; format=json"),
    (f"{GITHUB}+json", "github.v3; format=json"),
    (f"{GITHUB}.v3+json", "github.v3; format=json"),
    (f"{GITHUB}.luke-cage-preview+json", "github.v3; param=luke-cage-preview; format=json"),
    ("text/html, application/xml;q=0.9, */*;q=0.8", "github.v3; format=json"),
    (f"text/html;q=0.1, {GITHUB}+json", "github.v3; format=json"),
]


@pytest.mark.parametrize(("accept", "said"), CONTENT_TYPES)
def test_json_is_what_most_media_types_mean(call: Any, accept: str, said: str) -> None:
    status, headers, body = call("GET", "~", Accept=accept)
    assert (status, headers["X-GitHub-Media-Type"]) == (200, said)
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Accept" in headers["Vary"]
    assert json.loads(body)["id"]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("~", "application/xml"),
        ("~", f"{GITHUB}.diff"),
        ("~/tarball/main", "application/octet-stream"),
    ],
)
def test_what_cannot_be_had_is_415(call: Any, path: str, accept: str) -> None:
    status, headers, body = call("GET", path, Accept=accept)
    assert status == 415
    assert json.loads(body) == {
        "message": f"Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'.",
        "documentation_url": "https://docs.github.com/v3/media",
        "status": "415",
    }
    assert headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "accept"),
    [("~/contents/README.md", f"{GITHUB}.html+json"), ("~/pulls", f"{GITHUB}.full+json")],
)
def test_what_github_renders_is_not_stood_in(call: Any, forge: Any, path: str, accept: str) -> None:
    assert call("GET", path, Accept=accept)[0] == 415
    assert forge.calls()[-1]["unknown"] is True


@pytest.mark.parametrize("version", ["", ".v3"])
def test_files_as_they_are(call: Any, forge: Any, version: str) -> None:
    forge.commit_files({"odd": "\x00ä\r\n"})
    blob = forge.git("rev-parse", "main:odd").strip()
    for path in ("~/contents/odd", f"~/git/blobs/{blob}"):
        accept = f"{GITHUB}{version}.raw+json"
        status, headers, body = call("GET", path, Accept=accept)
        assert (status, body) == (200, "\x00ä\r\n".encode())
        assert headers["Content-Type"] == f"{accept}; charset=utf-8"
        assert headers["X-GitHub-Media-Type"] == "github.v3; param=raw; format=json"
    # A folder has no raw form.
    assert isinstance(json.loads(call("GET", "~/contents", Accept=f"{GITHUB}.raw")[2]), list)


def test_a_folder_as_an_object(raw: Any) -> None:
    answer = raw("GET", "~/contents/clusters", headers={"Accept": f"{GITHUB}.object+json"})
    assert (answer.body["type"], answer.body["path"]) == ("dir", "clusters")
    assert [entry["name"] for entry in answer.body["entries"]] == ["kyrion"]
    whole = raw("GET", "~/contents", headers={"Accept": f"{GITHUB}.object"}).body
    assert {entry["name"] for entry in whole["entries"]} == {"README.md", "apps", "clusters"}
    file = raw("GET", "~/contents/README.md", headers={"Accept": f"{GITHUB}.object"}).body
    assert file["type"] == "file" and "entries" not in file


def test_commits_and_pull_requests_as_text(call: Any, forge: Any) -> None:
    forge.git("branch", "next", "main")
    forge.commit_files({"new": "one\n"}, branch="next", message="First")
    head = forge.commit_files({"new": "two\n"}, branch="next", message="Second")
    call("POST", "~/pulls", json.dumps({"title": "t", "head": "next", "base": "main"}))

    def text(path: str, param: str) -> str:
        status, headers, body = call("GET", path, Accept=f"{GITHUB}.{param}")
        assert status == 200
        assert headers["Content-Type"] == f"{GITHUB}.{param}; charset=utf-8"
        assert headers["X-GitHub-Media-Type"] == f"github.v3; param={param}"
        return body.decode()

    assert text("~/commits/next", "sha") == head
    assert "-one\n+two\n" in text("~/commits/next", "diff")
    assert "README.md" in text("~/commits/main", "diff")  # the first commit of all
    assert re.findall(r"^Subject: (.*)", text("~/commits/next", "patch"), re.M) == [
        "[PATCH] Second"
    ]
    assert "+two\n" in text("~/pulls/1", "diff") and "one" not in text("~/pulls/1", "diff")
    assert re.findall(r"^Subject: (.*)", text("~/pulls/1", "patch"), re.M) == [
        "[PATCH 1/2] First",
        "[PATCH 2/2] Second",
    ]


@pytest.mark.parametrize("login", ["{user}:{token}", "{token}:", "{token}:x-oauth-basic"])
def test_a_token_is_a_password(helpers: Any, forge: Any, login: str) -> None:
    pair = login.format(user=forge.info.owner, token=forge.token().reveal())
    nobody = helpers.Raw(forge, "")
    sent = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    assert nobody("GET", "/user", headers=sent).body["login"] == forge.info.owner
    assert forge.calls()[-1]["token"] == "classic"


@pytest.mark.parametrize("pair", ["someone:secret", "someone", "", ":", "\xff"])
def test_no_other_password_is(helpers: Any, forge: Any, pair: str) -> None:
    sent = {"Authorization": f"Basic {base64.b64encode(pair.encode('latin-1')).decode()}"}
    assert helpers.Raw(forge, "")("GET", "/user", headers=sent).status == 401
    assert (
        helpers.Raw(forge, "")("GET", "/user", headers={"Authorization": "Basic ?"}).status == 401
    )


def links(value: Any) -> Iterator[str]:
    """Every address in a body."""
    if isinstance(value, dict):
        for item in value.values():
            yield from links(item)
    elif isinstance(value, list):
        for item in value:
            yield from links(item)
    elif isinstance(value, str) and re.match(r"[a-z]+://", value):
        yield value


def test_links_lead_to_the_address_that_was_called(call: Any, forge: Any) -> None:
    for host in ("forge.example:8443", "[::1]:8443"):
        _, headers, body = call("GET", "~/branches?per_page=1", Host=host)
        assert set(link.partition("/repos")[0] for link in links(json.loads(body))) == {
            f"http://{host}"
        }
    forge.git("branch", "other", "main")
    _, headers, _ = call("GET", "~/branches?per_page=1", Host="forge.example")
    assert re.findall("<(.*?)/repos", headers["Link"]) == ["http://forge.example"] * 2


def test_a_caller_without_a_host_gets_links_all_the_same(forge: Any) -> None:
    host, _, port = forge.info.api.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as opened:
        opened.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b"".join(iter(lambda: opened.recv(65536), b""))
    body = json.loads(received.partition(b"\r\n\r\n")[2])
    assert body["current_user_url"] == f"{forge.info.api}/user"
