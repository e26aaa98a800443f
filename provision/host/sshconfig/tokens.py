"""What may stand for something else in a value: ``%h``, ``~``, ``${VARIABLE}``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

_TOKEN = re.compile(r"%(.?)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with its tokens replaced. Raises ValueError for an unknown one."""

    def replaced(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if letter not in values or not letter:
            raise ValueError(f"the token %{letter} is not known here")
        return values[letter]

    return _TOKEN.sub(replaced, text)


def variables(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with ``${NAME}`` replaced. Raises ValueError where one is not set."""

    def replaced(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise ValueError(f"the environment variable {match[1]} is not set")
        return environ[match[1]]

    return _VARIABLE.sub(replaced, text)


def at_home(text: str, home: Path) -> str:
    """Return `text` with a leading ``~`` or ``~user`` replaced."""
    if text == "~" or text.startswith("~/"):
        return str(home) + text[1:]
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise ValueError(f"the user of {text} is not known") from None


def connection_hash(local: str, host: str, port: int, user: str) -> str:
    """Return what ``%C`` stands for."""
    return hashlib.sha1(f"{local}{host}{port}{user}".encode(), usedforsecurity=False).hexdigest()
