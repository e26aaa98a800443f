"""Mounts on this machine: the node's overlay, and what a crash leaves mounted."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from provision import errors
from provision.sandbox import jobs


def below(path: Path) -> list[Path]:
    """Return every mount point at or below `path`, the deepest first."""
    found: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # proc(5): blanks in a path are written as octal escapes
        text = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[4])
        point = Path(text)
        if point == path or path in point.parents:
            found.append(point)
    return found[::-1]


def unmount_below(path: Path) -> None:
    """Unmount everything at and below `path`; what is busy goes when it no longer is."""
    for point in below(path.resolve()):
        try:
            jobs.run(("umount", str(point)), what="Unmounting")
        except errors.ElysiumError:
            jobs.run(("umount", "--lazy", str(point)), what="Unmounting")


def remove_tree(path: Path) -> None:
    """Remove `path` and all in it, after unmounting: never through a mount.

    Raises:
        errors.ElysiumError: when a mount below cannot be taken away.
    """
    if not path.exists():
        return
    unmount_below(path)
    if left := below(path.resolve()):
        raise errors.ElysiumError(f"{left[0]} is still mounted; nothing below {path} was removed.")
    shutil.rmtree(path)


def copy_on_write(lower: Path, folder: Path) -> Path:
    """Return `folder`/root: the tree `lower` as it is, with changes kept in `folder`.

    An overlay, made in no time; where `folder` is itself on a file system that
    cannot be the upper layer of one, a full copy.
    """
    root, upper, work = folder / "root", folder / "changes", folder / "work"
    for each in (root, upper, work):
        each.mkdir(parents=True, exist_ok=True)
        each.chmod(0o755)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    try:
        jobs.run(
            ("mount", "-t", "overlay", "elysium-sandbox", "-o", options, str(root)),
            what="Mounting the node's root file system",
        )
    except errors.ElysiumError:
        jobs.run(
            ("cp", "-a", f"{lower}/.", str(root)),
            what="Copying the node's root file system",
            timeout=600,
        )
    return root
