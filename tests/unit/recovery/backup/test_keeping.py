"""Backups are whole wherever they are, and the newest verified one stays."""

from __future__ import annotations

import datetime
import os
import pathlib
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision import config, errors
from provision.recovery.backup import backup, catalog, collect, destinations, records, retention
from provision.recovery.bundle import archive, encryption
from provision.recovery.bundle import validation as bundle_validation
from provision.secret import Secret
from tests.support import bundles, steps

KEY = pyrage.x25519.Identity.generate()
KEYS = encryption.Identities(texts=(Secret(str(KEY)),))
LOCKS = encryption.Recipients(lines=(str(KEY.to_public()),))


def stack(root: pathlib.Path, **settings: Any) -> Any:
    """What `backup.make` asks of a stack when collecting is given."""
    cfg = types.SimpleNamespace(cluster="kyrion", backup=config.Backup(**settings))
    return types.SimpleNamespace(directory=root, config=cfg)


@pytest.fixture
def rclone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rclone of this environment on PATH."""
    folder = pathlib.Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(autouse=True)
def collected(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One second later each time, also after a process that was killed."""
    clock = tmp_path_factory.mktemp("clock") / "clock"
    clock.write_text("10")

    def given_parts(_stack: Any, _choice: Any, _progress: Callable[[str], None]) -> Any:
        now = int(clock.read_text())
        clock.write_text(str(now + 1))
        created = f"2026-03-01T02:03:{now}Z"
        return bundles.described(created=created), tuple(bundles.contents(notes=b"n" * 9000))

    monkeypatch.setattr(collect, "collect", given_parts)


def make(root: pathlib.Path, **more: Any) -> backup.Made:
    settings = {k: more.pop(k) for k in list(more) if k in config.Backup.model_fields}
    return backup.make(stack(root, **settings), LOCKS, collect.Choice(), **more)


stamps = st.datetimes(datetime.datetime(2026, 1, 1), datetime.datetime(2026, 6, 1))


@given(
    times=st.lists(stamps, min_size=1, max_size=20, unique=True),
    keep=st.integers(1, 10),
    days=st.integers(0, 90),
    data=st.data(),
)
def test_the_newest_and_the_verified_one_stay(
    times: list[datetime.datetime], keep: int, days: int, data: st.DataObject
) -> None:
    names = sorted({f"kyrion-{t:%Y%m%dT%H%M%SZ}.tar.gz.age" for t in times})
    spare = data.draw(st.sampled_from(names))
    now = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
    gone = retention.surplus(names, keep=keep, days=days, now=now, spare=spare)
    assert spare not in gone
    assert names[-1] not in gone
    left = [name for name in names if name not in gone]
    assert len([name for name in left if name not in (spare, names[-1])]) <= keep
    if not days:
        assert set(names[-keep:]) <= set(left)


