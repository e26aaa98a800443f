"""Copying the cluster's datastore from a bare node: consistent, checked, in memory.

etcd: ``k3s etcd-snapshot save``, and the checksum that etcd puts at its end.

SQLite: the node has no ``sqlite3``, and needs none. kine keeps the database
in WAL mode, where pages move from the log to the database only by a
checkpoint, and a log is begun anew only with other salts in its header. So the
database is copied first and the log after it; as long as the log's header is
the same before and after, the log that was copied holds every page that a
checkpoint may have changed meanwhile, and both together are one moment. Else
it is copied again. k3s runs on. What was copied is folded into one file
(`wal.fold`) and integrity checked here.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import sqlite3
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Final, Literal

from provision import errors
from provision.host import scripts
from provision.host.session import NodeSession
from provision.recovery.bundle import manifest, parts, wal

Kind = Literal["sqlite", "etcd"]
_TIMEOUT: Final = 900
_ATTEMPTS: Final = 10
_CHANGED: Final = 75
"""The script's status when the log was begun anew each time (EX_TEMPFAIL)."""
_NO_ROOM: Final = 28
_OUTPUT: Final = manifest.MAX_BYTES + 256 * 1024**2
"""Bytes that are taken from the node: more than fits into a backup, for SQLite's log."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of the datastore. `how` says how it was made and what that cost, in a sentence."""

    kind: Kind
    part: str
    content: bytes = field(repr=False)
    how: str


def copy(
    node: NodeSession,
    kind: Kind,
    data: str,
    *,
    stop: bool = False,
    stamp: str = "",
    snapshots: str = "",
) -> Copy:
    """Return a checked copy of the datastore under k3s' folder `data`.

    With `stop`, k3s is stopped while SQLite's files are copied on the node;
    containers run on. `snapshots` is where k3s was told to write those of etcd,
    if it was. Raises `errors.BundleError` when the copy does not hold
    together, and the errors of `NodeSession.run`.
    """
    if kind == "etcd":
        return _etcd(node, snapshots or f"{data}/server/db/snapshots", stamp)
    return _sqlite(node, f"{data}/server/db/state.db", stop=stop)


def sqlite_script(database: str, *, stop: bool) -> str:
    """Return the script that prints ``attempts size size stopped`` and both files' bytes.

    The copies are made beside the database, readable by root only, and
    removed when the script ends; those of a killed one, by the next.
    """
    begin = "systemctl stop k3s.service\nstopped=1\nsince=$(date +%s)\n" if stop else ""
    end = "resume\n" if stop else ""
    return f"""set -u
db={scripts.quote([database])}
dir=${{db%/*}}
[ -f "$db" ] || {{ echo "there is no $db" >&2; exit 2; }}
rm -rf "$dir"/.elysium-backup.*
need=$(( ($(cat "$db" "$db-wal" 2>/dev/null | wc -c) / 1024) * 2 + 65536 ))
room=$(df -Pk "$dir" | awk 'NR == 2 {{ print $4 }}')
[ "$room" -gt "$need" ] || {{ echo "$room KiB are free in $dir, $need are needed" >&2
exit {_NO_ROOM}; }}
stopped=0
down=0
resume() {{
[ "$stopped" = 0 ] && return
stopped=0
systemctl start k3s.service
down=$(( $(date +%s) - since ))
}}
umask 077
tmp=$(mktemp -d "$dir/.elysium-backup.XXXXXX") || exit 1
trap 'resume; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM PIPE
mark() {{
if [ -s "$db-wal" ]; then
dd if="$db-wal" bs=32 count=1 2>/dev/null | od -An -tx1
else
stat -c '%i %s %y' "$db" "$db-wal" 2>/dev/null
fi
stat -c %i "$db"
}}
{begin}n=0
while :; do
n=$((n + 1))
before=$(mark)
cp "$db" "$tmp/db" || exit 1
if [ -e "$db-wal" ]; then cp "$db-wal" "$tmp/wal" || exit 1; else : >"$tmp/wal"; fi
[ "$before" = "$(mark)" ] && break
[ "$n" -lt {_ATTEMPTS} ] || exit {_CHANGED}
done
{end}echo "$n $(wc -c <"$tmp/db") $(wc -c <"$tmp/wal") $down"
cat "$tmp/db" "$tmp/wal"
"""


