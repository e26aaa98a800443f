"""The only styled text of this package: control characters in it are visible.

Rich drops some control characters silently and passes others on. What is made
of this class shows them all.
"""

from __future__ import annotations

from typing import Any, Self

from rich import text as rich_text
from rich.style import Style

from provision.cli import visible


class Text(rich_text.Text):
    """Rich's text, with control characters shown as escapes."""

    def __init__(self, text: str = "", style: str | Style = "", **more: Any) -> None:
        """Hold `text` in `style`; `more` is passed on to rich."""
        super().__init__(visible.visible(text), style, **more)

    def append(self, text: rich_text.Text | str, style: str | Style | None = None) -> Self:
        """Add `text` in `style`."""
        shown = visible.visible(text) if isinstance(text, str) else text
        super().append(shown, style)
        return self
