"""A drill's outcome as a person reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import console, table

from provision.cli.render import text

if TYPE_CHECKING:
    from provision.recovery.drill.outcome import Outcome


def summary(found: Outcome, written: tuple[Path, Path]) -> console.Group:
    """Return how it ended, what failed, and where the report is."""
    from provision.recovery.drill import page

    word, style = ("passed", "bold green") if found.passed else ("failed", "bold red")
    head = text.Text(f"The drill of {found.cluster} {word}", style=style)
    rows = [
        ("recovery time", page.duration(found.recovery_seconds)),
        ("age of the data", page.duration(found.age_seconds)),
        ("Kustomizations", f"{found.ready} of {found.kustomizations} Ready"),
        ("Secrets", f"{found.equal} of {found.secrets} as they were"),
        *((step.name, f"{step.seconds:.1f}s") for step in found.steps),
        ("stood in", ", ".join(each.part for each in found.stood_in)),
        ("report", "\n".join(map(str, written))),
    ]
    grid = table.Table.grid(padding=(0, 2))
    for label, value in rows:
        if value:
            grid.add_row("", text.Text(label, style="dim"), text.Text(value))
    failed = [text.Text(f"✗ {each}", style="red") for each in found.problems]
    lost = [text.Text(f"Would be lost: {each}.", style="yellow") for each in found.losses]
    return console.Group(head, *failed, grid, *lost)


def ended(found: Outcome, written: tuple[Path, Path]) -> dict[str, Any]:
    """Return the end of a drill as an event."""
    return {
        "event": "drilled",
        "passed": found.passed,
        "seconds": found.seconds,
        "recoverySeconds": found.recovery_seconds,
        "ageSeconds": found.age_seconds,
        "problems": list(found.problems),
        "files": [str(path) for path in written],
    }
