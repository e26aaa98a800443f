"""The pins file: the sha256 of every download that was ever used.

A JSON object, sorted, made to be committed beside the stack:
``{"k3s/v1.36.3+k3s1/amd64": {"sha256": "…", "content": "…"}}``. `sha256` is of
the published file, as its checksum file has it; `content` of the file taken
out of it, where it is an archive. A pin is added once and never changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import errors, safejson
from provision.fileio import atomic


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One download. `content` is empty while the archive was never opened."""

    sha256: str
    content: str = ""


def read(path: Path) -> dict[str, Pin]:
    """Return the pins in the file, none where there is no file.

    Raises `errors.ArtifactError` for a file that is not a pins file.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise errors.ArtifactError(
            f"the pins file {path} cannot be read",
            detail=str(error),
            hint="check its owner and mode",
        ) from error
    try:
        return parse(content.decode("utf-8"))
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise errors.ArtifactError(
            f"the pins file {path} cannot be understood",
            detail=str(error),
            hint="take it back from git; without it, checksums are read from the releases again",
        ) from error


def parse(text: str) -> dict[str, Pin]:
    """Return the pins in `text`.

    Raises `ValueError`, `AttributeError`, `TypeError` or `KeyError` where it is none.
    """
    return {str(key): _pin(value) for key, value in safejson.loads(text or "{}").items()}


def add(path: Path, key: str, pin: Pin) -> None:
    """Write the pin of `key`, atomically; a pin that is there is only completed.

    Raises `errors.ArtifactError` when another sha256 is pinned already.
    """
    pins = read(path)
    known = pins.get(key)
    if known is not None:
        if known.sha256 != pin.sha256 or (known.content and known.content != pin.content):
            raise changed(key, path, known.sha256, pin.sha256)
        if known == pin:
            return
    pins[key] = pin
    _write(path, pins)


def changed(key: str, path: Path, pinned: str, got: str, origin: str = "") -> errors.ArtifactError:
    """Return the error for a file, taken from `origin`, that is not what is pinned."""
    source = f", from {origin}" if origin else ""
    return errors.ArtifactError(
        f"{key} is not the file that is pinned",
        detail=f"pinned: sha256 {pinned}\ngot:    sha256 {got}{source}",
        hint=f"do not use it before you know why; if it is right, take its line out of {path}",
    )


def _pin(value: Any) -> Pin:
    sha256, content = str(value["sha256"]), str(value.get("content", ""))
    if len(sha256) != 64 or (content and len(content) != 64):
        raise ValueError("a sha256 has 64 characters")
    return Pin(sha256=sha256.lower(), content=content.lower())


def _write(path: Path, pins: dict[str, Pin]) -> None:
    listed = {
        key: {"sha256": pin.sha256} | ({"content": pin.content} if pin.content else {})
        for key, pin in sorted(pins.items())
    }
    atomic.write(path, json.dumps(listed, indent=2) + "\n", mode=0o644)
