"""The units that a timer is made of."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from provision.recovery.backup import schedule

JOB = schedule.Job(
    cluster="kyrion",
    root=Path('/home/me/100% "mine"'),
    at="Sun 03:00",
    system=True,
    folder=Path("/etc/systemd/system"),
    program=Path("/opt/$elysium/bin/elysium"),
    environment=(("HOME", "/home/me"),),
)


def test_a_command_survives_systemds_quoting() -> None:
    text = schedule.service_unit(JOB)
    assert 'ExecStart="/opt/$$elysium/bin/elysium" "-C" "/home/me/100%% \\"mine\\"" ' in text
    assert text.splitlines()[0].startswith("# Written by elysium backup schedule")
    assert "WorkingDirectory=/home/me/100%%" in text
    assert 'Environment="HOME=/home/me"' in text


def test_a_backup_and_a_drill_are_timers_of_their_own() -> None:
    drill = dataclasses.replace(JOB, kind="drill", words=("drill", "--identity", "/k ey"))
    assert (JOB.timer, drill.timer) == (
        "elysium-backup-kyrion.timer",
        "elysium-drill-kyrion.timer",
    )
    assert schedule.service_unit(drill).rstrip().splitlines()[-3].endswith('"--identity" "/k ey"')
    assert drill.mark != JOB.mark and drill.mark in schedule.timer_unit(drill)
    assert "OnCalendar=Sun 03:00\n" in schedule.timer_unit(drill)
