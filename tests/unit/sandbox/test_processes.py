"""A cgroup tree changes while it is read: systemd makes and removes units all the time."""

import threading
from pathlib import Path

from provision.sandbox import processes


def test_processes_are_found_while_cgroups_come_and_go(tmp_path: Path) -> None:
    group = processes.Group(path=tmp_path, name="some")
    for number in range(20):
        (tmp_path / f"{number}.service").mkdir()
        (tmp_path / f"{number}.service" / "cgroup.procs").write_text(f"{number}\n")
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(20):
                unit = tmp_path / f"{number}.mount"
                unit.mkdir()
                (unit / "cgroup.procs").write_text("")
                (unit / "cgroup.procs").unlink()
                unit.rmdir()

    busy = threading.Thread(target=come_and_go)
    busy.start()
    try:
        for _ in range(60):
            assert sorted(group.pids()) == list(range(20))
    finally:
        ended.set()
        busy.join()
