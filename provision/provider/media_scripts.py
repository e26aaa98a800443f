"""The shell scripts of a media library: packages, clearing a mount, listing, removal.

POSIX shell, run as root by `provision.host.session`. None holds a secret.
"""

from __future__ import annotations

from provision.host import scripts
from provision.provider import media_files

STATUS_LISTING = 7
"""The status of `listing` when the deadline passed or no patience helps."""

# What patience does not mend, in the words of rclone and of Azure's service.
_HOPELESS = (
    "AuthenticationFailed|AuthorizationFailure|InvalidAuthenticationInfo|AccountIsDisabled|"
    "ContainerNotFound|InvalidResourceName|directory not found|didn't find section|"
    "unknown flag|invalid argument|illegal base64|unknown option|[Nn]ot supported"
)

_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120"

_MOUNTED = (
    "mounted() { while read -r _ _ _ _ at rest; do "
    'if [ "$at" = "$mp" ]; then case $rest in *" - fuse.rclone "*) return 0;; esac; fi; '
    "done </proc/self/mountinfo; return 1; }\n"
)


def quote(text: str) -> str:
    """Return one word quoted for a shell."""
    return scripts.quote([text])


def install_fuse() -> str:
    """Return the script that installs fuse3 and notes first which packages come with it."""
    state, packages = quote(media_files.STATE), quote(media_files.PACKAGES)
    return (
        f"set -u\nmkdir -p {state}\nnote() {{ cat >{packages}.new && mv -f {packages}.new "
        f"{packages}; }}\n"
        f"known={packages}\n"
        "if command -v apt-get >/dev/null; then\n"
        f"coming() {{ {_APT} -s --no-install-recommends install fuse3 | "
        "sed -n 's/^Inst \\([^ ]*\\).*/\\1/p'; }\n"
        f"get() {{ {_APT} --no-install-recommends -y install fuse3; }}\n"
        f"if ! coming >/dev/null 2>&1; then {_APT} update; fi\n"
        '[ -s "$known" ] || coming | note\n'
        f"get || {{ {_APT} update && get; }}\n"
        'else\n[ -s "$known" ] || echo fuse3 | note\n'
        "if command -v dnf >/dev/null; then dnf -y -q install fuse3\n"
        "elif command -v yum >/dev/null; then yum -y -q install fuse3\n"
        "elif command -v zypper >/dev/null; then zypper -n -q install fuse3\n"
        "elif command -v pacman >/dev/null; then pacman -S --noconfirm --needed fuse3\n"
        "elif command -v apk >/dev/null; then apk add -q fuse3\n"
        "else echo 'no package manager that is known here' >&2; exit 1; fi\nfi\n"
        "status=$?\nif [ $status -ne 0 ]; then exit $status; fi\n"
        "command -v fusermount3 >/dev/null || "
        "{ echo 'fusermount3 is still missing' >&2; exit 1; }\n"
    )


def need_device() -> str:
    """Return the script that brings /dev/fuse, or ends with the reason why it cannot."""
    return (
        "[ -c /dev/fuse ] || modprobe fuse || true\n"
        "[ -c /dev/fuse ] || { echo 'there is no /dev/fuse' >&2; exit 1; }\n"
    )


def put_aside(path: str, backup: str) -> str:
    """Return the script that keeps a foreign file under another name."""
    return (
        f"if [ -e {quote(path)} ] && ! [ -e {quote(backup)} ]; then "
        f"mv -fT {quote(path)} {quote(backup)}; fi\n"
    )


