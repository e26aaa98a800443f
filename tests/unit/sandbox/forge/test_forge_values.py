"""The forge's plain parts: objects, trees, pages, keys, faults, limits, tokens."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.sandbox.forge import (
    access,
    callers,
    faults,
    gitobjects,
    journal,
    limits,
    messages,
    protection,
    routing,
    sshkeys,
    store,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPBpI1d6VXQmzdFZWcJ8aKq9J3i8cpu81nxsrFx8VxjY"


def _request(path: str = "/x", **query: str) -> messages.Request:
    return messages.Request(
        path=path,
        base="http://forge/api/v3",
        query=query,
        body={},
        caller=callers.Caller(),
    )


# -- trees and commits --------------------------------------------------------------


def test_edits_of_a_tree() -> None:
    flat = {"a/b": ("100644", "1"), "a/c": ("100644", "2"), "d": ("100644", "3")}
    edit = gitobjects.edit_tree
    assert edit(flat, [("d", "100755", "9")])["d"] == ("100755", "9")
    assert edit(flat, [("a/b", "100644", None)]).keys() == {"a/c", "d"}
    assert edit(flat, [("a", "040000", None)]).keys() == {"d"}
    assert edit(flat, [("a", "100644", "9")]).keys() == {"a", "d"}
    assert edit(flat, [("d/e/f", "100644", "9")]).keys() == {"a/b", "a/c", "d/e/f"}
    assert edit(flat, [("new", "100644", "9"), ("new", "100644", None)]) == flat
    with pytest.raises(gitobjects.MissingPathError):
        edit(flat, [("a/x", "100644", None)])
    with pytest.raises(gitobjects.MissingPathError):
        edit(flat, [("a/", "100644", None)])


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)


@settings(deadline=None)
@given(st.lists(PATHS, max_size=6), st.lists(st.tuples(PATHS, st.booleans()), max_size=6))
def test_no_edit_leaves_a_file_below_a_file(
    start: list[str], edits: list[tuple[str, bool]]
) -> None:
    """Git cannot hold ``a`` and ``a/b`` both, whatever the order of edits."""
    flat = gitobjects.edit_tree({}, [(path, "100644", "1") for path in start])
    for path, deletes in edits:
        sha = None if deletes else "2"
        try:
            flat = gitobjects.edit_tree(flat, [(path, "100644", sha)])
        except gitobjects.MissingPathError:
            continue
    assert not any(other.startswith(path + "/") for path in flat for other in flat)


def test_a_commit_survives_writing_and_reading() -> None:
    who = gitobjects.Signature(name="Ä B", email="a@b", at=1785578400, zone="+0200")
    commit = gitobjects.Commit(
        tree="1" * 40, parents=("2" * 40, "3" * 40), author=who, committer=who, message="m\n\nn"
    )
    parsed = gitobjects.parse_commit("s", commit.encode())
    assert dataclasses.replace(parsed, sha="") == commit
    assert parsed.author.date == "2026-08-01T10:00:00Z"


def test_a_name_cannot_break_out_of_its_line() -> None:
    who = gitobjects.Signature(name="a\nparent 1", email="<x>\n", at=1)
    assert str(who) == "aparent 1 <x> 1 +0000"


def test_a_listing_is_parsed() -> None:
    output = b"100644 blob 11      12\ta \xc3\xa4\x00040000 tree 22       -\tb\x00"
    blob, tree = gitobjects.parse_listing(output)
    assert (blob.path, blob.size, tree.kind, tree.size) == ("a ä", 12, "tree", None)


# -- pages and routes -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "items", "relations"),
    [
        ({}, 30, []),
        ({}, 31, ["next", "last"]),
        ({"page": "2"}, 31, ["prev", "first"]),
        ({"page": "2", "per_page": "10"}, 31, ["prev", "next", "last", "first"]),
        ({"per_page": "1000"}, 100, []),
        ({"per_page": "1000"}, 101, ["next", "last"]),
        ({"per_page": "x", "page": "-1"}, 30, []),
        ({}, 0, []),
    ],
)
def test_pages(query: dict[str, str], items: int, relations: list[str]) -> None:
    _, headers = messages.paginate(_request(**query), list(range(items)))
    links = headers.get("Link", "").split(", ") if headers else []
    assert [link.partition('rel="')[2].rstrip('"') for link in links] == relations
    assert all(link.startswith("<http://forge/api/v3/x?") for link in links)


@settings(deadline=None)
@given(st.integers(0, 250), st.integers(1, 100))
def test_pages_hold_everything_once(items: int, size: int) -> None:
    seen: list[int] = []
    page: int | None = 1
    while page:
        got, headers = messages.paginate(
            _request(page=str(page), per_page=str(size)), list(range(items))
        )
        seen += got
        page = page + 1 if 'rel="next"' in headers.get("Link", "") else None
    assert seen == list(range(items))


def test_routes_take_names_with_slashes() -> None:
    def handler(forge: Any, request: messages.Request) -> messages.Response:
        del forge, request
        return messages.Response()

    table = routing.Table(
        (
            routing.Route(method="GET", pattern="/{owner}/x/{ref+}", handler=handler),
            routing.Route(method="GET", pattern="/{owner}", handler=handler),
        )
    )
    found = table.find("GET", "/o%20p/x/heads/a%2Fb")
    assert found is not None
    assert found[1] == {"owner": "o p", "ref": "heads/a/b"}
    assert table.find("POST", "/o") is None
    assert table.find("GET", "/o/p") is None


# -- keys ------------------------------------------------------------------------------


def test_a_public_key_is_normalised() -> None:
    key, fingerprint = sshkeys.normalise(f"  {KEY} me@home\n")
    assert key == KEY
    assert fingerprint.startswith("SHA256:")
    assert not fingerprint.endswith("=")


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519", "ssh-dss AAAA", f"restrict {KEY}", f"{KEY}\n{KEY}", KEY[:40], KEY + "!"],
)
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"OpenSSH|algorithm"):
        sshkeys.normalise(text)


# -- faults, limits ----------------------------------------------------------------------


def test_a_fault_lets_the_first_calls_pass() -> None:
    rules = faults.Faults()
    rule = rules.add(action="respond", method="GET", path="^/a", nth=2, times=2)
    wrong = [rules.match("POST", "/a"), rules.match("GET", "/b/a")]
    hits = [rules.match("GET", "/a") is rule for _ in range(5)]
    assert wrong == [None, None]
    assert hits == [False, True, True, False, False]
    rules.remove(rule.id)
    assert rules.all() == []


def test_the_limit_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000]
    monkeypatch.setattr(journal, "seconds", lambda: clock[0])
    windows = limits.Limits()
    windows.set("me", remaining=1, reset_in=60)
    assert windows.count("me").headers()["X-RateLimit-Remaining"] == "0"
    with pytest.raises(messages.ApiError) as refused:
        windows.count("me")
    assert refused.value.status == 403
    assert windows.count("you").body()["remaining"] == 4999
    clock[0] += 60
    assert windows.count("me").body()["used"] == 1


# -- records -------------------------------------------------------------------------------


def test_tokens_are_kept_without_their_text(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    tokens = access.Tokens(file)
    text, token = tokens.create("fine-grained", "me", repositories=("Me/Home",))
    assert text.startswith("github_pat_")
    assert text not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    again = access.Tokens(file)
    assert again.caller(f"Bearer {text}").token == token
    assert again.revoke(token.id)
    assert not again.revoke(token.id)
    with pytest.raises(messages.ApiError, match="Bad credentials"):
        again.caller(f"token {text}")
    with pytest.raises(messages.ApiError, match="Bad credentials"):
        again.caller(f"Basic {text}")


def test_records_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    first = store.Store(file)
    record = first.add("Me", "Home")
    with first.changing():
        number = first.new_id()
        record.rules["main"] = ["pull_request"]
    second = store.Store(file)
    found = second.find("me", "HOME")
    assert found == record
    assert second.add("ME", "home") is found
    with second.changing():
        assert second.new_id() == number + 1


def test_nothing_is_saved_when_a_change_fails(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    records = store.Store(file)
    records.add("me", "home")
    before = file.read_text()
    with pytest.raises(RuntimeError), records.changing():
        raise RuntimeError
    assert file.read_text() == before


def _record(**values: Any) -> store.Repository:
    return dataclasses.replace(
        store.Repository(
            id=1,
            owner="o",
            name="r",
            private=True,
            default_branch="main",
            description=None,
            created_at="",
            updated_at="",
            pushed_at="",
        ),
        **values,
    )


@pytest.mark.parametrize(
    ("settings", "forced", "administrator", "words"),
    [
        (None, True, False, ""),
        ({}, False, False, ""),
        ({}, True, False, protection.NO_FORCE),
        ({"allow_force_pushes": True}, True, False, ""),
        ({"required_pull_request_reviews": {}}, False, False, protection.MUST_PULL),
        ({"required_pull_request_reviews": {}}, False, True, ""),
        (
            {"required_pull_request_reviews": {}, "enforce_admins": True},
            False,
            True,
            protection.MUST_PULL,
        ),
    ],
)
def test_what_a_protection_refuses(
    settings: Any, forced: bool, administrator: bool, words: str
) -> None:
    record = _record(protection={} if settings is None else {"main": settings})
    found = protection.refusal(record, "main", forced=forced, administrator=administrator)
    assert found == words
    assert protection.refusal(record, "other", forced=True) == ""


def test_journal_lines_are_whole(tmp_path: Path) -> None:
    log = journal.Journal(tmp_path / "log")
    assert log.read() == []
    log.append(a=1)
    log.append(a=2)
    with log.path.open("a") as file:
        file.write('{"half')
    assert [record["a"] for record in log.read()] == [1, 2]
    assert [record["a"] for record in log.read(1)] == [2]
