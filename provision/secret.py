"""A text that must never be printed.

`Secret` is how private keys, tokens and passwords travel through elysium:
every rendering of it is ``***``; only `Secret.reveal` gives the text.
"""

from __future__ import annotations

import hmac
from typing import Any

MASK = "***"


class Secret:
    """A text whose `repr`, `str` and `format` are all ``***``.

    Equality compares the texts in constant time; hashing works, so secrets can
    be dictionary keys. Pickling is refused, since a pickle is plaintext.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. The only way to get it out."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not pickled: the pickle would hold its text")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let pydantic models hold a `Secret`; a plain string becomes one."""
        from pydantic_core import core_schema

        def validate(value: Any) -> Secret:
            if isinstance(value, Secret):
                return value
            if isinstance(value, str):
                return cls(value)
            raise ValueError("a text is expected")

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )


def mask(text: str, secrets: tuple[Secret, ...] | list[Secret]) -> str:
    """Return `text` with every occurrence of each non-empty secret replaced by ``***``.

    Longest secrets first, so that one that contains another leaves no rest.
    """
    for secret in sorted(secrets, key=lambda s: len(s.reveal()), reverse=True):
        plain = secret.reveal()
        if plain:
            text = text.replace(plain, MASK)
    return text
