"""The passphrase secrets provider."""

from __future__ import annotations

import pytest

from provision import crypter, errors
from provision.secret import Secret

PASSPHRASE = Secret("correct horse")


@pytest.fixture(scope="module")
def made() -> crypter.PassphraseCrypter:
    return crypter.PassphraseCrypter.new(PASSPHRASE)


def test_round_trip(made: crypter.PassphraseCrypter) -> None:
    sealed = made.encrypt("gr\u00fc\u00df")
    assert sealed.startswith("v1:")
    assert made.decrypt(sealed) == "gr\u00fc\u00df"
    assert made.encrypt("x") != made.encrypt("x")


def test_opens_again_from_its_salt(made: crypter.PassphraseCrypter) -> None:
    again = crypter.PassphraseCrypter.from_salt(made.salt, PASSPHRASE)
    assert again.decrypt(made.encrypt("x")) == "x"
    assert again.salt == made.salt


def test_opens_what_pulumi_wrote() -> None:
    # The vector that Pulumi tests its own passphrase provider with.
    salt = "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="
    opened = crypter.PassphraseCrypter.from_salt(salt, Secret("password"))
    assert opened.decrypt(opened.encrypt("x")) == "x"


def test_refuses_another_passphrase(made: crypter.PassphraseCrypter) -> None:
    with pytest.raises(errors.StackError, match="the passphrase is wrong") as caught:
        crypter.PassphraseCrypter.from_salt(made.salt, Secret("battery staple"))
    assert "battery" not in str(caught.value)


@pytest.mark.parametrize("salt", ["", "v1", "v2:a:b", "v1:not base64:v1:a:b", "v1:AAAA:nothing"])
def test_refuses_a_malformed_salt(salt: str) -> None:
    with pytest.raises(errors.StackError):
        crypter.PassphraseCrypter.from_salt(salt, PASSPHRASE)


@pytest.mark.parametrize("text", ["", "v1:AAAA", "v1:AAAA:BBBB", "v1:?:?", "v2:AAAA:AAAA"])
def test_refuses_a_malformed_ciphertext(made: crypter.PassphraseCrypter, text: str) -> None:
    with pytest.raises(errors.StackError):
        made.decrypt(text)


def test_refuses_a_changed_ciphertext(made: crypter.PassphraseCrypter) -> None:
    sealed = made.encrypt("x" * 20)
    flipped = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(errors.StackError):
        made.decrypt(flipped)
