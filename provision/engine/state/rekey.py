"""What a stack's files hold under its passphrase, encrypted under another one.

Works on the text of a file, whatever its format: state, history, journal or
YAML. Every ciphertext in it is found by its form (``v1:…:…``), and since each
is authenticated, one that the old key opens is ours and nothing else is
touched: not a space of the file changes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from provision import crypter, errors
from provision.engine import api
from provision.engine.state import backend, journal, lock
from provision.secret import Secret

_BASE64 = r"[A-Za-z0-9+/]+={0,2}"
_TOKEN = re.compile(rf"(?<![\w+/=:])v1:{_BASE64}:(?:v1:{_BASE64}:)?{_BASE64}")
_SALT_PARTS = 5


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One file of the backend that holds ciphertexts. `old` ones are no part of the state."""

    path: Path
    old: bool


class Rekeyer:
    """Turns texts under the old passphrase into texts under `new`'s."""

    def __init__(self, old: Secret, new: crypter.PassphraseCrypter, salts: list[str]) -> None:
        """Use `salts` (salt states) for files that name none. Raises for a wrong passphrase."""
        self._old = old
        self._new = new
        self._crypters = [crypter.PassphraseCrypter.from_salt(salt, old) for salt in salts]
        self._known: dict[str, str] = {}

    def text(self, text: str, where: str) -> str:
        """Return `text` with every ciphertext and salt under the new passphrase.

        Raises `errors.StackError`, naming `where`, when the old passphrase
        does not open one of them.
        """
        opened = [*self._salts_in(text), *self._crypters]

        def again(match: re.Match[str]) -> str:
            token = match[0]
            if _is_salt(token):
                return self._new.salt
            if token not in self._known:
                self._known[token] = self._new.encrypt(_open(token, opened, where))
            return self._known[token]

        return _TOKEN.sub(again, text)

    def require_same(self, before: str, after: str, where: str) -> None:
        """Raise `errors.StackError` unless the new key gives in `after` what the old gave before.

        Also when something that the old key opens is left in `after`.
        """
        opened = [*self._salts_in(before), *self._crypters]
        was = [_open(token, opened, where) for token in _ciphertexts(before)]
        now = [_open(token, [self._new], where) for token in _ciphertexts(after)]
        if was != now or _TOKEN.sub("", before) != _TOKEN.sub("", after):
            raise errors.StackError(
                f"{where} did not come out the same under the new passphrase",
                operation="change the passphrase",
                hint="nothing was changed; please report this",
            )

    def _salts_in(self, text: str) -> list[crypter.PassphraseCrypter]:
        salts = dict.fromkeys(token for token in _TOKEN.findall(text) if _is_salt(token))
        return [crypter.PassphraseCrypter.from_salt(salt, self._old) for salt in salts]


@contextlib.contextmanager
def locked(ref: api.StackRef) -> Generator[backend.FileBackend]:
    """Hold the stack's lock, with a crashed run's journal folded in.

    Raises `errors.StackError` for a backend that is not ``file://``.
    """
    if not ref.backend.startswith("file://"):
        raise errors.StackError(
            f"the state is in {ref.backend}, which elysium does not write",
            operation="change the passphrase",
            hint="`pulumi stack change-secrets-provider passphrase` changes it there",
        )
    place = backend.FileBackend(ref.backend, ref.root, ref.project, ref.stack)
    with lock.StackLock(place.locks):
        journal.settle(place, journal.load(place))
        yield place


def kept(place: backend.FileBackend) -> list[Kept]:
    """Return every file of the stack that may hold ciphertexts, the state first."""
    found = [Kept(path=place.path, old=False)] if place.path.exists() else []
    beside = sorted(place.path.parent.glob(f"{place.path.name}.*"))
    older = [path for path in beside if path.is_file()]
    for folder, pattern in ((place.history, "*.json"), (place.backups, "*.json")):
        older += sorted(folder.glob(pattern))
    return found + [Kept(path=path, old=True) for path in older if not path.name.startswith(".")]


def salts_of(text: str) -> list[str]:
    """Return the salt states in `text`, each once."""
    return list(dict.fromkeys(token for token in _TOKEN.findall(text) if _is_salt(token)))


def _ciphertexts(text: str) -> list[str]:
    return [token for token in _TOKEN.findall(text) if not _is_salt(token)]


def _is_salt(token: str) -> bool:
    return token.count(":") + 1 == _SALT_PARTS


def _open(token: str, opened: list[crypter.PassphraseCrypter], where: str) -> str:
    for each in opened:
        with contextlib.suppress(errors.StackError):
            return each.decrypt(token)
    raise errors.StackError(
        f"{where} holds an encrypted value that the stack's passphrase does not open",
        operation="change the passphrase",
        hint="set that value again, or restore the file, then run it again",
    )
