"""The node's own files that go into a bundle: one stream over SSH, in memory."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import Final

from provision import config, errors
from provision.host import scripts
from provision.host.session import NodeSession
from provision.recovery.bundle import archive, parts, paths

OS_RELEASE: Final = paths.OS_RELEASE
NODE_PASSWORD: Final = paths.NODE_PASSWORD
wanted = paths.wanted
_TOO_LARGE: Final = 27
_MISSING: Final = 2
_TAR_HEADERS: Final = 64
"""MiB that the headers of many small files may add."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the node has: the parts, its system's name, and what is not there, in words."""

    parts: tuple[archive.Part, ...]
    system: str
    absent: tuple[str, ...]


def collect(node: NodeSession, cfg: config.Config, *, authorities: bool) -> Found:
    """Return the node's files. Raises `errors.RemoteError` when it has no k3s server."""
    kinds = wanted(cfg.k3s.options, authorities=authorities)
    # Patterns stay unquoted, so that the shell expands them: no path of k3s has blanks.
    patterns = " ".join(_pattern(path) for path in (OS_RELEASE, *kinds))
    done = node.run(
        f"set -eu\nset --\nfor f in {patterns}; do\n"
        'if [ -f "$f" ]; then set -- "$@" "${f#/}"; fi\ndone\n'
        'tar -C / -chf - -- "$@"\n',
        timeout=120,
        what="reading the node's files",
        reads_only=True,
    )
    files = untar(done.stdout)
    system = _system(files.pop(OS_RELEASE, (b"", 0))[0])
    found = [
        archive.Part(
            name=parts.node_file(path),
            content=content,
            kind=paths.kind_of(path, cfg.k3s.options),
            source=path,
            mode=mode,
        )
        for path, (content, mode) in sorted(files.items())
    ]
    absent = _absent(found, cfg)
    if any(kind == parts.TOKEN_KIND for kind, _ in absent):
        raise errors.RemoteError(
            f"node {cfg.server.name} has no k3s server: its token is not there",
            host=node.transport.host,
            hint="elysium up sets it up; a node that is lost is restored from an earlier backup",
        )
    return Found(parts=tuple(found), system=system, absent=tuple(words for _, words in absent))


def collect_paths(
    node: NodeSession, wanted_paths: tuple[str, ...], limit: int
) -> tuple[archive.Part | None, tuple[str, ...]]:
    """Return a tar of `wanted_paths`, and what is odd about it, in words.

    Links that lead out of them, devices and files with a setuid bit are left
    out and named. Raises `errors.ConfigError` when one is not there, or all of them have more
    than `limit` MiB: they are small things, not volumes.
    """
    if not wanted_paths:
        return None, ()
    listed = scripts.quote(path.removeprefix("/") for path in wanted_paths)
    done = node.run(
        f"for p in {listed}; do\n"
        f'[ -e "/$p" ] || {{ echo "/$p is not there" >&2; exit {_MISSING}; }}\ndone\n'
        f"cd / && size=$(du -skc -- {listed} | tail -n 1 | cut -f 1) || exit 3\n"
        f'[ "$size" -le {limit * 1024} ] || {{ echo "$((size / 1024)) MiB" >&2\n'
        f"du -sk -- {listed} >&2; exit {_TOO_LARGE}; }}\n"
        f"tar -C / -cf - -- {listed} || [ $? = 1 ] && exit 0 || exit 4\n",
        timeout=600,
        what="reading backup.paths",
        reads_only=True,
        check=False,
        limit=(limit + _TAR_HEADERS) * 1024 * 1024,
        download=True,
    )
    if done.status in (_MISSING, _TOO_LARGE):
        large = done.status == _TOO_LARGE
        raise errors.ConfigError(
            f"backup.paths have more than {limit} MiB together"
            if large
            else "one of backup.paths is not on the node",
            [errors.Problem(message=line) for line in done.error_text.strip().splitlines()],
            hint="raise backup.pathsLimit, or back large data up by other means"
            if large
            else "elysium config set backup.paths …",
        )
    if done.status:
        raise errors.CommandError(
            f"reading backup.paths failed with status {done.status}",
            host=node.transport.host,
            command="tar",
            status=done.status,
            stderr=done.error_text,
        )
    odd = tuple(line for line in done.error_text.splitlines() if "changed as we read" in line)
    try:
        content, left_out = paths.cleaned(done.stdout, wanted_paths)
    except paths.BROKEN as error:
        raise errors.BundleDamagedError(
            "what the node sent of backup.paths is no whole tar", detail=str(error)
        ) from error
    odd += tuple(f"{words}: it is not in the backup" for words in left_out)
    return archive.Part(name=parts.PATHS, content=content), odd


def untar(stream: bytes) -> dict[str, tuple[bytes, int]]:
    """Return the files in a tar by absolute path: content and mode."""
    found: dict[str, tuple[bytes, int]] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
            for member in tar:
                opened = tar.extractfile(member) if member.isreg() else None
                if opened is not None:
                    found["/" + member.name.lstrip("/")] = (opened.read(), member.mode & 0o777)
    except tarfile.TarError as error:
        raise errors.BundleDamagedError(
            "what the node sent is no tar", detail=str(error), hint="is tar installed there?"
        ) from error
    return found


def _pattern(path: str) -> str:
    """Return `path` quoted but for its ``*``."""
    return "*".join(scripts.quote([part]) if part else "" for part in path.split("*"))


def _absent(found: list[archive.Part], cfg: config.Config) -> list[tuple[str, str]]:
    there = {part.kind for part in found}
    expected = {
        parts.TOKEN_KIND: "the k3s token",
        parts.CONFIG_KIND: "k3s' configuration",
        parts.NODE_PASSWORD_KIND: "the node password",
    }
    if cfg.media is not None:
        expected[parts.RCLONE_KIND] = "rclone.conf"
    return [
        (kind, f"{words} is not on the node")
        for kind, words in expected.items()
        if kind not in there
    ]


def _system(os_release: bytes) -> str:
    for line in os_release.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip().strip('"')
    return ""
