"""``python -m tests.shapes record [NAME…]`` and ``python -m tests.shapes docs``."""

from __future__ import annotations

import sys

from tests.shapes import recording, table


def main(words: list[str]) -> int:
    """Record the shapes (1 when one came out another way), or write the table."""
    if words[:1] == ["record"]:
        changed = recording.run(words[1:])
        if changed:
            sys.stdout.write(f"recorded another way: {', '.join(changed)}\n")
        return 1 if changed else 0
    if words == ["docs"]:
        table.PAGE.write_text(table.page())
        return 0
    sys.stdout.write(f"{__doc__}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
