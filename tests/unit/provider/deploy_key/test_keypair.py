"""Keys, their titles and host keys: pure."""

from __future__ import annotations

import pytest

from provision.provider.deploy_key import keypair
from tests.support.deploykeys import (
    pair,
)


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p384", "rsa-4096"])
def test_keys_are_what_they_say(algorithm):
    made = pair("any", algorithm)
    again = keypair.pair_of(made.private.reveal())
    assert again == made
    assert made.algorithm == algorithm
    assert "OPENSSH PRIVATE KEY" in made.private.reveal()


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"])
def test_no_key_is_no_pair(text):
    assert keypair.pair_of(text) is None


@pytest.mark.parametrize("stack_id", ["", "homelabone"])
def test_titles_are_read_back_for_their_cluster_only(stack_id):
    fingerprint = "SHA256:ab/+cdefghijklmnop"
    text = keypair.title("kyrion", 12, fingerprint, stack_id)
    assert text == "elysium/kyrion/12-ab_-cdefghij" + ("/homelabone" if stack_id else "")
    assert keypair.stack_of("kyrion", text, fingerprint) == stack_id
    assert keypair.stack_of("kyrion", text, "SHA256:other") is None
    assert keypair.stack_of("kyrio", text, fingerprint) is None
    assert not keypair.is_ours("kyrion", "", text, fingerprint)
    assert keypair.generation_of("kyrion", text) == 12
    assert keypair.generation_of("kyrio", text) is None
    assert keypair.generation_of("kyrion", "elysium/kyrion/x-abc") is None
    assert keypair.generation_of("kyrion", "flux-system-main") is None


def test_known_hosts_name_a_port_and_the_bare_host():
    text = keypair.known_hosts("ssh://git@10.0.0.1:2222/o/r.git", ["ssh-ed25519 AA c", "ssh-rsa B"])
    assert text.splitlines() == [
        "[10.0.0.1]:2222 ssh-ed25519 AA",
        "[10.0.0.1]:2222 ssh-rsa B",
        "10.0.0.1 ssh-ed25519 AA",
        "10.0.0.1 ssh-rsa B",
    ]
    assert keypair.pins("# x\n" + text) == keypair.pins("\n".join(reversed(text.splitlines())))
