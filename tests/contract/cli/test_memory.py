"""Input that grows without limit, judged from outside: by the memory that the process takes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision.recovery.bundle import archive, encryption, parts
from provision.secret import Secret
from tests.support import bundles, excess, forged, hostile, restores, watched
from tests.support.hostile import Reply

pytestmark = pytest.mark.timeout(600)

MIB = 1024**2
LARGE = 1024 * MIB
MOST = 512 * MIB
"""More than any of these takes, and less than a bomb unpacked."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "lab"
    found.mkdir()
    return found


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return watched.environment(tmp_path / "home", GITHUB_TOKEN="ghp_canary")


def bounded(seen: watched.Seen, *, refused: bool = True) -> None:
    assert "Traceback" not in seen.said and "MemoryError" not in seen.said, seen.said[-2000:]
    assert seen.code > 0 or (seen.code == 0 and not refused), seen.said
    assert len(seen.said) < MIB
    assert seen.peak < MOST, f"{seen.peak // MIB} MiB: {seen.said[-2000:]}"


def squeezed(*pieces: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        for piece in pieces:
            file.write(piece)
    return out.getvalue()


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def zeros() -> Iterator[bytes]:
    return (bytes(MIB) for _ in range(LARGE // MIB))


def with_part(name: str, content: bytes) -> bytes:
    """Return an archive of a valid backup but for the part `name`."""
    found = [part for part in bundles.contents() if part.name != name]
    return archive.pack(bundles.described(), [*found, archive.Part(name=name, content=content)])[1]


BOMBS: dict[str, Callable[[], bytes]] = {
    "a pax header": lambda: squeezed(header("x", LARGE, tarfile.XHDTYPE), *zeros()),
    "a global pax header": lambda: squeezed(header("x", LARGE, tarfile.XGLTYPE), *zeros()),
    "a long name": lambda: squeezed(header("x", LARGE, tarfile.GNUTYPE_LONGNAME), *zeros()),
    "a manifest": lambda: squeezed(header(parts.MANIFEST, LARGE), *zeros()),
    "a sparse file": lambda: squeezed(header(parts.MANIFEST, LARGE, tarfile.GNUTYPE_SPARSE)),
    "members": lambda: squeezed(*(header(f"m{number}", 0) for number in range(200_000))),
    "a state of many values": lambda: with_part(parts.STATE, b"[" + b"[]," * 8_000_000 + b"0]"),
    "a deep state": lambda: with_part(parts.STATE, b"[" * 5_000_000),
    "a configuration of aliases": lambda: with_part(
        parts.stack_file("kyrion"), excess.LAUGHS.encode()
    ),
    "a deep configuration": lambda: with_part(parts.stack_file("kyrion"), b"[" * 500_000),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_backup(folder: Path, env: dict[str, str], kind: str) -> None:
    opening = forged.locked(folder.parent, BOMBS[kind]())
    # Verifying does not read the configuration.
    read = "configuration" not in kind
    bounded(watched.peak(["backup", "verify", *opening], folder, env), refused=read)
    if not read:
        bounded(watched.peak(["restore", "--dry-run", *opening], folder, env))


@pytest.mark.parametrize("command", ["verify", "restore"])
def test_opening_with_a_passphrase(folder: Path, env: dict[str, str], command: str) -> None:
    """A small machine of a bad night opens a backup that this version writes."""
    lock = encryption.Passphrase(secret=restores.PASSPHRASE)
    with hostile.serve(lambda method, path: hostile.reply({"message": "gone"}, 404)) as server:
        opening = forged.write(folder.parent, f"    baseUrl: {server.url}\n    allowHttp: true\n")
        file, key = Path(opening[0]), Secret(Path(opening[2]).read_text())
        packed = encryption.decrypt(file.read_bytes(), encryption.Identities(texts=(key,)))
        file.write_bytes(encryption.encrypt(packed, lock))
        env["ELYSIUM_BACKUP_PASSPHRASE"] = restores.PASSPHRASE.reveal()
        words = {
            "verify": ["backup", "verify", str(file)],
            "restore": ["restore", "--dry-run", str(file), "--trust-address", server.url],
        }[command]
        seen = watched.peak(words, folder, env)
    assert seen.code == (0 if command == "verify" else 6), seen.said
    assert seen.peak < 300_000_000, f"{seen.peak // MIB} MiB"


@pytest.mark.parametrize(
    "command", [("gitops", "cold-start", ".", "--path", "."), ("secret", "verify", ".")]
)
def test_a_repository(folder: Path, env: dict[str, str], command: tuple[str, ...]) -> None:
    for number, text in enumerate(excess.EXCESS.values()):
        (folder / f"bomb-{number}.yaml").write_text(f"# kind: SealedSecret\n{text}")
    bounded(watched.peak(command, folder, env))


def test_a_repository_that_kustomize_multiplies(folder: Path, env: dict[str, str]) -> None:
    """Each folder has the one before it ten times."""
    lists = "resources: [{}]\n"
    (folder / "0").mkdir()
    (folder / "0/kustomization.yaml").write_text(lists.format("a.yaml"))
    (folder / "0/a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '" + "x" * 10_000 + "'}\n"
    )
    for level in range(1, 8):
        for copy in range(10):
            made = folder / str(level) / str(copy)
            made.mkdir(parents=True)
            way = "../../0" if level == 1 else f"../../{level - 1}"
            text = f"namePrefix: p{copy}-\n{lists.format(way)}"
            (made / "kustomization.yaml").write_text(text)
        every = ", ".join(str(copy) for copy in range(10))
        (folder / str(level) / "kustomization.yaml").write_text(lists.format(every))
    seen = watched.peak(["gitops", "cold-start", ".", "--path", "7"], folder, env)
    assert "Traceback" not in seen.said, seen.said[-2000:]
    assert seen.code > 0, seen.said[-2000:]
    # kubectl may take what `confined` allows it.
    assert seen.peak < 4096 * MIB


@pytest.mark.parametrize("kind", ["endless", "gzip", "deep"])
def test_a_server(folder: Path, env: dict[str, str], kind: str) -> None:
    answer = {
        "endless": Reply(body=b" " * MIB, endless=True),
        "gzip": Reply(body=squeezed(b"[", *zeros()), headers={"Content-Encoding": "gzip"}),
        "deep": Reply(body=b"[" * 20 * MIB),
    }[kind]
    with hostile.serve(lambda method, path: answer) as server:
        more = f"    baseUrl: {server.url}\n    allowHttp: true\n"
        opening = forged.write(folder.parent, more)
        words = ["restore", "--dry-run", *opening, "--trust-address", server.url]
        bounded(watched.peak(words, folder, env))
        assert server.calls


@pytest.mark.parametrize("text", [excess.LAUGHS, "[" * 200_000], ids=["aliases", "deep"])
def test_a_kubeconfig_in_a_backup(folder: Path, env: dict[str, str], text: str) -> None:
    opening = forged.write(folder.parent, "    tokenFile: /nowhere\n", kubeconfig=text)
    node = ("--host", "198.51.100.9", "--host-key", "SHA256:" + "A" * 43)
    words = ["restore", "--yes", *node, *opening, "--trust-address", "/nowhere"]
    bounded(watched.peak(words, folder, env))


def test_a_configuration_here(folder: Path, env: dict[str, str]) -> None:
    (folder / "Pulumi.yaml").write_text(restores.PROJECT)
    (folder / "Pulumi.kyrion.yaml").write_text(excess.LAUGHS)
    bounded(watched.peak(["config", "validate"], folder, env))
