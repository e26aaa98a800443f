"""The job for pyinfra, which runs this file. ``job_file`` is given with ``--data``."""

# pyright: reportMissingImports=false
# pyinfra is in a venv of its own.
from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

from pyinfra import host
from pyinfra.operations import files, systemd

job = json.loads(pathlib.Path(host.data.job_file).read_text())

for wanted in job["directories"]:
    files.directory(path=wanted["path"], mode=wanted["mode"], user="root", group="root")
put = [
    (
        wanted,
        files.put(
            src=wanted["source"],
            dest=wanted["path"],
            mode=wanted["mode"],
            user="root",
            group="root",
            create_remote_dir=False,
        ),
    )
    for wanted in job["files"]
]


def changed(what: str) -> Callable[[], bool]:
    """Return a condition: whether any file with the flag `what` was changed."""
    done = [operation for wanted, operation in put if wanted[what]]
    return lambda: any(operation.did_change() for operation in done)


systemd.daemon_reload(_if=changed("reload"))
for name in (job["automount"], job["service"]):
    started = systemd.service(service=name, running=True, enabled=True)
systemd.service(
    service=job["service"],
    restarted=True,
    _if=lambda: changed("restart")() and not started.did_change(),
)
