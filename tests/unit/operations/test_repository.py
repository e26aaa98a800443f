"""A repository that cannot come up: refused, gone on with, or not seeded."""

from __future__ import annotations

import types
from typing import Any

import pytest

from provision import config, errors
from provision.gitops.coldstart import needs
from provision.operations import preflight, repository, state
from provision.operations.repository import Seeding
from provision.provider.sealing import seed
from stacks import repository_facts

LACK = errors.Problem(where="clusters/x/ks.yaml:3", key="Secret a/b", message="nothing makes it")


def need(kind: needs.NeedKind, name: str) -> needs.Need:
    return needs.Need(
        kind=kind, name=name, blocks="apps", reason="it stops", where="a.yaml:1", suggestion="move"
    )


SECRET = need("Secret", "vars")
DEFINITION = need("CustomResourceDefinition", "SealedSecret.bitnami.com")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A stack; `empty` is its node, `decided` what its repository means, `released` what is had.

    `defined`: the running cluster has the definition already.
    """
    made = types.SimpleNamespace(
        empty=True,
        released=True,
        defined=False,
        decided=repository_facts.Decisions(seeds=(SECRET, DEFINITION), problems=(LACK,)),
    )
    cfg = {
        "cluster": "kyrion",
        "nodes": [{"name": "kyrion", "host": "node.lan"}],
        "github": {"owner": "me", "repository": "home"},
        "flux": {"path": "./clusters//one two/"},
        "sealing": {"enabled": False},
    }
    made.stack = types.SimpleNamespace(
        config=config.Config.model_validate(cfg),
        kind="embedded",
        live=types.SimpleNamespace(
            bind=lambda _say: None,
            kube=lambda _kubeconfig: types.SimpleNamespace(
                get=lambda *_: {"kind": "CustomResourceDefinition"} if made.defined else None
            ),
        ),
    )

    def released(*_: Any) -> dict[str, Any]:
        if not made.released:
            raise errors.ArtifactError("no route to host", hint="give it in flux.crds")
        return {}

    monkeypatch.setattr(repository_facts, "decide", lambda *_: made.decided)
    monkeypatch.setattr(repository, "at_hand", lambda _stack: None)
    monkeypatch.setattr(repository, "is_empty", lambda _stack: made.empty)
    monkeypatch.setattr(seed, "released", released)
    monkeypatch.setattr(state, "kubeconfig", lambda _stack: "kubeconfig")
    return made


def test_what_cannot_come_up_is_refused(cluster) -> None:
    found = repository.check(cluster.stack)
    assert (found.lacks, found.warnings) == ((LACK,), ())
    cluster.released = False
    found = repository.check(cluster.stack)
    assert [one.message for one in found.lacks][1].endswith("cannot be had: no route to host")
    assert repository.decide(cluster.stack).seeds == (SECRET, DEFINITION)


def test_anyway_seeds_what_it_can_and_warns_of_the_rest(cluster) -> None:
    cluster.released = False
    found = repository.check(cluster.stack, Seeding.POSSIBLE)
    assert (found.problems, found.lacks) == ((), ())
    assert [one.startswith("the cluster cannot come up: ") for one in found.warnings] == [True] * 2
    assert str(LACK) in found.warnings[0]
    assert repository.decide(cluster.stack, Seeding.POSSIBLE).seeds == (SECRET,)


def test_anyway_asks_for_no_definition_that_cannot_be_had_of_a_running_cluster_either(
    cluster,
) -> None:
    """As in a restore, whose k3s runs before the rest: only a definition that is there stays."""
    cluster.empty, cluster.released = False, False
    assert repository.decide(cluster.stack, Seeding.POSSIBLE).seeds == (SECRET,)
    cluster.defined = True
    assert repository.decide(cluster.stack, Seeding.POSSIBLE).seeds == (SECRET, DEFINITION)


def test_no_seeds_seeds_nothing_and_refuses_nothing(cluster) -> None:
    cluster.released = False
    assert repository.check(cluster.stack, Seeding.NONE) == repository.Checked()
    decided = repository.decide(cluster.stack, Seeding.NONE)
    assert (decided.seeds, decided.problems) == ((), ())


def test_a_running_cluster_is_warned_of_the_next(cluster) -> None:
    cluster.empty = False
    found = repository.check(cluster.stack)
    assert found.warnings == (f"a new cluster would not come up: {LACK}",)
    assert (found.problems, found.lacks) == ((), ())


def test_what_was_not_seen_is_told_before_a_cluster_is_made(cluster) -> None:
    notes = tuple(f"part {number}" for number in range(12))
    cluster.decided = repository_facts.Decisions(notes=notes)
    told = repository.check(cluster.stack).warnings
    assert told[0] == "not everything of the repository was seen: part 0"
    assert len(told) == 11
    assert "2 more parts" in told[-1]
    assert "elysium gitops cold-start --path 'clusters/one two'" in told[-1]
    cluster.empty = False
    assert repository.check(cluster.stack).warnings == ()


def test_the_refusal_names_the_way_on(cluster, monkeypatch) -> None:
    for name in ("node", "datastore", "node_warnings", "_unrecorded_datastore"):
        monkeypatch.setattr(preflight, name, lambda *_args, **_options: [])
    monkeypatch.setattr(preflight, "github", lambda *_args, **_options: [])
    monkeypatch.setattr(preflight, "prefetch", lambda _stack: None)
    monkeypatch.setattr("provision.operations.state.has", lambda *_: True)
    with pytest.raises(errors.PreflightError) as caught:
        preflight.preflight(cluster.stack)
    assert caught.value.problems == [LACK]
    assert "--anyway" in caught.value.hint
    assert preflight.preflight(cluster.stack, seeding=Seeding.NONE) == []
    (warned,) = preflight.preflight(cluster.stack, seeding=Seeding.POSSIBLE)
    assert str(LACK) in warned
