"""The script that answers a `FactRequest` in one exec.

Its output is a list of fields, each ended by a NUL: tag, value, tag, value.
Paths travel raw, so no name can break it. What costs time runs side by side:
the hashes are computed on the left of a pipe while the right answers
everything else, and are passed on after it. The bytes of files come last,
one after the other; their sizes are known by then.

Needs on the node: a POSIX shell with the usual tools (GNU or busybox). Nothing
is written there, and no Python is needed.
"""

from __future__ import annotations

from provision.host import facts, scripts

MARK = "elysium-facts"

# One grep prints all of them as path:line; none of these names holds a colon.
PSEUDO_FILES = (
    "/etc/os-release",
    "/proc/1/comm",
    "/proc/filesystems",
    "/proc/modules",
    "/proc/net/ipv6_route",
    "/proc/net/route",
    "/sys/fs/cgroup/cgroup.controllers",
    "/proc/cgroups",
    "/proc/meminfo",
    "/sys/fs/selinux/enforce",
)

TOOLS = ("cat", "date", "df", "grep", "readlink", "sed", "sha256sum", "stat", "timeout", "uname")
"""What the script is made of. Without one of them its answer would be a wrong one."""

UNIT_PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,Result,NeedDaemonReload"


def render(request: facts.FactRequest) -> str:
    """Return the script for `request`."""
    files = sorted(request.files | request.contents)
    parts = [
        scripts.PRELUDE,
        "f() { printf '%s\\0' \"$1\"; }\n",
        f"f {MARK}; f date; date +%s.%N; printf '\\0'\n",
        _lacking(),
        "set --\n",
        _present(files, sorted(request.listings)),
        "{\n" + _HASHES + "} | {\n{\n",
        _system(),
        _STAT,
        _units(sorted(request.units)),
        _mounts(sorted(request.mounts)),
        _commands(sorted(request.commands)),
        _ports(request.ports),
        _disks(sorted(request.disks)),
        _snippets(request.snippets),
        "} </dev/null 2>/dev/null\n",
        "f hashes; cat; printf '\\0'\n}\n",
        _contents(sorted(request.contents)),
        "f end\nexit 0\n",
    ]
    return "".join(parts)


def _lacking() -> str:
    """Name the tools that are missing."""
    return (
        f"l=; for c in {scripts.quote(TOOLS)}; do\n"
        'command -v "$c" >/dev/null 2>&1 || l="$l $c"\ndone\n'
        '[ -z "$l" ] || { f lacking; f "${l# }"; }\n'
    )


def _present(files: list[str], listings: list[str]) -> str:
    """Tell what exists, and keep it as the positional parameters."""
    script = ""
    if files:
        script += (
            f"for p in {scripts.quote(files)}; do\n"
            'if [ -e "$p" ] || [ -L "$p" ]; then f file; f "$p"; set -- "$@" "$p"; fi\ndone\n'
        )
    if listings:
        script += (
            f"for d in {scripts.quote(listings)}; do\n"
            '[ -d "$d" ] || continue\nf dir; f "$d"\n'
            'for p in "$d"/* "$d"/.[!.]* "$d"/..?*; do\n'
            'if [ -e "$p" ] || [ -L "$p" ]; then f entry; f "$p"; set -- "$@" "$p"; fi\n'
            "done\ndone\n"
        )
    return script


# Only regular files, in the order of the positional parameters.
_HASHES = """\
n=$#
while [ "$n" -gt 0 ]; do
p=$1; shift; n=$((n - 1))
if [ -f "$p" ] && ! [ -L "$p" ]; then set -- "$@" "$p"; fi
done
if [ $# -gt 0 ]; then sha256sum -- "$@" 2>/dev/null; fi
"""

_STAT = """\
f stat
if [ $# -gt 0 ]; then stat -c '%f %u %g %s %Y' -- "$@"; fi
printf '\\0'
for p do
if [ -L "$p" ]; then f link; f "$p"; f target; readlink -- "$p"; printf '\\0'; fi
done
"""


def _system() -> str:
    return (
        "f uname; uname -n; uname -m; printf '\\0'\n"
        "if [ -d /run/systemd/system ]; then f systemd; f 1; fi\n"
        "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then f cgroup2; f 1; fi\n"
        f"f pseudo; grep -s '' {' '.join(PSEUDO_FILES)}; printf '\\0'\n"
    )


def _units(units: list[str]) -> str:
    if not units:
        return ""
    return f"f units; systemctl show -p {UNIT_PROPERTIES} -- {scripts.quote(units)}; printf '\\0'\n"


def _mounts(mounts: list[str]) -> str:
    """Tell what is mounted, and touch only what is (an automount is not triggered)."""
    if not mounts:
        return ""
    patterns = " ".join(f"-e {scripts.quote([f' {mount} '])}" for mount in mounts)
    return (
        f"m=$(grep -F {patterns} /proc/self/mountinfo)\n"
        'f mountinfo; f "$m"\n'
        f"for p in {scripts.quote(mounts)}; do\n"
        "printf '%s\\n' \"$m\" | while read -r _ _ _ _ at rest; do\n"
        '[ "$at" = "$p" ] || continue\n'
        "case $rest in *' - autofs '*) continue;; esac\n"
        'e=$(timeout 5 stat -c %i -- "$p" 2>&1 >/dev/null) || '
        '{ f dead; f "$p"; f error; f "${e:-no answer within 5 s}"; }\n'
        "break\ndone\ndone\n"
    )


def _commands(commands: list[str]) -> str:
    if not commands:
        return ""
    return (
        f"for c in {scripts.quote(commands)}; do\n"
        'if w=$(command -v "$c"); then f command; f "$c"; f at; f "$w"; fi\ndone\n'
    )


def _ports(ports: frozenset[int]) -> str:
    if not ports:
        return ""
    return "f ports; grep -hs ' 0A ' /proc/net/tcp /proc/net/tcp6; printf '\\0'\n"


def _disks(disks: list[str]) -> str:
    """Ask df for the nearest directory that exists, so that a future path has an answer."""
    if not disks:
        return ""
    return (
        f"set --\nfor p in {scripts.quote(disks)}; do\n"
        'while [ -n "$p" ] && ! [ -d "$p" ]; do p=${p%/*}; done\n'
        'set -- "$@" "${p:-/}"\ndone\n'
        "f disks; timeout 5 df -Pk -- \"$@\"; printf '\\0'\n"
    )


def _snippets(snippets: frozenset[tuple[str, str]]) -> str:
    return "".join(
        f"f snippet; f {scripts.quote([name])}; f output; (\n{script}\n); printf '\\0'\n"
        for name, script in sorted(snippets)
    )


def _contents(contents: list[str]) -> str:
    if not contents:
        return ""
    return (
        f"f contents; set --\nfor p in {scripts.quote(contents)}; do\n"
        'if [ -f "$p" ] && ! [ -L "$p" ]; then set -- "$@" "$p"; fi\ndone\n'
        "if [ $# -gt 0 ]; then cat -- \"$@\"; fi\nprintf '\\0'\n"
    )
