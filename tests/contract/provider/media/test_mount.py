"""The media library for real: systemd, rclone, FUSE and Azurite."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.provider.media import files as media_files
from provision.provider.media import scripts as media_scripts

pytestmark = pytest.mark.sandbox

AT = "/mnt/media-library"
MOUNT, AUTOMOUNT = (f"'{name}'" for name in media_files.unit_names(AT))
SNAPSHOT = (
    "find / /var/lib -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp "
    "-o -path /var/tmp -o -path /var/log -o -path /var/lib/systemd -o -path /var/cache/apt "
    "-o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/cache/debconf \\) -prune "
    "-o -printf '%p %y %m %l\\n' | sort; dpkg-query -W -f '${Package} ${db:Status-Status}\\n'"
)


@pytest.fixture(scope="module")
def before(box: Any) -> str:
    return box.on(SNAPSHOT)


@pytest.fixture
def state(up: Any, before: str) -> dict[str, Any]:
    assert before
    return up()


def test_it_lists_what_is_in_the_store(box: Any, state: dict[str, Any]) -> None:
    assert state["unit"] == r"mnt-media\x2dlibrary.mount"
    assert box.on(f"ls {AT}").split() == ["README.txt", "movies", "music"]
    assert "put here by rclone" in box.on(f"cat {AT}/README.txt")
    assert box.on(f"stat -c %a {media_files.CONFIG}") == "600"
    # Others than root may look, too.
    assert box.on(f"su ops -c 'ls {AT}/movies | wc -l'") == "2"


def test_what_is_written_reaches_the_store(box: Any, state: dict[str, Any]) -> None:
    from provision.sandbox import azure

    box.on(f"echo hello >{AT}/note.txt")
    deadline = time.monotonic() + 30
    while "note.txt" not in azure.listing(box.azure) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "note.txt" in azure.listing(box.azure)


def test_a_second_time_nothing_is_done(
    box: Any, world: Any, up: Any, planned: Any, state: dict[str, Any]
) -> None:
    shown = f"systemctl show -p ActiveEnterTimestampMonotonic -- {MOUNT} {AUTOMOUNT}"
    box.on(f"ls {AT}")
    since, said = box.on(shown), len(world.said)
    assert planned(state) == []
    up(state)
    assert box.on(shown) == since
    assert world.said[said:] == []


def test_no_secret_shows_on_the_node(box: Any, make_inputs: Any, state: dict[str, Any]) -> None:
    key = make_inputs()["remote"]["key"]
    box.on(f"ls {AT}")
    assert "rclone" in box.on("ps -eo args")
    assert key not in box.on("ps -eo args; cat /proc/[0-9]*/cmdline | tr '\\0' ' '; journalctl -q")
    assert key not in box.on("cat /etc/systemd/system/mnt-media*")


@pytest.mark.parametrize(
    ("harm", "properties"),
    [
        (f"echo x >>{media_files.CONFIG}", {f"files.{media_files.CONFIG}", f"unit.{MOUNT[1:-1]}"}),
        (f"chmod 644 {media_files.CONFIG}", {f"files.{media_files.CONFIG}"}),
        (f"systemctl stop {AUTOMOUNT}", {f"unit.{AUTOMOUNT[1:-1]}"}),
        (f"systemctl disable {AUTOMOUNT}", {f"enabled.{AUTOMOUNT[1:-1]}"}),
        # The kernel answers by itself for a second.
        (
            f"pkill -KILL -x rclone; while stat -c %i {AT}; do sleep 0.1; done",
            {f"unit.{MOUNT[1:-1]}"},
        ),
        (
            f"pkill -STOP -x rclone; while timeout 1 stat -c %i {AT}; do sleep 0.1; done",
            {f"unit.{MOUNT[1:-1]}"},
        ),
        (f"umount -l {AT}; umount -l {AT}", {f"unit.{AUTOMOUNT[1:-1]}"}),
        (f"rm {media_files.LINK}", {f"files.{media_files.LINK}"}),
        (
            f"cp -p {media_files.BINARY} /tmp/r; printf x | dd of=/tmp/r bs=1 seek=4096 "
            f"conv=notrunc 2>/dev/null; touch -r {media_files.BINARY} /tmp/r; "
            f"cat /tmp/r >{media_files.BINARY}.new; touch -r /tmp/r {media_files.BINARY}.new; "
            f"chmod 755 {media_files.BINARY}.new; mv {media_files.BINARY}.new "
            f"{media_files.BINARY}; rm /tmp/r",
            {f"files.{media_files.BINARY}"},
        ),
        (
            f"echo >{media_files.BINARY}.x; mv {media_files.BINARY}.x {media_files.BINARY}",
            {f"files.{media_files.BINARY}"},
        ),
        (f"rm /etc/systemd/system/{AUTOMOUNT}", {f"files./etc/systemd/system/{AUTOMOUNT[1:-1]}"}),
        (
            f"sed -i s/rw,/ro,/ /etc/systemd/system/{MOUNT}; systemctl daemon-reload",
            {f"files./etc/systemd/system/{MOUNT[1:-1]}", f"unit.{MOUNT[1:-1]}"},
        ),
        (f"rm {media_files.PROVEN}", {"listing"}),
    ],
    ids=[
        "configuration edited",
        "configuration readable",
        "automount stopped",
        "automount disabled",
        "rclone killed",
        "rclone hangs",
        "unmounted",
        "link removed",
        "binary changed, size and time kept",
        "binary replaced",
        "unit removed",
        "unit edited",
        "never proven",
    ],
)
def test_drift_is_seen_and_repaired(
    box: Any, up: Any, planned: Any, state: dict[str, Any], harm: str, properties: set[str]
) -> None:
    box.on(f"ls {AT}")
    box.on(harm, check=False)
    assert properties <= set(planned(state))
    state = up(state)
    assert planned(state) == []
    assert "README.txt" in box.on(f"ls {AT}")
    assert box.on(f"systemctl is-enabled {AUTOMOUNT}; systemctl is-active {AUTOMOUNT}").split() == [
        "enabled",
        "active",
    ]


def test_an_open_file_does_not_keep_a_change_waiting(
    box: Any, up: Any, state: dict[str, Any]
) -> None:
    box.on(f"nohup sh -c 'exec 3<{AT}/README.txt; sleep 300' >/dev/null 2>&1 & echo $! >/tmp/pid")
    try:
        changed = up(state, options={"dir-cache-time": "10s", "umask": "022", "no-modtime": True})
        assert "README.txt" in box.on(f"ls {AT}")
        up(changed)
    finally:
        box.on("kill $(cat /tmp/pid)", check=False)


def test_a_wrong_key_is_told_as_such(
    box: Any, up: Any, make_inputs: Any, state: dict[str, Any]
) -> None:
    wrong = "d3Jvbmcga2V5LCB3cm9uZyBrZXksIHdyb25nIGtleSE="
    remote = make_inputs()["remote"] | {"key": wrong}
    began = time.monotonic()
    with pytest.raises(errors.WaitError) as caught:
        up(state, remote=remote)
    assert "credentials" in caught.value.hint, str(caught.value)
    assert wrong not in str(caught.value)
    assert time.monotonic() - began < 50
    up(state)
    assert "README.txt" in box.on(f"ls {AT}")


def test_a_container_that_is_not_there_is_told(
    box: Any, world: Any, up: Any, state: dict[str, Any]
) -> None:
    """Azure's containers come with their first file, so this is a library to begin with."""
    world.warned.clear()
    elsewhere = up(state, path="nowhere")
    assert ["nowhere" in warning for warning in world.warned] == [True]
    world.warned.clear()
    up(elsewhere)
    assert world.warned == []
    assert "README.txt" in box.on(f"ls {AT}")


