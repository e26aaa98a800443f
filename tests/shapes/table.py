"""The table of the shapes in ``docs/cold-start.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests import shapes
from tests.shapes import recording

PAGE: Final = Path(__file__).parents[2] / "docs" / "cold-start.md"
_BEGIN: Final = "<!-- shapes: made by python -m tests.shapes docs -->\n"
_END: Final = "<!-- end of shapes -->\n"


def rendered() -> str:
    """Return the table, from the shapes and the recording."""
    known = recording.recorded()
    lines = ["| shape | verdict | why | in a cluster |", "|---|---|---|---|"]
    for name, shape in shapes.load().items():
        truth = _truth(known[name]) if name in known else "not recorded"
        lines.append(f"| {shape.about} | {shape.expect} | {shape.reason} | {truth} |")
    return "\n".join(lines) + "\n"


def _truth(found: dict) -> str:
    if found["alone"]["up"]:
        return "comes up"
    if "seeded" in found:
        return "stops; with the seeds it comes up" if found["seeded"]["up"] else "stops"
    return "stops"


def page() -> str:
    """Return the page with the table as it has to be."""
    text = PAGE.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{rendered()}\n{_END}{after}"
