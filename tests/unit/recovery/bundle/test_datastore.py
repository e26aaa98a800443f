"""A SQLite database copied while it is written is one moment of it."""

from __future__ import annotations

import hashlib
import io
import pathlib
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision import errors
from provision.recovery.bundle import datastore, wal

WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA wal_autocheckpoint=" + sys.argv[2])
db.execute("CREATE TABLE IF NOT EXISTS kine (id INTEGER PRIMARY KEY, value BLOB)")
db.execute("CREATE TABLE IF NOT EXISTS total (n INTEGER)")
db.execute("INSERT INTO total VALUES (0)")
print("ready", flush=True)
n = 0
while True:
    n += 1
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO kine (value) VALUES (randomblob(?))", (n * 997 % 20000,))
    if n % 3 == 0:
        db.execute("DELETE FROM kine WHERE id = (SELECT min(id) FROM kine)")
    db.execute("UPDATE total SET n = (SELECT count(*) FROM kine)")
    db.execute("COMMIT")
"""


def kine(path: pathlib.Path, rows: int = 5) -> sqlite3.Connection:
    """A database in WAL mode, left open so that its log stays."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("CREATE TABLE kine (id INTEGER PRIMARY KEY, value BLOB)")
    for number in range(rows):
        db.execute("INSERT INTO kine (value) VALUES (?)", (bytes([number]) * 3000,))
    return db


def rows(image: bytes) -> list[tuple[int, bytes]]:
    opened = sqlite3.connect(":memory:")
    opened.deserialize(image)
    found = opened.execute("SELECT id, value FROM kine ORDER BY id").fetchall()
    opened.close()
    return found


def copied(path: pathlib.Path) -> bytes:
    script = datastore.sqlite_script(str(path), stop=False)
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "drop", "change", "checkpoint"]), st.integers(0, 9000)),
        max_size=25,
    )
)
@settings(max_examples=40, deadline=None)
def test_folding_is_what_sqlite_itself_reads(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("db") / "state.db"
    db = kine(path)
    for step, number in steps:
        if step == "add":
            db.execute("INSERT INTO kine (value) VALUES (zeroblob(?))", (number,))
        elif step == "drop":
            db.execute("DELETE FROM kine WHERE id % 7 = ?", (number % 7,))
        elif step == "change":
            db.execute("UPDATE kine SET value = randomblob(?) WHERE id % 3 = 0", (number,))
        else:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)" if number % 2 else "VACUUM")
    expected = db.execute("SELECT id, value FROM kine ORDER BY id").fetchall()
    log = path.with_name("state.db-wal").read_bytes()
    image = wal.fold(path.read_bytes(), log)
    db.close()
    datastore.check_sqlite(image)
    assert rows(image) == expected


