"""What ``adopt`` found, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import console, table

from provision.cli.render import sections, text
from provision.operations.status import Section

if TYPE_CHECKING:
    from provision.operations.adoption import Found, Part


def render(found: Found) -> console.Group:
    """Return every part that was looked for, and the settings that are to be written."""
    parts: list[console.RenderableType] = []
    for part in found.parts:
        parts += sections.lines(_section(part))
    if found.settings:
        grid = table.Table.grid(padding=(0, 2))
        for one in found.settings:
            grid.add_row("", text.Text(one.key, style="dim"), text.Text(one.shown))
        parts += ["", text.Text("To be written into the configuration", style="bold"), grid]
    return console.Group(*parts)


def as_json(found: Found) -> dict[str, Any]:
    """Return what was found as an event, secrets as ``***``."""
    return {
        "event": "found",
        "parts": [
            {
                "title": part.title,
                "facts": dict(part.facts),
                "notes": list(part.notes),
                "problems": [str(problem) for problem in part.problems],
            }
            for part in found.parts
        ],
        "settings": {one.key: one.shown for one in found.settings},
    }


def _section(part: Part) -> Section:
    said = (*part.notes, *(str(problem) for problem in part.problems))
    health = "failed" if part.problems else "drift" if part.notes else "ok"
    return Section(title=part.title, health=health, facts=part.facts, problems=said)