def test_a_backup_is_whole_recorded_and_copied(tmp_path: pathlib.Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = make(tmp_path, copies=({"directory": str(disk)},))
    for path in (done.path, disk / done.path.name):
        assert archive.read(path.read_bytes(), KEYS).manifest == done.manifest
        assert path.stat().st_mode & 0o777 == 0o600
    entry = records.load(tmp_path, "kyrion").newest
    assert entry == done.entry
    assert entry is not None
    assert (entry.missing, len(entry.places)) == ((), 2)


def test_old_ones_are_removed_everywhere(tmp_path: pathlib.Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    stranger = disk / "arkham-20260101T000000Z.tar.gz.age"
    stranger.write_bytes(b"")
    copies = ({"directory": str(disk)},)
    names = [make(tmp_path, copies=copies, keep=2).path.name for _ in range(4)]
    assert destinations.bundles_in(os.listdir(disk), "kyrion") == names[-2:]  # noqa: PTH208
    here = os.listdir(tmp_path / ".elysium/backups")  # noqa: PTH208
    assert destinations.bundles_in(here, "kyrion") == names[-2:]
    assert stranger.exists()
    assert [entry.file for entry in records.load(tmp_path, "kyrion").backups] == names[-2:]


def test_a_disk_that_is_not_mounted_is_told_before_anything_is_made(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(errors.ConfigError, match="not there"):
        make(tmp_path, copies=({"directory": str(tmp_path / "usb")},))
    assert records.load(tmp_path, "kyrion").newest is None


@pytest.mark.usefixtures("rclone")
def test_a_place_that_fails_keeps_nothing_from_the_others(tmp_path: pathlib.Path) -> None:
    remote, disk = tmp_path / "remote", tmp_path / "disk"
    disk.mkdir()
    remote.write_text("a file, where a folder is wanted")
    copies = ({"rclone": f":local:{remote}"}, {"directory": str(disk)})
    with pytest.raises(errors.ElysiumError, match="does not keep"):
        make(tmp_path, copies=copies, keep=1)
    entry = records.load(tmp_path, "kyrion").newest
    assert entry is not None
    assert entry.missing == (f":local:{remote}",)
    assert (disk / entry.file).exists()


def test_a_machine_that_is_down_keeps_nothing_from_the_others(tmp_path: pathlib.Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    disk = tmp_path / "disk"
    disk.mkdir()
    login = {"host": "127.0.0.1", "port": port, "agent": False}
    copies = ({"ssh": login, "path": "/srv/backups"}, {"directory": str(disk)})
    with pytest.raises(errors.RemoteError):
        make(tmp_path, copies=copies, keep=1)
    entry = records.load(tmp_path, "kyrion").newest
    assert entry is not None and entry.missing == ("root@127.0.0.1:/srv/backups",)
    assert (disk / entry.file).exists()


@pytest.mark.usefixtures("rclone")
def test_an_rclone_remote(tmp_path: pathlib.Path) -> None:
    copies = ({"rclone": f":local:{tmp_path}/remote/deep"},)
    names = [make(tmp_path, copies=copies, keep=1).path.name for _ in range(2)]
    assert os.listdir(tmp_path / "remote/deep") == names[-1:]  # noqa: PTH208
    assert archive.read((tmp_path / "remote/deep" / names[-1]).read_bytes(), KEYS)


def test_without_rclone_it_is_said_first(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.ConfigError, match="no rclone"):
        make(tmp_path, copies=({"rclone": "b2:x"},))


def test_two_at_once_are_refused(tmp_path: pathlib.Path) -> None:
    with (
        records.only_one(tmp_path, "kyrion"),
        pytest.raises(errors.ElysiumError, match="another backup"),
    ):
        make(tmp_path)


PLACES = [(step.name, moment) for step in backup.STEPS for moment in ("before", "after")]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], object]) -> None:
    """Do `work` in a process of its own, which must kill itself."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.parametrize(("step", "moment"), PLACES)
def test_killed_at_any_step_and_run_again(
    tmp_path: pathlib.Path, step: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there verifies, whatever step was the last; the next run is whole, everywhere."""
    folders = [tmp_path / name for name in (".elysium/backups", "disk", "stick")]
    for folder in folders[1:]:
        folder.mkdir()
    copies = tuple({"directory": str(folder)} for folder in folders[1:])
    first = make(tmp_path, copies=copies, keep=1)
    with monkeypatch.context() as patch:
        patch.setattr(backup, "STEPS", steps.hooked(backup.STEPS, step, moment, die))
        killed(lambda: make(tmp_path, copies=copies, keep=1))
    left = [path for folder in folders for path in folder.iterdir()]
    for path in left:
        bundle_validation.check(archive.read(path.read_bytes(), KEYS))
    assert first.path in left or len(places_of(folders[0])) == 1
    newest = records.load(tmp_path, "kyrion").newest
    assert newest is not None
    assert catalog.compare((folders[0] / newest.file).read_bytes(), newest)
    again = make(tmp_path, copies=copies, keep=1)
    assert again.entry.missing == ()
    assert [places_of(folder) for folder in folders] == [[again.path.name]] * 3


def test_killed_between_two_copies(tmp_path: pathlib.Path) -> None:
    for name in ("disk", "stick"):
        (tmp_path / name).mkdir()
    copies = tuple({"directory": str(tmp_path / name)} for name in ("disk", "stick"))

    def at_the_second(message: str) -> None:
        if message.endswith("stick"):
            die()

    killed(lambda: make(tmp_path, copies=copies, progress=at_the_second))
    newest = records.load(tmp_path, "kyrion").newest
    assert newest is not None and newest.missing == (str(tmp_path / "stick"),)
    assert places_of(tmp_path / "disk") == [newest.file] and not places_of(tmp_path / "stick")


def places_of(folder: pathlib.Path) -> list[str]:
    return destinations.Folder(path=folder, cluster="kyrion").names()


def test_killed_while_it_is_written_there_is_no_file(tmp_path: pathlib.Path) -> None:
    script = (
        "import os, signal, pathlib\n"
        "from provision.recovery.backup import destinations\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"folder = destinations.Folder(path=pathlib.Path({str(tmp_path)!r}), cluster='kyrion')\n"
        "folder.put('kyrion-20260301T020304Z.tar.gz.age', b'x' * 100000)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    folder = destinations.Folder(path=tmp_path, cluster="kyrion")
    assert folder.names() == []
    (left,) = tmp_path.iterdir()
    os.utime(left, (0, 0))
    folder.put("kyrion-20260301T020305Z.tar.gz.age", b"y")
    assert [path.name for path in tmp_path.iterdir()] == ["kyrion-20260301T020305Z.tar.gz.age"]


def test_the_record_tells_a_cut_file_from_a_changed_one(tmp_path: pathlib.Path) -> None:
    done = make(tmp_path)
    content = done.path.read_bytes()
    assert catalog.compare(content, done.entry)
    assert not catalog.compare(content, None)
    with pytest.raises(errors.BundleDamagedError, match="cut short"):
        catalog.compare(content[:-1], done.entry)
    with pytest.raises(errors.BundleDamagedError, match="changed"):
        catalog.compare(content[:-1] + b"\0\0", done.entry)


def test_extracting_writes_private_files_and_overwrites_none(tmp_path: pathlib.Path) -> None:
    found = archive.read(make(tmp_path).path.read_bytes(), KEYS)
    (path,) = catalog.extract(found, ["stack/passphrase"], tmp_path / "out")
    assert path.read_bytes() == b"canary-passphrase"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(errors.ConfigError, match="already"):
        catalog.extract(found, [], tmp_path / "out")
    with pytest.raises(errors.BundlePartError):
        catalog.extract(found, ["nothing"], tmp_path / "out")
