"""The git server's host keys change: what GitHub's API tells is shown, proven and then pinned."""

from __future__ import annotations

import pytest

from provision import errors
from provision.provider.deploy_key import keypair
from tests.faults.conftest import Place
from tests.support import gitserver, rotations

pytestmark = pytest.mark.slice


@pytest.fixture
def settled(place: Place) -> Place:
    place.mend()
    place.state = place.job().run()
    return place


def pins(place: Place) -> frozenset[str]:
    return keypair.pins(keypair.secret_field(place.secret(), "known_hosts"))


def test_a_key_more_is_shown_then_pinned_and_the_deploy_key_stays(settled: Place) -> None:
    server = settled.forge.info.git_host_keys
    coming = gitserver.public_line(gitserver.new_key())
    job = settled.job(host_keys=(*server, coming))
    assert job.plan() == (
        "write the Secret flux-system/flux-system: the git server's host keys changed",
    )
    before = pins(settled)
    after = job.run()
    assert after["fingerprint"] == settled.state["fingerprint"]
    assert before < pins(settled)
    assert any(keypair.deploy_keys.bare(coming) in line for line in pins(settled) - before)
    assert rotations.git_words(settled.forge, settled.secret()) == ""
    # And when the server has dropped the old ones, they go.
    assert settled.job(host_keys=server).run()["fingerprint"] == after["fingerprint"]
    assert pins(settled) == before


@pytest.mark.parametrize("rotation", ["", "now"], ids=["up", "rotation"])
def test_keys_that_the_server_does_not_show_are_refused(settled: Place, rotation: str) -> None:
    told = gitserver.public_line(gitserver.new_key())
    before = settled.secret()
    keys = settled.forge.deploy_keys()
    with pytest.raises(errors.HostKeyError) as caught:
        settled.job(rotation=rotation, host_keys=(told,)).run()
    assert caught.value.expected != caught.value.got
    assert "fetch with the deploy key" in caught.value.detail
    assert settled.secret() == before
    assert settled.forge.deploy_keys() == keys
