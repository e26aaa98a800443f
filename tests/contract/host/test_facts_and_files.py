"""Facts, bundles, uploads and the lock, on a real file system over a real sshd."""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import subprocess
from concurrent import futures

import pytest

from provision import errors
from provision.host import bundle, facts, session, staging

ODD = ["with blank", "new\nline", "tab\t", "quote'\"", "back\\slash", "-dash", "ünïcode", "*star"]


def ask(opened: session.NodeSession, **wanted: object) -> facts.NodeFacts:
    opened.invalidate()
    return opened.facts(facts.FactRequest(**{k: frozenset(v) for k, v in wanted.items()}))  # type: ignore


def test_files_of_every_kind(node_session: session.NodeSession, tmp_path: pathlib.Path):
    (tmp_path / "file").write_bytes(b"one\0two\n")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "empty").touch()
    (tmp_path / "dir").mkdir(mode=0o711)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("/nowhere at all")
    os.mkfifo(tmp_path / "pipe")
    names = ("file", "empty", "dir", "link", "dangling", "pipe", "absent")
    paths = [str(tmp_path / name) for name in names]
    found = ask(node_session, files=paths, contents=paths[:2] + paths[3:4])
    file = found.file(paths[0])
    assert file is not None
    assert (file.kind, file.mode, file.size, file.content) == ("file", 0o640, 8, b"one\0two\n")
    assert file.sha256 == hashlib.sha256(b"one\0two\n").hexdigest()
    assert (file.uid, file.gid) == (os.getuid(), os.getgid())
    kinds = {
        name: getattr(found.file(path), "kind", None)
        for name, path in zip(names, paths, strict=True)
    }
    assert kinds == {
        "file": "file",
        "empty": "file",
        "dir": "directory",
        "link": "link",
        "dangling": "link",
        "pipe": "other",
        "absent": None,
    }
    link = found.file(paths[3])
    assert link is not None and (link.target, link.content, link.sha256) == ("file", None, None)
    assert found.file(paths[4]).target == "/nowhere at all"  # type: ignore[union-attr]
    assert found.file(paths[1]).content == b""  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(node_session: session.NodeSession, tmp_path: pathlib.Path, name: str):
    folder = tmp_path / name
    folder.mkdir()
    (folder / name).write_text(name)
    path = str(folder / name)
    found = ask(node_session, files=[path], contents=[path], listings=[str(folder)])
    assert found.listing(str(folder)) == (name,)
    assert found.file(path).text == name  # type: ignore[union-attr]


def test_listings(node_session: session.NodeSession, tmp_path: pathlib.Path):
    for name in (".hidden", "b", "a", "..twodots", *ODD):
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    found = ask(node_session, listings=[str(tmp_path), str(tmp_path / "empty"), "/no/such"])
    assert found.listing(str(tmp_path)) == tuple(sorted(entry.name for entry in tmp_path.iterdir()))
    assert found.files[f"{tmp_path}/.hidden"].sha256 == hashlib.sha256(b".hidden").hexdigest()
    assert found.listing(str(tmp_path / "empty")) == ()
    assert found.listing("/no/such") is None
    with pytest.raises(KeyError):
        found.listing("/never/asked")


def test_the_machine(node_session: session.NodeSession):
    found = ask(
        node_session,
        commands=["sh", "no-such-command"],
        disks=["/no/such/path/yet", "/"],
        ports=[node_session.node.port, 1],
        mounts=["/proc", "/no/mount"],
        snippets=[("two", "echo 'a b'; printf 'c'"), ("none", "exit 3")],
    )
    system = found.system
    assert system.hostname == os.uname().nodename
    assert system.machine == os.uname().machine
    assert abs(system.memory - os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) < 2**24
    assert system.id and "proc" in system.filesystems
    assert system.clock_skew == 0.0
    assert found.command("sh") and found.command("no-such-command") is None
    stat = os.statvfs("/")
    assert found.disk("/no/such/path/yet") is not None
    assert 0 < found.disk("/").free <= stat.f_blocks * stat.f_frsize  # type: ignore[union-attr]
    assert found.listens(node_session.node.port) and not found.listens(1)
    assert found.mount("/proc").fstype == "proc"  # type: ignore[union-attr]
    assert found.mount("/no/mount") is None
    assert found.snippet("two") == "a b\nc" and found.snippet("none") == ""


