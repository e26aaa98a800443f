"""A protected branch: one pull request, which a person merges while the run waits."""

from __future__ import annotations

import itertools
import time

import pytest

from provision import config, errors
from provision.github import failures, repository
from provision.provider.flux import repository as flux_repository

INPUTS = {"path": "clusters/kyrion", "branch": "main", "commit": "pull-request"}


class Context:
    def __init__(self, hub: repository.Repository) -> None:
        self.hub = hub
        self.said: list[str] = []
        self.warned: list[str] = []

    def github(self) -> repository.Repository:
        return self.hub

    def progress(self, message: str) -> None:
        self.said.append(message)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def warn(self, message: str) -> None:
        self.warned.append(message)


_numbers = itertools.count(1)


@pytest.fixture
def forge(forge_server):
    made = forge_server.with_repository(f"protected-{next(_numbers)}")
    made.seed_repository({"README.md": "# home\n"})
    made.protect("main")
    return made


@pytest.fixture
def ctx(forge):
    cfg = config.GitHub(
        owner=forge.info.owner,
        repository=forge.info.repository,
        base_url=forge.info.api,
        allow_http=True,
    )
    hub = repository.Repository.open(cfg, forge.token(), deadline=20)
    yield Context(hub)
    hub.close()


def test_one_that_is_merged_meanwhile_is_seen(forge, ctx):
    paths = flux_repository.Paths.of(INPUTS["path"])
    head = ctx.hub.head()

    def lacks(commit: str) -> bool:
        return ctx.hub.read_file(paths.components, commit) is None

    assert flux_repository.standing(ctx, INPUTS, lacks) == (head, None)
    first = flux_repository.publish(ctx, INPUTS, "Add components", {paths.components: "c: 1\n"})
    assert flux_repository.standing(ctx, INPUTS, lacks) == (head, first)
    flux_repository.publish(ctx, INPUTS, "Add sync", {paths.sync: "s: 1\n"})
    assert len(ctx.warned) == 1, "a person is told of it once"
    merged = forge.merge(first.number)
    assert flux_repository.standing(ctx, INPUTS, lacks) == (merged, None)
    # What comes after that has a pull request of its own.
    second = flux_repository.publish(ctx, INPUTS, "Change sync", {paths.sync: "s: 2\n"})
    assert second.number != first.number
    assert second.url in ctx.warned[-1]


def test_a_run_goes_on_when_its_pull_request_is_merged(forge, ctx):
    with pytest.raises(failures.ProtectedBranchError):
        flux_repository.publish(ctx, INPUTS | {"commit": "push"}, "Push", {"a": "a\n"})
    paths = flux_repository.Paths.of(INPUTS["path"])
    flux_repository.publish(ctx, INPUTS, "Add components", {paths.components: "c: 1\n"})
    pull = flux_repository.publish(ctx, INPUTS, "Add sync", {paths.sync: "s: 1\n"})
    assert [one["number"] for one in forge.pulls()] == [pull.number]
    assert flux_repository.pending(ctx, INPUTS) == pull
    assert pull.url in ctx.warned[-1]

    def person(seconds: float) -> None:
        forge.unprotect("main")
        forge.merge(pull.number)

    flux_repository.wait_merged(ctx, INPUTS, timeout=60, sleep=person)
    head = ctx.hub.head()
    assert ctx.hub.read_file(paths.components, head) == "c: 1\n"
    assert ctx.hub.read_file(paths.sync, head) == "s: 1\n"
    assert flux_repository.pending(ctx, INPUTS) is None
    assert flux_repository.publish(ctx, INPUTS, "Add sync", {paths.sync: "s: 1\n"}) is None

    # A later change is a new pull request, which somebody declines.
    again = flux_repository.publish(ctx, INPUTS, "Change sync", {paths.sync: "s: 2\n"})
    assert again.number != pull.number
    forge.api("PATCH", f"~/pulls/{again.number}", {"state": "closed"})
    with pytest.raises(errors.WaitError) as caught:
        flux_repository.wait_merged(ctx, INPUTS, timeout=60)
    assert "closed" in caught.value.summary
    with pytest.raises(errors.CodeHostError):
        flux_repository.publish(ctx, INPUTS, "Change sync", {paths.sync: "s: 2\n"})
