"""Hooks of the bare repositories: protection, and what a push really did.

The hooks run under receive-pack with ``FORGE_SESSION`` naming a file of the
session; ``.asked`` gets every wanted update, ``.done`` those that happened.
Protected branches are files below ``protected/`` of the repository, so that a
change is in force at once. The message is the one GitHub's own hook prints.
"""

from __future__ import annotations

from pathlib import Path

from provision.fileio import atomic
from provision.sandbox.forge import protection
from provision.sandbox.forge.store import Repository

_ASKED = """#!/bin/sh
[ -z "$FORGE_SESSION" ] || cat > "$FORGE_SESSION.asked"
"""
_DONE = """#!/bin/sh
[ -z "$FORGE_SESSION" ] || cat > "$FORGE_SESSION.done"
"""
_UPDATE = """#!/bin/sh
zero=0000000000000000000000000000000000000000
branch=${1#refs/heads/}
rule="protected/$branch"
refuse() {
    what="Protected branch update failed"
    [ "$code" = GH013 ] && what="Repository rule violations found"
    echo "error: $code: $what for $1." >&2
    echo "" >&2
    echo "- $2" >&2
    exit 1
}
[ "$branch" = "$1" ] || [ ! -f "$rule" ] && exit 0
while read -r code pull force; do
    [ "$3" = "$zero" ] && refuse "$1" "Cannot delete this branch"
    [ "$pull" = yes ] && refuse "$1" "Changes must be made through a pull request."
    [ "$force" = yes ] || [ "$2" = "$zero" ] || git merge-base --is-ancestor "$2" "$3" ||
        refuse "$1" "Cannot force-push to this branch"
done < "$rule"
exit 0
"""
_WORDS = {True: "yes", False: "no"}
HOOKS = {"pre-receive": _ASKED, "update": _UPDATE, "post-receive": _DONE}


def write_protection(path: Path, repository: Repository) -> None:
    """Make the files below ``protected/`` say what the record says."""
    folder = path / "protected"
    wanted: dict[Path, str] = {}
    for branch in {*repository.protection, *repository.rules}:
        lines = [
            f"{guard.code} {_WORDS[guard.pull_request]} {_WORDS[guard.force]}\n"
            for guard in protection.guards(repository, branch)
        ]
        if lines:
            wanted[folder / branch] = "".join(lines)
    for file in [f for f in folder.rglob("*") if f.is_file()] if folder.exists() else []:
        if file not in wanted:
            file.unlink()
    for file, text in wanted.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(file, text.encode())
