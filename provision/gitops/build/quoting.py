"""kustomize's words, without the contents of files that it quotes: they may be of a Secret."""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = tuple(
    (re.compile(pattern, re.DOTALL | re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"(wrong node kind: .*?node contents:).*", r"\1 …"),
        (r"literal sources \[.*\]: invalid literal source .*, (?=expected key=value)", "literal: "),
        # A patch in a kustomization, once in the configuration of the plugin and once as text.
        (r"^([ \t]*)patch:(?:(?!^\1(?:target|options):|^[ \t]*`).)*", r"\1patch: …" "\n"),
        (r"(unable to parse SM or JSON patch from )\[(?!path: \"[^\"\n]*\"\]).*\]", r"\1[…]"),
        (r"(is out of bounds for value ).*", r"\1…"),
    )
)


def without_contents(text: str) -> str:
    """Return the message `text` of kustomize with ``…`` in place of contents of files."""
    for pattern, replacement in _QUOTED:
        text = pattern.sub(replacement, text)
    return text
