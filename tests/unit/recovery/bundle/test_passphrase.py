"""A passphrase opens a good backup on every machine, within fixed limits."""

from __future__ import annotations

import pyrage
import pytest

from provision import errors
from provision.recovery.bundle import encryption, passphrase
from provision.secret import Secret

PHRASE = Secret("correct horse battery")
QUICK = 10
SIZES = [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 200_000]


def opened(file: bytes) -> bytes:
    return encryption.decrypt(file, encryption.Passphrase(secret=PHRASE))


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_is_written_and_the_other_way_round(size: int) -> None:
    plain = bytes(range(256)) * (size // 256) + bytes(size % 256)
    file = passphrase.encrypt(plain, PHRASE, work=QUICK)
    assert opened(file) == plain
    assert pyrage.passphrase.decrypt(file, PHRASE.reveal()) == plain


def test_a_file_of_the_library_is_opened_whatever_work_it_chose() -> None:
    assert opened(pyrage.passphrase.encrypt(b"plain", PHRASE.reveal())) == b"plain"


def test_a_new_file_has_the_fixed_work_factor() -> None:
    file = encryption.encrypt(b"plain", encryption.Passphrase(secret=PHRASE))
    assert file.splitlines()[1].split()[-1] == b"17"


def test_a_good_file_opens_where_the_library_calls_its_work_excessive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A busy machine is one on which the library refuses."""

    def refuse(*_: object) -> bytes:
        raise pyrage.DecryptError("Excessive work parameter for passphrase.")

    file = passphrase.encrypt(b"plain", PHRASE, work=QUICK)
    monkeypatch.setattr(pyrage.passphrase, "decrypt", refuse)
    assert opened(file) == b"plain"


def with_work(work: int) -> bytes:
    first, second, rest = passphrase.encrypt(b"x", PHRASE, work=QUICK).split(b"\n", 2)
    return b"\n".join((first, second.replace(b" 10", b" %d" % work), rest))


def test_more_work_than_the_limit_is_no_damage_and_is_not_begun() -> None:
    with pytest.raises(errors.BundleError, match=r"work factor 30.*up to 22") as caught:
        opened(with_work(30))
    assert not isinstance(caught.value, errors.BundleDamagedError)


def test_too_little_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "_free_memory", lambda: 512 * 1024**2)
    with pytest.raises(errors.BundleError, match="takes 1024 MiB of memory") as caught:
        opened(with_work(20))
    assert not isinstance(caught.value, errors.BundleDamagedError)
    assert "not damaged" in caught.value.hint


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_a_changed_byte_is_found(at: int) -> None:
    damaged = bytearray(passphrase.encrypt(bytes(300), PHRASE, work=QUICK))
    damaged[at] ^= 1
    with pytest.raises(errors.BundleError):
        opened(bytes(damaged))


def test_a_file_cut_short_or_prolonged_is_damaged() -> None:
    file = passphrase.encrypt(bytes(64 * 1024 + 5), PHRASE, work=QUICK)
    chunk = 64 * 1024 + 16
    body = len(file) - (chunk + 5 + 16)
    for wrong in (file[:-1], file + b"x", file[: body + chunk], file[:body], file[: body - 3]):
        with pytest.raises(errors.BundleDamagedError):
            opened(wrong)


def test_another_passphrase_is_named_as_such() -> None:
    file = passphrase.encrypt(b"x", Secret("another"), work=QUICK)
    with pytest.raises(errors.BundleKeyError, match="does not open"):
        opened(file)
