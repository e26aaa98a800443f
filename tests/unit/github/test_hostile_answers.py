"""Every call to GitHub against a server that answers in a way that GitHub does not."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provision import config, errors
from provision.github import failures, preflight, repository
from provision.secret import Secret
from tests.support import faultproxy, hostile
from tests.support.hostile import Reply, reply

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEtLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tL"
BASE = "/repos/me/home"
C0, C1, T0, T1 = "c0" * 20, "c1" * 20, "d0" * 20, "d1" * 20
DEPLOY_KEY = {"id": 7, "title": "t", "key": KEY, "read_only": True}
PULL = {
    "number": 3,
    "html_url": "https://github.com/me/home/pull/3",
    "state": "open",
    "merged_at": None,
    "head": {"ref": "b", "sha": C1},
}


def ref(name: str, sha: str) -> dict[str, Any]:
    return {"ref": f"refs/heads/{name}", "object": {"sha": sha, "type": "commit"}}


GOOD: dict[str, Reply] = {
    f"GET {BASE}": reply({"full_name": "me/home", "permissions": {"push": True, "admin": True}}),
    f"GET {BASE}/git/ref/heads/main": reply(ref("main", C0)),
    f"GET {BASE}/git/trees/{C0}": reply(
        {
            "truncated": False,
            "tree": [{"path": "a", "type": "blob", "mode": "100644", "sha": "b0" * 20, "size": 1}],
        }
    ),
    f"GET {BASE}/git/commits/{C0}": reply({"sha": C0, "tree": {"sha": T0}}),
    f"POST {BASE}/git/trees": reply({"sha": T1}, 201),
    f"POST {BASE}/git/commits": reply({"sha": C1}, 201),
    f"PATCH {BASE}/git/refs/heads/main": reply(ref("main", C1)),
    f"POST {BASE}/git/refs": reply(ref("b", C1), 201),
    f"GET {BASE}/pulls": reply([]),
    f"POST {BASE}/pulls": reply(PULL, 201),
    f"GET {BASE}/keys": reply([DEPLOY_KEY]),
    f"POST {BASE}/keys": reply(DEPLOY_KEY, 201),
    f"DELETE {BASE}/keys/7": Reply(status=204),
    f"DELETE {BASE}/keys/0": reply({"message": "Not Found"}, 404),
    f"GET {BASE}/branches/main": reply({"protected": True}),
    f"GET {BASE}/rules/branches/main": reply([]),
    f"GET {BASE}/branches/main/protection": reply({}),
    f"GET {BASE}/git/blobs/{'b0' * 20}": reply({"content": "YQ==", "encoding": "base64"}),
    "GET /meta": reply({"ssh_keys": [KEY]}),
}
Call = Callable[[repository.Repository], object]
CALLS: dict[str, Call] = {
    f"GET {BASE}": lambda repo: repo.permissions(),
    f"GET {BASE}/git/ref/heads/main": lambda repo: repo.head(),
    f"GET {BASE}/git/trees/{C0}": lambda repo: repo.snapshot(C0),
    f"GET {BASE}/git/commits/{C0}": lambda repo: repo.commit("main", "m", {"x": "1"}),
    f"POST {BASE}/git/trees": lambda repo: repo.commit("main", "m", {"x": "1"}),
    f"POST {BASE}/git/commits": lambda repo: repo.commit("main", "m", {"x": "1"}),
    f"PATCH {BASE}/git/refs/heads/main": lambda repo: repo.commit("main", "m", {"x": "1"}),
    f"POST {BASE}/git/refs": lambda repo: repo.open_pull_request(
        "main", "m", {"x": "1"}, branch="b"
    ),
    f"GET {BASE}/pulls": lambda repo: repo.pull_request("main", "b"),
    f"POST {BASE}/pulls": lambda repo: repo.open_pull_request("main", "m", {"x": "1"}, branch="b"),
    f"GET {BASE}/keys": lambda repo: repo.deploy_keys(),
    f"POST {BASE}/keys": lambda repo: repo.create_deploy_key(title="t", key=KEY, read_only=True),
    f"DELETE {BASE}/keys/7": lambda repo: repo.delete_deploy_key(7),
    f"DELETE {BASE}/keys/0": lambda repo: repo.may_write_keys(),
    f"GET {BASE}/branches/main": lambda repo: repo.branch_protection("main"),
    f"GET {BASE}/rules/branches/main": lambda repo: repo.branch_protection("main"),
    f"GET {BASE}/branches/main/protection": lambda repo: repo.branch_protection("main"),
    f"GET {BASE}/git/blobs/{'b0' * 20}": lambda repo: repo.read_file("a", C0),
    "GET /meta": lambda repo: repo.host_keys(),
}
READS = [name for name in CALLS if name.startswith("GET")]
WITH_BODY = [name for name in CALLS if not name.startswith("DELETE")]


def good(method: str, path: str) -> Reply:
    return GOOD[f"{method} {path.partition('?')[0]}"]


@pytest.fixture
def server() -> Iterator[hostile.Server]:
    with hostile.serve(good) as found:
        yield found


@pytest.fixture
def other() -> Iterator[hostile.Server]:
    """Another host that would like to have the token."""
    with hostile.serve(lambda method, path: reply({"full_name": "me/other"})) as found:
        yield found


def opened(url: str, **more: Any) -> repository.Repository:
    cfg = config.GitHub(owner="me", repository="home", base_url=url, **{"allow_http": True, **more})
    return repository.Repository.open(cfg, Secret("ghp_canary"), deadline=0.2)


@pytest.fixture
def repo(server: hostile.Server) -> Iterator[repository.Repository]:
    made = opened(server.url)
    yield made
    made.close()


def attack(server: hostile.Server, call: str, answer: Reply) -> None:
    """Have `server` give `answer` to `call`, and what GitHub answers to all others."""
    server.answer = lambda method, path: (
        answer if f"{method} {path.partition('?')[0]}" == call else good(method, path)
    )


@pytest.mark.parametrize("call", CALLS)
def test_the_calls_of_the_table_are_made(server, repo, call):
    CALLS[call](repo)
    assert call in [made.partition("?")[0] for made in server.calls]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
def test_a_redirect_to_another_host_is_an_error(server, other, repo, call, status):
    attack(server, call, hostile.redirect(status, f"{other.url}{BASE}"))
    with pytest.raises(failures.RedirectError) as caught:
        CALLS[call](repo)
    assert f"{server.url}{call.partition(' ')[2]}" in caught.value.summary
    assert str(status) in caught.value.summary
    assert other.calls == []


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 205, 206, 300, 304, 305, 306])
@pytest.mark.parametrize("call", CALLS)
def test_an_unexpected_status_is_an_error(server, repo, call, status):
    if status == GOOD[call].status or (call.endswith("keys/0") and status == 204):
        return
    attack(server, call, Reply(status=status, body=b"" if status in (204, 304) else b"{}"))
    with pytest.raises(failures.AnswerError) as caught:
        CALLS[call](repo)
    assert f"{server.url}{call.partition(' ')[2]}" in caught.value.summary
    assert str(status) in caught.value.summary


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(hostile.HTML.body, id="html"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"\xff\xfe{}", id="no text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"1", id="number"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"true", id="true"),
        pytest.param(b"[1]", id="list of numbers"),
        pytest.param(b"[[]]", id="list of lists"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
@pytest.mark.parametrize("call", WITH_BODY)
def test_a_body_of_another_kind_is_an_error(server, repo, call, body):
    attack(server, call, Reply(status=GOOD[call].status, body=body))
    with pytest.raises(failures.AnswerError) as caught:
        CALLS[call](repo)
    assert f"{server.url}{call.partition(' ')[2]}" in caught.value.summary
    assert str(GOOD[call].status) in caught.value.summary


REQUIRED = [
    (f"GET {BASE}", "full_name"),
    (f"GET {BASE}/git/ref/heads/main", "ref"),
    (f"GET {BASE}/git/ref/heads/main", "object"),
    (f"GET {BASE}/git/trees/{C0}", "tree"),
    (f"GET {BASE}/git/commits/{C0}", "tree"),
    (f"POST {BASE}/git/trees", "sha"),
    (f"POST {BASE}/git/commits", "sha"),
    (f"PATCH {BASE}/git/refs/heads/main", "ref"),
    (f"PATCH {BASE}/git/refs/heads/main", "object"),
    (f"POST {BASE}/git/refs", "ref"),
    (f"POST {BASE}/pulls", "number"),
    (f"POST {BASE}/pulls", "html_url"),
    (f"POST {BASE}/pulls", "head"),
    (f"POST {BASE}/keys", "id"),
    (f"POST {BASE}/keys", "key"),
    (f"GET {BASE}/git/blobs/{'b0' * 20}", "content"),
]
TYPES: list[Any] = [None, {}, [], "", "text", 1, 1.5, True, {"sha": 1}, [1], 1e400]


@pytest.mark.parametrize("value", ["missing", *TYPES], ids=repr)
@pytest.mark.parametrize(("call", "field"), REQUIRED)
def test_a_field_of_another_type_is_an_error(server, repo, call, field, value):
    answer = json.loads(GOOD[call].body)
    if type(answer[field]) is type(value) and field in ("number", "id", "content", "sha"):
        return
    if field == "html_url" and isinstance(value, str):
        return
    if (field, value) == ("tree", []) and "/git/trees/" in call:
        return  # an empty tree
    if value == "missing":
        del answer[field]
    else:
        answer[field] = value
    attack(server, call, reply(answer, GOOD[call].status))
    with pytest.raises(errors.CodeHostError):
        CALLS[call](repo)


def test_a_commit_that_did_not_arrive_is_not_reported_as_made(server, repo):
    attack(server, f"PATCH {BASE}/git/refs/heads/main", reply(ref("main", C0)))
    with pytest.raises(failures.AnswerError, match="git/refs/heads/main answered 200"):
        repo.commit("main", "m", {"x": "1"})


@pytest.mark.parametrize("body", [b"[]", b"1", b'{"message": 1, "errors": 5}', b"<html>", b"\xff"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 429, 451, 500, 503])
def test_a_refusal_with_an_odd_body_is_an_error(server, repo, status, body):
    odd = {
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "soon",
        "X-RateLimit-Limit": "many",
        "Retry-After": "\u00b2".encode().decode("latin-1"),
    }
    attack(server, f"GET {BASE}/keys", Reply(status=status, body=body, headers=odd))
    with pytest.raises(errors.CodeHostError) as caught:
        repo.deploy_keys()
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"message": 1}'])
def test_a_404_of_a_proxy_is_no_deleted_key(server, repo, body):
    attack(server, f"DELETE {BASE}/keys/7", Reply(status=404, body=body))
    with pytest.raises(failures.AnswerError, match="keys/7 answered 404"):
        repo.delete_deploy_key(7)
    attack(server, f"DELETE {BASE}/keys/7", reply({"message": "Not Found"}, 404))
    repo.delete_deploy_key(7)


@pytest.mark.parametrize("status", [401, 429])
def test_a_refusal_of_the_token_names_the_repository(server, repo, status):
    attack(server, f"GET {BASE}/keys", reply({"message": "no"}, status))
    with pytest.raises(errors.CodeHostError, match="me/home"):
        repo.deploy_keys()


def test_odd_rate_limits_of_a_success_are_left_alone(server, repo):
    odd = {"X-RateLimit-Remaining": "x", "X-RateLimit-Limit": "y", "X-RateLimit-Reset": "z"}
    attack(server, f"GET {BASE}/keys", Reply(body=b"[]", headers=odd))
    assert repo.deploy_keys() == ()


@pytest.mark.parametrize("call", CALLS)
def test_a_body_above_the_limit_is_an_error(server, repo, call, monkeypatch):
    from provision.github import transport

    monkeypatch.setattr(transport, "JSON_LIMIT", 4096)
    status = GOOD[call].status if "keys/0" not in call else 204
    endless = [
        Reply(status=code, body=b" " * 65536, headers={"Location": f"{server.url}/x"}, endless=True)
        for code in (200, 301, 404)
    ]
    for answer in (*endless, hostile.bomb(10_000_000)):
        attack(server, call, answer)
        with pytest.raises(failures.AnswerError) as caught:
            CALLS[call](repo)
        assert server.url in caught.value.summary
        assert "4 KiB" in caught.value.summary or status == 204


def test_a_body_above_the_real_limit_is_not_kept(server, repo):
    attack(server, f"GET {BASE}/keys", Reply(body=b" " * (1 << 20), endless=True))
    with pytest.raises(failures.AnswerError, match="64 MiB"):
        repo.deploy_keys()


def test_an_answer_that_drips_is_given_up(server, repo, monkeypatch):
    from provision.github import transport

    monkeypatch.setattr(transport, "REQUEST_TIME", 0.5)
    attack(server, f"GET {BASE}/keys", Reply(body=b"[" + b" " * 60 + b"]", drip=0.1))
    with pytest.raises(failures.UnreachableError, match=re.escape(server.url.split("//")[1])):
        repo.deploy_keys()
    for thread in threading.enumerate():
        if thread.name == "elysium-transfer":
            thread.join(20)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_an_encoding_that_was_not_asked_for_is_an_error(server, repo, encoding):
    attack(server, f"GET {BASE}/keys", Reply(body=b"[]", headers={"Content-Encoding": encoding}))
    with pytest.raises(failures.AnswerError, match="content encoding"):
        repo.deploy_keys()


def test_a_compressed_answer_is_read(server, repo):
    attack(server, f"GET {BASE}/keys", hostile.bomb(100))
    assert repo.deploy_keys() == ()


def test_pages_of_deploy_keys_end(server, repo):
    attack(
        server,
        f"GET {BASE}/keys",
        Reply(body=GOOD[f"GET {BASE}/keys"].body, headers={"Link": '<x>; rel="next"'}),
    )
    with pytest.raises(errors.CodeHostError, match="pages of deploy keys"):
        repo.deploy_keys()


def renamed(server: hostile.Server) -> None:
    """Have `server` answer as GitHub does for a repository that was renamed to me/new."""

    def answer(method: str, path: str) -> Reply:
        if path.startswith(BASE):
            target = f"{server.url}/repositories/5{path.removeprefix(BASE)}"
            return hostile.redirect(301 if method == "GET" else 307, target)
        if path == "/repositories/5":
            return reply({"full_name": "me/new", "permissions": {"push": True, "admin": True}})
        return good(method, path.replace("/repositories/5", BASE))

    server.answer = answer


def test_a_renamed_repository_is_found_before_any_change(server, repo):
    renamed(server)
    found = preflight.check(repo.cfg, Secret("ghp_canary"), "clusters/k", repo=repo)
    assert ["me/new" in problem.message for problem in found] == [True]
    assert found[0].key == "github.repository"
    assert "github.repository new" in found[0].hint
    assert [call for call in server.calls if not call.startswith("GET")] == []


def test_a_name_that_differs_without_a_redirect_is_a_renamed_repository(server, repo):
    attack(server, f"GET {BASE}", reply({"full_name": "me/new"}))
    with pytest.raises(failures.RenamedError, match="me/new"):
        repo.permissions()
    attack(server, f"GET {BASE}", reply({"full_name": "Me/Home"}))
    repo.permissions()


@pytest.mark.parametrize(
    "call", [name for name in READS if name != f"GET {BASE}" and "/commits/" not in name]
)
def test_reads_of_a_renamed_repository_are_followed(server, repo, call):
    renamed(server)
    CALLS[call](repo)


@pytest.mark.parametrize(
    "change",
    [
        lambda repo: repo.delete_deploy_key(7),
        lambda repo: repo.create_deploy_key(title="t", key=KEY, read_only=True),
        lambda repo: repo.commit("main", "m", {"x": "1"}),
        lambda repo: repo.open_pull_request("main", "m", {"x": "1"}, branch="b"),
    ],
)
def test_a_change_of_a_renamed_repository_names_the_new_one(server, repo, change):
    renamed(server)
    with pytest.raises(failures.RenamedError) as caught:
        change(repo)
    assert "me/new" in caught.value.summary
    assert caught.value.status == 307


@pytest.mark.parametrize(
    "location",
    [
        "{url}/repositories/5/keys/other",
        "{url}/user/keys",
        "//127.0.0.1:1/repositories/5/keys",
        "https://127.0.0.1/repositories/5/keys",
        "{url}@127.0.0.1:1/repositories/5/keys",
        "http://me:canary@{host}/repositories/5/keys",
        "",
        "{url}" + BASE + "/keys",
        "http://[::1",
        "http://127.0.0.1:99999999/repositories/5/keys",
    ],
)
def test_a_redirect_to_another_resource_is_not_followed(server, repo, location):
    target = location.format(url=server.url, host=server.url.partition("//")[2])
    attack(server, f"GET {BASE}/keys", hostile.redirect(301, target))
    with pytest.raises(failures.RedirectError):
        repo.deploy_keys()
    assert len([c for c in server.calls if c.startswith(f"GET {BASE}/keys")]) == 1


@pytest.mark.parametrize(
    ("branch", "path"),
    [
        ("main#dev", f"{BASE}/git/ref/heads/main%23dev"),
        ("main?x", f"{BASE}/git/ref/heads/main%3Fx"),
        ("100%", f"{BASE}/git/ref/heads/100%25"),
        ("feature/x", f"{BASE}/git/ref/heads/feature/x"),
        ("ä b", f"{BASE}/git/ref/heads/%C3%A4%20b"),
    ],
)
def test_every_segment_is_quoted(server, repo, branch, path):
    server.answer = lambda method, asked: reply(ref(branch, C0))
    assert repo.head(branch) == C0
    assert server.calls == [f"GET {path}"]


@pytest.mark.parametrize("branch", ["..", "a/../b", ".", "a//b", ""])
def test_a_name_that_leads_elsewhere_is_not_sent(server, repo, branch):
    with pytest.raises(errors.CodeHostError):
        repo._branches.head(branch)
    assert server.calls == []


def test_a_token_is_not_sent_to_an_http_address(server):
    repo = opened(server.url, allow_http=False)
    with pytest.raises(errors.ConfigError, match="not sent") as caught:
        repo.head()
    assert "allowHttp" in caught.value.hint
    assert server.calls == []


def test_a_slow_line_has_the_time_that_it_needs(server, monkeypatch):
    """200 kB at 100 kB/s: twice the time of an answer that brings nothing."""
    from provision import transfer
    from provision.github import transport

    monkeypatch.setattr(transport, "REQUEST_TIME", 1.0)
    monkeypatch.setattr(transfer, "RATE", 20_000)
    attack(server, f"GET {BASE}/keys", Reply(body=b"[" + b" " * 200_000 + b"]"))
    with faultproxy.Proxy(int(server.url.rpartition(":")[2])) as proxy:
        proxy.mode, proxy.rate = "slow", 100_000
        repo = opened(f"http://127.0.0.1:{proxy.port}")
        assert not repo.deploy_keys()
        repo.close()