@pytest.fixture
def silent(box: Any) -> Iterator[Callable[[], None]]:
    """A store that takes connections and does not answer; call it to let it answer."""

    def answer() -> None:
        os.kill(box.azure_process.pid, signal.SIGCONT)

    os.kill(box.azure_process.pid, signal.SIGSTOP)
    yield answer
    answer()


def test_a_store_that_is_slow_is_waited_for(
    box: Any, up: Any, state: dict[str, Any], silent: Callable[[], None]
) -> None:
    timer = threading.Timer(6, silent)
    timer.start()
    try:
        changed = up(state, idleTimeout=600)
    finally:
        timer.join()
    assert "README.txt" in box.on(f"ls {AT}")
    up(changed)


def test_a_store_that_does_not_answer_is_told_in_time(
    world: Any, up: Any, planned: Any, state: dict[str, Any], silent: Callable[[], None]
) -> None:
    began = time.monotonic()
    with pytest.raises(errors.WaitError, match="cannot be listed") as caught:
        up(state, idleTimeout=60, listTimeout=6)
    assert caught.value.detail
    assert time.monotonic() - began < 40
    assert "listing" in planned(state)
    silent()
    up(state)
    assert planned(state) == []


def test_a_wrong_option_is_told_as_such(up: Any, state: dict[str, Any]) -> None:
    with pytest.raises(errors.WaitError) as caught:
        up(state, options={"no-such-option": "1"}, listTimeout=20)
    assert "no-such-option" in caught.value.detail
    up(state)


