"""What ``status`` says of the deploy key, from what GitHub and the cluster have."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from provision.github import deploy_keys
from provision.operations import key_status
from provision.provider.deploy_key import access as deploy_key_access
from provision.provider.deploy_key import keypair

NOW = datetime.datetime(2026, 8, 1, 12, tzinfo=datetime.UTC)
PAIR = keypair.make_pair("ed25519")
KEY = deploy_keys.DeployKey(
    id=7,
    title=keypair.title("kyrion", 3, PAIR.fingerprint),
    fingerprint=PAIR.fingerprint,
    read_only=False,
    created_at=NOW - datetime.timedelta(days=12, hours=1),
    last_used=NOW - datetime.timedelta(hours=1),
    added_by="homelab[bot]",
)
DECISION = deploy_key_access.Decision(
    pair=PAIR, key=KEY, new="", write="", extra=(), unproven=False, generation=3
)


def having(**changed):
    return dataclasses.replace(DECISION, key=dataclasses.replace(KEY, **changed))


def warned(decision, *, read_write=True, automation=True):
    return key_status.warnings(decision, {"readWrite": read_write}, NOW, automation=automation)


def test_everything_about_the_key_in_force():
    assert key_status.facts(DECISION, NOW) == [
        ("title", KEY.title),
        ("fingerprint", PAIR.fingerprint),
        ("access", "read-write"),
        ("made", "2026-07-20, 12 days ago"),
        ("last used", "2026-08-01, 1 hour ago"),
        ("added by", "homelab[bot]"),
    ]
    assert warned(DECISION) == []


def test_what_github_does_not_say_is_left_out():
    found = dict(key_status.facts(having(created_at=None, last_used=None, added_by=""), NOW))
    assert "made" not in found and "added by" not in found
    assert found["last used"] == "GitHub has not seen it used"


def test_no_key_is_no_fact_and_no_warning():
    none = dataclasses.replace(DECISION, pair=None, key=None)
    assert key_status.facts(none, NOW) == [] == warned(none)


@pytest.mark.parametrize(("days", "old"), [(364, False), (366, True)])
def test_an_old_key_is_said(days, old):
    found = warned(having(created_at=NOW - datetime.timedelta(days=days)))
    assert found == ([f"it is {days} days old: elysium rotate deploy-key replaces it"] * old)


def test_read_only_with_image_automation():
    (found,) = warned(having(read_only=True), read_write=False)
    assert "rotate deploy-key --read-write" in found
    assert warned(having(read_only=True), read_write=False, automation=False) == []


def test_keys_of_ours_that_nothing_uses():
    (found,) = warned(dataclasses.replace(DECISION, extra=(KEY,)))
    assert "--prune" in found


def test_a_key_that_goes_with_a_persons_token():
    (found,) = warned(having(added_by="someone"))
    assert "personal token of someone" in found
