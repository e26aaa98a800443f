"""The passphrase that encrypts a stack's secrets: where it comes from.

In this order: ``PULUMI_CONFIG_PASSPHRASE``, ``PULUMI_CONFIG_PASSPHRASE_FILE``
(both as upstream reads them, the file's text stripped), else a file that
`create_passphrase` made, readable by its owner only, in the user's
configuration folder under the project's path and the stack's name.

Before any of it is read, a change of the passphrase that was cut off is
finished or taken back (`settle`), so that file, state and passphrase always
belong together.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from provision import errors
from provision.config_file import document, project
from provision.fileio import transaction
from provision.secret import Secret

if TYPE_CHECKING:
    from provision.crypter import PassphraseCrypter

_VARIABLE = "PULUMI_CONFIG_PASSPHRASE"


def passphrase_file(root: Path, stack: str) -> Path:
    """Return where the passphrase of `stack` of the project in `root` is kept."""
    import platformdirs

    root = root.resolve()
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    folder = Path(platformdirs.user_config_dir("elysium")) / "passphrases"
    return folder / f"{root.name}-{digest}" / stack


def create_passphrase(root: Path, stack: str) -> tuple[Secret, Path]:
    """Return the passphrase in the stack's file, made up if there is none.

    The file has mode 0600 in a folder of mode 0700. Raises `errors.StackError`.
    """
    path = passphrase_file(root, stack)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _from_file(path, "the stack's passphrase file"), path
    except OSError as error:
        raise errors.StackError(
            f"the passphrase cannot be kept in {path}",
            operation="passphrase",
            detail=error.strerror or str(error),
            hint=f"set {_VARIABLE} or {_VARIABLE}_FILE instead",
        ) from error
    text = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Secret(text), path


def switch_record(root: Path, stack: str) -> Path:
    """Return where the state of a change of `stack`'s passphrase is kept."""
    return root / ".elysium" / f"{stack}.passphrase-change"


def settle(root: Path, stack: str) -> None:
    """Finish or take back a cut off change of the passphrase.

    Raises `errors.StackError` where that cannot be done.
    """
    transaction.finish(switch_record(root, stack))


def passphrase_source(root: Path, stack: str, environ: Mapping[str, str]) -> Path | None:
    """Return the file that the passphrase of `stack` is read from; None for the environment."""
    if _VARIABLE in environ:
        return None
    named = environ.get(f"{_VARIABLE}_FILE")
    return Path(named).expanduser() if named else passphrase_file(root, stack)


def find_passphrase(root: Path, stack: str, environ: Mapping[str, str]) -> Secret:
    """Return the passphrase of `stack`. Raises `errors.StackError` when there is none."""
    settle(root, stack)
    path = passphrase_source(root, stack, environ)
    if path is None:
        return Secret(environ[_VARIABLE])
    if environ.get(f"{_VARIABLE}_FILE"):
        return _from_file(path, f"the file that {_VARIABLE}_FILE names")
    if path.exists():
        return _from_file(path, "the stack's passphrase file")
    raise errors.StackError(
        f"the passphrase of stack {stack} is not known here",
        operation="passphrase",
        hint=f"set {_VARIABLE} or {_VARIABLE}_FILE, or put it into {path} (mode 0600)"
        + _moved(path),
    )


def stack_crypter(
    where: project.Project, stack: str, environ: Mapping[str, str]
) -> Callable[[], PassphraseCrypter]:
    """Return a function that opens the crypter of `stack` once, at its first call.

    It uses the salt in the stack's file; where there is none yet, a new
    crypter with a new salt (`set_value` then writes it). The function raises
    `errors.StackError`: no passphrase, a wrong one, a damaged salt. A cut off
    change of the passphrase is settled at once, before the caller reads the
    stack's file.
    """
    settle(where.root, stack)

    @functools.cache
    def opened() -> PassphraseCrypter:
        from provision import crypter

        path = where.stack_file(stack)
        salt = document.parse(path).data.get("encryptionsalt")
        passphrase = find_passphrase(where.root, stack, environ)
        if salt is None:
            return crypter.PassphraseCrypter.new(passphrase)
        return crypter.PassphraseCrypter.from_salt(str(salt), passphrase)

    return opened


def _from_file(path: Path, what: str) -> Secret:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.StackError(
            f"{what} cannot be read: {path}", operation="passphrase", detail=reason
        ) from error
    if not text:
        raise errors.StackError(f"{what} is empty: {path}", operation="passphrase")
    return Secret(text)


def _moved(path: Path) -> str:
    """Name files of stacks of the same name: the project's folder may have been moved."""
    others = sorted(str(p) for p in path.parent.parent.glob(f"*/{path.name}"))
    return f"; if the folder was moved, it may be in {', '.join(others)}" if others else ""
