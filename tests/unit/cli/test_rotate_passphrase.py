"""``rotate passphrase``: where the new one comes from, and that it is shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision import config_file, crypter
from provision.secret import Secret

OLD, NEW = "the old one", "the new one"


@pytest.fixture
def stack(folder, monkeypatch):
    """The folder's stack with one secret under the passphrase OLD, kept in its file."""
    monkeypatch.setattr(crypter, "_ROUNDS", 1000)
    made = crypter.PassphraseCrypter.new(Secret(OLD))
    path = folder / "Pulumi.kyrion.yaml"
    secret = f"  elysium:k3s:\n    options:\n      token:\n        secure: {made.encrypt('t')}\n"
    path.write_text(f"encryptionsalt: {made.salt}\n" + path.read_text() + secret)
    kept = config_file.passphrase_file(folder, "kyrion")
    kept.parent.mkdir(parents=True)
    kept.write_text(OLD)
    return kept


def test_it_asks_twice_and_shows_neither(call, stack: Path):
    outcome = call("rotate", "passphrase", answers=f"{NEW}\n{NEW}\n")
    assert outcome.code == 0
    assert stack.read_text().strip() == NEW
    assert str(stack) in outcome.out
    assert NEW not in outcome.out + outcome.err
    assert call("config", "validate").code == 0


def test_two_that_differ_change_nothing(call, stack: Path):
    outcome = call("rotate", "passphrase", answers=f"{NEW}\nanother\n")
    assert outcome.code == 2
    assert stack.read_text() == OLD


def test_without_a_terminal_it_reads_stdin_and_needs_yes(call, stack: Path):
    assert call("rotate", "passphrase", stdin=f"{NEW}\n").code == 2
    assert stack.read_text() == OLD
    assert call("rotate", "passphrase", "--yes", stdin=f"{NEW}\n").code == 0
    assert stack.read_text().strip() == NEW


def test_from_a_file_for_machines(call, stack: Path, tmp_path: Path):
    given = tmp_path / "new"
    given.write_text(NEW + "\n")
    outcome = call("rotate", "passphrase", "--yes", "--json", "--new-passphrase-file", str(given))
    assert outcome.code == 0
    last = json.loads(outcome.out.splitlines()[-1])
    assert (last["event"], last["credential"], last["changed"]) == ("rotation", "passphrase", True)
    assert NEW not in outcome.out + outcome.err


def test_made_up_ones_need_a_file_to_keep_them(call, stack: Path, monkeypatch):
    assert call("rotate", "passphrase", "--generate", answers="y\n").code == 0
    made = stack.read_text().strip()
    assert len(made) > 30
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", made)
    assert call("rotate", "passphrase", "--generate", "--yes").code == 2


def test_declined_it_changes_nothing(call, stack: Path):
    assert call("rotate", "passphrase", "--generate", answers="n\n").code == 0
    assert stack.read_text() == OLD


def test_an_empty_one_is_refused(call, stack: Path):
    outcome = call("rotate", "passphrase", "--yes", stdin="")
    assert outcome.code == 7
    assert "empty" in outcome.err
    assert stack.read_text() == OLD
