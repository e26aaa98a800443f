"""Backups as a person reads them."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import TYPE_CHECKING

from rich import console, table

from provision.cli.render import text

if TYPE_CHECKING:
    from provision.recovery.backup.backup import Made
    from provision.recovery.backup.records import Entry
    from provision.recovery.bundle.archive import Bundle, Manifest

Row = tuple[str, "Entry | None", bool]


def made(done: Made) -> console.Group:
    """Return what was made, where it is, and what is not in it."""
    entry = done.entry
    rows = [
        ("file", str(done.path)),
        ("size", f"{size(entry.size)}, {len(done.manifest.parts)} parts, opened and compared"),
        ("also in", ", ".join(entry.places[1:])),
        ("opens with", _opens(entry.locked)),
        ("signature", f"signed by {entry.signed}" if entry.signed else "not signed"),
        ("datastore", _datastore(done.manifest)),
        *(("not there", words) for words in done.manifest.absent),
        *(("removed", name) for name in done.removed),
    ]
    head = text.Text(f"{done.manifest.cluster} is backed up", style="bold green")
    head.append(f" after {done.seconds:.1f}s", style="dim")
    return console.Group(head, _grid(rows), *_excluded(done.manifest))


def listed(rows: list[Row], signed: Collection[str], now: datetime.datetime) -> table.Table:
    """Return the backups there are, newest last; `signed` have a signature beside them."""
    from provision.recovery.backup import catalog, health, retention

    grid = table.Table(box=None, padding=(0, 2, 0, 0))
    for name in ("backup", "age", "size", "verified", "opens with", "signature", "datastore", "in"):
        grid.add_column(name)
    for name, entry, here in rows:
        age = health.words(now - retention.made(name))
        if entry is None:
            words = catalog.recorded(None, signed=name in signed).words
            grid.add_row(name, age, "", "not by this machine", "", words, "", "here")
            continue
        where = ("here", *entry.places[1:]) if here else (*entry.places[1:], "not here any more")
        grid.add_row(
            name,
            age,
            size(entry.size),
            entry.verified,
            _opens(entry.locked),
            catalog.recorded(entry, signed=name in signed).words,
            entry.datastore or "-",
            ", ".join(where),
        )
    return grid


def shown(found: Bundle) -> console.Group:
    """Return what a bundle is, and its parts."""
    manifest = found.manifest
    git, node = manifest.git, manifest.node
    rows = [
        ("made", f"{manifest.created} by elysium {manifest.elysium}"),
        ("signature", found.signed.words),
        ("node", " ".join(part for part in (node.name, node.host, node.system) if part)),
        ("repository", f"{git.repository} {git.path}"),
        ("revision", git.revision),
        ("versions", ", ".join(f"{name} {v}" for name, v in manifest.versions.items())),
        ("datastore", _datastore(manifest)),
        ("sealing keys", "\n".join(manifest.sealing_keys) or "none"),
        *(("not there", words) for words in manifest.absent),
    ]
    grid = table.Table(box=None, padding=(0, 2, 0, 0))
    for name in ("part", "kind", "size", "sha256"):
        grid.add_column(name, justify="right" if name == "size" else "left")
    for part in manifest.parts:
        grid.add_row(part.name, part.kind, size(part.size), part.sha256[:16])
    head = text.Text(manifest.cluster, style="bold")
    return console.Group(head, _grid(rows), text.Text(), grid, *_excluded(manifest))


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _grid(rows: list[tuple[str, str]]) -> table.Table:
    grid = table.Table.grid(padding=(0, 2))
    for label, value in rows:
        if value:
            grid.add_row("", text.Text(label, style="dim"), text.Text(value))
    return grid


def _excluded(manifest: Manifest) -> list[text.Text]:
    return [text.Text(f"Not in it: {words}.", style="yellow") for words in manifest.excluded]


def _opens(locked: str) -> str:
    return "a recipient's key" if locked == "recipients" else "the passphrase"


def _datastore(manifest: Manifest) -> str:
    return manifest.datastore.how or f"not in it ({manifest.datastore.kind}): --datastore adds it"
