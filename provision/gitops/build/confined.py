"""A program that runs another one without network and with one folder as its whole file system.

It is started by `isolation`, as a script of its own: namespaces are entered by
one process with one thread, and nothing of elysium is loaded for it.

    confined.py STATUS-FD ROOT FOLDER PROGRAM ARGUMENT…

It writes ``namespaces`` to STATUS-FD, or the reason why the kernel gives none,
and becomes PROGRAM in the folder FOLDER of ROOT. The environment stays.
"""

import os
import resource
import sys

_NEW_USER = 0x10000000
_NEW_NETWORK = 0x40000000
_NEW_IPC = 0x08000000
_MEMORY = 4 << 30


def _unshare() -> None:
    """Leave the network; as root of a user namespace of our own, where there is one."""
    call = getattr(os, "unshare", None) or _from_libc
    try:
        call(_NEW_USER | _NEW_NETWORK | _NEW_IPC)
    except OSError:
        call(_NEW_NETWORK | _NEW_IPC)


def _from_libc(flags: int) -> None:
    import ctypes  # Python has the call from 3.12 on

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main(status: int, root: str, folder: str, program: str, arguments: list[str]) -> None:
    """Run `program`. Does not return."""
    os.set_inheritable(status, False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    binary = os.open(program, os.O_RDONLY | os.O_CLOEXEC)
    where = f"{root}/{folder}"
    try:
        _unshare()
        os.chroot(root)
        where = f"/{folder}"
        os.write(status, b"namespaces")
    except (OSError, AttributeError) as error:
        os.write(status, str(error).encode())
    os.chdir(where)
    os.execve(binary, [program, *arguments], os.environ)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