def test_one_connection_and_one_command_for_everything(sshd):
    with session.NodeSession(sshd.node()) as opened:
        one = facts.FactRequest(files=frozenset({"/etc/passwd"}))
        two = facts.FactRequest(contents=frozenset({"/etc/hosts"}), units=frozenset({"x.service"}))
        opened.prefetch(one, two)
        assert opened.transport.connections == 0, "nothing is contacted before a question"
        assert opened.facts(two).file("/etc/hosts").text  # type: ignore[union-attr]
        assert opened.facts(one).file("/etc/passwd")
        assert (opened.transport.connections, opened.transport.commands) == (1, 1)
        opened.facts(facts.FactRequest(files=frozenset({"/etc/group"})))
        assert opened.transport.commands == 2, "what nobody foresaw is one more"
        opened.facts(one | two)
        assert opened.transport.commands == 2, "which answered the union"


def test_a_login_shell_that_talks(sshd, node_session: session.NodeSession):
    """Only output in front of the facts can come from a profile."""
    script = "echo 'Welcome!'; echo mail >&2\n"
    profile = sshd.folder / "profile"
    profile.write_text(script)
    # bash reads BASH_ENV's like when started by sshd: ~/.bashrc; here it is simulated
    original = node_session._elevation.command
    node_session._elevation.command = lambda text, *, timeout: (  # type: ignore[method-assign]
        f". {profile}; {original(text, timeout=timeout)}"
    )
    assert ask(node_session, files=["/etc/passwd"]).file("/etc/passwd")


def test_a_large_file_read_while_it_changes_is_never_torn(
    node_session: session.NodeSession, tmp_path: pathlib.Path
):
    path = tmp_path / "busy"
    path.write_bytes(b"a" * 100_000)
    writer = subprocess.Popen(
        [
            "sh",
            "-c",
            f"while :; do head -c 100000 /dev/zero | tr '\\0' b >{path}; "
            f"head -c 90000 /dev/zero | tr '\\0' c >{path}; sleep 0.3; done",
        ],
        start_new_session=True,
    )
    try:
        for _round in range(5):
            try:
                found = ask(node_session, contents=[str(path)]).file(str(path))
            except errors.RemoteError as error:
                assert "cannot be read" in error.summary
                continue
            assert found is not None and found.content is not None
            assert hashlib.sha256(found.content).hexdigest() == found.sha256
    finally:
        writer.terminate()
        writer.wait(10)


# -- bundles -----------------------------------------------------------------


def test_a_bundle_is_applied(node_session: session.NodeSession, tmp_path: pathlib.Path):
    old = tmp_path / "old"
    old.write_text("old")
    (tmp_path / "gone").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").touch()
    (tmp_path / "hollow").mkdir()
    content = bytes(range(256)) * 300
    node_session.apply(
        bundle.Bundle(
            directories=(bundle.Directory(path=f"{tmp_path}/d/e", mode=0o700),),
            files=(
                bundle.File(path=str(old), content=b"new", mode=0o600),
                bundle.File(path=f"{tmp_path}/deep/er/bin\nary", content=content, mode=0o755),
                bundle.File(path=f"{tmp_path}/empty", content=b""),
            ),
            links=(
                bundle.Link(path=f"{tmp_path}/link", target="old"),
                bundle.Link(path=f"{tmp_path}/hollow.link", target="/a b"),
            ),
            removals=(f"{tmp_path}/gone", f"{tmp_path}/full", f"{tmp_path}/hollow", "/no/such"),
        )
    )
    assert old.read_text() == "new" and old.stat().st_mode & 0o7777 == 0o600
    binary = tmp_path / "deep/er/bin\nary"
    assert binary.read_bytes() == content and binary.stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "deep").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "d/e").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "empty").read_bytes() == b""
    assert (tmp_path / "link").readlink() == pathlib.Path("old")
    assert (tmp_path / "full/kept").exists()
    assert not (tmp_path / "gone").exists() and not (tmp_path / "hollow").exists()
    assert [p for p in tmp_path.rglob("*") if p.name.endswith(staging.SUFFIX)] == []
    assert staged(node_session) == []


def staged(opened: session.NodeSession) -> list[str]:
    """Return what is left in the node's own staging folder."""
    return opened.run(f"ls {staging.STAGE}", timeout=30, what="listing it").stdout.decode().split()


def test_bundles_side_by_side_do_not_meet(
    node_session: session.NodeSession, tmp_path: pathlib.Path
):
    # What a process left that is gone: the number is more than any process id.
    node_session.run(f"mkdir -p {staging.STAGE}/4194305", timeout=30, what="leaving a folder")
    assert staged(node_session) == ["4194305"]

    def wanted(number: int) -> bundle.Bundle:
        content = f"{number}\n".encode() * 200_000
        return bundle.Bundle(files=(bundle.File(path=f"{tmp_path}/{number}", content=content),))

    with futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: node_session.apply(wanted(number)), range(12)))
    for number in range(12):
        assert set((tmp_path / str(number)).read_text().split()) == {str(number)}
    assert staged(node_session) == []


