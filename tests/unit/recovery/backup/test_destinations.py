"""A copy of a backup is compared before it has its name: a bad one replaces nothing."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from provision import config, errors
from provision.fileio import atomic
from provision.host import channel, scripts
from provision.recovery.backup import destinations

NAME = "kyrion-20260301T020304Z.tar.gz.age"
GOOD = b"the good backup"
STALE = ".kyrion-20260101T000000Z.tar.gz.age{}.tmp"
OLD = (946684800, 946684800)


class Local:
    """Runs what would go over SSH in a shell of this machine; `limit` cuts standard input."""

    limit: int | None = None

    def __init__(self, login: config.SshLogin) -> None:
        self.host = login.host

    def execute(self, job: channel.Job) -> channel.Completed:
        assert isinstance(job.stdin, bytes)
        done = subprocess.run(
            ["/bin/sh", "-c", job.command],
            input=job.script + job.stdin[: self.limit],
            capture_output=True,
            timeout=job.timeout,
            check=False,
        )
        greeting, mark, output = done.stdout.partition(job.start)
        assert mark and not greeting
        return channel.Completed(
            status=done.returncode, stdout=output, stderr=done.stderr, seconds=0
        )

    def close(self) -> None:
        pass


def go_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take this machine for the server, where the programs of `shim` come first."""
    monkeypatch.setattr(destinations.transport, "Transport", Local)
    prelude = scripts.USER_PRELUDE.replace(scripts.PATH, os.environ["PATH"])
    monkeypatch.setattr(scripts, "USER_PRELUDE", prelude)


@pytest.fixture(params=["folder", "remote", "server"])
def place(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> destinations.Place:
    tools = pathlib.Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{tools}:{os.environ['PATH']}")
    kept = tmp_path / "it's kept"
    if request.param == "folder":
        return destinations.Folder(path=kept, cluster="kyrion", make=True)
    if request.param == "remote":
        return destinations.Remote(remote=f":local:{kept}", cluster="kyrion")
    go_local(monkeypatch)
    return destinations.Server(login=config.SshLogin(host="nas"), path=str(kept), cluster="kyrion")


def shim(tmp_path: pathlib.Path, program: str, script: str) -> None:
    """Put a program of that name before the real one on PATH."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    path = tmp_path / "bin" / program
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def broken(
    place: destinations.Place, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have the place keep less than it is given, without an error."""
    if isinstance(place, destinations.Folder):
        whole = pathlib.Path.read_bytes
        monkeypatch.setattr(pathlib.Path, "read_bytes", lambda path: whole(path)[:-1])
    elif isinstance(place, destinations.Server):
        monkeypatch.setattr(Local, "limit", 7)
    else:
        real = pathlib.Path(sys.executable).with_name("rclone")
        cut = f'if [ "$1" = rcat ]; then head -c 7 | {real} "$@"; else exec {real} "$@"; fi'
        shim(tmp_path, "rclone", cut)


def test_what_is_written_is_there_and_nothing_else(
    place: destinations.Place, tmp_path: pathlib.Path
) -> None:
    place.put(NAME, GOOD)
    place.put(NAME, GOOD + b", again")
    kept = tmp_path / "it's kept"
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {NAME: GOOD + b", again"}
    assert place.names() == [NAME]


def test_a_bad_copy_replaces_no_good_one(
    place: destinations.Place, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put(NAME, GOOD)
    with monkeypatch.context() as patch:
        broken(place, tmp_path, patch)
        with pytest.raises(errors.ElysiumError, match="does not keep") as caught:
            place.put(NAME, b"another one, of which a part arrives")
        assert "read back" in caught.value.detail
    kept = tmp_path / "it's kept"
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {NAME: GOOD}


def test_a_bad_copy_is_not_listed_as_a_backup(
    place: destinations.Place, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        broken(place, tmp_path, patch)
        with pytest.raises(errors.ElysiumError):
            place.put(NAME, GOOD)
    assert place.names() == []
    assert not list((tmp_path / "it's kept").iterdir())


def test_what_a_killed_run_left_goes_and_that_of_a_running_one_stays(
    place: destinations.Place, tmp_path: pathlib.Path
) -> None:
    kept = tmp_path / "it's kept"
    kept.mkdir()
    middle = ".0a1b2c3d" if isinstance(place, destinations.Folder) else ""
    old, foreign = kept / STALE.format(middle), kept / ".arkham-20260101T000000Z.tar.gz.age.tmp"
    young = kept / ".kyrion-20260228T000000Z.tar.gz.age.01234567.tmp"
    for path in (old, foreign, young):
        path.write_bytes(b"cut")
    for path in (old, foreign):
        os.utime(path, OLD)
    place.put(NAME, GOOD)
    assert {path.name for path in kept.iterdir()} == {NAME, foreign.name, young.name}


def test_a_server_without_sha256sum_gets_no_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    go_local(monkeypatch)
    shim(tmp_path, "sha256sum", "echo sha256sum: not found >&2; exit 127")
    server = destinations.Server(
        login=config.SshLogin(host="nas"), path=str(tmp_path / "kept"), cluster="kyrion"
    )
    with pytest.raises(errors.CommandError) as caught:
        server.put(NAME, GOOD)
    assert "sha256sum" in caught.value.stderr
    assert not list((tmp_path / "kept").iterdir())


def test_a_file_that_reads_back_as_another_replaces_none(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(GOOD)
    whole: Any = pathlib.Path.read_bytes
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "read_bytes", lambda each: whole(each)[:-1])
        with pytest.raises(OSError, match="read back"):
            atomic.write(path, b"another", read_back=True)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [GOOD]