def clear(mount_point: str) -> str:
    """Return the script that takes a dead or old mount away, and forgets its failures.

    The processes of a unit that is still mounted are ended first: one that
    hangs would otherwise go on writing to the cache beside its successor.
    """
    mount, automount = media_files.unit_names(mount_point)
    return (
        f"mp={quote(mount_point)}\n{_MOUNTED}"
        "if mounted; then "
        f"systemctl kill --signal=KILL -- {quote(mount)} 2>/dev/null || true; fi\n"
        "n=0\nwhile mounted && [ $n -lt 5 ]; do n=$((n + 1))\n"
        'fusermount3 -uz -- "$mp" 2>/dev/null || umount -l -- "$mp"\ndone\n'
        f"systemctl stop -- {quote(mount)} 2>/dev/null || true\n"
        f"systemctl reset-failed -- {scripts.quote([mount, automount])} 2>/dev/null || true\n"
        'if mounted; then echo "$mp is still mounted" >&2; exit 1; fi\n'
    )


def _unmount(before: media_files.Before) -> str:
    """Stop and remove the units."""
    mount, automount = media_files.unit_names(before.mount_point)
    paths = [media_files.unit_path(name) for name in (mount, automount)]
    return (
        f"systemctl disable -- {quote(automount)} 2>/dev/null || true\n"
        f"systemctl stop -- {scripts.quote([automount, mount])} 2>/dev/null || true\n"
        f"{clear(before.mount_point)}"
        f"rm -f -- {scripts.quote(paths)}\nsystemctl daemon-reload\n"
        f"systemctl reset-failed -- {scripts.quote([mount, automount])} 2>/dev/null || true\n"
    )


def leave(before: media_files.Before) -> str:
    """Return the script that takes away the mount of an earlier mount point."""
    script = _unmount(before)
    if before.mount_point in before.absent:
        script += f"rmdir -- {quote(before.mount_point)} 2>/dev/null || true\n"
    return script


def _dirty(before: media_files.Before) -> str:
    meta = quote(f"{before.cache_dir}/vfsMeta/{media_files.REMOTE}")
    return f"dirty() {{ grep -Eqrs '\"Dirty\": *true' {meta}; }}\n"


def drop_cache(before: media_files.Before) -> str:
    """Return the script that removes our cache, or prints ``kept`` and its path.

    It is kept where it holds what rclone has not uploaded yet.
    """
    cache = before.cache_dir
    if cache in before.absent:
        gone = [cache]
    else:
        gone = [f"{cache}/{part}/{media_files.REMOTE}" for part in ("vfs", "vfsMeta")]
    return (
        f"{_dirty(before)}if dirty; then echo kept {quote(cache)}; "
        f"else rm -rf -- {scripts.quote(gone)}; "
        f"rmdir -- {scripts.quote([f'{cache}/vfs', f'{cache}/vfsMeta'])} 2>/dev/null || true; fi\n"
    )


def listing(mount_point: str, timeout: int, proof: str) -> str:
    """Return the script that lists through the automount until it works.

    It prints the number of entries and writes `proof`; with `STATUS_LISTING` it
    prints the last error and the units' journal of that time.
    """
    mount, automount = media_files.unit_names(mount_point)
    state, proven = quote(media_files.STATE), quote(media_files.PROVEN)
    return (
        f"mp={quote(mount_point)}\n{_MOUNTED}"
        f"from=$(date +%s); until=$((from + {int(timeout)})); tries=0\n"
        'said() { journalctl --no-pager -q -o cat -n 40 --since "@$from" '
        f"-u {quote(mount)} -u {quote(automount)} 2>/dev/null; }}\n"
        "while :; do\n"
        "tries=$((tries + 1)); left=$((until - $(date +%s)))\n"
        '[ "$left" -ge 1 ] || left=1; [ "$left" -le 60 ] || left=60\n'
        'if out=$(timeout -k 5 "$left" ls -A -- "$mp" 2>&1); then\n'
        "if mounted; then break; fi\nout='nothing is mounted there'\n"
        "fi\n"
        '[ -n "$out" ] || out="no answer within $left s"\n'
        'if [ "$(date +%s)" -ge "$until" ] || '
        f'{{ [ "$tries" -ge 3 ] && said | grep -Eq {quote(_HOPELESS)}; }}; then\n'
        f"printf '%s\\n' \"$out\" | tail -n 3; said; exit {STATUS_LISTING}\n"
        "fi\nsleep 1\n"
        # A unit that failed is tried again by the next access.
        f"systemctl is-active -q -- {quote(automount)} || "
        f"systemctl restart -- {quote(automount)} 2>/dev/null || true\n"
        "done\n"
        "set -e\n"
        'if [ -n "$out" ]; then printf \'%s\\n\' "$out" | wc -l; else echo 0; fi\n'
        f"mkdir -p {state}\nprintf '%s' {quote(proof)} >{proven}.new\nmv -f {proven}.new {proven}\n"
    )