def test_an_empty_bundle_contacts_nobody(sshd):
    opened = session.NodeSession(sshd.node())
    opened.apply(bundle.Bundle())
    assert opened.transport.connections == 0


def test_a_bundle_that_fails_changes_no_file(
    node_session: session.NodeSession, tmp_path: pathlib.Path
):
    (tmp_path / "a").write_text("old")
    (tmp_path / "file").touch()
    wanted = bundle.Bundle(
        files=(
            bundle.File(path=f"{tmp_path}/a", content=b"new"),
            # Its folder is a file: staging fails before anything is renamed.
            bundle.File(path=f"{tmp_path}/file/b", content=b"new"),
        )
    )
    with pytest.raises(errors.CommandError):
        node_session.apply(wanted)
    assert (tmp_path / "a").read_text() == "old"
    (tmp_path / "file").unlink()
    node_session.apply(wanted)
    assert (tmp_path / "a").read_text() == "new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "file"]


def test_a_link_is_replaced_and_not_followed(
    node_session: session.NodeSession, tmp_path: pathlib.Path
):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "conf").symlink_to(target)
    (tmp_path / "turn").symlink_to("folder")
    node_session.apply(
        bundle.Bundle(
            files=(bundle.File(path=f"{tmp_path}/conf", content=b"ours"),),
            links=(bundle.Link(path=f"{tmp_path}/turn", target="target"),),
        )
    )
    assert target.read_text() == "precious"
    assert not (tmp_path / "conf").is_symlink() and (tmp_path / "conf").read_text() == "ours"
    assert (tmp_path / "turn").readlink() == pathlib.Path("target")
    assert list((tmp_path / "folder").iterdir()) == []


# -- uploads -----------------------------------------------------------------


def test_a_big_file(node_session: session.NodeSession, tmp_path: pathlib.Path):
    content = os.urandom(12_000_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    target = tmp_path / "new folder" / "target"
    assert node_session.stream(source, str(target), mode=0o755)
    assert target.read_bytes() == content and target.stat().st_mode & 0o7777 == 0o755
    digest = hashlib.sha256(content).hexdigest()
    ask(node_session, files=[str(target)])
    commands = node_session.transport.commands
    assert not node_session.stream(source, str(target), mode=0o755, sha256=digest)
    assert node_session.transport.commands == commands, "known to be there, so nothing is sent"
    assert node_session.stream(io.BytesIO(b"small"), str(target), mode=0o644, sha256="0" * 64)
    assert target.read_bytes() == b"small"


def test_a_file_that_comes_short_is_not_put_in_place(
    node_session: session.NodeSession, tmp_path: pathlib.Path
):
    class Short(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size) if self.tell() == 0 else b""

    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(errors.CommandError, match="uploading") as caught:
        node_session.stream(Short(b"x" * 2_000_000), str(target), mode=0o755)
    assert "came short" in caught.value.detail
    assert target.read_text() == "old"


def test_no_room(node_session: session.NodeSession):
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(errors.CommandError, match="status") as caught:
        node_session.run("cat >/dev/full", stdin=b"x" * 9_000_000, timeout=20, what="writing")
    assert "No space left" in caught.value.detail


# -- the lock ----------------------------------------------------------------


def test_two_operators(sshd, tmp_path: pathlib.Path):
    wanted = bundle.Bundle(files=(bundle.File(path=f"{tmp_path}/f", content=b"x"),))
    with session.NodeSession(sshd.node()) as one, session.NodeSession(sshd.node()) as two:
        one.apply(wanted)
        assert two.run("echo reading", timeout=9, what="x", reads_only=True).text == "reading\n"
        with pytest.raises(errors.RemoteError, match="changed by someone else") as caught:
            two.apply(wanted)
        assert f"process {os.getpid()}" in caught.value.detail
        one.apply(wanted)  # its own lock is in nobody's way
        one.close()
        two.apply(wanted)
        assert sshd.lock.read_text()
    assert sshd.lock.exists()


def test_an_operator_whose_connection_breaks_holds_nothing(sshd):
    with session.NodeSession(sshd.node()) as one, session.NodeSession(sshd.node()) as two:
        one.lock()
        one.transport.connected().sock.close()
        two.lock()
