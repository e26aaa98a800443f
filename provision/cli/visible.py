"""Control characters, made visible: nothing that others wrote may move the cursor.

The node, GitHub, the cluster, the state and files may hold escape sequences,
which rewrite what a terminal shows, and characters that hide or reorder text.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, separators, bidirectional
    "\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags
    "]"
)


def visible(text: str) -> str:
    r"""Return `text` with control characters shown as ``\x1b``, ``\u202e`` or ``\U000e0041``.

    Newlines and tabs stay.
    """
    return _UNSAFE.sub(_shown, text)


def in_json(text: str) -> str:
    """Return the JSON `text` with the same characters as JSON's own escapes: the value stays."""
    return _UNSAFE.sub(_escaped, text)


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