def remove(before: media_files.Before, *, wait: int = 60) -> str:
    """Return the script that takes a media library away and leaves what was there before.

    Files that rclone has not uploaded yet are waited for up to `wait` seconds;
    then the cache stays, and its path is printed after ``kept``. Packages
    others need by now are printed after ``needed``.
    """
    mount, _ = media_files.unit_names(before.mount_point)
    ours = sorted((path for path in before.absent if path not in _FILES), reverse=True)
    # Last of all: as long as the note is there, a removal that was cut off can be done again.
    notes = [media_files.PROVEN, media_files.PACKAGES, media_files.BEFORE]
    folders = [*(path for path in ours if path != media_files.STATE)]
    return "".join(
        (
            f"set -u\n{_dirty(before)}until=$(($(date +%s) + {int(wait)}))\n",
            f"while dirty && systemctl is-active -q -- {quote(mount)} && "
            '[ "$(date +%s)" -lt "$until" ]; do sleep 1; done\n',
            _unmount(before),
            f"rm -f -- {quote(media_files.CONFIG)}\n",
            _restored(before),
            drop_cache(before),
            _packages(),
            f"rm -f -- {scripts.quote(notes)}\n",
            f"for d in {scripts.quote([media_files.STATE, *folders])}; do "
            'rmdir -- "$d" 2>/dev/null || true; done\n',
        )
    )


_FILES = frozenset({media_files.BINARY, media_files.LINK})


def _restored(before: media_files.Before) -> str:
    binary, backup, link = (
        quote(path) for path in (media_files.BINARY, media_files.BINARY_BACKUP, media_files.LINK)
    )
    lines: list[str] = []
    if media_files.LINK in before.absent:
        lines.append(f"rm -f -- {link}\n")
    elif before.link:
        lines.append(f"ln -sfnT -- {quote(before.link)} {link}\n")
    if media_files.BINARY in before.absent:
        lines.append(f"rm -f -- {binary}\n")
    else:
        lines.append(f"if [ -e {backup} ]; then mv -fT {backup} {binary}; fi\n")
    return "".join(lines)


def _packages() -> str:
    """Remove the packages that we brought, unless that would take others with them."""
    return (
        f"if [ -s {quote(media_files.PACKAGES)} ]; then\n"
        f"set -- $(cat {quote(media_files.PACKAGES)})\n"
        "if command -v apt-get >/dev/null; then\n"
        f'gone=$({_APT} -s purge "$@" | '
        'sed -n "s/^\\(Remv\\|Purg\\) \\([^ ]*\\).*/\\2/p" | sort -u)\n'
        'more=""; for p in $gone; do case " $* " in *" $p "*) ;; *) more="$more $p";; esac; done\n'
        f'if [ -n "$more" ]; then echo "needed$more"; else {_APT} -y purge "$@" >/dev/null; fi\n'
        'elif command -v dnf >/dev/null; then dnf -y -q remove --noautoremove "$@"\n'
        'elif command -v yum >/dev/null; then yum -y -q remove "$@"\n'
        'elif command -v zypper >/dev/null; then zypper -n -q remove "$@"\n'
        'elif command -v pacman >/dev/null; then pacman -R --noconfirm "$@"\n'
        'elif command -v apk >/dev/null; then apk del -q "$@"\nfi\nfi\n'
    )
