"""GitHub and a cluster in memory, and Git over SSH that knows the keys of both."""

from __future__ import annotations

import pytest

from provision import errors
from provision.host import gitssh
from provision.provider.deploy_key import keypair
from tests.support import fluxworld


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> fluxworld.World:
    made = fluxworld.World()

    def registered(private):
        found = keypair.pair_of(private.reveal())
        assert found is not None
        return next((k for k in made.hub.keys.values() if k.fingerprint == found.fingerprint), None)

    def fetch_head(url, private, known_hosts, branch, timeout):
        made.calls.append("fetch")
        if registered(private) is None:
            raise errors.AuthError("refused", host="github.com")
        return "c0"

    def push_allowed(url, private, known_hosts, timeout):
        key = registered(private)
        return key is not None and not key.read_only

    monkeypatch.setattr(gitssh, "fetch_head", fetch_head)
    monkeypatch.setattr(gitssh, "push_allowed", push_allowed)
    return made
