"""Which backups are no longer wanted. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from provision.recovery.bundle import manifest


def surplus(
    names: Sequence[str], *, keep: int, days: int, now: datetime.datetime, spare: str
) -> tuple[str, ...]:
    """Return those of one cluster's bundle `names` to remove, oldest first.

    All but the newest `keep`; with `days`, also what is older than that. Never
    `spare`, the newest that was verified, nor the newest one of all.
    """
    ordered = sorted(names)
    old = ordered[:-keep]
    if days:
        limit = now - datetime.timedelta(days=days)
        old += [name for name in ordered[-keep:] if made(name) < limit]
    return tuple(name for name in old if name not in (spare, *ordered[-1:]))


def made(name: str) -> datetime.datetime:
    """Return when the bundle of this file name was made."""
    stamp = name.removesuffix(manifest.SUFFIX)[-16:]
    return datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
