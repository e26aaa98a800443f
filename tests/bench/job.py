"""The job that every tool does in the host part: a k3s-like server's files and units.

A 70 MiB binary that is sent only if its sha256 differs, configuration files, a
service, an rclone.conf nobody else may read, a mount behind an automount, a
sysctl file, five directories; systemd is reloaded and the service restarted
only when that is needed. Nothing of it collides with what elysium itself installs.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

BINARY_SIZE = 70 * 1024 * 1024
SERVICE = "bench-server.service"
AUTOMOUNT = "mnt-bench.automount"
EDITED = "/etc/rancher/bench/config.yaml"

_DIRECTORIES = (
    ("/etc/rancher/bench", "0755"),
    ("/etc/bench", "0750"),
    ("/var/lib/bench", "0700"),
    ("/var/cache/bench", "0700"),
    ("/var/log/bench", "0755"),
)
_CONFIG = """\
write-kubeconfig-mode: "0600"
secrets-encryption: true
disable: [traefik, servicelb]
tls-san: [node.example.org, 192.0.2.7]
kubelet-arg: [max-pods=200]
"""
_REGISTRIES = 'mirrors:\n  registry.example.org:\n    endpoint: ["https://mirror.example.org"]\n'
_UNIT = """\
[Unit]
Description=Stand-in for a server with a big binary

[Service]
ExecStart=/usr/local/bin/bench-server server
Restart=always

[Install]
WantedBy=multi-user.target
"""
_RCLONE = "[media]\ntype = azureblob\naccount = benchmark\nkey = bm90IGEga2V5\n"
_MOUNT = """\
[Unit]
Description=Stand-in for a media library

[Mount]
What=bench
Where=/mnt/bench
Type=tmpfs
Options=mode=0755,size=1m
"""
_AUTOMOUNT = """\
[Unit]
Description=Mount the stand-in when it is used

[Automount]
Where=/mnt/bench

[Install]
WantedBy=multi-user.target
"""
_SYSCTL = "fs.inotify.max_user_instances = 1024\nfs.inotify.max_user_watches = 524288\n"

# path, mode, content, whether the service uses it, whether systemd reads it
_FILES = (
    (EDITED, "0600", _CONFIG, True, False),
    ("/etc/rancher/bench/registries.yaml", "0600", _REGISTRIES, True, False),
    (f"/etc/systemd/system/{SERVICE}", "0644", _UNIT, True, True),
    ("/etc/bench/rclone.conf", "0600", _RCLONE, False, False),
    ("/etc/systemd/system/mnt-bench.mount", "0644", _MOUNT, False, True),
    (f"/etc/systemd/system/{AUTOMOUNT}", "0644", _AUTOMOUNT, False, True),
    ("/etc/sysctl.d/90-bench.conf", "0644", _SYSCTL, False, False),
)


def write(folder: pathlib.Path) -> pathlib.Path:
    """Write the job to `folder`; return its ``job.json``, which every driver reads.

    Beside it is ``job.txt``, the same for a shell: ``directory MODE PATH``,
    ``file MODE FLAGS SOURCE PATH``, ``unit NAME``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / "binary"
    # It runs: what follows the first two lines is never read by the shell.
    head = b"#!/bin/sh\nexec sleep infinity\n"
    block = hashlib.sha512(b"elysium").digest() * 16384
    with binary.open("wb") as stream:
        stream.write(head)
        left = BINARY_SIZE - len(head)
        number = 0
        while left:
            # Each block differs, so that no compression on the way flatters anyone.
            number += 1
            piece = hashlib.shake_256(block[:64] + number.to_bytes(4, "big")).digest(
                min(left, 1 << 20)
            )
            stream.write(piece)
            left -= len(piece)
    files: list[dict[str, Any]] = [
        _entry("/usr/local/bin/bench-server", "0755", binary, restart=True)
    ]
    for number, (path, mode, content, restart, reload) in enumerate(_FILES):
        source = folder / f"file-{number}"
        source.write_text(content)
        files.append(_entry(path, mode, source, restart=restart, reload=reload))
    directories = [{"path": path, "mode": mode} for path, mode in _DIRECTORIES]
    job = {
        "directories": directories,
        "files": files,
        "service": SERVICE,
        "automount": AUTOMOUNT,
    }
    lines = [f"directory {d['mode']} {d['path']}" for d in directories]
    for file in files:
        flags = ("r" if file["restart"] else "-") + ("d" if file["reload"] else "-")
        lines.append(f"file {file['mode']} {flags} {file['source']} {file['path']}")
    lines += [f"unit {AUTOMOUNT}", f"unit {SERVICE}"]
    (folder / "job.txt").write_text("\n".join(lines) + "\n")
    made = folder / "job.json"
    made.write_text(json.dumps(job, indent=2) + "\n")
    return made


def edit(folder: pathlib.Path, generation: int) -> None:
    """Change one file of the job: the server's configuration."""
    (folder / "file-0").write_text(_CONFIG + f'node-label: ["bench/generation={generation}"]\n')


def expected(folder: pathlib.Path) -> dict[str, str]:
    """Return the sha256 and mode that each file is to have."""
    job = json.loads((folder / "job.json").read_text())
    found: dict[str, str] = {}
    for file in job["files"]:
        with pathlib.Path(file["source"]).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found[file["path"]] = f"{digest} {file['mode'].lstrip('0')}"
    return found


def _entry(
    path: str, mode: str, source: pathlib.Path, *, restart: bool, reload: bool = False
) -> dict[str, Any]:
    return {
        "path": path,
        "mode": mode,
        "source": str(source),
        "restart": restart,
        "reload": reload,
        "big": source.name == "binary",
    }


def look() -> str:
    """Return the script that tells the state of the job on a node, one fact a line."""
    paths = " ".join(path for path, *_ in (("/usr/local/bin/bench-server",), *_FILES))
    folders = " ".join(path for path, _ in _DIRECTORIES)
    return (
        f"for p in {paths}; do\n"
        'echo "file $p $(sha256sum <"$p" | cut -d" " -f1) $(stat -c "%a %u:%g %i %y" "$p")"; done\n'
        f"stat -c 'directory %n %a %u:%g' {folders}\n"
        f"for u in {SERVICE} {AUTOMOUNT}; do\n"
        'echo "unit $u $(systemctl show -P ActiveState -P UnitFileState -P NeedDaemonReload '
        '-P MainPID -P ActiveEnterTimestampMonotonic "$u" | tr "\\n" " ")"; done\n'
    )


def reset() -> str:
    """Return the script that takes everything of the job off a node again."""
    paths = " ".join(path for path, *_ in (("/usr/local/bin/bench-server",), *_FILES))
    folders = " ".join(path for path, _ in _DIRECTORIES)
    return (
        f"systemctl disable --now {SERVICE} {AUTOMOUNT} mnt-bench.mount 2>/dev/null\n"
        f"rm -f {paths}\nrm -rf {folders}\nrmdir /mnt/bench 2>/dev/null\n"
        "systemctl daemon-reload\nsystemctl reset-failed 2>/dev/null\nsync\nexit 0\n"
    )
