"""Files of manifests: found, read, and written when what they hold was changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from provision import errors
from provision.fileio import atomic
from provision.gitops.sealing import resealing, rewriting, templates

_KIND = b"SealedSecret"


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A file, what it held when it was read, and what it is to hold."""

    path: Path
    before: str
    after: str


def read(path: Path) -> str:
    """Return the text of `path`, every line end as it is. Raises `errors.ConfigError`."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise errors.ConfigError(f"{path} cannot be read", [], hint=reason) from error


def sealed(path: Path, text: str) -> list[rewriting.Located]:
    """Return the SealedSecrets in `text`, which `path` holds.

    Raises `errors.GitOpsError` for what is no YAML.
    """
    problems: list[errors.Problem] = []
    found = rewriting.find(text, str(path), problems)
    if problems:
        raise errors.GitOpsError(f"{path} cannot be read", problems)
    return found


def read_all(paths: Iterable[Path]) -> dict[str, str]:
    """Return the text of each file of `paths` and below that may hold a SealedSecret, by path.

    Links below a folder are not followed: what they lead to is elsewhere, or
    found by itself. A file that is named twice counts once. Raises
    `errors.ConfigError` for what cannot be read.
    """
    files: dict[str, str] = {}
    seen: set[Path] = set()
    for path in paths:
        for one in [path] if path.is_file() else _below(path):
            if one.resolve() not in seen:
                seen.add(one.resolve())
                files[str(one)] = read(one)
    return files


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise errors.ConfigError(
            f"{error.filename} cannot be read", [], hint=error.strerror or str(error)
        ) from error

    for top, inner, names in os.walk(folder, onerror=refuse):
        inner[:] = sorted(each for each in inner if each != ".git")
        for name in sorted(resealing.candidates(names)):
            path = Path(top) / name
            if path.is_symlink() or not path.is_file():
                continue
            try:
                mentions = _KIND in path.read_bytes()
            except OSError as error:
                refuse(error)
            else:
                if mentions:
                    yield path


def place_of(path: str) -> templates.Place:
    """Return whether the file `path` of this computer is in a Helm chart, and where in it."""
    return templates.place_of(Path(path).absolute().as_posix(), os.path.isfile)


def write(changed: Iterable[Changed]) -> Iterator[Path]:
    """Write each file and yield it; what somebody else changed meanwhile is not overwritten.

    Raises `errors.ConfigError` with the file that cannot be written. The files
    before it are written, those after it are as they were.
    """
    for one in changed:
        try:
            if read(one.path) != one.before:
                raise errors.ConfigError(
                    f"{one.path} was changed while it was being sealed",
                    [],
                    hint="it is as it was changed; run the same command again",
                )
            atomic.write(one.path, one.after, mode=None)
        except OSError as error:
            raise errors.ConfigError(
                f"{one.path} cannot be written; it is as it was",
                [],
                hint=f"{error.strerror or error}; then run the same command again",
            ) from error
        yield one.path