def join(output: bytes) -> tuple[bytes, int, int]:
    """Return the database that `sqlite_script` printed, its attempts and seconds stopped.

    Raises `errors.BundleDamagedError` when it came short or is no whole database.
    """
    head, _, body = output.partition(b"\n")
    try:
        attempts, size, log, down = map(int, head.split())
    except ValueError:
        raise _unusable("the node's answer has no heading") from None
    if len(body) != size + log:
        raise _unusable("the node's answer came short")
    try:
        image = wal.fold(body[:size], body[size:])
    except wal.WalError as error:
        raise _unusable(str(error)) from error
    check_sqlite(image)
    return image, attempts, down


def check_sqlite(image: bytes) -> None:
    """Raise `errors.BundleDamagedError` unless `image` is a whole SQLite database of kine's."""
    if not image.startswith(b"SQLite format 3\0"):
        raise _unusable("it does not begin as a SQLite database does")
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(image)
        verdicts = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
        if verdicts != ["ok"]:
            raise _unusable("SQLite's integrity check says: " + "; ".join(verdicts))
        connection.execute("SELECT max(id) FROM kine").fetchone()
    except sqlite3.Error as error:
        raise _unusable(str(error)) from error
    finally:
        connection.close()


def check_etcd(snapshot: bytes) -> None:
    """Raise `errors.BundleDamagedError` unless the checksum at the end is that of the rest.

    etcd's server appends the sha256 of the database, whose pages are a
    multiple of 512 bytes, to every snapshot that it sends.
    """
    if len(snapshot) % 512 != 32 or hashlib.sha256(snapshot[:-32]).digest() != snapshot[-32:]:
        raise _unusable("the snapshot's own checksum is not right")


def check(kind: Kind, content: bytes) -> None:
    """Check a copy of either kind again, as it was read from a bundle."""
    (check_sqlite if kind == "sqlite" else check_etcd)(content)


def _sqlite(node: NodeSession, database: str, *, stop: bool) -> Copy:
    what = "copying the datastore"
    script = sqlite_script(database, stop=stop)
    done = node.run(script, timeout=_TIMEOUT, what=what, check=False, limit=_OUTPUT, download=True)
    if done.status == _CHANGED:
        raise errors.RemoteError(
            f"the datastore was written faster than it could be copied, {_ATTEMPTS} times",
            host=node.transport.host,
            hint="try again, or stop k3s for the seconds that the copy takes: "
            "elysium backup --datastore --stop-k3s",
        )
    if done.status:
        raise errors.CommandError(
            f"{what} failed on {node.transport.host} with status {done.status}",
            host=node.transport.host,
            command=what,
            status=done.status,
            stderr=done.error_text,
            hint="what the node said is above; without the datastore: --no-datastore",
        )
    image, attempts, down = join(done.stdout)
    if stop:
        how = f"SQLite, copied while k3s was stopped for {down} s; containers ran on"
    else:
        again = "" if attempts == 1 else f", at the {attempts}. attempt"
        how = f"SQLite, copied while k3s ran{again}: no downtime"
    return Copy(kind="sqlite", part=parts.SQLITE, content=image, how=how + "; integrity checked")


def _etcd(node: NodeSession, snapshots: str, stamp: str) -> Copy:
    name = scripts.quote([f"elysium-backup-{stamp}"])
    folder = scripts.quote([snapshots])
    done = node.run(
        f"set -eu\nk3s etcd-snapshot save --name {name} >&2\n"
        f"set -- {folder}/{name}*\n"
        "[ -f \"$1\" ] || { echo 'k3s wrote no snapshot' >&2; exit 1; }\n"
        'trap \'for f do timeout 20 k3s etcd-snapshot delete "${f##*/}" >/dev/null 2>&1'
        ' || rm -f "$f"; done\' EXIT\n'
        'cat "$1"\n',
        timeout=_TIMEOUT,
        what="taking a snapshot of etcd",
        limit=_OUTPUT,
        download=True,
    )
    content = _unzipped(done.stdout)
    check_etcd(content)
    how = "etcd, a snapshot taken by k3s: no downtime; checksum verified"
    return Copy(kind="etcd", part=parts.ETCD, content=content, how=how)


def _unzipped(content: bytes) -> bytes:
    """Return the snapshot itself where k3s was told to compress it (etcd-snapshot-compress)."""
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (info,) = archive.infolist()
            if info.file_size > manifest.MAX_BYTES:
                raise manifest.too_large()
            return archive.read(info)
    except (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, OSError) as error:
        raise _unusable(str(error) or type(error).__name__) from error
    except (zlib.error, lzma.LZMAError) as error:
        raise _unusable(str(error)) from error


def _unusable(why: str) -> errors.BundleDamagedError:
    return errors.BundleDamagedError(
        "the copy of the datastore does not hold together",
        detail=why,
        hint="try again; if it stays so, the datastore itself may be damaged",
    )
