"""Before `up`: the datastore on the node against the configuration and the state."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from provision import config, errors
from provision.operations import preflight, repository, state
from tests.support import k3snode

DB = "/var/lib/rancher/k3s/server/db"
Look = Callable[..., list[str]]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """Runs the whole preflight for a node with these files among its datastores."""

    def run(
        *there: str, datastore: str = "sqlite", known: bool = True, **options: Any
    ) -> list[str]:
        cfg = config.Config.model_validate(
            {
                "cluster": "kyrion",
                "nodes": [{"name": "kyrion", "host": "node.lan"}],
                "github": {"owner": "me", "repository": "home"},
                "k3s": {"datastore": datastore},
            }
        )
        files: dict[str, Any] = {f"{DB}/state.db": None}
        files |= {f"{DB}/{name}": k3snode.a_file(f"{DB}/{name}") for name in there}
        found = k3snode.k3s_node(k3snode.k3s_inputs(), files=files).node
        session = types.SimpleNamespace(facts=lambda _request: found, prefetch=lambda *_: None)
        live = types.SimpleNamespace(node=lambda _name: session)
        monkeypatch.setattr(preflight, "node", lambda _stack: [])
        monkeypatch.setattr(preflight, "node_warnings", lambda _stack: [])
        monkeypatch.setattr(preflight, "github", lambda *_args, **_options: [])
        monkeypatch.setattr(repository, "check", lambda *_: repository.Checked())
        monkeypatch.setattr(state, "has", lambda _stack, _type: known)
        stack: Any = types.SimpleNamespace(config=cfg, live=live, kind="embedded")
        return preflight.preflight(stack, **options)

    return run


def test_sqlite_as_k3s_leaves_it_is_no_problem(look: Look) -> None:
    assert look("state.db", "etcd", "etcd/name") == []


@pytest.mark.parametrize(
    ("there", "configured", "words"),
    [
        (("state.db", "etcd/name"), "etcd", ("k3s.datastore is etcd", "SQLite")),
        (("etcd/name", "etcd/member"), "sqlite", ("k3s.datastore is sqlite", "etcd/member")),
    ],
)
def test_another_datastore_is_refused(
    there: tuple[str, ...], configured: str, words: tuple[str, ...], look: Look
) -> None:
    with pytest.raises(errors.PreflightError) as raised:
        look(*there, datastore=configured)
    (problem,) = raised.value.problems
    assert all(word in problem.message for word in words)
    assert problem.kind == "datastore" and problem.where == "node kyrion"


def test_the_move_is_let_through_when_a_backup_can_be_made(look: Look) -> None:
    asked: dict[str, Any] = {"datastore": "etcd", "migrate_datastore": True}
    assert look("state.db", "etcd/name", **asked) == []
    with pytest.raises(errors.PreflightError) as raised:
        look("state.db", "etcd/name", known=False, **asked)
    assert "no backup can be made" in raised.value.problems[0].message


def test_a_datastore_that_the_stack_does_not_know_is_told_of(look: Look) -> None:
    (said,) = look("state.db", "etcd/name", known=False)
    assert "SQLite" in said and "elysium up adopts it" in said
    assert look("etcd", "etcd/name", known=False) == []


def test_a_list_in_a_detail_is_no_list_within_the_sentence() -> None:
    problem = errors.Problem(message="it is not https://", key="github.baseUrl")
    error = errors.ConfigError("the token is not sent", [problem])
    assert preflight._in_short(error) == "the token is not sent: github.baseUrl: it is not https://"
