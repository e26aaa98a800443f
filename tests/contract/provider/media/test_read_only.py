"""The media library on a node whose /usr is read-only, for real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provision.provider.media import files as media_files

pytestmark = pytest.mark.sandbox

AT = "/mnt/media-library"
MOUNT, AUTOMOUNT = (f"'{name}'" for name in media_files.unit_names(AT))
SERVICE = f"'{media_files.service_name(AT)}'"
UNIT = media_files.unit_path(media_files.service_name(AT))
LEFT = (
    "find /etc/systemd/system /etc/rclone /var/lib/elysium /var/cache/rclone /opt /mnt"
    " -printf '%p %y %m %l\\n' 2>/dev/null | sort; grep -c fuse.rclone /proc/self/mountinfo"
)


@pytest.fixture(scope="module", autouse=True)
def read_only(box: Any) -> Iterator[None]:
    """/usr, and with it /sbin, is read-only from here on."""
    box.on("mkdir -p /opt/bin; mount --bind /usr /usr && mount -o remount,bind,ro /usr")
    assert box.on("touch /sbin/x 2>&1", check=False).endswith("Read-only file system")
    yield
    box.on("umount -l /usr; rmdir /opt/bin", check=False)


@pytest.fixture(scope="module")
def before(box: Any, read_only: None) -> str:
    return box.on(LEFT, check=False)


@pytest.fixture
def state(up: Any, before: str) -> dict[str, Any]:
    return up()


def until(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not what() and time.monotonic() < deadline:
        time.sleep(0.2)
    return what()


def test_it_is_mounted_written_to_and_left_alone(
    box: Any, world: Any, up: Any, planned: Any, make_inputs: Any, state: dict[str, Any]
) -> None:
    from provision.sandbox import azure

    assert "README.txt" in box.on(f"ls {AT}").split()
    assert box.on(f"findmnt -no FSTYPE {AT} | tail -n 1") == media_files.FSTYPE
    assert box.on("su ops -c 'ls /mnt/media-library/movies | wc -l'") == "2"
    box.on(f"echo hello >{AT}/read-only.txt")
    assert until(lambda: "read-only.txt" in azure.listing(box.azure))
    key = make_inputs()["remote"]["key"]
    assert key not in box.on("ps -eo args; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; journalctl -q")
    assert key not in box.on("cat /etc/systemd/system/mnt-media*")
    shown = f"systemctl show -p ActiveEnterTimestampMonotonic -- {MOUNT} {AUTOMOUNT} {SERVICE}"
    since, said = box.on(shown), len(world.said)
    assert planned(state) == []
    up(state)
    assert box.on(shown) == since and world.said[said:] == []


def test_a_program_that_died_is_started_by_the_next_access(
    box: Any, up: Any, planned: Any, state: dict[str, Any]
) -> None:
    box.on(f"ls {AT}; pkill -KILL -x rclone")
    assert until(lambda: "README.txt" in box.on(f"ls {AT}", check=False))
    up(state)
    assert planned(state) == []


@pytest.mark.parametrize(
    ("harm", "wanted"),
    [
        (f"pkill -STOP -x rclone; while timeout 1 stat -c %i {AT}; do sleep 0.1; done", MOUNT),
        (f"echo >>'{UNIT}'; systemctl daemon-reload", UNIT),
        (f"systemctl stop {AUTOMOUNT}", AUTOMOUNT),
        ("echo >/opt/bin/rclone.x; mv /opt/bin/rclone.x /opt/bin/rclone", "/opt/bin/rclone"),
    ],
)
def test_drift_is_repaired(
    box: Any, up: Any, planned: Any, state: dict[str, Any], harm: str, wanted: str
) -> None:
    box.on(f"ls {AT}")
    box.on(harm)
    assert any(wanted.strip("'") in each for each in planned(state))
    up(state)
    assert planned(state) == []
    assert "README.txt" in box.on(f"ls {AT}")


def test_idle_it_ends_with_its_program(box: Any, up: Any, state: dict[str, Any]) -> None:
    changed = up(state, idleTimeout=1)
    assert until(lambda: box.on("pgrep -x rclone", check=False) == "")
    assert "README.txt" in box.on(f"ls {AT}")
    up(changed)


def test_the_usual_way_is_taken_once_it_can_be(
    box: Any, up: Any, planned: Any, state: dict[str, Any]
) -> None:
    box.on(f"ls {AT}; mount -o remount,bind,rw /usr")
    try:
        assert {f"files.{UNIT}", "files./sbin/mount.rclone"} <= set(planned(state))
        usual = up(state)
        assert planned(usual) == []
        assert "README.txt" in box.on(f"ls {AT}")
        assert box.on(f"ls '{UNIT}' {media_files.SHOWN}/* 2>/dev/null", check=False) == ""
        box.on("rm /sbin/mount.rclone")
    finally:
        box.on("mount -o remount,bind,ro /usr")
    up(usual)


def test_deleting_leaves_the_node_as_it_was(
    box: Any, world: Any, kind: Any, state: dict[str, Any], before: str
) -> None:
    box.on(f"ls {AT}")
    world.warned.clear()
    kind.delete(world, state, state)
    assert set(box.on(LEFT, check=False).splitlines()) ^ set(before.splitlines()) == set()
    assert box.on("pgrep -x rclone", check=False) == ""
    assert box.on("systemctl --failed --no-legend --plain") == "" and world.warned == []
    kind.delete(world, state, state)  # twice is fine
