"""The sudo password, and what else is secret, is found nowhere where it was used."""

from __future__ import annotations

import pytest

from provision.host import elevate
from tests.support import canaries
from tests.support import lab as labs


@pytest.fixture(scope="module")
def planted(lab: labs.Lab, up: labs.Done, known: dict[str, str]) -> dict[str, str]:
    return canaries.of(lab) | known


def test_nothing_is_printed(lab: labs.Lab, up: labs.Done, planted: dict[str, str]) -> None:
    assert canaries.in_output(up, planted) == []
    for args in (("--json", "up", "--yes"), ("preview", "--diff"), ("config", "show")):
        assert canaries.in_output(lab.elysium(*args).ok(), planted) == []


def test_nothing_was_in_the_arguments_of_a_process(
    up: labs.Done, watched: canaries.Watched
) -> None:
    here = [one for one in watched.commands if "elysium -v --debug up" in one]
    there = [one for one in watched.commands if one.startswith(f"sudo -S -p {elevate.PROMPT}")]
    assert here and there, "both sides were watched"
    assert watched.found == []


def test_nothing_is_in_the_users_folder(lab: labs.Lab, planted: dict[str, str]) -> None:
    assert canaries.in_folders(lab, planted) == []


def test_nothing_is_in_the_journal(lab: labs.Lab, planted: dict[str, str]) -> None:
    assert "COMMAND=" in lab.on_node("journalctl --no-pager -o cat -t sudo"), "sudo writes there"
    assert canaries.on_node(lab, planted) == []


def test_nothing_is_on_the_nodes_disk(lab: labs.Lab, planted: dict[str, str]) -> None:
    legitimate = ("azure key",)  # rclone reads it there
    strangers = {name: text for name, text in planted.items() if name not in legitimate}
    assert canaries.on_its_disk(lab, strangers) == []


def test_nothing_is_in_git(lab: labs.Lab, planted: dict[str, str]) -> None:
    assert canaries.in_git(lab, planted) == []
