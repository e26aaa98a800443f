"""``status`` as a person reads it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rich import console, table

from provision.cli.render import text

if TYPE_CHECKING:
    from provision.operations.status import Section, Status

_HEALTH = {
    "ok": ("✓", "green", "ok"),
    "drift": ("~", "yellow", "differs"),
    "missing": ("✗", "bold red", "missing"),
    "failed": ("✗", "bold red", "failed"),
    "unknown": ("?", "dim", "not known"),
}


def render(found: Status) -> console.Group:
    """Return every section with its facts, and a last line that says how it is."""
    parts: list[console.RenderableType] = []
    told: set[str] = set()
    for section in found.sections:
        parts += lines(_once(section, told))
    wrong = sum(section.health != "ok" for section in found.sections)
    last = text.Text()
    if not found.sections:
        last.append(f"{found.cluster}: nothing was set up yet. ", style="yellow")
        last.append("elysium up does it.")
    elif wrong:
        last.append(f"{found.cluster}: {wrong} of {len(found.sections)} not as it should be. ")
        by_up = [s for s in found.sections if s.health not in ("ok", "unknown") and not s.hints]
        if by_up:
            last.append("elysium preview says what differs, elysium up repairs it.")
        if any(section.hints for section in found.sections):
            last.append(" What is after → is for you to do." if by_up else "See what is after →.")
        last.stylize("yellow", 0, len(found.cluster))
    else:
        last.append(f"{found.cluster}: all is as it should be.", style="green")
    if found.last_up:
        last.append(f" Last change: {found.last_up}.", style="dim")
    return console.Group(*parts, last)


def _once(section: Section, told: set[str]) -> Section:
    """Return the section without what an earlier one told of why it was not looked at."""
    if section.health != "unknown" or not section.problems:
        return section
    if not told.isdisjoint(section.problems):
        return dataclasses.replace(section, problems=("not checked, as above",), hints=())
    told.update(section.problems)
    return section


def lines(section: Section) -> list[console.RenderableType]:
    """Return one section: how it is, its facts, and what is wrong."""
    sign, style, word = _HEALTH.get(section.health, _HEALTH["unknown"])
    head = text.Text()
    head.append(f"{sign} {section.title}", style=style if section.health != "ok" else "bold")
    if section.health != "ok":
        head.append(f"  {word}", style=style)
    grid = table.Table.grid(padding=(0, 2))
    for label, value in section.facts:
        grid.add_row("", text.Text(label, style="dim"), text.Text(value))
    found: list[console.RenderableType] = [head]
    if section.facts:
        found.append(grid)
    found += [text.Text(f"    {problem}", style=style) for problem in section.problems]
    found += [text.Text(f"    ! {warning}", style="yellow") for warning in section.warnings]
    found += [text.Text(f"    → {hint}") for hint in section.hints]
    return found
