"""Deploy keys over REST, as "REST API endpoints for deploy keys" describes them."""

from __future__ import annotations

from typing import Any

import github
import pytest


def test_a_key_is_registered_read_and_removed(hub: Any, make_key: Any) -> None:
    pair = make_key()
    made = hub.create_key("elysium/kyrion/1", pair.public, read_only=True)
    assert made.title == "elysium/kyrion/1"
    assert made.key == " ".join(pair.public.split()[:2])  # the comment is not kept
    assert (made.verified, made.read_only, made.last_used) == (True, True, None)
    assert made.added_by == hub.owner.login
    assert hub.get_key(made.id).raw_data == made.raw_data
    made.delete()
    with pytest.raises(github.UnknownObjectException):
        hub.get_key(made.id)
    assert list(hub.get_keys()) == []


def test_a_key_is_read_write_unless_said_otherwise(raw: Any, make_key: Any) -> None:
    answer = raw("POST", "~/keys", {"key": make_key().public})
    assert answer.status == 201
    assert answer.body["read_only"] is False
    assert answer.body["title"]
    assert answer.headers["location"] == answer.body["url"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_key_belongs_to_one_repository(
    forge: Any, raw: Any, make_key: Any, elsewhere: bool
) -> None:
    pair = make_key()
    owner = forge.with_repository("another-one") if elsewhere else forge
    made = owner.register_key(pair.public)
    answer = raw("POST", "~/keys", {"title": "again", "key": pair.public, "read_only": True})
    owner.delete_key(made["id"])
    assert answer.status == 422
    assert answer.body["message"] == "Validation Failed"
    assert answer.body["errors"][0]["message"] == "key is already in use"
    assert answer.body["documentation_url"].endswith("#create-a-deploy-key")


@pytest.mark.parametrize(
    "key",
    [
        "nonsense",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        'command="/bin/sh" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPBpI1d6VXQmzdFZWcJ8aKq9J3',
    ],
)
def test_what_is_no_key_is_refused(raw: Any, key: str) -> None:
    answer = raw("POST", "~/keys", {"title": "t", "key": key})
    assert answer.status == 422
    assert answer.body["errors"][0]["field"] == "key"
    assert raw("GET", "~/keys").body == []


def test_a_key_is_needed(raw: Any) -> None:
    assert raw("POST", "~/keys", {"title": "t"}).status == 422
    answer = raw("POST", "~/keys", {"key": "x", "read_only": "no"})
    assert answer.status == 422


def test_keys_come_in_pages(forge: Any, raw: Any, hub: Any, make_key: Any) -> None:
    ids = [forge.register_key(make_key().public, title=f"key {n}")["id"] for n in range(5)]
    first = raw("GET", "~/keys?per_page=2")
    assert [key["id"] for key in first.body] == ids[:2]
    assert 'page=2>; rel="next"' in first.headers["link"]
    assert 'page=3>; rel="last"' in first.headers["link"]
    assert "prev" not in first.headers["link"]
    last = raw("GET", "~/keys?per_page=2&page=3")
    assert [key["id"] for key in last.body] == ids[4:]
    assert 'page=1>; rel="first"' in last.headers["link"]
    assert "next" not in last.headers["link"]
    assert raw("GET", "~/keys?per_page=2&page=9").body == []
    assert "link" not in raw("GET", "~/keys").headers
    hub.requester.per_page = 2
    assert [key.id for key in hub.get_keys()] == ids


@pytest.mark.parametrize("number", ["999999", "x"])
def test_a_missing_key_is_not_found(raw: Any, number: str) -> None:
    for method in ("GET", "DELETE"):
        answer = raw(method, f"~/keys/{number}")
        assert (answer.status, answer.body["message"]) == (404, "Not Found")
        assert "deploy-keys" in answer.body["documentation_url"]


def test_deleting_a_personal_token_deletes_its_keys(
    forge: Any, helpers: Any, make_key: Any
) -> None:
    token, token_id = forge.create_token("fine-grained")
    mine = helpers.Raw(forge, token.reveal())("POST", "~/keys", {"key": make_key().public})
    other = forge.register_key(make_key().public)
    assert mine.status == 201
    forge.revoke_token(token_id)
    assert [key["id"] for key in forge.deploy_keys()] == [other["id"]]
