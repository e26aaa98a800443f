"""How the inner layers say what they are doing, without knowing who listens.

`Progress` is a plain callable of one sentence; the CLI decides how it looks.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(_message: str) -> None:
    """Say nothing: the default where no one listens."""
