"""Where rclone is on a node, and what starts it. Pure.

mount(8) starts ``/sbin/mount.rclone``, and looks for it nowhere else. Where /usr is read-only
the program goes into /opt/bin, as k3s' install script does it. Where /sbin is read-only and
has no such link, a service starts rclone as mount(8) would, and the mount unit shows its
mount (docs/adr/0018).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

DEFAULT: Final = "/usr/local/bin"
FALLBACK: Final = "/opt/bin"
NAME: Final = "rclone"
LINK: Final = "/sbin/mount.rclone"
_WORD: Final = "placed"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The folder of the program. `service`: a service starts it, not mount(8)."""

    folder: str = DEFAULT
    service: bool = False

    @property
    def binary(self) -> str:
        """The program."""
        return f"{self.folder}/{NAME}"

    @property
    def backup(self) -> str:
        """Where a program that was there before is kept."""
        return f"{self.binary}.before-elysium"


ALL: Final = tuple(Placement(folder=folder) for folder in (DEFAULT, FALLBACK))


def script(notes: str) -> str:
    """Return the script that sets ``$b``, the folder, and prints the placement.

    `notes` is the file that names the program where elysium has put it.
    """
    return f"""\
writable() {{
d=$1
while [ -n "$d" ] && ! [ -d "$d" ]; do d=${{d%/*}}; done
[ -w "${{d:-/}}" ]
}}
to=$(readlink {LINK})
b=$(sed -n 's,^ *"binary": "\\(.*\\)/{NAME}".*,\\1,p' {notes} 2>/dev/null)
case $b in {DEFAULT}|{FALLBACK}) [ -e "$b/{NAME}" ] || writable "$b" || b=;; *) b=;; esac
if [ -z "$b" ]; then
b={DEFAULT}
if [ "$to" != "$b/{NAME}" ] && ! writable "$b" && [ -d {FALLBACK} ] && [ -w {FALLBACK} ]; then
b={FALLBACK}
fi
fi
s=link
[ "$to" = "$b/{NAME}" ] || writable {LINK.rpartition("/")[0]} || s=service
echo "{_WORD} $b $s"
"""


def parse(lines: Iterable[str]) -> Placement:
    """Return what `script` printed; the usual place where it could not tell."""
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[0] == _WORD and words[1] in (DEFAULT, FALLBACK):
            return Placement(folder=words[1], service=words[2] == "service")
    return Placement()


def without(lines: Iterable[str]) -> list[str]:
    """Return the other lines."""
    return [line for line in lines if line.split()[:1] != [_WORD]]