@given(cut=st.integers(0, 10**6), flip=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_torn_log_counts_up_to_its_last_whole_commit(
    cut: int, flip: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("db") / "state.db"
    db = kine(path, rows=8)
    expected = db.execute("SELECT id, value FROM kine ORDER BY id").fetchall()
    log = bytearray(path.with_name("state.db-wal").read_bytes())
    database = path.read_bytes()
    db.close()
    at = cut % len(log)
    if flip:
        log[at] ^= 0xFF
    else:
        del log[at:]
    torn = path.with_name("torn.db")
    torn.write_bytes(database)
    torn.with_name("torn.db-wal").write_bytes(log)
    try:
        image = wal.fold(database, bytes(log))
    except wal.WalError:
        return  # not even its first page came through
    reread = sqlite3.connect(torn)
    tables = reread.execute("SELECT name FROM sqlite_master").fetchall()
    theirs = reread.execute("SELECT id, value FROM kine ORDER BY id").fetchall() if tables else None
    reread.close()
    if theirs is not None:
        assert rows(image) == theirs
        assert theirs == expected[: len(theirs)]


@dataclass(frozen=True, kw_only=True)
class Busy:
    path: pathlib.Path
    writer: subprocess.Popen[str]


def require_one_moment(done: subprocess.CompletedProcess[bytes]) -> None:
    assert done.returncode == 0, done.stderr
    image, attempts, down = datastore.join(done.stdout)
    assert (attempts >= 1, down) == (True, 0)
    opened = sqlite3.connect(":memory:")
    opened.deserialize(image)
    counted, kept = opened.execute(
        "SELECT (SELECT count(*) FROM kine), (SELECT n FROM total)"
    ).fetchone()
    opened.close()
    assert counted == kept


@pytest.fixture(params=["1000", "20", "1"], ids=lambda pages: f"checkpoint-at-{pages}")
def busy(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Busy]:
    """A database that another process writes as fast as it can, checkpoints and all."""
    path = tmp_path / "state.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), request.param], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    yield Busy(path=path, writer=writer)
    writer.kill()
    writer.wait()
    writer.stdout.close()


def test_a_copy_of_a_busy_database_is_one_moment(busy: Busy) -> None:
    script = datastore.sqlite_script(str(busy.path), stop=False)
    for _ in range(12):
        done = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
        # Where checkpoints never pause, a copy may be refused; it is never of two moments.
        if done.returncode != datastore._CHANGED:
            require_one_moment(done)
    busy.writer.kill()
    busy.writer.wait()
    require_one_moment(subprocess.run(["sh", "-c", script], capture_output=True, check=False))
    assert not list(busy.path.parent.glob(".elysium-backup.*"))


def test_a_quiet_database_without_a_log(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.db"
    db = kine(path)
    expected = db.execute("SELECT id, value FROM kine ORDER BY id").fetchall()
    db.close()
    assert not path.with_name("state.db-wal").exists()
    image, attempts, _ = datastore.join(copied(path))
    assert attempts == 1
    assert rows(image) == expected


def test_what_a_killed_copy_left_is_removed(tmp_path: pathlib.Path) -> None:
    kine(tmp_path / "state.db").close()
    left = tmp_path / ".elysium-backup.abcdef"
    left.mkdir()
    copied(tmp_path / "state.db")
    assert not left.exists()


def test_no_database_is_said(tmp_path: pathlib.Path) -> None:
    script = datastore.sqlite_script(str(tmp_path / "state.db"), stop=False)
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"there is no" in done.stderr


@pytest.mark.parametrize("output", [b"", b"hello\n", b"1 100 0 0\nshort", b"1 4 0 0\nhell"])
def test_an_answer_that_came_short_is_refused(output: bytes) -> None:
    with pytest.raises(errors.BundleDamagedError):
        datastore.join(output)


def test_a_damaged_database_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.db"
    kine(path, rows=40).close()
    image = bytearray(path.read_bytes())
    image[4096:8192] = b"\xff" * 4096
    header = f"1 {len(image)} 0 0\n".encode()
    with pytest.raises(errors.BundleDamagedError):
        datastore.join(header + bytes(image))


def test_a_database_of_something_else_is_refused(tmp_path: pathlib.Path) -> None:
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute("CREATE TABLE other (id INTEGER)")
    db.close()
    with pytest.raises(errors.BundleDamagedError, match="kine"):
        datastore.check_sqlite((tmp_path / "state.db").read_bytes())


def test_an_etcd_snapshot_is_checked_by_its_own_checksum() -> None:
    body = bytes(4096)
    snapshot = body + hashlib.sha256(body).digest()
    datastore.check_etcd(snapshot)
    for wrong in (body, snapshot[:-1], b"\1" + snapshot[1:], b""):
        with pytest.raises(errors.BundleDamagedError):
            datastore.check_etcd(wrong)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("snapshot", snapshot)
    assert datastore._unzipped(zipped.getvalue()) == snapshot


@pytest.mark.parametrize("image", [b"", b"x", b"SQLite format 3", b"SQLite format 3\0"])
def test_what_is_no_database_is_told(image: bytes) -> None:
    with pytest.raises(errors.BundleDamagedError, match="does not hold together"):
        datastore.check_sqlite(image)


def compressed(method: int = 0, flags: int = 0, *, cut: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("snapshot", b"etcd" * 100)
    made = bytearray(out.getvalue())
    central = made.index(b"PK\1\2")
    for at in (6, central + 8):
        made[at] |= flags
    if method:
        made[8:10] = made[central + 10 : central + 12] = method.to_bytes(2, "little")
    if cut:
        made[40 : 40 + cut] = b"\xff" * cut
    return bytes(made)


@pytest.mark.parametrize(
    "content",
    [compressed(99), compressed(14), compressed(12), compressed(0, 1), compressed(cut=8)],
    ids=["unknown method", "LZMA", "bzip2", "encrypted", "damaged"],
)
def test_a_compressed_snapshot_that_cannot_be_unpacked_is_told(content: bytes) -> None:
    with pytest.raises(errors.BundleDamagedError, match="does not hold together"):
        datastore._unzipped(content)
