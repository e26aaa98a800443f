"""Hooks of the bare repositories: protection, and what a push really did.

The hooks run under receive-pack with ``FORGE_SESSION`` naming a file of the
session; ``.asked`` gets every wanted update, ``.done`` those that happened.
Protected branches are files below ``protected/`` of the repository, so that a
change is in force at once. The message is the one GitHub's own hook prints.
"""

from __future__ import annotations

from pathlib import Path

from provision.sandbox.forge import journal
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
    echo "error: GH006: Protected branch update failed for $1." >&2
    echo "" >&2
    echo "- $2" >&2
    exit 1
}
[ "$branch" = "$1" ] || [ ! -f "$rule" ] && exit 0
[ "$3" = "$zero" ] && refuse "$1" "Cannot delete this branch"
case $(cat "$rule") in
*pull*) refuse "$1" "Changes must be made through a pull request." ;;
*force*) exit 0 ;;
esac
[ "$2" = "$zero" ] || git merge-base --is-ancestor "$2" "$3" ||
    refuse "$1" "Cannot force-push to this branch"
"""
HOOKS = {"pre-receive": _ASKED, "update": _UPDATE, "post-receive": _DONE}


def write_protection(path: Path, repository: Repository) -> None:
    """Make the files below ``protected/`` say what the record says."""
    folder = path / "protected"
    wanted: dict[Path, str] = {}
    for branch, settings in repository.protection.items():
        words = ["pull"] if settings.get("required_pull_request_reviews") is not None else []
        words += ["force"] if settings.get("allow_force_pushes") else []
        wanted[folder / branch] = " ".join(words) or "forward"
    for file in [f for f in folder.rglob("*") if f.is_file()] if folder.exists() else []:
        if file not in wanted:
            file.unlink()
    for file, text in wanted.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        journal.write_atomically(file, text.encode())
