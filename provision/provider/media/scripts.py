"""The shell scripts of a media library: packages, clearing a mount, listing, removal.

Their text is in ``templates/media``: POSIX shell, run as root by
`provision.host.session`. None holds a secret.
"""

from __future__ import annotations

from provision.host import scripts
from provision.provider import node_templates
from provision.provider.media import files, placement

STATUS_LISTING = 7
"""The status of `listing` when the deadline passed or no patience helps."""

# What patience does not mend, in the words of rclone and of Azure's service.
_HOPELESS = (
    "AuthenticationFailed|AuthorizationFailure|InvalidAuthenticationInfo|AccountIsDisabled|"
    "InvalidResourceName|didn't find section|didn't find backend|unknown flag|invalid argument|"
    "illegal base64|unknown option|revealing password|couldn't decrypt password"
)
_PATHS = frozenset({*(place.binary for place in placement.ALL), files.LINK})
_UPLOAD_WAIT = 60


# Whoever writes to a file or replaces it changes at least one of these.
_IDENTITY = "stat -c '%i %s %z' -- "


def hash_binary() -> str:
    """Return a snippet that prints the placement, then the binary's sha256, mode, owner and group.

    No second line where no binary is there, ``other`` where it is no regular file.
    Reads it only where it is not what `listing` wrote down.
    """
    path, noted = f'"$b/{placement.NAME}"', files.HASHED
    return placement.script(files.BEFORE) + (
        f"if [ -L {path} ]; then echo other\n"
        f"elif [ -f {path} ]; then\n"
        f"known=; was=; [ -f {noted} ] && {{ read -r known; read -r was; }} <{noted}\n"
        f'[ "$was" = "$({_IDENTITY}{path})" ] || known=$(sha256sum <{path} | cut -d " " -f 1)\n'
        f"echo \"$known $(stat -c '%a %u %g' -- {path})\"\n"
        f"elif [ -e {path} ]; then echo other; fi"
    )


def install_fuse() -> str:
    """Return the script that installs fuse3 and notes first which packages come with it."""
    return files.render("install-fuse.sh", packages=files.PACKAGES)


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
    return files.render("clear.sh", mounted=_mounted(mount_point))


def leave(before: files.Before) -> str:
    """Return the script that takes away a mount, its units and its folder."""
    mount, automount = files.unit_names(before.mount_point)
    return files.render(
        "leave.sh",
        mount=mount,
        automount=automount,
        clear=clear(before.mount_point),
        units=[files.unit_path(name) for name in (mount, automount)],
        service=files.unit_path(files.service_name(before.mount_point)),
        header=files.HEADER,
        made=before.mount_point in before.absent,
    )


def drop_cache(before: files.Before) -> str:
    """Return the script that removes our cache, or prints ``kept`` and its path.

    It is kept where it holds what rclone has not uploaded yet.
    """
    return files.render(
        "drop-cache.sh",
        dirty=_dirty(before),
        mounts=node_templates.render("mounts.sh"),
        remove_tree=node_templates.render("remove-tree.sh"),
        remote=files.REMOTE,
        made=before.cache_dir in before.absent,
    )


def listing(
    mount_point: str, what: str, timeout: int, proof: str, binary: str = files.BINARY
) -> str:
    """Return the script that lists through the automount until it works.

    It writes `proof`, and prints ``absent`` where `what` (``media:path``) is not
    there, which shows as an empty folder. With `STATUS_LISTING` it prints the last
    error and the units' journal of that time. `timeout` is in seconds, `binary` is the program.
    """
    return files.render(
        "list.sh",
        mounted=_mounted(mount_point),
        timeout=int(timeout),
        hopeless=_HOPELESS,
        status=STATUS_LISTING,
        rclone=binary,
        config=files.CONFIG,
        what=what,
        hashed=files.HASHED,
        identity=_IDENTITY + binary,
        proven=files.PROVEN,
        proof=proof,
    )


def remove(before: files.Before) -> str:
    """Return the script that takes a media library away and leaves what was there before.

    Files that rclone has not uploaded yet are waited for up to a minute; then
    the cache stays, and its path is printed after ``kept``. Packages others
    need by now are printed after ``needed``.
    """
    folders = sorted({*before.absent} - _PATHS - {files.STATE}, reverse=True)
    return files.render(
        "remove.sh",
        dirty=_dirty(before),
        mount=files.unit_names(before.mount_point)[0],
        wait=_UPLOAD_WAIT,
        leave=leave(before),
        config=files.CONFIG,
        link=files.LINK,
        link_made=files.LINK in before.absent,
        link_target=before.link,
        binary=before.binary,
        binary_made=before.binary in before.absent,
        backup=f"{before.binary}.before-elysium",
        drop_cache=drop_cache(before),
        packages=files.render("remove-packages.sh", packages=files.PACKAGES),
        notes=[
            files.PROVEN,
            files.HASHED,
            files.PACKAGES,
            files.BEFORE,
        ],
        folders=[files.SHOWN, files.STATE, *folders],
    )


def _mounted(mount_point: str) -> str:
    mount, automount = files.unit_names(mount_point)
    return files.render(
        "mounted.sh",
        mount_point=mount_point,
        mount=mount,
        automount=automount,
        service=files.service_name(mount_point),
        shown=files.SHOWN,
        fstype=files.FSTYPE,
    )


def _dirty(before: files.Before) -> str:
    return files.render("dirty.sh", cache=before.cache_dir, remote=files.REMOTE)
