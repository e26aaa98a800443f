"""The script and the tar of a `Bundle`.

Files are unpacked to a private folder on /run, which is memory: a secret that
an interrupted run leaves behind is gone with the next boot and is removed by
the next run. Each script has a folder of its own, named by its process, since
the resources of a node are changed side by side. The files are copied beside
their targets under a fixed name, synced all together, and renamed all
together; no reader ever sees half a file.
"""

from __future__ import annotations

import io
import tarfile

from provision.host import bundle, scripts

STAGE = "/run/elysium/stage"
SUFFIX = ".elysium-new"


def render(wanted: bundle.Bundle) -> str:
    """Return the script that applies `wanted`, the tar on its standard input."""
    lines = [scripts.PRELUDE, "set -eu\n"]
    if wanted.stop:
        # Status 5 is a unit that is not there: stopped enough.
        lines.append(f"systemctl stop -- {scripts.quote(wanted.stop)} || [ $? -eq 5 ]\n")
    for directory in wanted.directories:
        path = scripts.quote([directory.path])
        lines.append(f"mkdir -p {path}\nchown 0:0 {path}\nchmod {directory.mode:o} {path}\n")
    if wanted.files:
        lines.append(_files(wanted.files))
    for link in wanted.links:
        temporary = scripts.quote([link.path + SUFFIX])
        lines.append(
            f"mkdir -p {scripts.quote([_parent(link.path)])}\n"
            f"ln -sfn {scripts.quote([link.target])} {temporary}\n"
            f"mv -fT {temporary} {scripts.quote([link.path])}\n"
        )
    lines.extend(_remove(path) for path in wanted.removals)
    if wanted.reload:
        lines.append("systemctl daemon-reload\n")
    waiting = " --no-block" if wanted.no_block else ""
    for verb, units in (
        ("enable", wanted.enable),
        ("start" + waiting, wanted.start),
        ("restart" + waiting, wanted.restart),
    ):
        if units:
            lines.append(f"systemctl {verb} -- {scripts.quote(units)}\n")
    return "".join(lines)


def pack(wanted: bundle.Bundle) -> bytes:
    """Return the tar of the bundle's files, named by their number."""
    if not wanted.files:
        return b""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, file in enumerate(wanted.files):
            entry = tarfile.TarInfo(str(number))
            entry.size = len(file.content)
            entry.mode = 0o600
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def _files(files: tuple[bundle.File, ...]) -> str:
    lines = [
        f"mkdir -p {STAGE}\nchmod 700 {STAGE}\nfor left in {STAGE}/*; do\n"
        'if [ -e "$left" ] && ! [ -d "/proc/${left##*/}" ]; then rm -rf "$left"; fi\ndone\n'
        f'stage={STAGE}/$$\nrm -rf "$stage"\nmkdir "$stage"\n'
        'trap \'rm -rf "$stage"\' EXIT\ntar -xf - -C "$stage"\n'
    ]
    for number, file in enumerate(files):
        temporary = scripts.quote([file.path + SUFFIX])
        # Made empty and closed to others before it holds anything.
        lines.append(
            f"mkdir -p {scripts.quote([_parent(file.path)])}\n"
            f"rm -f {temporary}\n(umask 077; cat $stage/{number} >{temporary})\n"
            f"chown 0:0 {temporary}\nchmod {file.mode:o} {temporary}\n"
        )
    temporaries = scripts.quote(file.path + SUFFIX for file in files)
    parents = scripts.quote(sorted({_parent(file.path) for file in files}))
    lines.append(f"sync {temporaries} 2>/dev/null || sync\n")
    lines.extend(
        f"mv -fT {scripts.quote([file.path + SUFFIX])} {scripts.quote([file.path])}\n"
        for file in files
    )
    lines.append(f"sync {parents} 2>/dev/null || sync\n")
    return "".join(lines)


def _remove(path: str) -> str:
    quoted = scripts.quote([path])
    return (
        f"if [ -d {quoted} ] && ! [ -L {quoted} ]; then "
        f"rmdir {quoted} 2>/dev/null || true; else rm -f {quoted}; fi\n"
    )


def _parent(path: str) -> str:
    return path.rsplit("/", 1)[0] or "/"
