"""How backups are, for ``elysium status``."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from provision import errors
from provision.operations import status
from provision.recovery.backup import collect, records

if TYPE_CHECKING:
    from provision.operations.stack import Stack


def section(stack: Stack) -> status.Section:
    """Return what is to be said of the stack's backups.

    Without any it is only a remark: who never made one may not want them. With
    one, it must not be too old, be wherever it should, and hold every sealing
    key that the cluster has.
    """
    cfg = stack.config.backup
    newest = records.load(stack.directory, stack.config.cluster).newest
    if newest is None:
        return status.Section(
            title="backup", health="ok", facts=(("newest", "none yet: elysium backup makes one"),)
        )
    age = newest.age(datetime.datetime.now(datetime.UTC))
    problems: list[str] = []
    if age > datetime.timedelta(days=cfg.warn_days):
        problems.append(
            f"the newest verified backup is {words(age)} old, more than {cfg.warn_days} days: "
            "elysium backup"
        )
    problems += [f"the newest backup is not in {place}" for place in newest.missing]
    try:
        client = stack.live.kube(status.kubeconfig(stack))
        _, there = collect.sealing_keys(client, "", [])
        lacking = [
            f"the newest backup lacks the sealing key {fingerprint}: elysium backup"
            for fingerprint in there
            if fingerprint not in newest.sealing_keys
        ]
    except errors.ElysiumError as error:
        lacking = [f"whether it has all sealing keys is not known: {error.summary}"]
    problems += lacking
    return status.Section(
        title="backup",
        health="drift" if problems else "ok",
        facts=(
            ("newest", f"{newest.file}, {words(age)} old"),
            ("verified", newest.verified),
            ("in", ", ".join(newest.places)),
            ("datastore", newest.datastore or "not in it"),
        ),
        problems=tuple(problems),
    )


def words(age: datetime.timedelta) -> str:
    """Return an age as people say it: ``3 days``, ``5 hours``, ``2 minutes``."""
    minutes = max(0, int(age.total_seconds() // 60))
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size or size == 1:
            count = minutes // size
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return ""
