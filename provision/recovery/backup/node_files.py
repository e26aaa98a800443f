"""The node's own files that go into a bundle: one stream over SSH, in memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision import config, errors
from provision.host import scripts
from provision.host.session import NodeSession
from provision.provider.k3s import files as k3s_files
from provision.provider.media import files as media_files
from provision.recovery.bundle import archive, parts

OS_RELEASE: Final = "/etc/os-release"
NODE_PASSWORD: Final = "/etc/rancher/node/password"  # noqa: S105 - a path
_TOO_LARGE: Final = 27
_MISSING: Final = 2


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the node has: the parts, its system's name, and what is not there, in words."""

    parts: tuple[archive.Part, ...]
    system: str
    absent: tuple[str, ...]


def wanted(options: Mapping[str, Any], *, authorities: bool) -> dict[str, str]:
    """Return shell patterns of paths, and the kind of part that each is.

    `options` are those of k3s. `authorities` adds the certificate authorities
    and the encryption key, which a restored datastore may need.
    """
    data = k3s_files.places({"options": options}).data
    server = f"{data}/server"
    kinds = {
        f"{server}/token": parts.TOKEN_KIND,
        f"{server}/agent-token": parts.TOKEN_KIND,
        k3s_files.CONFIG: parts.CONFIG_KIND,
        f"{k3s_files.DROP_INS}/*.yaml": parts.CONFIG_KIND,
        f"{k3s_files.DROP_INS}/*.yml": parts.CONFIG_KIND,
        k3s_files.REGISTRIES: parts.CONFIG_KIND,
        k3s_files.ENV: parts.CONFIG_KIND,
        f"{k3s_files.UNIT}.d/*.conf": parts.CONFIG_KIND,
        NODE_PASSWORD: parts.NODE_PASSWORD_KIND,
        media_files.CONFIG: parts.RCLONE_KIND,
    }
    if authorities:
        for pattern in ("tls/*-ca.*", "tls/service*.key", "tls/etcd/*-ca.*", "cred/encryption-*"):
            kinds[f"{server}/{pattern}"] = parts.AUTHORITY_KIND
    return kinds


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
            kind=_kind(path, kinds),
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
    node: NodeSession, paths: tuple[str, ...], limit: int
) -> tuple[archive.Part | None, tuple[str, ...]]:
    """Return a tar of `paths`, and what is odd about it, in words.

    Raises `errors.ConfigError` when one is not there, or all of them have more
    than `limit` MiB: they are small things, not volumes.
    """
    if not paths:
        return None, ()
    listed = scripts.quote(path.removeprefix("/") for path in paths)
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
    return archive.Part(name=parts.PATHS, content=done.stdout), odd


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


def _kind(path: str, kinds: Mapping[str, str]) -> str:
    import fnmatch

    return next((kind for pattern, kind in kinds.items() if fnmatch.fnmatch(path, pattern)), "")


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
