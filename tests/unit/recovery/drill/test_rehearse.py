"""A drill uses its sandbox through the protocol alone, and ends with it as it should."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from provision import errors
from provision.gitops.sealing import keys as sealing_keys
from provision.provider import connections
from provision.recovery import journal
from provision.recovery.bundle import archive
from provision.recovery.drill import outcome, rehearse
from provision.recovery.restore import compare, report, steps, workspace
from tests.support import bundles, memorysandbox, restores

KEY = sealing_keys.make_key()
REAL = "ssh://git@github.com/me/homelab.git"
OURS = "ssh://git@10.231.1.1:2222/homelab/rehearsed.git"
FILES = {"sync.yaml": f"kind: GitRepository\nspec:\n  url: {REAL}\n", "other.yaml": "kind: Pod\n"}


class Looked:
    """Stands for the report on the restore, and ends the drill there."""

    def __init__(self, sandbox: memorysandbox.Memory) -> None:
        self.sandbox = sandbox
        self.host = ""
        self.server: Any = None
        self.seeded: dict[str, str] = {}

    def look(
        self, space: workspace.Workspace, _target: object, _mode: str, *, host: str, progress: Any
    ) -> report.Report:
        progress("looking")
        self.host, self.server = host, space.stack.config.server
        self.seeded = dict(self.sandbox.files)
        raise errors.ElysiumError("that is as far as it goes without a node")


def rehearsed(
    sandbox: memorysandbox.Memory,
    *,
    keep: bool = False,
    said: list[str] | None = None,
    mode: journal.Mode = "rebuild",
) -> outcome.Outcome:
    bundle = restores.made(KEY, KEY)
    wanted = rehearse.Wanted(bundle=bundle, file="kyrion.age", keep=keep, mode=mode)
    heard = [] if said is None else said
    return rehearse.rehearse(wanted, sandbox, on_event=lambda _event: None, progress=heard.append)


@pytest.fixture
def sandbox() -> memorysandbox.Memory:
    return memorysandbox.Memory()


@pytest.fixture(autouse=True)
def looked(sandbox: memorysandbox.Memory, monkeypatch: pytest.MonkeyPatch) -> Looked:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    repository = restores.Repository(files=FILES)
    monkeypatch.setattr(connections.Live, "github", lambda *_: repository)
    made = Looked(sandbox)
    monkeypatch.setattr(report, "look", made.look)
    return made


def test_the_restore_meets_the_sandbox_and_nothing_real(
    sandbox: memorysandbox.Memory, looked: Looked
) -> None:
    said: list[str] = []
    found = rehearsed(sandbox, said=said)
    assert sandbox.called == ["up", "settings", "seed_repository", "down"]
    assert looked.seeded == {**FILES, "sync.yaml": FILES["sync.yaml"].replace(REAL, OURS)}
    assert looked.host == looked.server.host == "10.231.1.2"
    assert looked.server.port == 2022
    assert [(each.part, each.what) for each in found.real] == [("memory", "a dictionary")]
    assert [(each.part, each.what) for each in found.stood_in] == [("node", "nothing at all")]
    assert [each.name for each in found.steps] == ["sandbox", "repository", "forge", "report"]
    assert found.problems == ("that is as far as it goes without a node",)
    assert said[0] == "start a sandbox" and said[-1] == "the sandbox is down"


def test_a_sandbox_that_is_kept_stays_up(sandbox: memorysandbox.Memory) -> None:
    assert not rehearsed(sandbox, keep=True).passed
    assert "down" not in sandbox.called and sandbox.running


def test_a_sandbox_that_does_not_start_is_no_finding_about_the_backup(
    sandbox: memorysandbox.Memory,
) -> None:
    sandbox.fails = "up"
    with pytest.raises(errors.ElysiumError, match="fails: up"):
        rehearsed(sandbox)
    assert sandbox.called == ["up", "down"]


@pytest.mark.parametrize("method", ["settings", "seed_repository"])
def test_what_fails_in_a_started_sandbox_is_in_the_outcome(
    sandbox: memorysandbox.Memory, method: str
) -> None:
    sandbox.fails = method
    assert rehearsed(sandbox).problems == (f"the sandbox fails: {method}",)
    assert sandbox.called[-2:] == [method, "down"] and not sandbox.running


def test_a_backup_that_cannot_be_used_is_a_finding(sandbox: memorysandbox.Memory) -> None:
    described = bundles.described()
    damaged = archive.unpack(archive.pack(described, bundles.contents())[1])
    found = rehearse.rehearse(
        rehearse.Wanted(bundle=damaged, file="x"), sandbox, on_event=lambda _event: None
    )
    assert len(found.problems) == 1 and found.real and found.stood_in
    assert sandbox.called == ["up", "settings", "down"]


# -- what the comparison says -----------------------------------------------------------


def without_a_node(monkeypatch: pytest.MonkeyPatch, found: compare.Comparison | None) -> None:
    """Have every step of a restore do nothing, and the comparison of the last one be `found`."""

    def look(_space: object, _target: object, mode: journal.Mode, **_: Any) -> report.Report:
        return report.Report(
            mode=mode, manifest=restores.made(KEY, KEY).manifest, host="", repository=""
        )

    monkeypatch.setattr(report, "look", look)
    monkeypatch.setattr(steps, "look", lambda *_, **__: found)
    monkeypatch.setattr(compare, "until_equal", lambda look, **_: look())
    monkeypatch.setattr(steps.restore_cluster, "reconcile_everything", lambda _kube: "now")
    monkeypatch.setattr(steps.status, "kubeconfig", lambda _stack: "")
    monkeypatch.setattr(connections.Live, "kube", lambda *_: None)
    monkeypatch.setattr(rehearse.repoint, "turn", lambda *_: None)
    silent = {
        mode: (
            steps.STEPS[mode][0],
            *(dataclasses.replace(each, do=lambda _: None) for each in steps.STEPS[mode][1:-1]),
            steps.STEPS[mode][-1],
        )
        for mode in steps.STEPS
    }
    monkeypatch.setattr(steps, "STEPS", silent)


@pytest.mark.parametrize("mode", ["rebuild", "datastore"])
def test_a_drill_of_each_mode_reports_its_comparison(
    sandbox: memorysandbox.Memory, monkeypatch: pytest.MonkeyPatch, mode: journal.Mode
) -> None:
    same = compare.Comparison(kustomizations=4, ready=4, secrets=3, equal=2, expected=("one",))
    without_a_node(monkeypatch, same)
    found = rehearsed(sandbox, mode=mode)
    assert found.passed, found.problems
    assert (found.kustomizations, found.ready, found.secrets, found.equal) == (4, 4, 3, 2)
    assert "as expected: one" in found.notes


@pytest.mark.parametrize("mode", ["rebuild", "datastore"])
def test_a_drill_of_each_mode_fails_where_the_cluster_differs(
    sandbox: memorysandbox.Memory, monkeypatch: pytest.MonkeyPatch, mode: journal.Mode
) -> None:
    less = compare.Comparison(
        kustomizations=4, ready=3, secrets=3, equal=2, missing=("Secret a/b",), different=("that",)
    )
    without_a_node(monkeypatch, less)
    found = rehearsed(sandbox, mode=mode)
    assert found.problems == ("missing: Secret a/b", "that")
    assert (found.ready, found.steps[-1].name) == (3, "compare")
    assert found.steps[-1].failed


def test_a_drill_that_compared_nothing_does_not_pass(
    sandbox: memorysandbox.Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = compare.Comparison(kustomizations=4, ready=4, secrets=3, equal=2)
    without_a_node(monkeypatch, same)
    monkeypatch.setattr(steps, "STEPS", {"rebuild": steps.STEPS["rebuild"][:-1]})
    assert rehearsed(sandbox).problems == ("the cluster was not compared with the backup",)
