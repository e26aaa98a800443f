"""The paths of a node that a bundle may hold: one list, for writing and for reading.

Everything else is refused: a bundle is written by whoever has a public key, and
what is in it is put on a node as root.
"""

from __future__ import annotations

import fnmatch
import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from provision.provider.k3s import files as k3s_files
from provision.provider.media import files as media_files
from provision.recovery.bundle import parts, tarstream

OS_RELEASE: Final = "/etc/os-release"
NODE_PASSWORD: Final = "/etc/rancher/node/password"  # noqa: S105 - a path
_OF_K3S: Final = ("/etc/rancher", "/var/lib/rancher", f"{k3s_files.UNIT}.d")
"""Folders of k3s, where no configuration moves them."""

Member = tarstream.Member


class PathError(ValueError):
    """A member that elysium does not put into a bundle. The text says which, and why."""


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


def kind_of(path: str, options: Mapping[str, Any]) -> str:
    """Return the kind of part that the node's file at `path` is; empty when it is none."""
    if posixpath.normpath(path) != path or re.search(r"[*?\[]", str(options.get("data-dir") or "")):
        return ""
    for pattern, kind in wanted(options, authorities=True).items():
        # A star stands for a name and not for folders.
        if path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern):
            return kind
    return ""


def is_of_k3s(path: str) -> bool:
    """Return whether the absolute `path` is in a folder of k3s."""
    return _is_below(path, _OF_K3S)


def read(content: bytes, allowed: Sequence[str]) -> list[Member]:
    """Return the members of a tar of `allowed` paths (``backup.paths``), each checked.

    Raises `PathError` for the first that may not be in it, `tarfile.TarError`,
    `EOFError` and `ValueError` for what is no whole tar.
    """
    found: list[Member] = []
    for member, why in _judged(content, allowed):
        if why:
            raise PathError(why)
        found.append(member)
    return found


def cleaned(content: bytes, allowed: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """Return the tar without what `read` refuses, and what was left out, in words."""
    judged = list(_judged(content, allowed))
    return packed(member for member, why in judged if not why), tuple(
        why for _, why in judged if why
    )


def packed(members: Iterable[Member]) -> bytes:
    """Return a tar of `members`: what their headers say and nothing else."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            tar.addfile(member.header, io.BytesIO(member.content))
    return out.getvalue()


def _judged(content: bytes, allowed: Sequence[str]) -> Iterable[tuple[Member, str]]:
    """Yield each member, and why it may not be in a bundle; an empty text if it may."""
    roots = tuple(posixpath.normpath(path) for path in allowed)
    files: set[str] = set()
    seen: set[str] = set()
    links: set[str] = set()
    for member in tarstream.members(io.BytesIO(content).read):
        path = "/" + member.header.name.removeprefix("./")
        why = _why_not(member.header, path, roots, files, links)
        if not why and path in seen and not member.header.isdir():
            why = f"{path} is in it twice"
        if not why:
            seen.add(path)
            if member.header.isreg():
                files.add(path)
            if member.header.issym():
                links.add(path)
        yield member, why


def _why_not(
    header: tarfile.TarInfo,
    path: str,
    roots: Sequence[str],
    files: set[str],
    links: set[str],
) -> str:
    if posixpath.normpath(path) != path or path.startswith("//"):
        return f"{header.name} is no path below /"
    if not _is_below(path, roots):
        return f"{path} is not in backup.paths"
    if any(path.startswith(f"{link}/") for link in links):
        return f"{path} is behind a link"
    if path in links:
        return f"{path} is in it twice"
    if header.isdir():
        return f"{path} has the setuid bit" if header.mode & 0o4000 else ""
    if header.isreg():
        return f"{path} has a setuid or setgid bit" if header.mode & 0o6000 else ""
    if header.issym():
        return "" if _stays(path, header.linkname, roots) else f"{path} is a link that leads out"
    if header.islnk():
        target = "/" + header.linkname.removeprefix("./")
        return "" if target in files else f"{path} is a link to a file that is not in it"
    return f"{path} is neither file, folder nor link"


def _stays(path: str, target: str, roots: Sequence[str]) -> bool:
    """Return whether the link at `path` stays in `roots`, whatever else are links there."""
    if posixpath.isabs(target):
        return posixpath.normpath(target) == target and _is_below(target, roots)
    words = target.split("/")
    while words and words[0] in ("..", "."):
        del words[0]
    if ".." in words:
        return False  # behind a name that may itself be a link, it leads anywhere
    return _is_below(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)), roots)


def _is_below(path: str, roots: Iterable[str]) -> bool:
    return any(root == "/" or path == root or path.startswith(f"{root}/") for root in roots)


BROKEN: Final = (tarfile.TarError, EOFError, ValueError, zlib.error)
"""What `read` and `cleaned` raise for what is no whole tar."""
