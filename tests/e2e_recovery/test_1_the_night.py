"""Every command of docs/recovery.md, in its order, as the page has it."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from provision.recovery.restore import journal, run
from provision.sandbox import renewal
from tests.support import coldstarts, night
from tests.support import lab as labs

PHRASE = {"ELYSIUM_BACKUP_PASSPHRASE": "correct horse battery"}
ALL = {"flux-system", "infra-controllers", "infra-configs", "apps"}


def secrets(lab: labs.Lab) -> dict[str, object]:
    found = lab.kubectl("get", "secrets", "-A")["items"]
    return {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}": each.get("data")
        for each in found
    }


@pytest.fixture(scope="module")
def kept(lab: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A backup with the datastore, elsewhere."""
    *_, said = lab.elysium("--json", "backup", "--datastore", environ=PHRASE).ok().json_lines()
    path = tmp_path_factory.mktemp("stick") / pathlib.Path(said["path"]).name
    return pathlib.Path(shutil.copy(said["path"], path))


@pytest.fixture(scope="module")
def before(lab: labs.Lab, kept: pathlib.Path) -> dict[str, object]:
    return secrets(lab)


@pytest.fixture(scope="module")
def page() -> Iterator[list[tuple[str, ...]]]:
    """The page's commands; at the end all of them must have been run."""
    left = night.commands()
    yield left
    assert left == []


def elsewhere(lab: labs.Lab, folder: pathlib.Path) -> labs.Lab:
    """A new folder of an operator who lost the old one, with its passphrase."""
    (folder / "home").mkdir()
    environ = {name: value for name, value in lab.environ.items() if "PASSPHRASE" not in name}
    environ["HOME"] = str(folder / "home")
    return dataclasses.replace(lab, folder=folder, environ=environ)


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
    return lab.elysium(*(said.get(each, each) for each in arguments), *more, environ=PHRASE)


def unchanged(lab: labs.Lab) -> None:
    lab.elysium("preview", "--expect-no-changes").ok()


def test_a_living_node_is_repaired(lab: labs.Lab, kept: pathlib.Path, page) -> None:
    lab.on_node("systemctl stop k3s")
    assert follow(lab, page, "status").status == 5
    follow(lab, page, "up").ok()
    assert coldstarts.ready(lab) == ALL


def test_with_the_folder_no_backup_is_needed(lab: labs.Lab, before, page) -> None:
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    follow(lab, page, "node replace --host 192.168.1.11").ok()
    follow(lab, page, "up").ok()
    coldstarts.until(lambda: coldstarts.ready(lab) == ALL, "every Kustomization Ready")
    coldstarts.until(lambda: secrets(lab) == before, "every Secret as it was")


def test_a_backup_rebuilds_it_from_git(
    lab: labs.Lab, kept: pathlib.Path, before, page, tmp_path: pathlib.Path
) -> None:
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    fresh = elsewhere(lab, tmp_path)
    follow(fresh, page, "restore BUNDLE --dry-run", kept).ok()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    follow(fresh, page, "restore BUNDLE --host 192.168.1.11", kept).ok()
    assert secrets(lab) == before
    assert coldstarts.ready(lab) == ALL
    unchanged(fresh)


def test_a_backup_restores_the_datastore(
    lab: labs.Lab, kept: pathlib.Path, before, page, tmp_path: pathlib.Path
) -> None:
    lab.sandbox = renewal.replace_node(lab.sandbox.name, hostname="vega")
    fresh = elsewhere(lab, tmp_path)
    follow(fresh, page, "restore BUNDLE --datastore --host 192.168.1.11", kept).ok()
    assert secrets(lab) == before
    assert coldstarts.ready(lab) == ALL
    nodes = lab.kubectl("get", "nodes")["items"]
    assert [each["metadata"]["name"] for each in nodes] == ["kyrion"]
    assert len(lab.forge.with_repository("deadlocked").deploy_keys()) == 1
    unchanged(fresh)
    follow(fresh, page, "status").ok()
    follow(fresh, page, "backup").ok()


@pytest.mark.parametrize("mode", ["rebuild", "datastore"])
def test_killed_after_every_step_it_goes_on(
    lab: labs.Lab, kept: pathlib.Path, before, mode: journal.Mode, tmp_path: pathlib.Path
) -> None:
    """SIGKILL as soon as the record shows one more step; the next run does the rest."""
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    fresh = elsewhere(lab, tmp_path)
    node = lab.sandbox.node
    words = ("restore", str(kept), *(("--datastore",) if mode == "datastore" else ()))
    first = ("--host", node.host, "--host-key", node.host_key)
    steps = [step.name for step in run.STEPS[mode]]
    # Not after the last but one: comparing takes a moment, and may be over before the kill.
    for count in range(1, len(steps) - 1):
        process = subprocess.Popen(
            [str(labs.ELYSIUM), *words, *(first if count == 1 else ()), "--yes"],
            cwd=fresh.folder,
            env=fresh.environ | PHRASE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def shown(count: int = count) -> bool:
            return any(len(each.done) >= count for each in journal.load(tmp_path, "kyrion").runs)

        coldstarts.until(shown, f"step {count} of {mode}", timeout=600)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert journal.load(tmp_path, "kyrion").open is not None
    lab_done = fresh.elysium(*words, "--yes", environ=PHRASE).ok()
    assert "goes on after" in lab_done.stderr
    (only,) = journal.load(tmp_path, "kyrion").runs
    assert list(only.steps) == steps and only.finished
    assert secrets(lab) == before
    assert len(lab.forge.with_repository("deadlocked").deploy_keys()) == 1
    unchanged(fresh)
