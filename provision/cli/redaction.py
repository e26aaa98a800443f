"""The last line of defence: known secrets never leave through the terminal or a log.

Nothing should bring a secret this far; where something does, it is hidden in
each form it is likely to take.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterable, Iterator
from typing import Any

from provision import secret
from provision.cli import visible
from provision.secret import Secret

_SHORTEST = 4
"""Hiding every "a" would make all output unreadable and tell the password by its gaps."""
_LONG_LINE = 16

ENVIRONMENT = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_APP_PRIVATE_KEY",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_ACCESS_TOKEN",
)


class Redactor:
    """Called with a text, returns it with every known secret as ``***``."""

    def __init__(self) -> None:
        self._forms: set[Secret] = set()
        self.add(Secret(os.environ.get(name, "")) for name in ENVIRONMENT)

    def add(self, secrets: Iterable[Secret]) -> None:
        """Hide `secrets` from now on."""
        for each in secrets:
            self._forms.update(Secret(form) for form in _forms(each.reveal()))

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        return secret.mask(text, tuple(self._forms)) if self._forms else text


class Filter(logging.Filter):
    """Cleans log records, their arguments and their tracebacks.

    Secrets are hidden, control characters visible.
    """

    def __init__(self, hide: Redactor) -> None:
        super().__init__()
        self._hide = hide

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite `record` in place; let it pass."""
        record.msg = visible.visible(self._hide(record.getMessage()))
        record.args = None
        if record.exc_info:
            text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_text = visible.visible(self._hide(text))
        return True


def secrets_in(value: Any) -> Iterator[Secret]:
    """Yield every `Secret` inside a configuration model, a mapping or a list."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item)
    elif hasattr(type(value), "model_fields"):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name))


def _forms(text: str) -> Iterator[str]:
    """Yield `text` as it is, as it is shown, inside JSON, in base64, and its long lines alone."""
    if len(text) < _SHORTEST:
        return
    yield text
    yield visible.visible(text)
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield base64.b64encode(text.encode()).decode()
    for line in text.splitlines():
        if len(line) >= _LONG_LINE and not line.startswith("-----"):
            yield line
