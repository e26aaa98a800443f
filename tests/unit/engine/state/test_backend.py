"""Files, folders, locks and names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision import errors
from provision.engine.embedded import registration, targets
from provision.engine.state import backend, checkpoint, lock, urns
from provision.fileio import atomic


def test_folder_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert backend.folder_of("file://./state", tmp_path) == tmp_path / "state"
    assert backend.folder_of("file:///var/x", tmp_path) == Path("/var/x")
    assert backend.folder_of("file://~/x", tmp_path) == Path("/home/me/x")
    assert backend.folder_of("file://~", tmp_path) == Path("/home/me")
    assert backend.folder_of("file:///a%20b?no_tmp_dir=true", tmp_path) == Path("/a b")
    assert backend.folder_of("file://", tmp_path) == tmp_path
    for url in ("s3://x", "azblob://x", "https://api.pulumi.com", "state"):
        with pytest.raises(errors.StackError):
            backend.folder_of(url, tmp_path)


def test_layout(tmp_path: Path) -> None:
    place = backend.FileBackend("file://./s", tmp_path, "proj", "dev")
    assert place.read() is None
    place.write(checkpoint.empty("proj", "dev", "v1:a:b"))
    root = tmp_path / "s/.pulumi"
    assert (root / "meta.yaml").read_text() == "version: 1\n"
    written = json.loads((root / "stacks/proj/dev.json").read_text())
    assert written["version"] == 3
    assert written["checkpoint"]["stack"] == "organization/proj/dev"
    place.record({"kind": "update", "result": "succeeded"}, changed=True)
    assert len(list((root / "history/proj/dev").glob("dev-*.history.json"))) == 1
    assert len(list((root / "history/proj/dev").glob("dev-*.checkpoint.json"))) == 1
    assert len(list((root / "backups/proj/dev").glob("dev.*.json"))) == 1
    place.record({"kind": "update", "result": "succeeded"}, changed=False)
    assert len(list((root / "history/proj/dev").glob("dev-*.history.json"))) == 2
    assert len(list((root / "backups/proj/dev").glob("dev.*.json"))) == 1


def test_history_is_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_KEPT", 3)
    place = backend.FileBackend("file://./s", tmp_path, "proj", "dev")
    for number in range(5):
        place.record({"n": number}, changed=False)
    kept = [json.loads(path.read_text())["n"] for path in sorted(place.history.iterdir())]
    assert kept == [2, 3, 4]


def test_a_newer_compressed_state_is_refused(tmp_path: Path) -> None:
    place = backend.FileBackend("file://./s", tmp_path, "proj", "dev")
    place.write(checkpoint.empty("proj", "dev", "v1:a:b"))
    other = place.path.with_name("dev.json.gz")
    other.write_bytes(b"x")
    os.utime(other, (1, 1))
    assert place.read() is not None
    os.utime(place.path, (0, 0))
    with pytest.raises(errors.StackError, match="compressed"):
        place.read()


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a/b"
    atomic.write(path, b"old")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="full"):
        atomic.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in path.parent.iterdir()] == ["b"]


def _full(_: int) -> None:
    raise OSError("full")


def test_keep_does_not_follow_later_writes(tmp_path: Path) -> None:
    atomic.write(tmp_path / "a", b"1")
    atomic.keep(tmp_path / "a", tmp_path / "a.bak")
    atomic.write(tmp_path / "a", b"2")
    assert (tmp_path / "a.bak").read_bytes() == b"1"
    atomic.keep(tmp_path / "a", tmp_path / "a.bak")
    (tmp_path / "a").write_bytes(b"in place")
    assert (tmp_path / "a.bak").read_bytes() == b"2"


def test_one_lock_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    with lock.StackLock(folder):
        body = json.loads(next(folder.glob("*.json")).read_text())
        assert {"pid", "username", "hostname", "timestamp"} <= set(body)
        with pytest.raises(errors.StackError, match=f"process {os.getpid()}"):
            lock.StackLock(folder).acquire()
    assert list(folder.iterdir()) == []
    with lock.StackLock(folder):
        pass


def test_the_lock_of_a_dead_process_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    code = f"""
import os, pathlib
from provision.engine.state import lock
lock.StackLock(pathlib.Path({str(folder)!r})).acquire()
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(lock.held(folder)) == 1
    mine = lock.StackLock(folder)
    with mine:
        assert len(lock.held(folder)) == 1
    assert "took away the lock" in mine.broken[0]


@pytest.mark.parametrize(
    "change",
    [
        {"hostname": "elsewhere"},
        {"elysium": None},
    ],
)
def test_other_locks_are_left(tmp_path: Path, change: dict[str, object]) -> None:
    body = lock._body() | {"pid": 2**22 + 1}
    body["elysium"]["started"] = "1"
    atomic.write(tmp_path / "x.json", json.dumps(body | change).encode())
    with pytest.raises(errors.StackError, match="locked"):
        lock.StackLock(tmp_path).acquire()
    atomic.write(tmp_path / "x.json", json.dumps(body).encode())
    lock.StackLock(tmp_path).acquire()


def test_an_unreadable_lock_is_respected(tmp_path: Path) -> None:
    atomic.write(tmp_path / "x.json", b"{")
    with pytest.raises(errors.StackError, match="cannot be read"):
        lock.StackLock(tmp_path).acquire()


def test_urns() -> None:
    stack = urns.make("dev", "proj", "", urns.ROOT_TYPE, "proj-dev")
    group = urns.make("dev", "proj", stack, "a:b:C", "g")
    child = urns.make("dev", "proj", group, "d:e:F", "x::y")
    assert group == "urn:pulumi:dev::proj::a:b:C::g"
    assert child == "urn:pulumi:dev::proj::a:b:C$d:e:F::x::y"
    assert (urns.type_of(child), urns.name_of(child)) == ("d:e:F", "x::y")
    assert (urns.stack_of(child), urns.project_of(child)) == ("dev", "proj")
    assert urns.split_reference(f"{child}::id") == (child, "id")
    assert urns.package_of("pulumi:providers:mem") == "mem"
    assert urns.package_of("mem:index:X") == "mem"


def test_targets() -> None:
    a = "urn:pulumi:dev::proj::m:i:Group$m:i:Thing::a"
    b = "urn:pulumi:dev::proj::m:i:Thing::b"
    assert targets.Targets(()).include(a)
    for pattern, hits in ((a, [a]), ("**::a", [a]), ("urn:pulumi:dev::proj::*::*", [a, b])):
        found = targets.Targets((pattern,))
        assert [urn for urn in (a, b) if found.include(urn)] == hits
    assert not targets.Targets(("*a",)).include(a)
    found = targets.Targets((b, "**::zzz"))
    assert found.include("urn:pulumi:dev::proj::pulumi:providers:mem::default")
    assert found.include(b)
    with pytest.raises(errors.StackError, match="zzz"):
        found.require_used()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25), ("", 0), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert registration.seconds(text) == seconds


@pytest.mark.parametrize("text", ["5", "m", "5x", "5m x", "-5m"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        registration.seconds(text)
