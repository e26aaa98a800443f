"""Writing the stack into the user's folder, cut off at every file, and done again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from provision.gitops.sealing import keys as sealing_keys
from provision.operations import deploy, node_replace, repository, state
from provision.operations.stack import open_stack
from provision.recovery.restore import steps as restore_steps
from provision.recovery.restore import workspace
from tests.support import restores

KEY = sealing_keys.make_key()
NEW = node_replace.NewNode(host="10.0.0.9", host_key="SHA256:" + "A" * 43)
BEFORE = "name: elysium\nruntime: python\nbackend:\n  url: file://./.elysium/state\n"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)


def place(space: workspace.Workspace, target: Path, kill_at: int = 0) -> bool:
    """Place in a process of its own, killed before its file number `kill_at`; whether it was."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    try:
        rename, left = os.replace, kill_at

        def counted(*args: object, **more: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*args, **more)  # type: ignore[arg-type]

        os.replace = counted  # type: ignore[assignment]
        restore_steps.place(
            restore_steps.Work(space=space, target=target, listen=lambda _event: None)
        )
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("theirs", [False, True], ids=["empty", "over-another-configuration"])
def test_cut_off_at_every_file_it_is_placed_by_the_next_run(tmp_path: Path, theirs: bool) -> None:
    with workspace.opened(restores.made(KEY, KEY), NEW, ask=False) as space:
        cuts = 0
        while cut_off(space, tmp_path / str(cuts), cuts + 1, theirs):
            cuts += 1
    assert cuts > 4  # passphrase, project, configuration, what is not for Git, state


def cut_off(space: workspace.Workspace, target: Path, number: int, theirs: bool) -> bool:
    """Place into a new folder, cut off at one file, then again; whether it was cut off."""
    target.mkdir()
    if theirs:
        (target / "Pulumi.yaml").write_text(BEFORE)
        (target / "Pulumi.kyrion.yaml").write_text("config: {}  # mine\n")
    if not place(space, target, number):
        return False
    assert not place(space, target)
    with open_stack(target, "kyrion") as stack:
        assert stack.config.server.host == "10.0.0.9"
        assert state.has(stack, "elysium:secrets:SealingKey")
        assert not state.has(stack, "elysium:node:K3sServer")
        assert stack.passphrase.reveal() == restores.PASSPHRASE.reveal()
    kept = target / "Pulumi.kyrion.yaml.before-restore"
    assert kept.exists() == theirs
    assert not theirs or kept.read_text() == "config: {}  # mine\n"
    return True


@pytest.mark.parametrize("seeding", [repository.Seeding.ALL, repository.Seeding.POSSIBLE])
def test_everything_is_brought_up_with_the_seeds_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seeding: repository.Seeding
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(deploy, "up", lambda *_, **given: asked.append(given["seeding"]))
    with workspace.opened(restores.made(KEY, KEY), NEW, ask=False) as space:
        work = restore_steps.Work(
            space=space, target=tmp_path, listen=lambda _event: None, seeding=seeding
        )
        restore_steps.place(work)
        restore_steps.everything(work)
        work.close()
    assert asked == [seeding]