def test_another_mount_point_takes_the_old_one_away(
    box: Any, up: Any, planned: Any, state: dict[str, Any]
) -> None:
    other = {"mountPoint": "/srv/media/my.films", "cacheDir": "/var/cache/other"}
    moved = up(state, **other)
    assert moved["unit"] == "srv-media-my.films.mount"
    assert planned(moved, **other) == []
    assert "README.txt" in box.on("ls /srv/media/my.films")
    assert box.on(f"ls -d {AT} /var/cache/rclone 2>/dev/null", check=False) == ""
    assert box.on(f"systemctl is-active {AUTOMOUNT}", check=False) == "inactive"
    back = up(moved)
    assert planned(back) == []
    assert "README.txt" in box.on(f"ls {AT}")


def test_it_comes_back_after_a_reboot(box: Any, planned: Any, state: dict[str, Any]) -> None:
    from provision.sandbox import node

    node.reboot(box.node)
    assert planned(state) == []
    assert "README.txt" in box.on(f"ls {AT}")
    assert planned(state) == []


def test_deleting_leaves_the_node_as_it_was(
    box: Any, world: Any, kind: Any, state: dict[str, Any], before: str
) -> None:
    box.on(f"ls {AT}")
    kind.delete(world, state, state)
    assert set(box.on(SNAPSHOT).splitlines()) ^ set(before.splitlines()) == set()
    assert AT not in box.on("cat /proc/self/mountinfo")
    assert box.on("pgrep -x rclone", check=False) == ""
    assert box.on("systemctl --failed --no-legend --plain") == ""
    assert world.warned == []
    kind.delete(world, state, state)  # twice is fine
    world.session.invalidate()
    assert kind.observe(world, state, state).exists is False


def test_what_was_there_before_is_there_again(box: Any, up: Any, world: Any, kind: Any) -> None:
    box.on(
        f"printf '#!/bin/sh\\necho mine\\n' >{media_files.BINARY}; chmod 755 {media_files.BINARY};"
        f"ln -s /usr/bin/rclone {media_files.LINK}; mkdir -p {AT} /var/cache/rclone/theirs"
    )
    state = up()
    assert "README.txt" in box.on(f"ls {AT}")
    kind.delete(world, state, state)
    assert box.on(media_files.BINARY) == "mine"
    assert box.on(f"readlink {media_files.LINK}") == "/usr/bin/rclone"
    assert box.on(f"ls -d {AT}; ls /var/cache/rclone").split() == [AT, "theirs"]
    box.on(f"rm -r {media_files.BINARY} {media_files.LINK} {AT} /var/cache/rclone")


def test_a_foreign_mount_is_left_alone(box: Any, up: Any, before: str) -> None:
    box.on(f"mkdir -p {AT} && mount -t tmpfs none {AT}")
    try:
        with pytest.raises(errors.RemoteError, match="tmpfs is mounted there"):
            up()
        assert box.on(f"stat -fc %T {AT}") == "tmpfs"
    finally:
        box.on(f"umount {AT}; rmdir {AT}")
    assert set(box.on(SNAPSHOT).splitlines()) ^ set(before.splitlines()) == set()


