"""The shell scripts of a media library: packages, clearing a mount, listing, removal.

Their text is in ``templates/media``: POSIX shell, run as root by
`provision.host.session`. None holds a secret.
"""

from __future__ import annotations

from provision.host import scripts
from provision.provider import media_files

STATUS_LISTING = 7
"""The status of `listing` when the deadline passed or no patience helps."""

# What patience does not mend, in the words of rclone and of Azure's service.
_HOPELESS = (
    "AuthenticationFailed|AuthorizationFailure|InvalidAuthenticationInfo|AccountIsDisabled|"
    "InvalidResourceName|didn't find section|didn't find backend|unknown flag|invalid argument|"
    "illegal base64|unknown option"
)
_PATHS = frozenset({media_files.BINARY, media_files.LINK})


# Whoever writes to a file or replaces it changes at least one of these.
_IDENTITY = f"stat -c '%i %s %z' -- {media_files.BINARY}"


def hash_binary() -> str:
    """Return a snippet that prints the binary's sha256, mode, owner and group.

    Nothing where nothing is there, ``other`` where it is no regular file.
    Reads it only where it is not what `listing` wrote down.
    """
    path, noted = media_files.BINARY, media_files.HASHED
    return (
        f"if [ -L {path} ]; then echo other\n"
        f"elif [ -f {path} ]; then\n"
        f"known=; was=; [ -f {noted} ] && {{ read -r known; read -r was; }} <{noted}\n"
        f'[ "$was" = "$({_IDENTITY})" ] || known=$(sha256sum <{path} | cut -d " " -f 1)\n'
        f"echo \"$known $(stat -c '%a %u %g' -- {path})\"\n"
        f"elif [ -e {path} ]; then echo other; fi"
    )


def install_fuse() -> str:
    """Return the script that installs fuse3 and notes first which packages come with it."""
    return media_files.render("install-fuse.sh", packages=media_files.PACKAGES)


def need_device() -> str:
    """Return the script that brings /dev/fuse, or ends with the reason why it cannot."""
    return (
        "[ -c /dev/fuse ] || modprobe fuse || true\n"
        "[ -c /dev/fuse ] || { echo 'there is no /dev/fuse' >&2; exit 1; }\n"
    )


def put_aside(path: str, backup: str) -> str:
    """Return the script that keeps a foreign file under another name."""
    old, new = scripts.quote([path]), scripts.quote([backup])
    return f"if [ -e {old} ] && ! [ -e {new} ]; then mv -fT -- {old} {new}; fi\n"


def clear(mount_point: str) -> str:
    """Return the script that takes a dead or old mount away, and forgets its failures."""
    return media_files.render("clear.sh", mounted=_mounted(mount_point))


def leave(before: media_files.Before) -> str:
    """Return the script that takes away a mount, its units and its folder."""
    mount, automount = media_files.unit_names(before.mount_point)
    return media_files.render(
        "leave.sh",
        mount=mount,
        automount=automount,
        clear=clear(before.mount_point),
        units=[media_files.unit_path(name) for name in (mount, automount)],
        made=before.mount_point in before.absent,
    )


def drop_cache(before: media_files.Before) -> str:
    """Return the script that removes our cache, or prints ``kept`` and its path.

    It is kept where it holds what rclone has not uploaded yet.
    """
    return media_files.render(
        "drop-cache.sh",
        dirty=_dirty(before),
        remote=media_files.REMOTE,
        made=before.cache_dir in before.absent,
    )


def listing(mount_point: str, what: str, timeout: int, proof: str) -> str:
    """Return the script that lists through the automount until it works.

    It writes `proof`, and prints ``absent`` where `what` (``media:path``) is not
    there, which shows as an empty folder. With `STATUS_LISTING` it prints the last
    error and the units' journal of that time. `timeout` is in seconds.
    """
    return media_files.render(
        "list.sh",
        mounted=_mounted(mount_point),
        timeout=int(timeout),
        hopeless=_HOPELESS,
        status=STATUS_LISTING,
        rclone=media_files.BINARY,
        config=media_files.CONFIG,
        what=what,
        hashed=media_files.HASHED,
        identity=_IDENTITY,
        proven=media_files.PROVEN,
        proof=proof,
    )


def remove(before: media_files.Before, *, wait: int = 60) -> str:
    """Return the script that takes a media library away and leaves what was there before.

    Files that rclone has not uploaded yet are waited for up to `wait` seconds;
    then the cache stays, and its path is printed after ``kept``. Packages
    others need by now are printed after ``needed``.
    """
    folders = sorted({*before.absent} - _PATHS - {media_files.STATE}, reverse=True)
    return media_files.render(
        "remove.sh",
        dirty=_dirty(before),
        mount=media_files.unit_names(before.mount_point)[0],
        wait=int(wait),
        leave=leave(before),
        config=media_files.CONFIG,
        link=media_files.LINK,
        link_made=media_files.LINK in before.absent,
        link_target=before.link,
        binary=media_files.BINARY,
        binary_made=media_files.BINARY in before.absent,
        backup=media_files.BINARY_BACKUP,
        drop_cache=drop_cache(before),
        packages=media_files.render("remove-packages.sh", packages=media_files.PACKAGES),
        notes=[
            media_files.PROVEN,
            media_files.HASHED,
            media_files.PACKAGES,
            media_files.BEFORE,
        ],
        folders=[media_files.STATE, *folders],
    )


def _mounted(mount_point: str) -> str:
    mount, automount = media_files.unit_names(mount_point)
    return media_files.render(
        "mounted.sh",
        mount_point=mount_point,
        mount=mount,
        automount=automount,
        fstype=media_files.FSTYPE,
    )


def _dirty(before: media_files.Before) -> str:
    return media_files.render("dirty.sh", cache=before.cache_dir, remote=media_files.REMOTE)
