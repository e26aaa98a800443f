"""Where rclone is put, and what starts it, on nodes whose /usr is read-only."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
from typing import Any

import pytest

from provision.provider.media import files as media_files
from provision.provider.media import mount as media_mount
from provision.provider.media import placement
from provision.provider.media import scripts as media_scripts
from tests.unit.provider.media import test_plan as plans

SERVICE = placement.Placement(folder="/opt/bin", service=True)
UNIT = "/etc/systemd/system/mnt-media\\x2dlibrary.service"


@pytest.mark.parametrize(
    ("there", "read_only", "link", "noted", "said"),
    [
        ((), (), "", "", "/usr/local/bin link"),
        (("opt/bin",), (), "", "", "/usr/local/bin link"),
        (("opt/bin",), ("usr/local/bin", "sbin"), "", "", "/opt/bin service"),
        # Fedora CoreOS: /usr/local is a link to a folder that can be written to.
        (("opt/bin",), ("sbin",), "", "", "/usr/local/bin service"),
        (("opt/bin",), ("usr/local/bin",), "", "", "/opt/bin link"),
        ((), ("usr/local/bin", "sbin"), "", "", "/usr/local/bin service"),
        # The image has both.
        (
            ("opt/bin", "usr/local/bin/rclone"),
            ("usr/local/bin", "sbin"),
            "/usr/local/bin/rclone",
            "",
            "/usr/local/bin link",
        ),
        # It stays where it is when /usr becomes writable, or read-only.
        (("opt/bin/rclone",), (), "", "/opt/bin/rclone", "/opt/bin link"),
        (
            ("opt/bin", "usr/local/bin/rclone"),
            ("usr/local/bin", "sbin"),
            "/usr/local/bin/rclone",
            "/usr/local/bin/rclone",
            "/usr/local/bin link",
        ),
        # An image without it came over the one that had it.
        (("opt/bin",), ("usr/local/bin", "sbin"), "", "/usr/local/bin/rclone", "/opt/bin service"),
        ((), (), "", "/etc/rclone", "/usr/local/bin link"),
    ],
)
def test_the_node_says_where_it_belongs(
    tmp_path: pathlib.Path,
    there: tuple[str, ...],
    read_only: tuple[str, ...],
    link: str,
    noted: str,
    said: str,
) -> None:
    for path in ("usr/local/bin", "sbin", *there):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    if link:
        (tmp_path / "sbin/mount.rclone").symlink_to(f"{tmp_path}{link}")
    notes = tmp_path / "notes"
    if noted:
        notes.write_text(f'{{\n "absent": [],\n "binary": "{tmp_path}{noted}"\n}}\n')
    script = placement.script("NOTES")
    for path in ("/usr/local/bin", "/opt/bin", "/sbin"):
        script = script.replace(path, f"{tmp_path}{path}")
    # A test that is root's can write anywhere.
    locked = "|".join(f"{tmp_path}/{path}" for path in read_only) or "/none"
    asked = '[ -w "${d:-/}" ]'
    assert script.count(asked) == 1
    script = script.replace(asked, f'case "$d" in {locked}) return 1;; esac')
    script = script.replace("NOTES", str(notes))
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.replace(str(tmp_path), "") == f"placed {said}\n"


def test_what_the_node_cannot_tell_is_as_usual() -> None:
    for lines in ([], ["placed"], ["placed /etc service"], ["placed /opt/bin"]):
        assert placement.parse(lines) == placement.Placement()
    assert placement.parse(["x y", "placed /opt/bin service"]) == SERVICE


class Node(plans.Node):
    """A node in order whose rclone a service starts."""

    said = "placed /opt/bin service"

    def __init__(self, make: Any, values: dict[str, Any]) -> None:
        super().__init__(make, values)
        self._make = make
        want = media_files.wanted(values, SERVICE)
        before = media_files.Before(
            mount_point=values["mountPoint"],
            cache_dir=values["cacheDir"],
            binary=SERVICE.binary,
        )
        del self.files[media_files.LINK]
        for one in want.files:
            self.files[one.path] = plans.file(one.path, one.content, one.mode)
        self.files[media_files.PROVEN] = plans.file(media_files.PROVEN, want.proof_text)
        self.files[media_files.BEFORE] = plans.file(media_files.BEFORE, before.text, 0o600)
        self.units[want.service] = plans.unit(want.service, active="inactive", enabled="static")

    def make(self, request: Any, **facts: Any) -> Any:  # type: ignore[override]
        told = facts["snippets"]["media rclone"]
        facts["snippets"]["media rclone"] = f"{self.said}\n{told}"
        return self._make(request, **facts)


@pytest.fixture
def node(make_facts: Any, monkeypatch: pytest.MonkeyPatch) -> Node:
    class Made(Node):
        make = Node.make  # over what the base class sets

        def __setattr__(self, name: str, value: Any) -> None:
            if name != "make":
                super().__setattr__(name, value)

    return Made(make_facts, plans.inputs())


def test_a_node_in_order_needs_nothing(node: Node) -> None:
    assert node.plan() == ()
    node.mounted()
    assert node.plan() == ()


def test_on_a_bare_node_no_link_is_made(node: Node) -> None:
    node.files.clear()
    node.units.clear()
    found = node.decide()
    said = [change.property for change in found.changes]
    assert "files./opt/bin/rclone" in said and f"files.{UNIT}" in said
    assert not found.link and not any("mount.rclone" in each for each in said)


def test_a_service_that_failed_is_started_again(node: Node) -> None:
    name = media_files.service_name("/mnt/media-library")
    node.units[name] = dataclasses.replace(node.units[name], active="failed", result="exit-code")
    found = node.decide()
    assert found.clear and "exit-code" in found.changes[0].summary


def test_the_service_goes_where_mount_finds_rclone_again(node: Node) -> None:
    node.said = "placed /opt/bin link"
    found = node.decide()
    assert found.removals == (UNIT,) and found.link and found.reload
    assert {f"files.{UNIT}", "files./sbin/mount.rclone"} <= {
        change.property for change in found.changes
    }


def test_a_unit_of_the_same_name_that_is_not_ours_stays(node: Node) -> None:
    node.said = "placed /opt/bin link"
    node.files[UNIT] = plans.file(UNIT, "[Service]\nExecStart=/bin/true\n")
    assert node.decide().removals == ()
    script = media_scripts.leave(media_files.Before(mount_point="/mnt/m", cache_dir="/c"))
    assert "grep -qsF -- '# Written by elysium;' /etc/systemd/system/mnt-m.service" in script


def test_the_service_starts_rclone_as_mount_would() -> None:
    values = plans.inputs(path='a "b" $c %d\\e', options={"env.A": "x,y"})
    want = media_files.wanted(values, SERVICE)
    assert want.service_file is not None
    unit = want.service_file.content.decode()
    assert (
        "ExecStart=@/opt/bin/rclone mount.rclone"
        r' "media:a \"b\" $$c %%d\\e" /var/lib/elysium/media/mounted -o "rw,_netdev,'
    ) in unit
    assert r"env.A=\"x,y\"" in unit
    assert "Type=none" in want.mount_file.content.decode()
    usual = media_files.wanted(values)
    assert usual.service_file is None and "Type=rclone" in usual.mount_file.content.decode()


def test_notes_of_earlier_versions_name_the_usual_program() -> None:
    noted = media_files.Before(mount_point="/mnt/m", cache_dir="/c")
    assert "binary" not in noted.text
    read = media_files.Before.parse(noted.text)
    assert read is not None and read.binary == media_files.BINARY
    moved = dataclasses.replace(noted, binary="/opt/bin/rclone")
    assert media_files.Before.parse(moved.text) == moved
    # What is deleted comes from the list of what elysium can have put there.
    forged = media_files.Before.parse(moved.text.replace("/opt/bin/rclone", "/etc/passwd"))
    assert forged is not None and forged.binary == media_files.BINARY


def test_the_kind_reads_the_service(make_facts: Any) -> None:
    request = media_mount.fact_request(plans.inputs())
    assert media_files.service_name("/mnt/media-library") in request.units
    assert UNIT in request.contents