def fails_at(world: Any, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Cut the connection's use off at its `number`th command."""
    run, left = world.session.run, [number]

    def failing(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return run(*arguments, **options)

    monkeypatch.setattr(world.session, "run", failing)


def test_interrupted_anywhere_it_goes_on_and_leaves_nothing(
    box: Any, world: Any, kind: Any, up: Any, planned: Any, make_inputs: Any, before: str
) -> None:
    inputs = make_inputs()
    for number in range(20):
        with pytest.MonkeyPatch.context() as patch:
            fails_at(world, patch, number)
            try:
                state = up()
                break
            except KeyboardInterrupt:
                pass
        if number % 2:  # what half a creation leaves is removed, too
            kind.delete(world, inputs, inputs)
            assert set(box.on(SNAPSHOT).splitlines()) ^ set(before.splitlines()) == set()
    assert number >= 3
    assert planned(state) == []
    for step in range(3):
        box.on(f"ls {AT}; echo x >>{media_files.CONFIG}")
        with pytest.MonkeyPatch.context() as patch:
            fails_at(world, patch, step)
            with pytest.raises(KeyboardInterrupt):
                up(state)
        assert planned(state) != []
        state = up(state)
    assert planned(state) == []
    kind.delete(world, state, state)
    assert set(box.on(SNAPSHOT).splitlines()) ^ set(before.splitlines()) == set()


@pytest.fixture
def packages(box: Any, tmp_path: Path) -> Iterator[None]:
    """A node without fuse3, whose package manager can get it."""
    subprocess.run(
        ["apt-get", "-qq", "download", "fuse3", "libfuse3-3"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    index = ""
    for path in sorted(tmp_path.glob("*.deb")):
        data = path.read_bytes()
        fields = subprocess.run(
            ["dpkg-deb", "-f", str(path)], check=True, capture_output=True, text=True
        ).stdout
        index += (
            f"{fields.strip()}\nFilename: ./{path.name}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        )
        box.send(data, f"/opt/repo/{path.name}")
    box.send(index.encode(), "/opt/repo/Packages")
    box.on(
        "mkdir -p /opt/lists && mv /etc/apt/sources.list /opt/lists/ && "
        "echo 'deb [trusted=yes] file:/opt/repo ./' >/etc/apt/sources.list && "
        "dpkg -P fuse3 libfuse3-3 && rm -rf /var/lib/apt/lists/*"
    )
    yield
    box.on(
        "apt-get -qq update; apt-get -qq -y install fuse3; "
        "mv /opt/lists/sources.list /etc/apt/sources.list; rm -r /opt/lists /opt/repo"
    )


def test_fuse_is_brought_and_taken_away(
    box: Any, world: Any, kind: Any, up: Any, planned: Any, packages: None
) -> None:
    bare = box.on(SNAPSHOT)
    assert "packages.fuse3" in planned({})
    state = up()
    assert "README.txt" in box.on(f"ls {AT}")
    noted = box.on(f"cat {media_files.PACKAGES}").split()
    assert sorted(noted) == ["fuse3", "libfuse3-3"]
    kind.delete(world, state, state)
    assert set(box.on(SNAPSHOT).splitlines()) ^ set(bare.splitlines()) == set()


def test_fuse_stays_where_it_is_needed_by_now(
    box: Any, world: Any, kind: Any, up: Any, packages: None
) -> None:
    state = up()
    box.on(
        "mkdir -p /tmp/p/DEBIAN; printf 'Package: films\nVersion: 1\nArchitecture: all\n"
        "Maintainer: Me <me@localhost>\nDepends: fuse3\nDescription: x\n' >/tmp/p/DEBIAN/control;"
        "dpkg-deb -b /tmp/p /tmp/p.deb && dpkg -i /tmp/p.deb"
    )
    world.warned.clear()
    kind.delete(world, state, state)
    assert ["films" in warning for warning in world.warned] == [True]
    assert box.on("command -v fusermount3")
    box.on("dpkg -P films; rm -r /tmp/p /tmp/p.deb")


def test_what_is_not_uploaded_is_not_thrown_away(box: Any, world: Any, kind: Any, up: Any) -> None:
    state = up(options={"vfs-write-back": "1h"})
    box.on(f"echo precious >{AT}/film.mkv; sync")
    world.warned.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media_scripts, "_UPLOAD_WAIT", 1)
        kind.delete(world, state, state)
    assert ["/var/cache/rclone" in warning for warning in world.warned] == [True]
    assert box.on("cat /var/cache/rclone/vfs/media/library/film.mkv") == "precious"
    box.on("rm -r /var/cache/rclone")
