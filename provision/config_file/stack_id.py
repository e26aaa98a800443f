"""The id that tells a stack from another one of the same name."""

from __future__ import annotations

import secrets
import string

_LENGTH = 10


def make_stack_id() -> str:
    """Return a new random id: letters only, which YAML never takes for a number."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_LENGTH))
