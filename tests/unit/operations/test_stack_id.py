"""A stack gets its id once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from provision import config_file
from provision.operations import stack_id, state
from provision.operations.stack import open_stack
from provision.provider import settings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "written-by-0.1.0"


@pytest.fixture
def homelab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What version 0.1.0 left on a user's disk."""
    root = tmp_path / "homelab"
    shutil.copytree(FIXTURES / "homelab", root)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse battery staple")
    return root


def ensure(root: Path) -> tuple[str, list[str]]:
    said: list[str] = []
    with open_stack(root, "kyrion") as stack:
        stack_id.ensure(stack, lambda event: said.append(event.message))
        return stack.config.stack.id, said


def test_a_stack_of_0_1_0_gets_one_and_keeps_it(homelab: Path) -> None:
    path = homelab / "Pulumi.kyrion.yaml"
    before = path.read_text()
    made, said = ensure(homelab)
    assert len(made) == 10
    assert "now holds the stack's id" in said[0]
    text = path.read_text()
    assert text.replace(f"  elysium:stack:\n    id: {made}\n", "") == before
    assert ensure(homelab) == (made, [])
    assert path.read_text() == text


def test_an_id_changes_nothing_of_the_provider(homelab: Path) -> None:
    with open_stack(homelab, "kyrion") as stack:
        before = settings.dump(stack.config)
        stack_id.ensure(stack, lambda event: None)
        assert settings.dump(stack.config) == before
        assert '"stack"' not in before
        assert settings.load(before).stack.id == ""


def test_one_that_another_run_made_meanwhile_is_taken(homelab: Path) -> None:
    with open_stack(homelab, "kyrion") as stack:
        config_file.set_value(homelab / "Pulumi.kyrion.yaml", "stack.id", "meanwhile")
        stack_id.ensure(stack, lambda event: None)
        assert stack.config.stack.id == "meanwhile"


def test_a_lost_line_comes_back_from_the_state(
    homelab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "public_inputs", lambda *_: {"stackId": "remembered"})
    assert ensure(homelab)[0] == "remembered"
    assert "id: remembered" in (homelab / "Pulumi.kyrion.yaml").read_text()


def test_a_file_that_cannot_be_written_is_no_reason_to_stop(
    homelab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        from provision import errors

        raise errors.ConfigError("read-only file system", [])

    monkeypatch.setattr(config_file, "set_value", refuse)
    made, said = ensure(homelab)
    assert made and "cannot be written" in said[0]
