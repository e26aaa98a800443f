"""Rich's console, through which no control character of others gets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from provision.cli import visible


class SafeConsole(Console):
    """A console that shows control characters of texts as escapes.

    Only what rich itself sends to move the cursor passes.
    """

    def render_str(self, text: str, **options: Any) -> Any:
        """Return the text that a plain string is drawn as."""
        return super().render_str(visible.visible(text), **options)

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Yield what is written for `renderable`."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible.visible(segment.text), segment.style)
