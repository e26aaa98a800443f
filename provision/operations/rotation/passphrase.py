"""Another passphrase for a stack: all that the old one opened is encrypted anew.

Configuration, state, history, backups and the file that the passphrase is read
from are switched together (`config_file.switch`): at every moment, also after a
kill or a power cut, the stack opens with one passphrase, and which one is
known: the old one until the switch is decided, the new one from then on. The
next command, whichever it is, finishes or takes back what was cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision import config_file, crypter, errors
from provision.config_file import document, passphrase
from provision.engine import api
from provision.engine.state import rekey
from provision.fileio import transaction
from provision.progress import Progress, silent
from provision.secret import Secret

_OPERATION = "change the passphrase"


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What was done. `kept_in` is None when the passphrase comes from the environment.

    `left` are older files that the old passphrase did not open; they are as
    they were.
    """

    files: int
    kept_in: Path | None
    left: tuple[Path, ...]


def rotate(
    ref: api.StackRef,
    old: Secret,
    new: Secret,
    environ: Mapping[str, str],
    progress: Progress = silent,
) -> Changed:
    """Make `new` the passphrase of the stack `ref` and `old` worthless.

    Raises `errors.StackError`, with everything as it was, when the new
    passphrase will not do, another run holds the stack, or the old one does
    not open all of state and configuration.
    """
    root, name = ref.root, ref.stack
    _require_usable(new, old)
    source = passphrase.passphrase_source(root, name, environ)
    config_path = config_file.find_project(root).stack_file(name)
    if source is not None and environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        _require_alone(root, name, source, old)
    with rekey.locked(ref) as place:
        progress("encrypting configuration, state, history and backups anew")
        config_text = _config_text(config_path)
        salts = rekey.salts_of(config_text)
        if place.path.exists():
            salts += rekey.salts_of(place.path.read_text(encoding="utf-8"))
        made = crypter.PassphraseCrypter.new(new)
        keyer = rekey.Rekeyer(old, made, list(dict.fromkeys(salts)))
        wanted = [_again(keyer, config_path, config_text)]
        left: list[Path] = []
        for each in rekey.kept(place):
            try:
                wanted.append(_again(keyer, each.path, each.path.read_text(encoding="utf-8")))
            except (errors.StackError, UnicodeDecodeError):
                if not each.old:
                    raise
                left.append(each.path)
        if source is not None:
            text = new.reveal() + "\n"
            wanted.append(transaction.NewFile(path=source, content=text.encode(), mode=0o600))
        progress("switching to the new passphrase")
        transaction.switch(passphrase.switch_record(root, name), wanted)
        _require_switched(config_path, made.salt, old, new)
    return Changed(files=len(wanted), kept_in=source, left=tuple(left))


def _require_usable(new: Secret, old: Secret) -> None:
    text = new.reveal()
    problem = ""
    if not text.strip():
        problem = "the new passphrase is empty"
    elif text != text.strip() or "\n" in text:
        problem = "the new passphrase begins or ends with a space, or has a line break"
    elif new == old:
        problem = "the new passphrase is the one in use"
    if problem:
        raise errors.StackError(problem, operation=_OPERATION, hint="nothing was changed")


def _require_alone(root: Path, name: str, source: Path, old: Secret) -> None:
    """Refuse to change a file that opens other stacks too."""
    project = config_file.find_project(root)
    for other in project.stacks():
        if other == name:
            continue
        for salt in rekey.salts_of(_config_text(project.stack_file(other))):
            try:
                crypter.PassphraseCrypter.from_salt(salt, old)
            except errors.StackError:
                continue
            raise errors.StackError(
                f"{source} holds the passphrase of stack {other}, too",
                operation=_OPERATION,
                hint=f"give {name} a file of its own (with the same text), name it in "
                "PULUMI_CONFIG_PASSPHRASE_FILE, and run it again; nothing was changed",
            )


def _config_text(path: Path) -> str:
    parsed = document.parse(path)
    for key in ("secretsprovider", "encryptedkey"):
        if parsed.data.get(key) not in (None, "passphrase"):
            raise errors.StackError(
                f"the secrets of {path.name} are kept by '{parsed.data[key]}', not by a passphrase",
                operation=_OPERATION,
                hint="`pulumi stack change-secrets-provider passphrase` changes that",
            )
    return parsed.text


def _again(keyer: rekey.Rekeyer, path: Path, text: str) -> transaction.NewFile:
    after = keyer.text(text, path.name)
    keyer.require_same(text, after, path.name)
    return transaction.NewFile(path=path, content=after.encode())


def _require_switched(config_path: Path, salt: str, old: Secret, new: Secret) -> None:
    """Prove on the disk that the new passphrase opens the stack and the old one does not."""
    found = rekey.salts_of(_config_text(config_path)) or [salt]
    for each in found:
        crypter.PassphraseCrypter.from_salt(each, new)
        try:
            crypter.PassphraseCrypter.from_salt(each, old)
        except errors.StackError:
            continue
        raise errors.StackError(
            f"the old passphrase still opens {config_path.name}", operation=_OPERATION
        )
