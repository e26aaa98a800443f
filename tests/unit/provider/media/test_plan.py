"""What a media library needs done: facts and inputs in, changes out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from provision.host import facts as host_facts
from provision.provider.media import files as media_files
from provision.provider.media import mount as media_mount
from provision.provider.media import plan as media_plan

KEY = "c2VjcmV0IGtleSwgbmV2ZXIgc2hvd24="
BINARY_SHA = hashlib.sha256(b"rclone").hexdigest()
RAW: dict[str, Any] = {
    "node": "kyrion",
    "remote": {"type": "azureblob", "account": "films", "key": KEY},
    "path": "library",
}


def inputs(**changes: Any) -> dict[str, Any]:
    values, problems = media_mount.MediaMount().check(RAW | changes)
    assert problems == []
    return values


def file(path: str, content: bytes | str, mode: int = 0o644, **changes: Any) -> Any:
    data = content.encode() if isinstance(content, str) else content
    known: dict[str, Any] = {
        "path": path,
        "kind": "file",
        "mode": mode,
        "uid": 0,
        "gid": 0,
        "size": len(data),
        "mtime": 1,
        "sha256": hashlib.sha256(data).hexdigest(),
        "content": data,
    }
    return host_facts.FileFact(**(known | changes))


def unit(name: str, **changes: Any) -> host_facts.UnitFact:
    known = {"load": "loaded", "active": "active", "enabled": "enabled"}
    return host_facts.UnitFact(name=name, **(known | changes))


class Node:
    """A node in order, to be put out of order; `facts` is what it would tell."""

    def __init__(self, make: Callable[..., Any], values: dict[str, Any]) -> None:
        self.make, self.values = make, values
        want = media_files.wanted(values)
        self.mount, self.automount = want.mount, want.automount
        before = media_files.Before(
            mount_point=values["mountPoint"], cache_dir=values["cacheDir"], absent=("/etc/rclone",)
        )
        found = [
            file(media_files.BINARY, b"rclone", 0o755),
            file(media_files.LINK, "", kind="link", target=media_files.BINARY, sha256=None),
            file("/dev/fuse", "", kind="other", sha256=None),
            file(media_files.BEFORE, before.text, 0o600),
            file(media_files.PROVEN, want.proof_text),
            *(file(one.path, one.content, one.mode) for one in want.files),
        ]
        self.files = {one.path: one for one in found}
        self.units = {
            self.mount: unit(self.mount, active="inactive", enabled="static"),
            self.automount: unit(self.automount),
        }
        self.mounts: dict[str, host_facts.MountFact] = {}
        self.commands = {"fusermount3": "/usr/bin/fusermount3"}

    def mounted(self, **changes: Any) -> None:
        at = self.values["mountPoint"]
        known = {"source": "media:library", "fstype": "fuse.rclone"}
        self.mounts[at] = host_facts.MountFact(**(known | changes))
        self.units[self.mount] = unit(self.mount, enabled="static")

    def write(self, path: str, content: str) -> None:
        self.files[path] = file(path, content, self.files[path].mode)

    def plan(self, **changes: Any) -> tuple[Any, ...]:
        return self.decide(**changes).changes

    def decide(self, **changes: Any) -> media_plan.Decision:
        values = self.values | changes
        request = media_mount.fact_request(values)
        binary = self.files.get(media_files.BINARY)
        told = f"{binary.sha256} {binary.mode:o} 0 0" if binary else ""
        snippets = {name: told if name == "media rclone" else "" for name, _ in request.snippets}
        found = self.make(
            request,
            files={path: one for path, one in self.files.items() if path != media_files.BINARY},
            snippets=snippets,
            units=self.units,
            mounts=self.mounts,
            commands=self.commands,
        )
        facts = media_plan.Facts(node=found, binary_sha256=BINARY_SHA)
        found = media_plan.decide(facts, values)
        assert media_mount.MediaMount().plan(facts, values, {}) == found.changes
        return found


@pytest.fixture
def node(make_facts: Any) -> Node:
    return Node(make_facts, inputs())


def properties(changes: tuple[Any, ...]) -> list[str]:
    return [change.property for change in changes]


def test_a_node_in_order_needs_nothing(node: Node) -> None:
    """Everything is as wanted, and the automount waits: nothing is mounted yet."""
    assert node.plan() == ()
    node.mounted()
    assert node.plan() == ()


def test_numbers_that_come_back_as_floats_change_nothing(node: Node) -> None:
    assert node.plan(idleTimeout=0.0, listTimeout=300.0) == ()


def test_keys_that_come_back_sorted_change_nothing(node: Node) -> None:
    assert node.plan(remote=dict(sorted(RAW["remote"].items(), reverse=True))) == ()


def test_on_a_bare_node_everything_is_to_come(node: Node) -> None:
    node.files.clear()
    node.units.clear()
    node.commands.clear()
    assert properties(node.plan()) == [
        "packages.fuse3",
        "files./usr/local/bin/rclone",
        "files./sbin/mount.rclone",
        "files./etc/rclone/elysium-media.conf",
        r"files./etc/systemd/system/mnt-media\x2dlibrary.mount",
        r"files./etc/systemd/system/mnt-media\x2dlibrary.automount",
        r"unit.mnt-media\x2dlibrary.automount",
        r"enabled.mnt-media\x2dlibrary.automount",
        "listing",
    ]


def harm_binary(node: Node) -> None:
    node.files[media_files.BINARY] = file(media_files.BINARY, b"other", 0o755)


def harm_binary_mode(node: Node) -> None:
    node.files[media_files.BINARY] = file(media_files.BINARY, b"rclone", 0o700)


def harm_link(node: Node) -> None:
    node.files[media_files.LINK] = dataclasses.replace(
        node.files[media_files.LINK], target="/usr/bin/rclone"
    )


def harm_config(node: Node) -> None:
    node.write(media_files.CONFIG, "[media]\ntype = local\n")


def harm_config_mode(node: Node) -> None:
    found = node.files[media_files.CONFIG]
    node.files[media_files.CONFIG] = dataclasses.replace(found, mode=0o644)


def harm_automount_stopped(node: Node) -> None:
    node.units[node.automount] = unit(node.automount, active="inactive")


def harm_automount_disabled(node: Node) -> None:
    node.units[node.automount] = unit(node.automount, enabled="disabled")


def harm_dead(node: Node) -> None:
    node.mounted(answers=False, error="stat: x: Transport endpoint is not connected")


def harm_failed(node: Node) -> None:
    node.units[node.mount] = unit(node.mount, active="failed", result="exit-code")


def harm_reload(node: Node) -> None:
    node.units[node.mount] = unit(node.mount, active="inactive", needs_reload=True)


def harm_proof(node: Node) -> None:
    node.files.pop(media_files.PROVEN, None)


def harm_fuse(node: Node) -> None:
    node.commands.pop("fusermount3", None)


def harm_foreign(node: Node) -> None:
    node.mounted(fstype="tmpfs")


M = r"unit.mnt-media\x2dlibrary.mount"


@pytest.mark.parametrize(
    ("harm", "idle", "mounted"),
    [
        (harm_binary, [f"files.{media_files.BINARY}"], [f"files.{media_files.BINARY}", M]),
        (harm_binary_mode, [f"files.{media_files.BINARY}"], [f"files.{media_files.BINARY}", M]),
        (harm_link, [f"files.{media_files.LINK}"], [f"files.{media_files.LINK}"]),
        (harm_config, [f"files.{media_files.CONFIG}"], [f"files.{media_files.CONFIG}", M]),
        (harm_config_mode, [f"files.{media_files.CONFIG}"], [f"files.{media_files.CONFIG}", M]),
        (
            harm_automount_stopped,
            [r"unit.mnt-media\x2dlibrary.automount"],
            [M, r"unit.mnt-media\x2dlibrary.automount"],
        ),
        (
            harm_automount_disabled,
            [r"enabled.mnt-media\x2dlibrary.automount"],
            [r"enabled.mnt-media\x2dlibrary.automount"],
        ),
        (harm_failed, [M], [M]),
        (harm_reload, ["systemd.reload"], ["systemd.reload", M]),
        (harm_proof, ["listing"], [M, "listing"]),
        (harm_fuse, ["packages.fuse3"], ["packages.fuse3"]),
        (harm_dead, [M], [M]),
        (harm_foreign, [M], [M]),
    ],
)
def test_each_kind_of_drift(
    node: Node, harm: Callable[[Node], None], idle: list[str], mounted: list[str]
) -> None:
    if harm not in (harm_dead, harm_foreign):
        harm(node)
        assert properties(node.plan()) == idle
        node.mounted()
    harm(node)
    assert properties(node.plan()) == mounted


def test_a_dead_mount_is_said_to_be_one(node: Node) -> None:
    harm_dead(node)
    (change,) = node.plan()
    assert change.action == "restart"
    assert "it is dead (Transport endpoint is not connected)" in change.summary


@pytest.mark.parametrize("harm", [harm_dead, harm_failed])
def test_what_is_broken_is_cleared_first(node: Node, harm: Callable[[Node], None]) -> None:
    assert not node.decide().clear
    harm(node)
    assert node.decide().clear


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"readOnly": True}, ".mount"),
        ({"cacheMode": "writes"}, ".mount"),
        ({"cacheSize": "5G"}, ".mount"),
        ({"path": "other"}, ".mount"),
        ({"options": {"dir-cache-time": "1h"}}, ".mount"),
        ({"idleTimeout": 600}, ".automount"),
        ({"remote": RAW["remote"] | {"key": "bmV3"}}, ".conf"),
    ],
)
def test_only_what_an_input_means_is_written(
    node: Node, change: dict[str, Any], touched: str
) -> None:
    node.mounted()
    changes = node.plan(**change)
    written = [one.property for one in changes if one.property.startswith("files.")]
    assert [name.endswith(touched) for name in written] == [True]
    assert M in properties(changes)
    assert properties(changes)[-1] == "listing"


def test_another_version_replaces_the_binary_and_is_proven(make_facts: Any) -> None:
    node = Node(make_facts, inputs())
    harm_binary(node)
    changes = node.plan(rcloneVersion="v1.76.0")
    assert properties(changes) == [f"files.{media_files.BINARY}", "listing"]
    assert "v1.76.0" in changes[0].summary


def test_another_mount_point_takes_the_old_one_away(node: Node) -> None:
    changes = node.plan(mountPoint="/srv/films")
    assert M in properties(changes)
    assert "take away the mount at /mnt/media-library" in [one.summary for one in changes]
    changes = node.plan(cacheDir="/srv/cache")
    assert "remove the cache in /var/cache/rclone" in [one.summary for one in changes]


def test_no_change_ever_holds_a_secret(node: Node) -> None:
    node.write(media_files.CONFIG, f"[media]\nkey = {KEY}old\n")
    for found in (node.plan(), node.plan(remote=RAW["remote"] | {"key": "YW5vdGhlcg=="})):
        (conf,) = [one for one in found if one.property.endswith(".conf")]
        assert conf.diff == ""
        assert "sha256" in conf.summary
        assert "YW5vdGhlcg==" not in repr(found)
        assert KEY not in repr(found)
    assert KEY not in repr(media_files.wanted(node.values))


def test_units_are_shown_as_a_diff(node: Node) -> None:
    (unit_file, *_) = node.plan(readOnly=True)
    assert "-Options=rw," in unit_file.diff
    assert "+Options=ro," in unit_file.diff


DRIVE = {"type": "drive", "token": '{"access_token":"old"}'}


class TestRenewedToken:
    """rclone writes renewed OAuth tokens into its file: that is not drift."""

    @pytest.fixture
    def node(self, make_facts: Any) -> Node:
        return Node(make_facts, inputs(remote=DRIVE))

    def renew(self, node: Node) -> None:
        text = node.files[media_files.CONFIG].text
        node.write(media_files.CONFIG, text.replace('"old"', '"renewed"'))

    def test_it_is_left_alone(self, node: Node) -> None:
        self.renew(node)
        assert node.plan() == ()

    def test_a_token_of_the_user_wins(self, node: Node) -> None:
        self.renew(node)
        remote = DRIVE | {"token": '{"access_token":"mine"}'}
        assert f"files.{media_files.CONFIG}" in properties(node.plan(remote=remote))

    def test_anything_else_is_drift(self, node: Node) -> None:
        self.renew(node)
        node.write(media_files.CONFIG, node.files[media_files.CONFIG].text + "scope = all\n")
        assert f"files.{media_files.CONFIG}" in properties(node.plan())
