"""Every command of docs/recovery.md, in its order, as the page has it."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from provision.sandbox import renewal
from tests.support import coldstarts, night
from tests.support import lab as labs


@pytest.fixture(scope="module")
def page() -> Iterator[list[tuple[str, ...]]]:
    """The page's commands; at the end all of them must have been run."""
    left = night.commands()
    yield left
    assert left == []


def follow(
    lab: labs.Lab, page: list[tuple[str, ...]], wanted: str, bundle: pathlib.Path | None = None
) -> labs.Done:
    """Run the page's next command, which must be `wanted`, without anybody to ask."""
    arguments = page.pop(0)
    assert " ".join(arguments) == wanted
    node = lab.sandbox.node
    said = {"BUNDLE": str(bundle), "192.168.1.11": node.host}
    more: list[str] = []
    if "--host" in arguments:
        more += ["--host-key", node.host_key]
    if arguments[0] in ("up", "node", "restore") and "--dry-run" not in arguments:
        more.append("--yes")
    if arguments[0] == "restore":
        more += night.trusting(lab)
    return lab.elysium(*(said.get(each, each) for each in arguments), *more, environ=night.PHRASE)


def test_a_living_node_is_repaired(lab: labs.Lab, kept: pathlib.Path, page) -> None:
    lab.on_node("systemctl stop k3s")
    assert follow(lab, page, "status").status == 5
    follow(lab, page, "up").ok()
    assert coldstarts.ready(lab) == night.ALL


def test_with_the_folder_no_backup_is_needed(lab: labs.Lab, before, page) -> None:
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    follow(lab, page, "node replace --host 192.168.1.11").ok()
    follow(lab, page, "up").ok()
    coldstarts.until(lambda: coldstarts.ready(lab) == night.ALL, "every Kustomization Ready")
    coldstarts.until(lambda: night.secrets(lab) == before, "every Secret as it was")


def test_a_backup_rebuilds_it_from_git(
    lab: labs.Lab, kept: pathlib.Path, before, page, tmp_path: pathlib.Path
) -> None:
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    fresh = night.elsewhere(lab, tmp_path)
    follow(fresh, page, "restore BUNDLE --dry-run", kept).ok()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    follow(fresh, page, "restore BUNDLE --host 192.168.1.11", kept).ok()
    assert night.secrets(lab) == before
    assert coldstarts.ready(lab) == night.ALL
    night.unchanged(fresh)


def test_a_backup_restores_the_datastore(
    lab: labs.Lab, kept: pathlib.Path, before, page, tmp_path: pathlib.Path
) -> None:
    lab.sandbox = renewal.replace_node(lab.sandbox.name, hostname="vega")
    fresh = night.elsewhere(lab, tmp_path)
    follow(fresh, page, "restore BUNDLE --datastore --host 192.168.1.11", kept).ok()
    assert night.secrets(lab) == before
    assert coldstarts.ready(lab) == night.ALL
    nodes = lab.kubectl("get", "nodes")["items"]
    assert [each["metadata"]["name"] for each in nodes] == ["kyrion"]
    assert len(lab.forge.with_repository("deadlocked").deploy_keys()) == 1
    night.unchanged(fresh)
    follow(fresh, page, "status").ok()
    follow(fresh, page, "backup").ok()
