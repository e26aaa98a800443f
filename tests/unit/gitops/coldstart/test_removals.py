"""A working repository that loses one thing: the analysis finds that thing, and no other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from provision.gitops.coldstart.needs import Analysis
from tests.shapes import crd, helm_release, helm_repository, namespace, secret
from tests.support.gitopsdocs import config_map, custom, kustomization, many
from tests.support.verdicts import look

SEEDS: Final = range(8)
CHARTS: Final = {
    "cert-manager": ("cert-manager.io/v1:Certificate", {"crds": {"enabled": True}}),
    "external-dns": ("externaldns.k8s.io/v1alpha1:DNSEndpoint", {}),
    "longhorn": ("longhorn.io/v1beta2:RecurringJob", {}),
    "metallb": ("metallb.io/v1beta1:IPAddressPool", {}),
    "volsync": ("volsync.backube/v1alpha1:ReplicationSource", {}),
}
"""Charts with a kind that each brings."""
OWN: Final = "example.org/v1:Widget"
"""A kind whose definition lies in the repository."""


@dataclass
class Part:
    """One object of the tree, in a file of its own; `loses` is what is gone without it."""

    folder: str
    text: str
    loses: str = ""


@dataclass
class World:
    """A repository, as parts, with the variables of its ConfigMap and who uses each."""

    parts: list[Part] = field(default_factory=list)
    variables: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def add(self, folder: str, text: str, loses: str = "") -> None:
        self.parts.append(Part(folder, text, loses))

    def files(self, without: Part | None = None, key: str = "") -> dict[str, str]:
        """Return the files, without one part or without one key of the variables."""
        kept = [part for part in self.parts if part is not without]
        found = {
            f"{part.folder}/{number}.yaml": part.text
            for number, part in enumerate(kept)
            if part.text
        }
        values = {name: value for name, value in self.settings.items() if name != key}
        found["clusters/home/settings.yaml"] = config_map("settings", "flux-system", **values)
        return found


def made(seed: int) -> World:
    """Return a repository that comes up: operators first, then apps that use what they bring."""
    pick = random.Random(seed)  # noqa: S311
    world = World(settings={f"V{number}": f"value{number}" for number in range(4)})
    world.add("clusters/home", helm_repository("charts"))
    kinds: dict[str, str] = {}
    for chart in pick.sample(sorted(CHARTS), pick.randint(1, 3)):
        kind, values = CHARTS[chart]
        folder = f"operators/{chart}"
        world.add("clusters/home", kustomization(chart, f"./{folder}", wait=True))
        world.add(folder, namespace(chart))
        more: dict[str, Any] = {"values": values} if values else {}
        kinds[kind] = chart
        world.add(folder, helm_release(chart, chart, **more), loses=_definition(kind))
    if pick.random() < 0.5:
        world.add("clusters/home", kustomization("own", "./operators/own", wait=True))
        world.add("operators/own", config_map("own"))
        world.add("operators/own", crd(OWN), loses=_definition(OWN))
        kinds[OWN] = "own"
    for number in range(pick.randint(1, 4)):
        _app(world, pick, f"app{number}", kinds)
    return world


def _app(world: World, pick: random.Random, name: str, kinds: dict[str, str]) -> None:
    used = sorted(world.settings) if pick.random() < 0.3 else [pick.choice(sorted(world.settings))]
    kind = pick.choice(sorted(kinds))
    folder = f"apps/{name}"
    source = {"substituteFrom": [{"kind": "ConfigMap", "name": "settings"}]}
    if pick.random() < 0.5:
        source["substituteFrom"].append({"kind": "Secret", "name": f"{name}-vars"})
        lost = f"Secret flux-system/{name}-vars"
        world.add("clusters/home", secret(f"{name}-vars", "flux-system", X="y"), loses=lost)
    world.add("clusters/home", kustomization(name, f"./{folder}", kinds[kind], postBuild=source))
    world.add(folder, namespace(name), loses=f"Namespace {name}")
    if pick.random() < 0.5:
        text = many(*(config_map(f"use-{one.lower()}", name, v=f"${{{one}}}") for one in used))
    else:
        text = config_map("uses", name, **{one: f"a-${{{one}}}" for one in used})
    world.add(folder, text)
    for one in used:
        world.variables.setdefault(one, []).append(name)
    world.add(folder, custom(kind, name, name))
    if pick.random() < 0.6:
        refs = [{"kind": "Secret", "name": "values"}]
        world.add(folder, helm_release(name, name, chart="podinfo", valuesFrom=refs))
        content = {"values.yaml": "a: 1\n"}
        world.add(folder, secret("values", name, **content), loses=f"Secret {name}/values")


def _definition(kind: str) -> str:
    version, _, bare = kind.partition(":")
    return f"CustomResourceDefinition {bare}.{version.rpartition('/')[0]}"


def named(found: Analysis) -> list[str]:
    return [one.ref for one in (*found.needs, *found.assumptions)]


def removals(world: World) -> Iterator[Part]:
    """Yield each part that something needs."""
    all_ = "".join(part.text for part in world.parts)
    for part in world.parts:
        kind = part.loses.rpartition(" ")[2].partition(".")[0]
        is_used = not part.loses.startswith("Custom") or f'"kind": "{kind}", "metadata"' in all_
        if part.loses and is_used:
            yield part


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_comes_up(seed: int) -> None:
    found = look(made(seed).files())
    assert found.verdict == "comes up", (found.problems, named(found))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_removed_is_found_and_nothing_else(seed: int) -> None:
    world = made(seed)
    for part in removals(world):
        found = look(world.files(without=part))
        assert found.problems == (), part.loses
        assert named(found) == [part.loses]
        seedable = part.loses.startswith("Namespace")
        assert found.verdict == ("needs a seed" if seedable else "cannot come up")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_key_that_is_removed_is_found_where_it_is_used(seed: int) -> None:
    world = made(seed)
    for key in world.settings:
        found = look(world.files(key=key))
        users = world.variables.get(key, [])
        assert found.verdict == ("cannot come up" if users else "comes up")
        assert named(found) == []
        assert sorted({_user(problem.message) for problem in found.problems}) == sorted(users)
        assert all(key in problem.message for problem in found.problems)


def _user(message: str) -> str:
    return message.rpartition("(Kustomization ")[2].rstrip(")")
